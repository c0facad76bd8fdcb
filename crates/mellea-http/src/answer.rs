//! Reading an answer as it comes: the policy is `mellea-wire`'s, the bytes and the time are here.

use std::time::Duration;

use futures_util::stream;
use mellea_core::{Error, Event, EventStream, Result, Warning};
use mellea_wire::{Decoder, Reader};
use tokio::time::{Instant, timeout, timeout_at};

use crate::response::unmarked;
use crate::{Client, Framer, Frames, Request, Response};

/// How long figures of usage, and the end, are waited for after the finish. Signs of life do not make it longer.
const LINGER: Duration = Duration::from_millis(500);
/// How long the end of the body is waited for after the end of the answer, so that the connection can be used again.
const LAST_BYTES: Duration = Duration::from_millis(50);

/// An answer that is being read.
#[derive(Debug)]
pub struct Incoming<F, D: Decoder> {
    /// `None` when nothing more will be read.
    frames: Option<Frames<F>>,
    reader: Reader<D>,
    /// When waiting for what may follow the finish ends.
    patience: Option<Instant>,
    /// What the events are followed by.
    fault: Option<Error>,
}

impl<F: Framer + Default + 'static, D: Decoder<Frame = F::Frame>> Incoming<F, D> {
    /// Reads an answer up to its first piece. It is read as what it is, whatever was asked for and whatever its content
    /// type says: servers ignore both.
    ///
    /// # Errors
    /// If the answer is an error, or fails before its first piece.
    pub async fn begin(mut response: Response, reader: Reader<D>, streamed: bool) -> Result<Self> {
        let says_json = response.is_json();
        let start = response.start().await?;
        let whole = match start.first() {
            Some(b'{' | b'[') => !F::JSON || says_json,
            // The frames of a binary wire begin with their length.
            Some(0) => false,
            Some(_) if looks_like_events(start) => false,
            _ => !streamed || says_json,
        };
        let mut incoming = Self { frames: None, reader, patience: None, fault: None };
        if whole {
            incoming.whole(response).await?;
        } else {
            incoming.frames = Some(response.frames(F::default())?);
            while !incoming.reader.has_begun() && !incoming.reader.is_complete() {
                let Err(error) = incoming.advance().await else { continue };
                if !incoming.reader.has_begun() {
                    return Err(error);
                }
                (incoming.frames, incoming.fault) = (None, Some(error));
            }
        }
        Ok(incoming)
    }

    async fn whole(&mut self, response: Response) -> Result<()> {
        let place = response.place().clone();
        let body = response.bytes().await?;
        if let Err(fault) = self.reader.whole(unmarked(&body)) {
            let error = place.unread(fault);
            // Text before the fault is kept, so the request cannot be repeated.
            if !self.reader.has_begun() {
                return Err(error);
            }
            self.fault = Some(error);
        }
        Ok(())
    }

    /// What reads it.
    #[must_use]
    pub const fn reader(&self) -> &Reader<D> {
        &self.reader
    }

    /// The next event; `None` after the last one, and after an error.
    ///
    /// # Errors
    /// If the answer cannot be read on.
    pub async fn next(&mut self) -> Option<Result<Event>> {
        loop {
            if let Some(event) = self.reader.pop() {
                return Some(Ok(event));
            }
            if let Some(error) = self.fault.take() {
                return Some(Err(error));
            }
            if self.reader.is_complete() {
                if let Some(mut frames) = self.frames.take() {
                    // Read to its end, the connection serves the next call.
                    let _ = timeout(LAST_BYTES, frames.next()).await;
                }
                return None;
            }
            self.frames.as_ref()?;
            if let Err(error) = self.advance().await {
                self.frames = None;
                self.fault = Some(error);
            }
        }
    }

    /// Reads one frame.
    async fn advance(&mut self) -> Result<()> {
        let Some(frames) = &mut self.frames else { return Ok(()) };
        let next = if self.reader.has_finished() {
            let until = *self.patience.get_or_insert_with(|| Instant::now() + LINGER);
            match timeout_at(until, frames.next()).await {
                Ok(next) => next,
                Err(_) => {
                    self.reader.give_up_waiting();
                    return Ok(());
                }
            }
        } else if self.reader.is_announced() {
            // Nobody said that the model had stopped: then the body at least must not be cut.
            timeout(LAST_BYTES, frames.next()).await.unwrap_or(None)
        } else {
            frames.next().await
        };
        match next {
            Some(Ok(frame)) => {
                let before = self.reader.pieces();
                let read = self.reader.frame(frame, frames.ended());
                if self.reader.pieces() > before {
                    self.patience = None;
                }
                read.map_err(|fault| frames.place().unread(fault))
            }
            // The answer was complete, and only its end was lost.
            Some(Err(_)) if self.reader.has_finished() => {
                self.reader.give_up_waiting();
                Ok(())
            }
            Some(Err(error)) => {
                self.reader.flush();
                Err(error)
            }
            None => self.reader.body_ended().map_err(|fault| frames.place().unread(fault)),
        }
    }

    /// The events, after these warnings. Dropping them closes the connection.
    #[must_use]
    pub fn events(self: Box<Self>, warnings: Vec<Warning>) -> EventStream {
        let warnings = warnings.into_iter();
        EventStream::new(stream::unfold((self, warnings), |(mut incoming, mut warnings)| async {
            if let Some(warning) = warnings.next() {
                return Some((Ok(Event::Warning(warning)), (incoming, warnings)));
            }
            let next = incoming.next().await?;
            Some((next, (incoming, warnings)))
        }))
    }
}

/// Whether a body starts like server-sent events.
fn looks_like_events(start: &[u8]) -> bool {
    [&b"data:"[..], b"event:", b":", b"id:", b"retry:", b"error:"].iter().any(|field| start.starts_with(field))
}

impl Client {
    /// Sends a request and reads its answer up to the first piece, within the attempts of the client's policy; the rest
    /// is read as the stream is.
    ///
    /// # Errors
    /// As [`open`](Self::open), and if the answer fails before its first piece.
    pub async fn answer<F, D>(
        &self,
        request: Request,
        streamed: bool,
        reader: impl Fn() -> Reader<D> + Send + Sync,
        warnings: Vec<Warning>,
    ) -> Result<EventStream>
    where
        F: Framer + Default + Send + 'static,
        D: Decoder<Frame = F::Frame>,
    {
        let read = async |response: Response| Incoming::<F, D>::begin(response, reader(), streamed).await.map(Box::new);
        // Boxed: what has more than a kilobyte is dear to allocate, and this is within the future of the call.
        let incoming = Box::pin(self.open(request, read)).await?;
        Ok(incoming.events(warnings))
    }
}

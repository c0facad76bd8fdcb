//! Reading an answer off the wire: the shell around the decoders.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::stream;
use mellea_core::{Error, Event, EventStream, Result, Warning};
use mellea_http::{Client, Frames, Request, Response, SseEvent, SseFramer};
use serde::de::DeserializeOwned;

use crate::wire::{ChatDecoder, Completion, Fault, ResponseBody, ResponsesDecoder};

/// The most pieces of one stream that may be unreadable.
const MAX_UNREADABLE: usize = 16;
/// How long the end of the body is waited for after the end of the answer, so that the connection can be used
/// again.
const LAST_BYTES: Duration = Duration::from_millis(50);

/// What turns the wire into events; it does no I/O.
pub(crate) trait Decode: Send + 'static {
    /// The body of an answer that is not streamed.
    type Whole: DeserializeOwned + Send;

    fn push(&mut self, event: &SseEvent, out: &mut VecDeque<Event>) -> Result<(), Fault>;

    fn whole(&mut self, body: Self::Whole, out: &mut VecDeque<Event>) -> Result<(), Fault>;

    fn end(&mut self, out: &mut VecDeque<Event>) -> Result<(), Fault>;

    /// Learns that the body has ended as it should.
    fn body_ended(&mut self, _out: &mut VecDeque<Event>) {}

    /// Whether the answer is complete, even if the end was not announced.
    fn is_complete(&self) -> bool;

    /// Whether the end was announced.
    fn is_done(&self) -> bool;

    /// Whether the model said why it stopped.
    fn has_finished(&self) -> bool {
        self.is_complete()
    }

    /// Whether a piece of the answer itself has arrived.
    fn has_begun(&self) -> bool;
}

impl Decode for ChatDecoder {
    type Whole = Completion;

    fn push(&mut self, event: &SseEvent, out: &mut VecDeque<Event>) -> Result<(), Fault> {
        if event.name == "error" {
            return Err(Fault::of_error_event(&event.data));
        }
        Self::push(self, &event.data, out)
    }

    fn whole(&mut self, body: Completion, out: &mut VecDeque<Event>) -> Result<(), Fault> {
        Self::whole(self, body, out)
    }

    fn end(&mut self, out: &mut VecDeque<Event>) -> Result<(), Fault> {
        Self::end(self, out)
    }

    fn body_ended(&mut self, out: &mut VecDeque<Event>) {
        Self::body_ended(self, out);
    }

    fn is_complete(&self) -> bool {
        Self::is_complete(self)
    }

    fn is_done(&self) -> bool {
        Self::is_done(self)
    }

    fn has_finished(&self) -> bool {
        Self::has_finished(self)
    }

    fn has_begun(&self) -> bool {
        Self::has_begun(self)
    }
}

impl Decode for ResponsesDecoder {
    type Whole = ResponseBody;

    fn push(&mut self, event: &SseEvent, out: &mut VecDeque<Event>) -> Result<(), Fault> {
        Self::push(self, &event.name, &event.data, out)
    }

    fn whole(&mut self, body: ResponseBody, out: &mut VecDeque<Event>) -> Result<(), Fault> {
        Self::whole(self, body, out)
    }

    fn end(&mut self, out: &mut VecDeque<Event>) -> Result<(), Fault> {
        Self::end(self, out)
    }

    fn is_complete(&self) -> bool {
        Self::is_complete(self)
    }

    fn is_done(&self) -> bool {
        Self::is_complete(self)
    }

    fn has_begun(&self) -> bool {
        Self::has_begun(self)
    }
}

/// Sends a request and reads its answer up to the first piece, within the attempts of the client's policy;
/// the rest is read as the stream is.
pub(crate) async fn open<D: Decode>(
    client: &Client,
    request: Request,
    streamed: bool,
    decoder: impl Fn() -> D + Send + Sync,
    warnings: Vec<Warning>,
) -> Result<EventStream> {
    let read = async |response: Response| {
        // What comes counts, not what was asked for: servers ignore `stream`, in both directions.
        if response.is_json() || !(streamed || response.is_sse()) {
            let place = response.place().clone();
            let body = response.json().await?;
            return all(body, decoder()).map(Opened::Whole).map_err(|fault| fault.at(&place));
        }
        let mut reading = Reading::new(response, decoder())?;
        while !reading.ended && !reading.decoder.has_begun() {
            reading.advance().await?;
        }
        Ok(Opened::Stream(reading))
    };
    let warnings = warnings.into_iter().map(Event::Warning);
    // Boxed: what has more than a kilobyte is dear to allocate, and this is within the future of the call.
    Ok(match Box::pin(client.open(request, read)).await? {
        Opened::Whole(events) => EventStream::ready(warnings.chain(events)),
        Opened::Stream(mut reading) => {
            warnings.rev().for_each(|warning| reading.out.push_front(warning));
            EventStream::new(stream::unfold(reading, |mut reading| async {
                let next = reading.next().await?;
                Some((next, reading))
            }))
        }
    })
}

enum Opened<D> {
    Whole(VecDeque<Event>),
    Stream(Box<Reading<D>>),
}

/// The events of an answer that comes at once.
fn all<D: Decode>(body: D::Whole, mut decoder: D) -> Result<VecDeque<Event>, Fault> {
    let mut out = VecDeque::with_capacity(8);
    decoder.whole(body, &mut out)?;
    decoder.end(&mut out)?;
    Ok(out)
}

/// An answer that is being read.
struct Reading<D> {
    /// `None` when nothing more will be read.
    frames: Option<Frames<SseFramer>>,
    decoder: D,
    out: VecDeque<Event>,
    unreadable: usize,
    /// Why the first unreadable piece could not be read.
    first_fault: Option<Error>,
    ended: bool,
}

impl<D: Decode> Reading<D> {
    fn new(response: Response, decoder: D) -> Result<Box<Self>> {
        let frames = Some(response.sse()?);
        Ok(Box::new(Self { frames, decoder, out: VecDeque::new(), unreadable: 0, first_fault: None, ended: false }))
    }

    async fn next(&mut self) -> Option<Result<Event>> {
        loop {
            if let Some(event) = self.out.pop_front() {
                return Some(Ok(event));
            }
            if self.ended {
                if let Some(mut frames) = self.frames.take() {
                    // Read to its end, the connection serves the next call.
                    let _ = tokio::time::timeout(LAST_BYTES, frames.next()).await;
                }
                return None;
            }
            if let Err(error) = self.advance().await {
                self.ended = true;
                self.frames = None;
                return Some(Err(error));
            }
        }
    }

    /// Reads one frame.
    async fn advance(&mut self) -> Result<()> {
        let Some(frames) = &mut self.frames else {
            self.ended = true;
            return Ok(());
        };
        match frames.next().await {
            Some(Ok(event)) => match self.decoder.push(&event, &mut self.out) {
                Ok(()) if self.decoder.is_done() && self.decoder.has_finished() => self.end(),
                // Announced, but nobody said that the model had stopped: then the body at least must not be cut.
                Ok(()) if self.decoder.is_done() => match tokio::time::timeout(LAST_BYTES, frames.next()).await {
                    Ok(Some(Err(error))) => Err(error),
                    _ => self.end(),
                },
                Ok(()) => Ok(()),
                Err(Fault::Unreadable { cut: true, .. }) if frames.ended() => Err(frames.place().interrupted()),
                Err(fault @ Fault::Unreadable { .. }) if self.unreadable < MAX_UNREADABLE => {
                    self.unreadable += 1;
                    self.first_fault.get_or_insert(fault.at(frames.place()));
                    Ok(())
                }
                Err(fault) => Err(fault.at(frames.place())),
            },
            // The answer was complete, and only the end of the stream was lost.
            Some(Err(_)) if self.decoder.is_complete() => self.end(),
            Some(Err(error)) => Err(error),
            None => {
                self.decoder.body_ended(&mut self.out);
                match self.decoder.is_complete() {
                    true => self.end(),
                    false => Err(self.first_fault.take().unwrap_or_else(|| frames.place().interrupted())),
                }
            }
        }
    }

    fn end(&mut self) -> Result<()> {
        self.ended = true;
        if let Some(fault) = &self.first_fault {
            let message =
                format!("{} pieces of the stream could not be read and were left out: {}", self.unreadable, fault.kind());
            self.out.push_back(Event::Warning(Warning::Note { message }));
        }
        match (self.decoder.end(&mut self.out), &self.frames) {
            (Err(fault), Some(frames)) => Err(fault.at(frames.place())),
            _ => Ok(()),
        }
    }
}

//! The shell around a decoder: it decides what a frame, an end and an error mean for the answer.

use mellea_core::Event;
use serde_json::{Map, Value};

use crate::{Answer, Fault, Rules};

/// What one frame, or a whole body, means on one wire. It does no I/O and makes no policy.
pub trait Decoder: Send + 'static {
    /// One piece of the wire, such as a server-sent event or a line.
    type Frame: Send;

    /// Takes one frame of a stream.
    ///
    /// # Errors
    /// [`Fault::Unreadable`] if it cannot be read, after which others may follow; any other fault ends the answer.
    fn frame(&mut self, frame: Self::Frame, answer: &mut Answer) -> Result<(), Fault>;

    /// Takes a body that came as a whole.
    ///
    /// # Errors
    /// If it is an error, or not what the interface promises.
    fn whole(&mut self, body: &[u8], answer: &mut Answer) -> Result<(), Fault>;

    /// The bytes of a frame, which are counted.
    fn size(frame: &Self::Frame) -> usize;

    /// What it means on this wire that the body has ended in good order, but the answer has not; `None` if the answer was
    /// interrupted.
    fn ended_early(&self) -> Option<Fault> {
        None
    }

    /// The answer is complete: adds what only the end can tell. `extra` is what came with the calls, by their ids.
    fn conclude(&mut self, extra: Map<String, Value>, answer: &mut Answer) {
        let _ = (extra, answer);
    }
}

/// Reads one answer: frames or a body in, events out.
///
/// ```
/// use mellea_core::{Event, FinishReason};
/// use mellea_wire::{Answer, Decoder, Fault, Reader, Rules};
///
/// /// A wire whose frames are words, and whose end is a full stop.
/// struct Words;
///
/// impl Decoder for Words {
///     type Frame = &'static str;
///
///     fn frame(&mut self, frame: &'static str, answer: &mut Answer) -> Result<(), Fault> {
///         match frame {
///             "." => answer.finish("stop"),
///             word => Ok(answer.text(word)),
///         }
///     }
///
///     fn whole(&mut self, _: &[u8], _: &mut Answer) -> Result<(), Fault> {
///         Err(Fault::malformed("", "words come one by one"))
///     }
///
///     fn size(frame: &&'static str) -> usize {
///         frame.len()
///     }
/// }
///
/// let mut reader = Reader::new(Words, Rules::new());
/// ["Hello", "."].into_iter().try_for_each(|frame| reader.frame(frame, false))?;
/// assert!(reader.has_finished() && !reader.is_complete(), "figures may follow");
/// reader.body_ended()?;
/// let events: Vec<Event> = std::iter::from_fn(|| reader.pop()).collect();
/// assert_eq!(events, [Event::Text("Hello".into()), Event::Finish(FinishReason::Stop)]);
/// # Ok::<(), Fault>(())
/// ```
#[derive(Debug)]
pub struct Reader<D> {
    decoder: D,
    answer: Answer,
    complete: bool,
}

impl<D: Decoder> Reader<D> {
    /// Reads one answer by these rules.
    #[must_use]
    pub fn new(decoder: D, rules: Rules) -> Self {
        Self { decoder, answer: Answer::new(rules), complete: false }
    }

    /// Takes one frame; `last` if the body has ended, so that the frame may lack its end.
    ///
    /// # Errors
    /// If the answer cannot be read on. What was read stays: take it out with [`pop`](Self::pop) first.
    pub fn frame(&mut self, frame: D::Frame, last: bool) -> Result<(), Fault> {
        if self.complete {
            return Ok(());
        }
        let counted = self.answer.count(D::size(&frame));
        let read = counted.and_then(|()| self.decoder.frame(frame, &mut self.answer));
        match read {
            Ok(()) if self.answer.is_announced() && self.answer.is_finished() => {
                self.complete();
                Ok(())
            }
            Ok(()) => Ok(()),
            Err(fault) => self.fault(fault, last),
        }
    }

    fn fault(&mut self, fault: Fault, last: bool) -> Result<(), Fault> {
        let fault = match fault {
            // What comes after the finish is no part of the answer; that its end was cut off is no news.
            Fault::Unreadable { cut: true, .. } if last && self.answer.is_finished() => {
                self.complete();
                return Ok(());
            }
            fault if self.answer.is_finished() && !matches!(fault, Fault::PromptTruncated { .. }) => {
                self.answer.note(format!("after the answer's end there was a fault: {fault}"));
                self.complete();
                return Ok(());
            }
            Fault::Unreadable { cut: true, .. } if last => Fault::Interrupted,
            Fault::Unreadable { reason, .. } => match self.answer.skip(reason.clone(), Fault::malformed("", reason)) {
                Ok(()) => return Ok(()),
                Err(fault) => fault,
            },
            other => other,
        };
        self.answer.flush();
        Err(fault)
    }

    /// Takes a body that came as a whole.
    ///
    /// # Errors
    /// As [`frame`](Self::frame).
    pub fn whole(&mut self, body: &[u8]) -> Result<(), Fault> {
        if self.complete {
            return Ok(());
        }
        match self.decoder.whole(body, &mut self.answer) {
            Ok(()) => {
                self.complete();
                Ok(())
            }
            Err(fault) => {
                self.answer.flush();
                Err(fault)
            }
        }
    }

    /// The body has ended as it should.
    ///
    /// # Errors
    /// [`Fault::Interrupted`] if the answer is not complete.
    pub fn body_ended(&mut self) -> Result<(), Fault> {
        if self.complete {
            return Ok(());
        }
        if !self.answer.is_finished() {
            let enough = self.answer.is_announced() || self.answer.rules().end_of_body;
            if !enough || !self.answer.has_begun() || self.answer.is_cut_in_a_call() {
                self.answer.flush();
                return Err(self.decoder.ended_early().unwrap_or(Fault::Interrupted));
            }
            self.answer.note("the service did not say that the answer is complete");
        }
        self.complete();
        Ok(())
    }

    /// Nothing came for a while after the finish, or the connection broke then.
    pub fn give_up_waiting(&mut self) {
        if self.has_finished() && !self.complete {
            self.complete();
        }
    }

    /// Gives what was held back, before an error that does not come from the wire.
    pub fn flush(&mut self) {
        if !self.complete {
            self.answer.flush();
        }
    }

    fn complete(&mut self) {
        self.complete = true;
        let extra = self.answer.conclude();
        self.decoder.conclude(extra, &mut self.answer);
        self.answer.close();
    }

    /// The next event, if there is one.
    pub fn pop(&mut self) -> Option<Event> {
        self.answer.pop()
    }

    /// Whether a piece of the answer itself has arrived.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.answer.has_begun()
    }

    /// How many pieces of the answer itself have arrived: some services say with each piece why the model stopped, and
    /// a new piece then means that it did not.
    #[must_use]
    pub const fn pieces(&self) -> u64 {
        self.answer.content()
    }

    /// Whether the service has said why the model stopped; figures of usage may still follow.
    #[must_use]
    pub const fn has_finished(&self) -> bool {
        self.answer.is_finished()
    }

    /// Whether the end was announced; nothing more will come, but it may lack the finish.
    #[must_use]
    pub const fn is_announced(&self) -> bool {
        self.answer.is_announced()
    }

    /// Whether all events are there, so that nothing more needs to be read.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// The decoder.
    #[must_use]
    pub const fn decoder(&self) -> &D {
        &self.decoder
    }
}

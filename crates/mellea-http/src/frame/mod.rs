//! Cutting a stream of bytes into frames, wherever the network cut it.

mod lines;
mod sse;

#[cfg(test)]
mod tests;

pub use lines::{LineFramer, Lines};
pub use sse::{SseEvent, SseFramer};

use crate::error::Fault;

/// The most bytes in one frame.
pub const MAX_FRAME_BYTES: usize = 16 << 20;

/// Cuts a stream of bytes into frames.
///
/// A framer does no reading: you push bytes in as they arrive, cut anywhere, and take out the frames that
/// are complete. Its memory is bounded by one frame and one piece of input.
pub trait Framer: Send {
    /// The frames.
    type Frame: Send;

    /// Whether frames are JSON texts, so that a body that looks like JSON is cut into frames as well.
    const JSON: bool = false;

    /// Takes the next bytes.
    fn push(&mut self, bytes: &[u8]);

    /// The next complete frame, if there is one.
    ///
    /// # Errors
    /// If the bytes cannot be framed; no frame follows after that.
    fn next(&mut self) -> Option<Result<Self::Frame, Fault>>;

    /// What is left at the end of the stream, if anything: a last frame without its end.
    ///
    /// # Errors
    /// [`Fault::Cut`] if what is left is certainly incomplete.
    fn finish(&mut self) -> Option<Result<Self::Frame, Fault>>;
}

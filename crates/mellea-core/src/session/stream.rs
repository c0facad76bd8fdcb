//! An answer, piece by piece.

use std::fmt;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream;

use crate::error::Result;
use crate::sampling::{Output, Recorded};
use crate::thunk::{Delta, DeltaStream, Thunk};

/// An answer, piece by piece: a stream of [`Delta`]s, and at its end the typed value.
///
/// The pieces are provisional: requirements are checked and a type is read when the answer is complete, and
/// [`finish`](Self::finish) says whether they held. If the call has a strategy that tries again, then
/// [`Delta::Restarted`] says that the text so far is void. Tools show as they start and end.
///
/// Dropping it cancels the call. When the answer is complete its turn is in the session's context, whether
/// or not the stream was read to its end.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use futures_util::StreamExt;
/// use mellea_core::{Session, testing::ScriptedBackend};
///
/// let m = Session::new(ScriptedBackend::new(["one two three"]));
/// let mut stream = m.instruct("Count.").stream().await?;
/// let mut text = String::new();
/// while let Some(piece) = stream.next().await {
///     text += &piece?.into_text();
/// }
/// assert_eq!(text, *stream.finish().await?);
/// # Ok::<(), mellea_core::Error>(()) }).unwrap();
/// ```
pub struct OutputStream<T = String> {
    thunk: Thunk<T>,
    deltas: DeltaStream,
}

impl<T: Send + Sync + 'static> OutputStream<T> {
    pub(super) fn new(thunk: Thunk<T>) -> Self {
        Self { deltas: thunk.stream(), thunk }
    }

    /// Waits for the end and gives the value.
    ///
    /// # Errors
    /// If the call failed, its answer could not be read, or a requirement is not met; with the attempts.
    pub async fn finish(self) -> Result<Output<T>> {
        drop(self.deltas);
        let (value, output, record) = self.thunk.take().await?;
        Ok(Recorded::output(value, output, record.as_ref()))
    }

    /// Stops the call. The stream then ends with [`Cancelled`](crate::ErrorKind::Cancelled) and what had arrived.
    pub fn cancel(&self) {
        self.thunk.cancel();
    }
}

impl<T> Stream for OutputStream<T> {
    type Item = Result<Delta>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.deltas).poll_next(cx)
    }
}

impl<T> fmt::Debug for OutputStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputStream").field("thunk", &self.thunk).finish_non_exhaustive()
    }
}

//! An answer, piece by piece.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream;

use crate::error::Result;
use crate::output::ModelOutput;
use crate::sampling::Output;
use crate::thunk::{Delta, DeltaStream, Thunk};
use crate::tool::Tools;

/// An answer, piece by piece: a stream of [`Delta`]s, and at its end the typed value.
///
/// Dropping it cancels the generation. When the answer is complete its turn is in the session's
/// context, whether or not the stream was read to its end.
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
    thunk: Thunk,
    deltas: DeltaStream,
    tools: Tools,
    parse: Parse<T>,
}

type Parse<T> = Box<dyn Fn(&ModelOutput) -> Result<T> + Send>;

impl<T> OutputStream<T> {
    pub(super) fn new(thunk: Thunk, tools: Tools, parse: impl Fn(&ModelOutput) -> Result<T> + Send + 'static) -> Self {
        Self { deltas: thunk.stream(), thunk, tools, parse: Box::new(parse) }
    }

    /// Waits for the end and gives the value.
    ///
    /// # Errors
    /// If the generation failed, or its answer could not be read.
    pub async fn finish(self) -> Result<Output<T>> {
        let output = self.thunk.await?;
        let value = (self.parse)(&output)?;
        Ok(Output::new(value, output, Arc::new([]), self.tools))
    }

    /// A handle on the answer.
    #[must_use]
    pub fn thunk(&self) -> &Thunk {
        &self.thunk
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

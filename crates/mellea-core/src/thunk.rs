//! A thunk: a handle on an answer that is on its way.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker};

use futures_core::Stream;
use tokio::task::AbortHandle;
use tracing::Instrument;

use crate::backend::{Backend, ChatRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::generate::{self, Accept};
use crate::output::{ModelOutput, Warning};
use crate::telemetry;

/// An answer that is on its way.
///
/// The request is in flight as soon as the thunk exists. Awaiting it gives the finished
/// [`ModelOutput`]; [`stream`](Self::stream) gives the pieces. Clones are handles on the same answer:
/// each sees the whole stream from its start, and all get the same result or the same error, however
/// often they ask. Dropping the last handle cancels the generation, on the wire too.
///
/// A thunk can be a part of another prompt before it is computed, see
/// [`Instruct::var`](crate::Instruct::var).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use futures_util::StreamExt;
/// use mellea_core::{Session, testing::ScriptedBackend};
///
/// let m = Session::new(ScriptedBackend::new(["one two three"]));
/// let thunk = m.instruct("Count.").start().await?;
/// let pieces: Vec<String> = thunk.stream().map(|piece| piece.unwrap().into_text()).collect().await;
/// assert_eq!(pieces.concat(), thunk.await?.text);
/// # Ok::<(), mellea_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Thunk(Arc<Handle>);

/// Owned by all handles together; the task that drives the generation holds only [`Shared`], so the
/// last handle's drop ends it.
struct Handle {
    shared: Arc<Shared>,
    task: Option<AbortHandle>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delta {
    /// Text of the answer.
    Text(String),
    /// Text of the reasoning.
    Thinking(String),
}

impl Delta {
    /// The piece's text; empty for reasoning.
    #[must_use]
    pub fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Thinking(_) => String::new(),
        }
    }
}

/// What handles and driver share.
#[derive(Default)]
pub(crate) struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    deltas: Vec<Delta>,
    done: Option<Result<Arc<ModelOutput>>>,
    waiting: Vec<Waker>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a piece and wakes who waits.
    pub(crate) fn push(&self, delta: Delta) {
        let waiting = {
            let mut state = self.lock();
            state.deltas.push(delta);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Sets the result, unless there is one.
    pub(crate) fn finish(&self, result: Result<Arc<ModelOutput>>) {
        let waiting = {
            let mut state = self.lock();
            state.done.get_or_insert(result);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// What has arrived so far, as an output.
    pub(crate) fn partial(&self) -> ModelOutput {
        let state = self.lock();
        let mut output = ModelOutput::default();
        for delta in &state.deltas {
            match delta {
                Delta::Text(t) => output.text.push_str(t),
                Delta::Thinking(t) => output.thinking.get_or_insert_default().push_str(t),
            }
        }
        output
    }
}

impl State {
    fn wait(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|w| w.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }
}

impl Thunk {
    /// Sends a request and returns the handle on its answer.
    ///
    /// `warnings` are those known before; `accept` has the last word on the finished answer.
    pub(crate) fn start(backend: Arc<dyn Backend>, request: ChatRequest, warnings: Vec<Warning>, accept: Accept) -> Result<Self> {
        let runtime = generate::runtime()?;
        let shared = Arc::new(Shared::default());
        // The span is made here, where it is inside of the caller's.
        let span = telemetry::chat_span(&*backend, &request);
        let task = runtime.spawn(generate::drive(backend, request, warnings, accept, Arc::clone(&shared)).instrument(span));
        Ok(Self(Arc::new(Handle { shared, task: Some(task.abort_handle()) })))
    }

    /// A thunk that is computed already.
    #[must_use]
    pub fn ready(output: ModelOutput) -> Self {
        let shared = Shared::default();
        if let Some(thinking) = &output.thinking {
            shared.push(Delta::Thinking(thinking.clone()));
        }
        if !output.text.is_empty() {
            shared.push(Delta::Text(output.text.clone()));
        }
        shared.finish(Ok(Arc::new(output)));
        Self(Arc::new(Handle { shared: Arc::new(shared), task: None }))
    }

    /// The result, if there is one yet.
    #[must_use]
    pub fn peek(&self) -> Option<Result<Arc<ModelOutput>>> {
        self.0.shared.lock().done.clone()
    }

    /// The pieces of the answer, from its start. An error ends the stream as its last item.
    #[must_use]
    pub fn stream(&self) -> DeltaStream {
        DeltaStream { handle: Arc::clone(&self.0), next: 0, ended: false }
    }

    /// Stops the generation. All handles then report [`ErrorKind::Cancelled`] with what had arrived;
    /// a thunk that is computed stays as it is.
    pub fn cancel(&self) {
        if let Some(task) = &self.0.task {
            task.abort();
        }
        let shared = &self.0.shared;
        if shared.lock().done.is_none() {
            shared.finish(Err(Error::from(ErrorKind::Cancelled).with_partial(Arc::new(shared.partial()))));
        }
    }
}

impl fmt::Debug for Thunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.shared.lock();
        let (done, deltas) = (state.done.as_ref().map(Result::is_ok), state.deltas.len());
        f.debug_struct("Thunk").field("succeeded", &done).field("deltas", &deltas).finish_non_exhaustive()
    }
}

impl From<&str> for Thunk {
    fn from(text: &str) -> Self {
        Self::ready(ModelOutput::new(text))
    }
}

/// The future of a [`Thunk`]'s result.
pub struct ThunkFuture(Arc<Handle>);

impl Future for ThunkFuture {
    type Output = Result<Arc<ModelOutput>>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut state = self.0.shared.lock();
        match &state.done {
            Some(result) => Poll::Ready(result.clone()),
            None => {
                state.wait(cx.waker());
                Poll::Pending
            }
        }
    }
}

impl fmt::Debug for ThunkFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThunkFuture").finish_non_exhaustive()
    }
}

impl IntoFuture for Thunk {
    type Output = Result<Arc<ModelOutput>>;
    type IntoFuture = ThunkFuture;

    fn into_future(self) -> ThunkFuture {
        ThunkFuture(self.0)
    }
}

impl IntoFuture for &Thunk {
    type Output = Result<Arc<ModelOutput>>;
    type IntoFuture = ThunkFuture;

    fn into_future(self) -> ThunkFuture {
        ThunkFuture(Arc::clone(&self.0))
    }
}

/// The pieces of an answer, see [`Thunk::stream`].
pub struct DeltaStream {
    handle: Arc<Handle>,
    next: usize,
    ended: bool,
}

impl Stream for DeltaStream {
    type Item = Result<Delta>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let handle = Arc::clone(&self.handle);
        let mut state = handle.shared.lock();
        if let Some(delta) = state.deltas.get(self.next) {
            self.next += 1;
            return Poll::Ready(Some(Ok(delta.clone())));
        }
        match &state.done {
            Some(result) => {
                self.ended = true;
                Poll::Ready(result.as_ref().err().map(|e| Err(e.clone())))
            }
            None => {
                state.wait(cx.waker());
                Poll::Pending
            }
        }
    }
}

impl fmt::Debug for DeltaStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeltaStream").field("next", &self.next).finish_non_exhaustive()
    }
}

//! A thunk: a handle on an answer that is on its way.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream;
use futures_util::FutureExt;
use tokio::task::AbortHandle;
use tracing::Instrument;

use crate::error::{Error, ErrorKind, Result};
pub use crate::generate::Delta;
use crate::generate::{self, AnyValue, Done, Shared};
use crate::output::ModelOutput;

/// An answer that is on its way.
///
/// The request is in flight as soon as the thunk exists. Awaiting it gives the typed value with the
/// answer it was read from, as [`Computed`]; [`stream`](Self::stream) gives the pieces. Clones are
/// handles on the same answer: each sees the whole stream from its start, and all get the same result or
/// the same error, however often they ask. Dropping the last handle cancels the call, on the wire too.
///
/// A thunk can be a part of another prompt before it is computed, see
/// [`Instruct::var`](crate::Instruct::var).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use futures_util::StreamExt;
/// use mellea_core::{Session, testing::ScriptedBackend};
///
/// let m = Session::new(ScriptedBackend::new(["one two three", r#"{"result": 3}"#]));
/// let thunk = m.instruct("Count.").start().await?;
/// let pieces: Vec<String> = thunk.stream().map(|piece| piece.unwrap().into_text()).collect().await;
/// assert_eq!(pieces.concat(), *thunk.await?);
///
/// let number = m.instruct("How many?").format::<u8>().start().await?;
/// assert_eq!(*number.await?, 3);
/// # Ok::<(), mellea_core::Error>(()) }).unwrap();
/// ```
pub struct Thunk<T = String> {
    handle: Arc<Handle>,
    value: PhantomData<fn() -> T>,
}

/// Owned by all handles together; the task that drives the call holds only [`Shared`], so the last
/// handle's drop ends it.
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

/// A computed answer: the typed value, and the answer it was read from. A clone costs two reference
/// counts. It dereferences to the value.
pub struct Computed<T = String> {
    value: Arc<T>,
    output: Arc<ModelOutput>,
    record: Option<AnyValue>,
}

impl<T> Computed<T> {
    /// The value.
    #[must_use]
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The value, shared with all handles on the answer.
    #[must_use]
    pub fn shared(&self) -> &Arc<T> {
        &self.value
    }

    /// The answer's text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.output.text
    }

    /// The answer it was read from, with its metadata and tool calls.
    #[must_use]
    pub fn output(&self) -> &Arc<ModelOutput> {
        &self.output
    }

    /// What the session keeps on record of the call.
    pub(crate) fn record(&self) -> Option<&AnyValue> {
        self.record.as_ref()
    }
}

impl<T> Clone for Computed<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), output: Arc::clone(&self.output), record: self.record.clone() }
    }
}

impl<T> Deref for Computed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Display> fmt::Display for Computed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for Computed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Computed").field("value", &self.value).field("output", &self.output).finish_non_exhaustive()
    }
}

/// Marks the thunk as cancelled if its task goes away before its end, as on a runtime's shutdown.
struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.finish(Err(Error::from(ErrorKind::Cancelled).with_partial(Arc::new(self.0.partial()))));
    }
}

impl<T: Send + Sync + 'static> Thunk<T> {
    /// Runs a call in a task of its own and returns the handle on it. `call` gets what its pieces go to.
    ///
    /// # Errors
    /// [`ErrorKind::Runtime`] without a runtime.
    pub(crate) fn spawn<F>(call: impl FnOnce(Arc<Shared>) -> F) -> Result<Self>
    where
        F: Future<Output = Result<Done>> + Send + 'static,
    {
        let runtime = generate::runtime()?;
        let shared = Arc::new(Shared::default());
        let guard = Guard(Arc::clone(&shared));
        let call = AssertUnwindSafe(call(Arc::clone(&shared))).catch_unwind();
        let task = async move {
            let result = call.await;
            let result = result.unwrap_or_else(|panic| Err(ErrorKind::Backend(generate::panic_text(&*panic)).into()));
            guard.0.finish(result);
        };
        // The span is the caller's, so that the call's own is inside it.
        let task = runtime.spawn(task.in_current_span());
        Ok(Self::of(shared, Some(task.abort_handle())))
    }
}

impl Thunk {
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
        let value = Arc::new(output.text.clone());
        shared.finish(Ok(Done { output: Arc::new(output), value, record: None }));
        Self::of(Arc::new(shared), None)
    }
}

impl<T> Thunk<T> {
    fn of(shared: Arc<Shared>, task: Option<AbortHandle>) -> Self {
        Self { handle: Arc::new(Handle { shared, task }), value: PhantomData }
    }

    /// The pieces of the answer, from its start. An error ends the stream as its last item.
    #[must_use]
    pub fn stream(&self) -> DeltaStream {
        DeltaStream { handle: Arc::clone(&self.handle), next: 0, ended: false }
    }

    /// Stops the call. All handles then report [`ErrorKind::Cancelled`] with what had arrived; a thunk
    /// that is computed stays as it is.
    pub fn cancel(&self) {
        if let Some(task) = &self.handle.task {
            task.abort();
        }
        let shared = &self.handle.shared;
        let done = shared.lock().done.is_some();
        if !done {
            shared.finish(Err(Error::from(ErrorKind::Cancelled).with_partial(Arc::new(shared.partial()))));
        }
    }

    /// The answer's text without its type, for use as a part of a prompt.
    pub(crate) fn text(&self) -> ThunkText {
        ThunkText(Arc::clone(&self.handle))
    }
}

impl<T: Send + Sync + 'static> Thunk<T> {
    /// The result, if there is one yet.
    #[must_use]
    pub fn peek(&self) -> Option<Result<Computed<T>>> {
        let done = self.handle.shared.lock().done.clone()?;
        Some(done.and_then(computed))
    }
}

impl<T: Send + Sync + 'static> Thunk<T> {
    /// Waits for the answer and takes the value out of it. For the only handle: others would find nothing.
    ///
    /// # Errors
    /// Those of the call.
    pub(crate) async fn take(self) -> Result<(T, Arc<ModelOutput>, Option<AnyValue>)> {
        let shared = &self.handle.shared;
        let done = std::future::poll_fn(|cx| {
            let mut state = shared.lock();
            match state.done.take() {
                Some(result) => Poll::Ready(result),
                None => {
                    state.wait(cx.waker());
                    Poll::Pending
                }
            }
        });
        let Done { output, value, record } = done.await?;
        let value = value.downcast::<T>().ok().and_then(Arc::into_inner);
        match value {
            Some(value) => Ok((value, output, record)),
            None => Err(ErrorKind::Parse("the value is held elsewhere".into()).into()),
        }
    }
}

fn computed<T: Send + Sync + 'static>(done: Done) -> Result<Computed<T>> {
    let Done { output, value, record } = done;
    match value.downcast() {
        Ok(value) => Ok(Computed { value, output, record }),
        // A thunk is only made for the type that its call gives.
        Err(_) => Err(ErrorKind::Parse("the value has another type than its handle".into()).into()),
    }
}

impl<T> Clone for Thunk<T> {
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle), value: PhantomData }
    }
}

impl<T> fmt::Debug for Thunk<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.handle.shared.lock();
        let (done, deltas) = (state.done.as_ref().map(Result::is_ok), state.deltas.len());
        f.debug_struct("Thunk").field("succeeded", &done).field("deltas", &deltas).finish_non_exhaustive()
    }
}

impl From<&str> for Thunk {
    fn from(text: &str) -> Self {
        Self::ready(ModelOutput::new(text))
    }
}

/// A handle on an answer of any type, for its text alone.
#[derive(Clone)]
pub(crate) struct ThunkText(Arc<Handle>);

impl ThunkText {
    /// Waits for the answer.
    pub(crate) async fn wait(&self) -> Result<Arc<ModelOutput>> {
        Wait(Arc::clone(&self.0)).await.map(|done| done.output)
    }
}

impl fmt::Debug for ThunkText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thunk").finish_non_exhaustive()
    }
}

struct Wait(Arc<Handle>);

impl Future for Wait {
    type Output = Result<Done>;

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

/// The future of a [`Thunk`]'s result.
pub struct ThunkFuture<T = String> {
    wait: Wait,
    value: PhantomData<fn() -> T>,
}

impl<T: Send + Sync + 'static> Future for ThunkFuture<T> {
    type Output = Result<Computed<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.wait).poll(cx).map(|done| done.and_then(computed))
    }
}

impl<T> fmt::Debug for ThunkFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThunkFuture").finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> IntoFuture for Thunk<T> {
    type Output = Result<Computed<T>>;
    type IntoFuture = ThunkFuture<T>;

    fn into_future(self) -> ThunkFuture<T> {
        ThunkFuture { wait: Wait(self.handle), value: PhantomData }
    }
}

impl<T: Send + Sync + 'static> IntoFuture for &Thunk<T> {
    type Output = Result<Computed<T>>;
    type IntoFuture = ThunkFuture<T>;

    fn into_future(self) -> ThunkFuture<T> {
        self.clone().into_future()
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

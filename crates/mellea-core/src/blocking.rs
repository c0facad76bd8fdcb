//! Calls from programs without a runtime: the same verbs, with `wait()` at the end instead of
//! `.await`.
//!
//! The work runs on one background thread of the process. Dropping what it runs on cancels it as in
//! async code.
//!
//! ```
//! use mellea_core::{Session, blocking::Wait, testing::ScriptedBackend};
//!
//! let m = Session::new(ScriptedBackend::new(["Paris"]));
//! let answer = m.instruct("What is the capital of France?").wait()?;
//! assert_eq!(*answer, "Paris");
//! # Ok::<(), mellea_core::Error>(())
//! ```

use std::cell::Cell;
use std::fmt;
use std::future::IntoFuture;
use std::sync::{OnceLock, mpsc};

use futures_core::Stream;
use futures_util::StreamExt;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::error::{Error, ErrorKind, Result};

/// Waits for calls, and for anything else that can be awaited and gives a [`Result`].
pub trait Wait<T>: Sized {
    /// Runs it to its end and gives its result.
    ///
    /// # Errors
    /// Its own, or [`ErrorKind::Runtime`] when called from async code, where waiting would block the
    /// runtime: use `.await` there.
    fn wait(self) -> Result<T>;
}

impl<T, C> Wait<T> for C
where
    T: Send + 'static,
    C: IntoFuture<Output = Result<T>, IntoFuture: Send + 'static>,
{
    fn wait(self) -> Result<T> {
        run(self.into_future())?
    }
}

type Job = Box<dyn FnOnce() + Send>;

thread_local! {
    static ON_WORKER: Cell<bool> = const { Cell::new(false) };
}

/// The thread that runs the work. It lives as long as the process.
fn worker() -> Result<&'static UnboundedSender<Job>> {
    static WORKER: OnceLock<Option<UnboundedSender<Job>>> = OnceLock::new();
    let start = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        // Each caller waits for its job, so there are never more jobs than waiting threads.
        let (sender, mut jobs) = unbounded_channel::<Job>();
        let work = move || {
            ON_WORKER.set(true);
            runtime.block_on(async {
                while let Some(job) = jobs.recv().await {
                    job();
                }
            });
        };
        std::thread::Builder::new().name("mellea-blocking".into()).spawn(work).ok()?;
        Some(sender)
    };
    WORKER
        .get_or_init(start)
        .as_ref()
        .ok_or_else(|| ErrorKind::Runtime("the thread for blocking calls could not be started").into())
}

/// Whether waiting here would block a runtime.
fn in_async() -> bool {
    ON_WORKER.get() || tokio::runtime::Handle::try_current().is_ok()
}

fn run<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Result<T> {
    if in_async() {
        return Err(Error::from(ErrorKind::Runtime("`wait` was called from async code")).with_hint("use `.await` there"));
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    let job: Job = Box::new(move || {
        tokio::spawn(async move {
            let _ = sender.send(future.await);
        });
    });
    let lost = || Error::from(ErrorKind::Runtime("a blocking call panicked"));
    worker()?.send(job).map_err(|_| lost())?;
    receiver.recv().map_err(|_| lost())
}

/// Reads a stream, such as an [`OutputStream`](crate::OutputStream), as an iterator.
///
/// ```
/// use mellea_core::{Session, blocking::{self, Wait}, testing::ScriptedBackend};
///
/// let m = Session::new(ScriptedBackend::new(["one two three"]));
/// let call = m.instruct("Count.");
/// let thunk = blocking::wait(async move { call.start().await })?;
/// let pieces: Vec<String> = blocking::iterate(thunk.stream()).map(|d| d.unwrap().into_text()).collect();
/// assert_eq!(pieces.concat(), "one two three");
/// # Ok::<(), mellea_core::Error>(())
/// ```
pub fn iterate<S>(stream: S) -> Iterate<S>
where
    S: Stream<Item: Send> + Send + Unpin + 'static,
{
    Iterate { stream: Some(stream), ended: false }
}

/// Waits for a future that gives a [`Result`].
///
/// # Errors
/// Its own, or [`ErrorKind::Runtime`] when called from async code.
pub fn wait<T: Send + 'static>(future: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    run(future)?
}

/// A stream as an iterator, see [`iterate`]. It ends early if it is read from async code.
pub struct Iterate<S> {
    stream: Option<S>,
    ended: bool,
}

impl<S> Iterate<S> {
    /// The stream itself, such as for [`finish`](crate::OutputStream::finish) after its last piece. `None` if it
    /// was lost to a panic.
    pub fn into_inner(self) -> Option<S> {
        self.stream
    }
}

impl<S: Stream<Item: Send> + Send + Unpin + 'static> Iterator for Iterate<S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        if self.ended || in_async() {
            return None;
        }
        let mut stream = self.stream.take()?;
        let (item, stream) = run(async move { (stream.next().await, stream) }).ok()?;
        self.ended = item.is_none();
        self.stream = Some(stream);
        item
    }
}

impl<S> fmt::Debug for Iterate<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iterate").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_inside_of_a_runtime_is_an_error_and_no_panic() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let result: Result<()> = runtime.block_on(async { wait(async { Ok(()) }) });
        assert!(matches!(result.unwrap_err().kind(), ErrorKind::Runtime(_)));
    }

    #[test]
    fn waiting_inside_of_a_call_is_an_error_and_no_deadlock() {
        let nested = wait(async { Ok(wait(async { Ok(()) }).is_err()) });
        assert!(nested.unwrap());
    }

    #[test]
    fn many_threads_may_wait_at_once() {
        let threads: Vec<_> = (0..8).map(|i| std::thread::spawn(move || wait(async move { Ok(i * 2) }).unwrap())).collect();
        let sums: i32 = threads.into_iter().map(|t| t.join().unwrap()).sum();
        assert_eq!(sums, 56);
    }

    #[test]
    fn a_panic_in_a_call_is_an_error() {
        let result: Result<()> = wait(async { panic!("boom") });
        assert!(matches!(result.unwrap_err().kind(), ErrorKind::Runtime(_)));
    }
}

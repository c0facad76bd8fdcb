//! Backends made of backends, written as a chain.

use std::num::NonZeroUsize;

use super::{Backend, Cached, Fallback, Limited};
use crate::limit::Limiter;

/// Makes a backend of a backend: limited, cached, or with another to fall back on.
///
/// Each is a [`Backend`] itself, so they nest; the last one written is the first one asked. Here
/// answers from the cache count towards no limit:
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::num::NonZeroUsize;
/// use mellea_core::{BackendExt, Limiter, Session, testing::ScriptedBackend};
///
/// let other = ScriptedBackend::empty();
/// let backend = ScriptedBackend::new(["Paris"])
///     .limited(Limiter::new().concurrency(4)?)
///     .or(other)
///     .cached(NonZeroUsize::new(1000).unwrap());
/// let m = Session::new(backend);
/// assert_eq!(*m.instruct("What is the capital of France?").await?, "Paris");
/// # Ok::<(), mellea_core::Error>(()) }).unwrap();
/// ```
pub trait BackendExt: Backend + Sized {
    /// Keeps within a limit on calls, see [`Limited`].
    fn limited(self, limiter: Limiter) -> Limited<Self> {
        Limited::new(self, limiter)
    }

    /// Lets another backend answer where this one cannot, see [`Fallback`].
    fn or(self, other: impl Backend) -> Fallback {
        Fallback::new(self).or(other)
    }

    /// Keeps the answers to this many requests, see [`Cached`].
    fn cached(self, capacity: NonZeroUsize) -> Cached<Self> {
        Cached::new(self, capacity)
    }
}

impl<B: Backend> BackendExt for B {}

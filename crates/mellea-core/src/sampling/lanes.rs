//! The attempts under way.

use std::future::{Future, poll_fn};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

/// Attempts that run side by side. Where there is one at a time it is polled as it is: a set of futures wakes
/// each by a task of its own.
pub(super) enum Running<F> {
    One(Option<Pin<Box<F>>>),
    Many(FuturesUnordered<F>),
}

impl<F: Future> Running<F> {
    /// Room for so many.
    pub(super) fn new(lanes: NonZeroUsize) -> Self {
        if lanes == NonZeroUsize::MIN { Self::One(None) } else { Self::Many(FuturesUnordered::new()) }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(attempt) => usize::from(attempt.is_some()),
            Self::Many(attempts) => attempts.len(),
        }
    }

    /// Adds one; there must be room.
    pub(super) fn push(&mut self, attempt: F) {
        match self {
            Self::One(slot) => *slot = Some(Box::pin(attempt)),
            Self::Many(attempts) => attempts.push(attempt),
        }
    }

    /// The next that ends; nothing if there is none.
    pub(super) fn next(&mut self) -> impl Future<Output = Option<F::Output>> {
        poll_fn(|context| self.poll_next(context))
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        match self {
            Self::One(slot) => {
                let Some(attempt) = slot else { return Poll::Ready(None) };
                let ended = std::task::ready!(attempt.as_mut().poll(context));
                *slot = None;
                Poll::Ready(Some(ended))
            }
            Self::Many(attempts) => attempts.poll_next_unpin(context),
        }
    }
}

//! Limits of time that cost nothing while nothing is waited for.

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

/// Waits for a future, and not beyond its end.
///
/// `end` tells when that is and what to fail with then, or `None` for no end. It is asked only if the future
/// is not ready at once: most pieces of an answer are there already, and a timer costs more than they do.
///
/// # Errors
/// With what `end` gave, when that time has come.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::time::Duration;
/// use mellea_core::time::within;
/// use tokio::time::{Instant, sleep};
///
/// let soon = || Some((Instant::now() + Duration::from_millis(10), "too late"));
/// assert_eq!(within(soon, async { 1 }).await, Ok(1));
/// assert_eq!(within(soon, sleep(Duration::from_secs(60))).await, Err("too late"));
/// # });
/// ```
pub fn within<F: Future, E, T>(end: E, future: F) -> Within<F, E, T>
where
    E: FnOnce() -> Option<(Instant, T)>,
{
    Within { future, timer: None, end: Some(end), late: None }
}

pin_project! {
    /// The future of [`within`].
    #[must_use = "futures do nothing unless they are awaited"]
    #[derive(Debug)]
    pub struct Within<F, E, T> {
        #[pin]
        future: F,
        #[pin]
        timer: Option<Sleep>,
        end: Option<E>,
        late: Option<T>,
    }
}

impl<F: Future, E: FnOnce() -> Option<(Instant, T)>, T> Future for Within<F, E, T> {
    type Output = Result<F::Output, T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(output) = this.future.poll(context) {
            return Poll::Ready(Ok(output));
        }
        if let Some((time, late)) = this.end.take().and_then(|end| end()) {
            this.timer.set(Some(sleep_until(time)));
            *this.late = Some(late);
        }
        match this.timer.as_pin_mut().map(|timer| timer.poll(context)) {
            Some(Poll::Ready(())) => this.late.take().map_or(Poll::Pending, |late| Poll::Ready(Err(late))),
            _ => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_the_future_or_at_the_end() {
        let start = Instant::now();
        let in_a_second = || Some((Instant::now() + SECOND, "late"));
        assert_eq!(within(in_a_second, tokio::time::sleep(SECOND / 2)).await, Ok(()));
        assert_eq!(within(in_a_second, pending::<()>()).await, Err("late"));
        assert_eq!(start.elapsed(), SECOND * 3 / 2);
        assert_eq!(within(|| None::<(_, ())>, tokio::time::sleep(SECOND * 9)).await, Ok(()));
    }

    #[tokio::test]
    async fn what_is_ready_is_not_asked_for_its_end() {
        let never = || -> Option<(Instant, ())> { panic!("it was asked") };
        assert_eq!(within(never, async { 1 }).await, Ok(1));
    }
}

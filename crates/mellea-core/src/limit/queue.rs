//! Time limits that do not count the time in a limiter's queue.
//!
//! Who limits the time of a call means the time that the service takes. A call that waits for its
//! turn among many must not fail because it waited; so the queue tells the limits around it
//! through the task.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::after;

/// How often at least a limit looks whether its call still waits in a queue.
const LOOK: Duration = Duration::from_millis(10);

tokio::task_local! {
    static CLOCK: Arc<Clock>;
}

/// The time that a call has waited in queues.
#[derive(Default)]
struct Clock {
    /// That of the limit around this one.
    outer: Option<Arc<Self>>,
    waited: Mutex<Waited>,
}

#[derive(Default)]
struct Waited {
    before: Duration,
    /// How many queues it stands in, and since when in one at least.
    queues: usize,
    since: Option<Instant>,
}

impl Clock {
    fn waited(&self) -> MutexGuard<'_, Waited> {
        self.waited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |clock| clock.outer.as_deref())
    }

    fn total(&self) -> Duration {
        let waited = self.waited();
        waited.before + waited.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// Stops the clocks of all limits around it while it lives.
struct Queued(Arc<Clock>);

impl Queued {
    fn begin() -> Option<Self> {
        let clock = CLOCK.try_with(Arc::clone).ok()?;
        for clock in clock.chain() {
            let mut waited = clock.waited();
            waited.queues += 1;
            waited.since.get_or_insert_with(Instant::now);
        }
        Some(Self(clock))
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        for clock in self.0.chain() {
            let mut waited = clock.waited();
            waited.queues = waited.queues.saturating_sub(1);
            if waited.queues == 0
                && let Some(since) = waited.since.take()
            {
                waited.before += since.elapsed();
            }
        }
    }
}

/// Waits in a queue, and lets the limits around know if it is not over at once.
pub(super) async fn note<F: Future>(wait: F) -> F::Output {
    let mut wait = pin!(wait);
    let mut queued = None;
    std::future::poll_fn(|cx| {
        let polled = wait.as_mut().poll(cx);
        if polled.is_pending() && queued.is_none() {
            queued = Queued::begin();
        }
        polled
    })
    .await
}

/// Gives up after this time, not counting what was spent in the queue of a
/// [`Limiter`](super::Limiter). `None` if it gave up.
pub(crate) async fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let clock = Arc::new(Clock { outer: CLOCK.try_with(Arc::clone).ok(), waited: Mutex::default() });
    let mut future = pin!(CLOCK.scope(Arc::clone(&clock), future));
    let start = Instant::now();
    let mut end = after(start, limit);
    loop {
        if let Ok(output) = timeout_at(end, future.as_mut()).await {
            return Some(output);
        }
        let left = limit.saturating_sub(start.elapsed().saturating_sub(clock.total()));
        if left.is_zero() {
            return None;
        }
        end = after(Instant::now(), left.max(LOOK));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::join_all;

    use super::super::Limiter;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn without_a_queue_it_is_a_plain_limit() {
        let start = Instant::now();
        assert_eq!(timeout(SECOND, std::future::pending::<()>()).await, None);
        assert_eq!(start.elapsed(), SECOND);
        assert_eq!(timeout(SECOND, tokio::time::sleep(SECOND / 2)).await, Some(()));
        assert_eq!(timeout(Duration::ZERO, async { 1 }).await, Some(1));
        assert!(timeout(Duration::MAX, std::future::pending::<()>()).now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_in_a_queue_does_not_count() {
        let limiter = Limiter::new().concurrency(1).unwrap();
        let start = Instant::now();
        let call = |time: Duration| {
            let limiter = &limiter;
            timeout(SECOND * 3, async move {
                let _permit = limiter.acquire().await;
                tokio::time::sleep(time).await;
            })
        };
        // Twenty calls of two seconds each, one after the other; each may take three.
        let ended = join_all((0..20).map(|_| call(SECOND * 2))).await;
        assert!(ended.iter().all(Option::is_some));
        assert_eq!(start.elapsed(), SECOND * 40);
        // What comes after the queue counts in full, and so does what came before.
        let start = Instant::now();
        let (first, second) = tokio::join!(call(SECOND * 2), call(SECOND * 60));
        assert!(first.is_some() && second.is_none());
        assert!(start.elapsed() - SECOND * 5 <= LOOK, "{:?}", start.elapsed());
        assert_eq!(limiter.in_use(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn limits_inside_of_limits_all_stop() {
        let limiter = Limiter::new();
        limiter.pause(SECOND * 10);
        let inner = timeout(SECOND, limiter.acquire());
        assert!(timeout(SECOND * 2, inner).await.flatten().is_some());
        limiter.pause(SECOND * 10);
        // Two queues at once stop the clock once.
        let both = async { tokio::join!(limiter.acquire(), limiter.acquire()) };
        assert!(timeout(SECOND, both).await.is_some());
        // A wait that is given up starts the clock again.
        limiter.pause(SECOND * 100);
        let start = Instant::now();
        let gives_up = async {
            assert!(tokio::time::timeout(SECOND * 5, limiter.acquire()).await.is_err());
            std::future::pending::<()>().await;
        };
        assert!(timeout(SECOND, gives_up).await.is_none());
        assert!(start.elapsed() - SECOND * 6 <= LOOK, "{:?}", start.elapsed());
    }
}

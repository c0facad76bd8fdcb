//! A limit on calls: how many run at once, and how many begin in a second.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use crate::error::{Error, ErrorKind, Result};

/// What tokio's clock can tell apart.
const TICK: Duration = Duration::from_millis(1);

/// More slots than any machine has calls; a permit holds at most as many as a `u32` counts.
const MAX_SLOTS: usize = (u32::MAX >> 3) as usize;

/// As good as never; further ahead some clocks overflow.
const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// Bounds how many calls run at once and how many begin in a second.
///
/// Callers queue in the order in which they came; each gets a [`Permit`] and gives it back by
/// dropping it. Clones share one limit, so several backends of one account can keep it together. A
/// new limiter limits nothing; it still obeys [`pause`](Self::pause).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use mellea_core::Limiter;
///
/// let limiter = Limiter::new().concurrency(4)?.per_second(50.0)?.burst(10)?;
/// let permit = limiter.acquire().await;
/// assert_eq!(limiter.in_use(), 1);
/// drop(permit);
/// assert_eq!(limiter.in_use(), 0);
/// # Ok::<(), mellea_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Limiter(Arc<Inner>);

/// The right to make a call, given back on drop. See [`Limiter::acquire`].
#[must_use = "the call is over when the permit is dropped"]
pub struct Permit {
    limiter: Arc<Inner>,
    calls: usize,
    _slots: Option<OwnedSemaphorePermit>,
}

struct Inner {
    settings: Settings,
    slots: Option<Arc<Semaphore>>,
    /// The head of the queue: who holds it is the next to be let through.
    turn: Semaphore,
    pace: Mutex<Pace>,
    in_use: AtomicUsize,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    concurrency: Option<usize>,
    per_second: Option<f64>,
    burst: u32,
}

/// When the next call may begin.
#[derive(Clone, Copy, Default)]
struct Pace {
    /// When all calls so far would have begun at an even pace.
    due: Option<Instant>,
    paused: Option<Instant>,
}

impl Limiter {
    /// No limit yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Settings { concurrency: None, per_second: None, burst: 1 })
    }

    fn with(settings: Settings) -> Self {
        let slots = settings.concurrency.map(|most| Arc::new(Semaphore::new(most.min(MAX_SLOTS))));
        Self(Arc::new(Inner {
            settings,
            slots,
            turn: Semaphore::new(1),
            pace: Mutex::new(Pace::default()),
            in_use: AtomicUsize::new(0),
        }))
    }

    /// Lets at most this many calls run at once. This and the other settings make a limiter of its
    /// own, which shares nothing with clones made before.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for 0.
    pub fn concurrency(self, calls: usize) -> Result<Self> {
        if calls == 0 {
            return Err(config("at most 0 calls at once lets none through; give at least 1"));
        }
        Ok(Self::with(Settings { concurrency: Some(calls), ..self.0.settings }))
    }

    /// Lets at most this many calls begin in a second, evenly spaced unless there is a
    /// [`burst`](Self::burst). Fractions are fine: 0.5 is a call every two seconds. The clock tells
    /// milliseconds apart, so above 1000 the calls of one millisecond go together.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a number that is not above 0, or makes more than a year between calls.
    pub fn per_second(self, calls: f64) -> Result<Self> {
        if interval(calls).is_none() {
            return Err(config(format!("{calls} calls a second is no rate; give a number above 0, such as 0.5")));
        }
        Ok(Self::with(Settings { per_second: Some(calls), ..self.0.settings }))
    }

    /// Lets up to this many calls of a [rate](Self::per_second) begin together after a silence; 1
    /// otherwise. Without a rate it means nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for 0.
    pub fn burst(self, calls: u32) -> Result<Self> {
        if calls == 0 {
            return Err(config("a burst of 0 calls lets none through; give at least 1"));
        }
        Ok(Self::with(Settings { burst: calls, ..self.0.settings }))
    }

    /// Waits until a call may begin. Dropping the future leaves the queue and uses nothing up.
    pub async fn acquire(&self) -> Permit {
        self.acquire_many(1).await
    }

    /// Waits until this many calls may begin, which must not be more than may run at once. The head
    /// of the queue waits for all of them, so two batches cannot block each other.
    pub(crate) async fn acquire_many(&self, calls: usize) -> Permit {
        let inner = &self.0;
        // Neither semaphore is ever closed, so neither refuses.
        let _turn = inner.turn.acquire().await.ok();
        let slots = match &inner.slots {
            Some(slots) => Arc::clone(slots).acquire_many_owned(u32::try_from(calls).unwrap_or(u32::MAX)).await.ok(),
            None => None,
        };
        for _ in 0..calls {
            // A pause may grow during the wait, so the time is looked at again.
            while let Some(time) = inner.begin() {
                sleep_until(time).await;
            }
        }
        inner.in_use.fetch_add(calls, Ordering::Relaxed);
        Permit { limiter: Arc::clone(inner), calls, _slots: slots }
    }

    /// How many calls [`acquire_many`](Self::acquire_many) can get together.
    pub(crate) fn most_at_once(&self) -> usize {
        self.0.settings.concurrency.map_or(usize::MAX, |most| most.min(MAX_SLOTS))
    }

    /// Lets nobody through before this time has passed, as when a server said `Retry-After`. Calls
    /// that run already go on. A shorter pause does not cut a longer one.
    pub fn pause(&self, time: Duration) {
        let until = after(Instant::now(), time);
        let mut pace = self.0.pace();
        pace.paused = pace.paused.max(Some(until));
    }

    /// How many permits are given out now.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.0.in_use.load(Ordering::Relaxed)
    }
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Inner {
    fn pace(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call as begun, or says when to ask again.
    fn begin(&self) -> Option<Instant> {
        let interval = self.settings.per_second.and_then(interval);
        let mut pace = self.pace();
        if interval.is_none() && pace.paused.is_none() {
            return None;
        }
        let now = Instant::now();
        match pace.paused {
            Some(until) if until > now => return Some(until),
            _ => pace.paused = None,
        }
        let interval = interval?;
        let mut ahead = interval.saturating_mul(self.settings.burst.saturating_sub(1));
        if interval < TICK {
            ahead = ahead.max(TICK);
        }
        let due = pace.due.map_or(now, |due| due.max(now));
        let wait = due.duration_since(now).saturating_sub(ahead);
        if wait > Duration::ZERO {
            return Some(after(now, wait));
        }
        pace.due = Some(after(due, interval));
        None
    }
}

/// The time between two calls, if this is a rate.
fn interval(per_second: f64) -> Option<Duration> {
    let interval = Duration::try_from_secs_f64(1.0 / per_second).ok()?;
    (per_second.is_finite() && interval <= FAR).then_some(interval)
}

fn after(now: Instant, time: Duration) -> Instant {
    now.checked_add(time).or_else(|| now.checked_add(FAR)).unwrap_or(now)
}

fn config(message: impl Into<String>) -> Error {
    ErrorKind::Config(message.into()).into()
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limiter.in_use.fetch_sub(self.calls, Ordering::Relaxed);
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { concurrency, per_second, burst } = self.0.settings;
        f.debug_struct("Limiter")
            .field("concurrency", &concurrency)
            .field("per_second", &per_second)
            .field("burst", &burst)
            .field("in_use", &self.in_use())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::join_all;

    use super::*;

    fn at_once(limiter: &Limiter) -> Option<Permit> {
        limiter.acquire().now_or_never()
    }

    #[test]
    fn what_lets_nothing_through_is_refused() {
        let new = Limiter::new;
        for (what, result) in [
            ("at once", new().concurrency(0)),
            ("burst", new().burst(0)),
            ("rate", new().per_second(0.0)),
            ("rate", new().per_second(-1.0)),
            ("rate", new().per_second(-0.0)),
            ("rate", new().per_second(f64::NAN)),
            ("rate", new().per_second(f64::INFINITY)),
            ("rate", new().per_second(f64::MIN_POSITIVE)),
        ] {
            let error = result.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Config(message) if message.contains(what)), "{error}");
        }
        for limiter in [new().concurrency(usize::MAX), new().burst(u32::MAX), new().per_second(1e12), new().per_second(1e-6)] {
            assert!(at_once(&limiter.unwrap()).is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn fifty_calls_with_a_limit_of_four_are_never_five() {
        let limiter = Limiter::new().concurrency(4).unwrap();
        let most = AtomicUsize::new(0);
        let calls = (0..50).map(|i| {
            let (limiter, most) = (&limiter, &most);
            async move {
                let permit = limiter.acquire().await;
                most.fetch_max(limiter.in_use(), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(10 + i % 7)).await;
                drop(permit);
            }
        });
        join_all(calls).await;
        assert_eq!((most.into_inner(), limiter.in_use()), (4, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_spaces_calls_and_a_burst_lets_some_go_together() {
        for (burst, expected) in [(1, [0, 500, 1000, 1500, 2000]), (3, [0, 0, 0, 500, 1000])] {
            let limiter = Limiter::new().per_second(2.0).unwrap().burst(burst).unwrap();
            let start = Instant::now();
            let mut begun = Vec::new();
            for _ in 0..5 {
                drop(limiter.acquire().await);
                begun.push(start.elapsed().as_millis());
            }
            assert_eq!(begun, expected, "burst {burst}");
            // Silence fills the bucket again, and no further.
            tokio::time::sleep(Duration::from_secs(60)).await;
            let free = std::iter::from_fn(|| at_once(&limiter)).count();
            assert_eq!(free, burst as usize);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_above_the_clocks_resolution_is_kept_on_the_whole() {
        let limiter = Limiter::new().per_second(10_000.0).unwrap();
        let start = Instant::now();
        for _ in 0..10_000 {
            drop(limiter.acquire().await);
        }
        let took = start.elapsed().as_millis();
        assert!((950..=1050).contains(&took), "{took} ms");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_passes_during_a_pause_and_pauses_only_grow() {
        let limiter = Limiter::new();
        let start = Instant::now();
        limiter.pause(Duration::from_secs(10));
        limiter.pause(Duration::from_secs(1));
        assert!(at_once(&limiter).is_none());
        let grows = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            limiter.pause(Duration::from_secs(20));
        };
        let (permits, ()) = tokio::join!(join_all((0..3).map(|_| limiter.acquire())), grows);
        assert_eq!((start.elapsed().as_secs(), permits.len()), (25, 3));
        limiter.pause(Duration::MAX);
        assert!(at_once(&limiter).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn callers_pass_in_the_order_in_which_they_came() {
        let limiter = Limiter::new().concurrency(2).unwrap().per_second(100.0).unwrap();
        let order = Mutex::new(Vec::new());
        let calls = (0..20).map(|i| {
            let (limiter, order) = (&limiter, &order);
            async move {
                let _permit = limiter.acquire().await;
                order.lock().unwrap().push(i);
                tokio::time::sleep(Duration::from_millis(50 - i)).await;
            }
        });
        join_all(calls).await;
        assert_eq!(order.into_inner().unwrap(), (0..20).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_gives_up_uses_nothing_up() {
        let limiter = Limiter::new().concurrency(1).unwrap().per_second(1.0).unwrap();
        let first = at_once(&limiter).unwrap();
        // One gives up at the head of the queue, waiting for the slot.
        assert!(at_once(&limiter).is_none());
        drop(first);
        // Another holds the slot and waits for the time.
        assert!(tokio::time::timeout(Duration::from_millis(500), limiter.acquire()).await.is_err());
        assert_eq!(limiter.in_use(), 0);
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(at_once(&limiter).is_some());
    }

    #[tokio::test]
    async fn clones_share_a_limit_and_new_settings_do_not() {
        let limiter = Limiter::new().concurrency(1).unwrap();
        let permit = at_once(&limiter).unwrap();
        assert!(at_once(&limiter.clone()).is_none());
        assert!(at_once(&limiter.clone().burst(2).unwrap()).is_some());
        assert!(format!("{limiter:?} {permit:?}").contains("in_use: 1"));
    }
}

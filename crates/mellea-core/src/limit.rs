//! A limit on calls: how many run at once, and how many begin in a second.

mod queue;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

pub(crate) use queue::timeout;

use crate::error::{Error, Result};

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
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for 0.
    pub fn concurrency(self, calls: usize) -> Result<Self> {
        if calls == 0 {
            return Err(Error::config("concurrency", "at most 0 calls at once lets none through; give at least 1"));
        }
        Ok(Self::with(Settings { concurrency: Some(calls), ..self.0.settings }))
    }

    /// Lets at most this many calls begin in a second, evenly spaced unless there is a
    /// [`burst`](Self::burst). Fractions are fine: 0.5 is a call every two seconds. The clock tells
    /// milliseconds apart, so above 1000 the calls of one millisecond go together.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a number that is not above 0, or makes more than a year between calls.
    pub fn per_second(self, calls: f64) -> Result<Self> {
        if interval(calls).is_none() {
            return Err(Error::config(
                "per_second",
                format!("{calls} calls a second is not a rate; give a number above 0, such as 0.5"),
            ));
        }
        Ok(Self::with(Settings { per_second: Some(calls), ..self.0.settings }))
    }

    /// Lets up to this many calls of a [rate](Self::per_second) begin together after a silence; 1
    /// otherwise. Without a rate it means nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for 0.
    pub fn burst(self, calls: u32) -> Result<Self> {
        if calls == 0 {
            return Err(Error::config("burst", "a burst of 0 calls lets none through; give at least 1"));
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
        queue::note(self.wait(calls)).await
    }

    async fn wait(&self, calls: usize) -> Permit {
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
mod tests;

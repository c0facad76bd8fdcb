//! Retries: the one place where a call is made again.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use mellea_core::{Error, ErrorKind, TimeoutPhase};
use reqwest::header::HeaderMap;

/// When and how often a failed call is retried.
///
/// A call is retried after a failed or lost connection, and after the statuses 408, 409, 425,
/// 429, 500, 502, 503, 504, 520 to 524 and 529; never after any other status, never when a quota is
/// used up, never when a server is silent (it may still be working), and never after the first piece
/// of the answer has been handed on. A server's `x-should-retry` overrides the status.
///
/// The wait before attempt *k* is drawn from 0 to `base * 2^(k-1)`, at most `max_wait`, and is never
/// shorter than the server asks for. A server that asks for more than `max_retry_after` gets
/// no further attempt.
///
/// So a call makes at most [`attempts`](Self::attempts) requests, and one more if the credentials
/// had to be renewed.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Retry {
    /// The most requests for one call, the first included. Default 3.
    pub attempts: u32,
    /// The longest wait before the second attempt. Default 0.5 s.
    pub base: Duration,
    /// The longest wait that the client chooses itself. Default 8 s.
    pub max_wait: Duration,
    /// The longest wait that a server may ask for. Default 60 s.
    pub max_retry_after: Duration,
    /// How many retries all calls of a client may use up ahead of their successes; ten successes earn
    /// one. This keeps a failing service from getting three times the load. Default 50.
    pub budget: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 3,
            base: Duration::from_millis(500),
            max_wait: Duration::from_secs(8),
            max_retry_after: Duration::from_secs(60),
            budget: 50,
        }
    }
}

impl Retry {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Never retries: one request for each call.
    #[must_use]
    pub fn never() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// Makes at most this many requests for a call; 0 counts as 1.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Waits between `base` and `max`.
    #[must_use]
    pub fn waits(mut self, base: Duration, max: Duration) -> Self {
        (self.base, self.max_wait) = (base, max);
        self
    }

    /// Waits at most this long when a server asks for it.
    #[must_use]
    pub fn max_retry_after(mut self, limit: Duration) -> Self {
        self.max_retry_after = limit;
        self
    }

    /// Allows this many retries ahead of successes.
    #[must_use]
    pub fn budget(mut self, retries: u32) -> Self {
        self.budget = retries;
        self
    }

    /// How long to wait before the attempt after `attempt`, if there is to be one.
    pub(crate) fn wait(&self, attempt: u32, error: &Error, server_says: Option<bool>) -> Option<Duration> {
        let worth_it = match error.kind() {
            ErrorKind::QuotaExhausted(_) => false,
            ErrorKind::Timeout { phase, .. } => *phase == TimeoutPhase::Connect,
            ErrorKind::Connection { .. } => !std::error::Error::source(error).is_some_and(crate::error::is_tls),
            _ => server_says.unwrap_or_else(|| error.is_retryable()),
        };
        // A request in whose time the model's process died twice may be what kills it, with everyone else's calls.
        let kills = attempt >= 2 && error.response().is_some_and(|said| crate::error::is_dead_runner(&said.message));
        let worth_it = worth_it && !kills && !crate::error::refuses_schema(error);
        let asked = error.retry_after().unwrap_or_default();
        if !worth_it || attempt >= self.attempts || asked > self.max_retry_after {
            return None;
        }
        let ceiling = self.base.saturating_mul(1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX)).min(self.max_wait);
        Some(asked.max(ceiling.mul_f64(chance())))
    }
}

/// A number from 0 to 1, different each time.
fn chance() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// Retries that a client has left.
#[derive(Debug)]
pub(crate) struct Budget {
    /// In tenths.
    left: Mutex<u32>,
    full: u32,
}

impl Budget {
    pub(crate) fn new(retries: u32) -> Self {
        let full = retries.saturating_mul(10);
        Self { left: Mutex::new(full), full }
    }

    /// Takes one retry, if there is one.
    pub(crate) fn take(&self) -> bool {
        let mut left = self.left.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let can = *left >= 10;
        if can {
            *left -= 10;
        }
        can
    }

    pub(crate) fn earn(&self) {
        let mut left = self.left.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *left = (*left + 1).min(self.full);
    }
}

/// How long a server asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |text: &str| text.parse::<f64>().ok();
    if let Some(millis) = text("retry-after-ms").and_then(number) {
        return Duration::try_from_secs_f64(millis / 1000.0).ok();
    }
    let value = text("retry-after")?;
    match number(value) {
        Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        None => Some(httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use mellea_core::ProviderError;

    use super::*;

    fn refused(status: u16, retry_after: Option<u64>) -> Error {
        let mut said = ProviderError::new("no");
        (said.status, said.retry_after) = (Some(status), retry_after.map(Duration::from_secs));
        ErrorKind::Provider(said).into()
    }

    #[test]
    fn what_is_worth_another_attempt() {
        let retry = Retry::default();
        for status in [408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529] {
            assert!(retry.wait(1, &refused(status, None), None).is_some(), "{status}");
        }
        for status in [400, 401, 402, 403, 404, 405, 413, 422, 424, 501] {
            assert!(retry.wait(1, &refused(status, None), None).is_none(), "{status}");
        }
        assert!(retry.wait(1, &refused(400, None), Some(true)).is_some(), "the server knows better");
        assert!(retry.wait(1, &refused(500, None), Some(false)).is_none());
        assert!(retry.wait(3, &refused(500, None), None).is_none(), "three attempts are all");
        let quota = ErrorKind::QuotaExhausted(ProviderError::new("pay")).into();
        assert!(retry.wait(1, &quota, Some(true)).is_none());
        for (phase, again) in [(TimeoutPhase::Connect, true), (TimeoutPhase::FirstToken, false), (TimeoutPhase::Total, false)] {
            let error = ErrorKind::Timeout { phase, limit: Duration::ZERO }.into();
            assert_eq!(retry.wait(1, &error, None).is_some(), again, "{phase}");
        }
    }

    #[test]
    fn waits_are_bounded_and_never_shorter_than_asked() {
        let retry = Retry::default();
        for attempt in [1, 2] {
            let ceiling = Duration::from_millis(500 << (attempt - 1));
            for _ in 0..100 {
                assert!(retry.wait(attempt, &refused(500, None), None).unwrap() <= ceiling);
            }
        }
        assert!(retry.wait(1, &refused(429, Some(7)), None).unwrap() >= Duration::from_secs(7));
        assert!(retry.wait(1, &refused(429, Some(61)), None).is_none(), "too long to wait");
        let many = Retry::default().attempts(u32::MAX);
        assert!(many.wait(4_000_000, &refused(500, None), None).unwrap() <= many.max_wait);
    }

    #[test]
    fn a_budget_runs_out_and_is_earned_again() {
        let budget = Budget::new(2);
        assert!(budget.take() && budget.take() && !budget.take());
        (0..9).for_each(|_| budget.earn());
        assert!(!budget.take());
        budget.earn();
        assert!(budget.take() && !budget.take());
        (0..1000).for_each(|_| budget.earn());
        assert!(budget.take() && budget.take() && !budget.take(), "it is never more than full");
    }

    #[test]
    fn a_wait_is_read_in_each_form() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (name, value, millis) in [
            ("retry-after", "2", Some(2000)),
            ("retry-after", " 1.5 ", Some(1500)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT", Some(10_000)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:27 GMT", Some(0)),
            ("retry-after-ms", "250", Some(250)),
            ("retry-after", "soon", None),
            ("retry-after", "-5", None),
            ("retry-after", "1e300", None),
            ("retry-after", "NaN", None),
        ] {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), millis.map(Duration::from_millis), "{name}: {value}");
        }
    }
}

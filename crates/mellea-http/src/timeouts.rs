//! The four time limits that a call has.

use std::time::Duration;

use mellea_core::options::DEFAULT_STREAM_TIMEOUT;

/// How long a call may wait, and for what. Each limit has its own
/// [`TimeoutPhase`](mellea_core::TimeoutPhase).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// The limit on connecting, name look-up and TLS included. Default 10 s.
    pub connect: Duration,
    /// The limit from the request to the headers of the response. `None` waits without limit. Default 300 s: a
    /// server may have to load a model first.
    pub first_byte: Option<Duration>,
    /// The limit between two pieces of the response. `None` waits without limit. Default 300 s.
    pub idle: Option<Duration>,
    /// The limit on the whole call with its retries, to the last byte. Default `None`.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Some(DEFAULT_STREAM_TIMEOUT),
            idle: Some(DEFAULT_STREAM_TIMEOUT),
            total: None,
        }
    }
}

impl Timeouts {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the limit on connecting.
    #[must_use]
    pub fn connect(mut self, limit: Duration) -> Self {
        self.connect = limit;
        self
    }

    /// Sets the limit on waiting for the headers.
    #[must_use]
    pub fn first_byte(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.first_byte = limit.into();
        self
    }

    /// Sets the limit on silence within the response.
    #[must_use]
    pub fn idle(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.idle = limit.into();
        self
    }

    /// Sets the limit on the whole call.
    #[must_use]
    pub fn total(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.total = limit.into();
        self
    }
}

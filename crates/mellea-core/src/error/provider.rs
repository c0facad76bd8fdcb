//! What a service said when it refused.

use std::fmt;
use std::time::Duration;

use crate::text::short_line;

/// The most bytes of a service's message that `Display` shows.
const SHOWN: usize = 4 << 10;

/// What a service said when it refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderError {
    /// HTTP status.
    pub status: Option<u16>,
    /// The provider's own code or type.
    pub code: Option<String>,
    /// The provider's message.
    pub message: String,
    /// The provider's id of the request.
    pub request_id: Option<String>,
    /// How long the provider asks to wait.
    pub retry_after: Option<Duration>,
    /// The first 2 KiB of the body, without secrets.
    pub body: Option<String>,
}

impl ProviderError {
    /// An error with a message and nothing else yet.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(status) = self.status {
            write!(f, "status {status}: ")?;
        }
        f.write_str(&short_line(&self.message, SHOWN))?;
        if let Some(code) = &self.code {
            write!(f, " ({})", short_line(code, 256))?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " [request {}]", short_line(id, 256))?;
        }
        Ok(())
    }
}

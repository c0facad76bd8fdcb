//! The one error type of the core: what failed, where, and what to do about it.

mod kind;
mod provider;
mod record;
mod report;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use kind::{ErrorKind, TimeoutPhase};
pub use provider::ProviderError;
pub(crate) use record::Record;

use crate::content::InvalidContent;
use crate::output::ModelOutput;
use crate::text::short_line;

/// The most bytes of a hint that `Display` shows.
const HINT_SHOWN: usize = 2 << 10;

/// The most bytes of a provider's or a model's name that `Display` shows.
const PLACE_SHOWN: usize = 256;

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What failed, where, and what to do about it.
///
/// An error is one pointer wide and clones cheaply: every handle on the same failed generation
/// reports the same error. [`kind`](Self::kind) says what happened, [`provider`](Self::provider),
/// [`model`](Self::model) and [`attempt`](Self::attempt) where, [`hint`](Self::hint) what to do.
/// Nothing that was paid for is lost: text that arrived before the failure is in
/// [`partial`](Self::partial), the attempts before it are in [`attempts`](Self::attempts).
///
/// `Display` is one line of bounded length without control characters, whatever a service or a model
/// wrote. The underlying cause, if any, is [`source`](StdError::source). An error serialises as a
/// report: the kind's [name](ErrorKind::name), the message, and everything that is known.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    provider: Option<String>,
    model: Option<String>,
    attempt: Option<usize>,
    hint: Option<Cow<'static, str>>,
    partial: Option<Arc<ModelOutput>>,
    response: Option<Arc<ProviderError>>,
    record: Option<Arc<dyn Record>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of this kind.
    #[must_use]
    pub fn new(kind: ErrorKind) -> Self {
        Self(Arc::new(Inner {
            kind,
            provider: None,
            model: None,
            attempt: None,
            hint: None,
            partial: None,
            response: None,
            record: None,
            source: None,
        }))
    }

    /// A [`Config`](ErrorKind::Config): see [`ErrorKind::config`].
    pub fn config(setting: impl Into<Cow<'static, str>>, reason: impl Into<String>) -> Self {
        ErrorKind::config(setting, reason).into()
    }

    /// An [`Unsupported`](ErrorKind::Unsupported): see [`ErrorKind::unsupported`].
    pub fn unsupported(feature: impl Into<Cow<'static, str>>, by: impl Into<String>, reason: impl Into<String>) -> Self {
        ErrorKind::unsupported(feature, by, reason).into()
    }

    /// A [`Connection`](ErrorKind::Connection): see [`ErrorKind::connection`].
    pub fn connection(address: impl Into<String>, reason: impl Into<String>) -> Self {
        ErrorKind::connection(address, reason).into()
    }

    fn edit(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Adds where it happened, unless that is known already; an empty name says nothing.
    #[must_use]
    pub fn at(self, provider: &str, model: &str) -> Self {
        let known = |old: Option<String>, new: &str| old.or_else(|| (!new.is_empty()).then(|| new.to_owned()));
        self.edit(|e| {
            e.provider = known(e.provider.take(), provider);
            e.model = known(e.model.take(), model);
        })
    }

    /// Adds in which attempt it happened (counted from 1).
    #[must_use]
    pub fn in_attempt(self, attempt: usize) -> Self {
        self.edit(|e| e.attempt = Some(attempt))
    }

    /// Adds what the user can do.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.edit(|e| e.hint = Some(hint.into()))
    }

    /// Adds the underlying cause.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.edit(|e| e.source = Some(Arc::from(source.into())))
    }

    /// Adds what had arrived before the failure.
    #[must_use]
    pub fn with_partial(self, partial: Arc<ModelOutput>) -> Self {
        self.edit(|e| e.partial = Some(partial))
    }

    /// Adds what a service said, to an error of a kind that does not hold it.
    #[must_use]
    pub fn with_response(self, response: ProviderError) -> Self {
        self.edit(|e| e.response = Some(Arc::new(response)))
    }

    /// Adds the record of what was done before the failure.
    pub(crate) fn with_record(self, record: Arc<dyn Record>) -> Self {
        self.edit(|e| e.record = Some(record))
    }

    /// The record of what was done before the failure.
    pub(crate) fn record(&self) -> Option<&dyn Record> {
        self.0.record.as_deref()
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The provider that was asked.
    #[must_use]
    pub fn provider(&self) -> Option<&str> {
        self.0.provider.as_deref()
    }

    /// The model that was asked.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.0.model.as_deref()
    }

    /// The attempt in which it happened, counted from 1.
    #[must_use]
    pub fn attempt(&self) -> Option<usize> {
        self.0.attempt
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// What had arrived before the failure, or the finished answer of a
    /// [`Conflict`](ErrorKind::Conflict).
    #[must_use]
    pub fn partial(&self) -> Option<&Arc<ModelOutput>> {
        self.0.partial.as_ref()
    }

    /// What the service said, if one answered.
    #[must_use]
    pub fn response(&self) -> Option<&ProviderError> {
        match &self.0.kind {
            ErrorKind::Provider(p) | ErrorKind::QuotaExhausted(p) => Some(p),
            _ => self.0.response.as_deref(),
        }
    }

    /// The HTTP status, if a service answered with one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.response()?.status
    }

    /// How long the service asks to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.response()?.retry_after
    }

    /// The provider's id of the request.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.response()?.request_id.as_deref()
    }

    /// Whether a limit of time was reached.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Timeout { .. })
    }

    /// Whether the service asks to slow down.
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        matches!(&self.0.kind, ErrorKind::Provider(p) if p.status == Some(429))
    }

    /// Whether the same call may succeed later: busy, rate-limited, unreachable or timed out.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match &self.0.kind {
            ErrorKind::Timeout { .. } | ErrorKind::Busy(_) | ErrorKind::Connection { .. } | ErrorKind::StreamInterrupted => true,
            ErrorKind::Provider(p) => {
                matches!(p.status, Some(408 | 409 | 425 | 429 | 500 | 502..=504 | 520..=524 | 529))
            }
            _ => false,
        }
    }

    /// Whether the failure lies in what the model answered, so that another attempt may mend it.
    #[must_use]
    pub fn is_answer_fault(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::EmptyResponse
                | ErrorKind::Truncated { .. }
                | ErrorKind::SchemaMismatch { .. }
                | ErrorKind::Parse(_)
                | ErrorKind::Degenerate(_)
                | ErrorKind::ContentFiltered
                | ErrorKind::StreamCheck { .. }
                | ErrorKind::ToolRounds { .. }
        )
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

impl From<InvalidContent> for Error {
    fn from(invalid: InvalidContent) -> Self {
        let (what, reason, source) = invalid.into_parts();
        Self::new(ErrorKind::InvalidContent { what, reason }).edit(|e| e.source = source)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, provider, model, attempt, hint, .. } = &*self.0;
        match (provider, model) {
            (Some(p), Some(m)) => write!(f, "{}/{}: ", short_line(p, PLACE_SHOWN), short_line(m, PLACE_SHOWN))?,
            (Some(p), None) => write!(f, "{}: ", short_line(p, PLACE_SHOWN))?,
            _ => {}
        }
        if let Some(attempt) = attempt {
            write!(f, "attempt {attempt}: ")?;
        }
        kind.fmt(f)?;
        if let Some(hint) = hint {
            write!(f, "; {}", short_line(hint, HINT_SHOWN))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind);
        for (name, value) in [("provider", &self.0.provider), ("model", &self.0.model)] {
            if let Some(value) = value {
                out.field(name, value);
            }
        }
        if let Some(attempt) = self.0.attempt {
            out.field("attempt", &attempt);
        }
        if let Some(hint) = &self.0.hint {
            out.field("hint", hint);
        }
        if let Some(response) = &self.0.response {
            out.field("response", response);
        }
        if let Some(source) = &self.0.source {
            out.field("source", source);
        }
        out.finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|e| e as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests;

//! Why content was refused.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// An image, audio block or document is not what it claims to be.
///
/// `?` makes it an [`Error`](crate::Error) of the kind
/// [`InvalidContent`](crate::ErrorKind::InvalidContent).
#[derive(Clone, Debug)]
pub struct InvalidContent {
    what: &'static str,
    reason: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl InvalidContent {
    /// Content of this kind, such as `image`, and what is wrong with it.
    pub fn new(what: &'static str, reason: impl Into<String>) -> Self {
        Self { what, reason: reason.into(), source: None }
    }

    pub(crate) fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Which kind of content, such as `image`.
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// What is wrong with it.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    pub(crate) fn into_parts(self) -> (&'static str, String, Option<Arc<dyn StdError + Send + Sync>>) {
        (self.what, self.reason, self.source)
    }
}

impl fmt::Display for InvalidContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid {}: {}", self.what, crate::text::short_line(&self.reason, 1024))
    }
}

impl StdError for InvalidContent {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn StdError + 'static))
    }
}

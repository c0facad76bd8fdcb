//! A key or token that is never shown.

use std::fmt;
use std::sync::Arc;

/// A key, token or password. `Debug` shows `[redacted]`, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// A secret with this text, trimmed: keys are often pasted with a newline.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(text.as_ref().trim().into())
    }

    /// The value of an environment variable, if it is set and not blank.
    #[must_use]
    pub fn from_env(variable: &str) -> Option<Self> {
        std::env::var(variable).ok().map(Self::new).filter(|secret| !secret.is_empty())
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_shown_and_has_no_space_around() {
        let secret = Secret::from(" sk-canary\n");
        assert_eq!(format!("{secret:?} {secret:#?}"), "[redacted] [redacted]");
        assert_eq!(secret.expose(), "sk-canary");
    }
}

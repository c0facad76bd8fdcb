//! Why a tool did not work, in words for the model.

use std::error::Error as StdError;
use std::fmt;

/// Why a tool did not work; its text is what the model reads.
///
/// Any error becomes one with `?`. Like other such catch-all types it is not
/// a [`std::error::Error`] itself.
///
/// ```
/// use mellea_core::tool::ToolError;
///
/// fn read(n: &str) -> Result<u32, ToolError> {
///     let n: u32 = n.parse()?;
///     if n > 9 {
///         return Err(ToolError::new("only digits"));
///     }
///     Ok(n)
/// }
/// assert_eq!(read("x").unwrap_err().to_string(), "invalid digit found in string");
/// ```
pub struct ToolError {
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    arguments: bool,
}

impl ToolError {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None, arguments: false }
    }

    /// An error that lies in the arguments: the model should call again with others.
    pub fn invalid_arguments(message: impl Into<String>) -> Self {
        Self { arguments: true, ..Self::new(message) }
    }

    /// The error behind this one.
    #[must_use]
    pub fn source(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.source.as_deref()
    }

    /// Whether the arguments were at fault.
    #[must_use]
    pub fn is_invalid_arguments(&self) -> bool {
        self.arguments
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for ToolError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        // The cause often says what the outer error only hints at.
        let mut cause = error.source();
        for _ in 0..8 {
            let Some(inner) = cause else { break };
            let text = inner.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            cause = inner.source();
        }
        Self { message, source: Some(Box::new(error)), arguments: false }
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolError").field("message", &self.message).field("source", &self.source).finish_non_exhaustive()
    }
}

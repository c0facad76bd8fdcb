//! What became of a call, for the program and for the model.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ArgumentError, ToolCall, plain};
use crate::error::{Error, ErrorKind, TimeoutPhase};
use crate::message::Message;

/// How many bytes of a result a model reads, unless the policy says otherwise.
pub(super) const DEFAULT_TEXT_LIMIT: usize = 64 * 1024;

/// What became of one call of a tool.
///
/// Every outcome has a text for the model ([`to_model_text`](Self::to_model_text)), so that a
/// failed call does not end a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolOutcome {
    /// It worked, and returned this.
    Ok(Value),
    /// The arguments do not fit; the tool did not run, or refused them.
    InvalidArguments {
        /// What does not fit, as far as it is known by field.
        errors: Vec<ArgumentError>,
        /// All of it in one sentence.
        message: String,
    },
    /// There is no tool of this name.
    UnknownTool {
        /// The name.
        name: String,
        /// The names there are.
        available: Vec<String>,
    },
    /// It took too long and was dropped.
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// The policy does not allow the call.
    Denied {
        /// Why.
        reason: String,
    },
    /// The tool panicked.
    Panicked {
        /// What it said.
        message: String,
    },
    /// The tool failed.
    Failed {
        /// What it said.
        message: String,
    },
}

impl ToolOutcome {
    /// Whether it worked.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok(_))
    }

    /// What the tool returned, if it worked.
    #[must_use]
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Ok(value) => Some(value),
            _ => None,
        }
    }

    /// What the model reads: text as it is, other values as compact JSON, a failure as a line that
    /// begins with `error:` and says what to do.
    ///
    /// It has at most 64 KiB, a failure 4 KiB; a note at the end says where a longer result was cut.
    /// [`ToolResult::to_model_text`] applies the limit of the policy instead.
    #[must_use]
    pub fn to_model_text(&self) -> String {
        self.to_model_text_within(DEFAULT_TEXT_LIMIT)
    }

    /// What the model reads, with at most this many bytes of a result.
    #[must_use]
    pub fn to_model_text_within(&self, bytes: usize) -> String {
        match self {
            Self::Ok(Value::String(text)) => cut(plain::start(text, bytes), text.len()),
            Self::Ok(value) => {
                let mut start = Start { text: Vec::new(), limit: bytes, length: 0 };
                // A `Value` can always be written, and so can this writer be written to.
                let _ = serde_json::to_writer(&mut start, value);
                let text = String::from_utf8(start.text).unwrap_or_else(|error| {
                    let whole = error.utf8_error().valid_up_to();
                    let mut bytes = error.into_bytes();
                    bytes.truncate(whole);
                    String::from_utf8(bytes).unwrap_or_default()
                });
                cut(&text, start.length)
            }
            failure => format!("error: {}", failure.reason()),
        }
    }

    /// Why it did not work, in one line of at most 4 KiB without control characters; empty if it
    /// worked.
    #[must_use]
    pub fn reason(&self) -> String {
        plain::line(&self.explanation())
    }

    fn explanation(&self) -> String {
        match self {
            Self::Ok(_) => String::new(),
            Self::InvalidArguments { message, .. } => format!("invalid arguments: {message}"),
            Self::UnknownTool { name, available } if available.is_empty() => {
                format!("there is no tool {:?}; there are no tools", plain::name(name))
            }
            Self::UnknownTool { name, available } => {
                format!("there is no tool {:?}; there are: {}", plain::name(name), available.join(", "))
            }
            Self::Timeout { limit } => format!("the tool did not finish within {limit:?}"),
            Self::Denied { reason } => format!("the call was not allowed: {reason}"),
            // A panic's message is for the program's log; the model cannot mend it.
            Self::Panicked { .. } => "the tool broke down".to_owned(),
            Self::Failed { message } => message.clone(),
        }
    }
}

/// The start of a text of this length, with a note if it is not the whole.
fn cut(start: &str, length: usize) -> String {
    if start.len() == length { start.to_owned() } else { format!("{start}… [cut, {length} bytes in all]") }
}

/// Keeps the start of what is written and counts the rest.
struct Start {
    text: Vec<u8>,
    limit: usize,
    length: usize,
}

impl io::Write for Start {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.limit.saturating_sub(self.text.len());
        self.text.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.length += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One call and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolResult {
    /// The call, as the model made it.
    pub call: ToolCall,
    /// What became of it.
    pub outcome: ToolOutcome,
    /// How long it took, checks included.
    pub elapsed: Duration,
    /// How many bytes of the result the model reads.
    #[serde(default = "default_text_limit")]
    text_limit: usize,
}

fn default_text_limit() -> usize {
    DEFAULT_TEXT_LIMIT
}

impl ToolResult {
    /// A result.
    #[must_use]
    pub fn new(call: ToolCall, outcome: ToolOutcome, elapsed: Duration) -> Self {
        Self { call, outcome, elapsed, text_limit: DEFAULT_TEXT_LIMIT }
    }

    /// Sets how many bytes of the result the model reads; 64 KiB by default.
    #[must_use]
    pub fn with_text_limit(mut self, bytes: usize) -> Self {
        self.text_limit = bytes;
        self
    }

    /// What the model reads, see [`ToolOutcome::to_model_text`], cut at the limit of the policy that
    /// the call was carried out with.
    #[must_use]
    pub fn to_model_text(&self) -> String {
        self.outcome.to_model_text_within(self.text_limit)
    }

    /// What the tool returned.
    ///
    /// # Errors
    ///
    /// [`Timeout`](ErrorKind::Timeout) if it took too long, else [`Tool`](ErrorKind::Tool).
    pub fn into_result(self) -> crate::Result<Value> {
        let reason = match self.outcome {
            ToolOutcome::Ok(value) => return Ok(value),
            ToolOutcome::Timeout { limit } => {
                return Err(Error::new(ErrorKind::Timeout { phase: TimeoutPhase::Tool, limit }));
            }
            ToolOutcome::Panicked { message } => plain::line(&format!("it panicked: {message}")),
            failure => failure.reason(),
        };
        Err(Error::new(ErrorKind::Tool { tool: plain::name(&self.call.name), reason }))
    }
}

impl From<&ToolResult> for Message {
    fn from(result: &ToolResult) -> Self {
        Self::tool(&result.call, result.to_model_text())
    }
}

//! What became of a call, for the program and for the model.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ArgumentError, ToolCall};
use crate::error::{Error, ErrorKind, TimeoutPhase};
use crate::message::Message;

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
    #[must_use]
    pub fn to_model_text(&self) -> String {
        match self {
            Self::Ok(Value::String(text)) => text.clone(),
            Self::Ok(value) => value.to_string(),
            failure => format!("error: {}", failure.reason()),
        }
    }

    /// Why it did not work; empty if it did.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Ok(_) => String::new(),
            Self::InvalidArguments { message, .. } => format!("invalid arguments: {message}"),
            Self::UnknownTool { name, available } if available.is_empty() => {
                format!("there is no tool {name:?}; there are no tools")
            }
            Self::UnknownTool { name, available } => {
                format!("there is no tool {name:?}; there are: {}", available.join(", "))
            }
            Self::Timeout { limit } => format!("the tool did not finish within {limit:?}"),
            Self::Denied { reason } => format!("the call was not allowed: {reason}"),
            // A panic's message is for the program's log; the model cannot mend it.
            Self::Panicked { .. } => "the tool broke down".to_owned(),
            Self::Failed { message } => message.clone(),
        }
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
}

impl ToolResult {
    /// A result.
    #[must_use]
    pub fn new(call: ToolCall, outcome: ToolOutcome, elapsed: Duration) -> Self {
        Self { call, outcome, elapsed }
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
            ToolOutcome::Panicked { message } => format!("it panicked: {message}"),
            failure => failure.reason(),
        };
        Err(Error::new(ErrorKind::Tool { tool: self.call.name, reason }))
    }
}

impl From<&ToolResult> for Message {
    fn from(result: &ToolResult) -> Self {
        Self::tool(&result.call, result.outcome.to_model_text())
    }
}

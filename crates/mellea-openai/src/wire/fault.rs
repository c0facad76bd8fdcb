//! Why something that a server sent is not an answer.

use std::fmt;

use mellea_core::{Error, ErrorKind};
use mellea_http::Place;
use serde_json::Value;

/// Why something that a server sent is not an answer, or not the rest of one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// The server sent an error, such as `{"error": …}`.
    Refused(Value),
    /// It is JSON, but not of the expected form.
    Malformed {
        /// Where, in the form `choices[0].message`.
        path: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// It is not JSON. Other pieces of the stream may still be.
    Unreadable {
        /// What is wrong.
        reason: String,
        /// Whether the text ends too early.
        cut: bool,
    },
    /// The stream ended before the answer did.
    Cut,
}

impl Fault {
    pub(crate) fn unreadable(error: &serde_json::Error, text: &str) -> Self {
        let excerpt: String = text.chars().take(2048).collect();
        Self::Unreadable { reason: format!("{error} in `{excerpt}`"), cut: error.is_eof() }
    }

    /// What an event of the name `error` says, whatever its form.
    pub(crate) fn of_error_event(data: &str) -> Self {
        let value = serde_json::from_str(data).unwrap_or_else(|_| Value::String(data.to_owned()));
        Self::Refused(match value {
            wrapped @ Value::Object(_) if wrapped.get("error").is_some() => wrapped,
            bare => serde_json::json!({ "error": bare }),
        })
    }

    /// The error that this is at that place.
    #[must_use]
    pub fn at(&self, place: &Place) -> Error {
        match self {
            Self::Refused(value) => reclassified(place.refused(value)),
            Self::Malformed { path, reason } => place.malformed(*path, *reason),
            Self::Unreadable { reason, .. } => place.malformed("", reason.clone()),
            Self::Cut => place.interrupted(),
        }
    }
}

/// An error of the kind that it is: where the model wrote a call that the server could not read, another attempt may
/// do better.
pub(crate) fn reclassified(error: Error) -> Error {
    let said = match error.kind() {
        ErrorKind::Provider(said) if said.code.as_deref() == Some("tool_use_failed") => said.clone(),
        _ => return error,
    };
    let message = format!("the server could not read the model's tool call: {}", said.message);
    let (provider, model) = (error.provider().unwrap_or_default(), error.model().unwrap_or_default());
    Error::new(ErrorKind::Parse(message)).at(provider, model).with_response(said)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(value) => write!(f, "the server refused: {value}"),
            Self::Malformed { path, reason } => write!(f, "{reason} at {path}"),
            Self::Unreadable { reason, .. } => f.write_str(reason),
            Self::Cut => f.write_str("the stream ended before the answer did"),
        }
    }
}

impl std::error::Error for Fault {}

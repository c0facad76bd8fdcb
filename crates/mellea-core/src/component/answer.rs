//! An answer as a component reads it, and what is said when it is refused.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::output::ModelOutput;

/// A complete answer, for [`Component::read`](super::Component::read).
///
/// If the call has a schema, the answer's JSON is already read and checked: [`json`](Self::json) has it, and
/// nothing needs to be parsed again.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    output: &'a ModelOutput,
    json: Option<&'a Value>,
}

impl<'a> Answer<'a> {
    /// An answer, with its JSON if it has been read.
    #[must_use]
    pub fn new(output: &'a ModelOutput, json: Option<&'a Value>) -> Self {
        Self { output, json }
    }

    /// The text, without reasoning.
    #[must_use]
    pub fn text(&self) -> &'a str {
        &self.output.text
    }

    /// The answer with its metadata and tool calls.
    #[must_use]
    pub fn output(&self) -> &'a ModelOutput {
        self.output
    }

    /// The JSON that fits the call's schema. `None` for a call without one.
    #[must_use]
    pub fn json(&self) -> Option<&'a Value> {
        self.json
    }

    /// The JSON as a Rust value.
    ///
    /// # Errors
    /// [`ErrorKind::Parse`] if the type refuses the value although it fits the schema, or if the call has no
    /// schema.
    pub fn value<T: DeserializeOwned>(&self) -> Result<T> {
        let Some(json) = self.json else {
            return Err(ErrorKind::Parse("the call has no schema to read the answer by".into()).into());
        };
        T::deserialize(json).map_err(|error| Error::new(ErrorKind::Parse(error.to_string())).with_source(error))
    }
}

/// Why an answer was refused, for [`Component::repair`](super::Component::repair).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// All that was wrong, one reason each.
    pub reasons: Vec<String>,
    /// The refused answer's text, if there was any.
    pub answer: Option<String>,
    /// After a cut: the limit on tokens, if it is known.
    pub limit: Option<u64>,
}

impl Refusal {
    /// A refusal for these reasons.
    pub fn new(reasons: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { reasons: reasons.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Of an answer with this text.
    #[must_use]
    pub fn answer(mut self, text: impl Into<String>) -> Self {
        self.answer = Some(text.into());
        self
    }

    /// Of an answer that was cut at this many tokens.
    #[must_use]
    pub fn limit(mut self, tokens: u64) -> Self {
        self.limit = Some(tokens);
        self
    }
}

//! An answer as a component reads it.

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

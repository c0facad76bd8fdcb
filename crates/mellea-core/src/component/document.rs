//! Documents that go along with a message.

use serde::{Deserialize, Serialize};

use super::Component;
use super::Representation;
use crate::error::Result;
use crate::output::ModelOutput;

/// A text with a title and an id, for a model to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Document {
    /// The text.
    pub text: String,
    /// The title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// A name that the model can cite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl Document {
    /// A document with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), title: None, id: None }
    }

    /// With a title.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// With an id.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }
}

impl From<&str> for Document {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Document {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl Component for Document {
    type Output = String;

    fn representation(&self) -> Result<Representation> {
        Ok(Representation::template("document")
            .arg("text", &self.text)
            .arg("title", self.title.clone())
            .arg("id", self.id.clone()))
    }

    fn parse(&self, output: &ModelOutput) -> Result<String> {
        Ok(output.text.clone())
    }
}

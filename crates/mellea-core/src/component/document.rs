//! A document as a component.

use super::{Answer, Component, Representation};
use crate::error::Result;
use crate::message::Document;

impl Component for Document {
    type Output = String;

    fn representation(&self) -> Result<Representation> {
        Ok(Representation::template("document")
            .arg("text", &self.text)
            .arg("title", self.title.clone())
            .arg("id", self.id.clone()))
    }

    fn read(&self, answer: &Answer<'_>) -> Result<String> {
        Ok(answer.text().to_owned())
    }
}

//! A document as a component.

use super::Component;
use crate::error::Result;
use crate::message::Document;
use crate::output::ModelOutput;
use crate::prompt::Representation;

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

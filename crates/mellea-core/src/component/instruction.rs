//! The instruction: a task with all that belongs to it.

use serde_json::Value;

use super::Component;
use crate::backend::Format;
use crate::content::Content;
use crate::error::{ErrorKind, Result};
use crate::output::ModelOutput;
use crate::prompt::{Arg, Representation};

/// A task for a model, with inputs, context, requirements and examples.
///
/// [`Session::instruct`](crate::Session::instruct) builds one; by hand it is a
/// [`Component`] like any other. Its template is `instruction`.
///
/// If there are [variables](Self::var), then the description, the prefix, the requirements, the
/// examples and the grounding texts may use them as `{{name}}`. A variable that none of them uses is
/// an error, and so is one that is used and not given. Without variables braces are just braces.
#[derive(Clone, Debug, Default)]
pub struct Instruction {
    description: String,
    prefix: Option<String>,
    output_prefix: Option<String>,
    inputs: Vec<(String, Value)>,
    variables: Vec<(String, Arg)>,
    grounding: Vec<(String, Arg)>,
    requirements: Vec<String>,
    examples: Vec<(Option<String>, String)>,
    media: Vec<Content>,
    repair: Vec<String>,
    format: Option<Format>,
}

impl Instruction {
    /// An instruction to do this.
    pub fn new(description: impl Into<String>) -> Self {
        Self { description: description.into(), ..Self::default() }
    }

    /// With a value for `{{name}}`. It may be an answer on its way.
    #[must_use]
    pub fn var(mut self, name: impl Into<String>, value: impl Into<Arg>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// With a named input, shown to the model as JSON.
    #[must_use]
    pub fn input(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.inputs.push((name.into(), value.into()));
        self
    }

    /// With a piece of context that the answer should rest on, under a name. It may be an answer on
    /// its way.
    #[must_use]
    pub fn grounding(mut self, name: impl Into<String>, text: impl Into<Arg>) -> Self {
        let text = match text.into() {
            Arg::Text(text) => Arg::Template(text),
            other => other,
        };
        self.grounding.push((name.into(), text));
        self
    }

    /// With a requirement to be stated in the prompt.
    #[must_use]
    pub fn requirement(mut self, description: impl Into<String>) -> Self {
        self.requirements.push(description.into());
        self
    }

    /// With an example of what a good answer looks like for an input.
    #[must_use]
    pub fn example(mut self, input: impl Into<String>, output: impl Into<String>) -> Self {
        self.examples.push((Some(input.into()), output.into()));
        self
    }

    /// With an example of what a good answer looks like.
    #[must_use]
    pub fn example_answer(mut self, output: impl Into<String>) -> Self {
        self.examples.push((None, output.into()));
        self
    }

    /// With a text that comes first.
    #[must_use]
    pub fn prefix(mut self, text: impl Into<String>) -> Self {
        self.prefix = Some(text.into());
        self
    }

    /// With a text that comes last, for the answer to go on from.
    #[must_use]
    pub fn output_prefix(mut self, text: impl Into<String>) -> Self {
        self.output_prefix = Some(text.into());
        self
    }

    /// With images or audio.
    #[must_use]
    pub fn media(mut self, media: impl IntoIterator<Item = impl Into<Content>>) -> Self {
        self.media.extend(media.into_iter().map(Into::into));
        self
    }

    /// With a form that the answer must have. A JSON schema is stated in the prompt as well, since
    /// most providers do not show it to the model.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// With the reasons for which the last answer was refused.
    #[must_use]
    pub fn repair(mut self, reasons: impl IntoIterator<Item = String>) -> Self {
        self.repair = reasons.into_iter().collect();
        self
    }
}

fn templates(texts: &[String]) -> Arg {
    Arg::List(texts.iter().map(|text| Arg::Template(text.clone())).collect())
}

fn optional_template(text: Option<&String>) -> Arg {
    text.map_or(Arg::None, |text| Arg::Template(text.clone()))
}

impl Component for Instruction {
    type Output = String;

    fn representation(&self) -> Result<Representation> {
        if self.description.trim().is_empty() && self.media.is_empty() {
            return Err(ErrorKind::EmptyPrompt.into());
        }
        let answer_type = match &self.format {
            Some(Format::JsonSchema(schema)) => Arg::Text(schema.hint().to_owned()),
            _ => Arg::None,
        };
        let inputs = self.inputs.iter().map(|(name, value)| (name.clone(), Arg::Text(value.to_string())));
        let examples = self
            .examples
            .iter()
            .map(|(input, output)| Arg::List(vec![optional_template(input.as_ref()), Arg::Template(output.clone())]));
        Ok(Representation::template("instruction")
            .arg("prefix", optional_template(self.prefix.as_ref()))
            .arg("description", Arg::Template(self.description.clone()))
            .arg("inputs", Arg::Pairs(inputs.collect()))
            .arg("grounding", Arg::Pairs(self.grounding.clone()))
            .arg("requirements", templates(&self.requirements))
            .arg("examples", Arg::List(examples.collect()))
            .arg("answer_type", answer_type)
            .arg("repair", Arg::List(self.repair.iter().map(Arg::from).collect()))
            .arg("output_prefix", self.output_prefix.clone())
            .variables(self.variables.iter().cloned())
            .media(self.media.iter().cloned()))
    }

    fn format(&self) -> Option<Format> {
        self.format.clone()
    }

    fn parse(&self, output: &ModelOutput) -> Result<String> {
        Ok(output.text.clone())
    }
}

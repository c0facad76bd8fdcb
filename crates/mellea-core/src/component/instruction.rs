//! The instruction: a task with all that belongs to it.

use serde_json::Value;

use super::{Answer, Arg, Component, Refusal, Representation, json_line, sorted};
use crate::backend::Format;
use crate::content::Content;
use crate::error::{ErrorKind, Result};

/// A task for a model, with inputs, context, requirements and examples.
///
/// [`Session::instruct`](crate::Session::instruct) builds one; by hand it is a
/// [`Component`] like any other. Its template is `instruction`.
///
/// If there are [variables](Self::var), then the description, the prefix, the output prefix and the
/// requirements may use them as `{{name}}`: these are texts of the program. Grounding and examples are
/// data, as inputs and the variables' values are, and are never read as templates, unless one is given
/// as [`Arg::template`]. A variable that is used nowhere is an error, and so is one that is used and
/// not given. Without variables braces are just braces.
#[derive(Clone, Debug, Default)]
pub struct Instruction {
    description: String,
    prefix: Option<String>,
    output_prefix: Option<String>,
    inputs: Vec<(String, Value)>,
    variables: Vec<(String, Arg)>,
    grounding: Vec<(String, Arg)>,
    requirements: Vec<Arg>,
    examples: Vec<(Option<Arg>, Arg)>,
    media: Vec<Content>,
    repair: Refusal,
    format: Option<Format>,
}

impl Instruction {
    /// An instruction to do this.
    pub fn new(description: impl Into<String>) -> Self {
        Self { description: description.into(), ..Self::default() }
    }

    /// With a value for `{{name}}`. It may be an answer on its way.
    ///
    /// The value is data: it is never read as a template itself. It stands in the prompt as it is, with
    /// all its lines, so a long text from elsewhere is better given as [`grounding`](Self::grounding) or
    /// [`input`](Self::input), which keep it inside its section.
    #[must_use]
    pub fn var(mut self, name: impl Into<String>, value: impl Into<Arg>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// With a named input, shown to the model as JSON. Its maps are sorted by key.
    #[must_use]
    pub fn input(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.stable_input(name, sorted(value.into()))
    }

    /// With an input that is in its final order already.
    pub(crate) fn stable_input(mut self, name: impl Into<String>, value: Value) -> Self {
        self.inputs.push((name.into(), value));
        self
    }

    /// With a piece of context that the answer should rest on, under a name. It may be an answer on
    /// its way. The text is data; for one that uses variables see [`Arg::template`].
    #[must_use]
    pub fn grounding(mut self, name: impl Into<String>, text: impl Into<Arg>) -> Self {
        self.grounding.push((name.into(), text.into()));
        self
    }

    /// With a requirement to be stated in the prompt. It may use variables.
    #[must_use]
    pub fn requirement(mut self, description: impl Into<String>) -> Self {
        self.requirements.push(Arg::Template(description.into()));
        self
    }

    /// With an example of what a good answer looks like for an input. Both are data; for texts that
    /// use variables see [`Arg::template`].
    #[must_use]
    pub fn example(mut self, input: impl Into<Arg>, output: impl Into<Arg>) -> Self {
        self.examples.push((Some(input.into()), output.into()));
        self
    }

    /// With an example of what a good answer looks like. It is data, as in [`example`](Self::example).
    #[must_use]
    pub fn example_answer(mut self, output: impl Into<Arg>) -> Self {
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
    pub fn repair(mut self, reasons: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.repair = Refusal::new(reasons);
        self
    }
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
        let inputs = self.inputs.iter().map(|(name, value)| (name.clone(), Arg::Text(json_line(value))));
        let examples = self.examples.iter().map(|(input, output)| Arg::List(vec![Arg::from(input.clone()), output.clone()]));
        let mut representation = Representation::template("instruction")
            .with_room(9)
            .arg("prefix", optional_template(self.prefix.as_ref()))
            .arg("description", Arg::Template(self.description.clone()))
            .arg("inputs", Arg::Pairs(inputs.collect()))
            .arg("grounding", Arg::Pairs(self.grounding.clone()))
            .arg("requirements", Arg::List(self.requirements.clone()))
            .arg("examples", Arg::List(examples.collect()))
            .arg("answer_type", Arg::None)
            .arg("repair", Arg::None)
            .arg("output_prefix", optional_template(self.output_prefix.as_ref()))
            .repair(self.repair.clone())
            .variables(self.variables.iter().cloned())
            .media(self.media.iter().cloned());
        if let Some(Format::JsonSchema(schema)) = &self.format {
            representation = representation.answer_type(schema.hint());
        }
        Ok(representation)
    }

    fn format(&self) -> Option<Format> {
        self.format.clone()
    }

    fn read(&self, answer: &Answer<'_>) -> Result<String> {
        Ok(answer.text().to_owned())
    }
}

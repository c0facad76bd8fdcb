//! The call that instructs a model, with everything an instruction can have.

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::TryFutureExt;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::act::{Call, CallFuture, call_setters};
use super::{OutputStream, Session};
use crate::backend::{ChatRequest, Format};
use crate::component::{Answer, Arg, Component, Instruction, Refusal, Representation, stable_json};
use crate::content::Content;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::output::ModelOutput;
use crate::prompt;
use crate::requirement::{Candidate, Outcome, Requirement, Verdict, check_all};
use crate::sampling::{Output, SamplingResult};
use crate::schema::Schema;
use crate::thunk::Thunk;

/// The result is an [`Output`]: the value, and how it came to be.
#[derive(Clone, Copy, Debug)]
pub enum Whole {}

/// The result is the bare value.
#[derive(Clone, Copy, Debug)]
pub enum Bare {}

/// A call of a generative function: like [`Instruct`], but awaited it gives the bare value.
pub type Generative<T> = Instruct<T, Bare>;

/// A call that instructs the model, see [`Session::instruct`].
///
/// `T` is the answer's type: text, unless [`format`](Self::format) asks for another.
#[must_use = "a call does nothing until it is awaited"]
pub struct Instruct<T = String, R = Whole> {
    call: Call,
    instruction: Instruction,
    preconditions: Vec<Requirement>,
    inputs: Vec<(String, serde_json::Value)>,
    /// The first thing that was wrong with what the builder was given.
    fault: Option<Error>,
    read: Read<T>,
    result: PhantomData<fn() -> R>,
}

type Read<T> = fn(&Answer<'_>) -> Result<T>;

impl Instruct {
    pub(super) fn new(session: Session, instruction: Instruction) -> Self {
        Self {
            call: Call::new(session),
            instruction,
            preconditions: Vec::new(),
            inputs: Vec::new(),
            fault: None,
            read: |answer| Ok(answer.text().to_owned()),
            result: PhantomData,
        }
    }

    /// Gives the answer a form without giving it a type: text that this regular expression matches
    /// as a whole. It is enforced by the backend where it can, and checked in any case; white space
    /// around the text is cut off if that makes it match. See [`Format::regex`] for the syntax.
    pub fn matching(mut self, regex: impl Into<String>) -> Self {
        match Format::regex(regex) {
            Ok(format) => self.instruction = self.instruction.format(format),
            Err(error) => self.fault = self.fault.or(Some(error)),
        }
        self
    }
}

impl<T: Send + Sync + 'static, R> Instruct<T, R> {
    call_setters!(T);

    /// Asks for a value of this type. Its JSON schema is stated in the prompt, enforced by the
    /// backend where it can, and checked in any case.
    pub fn format<U: DeserializeOwned + JsonSchema + 'static>(mut self) -> Instruct<U, R> {
        let mut instruction = self.instruction;
        match Schema::of::<U>() {
            Ok(schema) => instruction = instruction.format(Format::JsonSchema(schema)),
            Err(error) => self.fault = self.fault.or(Some(error.into())),
        }
        // The compiler has seen them fit the type that the call gave until now.
        let misfits: Vec<String> = self.call.requirements.iter().filter_map(Requirement::misfit::<U>).collect();
        if !misfits.is_empty() {
            let error = Error::from(ErrorKind::UncheckedRequirements(misfits))
                .with_hint("give the call its type first, and its typed requirements after that");
            self.fault = self.fault.or(Some(error));
        }
        Instruct {
            call: self.call,
            instruction,
            preconditions: self.preconditions,
            inputs: self.inputs,
            fault: self.fault,
            read: |answer| answer.value(),
            result: PhantomData,
        }
    }

    /// Makes the awaited result the bare value.
    pub fn bare(self) -> Instruct<T, Bare> {
        Instruct {
            call: self.call,
            instruction: self.instruction,
            preconditions: self.preconditions,
            inputs: self.inputs,
            fault: self.fault,
            read: self.read,
            result: PhantomData,
        }
    }

    /// With a value for `{{name}}`, see [`Instruction::var`].
    pub fn var(mut self, name: impl Into<String>, value: impl Into<Arg>) -> Self {
        self.instruction = self.instruction.var(name, value);
        self
    }

    /// With a named input, shown to the model as JSON. Maps are sorted by key and sets by element, so
    /// that the prompt is the same every time.
    pub fn input<V: Serialize + ?Sized>(mut self, name: impl Into<String>, value: &V) -> Self {
        let name = name.into();
        match stable_json(value) {
            Ok(value) => {
                self.inputs.push((name.clone(), value.clone()));
                self.instruction = self.instruction.stable_input(name, value);
            }
            Err(error) => {
                let reason = format!("input `{name}` is no JSON: {error}");
                self.fault = self.fault.or(Some(ErrorKind::InvalidContent { what: "input", reason }.into()));
            }
        }
        self
    }

    /// With a piece of context that the answer should rest on, under a name. The text is data; for one
    /// that uses variables see [`Arg::template`].
    pub fn grounding(mut self, name: impl Into<String>, text: impl Into<Arg>) -> Self {
        self.instruction = self.instruction.grounding(name, text);
        self
    }

    /// With an example of what a good answer looks like for an input. Both are data; for texts that
    /// use variables see [`Arg::template`].
    pub fn example(mut self, input: impl Into<Arg>, output: impl Into<Arg>) -> Self {
        self.instruction = self.instruction.example(input, output);
        self
    }

    /// With an example of what a good answer looks like. It is data, as in [`example`](Self::example).
    pub fn example_answer(mut self, output: impl Into<Arg>) -> Self {
        self.instruction = self.instruction.example_answer(output);
        self
    }

    /// With a text that comes first.
    pub fn prefix(mut self, text: impl Into<String>) -> Self {
        self.instruction = self.instruction.prefix(text);
        self
    }

    /// With a text that comes last, for the answer to go on from.
    pub fn output_prefix(mut self, text: impl Into<String>) -> Self {
        self.instruction = self.instruction.output_prefix(text);
        self
    }

    /// With images.
    pub fn images(self, images: impl IntoIterator<Item = crate::Image>) -> Self {
        self.media(images.into_iter().map(Content::from))
    }

    /// With pieces of audio.
    pub fn audio(self, audio: impl IntoIterator<Item = crate::Audio>) -> Self {
        self.media(audio.into_iter().map(Content::from))
    }

    fn media(mut self, media: impl IntoIterator<Item = Content>) -> Self {
        self.instruction = self.instruction.media(media);
        self
    }

    /// With something that must hold for the [inputs](Self::input) before the model is asked.
    ///
    /// Validators see the inputs as text, one `name = value` to a line.
    pub fn precondition(mut self, requirement: impl Into<Requirement>) -> Self {
        self.preconditions.push(requirement.into());
        self
    }

    /// Runs the call and gives all attempts with their verdicts. Unmet requirements are not an error
    /// here.
    ///
    /// # Errors
    /// If the call itself fails.
    pub async fn sample(self) -> Result<SamplingResult<T>> {
        let (call, action) = self.ready().await?;
        call.sample(&action).await
    }

    /// Sends the request and gives the answer piece by piece. Pieces are provisional until
    /// [`finish`](OutputStream::finish) says that the answer held.
    ///
    /// A stream makes one attempt, unless the call itself has a [`strategy`](Self::strategy).
    ///
    /// # Errors
    /// What keeps the request from being sent.
    pub async fn stream(self) -> Result<OutputStream<T>> {
        let (call, action) = self.ready().await?;
        call.start(Arc::new(action), true).await.map(OutputStream::new)
    }

    /// Begins the call and gives a handle on its answer, for use in other prompts before it is there.
    ///
    /// # Errors
    /// As [`stream`](Self::stream).
    pub async fn start(self) -> Result<Thunk<T>> {
        let (call, action) = self.ready().await?;
        call.start(Arc::new(action), false).await
    }

    /// The exact request that a first attempt would send. Nothing is sent.
    ///
    /// # Errors
    /// If there is something wrong with it.
    pub async fn preview(mut self) -> Result<ChatRequest> {
        self.preconditions.clear();
        let (call, action) = self.ready().await?;
        call.preview(&action).await
    }

    /// The call, its action, and what must hold before it is made.
    fn parts(self) -> (Call, Asked<T>, Gate) {
        let gate = Gate { fault: self.fault, preconditions: self.preconditions, inputs: self.inputs };
        (self.call, Asked { instruction: self.instruction, read: self.read }, gate)
    }

    /// The finished action, once its preconditions are known to hold.
    async fn ready(self) -> Result<(Call, Asked<T>)> {
        let (call, action, gate) = self.parts();
        gate.pass(&call, &action.instruction).await?;
        Ok((call, action))
    }

    /// [`sample`](Self::sample) for the futures of calls: it borrows what they hold, so that they stay small.
    fn checked(self) -> impl Future<Output = Result<Output<T>>> + Send {
        let (call, action, gate) = self.parts();
        async move {
            gate.pass(&call, &action.instruction).await?;
            Box::pin(call.sample(&action)).await?.into_result()
        }
    }
}

/// What must hold before a call is made.
struct Gate {
    /// What went wrong while the call was built.
    fault: Option<Error>,
    preconditions: Vec<Requirement>,
    inputs: Vec<(String, serde_json::Value)>,
}

impl Gate {
    async fn pass(&self, call: &Call, instruction: &Instruction) -> Result<()> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        if self.preconditions.is_empty() {
            return Ok(());
        }
        let variables = Component::representation(instruction)?.variables;
        Box::pin(check_inputs(call, &self.inputs, variables, &self.preconditions)).await
    }
}

async fn check_inputs(
    call: &Call,
    inputs: &[(String, serde_json::Value)],
    variables: Vec<(String, Arg)>,
    preconditions: &[Requirement],
) -> Result<()> {
    preconditions.iter().try_for_each(Requirement::ensure)?;
    let plan = call.plan()?;
    let texts = preconditions.iter().map(|requirement| requirement.statement().text).collect();
    let texts = prompt::fill(&plan.prompts, plan.backend.model(), variables, texts).await?;
    let preconditions: Vec<Requirement> = preconditions.iter().zip(texts).map(|(r, text)| r.filled(text)).collect();
    let lines: Vec<String> = inputs.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let output = ModelOutput::new(lines.join("\n"));
    let context = Context::default();
    let verdicts = check_all(&preconditions, &Candidate::new(&output, &context), &plan.judge()).await;
    let faults = || verdicts.iter().filter(|v| !v.passed());
    // A check that could not be made says nothing about the inputs.
    if let Some(error) = faults().filter(|v| v.result.outcome == Outcome::Error).find_map(|v| v.result.error.clone()) {
        return Err(error);
    }
    let failed: Vec<String> = faults().filter_map(Verdict::complaint).map(str::to_owned).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let error = Error::from(ErrorKind::PreconditionFailed(failed));
    Err(match faults().find_map(|v| v.result.error.clone()) {
        Some(source) => error.with_source(source),
        None => error,
    })
}

/// An instruction whose answer has a type.
struct Asked<T> {
    instruction: Instruction,
    read: Read<T>,
}

impl<T> std::fmt::Debug for Asked<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.instruction.fmt(f)
    }
}

impl<T: Send + Sync + 'static> Component for Asked<T> {
    type Output = T;

    fn representation(&self) -> Result<Representation> {
        Component::representation(&self.instruction)
    }

    fn format(&self) -> Option<Format> {
        Component::format(&self.instruction)
    }

    fn read(&self, answer: &Answer<'_>) -> Result<T> {
        (self.read)(answer)
    }

    fn repair(&self, refusal: Refusal) -> Result<Representation> {
        Component::repair(&self.instruction, refusal)
    }
}

impl<T: Send + Sync + 'static> IntoFuture for Instruct<T, Whole> {
    type Output = Result<Output<T>>;
    type IntoFuture = CallFuture<Output<T>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.checked())
    }
}

impl<T: Send + Sync + 'static> IntoFuture for Instruct<T, Bare> {
    type Output = Result<T>;
    type IntoFuture = CallFuture<T>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.checked().map_ok(Output::into_value))
    }
}

impl<T, R> Clone for Instruct<T, R> {
    fn clone(&self) -> Self {
        Self {
            call: self.call.clone(),
            instruction: self.instruction.clone(),
            preconditions: self.preconditions.clone(),
            inputs: self.inputs.clone(),
            fault: self.fault.clone(),
            read: self.read,
            result: PhantomData,
        }
    }
}

impl<T, R> std::fmt::Debug for Instruct<T, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instruct").field("instruction", &self.instruction).field("call", &self.call).finish_non_exhaustive()
    }
}

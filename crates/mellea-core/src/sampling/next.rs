//! What a strategy does next: ask again in some way, or stop.

use std::sync::Arc;

use crate::backend::{Backend, Format};
use crate::message::Message;
use crate::options::{ModelOptions, OptionKey, OptionValue};

/// What a strategy does next, see [`SamplingStrategy::next`](super::SamplingStrategy::next).
///
/// A step asks [again](Self::again), asks with a [repair](Self::repair), or [talks it over](Self::converse),
/// and may change how the model is asked: its options, its system prompt, its messages, the form of the
/// answer, or the backend. What a step changes holds for that attempt alone.
///
/// ```
/// use mellea_core::{ModelOption, Next};
///
/// let warmer = Next::again().option(ModelOption::Temperature, 0.9);
/// let brief = Next::repair(["The answer is too long."]).system_prompt("Answer in one sentence.");
/// let stop = Next::stop();
/// assert!(stop.is_stop() && !warmer.is_stop() && !brief.is_stop());
/// ```
#[derive(Clone, Debug)]
#[must_use = "a step does nothing until a strategy returns it"]
pub struct Next(pub(super) Kind);

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Stop,
    /// The same again, and nothing changed: what most first attempts are.
    Again,
    Step(Box<Step>),
}

/// How to ask.
#[derive(Clone, Debug, Default)]
pub(super) enum Ask {
    /// The same again, with another seed.
    #[default]
    Again,
    /// The question with a word on why the last answer was refused.
    Repair(Vec<String>),
    /// The question, the refused answers, and why each was refused, as a conversation.
    Converse(Vec<String>),
}

/// An attempt to be made.
#[derive(Clone, Debug, Default)]
pub(super) struct Step {
    pub(super) ask: Ask,
    pub(super) options: ModelOptions,
    pub(super) system_prompt: Option<String>,
    pub(super) format: Option<Option<Format>>,
    pub(super) backend: Option<Arc<dyn Backend>>,
    /// Instead of the question.
    pub(super) question: Option<Vec<Message>>,
    /// After the question.
    pub(super) more: Vec<Message>,
}

impl Next {
    fn ask(ask: Ask) -> Self {
        Self(Kind::Step(Box::new(Step { ask, ..Step::default() })))
    }

    /// Asks the same again, with another seed.
    pub fn again() -> Self {
        Self(Kind::Again)
    }

    /// Asks again and says in the prompt why the last answer was refused.
    pub fn repair(reasons: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::ask(Ask::Repair(reasons.into_iter().map(Into::into).collect()))
    }

    /// Shows the model its answers so far and says, as another turn, why the last was refused.
    pub fn converse(reasons: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::ask(Ask::Converse(reasons.into_iter().map(Into::into).collect()))
    }

    /// Makes no further attempt. Those under way go on, unless the strategy has [enough](super::SamplingStrategy::enough).
    pub const fn stop() -> Self {
        Self(Kind::Stop)
    }

    /// Whether this is [`stop`](Self::stop).
    #[must_use]
    pub const fn is_stop(&self) -> bool {
        matches!(self.0, Kind::Stop)
    }

    fn change(mut self, change: impl FnOnce(&mut Step)) -> Self {
        if matches!(self.0, Kind::Again) {
            self.0 = Kind::Step(Box::default());
        }
        if let Kind::Step(step) = &mut self.0 {
            change(step);
        }
        self
    }

    /// With an option that takes the place of the call's.
    pub fn option(self, key: impl Into<OptionKey>, value: impl Into<OptionValue>) -> Self {
        self.change(|step| step.options.set(key, value))
    }

    /// With options that take the place of the call's.
    pub fn options(self, options: &ModelOptions) -> Self {
        self.change(|step| step.options = std::mem::take(&mut step.options).merged(options))
    }

    /// With another system prompt.
    pub fn system_prompt(self, text: impl Into<String>) -> Self {
        self.change(|step| step.system_prompt = Some(text.into()))
    }

    /// With another form of the answer on the wire, or none. The answer is still read and checked as the call
    /// says, so a free text that holds the value passes.
    pub fn format(self, format: impl Into<Option<Format>>) -> Self {
        self.change(|step| step.format = Some(format.into()))
    }

    /// Of another backend. Options that were given under the call's backend's own names stay with that backend.
    pub fn backend(self, backend: impl Backend) -> Self {
        self.change(|step| step.backend = Some(Arc::new(backend)))
    }

    /// With these messages instead of the question. The history before it stays.
    pub fn question(self, messages: impl IntoIterator<Item = impl Into<Message>>) -> Self {
        self.change(|step| step.question = Some(messages.into_iter().map(Into::into).collect()))
    }

    /// With these messages after the question.
    pub fn followed_by(self, messages: impl IntoIterator<Item = impl Into<Message>>) -> Self {
        self.change(|step| step.more.extend(messages.into_iter().map(Into::into)))
    }
}

//! Settings of a session.

use std::sync::Arc;

use super::{Session, Settings, State};
use crate::backend::Backend;
use crate::context::Context;
use crate::options::{ModelOption, ModelOptions, OptionKey, OptionValue};
use crate::prompt::Prompts;
use crate::sampling::{CutPolicy, RepairTemplate, SamplingStrategy};
use crate::schema::Reading;
use crate::tool::{Tool, ToolPolicy};

/// Settings of a session, see [`Session::builder`].
///
/// ```
/// use mellea_core::{ChatContext, ModelOption, RejectionSampling, Session, testing::ScriptedBackend};
///
/// let m = Session::builder(ScriptedBackend::new(["hi"]))
///     .context(ChatContext::new().last_turns(8))
///     .option(ModelOption::Temperature, 0.2)
///     .strategy(RejectionSampling::new(3))
///     .build();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct SessionBuilder {
    settings: Settings,
    context: Context,
}

impl SessionBuilder {
    pub(super) fn new(backend: impl Backend) -> Self {
        Self {
            settings: Settings {
                backend: Arc::new(backend),
                judge: None,
                prompts: Prompts::new(),
                options: ModelOptions::new(),
                strategy: Arc::new(RepairTemplate::default()),
                tool_policy: ToolPolicy::default(),
                tool_rounds: None,
                cut: CutPolicy::default(),
                reading: Reading::default(),
                strict: false,
            },
            context: Context::default(),
        }
    }

    /// Starts from this context: [`SimpleContext`](crate::SimpleContext) (the default),
    /// [`ChatContext`](crate::ChatContext), or the history of another session.
    pub fn context(mut self, context: impl Into<Context>) -> Self {
        self.context = context.into();
        self
    }

    /// Sets an option for every call, unless the call sets it itself.
    pub fn option(mut self, key: impl Into<OptionKey>, value: impl Into<OptionValue>) -> Self {
        self.settings.options.set(key, value);
        self
    }

    /// Sets options for every call.
    pub fn options(mut self, options: &ModelOptions) -> Self {
        self.settings.options = self.settings.options.merged(options);
        self
    }

    /// Sets the strategy of calls that have none of their own; [`RepairTemplate`] with two attempts
    /// otherwise.
    pub fn strategy(mut self, strategy: impl SamplingStrategy) -> Self {
        self.settings.strategy = Arc::new(strategy);
        self
    }

    /// Lets another model judge requirements that have no validator.
    pub fn judge(mut self, judge: impl Backend) -> Self {
        self.settings.judge = Some(Arc::new(judge));
        self
    }

    /// Uses these templates.
    pub fn prompts(mut self, prompts: Prompts) -> Self {
        self.settings.prompts = prompts;
        self
    }

    /// Offers a tool to the model in every call.
    pub fn tool(self, tool: impl Tool) -> Self {
        self.tools([tool])
    }

    /// Offers tools to the model in every call; a call adds its own to them.
    pub fn tools<I>(mut self, tools: I) -> Self
    where
        I: IntoIterator,
        I::Item: Tool,
    {
        let mut all = self.settings.options.tools().cloned().unwrap_or_default();
        all.extend(tools);
        self.settings.options.set(ModelOption::Tools, all);
        self
    }

    /// Sets how often an attempt runs tools before it must answer, for calls that do not say so themselves;
    /// see [`tool_rounds`](crate::Instruct::tool_rounds).
    pub fn tool_rounds(mut self, rounds: usize) -> Self {
        self.settings.tool_rounds = Some(rounds);
        self
    }

    /// Sets what is done with answers that were cut, for calls that do not say so themselves.
    pub fn on_cut(mut self, policy: CutPolicy) -> Self {
        self.settings.cut = policy;
        self
    }

    /// Sets how exactly the JSON of typed answers must be written, for calls that do not say so themselves.
    pub fn reading(mut self, reading: Reading) -> Self {
        self.settings.reading = reading;
        self
    }

    /// Sets how tools are run.
    pub fn tool_policy(mut self, policy: ToolPolicy) -> Self {
        self.settings.tool_policy = policy;
        self
    }

    /// Refuses a call if the backend cannot honour all of it, instead of warning.
    pub fn strict(mut self) -> Self {
        self.settings.strict = true;
        self
    }

    /// The session.
    #[must_use]
    pub fn build(self) -> Session {
        Session::assemble(self.settings, State::new(self.context))
    }
}

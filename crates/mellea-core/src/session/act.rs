//! Putting a component to the model: the call that all verbs come down to.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::{OutputStream, Session, Snapshot};
use crate::backend::ChatRequest;
use crate::component::{Component, DynComponent, Typed};
use crate::error::Result;
use crate::generate::{AnyValue, Done};
use crate::options::{ModelOptions, OptionKey, OptionValue};
use crate::requirement::Requirement;
use crate::sampling::{self, Clock, CutPolicy, Output, Plan, Recorded, Sampled, SamplingResult, SamplingStrategy};
use crate::schema::Reading;
use crate::thunk::Thunk;
use crate::tool::{Tool, Tools};

/// The future of a call.
pub(super) type CallFuture<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// What every call can be told, whatever it asks.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(super) session: Session,
    pub(super) requirements: Vec<Requirement>,
    strategy: Option<Arc<dyn SamplingStrategy>>,
    options: ModelOptions,
    tools: Option<Tools>,
    tool_rounds: Option<usize>,
    cut: Option<CutPolicy>,
    reading: Option<Reading>,
}

impl Call {
    pub(super) fn new(session: Session) -> Self {
        Self {
            session,
            requirements: Vec::new(),
            strategy: None,
            options: ModelOptions::new(),
            tools: None,
            tool_rounds: None,
            cut: None,
            reading: None,
        }
    }

    /// Everything the call needs, with all options resolved.
    pub(super) fn plan(&self) -> Result<Plan> {
        let settings = &self.session.0.settings;
        let backend = &settings.backend;
        let layers = [&backend.default_options(), &settings.options, &self.options];
        let mut resolved =
            ModelOptions::resolve(layers, backend.synonyms()).map_err(|e| e.at(backend.provider(), backend.model()))?;
        if let Some(tools) = &self.tools {
            resolved.tools = resolved.tools.merged(tools);
        }
        Ok(Plan {
            backend: Arc::clone(backend),
            judge: settings.judge.clone(),
            prompts: settings.prompts.clone(),
            layers: (!(settings.options.is_empty() && self.options.is_empty()))
                .then(|| Box::new([settings.options.clone(), self.options.clone()])),
            resolved,
            strict: settings.strict,
            requirements: self.requirements.clone(),
            strategy: self.strategy.clone().unwrap_or_else(|| Arc::clone(&settings.strategy)),
            tool_policy: settings.tool_policy.clone(),
            tool_rounds: self.tool_rounds.or(settings.tool_rounds),
            cut: self.cut.unwrap_or(settings.cut),
            reading: self.reading.unwrap_or(settings.reading),
        })
    }

    /// The request that a first attempt would send.
    pub(super) async fn preview(&self, action: &dyn DynComponent) -> Result<ChatRequest> {
        let snapshot = self.session.snapshot();
        Ok(Arc::unwrap_or_clone(self.plan()?.first(&snapshot.context, action).await?.request))
    }

    /// Runs the call, and commits its turn if it succeeded.
    pub(super) async fn sample<C: Component>(&self, action: &C) -> Result<SamplingResult<C::Output>> {
        let snapshot = self.session.snapshot();
        let plan = Box::new(self.plan()?);
        let clock = Clock::start(&plan.strategy.budget());
        let first = clock.within(plan.first(&snapshot.context, action)).await??;
        let found = Box::pin(sampling::sample(&plan, &snapshot.context, action, first, clock, None)).await?;
        let (value, found) = self.session.settle(&snapshot, found)?;
        Ok(found.with_value(value.and_then(only)))
    }

    /// Begins the call and returns the handle on its answer. The turn is committed when the answer is
    /// complete, whether or not anybody has read it.
    pub(super) async fn start<C: Component>(mut self, action: Arc<C>, streamed: bool) -> Result<Thunk<C::Output>> {
        let snapshot = self.session.snapshot();
        if streamed && self.strategy.is_none() {
            // What has been shown is hard to take back: a stream tries again only if the call says so.
            self.set_strategy(sampling::RejectionSampling::new(1));
        }
        let mut plan = Box::new(self.plan()?);
        plan.resolved.options.stream |= streamed;
        let clock = Clock::start(&plan.strategy.budget());
        let first = clock.within(plan.first(&snapshot.context, &*action)).await??;
        plan.check(&first)?;
        let session = self.session;
        Thunk::spawn(move |pieces| async move {
            let found = Box::pin(sampling::sample(&plan, &snapshot.context, &*action, first, clock, Some(&pieces))).await?;
            let (value, found) = session.settle(&snapshot, found)?;
            let output = found.with_value(value).into_result()?;
            let (value, output, record) = Recorded::of(output);
            Ok(Done { output, value, record: Some(Arc::new(record)) })
        })
    }
}

impl Session {
    /// Commits the turn of a call that succeeded.
    fn settle(&self, snapshot: &Snapshot, found: Sampled) -> Result<(Option<AnyValue>, SamplingResult<()>)> {
        let Sampled { attempts, chosen, value, stopped, asked, tools } = found;
        let result = SamplingResult { value: None, attempts: attempts.into(), chosen, stopped, tools };
        if let Some(attempt) = result.chosen().filter(|attempt| attempt.succeeded())
            && let Some(output) = &attempt.output
        {
            self.commit_turn(snapshot, &asked, output, Arc::clone(&attempt.request))
                .map_err(|error| error.with_attempts(Arc::clone(&result.attempts)))?;
        }
        Ok((value, result))
    }
}

/// The value with its type again, if nothing else holds on to it.
fn only<T: Send + Sync + 'static>(value: AnyValue) -> Option<T> {
    value.downcast::<T>().ok().and_then(Arc::into_inner)
}

/// The setters that all calls share.
macro_rules! call_setters {
    ($value:ty) => {
        /// With a requirement that the answer must meet. A text is stated in the prompt and judged
        /// by the model; a [`ValueRequirement`](crate::ValueRequirement) must be for the type that the
        /// call gives.
        pub fn require(mut self, requirement: impl $crate::IntoRequirement<$value>) -> Self {
            self.call.add_requirement(requirement.into_requirement());
            self
        }

        /// With several requirements.
        pub fn require_all<Q: $crate::IntoRequirement<$value>>(mut self, requirements: impl IntoIterator<Item = Q>) -> Self {
            requirements.into_iter().for_each(|r| self.call.add_requirement(r.into_requirement()));
            self
        }

        /// With a requirement on the value that the call gives: stated in the prompt in these words,
        /// and checked by this function. For more see [`ensure`](crate::ensure()).
        pub fn ensure<V: $crate::IntoValidation>(
            self,
            description: impl Into<String>,
            check: impl Fn(&$value) -> V + Send + Sync + 'static,
        ) -> Self {
            self.require($crate::ensure(description, check))
        }

        /// With a strategy for when the answer is refused, instead of the session's.
        pub fn strategy(mut self, strategy: impl $crate::SamplingStrategy) -> Self {
            self.call.set_strategy(strategy);
            self
        }

        /// With an option for this call.
        pub fn option(mut self, key: impl Into<$crate::OptionKey>, value: impl Into<$crate::OptionValue>) -> Self {
            self.call.set_option(key.into(), value.into());
            self
        }

        /// With options for this call.
        pub fn options(mut self, options: &$crate::ModelOptions) -> Self {
            self.call.set_options(options);
            self
        }

        /// With a tool that the model may call. See [`tools`](Self::tools).
        pub fn tool(self, tool: impl $crate::Tool) -> Self {
            self.tools([tool])
        }

        /// With tools that the model may call.
        ///
        /// Where the answer has a type or requirements, the tools that the model calls are run and their
        /// results told to it until it answers, see [`tool_rounds`](Self::tool_rounds). Otherwise its calls
        /// are handed back in the answer's [`tool_calls`](crate::ModelOutput::tool_calls); run them with
        /// [`Session::call_tools`](crate::Session::call_tools).
        pub fn tools<I>(mut self, tools: I) -> Self
        where
            I: IntoIterator,
            I::Item: $crate::Tool,
        {
            self.call.add_tools(tools);
            self
        }

        /// Runs tools up to this many times in an attempt, each time all that the model calls, before it must
        /// answer; 0 hands its calls back. By default
        /// [`DEFAULT_TOOL_ROUNDS`](crate::sampling::DEFAULT_TOOL_ROUNDS) where the answer has a type or
        /// requirements, and 0 otherwise.
        pub fn tool_rounds(mut self, rounds: usize) -> Self {
            self.call.set_tool_rounds(rounds);
            self
        }

        /// Sets how exactly the JSON of a typed answer must be written. By default near-JSON with one meaning
        /// is read, and noted as a warning.
        pub fn reading(mut self, reading: $crate::schema::Reading) -> Self {
            self.call.set_reading(reading);
            self
        }

        /// Sets what is done with an answer that was cut at the token limit or by a filter.
        pub fn on_cut(mut self, policy: $crate::sampling::CutPolicy) -> Self {
            self.call.set_cut(policy);
            self
        }
    };
}
pub(super) use call_setters;

impl Call {
    pub(super) fn add_requirement(&mut self, requirement: Requirement) {
        self.requirements.push(requirement);
    }

    pub(super) fn set_strategy(&mut self, strategy: impl SamplingStrategy) {
        self.strategy = Some(Arc::new(strategy));
    }

    pub(super) fn set_option(&mut self, key: OptionKey, value: OptionValue) {
        self.options.set(key, value);
    }

    pub(super) fn set_options(&mut self, options: &ModelOptions) {
        self.options = std::mem::take(&mut self.options).merged(options);
    }

    pub(super) fn set_tool_rounds(&mut self, rounds: usize) {
        self.tool_rounds = Some(rounds);
    }

    pub(super) fn set_cut(&mut self, policy: CutPolicy) {
        self.cut = Some(policy);
    }

    pub(super) fn set_reading(&mut self, reading: Reading) {
        self.reading = Some(reading);
    }

    pub(super) fn add_tools<I: IntoIterator<Item: Tool>>(&mut self, tools: I) {
        self.tools.get_or_insert_default().extend(tools);
    }
}

/// A call that puts a component to the model, see [`Session::act`].
#[derive(Debug)]
#[must_use = "a call does nothing until it is awaited"]
pub struct Act<C> {
    call: Call,
    action: Arc<C>,
}

impl<C: Component> Act<C> {
    pub(super) fn new(session: Session, action: C) -> Self {
        Self { call: Call::new(session), action: Arc::new(action) }
    }

    call_setters!(C::Output);

    /// Runs the call and gives all attempts with their verdicts. Unmet requirements are not an error
    /// here.
    ///
    /// # Errors
    /// If the call itself fails.
    pub async fn sample(self) -> Result<SamplingResult<C::Output>> {
        self.call.sample(&*self.action).await
    }

    /// Sends the request and gives the answer piece by piece. Pieces are provisional until
    /// [`finish`](OutputStream::finish) says that the answer held.
    ///
    /// A stream makes one attempt, unless the call itself has a [`strategy`](Self::strategy).
    ///
    /// # Errors
    /// What keeps the request from being sent.
    pub async fn stream(self) -> Result<OutputStream<C::Output>> {
        self.call.start(self.action, true).await.map(OutputStream::new)
    }

    /// Begins the call and gives a handle on its answer, for use in other prompts before it is there.
    ///
    /// # Errors
    /// As [`stream`](Self::stream).
    pub async fn start(self) -> Result<Thunk<C::Output>> {
        self.call.start(self.action, false).await
    }

    /// The exact request that a first attempt would send. Nothing is sent.
    ///
    /// # Errors
    /// If there is something wrong with it.
    pub async fn preview(self) -> Result<ChatRequest> {
        self.call.preview(&*self.action).await
    }

    /// Asks for a value of this type instead. Its JSON schema is stated in the prompt, enforced by the
    /// backend where it can, and checked in any case.
    pub fn format<U: DeserializeOwned + JsonSchema + Send + Sync + 'static>(self) -> Act<Typed<C, U>> {
        Act { call: self.call, action: Arc::new(Typed::new(self.action)) }
    }
}

impl<C> Clone for Act<C> {
    fn clone(&self) -> Self {
        Self { call: self.call.clone(), action: Arc::clone(&self.action) }
    }
}

impl<C: Component> IntoFuture for Act<C> {
    type Output = Result<Output<C::Output>>;
    type IntoFuture = CallFuture<Output<C::Output>>;

    fn into_future(self) -> Self::IntoFuture {
        // The parts are borrowed where they lie: moved on, they would be in the future twice.
        Box::pin(async move { self.call.sample(&*self.action).await?.into_result() })
    }
}

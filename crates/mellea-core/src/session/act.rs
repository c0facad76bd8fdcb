//! Putting a component to the model: the call that all verbs come down to.

use std::any::Any;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use super::{OutputStream, Session, Snapshot};
use crate::backend::ChatRequest;
use crate::component::{Component, DynComponent};
use crate::error::{ErrorKind, Result};
use crate::options::{ModelOptions, OptionKey, OptionValue};
use crate::requirement::Requirement;
use crate::sampling::{self, First, Output, Plan, SamplingResult, SamplingStrategy, StopReason};
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
}

impl Call {
    pub(super) fn new(session: Session) -> Self {
        Self { session, requirements: Vec::new(), strategy: None, options: ModelOptions::new(), tools: None }
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
            judge: settings.judge.clone().unwrap_or_else(|| Arc::clone(backend)),
            prompts: settings.prompts.clone(),
            resolved,
            strict: settings.strict,
            requirements: self.requirements.clone(),
            strategy: self.strategy.clone().unwrap_or_else(|| Arc::clone(&settings.strategy)),
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
        let plan = self.plan()?;
        let found = Box::pin(sampling::sample(&plan, &snapshot.context, action)).await?;
        let chosen = found.attempts.get(found.chosen);
        let output = chosen.and_then(|attempt| attempt.output.as_ref());
        if let (StopReason::Success, Some(attempt), Some(output)) = (&found.stopped, chosen, output) {
            self.session.commit_turn(&snapshot, &found.asked, output, Arc::clone(&attempt.request))?;
        }
        let value = match (found.value, output) {
            (Some(value), Some(output)) => Some(typed(action, value, output)?),
            _ => None,
        };
        Ok(SamplingResult {
            value,
            attempts: found.attempts.into(),
            chosen: found.chosen,
            stopped: found.stopped,
            tools: found.tools,
        })
    }

    /// Sends the request and returns the handle on its answer. The turn is committed when the answer
    /// is complete, whether or not anybody has read it.
    pub(super) async fn start(self, action: Arc<dyn DynComponent>, streamed: bool) -> Result<(Thunk, Tools)> {
        if !self.requirements.is_empty() {
            let all = self.requirements.iter().map(|r| r.description().to_owned()).collect();
            return Err(crate::Error::from(ErrorKind::UncheckedRequirements(all))
                .with_hint("await the call instead, or check the finished answer with `Session::validate`"));
        }
        let Snapshot { context, version } = self.session.snapshot();
        let mut plan = self.plan()?;
        plan.resolved.options.stream |= streamed;
        let First { request, asked, tools, .. } = plan.first(&context, &*action).await?;
        let warnings = plan.warnings(&request)?;
        let (format, limit) = (request.format.clone(), request.options.max_new_tokens);
        let (session, sent) = (self.session, Arc::clone(&request));
        let accept = move |output| {
            let (output, value) = sampling::read(&*action, format.as_ref(), limit, output);
            value.map_err(|e| e.with_partial(Arc::clone(&output)))?;
            session.commit_turn(&Snapshot { context, version }, &asked, &output, sent)?;
            Ok(output)
        };
        Ok((Thunk::start(plan.backend, (*request).clone(), warnings, Box::new(accept))?, tools))
    }
}

/// The value with its type again. Nothing else holds on to it, so it need not be made twice.
fn typed<C: Component>(action: &C, value: Arc<dyn Any + Send + Sync>, output: &crate::ModelOutput) -> Result<C::Output> {
    match value.downcast::<C::Output>().map(Arc::into_inner) {
        Ok(Some(value)) => Ok(value),
        _ => action.parse(output),
    }
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

        /// With tools that the model may call. Their calls are in the answer's
        /// [`tool_calls`](crate::ModelOutput::tool_calls); run them with
        /// [`Session::call_tools`](crate::Session::call_tools).
        pub fn tools<I>(mut self, tools: I) -> Self
        where
            I: IntoIterator,
            I::Item: $crate::Tool,
        {
            self.call.add_tools(tools);
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

    /// Runs the call and gives all attempts with their verdicts. Unmet requirements are no error
    /// here.
    ///
    /// # Errors
    /// If the call itself fails.
    pub async fn sample(self) -> Result<SamplingResult<C::Output>> {
        self.call.sample(&*self.action).await
    }

    /// Sends the request and gives the answer piece by piece.
    ///
    /// # Errors
    /// [`ErrorKind::UncheckedRequirements`] if there are requirements; what keeps the request from
    /// being sent.
    pub async fn stream(self) -> Result<OutputStream<C::Output>> {
        let action = Arc::clone(&self.action);
        let (thunk, tools) = self.call.start(self.action, true).await?;
        Ok(OutputStream::new(thunk, tools, move |output| action.parse(output)))
    }

    /// Sends the request and gives a handle on its answer, for use in other prompts before it is
    /// there.
    ///
    /// # Errors
    /// As [`stream`](Self::stream).
    pub async fn start(self) -> Result<Thunk> {
        Ok(self.call.start(self.action, false).await?.0)
    }

    /// The exact request that a first attempt would send. Nothing is sent.
    ///
    /// # Errors
    /// If there is something wrong with it.
    pub async fn preview(self) -> Result<ChatRequest> {
        self.call.preview(&*self.action).await
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
        Box::pin(async move { self.call.sample(&*self.action).await?.into_result() })
    }
}

//! The backend that every family is: its wire, behind one client.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use mellea_core::{
    Backend, Capabilities, ChatRequest, Error, ErrorKind, EventStream, ModelOption, ModelOptions, Result, Warning,
};
use mellea_http::{CallOptions, Client, Framer, Request};
use mellea_wire::{Decoder, Reader};
use serde_json::{Map, Value};

use super::{Settings, foreign};

/// How a family writes requests and reads answers. Nothing here does I/O.
pub(crate) trait Wire: Debug + Send + Sync + 'static {
    type Framer: Framer<Frame = <Self::Decoder as Decoder>::Frame> + Default + Send + 'static;
    type Decoder: Decoder + Default;

    /// Whether ids and names of calls must be as [`foreign::fit`] makes them.
    const FITS_CALLS: bool = false;

    fn capabilities(&self) -> Capabilities;

    /// The family's names for common options.
    fn synonyms(&self) -> &'static [(&'static str, ModelOption)];

    /// What becomes of the options and the form; the messages are not looked at more than needed.
    ///
    /// # Errors
    /// If an option cannot be what it is.
    fn plan(&self, request: &ChatRequest, extra: Map<String, Value>) -> Result<Plan>;

    /// Adds the messages and the tools to the body.
    ///
    /// # Errors
    /// If the wire cannot carry something.
    fn fill(&self, request: &ChatRequest, plan: &mut Plan) -> Result<()>;

    /// The call, still without its body.
    fn call(&self, client: &Client, stream: bool) -> Request;

    /// What the user can do about an error that is special to the family.
    fn explain(&self, error: Error) -> Error {
        error
    }
}

/// A request on its way to the wire.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The body so far.
    pub(crate) body: Map<String, Value>,
    /// More headers.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// What is not honoured.
    pub(crate) warnings: Vec<Warning>,
    /// The answer is due as a call of [`JSON_TOOL`](mellea_wire::JSON_TOOL).
    pub(crate) json_tool: bool,
}

impl Plan {
    /// The whole request.
    ///
    /// # Errors
    /// If an option cannot be what it is, or the wire cannot carry something.
    pub(crate) fn of<W: Wire>(wire: &W, request: &mut ChatRequest, extra: Map<String, Value>) -> Result<Self> {
        if W::FITS_CALLS {
            foreign::fit(&mut request.messages);
        }
        let mut plan = wire.plan(request, extra)?;
        wire.fill(request, &mut plan)?;
        Ok(plan)
    }
}

/// A backend of a family.
#[derive(Debug)]
pub(crate) struct Native<W> {
    wire: W,
    client: Client,
    model: String,
    options: ModelOptions,
}

impl<W: Wire> Native<W> {
    pub(crate) fn shared(wire: W, client: Client, settings: Settings) -> Arc<dyn Backend> {
        Arc::new(Self { wire, client, model: settings.model, options: settings.options })
    }

    async fn ask(&self, mut request: ChatRequest) -> Result<EventStream> {
        if request.messages.iter().all(mellea_core::Message::is_empty) {
            return Err(ErrorKind::EmptyPrompt.into());
        }
        let mut extra = request.options.extra.clone();
        let call = CallOptions::take(&request.options, &mut extra)?;
        let mut plan = Plan::of(&self.wire, &mut request, extra)?;
        call.merge_into(&mut plan.body);
        let streamed = request.options.stream;
        let mut rules = self.client.rules(&request);
        rules.json_tool = plan.json_tool;
        drop(request);
        let mut outgoing = self.wire.call(&self.client, streamed).model(self.model.as_str()).json(&plan.body)?.options(call);
        for (name, value) in &plan.headers {
            outgoing = outgoing.header(name, value)?;
        }
        drop(plan);
        let reader = || Reader::new(W::Decoder::default(), rules.clone());
        self.client.answer::<W::Framer, W::Decoder>(outgoing, streamed, reader, Vec::new()).await
    }
}

#[async_trait]
impl<W: Wire> Backend for Native<W> {
    fn provider(&self) -> &str {
        self.client.provider()
    }

    fn model(&self) -> &str {
        &self.model
    }

    fn capabilities(&self) -> Capabilities {
        self.wire.capabilities()
    }

    fn default_options(&self) -> ModelOptions {
        self.options.clone()
    }

    fn synonyms(&self) -> &'static [(&'static str, ModelOption)] {
        self.wire.synonyms()
    }

    fn unsupported(&self, request: &ChatRequest) -> Vec<Warning> {
        let mut extra = request.options.extra.clone();
        let plan = CallOptions::take(&request.options, &mut extra).and_then(|_| self.wire.plan(request, extra));
        // An option that cannot be is the error of the call.
        plan.map(|plan| plan.warnings).unwrap_or_default()
    }

    async fn chat(&self, request: ChatRequest) -> Result<EventStream> {
        let answer = self.ask(request).await;
        answer.map_err(|error| self.wire.explain(error.at(self.client.provider(), &self.model)))
    }
}

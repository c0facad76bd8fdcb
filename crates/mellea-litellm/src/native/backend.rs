//! The backend that every family is: its wire, behind one client.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream;
use mellea_core::{
    Backend, Capabilities, ChatRequest, Error, ErrorKind, Event, EventStream, ModelOption, ModelOptions, Result, Warning,
};
use mellea_http::{CallOptions, Client, Framer, Frames, Request};
use serde_json::{Map, Value};

use super::Settings;
use super::decode::{Decoder, Events};

/// How a family writes requests and reads answers. Nothing here does I/O.
pub(crate) trait Wire: Debug + Send + Sync + 'static {
    type Framer: Framer<Frame = <Self::Decoder as Decoder>::Frame> + Default + Send + 'static;
    type Decoder: Decoder;

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

    fn decoder(&self, plan: &Plan) -> Self::Decoder;

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
    /// The answer is due as a call of [`JSON_TOOL`](super::decode::JSON_TOOL).
    pub(crate) emulate: bool,
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

    fn plan(&self, request: &ChatRequest) -> Result<(Plan, CallOptions)> {
        let mut extra = request.options.extra.clone();
        let call = CallOptions::take(&request.options, &mut extra)?;
        Ok((self.wire.plan(request, extra)?, call))
    }

    async fn ask(&self, request: ChatRequest) -> Result<EventStream> {
        if request.messages.iter().all(mellea_core::Message::is_empty) {
            return Err(ErrorKind::EmptyPrompt.into());
        }
        let (mut plan, call) = self.plan(&request)?;
        self.wire.fill(&request, &mut plan)?;
        call.merge_into(&mut plan.body);
        let streamed = request.options.stream;
        drop(request);
        let mut outgoing = self.wire.call(&self.client, streamed).model(self.model.as_str()).json(&plan.body)?.options(call);
        for (name, value) in &plan.headers {
            outgoing = outgoing.header(name, value)?;
        }
        plan.body = Map::new();
        if streamed { self.stream(outgoing, &plan).await } else { self.whole(outgoing, &plan).await }
    }

    async fn whole(&self, outgoing: Request, plan: &Plan) -> Result<EventStream> {
        let read = async |response: mellea_http::Response| {
            let place = response.place().clone();
            let body = response.bytes().await?;
            let (mut decoder, mut events) = (self.wire.decoder(plan), Events::default());
            decoder.whole(&body, &mut events).map_err(|fault| fault.at(&place))?;
            Ok(events)
        };
        Ok(EventStream::ready(Box::pin(self.client.open(outgoing, read)).await?))
    }

    async fn stream(&self, outgoing: Request, plan: &Plan) -> Result<EventStream> {
        let read = async |response: mellea_http::Response| {
            let (mut decoder, mut events) = (self.wire.decoder(plan), Events::default());
            if response.is_json() {
                // A gateway that does not stream, or an error with a good status.
                let place = response.place().clone();
                let body = response.bytes().await?;
                decoder.whole(&body, &mut events).map_err(|fault| fault.at(&place))?;
                return Ok(Streaming::<W> { frames: None, decoder, events });
            }
            let mut streaming = Streaming::<W> { frames: Some(response.frames(W::Framer::default())?), decoder, events };
            while !streaming.events.begun() {
                streaming.advance().await?;
            }
            Ok(streaming)
        };
        let streaming = Box::pin(self.client.open(outgoing, read)).await?;
        Ok(EventStream::new(stream::try_unfold(streaming, Streaming::next)))
    }
}

/// An answer that is being read.
struct Streaming<W: Wire> {
    /// `None` when nothing more will be read.
    frames: Option<Frames<W::Framer>>,
    decoder: W::Decoder,
    events: Events,
}

impl<W: Wire> Streaming<W> {
    /// Reads one frame.
    async fn advance(&mut self) -> Result<()> {
        let Some(frames) = &mut self.frames else { return Ok(()) };
        match frames.next().await {
            Some(frame) => self.decoder.frame(frame?, &mut self.events).map_err(|fault| fault.at(frames.place()))?,
            None => self.decoder.end(&mut self.events).map_err(|fault| fault.at(frames.place()))?,
        }
        if self.events.finished() {
            self.frames = None;
        }
        Ok(())
    }

    async fn next(mut self) -> Result<Option<(Event, Self)>> {
        loop {
            if let Some(event) = self.events.pop() {
                return Ok(Some((event, self)));
            }
            if self.frames.is_none() {
                return Ok(None);
            }
            self.advance().await?;
        }
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
        // An option that cannot be is the error of the call.
        self.plan(request).map(|(plan, _)| plan.warnings).unwrap_or_default()
    }

    async fn chat(&self, request: ChatRequest) -> Result<EventStream> {
        let answer = self.ask(request).await;
        answer.map_err(|error| self.wire.explain(error.at(self.client.provider(), &self.model)))
    }
}

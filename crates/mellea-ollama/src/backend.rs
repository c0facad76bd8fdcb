//! The backend: what it knows, and how it answers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::StreamExt;
use mellea_core::schema::Dialect;
use mellea_core::{
    Backend, Capabilities, ChatRequest, Content, Error, ErrorKind, Event, EventStream, ModelOption, ModelOptions, ModelOutput,
    ModelRef, RawRequest, Result, Thinking, Warning,
};
use mellea_http::error::refuses_schema;
use mellea_http::{Client, Incoming, LineFramer, Response};
use mellea_wire::{Reader, Rules};
use serde_json::Value;

use crate::builder::{OllamaBuilder, Truncation};
use crate::error::explain;
use crate::progress::Listener;
use crate::pull::Pull;
use crate::request::Prepared;
use crate::stream::Decoder;
use crate::wire::ModelInfo;
use crate::{options, request};

/// A model on an Ollama server. Clones share connections.
///
/// Making one does no I/O; [`OllamaBuilder::connect`] contacts the server, and pulls the model if
/// the policy says so.
///
/// ```
/// use mellea_core::{Backend, model::IBM_GRANITE_4_1_3B};
/// use mellea_ollama::Ollama;
///
/// let backend = Ollama::builder().model(IBM_GRANITE_4_1_3B).host("http://gpu:11434").context_window(8192).build()?;
/// assert_eq!(backend.model(), "granite4.1:3b");
/// # Ok::<(), mellea_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Ollama(Arc<Inner>);

struct Inner {
    client: Client,
    settings: Settings,
    /// The server has refused a schema, so that simpler ones are sent.
    simple: AtomicBool,
}

/// The settings of a backend, and what it found out.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) model: String,
    pub(crate) window: Option<u64>,
    pub(crate) keep_alive: Option<Value>,
    pub(crate) truncation: Truncation,
    pub(crate) raw_concurrency: usize,
    pub(crate) defaults: ModelOptions,
    pub(crate) pull: Pull,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) known: Option<Known>,
}

/// What the server said about the model.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) info: ModelInfo,
}

impl Ollama {
    /// A backend for this model on the server that `OLLAMA_HOST` names, or on this machine. `OLLAMA_API_KEY` is
    /// sent if it is set.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the model has no name at Ollama, or the host is invalid.
    pub fn new(model: impl Into<ModelRef>) -> Result<Self> {
        Self::builder().model(model).build()
    }

    /// Sets up a backend.
    pub fn builder() -> OllamaBuilder {
        OllamaBuilder::default()
    }

    pub(crate) fn from_parts(client: Client, settings: Settings) -> Self {
        Self(Arc::new(Inner { client, settings, simple: AtomicBool::new(false) }))
    }

    /// The same with what the server said.
    pub(crate) fn with(&self, known: Known) -> Self {
        let mut settings = self.0.settings.clone();
        let longest = known.info.context_length();
        let chosen = || known.info.num_ctx().or_else(|| longest.map(|l| l.min(crate::manage::DEFAULT_WINDOW)));
        settings.window = settings.window.or_else(chosen);
        settings.known = Some(known);
        Self::from_parts(self.0.client.clone(), settings)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn explain(&self, error: Error) -> Error {
        explain(error, &self.0.settings.model, self.0.client.base())
    }

    /// The server's address.
    #[must_use]
    pub fn address(&self) -> String {
        self.0.client.base().to_string()
    }

    /// The context window that every request asks for, in tokens, unless a call sets its own. Without one the
    /// server chooses.
    #[must_use]
    pub fn context_window(&self) -> Option<u64> {
        self.0.settings.window
    }

    /// Sends a request and waits for the first line of its answer. A server that only loads the
    /// model is asked once more.
    pub(crate) async fn start(&self, prepared: Prepared, rules: &Rules) -> Result<EventStream> {
        let Prepared { request, call, check } = prepared;
        let model = &self.0.settings.model;
        let open = async {
            for _ in 0..2 {
                let read = async |response: Response| {
                    let reader = Reader::new(Decoder::new(check), rules.clone());
                    Incoming::<LineFramer, _>::begin(response, reader, true).await.map(Box::new)
                };
                let incoming = Box::pin(self.0.client.open(request.clone(), read)).await.map_err(|error| self.explain(error))?;
                if !incoming.reader().decoder().only_loaded() {
                    let backend = self.clone();
                    let events = incoming.events(Vec::new());
                    return Ok(EventStream::new(events.map(move |event| event.map_err(|error| backend.explain(error)))));
                }
            }
            let hint = "the server loaded the model and generated nothing; see its log";
            Err(Error::from(ErrorKind::EmptyResponse).at("ollama", model).with_hint(hint))
        };
        Box::pin(self.watched(&call, open)).await
    }

    /// The form in which schemas are sent.
    pub(crate) fn dialect(&self) -> Dialect {
        if self.0.simple.load(Ordering::Relaxed) { Dialect::SimpleGrammar } else { Dialect::OrderedGrammar }
    }

    fn prepare(&self, request: &ChatRequest) -> Result<Prepared> {
        request::chat(self.client(), self.settings(), request, self.dialect())
    }

    /// Refuses what the model is known not to do.
    fn preflight(&self, request: &ChatRequest) -> Result<()> {
        let Some(known) = &self.0.settings.known else { return Ok(()) };
        let lacks = |capability| known.info.can(capability) == Some(false);
        let images = request.messages.iter().flat_map(|m| &m.content).any(|c| matches!(c, Content::Image(_)));
        let thinks = request.options.thinking.is_some_and(|thinking| thinking != Thinking::Off);
        let missing = [
            ("tools", "call tools", request.format.is_none() && options::sends_tools(request)),
            ("vision", "see images", images),
            ("thinking", "think", thinks),
        ];
        match missing.iter().find(|(capability, _, asked)| *asked && lacks(capability)) {
            Some((feature, what, _)) => {
                let model = &self.0.settings.model;
                Err(Error::unsupported(*feature, model, format!("`{model}` cannot {what}"))
                    .with_hint(format!("`ollama show {model}` lists what the model can do")))
            }
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Backend for Ollama {
    fn provider(&self) -> &str {
        "ollama"
    }

    fn model(&self) -> &str {
        &self.0.settings.model
    }

    fn capabilities(&self) -> Capabilities {
        let settings = &self.0.settings;
        let can = |capability| settings.known.as_ref().and_then(|k| k.info.can(capability)).unwrap_or(true);
        let mut capabilities = Capabilities::default();
        capabilities.context_window = settings.window;
        capabilities.json_schema = true;
        capabilities.tools = can("tools");
        capabilities.images = can("vision");
        capabilities.raw = true;
        capabilities
    }

    fn default_options(&self) -> ModelOptions {
        self.0.settings.defaults.clone()
    }

    fn synonyms(&self) -> &'static [(&'static str, ModelOption)] {
        &options::SYNONYMS
    }

    fn unsupported(&self, request: &ChatRequest) -> Vec<Warning> {
        options::unsupported(request)
    }

    async fn chat(&self, request: ChatRequest) -> Result<EventStream> {
        let prepared = if request.messages.is_empty() {
            Err(ErrorKind::EmptyPrompt.into())
        } else {
            self.preflight(&request).and_then(|()| self.prepare(&request))
        };
        let rules = self.0.client.rules(&request);
        let prepared = prepared.map_err(|error| error.at("ollama", &self.0.settings.model))?;
        // Only what may be sent once more is kept.
        let again = request.format.is_some().then_some(request);
        let simple = self.0.simple.load(Ordering::Relaxed);
        match (self.start(prepared, &rules).await, again) {
            (Err(error), Some(request)) if !simple && refuses_schema(&error) => {
                self.0.simple.store(true, Ordering::Relaxed);
                let events = self.start(self.prepare(&request)?, &rules).await?;
                let reason =
                    "the server does not take this schema; a simpler form is sent from now on, and all of it is checked here";
                let warning = Event::Warning(Warning::Unconstrained { reason: reason.to_owned() });
                Ok(EventStream::new(futures_util::stream::iter([Ok(warning)]).chain(events)))
            }
            (started, _) => started,
        }
    }

    async fn complete(&self, requests: Vec<RawRequest>) -> Vec<Result<ModelOutput>> {
        self.complete_all(requests).await
    }
}

impl fmt::Debug for Ollama {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.0.settings;
        f.debug_struct("Ollama")
            .field("model", &settings.model)
            .field("address", self.0.client.base())
            .field("context_window", &settings.window)
            .field("options", &settings.defaults)
            .finish_non_exhaustive()
    }
}

//! The backend: turns the core's requests into the wire's, and the wire's answers into the core's events.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use mellea_core::{
    Backend, Capabilities, ChatRequest, Error, ErrorKind, EventStream, ModelOption, ModelOptions, ModelOutput, ModelRef,
    RawRequest, Result, Warning,
};
use mellea_http::{Client, Request, SseFramer};
use mellea_wire::{Reader, Rules, Tags};
use serde_json::{Map, Value};

use crate::builder::OpenAiBuilder;
use crate::dialect::{ContentForm, Dialect};
use crate::learned::{Learned, Memory};
use crate::request::{self, Means, Prepared, Target};
use crate::wire::{ChatDecoder, ResponsesDecoder};

/// OpenAI, or any server that speaks its API.
///
/// A handle: clones share connections, limits, and what was learned about the server. Making one does no I/O.
///
/// ```
/// # fn main() -> mellea_core::Result<()> {
/// use mellea_openai::OpenAi;
///
/// let backend = OpenAi::builder().base_url("http://localhost:1234/v1").model("qwen2.5vl:7b").build()?;
/// assert_eq!(backend.dialect().name, "lm_studio");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct OpenAi(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) client: Client,
    pub(crate) model: String,
    pub(crate) dialect: Dialect,
    pub(crate) api: Api,
    pub(crate) extra_body: Map<String, Value>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) options: ModelOptions,
    pub(crate) context_window: Option<u64>,
    pub(crate) memory: Memory,
}

/// Which of the two interfaces chats go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Api {
    #[default]
    Chat,
    Responses,
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi")
            .field("provider", &self.0.dialect.name)
            .field("model", &self.0.model)
            .field("base", self.0.client.base())
            .finish_non_exhaustive()
    }
}

impl OpenAi {
    /// Sets up a backend.
    pub fn builder() -> OpenAiBuilder {
        OpenAiBuilder::default()
    }

    /// A backend for this model, with address and key from the environment: `OPENAI_BASE_URL`, or OpenAI's own address;
    /// `OPENAI_API_KEY`.
    ///
    /// # Errors
    /// As [`OpenAiBuilder::build`].
    pub fn new(model: impl Into<ModelRef>) -> Result<Self> {
        Self::builder().model(model).build()
    }

    /// The server's dialect, as set or as derived from the address.
    #[must_use]
    pub fn dialect(&self) -> &Dialect {
        &self.0.dialect
    }

    /// The most requests that one chat makes: those of the retry policy, doubled in case a refusal teaches something about
    /// the server (see [`OpenAiBuilder`]).
    #[must_use]
    pub fn max_requests(&self) -> u32 {
        self.0.client.max_requests().saturating_mul(2)
    }

    pub(crate) fn place(&self, error: Error) -> Error {
        error.at(self.0.dialect.name, &self.0.model)
    }

    pub(crate) fn target(&self, learned: Learned) -> Target<'_> {
        Target { model: &self.0.model, dialect: learned.apply(self.0.dialect), learned, extra_body: &self.0.extra_body }
    }

    /// A request to one of the dialect's paths.
    pub(crate) fn post(&self, path: &str, body: &Map<String, Value>) -> Result<Request> {
        let request = self.0.client.post(self.path(path)).model(&self.0.model).json(body)?;
        Ok(self.with_query(request))
    }

    pub(crate) fn with_query(&self, request: Request) -> Request {
        self.0.query.iter().fold(request, |request, (name, value)| request.query(name, value))
    }

    pub(crate) fn path(&self, path: &str) -> String {
        if path.contains("{model}") { path.replace("{model}", &segment(&self.0.model)) } else { path.to_owned() }
    }

    pub(crate) fn prepare(&self, learned: Learned, request: &ChatRequest) -> Result<Prepared> {
        let target = self.target(learned);
        let prepared = match self.0.api {
            Api::Chat => request::chat(&target, request),
            Api::Responses => request::responses::chat(&target, request),
        };
        prepared.map_err(|error| self.place(error))
    }

    /// Sends a chat in the form that the server is known to want.
    async fn open(&self, learned: Learned, request: &ChatRequest, warnings: Vec<Warning>) -> Result<EventStream> {
        let Prepared { body, call, streamed, means, .. } = self.prepare(learned, request)?;
        let responses = self.0.api == Api::Responses;
        let path = if responses { self.0.dialect.responses_path } else { self.0.dialect.chat_path };
        let outgoing = self.post(path, &body)?.options(call);
        // It is in the request now, and a call takes long.
        drop(body);
        let client = &self.0.client;
        let rules = self.rules(request, means);
        if responses {
            let reader = || Reader::new(ResponsesDecoder::default(), rules.clone());
            return client.answer::<SseFramer, _>(outgoing, streamed, reader, warnings).await;
        }
        let reader = || Reader::new(ChatDecoder::default(), rules.clone());
        client.answer::<SseFramer, _>(outgoing, streamed, reader, warnings).await
    }

    /// How the answer to a request is to be read.
    fn rules(&self, request: &ChatRequest, means: Means) -> Rules {
        let mut rules = self.0.client.rules(request);
        if !self.0.dialect.inline_thinking {
            rules.tags = Tags::none();
        }
        rules.json_tool = means == Means::Tool;
        rules.end_of_body = !self.0.dialect.says_finish;
        rules
    }

    /// What the refusal of a chat teaches.
    fn lesson(&self, learned: Learned, request: &ChatRequest, error: &Error) -> Option<(Learned, Warning)> {
        if !Memory::may_teach(error) {
            return None;
        }
        let sent = self.prepare(learned, request).ok()?;
        Memory::learn(learned, &self.0.dialect, &sent.body, error)
    }
}

/// A name as one segment of a path.
fn segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[async_trait]
impl Backend for OpenAi {
    fn provider(&self) -> &str {
        self.0.dialect.name
    }

    fn model(&self) -> &str {
        &self.0.model
    }

    fn capabilities(&self) -> Capabilities {
        let dialect = self.0.memory.now().apply(self.0.dialect);
        let mut can = Capabilities::default();
        can.context_window = self.0.context_window;
        let responses = self.0.api == Api::Responses;
        can.json_schema = request::enforces_schema(&dialect);
        can.regex = !responses && request::enforces_regex(&dialect);
        can.tools = dialect.tools;
        can.tools_with_format = dialect.tools && dialect.tools_with_schema;
        can.images = dialect.images && dialect.content != ContentForm::Text;
        can.audio = !responses && dialect.audio;
        can.raw = dialect.has_completions();
        can
    }

    fn default_options(&self) -> ModelOptions {
        self.0.options.clone()
    }

    fn synonyms(&self) -> &'static [(&'static str, ModelOption)] {
        &[
            ("max_completion_tokens", ModelOption::MaxNewTokens),
            ("max_tokens", ModelOption::MaxNewTokens),
            ("stop", ModelOption::StopSequences),
            ("seed", ModelOption::Seed),
            ("temperature", ModelOption::Temperature),
            ("stream", ModelOption::Stream),
            ("tool_choice", ModelOption::ToolChoice),
        ]
    }

    fn unsupported(&self, request: &ChatRequest) -> Vec<Warning> {
        // What is wrong with the request is an error of the call.
        let target = self.target(self.0.memory.now());
        let prepared = match self.0.api {
            Api::Chat => request::settings(&target, request),
            Api::Responses => request::responses::settings(&target, request),
        };
        prepared.map(|prepared| prepared.warnings).unwrap_or_default()
    }

    async fn chat(&self, request: ChatRequest) -> Result<EventStream> {
        let learned = self.0.memory.now();
        let error = match self.open(learned, &request, Vec::new()).await {
            Ok(events) => return Ok(events),
            Err(error) => error,
        };
        let Some((learned, warning)) = self.lesson(learned, &request, &error) else {
            return Err(self.explained(error));
        };
        match self.open(learned, &request, vec![warning]).await {
            Ok(events) => {
                self.0.memory.remember(learned);
                Ok(events)
            }
            Err(error) => {
                // Another lesson shows that this one was right.
                if self.lesson(learned, &request, &error).is_some() {
                    self.0.memory.remember(learned);
                }
                Err(self.explained(error))
            }
        }
    }

    async fn complete(&self, requests: Vec<RawRequest>) -> Vec<Result<ModelOutput>> {
        self.complete_all(requests).await
    }
}

impl OpenAi {
    /// Adds what to do about an error of this service.
    pub(crate) fn explained(&self, error: Error) -> Error {
        let error = self.place(error);
        let hint = match (error.kind(), self.0.dialect.name) {
            (ErrorKind::ModelNotFound(model), "ollama") => format!("run `ollama pull {model}`"),
            (ErrorKind::Connection { .. }, "ollama") => "start it with `ollama serve`".to_owned(),
            (ErrorKind::Connection { .. }, "lm_studio") => "start it with `lms server start`".to_owned(),
            (ErrorKind::Connection { .. }, "vllm") => format!("start it with `vllm serve {}`", self.0.model),
            (ErrorKind::Connection { .. }, "llama_cpp") => "start it with `llama-server`".to_owned(),
            (ErrorKind::ModelNotFound(_), _) => "`models()` lists the names that this service knows".to_owned(),
            _ => return error,
        };
        error.with_hint(hint)
    }
}

//! The backend: requests out, events and completions back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use mellea_core::{
    Backend, Capabilities, ChatRequest, Error, ErrorKind, Event, EventStream, FinishReason, Limiter, ModelOption, ModelOptions,
    ModelOutput, ModelRef, ProviderError, RawRequest, Result, Usage, Warning,
};
use mellea_http::{CallOptions, Client, Frames, Place, Request, Response, SseFramer};
use serde_json::{Map, Value};

use crate::builder::WatsonXBuilder;
use crate::scope::Scope;
use crate::stream::{Decoder, Fault, remarks};
use crate::wire::Generation;
use crate::{PROVIDER, options, request};

/// How long new calls wait after the service said that no more are allowed now: it allows eight in a second.
const BREATH: Duration = Duration::from_millis(125);

/// A model on IBM watsonx.ai. Clones share connections, tokens and limits.
///
/// Deprecated, as in Mellea for Python: new programs reach watsonx.ai through `mellea-litellm`, or
/// through the OpenAI backend on its gateway. See the [crate's page](crate).
///
/// ```
/// use mellea_watsonx::WatsonX;
///
/// # fn main() -> mellea_core::Result<()> {
/// let backend = WatsonX::builder()
///     .url("https://us-south.ml.cloud.ibm.com")
///     .api_key("my-api-key")
///     .project_id("my-project")
///     .model("ibm/granite-4-h-small")
///     .build()?;
/// assert!(!format!("{backend:?}").contains("my-api-key"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct WatsonX(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) client: Client,
    pub(crate) model: String,
    pub(crate) scope: Scope,
    pub(crate) version: String,
    pub(crate) options: ModelOptions,
    pub(crate) limiter: Limiter,
    pub(crate) context_window: Option<u64>,
    pub(crate) raw_concurrency: usize,
}

impl WatsonX {
    /// Sets up a backend; what is not set comes from the environment.
    pub fn builder() -> WatsonXBuilder {
        WatsonXBuilder::default()
    }

    /// A backend for this model, with everything else from the environment.
    ///
    /// # Errors
    /// As [`WatsonXBuilder::build`].
    pub fn new(model: impl Into<ModelRef>) -> Result<Self> {
        Self::builder().model(model).build()
    }

    /// A backend for the default model, `ibm/granite-4-h-small`, with everything else from the environment.
    ///
    /// # Errors
    /// As [`WatsonXBuilder::build`].
    pub fn from_env() -> Result<Self> {
        Self::builder().build()
    }

    /// A request to one of the calls, such as `chat`.
    fn post(&self, call: &str, options: CallOptions, mut body: Map<String, Value>) -> Result<Request> {
        let inner = &self.0;
        options.merge_into(&mut body);
        let post = inner.client.post(inner.scope.path(call)).query("version", inner.version.as_str());
        post.model(inner.model.as_str()).options(options).json(&body)
    }

    async fn start(&self, request: ChatRequest) -> Result<EventStream> {
        if request.messages.is_empty() {
            return Err(ErrorKind::EmptyPrompt.into());
        }
        let mut extra = request.options.extra.clone();
        let call = CallOptions::take(&request.options, &mut extra)?;
        let body = request::chat(&request, extra, &self.0.model, &self.0.scope)?;
        let streamed = request.options.stream;
        let post = self.post(if streamed { "chat_stream" } else { "chat" }, call, body)?;
        let read = |response: Response| async move {
            self.breathe(&response);
            // A gateway that cannot stream answers as a whole.
            if streamed && !response.is_json() { piecewise(response).await } else { whole(response).await }
        };
        Box::pin(self.0.client.open(post, read)).await
    }

    async fn continued(&self, request: RawRequest) -> Result<ModelOutput> {
        if request.prompt.is_empty() {
            return Err(ErrorKind::EmptyPrompt.into());
        }
        let begun = Instant::now();
        let mut extra = request.options.extra.clone();
        let call = CallOptions::take(&request.options, &mut extra)?;
        let body = request::raw(&request, extra, &self.0.model, &self.0.scope);
        let post = self.post("generation", call, body)?;
        let read = |response: Response| async move {
            self.breathe(&response);
            generated(response).await
        };
        let mut output = self.0.client.open(post, read).await?;
        output.latency = begun.elapsed();
        PROVIDER.clone_into(&mut output.provider);
        if output.model.is_empty() {
            output.model.clone_from(&self.0.model);
        }
        output.warnings.splice(0..0, options::of_raw(&request.options, request.format.as_ref()));
        Ok(output)
    }

    /// Holds new calls back if the service says that it allows no more now.
    fn breathe(&self, response: &Response) {
        if response.header("x-requests-limit-remaining").is_some_and(|left| left.trim() == "0") {
            self.0.limiter.pause(BREATH);
        }
    }

    /// Adds where an error happened and what to do about it.
    fn explain(&self, error: Error) -> Error {
        let base = self.0.client.base();
        let code = error.response().and_then(|said| said.code.as_deref()).unwrap_or_default();
        let hint = match error.kind() {
            ErrorKind::ModelNotFound(_) if matches!(self.0.scope, Scope::Deployment(_)) => {
                Some("check the id of the deployment, and that it is in this region".to_owned())
            }
            ErrorKind::ModelNotFound(_) => Some(format!(
                "`curl '{base}/ml/v1/foundation_model_specs?version={}'` lists the models of this region",
                self.0.version
            )),
            _ if code == "no_associated_service_instance_error" => {
                Some("associate a watsonx.ai Runtime instance with the project or space".to_owned())
            }
            _ => None,
        };
        let error = match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        };
        error.at(PROVIDER, &self.0.model)
    }
}

#[async_trait]
impl Backend for WatsonX {
    fn provider(&self) -> &str {
        PROVIDER
    }

    fn model(&self) -> &str {
        &self.0.model
    }

    fn capabilities(&self) -> Capabilities {
        let mut can = Capabilities::default();
        can.context_window = self.0.context_window;
        (can.json_schema, can.regex, can.tools, can.raw) = (true, true, true, true);
        can
    }

    fn default_options(&self) -> ModelOptions {
        self.0.options.clone()
    }

    fn synonyms(&self) -> &'static [(&'static str, ModelOption)] {
        options::SYNONYMS
    }

    fn unsupported(&self, request: &ChatRequest) -> Vec<Warning> {
        options::of_chat(request)
    }

    async fn chat(&self, request: ChatRequest) -> Result<EventStream> {
        Box::pin(self.start(request)).await.map_err(|error| self.explain(error))
    }

    async fn complete(&self, requests: Vec<RawRequest>) -> Vec<Result<ModelOutput>> {
        let each = |request| async move { self.continued(request).await.map_err(|error| self.explain(error)) };
        stream::iter(requests).map(each).buffered(self.0.raw_concurrency).collect().await
    }
}

impl std::fmt::Debug for WatsonX {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Inner { client, model, scope, version, .. } = &*self.0;
        let mut out = f.debug_struct("WatsonX");
        out.field("url", client.base()).field("model", model).field("scope", scope).field("version", version);
        out.finish_non_exhaustive()
    }
}

/// An answer that comes whole.
async fn whole(response: Response) -> Result<EventStream> {
    let place = response.place().clone();
    let body = response.bytes().await?;
    let mut events = VecDeque::new();
    match Decoder::default().whole(&body, &mut events) {
        Ok(()) => Ok(EventStream::ready(events)),
        // What came before it is worth keeping.
        Err(fault @ Fault::Failed) => {
            let error = failure(fault, &place, false);
            Ok(EventStream::new(stream::iter(events.into_iter().map(Ok).chain([Err(error)]))))
        }
        Err(fault) => Err(failure(fault, &place, false)),
    }
}

/// An answer that comes in pieces; the first is awaited here, because it may be a refusal.
async fn piecewise(response: Response) -> Result<EventStream> {
    let (frames, decoder) = (response.sse()?, Decoder::default());
    let mut reader =
        Reader { frames, decoder, events: VecDeque::new(), error: None, ended: false, unreadable: 0, first_fault: None };
    while reader.events.is_empty() && !reader.ended {
        reader.read().await;
    }
    if reader.events.is_empty()
        && let Some(error) = reader.error.take()
    {
        return Err(error);
    }
    Ok(EventStream::new(stream::unfold(reader, |mut reader| async move { Some((reader.next().await?, reader)) })))
}

struct Reader {
    frames: Frames<SseFramer>,
    decoder: Decoder,
    events: VecDeque<Event>,
    error: Option<Error>,
    ended: bool,
    unreadable: usize,
    /// Why the first unreadable piece could not be read.
    first_fault: Option<Error>,
}

/// The most pieces of one stream that may be unreadable.
const MAX_UNREADABLE: usize = 16;

impl Reader {
    async fn next(&mut self) -> Option<Result<Event>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(Ok(event));
            }
            if let Some(error) = self.error.take() {
                return Some(Err(error));
            }
            if self.ended {
                return None;
            }
            self.read().await;
        }
    }

    /// Reads one frame into events, an error, or the end.
    async fn read(&mut self) {
        let decoded = match self.frames.next().await {
            Some(Ok(frame)) => match self.decoder.push(&frame.name, &frame.data, &mut self.events) {
                Ok(()) => Ok(()),
                Err(fault) => self.leave_out(failure(fault, self.frames.place(), self.frames.ended())),
            },
            Some(Err(error)) => Err(error),
            None => {
                self.ended = true;
                let end = self.decoder.end().map_err(|fault| failure(fault, self.frames.place(), true));
                end.map_err(|error| self.first_fault.take().unwrap_or(error))
            }
        };
        if let Err(error) = decoded {
            self.ended = true;
            // Of an answer that is complete, only the usage can be cut off.
            let cut =
                matches!(error.kind(), ErrorKind::StreamInterrupted | ErrorKind::Connection { .. } | ErrorKind::Timeout { .. });
            self.error = (!(cut && self.decoder.finished())).then_some(error);
        }
    }
}

impl Reader {
    /// Skips a piece that is not JSON, and says so; any other error is returned.
    fn leave_out(&mut self, error: Error) -> Result<()> {
        if !matches!(error.kind(), ErrorKind::MalformedResponse { .. }) || self.unreadable >= MAX_UNREADABLE {
            return Err(error);
        }
        self.unreadable += 1;
        let message = format!("a piece of the stream could not be read and was left out: {}", error.kind());
        self.events.push_back(Event::Warning(Warning::Note { message }));
        self.first_fault.get_or_insert(error);
        Ok(())
    }
}

/// A fault of an answer as an error; `ended` says that the body had ended when it was found.
fn failure(fault: Fault, place: &Place, ended: bool) -> Error {
    match fault {
        Fault::Refused(said) => refused(said, place),
        Fault::Json(error) if ended && error.is_eof() => place.interrupted(),
        Fault::Json(error) => place.malformed("", error.to_string()),
        Fault::Malformed(path, reason) => place.malformed(path, reason),
        Fault::Interrupted => place.interrupted(),
        Fault::Failed => place.error(ErrorKind::Provider(ProviderError::new("the service ended the answer with `error`"))),
    }
}

/// A refusal inside a response, whose status is beside the error rather than in it.
fn refused(mut said: Value, place: &Place) -> Error {
    let status = said.get("status_code").filter(|status| !status.is_null()).cloned();
    if let (Some(status), Some(Value::Object(error))) = (status, said.pointer_mut("/errors/0")) {
        error.entry("status_code").or_insert(status);
    }
    place.refused(&said)
}

/// A continuation of a text.
async fn generated(response: Response) -> Result<ModelOutput> {
    let place = response.place().clone();
    let body = response.bytes().await?;
    let generation: Generation<'_> = serde_json::from_slice(&body).map_err(|e| failure(Fault::Json(e), &place, false))?;
    if let Some(said) = generation.refusal() {
        return Err(refused(said, &place));
    }
    let Some(result) = generation.results.0.first() else {
        return Err(place.malformed("results", "there are none"));
    };
    let mut output = ModelOutput::new(result.generated_text.get().unwrap_or_default());
    output.finish = match result.stop_reason.get().unwrap_or_default() {
        "" | "eos_token" | "stop_sequence" => FinishReason::Stop,
        "max_tokens" | "token_limit" => FinishReason::Length,
        "error" => return Err(failure(Fault::Failed, &place, false).with_partial(Arc::new(output))),
        other => FinishReason::Other(other.to_owned()),
    };
    output.usage = Usage::default();
    output.usage.prompt_tokens = result.input_token_count.0;
    output.usage.completion_tokens = result.generated_token_count.0;
    output.model = generation.model_id.get().unwrap_or_default().to_owned();
    output.warnings = generation.system.0.iter().flat_map(remarks).collect();
    Ok(output)
}

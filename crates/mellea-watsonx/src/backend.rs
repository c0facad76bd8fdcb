//! The backend: requests out, events and completions back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use mellea_core::{
    Backend, Capabilities, ChatRequest, Error, ErrorKind, EventStream, Limiter, ModelOption, ModelOptions, ModelOutput, ModelRef,
    RawRequest, Result, Warning,
};
use mellea_http::{CallOptions, Client, Incoming, Request, Response, SseFramer};
use mellea_wire::{Fault, Finish, Reader};
use serde_json::{Map, Value};

use crate::builder::WatsonXBuilder;
use crate::scope::Scope;
use crate::stream::{Decoder, remarks};
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
        let rules = self.0.client.rules(&request);
        drop(request);
        let read = async |response: Response| {
            self.breathe(&response);
            let reader = Reader::new(Decoder::default(), rules.clone());
            Incoming::<SseFramer, _>::begin(response, reader, streamed).await.map(Box::new)
        };
        let incoming = Box::pin(self.0.client.open(post, read)).await?;
        Ok(incoming.events(Vec::new()))
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

/// A continuation of a text.
async fn generated(response: Response) -> Result<ModelOutput> {
    let place = response.place().clone();
    let body = response.bytes().await?;
    let generation: Generation =
        mellea_wire::json::read_body(&body, &mut String::new()).map_err(|error| place.malformed("", error.to_string()))?;
    if let Some(said) = generation.refusal() {
        return Err(place.refused(&said));
    }
    let mut output = ModelOutput::default();
    output.model = generation.model_id.unwrap_or_default();
    output.warnings = generation.system.iter().flat_map(remarks).collect();
    let Some(result) = generation.results.into_iter().next() else {
        return Err(place.malformed("results", "there are none"));
    };
    output.text = result.generated_text.unwrap_or_default();
    output.usage.prompt_tokens = result.input_token_count;
    output.usage.completion_tokens = result.generated_token_count;
    let word = result.stop_reason.unwrap_or_default();
    match Finish::of(&word) {
        Finish::Failed => Err(place.unread(Fault::failed(&word)).with_partial(Arc::new(output))),
        finish => {
            output.finish = finish.reason(&word, false);
            Ok(output)
        }
    }
}

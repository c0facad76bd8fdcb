//! The backend trait: a complete request goes in, a stream of events comes out.

/// Answers the questions about a backend as another one does.
macro_rules! described_by {
    ($self:ident => $backend:expr) => {
        fn provider(&$self) -> &str {
            $backend.provider()
        }
        fn model(&$self) -> &str {
            $backend.model()
        }
        fn capabilities(&$self) -> Capabilities {
            $backend.capabilities()
        }
        fn default_options(&$self) -> ModelOptions {
            $backend.default_options()
        }
        fn synonyms(&$self) -> &'static [(&'static str, ModelOption)] {
            $backend.synonyms()
        }
        fn unsupported(&$self, request: &ChatRequest) -> Vec<Warning> {
            $backend.unsupported(request)
        }
        fn is_real(&$self) -> bool {
            $backend.is_real()
        }
    };
}

mod cached;
mod ext;
mod fallback;
mod format;
pub(crate) mod guard;
mod limited;
mod round_robin;
mod several;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use async_trait::async_trait;
use futures_core::Stream;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::message::{Messages, ToolCall};
use crate::options::{ModelOption, ModelOptions, RequestOptions};
use crate::output::{FinishReason, ModelOutput, TokenLogprob, Usage, Warning};
use crate::schema::Schema;
use crate::tool::ToolSpec;

pub use cached::{CacheStats, Cached};
pub use ext::BackendExt;
pub use fallback::{Fallback, Tried};
pub use limited::Limited;
pub use round_robin::RoundRobin;

/// A language model behind some wire, or in this process.
///
/// A backend maps a [`ChatRequest`] to its wire and its wire to [`Event`]s. It renders no templates,
/// parses no components, and runs no loop; it holds no state between calls apart from pools and
/// caches.
///
/// # What an implementation owes
/// - Every stream ends with exactly one [`Event::Finish`], or with an error. Events after the finish
///   are ignored, except [`Event::Usage`].
/// - Text, thinking and tool calls come in the model's order; a tool call is sent once, complete.
/// - Dropping the future or the stream stops the work, on the wire too.
/// - What of a request it cannot honour it names in [`unsupported`](Self::unsupported); it drops
///   nothing silently.
/// - Errors carry [`Error::at`](crate::Error::at) with provider and model; secrets never appear.
///
/// `testing::conformance`, behind the feature `testing`, checks an implementation.
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// The provider's name, such as `ollama`.
    fn provider(&self) -> &str;

    /// The model's name, as the provider knows it.
    fn model(&self) -> &str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Options that every request has unless the session or the call says otherwise.
    fn default_options(&self) -> ModelOptions {
        ModelOptions::new()
    }

    /// The provider's own names for common options, such as `num_predict` for
    /// [`ModelOption::MaxNewTokens`].
    fn synonyms(&self) -> &'static [(&'static str, ModelOption)] {
        &[]
    }

    /// What of this request it cannot honour.
    fn unsupported(&self, _request: &ChatRequest) -> Vec<Warning> {
        Vec::new()
    }

    /// Whether its calls reach a real model. Test doubles say no, see
    /// [`testing::forbid_real_calls`](crate::testing::forbid_real_calls).
    fn is_real(&self) -> bool {
        true
    }

    /// Starts to answer a request. It resolves when the provider has accepted the request, so that
    /// a refusal is an error here and not in the stream.
    ///
    /// # Errors
    /// Whatever keeps the provider from accepting the request.
    async fn chat(&self, request: ChatRequest) -> Result<EventStream>;

    /// Continues each text, without a chat template; one result for each, in order. A failure of one
    /// leaves the others alone.
    async fn complete(&self, requests: Vec<RawRequest>) -> Vec<Result<ModelOutput>> {
        let message = format!("{} has no raw completion", self.provider());
        requests
            .iter()
            .map(|_| {
                Err(crate::Error::unsupported("raw completion", self.provider(), message.clone())
                    .at(self.provider(), self.model()))
            })
            .collect()
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        #[async_trait]
        impl<B: Backend + ?Sized> Backend for $pointer {
            described_by!(self => (**self));
            async fn chat(&self, request: ChatRequest) -> Result<EventStream> {
                (**self).chat(request).await
            }
            async fn complete(&self, requests: Vec<RawRequest>) -> Vec<Result<ModelOutput>> {
                (**self).complete(requests).await
            }
        }
    )*};
}

forward!(Arc<B>, Box<B>);

/// What a backend can do. Unknown is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The window in tokens that prompt and answer share, if known.
    pub context_window: Option<u64>,
    /// It enforces a JSON schema while generating.
    pub json_schema: bool,
    /// It enforces a regular expression while generating.
    pub regex: bool,
    /// It can call tools.
    pub tools: bool,
    /// A form of the answer does not keep it from calling tools. Where this is not so, a call with both asks
    /// for the form when the model has called what it wants.
    pub tools_with_format: bool,
    /// It reads images.
    pub images: bool,
    /// It hears audio.
    pub audio: bool,
    /// It has [`complete`](Backend::complete).
    pub raw: bool,
}

/// All that a backend needs to answer: what tests snapshot and cassettes record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatRequest {
    /// The conversation, ending with what is to be answered. Clones of a request share it.
    pub messages: Messages,
    /// The tools the model may call, in a stable order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolSpec>,
    /// The form that the answer must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// How to generate.
    #[serde(default)]
    pub options: RequestOptions,
}

impl ChatRequest {
    /// A request with these messages.
    #[must_use]
    pub fn new(messages: impl Into<Messages>) -> Self {
        Self { messages: messages.into(), ..Self::default() }
    }

    /// With these tools.
    #[must_use]
    pub fn tools(mut self, tools: Vec<ToolSpec>) -> Self {
        self.tools = tools;
        self
    }

    /// With this form of answer.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// With these options.
    #[must_use]
    pub fn options(mut self, options: RequestOptions) -> Self {
        self.options = options;
        self
    }
}

/// A text to continue, without a chat template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RawRequest {
    /// The text.
    pub prompt: String,
    /// The form that the continuation must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// How to generate.
    #[serde(default)]
    pub options: RequestOptions,
}

impl RawRequest {
    /// A request to continue this text.
    pub fn new(prompt: impl Into<String>) -> Self {
        Self { prompt: prompt.into(), ..Self::default() }
    }

    /// With this form of continuation.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// With these options.
    #[must_use]
    pub fn options(mut self, options: RequestOptions) -> Self {
        self.options = options;
        self
    }
}

/// The form that an answer must have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Format {
    /// JSON that fits a schema.
    JsonSchema(Schema),
    /// Text that a regular expression matches as a whole. [`Format::regex`] makes one of a pattern
    /// that is known to be right.
    Regex(String),
}

/// One piece of an answer on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The next piece of the answer's text.
    Text(String),
    /// The next piece of the reasoning.
    Thinking(String),
    /// All text so far turned out to be reasoning, because only the tag that closes it came.
    TextWasThinking,
    /// A complete tool call.
    ToolCall(ToolCall),
    /// What is known of the tokens used; later ones update earlier ones.
    Usage(Usage),
    /// The provider's id of the answer.
    ResponseId(String),
    /// The model that really answers, where the provider says so.
    Model(String),
    /// Something that was not honoured.
    Warning(Warning),
    /// The scores of the tokens, one row each, since the last such event.
    Logits(Vec<Vec<f32>>),
    /// How likely the tokens were, since the last such event.
    Logprobs(Vec<TokenLogprob>),
    /// What the provider wants back with this turn, see [`ModelOutput::replay`]; the last one counts.
    Replay(serde_json::Value),
    /// What the provider sent, for those who need it.
    Raw(serde_json::Value),
    /// The answer is complete.
    Finish(FinishReason),
}

/// The events of one answer.
pub struct EventStream(Pin<Box<dyn Stream<Item = Result<Event>> + Send>>);

impl EventStream {
    /// A stream of events from any stream.
    pub fn new(stream: impl Stream<Item = Result<Event>> + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }

    /// A stream of events that are all here.
    pub fn ready(events: impl IntoIterator<Item = Event, IntoIter: Send + 'static>) -> Self {
        Self::new(futures_util::stream::iter(events.into_iter().map(Ok)))
    }
}

impl Stream for EventStream {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

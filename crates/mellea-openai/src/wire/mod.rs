//! What servers send, read as tolerantly as possible, and the decoders that turn it into events.
//!
//! Every field is optional, an unknown word is kept as text, and a field of the wrong type counts as
//! missing: servers differ, and an answer that can be understood must not be lost. Only JSON that does not parse is
//! refused.

mod chat;
mod logprobs;
mod replay;
mod responses;

use serde::Deserialize;
use serde_json::{Map, Value};

pub use chat::ChatDecoder;
pub use logprobs::{Alternatives, Logprobs, Nullable, TokenEntry};
pub(crate) use replay::{EXTRA_CONTENT, REASONING, REASONING_DETAILS, WIRE};
pub use responses::{IncompleteDetails, ResponseBody, ResponsesDecoder, ResponsesEvent};

use mellea_core::Usage;
use mellea_wire::json::{Accept, maybe, or_default};
use mellea_wire::{CallPiece, objects};

/// A chat completion, a chunk of a streamed one, or a raw completion.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Completion {
    /// The answer's id.
    #[serde(deserialize_with = "maybe")]
    pub id: Option<String>,
    /// The kind of object, as it says itself; vLLM marks errors in a stream here.
    #[serde(deserialize_with = "or_default")]
    pub object: ObjectKind,
    /// The model that answers.
    #[serde(deserialize_with = "maybe")]
    pub model: Option<String>,
    /// The answers; the first one counts.
    #[serde(deserialize_with = "maybe")]
    pub choices: Option<Vec<Choice>>,
    /// The tokens used.
    #[serde(deserialize_with = "maybe")]
    pub usage: Option<Box<UsageFigures>>,
    /// What went wrong, where an error comes with a status of success.
    #[serde(deserialize_with = "maybe")]
    pub error: Option<Box<Value>>,
    /// The same, as a list.
    #[serde(deserialize_with = "maybe")]
    pub errors: Option<Box<Value>>,
    /// The message of an error that is the whole object.
    #[serde(deserialize_with = "maybe")]
    pub message: Option<String>,
    /// The code of an error that is the whole object.
    #[serde(deserialize_with = "maybe")]
    pub code: Option<Box<Value>>,
    /// The same, as some gateways name it.
    #[serde(deserialize_with = "maybe")]
    pub msg: Option<String>,
    /// What a framework does not like about a request.
    #[serde(deserialize_with = "maybe")]
    pub detail: Option<Box<Value>>,
    /// Whether the request succeeded, as some gateways say.
    #[serde(deserialize_with = "maybe")]
    pub success: Option<bool>,
    /// MiniMax's own status.
    #[serde(deserialize_with = "maybe")]
    pub base_resp: Option<Box<Value>>,
    /// Groq's own part of a chunk.
    #[serde(deserialize_with = "maybe")]
    pub x_groq: Option<Box<GroqPart>>,
}

impl Completion {
    /// The error that this is or holds, as `{"error": …}`.
    #[must_use]
    pub fn take_error(&mut self) -> Option<Value> {
        let of_choice = |choices: &mut Vec<Choice>| choices.first_mut()?.error.take();
        let groq = |part: &mut Box<GroqPart>| part.error.take();
        let inner = self.choices.as_mut().and_then(of_choice).or_else(|| self.x_groq.as_mut().and_then(groq));
        let error = self.error.take().or(inner);
        let failed =
            self.success == Some(false) || self.errors.is_some() || self.base_resp.is_some() || self.object == ObjectKind::Error;
        let bare = self.choices.is_none() && (self.message.is_some() || self.msg.is_some() || self.detail.is_some());
        if error.is_none() && !failed && !bare {
            return None;
        }
        let mut fields = Map::new();
        let mut add = |name: &str, value: Option<Value>| fields.extend(value.map(|value| (name.to_owned(), value)));
        add("error", error.map(|error| *error));
        add("errors", self.errors.take().map(|errors| *errors));
        add("message", self.message.take().map(Value::from));
        add("msg", self.msg.take().map(Value::from));
        add("detail", self.detail.take().map(|detail| *detail));
        add("code", self.code.take().map(|code| *code));
        add("success", self.success.map(Value::from));
        add("base_resp", self.base_resp.take().map(|base| *base));
        add("object", (self.object == ObjectKind::Error).then(|| "error".into()));
        let answered = self.choices.as_ref().is_some_and(|choices| !choices.is_empty());
        add("choices", answered.then(|| Value::from(vec![true])));
        mellea_wire::error_in(&fields.into(), &["choices"])
    }

    /// The figures of usage, wherever they stand.
    #[must_use]
    pub fn take_usage(&mut self) -> Option<Usage> {
        let groq = |part: &mut Box<GroqPart>| part.usage.take();
        let of_choice = |choices: &mut Vec<Choice>| choices.first_mut()?.usage.take();
        let found = self.usage.take();
        let found = found.or_else(|| self.x_groq.as_mut().and_then(groq));
        let found = found.or_else(|| self.choices.as_mut().and_then(of_choice));
        found.map(|figures| figures.usage()).filter(|usage| *usage != Usage::default())
    }
}

/// The kind of object, as it says itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ObjectKind {
    /// An error.
    Error,
    /// A completion, a piece of one, or nothing.
    #[default]
    Other,
}

impl<'de> Accept<'de> for ObjectKind {
    fn text(text: &str) -> Option<Self> {
        Some(if text == "error" { Self::Error } else { Self::Other })
    }
}

/// What Groq adds to a chunk.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct GroqPart {
    /// The tokens used.
    #[serde(deserialize_with = "maybe")]
    pub usage: Option<Box<UsageFigures>>,
    /// What went wrong.
    #[serde(deserialize_with = "maybe")]
    pub error: Option<Box<Value>>,
}

/// One answer, or the next piece of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Choice {
    /// Which of the answers.
    #[serde(deserialize_with = "maybe")]
    pub index: Option<u64>,
    /// The next piece of the message.
    #[serde(deserialize_with = "maybe")]
    pub delta: Option<AnswerMessage>,
    /// The whole message.
    #[serde(deserialize_with = "maybe")]
    pub message: Option<Box<AnswerMessage>>,
    /// The text of a raw completion.
    #[serde(deserialize_with = "maybe")]
    pub text: Option<String>,
    /// Why the answer ended.
    #[serde(deserialize_with = "maybe")]
    pub finish_reason: Option<String>,
    /// The same in the words of the service behind a router.
    #[serde(deserialize_with = "maybe")]
    pub native_finish_reason: Option<String>,
    /// How likely the tokens were.
    #[serde(deserialize_with = "maybe")]
    pub logprobs: Option<Box<Logprobs>>,
    /// The tokens used, where a server says it here.
    #[serde(deserialize_with = "maybe")]
    pub usage: Option<Box<UsageFigures>>,
    /// What went wrong, where a router says it here.
    #[serde(deserialize_with = "maybe")]
    pub error: Option<Box<Value>>,
}

/// The model's message, or the next piece of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AnswerMessage {
    /// Who speaks; servers leave it out.
    #[serde(deserialize_with = "maybe")]
    pub role: Option<String>,
    /// The text, or its parts.
    #[serde(deserialize_with = "maybe")]
    pub content: Option<AnswerContent>,
    /// Reasoning, as DeepSeek and others name it.
    #[serde(deserialize_with = "maybe")]
    pub reasoning_content: Option<String>,
    /// Reasoning, as vLLM, Ollama, OpenRouter and Groq name it.
    #[serde(deserialize_with = "maybe")]
    pub reasoning: Option<String>,
    /// Reasoning with what the service wants back of it, as OpenRouter gives it.
    #[serde(deserialize_with = "or_default")]
    pub reasoning_details: Vec<Value>,
    /// Why the model declines.
    #[serde(deserialize_with = "maybe")]
    pub refusal: Option<String>,
    /// Calls of tools, or pieces of them.
    #[serde(deserialize_with = "or_default")]
    pub tool_calls: Vec<ToolCallPart>,
    /// The older form of a single call.
    #[serde(deserialize_with = "maybe")]
    pub function_call: Option<Box<FunctionPart>>,
}

/// The content of an answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AnswerContent {
    /// Plain text.
    Text(String),
    /// Parts, in order.
    Parts(Vec<ContentPart>),
}

impl<'de> Accept<'de> for AnswerContent {
    fn text(text: &str) -> Option<Self> {
        Some(Self::Text(text.to_owned()))
    }

    fn owned(text: String) -> Option<Self> {
        Some(Self::Text(text))
    }

    fn unsigned(number: u64) -> Option<Self> {
        Some(Self::Text(number.to_string()))
    }

    fn list<A: serde::de::SeqAccess<'de>>(list: A) -> Result<Option<Self>, A::Error> {
        Ok(Vec::list(list)?.map(Self::Parts))
    }
}

/// One part of an answer's content.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ContentPart {
    /// Such as `text`, `thinking` or `refusal`.
    #[serde(rename = "type", deserialize_with = "maybe")]
    pub kind: Option<String>,
    /// The text.
    #[serde(deserialize_with = "maybe")]
    pub text: Option<String>,
    /// Reasoning: a text, or parts of its own.
    #[serde(deserialize_with = "maybe")]
    pub thinking: Option<AnswerContent>,
    /// Why the model declines.
    #[serde(deserialize_with = "maybe")]
    pub refusal: Option<String>,
}

impl<'de> Accept<'de> for ContentPart {
    fn text(text: &str) -> Option<Self> {
        Some(Self { text: Some(text.to_owned()), ..Self::default() })
    }

    fn object<A: serde::de::MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        Self::deserialize(serde::de::value::MapAccessDeserializer::new(object)).map(Some)
    }
}

/// A call of a tool, or a piece of one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ToolCallPart {
    /// Which of the calls; some servers leave it out, others always say 0.
    #[serde(deserialize_with = "maybe")]
    pub index: Option<u64>,
    /// The call's id.
    #[serde(deserialize_with = "maybe")]
    pub id: Option<String>,
    /// The function.
    #[serde(deserialize_with = "maybe")]
    pub function: Option<FunctionPart>,
    /// The function's name, where a server puts it here.
    #[serde(deserialize_with = "maybe")]
    pub name: Option<String>,
    /// The arguments, where a server puts them here.
    #[serde(deserialize_with = "maybe")]
    pub arguments: Option<Value>,
    /// What the service wants back with the call, such as Gemini's signature of the thought behind it.
    #[serde(deserialize_with = "maybe")]
    pub extra_content: Option<Value>,
}

impl From<ToolCallPart> for CallPiece {
    fn from(part: ToolCallPart) -> Self {
        let ToolCallPart { index, id, function, name, arguments, extra_content } = part;
        let FunctionPart { name: inner_name, arguments: inner_arguments } = function.unwrap_or_default();
        let (name, arguments) = (inner_name.or(name), inner_arguments.or(arguments));
        Self { index, id, name, arguments, extra: extra_content }
    }
}

/// The function that is called.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FunctionPart {
    /// Its name.
    #[serde(deserialize_with = "maybe")]
    pub name: Option<String>,
    /// The arguments: a text, a piece of one, or an object.
    #[serde(deserialize_with = "maybe")]
    pub arguments: Option<Value>,
}

/// Figures of usage.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UsageFigures {
    /// Tokens of the prompt.
    #[serde(deserialize_with = "maybe")]
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer.
    #[serde(deserialize_with = "maybe")]
    pub completion_tokens: Option<u64>,
    /// Of the prompt's tokens.
    #[serde(deserialize_with = "or_default")]
    pub prompt_tokens_details: TokenDetails,
    /// Of the answer's tokens.
    #[serde(deserialize_with = "or_default")]
    pub completion_tokens_details: TokenDetails,
    /// Tokens of the prompt, as the Responses API names them.
    #[serde(deserialize_with = "maybe")]
    pub input_tokens: Option<u64>,
    /// Tokens of the answer, as the Responses API names them.
    #[serde(deserialize_with = "maybe")]
    pub output_tokens: Option<u64>,
    /// Of the prompt's tokens, as the Responses API names them.
    #[serde(deserialize_with = "or_default")]
    pub input_tokens_details: TokenDetails,
    /// Of the answer's tokens, as the Responses API names them.
    #[serde(deserialize_with = "or_default")]
    pub output_tokens_details: TokenDetails,
    /// DeepSeek's name for the cached tokens of the prompt.
    #[serde(deserialize_with = "maybe")]
    pub prompt_cache_hit_tokens: Option<u64>,
    /// Reasoning tokens, where a server says them here.
    #[serde(deserialize_with = "maybe")]
    pub reasoning_tokens: Option<u64>,
}

/// What tokens were.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TokenDetails {
    /// From a cache.
    #[serde(deserialize_with = "maybe")]
    pub cached_tokens: Option<u64>,
    /// Reasoning.
    #[serde(deserialize_with = "maybe")]
    pub reasoning_tokens: Option<u64>,
}

impl UsageFigures {
    /// The figures in the core's form.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        usage.prompt_tokens = self.prompt_tokens.or(self.input_tokens);
        usage.completion_tokens = self.completion_tokens.or(self.output_tokens);
        let cached = self.prompt_tokens_details.cached_tokens.or(self.input_tokens_details.cached_tokens);
        usage.cached_tokens = cached.or(self.prompt_cache_hit_tokens);
        let reasoning = self.completion_tokens_details.reasoning_tokens.or(self.output_tokens_details.reasoning_tokens);
        usage.reasoning_tokens = reasoning.or(self.reasoning_tokens);
        usage
    }
}

objects!(GroqPart, Choice, AnswerMessage, ToolCallPart, FunctionPart, UsageFigures, TokenDetails);

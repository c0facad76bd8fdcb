//! What watsonx.ai answers. Every field may be missing or of another type: it then counts as absent.
//!
//! These types read only JSON, borrow from it where they can, and fail only on what is not
//! JSON or not an object.

use mellea_core::{TokenLogprob, Usage as CoreUsage};
use mellea_wire::json::{maybe, or_default};
use mellea_wire::{CallPiece, objects};
use serde::Deserialize;
use serde_json::{Value, json};

/// An answer to a chat, or one piece of a streamed one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Chat {
    /// The id of the answer.
    #[serde(deserialize_with = "maybe")]
    pub id: Option<String>,
    /// The model, by the name in the request.
    #[serde(deserialize_with = "maybe")]
    pub model_id: Option<String>,
    /// The model that answers.
    #[serde(deserialize_with = "maybe")]
    pub model: Option<String>,
    /// The answers, of which the first counts.
    #[serde(deserialize_with = "or_default")]
    pub choices: Vec<Choice>,
    /// The tokens used.
    #[serde(deserialize_with = "maybe")]
    pub usage: Option<Usage>,
    /// The service's remarks.
    #[serde(deserialize_with = "maybe")]
    pub system: Option<System>,
    /// Why there is no answer.
    pub errors: Value,
    /// The same, as a gateway says it.
    pub error: Value,
    /// The same, where the error is the whole object.
    pub message: Value,
    /// Its code.
    pub code: Value,
    /// The id of a request that was refused.
    pub trace: Value,
    /// The status of a request that was refused.
    pub status_code: Value,
}

/// One answer, or a piece of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Choice {
    /// Which answer it is; the first is 0.
    #[serde(deserialize_with = "maybe")]
    pub index: Option<u64>,
    /// The whole answer.
    #[serde(deserialize_with = "maybe")]
    pub message: Option<Message>,
    /// The next piece of the answer.
    #[serde(deserialize_with = "maybe")]
    pub delta: Option<Message>,
    /// Why the model stopped.
    #[serde(deserialize_with = "maybe")]
    pub finish_reason: Option<String>,
    /// How likely the tokens were.
    #[serde(deserialize_with = "maybe")]
    pub logprobs: Option<Logprobs>,
}

/// What the model says, whole or in part.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Message {
    /// The text.
    #[serde(deserialize_with = "maybe")]
    pub content: Option<String>,
    /// The reasoning.
    #[serde(deserialize_with = "maybe")]
    pub reasoning_content: Option<String>,
    /// The tool calls.
    #[serde(deserialize_with = "or_default")]
    pub tool_calls: Vec<ToolCall>,
}

/// A tool call, or a piece of one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ToolCall {
    /// To which call a piece belongs.
    #[serde(deserialize_with = "maybe")]
    pub index: Option<u64>,
    /// The call's id.
    #[serde(deserialize_with = "maybe")]
    pub id: Option<String>,
    /// What is called.
    #[serde(deserialize_with = "maybe")]
    pub function: Option<Function>,
}

/// What a tool call calls.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Function {
    /// The tool's name.
    #[serde(deserialize_with = "maybe")]
    pub name: Option<String>,
    /// The arguments.
    #[serde(deserialize_with = "maybe")]
    pub arguments: Option<Value>,
}

/// How likely the tokens of an answer were.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Logprobs {
    /// One entry for each token.
    #[serde(deserialize_with = "or_default")]
    pub content: Vec<Token>,
}

/// How likely a token was.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Token {
    /// The token's text.
    #[serde(deserialize_with = "maybe")]
    pub token: Option<String>,
    /// The natural logarithm of its probability.
    #[serde(deserialize_with = "maybe")]
    pub logprob: Option<f64>,
    /// Others that could have stood there.
    #[serde(deserialize_with = "or_default")]
    pub top_logprobs: Vec<Self>,
}

/// The tokens used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Usage {
    /// Of the prompt.
    #[serde(deserialize_with = "maybe")]
    pub prompt_tokens: Option<u64>,
    /// Of the answer.
    #[serde(deserialize_with = "maybe")]
    pub completion_tokens: Option<u64>,
    /// More about those of the prompt.
    #[serde(deserialize_with = "maybe")]
    pub prompt_tokens_details: Option<UsageDetails>,
    /// More about those of the answer.
    #[serde(deserialize_with = "maybe")]
    pub completion_tokens_details: Option<UsageDetails>,
}

/// More about the tokens used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UsageDetails {
    /// Those that came from a cache.
    #[serde(deserialize_with = "maybe")]
    pub cached_tokens: Option<u64>,
    /// Those that were reasoning.
    #[serde(deserialize_with = "maybe")]
    pub reasoning_tokens: Option<u64>,
}

/// The service's remarks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct System {
    /// What it warns of.
    #[serde(deserialize_with = "or_default")]
    pub warnings: Vec<Remark>,
}

/// One remark of the service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Remark {
    /// What kind of remark it is.
    #[serde(deserialize_with = "maybe")]
    pub id: Option<String>,
    /// The remark.
    #[serde(deserialize_with = "maybe")]
    pub message: Option<String>,
}

/// An answer to a text generation.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Generation {
    /// The model.
    #[serde(deserialize_with = "maybe")]
    pub model_id: Option<String>,
    /// The continuations, of which the first counts.
    #[serde(deserialize_with = "or_default")]
    pub results: Vec<Generated>,
    /// The service's remarks.
    #[serde(deserialize_with = "maybe")]
    pub system: Option<System>,
    /// Why there is no answer.
    pub errors: Value,
    /// The same, as a gateway says it.
    pub error: Value,
    /// The same, where the error is the whole object.
    pub message: Value,
    /// Its code.
    pub code: Value,
    /// The id of a request that was refused.
    pub trace: Value,
    /// The status of a request that was refused.
    pub status_code: Value,
}

/// One continuation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Generated {
    /// The text.
    #[serde(deserialize_with = "maybe")]
    pub generated_text: Option<String>,
    /// Tokens of the text that was continued.
    #[serde(deserialize_with = "maybe")]
    pub input_token_count: Option<u64>,
    /// Tokens of the continuation.
    #[serde(deserialize_with = "maybe")]
    pub generated_token_count: Option<u64>,
    /// Why the model stopped.
    #[serde(deserialize_with = "maybe")]
    pub stop_reason: Option<String>,
}

/// An answer to a request for a token, in each of the forms there are.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Grant {
    #[serde(deserialize_with = "maybe")]
    pub(crate) access_token: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(crate) token: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(crate) expires_in: Option<u64>,
}

objects!(Choice, Message, ToolCall, Function, Logprobs, Token, Usage, UsageDetails, System, Remark, Generated);

impl From<ToolCall> for CallPiece {
    fn from(call: ToolCall) -> Self {
        let Function { name, arguments } = call.function.unwrap_or_default();
        Self { index: call.index, id: call.id, name, arguments, extra: None }
    }
}

impl Token {
    /// The figure in the core's form; `None` if there is none.
    pub(crate) fn logprob(self) -> Option<TokenLogprob> {
        let mut out = TokenLogprob::new(self.token.unwrap_or_default(), self.logprob?);
        let pair = |other: Self| Some((other.token.unwrap_or_default(), other.logprob?));
        out.top = self.top_logprobs.into_iter().filter_map(pair).collect();
        Some(out)
    }
}

impl Usage {
    /// The figures in the core's form.
    pub(crate) fn usage(self) -> CoreUsage {
        let mut usage = CoreUsage::default();
        usage.prompt_tokens = self.prompt_tokens;
        usage.completion_tokens = self.completion_tokens;
        usage.cached_tokens = self.prompt_tokens_details.and_then(|details| details.cached_tokens);
        usage.reasoning_tokens = self.completion_tokens_details.and_then(|details| details.reasoning_tokens);
        usage
    }
}

impl Chat {
    /// What the service says instead of answering, if it does.
    #[must_use]
    pub fn refusal(&self) -> Option<Value> {
        refusal([&self.errors, &self.error, &self.trace, &self.status_code, &self.message, &self.code], !self.choices.is_empty())
    }
}

impl Generation {
    /// What the service says instead of answering, if it does.
    #[must_use]
    pub fn refusal(&self) -> Option<Value> {
        refusal([&self.errors, &self.error, &self.trace, &self.status_code, &self.message, &self.code], !self.results.is_empty())
    }
}

fn refusal([errors, error, trace, status, message, code]: [&Value; 6], answered: bool) -> Option<Value> {
    if [errors, error, message].into_iter().all(Value::is_null) {
        return None;
    }
    let all = json!({
        "errors": errors, "error": error, "trace": trace, "status_code": status, "message": message, "code": code,
        "answered": if answered { json!([true]) } else { Value::Null },
    });
    mellea_wire::error_in(&all, &["answered"])
}

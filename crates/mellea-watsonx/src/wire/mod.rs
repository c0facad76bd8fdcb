//! What watsonx.ai answers. Every field may be missing or of another type: it then counts as absent.
//!
//! These types read only JSON, borrow from it where they can, and fail only on what is not
//! JSON or not an object.

mod lenient;

use serde::Deserialize;
use serde_json::{Value, json};

pub use lenient::{Arguments, Count, List, Object, Real, Text};

/// An answer to a chat, or one piece of a streamed one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Chat<'a> {
    /// The id of the answer.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// The model, by the name in the request.
    #[serde(borrow)]
    pub model_id: Text<'a>,
    /// The model that answers.
    #[serde(borrow)]
    pub model: Text<'a>,
    /// The answers, of which the first counts.
    #[serde(borrow)]
    pub choices: List<Choice<'a>>,
    /// The tokens used.
    pub usage: Object<Usage>,
    /// The service's remarks.
    #[serde(borrow)]
    pub system: Object<System<'a>>,
    /// Why there is no answer.
    pub errors: Value,
    /// The same, as a gateway says it.
    pub error: Value,
    /// The id of a request that was refused.
    pub trace: Value,
    /// The status of a request that was refused.
    pub status_code: Value,
}

/// One answer, or a piece of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Choice<'a> {
    /// Which answer it is; the first is 0.
    pub index: Count,
    /// The whole answer.
    #[serde(borrow)]
    pub message: Object<Message<'a>>,
    /// The next piece of the answer.
    #[serde(borrow)]
    pub delta: Object<Message<'a>>,
    /// Why the model stopped.
    #[serde(borrow)]
    pub finish_reason: Text<'a>,
    /// How likely the tokens were.
    #[serde(borrow)]
    pub logprobs: Object<Logprobs<'a>>,
}

/// What the model says, whole or in part.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Message<'a> {
    /// The text.
    #[serde(borrow)]
    pub content: Text<'a>,
    /// The reasoning.
    #[serde(borrow)]
    pub reasoning_content: Text<'a>,
    /// The tool calls.
    #[serde(borrow)]
    pub tool_calls: List<ToolCall<'a>>,
}

/// A tool call, or a piece of one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ToolCall<'a> {
    /// To which call a piece belongs.
    pub index: Count,
    /// The call's id.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// What is called.
    #[serde(borrow)]
    pub function: Object<Function<'a>>,
}

/// What a tool call calls.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Function<'a> {
    /// The tool's name.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// The arguments.
    #[serde(borrow)]
    pub arguments: Arguments<'a>,
}

/// How likely the tokens of an answer were.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Logprobs<'a> {
    /// One entry for each token.
    #[serde(borrow)]
    pub content: List<Token<'a>>,
}

/// How likely a token was.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Token<'a> {
    /// The token's text.
    #[serde(borrow)]
    pub token: Text<'a>,
    /// The natural logarithm of its probability.
    pub logprob: Real,
    /// Others that could have stood there.
    #[serde(borrow)]
    pub top_logprobs: List<Self>,
}

/// The tokens used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Usage {
    /// Of the prompt.
    pub prompt_tokens: Count,
    /// Of the answer.
    pub completion_tokens: Count,
    /// More about those of the prompt.
    pub prompt_tokens_details: Object<UsageDetails>,
    /// More about those of the answer.
    pub completion_tokens_details: Object<UsageDetails>,
}

/// More about the tokens used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UsageDetails {
    /// Those that came from a cache.
    pub cached_tokens: Count,
    /// Those that were reasoning.
    pub reasoning_tokens: Count,
}

/// The service's remarks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct System<'a> {
    /// What it warns of.
    #[serde(borrow)]
    pub warnings: List<Remark<'a>>,
}

/// One remark of the service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Remark<'a> {
    /// What kind of remark it is.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// The remark.
    #[serde(borrow)]
    pub message: Text<'a>,
}

/// An answer to a text generation.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Generation<'a> {
    /// The model.
    #[serde(borrow)]
    pub model_id: Text<'a>,
    /// The continuations, of which the first counts.
    #[serde(borrow)]
    pub results: List<Generated<'a>>,
    /// The service's remarks.
    #[serde(borrow)]
    pub system: Object<System<'a>>,
    /// Why there is no answer.
    pub errors: Value,
    /// The same, as a gateway says it.
    pub error: Value,
    /// The id of a request that was refused.
    pub trace: Value,
    /// The status of a request that was refused.
    pub status_code: Value,
}

/// One continuation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Generated<'a> {
    /// The text.
    #[serde(borrow)]
    pub generated_text: Text<'a>,
    /// Tokens of the text that was continued.
    pub input_token_count: Count,
    /// Tokens of the continuation.
    pub generated_token_count: Count,
    /// Why the model stopped.
    #[serde(borrow)]
    pub stop_reason: Text<'a>,
}

/// An answer to a request for a token, in each of the forms there are.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Grant<'a> {
    #[serde(borrow)]
    pub(crate) access_token: Text<'a>,
    #[serde(borrow)]
    pub(crate) token: Text<'a>,
    pub(crate) expires_in: Count,
}

impl Chat<'_> {
    /// What the service says instead of answering, if it does.
    #[must_use]
    pub fn refusal(&self) -> Option<Value> {
        refusal(&self.errors, &self.error, &self.trace, &self.status_code)
    }
}

impl Generation<'_> {
    /// What the service says instead of answering, if it does.
    #[must_use]
    pub fn refusal(&self) -> Option<Value> {
        refusal(&self.errors, &self.error, &self.trace, &self.status_code)
    }
}

fn refusal(errors: &Value, error: &Value, trace: &Value, status: &Value) -> Option<Value> {
    let said = |value: &Value| !(value.is_null() || value == &json!([]) || value == &json!({}) || value == &json!(""));
    if said(errors) {
        return Some(json!({ "errors": errors, "trace": trace, "status_code": status }));
    }
    said(error).then(|| json!({ "error": error, "trace": trace, "status_code": status }))
}

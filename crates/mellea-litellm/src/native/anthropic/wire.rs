//! The useful parts of the Messages API's answers.

use std::borrow::Cow;

use mellea_core::{FinishReason, Usage};
use serde::Deserialize;
use serde_json::Value;

use super::super::decode::{lenient, tokens};

/// One event of a stream. Unknown ones have a `kind` that nobody asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StreamEvent<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    pub(super) index: u64,
    #[serde(borrow)]
    pub(super) delta: Option<Delta<'a>>,
    #[serde(deserialize_with = "lenient")]
    pub(super) content_block: Option<Value>,
    #[serde(deserialize_with = "lenient")]
    pub(super) message: Option<Message>,
    #[serde(deserialize_with = "lenient")]
    pub(super) usage: Option<Tokens>,
    #[serde(deserialize_with = "lenient")]
    pub(super) error: Option<Value>,
}

/// What a delta adds; its own `type` says nothing that the fields do not.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Delta<'a> {
    #[serde(borrow)]
    pub(super) text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) partial_json: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) thinking: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) signature: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) stop_reason: Option<Cow<'a, str>>,
    #[serde(deserialize_with = "lenient")]
    pub(super) stop_details: Option<Value>,
}

/// A message: whole, or the start of a streamed one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    #[serde(deserialize_with = "lenient")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) model: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) content: Option<Vec<Value>>,
    #[serde(deserialize_with = "lenient")]
    pub(super) stop_reason: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) stop_details: Option<Value>,
    #[serde(deserialize_with = "lenient")]
    pub(super) usage: Option<Tokens>,
}

/// Tokens used; later reports replace earlier ones, number by number.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tokens {
    #[serde(deserialize_with = "tokens")]
    input_tokens: Option<u64>,
    #[serde(deserialize_with = "tokens")]
    output_tokens: Option<u64>,
    #[serde(deserialize_with = "tokens")]
    cache_creation_input_tokens: Option<u64>,
    #[serde(deserialize_with = "tokens")]
    cache_read_input_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    output_tokens_details: Option<Details>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    #[serde(deserialize_with = "tokens")]
    thinking_tokens: Option<u64>,
}

impl Tokens {
    pub(super) fn update(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.cache_creation_input_tokens = later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.output_tokens_details = later.output_tokens_details.or(self.output_tokens_details);
    }

    /// In the core's terms: there, cached tokens are a part of the prompt's.
    pub(super) fn usage(&self) -> Usage {
        let cached = self.cache_read_input_tokens;
        let beside = self.cache_creation_input_tokens.unwrap_or(0).saturating_add(cached.unwrap_or(0));
        let mut usage = Usage::default();
        usage.prompt_tokens = self.input_tokens.map(|read| read.saturating_add(beside));
        usage.completion_tokens = self.output_tokens;
        usage.cached_tokens = cached;
        usage.reasoning_tokens = self.output_tokens_details.and_then(|details| details.thinking_tokens);
        usage
    }
}

/// Why the model stopped.
pub(super) fn finish(reason: &str) -> FinishReason {
    match reason {
        "end_turn" | "stop_sequence" => FinishReason::Stop,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        other => FinishReason::Other(other.to_owned()),
    }
}

//! The useful parts of the Converse API's answers.

use std::borrow::Cow;

use mellea_core::{FinishReason, Usage};
use serde::Deserialize;
use serde_json::Value;

use super::super::decode::{lenient, tokens};

/// The payload of any event of a stream; the message's header says which it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct StreamEvent<'a> {
    pub(super) content_block_index: u64,
    #[serde(borrow)]
    pub(super) delta: Option<Delta<'a>>,
    #[serde(deserialize_with = "lenient")]
    pub(super) start: Option<Value>,
    #[serde(borrow)]
    pub(super) stop_reason: Option<Cow<'a, str>>,
    #[serde(deserialize_with = "lenient")]
    pub(super) usage: Option<Tokens>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Delta<'a> {
    #[serde(borrow)]
    pub(super) text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) tool_use: Option<Input<'a>>,
    #[serde(borrow)]
    pub(super) reasoning_content: Option<Reasoning<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Input<'a> {
    #[serde(borrow)]
    pub(super) input: Cow<'a, str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Reasoning<'a> {
    #[serde(borrow)]
    pub(super) text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) signature: Option<Cow<'a, str>>,
    /// Base64.
    #[serde(borrow)]
    pub(super) redacted_content: Option<Cow<'a, str>>,
}

/// A whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Answer {
    #[serde(deserialize_with = "lenient")]
    pub(super) output: Value,
    #[serde(deserialize_with = "lenient")]
    pub(super) stop_reason: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) usage: Option<Tokens>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Tokens {
    #[serde(deserialize_with = "tokens")]
    input_tokens: Option<u64>,
    #[serde(deserialize_with = "tokens")]
    output_tokens: Option<u64>,
    #[serde(deserialize_with = "tokens")]
    cache_read_input_tokens: Option<u64>,
    #[serde(deserialize_with = "tokens")]
    cache_write_input_tokens: Option<u64>,
}

impl Tokens {
    /// In the core's terms: there, cached tokens are a part of the prompt's.
    pub(super) fn usage(&self) -> Usage {
        let cached = self.cache_read_input_tokens;
        let beside = self.cache_write_input_tokens.unwrap_or(0).saturating_add(cached.unwrap_or(0));
        let mut usage = Usage::default();
        usage.prompt_tokens = self.input_tokens.map(|read| read.saturating_add(beside));
        usage.completion_tokens = self.output_tokens;
        usage.cached_tokens = cached;
        usage
    }
}

/// Why the model stopped.
pub(super) fn finish(reason: &str) -> FinishReason {
    match reason {
        "end_turn" | "stop_sequence" => FinishReason::Stop,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "guardrail_intervened" | "content_filtered" => FinishReason::ContentFilter,
        other => FinishReason::Other(other.to_owned()),
    }
}

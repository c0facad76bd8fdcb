//! The useful parts of the Converse API's answers.

use std::borrow::Cow;

use mellea_core::Usage;
use mellea_wire::json::{maybe, or_default};
use mellea_wire::objects;
use serde::Deserialize;
use serde_json::Value;

/// The payload of any event of a stream; the message's header says which it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct StreamEvent<'a> {
    #[serde(deserialize_with = "or_default")]
    pub(super) content_block_index: u64,
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) delta: Option<Delta<'a>>,
    #[serde(deserialize_with = "maybe")]
    pub(super) start: Option<Start>,
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) stop_reason: Option<Cow<'a, str>>,
    #[serde(deserialize_with = "maybe")]
    pub(super) usage: Option<Tokens>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Start {
    #[serde(deserialize_with = "maybe")]
    pub(super) tool_use: Option<ToolUse>,
}

/// A call, or the start of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ToolUse {
    #[serde(deserialize_with = "or_default")]
    pub(super) tool_use_id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "maybe")]
    pub(super) input: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Delta<'a> {
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) text: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) tool_use: Option<Input<'a>>,
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) reasoning_content: Option<Reasoning<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Input<'a> {
    #[serde(borrow, deserialize_with = "or_default")]
    pub(super) input: Cow<'a, str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Reasoning<'a> {
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) text: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) signature: Option<Cow<'a, str>>,
    /// Base64.
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) redacted_content: Option<Cow<'a, str>>,
}

/// A whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Reply {
    #[serde(deserialize_with = "maybe")]
    pub(super) output: Option<Output>,
    #[serde(deserialize_with = "maybe")]
    pub(super) stop_reason: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) usage: Option<Tokens>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Output {
    #[serde(deserialize_with = "maybe")]
    pub(super) message: Option<OutputMessage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OutputMessage {
    #[serde(deserialize_with = "maybe")]
    pub(super) content: Option<Vec<Block>>,
}

/// A block of a whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Block {
    #[serde(deserialize_with = "maybe")]
    pub(super) text: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) tool_use: Option<ToolUse>,
    #[serde(deserialize_with = "maybe")]
    pub(super) reasoning_content: Option<Value>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Tokens {
    #[serde(deserialize_with = "maybe")]
    input_tokens: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    output_tokens: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    cache_read_input_tokens: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    cache_write_input_tokens: Option<u64>,
}

objects!(Delta<'de>, Input<'de>, Reasoning<'de>, Start, ToolUse, Output, OutputMessage, Block, Tokens);

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

//! The useful parts of the Messages API's answers.

use std::borrow::Cow;

use mellea_core::Usage;
use mellea_wire::json::{maybe, or_default};
use mellea_wire::objects;
use serde::Deserialize;
use serde_json::Value;

/// One event of a stream. Unknown ones have a `kind` that nobody asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StreamEvent<'a> {
    #[serde(rename = "type", borrow, deserialize_with = "or_default")]
    pub(super) kind: Cow<'a, str>,
    #[serde(deserialize_with = "or_default")]
    pub(super) index: u64,
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) delta: Option<Delta<'a>>,
    #[serde(deserialize_with = "maybe")]
    pub(super) content_block: Option<Value>,
    #[serde(deserialize_with = "maybe")]
    pub(super) message: Option<Message>,
    #[serde(deserialize_with = "maybe")]
    pub(super) usage: Option<Tokens>,
    #[serde(deserialize_with = "maybe")]
    pub(super) error: Option<Value>,
}

/// What a delta adds; its own `type` says nothing that the fields do not.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Delta<'a> {
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) text: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) partial_json: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) thinking: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) signature: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) stop_reason: Option<Cow<'a, str>>,
    #[serde(deserialize_with = "maybe")]
    pub(super) stop_details: Option<Value>,
}

/// A message: whole, or the start of a streamed one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    #[serde(deserialize_with = "maybe")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) model: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) content: Option<Vec<Value>>,
    #[serde(deserialize_with = "maybe")]
    pub(super) stop_reason: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) stop_details: Option<Value>,
    #[serde(deserialize_with = "maybe")]
    pub(super) usage: Option<Tokens>,
    #[serde(deserialize_with = "maybe")]
    pub(super) error: Option<Value>,
}

/// Tokens used; later reports replace earlier ones, number by number, but for zeros.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tokens {
    #[serde(deserialize_with = "maybe")]
    input_tokens: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    output_tokens: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    cache_creation_input_tokens: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    cache_read_input_tokens: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    output_tokens_details: Option<Details>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    #[serde(deserialize_with = "maybe")]
    thinking_tokens: Option<u64>,
}

objects!(Delta<'de>, Message, Tokens, Details);

impl Tokens {
    pub(super) fn update(&mut self, later: Self) {
        let newer = |later: Option<u64>, known: Option<u64>| later.filter(|n| *n > 0).or(known).or(later);
        self.input_tokens = newer(later.input_tokens, self.input_tokens);
        self.output_tokens = newer(later.output_tokens, self.output_tokens);
        self.cache_creation_input_tokens = newer(later.cache_creation_input_tokens, self.cache_creation_input_tokens);
        self.cache_read_input_tokens = newer(later.cache_read_input_tokens, self.cache_read_input_tokens);
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

//! The useful parts of the chat API's answers.

use std::borrow::Cow;

use mellea_core::{FinishReason, TokenLogprob, Usage};
use serde::Deserialize;
use serde_json::Value;

use super::super::decode::{lenient, tokens};

/// One event of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StreamEvent<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) index: u64,
    #[serde(borrow)]
    pub(super) delta: Option<Delta<'a>>,
    #[serde(deserialize_with = "lenient")]
    pub(super) logprobs: Option<Scores>,
    /// Of gateways: what went wrong.
    #[serde(deserialize_with = "lenient")]
    pub(super) message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Delta<'a> {
    #[serde(borrow)]
    pub(super) message: Option<DeltaMessage<'a>>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<Cow<'a, str>>,
    #[serde(deserialize_with = "lenient")]
    pub(super) usage: Option<Tokens>,
    #[serde(deserialize_with = "lenient")]
    pub(super) error: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DeltaMessage<'a> {
    /// An object; of `message-start` an empty list.
    #[serde(borrow)]
    pub(super) content: Option<Piece<'a>>,
    #[serde(borrow)]
    pub(super) tool_plan: Option<Cow<'a, str>>,
    /// An object; of `message-start` an empty list.
    #[serde(borrow)]
    pub(super) tool_calls: Option<OneCall<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Piece<'a> {
    One {
        #[serde(borrow, default)]
        text: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        thinking: Option<Cow<'a, str>>,
    },
    Other(serde::de::IgnoredAny),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneCall<'a> {
    One {
        #[serde(borrow, default)]
        id: Option<Cow<'a, str>>,
        #[serde(borrow)]
        function: Function<'a>,
    },
    Other(serde::de::IgnoredAny),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Function<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) arguments: Option<Cow<'a, str>>,
}

/// A whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    #[serde(deserialize_with = "lenient")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) finish_reason: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) message: Value,
    #[serde(deserialize_with = "lenient")]
    pub(super) usage: Option<Tokens>,
    #[serde(deserialize_with = "lenient")]
    pub(super) logprobs: Vec<Scores>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tokens {
    #[serde(deserialize_with = "lenient")]
    tokens: Option<Counts>,
    #[serde(deserialize_with = "tokens")]
    cached_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Counts {
    #[serde(deserialize_with = "tokens")]
    input_tokens: Option<u64>,
    #[serde(deserialize_with = "tokens")]
    output_tokens: Option<u64>,
}

impl Tokens {
    pub(super) fn usage(&self) -> Usage {
        let counts = self.tokens.unwrap_or_default();
        let mut usage = Usage::default();
        usage.prompt_tokens = counts.input_tokens;
        usage.completion_tokens = counts.output_tokens;
        usage.cached_tokens = self.cached_tokens;
        usage
    }
}

/// The scores of the tokens of one piece of text.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Scores {
    text: String,
    logprobs: Vec<f64>,
}

impl Scores {
    /// The wire does not say which part of the text is which token: several have the whole text
    /// with the first.
    pub(super) fn tokens(self) -> impl Iterator<Item = TokenLogprob> {
        let mut text = Some(self.text);
        self.logprobs.into_iter().map(move |logprob| TokenLogprob::new(text.take().unwrap_or_default(), logprob))
    }
}

/// Why the model stopped.
pub(super) fn finish(reason: &str) -> FinishReason {
    match reason {
        "COMPLETE" | "STOP_SEQUENCE" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::Length,
        "TOOL_CALL" => FinishReason::ToolCalls,
        "ERROR_TOXIC" => FinishReason::ContentFilter,
        other => FinishReason::Other(other.to_owned()),
    }
}

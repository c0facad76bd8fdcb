//! The useful parts of the answers of `generateContent`.

use std::borrow::Cow;

use mellea_core::{FinishReason, TokenLogprob, Usage};
use serde::Deserialize;
use serde_json::Value;

use super::super::decode::{lenient, object, tokens};

/// One piece of a streamed answer, or a whole one.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Chunk<'a> {
    #[serde(borrow)]
    pub(super) candidates: Option<Vec<Candidate<'a>>>,
    #[serde(deserialize_with = "object")]
    pub(super) usage_metadata: Option<Tokens>,
    #[serde(borrow)]
    pub(super) model_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) response_id: Option<Cow<'a, str>>,
    #[serde(deserialize_with = "lenient")]
    pub(super) prompt_feedback: Option<Value>,
    #[serde(deserialize_with = "lenient")]
    pub(super) error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    #[serde(borrow)]
    pub(super) content: Option<Content<'a>>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) finish_message: Option<Cow<'a, str>>,
    #[serde(deserialize_with = "lenient")]
    pub(super) index: u64,
    #[serde(deserialize_with = "lenient")]
    pub(super) logprobs_result: Option<Logprobs>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Content<'a> {
    #[serde(borrow)]
    pub(super) parts: Option<Vec<Part<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(borrow)]
    pub(super) text: Option<Cow<'a, str>>,
    pub(super) thought: Option<bool>,
    #[serde(borrow)]
    pub(super) thought_signature: Option<Cow<'a, str>>,
    #[serde(deserialize_with = "lenient")]
    pub(super) function_call: Option<Value>,
    #[serde(deserialize_with = "lenient")]
    pub(super) executable_code: Option<Value>,
    #[serde(deserialize_with = "lenient")]
    pub(super) code_execution_result: Option<Value>,
    #[serde(deserialize_with = "lenient")]
    pub(super) inline_data: Option<Value>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Tokens {
    #[serde(deserialize_with = "tokens")]
    prompt_token_count: Option<u64>,
    #[serde(deserialize_with = "tokens")]
    candidates_token_count: Option<u64>,
    #[serde(deserialize_with = "tokens")]
    thoughts_token_count: Option<u64>,
    #[serde(deserialize_with = "tokens")]
    cached_content_token_count: Option<u64>,
}

impl Tokens {
    /// In the core's terms: there, reasoning is a part of the answer.
    pub(super) fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        usage.prompt_tokens = self.prompt_token_count;
        usage.completion_tokens = match (self.candidates_token_count, self.thoughts_token_count) {
            (None, None) => None,
            (said, thought) => Some(said.unwrap_or(0).saturating_add(thought.unwrap_or(0))),
        };
        usage.cached_tokens = self.cached_content_token_count;
        usage.reasoning_tokens = self.thoughts_token_count;
        usage
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Logprobs {
    chosen_candidates: Vec<Scored>,
    top_candidates: Vec<Top>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Top {
    candidates: Vec<Scored>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Scored {
    token: String,
    log_probability: f64,
}

impl Logprobs {
    pub(super) fn tokens(self) -> Vec<TokenLogprob> {
        let tops = self.top_candidates.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
        let with_top = |(chosen, top): (Scored, Option<Top>)| {
            let mut token = TokenLogprob::new(chosen.token, chosen.log_probability);
            token.top = top.into_iter().flat_map(|top| top.candidates).map(|t| (t.token, t.log_probability)).collect();
            token
        };
        self.chosen_candidates.into_iter().zip(tops).map(with_top).collect()
    }
}

/// Why the model stopped, if that is said.
pub(super) fn finish(reason: &str) -> Option<FinishReason> {
    Some(match reason {
        "" | "FINISH_REASON_UNSPECIFIED" => return None,
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR" => FinishReason::ContentFilter,
        other => FinishReason::Other(other.to_owned()),
    })
}

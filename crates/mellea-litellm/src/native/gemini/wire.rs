//! The useful parts of the answers of `generateContent`.

use std::borrow::Cow;

use mellea_core::{TokenLogprob, Usage};
use mellea_wire::json::{maybe, or_default};
use mellea_wire::objects;
use serde::Deserialize;
use serde_json::Value;

/// One piece of a streamed answer, or a whole one.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Chunk<'a> {
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) candidates: Option<Vec<Candidate<'a>>>,
    #[serde(deserialize_with = "maybe")]
    pub(super) usage_metadata: Option<Tokens>,
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) model_version: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) response_id: Option<Cow<'a, str>>,
    #[serde(deserialize_with = "maybe")]
    pub(super) prompt_feedback: Option<Value>,
    #[serde(deserialize_with = "maybe")]
    pub(super) error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) content: Option<Content<'a>>,
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) finish_message: Option<Cow<'a, str>>,
    #[serde(deserialize_with = "or_default")]
    pub(super) index: u64,
    #[serde(deserialize_with = "maybe")]
    pub(super) logprobs_result: Option<Logprobs>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Content<'a> {
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) parts: Option<Vec<Part<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) text: Option<Cow<'a, str>>,
    #[serde(deserialize_with = "or_default")]
    pub(super) thought: bool,
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) thought_signature: Option<Cow<'a, str>>,
    #[serde(deserialize_with = "maybe")]
    pub(super) function_call: Option<Value>,
    #[serde(deserialize_with = "maybe")]
    pub(super) executable_code: Option<Value>,
    #[serde(deserialize_with = "maybe")]
    pub(super) code_execution_result: Option<Value>,
    #[serde(deserialize_with = "maybe")]
    pub(super) inline_data: Option<Value>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Tokens {
    #[serde(deserialize_with = "maybe")]
    prompt_token_count: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    candidates_token_count: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    thoughts_token_count: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    cached_content_token_count: Option<u64>,
}

impl Tokens {
    /// Later figures replace earlier ones, number by number, but for zeros.
    pub(super) fn update(&mut self, later: Self) {
        let newer = |later: Option<u64>, known: Option<u64>| later.filter(|n| *n > 0).or(known).or(later);
        self.prompt_token_count = newer(later.prompt_token_count, self.prompt_token_count);
        self.candidates_token_count = newer(later.candidates_token_count, self.candidates_token_count);
        self.thoughts_token_count = newer(later.thoughts_token_count, self.thoughts_token_count);
        self.cached_content_token_count = newer(later.cached_content_token_count, self.cached_content_token_count);
    }

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
    #[serde(deserialize_with = "or_default")]
    chosen_candidates: Vec<Scored>,
    #[serde(deserialize_with = "or_default")]
    top_candidates: Vec<Top>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Top {
    #[serde(deserialize_with = "or_default")]
    candidates: Vec<Scored>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Scored {
    #[serde(deserialize_with = "or_default")]
    token: String,
    #[serde(deserialize_with = "maybe")]
    log_probability: Option<f64>,
}

objects!(Candidate<'de>, Content<'de>, Part<'de>, Tokens, Logprobs, Top, Scored);

impl Logprobs {
    /// The tokens whose probability is given.
    pub(super) fn tokens(self) -> Vec<TokenLogprob> {
        let tops = self.top_candidates.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
        let with_top = |(chosen, top): (Scored, Option<Top>)| {
            let mut token = TokenLogprob::new(chosen.token, chosen.log_probability?);
            let top = top.into_iter().flat_map(|top| top.candidates);
            token.top = top.filter_map(|t| Some((t.token, t.log_probability?))).collect();
            Some(token)
        };
        self.chosen_candidates.into_iter().zip(tops).filter_map(with_top).collect()
    }
}

//! The useful parts of the chat API's answers.

use std::borrow::Cow;

use mellea_core::{TokenLogprob, Usage};
use mellea_wire::json::{maybe, or_default};
use mellea_wire::objects;
use serde::Deserialize;
use serde_json::Value;

/// One event of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StreamEvent<'a> {
    #[serde(rename = "type", borrow, deserialize_with = "or_default")]
    pub(super) kind: Cow<'a, str>,
    #[serde(deserialize_with = "maybe")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) index: u64,
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) delta: Option<Delta<'a>>,
    #[serde(deserialize_with = "maybe")]
    pub(super) logprobs: Option<Scores>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Delta<'a> {
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) message: Option<DeltaMessage<'a>>,
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) finish_reason: Option<Cow<'a, str>>,
    #[serde(deserialize_with = "maybe")]
    pub(super) usage: Option<Tokens>,
    #[serde(deserialize_with = "maybe")]
    pub(super) error: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DeltaMessage<'a> {
    /// Of `message-start` it is an empty list.
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) content: Option<Piece<'a>>,
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) tool_plan: Option<Cow<'a, str>>,
    /// Of `message-start` it is an empty list.
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) tool_calls: Option<OneCall<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Piece<'a> {
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) text: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) thinking: Option<Cow<'a, str>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OneCall<'a> {
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "or_default")]
    pub(super) function: Function<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Function<'a> {
    #[serde(borrow, deserialize_with = "maybe")]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(deserialize_with = "maybe")]
    pub(super) arguments: Option<Value>,
}

/// A whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Reply {
    #[serde(deserialize_with = "maybe")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) finish_reason: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) message: Option<Message>,
    #[serde(deserialize_with = "maybe")]
    pub(super) usage: Option<Tokens>,
    #[serde(deserialize_with = "or_default")]
    pub(super) logprobs: Vec<Scores>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    #[serde(deserialize_with = "or_default")]
    pub(super) tool_plan: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) content: Content,
    #[serde(deserialize_with = "or_default")]
    pub(super) tool_calls: Vec<WholeCall>,
}

/// A list of blocks; gateways write a text.
#[derive(Debug, Default)]
pub(super) struct Content(pub(super) Vec<Block>);

impl<'de> mellea_wire::json::Accept<'de> for Content {
    fn text(text: &str) -> Option<Self> {
        Some(Self(vec![Block { text: text.to_owned(), thinking: String::new() }]))
    }

    fn list<A: serde::de::SeqAccess<'de>>(list: A) -> Result<Option<Self>, A::Error> {
        Ok(<Vec<Block> as mellea_wire::json::Accept>::list(list)?.map(Self))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Block {
    #[serde(deserialize_with = "or_default")]
    pub(super) text: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) thinking: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WholeCall {
    #[serde(deserialize_with = "maybe")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) function: WholeFunction,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WholeFunction {
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "maybe")]
    pub(super) arguments: Option<Value>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tokens {
    #[serde(deserialize_with = "maybe")]
    tokens: Option<Counts>,
    #[serde(deserialize_with = "maybe")]
    cached_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Counts {
    #[serde(deserialize_with = "maybe")]
    input_tokens: Option<u64>,
    #[serde(deserialize_with = "maybe")]
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
    #[serde(deserialize_with = "or_default")]
    text: String,
    #[serde(deserialize_with = "or_default")]
    logprobs: Vec<f64>,
}

objects!(
    Delta<'de>,
    DeltaMessage<'de>,
    Piece<'de>,
    OneCall<'de>,
    Function<'de>,
    Message,
    Block,
    WholeCall,
    WholeFunction,
    Tokens,
    Counts,
    Scores,
);

impl Scores {
    /// The wire does not say which part of the text is which token: several have the whole text
    /// with the first.
    pub(super) fn tokens(self) -> Vec<TokenLogprob> {
        let mut text = Some(self.text);
        self.logprobs.into_iter().map(|logprob| TokenLogprob::new(text.take().unwrap_or_default(), logprob)).collect()
    }
}

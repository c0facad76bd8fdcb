//! What the server sends, read leniently: a field that is null or of another type counts as missing.

mod models;

use std::borrow::Cow;

use mellea_core::TokenLogprob;
use mellea_wire::json::{maybe, or_default};
use mellea_wire::{CallPiece, objects};
use serde::Deserialize;
use serde_json::Value;

pub use models::{LocalModel, ModelInfo, PullLine, RunningModel};
pub(crate) use models::{Models, Version};

/// One line of an answer, of `/api/chat` and of `/api/generate`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Chunk<'a> {
    /// The model that answers.
    #[serde(borrow, deserialize_with = "or_default")]
    pub model: Cow<'a, str>,
    /// The next piece of a chat's answer.
    #[serde(deserialize_with = "or_default")]
    pub message: Piece,
    /// The next piece of a raw completion.
    #[serde(deserialize_with = "or_default")]
    pub response: String,
    /// The next piece of the reasoning of a raw completion.
    #[serde(deserialize_with = "or_default")]
    pub thinking: String,
    /// Whether this is the last line.
    #[serde(deserialize_with = "or_default")]
    pub done: bool,
    /// Why it is the last line.
    #[serde(borrow, deserialize_with = "or_default")]
    pub done_reason: Cow<'a, str>,
    /// Tokens of the prompt.
    #[serde(deserialize_with = "maybe")]
    pub prompt_eval_count: Option<u64>,
    /// Tokens of the prompt that were taken from a cache, where the server tells.
    #[serde(deserialize_with = "maybe")]
    pub prompt_eval_cached_count: Option<u64>,
    /// Tokens of the answer.
    #[serde(deserialize_with = "maybe")]
    pub eval_count: Option<u64>,
    /// Nanoseconds in all.
    #[serde(deserialize_with = "maybe")]
    pub total_duration: Option<u64>,
    /// Nanoseconds of loading the model.
    #[serde(deserialize_with = "maybe")]
    pub load_duration: Option<u64>,
    /// Nanoseconds of reading the prompt.
    #[serde(deserialize_with = "maybe")]
    pub prompt_eval_duration: Option<u64>,
    /// Nanoseconds of generating.
    #[serde(deserialize_with = "maybe")]
    pub eval_duration: Option<u64>,
    /// How likely the tokens of this piece were.
    #[serde(deserialize_with = "or_default")]
    pub logprobs: Vec<Logprob>,
    /// An error that the server had after it had begun to answer.
    #[serde(deserialize_with = "maybe")]
    pub error: Option<Value>,
}

/// The next piece of a chat's answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Piece {
    /// Text.
    #[serde(deserialize_with = "or_default")]
    pub content: String,
    /// Reasoning.
    #[serde(deserialize_with = "or_default")]
    pub thinking: String,
    /// Tool calls, each complete.
    #[serde(deserialize_with = "or_default")]
    pub tool_calls: Vec<Call>,
}

/// A tool call.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Call {
    /// Its id, where the server gives one.
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    /// What is called.
    #[serde(deserialize_with = "or_default")]
    pub function: Function,
}

/// What a tool call calls.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Function {
    /// The tool's name.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// The arguments: an object, or its text.
    #[serde(deserialize_with = "maybe")]
    pub arguments: Option<Value>,
}

/// How likely a token was.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Logprob {
    /// The token.
    #[serde(deserialize_with = "or_default")]
    pub token: String,
    /// The natural logarithm of its probability.
    #[serde(deserialize_with = "maybe")]
    pub logprob: Option<f64>,
    /// What else could have stood there.
    #[serde(deserialize_with = "or_default")]
    pub top_logprobs: Vec<Self>,
}

objects!(Piece, Call, Function, Logprob);

impl From<Call> for CallPiece {
    fn from(call: Call) -> Self {
        let Function { name, arguments } = call.function;
        Self { index: None, id: Some(call.id), name: Some(name), arguments, extra: None }
    }
}

impl Logprob {
    /// The figure in the core's form; `None` if there is none.
    pub(crate) fn token(self) -> Option<TokenLogprob> {
        let mut token = TokenLogprob::new(self.token, self.logprob?);
        token.top = self.top_logprobs.into_iter().filter_map(|other| Some((other.token, other.logprob?))).collect();
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_wrong_kind_count_as_missing() {
        let odd = r#"{"model":null,"message":{"content":null,"thinking":7,"tool_calls":[{"function":{"name":"f","arguments":"{}"}},
            "x",{"id":3,"function":null}]},"done":"yes","done_reason":[1,{"a":2}],"prompt_eval_count":"12","eval_count":3.0,
            "total_duration":-1,"load_duration":1.5,"logprobs":{"a":[1]},"unknown":{"deep":[[]]}}"#;
        let chunk: Chunk<'_> = serde_json::from_str(odd).unwrap();
        assert_eq!((chunk.model.as_ref(), chunk.message.content.as_str(), chunk.done), ("", "", false));
        assert_eq!((chunk.prompt_eval_count, chunk.eval_count, chunk.total_duration), (Some(12), Some(3), None));
        assert_eq!(chunk.message.tool_calls.len(), 2);
        assert_eq!(chunk.message.tool_calls[0].function.name, "f");
        assert!(chunk.logprobs.is_empty() && chunk.load_duration.is_none() && chunk.error.is_none());
    }

    #[test]
    fn short_fields_are_borrowed() {
        let chunk: Chunk<'_> = serde_json::from_str(r#"{"model":"m","done_reason":"stop"}"#).unwrap();
        assert!(matches!((chunk.model, chunk.done_reason), (Cow::Borrowed("m"), Cow::Borrowed("stop"))));
    }
}

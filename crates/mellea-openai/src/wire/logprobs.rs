//! How likely tokens were, in the form of chats and of raw completions.

use mellea_core::TokenLogprob;
use mellea_wire::json::{Accept, Tolerant, maybe, or_default};
use mellea_wire::objects;
use serde::Deserialize;
use serde::de::MapAccess;

/// How likely tokens were: the form of chats in `content`, that of raw completions in the other fields.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Logprobs {
    /// One entry for each token.
    #[serde(deserialize_with = "or_default")]
    pub content: Vec<TokenEntry>,
    /// The tokens' texts.
    #[serde(deserialize_with = "or_default")]
    pub tokens: Vec<String>,
    /// Their logarithms; `null` for a first token of the prompt.
    #[serde(deserialize_with = "or_default")]
    pub token_logprobs: Vec<Nullable>,
    /// Other tokens with theirs.
    #[serde(deserialize_with = "or_default")]
    pub top_logprobs: Vec<Alternatives>,
}

/// A number that may be missing, and keeps its place in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Nullable(pub Option<f64>);

/// Tokens, each with the logarithm of its probability.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alternatives(pub Vec<(String, f64)>);

/// A token with the logarithm of its probability.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TokenEntry {
    /// The token's text.
    #[serde(deserialize_with = "maybe")]
    pub token: Option<String>,
    /// The logarithm.
    #[serde(deserialize_with = "maybe")]
    pub logprob: Option<f64>,
    /// Other tokens.
    #[serde(deserialize_with = "or_default")]
    pub top_logprobs: Vec<Self>,
}

objects!(Logprobs, TokenEntry);

impl<'de> Accept<'de> for Nullable {
    fn null() -> Option<Self> {
        Some(Self(None))
    }

    fn unsigned(number: u64) -> Option<Self> {
        Some(Self(Some(number as f64)))
    }

    fn float(number: f64) -> Option<Self> {
        Some(Self(Some(number)))
    }
}

impl<'de> Accept<'de> for Alternatives {
    fn null() -> Option<Self> {
        Some(Self::default())
    }

    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        let mut all = Vec::new();
        while let Some(token) = object.next_key::<String>()? {
            if let Some(logprob) = object.next_value_seed(Tolerant::<f64>::new())? {
                all.push((token, logprob));
            }
        }
        Ok(Some(Self(all)))
    }
}

impl Logprobs {
    /// The figures in the core's form, in the order of the tokens. Tokens without a figure are left out.
    #[must_use]
    pub fn tokens(self) -> Vec<TokenLogprob> {
        if !self.content.is_empty() {
            return self.content.into_iter().filter_map(TokenEntry::token).collect();
        }
        let mut top = self.top_logprobs.into_iter();
        let logprobs = self.token_logprobs.into_iter().map(|n| n.0).chain(std::iter::repeat(None));
        let with = |(token, logprob): (String, Option<f64>)| {
            let top = top.next().unwrap_or_default().0;
            let mut token = TokenLogprob::new(token, logprob?);
            token.top = top;
            token.top.sort_by(|a, b| b.1.total_cmp(&a.1));
            Some(token)
        };
        self.tokens.into_iter().zip(logprobs).filter_map(with).collect()
    }
}

impl TokenEntry {
    fn token(self) -> Option<TokenLogprob> {
        let mut token = TokenLogprob::new(self.token.unwrap_or_default(), self.logprob?);
        let pair = |entry: Self| Some((entry.token.unwrap_or_default(), entry.logprob?));
        token.top = self.top_logprobs.into_iter().filter_map(pair).collect();
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Vec<TokenLogprob> {
        serde_json::from_str::<Logprobs>(json).unwrap().tokens()
    }

    #[test]
    fn both_forms_come_to_the_same() {
        let chat = r#"{"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"a","logprob":-0.5},{"token":"b","logprob":-1}]}]}"#;
        let raw = r#"{"tokens":["a"],"token_logprobs":[-0.5],"top_logprobs":[{"b":-1,"a":-0.5}],"text_offset":[0]}"#;
        let mut token = TokenLogprob::new("a", -0.5);
        token.top = vec![("a".to_owned(), -0.5), ("b".to_owned(), -1.0)];
        assert_eq!(read(chat), std::slice::from_ref(&token));
        assert_eq!(read(raw), [token]);
    }

    #[test]
    fn what_is_missing_is_left_out() {
        let tokens = read(r#"{"tokens":["a","b","c"],"token_logprobs":[null,-1],"top_logprobs":[null,{"x":-2,"y":"no"}]}"#);
        assert_eq!(tokens.iter().map(|t| (t.token.as_str(), t.logprob)).collect::<Vec<_>>(), [("b", -1.0)]);
        assert_eq!(tokens[0].top, [("x".to_owned(), -2.0)]);
        assert!(read(r#"{"content":null,"tokens":7}"#).is_empty());
        let tokens = read(r#"{"content":[{"token":"a","logprob":"NaN"},{"token":"b","logprob":"-1.5"}]}"#);
        assert_eq!(tokens, [TokenLogprob::new("b", -1.5)], "what is not a number is missing");
    }
}

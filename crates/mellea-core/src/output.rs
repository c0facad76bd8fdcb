//! What a model answered: the text, and all that is known about how it came to be.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::message::{Message, ToolCall};

/// A finished answer of a model, with its metadata.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelOutput {
    /// The answer's text, without any reasoning.
    pub text: String,
    /// The reasoning that came before the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// The tool calls, in the model's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Why the model stopped.
    pub finish: FinishReason,
    /// The tokens used, as far as the provider says.
    #[serde(default)]
    pub usage: Usage,
    /// The provider's name.
    #[serde(default)]
    pub provider: String,
    /// The model that answered, as the provider names it.
    #[serde(default)]
    pub model: String,
    /// The provider's id of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    /// What was asked for and not honoured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// From the start of the request to the first piece of text, thinking or tool call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_first_token: Option<Duration>,
    /// From the start of the request to its end.
    #[serde(default)]
    pub latency: Duration,
    /// What the provider sent, where the backend keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Value>,
    /// How likely each generated token was, where the backend was asked for it and has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logprobs: Vec<TokenLogprob>,
    /// What the provider wants back with this turn, such as signatures of its reasoning: an object
    /// with one entry for each wire. It is kept in the conversation on turns that call tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Arc<Value>>,
    /// The raw scores of each generated token, one row of vocabulary size per token, where
    /// [`ModelOption::RawLogits`](crate::ModelOption::RawLogits) or
    /// [`Logits`](crate::ModelOption::Logits) was asked for and the backend has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logits: Option<Vec<Vec<f32>>>,
}

impl ModelOutput {
    /// An answer with this text, finished normally.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// All text so far was reasoning.
    pub(crate) fn rethink(&mut self) {
        let text = std::mem::take(&mut self.text);
        self.thinking.get_or_insert_default().push_str(&text);
    }

    /// Whether there is neither text nor a tool call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty() && self.tool_calls.is_empty()
    }
}

impl From<&ModelOutput> for Message {
    /// The answer as a turn of the conversation. Reasoning goes along only with tool calls.
    fn from(output: &ModelOutput) -> Self {
        let (thinking, replay) =
            if output.tool_calls.is_empty() { (None, None) } else { (output.thinking.clone(), output.replay.clone()) };
        Self { thinking, replay, tool_calls: output.tool_calls.clone(), ..Self::assistant(output.text.as_str()) }
    }
}

/// How likely one generated token was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TokenLogprob {
    /// The token's text.
    pub token: String,
    /// The natural logarithm of its probability.
    pub logprob: f64,
    /// Other tokens that could have stood there, the likeliest first, each with its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<(String, f64)>,
}

impl TokenLogprob {
    /// A token with the logarithm of its probability.
    pub fn new(token: impl Into<String>, logprob: f64) -> Self {
        Self { token: token.into(), logprob, top: Vec::new() }
    }
}

/// Why a model stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// It had finished, or met a stop sequence.
    #[default]
    Stop,
    /// It reached the limit on tokens.
    Length,
    /// It wants tools to be called.
    ToolCalls,
    /// The provider's filter cut the answer.
    ContentFilter,
    /// Another reason, in the provider's words.
    Other(String),
}

/// Tokens used. A number is `None` where the provider does not say, which is not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer, reasoning included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<u64>,
    /// Tokens of the prompt that were taken from a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Tokens of the answer that were reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
}

impl Usage {
    /// The usage of a prompt and an answer.
    #[must_use]
    pub fn new(prompt_tokens: u64, completion_tokens: u64) -> Self {
        Self { prompt_tokens: Some(prompt_tokens), completion_tokens: Some(completion_tokens), ..Self::default() }
    }

    /// Prompt and answer together; `None` if neither is known.
    #[must_use]
    pub fn total_tokens(&self) -> Option<u64> {
        sum(self.prompt_tokens, self.completion_tokens)
    }

    /// Takes over each number that `later` knows: providers send snapshots, not increments.
    pub fn update(&mut self, later: Self) {
        self.prompt_tokens = later.prompt_tokens.or(self.prompt_tokens);
        self.completion_tokens = later.completion_tokens.or(self.completion_tokens);
        self.cached_tokens = later.cached_tokens.or(self.cached_tokens);
        self.reasoning_tokens = later.reasoning_tokens.or(self.reasoning_tokens);
    }
}

impl std::ops::Add for Usage {
    type Output = Self;

    /// The usage of two calls together; unknown stays unknown only if neither knows.
    fn add(self, other: Self) -> Self {
        Self {
            prompt_tokens: sum(self.prompt_tokens, other.prompt_tokens),
            completion_tokens: sum(self.completion_tokens, other.completion_tokens),
            cached_tokens: sum(self.cached_tokens, other.cached_tokens),
            reasoning_tokens: sum(self.reasoning_tokens, other.reasoning_tokens),
        }
    }
}

impl std::iter::Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), |a, b| a + b)
    }
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (None, None) => None,
        (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
    }
}

/// Something that was asked for and not honoured, or honoured in another way.
///
/// Warnings are on every [`ModelOutput`]; [`SessionBuilder::strict`](crate::SessionBuilder::strict)
/// turns them into errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Warning {
    /// The backend has no such option; it was left out.
    UnsupportedOption {
        /// The option.
        option: String,
        /// Who cannot honour it.
        provider: String,
    },
    /// The same setting was given twice in one set of options; the second was used.
    ConflictingOption {
        /// The one that was dropped, a backend's own name.
        dropped: String,
        /// The one that was used.
        used: String,
    },
    /// The schema was not enforced while generating, only checked afterwards.
    Unconstrained {
        /// Why.
        reason: String,
    },
    /// The JSON was taken out of other text, or written almost as JSON.
    LenientJson {
        /// What surrounded it.
        reason: String,
    },
    /// The answer was cut and taken all the same, see [`CutPolicy`](crate::sampling::CutPolicy).
    Cut {
        /// What cut it.
        reason: String,
    },
    /// Anything else that was asked for and not honoured.
    Other {
        /// What.
        message: String,
    },
    /// Something about the answer that is good to know, although everything asked for was done.
    Note {
        /// What.
        message: String,
    },
}

impl Warning {
    /// Whether something that was asked for was not honoured, as opposed to a note about the answer
    /// or a setting that was given twice.
    /// [`SessionBuilder::strict`](crate::SessionBuilder::strict) turns such warnings into errors.
    #[must_use]
    pub const fn is_unhonoured(&self) -> bool {
        match self {
            Self::UnsupportedOption { .. } | Self::Unconstrained { .. } | Self::Other { .. } => true,
            Self::ConflictingOption { .. } | Self::LenientJson { .. } | Self::Cut { .. } | Self::Note { .. } => false,
        }
    }
}

/// A warning's part on one line.
fn line(text: &str) -> std::borrow::Cow<'_, str> {
    crate::text::short_line(text, 2 << 10)
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnsupportedOption { option, provider } => {
                write!(f, "{} has no option `{}`; it was left out", line(provider), line(option))
            }
            Self::ConflictingOption { dropped, used } => {
                let (dropped, used) = (line(dropped), line(used));
                write!(f, "`{dropped}` and `{used}` mean the same; `{used}` was used")
            }
            Self::Unconstrained { reason } => write!(f, "the schema was not enforced while generating: {}", line(reason)),
            Self::LenientJson { reason } => write!(f, "the JSON was taken out of other text: {}", line(reason)),
            Self::Cut { reason } => write!(f, "the answer is not whole: {}", line(reason)),
            Self::Other { message } | Self::Note { message } => f.write_str(&line(message)),
        }
    }
}

//! What a server has taught by refusing: one change each, made once and remembered.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use mellea_core::{Error, Warning};
use mellea_http::error::refuses_schema;
use serde_json::{Map, Value};

use crate::dialect::{Dialect, SchemaPolicy};

/// The fields that a request can do without: a server that refuses one is asked again without it.
const OPTIONAL: [&str; 38] = [
    "chat_template_kwargs",
    "enable_thinking",
    "frequency_penalty",
    "grammar",
    "include_reasoning",
    "keep_alive",
    "logit_bias",
    "logprobs",
    "metadata",
    "min_p",
    "min_tokens",
    "mirostat",
    "modalities",
    "n_probs",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "reasoning",
    "reasoning_effort",
    "reasoning_format",
    "repeat_penalty",
    "repetition_penalty",
    "safety_identifier",
    "seed",
    "service_tier",
    "skip_special_tokens",
    "stop",
    "store",
    "stream_options",
    "temperature",
    "thinking",
    "tool_choice",
    "top_k",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
];

/// The words for an effort, the least first.
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// What a backend has learned of its server since it was built.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    flags: AtomicU8,
    refused: AtomicU64,
    efforts: AtomicU8,
}

/// What was known of the server when a request was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Learned {
    flags: u8,
    /// Which of the [`OPTIONAL`] fields are refused.
    refused: u64,
    /// Which of the [`EFFORTS`] are taken; none if that is not known.
    efforts: u8,
}

impl Learned {
    /// The limit on tokens goes by its other name.
    pub(crate) const OTHER_TOKEN_FIELD: Self = Self::flag(1);
    /// Schemas are taken in their simplest form only.
    pub(crate) const SIMPLE_SCHEMA: Self = Self::flag(2);
    /// Schemas must have the strict form.
    pub(crate) const STRICT_SCHEMA: Self = Self::flag(8);
    /// Schemas are taken only with `strict: false`.
    pub(crate) const LOOSE_SCHEMA: Self = Self::flag(16);
    /// Schemas are refused altogether.
    pub(crate) const NO_SCHEMA: Self = Self::flag(32);
    /// A raw completion takes one prompt.
    pub(crate) const ONE_PROMPT: Self = Self::flag(64);
    /// Reasoning comes without its encrypted form.
    pub(crate) const NO_ENCRYPTED_REASONING: Self = Self::flag(128);

    const fn flag(flags: u8) -> Self {
        Self { flags, refused: 0, efforts: 0 }
    }

    /// Without this field, if it is one that a request can do without.
    fn without(field: &str) -> Option<Self> {
        let at = OPTIONAL.iter().position(|name| *name == field)?;
        Some(Self { refused: 1 << at, ..Self::default() })
    }

    pub(crate) const fn has(self, other: Self) -> bool {
        self.flags & other.flags != 0
    }

    const fn with(self, other: Self) -> Self {
        // The server's last word on efforts counts.
        let efforts = if other.efforts == 0 { self.efforts } else { other.efforts };
        Self { flags: self.flags | other.flags, refused: self.refused | other.refused, efforts }
    }

    /// The fields that the server refuses.
    pub(crate) fn refused(self) -> impl Iterator<Item = &'static str> {
        OPTIONAL.into_iter().enumerate().filter(move |(at, _)| self.refused & (1 << at) != 0).map(|(_, name)| name)
    }

    /// The word for an effort that the server takes and that comes nearest to this one: a lower one before a higher.
    pub(crate) fn effort(self, word: &'static str) -> &'static str {
        let Some(wanted) = EFFORTS.iter().position(|effort| *effort == word).filter(|_| self.efforts != 0) else { return word };
        let taken = |at: &usize| self.efforts & (1 << at) != 0;
        let nearest = (0..=wanted).rev().find(taken).or_else(|| (wanted..EFFORTS.len()).find(taken));
        nearest.and_then(|at| EFFORTS.get(at)).copied().unwrap_or(word)
    }

    /// The dialect as it turned out to be.
    pub(crate) fn apply(self, mut dialect: Dialect) -> Dialect {
        if self.has(Self::OTHER_TOKEN_FIELD) {
            dialect.token_field = dialect.token_field.other();
        }
        if self.has(Self::STRICT_SCHEMA) && dialect.schema == SchemaPolicy::Plain {
            dialect.schema = SchemaPolicy::Strict;
        }
        if self.has(Self::NO_SCHEMA)
            && matches!(dialect.schema, SchemaPolicy::Strict | SchemaPolicy::Plain | SchemaPolicy::Grammar)
        {
            dialect.schema = SchemaPolicy::JsonObject;
        }
        dialect
    }
}

impl Memory {
    pub(crate) fn now(&self) -> Learned {
        Learned {
            flags: self.flags.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            efforts: self.efforts.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn remember(&self, learned: Learned) {
        self.flags.fetch_or(learned.flags, Ordering::Relaxed);
        self.refused.fetch_or(learned.refused, Ordering::Relaxed);
        if learned.efforts != 0 {
            self.efforts.store(learned.efforts, Ordering::Relaxed);
        }
    }

    /// Whether an error is a refusal that may teach something.
    pub(crate) fn may_teach(error: &Error) -> bool {
        matches!(error.status(), Some(400 | 422)) || refuses_schema(error)
    }

    /// What a refusal teaches about a request that was made knowing `known`, if anything: then the same call is
    /// worth one more request. It is to be remembered once it turned out to be true.
    pub(crate) fn learn(
        known: Learned,
        dialect: &Dialect,
        sent: &Map<String, Value>,
        error: &Error,
    ) -> Option<(Learned, Warning)> {
        if !Self::may_teach(error) {
            return None;
        }
        let said = error.response()?;
        let text =
            format!("{} {} {}", said.code.as_deref().unwrap_or_default(), said.message, said.body.as_deref().unwrap_or_default());
        let text = text.to_lowercase();
        if refuses_schema(error) && known.apply(*dialect).schema == SchemaPolicy::Grammar && !known.has(Learned::SIMPLE_SCHEMA) {
            let message =
                "the server does not take this schema; a simpler form is sent from now on, and all of it is checked here";
            return Some((known.with(Learned::SIMPLE_SCHEMA), Warning::Unconstrained { reason: message.to_owned() }));
        }
        let (flag, message) = lesson(known, &known.apply(*dialect), &|field| sent.contains_key(field), &text)?;
        tracing::info!(target: "mellea::openai", provider = dialect.name, message = &*message, "learned from a refusal");
        Some((known.with(flag), Warning::Other { message: message.into_owned() }))
    }
}

/// Whether a server says that it takes one prompt, and not a list.
pub(crate) fn refuses_lists(error: &Error) -> bool {
    let Some(said) = error.response().filter(|_| matches!(error.status(), Some(400 | 422 | 500))) else { return false };
    let text = format!("{} {}", said.message, said.body.as_deref().unwrap_or_default()).to_lowercase();
    let of_form =
        ["unmarshal", "be a string", "valid string", "string_type", "type string"].iter().any(|words| text.contains(words));
    mentions(&text, "prompt") && (of_form || mentions(&text, "array") || mentions(&text, "list"))
}

/// Words that say that a field itself is not wanted, and not its value.
const UNWANTED: [&str; 16] = [
    "unsupported",
    "not supported",
    "does not support",
    "doesn't support",
    "not permitted",
    "not allowed",
    "unrecognized",
    "unknown",
    "unexpected",
    "extra_forbidden",
    "extra inputs",
    "additional properties",
    "not a valid parameter",
    "is deprecated",
    "only supported",
    "unavailable",
];

fn lesson(known: Learned, dialect: &Dialect, sent: &dyn Fn(&str) -> bool, text: &str) -> Option<(Learned, Cow<'static, str>)> {
    let unwanted = UNWANTED.iter().any(|word| text.contains(word));
    let names = |field: &str| sent(field) && mentions(text, field);
    if unwanted && !known.has(Learned::OTHER_TOKEN_FIELD) && names(dialect.token_field.as_str()) {
        return Some((
            Learned::OTHER_TOKEN_FIELD,
            "the server takes the limit on tokens by another name; it is used from now on".into(),
        ));
    }
    let efforts = accepted_efforts(text);
    if efforts != 0 && efforts != known.efforts && (names("reasoning_effort") || names("reasoning")) {
        let learned = Learned { efforts, ..Learned::default() };
        let words: Vec<&str> =
            EFFORTS.into_iter().enumerate().filter(|(at, _)| efforts & (1 << at) != 0).map(|(_, w)| w).collect();
        let message =
            format!("the model takes only these words for its effort: {}; the nearest is used from now on", words.join(", "));
        return Some((learned, message.into()));
    }
    let schema = ["response_format", "additionalproperties", "json_schema", "text.format", "invalid schema"];
    if sent("include") && (text.contains("encrypted content") || text.contains("encrypted_content")) {
        return Some((
            Learned::NO_ENCRYPTED_REASONING,
            "the model has no encrypted reasoning; it is not asked for from now on, and reasoning is not sent back".into(),
        ));
    }
    let asked = sent("response_format") || sent("text");
    if !asked || !schema.iter().any(|word| text.contains(word)) {
        return unwanted_field(known, &names, text).filter(|_| unwanted);
    }
    // What is wrong is the schema, and not that there is one.
    let form = ["additionalproperties", "strict", "invalid schema", "invalid_json_schema", "is not permitted", "'required'"];
    let of_form = form.iter().any(|word| text.contains(word));
    match dialect.schema {
        SchemaPolicy::Plain if of_form => {
            Some((Learned::STRICT_SCHEMA, "the server takes schemas in their strict form only; it is used from now on".into()))
        }
        SchemaPolicy::Strict if of_form && !known.has(Learned::LOOSE_SCHEMA) => Some((
            Learned::LOOSE_SCHEMA,
            "the server takes this schema with `strict: false` only, and may not enforce it; so from now on".into(),
        )),
        SchemaPolicy::Strict | SchemaPolicy::Plain | SchemaPolicy::Grammar if unwanted => {
            Some((Learned::NO_SCHEMA, "the server takes no schema; it is asked for any JSON object from now on".into()))
        }
        _ => None,
    }
}

/// The field that a refusal names and that the request can do without: the first one named.
fn unwanted_field(known: Learned, names: &dyn Fn(&str) -> bool, text: &str) -> Option<(Learned, Cow<'static, str>)> {
    let open = OPTIONAL.into_iter().filter(|field| names(field) && known.refused().all(|refused| refused != *field));
    let field = open.min_by_key(|field| text.find(field).unwrap_or(usize::MAX))?;
    let learned = Learned::without(field)?;
    let message = match field {
        "stream_options" => "the server takes no `stream_options`; streams may come without figures of usage from now on".into(),
        _ => format!("the server takes no `{field}`; it is left out from now on").into(),
    };
    Some((learned, message))
}

/// The words for an effort that a refusal lists as those it takes, one bit each.
fn accepted_efforts(text: &str) -> u8 {
    let lists = ["supported values", "supported value", "must be one of", "allowed values", "valid values", "one of", "expected"];
    let Some(rest) = lists.iter().find_map(|words| text.split_once(words)).map(|(_, rest)| rest) else { return 0 };
    let mut found = 0;
    for word in rest.split(|c: char| !c.is_ascii_alphanumeric()) {
        if let Some(at) = EFFORTS.iter().position(|effort| *effort == word) {
            found |= 1 << at;
        }
    }
    found
}

/// Whether a field is named as a word of its own: `max_tokens` is no part of `model_max_tokens`.
fn mentions(text: &str, field: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(field).any(|(at, _)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let after = text.get(at + field.len()..).and_then(|t| t.chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taught(dialect: &Dialect, known: Learned, text: &str) -> Option<Learned> {
        lesson(known, &known.apply(*dialect), &|_| true, &text.to_lowercase()).map(|(flag, _)| flag)
    }

    #[test]
    fn refusals_teach() {
        for (dialect, text, learned) in [
            (
                Dialect::GENERIC,
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                Learned::OTHER_TOKEN_FIELD,
            ),
            (
                Dialect::OPENAI,
                r#"{"detail":[{"type":"extra_forbidden","loc":["body","max_completion_tokens"],"msg":"Extra inputs are not permitted"}]}"#,
                Learned::OTHER_TOKEN_FIELD,
            ),
            (
                Dialect::GENERIC,
                "Unrecognized request argument supplied: stream_options",
                Learned::without("stream_options").unwrap(),
            ),
            (
                Dialect::OPENAI,
                "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.",
                Learned::without("temperature").unwrap(),
            ),
            (
                Dialect::VLLM,
                "Invalid schema for response_format 'City': In context=(), 'additionalProperties' is required to be supplied and to be false.",
                Learned::STRICT_SCHEMA,
            ),
            (
                Dialect::OPENAI,
                "Invalid schema for response_format 'City': In context=('properties', 'n'), 'minimum' is not permitted.",
                Learned::LOOSE_SCHEMA,
            ),
            (Dialect::GENERIC, "This response_format type is unavailable now", Learned::NO_SCHEMA),
            (Dialect::GENERIC, "This model does not support response format `json_schema`.", Learned::NO_SCHEMA),
        ] {
            assert_eq!(taught(&dialect, Learned::default(), text), Some(learned), "{text}");
        }
    }

    #[test]
    fn any_field_that_can_be_done_without_is_left_out() {
        for (text, field) in [
            (
                r#"{"detail":[{"type":"extra_forbidden","loc":["body","chat_template_kwargs"],"msg":"Extra inputs are not permitted"}]}"#,
                "chat_template_kwargs",
            ),
            ("unsupported parameter: top_k", "top_k"),
            ("`seed` is not supported", "seed"),
            ("Unknown field `stop`", "stop"),
            ("tool_choice: named tool choice is not supported by this model", "tool_choice"),
        ] {
            assert_eq!(taught(&Dialect::GENERIC, Learned::default(), text), Learned::without(field), "{text}");
            assert_eq!(taught(&Dialect::GENERIC, Learned::without(field).unwrap(), text), None, "once: {text}");
        }
    }

    #[test]
    fn the_words_for_an_effort_are_learned() {
        let text = "Unsupported value: 'reasoning_effort' does not support 'none' with this model. Supported values are: 'minimal', 'low', 'medium', and 'high'.";
        let learned = taught(&Dialect::OPENAI, Learned::default(), text).unwrap();
        assert_eq!(
            ["none", "minimal", "medium", "high"].map(|word| learned.effort(word)),
            ["minimal", "minimal", "medium", "high"]
        );
        assert_eq!(taught(&Dialect::OPENAI, learned, text), Learned::without("reasoning_effort"), "then it is left out");
        let few =
            taught(&Dialect::GENERIC, Learned::default(), "reasoning_effort must be one of low, high; unsupported").unwrap();
        assert_eq!(["none", "medium", "high"].map(|word| few.effort(word)), ["low", "low", "high"]);
        assert_eq!(Learned::default().effort("none"), "none");
    }

    #[test]
    fn the_same_lesson_is_not_taught_twice() {
        let text = "Unsupported parameter: max_tokens and max_completion_tokens are not supported";
        assert_eq!(taught(&Dialect::GENERIC, Learned::OTHER_TOKEN_FIELD, text), None);
        let strict = "invalid schema for response_format: additionalProperties";
        let after = Learned::STRICT_SCHEMA;
        assert_eq!(taught(&Dialect::VLLM, after, strict), Some(Learned::LOOSE_SCHEMA));
        assert_eq!(taught(&Dialect::VLLM, after.with(Learned::LOOSE_SCHEMA), strict), None);
    }

    #[test]
    fn other_refusals_teach_nothing() {
        for text in [
            "max_tokens is too large: 100000. This model allows at most 16384 completion tokens",
            "temperature must be between 0 and 2",
            "unknown parameter: model_max_tokens",
            "messages: at least one message is required",
            "unsupported parameter: foo",
        ] {
            assert_eq!(taught(&Dialect::GENERIC, Learned::default(), text), None, "{text}");
        }
    }
}

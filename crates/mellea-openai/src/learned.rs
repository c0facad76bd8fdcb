//! What a server has taught by refusing: one change each, made once and remembered.

use std::sync::atomic::{AtomicU8, Ordering};

use mellea_core::{Error, Warning};
use serde_json::{Map, Value};

use crate::dialect::{Dialect, SchemaPolicy};

/// What a backend has learned of its server since it was built.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    flags: AtomicU8,
}

/// What was known of the server when a request was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Learned(u8);

impl Learned {
    /// The limit on tokens goes by its other name.
    pub(crate) const OTHER_TOKEN_FIELD: Self = Self(1);
    /// `stream_options` is refused.
    pub(crate) const NO_STREAM_OPTIONS: Self = Self(2);
    /// `temperature` is refused.
    pub(crate) const NO_TEMPERATURE: Self = Self(4);
    /// Schemas must have the strict form.
    pub(crate) const STRICT_SCHEMA: Self = Self(8);
    /// Schemas are taken only with `strict: false`.
    pub(crate) const LOOSE_SCHEMA: Self = Self(16);
    /// Schemas are refused altogether.
    pub(crate) const NO_SCHEMA: Self = Self(32);
    /// A raw completion takes one prompt.
    pub(crate) const ONE_PROMPT: Self = Self(64);
    /// Reasoning comes without its encrypted form.
    pub(crate) const NO_ENCRYPTED_REASONING: Self = Self(128);

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The dialect as it turned out to be.
    pub(crate) fn apply(self, mut dialect: Dialect) -> Dialect {
        if self.has(Self::OTHER_TOKEN_FIELD) {
            dialect.token_field = dialect.token_field.other();
        }
        if self.has(Self::NO_STREAM_OPTIONS) {
            dialect.stream_usage = false;
        }
        if self.has(Self::STRICT_SCHEMA) && dialect.schema == SchemaPolicy::Plain {
            dialect.schema = SchemaPolicy::Strict;
        }
        if self.has(Self::NO_SCHEMA) && matches!(dialect.schema, SchemaPolicy::Strict | SchemaPolicy::Plain) {
            dialect.schema = SchemaPolicy::JsonObject;
        }
        dialect
    }
}

impl Memory {
    pub(crate) fn now(&self) -> Learned {
        Learned(self.flags.load(Ordering::Relaxed))
    }

    pub(crate) fn remember(&self, learned: Learned) {
        self.flags.fetch_or(learned.0, Ordering::Relaxed);
    }

    /// Whether an error is a refusal that may teach something.
    pub(crate) fn may_teach(error: &Error) -> bool {
        matches!(error.status(), Some(400 | 422))
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
        let (flag, message) = lesson(known, &known.apply(*dialect), &|field| sent.contains_key(field), &text)?;
        tracing::info!(target: "mellea::openai", provider = dialect.name, message, "learned from a refusal");
        Some((known.with(flag), Warning::Other { message: message.to_owned() }))
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

fn lesson(known: Learned, dialect: &Dialect, sent: &dyn Fn(&str) -> bool, text: &str) -> Option<(Learned, &'static str)> {
    let unwanted = UNWANTED.iter().any(|word| text.contains(word));
    let names = |field: &str| sent(field) && mentions(text, field);
    if unwanted && !known.has(Learned::OTHER_TOKEN_FIELD) && names(dialect.token_field.as_str()) {
        return Some((
            Learned::OTHER_TOKEN_FIELD,
            "the server takes the limit on tokens by another name; it is used from now on",
        ));
    }
    if unwanted && dialect.stream_usage && names("stream_options") {
        return Some((
            Learned::NO_STREAM_OPTIONS,
            "the server takes no `stream_options`; streams may come without figures of usage from now on",
        ));
    }
    if unwanted && !known.has(Learned::NO_TEMPERATURE) && names("temperature") {
        return Some((Learned::NO_TEMPERATURE, "the model takes no `temperature`; it is left out from now on"));
    }
    let schema = ["response_format", "additionalproperties", "json_schema", "text.format", "invalid schema"];
    if sent("include") && (text.contains("encrypted content") || text.contains("encrypted_content")) {
        return Some((
            Learned::NO_ENCRYPTED_REASONING,
            "the model has no encrypted reasoning; it is not asked for from now on, and reasoning is not sent back",
        ));
    }
    let asked = sent("response_format") || sent("text");
    if !asked || !schema.iter().any(|word| text.contains(word)) {
        return None;
    }
    // What is wrong is the schema, and not that there is one.
    let form = ["additionalproperties", "strict", "invalid schema", "invalid_json_schema", "is not permitted", "'required'"];
    let of_form = form.iter().any(|word| text.contains(word));
    match dialect.schema {
        SchemaPolicy::Plain if of_form => {
            Some((Learned::STRICT_SCHEMA, "the server takes schemas in their strict form only; it is used from now on"))
        }
        SchemaPolicy::Strict if of_form && !known.has(Learned::LOOSE_SCHEMA) => Some((
            Learned::LOOSE_SCHEMA,
            "the server takes this schema with `strict: false` only, and may not enforce it; so from now on",
        )),
        SchemaPolicy::Strict | SchemaPolicy::Plain if unwanted => {
            Some((Learned::NO_SCHEMA, "the server takes no schema; it is asked for any JSON object from now on"))
        }
        _ => None,
    }
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
            (Dialect::GENERIC, "Unrecognized request argument supplied: stream_options", Learned::NO_STREAM_OPTIONS),
            (
                Dialect::OPENAI,
                "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.",
                Learned::NO_TEMPERATURE,
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
            "unsupported parameter: top_k",
        ] {
            assert_eq!(taught(&Dialect::GENERIC, Learned::default(), text), None, "{text}");
        }
    }
}

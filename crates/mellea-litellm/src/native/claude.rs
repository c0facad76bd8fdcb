//! What the versions of Claude can do and how they are asked, on whichever platform.

use mellea_core::{RequestOptions, Thinking, Warning};
use serde_json::{Map, Value, json};

use super::options::{other, set, unsupported};
use super::schema::Limits;

/// The most tokens of an answer where nobody says otherwise and the model's own limit is not known. A budget for
/// thinking comes on top.
const UNKNOWN_MAX_TOKENS: u64 = 4096;

/// The most tokens that the families of models can answer with, thoughts among them, from this version on. With a header
/// for a beta, some can do more.
const MAX_TOKENS: [(&str, (u32, u32), u64); 7] = [
    ("", (2, 0), 4096),
    ("", (3, 5), 8192),
    ("", (3, 7), 64_000),
    ("opus", (4, 0), 32_000),
    ("opus", (4, 5), 64_000),
    ("sonnet", (4, 0), 64_000),
    ("haiku", (4, 0), 64_000),
];

/// What Claude enforces of a schema; the same on every platform.
pub(crate) const LIMITS: Limits = Limits {
    keywords: &["minItems=1"],
    formats: &["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"],
    closed: true,
    recursion: false,
    constants: true,
    all_of: true,
};

/// The least budget for thinking that the interface takes.
const MIN_BUDGET: u64 = 1024;

/// What a Claude model can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// It takes `temperature`, `top_p` and `top_k`; from 4.7 on, models refuse them.
    pub(crate) sampling: bool,
    /// It decides itself how much to think; before 4.6, models want a budget.
    pub(crate) adaptive: bool,
    /// It enforces JSON schemas, from 4.5 on.
    pub(crate) schemas: bool,
    /// It takes either `temperature` or `top_p`, from 4.1 on.
    pub(crate) either: bool,
    /// The most tokens that it can answer with, if that is known.
    pub(crate) max_tokens: Option<u64>,
}

/// What this model can do. A name that tells no version is taken for that of a recent model that
/// still takes all options.
pub(crate) fn facts(model: &str) -> Facts {
    let name = model.to_ascii_lowercase();
    match version(&name) {
        Some(version) => Facts {
            sampling: version < (4, 7),
            adaptive: version >= (4, 6),
            schemas: version >= (4, 5),
            either: version >= (4, 1),
            max_tokens: max_tokens(&name, version),
        },
        None => {
            let sampling = !name.contains("mythos");
            Facts { sampling, adaptive: true, schemas: true, either: false, max_tokens: None }
        }
    }
}

fn max_tokens(name: &str, version: (u32, u32)) -> Option<u64> {
    if version >= (5, 0) {
        return Some(64_000);
    }
    let of_family = MAX_TOKENS.iter().filter(|(family, from, _)| name.contains(family) && *from <= version);
    of_family.max_by_key(|(_, from, _)| *from).map(|(_, _, tokens)| *tokens)
}

/// The version in names such as `claude-opus-4-7`, `claude-3-5-haiku-20241022` and
/// `us.anthropic.claude-sonnet-4-20250514-v1:0`.
fn version(name: &str) -> Option<(u32, u32)> {
    let (_, rest) = name.rsplit_once("claude-")?;
    let small = |part: &&str| part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit()) && !part.is_empty();
    let mut parts = rest.split(['-', '@', ':', '.', '_']).skip_while(|part| !small(part)).take_while(|part| small(part));
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next().and_then(|minor| minor.parse().ok()).unwrap_or(0);
    Some((major, minor))
}

/// The temperature as the model takes it, if one was set.
pub(crate) fn temperature(
    options: &RequestOptions,
    facts: Facts,
    thinks: bool,
    provider: &str,
    warnings: &mut Vec<Warning>,
) -> Option<f64> {
    let given = options.temperature?;
    // 1 is what every model does by itself.
    if !facts.sampling || thinks {
        if given != 1.0 {
            warnings.push(unsupported("temperature", if thinks { "a model that thinks" } else { "this model" }));
        }
        return None;
    }
    if given > 1.0 {
        warnings.push(other(format!("{provider} takes temperatures up to 1; {given} was sent as 1")));
    }
    Some(given.min(1.0))
}

/// Leaves out `top_p`, under these names, beside a temperature, where a model takes only one of the two.
pub(crate) fn one_of_two(
    facts: Facts,
    model: &str,
    temperature: Option<f64>,
    names: &[&str],
    extra: &mut Map<String, Value>,
    warnings: &mut Vec<Warning>,
) {
    if !facts.either || temperature.is_none() {
        return;
    }
    for name in names {
        if extra.shift_remove(*name).is_some_and(|value| !value.is_null()) {
            warnings.push(other(format!("{model} takes either `temperature` or `top_p`; `{name}` was left out")));
        }
    }
}

/// How a model is asked to think, and how long its answer may be.
#[derive(Debug, Default)]
pub(crate) struct ThinkingFields {
    pub(crate) field: Option<Value>,
    pub(crate) effort: Option<&'static str>,
    /// The most tokens of the answer, thoughts among them.
    pub(crate) max_tokens: u64,
}

impl ThinkingFields {
    /// Whether the model is to think.
    pub(crate) fn is_on(&self) -> bool {
        self.field.as_ref().is_some_and(|field| field["type"] != "disabled")
    }
}

/// How this model is asked to think as is wished.
pub(crate) fn thinking(facts: Facts, options: &RequestOptions, warnings: &mut Vec<Warning>) -> ThinkingFields {
    let limit = options.max_new_tokens.or(facts.max_tokens);
    let max_tokens = |budget: u64| limit.unwrap_or(UNKNOWN_MAX_TOKENS + budget);
    let none = || ThinkingFields { max_tokens: max_tokens(0), ..ThinkingFields::default() };
    let Some(wish) = options.thinking else { return none() };
    let effort = match wish {
        Thinking::Off => return ThinkingFields { field: Some(json!({"type": "disabled"})), ..none() },
        Thinking::On => None,
        Thinking::Low => Some("low"),
        Thinking::High => Some("high"),
        _ => Some("medium"),
    };
    if facts.adaptive {
        // Models from 4.7 on keep their thoughts to themselves unless asked.
        let mut field = json!({"type": "adaptive"});
        if !facts.sampling {
            set(&mut field, "display", "summarized");
        }
        return ThinkingFields { field: Some(field), effort, max_tokens: max_tokens(UNKNOWN_MAX_TOKENS) };
    }
    let budget = match wish {
        Thinking::Low => MIN_BUDGET,
        Thinking::High => 4 * MIN_BUDGET,
        _ => 2 * MIN_BUDGET,
    };
    // Thoughts count as part of the answer, and something must be left for it.
    let budget = match limit {
        Some(limit) if limit <= MIN_BUDGET => {
            warnings
                .push(other(format!("thinking takes {MIN_BUDGET} tokens and more; it was left out, as {limit} is the limit")));
            return none();
        }
        Some(limit) => budget.min(limit - 1),
        None => budget,
    };
    let field = Some(json!({"type": "enabled", "budget_tokens": budget}));
    ThinkingFields { field, effort: None, max_tokens: max_tokens(budget) }
}

/// The stop sequences as Claude takes them: white space alone is refused.
pub(crate) fn stops(options: &RequestOptions, provider: &str, warnings: &mut Vec<Warning>) -> Option<Value> {
    let stops: Vec<_> = options.stop_sequences.iter().filter(|text| !text.trim().is_empty()).collect();
    if stops.len() < options.stop_sequences.len() {
        warnings.push(other(format!("{provider} does not stop at white space alone; such stop sequences were left out")));
    }
    (!stops.is_empty()).then(|| json!(stops))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_names() {
        for (name, expected) in [
            ("claude-opus-4-7", Some((4, 7))),
            ("claude-3-5-haiku-20241022", Some((3, 5))),
            ("claude-3-haiku-20240307", Some((3, 0))),
            ("us.anthropic.claude-sonnet-4-20250514-v1:0", Some((4, 0))),
            ("anthropic.claude-haiku-4-5-20251001-v1:0", Some((4, 5))),
            ("claude-opus-4-5@20251101", Some((4, 5))),
            ("claude-sonnet-5", Some((5, 0))),
            ("claude-fable-5-1", Some((5, 1))),
            ("claude-2.1", Some((2, 1))),
            ("claude-mythos-preview", None),
            ("my-alias", None),
        ] {
            assert_eq!(version(name), expected, "{name}");
        }
        assert!(!facts("claude-mythos-preview").sampling && facts("my-alias").sampling);
    }

    #[test]
    fn answers_may_be_as_long_as_the_model_can_make_them() {
        for (name, expected) in [
            ("claude-3-haiku-20240307", Some(4096)),
            ("claude-2.1", Some(4096)),
            ("claude-3-opus-20240229", Some(4096)),
            ("claude-3-5-haiku-20241022", Some(8192)),
            ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", Some(8192)),
            ("claude-3-7-sonnet-20250219", Some(64_000)),
            ("claude-opus-4-20250514", Some(32_000)),
            ("claude-opus-4-1-20250805", Some(32_000)),
            ("claude-sonnet-4-20250514", Some(64_000)),
            ("anthropic.claude-haiku-4-5-20251001-v1:0", Some(64_000)),
            ("claude-opus-4-5@20251101", Some(64_000)),
            ("claude-opus-4-7", Some(64_000)),
            ("claude-fable-5-1", Some(64_000)),
            ("my-alias", None),
        ] {
            assert_eq!(facts(name).max_tokens, expected, "{name}");
        }
        let fields = |name, max_new_tokens, wish| {
            let mut options = RequestOptions::default();
            (options.max_new_tokens, options.thinking) = (max_new_tokens, wish);
            thinking(facts(name), &options, &mut Vec::new()).max_tokens
        };
        assert_eq!(fields("my-alias", None, None), 4096);
        assert_eq!(fields("my-alias", None, Some(Thinking::On)), 8192);
        assert_eq!(fields("claude-opus-4-7", None, Some(Thinking::On)), 64_000);
        assert_eq!(fields("claude-opus-4-7", Some(7), None), 7);
    }
}

//! What the versions of Claude can do and how they are asked, on whichever platform.

use mellea_core::{RequestOptions, Thinking, Warning};
use serde_json::{Value, json};

use super::options::{other, set, unsupported};
use super::schema::Limits;

/// The most tokens of an answer unless `ModelOption::MaxNewTokens` says otherwise; the interface
/// wants a number. A budget for thinking comes on top.
pub(crate) const MAX_TOKENS: u64 = 4096;

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
}

/// What this model can do. A name that tells no version is taken for that of a recent model that
/// still takes all options.
pub(crate) fn facts(model: &str) -> Facts {
    let name = model.to_ascii_lowercase();
    match version(&name) {
        Some(version) => Facts { sampling: version < (4, 7), adaptive: version >= (4, 6), schemas: version >= (4, 5) },
        None => Facts { sampling: !name.contains("mythos"), adaptive: true, schemas: true },
    }
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

/// The temperature as the model takes it.
pub(crate) fn temperature(given: f64, facts: Facts, thinks: bool, provider: &str, warnings: &mut Vec<Warning>) -> Option<f64> {
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

/// How a model is asked to think.
#[derive(Debug, Default)]
pub(crate) struct ThinkingFields {
    pub(crate) field: Option<Value>,
    pub(crate) effort: Option<&'static str>,
    /// Tokens that thinking may take on top of the answer's.
    pub(crate) budget: u64,
}

/// How this model is asked to think as is wished.
pub(crate) fn thinking(
    facts: Facts,
    wish: Option<Thinking>,
    max_tokens: Option<u64>,
    warnings: &mut Vec<Warning>,
) -> ThinkingFields {
    let Some(wish) = wish else { return ThinkingFields::default() };
    let effort = match wish {
        Thinking::Off => return ThinkingFields { field: Some(json!({"type": "disabled"})), ..ThinkingFields::default() },
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
        return ThinkingFields { field: Some(field), effort, budget: MAX_TOKENS };
    }
    let budget = match wish {
        Thinking::Low => MIN_BUDGET,
        Thinking::High => 4 * MIN_BUDGET,
        _ => 2 * MIN_BUDGET,
    };
    // Thoughts count as part of the answer, and something must be left for it.
    let budget = match max_tokens {
        Some(limit) if limit <= MIN_BUDGET => {
            warnings
                .push(other(format!("thinking takes {MIN_BUDGET} tokens and more; it was left out, as {limit} is the limit")));
            return ThinkingFields::default();
        }
        Some(limit) => budget.min(limit - 1),
        None => budget,
    };
    ThinkingFields { field: Some(json!({"type": "enabled", "budget_tokens": budget})), effort: None, budget }
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
}

//! Reads the options' values. `None` is a value that the option does not take.

use std::time::Duration;

use serde_json::Value;

use super::{Thinking, ToolChoice};

/// Some thirty years: what is longer is a mistake, and adding it to the time of now must not overflow.
const MAX_SECONDS: f64 = 1e9;

pub(super) fn at_least_zero(value: &Value) -> Option<Option<f64>> {
    value.as_f64().filter(|number| number.is_finite() && *number >= 0.0).map(Some)
}

pub(super) fn unsigned(value: &Value) -> Option<Option<u64>> {
    value.as_u64().map(Some)
}

pub(super) fn positive(value: &Value) -> Option<Option<u64>> {
    value.as_u64().filter(|number| *number > 0).map(Some)
}

/// Seconds; `null` for no limit.
pub(super) fn limit(value: &Value) -> Option<Option<Duration>> {
    if value.is_null() {
        return Some(None);
    }
    let seconds = value.as_f64().filter(|seconds| *seconds > 0.0 && *seconds <= MAX_SECONDS)?;
    Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero()).map(Some)
}

pub(super) fn texts(value: &Value) -> Option<Vec<String>> {
    let texts: Vec<String> = match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => many.iter().map(|text| text.as_str().map(str::to_owned)).collect::<Option<_>>()?,
        _ => return None,
    };
    texts.iter().all(|text| !text.is_empty()).then_some(texts)
}

pub(super) fn thinking(value: &Value) -> Option<Option<Thinking>> {
    match value {
        Value::Bool(on) => Some(Some(if *on { Thinking::On } else { Thinking::Off })),
        Value::String(word) => Thinking::ALL.into_iter().find(|thinking| thinking.word() == word).map(Some),
        _ => None,
    }
}

pub(super) fn tool_choice(value: &Value) -> Option<Option<ToolChoice>> {
    let choice = match value {
        Value::String(word) => match word.as_str() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            _ => return None,
        },
        Value::Object(o) => {
            let name = o.get("tool").or_else(|| o.get("function")?.get("name"))?;
            ToolChoice::Tool(name.as_str()?.to_owned())
        }
        _ => return None,
    };
    Some(Some(choice))
}

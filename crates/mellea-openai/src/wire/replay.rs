//! What a service wants back with a turn that calls tools, gathered while it is read.

use serde_json::{Map, Value};

/// The entry of chat completions in [`ModelOutput::replay`](mellea_core::ModelOutput::replay).
pub(crate) const WIRE: &str = "openai";
/// In it, the field that reasoning came in.
pub(crate) const REASONING: &str = "reasoning";
/// In it, the details of the reasoning, as they came.
pub(crate) const REASONING_DETAILS: &str = "reasoning_details";
/// In it, what belongs to each call, by its id.
pub(crate) const EXTRA_CONTENT: &str = "extra_content";

/// The most details that are kept.
const MAX_DETAILS: usize = 1024;

/// What must go back.
#[derive(Debug, Default)]
pub(super) struct Replay {
    /// The field that reasoning came in.
    field: Option<&'static str>,
    details: Vec<Value>,
}

impl Replay {
    pub(super) fn used(&mut self, field: &'static str) {
        self.field.get_or_insert(field);
    }

    /// Adds details; pieces of the same one are put together.
    pub(super) fn add(&mut self, details: Vec<Value>) {
        for detail in details {
            let room = self.details.len() < MAX_DETAILS;
            match (self.details.last_mut(), detail) {
                (Some(Value::Object(last)), Value::Object(next)) if continues(last, &next) => extend(last, next),
                (_, detail) if room => self.details.push(detail),
                _ => {}
            }
        }
    }

    /// What goes back with calls that have this of their own; nothing if there is nothing.
    pub(super) fn take(&mut self, extra: Map<String, Value>) -> Option<Value> {
        let mut entry = Map::new();
        if let Some(field) = self.field.take() {
            entry.insert(REASONING.to_owned(), field.into());
        }
        if !self.details.is_empty() {
            entry.insert(REASONING_DETAILS.to_owned(), std::mem::take(&mut self.details).into());
        }
        if !extra.is_empty() {
            entry.insert(EXTRA_CONTENT.to_owned(), extra.into());
        }
        (!entry.is_empty()).then(|| Value::Object(Map::from_iter([(WIRE.to_owned(), entry.into())])))
    }
}

/// Whether a detail is the next piece of the last one.
fn continues(last: &Map<String, Value>, next: &Map<String, Value>) -> bool {
    next.get("index").is_some_and(|index| !index.is_null())
        && last.get("index") == next.get("index")
        && last.get("type") == next.get("type")
}

fn extend(last: &mut Map<String, Value>, next: Map<String, Value>) {
    for (name, value) in next {
        match (last.get_mut(&name), value) {
            (Some(Value::String(old)), Value::String(new)) if ["text", "summary", "data"].contains(&name.as_str()) => {
                old.push_str(&new)
            }
            (Some(old), value) if !value.is_null() => *old = value,
            (Some(_), _) => {}
            (None, value) => {
                last.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pieces_of_a_detail_become_one() {
        let mut replay = Replay::default();
        replay.add(vec![json!({"type": "reasoning.text", "text": "a", "index": 0, "signature": null})]);
        replay.add(vec![json!({"type": "reasoning.text", "text": "b", "index": 0, "signature": "s"})]);
        replay.add(vec![
            json!({"type": "reasoning.encrypted", "data": "x", "index": 1}),
            json!({"type": "reasoning.text", "text": "c"}),
        ]);
        replay.add(vec![json!({"type": "reasoning.text", "text": "d"})]);
        replay.used("reasoning");
        let details = json!([
            {"type": "reasoning.text", "text": "ab", "index": 0, "signature": "s"},
            {"type": "reasoning.encrypted", "data": "x", "index": 1},
            {"type": "reasoning.text", "text": "c"},
            {"type": "reasoning.text", "text": "d"},
        ]);
        assert_eq!(replay.take(Map::new()), Some(json!({"openai": {"reasoning": "reasoning", "reasoning_details": details}})));
        assert_eq!(replay.take(Map::new()), None);
    }
}

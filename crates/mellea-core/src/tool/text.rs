//! Calls that a model wrote into its text instead of asking for them.

use crate::message::as_object;
use serde_json::{Map, Value};

use super::ToolCall;
use crate::schema::json_values;

/// The calls in a text: JSON objects with a `name` and `arguments` (or `args`, or `parameters`).
///
/// They are found between prose, in code fences and tags, and at any depth inside other JSON, in
/// the order of the text. Nothing in them is changed. Arguments may be an object, or a text that
/// holds one. Anything else is not a call.
///
/// ```
/// let text = r#"I will look: <tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}}"#;
/// let calls = mellea_core::tool::calls_in_text(text);
/// assert_eq!(calls[0].name, "get_weather");
/// assert_eq!(calls[0].arguments["city"], "Paris");
/// ```
#[must_use]
pub fn calls_in_text(text: &str) -> Vec<ToolCall> {
    let mut calls = Vec::new();
    for found in json_values(text) {
        collect(&found.value, &mut calls);
    }
    calls
}

// The values come out of `serde_json`, which bounds their depth.
fn collect(value: &Value, calls: &mut Vec<ToolCall>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, calls)),
        Value::Object(map) => match call(map) {
            Some(call) => calls.push(call),
            None => map.values().for_each(|member| collect(member, calls)),
        },
        _ => {}
    }
}

fn call(map: &Map<String, Value>) -> Option<ToolCall> {
    let name = map.get("name")?.as_str().filter(|name| !name.is_empty())?;
    let arguments = ["arguments", "args", "parameters"].iter().find_map(|key| map.get(*key))?;
    let arguments = as_object(arguments.clone());
    if !arguments.is_object() {
        return None;
    }
    Some(match map.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()) {
        Some(id) => ToolCall::with_id(id, name, arguments),
        None => ToolCall::new(name, arguments),
    })
}

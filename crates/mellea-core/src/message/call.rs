//! Calls of tools, as data.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One call of a tool, as a model asks for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The call's id, unique in its conversation.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments: an object, or a string with what the model wrote if that is not JSON.
    pub arguments: Value,
}

impl ToolCall {
    /// A call with an id of its own, `call_<n>`, unique in this process.
    ///
    /// Providers send arguments as an object or as its text: a text that holds a JSON object
    /// becomes that object, no text at all the empty object, and any other text is kept.
    pub fn new(name: impl Into<String>, arguments: impl Into<Value>) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let id = format!("call_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        Self::with_id(id, name, arguments)
    }

    /// A call with the id that the provider gave.
    pub fn with_id(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<Value>) -> Self {
        Self { id: id.into(), name: name.into(), arguments: as_object(arguments.into()) }
    }
}

/// Text that holds a JSON object becomes that object; nothing at all becomes an empty one.
pub(crate) fn as_object(arguments: Value) -> Value {
    match arguments {
        Value::Null => Value::Object(Map::new()),
        Value::String(text) if text.trim().is_empty() => Value::Object(Map::new()),
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(object @ Value::Object(_)) => object,
            Ok(Value::Null) => Value::Object(Map::new()),
            _ => Value::String(text),
        },
        other => other,
    }
}

//! Assembles tool calls from the pieces in which servers stream them.

use mellea_core::ToolCall;
use serde_json::{Map, Value};

use super::{Fault, FunctionPart, ToolCallPart};

/// The most calls that one answer may have.
const MAX_CALLS: usize = 256;
/// The most bytes that the arguments of one answer may have.
const MAX_BYTES: usize = 16 << 20;

/// Assembles tool calls from the pieces in which servers stream them.
///
/// A piece belongs to the call of its `index`; without one, to the call of its `id`; without both, to the call
/// that was last begun at its place in the list. A new id together with a name begins a new call even if the index is used, because
/// some servers number every call 0; so does a name after arguments that are complete. An empty name, and one that is
/// repeated, change nothing. Arguments may come as pieces of text or as an object.
///
/// ```
/// use mellea_openai::wire::{ToolCallAccumulator, ToolCallPart};
///
/// let mut calls = ToolCallAccumulator::new();
/// for piece in [
///     r#"{"index": 0, "id": "a", "function": {"name": "add", "arguments": ""}}"#,
///     r#"{"index": 0, "function": {"arguments": "{\"x\":"}}"#,
///     r#"{"index": 0, "function": {"arguments": "1}"}}"#,
/// ] {
///     let piece: ToolCallPart = serde_json::from_str(piece).unwrap();
///     calls.push(piece, 0).unwrap();
/// }
/// let call = &calls.finish()[0];
/// assert_eq!((call.id.as_str(), call.name.as_str(), &call.arguments["x"]), ("a", "add", &1.into()));
/// ```
#[derive(Debug, Default)]
pub struct ToolCallAccumulator {
    calls: Vec<Call>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    position: usize,
    id: String,
    name: String,
    arguments: String,
    /// The arguments came as an object, not as text.
    whole: bool,
    extra: Option<Value>,
}

impl Call {
    /// Whether nothing is missing from the arguments.
    fn is_complete(&self) -> bool {
        let text = self.arguments.trim();
        // Parsing is for texts that may be complete.
        text.ends_with('}') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
    }

    fn add_name(&mut self, name: &str) {
        if name.is_empty() || name == self.name {
            return;
        }
        if self.name.is_empty() || name.starts_with(&self.name) {
            name.clone_into(&mut self.name);
        } else if self.arguments.is_empty() {
            self.name.push_str(name);
        }
    }

    fn add_arguments(&mut self, arguments: Value) {
        match arguments {
            Value::Null => {}
            Value::String(text) if text.is_empty() => {}
            Value::String(text) => {
                if std::mem::take(&mut self.whole) && self.arguments == "{}" {
                    // An empty object was there for lack of anything else.
                    self.arguments.clear();
                }
                if self.arguments.is_empty() {
                    self.arguments = text;
                } else {
                    self.arguments.push_str(&text);
                }
            }
            Value::Object(fields) if fields.is_empty() && !self.arguments.is_empty() => {}
            object => {
                self.arguments = object.to_string();
                self.whole = true;
            }
        }
    }
}

impl ToolCallAccumulator {
    /// Without any call.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing has arrived.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Adds one piece; `position` is its place in the list it came in.
    ///
    /// # Errors
    /// [`Fault::Malformed`] if there are more than 256 calls, or more than 16 MiB of arguments.
    pub fn push(&mut self, part: ToolCallPart, position: usize) -> Result<(), Fault> {
        let malformed = |reason| Fault::Malformed { path: "choices[0].tool_calls", reason };
        let ToolCallPart { index, id, function, name, arguments, extra_content } = part;
        let FunctionPart { name: inner_name, arguments: inner_arguments } = function.unwrap_or_default();
        let id = id.unwrap_or_default();
        let name = inner_name.or(name).unwrap_or_default();
        let arguments = inner_arguments.or(arguments).unwrap_or_default();
        self.bytes += arguments.as_str().map_or(0, str::len);
        if self.bytes > MAX_BYTES {
            return Err(malformed("the arguments have more than 16 MiB"));
        }
        let found = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index),
            None if !id.is_empty() => self.calls.iter().rposition(|call| call.id == id),
            None => self.calls.iter().rposition(|call| call.position == position),
        };
        let found = found.filter(|at| self.calls.get(*at).is_some_and(|call| !begins_another(call, &id, &name, &arguments)));
        if found.is_none() {
            if self.calls.len() >= MAX_CALLS {
                return Err(malformed("there are more than 256 calls"));
            }
            self.calls.push(Call { index, position, ..Call::default() });
        }
        let at = found.unwrap_or(self.calls.len().saturating_sub(1));
        let Some(call) = self.calls.get_mut(at) else { return Ok(()) };
        if call.id.is_empty() {
            call.id = id;
        }
        if extra_content.is_some() {
            call.extra = extra_content;
        }
        call.add_name(&name);
        call.add_arguments(arguments);
        Ok(())
    }

    /// The calls, complete, in the order in which they began. Ids that are missing or used twice are made up.
    pub fn finish(&mut self) -> Vec<ToolCall> {
        self.finish_with_extra().0
    }

    /// The calls, and by their ids what the service wants back with them.
    pub(super) fn finish_with_extra(&mut self) -> (Vec<ToolCall>, Map<String, Value>) {
        self.bytes = 0;
        let mut done: Vec<ToolCall> = Vec::with_capacity(self.calls.len());
        let mut all_extra = Map::new();
        for Call { id, name, arguments, extra, .. } in std::mem::take(&mut self.calls) {
            if name.is_empty() && arguments.is_empty() {
                continue;
            }
            let mut call = ToolCall::with_id(id, name, arguments);
            // An id that is made up may be one that the server used.
            while call.id.is_empty() || done.iter().any(|other| other.id == call.id) {
                call.id = ToolCall::new("", Value::Null).id;
            }
            if let Some(extra) = extra {
                all_extra.insert(call.id.clone(), extra);
            }
            done.push(call);
        }
        (done, all_extra)
    }
}

/// Whether a piece that points at this call is the start of another one.
fn begins_another(call: &Call, id: &str, name: &str, arguments: &Value) -> bool {
    if name.is_empty() {
        return false;
    }
    if !id.is_empty() && !call.id.is_empty() {
        return id != call.id;
    }
    let says_more = !matches!(arguments, Value::Null) && arguments.as_str() != Some("");
    (says_more || name != call.name) && call.is_complete()
}

#[cfg(test)]
mod tests;

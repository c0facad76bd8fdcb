//! Assembling tool calls from the pieces in which services send them.

use mellea_core::ToolCall;
use serde_json::{Map, Value};

use crate::Fault;
use crate::json::join_halves;

/// The most calls that one answer may have.
const MAX_CALLS: usize = 256;
/// The most bytes that the arguments of one answer may have.
const MAX_BYTES: usize = 16 << 20;

/// A tool call, or a piece of one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallPiece {
    /// Which of the calls; some services leave it out, others always say 0.
    pub index: Option<u64>,
    /// The call's id, if it is said here.
    pub id: Option<String>,
    /// The tool's name, if it is said here.
    pub name: Option<String>,
    /// The arguments: a text, a piece of one, or an object.
    pub arguments: Option<Value>,
    /// What the service wants back with the call.
    pub extra: Option<Value>,
}

/// Assembles tool calls from the pieces in which services send them.
///
/// A piece belongs to the call of its `index`; without one, to the call of its `id`; without both, to the call that
/// was last begun at its place in the list. A new id together with a name begins a new call even if the index is used,
/// because some services number every call 0; so does a name after arguments that are complete. An empty name, and one
/// that is repeated, change nothing.
///
/// Arguments may come as pieces of text, as objects (whose fields are put together), or both; an empty object before
/// them is a placeholder, and a whole text after its pieces is a repeat.
///
/// ```
/// use mellea_wire::{CallPiece, ToolCalls};
///
/// let mut calls = ToolCalls::default();
/// let piece = |arguments: &str| CallPiece { index: Some(0), arguments: Some(arguments.into()), ..CallPiece::default() };
/// calls.push(CallPiece { id: Some("a".into()), name: Some("find".into()), ..piece("{}") }, 0)?;
/// calls.push(piece(r#"{"city":"#), 0)?;
/// calls.push(piece(r#""Oslo"}"#), 0)?;
/// let call = &calls.finish().0[0];
/// assert_eq!((call.name.as_str(), &call.arguments["city"]), ("find", &"Oslo".into()));
/// # Ok::<(), mellea_wire::Fault>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ToolCalls {
    calls: Vec<Call>,
    bytes: usize,
}

#[derive(Clone, Debug, Default)]
struct Call {
    index: Option<u64>,
    position: usize,
    id: String,
    name: String,
    arguments: Arguments,
    extra: Option<Value>,
}

#[derive(Clone, Debug, Default)]
struct Arguments {
    /// The pieces of text, one after the other.
    joined: String,
    /// The last piece that was an object by itself.
    whole: Option<String>,
    /// The fields of objects.
    fields: Option<Map<String, Value>>,
}

fn is_object(text: &str) -> bool {
    let text = text.trim();
    // Parsing is for texts that may be complete.
    text.starts_with('{') && text.ends_with('}') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

impl Arguments {
    fn is_empty(&self) -> bool {
        self.joined.is_empty() && self.fields.is_none()
    }

    fn add(&mut self, arguments: Value) {
        match arguments {
            Value::Null => {}
            Value::String(text) => {
                if is_object(&text) {
                    self.whole = Some(text.clone());
                }
                if self.joined.is_empty() {
                    self.joined = text;
                } else {
                    self.joined.push_str(&text);
                }
            }
            Value::Object(fields) => self.fields.get_or_insert_default().extend(fields),
            other => {
                // Not an object, and no text: kept as it is, to be told so.
                self.joined = other.to_string();
            }
        }
    }

    /// Whether nothing is missing.
    fn is_complete(&self) -> bool {
        is_object(&self.joined) || self.joined.is_empty() && self.fields.is_some()
    }

    /// Whether they cannot be read.
    fn is_broken(&self) -> bool {
        !matches!(self.clone().value(), Value::Object(_))
    }

    fn value(self) -> Value {
        let Self { mut joined, whole, fields } = self;
        join_halves(&mut joined, false);
        let text = joined.trim();
        // An empty object was there for lack of anything else.
        let behind = text.strip_prefix("{}").map(str::trim_start).filter(|rest| !rest.is_empty());
        let object = |text: &str| match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(fields)) => Some(fields),
            _ => None,
        };
        let read = object(text).or_else(|| object(behind?)).or_else(|| object(&whole?));
        match (read, fields) {
            (Some(read), Some(mut fields)) => {
                fields.extend(read);
                Value::Object(fields)
            }
            (Some(only), None) => Value::Object(only),
            (None, Some(fields)) if text.is_empty() => Value::Object(fields),
            (None, _) => Value::String(behind.unwrap_or(&joined).to_owned()),
        }
    }
}

impl Call {
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
}

impl ToolCalls {
    /// Whether nothing has arrived.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// How many calls have begun.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether the arguments of a call cannot be read, as when the answer was cut.
    #[must_use]
    pub fn any_broken(&self) -> bool {
        self.calls.iter().any(|call| !call.arguments.is_empty() && call.arguments.is_broken())
    }

    /// Whether a call has no name, so that nothing can answer it.
    #[must_use]
    pub fn any_nameless(&self) -> bool {
        self.calls.iter().any(|call| call.name.is_empty())
    }

    /// Adds one piece; `position` is its place in the list it came in.
    ///
    /// # Errors
    /// [`Fault::Repeating`] if there are more than 256 calls, or more than 16 MiB of arguments.
    pub fn push(&mut self, piece: CallPiece, position: usize) -> Result<(), Fault> {
        let CallPiece { index, id, name, arguments, extra } = piece;
        let (id, name, arguments) = (id.unwrap_or_default(), name.unwrap_or_default(), arguments.unwrap_or_default());
        self.bytes += arguments.as_str().map_or(0, str::len);
        if self.bytes > MAX_BYTES {
            return Err(Fault::Repeating("the arguments of the model's tool calls have more than 16 MiB".to_owned()));
        }
        let found = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index),
            None if !id.is_empty() => self.calls.iter().rposition(|call| call.id == id),
            None => self.calls.iter().rposition(|call| call.position == position),
        };
        let found = found.filter(|at| self.calls.get(*at).is_some_and(|call| !begins_another(call, &id, &name, &arguments)));
        if found.is_none() {
            if self.calls.len() >= MAX_CALLS {
                return Err(Fault::Repeating(format!("the model made more than {MAX_CALLS} tool calls")));
            }
            self.calls.push(Call { index, position, ..Call::default() });
        }
        let at = found.unwrap_or(self.calls.len().saturating_sub(1));
        let Some(call) = self.calls.get_mut(at) else { return Ok(()) };
        if call.id.is_empty() {
            call.id = id;
        }
        if extra.is_some() {
            call.extra = extra;
        }
        call.add_name(&name);
        call.arguments.add(arguments);
        Ok(())
    }

    /// Takes all calls once more, at the end: only those that have not come in pieces count, and arguments that none
    /// of the pieces had.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn repeat(&mut self, piece: CallPiece, position: usize) -> Result<(), Fault> {
        let id = piece.id.as_deref().filter(|id| !id.is_empty());
        let same = self.calls.iter().position(|call| id.is_some_and(|id| call.id == id));
        let at = same.unwrap_or(position);
        let Some(call) = self.calls.get_mut(at) else { return self.push(piece, position) };
        if call.arguments.is_empty() || call.arguments.is_broken() {
            call.arguments = Arguments::default();
            call.arguments.add(piece.arguments.unwrap_or_default());
        }
        if call.id.is_empty() {
            call.id = piece.id.unwrap_or_default();
        }
        call.add_name(piece.name.as_deref().unwrap_or_default());
        call.extra = piece.extra.or(call.extra.take());
        Ok(())
    }

    /// The calls, complete, in the order in which they began, and by their ids what the service wants back with them.
    /// Ids that are missing or used twice are made up; a call without a name is left out.
    pub fn finish(&mut self) -> (Vec<ToolCall>, Map<String, Value>) {
        self.bytes = 0;
        let mut done: Vec<ToolCall> = Vec::with_capacity(self.calls.len());
        let mut all_extra = Map::new();
        for Call { id, name, arguments, extra, .. } in std::mem::take(&mut self.calls) {
            if name.is_empty() {
                continue;
            }
            let call = unique(ToolCall::with_id(id, name, arguments.value()), &done);
            if let Some(extra) = extra {
                all_extra.insert(call.id.clone(), extra);
            }
            done.push(call);
        }
        (done, all_extra)
    }
}

/// The call with an id that none of the others has.
pub(crate) fn unique(mut call: ToolCall, others: &[ToolCall]) -> ToolCall {
    // An id that is made up may be one that the service used.
    while call.id.is_empty() || others.iter().any(|other| other.id == call.id) {
        call.id = ToolCall::new("", Value::Null).id;
    }
    call
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
    (says_more || name != call.name) && call.arguments.is_complete()
}

#[cfg(test)]
mod tests;

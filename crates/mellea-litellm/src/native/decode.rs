//! What decoders of streams have in common: frames in, events out, no I/O.

use std::collections::VecDeque;
use std::marker::PhantomData;

use mellea_core::{Error, Event, Warning};
use mellea_http::Place;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The name of the tool that a model calls to give JSON where the wire enforces no schema.
pub(crate) const JSON_TOOL: &str = "json_tool_call";

/// The most bytes that all frames of one answer may have: decoders keep parts of it to its end.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// Turns the frames of one answer into events.
pub(crate) trait Decoder: Send + 'static {
    /// One piece of the wire.
    type Frame: Send;

    /// Takes one frame of a stream.
    ///
    /// # Errors
    /// If the provider reports an error.
    fn frame(&mut self, frame: Self::Frame, out: &mut Events) -> Result<(), Fault>;

    /// Takes a body that came as a whole.
    ///
    /// # Errors
    /// If it is an error, or not what the interface promises.
    fn whole(&mut self, body: &[u8], out: &mut Events) -> Result<(), Fault>;

    /// Takes the end of a stream; the answer may be complete even without its terminator.
    ///
    /// # Errors
    /// If the answer is not complete.
    fn end(&mut self, out: &mut Events) -> Result<(), Fault>;
}

/// Why a decoder cannot go on.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The provider sent an error object.
    Refused(Value),
    /// The answer is not what the interface promises: where, and why.
    Malformed(String, String),
    /// The answer ended too soon.
    Interrupted,
}

impl Fault {
    pub(crate) fn malformed(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Malformed(path.into(), reason.into())
    }

    /// The error at this place.
    pub(crate) fn at(self, place: &Place) -> Error {
        match self {
            Self::Refused(value) => place.refused(&value),
            Self::Malformed(path, reason) => place.malformed(path, reason),
            Self::Interrupted => place.interrupted(),
        }
    }
}

/// The events that came out of the frames so far and were not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Events {
    queue: VecDeque<Event>,
    /// Something that a caller waits for has arrived.
    begun: bool,
    finished: bool,
    /// The bytes of all frames so far.
    bytes: usize,
    /// Frames that could not be read, and what was wrong with the first.
    unread: usize,
    fault: Option<String>,
}

impl Events {
    pub(crate) fn push(&mut self, event: Event) {
        match &event {
            Event::Text(text) | Event::Thinking(text) if text.is_empty() => return,
            Event::Text(_) | Event::Thinking(_) | Event::ToolCall(_) => self.begun = true,
            Event::Finish(_) => {
                if self.unread > 0 {
                    let message = format!(
                        "{} events of the stream could not be read ({})",
                        self.unread,
                        self.fault.as_deref().unwrap_or_default()
                    );
                    self.queue.push_back(Event::Warning(Warning::Note { message }));
                }
                (self.begun, self.finished) = (true, true);
            }
            _ => {}
        }
        self.queue.push_back(event);
    }

    pub(crate) fn text(&mut self, text: impl Into<String>) {
        self.push(Event::Text(text.into()));
    }

    /// Counts the bytes of a frame.
    ///
    /// # Errors
    /// If a server that does not stop would fill the memory.
    pub(crate) fn count(&mut self, bytes: usize) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_ANSWER_BYTES {
            return Err(Fault::malformed("", format!("the answer has more than {MAX_ANSWER_BYTES} bytes")));
        }
        Ok(())
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.queue.pop_front()
    }

    /// Whether text, thinking, a tool call or the finish has arrived.
    pub(crate) fn begun(&self) -> bool {
        self.begun
    }

    pub(crate) fn finished(&self) -> bool {
        self.finished
    }

    /// Leaves out a frame that cannot be read: those that follow may still complete the answer.
    pub(crate) fn skip(&mut self, error: &impl ToString) {
        self.unread += 1;
        self.fault.get_or_insert_with(|| error.to_string());
    }

    /// What an answer without an end is: cut, unless it never was what it should be.
    pub(crate) fn incomplete(&self) -> Fault {
        match &self.fault {
            Some(fault) if !self.begun => Fault::malformed("", fault.clone()),
            _ => Fault::Interrupted,
        }
    }
}

impl IntoIterator for Events {
    type Item = Event;
    type IntoIter = std::collections::vec_deque::IntoIter<Event>;

    fn into_iter(self) -> Self::IntoIter {
        self.queue.into_iter()
    }
}

/// Reads a body as JSON; an error object in it is the provider's refusal.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    let value: Value = serde_json::from_slice(body).map_err(|e| Fault::malformed("", e.to_string()))?;
    if value.get("error").is_some_and(|error| !error.is_null()) {
        return Err(Fault::Refused(value));
    }
    serde_json::from_value(value).map_err(|e| Fault::malformed("", e.to_string()))
}

/// A field that is left out if it is not of its type: what a provider adds or changes must not
/// break what is of use.
pub(crate) fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(deserializer: D) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).unwrap_or_default())
}

/// An object that is left out if it is something else, without the detour of [`lenient`]: for what comes
/// with every frame.
pub(crate) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("anything")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<T>, A::Error> {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(None)
        }

        fn visit_unit<E>(self) -> Result<Option<T>, E> {
            Ok(None)
        }

        fn visit_bool<E>(self, _: bool) -> Result<Option<T>, E> {
            Ok(None)
        }

        fn visit_u64<E>(self, _: u64) -> Result<Option<T>, E> {
            Ok(None)
        }

        fn visit_i64<E>(self, _: i64) -> Result<Option<T>, E> {
            Ok(None)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Option<T>, E> {
            Ok(None)
        }

        fn visit_str<E>(self, _: &str) -> Result<Option<T>, E> {
            Ok(None)
        }
    }

    deserializer.deserialize_any(Object(PhantomData))
}

/// A number of tokens; providers send them as floats too.
pub(crate) fn tokens<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let float = |v: &Value| v.as_f64().filter(|n| *n >= 0.0 && *n < 1e15);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    Ok(value.as_u64().or_else(|| float(&value).map(|n| n as u64)))
}

/// Keeps plain text back while the answer is due as a tool call.
///
/// A model that must call [`JSON_TOOL`] may still say something first. If the call comes, that was
/// no part of the answer and counts as thinking; if it does not, it is the answer.
#[derive(Debug, Default)]
pub(crate) struct Emulation {
    active: bool,
    held: String,
    called: bool,
}

impl Emulation {
    pub(crate) fn new(active: bool) -> Self {
        Self { active, ..Self::default() }
    }

    /// Whether a call of this name is the answer and no call.
    pub(crate) fn is_answer(&self, name: &str) -> bool {
        self.active && name == JSON_TOOL
    }

    /// Takes plain text.
    pub(crate) fn text(&mut self, text: String, out: &mut Events) {
        if self.active {
            self.held.push_str(&text);
        } else {
            out.push(Event::Text(text));
        }
    }

    /// The call begins; false if there was one before, of which one is enough.
    pub(crate) fn call(&mut self, out: &mut Events) -> bool {
        if !self.held.is_empty() {
            out.push(Event::Thinking(std::mem::take(&mut self.held)));
        }
        !std::mem::replace(&mut self.called, true)
    }

    /// Whether the answer came as a call.
    pub(crate) fn called(&self) -> bool {
        self.called
    }

    /// The answer is complete.
    pub(crate) fn finish(&mut self, out: &mut Events) {
        let held = std::mem::take(&mut self.held);
        out.push(if self.called { Event::Thinking(held) } else { Event::Text(held) });
    }
}

/// An error for content that a wire cannot carry.
pub(crate) fn cannot(provider: &str, what: &str) -> Error {
    Error::unsupported(what.to_owned(), provider, format!("{provider} takes no {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_end_is_given_up() {
        let mut events = Events::default();
        assert!((0..16).all(|_| events.count(MAX_ANSWER_BYTES / 16).is_ok()));
        assert!(matches!(events.count(1), Err(Fault::Malformed(_, reason)) if reason.contains("bytes")));
    }
}

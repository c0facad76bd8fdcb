//! How much memory the events of an answer hold, so that an endless one is stopped.

use serde_json::Value;

use crate::backend::Event;
use crate::error::{ErrorKind, Result};

/// The most bytes that one answer may hold, all of it counted: a server that never stops must not fill
/// the memory.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// What an event costs beside its contents.
const EVENT: usize = 32;

/// The size of an answer so far.
#[derive(Default)]
pub(super) struct Size(usize);

impl Size {
    /// Counts an event.
    ///
    /// # Errors
    /// [`ErrorKind::Degenerate`] if the answer has become too large.
    pub(super) fn add(&mut self, event: &Event) -> Result<()> {
        self.0 = self.0.saturating_add(EVENT + contents(event));
        if self.0 > MAX_ANSWER_BYTES {
            return Err(ErrorKind::Degenerate(format!("the answer takes more than {MAX_ANSWER_BYTES} bytes")).into());
        }
        Ok(())
    }
}

fn contents(event: &Event) -> usize {
    match event {
        Event::Text(text) | Event::Thinking(text) | Event::ResponseId(text) | Event::Model(text) => text.len(),
        Event::ToolCall(call) => call.id.len() + call.name.len() + value(&call.arguments),
        Event::Logits(rows) => rows.iter().map(|row| 24 + row.len() * size_of::<f32>()).sum(),
        Event::Logprobs(tokens) => tokens
            .iter()
            .map(|token| 64 + token.token.len() + token.top.iter().map(|(text, _)| 32 + text.len()).sum::<usize>())
            .sum(),
        Event::Replay(json) | Event::Raw(json) => value(json),
        Event::Warning(warning) => warning.to_string().len(),
        Event::TextWasThinking | Event::Usage(_) | Event::Finish(_) => 0,
    }
}

/// About the memory of a JSON value, found without recursion.
fn value(json: &Value) -> usize {
    let mut bytes = 0;
    let mut open = vec![json];
    while let Some(next) = open.pop() {
        bytes += EVENT;
        match next {
            Value::String(text) => bytes += text.len(),
            Value::Array(items) => open.extend(items),
            Value::Object(map) => {
                bytes += map.keys().map(String::len).sum::<usize>();
                open.extend(map.values());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::output::TokenLogprob;
    use crate::tool::ToolCall;

    #[test]
    fn everything_counts() {
        let large = "x".repeat(1 << 20);
        let events = [
            Event::Text(large.clone()),
            Event::Thinking(large.clone()),
            Event::ToolCall(ToolCall::with_id("1", "t", json!({ "deep": [{ "text": large.clone() }] }))),
            Event::Logprobs(vec![TokenLogprob::new("x", 0.0); 20_000]),
            Event::Logits(vec![vec![0.0; 1 << 18]]),
            Event::Raw(json!({ (large.clone()): 1 })),
            Event::Replay(json!([large])),
        ];
        for event in events {
            let mut size = Size::default();
            let most = (0..200).find(|_| size.add(&event).is_err());
            assert!(most.is_some_and(|n| n < 70), "{most:?}");
        }
    }

    #[test]
    fn endless_tiny_pieces_count() {
        let mut size = Size::default();
        assert!((0..3_000_000).any(|_| size.add(&Event::Text(String::new())).is_err()));
    }
}

//! The identity of a history: each entry's rests on that of the one before it.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::Entry;
use crate::content::{Content, TextBlock};
use crate::message::{Document, Message, ToolCall};

pub(super) fn of_entry(previous: u64, entry: &Entry) -> u64 {
    // `DefaultHasher::new` has fixed keys.
    let mut hasher = DefaultHasher::new();
    previous.hash(&mut hasher);
    match entry {
        Entry::Message(message) => of_message(message, &mut hasher),
        Entry::Output(output) => {
            (&output.text, &output.thinking).hash(&mut hasher);
            output.tool_calls.iter().for_each(|call| of_call(call, &mut hasher));
        }
    }
    hasher.finish()
}

fn of_message(message: &Message, hasher: &mut DefaultHasher) {
    let Message { role, content, documents, thinking, replay, tool_calls, tool_call_id, tool_name } = message;
    (role, thinking, tool_call_id, tool_name).hash(hasher);
    (content.len(), documents.len(), tool_calls.len()).hash(hasher);
    for block in content {
        match block {
            Content::Text(TextBlock { text, cache }) => (text, cache).hash(hasher),
            media => serde_json::to_string(media).unwrap_or_default().hash(hasher),
        }
    }
    for Document { text, title, id } in documents {
        (text, title, id).hash(hasher);
    }
    tool_calls.iter().for_each(|call| of_call(call, hasher));
    replay.as_ref().map(|replay| replay.to_string()).hash(hasher);
}

fn of_call(call: &ToolCall, hasher: &mut DefaultHasher) {
    let ToolCall { id, name, arguments } = call;
    (id, name, arguments.to_string()).hash(hasher);
}

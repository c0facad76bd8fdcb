//! Conversations as wires want them that know two speakers: turns that alternate, and the system
//! message beside them.

use mellea_core::{Content, Message, Role};

/// A conversation in turns.
#[derive(Debug, Default)]
pub(crate) struct Turns<'a> {
    /// The content of all system messages.
    pub(crate) system: Vec<&'a Content>,
    /// The turns; no two neighbours have the same speaker.
    pub(crate) turns: Vec<Turn<'a>>,
}

/// What one side says until the other does.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) assistant: bool,
    /// Its messages; results of tools come first.
    pub(crate) messages: Vec<&'a Message>,
}

/// Puts messages into turns. Results of tools are the user's.
pub(crate) fn turns<'a>(messages: impl IntoIterator<Item = &'a Message>) -> Turns<'a> {
    let mut out = Turns::default();
    for message in messages {
        let assistant = match message.role {
            Role::System => {
                out.system.extend(message.content.iter().filter(|content| !is_blank(content)));
                continue;
            }
            Role::Assistant => true,
            Role::User | Role::Tool => false,
        };
        match out.turns.last_mut() {
            Some(turn) if turn.assistant == assistant => turn.messages.push(message),
            _ => out.turns.push(Turn { assistant, messages: vec![message] }),
        }
    }
    for turn in &mut out.turns {
        turn.messages.sort_by_key(|message| message.role != Role::Tool);
    }
    out
}

/// Whether it is a text without anything to read; most providers refuse those.
pub(crate) fn is_blank(content: &Content) -> bool {
    content.as_text().is_some_and(|text| text.trim().is_empty())
}

/// The names of tools that the conversation speaks of and that are not offered; wires refuse calls of
/// tools that they do not know.
pub(crate) fn forgotten<'a>(messages: impl IntoIterator<Item = &'a Message>, tools: &[mellea_core::ToolSpec]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for call in messages.into_iter().flat_map(|message| &message.tool_calls) {
        let known = tools.iter().any(|tool| tool.name == call.name) || names.contains(&call.name.as_str());
        if !known {
            names.push(&call.name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use mellea_core::ToolCall;
    use serde_json::json;

    use super::*;

    #[test]
    fn speakers_alternate_and_results_come_first() {
        let call = ToolCall::with_id("1", "f", json!({}));
        let mut asks = Message::assistant("");
        asks.tool_calls = vec![call.clone()];
        let messages = [
            Message::system("s"),
            Message::user("a"),
            Message::user("b"),
            asks,
            Message::user("c"),
            Message::tool(&call, "r"),
            Message::system(" "),
        ];
        let turns = turns(&messages);
        let shape: Vec<_> = turns
            .turns
            .iter()
            .map(|t| (t.assistant, t.messages.iter().map(|m| m.text().into_owned()).collect::<Vec<_>>()))
            .collect();
        assert_eq!(
            shape,
            [
                (false, vec!["a".to_owned(), "b".to_owned()]),
                (true, vec![String::new()]),
                (false, vec!["r".to_owned(), "c".to_owned()])
            ]
        );
        assert_eq!(turns.system.len(), 1);
        assert_eq!(forgotten(&messages, &[]), ["f"]);
    }
}

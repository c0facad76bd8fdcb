//! Tool calls that a model writes into its text, in the forms of the model families, found while the text arrives.

use std::sync::Arc;

use serde_json::{Map, Value};

/// How a family writes a tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolFormat {
    /// `<tool_call>{"name":…,"arguments":…}</tool_call>`: Granite 4, Qwen, Hermes, SmolLM.
    Tagged,
    /// `<|tool_call|>[{"name":…,"arguments":…}]`: Granite 3.
    GraniteList,
    /// `[TOOL_CALLS][{"name":…,"arguments":…}]`: Mistral.
    MistralList,
    /// `<|python_tag|>{"name":…,"parameters":…}` or the same object alone: Llama 3.
    Llama,
}

const ALL: [ToolFormat; 4] = [ToolFormat::Tagged, ToolFormat::GraniteList, ToolFormat::MistralList, ToolFormat::Llama];

impl ToolFormat {
    /// Chooses by the markers in a chat template; tags are what most models fall back to.
    #[must_use]
    pub fn detect(template: &str) -> Self {
        if template.contains("<tool_call>") {
            Self::Tagged
        } else if template.contains("<|tool_call|>") {
            Self::GraniteList
        } else if template.contains("[TOOL_CALLS]") {
            Self::MistralList
        } else if template.contains("<|python_tag|>") || template.contains("\"parameters\": dictionary of argument") {
            Self::Llama
        } else {
            Self::Tagged
        }
    }

    /// What opens a call, and what closes it where something does.
    #[must_use]
    pub const fn markers(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Tagged => ("<tool_call>", Some("</tool_call>")),
            Self::GraniteList => ("<|tool_call|>", None),
            Self::MistralList => ("[TOOL_CALLS]", None),
            Self::Llama => ("<|python_tag|>", None),
        }
    }
}

/// Text, or a call that was found in it: the name, and the arguments.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Spoken {
    /// Text, as it was written.
    Text(String),
    /// A call: the tool's name, and its arguments.
    Call(String, Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing but white space so far: a call that is an object alone may begin.
    Start,
    Text,
    /// Behind a call; white space up to the next text or call is dropped.
    Gap,
    /// Within a call of this format.
    Call(ToolFormat),
    /// An object alone, which is a call only if it reads as one in the end.
    Bare,
}

/// Finds tool calls in text that comes in pieces, cut anywhere.
///
/// Only what reads as a call of an offered tool is one; everything else stays text, as it was written.
#[derive(Debug)]
pub struct SpokenCalls {
    formats: &'static [ToolFormat],
    names: Arc<[String]>,
    /// A call may name any tool where it stands between markers of the model's own format.
    any_name: bool,
    state: State,
    held: String,
}

impl SpokenCalls {
    /// Looks for calls of these tools; for none if there are none. With a format, the model is known to write calls so,
    /// and what it marks as a call is one whatever its name. `bare`: an object alone may be a call.
    #[must_use]
    pub fn new(names: Arc<[String]>, format: Option<ToolFormat>, bare: bool) -> Self {
        let formats = match format {
            Some(format) => ALL.iter().position(|one| *one == format).and_then(|at| ALL.get(at..=at)).unwrap_or_default(),
            None if names.is_empty() => &[],
            None => &ALL,
        };
        let bare = bare && !formats.is_empty() && format.is_none_or(|format| format == ToolFormat::Llama);
        Self {
            formats,
            names,
            any_name: format.is_some(),
            state: if bare { State::Start } else { State::Text },
            held: String::new(),
        }
    }

    /// Whether this text is text, so that it need not be pushed.
    #[must_use]
    pub fn passes(&self, text: &str) -> bool {
        self.formats.is_empty() || self.state == State::Text && self.held.is_empty() && !text.contains(['<', '['])
    }

    /// Takes the next text; gives what is certain by now.
    pub fn push(&mut self, text: &str, out: &mut Vec<Spoken>) {
        self.held.push_str(text);
        while self.step(out) {}
    }

    fn step(&mut self, out: &mut Vec<Spoken>) -> bool {
        let open = || self.formats.iter().map(|format| format.markers().0);
        match self.state {
            State::Start => match self.held.trim_start().chars().next() {
                None => return false,
                Some('{') => self.state = State::Bare,
                Some(_) => self.state = State::Text,
            },
            State::Gap => {
                self.held = self.held.trim_start().to_owned();
                if self.held.is_empty() {
                    return false;
                }
                self.state = State::Text;
            }
            State::Text => match crate::reasoning::find_any(&self.held, open) {
                Some((start, end)) => {
                    let marker = self.held.get(start..end).unwrap_or_default();
                    let format = self.formats.iter().find(|format| format.markers().0.eq_ignore_ascii_case(marker));
                    self.state = State::Call(format.copied().unwrap_or(ToolFormat::Tagged));
                    let inside = self.held.split_off(end);
                    self.held.truncate(start);
                    give(std::mem::replace(&mut self.held, inside), out);
                }
                None => {
                    let keep = crate::reasoning::partial(&self.held, open);
                    let rest = self.held.split_off(self.held.len() - keep);
                    give(std::mem::replace(&mut self.held, rest), out);
                    return false;
                }
            },
            State::Call(format) => {
                let (open, close) = format.markers();
                let Some((payload, rest)) = close.and_then(|close| self.held.split_once(close)) else { return false };
                match self.calls(payload, self.any_name) {
                    Some(calls) => {
                        out.extend(calls);
                        self.state = State::Gap;
                    }
                    None => {
                        // What does not read as a call is shown as it was written.
                        give(format!("{open}{payload}{}", close.unwrap_or_default()), out);
                        self.state = State::Text;
                    }
                }
                self.held = rest.to_owned();
            }
            State::Bare => return false,
        }
        true
    }

    /// Gives what was held back.
    pub fn finish(&mut self, out: &mut Vec<Spoken>) {
        let held = std::mem::take(&mut self.held);
        let (calls, text) = match self.state {
            State::Start | State::Text => (None, held),
            State::Gap => (None, held.trim_start().to_owned()),
            State::Call(format) => (self.calls(&held, self.any_name), format!("{}{held}", format.markers().0)),
            State::Bare => (self.calls(&held, false), held),
        };
        match calls {
            Some(calls) => out.extend(calls),
            None => give(text, out),
        }
    }

    fn calls(&self, payload: &str, any_name: bool) -> Option<Vec<Spoken>> {
        let calls = parse_calls(payload)?;
        let known = |call: &Spoken| matches!(call, Spoken::Call(name, _) if any_name || self.names.contains(name));
        calls.iter().all(known).then_some(calls)
    }
}

fn give(text: String, out: &mut Vec<Spoken>) {
    if !text.is_empty() {
        out.push(Spoken::Text(text));
    }
}

/// One object, a list of objects, several objects in a row, or Mistral's newer `name{arguments}`.
fn parse_calls(payload: &str) -> Option<Vec<Spoken>> {
    let payload = payload.trim();
    if let Some((name, arguments)) = payload.split_once('{')
        && !name.is_empty()
        && !name.starts_with('[')
    {
        let name = name.trim().trim_end_matches("[ARGS]");
        let arguments = serde_json::from_str(&format!("{{{arguments}")).ok()?;
        return Some(vec![Spoken::Call(name.to_owned(), arguments)]);
    }
    let mut calls = Vec::new();
    for value in serde_json::Deserializer::from_str(payload).into_iter::<Value>() {
        match value.ok()? {
            Value::Array(items) => {
                for item in &items {
                    calls.push(parse_call(item)?);
                }
            }
            one => calls.push(parse_call(&one)?),
        }
    }
    (!calls.is_empty()).then_some(calls)
}

fn parse_call(value: &Value) -> Option<Spoken> {
    // Some models wrap the call once more, as the wire format of remote services does.
    let call = value.get("function").filter(|inner| inner.is_object()).unwrap_or(value);
    let name = call.get("name")?.as_str()?.to_owned();
    let arguments = match call.get("arguments").or_else(|| call.get("parameters")) {
        Some(Value::String(text)) => serde_json::from_str(text).ok()?,
        Some(Value::Null) | None => Value::Object(Map::new()),
        Some(value) => value.clone(),
    };
    Some(Spoken::Call(name, arguments))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(pieces: &[&str], format: Option<ToolFormat>) -> (String, Vec<(String, Value)>) {
        let mut calls = SpokenCalls::new(Arc::from(["find".to_owned()]), format, true);
        let mut out = Vec::new();
        pieces.iter().for_each(|piece| calls.push(piece, &mut out));
        calls.finish(&mut out);
        let (mut text, mut found) = (String::new(), Vec::new());
        for one in out {
            match one {
                Spoken::Text(piece) => text.push_str(&piece),
                Spoken::Call(name, arguments) => found.push((name, arguments)),
            }
        }
        (text, found)
    }

    const CALLS: [&str; 8] = [
        r#"<tool_call>{"name": "find", "arguments": {"city": "Oslo"}}</tool_call>"#,
        "\n<tool_call>\n{\"name\": \"find\", \"arguments\": \"{\\\"city\\\": \\\"Oslo\\\"}\"}\n</tool_call>\n",
        r#"<|tool_call|>[{"name": "find", "arguments": {"city": "Oslo"}}]"#,
        r#"[TOOL_CALLS][{"name": "find", "arguments": {"city": "Oslo"}}]"#,
        r#"[TOOL_CALLS]find[ARGS]{"city": "Oslo"}"#,
        r#"<|python_tag|>{"name": "find", "parameters": {"city": "Oslo"}}"#,
        r#"{"name": "find", "parameters": {"city": "Oslo"}}"#,
        r#"{"type": "function", "function": {"name": "find", "arguments": {"city": "Oslo"}}}"#,
    ];

    #[test]
    fn the_forms_of_the_families_are_calls() {
        for text in CALLS {
            let (said, calls) = read(&[text], None);
            assert_eq!(calls, [("find".to_owned(), json!({"city": "Oslo"}))], "{text}");
            assert!(said.trim().is_empty(), "{said}");
        }
    }

    #[test]
    fn everything_else_is_text() {
        for text in [
            r#"<tool_call>{"name": "delete", "arguments": {}}</tool_call>"#,
            r#"<tool_call>{"name": "find", "arguments": </tool_call>"#,
            r#"{"name": "Ann", "age": 31}"#,
            "{",
            "a < b [c]",
            "<tool_call",
        ] {
            assert_eq!(read(&[text], None), (text.to_owned(), Vec::new()));
        }
        let marked = r#"<tool_call>{"name": "delete", "arguments": {}}</tool_call>"#;
        assert_eq!(read(&[marked], Some(ToolFormat::Tagged)).1, [("delete".to_owned(), json!({}))]);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_text_is_cut(
            parts in prop::collection::vec("[<>\\[\\]{} a\"]{0,4}|<tool_call>|</tool_call>|\\[TOOL_CALLS\\]|\\{\"name\": \"find\"\\}", 0..8),
        ) {
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            prop_assert_eq!(read(&parts, None), read(&[&parts.concat()], None));
        }
    }
}

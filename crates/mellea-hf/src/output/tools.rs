//! Tool calls in the forms that model families write them, found while the text arrives.

use serde_json::Value;

use super::{Piece, partial, release};

/// How a family writes a tool call; found by the markers in its chat template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToolFormat {
    /// `<tool_call>{"name":…,"arguments":…}</tool_call>`: Granite 4, Qwen, Hermes, SmolLM.
    Tagged,
    /// `<|tool_call|>[{"name":…,"arguments":…}]`: Granite 3.
    GraniteList,
    /// `[TOOL_CALLS][{"name":…,"arguments":…}]`: Mistral.
    MistralList,
    /// `<|python_tag|>{"name":…,"parameters":…}` or the same object alone: Llama 3.
    Llama,
}

impl ToolFormat {
    /// Chooses by the markers in a chat template; tags are what most models fall back to.
    pub(crate) fn detect(template: &str) -> Self {
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
    pub(crate) fn markers(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Tagged => ("<tool_call>", Some("</tool_call>")),
            Self::GraniteList => ("<|tool_call|>", None),
            Self::MistralList => ("[TOOL_CALLS]", None),
            Self::Llama => ("<|python_tag|>", None),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but white space so far: a bare call may begin.
    Start,
    Text,
    /// Behind a call; white space up to the next text or call is dropped.
    Gap,
    Call,
    /// An undelimited JSON object, which is a call only if it reads as one in the end.
    Bare,
}

#[derive(Debug)]
pub(super) struct ToolSplitter {
    format: ToolFormat,
    names: Vec<String>,
    state: State,
    held: String,
}

impl ToolSplitter {
    pub(super) fn new(format: ToolFormat, names: Vec<String>) -> Self {
        let state = if format == ToolFormat::Llama { State::Start } else { State::Text };
        Self { format, names, state, held: String::new() }
    }

    pub(super) fn push(&mut self, text: &str) -> Vec<Piece> {
        self.held.push_str(text);
        let (open, close) = self.format.markers();
        let mut pieces = Vec::new();
        loop {
            match self.state {
                State::Start => match self.held.trim_start().chars().next() {
                    None => return pieces,
                    Some('{') => self.state = State::Bare,
                    Some(_) => self.state = State::Text,
                },
                State::Gap => {
                    self.held = self.held.trim_start().to_owned();
                    if self.held.is_empty() {
                        return pieces;
                    }
                    self.state = State::Text;
                }
                State::Text => match self.held.split_once(open) {
                    Some((before, inside)) => {
                        pieces.push(Piece::Text(before.to_owned()));
                        self.held = inside.to_owned();
                        self.state = State::Call;
                    }
                    None => {
                        let keep = partial(&self.held, open);
                        pieces.push(Piece::Text(release(&mut self.held, keep)));
                        return pieces;
                    }
                },
                State::Call => {
                    let Some((payload, rest)) = close.and_then(|close| self.held.split_once(close)) else {
                        return pieces;
                    };
                    match parse_calls(payload) {
                        Some(calls) => {
                            pieces.extend(calls);
                            self.state = State::Gap;
                        }
                        None => {
                            // What does not read as a call is shown as it was written.
                            pieces.push(Piece::Text(format!("{open}{payload}{}", close.unwrap_or_default())));
                            self.state = State::Text;
                        }
                    }
                    self.held = rest.to_owned();
                }
                State::Bare => return pieces,
            }
        }
    }

    pub(super) fn finish(&mut self) -> Vec<Piece> {
        let held = std::mem::take(&mut self.held);
        let (open, _) = self.format.markers();
        match self.state {
            State::Start | State::Text | State::Gap => vec![Piece::Text(held)],
            State::Call => parse_calls(&held).unwrap_or_else(|| vec![Piece::Text(format!("{open}{held}"))]),
            State::Bare => {
                let known = |piece: &Piece| match piece {
                    Piece::ToolCall { name, .. } => self.names.contains(name),
                    Piece::Text(_) | Piece::Thinking(_) => false,
                };
                let calls = parse_calls(&held).filter(|calls| calls.iter().all(known));
                calls.unwrap_or_else(|| vec![Piece::Text(held)])
            }
        }
    }
}

/// One object, a list of objects, several objects in a row, or Mistral's newer `name{arguments}`.
fn parse_calls(payload: &str) -> Option<Vec<Piece>> {
    let payload = payload.trim();
    if let Some((name, arguments)) = payload.split_once('{')
        && !name.is_empty()
        && !name.starts_with('[')
    {
        let name = name.trim().trim_end_matches("[ARGS]");
        let arguments = serde_json::from_str(&format!("{{{arguments}")).ok()?;
        return Some(vec![Piece::ToolCall { name: name.to_owned(), arguments }]);
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

fn parse_call(value: &Value) -> Option<Piece> {
    // Some models wrap the call once more, as the wire format of remote services does.
    let call = value.get("function").filter(|inner| inner.is_object()).unwrap_or(value);
    let name = call.get("name")?.as_str()?.to_owned();
    let arguments = match call.get("arguments").or_else(|| call.get("parameters")) {
        Some(Value::String(text)) => serde_json::from_str(text).ok()?,
        Some(Value::Null) | None => Value::Object(serde_json::Map::new()),
        Some(value) => value.clone(),
    };
    Some(Piece::ToolCall { name, arguments })
}

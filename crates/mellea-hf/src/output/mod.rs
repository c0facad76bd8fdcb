//! From decoded text to events: stop sequences, thinking and tool calls taken apart while the text arrives.

mod stop;

pub(crate) use mellea_wire::ToolFormat;
use mellea_wire::{Splitter, Spoken, SpokenCalls, Tags};
use serde_json::Value;

use stop::StopFilter;

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece {
    Text(String),
    Thinking(String),
    /// All text so far was thinking.
    WasThinking,
    ToolCall {
        name: String,
        arguments: Value,
    },
}

/// What to look for in an answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct OutputRules {
    pub(crate) stop: Vec<String>,
    /// Whether `<think>` separates thinking from the answer.
    pub(crate) thinks: bool,
    /// Whether the prompt already opened the thinking.
    pub(crate) thinking_open: bool,
    /// How the model writes tool calls, if it was given tools.
    pub(crate) tools: Option<ToolFormat>,
    /// The tools' names; an undelimited call must name one of them.
    pub(crate) tool_names: Vec<String>,
}

/// The parsers of one answer, in a row.
#[derive(Debug)]
pub(crate) struct OutputParser {
    stop: StopFilter,
    think: Splitter,
    calls: SpokenCalls,
}

impl OutputParser {
    pub(crate) fn new(rules: OutputRules) -> Self {
        let tags = if rules.thinks { Tags::default() } else { Tags::none() };
        // Without a format no calls are looked for.
        let names = if rules.tools.is_some() { rules.tool_names } else { Vec::new() };
        Self {
            stop: StopFilter::new(rules.stop),
            think: Splitter::new(tags, rules.thinks && rules.thinking_open),
            calls: SpokenCalls::new(names.into(), rules.tools, true),
        }
    }

    /// Takes new text; returns what is certain by now.
    pub(crate) fn push(&mut self, text: &str) -> Vec<Piece> {
        let text = self.stop.push(text);
        let mut split = Vec::new();
        self.think.push(text, &mut split);
        self.with_calls(split)
    }

    /// Whether a stop sequence was met; text behind it is dropped.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.met()
    }

    /// Everything that was held back.
    pub(crate) fn finish(&mut self) -> Vec<Piece> {
        let rest = self.stop.finish();
        let mut split = Vec::new();
        self.think.push(rest, &mut split);
        self.think.finish(&mut split);
        let mut pieces = self.with_calls(split);
        let mut spoken = Vec::new();
        self.calls.finish(&mut spoken);
        pieces.extend(spoken.into_iter().filter_map(said));
        pieces
    }

    fn with_calls(&mut self, split: Vec<mellea_wire::Piece>) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for piece in split {
            match piece {
                mellea_wire::Piece::Text(text) if self.calls.passes(&text) => pieces.push(Piece::Text(text)),
                mellea_wire::Piece::Text(text) => {
                    let mut spoken = Vec::new();
                    self.calls.push(&text, &mut spoken);
                    pieces.extend(spoken.into_iter().filter_map(said));
                }
                mellea_wire::Piece::Thinking(text) => pieces.push(Piece::Thinking(text)),
                mellea_wire::Piece::WasThinking => pieces.push(Piece::WasThinking),
                mellea_wire::Piece::Call(name, arguments) => {
                    let arguments = serde_json::from_str(&arguments).unwrap_or(Value::String(arguments));
                    pieces.push(Piece::ToolCall { name, arguments });
                }
                _ => {}
            }
        }
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }
}

fn said(spoken: Spoken) -> Option<Piece> {
    match spoken {
        Spoken::Text(text) if text.is_empty() => None,
        Spoken::Text(text) => Some(Piece::Text(text)),
        Spoken::Call(name, arguments) => Some(Piece::ToolCall { name, arguments }),
        _ => None,
    }
}

impl Piece {
    fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) | Self::Thinking(text) => text.is_empty(),
            Self::WasThinking | Self::ToolCall { .. } => false,
        }
    }
}

/// How many bytes at the end of `text` may be the beginning of `marker`.
fn partial(text: &str, marker: &str) -> usize {
    let longest = marker.len().saturating_sub(1).min(text.len());
    let fits = |len: &usize| text.as_bytes().ends_with(marker.as_bytes().get(..*len).unwrap_or_default());
    (1..=longest).rev().find(fits).unwrap_or(0)
}

/// Moves all but the last `keep` bytes out of `held`; `keep` is a border between characters.
fn release(held: &mut String, keep: usize) -> String {
    let rest = held.split_off(held.len().saturating_sub(keep));
    std::mem::replace(held, rest)
}

#[cfg(test)]
mod tests;

//! From decoded text to events: stop sequences, thinking and tool calls taken apart while the text arrives.

mod stop;
mod think;
mod tools;

use serde_json::Value;

use stop::StopFilter;
use think::ThinkSplitter;
pub(crate) use tools::ToolFormat;
use tools::ToolSplitter;

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece {
    Text(String),
    Thinking(String),
    ToolCall { name: String, arguments: Value },
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
    think: ThinkSplitter,
    tools: Option<ToolSplitter>,
}

impl OutputParser {
    pub(crate) fn new(rules: OutputRules) -> Self {
        Self {
            stop: StopFilter::new(rules.stop),
            think: ThinkSplitter::new(rules.thinks, rules.thinking_open),
            tools: rules.tools.map(|format| ToolSplitter::new(format, rules.tool_names)),
        }
    }

    /// Takes new text; returns what is certain by now.
    pub(crate) fn push(&mut self, text: &str) -> Vec<Piece> {
        let text = self.stop.push(text);
        self.split(&text)
    }

    /// Whether a stop sequence was met; text behind it is dropped.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.met()
    }

    /// Everything that was held back.
    pub(crate) fn finish(&mut self) -> Vec<Piece> {
        let rest = self.stop.finish();
        let mut pieces = self.split(&rest);
        for piece in self.think.finish() {
            self.tool_split(piece, &mut pieces);
        }
        if let Some(tools) = &mut self.tools {
            pieces.extend(tools.finish());
        }
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }

    fn split(&mut self, text: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for piece in self.think.push(text) {
            self.tool_split(piece, &mut pieces);
        }
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }

    fn tool_split(&mut self, piece: Piece, pieces: &mut Vec<Piece>) {
        match (piece, &mut self.tools) {
            (Piece::Text(text), Some(tools)) => pieces.extend(tools.push(&text)),
            (piece, _) => pieces.push(piece),
        }
    }
}

impl Piece {
    fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) | Self::Thinking(text) => text.is_empty(),
            Self::ToolCall { .. } => false,
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

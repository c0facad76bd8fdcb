//! The channels in which gpt-oss writes: reasoning, calls and the answer, each in its own (the harmony format).

use crate::reasoning::{Piece, begins, find_any, partial, starts_with};

const CHANNEL: &str = "<|channel|>";
const START: &str = "<|start|>";
const MESSAGE: &str = "<|message|>";
/// What ends a message.
const ENDS: [&str; 5] = ["<|end|>", "<|return|>", "<|call|>", CHANNEL, START];
/// The longest header of a message.
const MAX_HEADER: usize = 256;

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// There is more to read.
    On,
    /// More text is needed.
    Wait,
    /// These are no channels any longer.
    Left,
}

/// Where in the channels the text is.
#[derive(Debug, Default)]
pub(crate) struct Channels(Within);

#[derive(Debug, Default)]
enum Within {
    /// Between messages.
    #[default]
    Between,
    /// In the header of a message.
    Header,
    /// In a message.
    Answer,
    Thought,
    /// In a call of this tool.
    Call(String),
}

impl Channels {
    /// Whether the text starts with a message in a channel.
    pub(crate) fn begins(text: &str) -> bool {
        starts_with(text, CHANNEL) || starts_with(text, START)
    }

    /// Whether more text may make it one.
    pub(crate) fn may_begin(text: &str) -> bool {
        begins(CHANNEL, text) || begins(START, text)
    }

    pub(crate) fn step(&mut self, held: &mut String, out: &mut Vec<Piece>) -> Channel {
        match &self.0 {
            Within::Between => {
                let text = held.trim_start();
                if text.is_empty() || Self::may_begin(text) {
                    return Channel::Wait;
                }
                if !Self::begins(text) {
                    return Channel::Left;
                }
                match held.find(CHANNEL) {
                    Some(at) => {
                        held.drain(..at + CHANNEL.len());
                        self.0 = Within::Header;
                    }
                    None if held.len() > MAX_HEADER => return Channel::Left,
                    None => return Channel::Wait,
                }
                Channel::On
            }
            Within::Header => {
                let Some(at) = held.find(MESSAGE) else {
                    return if held.len() > MAX_HEADER { Channel::Left } else { Channel::Wait };
                };
                let header: String = held.drain(..at + MESSAGE.len()).collect();
                let header = header.trim_end_matches(MESSAGE);
                let tool = header.split_once("to=functions.").map(|(_, rest)| rest);
                let tool = tool.and_then(|rest| rest.split(|c: char| c.is_whitespace() || c == '<').next());
                self.0 = match tool.filter(|name| !name.is_empty()) {
                    Some(name) => Within::Call(name.to_owned()),
                    None if header.trim_start().starts_with("final") => Within::Answer,
                    None => Within::Thought,
                };
                Channel::On
            }
            Within::Answer | Within::Thought | Within::Call(_) => {
                if let Some((start, end)) = find_any(held, || ENDS.into_iter()) {
                    let text = held.get(..start).unwrap_or_default().to_owned();
                    let reopens = [CHANNEL, START].iter().any(|tag| held.get(start..end) == Some(*tag));
                    held.drain(..if reopens { start } else { end });
                    match std::mem::take(&mut self.0) {
                        Within::Call(name) => out.push(Piece::Call(name, text)),
                        Within::Answer => give(Piece::Text(text), out),
                        _ => give(Piece::Thinking(text), out),
                    }
                    return Channel::On;
                }
                if matches!(self.0, Within::Call(_)) {
                    return Channel::Wait;
                }
                let keep = partial(held, || ENDS.into_iter());
                let rest = held.split_off(held.len() - keep);
                let text = std::mem::replace(held, rest);
                give(if matches!(self.0, Within::Answer) { Piece::Text(text) } else { Piece::Thinking(text) }, out);
                Channel::Wait
            }
        }
    }

    pub(crate) fn finish(&mut self, held: String, out: &mut Vec<Piece>) {
        match std::mem::take(&mut self.0) {
            Within::Call(name) => out.push(Piece::Call(name, held)),
            Within::Thought => give(Piece::Thinking(held), out),
            Within::Answer => give(Piece::Text(held), out),
            // A header without its message says nothing.
            Within::Between | Within::Header => {}
        }
    }
}

fn give(piece: Piece, out: &mut Vec<Piece>) {
    if !matches!(&piece, Piece::Text(text) | Piece::Thinking(text) if text.is_empty()) {
        out.push(piece);
    }
}

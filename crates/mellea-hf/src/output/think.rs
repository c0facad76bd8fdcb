//! `<think>…</think>` in front of an answer becomes thinking.

use super::{Piece, partial, release};

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but white space so far: thinking may still begin.
    Start,
    Thinking,
    /// Behind the closing tag; white space before the answer is dropped.
    Gap,
    Answer,
}

#[derive(Debug)]
pub(super) struct ThinkSplitter {
    state: State,
    held: String,
    /// Whether the next thought is the first text behind the opening tag.
    fresh: bool,
}

impl ThinkSplitter {
    pub(super) fn new(enabled: bool, open: bool) -> Self {
        let state = match (enabled, open) {
            (false, _) => State::Answer,
            (true, true) => State::Thinking,
            (true, false) => State::Start,
        };
        Self { state, held: String::new(), fresh: true }
    }

    pub(super) fn push(&mut self, text: &str) -> Vec<Piece> {
        self.held.push_str(text);
        let mut pieces = Vec::new();
        loop {
            match self.state {
                State::Start => {
                    let begun = self.held.trim_start();
                    if begun.len() < OPEN.len() && OPEN.starts_with(begun) {
                        return pieces;
                    }
                    match begun.strip_prefix(OPEN) {
                        Some(rest) => {
                            self.held = rest.to_owned();
                            self.state = State::Thinking;
                        }
                        None => self.state = State::Answer,
                    }
                }
                State::Thinking => {
                    if self.fresh {
                        self.held = self.held.trim_start().to_owned();
                        if self.held.is_empty() {
                            return pieces;
                        }
                        self.fresh = false;
                    }
                    match self.held.split_once(CLOSE) {
                        Some((thought, rest)) => {
                            pieces.push(Piece::Thinking(thought.trim_end().to_owned()));
                            self.held = rest.to_owned();
                            self.state = State::Gap;
                        }
                        None => {
                            // White space before the closing tag is not part of the thought.
                            let sure = self.held.len() - partial(&self.held, CLOSE);
                            let sure = self.held.get(..sure).unwrap_or_default().trim_end().len();
                            let keep = self.held.len() - sure;
                            pieces.push(Piece::Thinking(release(&mut self.held, keep)));
                            return pieces;
                        }
                    }
                }
                State::Gap => {
                    self.held = self.held.trim_start().to_owned();
                    if self.held.is_empty() {
                        return pieces;
                    }
                    self.state = State::Answer;
                }
                State::Answer => {
                    pieces.push(Piece::Text(std::mem::take(&mut self.held)));
                    return pieces;
                }
            }
        }
    }

    pub(super) fn finish(&mut self) -> Vec<Piece> {
        let rest = std::mem::take(&mut self.held);
        vec![match self.state {
            State::Thinking => Piece::Thinking(rest.trim_end().to_owned()),
            State::Start | State::Gap | State::Answer => Piece::Text(rest),
        }]
    }
}

//! Treats a `<think>` block at the start of an answer as reasoning.

use std::collections::VecDeque;

use mellea_core::Event;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";
/// The most white space before the block that is waited for.
const MAX_LEAD: usize = 64;

/// Splits text that comes in pieces, cut anywhere, into reasoning and answer.
#[derive(Debug, Default)]
pub(super) struct ThinkSplitter {
    state: State,
    held: String,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    /// Only white space, or a part of the opening tag, has arrived.
    #[default]
    Start,
    /// Within the block, before anything but white space.
    Opened,
    /// Within the block.
    Thinking,
    /// Behind the block, before anything but white space.
    Closed,
    /// Within the answer, to which everything belongs from now on.
    Text,
}

impl ThinkSplitter {
    /// One that takes everything for the answer.
    pub(super) fn off() -> Self {
        Self { state: State::Text, held: String::new() }
    }

    /// Reports that reasoning came another way: there will be no block.
    pub(super) fn skip(&mut self) {
        if self.state == State::Start && self.held.is_empty() {
            self.state = State::Text;
        }
    }

    pub(super) fn push(&mut self, text: String, out: &mut VecDeque<Event>) {
        if text.is_empty() {
            return;
        }
        if self.state == State::Text {
            out.push_back(Event::Text(text));
            return;
        }
        let mut all = std::mem::take(&mut self.held);
        if all.is_empty() {
            all = text;
        } else {
            all.push_str(&text);
        }
        self.advance(all, out);
    }

    fn advance(&mut self, mut all: String, out: &mut VecDeque<Event>) {
        loop {
            match self.state {
                State::Start => {
                    let text = all.trim_start();
                    if let Some(rest) = text.strip_prefix(OPEN) {
                        all = rest.to_owned();
                        self.state = State::Opened;
                    } else if OPEN.starts_with(text) && all.len() - text.len() <= MAX_LEAD {
                        self.held = all;
                        return;
                    } else {
                        self.state = State::Text;
                    }
                }
                State::Opened | State::Closed => {
                    let text = all.trim_start();
                    if text.is_empty() {
                        return;
                    }
                    if text.len() < all.len() {
                        all = text.to_owned();
                    }
                    self.state = if self.state == State::Opened { State::Thinking } else { State::Text };
                }
                State::Thinking => {
                    let Some(end) = all.find(CLOSE) else {
                        let keep = (1..CLOSE.len()).rev().find(|n| CLOSE.get(..*n).is_some_and(|start| all.ends_with(start)));
                        self.held = all.split_off(all.len() - keep.unwrap_or_default());
                        emit(Event::Thinking(all), out);
                        return;
                    };
                    let rest = all.split_off(end);
                    emit(Event::Thinking(all), out);
                    all = rest.get(CLOSE.len()..).unwrap_or_default().to_owned();
                    self.state = State::Closed;
                }
                State::Text => {
                    emit(Event::Text(all), out);
                    return;
                }
            }
        }
    }

    /// Gives what was held back.
    pub(super) fn finish(&mut self, out: &mut VecDeque<Event>) {
        let held = std::mem::take(&mut self.held);
        emit(if self.state == State::Thinking { Event::Thinking(held) } else { Event::Text(held) }, out);
    }
}

fn emit(event: Event, out: &mut VecDeque<Event>) {
    if !matches!(&event, Event::Text(text) | Event::Thinking(text) if text.is_empty()) {
        out.push_back(event);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(pieces: &[&str]) -> (String, String) {
        let (mut splitter, mut out) = (ThinkSplitter::default(), VecDeque::new());
        pieces.iter().for_each(|piece| splitter.push((*piece).to_owned(), &mut out));
        splitter.finish(&mut out);
        let (mut thinking, mut text) = (String::new(), String::new());
        for event in out {
            match event {
                Event::Thinking(piece) => thinking.push_str(&piece),
                Event::Text(piece) => text.push_str(&piece),
                other => panic!("{other:?}"),
            }
        }
        (thinking, text)
    }

    const CASES: [(&str, &str, &str); 11] = [
        ("hello", "", "hello"),
        ("<think>a</think>b", "a", "b"),
        ("\n<think>\na < b </th> c\n</think>\n\nb </think>", "a < b </th> c\n", "b </think>"),
        ("<think></think>b", "", "b"),
        ("<think>\n\n</think>\n\nb", "", "b"),
        ("<think>a", "a", ""),
        ("<think>a</thin", "a</thin", ""),
        ("<thin", "", "<thin"),
        ("a <think>b</think>", "", "a <think>b</think>"),
        ("  <thinking>", "", "  <thinking>"),
        ("<think>ä—</think>é", "ä—", "é"),
    ];

    #[test]
    fn a_block_at_the_start_is_reasoning() {
        for (all, thinking, text) in CASES {
            assert_eq!(split(&[all]), (thinking.to_owned(), text.to_owned()), "{all:?}");
        }
    }

    #[test]
    fn it_does_not_matter_where_the_text_is_cut() {
        for (all, thinking, text) in CASES {
            let one_by_one: Vec<String> = all.chars().map(String::from).collect();
            let pieces: Vec<&str> = one_by_one.iter().map(String::as_str).collect();
            assert_eq!(split(&pieces), (thinking.to_owned(), text.to_owned()), "{all:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_to_the_same_whole_or_in_pieces(pieces in prop::collection::vec("[<>/a thinké\n]{0,6}|<think>|</think>", 0..12)) {
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(split(&pieces), split(&[&pieces.concat()]));
        }
    }
}

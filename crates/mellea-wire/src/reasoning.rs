//! Setting reasoning apart from the answer while the text arrives.

use std::sync::Arc;

use crate::channel::{Channel, Channels};

/// The longest tag that is looked for, in bytes.
const MAX_TAG: usize = 64;
/// The most white space before the first tag that is waited for.
const MAX_LEAD: usize = 64;

/// The tags around reasoning, each pair an opening and a closing one. Case does not count.
///
/// By default those that models use: `<think>`, `<thinking>`, `<thought>`, `<reasoning>`, `<seed:think>`, `[THINK]` and
/// `<|START_THINKING|>`; the channels of gpt-oss are read, too.
///
/// ```
/// use mellea_wire::Tags;
///
/// let tags = Tags::default().with("<plan>", "</plan>");
/// assert!(!tags.is_empty() && Tags::none().is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tags(Option<Arc<[(String, String)]>>);

const KNOWN: [(&str, &str); 8] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<thoughts>", "</thoughts>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
];

impl Default for Tags {
    fn default() -> Self {
        static SHARED: std::sync::OnceLock<Arc<[(String, String)]>> = std::sync::OnceLock::new();
        let known = || KNOWN.iter().map(|(open, close)| ((*open).to_owned(), (*close).to_owned())).collect();
        Self(Some(Arc::clone(SHARED.get_or_init(known))))
    }
}

impl Tags {
    /// None: everything is the answer.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// These as well. Empty tags, and those of more than 64 bytes, are left out.
    #[must_use]
    pub fn with(self, open: impl Into<String>, close: impl Into<String>) -> Self {
        let pair = (open.into(), close.into());
        let fits = |tag: &str| !tag.trim().is_empty() && tag.len() <= MAX_TAG;
        let mut all: Vec<_> = self.pairs().to_vec();
        if fits(&pair.0) && fits(&pair.1) {
            all.push(pair);
        }
        Self(Some(all.into()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs().is_empty()
    }

    fn pairs(&self) -> &[(String, String)] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Piece {
    /// Of the answer's text.
    Text(String),
    /// Of the reasoning.
    Thinking(String),
    /// All text so far turned out to be reasoning: only its closing tag came.
    WasThinking,
    /// A call of a tool, in a channel of its own: the name, and the arguments as they were written.
    Call(String, String),
}

/// Splits text that comes in pieces, cut anywhere, into reasoning and answer.
///
/// A block at the start of the answer is reasoning, and so are later ones once there was one. A closing tag alone makes
/// reasoning of all text before it, as templates that open the block in the prompt need it. Tags elsewhere, and those
/// behind a backtick, are text.
///
/// ```
/// use mellea_wire::{Piece, Splitter, Tags};
///
/// let mut splitter = Splitter::new(Tags::default(), false);
/// let mut pieces = Vec::new();
/// ["<th", "ink>Add them.</think>\n\n", "4"].into_iter().for_each(|text| splitter.push(text.to_owned(), &mut pieces));
/// splitter.finish(&mut pieces);
/// assert_eq!(pieces, [Piece::Thinking("Add them.".into()), Piece::Text("4".into())]);
/// ```
#[derive(Debug)]
pub struct Splitter {
    tags: Tags,
    state: State,
    held: String,
    /// A block was read, so that further ones are blocks as well.
    blocks: bool,
    /// An opening tag stands in the text as text, so a closing one does, too.
    literal: bool,
    /// Some text that is not white space has been given.
    spoken: bool,
    /// The last character given, to know a backtick before a tag.
    last: Option<char>,
    channels: Channels,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Only white space, or a part of an opening tag, has arrived.
    Start,
    /// Within a block of these tags (by number, or of any), before anything but white space.
    Opened(Option<usize>),
    /// Within a block.
    Thinking(Option<usize>),
    /// Behind a block, before anything but white space.
    Closed,
    /// Within the answer.
    Text,
    /// Within channels.
    Channels,
}

impl Splitter {
    /// Splits at these tags; `open` if the prompt has already opened a block.
    #[must_use]
    pub fn new(tags: Tags, open: bool) -> Self {
        let state = match (tags.is_empty(), open) {
            (true, _) => State::Text,
            (false, true) => State::Opened(None),
            (false, false) => State::Start,
        };
        Self {
            tags,
            state,
            held: String::new(),
            blocks: open,
            literal: false,
            spoken: false,
            last: None,
            channels: Channels::default(),
        }
    }

    /// Whether this text is a piece of the answer as it is, so that it need not be pushed.
    #[must_use]
    pub fn passes(&self, text: &str) -> bool {
        self.state == State::Text && self.held.is_empty() && (self.tags.is_empty() || !may_have_tag(text))
    }

    /// Reports that reasoning has come another way, and so has ended where text begins.
    pub fn thought_elsewhere(&mut self) {
        self.literal |= self.state == State::Text;
    }

    /// Takes the next text; gives what is certain by now.
    pub fn push(&mut self, text: String, out: &mut Vec<Piece>) {
        if self.passes(&text) {
            self.say(text, out);
            return;
        }
        self.held.push_str(&text);
        while self.step(out) {}
    }

    /// Gives what was held back.
    pub fn finish(&mut self, out: &mut Vec<Piece>) {
        let held = std::mem::take(&mut self.held);
        match self.state {
            // A tag at the very end, behind text, opened nothing.
            State::Opened(Some(tag)) if self.spoken => {
                let tag = self.tags.pairs().get(tag).map(|pair| pair.0.clone());
                self.say(tag.unwrap_or_default(), out);
            }
            State::Opened(_) | State::Thinking(_) => think(held.trim_end().to_owned(), out),
            State::Channels => self.channels.finish(held, out),
            State::Start | State::Closed | State::Text => self.say(held, out),
        }
    }

    /// One step; false if more text is needed.
    fn step(&mut self, out: &mut Vec<Piece>) -> bool {
        match self.state {
            State::Start => {
                let lead = self.held.len() - self.held.trim_start().len();
                let text = self.held.get(lead..).unwrap_or_default();
                if let Some((end, tag)) = starts_with_any(text, self.tags.pairs().iter().map(|pair| pair.0.as_str())) {
                    self.held.drain(..lead + end);
                    self.blocks = true;
                    self.state = State::Opened(Some(tag));
                } else if Channels::begins(text) {
                    self.held.drain(..lead);
                    self.state = State::Channels;
                } else if lead <= MAX_LEAD && self.may_become_tag(text) {
                    return false;
                } else {
                    self.state = State::Text;
                }
                true
            }
            State::Opened(tag) => {
                trim_start(&mut self.held);
                if self.held.is_empty() {
                    return false;
                }
                self.state = State::Thinking(tag);
                true
            }
            State::Thinking(tag) => self.think(tag, out),
            State::Closed => {
                trim_start(&mut self.held);
                if self.held.is_empty() {
                    return false;
                }
                self.state = State::Text;
                true
            }
            State::Text => self.text(out),
            State::Channels => {
                let more = self.channels.step(&mut self.held, out);
                if more == Channel::Left {
                    self.state = State::Text;
                }
                more != Channel::Wait
            }
        }
    }

    fn think(&mut self, tag: Option<usize>, out: &mut Vec<Piece>) -> bool {
        let pairs = self.tags.pairs();
        let closing =
            || pairs.iter().enumerate().filter(|(at, _)| tag.is_none_or(|tag| tag == *at)).map(|(_, pair)| pair.1.as_str());
        if let Some((start, end)) = find_any(&self.held, closing) {
            let rest = self.held.split_off(end);
            self.held.truncate(start);
            let thought = std::mem::replace(&mut self.held, rest);
            think(thought.trim_end().to_owned(), out);
            self.last = None;
            self.state = State::Closed;
            return true;
        }
        // White space before the closing tag is no part of the thought.
        let sure = self.held.len() - partial(&self.held, closing);
        let sure = self.held.get(..sure).unwrap_or_default().trim_end().len();
        let rest = self.held.split_off(sure);
        think(std::mem::replace(&mut self.held, rest), out);
        false
    }

    /// Within the answer: later blocks, and a closing tag alone.
    fn text(&mut self, out: &mut Vec<Piece>) -> bool {
        let all = || self.tags.pairs().iter().flat_map(|(open, close)| [open.as_str(), close.as_str()]);
        if self.tags.is_empty() || !may_have_tag(&self.held) {
            let all = std::mem::take(&mut self.held);
            self.say(all, out);
            return false;
        }
        let Some((start, end)) = find_any(&self.held, all) else {
            let keep = partial(&self.held, all);
            let rest = self.held.split_off(self.held.len() - keep);
            let sure = std::mem::replace(&mut self.held, rest);
            self.say(sure, out);
            return false;
        };
        let tag = self.held.get(start..end).unwrap_or_default().to_owned();
        let before = self.held.get(..start).unwrap_or_default().to_owned();
        let quoted = before.chars().next_back().or(self.last) == Some('`');
        let opens = self.tags.pairs().iter().position(|pair| pair.0.eq_ignore_ascii_case(&tag));
        match opens {
            Some(at) if self.blocks && !quoted => {
                self.held.drain(..end);
                self.say(before, out);
                self.state = State::Opened(Some(at));
            }
            None if !self.blocks && !self.literal && !quoted => {
                self.held.drain(..end);
                if self.spoken {
                    out.push(Piece::WasThinking);
                }
                (self.spoken, self.last) = (false, None);
                think(before, out);
                self.blocks = true;
                self.state = State::Closed;
            }
            _ => {
                self.literal |= opens.is_some();
                let rest = self.held.split_off(end);
                let sure = std::mem::replace(&mut self.held, rest);
                self.say(sure, out);
            }
        }
        true
    }

    fn say(&mut self, text: String, out: &mut Vec<Piece>) {
        if !text.is_empty() {
            self.spoken = true;
            self.last = text.chars().next_back();
            out.push(Piece::Text(text));
        }
    }

    fn may_become_tag(&self, text: &str) -> bool {
        text.is_empty() || self.tags.pairs().iter().any(|(open, _)| begins(open, text)) || Channels::may_begin(text)
    }
}

fn think(text: String, out: &mut Vec<Piece>) {
    if !text.is_empty() {
        out.push(Piece::Thinking(text));
    }
}

fn trim_start(text: &mut String) {
    let lead = text.len() - text.trim_start().len();
    text.drain(..lead);
}

/// Whether there is anything with which a tag may begin.
fn may_have_tag(text: &str) -> bool {
    text.bytes().any(|byte| matches!(byte, b'<' | b'[') || is_odd(byte))
}

/// Tags of users may begin with other signs than `<` and `[`.
const fn is_odd(byte: u8) -> bool {
    matches!(byte, b'{' | b'|' | b'#' | b'$' | b'@' | b'~' | b'^')
}

/// Whether the tag begins with this text, which is shorter.
pub(crate) fn begins(tag: &str, text: &str) -> bool {
    text.len() < tag.len() && tag.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text))
}

/// The end and the number of the tag that the text starts with.
fn starts_with_any<'a>(text: &str, tags: impl Iterator<Item = &'a str>) -> Option<(usize, usize)> {
    tags.enumerate().find(|(_, tag)| starts_with(text, tag)).map(|(at, tag)| (tag.len(), at))
}

pub(crate) fn starts_with(text: &str, tag: &str) -> bool {
    text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag))
}

/// Where the first of these tags stands.
pub(crate) fn find_any<'a, I: Iterator<Item = &'a str>>(text: &str, tags: impl Fn() -> I) -> Option<(usize, usize)> {
    text.char_indices().find_map(|(at, _)| {
        let rest = text.get(at..)?;
        let tag = tags().filter(|tag| starts_with(rest, tag)).max_by_key(|tag| tag.len())?;
        Some((at, at + tag.len()))
    })
}

/// How many bytes at the end of the text may be the beginning of one of these tags.
pub(crate) fn partial<'a, I: Iterator<Item = &'a str>>(text: &str, tags: impl Fn() -> I) -> usize {
    let from = text.len().saturating_sub(MAX_TAG);
    let mut starts = text.char_indices().map(|(at, _)| at).filter(|at| *at >= from);
    let found = starts.find(|at| text.get(*at..).is_some_and(|rest| tags().any(|tag| begins(tag, rest))));
    found.map_or(0, |at| text.len() - at)
}

#[cfg(test)]
mod tests;

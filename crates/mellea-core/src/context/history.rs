//! The entries of a context, as policies read them.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::Entry;
use crate::message::{Message, Role};

/// One entry, and all that came before it.
pub(super) struct Node {
    pub(super) entry: Entry,
    pub(super) previous: Option<Arc<Self>>,
    pub(super) position: usize,
    /// How many entries there are up to here.
    pub(super) held: usize,
    /// Made when it is first asked for: to hash an entry costs more than to add it.
    pub(super) id: OnceLock<u64>,
    message: OnceLock<Arc<Message>>,
    tokens: OnceLock<u64>,
}

impl Node {
    pub(super) fn new(entry: Entry, previous: Option<Arc<Self>>, position: usize) -> Self {
        let held = previous.as_ref().map_or(0, |node| node.held) + 1;
        Self { entry, previous, position, held, id: OnceLock::new(), message: OnceLock::new(), tokens: OnceLock::new() }
    }

    /// The same entry behind another one; what is known of it stays known.
    pub(super) fn moved(&self, previous: Option<Arc<Self>>) -> Self {
        let mut node = Self::new(self.entry.clone(), previous, self.position);
        (node.message, node.tokens) = (self.message.clone(), self.tokens.clone());
        node
    }

    pub(super) fn message(&self) -> &Arc<Message> {
        match &self.entry {
            Entry::Message(message) => message,
            Entry::Output(_) => self.message.get_or_init(|| self.entry.to_message()),
        }
    }
}

impl Drop for Node {
    /// Iterative: the default drop would recurse once per turn and overflow the stack.
    fn drop(&mut self) {
        let mut next = self.previous.take();
        while let Some(node) = next {
            next = Arc::into_inner(node).and_then(|mut node| node.previous.take());
        }
    }
}

/// A system message, and those before it: a limited view need not look for them.
pub(super) struct SystemNode {
    pub(super) message: Arc<Message>,
    pub(super) position: usize,
    pub(super) previous: Option<Arc<Self>>,
}

impl Drop for SystemNode {
    fn drop(&mut self) {
        let mut next = self.previous.take();
        while let Some(node) = next {
            next = Arc::into_inner(node).and_then(|mut node| node.previous.take());
        }
    }
}

/// The entries that a context holds, as a [`ContextPolicy`](super::ContextPolicy) reads them.
///
/// Every entry has a [position](Past::position) that it keeps, however much of what stood before it is
/// dropped.
#[derive(Clone, Copy)]
pub struct History<'a> {
    pub(super) head: Option<&'a Node>,
    pub(super) systems: Option<&'a SystemNode>,
}

impl<'a> History<'a> {
    /// How many entries there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.head.map_or(0, |node| node.held)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.head.is_none()
    }

    /// The position that the next entry will have: the number of all entries that there ever were.
    #[must_use]
    pub fn end(self) -> usize {
        self.head.map_or(0, |node| node.position + 1)
    }

    /// The entries, newest first.
    pub fn newest_first(self) -> impl Iterator<Item = Past<'a>> + Clone {
        std::iter::successors(self.head, |node| node.previous.as_deref()).map(|node| Past { node })
    }

    /// The entries, oldest first.
    #[must_use]
    pub fn oldest_first(self) -> Vec<Past<'a>> {
        let mut all = Vec::with_capacity(self.len());
        all.extend(self.newest_first());
        all.reverse();
        all
    }

    /// The exchanges, newest first: a user's message with all that follows it up to the next.
    /// Whatever stands before the first user's message is one as well. System messages belong to none.
    pub fn exchanges(self) -> impl Iterator<Item = Exchange<'a>> {
        let mut entries = self.newest_first().filter(|past| past.role() != Role::System).peekable();
        std::iter::from_fn(move || {
            let last = entries.next()?;
            let (mut first, mut tokens) = (last, last.tokens());
            while first.role() != Role::User
                && let Some(earlier) = entries.next()
            {
                first = earlier;
                tokens = tokens.saturating_add(earlier.tokens());
            }
            Some(Exchange { first, last, tokens })
        })
    }

    /// The system messages, newest first. There may be some in the middle of a conversation.
    pub fn systems(self) -> impl Iterator<Item = (usize, &'a Arc<Message>)> {
        std::iter::successors(self.systems, |node| node.previous.as_deref()).map(|node| (node.position, &node.message))
    }
}

impl fmt::Debug for History<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").field("entries", &self.len()).field("end", &self.end()).finish_non_exhaustive()
    }
}

/// One entry of a [`History`].
#[derive(Clone, Copy)]
pub struct Past<'a> {
    node: &'a Node,
}

impl<'a> Past<'a> {
    /// Its place among all entries that there ever were, counted from 0.
    #[must_use]
    pub fn position(self) -> usize {
        self.node.position
    }

    /// The entry.
    #[must_use]
    pub fn entry(self) -> &'a Entry {
        &self.node.entry
    }

    /// The entry as a model reads it. It is made once and shared: pointers to it are equal wherever
    /// contexts have this entry in common.
    #[must_use]
    pub fn message(self) -> &'a Arc<Message> {
        self.node.message()
    }

    /// Who speaks.
    #[must_use]
    pub fn role(self) -> Role {
        self.node.entry.role()
    }

    /// About how many tokens it has: a quarter of the bytes of text, 1,000 for an image or a piece of
    /// audio.
    #[must_use]
    pub fn tokens(self) -> u64 {
        *self.node.tokens.get_or_init(|| tokens(self.message()))
    }
}

impl fmt::Debug for Past<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past").field("position", &self.position()).field("entry", self.entry()).finish()
    }
}

/// A user's message with the answers and results that follow it, see [`History::exchanges`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Exchange<'a> {
    /// Its first entry.
    pub first: Past<'a>,
    /// Its last entry.
    pub last: Past<'a>,
    /// About how many tokens it has, see [`Past::tokens`].
    pub tokens: u64,
}

/// A rough number of tokens.
pub(super) fn tokens(message: &Message) -> u64 {
    const MEDIA: u64 = 1000;
    let bytes: usize = message.content.iter().filter_map(|c| c.as_text()).map(str::len).sum();
    let calls: usize = message.tool_calls.iter().map(|c| c.name.len() + c.arguments.to_string().len()).sum();
    let documents: usize = message.documents.iter().map(|d| d.text.len()).sum();
    let media = message.content.iter().filter(|c| c.as_text().is_none()).count() as u64;
    ((bytes + calls + documents) as u64).div_ceil(4).max(1) + media * MEDIA
}

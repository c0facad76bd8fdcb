//! Contexts: immutable, shared histories of a conversation, and what of them a model gets to see.

use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::message::{Message, Role};
use crate::output::ModelOutput;

/// The history of a conversation.
///
/// A context never changes: [`add`](Self::add) gives a longer one and costs the same however long
/// the history is. Contexts share what they have in common, so clones and branches are free.
///
/// What a model gets to see is decided by the policy the context was made with:
/// [`SimpleContext`] (nothing) or [`ChatContext`] (all, the last turns, or what fits).
///
/// ```
/// use mellea_core::{ChatContext, Context, Message};
///
/// let start: Context = ChatContext::new().into();
/// let asked = start.add(Message::user("Hello"));
/// let (one, other) = (asked.add(Message::assistant("Hi!")), asked.add(Message::assistant("Good day.")));
/// assert_eq!((asked.len(), one.len(), other.len()), (1, 2, 2));
/// assert_eq!(one.view().last().unwrap().text(), "Hi!");
/// ```
#[derive(Clone)]
pub struct Context {
    head: Option<Arc<Node>>,
    /// The system messages alone, so that a limited view need not look for them.
    systems: Option<Arc<SystemNode>>,
    policy: Policy,
}

struct Node {
    entry: Entry,
    previous: Option<Arc<Self>>,
    length: usize,
    /// Made when it is first asked for: to hash an entry costs more than to add it.
    id: OnceLock<u64>,
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

struct SystemNode {
    message: Message,
    previous: Option<Arc<Self>>,
}

impl Drop for SystemNode {
    fn drop(&mut self) {
        let mut next = self.previous.take();
        while let Some(node) = next {
            next = Arc::into_inner(node).and_then(|mut node| node.previous.take());
        }
    }
}

/// One entry of a history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Something said to the model, by a user or a tool, or put into its mouth.
    Message(Message),
    /// Something a model said.
    Output(Arc<ModelOutput>),
}

/// A context that shows the model nothing of what came before.
///
/// Every call stands alone, so calls on one session may run side by side. Only the last turn is
/// kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimpleContext;

impl SimpleContext {
    /// A context that shows nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

/// A context that shows the model the conversation so far.
///
/// Without limits it shows everything. With limits it leaves out the oldest exchanges, always whole
/// ones (a user's message with all answers and tool messages up to the next), never the system
/// messages, and never the newest exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatContext {
    last_turns: Option<usize>,
    token_budget: Option<u64>,
}

impl ChatContext {
    /// A context that shows everything.
    #[must_use]
    pub const fn new() -> Self {
        Self { last_turns: None, token_budget: None }
    }

    /// Shows at most this many of the latest exchanges.
    #[must_use]
    pub const fn last_turns(mut self, turns: usize) -> Self {
        self.last_turns = Some(turns);
        self
    }

    /// Shows at most about this many tokens, estimated at four bytes each, which is on the safe side
    /// for English and too low for some scripts. Leave room for the next prompt and the answer.
    #[must_use]
    pub const fn token_budget(mut self, tokens: u64) -> Self {
        self.token_budget = Some(tokens);
        self
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Policy {
    Simple,
    Chat(ChatContext),
}

impl From<SimpleContext> for Context {
    fn from(_: SimpleContext) -> Self {
        Self { head: None, systems: None, policy: Policy::Simple }
    }
}

impl From<ChatContext> for Context {
    fn from(policy: ChatContext) -> Self {
        Self { head: None, systems: None, policy: Policy::Chat(policy) }
    }
}

impl Default for Context {
    fn default() -> Self {
        SimpleContext.into()
    }
}

impl From<Message> for Entry {
    fn from(message: Message) -> Self {
        Self::Message(message)
    }
}

impl From<Arc<ModelOutput>> for Entry {
    fn from(output: Arc<ModelOutput>) -> Self {
        Self::Output(output)
    }
}

impl From<ModelOutput> for Entry {
    fn from(output: ModelOutput) -> Self {
        Self::Output(Arc::new(output))
    }
}

impl Entry {
    /// The entry as a model reads it.
    #[must_use]
    pub fn to_message(&self) -> Message {
        match self {
            Self::Message(message) => message.clone(),
            Self::Output(output) => Message::from(&**output),
        }
    }

    fn role(&self) -> Role {
        match self {
            Self::Message(message) => message.role,
            Self::Output(_) => Role::Assistant,
        }
    }
}

impl Context {
    /// This history with one more entry.
    #[must_use]
    pub fn add(&self, entry: impl Into<Entry>) -> Self {
        let entry = entry.into();
        let length = self.len() + 1;
        let systems = match &entry {
            Entry::Message(message) if message.role == Role::System => {
                Some(Arc::new(SystemNode { message: message.clone(), previous: self.systems.clone() }))
            }
            _ => self.systems.clone(),
        };
        let node = Node { entry, previous: self.head.clone(), length, id: OnceLock::new() };
        Self { head: Some(Arc::new(node)), systems, policy: self.policy }
    }

    /// This history after one more turn: what was asked, and what the model answered. A
    /// [`SimpleContext`] keeps this turn alone.
    #[must_use]
    pub fn add_turn(&self, asked: impl IntoIterator<Item = Message>, output: Arc<ModelOutput>) -> Self {
        let start = if self.is_stateless() { self.reset() } else { self.clone() };
        asked.into_iter().fold(start, |context, message| context.add(message)).add(output)
    }

    /// An empty history with the same policy.
    #[must_use]
    pub fn reset(&self) -> Self {
        Self { head: None, systems: None, policy: self.policy }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.as_ref().map_or(0, |node| node.length)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// An identity of the whole history: equal histories have equal ids, so a view can be a cache
    /// key. Stable within one version of this crate.
    #[must_use]
    pub fn id(&self) -> u64 {
        let nodes = || std::iter::successors(self.head.as_deref(), |node| node.previous.as_deref());
        let new: Vec<&Node> = nodes().take_while(|node| node.id.get().is_none()).collect();
        let known = nodes().nth(new.len()).and_then(|node| node.id.get().copied()).unwrap_or_default();
        new.into_iter().rev().fold(known, |previous, node| *node.id.get_or_init(|| node_id(previous, &node.entry)))
    }

    /// Whether the model never sees the history, so that calls cannot disturb each other.
    #[must_use]
    pub fn is_stateless(&self) -> bool {
        self.policy == Policy::Simple
    }

    /// The entries, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Entry> {
        std::iter::successors(self.head.as_deref(), |node| node.previous.as_deref()).map(|node| &node.entry)
    }

    /// The entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> Vec<&Entry> {
        let mut all: Vec<&Entry> = self.newest_first().collect();
        all.reverse();
        all
    }

    /// What a model gets to see, oldest first.
    #[must_use]
    pub fn view(&self) -> Vec<Message> {
        match self.policy {
            Policy::Simple => Vec::new(),
            Policy::Chat(limits) if limits == ChatContext::new() => self.entries().into_iter().map(Entry::to_message).collect(),
            Policy::Chat(limits) => self.limited(limits),
        }
    }

    /// The newest thing a model said.
    #[must_use]
    pub fn last_output(&self) -> Option<&Arc<ModelOutput>> {
        self.newest_first().find_map(|entry| match entry {
            Entry::Output(output) => Some(output),
            Entry::Message(_) => None,
        })
    }

    /// The newest message to the model, and the model's answer if it has answered.
    #[must_use]
    pub fn last_turn(&self) -> Option<Turn<'_>> {
        let mut newest = self.newest_first();
        match newest.next()? {
            Entry::Output(output) => {
                let input = newest.next().and_then(|entry| match entry {
                    Entry::Message(message) => Some(message),
                    Entry::Output(_) => None,
                });
                Some(Turn { input, output: Some(output) })
            }
            Entry::Message(message) => Some(Turn { input: Some(message), output: None }),
        }
    }

    /// The system messages, then the newest whole exchanges within the limits. It looks only at what
    /// it shows, and at one exchange more.
    fn limited(&self, limits: ChatContext) -> Vec<Message> {
        let systems = std::iter::successors(self.systems.as_deref(), |node| node.previous.as_deref());
        let systems: Vec<Message> = systems.map(|node| node.message.clone()).collect();
        let mut left = limits.token_budget.map(|budget| budget.saturating_sub(systems.iter().map(tokens).sum()));
        let mut kept: Vec<Message> = Vec::new();
        let mut exchange: Vec<Message> = Vec::new();
        let mut turns = 0;
        // Newest first: an exchange is complete at its user's message, or at the very first entry.
        let mut entries = self.newest_first().filter(|entry| entry.role() != Role::System).peekable();
        while let Some(entry) = entries.next() {
            exchange.push(entry.to_message());
            if entry.role() != Role::User && entries.peek().is_some() {
                continue;
            }
            let cost: u64 = exchange.iter().map(tokens).sum();
            let fits = limits.last_turns.is_none_or(|max| turns < max) && left.is_none_or(|left| cost <= left);
            let newest = turns == 0;
            if !(fits || newest) {
                break;
            }
            left = left.map(|left| left.saturating_sub(cost));
            turns += 1;
            kept.append(&mut exchange);
        }
        kept.extend(systems);
        kept.reverse();
        kept
    }
}

/// A rough number of tokens: a quarter of the bytes of text, 1,000 for an image or a piece of audio.
fn tokens(message: &Message) -> u64 {
    const MEDIA: u64 = 1000;
    let bytes: usize = message.content.iter().filter_map(|c| c.as_text()).map(str::len).sum();
    let calls: usize = message.tool_calls.iter().map(|c| c.name.len() + c.arguments.to_string().len()).sum();
    let documents: usize = message.documents.iter().map(|d| d.text.len()).sum();
    let media = message.content.iter().filter(|c| c.as_text().is_none()).count() as u64;
    ((bytes + calls + documents) as u64).div_ceil(4).max(1) + media * MEDIA
}

fn node_id(previous: u64, entry: &Entry) -> u64 {
    // `DefaultHasher::new` has fixed keys. The JSON form is deterministic and holds all that counts.
    let mut hasher = DefaultHasher::new();
    previous.hash(&mut hasher);
    match entry {
        Entry::Message(message) => serde_json::to_string(message).unwrap_or_default().hash(&mut hasher),
        Entry::Output(output) => {
            (&output.text, &output.thinking).hash(&mut hasher);
            for call in &output.tool_calls {
                (&call.id, &call.name, call.arguments.to_string()).hash(&mut hasher);
            }
        }
    }
    hasher.finish()
}

/// The newest turn of a context, see [`Context::last_turn`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Turn<'a> {
    /// What was said to the model.
    pub input: Option<&'a Message>,
    /// What it answered.
    pub output: Option<&'a Arc<ModelOutput>>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("policy", &self.policy).field("entries", &self.len()).finish()
    }
}

impl PartialEq for Context {
    fn eq(&self, other: &Self) -> bool {
        self.policy == other.policy && self.len() == other.len() && self.newest_first().eq(other.newest_first())
    }
}

#[derive(Serialize, Deserialize)]
struct Stored<E> {
    policy: Policy,
    entries: Vec<E>,
}

impl Serialize for Context {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Stored { policy: self.policy, entries: self.entries() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Context {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::<Entry>::deserialize(deserializer)?;
        let start = Self { head: None, systems: None, policy: stored.policy };
        Ok(stored.entries.into_iter().fold(start, |context, entry| context.add(entry)))
    }
}

#[cfg(test)]
mod tests;

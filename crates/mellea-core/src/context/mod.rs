//! Contexts: immutable, shared histories of a conversation, and what of them a model gets to see.

mod history;
mod id;
mod policy;
mod stored;

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde::{Deserialize, Serialize};

pub use history::{Exchange, History, Past};
pub use policy::{ChatContext, ContextPolicy, SimpleContext, View};

use crate::error::{Error, ErrorKind, Result};
use crate::message::{Message, Messages, Role, Sequence, ToolCall};
use crate::output::ModelOutput;
use history::{Node, SystemNode};
use policy::Shown;

/// The history of a conversation.
///
/// A context never changes: [`add`](Self::add) gives a longer one and costs the same however long
/// the history is. Contexts share what they have in common, so clones and branches are free.
///
/// What a model gets to see is decided by the [`ContextPolicy`] the context was made with:
/// [`SimpleContext`] (nothing), [`ChatContext`] (all, the last turns, or what fits), or your own.
/// What a policy can never show again is dropped.
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
    systems: Option<Arc<SystemNode>>,
    policy: Arc<dyn ContextPolicy>,
    /// The whole history as a model reads it, up to where it was read last.
    read: Option<Arc<Mutex<Option<Read>>>>,
    /// How many entries there must be before it is asked again what can be dropped.
    full_at: usize,
}

/// A history as it was read.
#[derive(Clone)]
struct Read {
    /// The newest entry in it. It is only compared: as long as it is here, no other entry has its
    /// address.
    head: Weak<Node>,
    sequence: Sequence,
}

/// One entry of a history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Something said to the model, by a user or a tool, or put into its mouth.
    Message(Arc<Message>),
    /// Something a model said.
    Output(Arc<ModelOutput>),
}

impl<P: ContextPolicy> From<P> for Context {
    /// An empty history with this policy.
    fn from(policy: P) -> Self {
        Self::empty(Arc::new(policy))
    }
}

impl Default for Context {
    fn default() -> Self {
        SimpleContext.into()
    }
}

impl From<Message> for Entry {
    fn from(message: Message) -> Self {
        Self::Message(Arc::new(message))
    }
}

impl From<Arc<Message>> for Entry {
    fn from(message: Arc<Message>) -> Self {
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
    pub fn to_message(&self) -> Arc<Message> {
        match self {
            Self::Message(message) => Arc::clone(message),
            Self::Output(output) => Arc::new(Message::from(&**output)),
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
    fn empty(policy: Arc<dyn ContextPolicy>) -> Self {
        let read = (!policy.is_stateless()).then(Arc::default);
        Self { head: None, systems: None, policy, read, full_at: 2 }
    }

    /// This history with one more entry.
    #[must_use]
    pub fn add(&self, entry: impl Into<Entry>) -> Self {
        let mut next = self.with(entry.into(), self.history().end());
        if next.len() >= next.full_at {
            next.drop_unseen();
        }
        next
    }

    /// This history after one more turn: what was asked, and what the model answered. If the model
    /// never sees the history, as with a [`SimpleContext`], it is this turn alone.
    #[must_use]
    pub fn add_turn<M: Into<Arc<Message>>>(&self, asked: impl IntoIterator<Item = M>, output: Arc<ModelOutput>) -> Self {
        let start = if self.is_stateless() { self.reset() } else { self.clone() };
        asked.into_iter().fold(start, |context, message| context.add(message.into())).add(output)
    }

    fn with(&self, entry: Entry, position: usize) -> Self {
        let mut next = self.clone();
        next.push(Node::new(entry, self.head.clone(), position));
        next
    }

    fn push(&mut self, node: Node) {
        if let (Role::System, Entry::Message(message)) = (node.entry.role(), &node.entry) {
            let (message, position, previous) = (Arc::clone(message), node.position, self.systems.take());
            self.systems = Some(Arc::new(SystemNode { message, position, previous }));
        }
        self.head = Some(Arc::new(node));
    }

    /// Drops what the policy will never show again. Others who share those entries keep them.
    fn drop_unseen(&mut self) {
        let horizon = self.policy.horizon(self.history());
        if horizon > 0 {
            let nodes = || std::iter::successors(self.head.as_deref(), |node| node.previous.as_deref());
            let stays = |node: &&Node| node.position >= horizon || node.entry.role() == Role::System;
            let kept: Vec<&Node> = nodes().filter(stays).collect();
            if kept.len() < self.len() {
                // What was read holds on to the messages that are to go.
                let mut shorter = self.reset();
                for node in kept.into_iter().rev() {
                    let previous = shorter.head.take();
                    shorter.push(node.moved(previous));
                }
                *self = shorter;
            }
        }
        // Not at every turn: to drop entries means to link those that stay anew.
        self.full_at = self.len() + self.len() / 4 + 2;
    }

    /// An empty history with the same policy.
    #[must_use]
    pub fn reset(&self) -> Self {
        Self::empty(Arc::clone(&self.policy))
    }

    /// This history, of which the model gets to see what another policy says.
    #[must_use]
    pub fn with_policy(&self, policy: impl ContextPolicy) -> Self {
        Self { head: self.head.clone(), systems: self.systems.clone(), ..Self::from(policy) }
    }

    /// What decides what a model gets to see.
    #[must_use]
    pub fn policy(&self) -> &dyn ContextPolicy {
        &*self.policy
    }

    /// The same context, which from here on goes another way than this one.
    pub(crate) fn fork(&self) -> Self {
        let copy = |read: &Arc<Mutex<Option<Read>>>| {
            let read = read.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Arc::new(Mutex::new(read))
        };
        Self { read: self.read.as_ref().map(copy), ..self.clone() }
    }

    /// How many entries it holds; those that it has dropped do not count.
    #[must_use]
    pub fn len(&self) -> usize {
        self.history().len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// How many entries it has dropped, because its policy will never show them again.
    #[must_use]
    pub fn dropped(&self) -> usize {
        self.history().end() - self.len()
    }

    /// An identity of the entries that it holds: contexts that hold equal ones have equal ids, so a
    /// view can be a cache key. Stable within one version of this crate.
    #[must_use]
    pub fn id(&self) -> u64 {
        let nodes = || std::iter::successors(self.head.as_deref(), |node| node.previous.as_deref());
        let new: Vec<&Node> = nodes().take_while(|node| node.id.get().is_none()).collect();
        let known = nodes().nth(new.len()).and_then(|node| node.id.get().copied()).unwrap_or_default();
        new.into_iter().rev().fold(known, |previous, node| *node.id.get_or_init(|| id::of_entry(previous, &node.entry)))
    }

    /// Whether the model never sees the history, so that calls cannot disturb each other.
    #[must_use]
    pub fn is_stateless(&self) -> bool {
        self.policy.is_stateless()
    }

    /// The entries as a policy reads them.
    #[must_use]
    pub fn history(&self) -> History<'_> {
        History { head: self.head.as_deref(), systems: self.systems.as_deref() }
    }

    /// The entries, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Entry> {
        self.history().newest_first().map(|past| past.entry())
    }

    /// The entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> Vec<&Entry> {
        self.history().oldest_first().into_iter().map(|past| past.entry()).collect()
    }

    /// What a model gets to see, oldest first: always a conversation that providers accept.
    ///
    /// Every call of a tool is followed by its result. A call without a result has one here that says
    /// so; a result without a call is left out; of two calls with one id the later gets another. The
    /// history itself stays as it was added.
    #[must_use]
    pub fn view(&self) -> Messages {
        self.sequence().finish()
    }

    /// What a model gets to see, and what it is asked then: always a conversation that providers accept,
    /// as [`view`](Self::view) is. Results of tools may be asked: they answer the calls of the history.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the model sees nothing of the history, and nothing is asked that it could
    /// answer without.
    pub fn view_with<M: Into<Arc<Message>>>(&self, asked: impl IntoIterator<Item = M>) -> Result<Messages> {
        let mut sequence = self.sequence();
        sequence.extend(asked);
        let messages = sequence.finish();
        if messages.is_empty() && self.is_stateless() {
            return Err(forgetful("a simple context keeps no turns from which the model could go on"));
        }
        Ok(messages)
    }

    fn sequence(&self) -> Sequence {
        let history = self.history();
        let mut sequence = Sequence::default();
        match self.policy.view(history).0 {
            Shown::Nothing => {}
            Shown::All => return self.whole(),
            Shown::Messages(messages) => sequence.extend(messages),
            Shown::Since(start) => {
                let shown = history.newest_first().take_while(|past| past.position() >= start).map(|past| past.message());
                let before = history.systems().filter(|(position, _)| *position < start).map(|(_, message)| message);
                let newest_first: Vec<&Arc<Message>> = shown.chain(before).collect();
                sequence.extend(newest_first.into_iter().rev().cloned());
            }
        }
        sequence
    }

    /// The whole history: what was read before, and what has come since.
    fn whole(&self) -> Sequence {
        let mut slot = self.read.as_ref().map(|read| read.lock().unwrap_or_else(PoisonError::into_inner));
        let mut read = slot.as_mut().and_then(|read| read.take());
        let mut new: Vec<&Arc<Message>> = Vec::new();
        let mut node = self.head.as_ref();
        while let Some(this) = node.filter(|node| read.as_ref().is_none_or(|read| read.head.as_ptr() != Arc::as_ptr(node))) {
            new.push(this.message());
            node = this.previous.as_ref();
        }
        // At the very first entry: what was read is the history of another branch.
        let mut sequence = match (node, &mut read) {
            (Some(_), Some(read)) => mem::take(&mut read.sequence),
            _ => Sequence::default(),
        };
        sequence.extend(new.into_iter().rev().cloned());
        if let (Some(slot), Some(head)) = (slot.as_mut(), &self.head) {
            **slot = Some(Read { head: Arc::downgrade(head), sequence: sequence.clone() });
        }
        sequence
    }

    /// The calls of the newest answer that have no result yet. As soon as anything else is added, they
    /// are no longer open.
    #[must_use]
    pub fn open_calls(&self) -> Vec<ToolCall> {
        let (answer, sequence) = self.newest_answer();
        let calls = answer.map(|answer| &*answer.tool_calls).unwrap_or_default();
        sequence.open().filter_map(|index| calls.get(index)).cloned().collect()
    }

    /// The newest message that is not a tool's, and the sequence that begins with it.
    fn newest_answer(&self) -> (Option<&Arc<Message>>, Sequence) {
        let mut results = Vec::new();
        let mut sequence = Sequence::default();
        for past in self.history().newest_first() {
            if past.role() != Role::Tool {
                sequence.push(Arc::clone(past.message()));
                sequence.extend(results.into_iter().rev());
                return (Some(past.message()), sequence);
            }
            results.push(Arc::clone(past.message()));
        }
        (None, sequence)
    }

    /// Why an answer's calls cannot be run and their results added now, if they cannot.
    pub(crate) fn refusal(&self, calls: &[ToolCall]) -> Option<Error> {
        let open = self.open_calls();
        if open == calls {
            return None;
        }
        let shut = calls.iter().find(|call| !open.contains(call)).or(calls.first())?;
        let asks = |message: &Message| message.role == Role::Assistant && message.tool_calls == calls;
        let (reason, hint) = if self.newest_answer().0.is_some_and(|newest| asks(newest)) {
            ("has its result already", "run the calls of an answer once")
        } else if self.history().newest_first().any(|past| asks(past.message())) {
            ("was passed over: the conversation went on without its result", "run the calls of an answer before the next turn")
        } else {
            ("is not in this session's history", "give the answer to the session that it came from, or to a fork of it")
        };
        Some(refused(shut, reason).with_hint(hint))
    }

    /// Why this entry cannot be added now, if it cannot: a tool's message needs an open call.
    pub(crate) fn refusal_of(&self, entry: &Entry) -> Option<Error> {
        let Entry::Message(message) = entry else { return None };
        self.newest_answer().1.leaves_out(message).then(|| {
            let call = ToolCall {
                id: message.tool_call_id.clone().unwrap_or_default(),
                name: message.tool_name.clone().unwrap_or_default(),
                arguments: serde_json::Value::Null,
            };
            refused(&call, "is not open: nobody made it, or it has its result, or the conversation went on without")
        })
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
                    Entry::Message(message) => Some(&**message),
                    Entry::Output(_) => None,
                });
                Some(Turn { input, output: Some(output) })
            }
            Entry::Message(message) => Some(Turn { input: Some(message), output: None }),
        }
    }
}

fn refused(call: &ToolCall, reason: &str) -> Error {
    ErrorKind::Tool { tool: call.name.clone(), reason: format!("the call `{}` {reason}", call.id) }.into()
}

/// The error of what makes no sense with a context that shows the model nothing.
pub(crate) fn forgetful(reason: &str) -> Error {
    Error::config("context", reason).with_hint("build the session with `.context(ChatContext::new())`")
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
    /// Equal policies and equal entries. A policy without a name equals itself only.
    fn eq(&self, other: &Self) -> bool {
        let stored = |context: &Self| stored::of_policy(&*context.policy).ok();
        let same_policy = || Arc::ptr_eq(&self.policy, &other.policy) || stored(self).is_some_and(|it| Some(it) == stored(other));
        self.len() == other.len() && same_policy() && self.newest_first().eq(other.newest_first())
    }
}

#[cfg(test)]
mod tests;

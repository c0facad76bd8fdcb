//! What a model gets to see of a history, and the two policies that come with the crate.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::History;
use crate::message::{Message, Role};

/// What a model gets to see of a history.
///
/// [`SimpleContext`] and [`ChatContext`] are policies. Write your own to pin messages, to summarise old
/// turns, or to fit a budget that you can count better; any policy makes a [`Context`](super::Context).
///
/// A policy need not care whether what it shows is a conversation that providers accept: results
/// without a call are left out, and calls without a result are answered, after it has chosen.
///
/// All contexts that come from one share its policy, branches too. A policy that remembers something
/// about a history (a summary, say) must be able to tell which history that was: keep an
/// [`Arc`] of the last message it covers, and look for that one with [`Arc::ptr_eq`].
///
/// Except for [`after_turn`](Self::after_turn), its methods may run while a session is locked: they must
/// not use the session themselves.
///
/// ```
/// use mellea_core::context::{ContextPolicy, History, View};
/// use mellea_core::{Context, Message};
///
/// /// Shows the first question and the last five entries.
/// #[derive(Debug)]
/// struct Ends;
///
/// impl ContextPolicy for Ends {
///     fn view(&self, history: History<'_>) -> View {
///         let first_and_last = |i: usize| i == 0 || i + 5 >= history.len();
///         let entries = history.oldest_first().into_iter().enumerate().filter(|(i, _)| first_and_last(*i));
///         View::messages(entries.map(|(_, past)| past.message().clone()))
///     }
/// }
///
/// let context = (0..10).fold(Context::from(Ends), |context, i| context.add(Message::user(i.to_string())));
/// let texts: Vec<_> = context.view().iter().map(|m| m.text().into_owned()).collect();
/// assert_eq!(texts, ["0", "5", "6", "7", "8", "9"]);
/// ```
pub trait ContextPolicy: Any + fmt::Debug + Send + Sync {
    /// What the model gets to see.
    fn view(&self, history: History<'_>) -> View;

    /// The position before which nothing can ever be shown again, system messages aside: a context
    /// drops what stands there, some time after. By default 0: everything is kept.
    fn horizon(&self, _history: History<'_>) -> usize {
        0
    }

    /// Whether the model never sees anything of a history, so that calls cannot disturb each other. A
    /// context with such a policy keeps the last turn only. By default no.
    fn is_stateless(&self) -> bool {
        false
    }

    /// Hears that a session has added a turn; the time to begin work on a summary, say. It runs in the
    /// call that made the turn, so it should start work and not wait for it. By default nothing.
    fn after_turn(&self, _history: History<'_>) {}

    /// The name under which it is stored with a context. By default none: a context with such a policy
    /// cannot be stored. `simple` and `chat` are taken.
    fn name(&self) -> Option<&str> {
        None
    }

    /// The settings that are stored beside the name. By default none.
    fn settings(&self) -> Value {
        Value::Null
    }
}

/// What a [`ContextPolicy`] shows.
#[derive(Clone, Debug)]
pub struct View(pub(super) Shown);

#[derive(Clone, Debug)]
pub(super) enum Shown {
    Nothing,
    All,
    Since(usize),
    Messages(Vec<Arc<Message>>),
}

impl View {
    /// Nothing.
    #[must_use]
    pub const fn nothing() -> Self {
        Self(Shown::Nothing)
    }

    /// Everything. It is kept from call to call, so that a long history costs as little as a short one.
    #[must_use]
    pub const fn all() -> Self {
        Self(Shown::All)
    }

    /// The entries from this position on, and all system messages before it, in their places.
    #[must_use]
    pub const fn since(position: usize) -> Self {
        Self(Shown::Since(position))
    }

    /// These messages.
    pub fn messages<M: Into<Arc<Message>>>(messages: impl IntoIterator<Item = M>) -> Self {
        Self(Shown::Messages(messages.into_iter().map(Into::into).collect()))
    }
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

impl ContextPolicy for SimpleContext {
    fn view(&self, _: History<'_>) -> View {
        View::nothing()
    }

    fn horizon(&self, history: History<'_>) -> usize {
        // The beginning of the newest exchange; nothing but roles is looked at.
        let mut begins = 0;
        for past in history.newest_first().filter(|past| past.role() != Role::System) {
            begins = past.position();
            if past.role() == Role::User {
                break;
            }
        }
        begins
    }

    fn is_stateless(&self) -> bool {
        true
    }

    fn name(&self) -> Option<&str> {
        Some("simple")
    }
}

/// A context that shows the model the conversation so far.
///
/// Without limits it shows everything. With limits it leaves out the oldest exchanges, always whole
/// ones (a user's message with all answers and tool messages up to the next), never the system
/// messages, which stay in their places, and never the newest exchange.
///
/// What the limits hide can never be seen again, so the context drops it, some turns after:
/// [`Context::len`](super::Context::len) counts what is still there. [`keep_all`](Self::keep_all)
/// keeps it for the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChatContext {
    #[serde(skip_serializing_if = "Option::is_none")]
    last_turns: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_budget: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    keep_all: bool,
}

impl ChatContext {
    /// A context that shows everything.
    #[must_use]
    pub const fn new() -> Self {
        Self { last_turns: None, token_budget: None, keep_all: false }
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

    /// Keeps what the limits hide, so that the program can still read it.
    #[must_use]
    pub const fn keep_all(mut self) -> Self {
        self.keep_all = true;
        self
    }

    /// Where what it shows begins, or `None` if it shows everything. It looks only at what it shows, and
    /// at one exchange more.
    fn start(self, history: History<'_>) -> Option<usize> {
        if self.last_turns.is_none() && self.token_budget.is_none() {
            return None;
        }
        let systems = || history.systems().map(|(_, message)| super::history::tokens(message)).sum();
        let mut left = self.token_budget.map(|budget| budget.saturating_sub(systems()));
        let mut start = history.end();
        for (turns, exchange) in history.exchanges().enumerate() {
            let fits = self.last_turns.is_none_or(|max| turns < max) && left.is_none_or(|left| exchange.tokens <= left);
            if turns > 0 && !fits {
                return Some(start);
            }
            left = left.map(|left| left.saturating_sub(exchange.tokens));
            start = exchange.first.position();
        }
        None
    }
}

impl ContextPolicy for ChatContext {
    fn view(&self, history: History<'_>) -> View {
        self.start(history).map_or(View::all(), View::since)
    }

    fn horizon(&self, history: History<'_>) -> usize {
        if self.keep_all { 0 } else { self.start(history).unwrap_or(0) }
    }

    fn name(&self) -> Option<&str> {
        Some("chat")
    }

    fn settings(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

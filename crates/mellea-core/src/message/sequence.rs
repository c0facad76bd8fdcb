//! The one place that makes a conversation one that every provider accepts.
//!
//! Providers refuse a conversation in which a call of a tool is not followed by its result, in which a
//! result answers no call, or in which two calls have one id. That happens easily: a client
//! goes away between call and result, somebody speaks first, a policy cuts a call off.

use std::collections::HashSet;
use std::mem;
use std::sync::Arc;

use super::{Message, Messages, Role, ToolCall};

/// What stands for the result of a call that has none.
const NOT_CALLED: &str = "error: not called: the conversation went on without a result";

/// Messages that every provider accepts, whatever was added:
///
/// - Each call of a tool is followed by exactly one result. A call without a result gets one that says
///   so, before the next message.
/// - A result that answers no open call is left out: of a call nobody made, of one that was answered,
///   or of one that the conversation has gone past.
/// - Ids of calls are unique: a call whose id was there before gets another one, and so does its
///   result.
///
/// Nothing is reordered, and what is added later changes nothing that was there before, save for the
/// results that [`finish`](Self::finish) fills in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequence {
    messages: Messages,
    /// The calls of the newest answer that have no result yet.
    open: Vec<Open>,
    ids: Arc<HashSet<String>>,
}

#[derive(Clone, Debug)]
struct Open {
    /// Which of the answer's calls it is.
    index: usize,
    /// Its id in the history.
    given: String,
    /// Its id in the sequence.
    sent: String,
    name: String,
}

impl Sequence {
    /// Adds a message, or leaves it out.
    pub(crate) fn push(&mut self, message: impl Into<Arc<Message>>) {
        let message = message.into();
        match message.role {
            Role::Tool => self.answer(message),
            Role::Assistant if !message.tool_calls.is_empty() => {
                self.close();
                self.ask(message);
            }
            Role::System | Role::User | Role::Assistant => {
                self.close();
                self.messages.push(message);
            }
        }
    }

    /// Which calls of the newest answer have no result yet.
    pub(crate) fn open(&self) -> impl Iterator<Item = usize> {
        self.open.iter().map(|open| open.index)
    }

    /// Whether this message would be left out.
    pub(crate) fn leaves_out(&self, message: &Message) -> bool {
        message.role == Role::Tool && self.answered(message).is_none()
    }

    /// The whole sequence, with results for the calls that are open.
    pub(crate) fn finish(mut self) -> Messages {
        self.close();
        self.messages
    }

    fn close(&mut self) {
        for Open { sent, name, .. } in mem::take(&mut self.open) {
            let call = ToolCall { id: sent, name, arguments: serde_json::Value::Null };
            self.messages.push(Message::tool(&call, NOT_CALLED));
        }
    }

    /// Which open call a result answers.
    fn answered(&self, result: &Message) -> Option<usize> {
        let id = result.tool_call_id.as_deref().filter(|id| !id.is_empty());
        self.open.iter().position(|open| match (id, &result.tool_name) {
            (Some(id), _) => open.given == id,
            (None, Some(name)) => open.name == *name,
            (None, None) => true,
        })
    }

    fn answer(&mut self, mut message: Arc<Message>) {
        let Some(at) = self.answered(&message) else { return };
        let Open { sent, .. } = self.open.remove(at);
        if message.tool_call_id.as_ref() != Some(&sent) {
            Arc::make_mut(&mut message).tool_call_id = Some(sent);
        }
        self.messages.push(message);
    }

    fn ask(&mut self, mut message: Arc<Message>) {
        let ids = Arc::make_mut(&mut self.ids);
        for (index, call) in message.tool_calls.iter().enumerate() {
            let sent = if call.id.is_empty() || ids.contains(&call.id) { another(ids, &call.id) } else { call.id.clone() };
            ids.insert(sent.clone());
            self.open.push(Open { index, given: call.id.clone(), sent, name: call.name.clone() });
        }
        if self.open.iter().any(|open| open.given != open.sent) {
            let calls = &mut Arc::make_mut(&mut message).tool_calls;
            calls.iter_mut().zip(&self.open).for_each(|(call, open)| call.id.clone_from(&open.sent));
        }
        self.messages.push(message);
    }
}

/// An id like this one that was not there before.
fn another(ids: &HashSet<String>, id: &str) -> String {
    let id = if id.is_empty() { "call" } else { id };
    let mut number = ids.len() + 1;
    loop {
        let new = format!("{id}-{number}");
        if !ids.contains(&new) {
            return new;
        }
        number += 1;
    }
}

impl<M: Into<Arc<Message>>> Extend<M> for Sequence {
    fn extend<I: IntoIterator<Item = M>>(&mut self, messages: I) {
        messages.into_iter().for_each(|message| self.push(message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asks(ids: &[&str]) -> Message {
        let calls = ids.iter().map(|id| ToolCall::with_id(*id, "look", json!({})));
        Message { tool_calls: calls.collect(), ..Message::assistant("") }
    }

    fn result(id: &str, text: &str) -> Message {
        Message::tool(&ToolCall::with_id(id, "look", json!({})), text)
    }

    /// Each message as role, ids and text.
    fn valid(messages: impl IntoIterator<Item = Message>) -> Vec<String> {
        let mut sequence = Sequence::default();
        sequence.extend(messages);
        let show = |m: &Message| {
            let ids: Vec<&str> = m.tool_calls.iter().map(|c| &*c.id).chain(m.tool_call_id.as_deref()).collect();
            format!("{} [{}] {}", m.role.as_str(), ids.join(" "), m.text())
        };
        sequence.finish().iter().map(show).collect()
    }

    const LATE: &str = "error: not called: the conversation went on without a result";

    #[test]
    fn what_is_valid_stays_as_it_is_and_shared() {
        let messages: Messages =
            [Message::system("s"), Message::user("u"), asks(&["1", "2"]), result("2", "b"), result("1", "a")].into();
        let mut sequence = Sequence::default();
        sequence.extend(messages.shared().cloned());
        let finished = sequence.finish();
        assert_eq!(finished.len(), 5);
        assert!(messages.iter().zip(&finished).all(|(a, b)| std::ptr::eq(a, b)));
    }

    #[test]
    fn a_call_without_a_result_gets_one_before_the_next_message() {
        let answered = [format!("tool [1] {LATE}"), format!("tool [2] {LATE}")];
        for next in [Message::user("well?"), Message::system("rule"), Message::assistant("hm"), asks(&["3"])] {
            let shown = valid([asks(&["1", "2"]), next]);
            assert_eq!(shown[1..3], answered, "{shown:?}");
        }
        assert_eq!(valid([asks(&["1", "2"]), result("2", "b")])[1..], ["tool [2] b".to_owned(), answered[0].clone()]);
        assert_eq!(valid([asks(&["1"]), Message::user("well?"), result("1", "late")]).len(), 3, "the late result is left out");
    }

    #[test]
    fn a_result_without_a_call_is_left_out() {
        assert_eq!(valid([result("1", "a"), Message::user("u")]), ["user [] u"]);
        assert_eq!(valid([asks(&["1"]), result("1", "a"), result("1", "b")]), ["assistant [1] ", "tool [1] a"]);
        assert_eq!(valid([asks(&["1"]), result("9", "a")])[1..], [format!("tool [1] {LATE}")]);
    }

    #[test]
    fn ids_are_made_unique_and_results_follow() {
        let shown = valid([asks(&["0"]), result("0", "a"), asks(&["0", "0"]), result("0", "b"), result("0", "c")]);
        assert_eq!(shown, ["assistant [0] ", "tool [0] a", "assistant [0-2 0-3] ", "tool [0-2] b", "tool [0-3] c"]);
        let shown = valid([asks(&["", "call-1"]), result("", "a"), result("call-1", "b")]);
        assert_eq!(shown, ["assistant [call-1 call-1-2] ", "tool [call-1] a", "tool [call-1-2] b"]);
    }

    #[test]
    fn a_result_without_an_id_answers_by_name() {
        let nameless = |name: Option<&str>| Message { tool_name: name.map(Into::into), ..Message::new(Role::Tool, "x") };
        assert_eq!(valid([asks(&["1"]), nameless(Some("look"))])[1], "tool [1] x");
        assert_eq!(valid([asks(&["1"]), nameless(None)])[1], "tool [1] x");
        assert_eq!(valid([asks(&["1"]), nameless(Some("other"))])[1], format!("tool [1] {LATE}"));
    }
}

//! The last requests that a scripted backend got.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::backend::{ChatRequest, RawRequest};

/// The most requests that are kept unless a test says otherwise.
pub(super) const KEPT: usize = 1_000;

/// The most messages that kept requests have between them: in a long chat each request has all
/// messages before it. The last request is kept whatever its length.
const KEPT_MESSAGES: usize = 10_000;

/// The last of many requests.
pub(super) struct Record<T> {
    pub(super) last: VecDeque<Arc<T>>,
    /// How many messages those have between them.
    messages: usize,
    pub(super) calls: usize,
}

impl<T> Default for Record<T> {
    fn default() -> Self {
        Self { last: VecDeque::new(), messages: 0, calls: 0 }
    }
}

pub(super) trait Recorded {
    fn messages(&self) -> usize;
}

impl Recorded for ChatRequest {
    fn messages(&self) -> usize {
        self.messages.len()
    }
}

impl Recorded for RawRequest {
    fn messages(&self) -> usize {
        1
    }
}

impl<T: Recorded + Clone> Record<T> {
    pub(super) fn add(&mut self, request: Arc<T>, most: usize) {
        self.calls += 1;
        self.messages += request.messages();
        self.last.push_back(request);
        self.shorten(most);
    }

    pub(super) fn shorten(&mut self, most: usize) {
        while self.last.len() > most || (self.messages > KEPT_MESSAGES && self.last.len() > 1) {
            let Some(gone) = self.last.pop_front() else { break };
            self.messages = self.messages.saturating_sub(gone.messages());
        }
    }

    pub(super) fn to_vec(&self) -> Vec<T> {
        self.last.iter().map(|request| T::clone(request)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Backend;
    use crate::message::Message;
    use crate::testing::{Reply, ScriptedBackend};

    #[tokio::test]
    async fn the_record_holds_the_last_requests_and_counts_all() {
        let backend = ScriptedBackend::empty().answer_with(|_| Some(Reply::text("x")));
        let ask = |i: usize, messages: usize| {
            let mut messages = vec![Message::user("before"); messages - 1];
            messages.push(Message::user(i.to_string()));
            backend.chat(ChatRequest::new(messages))
        };
        for i in 0..KEPT + 5 {
            ask(i, 1).await.unwrap();
        }
        assert_eq!((backend.calls(), backend.requests().len(), backend.prompts()[0].as_str()), (KEPT + 5, KEPT, "5"));
        // Each has all messages before it, as in a long chat.
        for i in 1..=300 {
            ask(i, 2 * i).await.unwrap();
        }
        let kept = backend.requests();
        let messages: usize = kept.iter().map(|request| request.messages.len()).sum();
        assert!(messages <= KEPT_MESSAGES && messages > KEPT_MESSAGES / 2, "{messages}");
        assert_eq!(kept.last().unwrap().messages.len(), 600);
        ask(1, KEPT_MESSAGES + 1).await.unwrap();
        assert_eq!(backend.requests().len(), 1, "the last is kept whatever its length");
        assert_eq!(backend.last_request().unwrap().messages.len(), KEPT_MESSAGES + 1);
    }

    #[tokio::test]
    async fn how_many_are_kept_can_be_said() {
        let backend = ScriptedBackend::empty().answer_with(|_| Some(Reply::text("x"))).keep(2);
        let same = backend.clone();
        for text in ["a", "b", "c"] {
            same.chat(ChatRequest::new(vec![Message::user(text)])).await.unwrap();
        }
        same.complete((0..3).map(|i| RawRequest::new(i.to_string())).collect()).await;
        assert_eq!(backend.prompts(), ["b", "c"]);
        assert_eq!((backend.raw_requests().len(), backend.calls()), (2, 6));
        assert!(backend.keep(0).requests().is_empty());
        assert!(same.last_request().is_none());
    }
}

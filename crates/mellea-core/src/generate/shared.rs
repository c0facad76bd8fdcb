//! What a generation shares with those who wait for its pieces.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::error::Result;
use crate::output::ModelOutput;
use crate::tool::{ToolCall, ToolResult};

/// A piece of an answer, or a word on how the call goes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Delta {
    /// Text of the answer.
    Text(String),
    /// Text of the reasoning.
    Thinking(String),
    /// All text since the start, or since the last tool or restart, turned out to be reasoning: the model closed a block
    /// that it had not opened.
    TextWasThinking,
    /// A tool is called. Text since the last piece of this kind, or since the start, was said on the way to it and
    /// is not part of the answer.
    ToolStarted(ToolCall),
    /// A tool has ended.
    ToolEnded(ToolResult),
    /// The text so far was refused, for these reasons, and the answer starts again: drop it.
    Restarted {
        /// Which attempt the text that follows belongs to, counted from 1.
        attempt: usize,
        /// Why the last one was refused, one reason each.
        reasons: Vec<String>,
    },
}

impl Delta {
    /// The piece's text; empty for anything but text of the answer.
    #[must_use]
    pub fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            _ => String::new(),
        }
    }
}

/// A typed value whose type is known again later.
pub(crate) type AnyValue = Arc<dyn Any + Send + Sync>;

/// A finished call: the answer, the value it was read as, and the record of how it came to be.
#[derive(Clone)]
pub(crate) struct Done {
    pub(crate) output: Arc<ModelOutput>,
    pub(crate) value: AnyValue,
    pub(crate) record: Option<AnyValue>,
}

/// What the task of a call shares with the handles on it.
#[derive(Default)]
pub(crate) struct Shared(Mutex<State>);

#[derive(Default)]
pub(crate) struct State {
    pub(crate) deltas: Vec<Delta>,
    pub(crate) done: Option<Result<Done>>,
    waiting: Vec<Waker>,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a piece and wakes who waits.
    pub(crate) fn push(&self, delta: Delta) {
        let waiting = {
            let mut state = self.lock();
            state.deltas.push(delta);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Sets the result, unless there is one.
    pub(crate) fn finish(&self, result: Result<Done>) {
        let waiting = {
            let mut state = self.lock();
            state.done.get_or_insert(result);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// What has arrived of the attempt that runs now, as an output.
    pub(crate) fn partial(&self) -> ModelOutput {
        let state = self.lock();
        let mut output = ModelOutput::default();
        for delta in &state.deltas {
            match delta {
                Delta::Text(text) => output.text.push_str(text),
                Delta::Thinking(text) => output.thinking.get_or_insert_default().push_str(text),
                Delta::TextWasThinking => output.rethink(),
                Delta::Restarted { .. } | Delta::ToolStarted(_) => output = ModelOutput::default(),
                Delta::ToolEnded(_) => {}
            }
        }
        output
    }
}

impl State {
    pub(crate) fn wait(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|w| w.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }
}

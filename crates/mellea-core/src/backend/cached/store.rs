//! Kept answers: found by key, bounded in number and in bytes, the least recently used go first.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::CacheStats;
use super::flight::Flight;
use crate::backend::Event;
use crate::output::{FinishReason, ModelOutput, TokenLogprob};

/// About what the bookkeeping of an entry, an answer or an event takes.
const OVERHEAD: usize = 128;

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Requests.
    pub(super) entries: usize,
    /// Bytes of all entries together.
    pub(super) bytes: usize,
    /// Answers of one request.
    pub(super) samples: usize,
}

/// A kept answer.
#[derive(Clone)]
pub(super) enum Answer {
    Chat(Arc<[Event]>),
    Raw(Arc<ModelOutput>),
}

/// Where the answer to a request comes from.
pub(super) enum Pick {
    /// It is kept.
    Kept(Answer),
    /// It is one of those that are being made; counted from 0.
    Running(usize),
    /// It must be made.
    New,
}

pub(super) struct Store {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    entries: HashMap<Arc<str>, Entry>,
    /// The keys by when they were last used.
    order: BTreeMap<u64, Arc<str>>,
    clock: u64,
    /// The chats that run.
    pub(super) flights: HashMap<Arc<str>, Flights>,
    stats: CacheStats,
}

/// The chats that run for one request.
#[derive(Default)]
pub(super) struct Flights {
    pub(super) running: Vec<Weak<Flight>>,
    /// How many calls have read along.
    pub(super) turn: usize,
}

struct Entry {
    answers: Vec<Answer>,
    /// How many calls got one of them.
    turn: usize,
    bytes: usize,
    used: u64,
}

impl Store {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stats(&self) -> CacheStats {
        let state = self.state();
        CacheStats { entries: state.entries.len(), ..state.stats }
    }

    pub(super) fn clear(&self) {
        let mut state = self.state();
        (state.entries, state.order, state.stats.bytes) = Default::default();
    }

    /// See [`State::pick`].
    pub(super) fn pick(&self, key: &str, running: usize, turn: &mut usize) -> Pick {
        self.state().pick(self.limits, key, running, turn)
    }

    /// Keeps an answer, unless it alone is too large or the request has enough of them.
    pub(super) fn keep(&self, key: &Arc<str>, answer: Answer) {
        let Limits { entries, bytes, samples } = self.limits;
        let weight = answer.weight();
        let first = key.len().saturating_add(OVERHEAD);
        if first.saturating_add(weight) > bytes {
            return;
        }
        let mut state = self.state();
        let entry = state.entries.entry(Arc::clone(key)).or_insert(Entry { answers: Vec::new(), turn: 0, bytes: 0, used: 0 });
        if entry.answers.len() >= samples {
            return;
        }
        let more = if entry.answers.is_empty() { first + weight } else { weight };
        entry.answers.push(answer);
        entry.bytes += more;
        state.stats.bytes += more;
        state.touch(key);
        while state.entries.len() > entries || state.stats.bytes > bytes {
            let Some((_, oldest)) = state.order.pop_first() else { break };
            if let Some(gone) = state.entries.remove(&oldest) {
                state.stats.bytes = state.stats.bytes.saturating_sub(gone.bytes);
            }
        }
    }
}

impl State {
    /// Where the answer comes from, if this many are being made and so many were handed out of them
    /// before. It counts what it says.
    pub(super) fn pick(&mut self, limits: Limits, key: &str, running: usize, turn: &mut usize) -> Pick {
        let kept = self.entries.get(key).map_or(0, |entry| entry.answers.len());
        let have = kept.saturating_add(running);
        if have < limits.samples {
            self.stats.misses += 1;
            return Pick::New;
        }
        self.touch(key);
        let entry = self.entries.get_mut(key);
        let turn = entry.map_or(turn, |entry| &mut entry.turn);
        let chosen = *turn % have;
        *turn = turn.wrapping_add(1);
        match self.entries.get(key).and_then(|entry| entry.answers.get(chosen)) {
            Some(answer) => {
                self.stats.hits += 1;
                Pick::Kept(answer.clone())
            }
            None => {
                self.stats.shared += 1;
                Pick::Running(chosen.saturating_sub(kept))
            }
        }
    }

    /// Notes that a key was used.
    fn touch(&mut self, key: &str) {
        let Some((name, _)) = self.entries.get_key_value(key) else { return };
        let name = Arc::clone(name);
        self.clock += 1;
        if let Some(entry) = self.entries.get_mut(key) {
            self.order.remove(&entry.used);
            entry.used = self.clock;
            self.order.insert(self.clock, name);
        }
    }
}

impl Answer {
    /// About how many bytes it takes.
    fn weight(&self) -> usize {
        OVERHEAD
            + match self {
                Self::Chat(events) => events.iter().map(weight).sum(),
                Self::Raw(output) => {
                    let scores = output.logits.as_deref().map_or(0, scores);
                    let rest = ModelOutput { logits: None, text: String::new(), ..ModelOutput::clone(output) };
                    scores + output.text.len() + serde_json::to_string(&rest).map_or(0, |text| text.len())
                }
            }
    }
}

/// About how many bytes an event takes.
pub(super) fn weight(event: &Event) -> usize {
    let json = |value: &serde_json::Value| value.to_string().len();
    OVERHEAD
        + match event {
            Event::Text(text) | Event::Thinking(text) | Event::ResponseId(text) | Event::Model(text) => text.len(),
            Event::ToolCall(call) => call.id.len() + call.name.len() + json(&call.arguments),
            Event::Warning(warning) => warning.to_string().len(),
            Event::Logits(rows) => scores(rows),
            Event::Logprobs(tokens) => tokens.iter().map(token_weight).sum(),
            Event::Raw(value) | Event::Replay(value) => json(value),
            Event::Finish(FinishReason::Other(text)) => text.len(),
            Event::TextWasThinking | Event::Usage(_) | Event::Finish(_) => 0,
        }
}

/// Rows take room even if they are empty.
fn scores(rows: &[Vec<f32>]) -> usize {
    rows.iter().map(|row| size_of::<Vec<f32>>().saturating_add(row.len().saturating_mul(4))).sum()
}

fn token_weight(token: &TokenLogprob) -> usize {
    size_of::<TokenLogprob>() + token.token.len() + token.top.iter().map(|(text, _)| text.len() + 32).sum::<usize>()
}

/// Whether an answer that ended so is worth keeping.
pub(super) fn is_whole(finish: &FinishReason) -> bool {
    matches!(finish, FinishReason::Stop | FinishReason::Length | FinishReason::ToolCalls)
}

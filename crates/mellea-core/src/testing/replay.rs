//! A replayer: answers from a cassette.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use serde_json::Value;

use super::cassette::{self, Cassette, Completed, Ended};
use super::difference::nearest;
use crate::backend::{Backend, Capabilities, ChatRequest, EventStream, RawRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::options::{ModelOption, ModelOptions};
use crate::output::{ModelOutput, Warning};
use crate::redact::Redactor;

/// The names that some options have at a provider.
type Synonyms = &'static [(&'static str, ModelOption)];

/// Answers from a [`Cassette`], without a model.
///
/// A request gets the recorded answer to an equal request; equal requests get theirs in the order of
/// the recording, each once. Requests are compared as JSON, whole, after what the recorder blanks and
/// the judge's fence are taken out. A request that was not recorded is an error that shows where it first
/// differs from the nearest recorded one. A stream that the recorded caller dropped never ends:
/// after its last event nothing comes, as for that caller. Clones share what is used up.
///
/// See [`Recorder`](super::Recorder) for an example.
#[derive(Clone)]
pub struct Replayer {
    cassette: Arc<Cassette>,
    used: Arc<Mutex<Used>>,
    redactor: Redactor,
    synonyms: Synonyms,
}

struct Used {
    chats: Vec<bool>,
    completions: Vec<bool>,
}

impl Replayer {
    /// Answers from this cassette.
    #[must_use]
    pub fn new(cassette: Cassette) -> Self {
        let used = Used { chats: vec![false; cassette.chats.len()], completions: vec![false; cassette.completions.len()] };
        Self {
            synonyms: intern(&cassette.synonyms),
            cassette: Arc::new(cassette),
            used: Arc::new(Mutex::new(used)),
            redactor: Redactor::default(),
        }
    }

    /// Answers from the cassette in this file.
    ///
    /// # Errors
    /// [`ErrorKind::Testing`] if it cannot be read.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Cassette::load(path).map(Self::new)
    }

    /// Takes this text out of requests before they are compared, as
    /// [`Recorder::redact`](super::Recorder::redact) did when they were recorded.
    #[must_use]
    pub fn redact(mut self, secret: impl Into<String>) -> Self {
        self.redactor.add(secret.into());
        self
    }

    /// Compares the value of this option or header, as [`Recorder::allow`](super::Recorder::allow)
    /// kept it.
    #[must_use]
    pub fn allow(mut self, name: impl Into<String>) -> Self {
        self.redactor.allow(name);
        self
    }

    /// Whether every recorded answer was asked for.
    ///
    /// # Errors
    /// What was not.
    pub fn all_consumed(&self) -> Result<(), String> {
        let used = self.used();
        let left = |used: &[bool]| used.iter().filter(|used| !**used).count();
        let (chats, completions) = (left(&used.chats), left(&used.completions));
        if chats + completions == 0 {
            return Ok(());
        }
        let first = used.chats.iter().position(|used| !used).and_then(|i| self.cassette.chats.get(i));
        let prompt = first.and_then(|chat| last_text(&chat.request)).map(|text| format!(", first: {text}")).unwrap_or_default();
        Err(format!("never asked for: {chats} chats and {completions} completions{prompt}"))
    }

    /// Panics unless [`all_consumed`](Self::all_consumed), for the end of a test.
    ///
    /// # Panics
    /// If a recorded answer was never asked for.
    #[track_caller]
    pub fn assert_all_consumed(&self) {
        assert_eq!(self.all_consumed(), Ok(()));
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn complete_one(&self, request: &RawRequest) -> Result<ModelOutput> {
        let request = cassette::clean_raw_request(request, &self.redactor)?;
        let recorded = self.cassette.completions.iter().map(|completion| &completion.request);
        let found = take(&mut self.used().completions, recorded, &request).map_err(|error| self.place(error))?;
        match self.cassette.completions.get(found).map(|completion| &completion.result) {
            Some(Completed::Output(output)) => Ok((**output).clone()),
            Some(Completed::Error(fault)) => Err(fault.replay()),
            None => Err(ErrorKind::Testing("the cassette is damaged".to_owned()).into()),
        }
    }

    fn place(&self, error: Error) -> Error {
        error.at(&self.cassette.provider, &self.cassette.model)
    }
}

/// The first unused recording of an equal request, which is then used.
fn take<'a>(used: &mut [bool], recorded: impl Iterator<Item = &'a Value>, request: &Value) -> Result<usize> {
    let recorded: Vec<&Value> = recorded.collect();
    let mut equal = recorded.iter().enumerate().filter(|(_, other)| **other == request).map(|(i, _)| i).peekable();
    if equal.peek().is_none() {
        return Err(ErrorKind::Testing(nearest(&recorded, request)).into());
    }
    let mut times = 0;
    for i in equal {
        match used.get_mut(i) {
            Some(used @ false) => {
                *used = true;
                return Ok(i);
            }
            _ => times += 1,
        }
    }
    let prompt = last_text(request).unwrap_or_default();
    Err(ErrorKind::Testing(format!("this was recorded {times} times and is now asked once more: {prompt}")).into())
}

/// The beginning of what was asked last.
fn last_text(request: &Value) -> Option<String> {
    let prompt = request.get("prompt").and_then(Value::as_str).map(str::to_owned);
    let text = prompt.or_else(|| {
        let message: crate::Message = serde_json::from_value(request.get("messages")?.as_array()?.last()?.clone()).ok()?;
        Some(message.text().into_owned())
    })?;
    Some(text.chars().take(200).collect())
}

/// A table of synonyms that lives as long as the program. There are as many as backends were
/// recorded, however many replayers there are.
fn intern(synonyms: &[(String, ModelOption)]) -> Synonyms {
    static TABLES: Mutex<BTreeMap<Vec<(String, ModelOption)>, Synonyms>> = Mutex::new(BTreeMap::new());
    if synonyms.is_empty() {
        return &[];
    }
    let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
    tables.entry(synonyms.to_vec()).or_insert_with(|| {
        let table: Vec<(&'static str, ModelOption)> =
            synonyms.iter().map(|(name, option)| (&*String::leak(name.clone()), *option)).collect();
        Vec::leak(table)
    })
}

#[async_trait]
impl Backend for Replayer {
    fn provider(&self) -> &str {
        &self.cassette.provider
    }

    fn model(&self) -> &str {
        &self.cassette.model
    }

    fn capabilities(&self) -> Capabilities {
        self.cassette.capabilities.clone()
    }

    fn default_options(&self) -> ModelOptions {
        self.cassette.default_options.replay()
    }

    fn synonyms(&self) -> &'static [(&'static str, ModelOption)] {
        self.synonyms
    }

    fn unsupported(&self, request: &ChatRequest) -> Vec<Warning> {
        let Ok(request) = cassette::clean_request(request, &self.redactor) else { return Vec::new() };
        let recorded = self.cassette.chats.iter().find(|chat| chat.request == request);
        recorded.map(|chat| chat.warnings.clone()).unwrap_or_default()
    }

    fn is_real(&self) -> bool {
        false
    }

    async fn chat(&self, request: ChatRequest) -> Result<EventStream> {
        let found = cassette::clean_request(&request, &self.redactor).and_then(|request| {
            let recorded = self.cassette.chats.iter().map(|chat| &chat.request);
            take(&mut self.used().chats, recorded, &request)
        });
        let found = found.map_err(|error| self.place(error))?;
        let Some(chat) = self.cassette.chats.get(found).cloned() else {
            return Err(self.place(ErrorKind::Testing("the cassette is damaged".to_owned()).into()));
        };
        let events = stream::iter(chat.events.into_iter().map(Ok));
        match chat.ended {
            Ended::Complete => Ok(EventStream::new(events)),
            Ended::Dropped => Ok(EventStream::new(events.chain(stream::pending()))),
            Ended::Refused(fault) => Err(fault.replay()),
            Ended::Failed(fault) => Ok(EventStream::new(events.chain(stream::iter([Err(fault.replay())])))),
        }
    }

    async fn complete(&self, requests: Vec<RawRequest>) -> Vec<Result<ModelOutput>> {
        requests.iter().map(|request| self.complete_one(request)).collect()
    }
}

impl fmt::Debug for Replayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replayer")
            .field("provider", &self.cassette.provider)
            .field("model", &self.cassette.model)
            .field("calls", &self.cassette.len())
            .finish_non_exhaustive()
    }
}

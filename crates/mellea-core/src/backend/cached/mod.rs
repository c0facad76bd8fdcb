//! A backend that keeps answers and gives them again.

mod flight;
mod key;
mod store;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::flight::Found;
use self::store::{Answer, Limits, Pick, Store};
use super::{Backend, Capabilities, ChatRequest, Event, EventStream, RawRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::options::{ModelOption, ModelOptions};
use crate::output::{ModelOutput, Usage, Warning};

/// The most bytes of answers and requests that a cache keeps unless told otherwise.
const MAX_BYTES: usize = 64 << 20;

/// A backend that gives the same answer to the same request, from memory.
///
/// Requests are the same if everything in them is: messages, tools, format and options, apart from
/// whether the answer is streamed and how long a stream may be silent. Calls with equal requests at
/// the same time share one call: the model answers once, all of them read along, and it is given up
/// when the last one is dropped. Raw completions are kept too; equal ones share a call within one
/// batch.
///
/// Only whole answers are kept: no errors, no empty answers, none that a filter cut, none that the
/// caller dropped halfway. A kept answer comes as one piece of text, with reasoning, tool calls,
/// usage and the rest as they were. It is marked: its usage counts all of the prompt's tokens as
/// [`cached_tokens`](Usage::cached_tokens), if the provider says how many there are; and
/// [`stats`](Self::stats) counts it.
///
/// A strategy that asks the same again gets the same answer again, unless the request has a seed, of
/// which each attempt derives its own. With [`samples`](Self::samples) a request has several
/// answers.
///
/// The cache is bounded by the number of requests and by bytes (64 MiB); what was not asked for the
/// longest goes first. Clones share it. It ends with the program.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::num::NonZeroUsize;
/// use mellea_core::{Cached, Session, testing::ScriptedBackend};
///
/// let backend = Cached::new(ScriptedBackend::new(["Paris"]), NonZeroUsize::new(100).unwrap());
/// let m = Session::new(backend.clone());
/// assert_eq!(*m.instruct("What is the capital of France?").await?, "Paris");
/// assert_eq!(*m.instruct("What is the capital of France?").await?, "Paris");
/// assert_eq!((backend.stats().misses, backend.stats().hits), (1, 1));
/// # Ok::<(), mellea_core::Error>(()) }).unwrap();
/// ```
pub struct Cached<B> {
    backend: Arc<B>,
    store: Arc<Store>,
}

/// What a [`Cached`] backend has done so far, and what it keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Calls and prompts that were answered from the cache.
    pub hits: u64,
    /// Calls and prompts that read along with an equal one that was running.
    pub shared: u64,
    /// Calls and prompts that went to the backend.
    pub misses: u64,
    /// Requests of which answers are kept now.
    pub entries: usize,
    /// About how many bytes they take.
    pub bytes: usize,
}

impl<B: Backend> Cached<B> {
    /// Keeps the answers of this backend to at most this many requests.
    pub fn new(backend: B, capacity: NonZeroUsize) -> Self {
        let limits = Limits { entries: capacity.get(), bytes: MAX_BYTES, samples: 1 };
        Self { backend: Arc::new(backend), store: Arc::new(Store::new(limits)) }
    }

    /// Keeps up to this many answers to each request. The first so many calls go to the backend;
    /// later ones get the answers in turn. Otherwise it is one. This and [`max_bytes`](Self::max_bytes)
    /// begin an empty cache, which shares nothing with clones made before.
    #[must_use]
    pub fn samples(self, samples: NonZeroUsize) -> Self {
        let limits = Limits { samples: samples.get(), ..self.store.limits() };
        Self { store: Arc::new(Store::new(limits)), ..self }
    }

    /// Keeps at most about this many bytes of requests and answers; 64 MiB otherwise. With 0 it keeps
    /// nothing, and equal calls at the same time still share one.
    #[must_use]
    pub fn max_bytes(self, bytes: usize) -> Self {
        let limits = Limits { bytes, ..self.store.limits() };
        Self { store: Arc::new(Store::new(limits)), ..self }
    }

    /// What the cache has done so far, and what it keeps.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.store.stats()
    }

    /// Forgets all answers. Calls that run are kept when they end.
    pub fn clear(&self) {
        self.store.clear();
    }
}

/// A kept answer's usage: the prompt cost nothing this time.
fn as_cached(usage: Usage) -> Usage {
    Usage { cached_tokens: usage.prompt_tokens.or(usage.cached_tokens), ..usage }
}

/// A kept completion as it is given out again.
fn again(output: &ModelOutput) -> ModelOutput {
    let usage = as_cached(output.usage);
    ModelOutput { usage, latency: Duration::ZERO, time_to_first_token: None, ..output.clone() }
}

/// Where the result of a prompt comes from.
enum From {
    Kept(Arc<ModelOutput>),
    Asked { place: usize, first: bool },
}

#[async_trait]
impl<B: Backend> Backend for Cached<B> {
    described_by!(self => self.backend);

    async fn chat(&self, request: ChatRequest) -> Result<EventStream> {
        let Some(key) = key::of_chat(&*self.backend, &request) else { return self.backend.chat(request).await };
        let backend = Arc::clone(&self.backend);
        let call = || async move { backend.chat(request).await };
        match flight::find(&self.store, key, call) {
            Found::Kept(events) => Ok(EventStream::ready((0..events.len()).filter_map(move |i| {
                Some(match events.get(i)?.clone() {
                    Event::Usage(usage) => Event::Usage(as_cached(usage)),
                    event => event,
                })
            }))),
            Found::Running(mut reader) => {
                std::future::poll_fn(|cx| reader.poll_accepted(cx)).await?;
                Ok(EventStream::new(reader))
            }
        }
    }

    async fn complete(&self, requests: Vec<RawRequest>) -> Vec<Result<ModelOutput>> {
        let mut batch = Vec::new();
        let mut keys = Vec::new();
        // Of each request: where its answers will be in the batch, and how many were handed out.
        let mut asked: HashMap<Arc<str>, (Vec<usize>, usize)> = HashMap::new();
        let mut sources = Vec::with_capacity(requests.len());
        for request in requests {
            let key = key::of_raw(&*self.backend, &request);
            if let Some(key) = &key {
                let (places, turn) = asked.entry(Arc::clone(key)).or_default();
                match self.store.pick(key, places.len(), turn) {
                    Pick::Kept(Answer::Raw(output)) => {
                        sources.push(From::Kept(output));
                        continue;
                    }
                    Pick::Running(i) => {
                        if let Some(place) = places.get(i) {
                            sources.push(From::Asked { place: *place, first: false });
                            continue;
                        }
                    }
                    Pick::Kept(Answer::Chat(_)) | Pick::New => {}
                }
                places.push(batch.len());
            }
            sources.push(From::Asked { place: batch.len(), first: true });
            batch.push(request);
            keys.push(key);
        }
        let count = batch.len();
        let missing = || Err(Error::from(ErrorKind::StreamInterrupted).at(self.provider(), self.model()));
        let mut results = if count > 0 { self.backend.complete(batch).await } else { Vec::new() };
        results.resize_with(count, missing);
        for (key, result) in keys.into_iter().zip(&results) {
            if let (Some(key), Ok(output)) = (key, result)
                && store::is_whole(&output.finish)
                && !output.is_empty()
            {
                self.store.keep(&key, Answer::Raw(Arc::new(output.clone())));
            }
        }
        let give = |source| match source {
            From::Kept(output) => Ok(again(&output)),
            From::Asked { place, first: true } => results.get(place).cloned().unwrap_or_else(missing),
            From::Asked { place, .. } => match results.get(place) {
                Some(Ok(output)) => Ok(again(output)),
                Some(Err(error)) => Err(error.clone()),
                None => missing(),
            },
        };
        sources.into_iter().map(give).collect()
    }
}

impl<B> Clone for Cached<B> {
    fn clone(&self) -> Self {
        Self { backend: Arc::clone(&self.backend), store: Arc::clone(&self.store) }
    }
}

impl<B: fmt::Debug> fmt::Debug for Cached<B> {
    /// Without what is kept.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("backend", &self.backend)
            .field("limits", &self.store.limits())
            .field("stats", &self.store.stats())
            .finish()
    }
}

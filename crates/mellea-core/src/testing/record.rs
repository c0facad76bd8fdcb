//! A recorder: keeps what passes between a program and a backend.

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll};

use async_trait::async_trait;
use futures_core::Stream;

use super::cassette::{self, Cassette, Chat, Completed, Completion, Ended, StoredOptions};
use super::fault::Fault;
use crate::backend::{Backend, Capabilities, ChatRequest, Event, EventStream, RawRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::options::{ModelOption, ModelOptions, RequestOptions};
use crate::output::{ModelOutput, Warning};
use crate::redact::Redactor;

/// The most bytes of requests and answers that are kept unless told otherwise.
const MAX_BYTES: usize = 256 << 20;

/// About what the bookkeeping of a request or an event takes.
const OVERHEAD: usize = 128;

/// Records every call that passes through it, around any backend.
///
/// Secrets do not get into the recording. The values of headers and of a provider's own options are
/// blanked, except those that are known to be harmless (`top_p`, say) and those that
/// [`allow`](Self::allow) names; calls that differ only in what is blanked count as equal. Out of
/// everything else go the values of keys such as `api_key`, `authorization`, `password` or `token`,
/// texts of the shape of a key, and what [`redact`](Self::redact) names. Times are left out.
///
/// A recording has a limit of 256 MiB, see [`max_bytes`](Self::max_bytes). Clones share the
/// recording.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use mellea_core::{Session, testing::{Recorder, Replayer, ScriptedBackend}};
///
/// let recorder = Recorder::new(ScriptedBackend::new(["Paris"]));
/// Session::new(recorder.clone()).instruct("What is the capital of France?").await?;
///
/// let replayer = Replayer::new(recorder.cassette()?);
/// let answer = Session::new(replayer.clone()).instruct("What is the capital of France?").await?;
/// assert_eq!(*answer, "Paris");
/// replayer.assert_all_consumed();
/// # Ok::<(), mellea_core::Error>(()) }).unwrap();
/// ```
pub struct Recorder<B> {
    backend: Arc<B>,
    tape: Arc<Mutex<Tape>>,
    redactor: Redactor,
    max_bytes: usize,
}

#[derive(Default)]
struct Tape {
    /// About how many bytes it holds. Past the limit nothing more is kept.
    bytes: usize,
    full: bool,
    chats: Vec<Take>,
    completions: Vec<(RawRequest, Result<ModelOutput>)>,
}

/// One chat while it runs, and after. Cleaned only when a cassette is made: a secret may come in
/// several pieces.
struct Take {
    request: ChatRequest,
    warnings: Vec<Warning>,
    events: Vec<Event>,
    end: End,
}

enum End {
    Open,
    Complete,
    Refused(Error),
    Failed(Error),
}

impl<B: Backend> Recorder<B> {
    /// Records what passes to and from this backend.
    pub fn new(backend: B) -> Self {
        Self { backend: Arc::new(backend), tape: Arc::default(), redactor: Redactor::default(), max_bytes: MAX_BYTES }
    }

    /// Keeps the value of this option or header in the recording, whatever it is; see
    /// [`Redactor::allow`]. The [`Replayer`](super::Replayer) must be told as well.
    #[must_use]
    pub fn allow(mut self, name: impl Into<String>) -> Self {
        self.redactor.allow(name);
        self
    }

    /// Keeps at most about this many bytes of requests and answers; 256 MiB otherwise. Calls go
    /// through when there is no more room, but a recording that lacks some of them is no use: then
    /// [`cassette`](Self::cassette) fails.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Keeps this text out of the recording as well, wherever it would stand.
    #[must_use]
    pub fn redact(mut self, secret: impl Into<String>) -> Self {
        self.redactor.add(secret.into());
        self
    }

    /// What has been recorded so far, in the order in which the calls began.
    ///
    /// # Errors
    /// [`ErrorKind::Testing`](crate::ErrorKind::Testing) if a request cannot be written as JSON, or if
    /// there was no room for all calls.
    pub fn cassette(&self) -> Result<Cassette> {
        let (backend, redactor) = (&*self.backend, &self.redactor);
        let tape = self.tape();
        if tape.full {
            let message = format!("the recording is larger than {} bytes, so calls are missing", self.max_bytes);
            return Err(ErrorKind::Testing(message).into());
        }
        let chats = tape.chats.iter().map(|take| take.store(redactor)).collect::<Result<_>>()?;
        let completions = tape.completions.iter().map(|(raw, result)| {
            let request = cassette::clean_raw_request(raw, redactor)?;
            Ok(Completion { result: store_completed(result, redactor, &request_options(&raw.options, redactor)), request })
        });
        let mut cassette = Cassette::new(backend.provider(), backend.model());
        cassette.capabilities = backend.capabilities();
        // A name that means a common option is none of a provider's own.
        let mut defaults = redactor.clone();
        backend.synonyms().iter().for_each(|(name, _)| defaults.allow(*name));
        cassette.default_options = StoredOptions::record(&backend.default_options(), &defaults);
        cassette.synonyms = backend.synonyms().iter().map(|(name, option)| ((*name).to_owned(), *option)).collect();
        cassette.chats = chats;
        cassette.completions = completions.collect::<Result<_>>()?;
        Ok(cassette)
    }

    /// Writes what has been recorded so far to a file.
    ///
    /// # Errors
    /// [`ErrorKind::Testing`](crate::ErrorKind::Testing) if it cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.cassette()?.save(path)
    }

    fn tape(&self) -> MutexGuard<'_, Tape> {
        lock(&self.tape)
    }

    fn recording(&self, events: EventStream, number: Option<usize>) -> EventStream {
        match number {
            Some(number) => {
                EventStream::new(Recording { events, tape: Arc::clone(&self.tape), number, max_bytes: self.max_bytes })
            }
            None => events,
        }
    }
}

fn lock(tape: &Mutex<Tape>) -> MutexGuard<'_, Tape> {
    tape.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tape {
    /// Whether there is room for so many bytes more, which it then counts. What does not fit ends the
    /// recording, and frees what it holds.
    fn takes(&mut self, bytes: usize, most: usize) -> bool {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > most && !self.full {
            *self = Self { full: true, ..Self::default() };
        }
        !self.full
    }
}

/// About how many bytes a value takes.
fn size(value: &impl serde::Serialize) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(OVERHEAD);
    // What cannot be written is reported when a cassette is made.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// What is said about a call may repeat its options.
fn request_options(options: &RequestOptions, redactor: &Redactor) -> Redactor {
    redactor.knowing(&options.extra)
}

impl Take {
    fn store(&self, redactor: &Redactor) -> Result<Chat> {
        let about = request_options(&self.request.options, redactor);
        Ok(Chat {
            request: cassette::clean_request(&self.request, redactor)?,
            warnings: through_json(self.warnings.clone(), &about),
            events: clean_events(&self.events, redactor, &about),
            ended: match &self.end {
                End::Open => Ended::Dropped,
                End::Complete => Ended::Complete,
                End::Refused(error) => Ended::Refused(Fault::record(error, &about)),
                End::Failed(error) => Ended::Failed(Fault::record(error, &about)),
            },
        })
    }
}

/// Events without secrets. Pieces of text that make up a secret only together become one piece.
/// What the model says is cleaned as content; the rest is said about the call.
fn clean_events(events: &[Event], redactor: &Redactor, about: &Redactor) -> Vec<Event> {
    let mut clean: Vec<Event> = events.iter().cloned().map(finite).collect();
    join_if_secret(&mut clean, redactor, |event| match event {
        Event::Text(text) => Some(text),
        _ => None,
    });
    join_if_secret(&mut clean, redactor, |event| match event {
        Event::Thinking(text) => Some(text),
        _ => None,
    });
    let clean = clean.into_iter().map(|event| match event {
        Event::Text(_) | Event::Thinking(_) | Event::ToolCall(_) | Event::Logprobs(_) => through_json(event, redactor),
        event => through_json(event, about),
    });
    clean.collect()
}

fn join_if_secret(events: &mut Vec<Event>, redactor: &Redactor, text: fn(&mut Event) -> Option<&mut String>) {
    let whole: String = events.iter_mut().filter_map(text).map(|piece| piece.as_str()).collect();
    let Some(clean) = Some(redactor.text(&whole)).filter(|clean| *clean != whole) else { return };
    let mut clean = Some(clean.into_owned());
    events.retain_mut(|event| match text(event) {
        None => true,
        Some(piece) => clean.take().map(|all| *piece = all).is_some(),
    });
}

/// JSON has no infinities: scores that were ruled out become the lowest number.
fn finite(event: Event) -> Event {
    match event {
        Event::Logits(rows) => Event::Logits(finite_rows(rows)),
        other => other,
    }
}

fn finite_rows(mut rows: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    for score in rows.iter_mut().flatten() {
        *score = if score.is_nan() { f32::MIN } else { score.clamp(f32::MIN, f32::MAX) };
    }
    rows
}

/// Cleans a value in its JSON form. What cannot be read back afterwards stays as it was: that
/// happens only if a secret was more than text.
fn through_json<T: serde::Serialize + serde::de::DeserializeOwned>(value: T, redactor: &Redactor) -> T {
    let Ok(mut json) = serde_json::to_value(&value) else { return value };
    redactor.json(&mut json);
    serde_json::from_value(json).unwrap_or(value)
}

fn store_completed(result: &Result<ModelOutput>, redactor: &Redactor, about: &Redactor) -> Completed {
    match result {
        Err(error) => Completed::Error(Fault::record(error, about)),
        Ok(output) => {
            let logits = output.logits.clone().map(finite_rows);
            let timeless = ModelOutput { latency: Default::default(), time_to_first_token: None, logits, ..output.clone() };
            Completed::Output(Box::new(through_json(timeless, redactor)))
        }
    }
}

#[async_trait]
impl<B: Backend> Backend for Recorder<B> {
    fn provider(&self) -> &str {
        self.backend.provider()
    }

    fn model(&self) -> &str {
        self.backend.model()
    }

    fn capabilities(&self) -> Capabilities {
        self.backend.capabilities()
    }

    fn default_options(&self) -> ModelOptions {
        self.backend.default_options()
    }

    fn synonyms(&self) -> &'static [(&'static str, ModelOption)] {
        self.backend.synonyms()
    }

    fn unsupported(&self, request: &ChatRequest) -> Vec<Warning> {
        self.backend.unsupported(request)
    }

    fn is_real(&self) -> bool {
        self.backend.is_real()
    }

    async fn chat(&self, request: ChatRequest) -> Result<EventStream> {
        let take =
            Take { request: request.clone(), warnings: self.backend.unsupported(&request), events: Vec::new(), end: End::Open };
        let bytes = size(&take.request);
        let number = {
            let mut tape = self.tape();
            tape.takes(bytes, self.max_bytes).then(|| {
                tape.chats.push(take);
                tape.chats.len() - 1
            })
        };
        match self.backend.chat(request).await {
            Ok(events) => Ok(self.recording(events, number)),
            Err(error) => {
                if let Some(number) = number {
                    end(&self.tape, number, End::Refused(error.clone()));
                }
                Err(error)
            }
        }
    }

    async fn complete(&self, requests: Vec<RawRequest>) -> Vec<Result<ModelOutput>> {
        let results = self.backend.complete(requests.clone()).await;
        let bytes = requests.iter().map(size).chain(results.iter().flatten().map(size)).sum();
        let mut tape = self.tape();
        if tape.takes(bytes, self.max_bytes) {
            tape.completions.extend(requests.into_iter().zip(results.iter().cloned()));
        }
        drop(tape);
        results
    }
}

fn end(tape: &Mutex<Tape>, number: usize, end: End) {
    if let Some(take) = lock(tape).chats.get_mut(number) {
        take.end = end;
    }
}

/// A stream of events that are written down on their way.
struct Recording {
    events: EventStream,
    tape: Arc<Mutex<Tape>>,
    number: usize,
    max_bytes: usize,
}

impl Stream for Recording {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let item = std::task::ready!(Pin::new(&mut self.events).poll_next(cx));
        match &item {
            Some(Ok(event)) => {
                let mut tape = lock(&self.tape);
                if tape.takes(size(event), self.max_bytes)
                    && let Some(take) = tape.chats.get_mut(self.number)
                {
                    take.events.push(event.clone());
                }
            }
            Some(Err(error)) => end(&self.tape, self.number, End::Failed(error.clone())),
            // A stream may end after its error; the error counts.
            None => {
                if let Some(take) = lock(&self.tape).chats.get_mut(self.number)
                    && matches!(take.end, End::Open)
                {
                    take.end = End::Complete;
                }
            }
        }
        Poll::Ready(item)
    }
}

impl<B> Clone for Recorder<B> {
    fn clone(&self) -> Self {
        Self {
            backend: Arc::clone(&self.backend),
            tape: Arc::clone(&self.tape),
            redactor: self.redactor.clone(),
            max_bytes: self.max_bytes,
        }
    }
}

impl<B: fmt::Debug> fmt::Debug for Recorder<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (chats, completions) = {
            let tape = lock(&self.tape);
            (tape.chats.len(), tape.completions.len())
        };
        f.debug_struct("Recorder")
            .field("backend", &self.backend)
            .field("chats", &chats)
            .field("completions", &completions)
            .finish_non_exhaustive()
    }
}

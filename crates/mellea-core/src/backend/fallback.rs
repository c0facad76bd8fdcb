//! A backend that asks another one where the first cannot be reached or has no room.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;

use super::several::{Shared, answer_of, common, completion_of, place};
use super::{Backend, Capabilities, ChatRequest, Event, EventStream, RawRequest};
use crate::error::{Error, ErrorKind, Result, TimeoutPhase};
use crate::limit;
use crate::options::{ModelOption, ModelOptions};
use crate::output::{ModelOutput, Warning};

/// How many events without content are kept while it is open who answers.
const MOST_BEFORE: usize = 64;

/// Backends of which the first that can be reached and has room answers.
///
/// Each call begins with the first. The next is asked if a backend fails before the first piece of
/// text, thinking or tool call, and in one of these ways; [`when`](Self::when) sets another condition:
///
/// | falls back | does not |
/// |---|---|
/// | no connection, or none in time | the request is refused: 400, 401, 403, 404, 413, 422 |
/// | no first piece of the answer in time | the model is not found |
/// | busy; statuses 408, 409, 425, 429 and all from 500 on | an option, schema or setting cannot work |
/// | what was paid for is used up, status 402 | the prompt does not fit the window |
/// | the stream ends or breaks before any content | anything after the first content |
///
/// An answer that is not the first backend's begins with a [`Warning::Other`] that says who answers
/// and why, with that backend's [`unsupported`](Backend::unsupported) and with its
/// [`Event::Model`]. If all fail, the error is the last one; its hint names those before, and its
/// [`source`](StdError::source) is a [`Tried`] that holds them.
///
/// Names, default options and synonyms are those of the first backend, and options are resolved for
/// it; it can do what all can do. The common options go to every backend. A provider's own
/// ([`RequestOptions::extra`](crate::RequestOptions::extra)), headers among them, stay with the
/// first: they may be credentials. Another backend of the same provider's name gets them too, apart
/// from headers and secrets; [`share_options`](Self::share_options) names what goes to all. What was
/// left out is a warning on the answer. The session's time limits hold for all attempts together, so set
/// [`begin_within`](Self::begin_within) where a backend may accept a request and then be silent.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use mellea_core::{ErrorKind, Fallback, Session, testing::{Reply, ScriptedBackend}};
///
/// let here = ScriptedBackend::new([Reply::refuse(ErrorKind::connection("localhost", "connection refused"))]);
/// let there = ScriptedBackend::new(["Paris"]);
/// let m = Session::new(Fallback::new(here).or(there));
/// let answer = m.instruct("What is the capital of France?").await?;
/// assert_eq!(*answer, "Paris");
/// assert!(answer.output().warnings[0].to_string().contains("connection refused"));
/// # Ok::<(), mellea_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Fallback {
    first: Arc<dyn Backend>,
    rest: Vec<Arc<dyn Backend>>,
    when: Arc<dyn Fn(&Error) -> bool + Send + Sync>,
    begin_within: Option<Duration>,
    shared: Shared,
}

impl Fallback {
    /// Asks this backend first, and so far no other.
    pub fn new(first: impl Backend) -> Self {
        Self {
            first: Arc::new(first),
            rest: Vec::new(),
            when: Arc::new(is_no_answer),
            begin_within: None,
            shared: Shared::default(),
        }
    }

    /// Asks this backend if those before it fail.
    #[must_use]
    pub fn or(mut self, next: impl Backend) -> Self {
        self.rest.push(Arc::new(next));
        self
    }

    /// Falls back on these errors and on no others. It replaces the default condition.
    #[must_use]
    pub fn when(mut self, condition: impl Fn(&Error) -> bool + Send + Sync + 'static) -> Self {
        self.when = Arc::new(condition);
        self
    }

    /// Gives each backend but the last this much time for the first piece of its answer to a chat;
    /// no limit otherwise. The time in the queue of a [`Limiter`](crate::Limiter) does not count.
    #[must_use]
    pub fn begin_within(mut self, time: Duration) -> Self {
        self.begin_within = Some(time);
        self
    }

    /// Sends these of a provider's own options to every backend: those that all of them know, such as
    /// `top_p`. Others go to the first backend only.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// use mellea_core::{ErrorKind, Fallback, ModelOptions, Session, testing::{Reply, ScriptedBackend}};
    ///
    /// let here = ScriptedBackend::new([Reply::refuse(ErrorKind::connection("", "connection refused"))]);
    /// let there = ScriptedBackend::new(["Paris"]);
    /// let m = Session::new(Fallback::new(here).or(there.clone()).share_options(["top_p"]));
    /// m.instruct("The capital of France?").option("top_p", 0.9).option("api_key", "secret").await?;
    /// let sent = &there.requests()[0].options.extra;
    /// assert!(sent.contains_key("top_p") && !sent.contains_key("api_key"));
    /// # Ok::<(), mellea_core::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn share_options<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.shared.add(names);
        self
    }

    /// The request as this backend gets it, and a warning that names what it does not get.
    fn request_for(&self, backend: &Arc<dyn Backend>, mut request: ChatRequest) -> (ChatRequest, Option<Warning>) {
        let left = self.shared.adapt(&self.first, backend, &mut request.options);
        (request, left)
    }

    fn raw_request_for(&self, backend: &Arc<dyn Backend>, mut request: RawRequest) -> (RawRequest, Option<Warning>) {
        let left = self.shared.adapt(&self.first, backend, &mut request.options);
        (request, left)
    }

    fn all(&self) -> impl Iterator<Item = &Arc<dyn Backend>> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// What the answer of another backend than the first begins with.
    fn preface(&self, backend: &dyn Backend, failed: &[Error], request: &ChatRequest, left: Option<Warning>) -> Vec<Event> {
        if failed.is_empty() {
            return Vec::new();
        }
        let known = self.first.unsupported(request);
        let others = backend.unsupported(request).into_iter().filter(|warning| !known.contains(warning));
        let warnings = std::iter::once(answered_by(backend, failed)).chain(left).chain(others).map(Event::Warning);
        warnings.chain([Event::Model(backend.model().to_owned())]).collect()
    }
}

/// The errors of the backends that were tried before the last one, in order. It is the
/// [`source`](StdError::source) of a [`Fallback`]'s error, and its own source is the cause of the
/// last backend's error.
#[derive(Debug)]
pub struct Tried {
    errors: Vec<Error>,
    last: Error,
}

impl Tried {
    /// The errors, in the order in which the backends were tried.
    #[must_use]
    pub fn errors(&self) -> &[Error] {
        &self.errors
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tried before: {}", list(&self.errors))
    }
}

impl StdError for Tried {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.last.source()
    }
}

/// The default condition: the service cannot be reached, has no room or broke down, and the request
/// is not to blame.
fn is_no_answer(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Timeout { phase, .. } => matches!(phase, TimeoutPhase::Connect | TimeoutPhase::FirstToken),
        ErrorKind::QuotaExhausted(_) => true,
        ErrorKind::Provider(response) => matches!(response.status, Some(402 | 500..=599)) || error.is_retryable(),
        _ => error.is_retryable(),
    }
}

fn list(errors: &[Error]) -> String {
    errors.iter().map(Error::to_string).collect::<Vec<_>>().join("; ")
}

fn answered_by(backend: &dyn Backend, failed: &[Error]) -> Warning {
    Warning::Other { message: format!("answered by {}/{} after {}", backend.provider(), backend.model(), list(failed)) }
}

/// The last of these errors, which knows of the others.
fn last_of(mut failed: Vec<Error>) -> Error {
    let last = failed.pop().unwrap_or_else(|| ErrorKind::StreamInterrupted.into());
    if failed.is_empty() {
        return last;
    }
    let before = format!("tried before: {}", list(&failed));
    let hint = last.hint().map_or_else(|| before.clone(), |hint| format!("{hint}; {before}"));
    last.clone().with_hint(hint).with_source(Tried { errors: failed, last })
}

/// Starts an answer and reads it up to its first content, which is the last of the events.
async fn begin(backend: &dyn Backend, request: ChatRequest, within: Option<Duration>) -> Result<(Vec<Event>, EventStream)> {
    let begun = async {
        let mut events = backend.chat(request).await?;
        let mut before = Vec::new();
        while before.len() < MOST_BEFORE {
            let event = events.next().await.unwrap_or_else(|| Err(ErrorKind::StreamInterrupted.into()))?;
            let content = match &event {
                Event::Text(text) | Event::Thinking(text) => !text.is_empty(),
                Event::ToolCall(_) | Event::Finish(_) => true,
                _ => false,
            };
            before.push(event);
            if content {
                break;
            }
        }
        Ok((before, events))
    };
    match within {
        None => begun.await,
        Some(limit) => limit::timeout(limit, begun)
            .await
            .unwrap_or_else(|| Err(ErrorKind::Timeout { phase: TimeoutPhase::FirstToken, limit }.into())),
    }
}

#[async_trait]
impl Backend for Fallback {
    fn provider(&self) -> &str {
        self.first.provider()
    }

    fn model(&self) -> &str {
        self.first.model()
    }

    fn capabilities(&self) -> Capabilities {
        common(self.all())
    }

    fn default_options(&self) -> ModelOptions {
        self.first.default_options()
    }

    fn synonyms(&self) -> &'static [(&'static str, ModelOption)] {
        self.first.synonyms()
    }

    /// What the first cannot honour; of another, the answer says it.
    fn unsupported(&self, request: &ChatRequest) -> Vec<Warning> {
        self.first.unsupported(request)
    }

    fn is_real(&self) -> bool {
        self.all().any(|backend| backend.is_real())
    }

    async fn chat(&self, request: ChatRequest) -> Result<EventStream> {
        let mut failed = Vec::new();
        for backend in self.all() {
            let limit = self.begin_within.filter(|_| failed.len() < self.rest.len());
            let (asked, left) = self.request_for(backend, request.clone());
            match begin(&**backend, asked.clone(), limit).await {
                Ok((begun, events)) => {
                    let mut before = self.preface(&**backend, &failed, &asked, left);
                    before.extend(begun);
                    return Ok(answer_of(backend, before, events));
                }
                Err(error) => {
                    let error = place(&**backend, error);
                    let go_on = (self.when)(&error);
                    failed.push(error);
                    if !go_on {
                        break;
                    }
                }
            }
        }
        Err(last_of(failed))
    }

    /// Only the prompts that failed go to the next backend.
    async fn complete(&self, requests: Vec<RawRequest>) -> Vec<Result<ModelOutput>> {
        let mut open: Vec<_> = requests.into_iter().enumerate().map(|(i, request)| (i, request, Vec::new())).collect();
        let mut results = Vec::with_capacity(open.len());
        for (tried, backend) in self.all().enumerate() {
            if open.is_empty() {
                break;
            }
            let (batch, left): (Vec<_>, Vec<_>) =
                open.iter().map(|(_, request, _): &(_, RawRequest, _)| self.raw_request_for(backend, request.clone())).unzip();
            let mut outputs = backend.complete(batch).await.into_iter();
            for ((i, request, mut failed), left) in std::mem::take(&mut open).into_iter().zip(left) {
                match completion_of(&**backend, outputs.next()) {
                    Ok(mut output) => {
                        if !failed.is_empty() {
                            output.warnings.push(answered_by(&**backend, &failed));
                            output.warnings.extend(left);
                        }
                        results.push((i, Ok(output)));
                    }
                    Err(error) => {
                        let go_on = tried < self.rest.len() && (self.when)(&error);
                        failed.push(error);
                        if go_on { open.push((i, request, failed)) } else { results.push((i, Err(last_of(failed)))) }
                    }
                }
            }
        }
        results.sort_by_key(|(i, _)| *i);
        results.into_iter().map(|(_, result)| result).collect()
    }
}

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback")
            .field("first", &self.first)
            .field("rest", &self.rest)
            .field("begin_within", &self.begin_within)
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

//! One generation: sends a request, folds its events into an output, and guards against what goes wrong.

mod shared;
mod size;

use std::any::Any;
use std::future::ready;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use tracing::Instrument;

pub use shared::Delta;
pub(crate) use shared::{AnyValue, Done, Shared};
use size::Size;

use crate::backend::{Backend, ChatRequest, Event, EventStream, Format};
use crate::error::{Error, ErrorKind, Result, TimeoutPhase};
use crate::limit;
use crate::output::{FinishReason, ModelOutput, Warning};
use crate::stream_check::StreamChecks;
use crate::telemetry;
use crate::time::within;

/// Checks a request before anything is sent; what the backend cannot honour comes back as warnings,
/// or as an error if `strict`.
pub(crate) fn check(backend: &dyn Backend, request: &ChatRequest, strict: bool) -> Result<Vec<Warning>> {
    let place = |e: Error| e.at(backend.provider(), backend.model());
    crate::backend::guard::check(backend)?;
    if request.messages.iter().all(|message| message.is_empty()) || !ends_with_a_question(request) {
        return Err(place(ErrorKind::EmptyPrompt.into()));
    }
    let warnings = backend.unsupported(request);
    match warnings.iter().find(|warning| warning.is_unhonoured()) {
        Some(first) if strict => Err(place(refused(first))),
        _ => Ok(warnings),
    }
}

/// The error of a strict session for something that was asked for and not honoured.
pub(crate) fn refused(warning: &Warning) -> Error {
    let error = Error::from(ErrorKind::from(warning));
    error.with_hint("leave it out, or build the session without `strict`")
}

fn ends_with_a_question(request: &ChatRequest) -> bool {
    request.messages.last().is_some_and(|m| !m.is_empty() || m.role == crate::message::Role::Tool)
}

/// Keeps what there is of an answer when its generation is dropped, such as at a deadline.
#[derive(Default)]
pub(crate) struct Keep(Mutex<Option<Arc<ModelOutput>>>);

impl Keep {
    pub(crate) fn take(&self) -> Option<Arc<ModelOutput>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, output: Arc<ModelOutput>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(output);
    }
}

/// Who follows a generation while it runs.
#[derive(Clone, Copy, Default)]
pub(crate) struct Watch<'a> {
    /// Gets the pieces as they come.
    pub(crate) pieces: Option<&'a Shared>,
    /// Gets what there is if the generation is dropped.
    pub(crate) keep: Option<&'a Keep>,
}

/// Runs one generation that nobody follows.
pub(crate) async fn alone(backend: &dyn Backend, request: ChatRequest, warnings: Vec<Warning>) -> Result<Arc<ModelOutput>> {
    run(backend, request, warnings, StreamChecks::default(), Watch::default())?.await
}

/// A generation on its way. Boxed, as others on a call's path are: allocators are slow with what has more
/// than a kilobyte.
pub(crate) type Generating<'a> = BoxFuture<'a, Result<Arc<ModelOutput>>>;

/// Runs one generation to its end, within the caller's own task: dropping the future cancels it.
///
/// # Errors
/// Without a runtime.
pub(crate) fn run<'a>(
    backend: &'a dyn Backend,
    request: ChatRequest,
    warnings: Vec<Warning>,
    checks: StreamChecks,
    watch: Watch<'a>,
) -> Result<Generating<'a>> {
    runtime()?;
    let span = telemetry::chat_span(backend, &request);
    let generation = Generation::new(backend, request, warnings, checks);
    let run = generation.run(watch).map(|result| {
        telemetry::record_result(&result);
        result.map_err(|e| e.at(backend.provider(), backend.model()))
    });
    Ok(run.instrument(span).boxed())
}

/// The runtime that a generation needs for its timers.
pub(crate) fn runtime() -> Result<tokio::runtime::Handle> {
    tokio::runtime::Handle::try_current().map_err(|_| {
        ErrorKind::Runtime("a generation needs a tokio runtime; in a program without one use `mellea::blocking`").into()
    })
}

/// One generation that has not begun, and what of its request counts while it runs.
struct Generation<'a> {
    backend: &'a dyn Backend,
    call: BoxFuture<'a, Result<EventStream>>,
    warnings: Vec<Warning>,
    checks: StreamChecks,
    silence: Option<Duration>,
    total: Option<Duration>,
    limit: Option<u64>,
}

impl<'a> Generation<'a> {
    fn new(backend: &'a dyn Backend, request: ChatRequest, warnings: Vec<Warning>, mut checks: StreamChecks) -> Self {
        if matches!(request.format, Some(Format::JsonSchema(_))) {
            checks.guard_json();
        }
        Self {
            backend,
            silence: request.options.stream_timeout,
            total: request.options.timeout,
            limit: request.options.max_new_tokens,
            call: catch_unwind(AssertUnwindSafe(|| backend.chat(request)))
                .unwrap_or_else(|panic| ready(Err(panicked(&*panic))).boxed()),
            checks,
            warnings,
        }
    }

    /// Runs it; a panic of the backend is an error of the call.
    fn run(self, watch: Watch<'_>) -> impl Future<Output = Result<Arc<ModelOutput>>> {
        let folded = AssertUnwindSafe(fold(self, watch)).catch_unwind();
        folded.map(|done| done.unwrap_or_else(|panic| Err(panicked(&*panic))))
    }
}

/// An output that is being written. If it is dropped before its end, what there is of it is kept.
struct Draft<'a> {
    /// Nobody else has it before it is finished.
    output: Option<Arc<ModelOutput>>,
    start: Instant,
    keep: Option<&'a Keep>,
}

impl Draft<'_> {
    fn output(&mut self) -> &mut ModelOutput {
        Arc::make_mut(self.output.get_or_insert_default())
    }

    fn finished(mut self) -> Arc<ModelOutput> {
        self.output().latency = self.start.elapsed();
        self.output.take().unwrap_or_default()
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        let Some(mut output) = self.output.take() else { return };
        if let Some(keep) = self.keep
            && !(output.is_empty() && output.thinking.is_none())
        {
            Arc::make_mut(&mut output).latency = self.start.elapsed();
            keep.put(output);
        }
    }
}

/// When a generation must have ended, and how long that was.
#[derive(Clone, Copy)]
struct Limits {
    silence: Option<Duration>,
    total: Option<(tokio::time::Instant, Duration)>,
}

impl Limits {
    /// The time at which the wait that begins now is over, and the error then.
    fn end(self, phase: TimeoutPhase) -> Option<(tokio::time::Instant, Error)> {
        let silence = self.silence.and_then(|limit| Some((tokio::time::Instant::now().checked_add(limit)?, phase, limit)));
        let total = self.total.map(|(at, limit)| (at, TimeoutPhase::Total, limit));
        let (at, phase, limit) = match (silence, total) {
            (Some(silence), Some(total)) => {
                if silence.0 <= total.0 {
                    silence
                } else {
                    total
                }
            }
            (one, other) => one.or(other)?,
        };
        Some((at, late(phase, limit)))
    }
}

/// Sends a request, and makes one output of the events; those who wait for pieces get them as they come.
async fn fold(generation: Generation<'_>, watch: Watch<'_>) -> Result<Arc<ModelOutput>> {
    let start = Instant::now();
    let Generation { backend, call, warnings, mut checks, silence, total, limit } = generation;
    // A call that waits for its turn in a limiter is not silent: only the service's time counts.
    let opening = match (silence, total) {
        (Some(silence), Some(total)) => Some(silence.min(total)),
        (one, other) => one.or(other),
    };
    let opened = Instant::now();
    let mut events = match opening {
        None => call.await,
        Some(limit) => limit::timeout(limit, call).await.unwrap_or_else(|| {
            Err(late(if silence == Some(limit) { TimeoutPhase::FirstToken } else { TimeoutPhase::Total }, limit))
        }),
    }?;
    let total = total.and_then(|limit| {
        let left = if opening.is_some() { limit } else { limit.saturating_sub(opened.elapsed()) };
        Some((tokio::time::Instant::now().checked_add(left)?, limit))
    });
    let mut draft = Draft {
        output: Some(Arc::new(ModelOutput {
            provider: backend.provider().to_owned(),
            model: backend.model().to_owned(),
            warnings,
            ..ModelOutput::default()
        })),
        start,
        keep: watch.keep,
    };
    let read = read(&mut events, Limits { silence, total }, start, draft.output(), &mut checks, watch.pieces).await;
    let mut output = draft.finished();
    let kind = match read {
        Err(error) => return Err(error.with_partial(output)),
        Ok(None) => ErrorKind::StreamInterrupted,
        Ok(Some(finish)) => {
            Arc::make_mut(&mut output).finish = finish;
            match output.finish {
                _ if !output.is_empty() => return finish_checks(output, &mut checks),
                FinishReason::Length => truncated(&output, limit),
                FinishReason::ContentFilter => ErrorKind::ContentFiltered,
                _ => ErrorKind::EmptyResponse,
            }
        }
    };
    Err(Error::from(kind).with_partial(output))
}

fn finish_checks(output: Arc<ModelOutput>, checks: &mut StreamChecks) -> Result<Arc<ModelOutput>> {
    match checks.end() {
        Ok(()) => Ok(output),
        Err(error) => Err(error.with_partial(output)),
    }
}

/// Reads events into the output until the stream ends; the finish reason, if there was one.
async fn read(
    events: &mut EventStream,
    limits: Limits,
    start: Instant,
    output: &mut ModelOutput,
    checks: &mut StreamChecks,
    shared: Option<&Shared>,
) -> Result<Option<FinishReason>> {
    let mut finish = None;
    let mut size = Size::default();
    loop {
        let phase = if output.time_to_first_token.is_none() { TimeoutPhase::FirstToken } else { TimeoutPhase::NextToken };
        let next = within(|| limits.end(phase), events.next()).await?;
        let Some(event) = next.transpose()? else { return Ok(finish) };
        if finish.is_some() && !matches!(event, Event::Usage(_)) {
            continue;
        }
        size.add(&event)?;
        if matches!(event, Event::Text(_) | Event::Thinking(_) | Event::ToolCall(_)) {
            output.time_to_first_token.get_or_insert_with(|| start.elapsed());
        }
        match event {
            Event::Text(text) if text.is_empty() => {}
            Event::Text(text) => {
                let checked = checks.feed(&text);
                match shared {
                    Some(shared) => {
                        output.text.push_str(&text);
                        shared.push(Delta::Text(text));
                    }
                    None if output.text.is_empty() => output.text = text,
                    None => output.text.push_str(&text),
                }
                checked?;
            }
            Event::Thinking(text) => {
                output.thinking.get_or_insert_default().push_str(&text);
                if let Some(shared) = shared {
                    shared.push(Delta::Thinking(text));
                }
            }
            Event::TextWasThinking => {
                output.rethink();
                if let Some(shared) = shared {
                    shared.push(Delta::TextWasThinking);
                }
            }
            Event::ToolCall(call) => output.tool_calls.push(call),
            Event::Usage(usage) => output.usage.update(usage),
            Event::ResponseId(id) => output.response_id = Some(id),
            Event::Model(model) => output.model = model,
            Event::Warning(warning) => output.warnings.push(warning),
            Event::Logits(rows) => output.logits.get_or_insert_default().extend(rows),
            Event::Logprobs(tokens) => output.logprobs.extend(tokens),
            Event::Replay(value) => output.replay = Some(Arc::new(value)),
            Event::Raw(value) => output.raw = Some(value),
            Event::Finish(reason) => finish = Some(reason),
        }
    }
}

fn late(phase: TimeoutPhase, limit: Duration) -> Error {
    let hint = match phase {
        TimeoutPhase::Total => "`ModelOption::Timeout` sets this limit",
        _ => "`ModelOption::StreamTimeout` sets this limit",
    };
    Error::from(ErrorKind::Timeout { phase, limit }).with_hint(hint)
}

pub(crate) fn truncated(output: &ModelOutput, limit: Option<u64>) -> ErrorKind {
    ErrorKind::Truncated { limit, produced: output.usage.completion_tokens.unwrap_or_default() }
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    ErrorKind::Backend(panic_text(panic)).into()
}

/// What a panic says.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    format!("it panicked: {}", text.unwrap_or_else(|| "no message".to_owned()))
}

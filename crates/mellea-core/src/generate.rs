//! One generation: sends a request, folds its events into an output, and guards against what goes wrong.

use std::any::Any;
use std::future::ready;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use tracing::Instrument;

use crate::backend::{Backend, ChatRequest, Event, EventStream, Format, guard};
use crate::error::{Error, ErrorKind, Result, TimeoutPhase};
use crate::limit;
use crate::output::{FinishReason, ModelOutput, Warning};
use crate::telemetry;
use crate::thunk::{Delta, Shared};
use crate::time::within;

/// The most bytes of text that one answer may have: a server that never stops must not fill the
/// memory.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// The longest run of white space outside of a string that JSON may have while it is generated.
const MAX_WHITESPACE_RUN: usize = 256;

/// The last word on a finished answer.
pub(crate) type Accept = Box<dyn FnOnce(Arc<ModelOutput>) -> Result<Arc<ModelOutput>> + Send>;

/// Checks a request before anything is sent; what the backend cannot honour comes back as warnings,
/// or as an error if `strict`.
pub(crate) fn check(backend: &dyn Backend, request: &ChatRequest, strict: bool) -> Result<Vec<Warning>> {
    let place = |e: Error| e.at(backend.provider(), backend.model());
    guard::check(backend)?;
    if request.messages.iter().all(crate::message::Message::is_empty) || !ends_with_a_question(request) {
        return Err(place(ErrorKind::EmptyPrompt.into()));
    }
    let warnings = backend.unsupported(request);
    match warnings.first() {
        Some(first) if strict => Err(place(ErrorKind::Unsupported(first.to_string()).into())
            .with_hint("leave it out, or build the session without `strict`")),
        _ => Ok(warnings),
    }
}

fn ends_with_a_question(request: &ChatRequest) -> bool {
    request.messages.last().is_some_and(|m| !m.is_empty() || m.role == crate::message::Role::Tool)
}

/// Marks the thunk as cancelled if the driver goes away before its end, as on a runtime's shutdown.
struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.finish(Err(Error::from(ErrorKind::Cancelled).with_partial(Arc::new(self.0.partial()))));
    }
}

/// Runs one generation to its end, for whoever holds its thunk.
pub(crate) async fn drive(
    backend: Arc<dyn Backend>,
    request: ChatRequest,
    warnings: Vec<Warning>,
    accept: Accept,
    shared: Arc<Shared>,
) {
    let guard = Guard(Arc::clone(&shared));
    let result = Generation::new(&*backend, request, warnings).run(Some(&shared)).await.and_then(accept);
    telemetry::record_result(&result);
    shared.finish(result.map_err(|e| e.at(backend.provider(), backend.model())));
    drop(guard);
}

/// Runs one generation to its end, within the caller's own task: dropping the future cancels it.
pub(crate) async fn alone(backend: &dyn Backend, request: ChatRequest, warnings: Vec<Warning>) -> Result<Arc<ModelOutput>> {
    runtime()?;
    let span = telemetry::chat_span(backend, &request);
    let generation = Generation::new(backend, request, warnings);
    let run = async {
        let result = generation.run(None).await;
        telemetry::record_result(&result);
        result.map_err(|e| e.at(backend.provider(), backend.model()))
    };
    // Boxed, as others on the way of a call are: allocators are slow with what has more than a kilobyte.
    Box::pin(run.instrument(span)).await
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
    silence: Option<Duration>,
    limit: Option<u64>,
    json: bool,
}

impl<'a> Generation<'a> {
    fn new(backend: &'a dyn Backend, request: ChatRequest, warnings: Vec<Warning>) -> Self {
        Self {
            backend,
            silence: request.options.stream_timeout,
            limit: request.options.max_new_tokens,
            json: matches!(request.format, Some(Format::JsonSchema(_))),
            call: catch_unwind(AssertUnwindSafe(|| backend.chat(request)))
                .unwrap_or_else(|panic| ready(Err(panicked(&*panic))).boxed()),
            warnings,
        }
    }

    /// Runs it; a panic of the backend is an error of the call.
    fn run(self, shared: Option<&Shared>) -> impl Future<Output = Result<Arc<ModelOutput>>> {
        let folded = AssertUnwindSafe(fold(self, shared)).catch_unwind();
        folded.map(|done| done.unwrap_or_else(|panic| Err(panicked(&*panic))))
    }
}

/// Sends a request, and makes one output of the events; those who wait for pieces get them as they come.
async fn fold(generation: Generation<'_>, shared: Option<&Shared>) -> Result<Arc<ModelOutput>> {
    let start = Instant::now();
    let Generation { backend, call, warnings, silence, limit, json } = generation;
    let mut events = match silence {
        None => call.await,
        // A call that waits for its turn in a limiter is not silent: only the service's time counts.
        Some(limit) => limit::timeout(limit, call).await.unwrap_or_else(|| Err(silent(TimeoutPhase::FirstToken, limit))),
    }?;
    let mut output = Box::new(ModelOutput {
        provider: backend.provider().to_owned(),
        model: backend.model().to_owned(),
        warnings,
        ..ModelOutput::default()
    });
    let mut guard = json.then(WhitespaceGuard::default);
    let finished = match read(&mut events, silence, start, &mut output, guard.as_mut(), shared).await {
        Ok(finished) => finished,
        Err(error) => {
            output.latency = start.elapsed();
            return Err(error.with_partial(output.into()));
        }
    };
    output.latency = start.elapsed();
    match finished {
        None => Err(Error::from(ErrorKind::StreamInterrupted).with_partial(output.into())),
        Some(finish) => {
            output.finish = finish;
            if output.is_empty() {
                let kind = match output.finish {
                    FinishReason::Length => truncated(&output, limit),
                    _ => ErrorKind::EmptyResponse,
                };
                return Err(Error::from(kind).with_partial(output.into()));
            }
            Ok(output.into())
        }
    }
}

/// Reads events into the output until the stream ends; the finish reason, if there was one.
async fn read(
    events: &mut EventStream,
    silence: Option<Duration>,
    start: Instant,
    output: &mut ModelOutput,
    mut guard: Option<&mut WhitespaceGuard>,
    shared: Option<&Shared>,
) -> Result<Option<FinishReason>> {
    let mut finish = None;
    let mut bytes = 0;
    loop {
        let phase = if output.time_to_first_token.is_none() { TimeoutPhase::FirstToken } else { TimeoutPhase::NextToken };
        let end = || silence.and_then(|limit| Some((tokio::time::Instant::now().checked_add(limit)?, limit)));
        let next = within(end, events.next()).await.map_err(|limit| silent(phase, limit))?;
        let Some(event) = next.transpose()? else { return Ok(finish) };
        if finish.is_some() && !matches!(event, Event::Usage(_)) {
            continue;
        }
        if matches!(event, Event::Text(_) | Event::Thinking(_) | Event::ToolCall(_)) {
            output.time_to_first_token.get_or_insert_with(|| start.elapsed());
        }
        match event {
            Event::Text(text) if text.is_empty() => {}
            Event::Text(text) => {
                bytes += text.len();
                if let Some(guard) = guard.as_deref_mut() {
                    guard.feed(&text)?;
                }
                match shared {
                    Some(shared) => {
                        output.text.push_str(&text);
                        shared.push(Delta::Text(text));
                    }
                    None if output.text.is_empty() => output.text = text,
                    None => output.text.push_str(&text),
                }
            }
            Event::Thinking(text) => {
                bytes += text.len();
                output.thinking.get_or_insert_default().push_str(&text);
                if let Some(shared) = shared {
                    shared.push(Delta::Thinking(text));
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
        if bytes > MAX_ANSWER_BYTES {
            return Err(ErrorKind::Degenerate(format!("the answer has more than {MAX_ANSWER_BYTES} bytes")).into());
        }
    }
}

fn silent(phase: TimeoutPhase, limit: Duration) -> Error {
    Error::from(ErrorKind::Timeout { phase, limit }).with_hint("`ModelOption::StreamTimeout` sets this limit")
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

/// Notices a model that writes white space for ever where JSON is due.
#[derive(Default)]
struct WhitespaceGuard {
    run: usize,
    in_string: bool,
    escaped: bool,
}

impl WhitespaceGuard {
    fn feed(&mut self, text: &str) -> Result<()> {
        for c in text.chars() {
            if self.in_string {
                match c {
                    _ if self.escaped => self.escaped = false,
                    '\\' => self.escaped = true,
                    '"' => self.in_string = false,
                    _ => {}
                }
            } else if c.is_whitespace() {
                self.run += 1;
                if self.run > MAX_WHITESPACE_RUN {
                    return Err(ErrorKind::Degenerate(format!(
                        "{MAX_WHITESPACE_RUN} characters of white space where JSON is due"
                    ))
                    .into());
                }
            } else {
                self.run = 0;
                self.in_string = c == '"';
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_counts_only_outside_of_strings() {
        let mut guard = WhitespaceGuard::default();
        guard.feed(&format!("{{\"a\": \"\\\"{}\"", " ".repeat(1000))).unwrap();
        guard.feed(&" ".repeat(MAX_WHITESPACE_RUN)).unwrap();
        assert!(guard.feed("\n").is_err());
    }
}

//! An answer as it comes: lines in, events out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::unfold;
use mellea_core::{
    Error, ErrorKind, Event, EventStream, FinishReason, ModelOutput, Result, TokenLogprob, ToolCall, Usage, Warning,
};
use mellea_http::{Frames, LineFramer, Response};
use serde_json::{Value, json};

use crate::backend::Ollama;
use crate::builder::Truncation;
use crate::estimate::PromptCheck;
use crate::wire::{Chunk, Logprob};

/// How many lines that are not JSON are skipped before an answer is given up.
const MAX_BAD_LINES: u32 = 8;

/// The most tool calls that an answer may have.
const MAX_CALLS: usize = 1024;

/// The most bytes that a raw completion may have.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// How long the end of a body is waited for, so that its connection can be used again.
const PATIENCE: Duration = Duration::from_millis(100);

/// Turns the lines of an answer into events. It does no I/O.
///
/// ```
/// use mellea_core::{Event, FinishReason};
/// use mellea_ollama::{Decoder, wire::Chunk};
///
/// let mut decoder = Decoder::default();
/// for line in [r#"{"message":{"content":"Hi"}}"#, r#"{"done":true,"done_reason":"stop"}"#] {
///     decoder.push(serde_json::from_str::<Chunk<'_>>(line)?);
/// }
/// let events: Vec<Event> = std::iter::from_fn(|| decoder.next()).collect();
/// assert_eq!(events[0], Event::Text("Hi".to_owned()));
/// assert_eq!(events.last(), Some(&Event::Finish(FinishReason::Stop)));
/// assert!(decoder.is_done());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    ready: VecDeque<Event>,
    check: PromptCheck,
    named: bool,
    called: Vec<String>,
    anything: bool,
    loaded: bool,
    bad: u32,
    done: bool,
    failure: Option<ErrorKind>,
}

impl Decoder {
    pub(crate) fn new(check: PromptCheck) -> Self {
        Self { check, ..Self::default() }
    }

    /// The next event, if there is one.
    #[expect(clippy::should_implement_trait, reason = "an iterator that ends and goes on again would surprise")]
    pub fn next(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    /// Whether the last line has come.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Takes the next line. Lines after the last one are ignored.
    pub fn push(&mut self, chunk: Chunk<'_>) {
        if self.done {
            return;
        }
        if !self.named && !chunk.model.is_empty() {
            self.named = true;
            self.ready.push_back(Event::Model(chunk.model.clone().into_owned()));
        }
        for thinking in [chunk.message.thinking, chunk.thinking] {
            self.add(thinking, Event::Thinking);
        }
        for text in [chunk.message.content, chunk.response] {
            self.add(text, Event::Text);
        }
        for call in chunk.message.tool_calls {
            // A call of nothing cannot be answered.
            if call.function.name.is_empty() {
                let message = "ollama sent a tool call without a name; it was left out".to_owned();
                self.ready.push_back(Event::Warning(Warning::Note { message }));
                continue;
            }
            if self.called.len() >= MAX_CALLS {
                self.failure = Some(ErrorKind::Degenerate(format!("the answer has more than {MAX_CALLS} tool calls")));
                self.done = true;
                return;
            }
            let arguments = if call.function.arguments.is_null() { json!({}) } else { call.function.arguments };
            let mut call = ToolCall::with_id(call.id, call.function.name, arguments);
            // An id that is made up may be one that the server used.
            while call.id.is_empty() || self.called.contains(&call.id) {
                call.id = ToolCall::new("", Value::Null).id;
            }
            self.called.push(call.id.clone());
            self.anything = true;
            self.ready.push_back(Event::ToolCall(call));
        }
        if !chunk.logprobs.is_empty() {
            self.ready.push_back(Event::Logprobs(chunk.logprobs.into_iter().map(logprob).collect()));
        }
        if chunk.done {
            let counts = [
                ("prompt_eval_count", chunk.prompt_eval_count),
                ("prompt_eval_cached_count", chunk.prompt_eval_cached_count),
                ("eval_count", chunk.eval_count),
                ("total_duration", chunk.total_duration),
                ("load_duration", chunk.load_duration),
                ("prompt_eval_duration", chunk.prompt_eval_duration),
                ("eval_duration", chunk.eval_duration),
            ];
            self.end(&chunk.model, &chunk.done_reason, &counts);
        }
    }

    fn add(&mut self, text: String, event: fn(String) -> Event) {
        if !text.is_empty() {
            self.anything = true;
            self.ready.push_back(event(text));
        }
    }

    fn end(&mut self, model: &str, reason: &str, counts: &[(&str, Option<u64>)]) {
        self.done = true;
        self.loaded = reason == "load" && !self.anything;
        let count = |name: &str| counts.iter().find(|(n, _)| *n == name).and_then(|(_, count)| *count);
        let (prompt, cached, answer) = (count("prompt_eval_count"), count("prompt_eval_cached_count"), count("eval_count"));
        if prompt.is_some() || answer.is_some() {
            // The server leaves out what is zero.
            let mut usage = Usage::new(prompt.unwrap_or(0), answer.unwrap_or(0));
            usage.cached_tokens = cached;
            self.ready.push_back(Event::Usage(usage));
        }
        let mut raw = serde_json::Map::new();
        raw.insert("model".to_owned(), model.into());
        raw.insert("done_reason".to_owned(), reason.into());
        raw.extend(counts.iter().filter_map(|(name, count)| Some(((*name).to_owned(), Value::from((*count)?)))));
        self.ready.push_back(Event::Raw(Value::Object(raw)));
        if self.bad > 0 {
            let message = format!("{} lines of the answer were no JSON and were left out", self.bad);
            self.ready.push_back(Event::Warning(Warning::Note { message }));
        }
        let used = prompt.unwrap_or(0).saturating_add(answer.unwrap_or(0));
        if let Some(window) = self.check.window.filter(|window| reason == "length" && used >= *window) {
            let message =
                format!("the answer was cut because the window of {window} tokens is full; more `max_new_tokens` will not help");
            self.ready.push_back(Event::Warning(Warning::Note { message }));
        }
        if let Some(short) = self.check.shortfall(prompt.map(|p| p.saturating_add(cached.unwrap_or(0)))) {
            if self.check.policy == Truncation::Refuse {
                self.failure = Some(short);
                return;
            }
            self.ready.push_back(Event::Warning(Warning::Other { message: short.to_string() }));
        }
        self.ready.push_back(Event::Finish(match reason {
            _ if !self.called.is_empty() => FinishReason::ToolCalls,
            "" | "stop" => FinishReason::Stop,
            "length" => FinishReason::Length,
            other => FinishReason::Other(other.to_owned()),
        }));
    }
}

fn logprob(one: Logprob) -> TokenLogprob {
    let value = |logprob: Option<f64>| logprob.unwrap_or(f64::NEG_INFINITY);
    let mut out = TokenLogprob::new(one.token, value(one.logprob));
    out.top = one.top_logprobs.into_iter().map(|top| (top.token, value(top.logprob))).collect();
    out
}

/// An answer that has begun.
#[derive(Debug)]
pub(crate) struct Live {
    frames: Frames<LineFramer>,
    decoder: Decoder,
    backend: Ollama,
}

impl Live {
    /// Reads the first line, so that an error on it is a refusal.
    pub(crate) async fn begin(response: Response, check: PromptCheck, backend: Ollama) -> Result<Self> {
        let mut live = Self { frames: response.ndjson()?, decoder: Decoder::new(check), backend };
        let line = live.frames.next().await.unwrap_or_else(|| Err(live.frames.place().interrupted()))?;
        live.take(&line)?;
        Ok(live)
    }

    /// Whether the server has loaded the model and generated nothing.
    pub(crate) fn only_loaded(&self) -> bool {
        self.decoder.loaded
    }

    fn take(&mut self, line: &str) -> Result<()> {
        let chunk: Chunk<'_> = self.frames.json(line)?;
        match chunk.error {
            Some(error) if !error.is_null() => Err(self.frames.place().refused(&json!({ "error": error }))),
            _ => {
                self.decoder.push(chunk);
                Ok(())
            }
        }
    }

    async fn next(&mut self) -> Option<Result<Event>> {
        loop {
            if let Some(event) = self.decoder.next() {
                return Some(Ok(event));
            }
            if let Some(kind) = self.decoder.failure.take() {
                let error = self.frames.place().error(kind);
                let hint = "raise `context_window` (`num_ctx`), or shorten the prompt; `Truncation::Warn` lets it pass";
                let truncated = matches!(error.kind(), ErrorKind::PromptTruncated { .. });
                return Some(Err(if truncated { error.with_hint(hint) } else { error }));
            }
            if self.decoder.done {
                return None;
            }
            let line = match self.frames.next().await {
                Some(Ok(line)) => line,
                Some(Err(error)) => return Some(Err(error)),
                None => return Some(Err(self.frames.place().interrupted())),
            };
            if let Err(error) = self.take(&line) {
                let malformed = matches!(error.kind(), ErrorKind::MalformedResponse { .. });
                if !malformed || self.frames.ended() || self.decoder.bad >= MAX_BAD_LINES {
                    return Some(Err(error));
                }
                self.decoder.bad += 1;
            }
        }
    }

    async fn advance(&mut self) -> Option<Result<Event>> {
        match self.next().await {
            None => {
                // A body read to its end leaves the connection to the next call.
                let _ = tokio::time::timeout(PATIENCE, self.frames.next()).await;
                None
            }
            Some(event) => Some(event.map_err(|error| self.backend.explain(error))),
        }
    }

    /// The events as a stream.
    pub(crate) fn events(self) -> EventStream {
        EventStream::new(unfold(Some(self), |live| async move {
            let mut live = live?;
            let event = live.advance().await?;
            let rest = event.is_ok().then_some(live);
            Some((event, rest))
        }))
    }

    /// The whole answer.
    pub(crate) async fn output(mut self, mut output: ModelOutput, started: tokio::time::Instant) -> Result<ModelOutput> {
        let failed = loop {
            let event = match self.advance().await {
                Some(Ok(event)) => event,
                Some(Err(error)) => break Some(error),
                None => break None,
            };
            if matches!(event, Event::Text(_) | Event::Thinking(_)) {
                output.time_to_first_token.get_or_insert_with(|| started.elapsed());
            }
            match event {
                Event::Text(text) => output.text.push_str(&text),
                Event::Thinking(text) => output.thinking.get_or_insert_default().push_str(&text),
                Event::ToolCall(call) => output.tool_calls.push(call),
                Event::Usage(usage) => output.usage.update(usage),
                Event::Model(model) => output.model = model,
                Event::Warning(warning) => output.warnings.push(warning),
                Event::Logprobs(tokens) => output.logprobs.extend(tokens),
                Event::Raw(raw) => output.raw = Some(raw),
                Event::Finish(finish) => output.finish = finish,
                _ => {}
            }
            let bytes = output.text.len() + output.thinking.as_ref().map_or(0, String::len);
            if bytes > MAX_ANSWER_BYTES {
                let kind = ErrorKind::Degenerate(format!("the answer has more than {MAX_ANSWER_BYTES} bytes"));
                break Some(Error::from(kind));
            }
        };
        output.latency = started.elapsed();
        match failed {
            Some(error) => Err(error.with_partial(Arc::new(output))),
            None => Ok(output),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_made_up_is_none_that_the_server_used() {
        let next: u64 = ToolCall::new("", json!({})).id.strip_prefix("call_").unwrap().parse().unwrap();
        let mut calls: Vec<Value> =
            (1..=200).map(|n| json!({"id": format!("call_{}", next + n), "function": {"name": "f"}})).collect();
        calls.push(json!({"function": {"name": "f"}}));
        let line = json!({"message": {"tool_calls": calls}}).to_string();
        let mut decoder = Decoder::default();
        decoder.push(serde_json::from_str(&line).unwrap());
        let ids = std::iter::from_fn(|| decoder.next()).map(|event| match event {
            Event::ToolCall(call) => call.id,
            other => panic!("{other:?}"),
        });
        assert_eq!(ids.collect::<std::collections::HashSet<_>>().len(), 201);
    }
}

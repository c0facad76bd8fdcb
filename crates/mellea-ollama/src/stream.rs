//! What the lines of an answer mean.

use std::sync::Arc;

use futures_util::StreamExt;
use mellea_core::{Error, ErrorKind, Event, EventStream, ModelOutput, Result, Usage, Warning};
use mellea_wire::{Answer, CallPiece, Decoder as Wire, Fault};
use serde_json::{Value, json};

use crate::builder::Truncation;
use crate::estimate::PromptCheck;
use crate::wire::Chunk;

/// The most bytes that a raw completion may have.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// From this many equal pieces in a row on, the server ends an answer.
const MAX_EQUAL: usize = 30;

/// Reads the lines of an answer.
///
/// ```
/// use mellea_core::{Event, FinishReason};
/// use mellea_ollama::Decoder;
/// use mellea_wire::{Fault, Reader, Rules};
///
/// let mut reader = Reader::new(Decoder::default(), Rules::new());
/// for line in [r#"{"message":{"content":"Hi"}}"#, r#"{"done":true,"done_reason":"stop"}"#] {
///     reader.frame(line.to_owned(), false)?;
/// }
/// let events: Vec<Event> = std::iter::from_fn(|| reader.pop()).collect();
/// assert_eq!(events[0], Event::Text("Hi".to_owned()));
/// assert_eq!(events.last(), Some(&Event::Finish(FinishReason::Stop)));
/// assert!(reader.is_complete());
/// # Ok::<(), Fault>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    check: PromptCheck,
    /// The server has loaded the model and generated nothing.
    loaded: bool,
    /// The last piece, without white space, and how often it came in a row.
    last: String,
    equal: usize,
}

impl Decoder {
    pub(crate) fn new(check: PromptCheck) -> Self {
        Self { check, ..Self::default() }
    }

    /// Whether the server has loaded the model and generated nothing.
    pub(crate) const fn only_loaded(&self) -> bool {
        self.loaded
    }
}

impl Wire for Decoder {
    type Frame = String;

    fn frame(&mut self, line: String, answer: &mut Answer) -> Result<(), Fault> {
        let line = line.trim();
        if line.is_empty() {
            return Ok(());
        }
        let mut spare = String::new();
        let chunk = answer.read(line, &mut spare)?;
        self.take(chunk, answer)
    }

    fn whole(&mut self, body: &[u8], answer: &mut Answer) -> Result<(), Fault> {
        let mut spare = String::new();
        if let Ok(chunk) = answer.read_body(body, &mut spare) {
            return self.take(chunk, answer);
        }
        // Lines under the content type of one object.
        for line in String::from_utf8_lossy(body).lines() {
            self.frame(line.to_owned(), answer)?;
            if answer.is_finished() {
                break;
            }
        }
        if answer.is_finished() { Ok(()) } else { Err(Fault::Interrupted) }
    }

    fn size(line: &String) -> usize {
        line.len()
    }

    fn ended_early(&self) -> Option<Fault> {
        (self.equal >= MAX_EQUAL).then(|| {
            let what = if self.last.is_empty() { "white space".to_owned() } else { format!("`{}`", self.last) };
            Fault::Repeating(format!("the model wrote {what} over and over, and the server ended the answer"))
        })
    }
}

impl Decoder {
    fn take(&mut self, chunk: Chunk<'_>, answer: &mut Answer) -> Result<(), Fault> {
        answer.model(chunk.model.as_ref());
        for text in [chunk.message.thinking, chunk.thinking] {
            self.count(&text);
            answer.thinking(text);
        }
        for text in [chunk.message.content, chunk.response] {
            self.count(&text);
            answer.text(text);
        }
        for call in chunk.message.tool_calls {
            // Each is complete, and servers number them as they like.
            let position = answer.call_count();
            let number = u64::try_from(position).ok();
            answer.call(CallPiece { index: number, ..call.into() }, position)?;
        }
        answer.logprobs(chunk.logprobs.into_iter().filter_map(|one| one.token()).collect());
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(Fault::Refused(json!({ "error": error })));
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
            return self.end(&chunk.model, &chunk.done_reason, &counts, answer);
        }
        Ok(())
    }

    /// Counts equal pieces in a row, as the server does.
    fn count(&mut self, piece: &str) {
        if piece.is_empty() {
            return;
        }
        let piece = piece.trim();
        if piece == self.last {
            self.equal += 1;
        } else {
            piece.clone_into(&mut self.last);
            self.equal = 1;
        }
    }

    fn end(&mut self, model: &str, reason: &str, counts: &[(&str, Option<u64>)], answer: &mut Answer) -> Result<(), Fault> {
        self.loaded = reason == "load" && !answer.has_text() && !answer.has_calls();
        let count = |name: &str| counts.iter().find(|(n, _)| *n == name).and_then(|(_, count)| *count);
        let (prompt, cached, new) = (count("prompt_eval_count"), count("prompt_eval_cached_count"), count("eval_count"));
        if prompt.is_some() || new.is_some() {
            // The server leaves out what is zero.
            let mut usage = Usage::new(prompt.unwrap_or(0), new.unwrap_or(0));
            usage.cached_tokens = cached;
            answer.usage(usage);
        }
        let mut raw = serde_json::Map::new();
        raw.insert("model".to_owned(), model.into());
        raw.insert("done_reason".to_owned(), reason.into());
        raw.extend(counts.iter().filter_map(|(name, count)| Some(((*name).to_owned(), Value::from((*count)?)))));
        answer.raw(Value::Object(raw));
        let used = prompt.unwrap_or(0).saturating_add(new.unwrap_or(0));
        if let Some(window) = self.check.window.filter(|window| reason == "length" && used >= *window) {
            answer.note(format!(
                "the answer was cut because the window of {window} tokens is full; more `max_new_tokens` will not help"
            ));
        }
        if let Some((prompt, read)) = self.check.shortfall(prompt.map(|p| p.saturating_add(cached.unwrap_or(0)))) {
            if self.check.policy == Truncation::Refuse {
                return Err(Fault::PromptTruncated { prompt, read });
            }
            answer.warn(Warning::Other { message: ErrorKind::PromptTruncated { prompt, read }.to_string() });
        }
        answer.finish(if matches!(reason, "" | "load") { "stop" } else { reason })?;
        answer.end();
        Ok(())
    }
}

/// The whole answer of these events.
pub(crate) async fn output(
    mut events: EventStream,
    mut output: ModelOutput,
    started: tokio::time::Instant,
) -> Result<ModelOutput> {
    let mut failed = None;
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                failed = Some(error);
                break;
            }
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
            failed = Some(ErrorKind::Degenerate(format!("the answer has more than {MAX_ANSWER_BYTES} bytes")).into());
            break;
        }
    }
    output.latency = started.elapsed();
    match failed {
        Some(error) => Err(Error::with_partial(error, Arc::new(output))),
        None => Ok(output),
    }
}

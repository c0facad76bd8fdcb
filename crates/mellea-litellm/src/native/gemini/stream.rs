//! Answers of `generateContent`, streamed or whole, as events.

use mellea_core::{Event, FinishReason, ToolCall};
use mellea_http::SseEvent;
use serde_json::{Map, Value, json};

use super::super::decode::{Decoder, Emulation, Events, Fault};
use super::super::options::{note, put};
use super::wire::{Candidate, Chunk, Part, Tokens, finish};

/// The most parts of an answer that are kept for the next turn.
const MAX_PARTS: usize = 4096;

/// Decodes one answer.
///
/// Some models send a finish reason with every piece, so the stream's end is the answer's.
#[derive(Debug)]
pub(in super::super) struct ContentDecoder {
    emulation: Emulation,
    begun: bool,
    finish: Option<FinishReason>,
    tokens: Option<Tokens>,
    called: bool,
    /// The turn as it must come back; kept only while it holds what must.
    parts: Vec<Value>,
    signed: bool,
}

impl ContentDecoder {
    pub(super) fn new(emulate: bool) -> Self {
        Self {
            emulation: Emulation::new(emulate),
            begun: false,
            finish: None,
            tokens: None,
            called: false,
            parts: Vec::new(),
            signed: false,
        }
    }

    fn chunk(&mut self, chunk: Chunk<'_>, out: &mut Events) -> Result<(), Fault> {
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(Fault::Refused(json!({ "error": error })));
        }
        if !std::mem::replace(&mut self.begun, true) {
            if let Some(id) = chunk.response_id {
                out.push(Event::ResponseId(id.into_owned()));
            }
            if let Some(model) = chunk.model_version.filter(|model| !model.is_empty()) {
                out.push(Event::Model(model.into_owned()));
            }
        }
        if let Some(candidate) = chunk.candidates.into_iter().flatten().find(|candidate| candidate.index == 0) {
            self.candidate(candidate, out)?;
        } else if let Some(reason) = chunk.prompt_feedback.as_ref().and_then(|feedback| feedback.get("blockReason")?.as_str()) {
            out.push(Event::Warning(note(format!("the prompt was blocked: {reason}"))));
            self.finish = Some(FinishReason::ContentFilter);
        }
        // Every piece has the tokens so far.
        if let Some(tokens) = chunk.usage_metadata.filter(|tokens| self.tokens.replace(*tokens) != Some(*tokens)) {
            out.push(Event::Usage(tokens.usage()));
        }
        Ok(())
    }

    fn candidate(&mut self, candidate: Candidate<'_>, out: &mut Events) -> Result<(), Fault> {
        for part in candidate.content.and_then(|content| content.parts).unwrap_or_default() {
            self.part(part, out)?;
        }
        if let Some(scores) = candidate.logprobs_result {
            out.push(Event::Logprobs(scores.tokens()));
        }
        if let Some(reason) = candidate.finish_reason.as_deref().and_then(finish) {
            if let Some(why) = candidate.finish_message.filter(|why| !why.is_empty()) {
                out.push(Event::Warning(note(format!("the model stopped: {why}"))));
            }
            self.finish = Some(reason);
        }
        Ok(())
    }

    fn part(&mut self, part: Part<'_>, out: &mut Events) -> Result<(), Fault> {
        let signature = part.thought_signature.map(std::borrow::Cow::into_owned);
        let thought = part.thought == Some(true);
        if let Some(text) = part.text {
            let text = text.into_owned();
            if !thought || signature.is_some() {
                self.keep_text(&text, thought, signature)?;
            }
            if thought {
                out.push(Event::Thinking(text));
            } else {
                self.emulation.text(text, out);
            }
            return Ok(());
        }
        if let Some(Value::Object(call)) = part.function_call {
            return self.call(call, signature, out);
        }
        let others = [
            ("executableCode", part.executable_code),
            ("codeExecutionResult", part.code_execution_result),
            ("inlineData", part.inline_data),
        ];
        for (name, value) in others {
            let Some(value) = value else { continue };
            if name == "inlineData" {
                out.push(Event::Warning(note("a picture or sound in the answer was left out")));
            }
            self.keep(Map::from_iter([(name.to_owned(), value)]), signature.clone())?;
        }
        Ok(())
    }

    fn call(&mut self, mut call: Map<String, Value>, signature: Option<String>, out: &mut Events) -> Result<(), Fault> {
        let name = call.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let arguments = call.get("args").cloned().unwrap_or_else(|| json!({}));
        if self.emulation.is_answer(&name) {
            if self.emulation.call(out) {
                out.text(arguments.to_string());
            } else {
                out.push(Event::Warning(note("the answer came twice; the first one counts")));
            }
            return Ok(());
        }
        let made = match call.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()) {
            Some(id) => ToolCall::with_id(id, name, arguments),
            None => ToolCall::new(name, arguments),
        };
        call.insert("args".to_owned(), super::super::turns::arguments(&made.arguments));
        out.push(Event::ToolCall(made));
        self.called = true;
        self.signed |= call.contains_key("id");
        self.keep(Map::from_iter([("functionCall".to_owned(), Value::Object(call))]), signature)
    }

    /// Pieces of text become one, unless they are signed.
    fn keep_text(&mut self, text: &str, thought: bool, signature: Option<String>) -> Result<(), Fault> {
        let plain = |part: &Value| part.get("thoughtSignature").is_none() && part.get("thought").is_none();
        if signature.is_none()
            && let Some(Value::String(last)) =
                self.parts.last_mut().filter(|part| plain(part)).and_then(|part| part.get_mut("text"))
        {
            last.push_str(text);
            return Ok(());
        }
        let mut part = Map::from_iter([("text".to_owned(), text.into())]);
        put(&mut part, "thought", thought.then_some(true));
        self.keep(part, signature)
    }

    fn keep(&mut self, mut part: Map<String, Value>, signature: Option<String>) -> Result<(), Fault> {
        if self.parts.len() >= MAX_PARTS {
            return Err(Fault::malformed("candidates[0].content.parts", format!("there are more than {MAX_PARTS}")));
        }
        self.signed |= signature.is_some();
        put(&mut part, "thoughtSignature", signature);
        self.parts.push(Value::Object(part));
        Ok(())
    }

    fn complete(&mut self, out: &mut Events) -> Result<(), Fault> {
        let Some(reason) = self.finish.take() else { return Err(out.incomplete()) };
        self.emulation.finish(out);
        if self.called && self.signed {
            let parts: Vec<_> = std::mem::take(&mut self.parts).into_iter().filter(is_worth_keeping).collect();
            out.push(Event::Replay(json!({ "gemini": parts })));
        }
        let reason = if reason == FinishReason::Stop && self.called { FinishReason::ToolCalls } else { reason };
        out.push(Event::Finish(reason));
        Ok(())
    }
}

/// An empty text says nothing, unless it carries a signature.
fn is_worth_keeping(part: &Value) -> bool {
    part.get("thoughtSignature").is_some() || part.get("text").is_none_or(|text| text != "")
}

impl Decoder for ContentDecoder {
    type Frame = SseEvent;

    fn frame(&mut self, frame: SseEvent, out: &mut Events) -> Result<(), Fault> {
        out.count(frame.data.len())?;
        match serde_json::from_str(&frame.data) {
            Ok(chunk) => self.chunk(chunk, out)?,
            Err(error) => out.skip(&error),
        }
        Ok(())
    }

    fn whole(&mut self, body: &[u8], out: &mut Events) -> Result<(), Fault> {
        let fault = |error: serde_json::Error| Fault::malformed("", error.to_string());
        // Without `alt=sse` a stream is an array of its pieces.
        if body.trim_ascii_start().starts_with(b"[") {
            for chunk in serde_json::from_slice::<Vec<Chunk<'_>>>(body).map_err(fault)? {
                self.chunk(chunk, out)?;
            }
        } else {
            self.chunk(serde_json::from_slice(body).map_err(fault)?, out)?;
        }
        if self.finish.is_none() {
            return Err(Fault::malformed("candidates[0].finishReason", "there is none"));
        }
        self.complete(out)
    }

    fn end(&mut self, out: &mut Events) -> Result<(), Fault> {
        self.complete(out)
    }
}

//! Answers of `generateContent`, streamed or whole.

use std::borrow::Cow;

use mellea_core::ToolCall;
use mellea_http::SseEvent;
use mellea_wire::json::{join_halves, object};
use mellea_wire::{Answer, Decoder, Fault, error_in};
use serde_json::{Map, Value, json};

use super::super::options::put;
use super::super::sse;
use super::wire::{Candidate, Chunk, Part, Tokens};

/// The most parts of an answer that are kept for the next turn.
const MAX_PARTS: usize = 4096;

/// The fields that only an answer has.
const ANSWERS: [&str; 3] = ["candidates", "promptFeedback", "usageMetadata"];

/// Decodes one answer.
#[derive(Debug, Default)]
pub(in super::super) struct ContentDecoder {
    /// The candidate that is the answer.
    main: Option<u64>,
    stopped: bool,
    tokens: Tokens,
    /// The turn as it must come back; kept only while it holds what must.
    parts: Vec<Value>,
    signed: bool,
}

/// Where a part stands.
#[derive(Clone, Copy, Debug)]
struct Position {
    /// With the finish, where servers repeat what they have sent.
    last: bool,
    /// What of it counts: of a second candidate only what the first has none of.
    texts: bool,
    calls: bool,
    kept: bool,
}

impl ContentDecoder {
    fn chunk(&mut self, chunk: Chunk<'_>, answer: &mut Answer) -> Result<(), Fault> {
        answer.id(chunk.response_id.unwrap_or_default());
        answer.model(chunk.model_version.unwrap_or_default());
        let mut candidates = chunk.candidates.unwrap_or_default();
        if let Some(first) = candidates.iter().map(|candidate| candidate.index).min() {
            let main = *self.main.get_or_insert(first);
            candidates.sort_by_key(|candidate| candidate.index != main);
            for candidate in candidates {
                self.candidate(candidate, main, answer)?;
            }
        } else if let Some(reason) = chunk.prompt_feedback.as_ref().and_then(|feedback| feedback.get("blockReason")?.as_str())
            && !reason.ends_with("UNSPECIFIED")
        {
            answer.note(format!("the prompt was blocked: {reason}"));
            self.stopped = true;
            answer.finish("content_filter")?;
        }
        if let Some(tokens) = chunk.usage_metadata {
            // Every piece has the tokens so far.
            self.tokens.update(tokens);
            answer.usage(self.tokens.usage());
        }
        Ok(())
    }

    fn candidate(&mut self, candidate: Candidate<'_>, main: u64, answer: &mut Answer) -> Result<(), Fault> {
        let kept = candidate.index == main;
        let word = candidate.finish_reason.filter(|word| !word.is_empty() && !word.ends_with("UNSPECIFIED"));
        let (texts, calls) = (kept || !answer.has_text(), kept || !answer.has_calls());
        let position = Position { last: word.is_some(), texts, calls, kept };
        for part in candidate.content.and_then(|content| content.parts).unwrap_or_default() {
            self.part(part, position, answer)?;
        }
        if !kept {
            return Ok(());
        }
        if let Some(scores) = candidate.logprobs_result {
            answer.logprobs(scores.tokens());
        }
        let Some(word) = word else { return Ok(()) };
        let why = candidate.finish_message.filter(|why| !why.is_empty());
        self.stopped = true;
        match (answer.finish(&word), why) {
            (Err(Fault::Broken(reason)), Some(why)) => Err(Fault::Broken(format!("{reason}: {why}"))),
            (Ok(()), Some(why)) => {
                answer.note(format!("the model stopped: {why}"));
                Ok(())
            }
            (done, _) => done,
        }
    }

    fn part(&mut self, part: Part<'_>, position: Position, answer: &mut Answer) -> Result<(), Fault> {
        let signature = part.thought_signature.map(Cow::into_owned);
        if let Some(text) = part.text {
            if !position.texts || !part.thought && position.last && answer.repeats(&text) {
                return Ok(());
            }
            let text = text.into_owned();
            if position.kept && (!part.thought || signature.is_some()) {
                self.keep_text(&text, part.thought, signature)?;
            }
            match (part.thought, position.last) {
                (true, true) => answer.last_thinking(text),
                (true, false) => answer.thinking(text),
                (false, _) => answer.text(text),
            }
            return Ok(());
        }
        if let Some(Value::Object(call)) = part.function_call {
            return if position.calls { self.call(call, signature, position, answer) } else { Ok(()) };
        }
        let others = [
            ("executableCode", part.executable_code),
            ("codeExecutionResult", part.code_execution_result),
            ("inlineData", part.inline_data),
        ];
        for (name, value) in others {
            let Some(value) = value.filter(|_| position.kept) else { continue };
            if name == "inlineData" {
                answer.note("a picture or sound in the answer was left out");
            }
            self.keep(Map::from_iter([(name.to_owned(), value)]), signature.clone())?;
        }
        Ok(())
    }

    fn call(
        &mut self,
        mut call: Map<String, Value>,
        signature: Option<String>,
        position: Position,
        answer: &mut Answer,
    ) -> Result<(), Fault> {
        let field = |name: &str| call.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (id, name) = (field("id"), field("name"));
        let arguments = call.get("args").cloned().unwrap_or_default();
        if answer.is_json_call(&name) {
            if answer.begin_json() {
                answer.json_text(object(&arguments).to_string());
            }
            return Ok(());
        }
        if position.last && !id.is_empty() && answer.calls().iter().any(|known| known.id == id) {
            // The whole message once more.
            return Ok(());
        }
        if answer.calls().len() >= MAX_PARTS {
            return Err(Fault::malformed("candidates[0].content.parts", format!("there are more than {MAX_PARTS} calls")));
        }
        let made = ToolCall::with_id(id, name, arguments);
        call.insert("args".to_owned(), object(&made.arguments));
        answer.complete_call(made);
        if !position.kept {
            return Ok(());
        }
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
}

/// An empty text says nothing, unless it carries a signature.
fn is_worth_keeping(part: &Value) -> bool {
    part.get("thoughtSignature").is_some() || part.get("text").is_none_or(|text| text != "")
}

impl Chunk<'_> {
    /// Whether it may be an error in the place of an answer.
    fn is_odd(&self) -> bool {
        self.error.is_some() || self.candidates.is_none() && self.prompt_feedback.is_none() && self.usage_metadata.is_none()
    }
}

fn refused(value: &Value) -> Result<(), Fault> {
    error_in(value, &ANSWERS).map_or(Ok(()), |error| Err(Fault::Refused(error)))
}

impl Decoder for ContentDecoder {
    type Frame = SseEvent;

    fn frame(&mut self, frame: SseEvent, answer: &mut Answer) -> Result<(), Fault> {
        let Some(text) = sse::json(&frame, answer)? else { return Ok(()) };
        let mut spare = String::new();
        let chunk: Chunk<'_> = answer.read(text, &mut spare)?;
        if chunk.is_odd() {
            let mut spare = String::new();
            refused(&answer.read(text, &mut spare)?)?;
        }
        self.chunk(chunk, answer)
    }

    fn whole(&mut self, body: &[u8], answer: &mut Answer) -> Result<(), Fault> {
        let mut spare = String::new();
        // Without `alt=sse` a stream is an array of its pieces.
        let chunks: Vec<Chunk<'_>> = match body.trim_ascii_start().first() {
            Some(b'[') => answer.read_body(body, &mut spare)?,
            _ => vec![answer.read_body(body, &mut spare)?],
        };
        for chunk in chunks {
            match &chunk.error {
                Some(error) => refused(&json!({ "error": error }))?,
                None if chunk.is_odd() => refused(&answer.read_body(body, &mut String::new())?)?,
                None => {}
            }
            self.chunk(chunk, answer)?;
        }
        if self.stopped {
            return Ok(());
        }
        if !answer.has_text() && !answer.has_calls() {
            return Err(Fault::malformed("candidates[0].finishReason", "there is none"));
        }
        answer.note("the service did not say that the answer is complete");
        Ok(())
    }

    fn size(frame: &SseEvent) -> usize {
        frame.data.len()
    }

    fn conclude(&mut self, _: Map<String, Value>, answer: &mut Answer) {
        if answer.calls().is_empty() || !self.signed {
            return;
        }
        let mut parts: Vec<Value> = std::mem::take(&mut self.parts).into_iter().filter(is_worth_keeping).collect();
        for text in parts.iter_mut().filter_map(|part| part.get_mut("text")) {
            if let Value::String(text) = text {
                join_halves(text, false);
            }
        }
        answer.replay(json!({ "gemini": parts }));
    }
}

//! Answers of the chat API, streamed or whole.

use std::collections::BTreeMap;

use mellea_http::SseEvent;
use mellea_wire::json::join_halves;
use mellea_wire::{Answer, CallPiece, Decoder, Fault, error_in};
use serde_json::{Map, Value, json};

use super::super::block_text::BlockText;
use super::super::sse;
use super::wire::{Delta, DeltaMessage, OneCall, Piece, Reply, StreamEvent, Tokens};

/// The fields that only an answer has, whole or in part.
const ANSWERS: [&str; 3] = ["delta", "finish_reason", "usage"];

/// Decodes one answer.
#[derive(Debug, Default)]
pub(in super::super) struct ChatDecoder {
    /// The block that grows: texts and thoughts come one after the other.
    text: BlockText,
    thought: BlockText,
    /// What the calls are, by their index.
    calls: BTreeMap<u64, Kind>,
    tool_plan: String,
    thinking: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Call,
    /// Its arguments are the answer.
    Answer,
    /// It is left out.
    Extra,
}

impl ChatDecoder {
    fn content(&mut self, piece: Piece<'_>, starts: bool, answer: &mut Answer) {
        if let Some(text) = piece.text {
            let text = text.into_owned();
            answer.text(if starts { self.text.start(text) } else { self.text.piece(text) });
        }
        if let Some(thought) = piece.thinking {
            let thought = thought.into_owned();
            let thought = if starts { self.thought.start(thought) } else { self.thought.piece(thought) };
            self.think(thought, answer);
        }
    }

    fn think(&mut self, thought: String, answer: &mut Answer) {
        self.thinking.push_str(&thought);
        answer.thinking(thought);
    }

    /// The block of text or thoughts ends, if one is open.
    fn end_block(&mut self, answer: &mut Answer) {
        answer.text(std::mem::take(&mut self.text).end());
        let thought = std::mem::take(&mut self.thought).end();
        self.think(thought, answer);
    }

    fn message(&mut self, event: &str, index: u64, message: DeltaMessage<'_>, answer: &mut Answer) -> Result<(), Fault> {
        if event == "content-start" {
            self.end_block(answer);
        }
        if let Some(piece) = message.content {
            self.content(piece, event == "content-start", answer);
        }
        if let Some(plan) = message.tool_plan {
            self.tool_plan.push_str(&plan);
            answer.thinking(plan);
        }
        let Some(OneCall { id, function }) = message.tool_calls else { return Ok(()) };
        if event == "tool-call-start" {
            self.end_block(answer);
            let name = function.name.unwrap_or_default().into_owned();
            let id = id.map(std::borrow::Cow::into_owned);
            return self.call(index, id, name, function.arguments, answer);
        }
        match (self.calls.get(&index), function.arguments) {
            (Some(Kind::Call), arguments) => answer.call(CallPiece { index: Some(index), arguments, ..CallPiece::default() }, 0),
            (Some(Kind::Answer), Some(arguments)) => {
                answer.json_text(written(arguments));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn call(
        &mut self,
        index: u64,
        id: Option<String>,
        name: String,
        arguments: Option<Value>,
        answer: &mut Answer,
    ) -> Result<(), Fault> {
        let mut kind = Kind::Call;
        if answer.is_json_call(&name) {
            kind = if answer.begin_json() { Kind::Answer } else { Kind::Extra };
        }
        match (kind, arguments) {
            (Kind::Call, arguments) => {
                let call = CallPiece { index: Some(index), id, name: Some(name), arguments, extra: None };
                answer.call(call, self.calls.len())?;
            }
            (Kind::Answer, Some(arguments)) => answer.json_text(written(arguments)),
            _ => {}
        }
        self.calls.insert(index, kind);
        Ok(())
    }

    fn ended(&mut self, delta: &Delta<'_>, answer: &mut Answer) -> Result<(), Fault> {
        self.end_block(answer);
        usage(delta.usage, answer);
        if let Some(why) = delta.error.as_deref().filter(|why| !why.is_empty()) {
            return Err(failed(why));
        }
        if let Some(reason) = &delta.finish_reason {
            answer.finish(reason)?;
        }
        answer.end();
        Ok(())
    }
}

fn usage(tokens: Option<Tokens>, answer: &mut Answer) {
    if let Some(tokens) = tokens {
        answer.usage(tokens.usage());
    }
}

/// Arguments as text; they may be an object.
fn written(arguments: Value) -> String {
    match arguments {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// An error while generating; the service names no code.
fn failed(message: &str) -> Fault {
    Fault::Refused(json!({"error": {"type": "server_error", "message": message}}))
}

/// An error in an answer's place: in a form of a gateway's own, or in the service's, which is a message alone.
fn refused(value: &Value) -> Option<Fault> {
    let has_more = ["error", "errors", "code", "status", "detail"].iter().any(|name| value.get(name).is_some());
    match value.get("message").and_then(Value::as_str) {
        Some(message) if !has_more => Some(failed(message)),
        _ => error_in(value, &ANSWERS).map(Fault::Refused),
    }
}

impl Decoder for ChatDecoder {
    type Frame = SseEvent;

    fn frame(&mut self, frame: SseEvent, answer: &mut Answer) -> Result<(), Fault> {
        if frame.name == "error"
            && let Some(fault) = serde_json::from_str(&frame.data).ok().as_ref().and_then(refused)
        {
            return Err(fault);
        }
        let Some(text) = sse::json(&frame, answer)? else { return Ok(()) };
        let mut spare = String::new();
        let event: StreamEvent<'_> = answer.read(text, &mut spare)?;
        if let Some(scores) = event.logprobs {
            answer.logprobs(scores.tokens());
        }
        let kind = if event.kind.is_empty() { frame.name.as_str() } else { event.kind.as_ref() };
        match kind {
            "message-start" => answer.id(event.id.unwrap_or_default()),
            "message-end" => self.ended(&event.delta.unwrap_or_default(), answer)?,
            "content-end" => self.end_block(answer),
            "content-start" | "content-delta" | "tool-plan-delta" | "tool-call-start" | "tool-call-delta" => {
                let message = event.delta.and_then(|delta| delta.message).unwrap_or_default();
                self.message(kind, event.index, message, answer)?;
            }
            "tool-call-end" | "citation-start" | "citation-end" | "debug" => {}
            // Whatever will come, or an error in a form of a gateway's own.
            _ => {
                let mut spare = String::new();
                let value: Value = answer.read(text, &mut spare)?;
                let error =
                    if matches!(kind, "" | "error") { refused(&value) } else { error_in(&value, &ANSWERS).map(Fault::Refused) };
                return error.map_or(Ok(()), Err);
            }
        }
        Ok(())
    }

    fn whole(&mut self, body: &[u8], answer: &mut Answer) -> Result<(), Fault> {
        let mut spare = String::new();
        let reply: Reply = answer.read_body(body, &mut spare)?;
        let Some(message) = reply.message else {
            let value: Value = answer.read_body(body, &mut spare)?;
            return Err(refused(&value).unwrap_or_else(|| Fault::malformed("message", "there is none")));
        };
        answer.id(reply.id.unwrap_or_default());
        self.tool_plan = message.tool_plan;
        answer.thinking(self.tool_plan.as_str());
        for block in message.content.0 {
            self.think(block.thinking, answer);
            answer.text(block.text);
        }
        reply.logprobs.into_iter().for_each(|scores| answer.logprobs(scores.tokens()));
        for (index, call) in (0..).zip(message.tool_calls) {
            self.call(index, call.id, call.function.name, call.function.arguments, answer)?;
        }
        usage(reply.usage, answer);
        reply.finish_reason.map_or(Ok(()), |reason| answer.finish(&reason))
    }

    fn size(frame: &SseEvent) -> usize {
        frame.data.len()
    }

    fn conclude(&mut self, _: Map<String, Value>, answer: &mut Answer) {
        if answer.calls().is_empty() {
            return;
        }
        let mut kept = Map::new();
        for (name, text) in [("tool_plan", &mut self.tool_plan), ("thinking", &mut self.thinking)] {
            if !text.is_empty() {
                join_halves(text, false);
                kept.insert(name.to_owned(), std::mem::take(text).into());
            }
        }
        if !kept.is_empty() {
            answer.replay(json!({ "cohere": kept }));
        }
    }
}

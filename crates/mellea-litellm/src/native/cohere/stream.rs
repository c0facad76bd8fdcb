//! Answers of the chat API, streamed or whole, as events.

use mellea_core::{Event, FinishReason, ToolCall};
use mellea_http::SseEvent;
use serde_json::{Map, Value, json};

use super::super::decode::{Decoder, Emulation, Events, Fault, read};
use super::super::options::note;
use super::wire::{Answer, Delta, DeltaMessage, OneCall, Piece, StreamEvent, Tokens, finish};

/// The most calls that one answer may have.
const MAX_CALLS: usize = 1024;

/// Decodes one answer.
#[derive(Debug)]
pub(super) struct ChatDecoder {
    emulation: Emulation,
    calls: Vec<Call>,
    called: bool,
    tool_plan: String,
    thinking: String,
}

#[derive(Debug)]
struct Call {
    index: u64,
    open: bool,
    id: String,
    name: String,
    arguments: String,
    /// Its arguments are the answer.
    is_answer: bool,
    /// It is left out.
    is_extra: bool,
}

impl ChatDecoder {
    pub(super) fn new(emulate: bool) -> Self {
        Self {
            emulation: Emulation::new(emulate),
            calls: Vec::new(),
            called: false,
            tool_plan: String::new(),
            thinking: String::new(),
        }
    }

    fn message(&mut self, index: u64, message: DeltaMessage<'_>, starts_call: bool, out: &mut Events) -> Result<(), Fault> {
        if let Some(Piece::One { text, thinking }) = message.content {
            if let Some(text) = text {
                self.emulation.text(text.into_owned(), out);
            }
            if let Some(thought) = thinking {
                self.thinking.push_str(&thought);
                out.push(Event::Thinking(thought.into_owned()));
            }
        }
        if let Some(plan) = message.tool_plan {
            self.tool_plan.push_str(&plan);
            out.push(Event::Thinking(plan.into_owned()));
        }
        if let Some(OneCall::One { id, function }) = message.tool_calls {
            if starts_call {
                self.open(index, id.unwrap_or_default().into_owned(), function.name.unwrap_or_default().into_owned(), out)?;
            }
            if let Some(piece) = function.arguments {
                self.arguments(index, &piece, out);
            }
        }
        Ok(())
    }

    fn open(&mut self, index: u64, id: String, name: String, out: &mut Events) -> Result<(), Fault> {
        if self.calls.len() >= MAX_CALLS {
            return Err(Fault::malformed("message.tool_calls", format!("there are more than {MAX_CALLS}")));
        }
        self.close(Some(index), out);
        let (mut is_answer, mut is_extra) = (false, false);
        if self.emulation.is_answer(&name) {
            is_answer = self.emulation.call(out);
            is_extra = !is_answer;
            if is_extra {
                out.push(Event::Warning(note("the answer came twice; the first one counts")));
            }
        }
        self.calls.push(Call { index, open: true, id, name, arguments: String::new(), is_answer, is_extra });
        Ok(())
    }

    fn arguments(&mut self, index: u64, piece: &str, out: &mut Events) {
        if let Some(call) = self.calls.iter_mut().rev().find(|call| call.open && call.index == index) {
            if call.is_answer {
                out.text(piece);
            } else {
                call.arguments.push_str(piece);
            }
        }
    }

    /// Closes the call at this index, or all.
    fn close(&mut self, index: Option<u64>, out: &mut Events) {
        for call in self.calls.iter_mut().filter(|call| call.open && index.is_none_or(|index| index == call.index)) {
            call.open = false;
            if call.is_answer || call.is_extra {
                continue;
            }
            let arguments = std::mem::take(&mut call.arguments);
            out.push(Event::ToolCall(match call.id.as_str() {
                "" => ToolCall::new(call.name.as_str(), arguments),
                id => ToolCall::with_id(id, call.name.as_str(), arguments),
            }));
            self.called = true;
        }
    }

    fn usage(&mut self, tokens: Option<Tokens>, out: &mut Events) {
        if let Some(tokens) = tokens {
            out.push(Event::Usage(tokens.usage()));
        }
    }

    /// The answer is complete.
    fn finish(&mut self, reason: Option<&str>, out: &mut Events) {
        self.close(None, out);
        self.emulation.finish(out);
        if self.called {
            let mut kept = Map::new();
            for (name, text) in [("tool_plan", &mut self.tool_plan), ("thinking", &mut self.thinking)] {
                if !text.is_empty() {
                    kept.insert(name.to_owned(), std::mem::take(text).into());
                }
            }
            if !kept.is_empty() {
                out.push(Event::Replay(json!({ "cohere": kept })));
            }
        }
        let reason = match reason.map(finish) {
            Some(FinishReason::ToolCalls) if self.emulation.called() && !self.called => FinishReason::Stop,
            Some(reason) => reason,
            None if self.called => FinishReason::ToolCalls,
            None => FinishReason::Stop,
        };
        out.push(Event::Finish(reason));
    }

    fn ended(&mut self, delta: &Delta<'_>, out: &mut Events) -> Result<(), Fault> {
        self.usage(delta.usage, out);
        let reason = delta.finish_reason.as_deref();
        if reason == Some("ERROR") || delta.error.is_some() {
            return Err(refusal(delta.error.as_deref()));
        }
        self.finish(reason, out);
        Ok(())
    }
}

/// An error while generating; the service names no code.
fn refusal(message: Option<&str>) -> Fault {
    let message = message.unwrap_or("the generation failed");
    Fault::Refused(json!({"error": {"type": "server_error", "message": message}}))
}

impl Decoder for ChatDecoder {
    type Frame = SseEvent;

    fn frame(&mut self, frame: SseEvent, out: &mut Events) -> Result<(), Fault> {
        out.count(frame.data.len())?;
        if frame.data == "[DONE]" {
            return Ok(());
        }
        let event: StreamEvent<'_> = match serde_json::from_str(&frame.data) {
            Ok(event) => event,
            Err(error) => {
                out.skip(&error);
                return Ok(());
            }
        };
        let kind = if event.kind.is_empty() { frame.name.as_str() } else { event.kind.as_ref() };
        if let Some(scores) = event.logprobs {
            out.push(Event::Logprobs(scores.tokens().collect()));
        }
        match kind {
            "message-start" => {
                if let Some(id) = event.id {
                    out.push(Event::ResponseId(id.into_owned()));
                }
            }
            "message-end" => self.ended(&event.delta.unwrap_or_default(), out)?,
            "tool-call-end" => self.close(Some(event.index), out),
            "content-start" | "content-delta" | "tool-plan-delta" | "tool-call-start" | "tool-call-delta" => {
                let message = event.delta.and_then(|delta| delta.message).unwrap_or_default();
                let starts_call = kind == "tool-call-start";
                self.message(event.index, message, starts_call, out)?;
            }
            "error" => return Err(refusal(event.message.as_deref())),
            "" if event.message.is_some() => return Err(refusal(event.message.as_deref())),
            _ => {}
        }
        Ok(())
    }

    fn whole(&mut self, body: &[u8], out: &mut Events) -> Result<(), Fault> {
        let answer: Answer = read(body)?;
        if !answer.message.is_object() {
            return Err(Fault::malformed("message", "there is none"));
        }
        if let Some(id) = answer.id {
            out.push(Event::ResponseId(id));
        }
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let list = |name: &str| answer.message.get(name).and_then(Value::as_array).into_iter().flatten();
        self.tool_plan = text(&answer.message, "tool_plan");
        out.push(Event::Thinking(self.tool_plan.clone()));
        for block in list("content") {
            let thought = text(block, "thinking");
            self.thinking.push_str(&thought);
            out.push(Event::Thinking(thought));
            self.emulation.text(text(block, "text"), out);
        }
        for scores in answer.logprobs {
            out.push(Event::Logprobs(scores.tokens().collect()));
        }
        for (index, call) in (0..).zip(list("tool_calls")) {
            let function = call.get("function").unwrap_or(call);
            self.open(index, text(call, "id"), text(function, "name"), out)?;
            let arguments = match function.get("arguments") {
                Some(Value::String(json)) => json.clone(),
                Some(other) if !other.is_null() => other.to_string(),
                _ => String::new(),
            };
            self.arguments(index, &arguments, out);
        }
        self.usage(answer.usage, out);
        if answer.finish_reason.as_deref() == Some("ERROR") {
            return Err(refusal(None));
        }
        self.finish(answer.finish_reason.as_deref(), out);
        Ok(())
    }

    fn end(&mut self, out: &mut Events) -> Result<(), Fault> {
        Err(out.incomplete())
    }
}

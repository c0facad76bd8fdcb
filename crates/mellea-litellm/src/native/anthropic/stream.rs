//! Answers of the Messages API, streamed or whole, as events.

use mellea_core::{Event, FinishReason, ToolCall};
use mellea_http::SseEvent;
use serde_json::{Map, Value, json};

use super::super::decode::{Decoder, Emulation, Events, Fault, read};
use super::super::options::note;
use super::wire::{Delta, Message, StreamEvent, Tokens, finish};

/// The most blocks that one answer may have.
const MAX_BLOCKS: usize = 1024;

/// Decodes one answer.
#[derive(Debug)]
pub(in super::super) struct MessageDecoder {
    emulation: Emulation,
    blocks: Vec<Block>,
    tokens: Tokens,
    stop: Option<String>,
    called: bool,
}

/// A block as it grows.
#[derive(Debug)]
struct Block {
    index: u64,
    open: bool,
    /// As it began; what came in pieces is put in when it closes.
    fields: Map<String, Value>,
    kind: Kind,
    /// Text or thoughts.
    text: String,
    /// Arguments.
    json: String,
    signature: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Text,
    Thinking,
    Call,
    /// A call whose arguments are the answer.
    Answer,
    /// Something that only the provider understands.
    Other,
}

impl MessageDecoder {
    pub(in super::super) fn new(emulate: bool) -> Self {
        Self { emulation: Emulation::new(emulate), blocks: Vec::new(), tokens: Tokens::default(), stop: None, called: false }
    }

    fn open(&mut self, index: u64, fields: Map<String, Value>, out: &mut Events) -> Result<(), Fault> {
        if self.blocks.len() >= MAX_BLOCKS {
            return Err(Fault::malformed("content", format!("it has more than {MAX_BLOCKS} blocks")));
        }
        // A gateway that does not close a block closes it by beginning another in its place.
        self.close(Some(index), out);
        let field = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (mut text, signature) = (String::new(), field("signature"));
        let kind = match field("type").as_str() {
            "text" => {
                text = field("text");
                self.emulation.text(text.clone(), out);
                Kind::Text
            }
            "thinking" => {
                text = field("thinking");
                out.push(Event::Thinking(text.clone()));
                Kind::Thinking
            }
            "tool_use" if self.emulation.is_answer(&field("name")) => {
                if self.emulation.call(out) {
                    Kind::Answer
                } else {
                    out.push(Event::Warning(note("the answer came twice; the first one counts")));
                    Kind::Other
                }
            }
            "tool_use" => Kind::Call,
            _ => Kind::Other,
        };
        self.blocks.push(Block { index, open: true, fields, kind, text, json: String::new(), signature });
        Ok(())
    }

    fn delta(&mut self, index: u64, delta: Delta<'_>, out: &mut Events) {
        let block = self.blocks.iter_mut().rev().find(|block| block.index == index && block.open);
        let Some(block) = block else {
            // A gateway that leaves out the start of a block still sends its text.
            if let Some(text) = delta.text {
                self.emulation.text(text.into_owned(), out);
            }
            return;
        };
        if let Some(text) = delta.text {
            block.text.push_str(&text);
            self.emulation.text(text.into_owned(), out);
        }
        if let Some(thought) = delta.thinking {
            block.text.push_str(&thought);
            out.push(Event::Thinking(thought.into_owned()));
        }
        if let Some(signature) = delta.signature {
            block.signature.push_str(&signature);
        }
        if let Some(piece) = delta.partial_json {
            block.json.push_str(&piece);
            if block.kind == Kind::Answer {
                out.text(piece);
            }
        }
    }

    /// Closes the block at this index, or all.
    fn close(&mut self, index: Option<u64>, out: &mut Events) {
        let open = |block: &&mut Block| block.open && index.is_none_or(|index| index == block.index);
        for block in self.blocks.iter_mut().filter(open) {
            self.called |= block.close(out);
        }
    }

    fn meta(&mut self, message: &mut Message, out: &mut Events) {
        if let Some(id) = message.id.take() {
            out.push(Event::ResponseId(id));
        }
        if let Some(model) = message.model.take().filter(|model| !model.is_empty()) {
            out.push(Event::Model(model));
        }
        self.usage(message.usage, out);
    }

    fn usage(&mut self, tokens: Option<Tokens>, out: &mut Events) {
        if let Some(tokens) = tokens {
            self.tokens.update(tokens);
            out.push(Event::Usage(self.tokens.usage()));
        }
    }

    fn stopped(&mut self, reason: Option<String>, details: Option<&Value>, out: &mut Events) {
        if let Some(why) = details.and_then(|details| details.get("explanation")?.as_str()) {
            out.push(Event::Warning(note(format!("the provider refused: {why}"))));
        }
        self.stop = reason.or(self.stop.take());
    }

    /// The answer is complete.
    fn finish(&mut self, out: &mut Events) {
        self.close(None, out);
        self.emulation.finish(out);
        // Thoughts must come back with the calls they led to, exactly as they were.
        if self.called && self.blocks.iter().any(|block| matches!(block.kind, Kind::Thinking | Kind::Other)) {
            let blocks = std::mem::take(&mut self.blocks).into_iter().filter(Block::is_worth_keeping);
            let blocks: Vec<_> = blocks.map(|block| Value::Object(block.fields)).collect();
            out.push(Event::Replay(json!({ "anthropic": blocks })));
        }
        let reason = match self.stop.as_deref().map(finish) {
            Some(FinishReason::ToolCalls) if self.emulation.called() && !self.called => FinishReason::Stop,
            Some(reason) => reason,
            None if self.called => FinishReason::ToolCalls,
            None => FinishReason::Stop,
        };
        out.push(Event::Finish(reason));
    }
}

impl Block {
    /// The block is complete: whether it is a call.
    fn close(&mut self, out: &mut Events) -> bool {
        self.open = false;
        let mut set = |name: &str, value: String| {
            self.fields.insert(name.to_owned(), value.into());
        };
        match self.kind {
            Kind::Text => set("text", std::mem::take(&mut self.text)),
            Kind::Thinking => {
                set("thinking", std::mem::take(&mut self.text));
                set("signature", std::mem::take(&mut self.signature));
            }
            Kind::Answer => {
                // What did not come in pieces came as a whole.
                if self.json.is_empty() {
                    out.text(self.fields.get("input").map(Value::to_string).unwrap_or_default());
                }
            }
            Kind::Call => {
                let arguments = match (self.json.is_empty(), self.fields.get("input")) {
                    (false, _) => Value::String(std::mem::take(&mut self.json)),
                    (true, Some(input)) => input.clone(),
                    (true, None) => json!({}),
                };
                let field = |name: &str| self.fields.get(name).and_then(Value::as_str).unwrap_or_default();
                let call = match field("id") {
                    "" => ToolCall::new(field("name"), arguments),
                    id => ToolCall::with_id(id, field("name"), arguments),
                };
                self.fields.insert("id".to_owned(), call.id.as_str().into());
                self.fields.insert("input".to_owned(), super::super::turns::arguments(&call.arguments));
                out.push(Event::ToolCall(call));
                return true;
            }
            Kind::Other => {
                if let Ok(input) = serde_json::from_str::<Value>(&self.json) {
                    self.fields.insert("input".to_owned(), input);
                }
            }
        }
        false
    }

    /// The interface refuses texts without anything to read.
    fn is_worth_keeping(&self) -> bool {
        self.kind != Kind::Text || self.fields.get("text").and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty())
    }
}

impl Decoder for MessageDecoder {
    type Frame = SseEvent;

    fn frame(&mut self, frame: SseEvent, out: &mut Events) -> Result<(), Fault> {
        out.count(frame.data.len())?;
        let event: StreamEvent<'_> = match serde_json::from_str(&frame.data) {
            Ok(event) => event,
            Err(_) if frame.name == "error" => return Err(Fault::Refused(json!({ "error": { "message": frame.data } }))),
            Err(error) => {
                out.skip(&error);
                return Ok(());
            }
        };
        if let Some(error) = event.error.filter(|error| !error.is_null()) {
            return Err(Fault::Refused(json!({ "error": error })));
        }
        match event.kind.as_ref() {
            "message_start" => {
                let mut message = event.message.unwrap_or_default();
                self.meta(&mut message, out);
            }
            "content_block_start" => {
                if let Some(Value::Object(block)) = event.content_block {
                    self.open(event.index, block, out)?;
                }
            }
            "content_block_delta" => self.delta(event.index, event.delta.unwrap_or_default(), out),
            "content_block_stop" => self.close(Some(event.index), out),
            "message_delta" => {
                let delta = event.delta.unwrap_or_default();
                self.usage(event.usage, out);
                self.stopped(delta.stop_reason.map(std::borrow::Cow::into_owned), delta.stop_details.as_ref(), out);
            }
            "message_stop" => self.finish(out),
            // `ping`, and whatever will come.
            _ => {}
        }
        Ok(())
    }

    fn whole(&mut self, body: &[u8], out: &mut Events) -> Result<(), Fault> {
        let mut message: Message = read(body)?;
        let Some(content) = message.content.take() else {
            return Err(Fault::malformed("content", "there is none"));
        };
        self.meta(&mut message, out);
        for (index, block) in (0..).zip(content) {
            if let Value::Object(block) = block {
                self.open(index, block, out)?;
            }
        }
        self.stopped(message.stop_reason, message.stop_details.as_ref(), out);
        self.finish(out);
        Ok(())
    }

    fn end(&mut self, out: &mut Events) -> Result<(), Fault> {
        if self.stop.is_none() {
            return Err(out.incomplete());
        }
        self.finish(out);
        Ok(())
    }
}

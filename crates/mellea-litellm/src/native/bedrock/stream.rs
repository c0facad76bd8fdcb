//! Answers of the Converse API, streamed or whole, as events.

use mellea_core::{Event, FinishReason, ToolCall};
use serde_json::{Map, Value, json};

use super::super::decode::{Decoder, Emulation, Events, Fault};
use super::super::options::{note, set};
use super::super::turns;
use super::frames::Message;
use super::wire::{Answer, Delta, StreamEvent, Tokens, finish};

/// The most blocks that one answer may have.
const MAX_BLOCKS: usize = 1024;

/// Decodes one answer.
#[derive(Debug)]
pub(super) struct ConverseDecoder {
    emulation: Emulation,
    blocks: Vec<Block>,
    stop: Option<String>,
    called: bool,
    reasoned: bool,
}

/// A block as it grows; texts and thoughts have no start of their own.
#[derive(Debug)]
struct Block {
    index: u64,
    open: bool,
    kind: Kind,
    /// Text, thoughts, or a call's arguments.
    text: String,
    signature: String,
    /// Base64, see [`join_base64`].
    redacted: Vec<String>,
}

#[derive(Debug)]
enum Kind {
    Text,
    Reasoning,
    Call {
        id: String,
        name: String,
    },
    /// A call whose arguments are the answer.
    Answer,
    /// A second answer, or something unknown.
    Other,
}

impl ConverseDecoder {
    pub(super) fn new(emulate: bool) -> Self {
        Self { emulation: Emulation::new(emulate), blocks: Vec::new(), stop: None, called: false, reasoned: false }
    }

    fn open(&mut self, index: u64, kind: Kind) -> Result<&mut Block, Fault> {
        if self.blocks.len() >= MAX_BLOCKS {
            return Err(Fault::malformed("output.message.content", format!("it has more than {MAX_BLOCKS} blocks")));
        }
        self.blocks.push(Block { index, open: true, kind, text: String::new(), signature: String::new(), redacted: Vec::new() });
        self.blocks.last_mut().ok_or(Fault::Interrupted)
    }

    /// The open block of this kind at this place, or a new one.
    fn at(&mut self, index: u64, kind: Kind) -> Result<&mut Block, Fault> {
        let fits = |block: &Block| match (&kind, &block.kind) {
            (Kind::Text, Kind::Text) | (Kind::Reasoning, Kind::Reasoning) => true,
            // Whatever was opened for arguments.
            (Kind::Other, Kind::Call { .. } | Kind::Answer | Kind::Other) => true,
            _ => false,
        };
        match self.blocks.iter().rposition(|block| block.open && block.index == index && fits(block)) {
            Some(found) => self.blocks.get_mut(found).ok_or(Fault::Interrupted),
            None => self.open(index, kind),
        }
    }

    fn call(&mut self, index: u64, start: &Value, out: &mut Events) -> Result<&mut Block, Fault> {
        let field = |name: &str| start.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let kind = if self.emulation.is_answer(&field("name")) {
            if self.emulation.call(out) {
                Kind::Answer
            } else {
                out.push(Event::Warning(note("the answer came twice; the first one counts")));
                Kind::Other
            }
        } else {
            let id = field("toolUseId");
            // Made here, so that the call and what is kept of it agree.
            let id = if id.is_empty() { ToolCall::new("", json!({})).id } else { id };
            Kind::Call { id, name: field("name") }
        };
        self.open(index, kind)
    }

    fn delta(&mut self, index: u64, delta: Delta<'_>, out: &mut Events) -> Result<(), Fault> {
        if let Some(text) = delta.text {
            self.at(index, Kind::Text)?.text.push_str(&text);
            self.emulation.text(text.into_owned(), out);
        }
        if let Some(piece) = delta.tool_use {
            let block = self.at(index, Kind::Other)?;
            block.text.push_str(&piece.input);
            if matches!(block.kind, Kind::Answer) {
                out.text(piece.input);
            }
        }
        if let Some(reasoning) = delta.reasoning_content {
            let block = self.at(index, Kind::Reasoning)?;
            if let Some(signature) = reasoning.signature {
                block.signature.push_str(&signature);
            }
            if let Some(redacted) = reasoning.redacted_content {
                block.redacted.push(redacted.into_owned());
            }
            if let Some(text) = reasoning.text {
                block.text.push_str(&text);
                out.push(Event::Thinking(text.into_owned()));
            }
        }
        Ok(())
    }

    /// Closes the block at this place, or all.
    fn close(&mut self, index: Option<u64>, out: &mut Events) {
        for block in self.blocks.iter_mut().filter(|block| block.open && index.is_none_or(|index| index == block.index)) {
            block.open = false;
            match &block.kind {
                Kind::Call { id, name } => {
                    out.push(Event::ToolCall(ToolCall::with_id(id.as_str(), name.as_str(), block.text.as_str())));
                    self.called = true;
                }
                Kind::Reasoning => self.reasoned = true,
                Kind::Text | Kind::Answer | Kind::Other => {}
            }
        }
    }

    fn usage(&mut self, tokens: Option<Tokens>, out: &mut Events) {
        if let Some(tokens) = tokens {
            out.push(Event::Usage(tokens.usage()));
        }
    }

    /// The answer is complete.
    fn finish(&mut self, out: &mut Events) {
        self.close(None, out);
        self.emulation.finish(out);
        // Thoughts must come back with the calls they led to, exactly as they were.
        if self.called && self.reasoned {
            let blocks: Vec<_> = std::mem::take(&mut self.blocks).into_iter().filter_map(Block::kept).collect();
            out.push(Event::Replay(json!({ "bedrock": blocks })));
        }
        let reason = match self.stop.take().as_deref().map(finish) {
            Some(FinishReason::ToolCalls) if self.emulation.called() && !self.called => FinishReason::Stop,
            Some(reason) => reason,
            None if self.called => FinishReason::ToolCalls,
            None => FinishReason::Stop,
        };
        out.push(Event::Finish(reason));
    }

    /// One block of a whole answer.
    fn block(&mut self, index: u64, block: &Map<String, Value>, out: &mut Events) -> Result<(), Fault> {
        if let Some(text) = block.get("text").and_then(Value::as_str) {
            self.at(index, Kind::Text)?.text.push_str(text);
            self.emulation.text(text.to_owned(), out);
        } else if let Some(call) = block.get("toolUse") {
            let input = call.get("input").cloned().unwrap_or_else(|| json!({})).to_string();
            let made = self.call(index, call, out)?;
            if matches!(made.kind, Kind::Answer) {
                out.text(input.as_str());
            }
            made.text = input;
        } else if let Some(reasoning) = block.get("reasoningContent") {
            let field = |path: &str| reasoning.pointer(path).and_then(Value::as_str);
            let made = self.at(index, Kind::Reasoning)?;
            made.signature = field("/reasoningText/signature").unwrap_or_default().to_owned();
            made.redacted = field("/redactedContent").map(str::to_owned).into_iter().collect();
            if let Some(text) = field("/reasoningText/text") {
                made.text = text.to_owned();
                out.push(Event::Thinking(text.to_owned()));
            }
        }
        self.close(Some(index), out);
        Ok(())
    }
}

impl Block {
    /// The block as it must come back; the interface refuses texts without anything to read.
    fn kept(self) -> Option<Value> {
        Some(match self.kind {
            Kind::Text if self.text.trim().is_empty() => return None,
            Kind::Text => json!({ "text": self.text }),
            Kind::Reasoning if !self.redacted.is_empty() => {
                json!({"reasoningContent": {"redactedContent": join_base64(&self.redacted)}})
            }
            Kind::Reasoning => {
                let mut text = json!({ "text": self.text });
                if !self.signature.is_empty() {
                    set(&mut text, "signature", self.signature);
                }
                json!({"reasoningContent": {"reasoningText": text}})
            }
            Kind::Call { id, name } => {
                let call = ToolCall::with_id(id, name, self.text);
                json!({"toolUse": {"toolUseId": call.id, "name": call.name, "input": turns::arguments(&call.arguments)}})
            }
            Kind::Answer | Kind::Other => return None,
        })
    }
}

/// Pieces of base64, each by itself, as one.
fn join_base64(pieces: &[String]) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    if let [one] = pieces {
        return one.clone();
    }
    let decoded: Result<Vec<_>, _> = pieces.iter().map(|piece| STANDARD.decode(piece)).collect();
    decoded.map_or_else(|_| pieces.concat(), |bytes| STANDARD.encode(bytes.concat()))
}

/// An exception in the form in which refusals are read.
fn exception(message: &Message) -> Fault {
    let payload: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
    let text = |name: &str| payload.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let said = text("originalMessage").or_else(|| text("message")).or_else(|| text("Message")).unwrap_or(&message.error);
    let mut error = json!({"type": message.name, "message": said});
    // The names of these two do not tell their status.
    let status = payload.get("originalStatusCode").and_then(Value::as_u64);
    if let Some(status) = status.or_else(|| message.name.contains("odelStreamError").then_some(424)) {
        set(&mut error, "code", status);
    }
    Fault::Refused(json!({ "error": error }))
}

impl Decoder for ConverseDecoder {
    type Frame = Message;

    fn frame(&mut self, frame: Message, out: &mut Events) -> Result<(), Fault> {
        out.count(frame.payload.len())?;
        if frame.kind == "exception" || frame.kind == "error" || frame.name.ends_with("Exception") {
            return Err(exception(&frame));
        }
        let event: StreamEvent<'_> = match serde_json::from_slice(&frame.payload) {
            Ok(event) => event,
            Err(error) => {
                out.skip(&error);
                return Ok(());
            }
        };
        match frame.name.as_str() {
            "contentBlockStart" => {
                if let Some(call) = event.start.as_ref().and_then(|start| start.get("toolUse")) {
                    self.call(event.content_block_index, call, out)?;
                }
            }
            "contentBlockDelta" => self.delta(event.content_block_index, event.delta.unwrap_or_default(), out)?,
            "contentBlockStop" => self.close(Some(event.content_block_index), out),
            "messageStop" => self.stop = Some(event.stop_reason.map(std::borrow::Cow::into_owned).unwrap_or_default()),
            "metadata" => {
                self.usage(event.usage, out);
                // It comes last.
                if self.stop.is_some() {
                    self.finish(out);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn whole(&mut self, body: &[u8], out: &mut Events) -> Result<(), Fault> {
        let answer: Answer = super::super::decode::read(body)?;
        let Some(content) = answer.output.pointer("/message/content").and_then(Value::as_array) else {
            return Err(Fault::malformed("output.message.content", "there is none"));
        };
        for (index, block) in (0..).zip(content) {
            if let Value::Object(block) = block {
                self.block(index, block, out)?;
            }
        }
        self.usage(answer.usage, out);
        self.stop = answer.stop_reason;
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

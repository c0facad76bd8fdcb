//! Answers of the Converse API, streamed or whole.

use mellea_core::ToolCall;
use mellea_wire::json::object;
use mellea_wire::{Answer, CallPiece, Decoder, Fault, error_in};
use serde_json::{Map, Value, json};

use super::super::block_text::BlockText;
use super::super::options::set;
use super::frames::Message;
use super::wire::{self, Delta, Reply, StreamEvent, Tokens, ToolUse};

/// The most blocks that one answer may have.
const MAX_BLOCKS: usize = 1024;

/// Decodes one answer.
#[derive(Debug, Default)]
pub(in super::super) struct ConverseDecoder {
    blocks: Vec<Block>,
    stopped: bool,
}

/// A block as it grows; texts and thoughts have no start of their own.
#[derive(Debug)]
struct Block {
    index: u64,
    open: bool,
    kind: Kind,
    text: BlockText,
    signature: String,
    /// Base64, see [`join_base64`].
    redacted: Vec<String>,
    call: Option<ToolCall>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Text,
    Reasoning,
    Call,
    /// A call whose arguments are the answer.
    Answer,
    /// A second answer, or something unknown.
    Other,
}

impl ConverseDecoder {
    fn open(&mut self, index: u64, kind: Kind) -> Result<&mut Block, Fault> {
        if self.blocks.len() >= MAX_BLOCKS {
            return Err(Fault::malformed("output.message.content", format!("it has more than {MAX_BLOCKS} blocks")));
        }
        let (text, signature, redacted) = (BlockText::default(), String::new(), Vec::new());
        self.blocks.push(Block { index, open: true, kind, text, signature, redacted, call: None });
        self.blocks.last_mut().ok_or(Fault::Interrupted)
    }

    /// The open block of this kind at this place, or a new one.
    fn at(&mut self, index: u64, kind: Kind) -> Result<&mut Block, Fault> {
        let fits = |block: &Block| match (kind, block.kind) {
            // Whatever was opened for arguments.
            (Kind::Other, Kind::Call | Kind::Answer) => true,
            (wanted, found) => wanted == found,
        };
        match self.blocks.iter().rposition(|block| block.open && block.index == index && fits(block)) {
            Some(found) => self.blocks.get_mut(found).ok_or(Fault::Interrupted),
            None => self.open(index, kind),
        }
    }

    fn call(&mut self, index: u64, call: ToolUse, answer: &mut Answer) -> Result<(), Fault> {
        if answer.is_json_call(&call.name) {
            let kind = if answer.begin_json() { Kind::Answer } else { Kind::Other };
            if let (Kind::Answer, Some(input)) = (kind, &call.input) {
                answer.json_text(input.to_string());
            }
            return self.open(index, kind).map(|_| ());
        }
        let place = self.blocks.len();
        let piece = CallPiece {
            index: Some(index),
            id: Some(call.tool_use_id),
            name: Some(call.name),
            arguments: call.input,
            extra: Some(place.into()),
        };
        answer.call(piece, place)?;
        self.open(index, Kind::Call).map(|_| ())
    }

    fn delta(&mut self, index: u64, delta: Delta<'_>, answer: &mut Answer) -> Result<(), Fault> {
        if let Some(text) = delta.text {
            answer.text(self.at(index, Kind::Text)?.text.piece(text.into_owned()));
        }
        if let Some(piece) = delta.tool_use {
            match self.at(index, Kind::Other)?.kind {
                Kind::Answer => answer.json_text(piece.input),
                Kind::Call => {
                    let piece = Value::String(piece.input.into_owned());
                    answer.call(CallPiece { index: Some(index), arguments: Some(piece), ..CallPiece::default() }, 0)?;
                }
                Kind::Text | Kind::Reasoning | Kind::Other => {}
            }
        }
        if let Some(reasoning) = delta.reasoning_content {
            let block = self.at(index, Kind::Reasoning)?;
            block.signature.push_str(&reasoning.signature.unwrap_or_default());
            block.redacted.extend(reasoning.redacted_content.map(std::borrow::Cow::into_owned));
            answer.thinking(block.text.piece(reasoning.text.unwrap_or_default().into_owned()));
        }
        Ok(())
    }

    /// Closes the block at this place, or all.
    fn close(&mut self, index: Option<u64>, answer: &mut Answer) {
        for block in self.blocks.iter_mut().filter(|block| block.open && index.is_none_or(|index| index == block.index)) {
            block.open = false;
            match block.kind {
                Kind::Text => answer.text(block.text.end()),
                Kind::Reasoning => answer.thinking(block.text.end()),
                Kind::Call | Kind::Answer | Kind::Other => {}
            }
        }
    }

    /// One block of a whole answer.
    fn block(&mut self, index: u64, block: wire::Block, answer: &mut Answer) -> Result<(), Fault> {
        if let Some(text) = block.text {
            answer.text(self.at(index, Kind::Text)?.text.piece(text));
        } else if let Some(call) = block.tool_use {
            self.call(index, call, answer)?;
        } else if let Some(reasoning) = block.reasoning_content {
            let field = |path: &str| reasoning.pointer(path).and_then(Value::as_str).map(str::to_owned);
            let made = self.at(index, Kind::Reasoning)?;
            made.signature = field("/reasoningText/signature").unwrap_or_default();
            made.redacted = field("/redactedContent").into_iter().collect();
            answer.thinking(made.text.piece(field("/reasoningText/text").unwrap_or_default()));
        }
        self.close(Some(index), answer);
        Ok(())
    }

    fn stop(&mut self, reason: Option<&str>, answer: &mut Answer) -> Result<(), Fault> {
        self.close(None, answer);
        self.stopped = true;
        answer.finish(reason.unwrap_or_default())
    }
}

fn usage(tokens: Option<Tokens>, answer: &mut Answer) {
    if let Some(tokens) = tokens {
        answer.usage(tokens.usage());
    }
}

impl Block {
    /// The block as it must come back; the interface refuses texts without anything to read.
    fn kept(mut self) -> Option<Value> {
        let text = self.text.take();
        Some(match self.kind {
            Kind::Text if text.trim().is_empty() => return None,
            Kind::Text => json!({ "text": text }),
            Kind::Reasoning if !self.redacted.is_empty() => {
                json!({"reasoningContent": {"redactedContent": join_base64(&self.redacted)}})
            }
            Kind::Reasoning => {
                let mut text = json!({ "text": text });
                if !self.signature.is_empty() {
                    set(&mut text, "signature", self.signature);
                }
                json!({"reasoningContent": {"reasoningText": text}})
            }
            Kind::Call => {
                let call = self.call?;
                json!({"toolUse": {"toolUseId": call.id, "name": call.name, "input": object(&call.arguments)}})
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

    fn frame(&mut self, frame: Message, answer: &mut Answer) -> Result<(), Fault> {
        if frame.kind == "exception" || frame.kind == "error" || frame.name.ends_with("Exception") {
            return Err(exception(&frame));
        }
        let payload = String::from_utf8_lossy(&frame.payload);
        let mut spare = String::new();
        let event: StreamEvent<'_> = answer.read(&payload, &mut spare)?;
        match frame.name.as_str() {
            "contentBlockStart" => {
                if let Some(call) = event.start.and_then(|start| start.tool_use) {
                    self.call(event.content_block_index, call, answer)?;
                }
            }
            "contentBlockDelta" => self.delta(event.content_block_index, event.delta.unwrap_or_default(), answer)?,
            "contentBlockStop" => self.close(Some(event.content_block_index), answer),
            "messageStop" => self.stop(event.stop_reason.as_deref(), answer)?,
            "metadata" => {
                usage(event.usage, answer);
                // It comes last.
                if self.stopped {
                    answer.end();
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn whole(&mut self, body: &[u8], answer: &mut Answer) -> Result<(), Fault> {
        let mut spare = String::new();
        let reply: Reply = answer.read_body(body, &mut spare)?;
        let Some(content) = reply.output.and_then(|output| output.message).and_then(|message| message.content) else {
            let value: Value = answer.read_body(body, &mut spare)?;
            // Errors of AWS's front door may come with a status of success.
            let front_door = value.get("__type").or_else(|| value.pointer("/Output/__type"));
            let error = front_door.map(|kind| json!({"error": {"type": kind, "message": value.get("message")}}));
            return Err(match error.or_else(|| error_in(&value, &["output"])) {
                Some(error) => Fault::Refused(error),
                None => Fault::malformed("output.message.content", "there is none"),
            });
        };
        for (index, block) in (0..).zip(content) {
            self.block(index, block, answer)?;
        }
        usage(reply.usage, answer);
        match reply.stop_reason {
            Some(reason) => self.stop(Some(&reason), answer),
            None => Ok(()),
        }
    }

    fn size(frame: &Message) -> usize {
        frame.payload.len()
    }

    fn conclude(&mut self, extra: Map<String, Value>, answer: &mut Answer) {
        // Thoughts must come back with the calls they led to, exactly as they were.
        if answer.calls().is_empty() || !self.blocks.iter().any(|block| block.kind == Kind::Reasoning) {
            return;
        }
        for call in answer.calls() {
            let place = extra.get(&call.id).and_then(Value::as_u64).and_then(|place| usize::try_from(place).ok());
            if let Some(block) = place.and_then(|place| self.blocks.get_mut(place)) {
                block.call = Some(call.clone());
            }
        }
        let blocks: Vec<Value> = std::mem::take(&mut self.blocks).into_iter().filter_map(Block::kept).collect();
        answer.replay(json!({ "bedrock": blocks }));
    }
}

//! Answers of the Messages API, streamed or whole.

use mellea_http::SseEvent;
use mellea_wire::json::object;
use mellea_wire::{Answer, CallPiece, Decoder, Fault, error_in};
use serde_json::{Map, Value, json};

use super::super::block_text::BlockText;
use super::super::sse;
use super::wire::{Delta, Message, StreamEvent, Tokens};

/// The most blocks that one answer may have.
const MAX_BLOCKS: usize = 1024;

/// The fields that only an answer has, whole or in part.
const ANSWERS: [&str; 5] = ["content", "content_block", "delta", "usage", "stop_reason"];

/// Decodes one answer.
#[derive(Debug, Default)]
pub(in super::super) struct MessageDecoder {
    blocks: Vec<Block>,
    tokens: Tokens,
}

/// A block as it grows.
#[derive(Debug)]
struct Block {
    index: u64,
    open: bool,
    /// As it began; what came in pieces is put in at the end.
    fields: Map<String, Value>,
    kind: Kind,
    /// Text or thoughts.
    text: BlockText,
    /// Arguments that no tool of the caller's gets.
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
    fn open(&mut self, index: u64, fields: Map<String, Value>, answer: &mut Answer) -> Result<(), Fault> {
        if self.blocks.len() >= MAX_BLOCKS {
            return Err(Fault::malformed("content", format!("it has more than {MAX_BLOCKS} blocks")));
        }
        // A gateway that does not close a block closes it by beginning another in its place.
        self.close(Some(index), answer);
        let field = |name: &str| match fields.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let mut text = BlockText::default();
        let kind = match field("type").as_str() {
            "text" => {
                answer.text(text.start(field("text")));
                Kind::Text
            }
            "thinking" => {
                answer.thinking(text.start(field("thinking")));
                Kind::Thinking
            }
            "tool_use" if answer.is_json_call(&field("name")) => {
                if answer.begin_json() {
                    Kind::Answer
                } else {
                    Kind::Other
                }
            }
            "tool_use" => {
                let id = field("id");
                let known =
                    |block: &&mut Block| block.kind == Kind::Call && !id.is_empty() && block.fields.get("id") == fields.get("id");
                if let Some(again) = self.blocks.iter_mut().find(known) {
                    (again.open, again.index) = (true, index);
                    return Ok(());
                }
                let place = self.blocks.len();
                let call = CallPiece {
                    index: Some(index),
                    id: Some(id),
                    name: Some(field("name")),
                    arguments: fields.get("input").cloned(),
                    extra: Some(place.into()),
                };
                answer.call(call, place)?;
                Kind::Call
            }
            _ => Kind::Other,
        };
        let signature = field("signature");
        self.blocks.push(Block { index, open: true, fields, kind, text, json: String::new(), signature });
        Ok(())
    }

    fn delta(&mut self, index: u64, delta: Delta<'_>, answer: &mut Answer) -> Result<(), Fault> {
        let block = self.blocks.iter_mut().rev().find(|block| block.index == index && block.open);
        let Some(block) = block else {
            // A gateway that leaves out the start of a block still sends its text.
            answer.text(delta.text.unwrap_or_default());
            answer.thinking(delta.thinking.unwrap_or_default());
            return Ok(());
        };
        if let Some(text) = delta.text {
            let text = text.into_owned();
            answer.text(if block.kind == Kind::Text { block.text.piece(text) } else { text });
        }
        if let Some(thought) = delta.thinking {
            let thought = thought.into_owned();
            answer.thinking(if block.kind == Kind::Thinking { block.text.piece(thought) } else { thought });
        }
        if let Some(signature) = delta.signature {
            block.signature.push_str(&signature);
        }
        let Some(piece) = delta.partial_json else { return Ok(()) };
        match block.kind {
            Kind::Call => {
                let piece = Value::String(piece.into_owned());
                answer.call(CallPiece { index: Some(index), arguments: Some(piece), ..CallPiece::default() }, 0)?;
            }
            Kind::Answer => {
                block.json.push_str(&piece);
                answer.json_text(piece);
            }
            Kind::Text | Kind::Thinking | Kind::Other => block.json.push_str(&piece),
        }
        Ok(())
    }

    /// Closes the block at this index, or all.
    fn close(&mut self, index: Option<u64>, answer: &mut Answer) {
        for block in self.blocks.iter_mut().filter(|block| block.open && index.is_none_or(|index| index == block.index)) {
            block.open = false;
            match block.kind {
                Kind::Text => answer.text(block.text.end()),
                Kind::Thinking => answer.thinking(block.text.end()),
                // What did not come in pieces came as a whole.
                Kind::Answer if block.json.is_empty() => {
                    answer.json_text(block.fields.get("input").map(Value::to_string).unwrap_or_default());
                }
                Kind::Answer | Kind::Call | Kind::Other => {}
            }
        }
    }

    fn begin(&mut self, message: &mut Message, answer: &mut Answer) {
        answer.id(message.id.take().unwrap_or_default());
        answer.model(message.model.take().unwrap_or_default());
        self.usage(message.usage, answer);
    }

    fn usage(&mut self, tokens: Option<Tokens>, answer: &mut Answer) {
        if let Some(tokens) = tokens {
            self.tokens.update(tokens);
            answer.usage(self.tokens.usage());
        }
    }

    fn stopped(&mut self, reason: Option<&str>, details: Option<&Value>, answer: &mut Answer) -> Result<(), Fault> {
        if let Some(why) = details.and_then(|details| details.get("explanation")?.as_str()) {
            answer.note(format!("the provider refused: {why}"));
        }
        let Some(reason) = reason else { return Ok(()) };
        self.close(None, answer);
        answer.finish(reason)
    }

    /// A whole message after its pieces, as some gateways send it.
    fn repeated(message: Option<&Message>, answer: &mut Answer) {
        let content = message.and_then(|message| message.content.as_deref()).unwrap_or_default();
        let all = |name: &str| content.iter().filter_map(|block| block.get(name)?.as_str()).collect::<String>();
        answer.whole_thinking(&all("thinking"));
        answer.whole_text(&all("text"));
    }
}

/// The error that is sent in an answer's place.
fn refused(text: &str, answer: &mut Answer) -> Result<(), Fault> {
    let mut spare = String::new();
    let value: Value = answer.read(text, &mut spare)?;
    error_in(&value, &ANSWERS).map_or(Ok(()), |error| Err(Fault::Refused(error)))
}

impl Block {
    /// The block as it must come back.
    fn kept(mut self) -> Option<Value> {
        let mut set = |name: &str, value: String| {
            self.fields.insert(name.to_owned(), value.into());
        };
        match self.kind {
            Kind::Text => {
                let text = self.text.take();
                if text.trim().is_empty() {
                    // The interface refuses texts without anything to read.
                    return None;
                }
                set("text", text);
            }
            Kind::Thinking => {
                set("thinking", self.text.take());
                set("signature", self.signature);
            }
            Kind::Other => {
                if let Ok(input) = serde_json::from_str::<Value>(&self.json) {
                    self.fields.insert("input".to_owned(), input);
                }
            }
            Kind::Call | Kind::Answer => {}
        }
        Some(Value::Object(self.fields))
    }
}

impl Decoder for MessageDecoder {
    type Frame = SseEvent;

    fn frame(&mut self, frame: SseEvent, answer: &mut Answer) -> Result<(), Fault> {
        let Some(text) = sse::json(&frame, answer)? else { return Ok(()) };
        let mut spare = String::new();
        let event: StreamEvent<'_> = answer.read(text, &mut spare)?;
        if event.error.is_some() {
            refused(text, answer)?;
        }
        let kind = if event.kind.is_empty() { frame.name.as_str() } else { event.kind.as_ref() };
        match kind {
            "message_start" => self.begin(&mut event.message.unwrap_or_default(), answer),
            "content_block_start" => {
                if let Some(Value::Object(block)) = event.content_block {
                    self.open(event.index, block, answer)?;
                }
            }
            "content_block_delta" => self.delta(event.index, event.delta.unwrap_or_default(), answer)?,
            "content_block_stop" => self.close(Some(event.index), answer),
            "message_delta" => {
                let delta = event.delta.unwrap_or_default();
                self.usage(event.usage, answer);
                Self::repeated(event.message.as_ref(), answer);
                self.stopped(delta.stop_reason.as_deref(), delta.stop_details.as_ref(), answer)?;
            }
            "message_stop" => {
                self.close(None, answer);
                Self::repeated(event.message.as_ref(), answer);
                answer.end();
            }
            "ping" => {}
            // Whatever will come, or an error in a form of a gateway's own.
            _ => refused(text, answer)?,
        }
        Ok(())
    }

    fn whole(&mut self, body: &[u8], answer: &mut Answer) -> Result<(), Fault> {
        let mut spare = String::new();
        let mut message: Message = answer.read_body(body, &mut spare)?;
        if message.content.is_none() || message.error.is_some() {
            let value: Value = answer.read_body(body, &mut spare)?;
            if let Some(error) = error_in(&value, &ANSWERS) {
                return Err(Fault::Refused(error));
            }
        }
        let Some(content) = message.content.take() else {
            return Err(Fault::malformed("content", "there is none"));
        };
        self.begin(&mut message, answer);
        for (index, block) in (0..).zip(content) {
            if let Value::Object(block) = block {
                self.open(index, block, answer)?;
                self.close(Some(index), answer);
            }
        }
        self.stopped(message.stop_reason.as_deref(), message.stop_details.as_ref(), answer)
    }

    fn size(frame: &SseEvent) -> usize {
        frame.data.len()
    }

    fn conclude(&mut self, extra: Map<String, Value>, answer: &mut Answer) {
        // Thoughts must come back with the calls they led to, exactly as they were.
        let kept = self.blocks.iter().any(|block| matches!(block.kind, Kind::Thinking | Kind::Other));
        if answer.calls().is_empty() || !kept {
            return;
        }
        for call in answer.calls() {
            let place = extra.get(&call.id).and_then(Value::as_u64).and_then(|place| usize::try_from(place).ok());
            if let Some(block) = place.and_then(|place| self.blocks.get_mut(place)) {
                block.fields.insert("id".to_owned(), call.id.as_str().into());
                block.fields.insert("input".to_owned(), object(&call.arguments));
            }
        }
        let blocks: Vec<Value> = std::mem::take(&mut self.blocks).into_iter().filter_map(Block::kept).collect();
        answer.replay(json!({ "anthropic": blocks }));
    }
}

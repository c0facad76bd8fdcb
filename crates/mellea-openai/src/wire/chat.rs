//! Chat completions, whole or streamed: what each chunk means.

use mellea_http::SseEvent;
use mellea_wire::{Answer, CallPiece, Decoder, Fault};
use serde_json::{Map, Value};

use super::replay::Replay;
use super::{AnswerContent, AnswerMessage, Choice, Completion, ContentPart, ToolCallPart};

/// Reads a chat completion, whole or in chunks.
///
/// ```
/// use mellea_core::{Event, FinishReason};
/// use mellea_http::SseEvent;
/// use mellea_openai::wire::ChatDecoder;
/// use mellea_wire::{Fault, Reader, Rules};
///
/// let mut reader = Reader::new(ChatDecoder::default(), Rules::new());
/// for data in [
///     r#"{"choices": [{"delta": {"content": "Hello"}}]}"#,
///     r#"{"choices": [{"delta": {}, "finish_reason": "stop"}]}"#,
///     "[DONE]",
/// ] {
///     let event = SseEvent { data: data.to_owned(), ..SseEvent::default() };
///     reader.frame(event, false)?;
/// }
/// let events: Vec<Event> = std::iter::from_fn(|| reader.pop()).collect();
/// assert_eq!(events, [Event::Text("Hello".into()), Event::Finish(FinishReason::Stop)]);
/// # Ok::<(), Fault>(())
/// ```
#[derive(Debug, Default)]
pub struct ChatDecoder {
    replay: Replay,
    /// Calls came in today's field, so those in the old one are the same again.
    called: bool,
    /// The choice whose text is the answer's, and the one whose calls are.
    spoken: Option<u64>,
    calling: Option<u64>,
    /// There is text of another choice, and that was said.
    others: bool,
    /// Pieces came as `delta`, so that a `message` is the whole.
    in_deltas: bool,
    /// The answer came as a whole, so that each call in it is complete.
    at_once: bool,
}

/// What a message is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A piece of it.
    Piece,
    /// The piece that came with the finish.
    Last,
    /// The whole, after its pieces.
    Whole,
}

impl Decoder for ChatDecoder {
    type Frame = SseEvent;

    fn frame(&mut self, frame: SseEvent, answer: &mut Answer) -> Result<(), Fault> {
        let data = frame.data.trim();
        if frame.name == "error" && data != "[DONE]" {
            return Err(Fault::of_error_event(data));
        }
        match data {
            "[DONE]" => answer.end(),
            "" => {}
            data => {
                let chunk = answer.read(data, &mut String::new())?;
                self.take(chunk, answer)?;
            }
        }
        Ok(())
    }

    fn whole(&mut self, body: &[u8], answer: &mut Answer) -> Result<(), Fault> {
        self.at_once = true;
        let completion: Completion = answer.read_body(body, &mut String::new())?;
        let has_answer = completion.choices.as_ref().is_some_and(|choices| !choices.is_empty());
        self.take(completion, answer)?;
        if has_answer { Ok(()) } else { Err(Fault::malformed("choices", "there is no answer")) }
    }

    fn size(frame: &SseEvent) -> usize {
        frame.data.len()
    }

    fn conclude(&mut self, extra: Map<String, Value>, answer: &mut Answer) {
        if let Some(replay) = self.replay.take(extra) {
            answer.replay(replay);
        }
    }
}

impl ChatDecoder {
    fn take(&mut self, mut completion: Completion, answer: &mut Answer) -> Result<(), Fault> {
        let error = completion.take_error();
        if let Some(id) = completion.id.take() {
            answer.id(id);
        }
        if let Some(model) = completion.model.take() {
            answer.model(model);
        }
        let usage = completion.take_usage();
        // An error may come with the last words.
        let failed = error.is_some();
        let mut choices = completion.choices.unwrap_or_default();
        if choices.len() > 1 {
            choices.sort_by_key(|choice| choice.index.unwrap_or_default());
        }
        for choice in choices {
            self.choice(choice, failed, answer)?;
        }
        usage.into_iter().for_each(|usage| answer.usage(usage));
        error.map_or(Ok(()), |error| Err(Fault::Refused(error)))
    }

    fn choice(&mut self, choice: Choice, failed: bool, answer: &mut Answer) -> Result<(), Fault> {
        let Choice { index, delta, message, text, finish_reason, native_finish_reason, logprobs, .. } = choice;
        let index = index.unwrap_or_default();
        let finish = finish_reason.filter(|reason| !reason.is_empty());
        let part = if finish.is_some() { Part::Last } else { Part::Piece };
        self.in_deltas |= delta.is_some();
        if let Some(delta) = delta {
            self.message(index, delta, part, answer)?;
        }
        if let Some(message) = message {
            self.message(index, *message, if self.in_deltas { Part::Whole } else { part }, answer)?;
        }
        if let Some(text) = text.filter(|text| !text.is_empty() && self.is_spoken(index, answer)) {
            answer.text(text);
        }
        if let Some(logprobs) = logprobs.filter(|_| self.spoken.is_none_or(|spoken| spoken == index)) {
            answer.logprobs(logprobs.tokens());
        }
        let counts = self.spoken.is_none_or(|spoken| spoken == index) || self.calling == Some(index);
        if counts && !failed {
            native_finish_reason.map_or(Ok(()), |word| answer.finish_behind(&word))?;
            finish.map_or(Ok(()), |word| answer.finish(&word))?;
        }
        Ok(())
    }

    /// Whether this choice's text is the answer's: that of the first choice that says something.
    fn is_spoken(&mut self, index: u64, answer: &mut Answer) -> bool {
        if *self.spoken.get_or_insert(index) == index {
            return true;
        }
        if !std::mem::replace(&mut self.others, true) {
            answer.note("the service gave more than one answer; the first one counts");
        }
        false
    }

    fn message(&mut self, index: u64, message: AnswerMessage, part: Part, answer: &mut Answer) -> Result<(), Fault> {
        let AnswerMessage {
            content, reasoning_content, reasoning, reasoning_details, refusal, tool_calls, function_call, ..
        } = message;
        let filled = |text: Option<String>, field| text.filter(|text| !text.is_empty()).map(|text| (text, field));
        let reasoning = filled(reasoning_content, "reasoning_content").or_else(|| filled(reasoning, "reasoning"));
        if let Some((text, field)) = reasoning.filter(|_| self.is_spoken(index, answer)) {
            self.replay.used(field);
            think(text, part, answer);
        }
        self.replay.add(reasoning_details);
        match content {
            Some(AnswerContent::Text(text)) if !text.is_empty() && self.is_spoken(index, answer) => say(text, part, answer),
            Some(AnswerContent::Parts(parts)) if !parts.is_empty() && self.is_spoken(index, answer) => {
                // A whole in parts is one text, as its pieces were.
                if part == Part::Whole {
                    let text = |part: ContentPart| part.text.unwrap_or_default();
                    say(parts.into_iter().map(text).collect(), part, answer);
                } else {
                    parts.into_iter().for_each(|one| say_part(one, answer));
                }
            }
            _ => {}
        }
        if let Some(text) = refusal.filter(|text| !text.is_empty() && part != Part::Whole && self.is_spoken(index, answer)) {
            answer.refusal(text);
        }
        if tool_calls.is_empty() && function_call.is_none() || *self.calling.get_or_insert(index) != index {
            return Ok(());
        }
        self.called |= !tool_calls.is_empty();
        let old = function_call.filter(|_| !self.called);
        let old = old.map(|function| ToolCallPart { function: Some(*function), ..ToolCallPart::default() });
        for (position, piece) in tool_calls.into_iter().chain(old).enumerate() {
            let mut piece = CallPiece::from(piece);
            if self.at_once {
                piece.index = u64::try_from(position).ok();
            }
            if part == Part::Whole {
                answer.whole_call(piece, position)?;
            } else {
                answer.call(piece, position)?;
            }
        }
        Ok(())
    }
}

fn say(text: String, part: Part, answer: &mut Answer) {
    match part {
        Part::Piece => answer.text(text),
        Part::Last => answer.last_text(text),
        Part::Whole => answer.whole_text(&text),
    }
}

fn think(text: String, part: Part, answer: &mut Answer) {
    match part {
        Part::Piece => answer.thinking(text),
        Part::Last => answer.last_thinking(text),
        Part::Whole => answer.whole_thinking(&text),
    }
}

fn say_part(part: ContentPart, answer: &mut Answer) {
    match part.thinking {
        Some(AnswerContent::Text(text)) => answer.thinking(text),
        Some(AnswerContent::Parts(parts)) => {
            parts.into_iter().filter_map(|part| part.text).for_each(|text| answer.thinking(text));
        }
        None => {}
    }
    if let Some(text) = part.text {
        answer.text(text);
    }
    if let Some(text) = part.refusal {
        answer.refusal(text);
    }
}

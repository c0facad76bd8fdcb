//! Chat completions, whole or streamed, as events: a decoder that does no reading of its own.

use std::collections::VecDeque;

use mellea_core::{Event, FinishReason, Warning};
use serde_json::Value;

use super::replay::Replay;
use super::think::ThinkSplitter;
use super::{AnswerContent, AnswerMessage, Choice, Completion, ContentPart, Fault, JSON_TOOL, ToolCallAccumulator, ToolCallPart};

/// How a [`ChatDecoder`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChatSettings {
    /// Whether a `<think>` block at the start of the answer is reasoning.
    pub inline_thinking: bool,
    /// Whether a call of the tool [`JSON_TOOL`] is the answer's text.
    pub unwrap_json_tool: bool,
    /// Whether the end of an answer is said; if not, the end of the body will do.
    pub says_finish: bool,
}

impl ChatSettings {
    /// Inline reasoning is found, tool calls are left unchanged.
    #[must_use]
    pub const fn new() -> Self {
        Self { inline_thinking: true, unwrap_json_tool: false, says_finish: true }
    }
}

impl Default for ChatSettings {
    fn default() -> Self {
        Self::new()
    }
}

/// Turns a chat completion, whole or in chunks, into events.
///
/// It does no reading: the data of each server-sent event is pushed in, and the events that are complete come out. At
/// the end [`end`](Self::end) gives what only the end can tell: tool calls, and the finish.
///
/// ```
/// use std::collections::VecDeque;
/// use mellea_core::{Event, FinishReason};
/// use mellea_openai::wire::{ChatDecoder, ChatSettings};
///
/// let mut decoder = ChatDecoder::new(ChatSettings::new());
/// let mut events = VecDeque::new();
/// decoder.push(r#"{"choices": [{"delta": {"content": "Hello"}}]}"#, &mut events)?;
/// decoder.push(r#"{"choices": [{"delta": {}, "finish_reason": "stop"}]}"#, &mut events)?;
/// decoder.push("[DONE]", &mut events)?;
/// decoder.end(&mut events)?;
/// assert_eq!(events, [Event::Text("Hello".into()), Event::Finish(FinishReason::Stop)]);
/// # Ok::<(), mellea_openai::wire::Fault>(())
/// ```
#[derive(Debug)]
pub struct ChatDecoder {
    settings: ChatSettings,
    splitter: ThinkSplitter,
    calls: ToolCallAccumulator,
    has_id: bool,
    has_model: bool,
    replay: Replay,
    refused: bool,
    finish: Option<String>,
    done: bool,
    begun: bool,
    /// Calls came in today's field, so those in the old one are the same again.
    called: bool,
}

impl ChatDecoder {
    /// A decoder for one answer.
    #[must_use]
    pub fn new(settings: ChatSettings) -> Self {
        Self {
            settings,
            splitter: if settings.inline_thinking { ThinkSplitter::default() } else { ThinkSplitter::off() },
            calls: ToolCallAccumulator::new(),
            has_id: false,
            has_model: false,
            replay: Replay::default(),
            refused: false,
            finish: None,
            done: false,
            begun: false,
            called: false,
        }
    }

    /// Takes the data of one server-sent event.
    ///
    /// # Errors
    /// [`Fault::Unreadable`] if it is not JSON, after which more may be pushed; any other fault ends the answer.
    pub fn push(&mut self, data: &str, out: &mut VecDeque<Event>) -> Result<(), Fault> {
        let data = data.trim();
        if data == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        if data.is_empty() {
            return Ok(());
        }
        let chunk = serde_json::from_str(data).map_err(|error| Fault::unreadable(&error, data))?;
        self.take(chunk, out)
    }

    /// Takes a completion that is not streamed.
    ///
    /// # Errors
    /// [`Fault::Refused`] if it is an error, [`Fault::Malformed`] if it holds no answer.
    pub fn whole(&mut self, completion: Completion, out: &mut VecDeque<Event>) -> Result<(), Fault> {
        let has_answer = completion.choices.as_ref().is_some_and(|choices| !choices.is_empty());
        self.take(completion, out)?;
        if !has_answer {
            return Err(Fault::Malformed { path: "choices", reason: "there is no answer" });
        }
        self.done = true;
        Ok(())
    }

    /// Reports that the body has ended as it should.
    pub fn body_ended(&mut self, out: &mut VecDeque<Event>) {
        if !self.settings.says_finish && self.begun && !self.is_complete() {
            self.done = true;
            let message = "the server did not say that the answer is complete".to_owned();
            out.push_back(Event::Warning(Warning::Note { message }));
        }
    }

    /// Whether the answer is complete, so that the stream may end.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.done || self.finish.is_some()
    }

    /// Whether the end was announced, so that nothing more will come.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the model said why it stopped.
    #[must_use]
    pub fn has_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Whether a piece of the answer itself has arrived.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    fn take(&mut self, mut completion: Completion, out: &mut VecDeque<Event>) -> Result<(), Fault> {
        if let Some(error) = completion.take_error() {
            return Err(Fault::Refused(error));
        }
        if !self.has_id
            && let Some(id) = completion.id.take().filter(|id| !id.is_empty())
        {
            self.has_id = true;
            out.push_back(Event::ResponseId(id));
        }
        if !self.has_model
            && let Some(model) = completion.model.take().filter(|model| !model.is_empty())
        {
            self.has_model = true;
            out.push_back(Event::Model(model));
        }
        let usage = completion.take_usage();
        for choice in completion.choices.unwrap_or_default() {
            if choice.index.unwrap_or_default() == 0 {
                self.choice(choice, out)?;
            }
        }
        out.extend(usage.map(Event::Usage));
        Ok(())
    }

    fn choice(&mut self, choice: Choice, out: &mut VecDeque<Event>) -> Result<(), Fault> {
        let Choice { delta, message, text, finish_reason, logprobs, .. } = choice;
        if let Some(message) = delta.or(message.map(|message| *message)) {
            self.message(message, out)?;
        }
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.text(text, out);
        }
        if let Some(tokens) = logprobs.map(|logprobs| logprobs.tokens()).filter(|tokens| !tokens.is_empty()) {
            out.push_back(Event::Logprobs(tokens));
        }
        if let Some(reason) = finish_reason.filter(|reason| !reason.is_empty()) {
            self.finish = Some(reason);
            self.begun = true;
        }
        Ok(())
    }

    fn message(&mut self, message: AnswerMessage, out: &mut VecDeque<Event>) -> Result<(), Fault> {
        let AnswerMessage {
            content, reasoning_content, reasoning, reasoning_details, refusal, tool_calls, function_call, ..
        } = message;
        let filled = |text: Option<String>, field| text.filter(|text| !text.is_empty()).map(|text| (text, field));
        let reasoning = filled(reasoning_content, "reasoning_content").or_else(|| filled(reasoning, "reasoning"));
        if let Some((text, field)) = reasoning {
            self.replay.used(field);
            self.thinking(text, out);
        }
        self.replay.add(reasoning_details);
        match content {
            Some(AnswerContent::Text(text)) => self.text(text, out),
            Some(AnswerContent::Parts(parts)) => parts.into_iter().for_each(|part| self.part(part, out)),
            None => {}
        }
        if let Some(text) = refusal.filter(|text| !text.is_empty()) {
            self.refusal(text, out);
        }
        self.begun |= !tool_calls.is_empty() || function_call.is_some();
        self.called |= !tool_calls.is_empty();
        for (position, part) in tool_calls.into_iter().enumerate() {
            self.calls.push(part, position)?;
        }
        if let Some(function) = function_call.filter(|_| !self.called) {
            self.calls.push(ToolCallPart { function: Some(*function), ..ToolCallPart::default() }, 0)?;
        }
        Ok(())
    }

    fn part(&mut self, part: ContentPart, out: &mut VecDeque<Event>) {
        match part.thinking {
            Some(AnswerContent::Text(text)) => self.thinking(text, out),
            Some(AnswerContent::Parts(parts)) => {
                parts.into_iter().filter_map(|part| part.text).for_each(|text| self.thinking(text, out));
            }
            None => {}
        }
        if let Some(text) = part.text {
            self.text(text, out);
        }
        if let Some(text) = part.refusal.filter(|text| !text.is_empty()) {
            self.refusal(text, out);
        }
    }

    fn text(&mut self, text: String, out: &mut VecDeque<Event>) {
        self.begun |= !text.is_empty();
        self.splitter.push(text, out);
    }

    fn thinking(&mut self, text: String, out: &mut VecDeque<Event>) {
        if !text.is_empty() {
            self.begun = true;
            self.splitter.skip();
            out.push_back(Event::Thinking(text));
        }
    }

    fn refusal(&mut self, text: String, out: &mut VecDeque<Event>) {
        self.refused = true;
        self.begun = true;
        out.push_back(Event::Text(text));
    }

    /// Ends the answer: gives its tool calls, what the server wants back with them, and the finish.
    ///
    /// # Errors
    /// [`Fault::Cut`] if the answer is not complete.
    pub fn end(&mut self, out: &mut VecDeque<Event>) -> Result<(), Fault> {
        if !self.is_complete() {
            return Err(Fault::Cut);
        }
        self.splitter.finish(out);
        let mut called = false;
        let (calls, extra) = self.calls.finish_with_extra();
        for call in calls {
            if self.settings.unwrap_json_tool && call.name == JSON_TOOL {
                let text = match call.arguments {
                    Value::String(text) => text,
                    value => value.to_string(),
                };
                out.push_back(Event::Text(text));
            } else {
                called = true;
                out.push_back(Event::ToolCall(call));
            }
        }
        out.extend(self.replay.take(extra).map(Event::Replay));
        out.push_back(Event::Finish(self.reason(called)));
        Ok(())
    }

    fn reason(&mut self, called: bool) -> FinishReason {
        let reason = self.finish.take();
        if self.refused { FinishReason::ContentFilter } else { finish_reason(reason.as_deref(), called) }
    }
}

/// What a server's word for the end means. Actual calls count more than that word: servers say `stop` after
/// calls.
pub(crate) fn finish_reason(word: Option<&str>, called: bool) -> FinishReason {
    match word.unwrap_or_default() {
        "length" | "max_tokens" | "model_length" | "max_output_tokens" => FinishReason::Length,
        "content_filter" | "safety" => FinishReason::ContentFilter,
        "" | "stop" | "tool_calls" | "function_call" | "tool_use" | "eos" | "eos_token" | "end_turn" | "stop_sequence" => {
            if called {
                FinishReason::ToolCalls
            } else {
                FinishReason::Stop
            }
        }
        other => FinishReason::Other(other.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_without_a_word_is_none() {
        let (mut decoder, mut out) = (ChatDecoder::new(ChatSettings::new()), VecDeque::new());
        let part = r#"{"choices":[{"message":{"content":[{"type":"text","text":"Hi","refusal":""}],"refusal":""},"finish_reason":"stop"}]}"#;
        decoder.whole(serde_json::from_str(part).unwrap(), &mut out).unwrap();
        decoder.end(&mut out).unwrap();
        assert_eq!(out, [Event::Text("Hi".into()), Event::Finish(FinishReason::Stop)]);
    }
}

//! Turns what the service sends into the core's events, without I/O: a piece in, events out.

use std::collections::VecDeque;

use mellea_core::{Event, FinishReason, TokenLogprob, ToolCall, Usage, Warning};
use serde_json::Value;

use crate::wire::{self, Arguments, Chat};

/// The most tool calls that one answer may have.
const MAX_CALLS: usize = 1024;

/// The most bytes that the arguments of all tool calls may have together.
const MAX_ARGUMENTS: usize = 16 << 20;

/// Why an answer cannot go on.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The service refuses in the middle of its answer; this is what it says.
    Refused(Value),
    /// A piece is not JSON, or not an object.
    Json(serde_json::Error),
    /// The answer is malformed: where in its JSON, and what is wrong.
    Malformed(&'static str, String),
    /// The answer ended before it was complete.
    Interrupted,
    /// The model failed while it was generating.
    Failed,
}

/// Turns one answer, streamed or whole, into events.
///
/// ```
/// use std::collections::VecDeque;
/// use mellea_core::{Event, FinishReason};
/// use mellea_watsonx::stream::Decoder;
///
/// let (mut decoder, mut events) = (Decoder::default(), VecDeque::new());
/// decoder.push("message", r#"{"choices": [{"delta": {"content": "Hi"}}]}"#, &mut events).unwrap();
/// decoder.push("message", r#"{"choices": [{"finish_reason": "stop"}]}"#, &mut events).unwrap();
/// decoder.end().unwrap();
/// assert_eq!(events, [Event::Text("Hi".into()), Event::Finish(FinishReason::Stop)]);
/// ```
#[derive(Debug, Default)]
pub struct Decoder {
    calls: Vec<Call>,
    argument_bytes: usize,
    named: bool,
    model_known: bool,
    warned: bool,
    finished: bool,
}

/// A tool call that is not complete.
#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

impl Decoder {
    /// Takes the next server-sent event: its name, which may be empty, and its data.
    ///
    /// # Errors
    /// If the answer cannot go on; the events before that stand.
    pub fn push(&mut self, name: &str, data: &str, events: &mut VecDeque<Event>) -> Result<(), Fault> {
        if name == "error" {
            return Err(Fault::Refused(serde_json::from_str(data).unwrap_or_else(|_| data.into())));
        }
        if data.trim() == "[DONE]" {
            return Ok(());
        }
        self.piece(&serde_json::from_str(data).map_err(Fault::Json)?, events)
    }

    /// Takes an answer that came whole.
    ///
    /// # Errors
    /// If it is not an answer.
    pub fn whole(&mut self, body: &[u8], events: &mut VecDeque<Event>) -> Result<(), Fault> {
        let chat: Chat<'_> = serde_json::from_slice(body).map_err(Fault::Json)?;
        if chat.refusal().is_none() && chat.choices.0.is_empty() {
            return Err(Fault::Malformed("choices", "there are none".to_owned()));
        }
        self.piece(&chat, events)?;
        if !self.finished {
            self.finish("", events)?;
        }
        Ok(())
    }

    /// Whether the model has stopped; only the usage may still come.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// Takes the end of the stream.
    ///
    /// # Errors
    /// [`Fault::Interrupted`] if the model had not stopped before.
    pub fn end(&self) -> Result<(), Fault> {
        if self.finished { Ok(()) } else { Err(Fault::Interrupted) }
    }

    fn piece(&mut self, chat: &Chat<'_>, events: &mut VecDeque<Event>) -> Result<(), Fault> {
        if let Some(refusal) = chat.refusal() {
            return Err(Fault::Refused(refusal));
        }
        self.origin(chat, events);
        // Only the first of several answers counts.
        let choice = chat.choices.0.iter().find(|choice| choice.index.0.unwrap_or(0) == 0);
        if let Some(choice) = choice {
            let message = choice.message.0.as_ref().or(choice.delta.0.as_ref());
            if let Some(message) = message {
                self.message(message, choice.message.0.is_some(), events)?;
            }
            let tokens = choice.logprobs.0.as_ref().map_or(&[][..], |logprobs| logprobs.content.0.as_slice());
            if !tokens.is_empty() {
                events.push_back(Event::Logprobs(tokens.iter().map(token).collect()));
            }
        }
        if let Some(used) = &chat.usage.0 {
            let used = usage(used);
            if used != Usage::default() {
                events.push_back(Event::Usage(used));
            }
        }
        match choice.and_then(|choice| choice.finish_reason.get()) {
            Some(reason) if !self.finished => self.finish(reason, events),
            _ => Ok(()),
        }
    }

    /// What is known of the answer as a whole; each fact is reported once.
    fn origin(&mut self, chat: &Chat<'_>, events: &mut VecDeque<Event>) {
        if !self.named
            && let Some(id) = chat.id.get()
        {
            self.named = true;
            events.push_back(Event::ResponseId(id.to_owned()));
        }
        if !self.model_known
            && let Some(model) = chat.model.get().or(chat.model_id.get())
        {
            self.model_known = true;
            events.push_back(Event::Model(model.to_owned()));
        }
        if !self.warned
            && let Some(system) = &chat.system.0
        {
            self.warned = true;
            events.extend(remarks(system).map(Event::Warning));
        }
    }

    fn message(&mut self, message: &wire::Message<'_>, whole: bool, events: &mut VecDeque<Event>) -> Result<(), Fault> {
        if let Some(text) = message.reasoning_content.get() {
            events.push_back(Event::Thinking(text.to_owned()));
        }
        if let Some(text) = message.content.get() {
            events.push_back(Event::Text(text.to_owned()));
        }
        message.tool_calls.0.iter().try_for_each(|call| self.call(call, whole))
    }

    /// Adds a piece of a tool call to the call it belongs to.
    fn call(&mut self, piece: &wire::ToolCall<'_>, whole: bool) -> Result<(), Fault> {
        let id = piece.id.get().unwrap_or_default();
        let place = match piece.index.0 {
            _ if whole => None,
            Some(index) => self.calls.iter().position(|call| call.index == Some(index)),
            // Without an index, a new id begins a new call.
            None => self.calls.iter().rposition(|call| id.is_empty() || call.id == id),
        };
        let place = place.unwrap_or_else(|| {
            self.calls.push(Call { index: piece.index.0, ..Call::default() });
            self.calls.len() - 1
        });
        if self.calls.len() > MAX_CALLS {
            return Err(Fault::Malformed("choices[0].delta.tool_calls", format!("there are more than {MAX_CALLS}")));
        }
        let Some(call) = self.calls.get_mut(place) else { return Ok(()) };
        if call.id.is_empty() {
            id.clone_into(&mut call.id);
        }
        let Some(function) = &piece.function.0 else { return Ok(()) };
        if call.name.is_empty() {
            function.name.get().unwrap_or_default().clone_into(&mut call.name);
        }
        let before = call.arguments.len();
        match &function.arguments {
            Arguments::None => {}
            Arguments::Text(text) => call.arguments.push_str(text),
            Arguments::Value(value) => call.arguments = value.to_string(),
        }
        self.argument_bytes += call.arguments.len().saturating_sub(before);
        if self.argument_bytes > MAX_ARGUMENTS {
            return Err(Fault::Malformed(
                "choices[0].delta.tool_calls",
                format!("the arguments have more than {MAX_ARGUMENTS} bytes"),
            ));
        }
        Ok(())
    }

    /// Gives the tool calls, which are complete now, and the finish.
    fn finish(&mut self, reason: &str, events: &mut VecDeque<Event>) -> Result<(), Fault> {
        self.finished = true;
        let mut ids: Vec<String> = Vec::new();
        for call in std::mem::take(&mut self.calls) {
            if call.name.is_empty() {
                let message = "the model made a tool call without a name; it was left out".to_owned();
                events.push_back(Event::Warning(Warning::Note { message }));
                continue;
            }
            let mut made = ToolCall::with_id(call.id, call.name, call.arguments);
            // An id that is made up may be one that the service used.
            while made.id.is_empty() || ids.contains(&made.id) {
                made.id = ToolCall::new("", Value::Null).id;
            }
            ids.push(made.id.clone());
            events.push_back(Event::ToolCall(made));
        }
        let reason = match reason {
            "error" => return Err(Fault::Failed),
            // A forced call ends with `stop` at some models.
            "" | "stop" | "tool_calls" if !ids.is_empty() => FinishReason::ToolCalls,
            "" | "stop" => FinishReason::Stop,
            "length" => FinishReason::Length,
            "tool_calls" => FinishReason::ToolCalls,
            "content_filter" => FinishReason::ContentFilter,
            other => FinishReason::Other(other.to_owned()),
        };
        events.push_back(Event::Finish(reason));
        Ok(())
    }
}

fn token(token: &wire::Token<'_>) -> TokenLogprob {
    let text = |token: &wire::Token<'_>| token.token.get().unwrap_or_default().to_owned();
    // What is impossible has no number in JSON.
    let logprob = |token: &wire::Token<'_>| token.logprob.0.unwrap_or(f64::MIN);
    let mut out = TokenLogprob::new(text(token), logprob(token));
    out.top = token.top_logprobs.0.iter().map(|other| (text(other), logprob(other))).collect();
    out
}

fn usage(used: &wire::Usage) -> Usage {
    let mut usage = Usage::default();
    usage.prompt_tokens = used.prompt_tokens.0;
    usage.completion_tokens = used.completion_tokens.0;
    usage.cached_tokens = used.prompt_tokens_details.0.and_then(|details| details.cached_tokens.0);
    usage.reasoning_tokens = used.completion_tokens_details.0.and_then(|details| details.reasoning_tokens.0);
    usage
}

/// The service's remarks, as warnings. The disclaimer that comes with each answer of some models
/// is about no request.
pub(crate) fn remarks<'s>(system: &'s wire::System<'_>) -> impl Iterator<Item = Warning> + use<'s> {
    let of_request = system.warnings.0.iter().filter(|remark| remark.id.get() != Some("disclaimer_warning"));
    of_request.filter_map(|remark| Some(Warning::Other { message: remark.message.get()?.to_owned() }))
}

#[cfg(test)]
mod tests;

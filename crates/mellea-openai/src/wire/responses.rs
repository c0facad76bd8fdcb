//! The Responses API, whole or streamed, as events: types and a decoder that does no I/O.

use std::collections::VecDeque;

use mellea_core::{Event, FinishReason, ToolCall};
use serde::Deserialize;
use serde_json::{Value, json};

use super::tolerant::{maybe, objects};
use super::{Fault, UsageFigures, finish_reason};

/// The most items that are kept to be sent back.
const MAX_ITEMS: usize = 1024;

/// One event of a streamed response. Of the many kinds, those that are read are named in [`ResponsesDecoder`].
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ResponsesEvent {
    /// Such as `response.output_text.delta`.
    #[serde(rename = "type", deserialize_with = "maybe")]
    pub kind: Option<String>,
    /// The next piece of a text.
    #[serde(deserialize_with = "maybe")]
    pub delta: Option<String>,
    /// An item of the output.
    #[serde(deserialize_with = "maybe")]
    pub item: Option<Value>,
    /// The response so far.
    #[serde(deserialize_with = "maybe")]
    pub response: Option<ResponseBody>,
    /// What went wrong.
    #[serde(deserialize_with = "maybe")]
    pub error: Option<Value>,
    /// The code of an error that is the whole event.
    #[serde(deserialize_with = "maybe")]
    pub code: Option<Value>,
    /// The message of an error that is the whole event.
    #[serde(deserialize_with = "maybe")]
    pub message: Option<String>,
}

/// A response.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ResponseBody {
    /// The response's id.
    #[serde(deserialize_with = "maybe")]
    pub id: Option<String>,
    /// The model that answers.
    #[serde(deserialize_with = "maybe")]
    pub model: Option<String>,
    /// Such as `completed`.
    #[serde(deserialize_with = "maybe")]
    pub status: Option<String>,
    /// Messages, calls and reasoning, as they came.
    #[serde(deserialize_with = "maybe")]
    pub output: Option<Vec<Value>>,
    /// The tokens used.
    #[serde(deserialize_with = "maybe")]
    pub usage: Option<UsageFigures>,
    /// Why it is not complete.
    #[serde(deserialize_with = "maybe")]
    pub incomplete_details: Option<IncompleteDetails>,
    /// What went wrong.
    #[serde(deserialize_with = "maybe")]
    pub error: Option<Value>,
}

/// Why a response is not complete.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct IncompleteDetails {
    /// Such as `max_output_tokens`.
    #[serde(deserialize_with = "maybe")]
    pub reason: Option<String>,
}

objects!(ResponseBody, IncompleteDetails);

/// Turns a response, whole or streamed, into events.
///
/// It reads texts, refusals, reasoning and its summary, function calls, the end, and errors; events of other kinds are
/// left out. What the service wants back with calls is in [`Event::Replay`] as `{"openai_responses": [items]}`.
///
/// ```
/// use std::collections::VecDeque;
/// use mellea_core::{Event, FinishReason};
/// use mellea_openai::wire::ResponsesDecoder;
///
/// let mut decoder = ResponsesDecoder::new();
/// let mut events = VecDeque::new();
/// decoder.push("", r#"{"type": "response.output_text.delta", "delta": "Hello"}"#, &mut events)?;
/// decoder.push("", r#"{"type": "response.completed", "response": {"status": "completed"}}"#, &mut events)?;
/// decoder.end(&mut events)?;
/// assert_eq!(events, [Event::Text("Hello".into()), Event::Finish(FinishReason::Stop)]);
/// # Ok::<(), mellea_openai::wire::Fault>(())
/// ```
#[derive(Debug, Default)]
pub struct ResponsesDecoder {
    has_id: bool,
    has_model: bool,
    items: Vec<Value>,
    /// Text, and reasoning, of the current item has arrived in pieces.
    texted: bool,
    thought: bool,
    /// Another part of the reasoning begins.
    parted: bool,
    any_thought: bool,
    called: bool,
    refused: bool,
    finish: Option<FinishReason>,
    begun: bool,
}

impl ResponsesDecoder {
    /// A decoder for one response.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one server-sent event: its name, which may be empty, and its data.
    ///
    /// # Errors
    /// [`Fault::Unreadable`] if it is not JSON, after which more may be pushed; any other fault ends the answer.
    pub fn push(&mut self, name: &str, data: &str, out: &mut VecDeque<Event>) -> Result<(), Fault> {
        let data = data.trim();
        if data.is_empty() || data == "[DONE]" {
            return Ok(());
        }
        let event: ResponsesEvent = serde_json::from_str(data).map_err(|error| Fault::unreadable(&error, data))?;
        let kind = event.kind.as_deref().unwrap_or(name);
        match kind {
            "response.output_text.delta" => self.text(event.delta, out),
            "response.refusal.delta" => {
                self.refused = true;
                self.text(event.delta, out);
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => self.thinking(event.delta, out),
            "response.reasoning_summary_part.added" => self.parted = self.any_thought,
            "response.function_call_arguments.delta" => self.begun = true,
            "response.output_item.done" => {
                if let Some(item) = event.item {
                    self.item(item, out);
                }
            }
            "response.failed" => {
                let error = event.response.and_then(|response| response.error).or(event.error);
                return Err(refused(error, "the response failed"));
            }
            "error" => {
                let whole = || Some(json!({ "message": event.message?, "code": event.code }));
                return Err(refused(event.error.or_else(whole), "the stream failed"));
            }
            "response.completed" | "response.incomplete" | "response.cancelled" => {
                let response = event.response.unwrap_or_default();
                return self.complete(response, kind, out);
            }
            _ => {
                if let Some(error) = event.error.filter(|error| !error.is_null()) {
                    return Err(refused(Some(error), "the stream failed"));
                }
                if let Some(mut response) = event.response {
                    self.head(&mut response, out);
                }
            }
        }
        Ok(())
    }

    /// Takes a response that is not streamed.
    ///
    /// # Errors
    /// [`Fault::Refused`] if it is an error, [`Fault::Malformed`] if it holds no answer.
    pub fn whole(&mut self, response: ResponseBody, out: &mut VecDeque<Event>) -> Result<(), Fault> {
        if response.error.is_none() && response.output.is_none() {
            return Err(Fault::Malformed { path: "output", reason: "there is no answer" });
        }
        self.complete(response, "", out)
    }

    /// Whether the answer is complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.finish.is_some()
    }

    /// Whether a piece of the answer itself has arrived.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    fn head(&mut self, response: &mut ResponseBody, out: &mut VecDeque<Event>) {
        if !self.has_id
            && let Some(id) = response.id.take().filter(|id| !id.is_empty())
        {
            self.has_id = true;
            out.push_back(Event::ResponseId(id));
        }
        if !self.has_model
            && let Some(model) = response.model.take().filter(|model| !model.is_empty())
        {
            self.has_model = true;
            out.push_back(Event::Model(model));
        }
    }

    fn text(&mut self, text: Option<String>, out: &mut VecDeque<Event>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            (self.begun, self.texted) = (true, true);
            out.push_back(Event::Text(text));
        }
    }

    fn thinking(&mut self, text: Option<String>, out: &mut VecDeque<Event>) {
        if let Some(mut text) = text.filter(|text| !text.is_empty()) {
            if std::mem::take(&mut self.parted) {
                text.insert_str(0, "\n\n");
            }
            (self.begun, self.thought, self.any_thought) = (true, true, true);
            out.push_back(Event::Thinking(text));
        }
    }

    /// Takes an item that is complete.
    fn item(&mut self, item: Value, out: &mut VecDeque<Event>) {
        let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        match item.get("type").and_then(Value::as_str).unwrap_or_default() {
            "message" if !self.texted => {
                for part in item.get("content").and_then(Value::as_array).into_iter().flatten() {
                    let refusal = part.get("refusal").and_then(Value::as_str).filter(|refusal| !refusal.is_empty());
                    self.refused |= refusal.is_some();
                    let text = part.get("text").and_then(Value::as_str).or(refusal);
                    self.text(text.map(str::to_owned), out);
                }
            }
            "reasoning" if !self.thought => {
                for list in ["summary", "content"] {
                    for part in item.get(list).and_then(Value::as_array).into_iter().flatten() {
                        self.parted = self.any_thought;
                        self.thinking(part.get("text").and_then(Value::as_str).map(str::to_owned), out);
                    }
                }
            }
            "function_call" => {
                let (id, name) = (text("call_id"), text("name"));
                let arguments = item.get("arguments").cloned().unwrap_or_default();
                let call = if id.is_empty() { ToolCall::new(name, arguments) } else { ToolCall::with_id(id, name, arguments) };
                (self.called, self.begun) = (true, true);
                out.push_back(Event::ToolCall(call));
            }
            _ => {}
        }
        (self.texted, self.thought) = (false, false);
        if self.items.len() < MAX_ITEMS {
            self.items.push(item);
        }
    }

    fn complete(&mut self, mut response: ResponseBody, kind: &str, out: &mut VecDeque<Event>) -> Result<(), Fault> {
        self.head(&mut response, out);
        let status = response.status.as_deref().unwrap_or(kind.trim_start_matches("response."));
        if let Some(error) = response.error.take().filter(|error| !error.is_null() && status != "completed") {
            return Err(refused(Some(error), "the response failed"));
        }
        if status == "failed" {
            return Err(refused(None, "the response failed"));
        }
        // A server that streams no items has them all here.
        if self.items.is_empty() {
            response.output.unwrap_or_default().into_iter().for_each(|item| self.item(item, out));
        }
        let usage = response.usage.map(|figures| figures.usage());
        out.extend(usage.filter(|usage| *usage != mellea_core::Usage::default()).map(Event::Usage));
        let why = response.incomplete_details.and_then(|details| details.reason);
        self.finish = Some(match status {
            _ if self.refused => FinishReason::ContentFilter,
            "completed" | "" => finish_reason(None, self.called),
            "incomplete" => finish_reason(Some(why.as_deref().unwrap_or("incomplete")), self.called),
            other => FinishReason::Other(other.to_owned()),
        });
        Ok(())
    }

    /// Ends the answer: gives what the service wants back with calls, and the finish.
    ///
    /// # Errors
    /// [`Fault::Cut`] if the answer is not complete.
    pub fn end(&mut self, out: &mut VecDeque<Event>) -> Result<(), Fault> {
        let finish = self.finish.take().ok_or(Fault::Cut)?;
        if self.called {
            out.push_back(Event::Replay(json!({ "openai_responses": std::mem::take(&mut self.items) })));
        }
        out.push_back(Event::Finish(finish));
        Ok(())
    }
}

fn refused(error: Option<Value>, otherwise: &str) -> Fault {
    let error = error.filter(|error| !error.is_null()).unwrap_or_else(|| json!({ "message": otherwise }));
    Fault::Refused(json!({ "error": error }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_without_a_word_is_none() {
        let (mut decoder, mut out) = (ResponsesDecoder::new(), VecDeque::new());
        let body = json!({"status": "completed", "output": [{"type": "message", "content": [{"text": "Hi", "refusal": ""}]}]});
        decoder.whole(serde_json::from_value(body).unwrap(), &mut out).unwrap();
        decoder.end(&mut out).unwrap();
        assert_eq!(out, [Event::Text("Hi".into()), Event::Finish(FinishReason::Stop)]);
    }
}

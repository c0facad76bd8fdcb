//! The Responses API, whole or streamed: its types, and what each event means.

use std::collections::BTreeMap;

use mellea_core::ToolCall;
use mellea_http::SseEvent;
use mellea_wire::json::maybe;
use mellea_wire::{Answer, Decoder, Fault, objects};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::UsageFigures;

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
    /// Which item this belongs to, by its id and by its place.
    #[serde(deserialize_with = "maybe")]
    pub item_id: Option<String>,
    /// The same by its place.
    #[serde(deserialize_with = "maybe")]
    pub output_index: Option<u64>,
    /// The arguments of a call, all of them.
    #[serde(deserialize_with = "maybe")]
    pub arguments: Option<Value>,
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

/// Reads a response, whole or streamed.
///
/// It reads texts, refusals, reasoning and its summary, function calls, the end, and errors; events of other kinds are
/// left out. What the service wants back with calls is in [`Event::Replay`](mellea_core::Event::Replay) as
/// `{"openai_responses": [items]}`.
///
/// ```
/// use mellea_core::{Event, FinishReason};
/// use mellea_http::SseEvent;
/// use mellea_openai::wire::ResponsesDecoder;
/// use mellea_wire::{Fault, Reader, Rules};
///
/// let mut reader = Reader::new(ResponsesDecoder::default(), Rules::new());
/// for data in [
///     r#"{"type": "response.output_text.delta", "delta": "Hello"}"#,
///     r#"{"type": "response.completed", "response": {"status": "completed"}}"#,
/// ] {
///     let event = SseEvent { data: data.to_owned(), ..SseEvent::default() };
///     reader.frame(event, false)?;
/// }
/// let events: Vec<Event> = std::iter::from_fn(|| reader.pop()).collect();
/// assert_eq!(events, [Event::Text("Hello".into()), Event::Finish(FinishReason::Stop)]);
/// # Ok::<(), Fault>(())
/// ```
#[derive(Debug, Default)]
pub struct ResponsesDecoder {
    items: Vec<Item>,
    /// The arguments of calls that came apart from their items, by the item's id or place.
    arguments: BTreeMap<String, String>,
    /// Text, and reasoning, of the current item has arrived in pieces.
    texted: bool,
    thought: bool,
    /// Another part of the reasoning begins.
    parted: bool,
    any_thought: bool,
}

/// An item that is complete, and where it stands.
#[derive(Debug)]
struct Item {
    value: Value,
    place: Option<u64>,
}

impl Decoder for ResponsesDecoder {
    type Frame = SseEvent;

    fn frame(&mut self, frame: SseEvent, answer: &mut Answer) -> Result<(), Fault> {
        let data = frame.data.trim();
        match data {
            "" => return Ok(()),
            "[DONE]" => {
                answer.end();
                return Ok(());
            }
            _ => {}
        }
        let mut spare = String::new();
        let event: ResponsesEvent = match answer.read(data, &mut spare) {
            Ok(event) => event,
            Err(_) if frame.name == "error" => return Err(Fault::of_error_event(data)),
            Err(fault) => return Err(fault),
        };
        self.event(event, &frame.name, data, answer)
    }

    fn whole(&mut self, body: &[u8], answer: &mut Answer) -> Result<(), Fault> {
        let value: Value = answer.read_body(body, &mut String::new())?;
        let completed = value.get("status").and_then(Value::as_str) == Some("completed");
        if let Some(error) = mellea_wire::error_in(&value, &["output"]).filter(|_| !completed) {
            return Err(Fault::Refused(error));
        }
        let response: ResponseBody = serde_json::from_value(value).map_err(|error| Fault::malformed("", error.to_string()))?;
        if response.output.is_none() {
            return Err(Fault::malformed("output", "there is no answer"));
        }
        self.complete(response, "", answer)
    }

    fn size(frame: &SseEvent) -> usize {
        frame.data.len()
    }

    fn conclude(&mut self, _: Map<String, Value>, answer: &mut Answer) {
        let mut called = false;
        for Item { value, .. } in &mut self.items {
            if value.get("type").and_then(Value::as_str) != Some("function_call") {
                continue;
            }
            called = true;
            let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let arguments = value.get("arguments").cloned().unwrap_or_default();
            let id = answer.complete_call(ToolCall::with_id(text("call_id"), text("name"), arguments));
            if let Some(fields) = value.as_object_mut() {
                fields.insert("call_id".to_owned(), id.into());
            }
        }
        if called {
            let items: Vec<Value> = std::mem::take(&mut self.items).into_iter().map(|item| item.value).collect();
            answer.replay(json!({ "openai_responses": items }));
        }
    }
}

impl ResponsesDecoder {
    fn event(&mut self, event: ResponsesEvent, name: &str, data: &str, answer: &mut Answer) -> Result<(), Fault> {
        let kind = event.kind.as_deref().unwrap_or(name);
        match kind {
            "response.output_text.delta" => {
                let text = event.delta.unwrap_or_default();
                self.texted |= !text.is_empty();
                answer.text(text);
            }
            "response.refusal.delta" => {
                let text = event.delta.unwrap_or_default();
                self.texted |= !text.is_empty();
                answer.refusal(text);
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => self.think(event.delta, answer),
            "response.reasoning_summary_part.added" => self.parted = self.any_thought,
            "response.function_call_arguments.delta" => {
                if let Some(key) = key(event.item_id.as_deref(), event.output_index).filter(|_| self.has_room()) {
                    self.arguments.entry(key).or_default().push_str(&event.delta.unwrap_or_default());
                }
            }
            "response.function_call_arguments.done" => {
                let whole = event.arguments.map(|arguments| as_text(&arguments)).filter(|text| says_something(text));
                let key = key(event.item_id.as_deref(), event.output_index).filter(|_| self.has_room());
                if let (Some(key), Some(whole)) = (key, whole) {
                    self.arguments.insert(key, whole);
                }
            }
            "response.output_item.done" => {
                if let Some(item) = event.item {
                    self.item(item, event.output_index, answer);
                }
            }
            "response.failed" => {
                let error = event.response.and_then(|response| response.error).or(event.error);
                return Err(refused(error, "the response failed"));
            }
            "error" => return Err(Fault::of_error_event(data)),
            "response.completed" | "response.incomplete" | "response.cancelled" => {
                let response = event.response.unwrap_or_default();
                return self.complete(response, kind, answer);
            }
            _ => {
                if let Some(error) = event.error.filter(|error| !error.is_null()) {
                    return Err(refused(Some(error), "the stream failed"));
                }
                match event.response {
                    Some(response) => head(response, answer),
                    None if event.kind.is_none() => {
                        let bare = serde_json::from_str(data).ok().and_then(|value| mellea_wire::error_in(&value, &["output"]));
                        return bare.map_or(Ok(()), |error| Err(Fault::Refused(error)));
                    }
                    None => {}
                }
            }
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.arguments.len() < MAX_ITEMS
    }

    fn think(&mut self, text: Option<String>, answer: &mut Answer) {
        if let Some(mut text) = text.filter(|text| !text.is_empty()) {
            if std::mem::take(&mut self.parted) {
                text.insert_str(0, "\n\n");
            }
            (self.thought, self.any_thought) = (true, true);
            answer.thinking(text);
        }
    }

    /// Takes an item that is complete.
    fn item(&mut self, item: Value, place: Option<u64>, answer: &mut Answer) {
        let parts = |name: &str| item.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        match item.get("type").and_then(Value::as_str).unwrap_or_default() {
            "message" if !self.texted => {
                for part in parts("content") {
                    match part.get("text") {
                        Some(Value::String(text)) => answer.text(text.as_str()),
                        Some(Value::Number(number)) => answer.text(number.to_string()),
                        _ => {}
                    }
                    if let Some(text) = part.get("refusal").and_then(Value::as_str) {
                        answer.refusal(text);
                    }
                }
            }
            "reasoning" if !self.thought => {
                for part in parts("summary").into_iter().chain(parts("content")) {
                    self.parted = self.any_thought;
                    self.think(part.get("text").and_then(Value::as_str).map(str::to_owned), answer);
                }
            }
            _ => {}
        }
        (self.texted, self.thought) = (false, false);
        if self.items.len() < MAX_ITEMS {
            self.items.push(Item { value: item, place });
        }
    }

    fn complete(&mut self, response: ResponseBody, kind: &str, answer: &mut Answer) -> Result<(), Fault> {
        let ResponseBody { id, model, status, output, usage, incomplete_details, error } = response;
        head(ResponseBody { id, model, ..ResponseBody::default() }, answer);
        let status = status.as_deref().unwrap_or(kind.trim_start_matches("response."));
        if let Some(error) = error.filter(|error| !error.is_null() && status != "completed") {
            return Err(refused(Some(error), "the response failed"));
        }
        if status == "failed" {
            return Err(refused(None, "the response failed"));
        }
        // A server that streams no items has them all here.
        let output = output.unwrap_or_default();
        if self.items.is_empty() {
            output.iter().cloned().for_each(|item| self.item(item, None, answer));
        }
        self.fill_arguments(&output);
        if let Some(usage) = usage {
            answer.usage(usage.usage());
        }
        let why = incomplete_details.and_then(|details| details.reason);
        answer.finish(match status {
            "incomplete" => why.as_deref().unwrap_or("incomplete"),
            "" => "completed",
            other => other,
        })?;
        answer.end();
        Ok(())
    }

    /// Gives calls the arguments that came apart from them, or only with the whole response.
    fn fill_arguments(&mut self, output: &[Value]) {
        for (number, Item { value, place }) in self.items.iter_mut().enumerate() {
            let Some(fields) =
                value.as_object_mut().filter(|fields| fields.contains_key("call_id") || fields.contains_key("name"))
            else {
                continue;
            };
            if fields.get("arguments").is_some_and(|arguments| says_something(&as_text(arguments))) {
                continue;
            }
            let place = place.or(u64::try_from(number).ok());
            let by_id = fields.get("id").and_then(Value::as_str).and_then(|id| self.arguments.get(&key(Some(id), None)?));
            let apart = by_id.or_else(|| self.arguments.get(&key(None, place)?)).cloned();
            let same = |other: &&Value| other.get("call_id").is_some() && other.get("call_id") == fields.get("call_id");
            let whole = output.iter().find(same).and_then(|other| other.get("arguments")).map(as_text);
            let found = apart.filter(|text| says_something(text)).or(whole).filter(|text| says_something(text));
            if let Some(arguments) = found {
                fields.insert("arguments".to_owned(), arguments.into());
            }
        }
    }
}

/// The name of an item: its id, or its place.
fn key(id: Option<&str>, place: Option<u64>) -> Option<String> {
    id.filter(|id| !id.is_empty()).map(str::to_owned).or_else(|| place.map(|place| format!("#{place}")))
}

fn as_text(arguments: &Value) -> String {
    match arguments {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn says_something(arguments: &str) -> bool {
    !matches!(arguments.trim(), "" | "{}")
}

fn head(response: ResponseBody, answer: &mut Answer) {
    response.id.into_iter().for_each(|id| answer.id(id));
    response.model.into_iter().for_each(|model| answer.model(model));
}

fn refused(error: Option<Value>, otherwise: &str) -> Fault {
    let error = error.filter(|error| !error.is_null()).unwrap_or_else(|| json!({ "message": otherwise }));
    Fault::Refused(json!({ "error": error }))
}

//! Messages of a conversation in the form of chat completions.

use mellea_core::{ChatRequest, Content, Error, ErrorKind, Format, Message, Result, Role};
use mellea_wire::{leading_system, short_id};
use serde_json::{Map, Value, json};

use super::Means;
use crate::dialect::{CallIds, ContentForm, Dialect, SystemRole};
use crate::wire::{EXTRA_CONTENT, REASONING, REASONING_DETAILS, WIRE};

/// All messages, with a hint of the schema where the server enforces JSON only.
pub(super) fn all(dialect: &Dialect, request: &ChatRequest, means: Means) -> Result<Vec<Value>> {
    if request.messages.is_empty() {
        return Err(ErrorKind::EmptyPrompt.into());
    }
    let mut messages = Vec::with_capacity(request.messages.len() + 1);
    let (system, count) = leading_system(&request.messages);
    if let Some(system) = system {
        let content = match dialect.content {
            ContentForm::Parts => json!([{ "type": "text", "text": system }]),
            _ => system.into(),
        };
        messages.push(json!({ "role": system_role(dialect), "content": content }));
    }
    for message in request.messages.iter().skip(count) {
        messages.push(one(dialect, message)?);
    }
    if let Some(Format::JsonSchema(schema)) = request.format.as_ref().filter(|_| means == Means::Message) {
        // The word JSON has to be there: services refuse to enforce it otherwise.
        let hint = format!("Answer with JSON of this type and with nothing else:\n{}", schema.hint());
        let role = system_role(dialect);
        let is_system = |m: &&Value| m.get("role").and_then(Value::as_str) == Some(role);
        let after_system = if role == "user" { 0 } else { messages.iter().take_while(is_system).count() };
        messages.insert(after_system, json!({ "role": system_role(dialect), "content": hint }));
    }
    Ok(messages)
}

fn system_role(dialect: &Dialect) -> &'static str {
    match dialect.system_role {
        SystemRole::System => "system",
        SystemRole::Developer => "developer",
        SystemRole::User => "user",
    }
}

fn one(dialect: &Dialect, message: &Message) -> Result<Value> {
    let mut out = Map::new();
    let role = if message.role == Role::System { system_role(dialect) } else { message.role.as_str() };
    out.insert("role".to_owned(), role.into());
    let content = content(dialect, message)?;
    if message.role == Role::Assistant && !message.tool_calls.is_empty() {
        let empty = message.text().is_empty();
        out.insert("content".to_owned(), if empty { Value::Null } else { content });
        let extra = given(dialect, message, EXTRA_CONTENT);
        let extra_of = |id: &str| extra.and_then(|extra| extra.get(id));
        let calls: Vec<Value> = message.tool_calls.iter().map(|call| tool_call(dialect, call, extra_of(&call.id))).collect();
        if let Some((field, thinking)) = reasoning(dialect, message) {
            out.insert(field.to_owned(), thinking.into());
        }
        if let Some(details) = given(dialect, message, REASONING_DETAILS).filter(|_| dialect.reasoning_details) {
            out.insert("reasoning_details".to_owned(), details.clone());
        }
        out.insert("tool_calls".to_owned(), calls.into());
    } else {
        out.insert("content".to_owned(), content);
    }
    if message.role == Role::Tool {
        out.insert("tool_call_id".to_owned(), wire_id(dialect, message.tool_call_id.as_deref().unwrap_or_default()).into());
    }
    Ok(Value::Object(out))
}

/// What the server gave with a turn and wants back.
fn given<'a>(dialect: &Dialect, message: &'a Message, name: &str) -> Option<&'a Value> {
    if dialect.reasoning_field.is_empty() {
        return None;
    }
    message.replay.as_ref()?.get(WIRE)?.get(name)
}

/// The reasoning that goes back with a turn, and in which field: the one that the server used.
fn reasoning<'a>(dialect: &Dialect, message: &'a Message) -> Option<(&'a str, &'a str)> {
    let thinking = message.thinking.as_deref().filter(|text| !text.is_empty() && !dialect.reasoning_field.is_empty())?;
    // Nothing but the two known fields is taken from the conversation.
    let used = given(dialect, message, REASONING).and_then(Value::as_str);
    let used = used.filter(|field| ["reasoning", "reasoning_content"].contains(field));
    Some((used.unwrap_or(dialect.reasoning_field), thinking))
}

/// An id of a call as the service takes it.
fn wire_id(dialect: &Dialect, id: &str) -> String {
    let fits = match dialect.call_ids {
        CallIds::Any => id.len() <= 256,
        CallIds::Short => id.len() <= 40,
        CallIds::Nine => id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()),
    };
    if fits { id.to_owned() } else { short_id(id, 9) }
}

fn tool_call(dialect: &Dialect, call: &mellea_core::ToolCall, extra: Option<&Value>) -> Value {
    let mut out = json!({
        "id": wire_id(dialect, &call.id),
        "type": "function",
        "function": { "name": call.name, "arguments": arguments(&call.arguments) },
    });
    if let (Value::Object(fields), Some(extra)) = (&mut out, extra) {
        fields.insert("extra_content".to_owned(), extra.clone());
    }
    out
}

/// Arguments as the text of JSON. If the model did not write an object, what it wrote is wrapped: servers that read their history
/// would otherwise refuse the conversation each time.
pub(crate) fn arguments(arguments: &Value) -> String {
    match arguments {
        Value::Object(_) => arguments.to_string(),
        other => json!({ "arguments": other }).to_string(),
    }
}

fn content(dialect: &Dialect, message: &Message) -> Result<Value> {
    let only_text = message.content.iter().all(|block| matches!(block, Content::Text(_)));
    let marked = dialect.cache_control && message.content.iter().any(is_cached);
    let parts = match dialect.content {
        ContentForm::Auto => !only_text || marked,
        ContentForm::Text => false,
        ContentForm::Parts => message.role != Role::Tool,
    };
    if !only_text && message.role != Role::User {
        return Err(invalid("content", format!("a message of the role `{}` can have text only", message.role.as_str())));
    }
    if !parts {
        if !only_text {
            return Err(invalid("content", format!("{} takes text only", dialect.name)));
        }
        return Ok(message.text().into());
    }
    let parts: Result<Vec<Value>> = message.content.iter().map(|block| part(dialect, block)).collect();
    Ok(Value::Array(parts?))
}

fn is_cached(content: &Content) -> bool {
    matches!(content, Content::Text(block) if block.cache)
}

fn part(dialect: &Dialect, block: &Content) -> Result<Value> {
    match block {
        Content::Text(text) if text.cache && dialect.cache_control => {
            Ok(json!({ "type": "text", "text": text.text, "cache_control": { "type": "ephemeral" } }))
        }
        Content::Text(text) => Ok(json!({ "type": "text", "text": text.text })),
        Content::Image(image) => Ok(json!({ "type": "image_url", "image_url": { "url": image_url(dialect, image)? } })),
        Content::Audio(audio) => {
            let data = audio_data(dialect, audio)?;
            Ok(json!({ "type": "input_audio", "input_audio": { "data": data, "format": audio.format() } }))
        }
        _ => Err(invalid("content", format!("{} does not take this kind of content", dialect.name))),
    }
}

/// An image as an address: its own, or a data URI.
pub(crate) fn image_url(dialect: &Dialect, image: &mellea_core::Image) -> Result<String> {
    if !dialect.images {
        return Err(invalid("image", format!("{} reads no images", dialect.name)));
    }
    match (image.data_uri(), image.url()) {
        (Some(data), _) => Ok(data),
        (None, Some(url)) if dialect.image_urls => Ok(url.to_owned()),
        _ => {
            let error = invalid("image", format!("{} fetches no images", dialect.name));
            Err(error.with_hint("give the image itself: `Image::from_file` or `Image::from_bytes`"))
        }
    }
}

/// The base64 of a piece of audio.
fn audio_data<'a>(dialect: &Dialect, audio: &'a mellea_core::Audio) -> Result<&'a str> {
    if !dialect.audio {
        return Err(invalid("audio", format!("{} hears no audio", dialect.name)));
    }
    audio.base64().ok_or_else(|| {
        invalid("audio", "audio cannot be given by its address here").with_hint("give the audio itself: `Audio::from_bytes`")
    })
}

fn invalid(what: &'static str, reason: impl Into<String>) -> Error {
    ErrorKind::InvalidContent { what, reason: reason.into() }.into()
}

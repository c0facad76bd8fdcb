//! The body of the Responses API.

use mellea_core::{ChatRequest, Content, Error, ErrorKind, Format, Message, ModelOption, Result, Role};
use mellea_http::CallOptions;
use serde_json::{Map, Value, json};

use super::messages::{arguments, image_url};
use super::{Fields, Means, Prepared, Target, check_extra, schema};
use crate::learned::Learned;

/// The whole call for a chat.
pub(crate) fn chat(target: &Target<'_>, request: &ChatRequest) -> Result<Prepared> {
    let mut prepared = settings(target, request)?;
    let mut body = Map::new();
    body.insert("model".to_owned(), target.model.into());
    let system = request.messages.iter().take_while(|message| message.role == Role::System).count();
    if request.messages.is_empty() {
        return Err(ErrorKind::EmptyPrompt.into());
    }
    if system > 0 {
        let texts: Vec<_> = request.messages.iter().take(system).map(Message::text).collect();
        body.insert("instructions".to_owned(), texts.join("\n\n").into());
    }
    let mut input = Vec::new();
    for message in request.messages.iter().skip(system) {
        items(target, message, &mut input)?;
    }
    body.insert("input".to_owned(), Value::Array(input));
    body.append(&mut prepared.body);
    prepared.call.merge_into(&mut body);
    prepared.body = body;
    Ok(prepared)
}

/// All of the call but its input.
pub(crate) fn settings(target: &Target<'_>, request: &ChatRequest) -> Result<Prepared> {
    let options = &request.options;
    let mut extra = options.extra.clone();
    let call = CallOptions::take(options, &mut extra)?;
    check_extra(&extra)?;
    let mut fields = Fields::new(&target.dialect, target.learned);
    tools(&mut fields, request, &mut extra);
    if let Some(format) = &request.format {
        text_format(&mut fields, target, format);
    }
    if let Some(limit) = options.max_new_tokens {
        fields.set_option("max_output_tokens", limit, ModelOption::MaxNewTokens);
    }
    if let Some(temperature) = options.temperature {
        let max = target.dialect.max_temperature.unwrap_or(f64::INFINITY);
        if temperature > max {
            fields.warn(format!("the temperature was lowered from {temperature} to {max}"));
        }
        fields.set_option("temperature", temperature.min(max), ModelOption::Temperature);
    }
    if let Some(thinking) = options.thinking {
        let effort = target.learned.effort(super::effort(thinking));
        fields.set("reasoning", json!({ "effort": effort }));
    }
    for (asked, option) in [
        (options.seed.is_some(), ModelOption::Seed),
        (!options.stop_sequences.is_empty(), ModelOption::StopSequences),
        (options.context_window.is_some(), ModelOption::ContextWindow),
        (options.logits, ModelOption::Logits),
        (options.raw_logits, ModelOption::RawLogits),
    ] {
        if asked {
            fields.unsupported(option);
        }
    }
    // Nothing is kept by the service: the conversation is here, its reasoning encrypted.
    fields.set("store", false);
    if !target.learned.has(Learned::NO_ENCRYPTED_REASONING) {
        fields.set("include", json!(["reasoning.encrypted_content"]));
    }
    if options.stream {
        fields.set("stream", true);
    }
    for (name, value) in target.extra_body {
        fields.set(name, value.clone());
    }
    for (name, value) in extra {
        fields.set_native(name, value);
    }
    let (body, warnings) = fields.finish();
    Ok(Prepared { body, call, warnings, streamed: options.stream, means: Means::Field })
}

fn tools(fields: &mut Fields<'_>, request: &ChatRequest, extra: &mut Map<String, Value>) {
    let function = |tool: &mellea_core::ToolSpec| {
        json!({
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
            // The default would be strict, which most schemas of arguments are not.
            "strict": false,
        })
    };
    let mut tools: Vec<Value> = request.tools.iter().map(function).collect();
    match extra.shift_remove("tools") {
        Some(Value::Array(own)) => tools.extend(own),
        Some(other) if !other.is_null() => fields.warn("`tools` must be a list; it was left out"),
        _ => {}
    }
    let choice = request.options.tool_choice.as_ref();
    if tools.is_empty() {
        if choice.is_some() {
            fields.warn("`tool_choice` without tools means nothing; it was left out");
        }
        return;
    }
    fields.set("tools", tools);
    if let Some(choice) = choice {
        let choice = match choice {
            mellea_core::ToolChoice::Tool(name) => json!({ "type": "function", "name": name }),
            other => super::tool_choice(other),
        };
        fields.set_option("tool_choice", choice, ModelOption::ToolChoice);
    }
}

fn text_format(fields: &mut Fields<'_>, target: &Target<'_>, format: &Format) {
    let Format::JsonSchema(schema) = format else {
        fields.unconstrained("the Responses API enforces JSON schemas only");
        return;
    };
    if target.learned.has(Learned::NO_SCHEMA) {
        fields.unconstrained("the model takes no schema");
        return;
    }
    let (form, strict) = schema::strict(schema, target.learned, |reason| fields.unconstrained(reason));
    fields.set("text", json!({ "format": { "type": "json_schema", "name": schema.name(), "schema": form, "strict": strict } }));
}

/// A message as the items that it turns into.
fn items(target: &Target<'_>, message: &Message, input: &mut Vec<Value>) -> Result<()> {
    match message.role {
        Role::Tool => {
            let id = message.tool_call_id.as_deref().unwrap_or_default();
            input.push(json!({ "type": "function_call_output", "call_id": id, "output": message.text() }));
        }
        Role::Assistant => {
            if let Some(items) = replayed(message) {
                input.extend(items);
                return Ok(());
            }
            let text = message.text();
            if !text.is_empty() || message.tool_calls.is_empty() {
                input.push(json!({ "type": "message", "role": "assistant", "content": text }));
            }
            for call in &message.tool_calls {
                let arguments = arguments(&call.arguments);
                input.push(json!({ "type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments }));
            }
        }
        Role::System | Role::User => {
            let role = if message.role == Role::System { "developer" } else { "user" };
            let parts: Result<Vec<Value>> = message.content.iter().map(|block| part(target, message, block)).collect();
            input.push(json!({ "type": "message", "role": role, "content": parts? }));
        }
    }
    Ok(())
}

/// The items that the service gave with this turn, if they still make exactly the same calls.
fn replayed(message: &Message) -> Option<impl Iterator<Item = Value>> {
    let items = message.replay.as_ref()?.get("openai_responses")?.as_array()?;
    let called = items.iter().filter(|item| item.get("type").is_some_and(|kind| kind == "function_call"));
    let same = called.map(|item| item.get("call_id").and_then(Value::as_str)).eq(message.tool_calls.iter().map(|c| Some(&*c.id)));
    let known = |item: &&Value| {
        let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
        // Without its encrypted form, reasoning is known to the service only, which kept none.
        matches!(kind, "message" | "function_call")
            || (kind == "reasoning" && item.get("encrypted_content").is_some_and(Value::is_string))
    };
    let without_nulls = |item: &Value| match item {
        Value::Object(fields) => {
            let set = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(set.map(|(name, value)| (name.clone(), value.clone())).collect())
        }
        other => other.clone(),
    };
    same.then(|| items.iter().filter(known).map(without_nulls).collect::<Vec<_>>().into_iter())
}

fn part(target: &Target<'_>, message: &Message, block: &Content) -> Result<Value> {
    match block {
        Content::Text(text) => Ok(json!({ "type": "input_text", "text": text.text })),
        _ if message.role != Role::User => {
            let reason = format!("a message of the role `{}` can have text only", message.role.as_str());
            Err(Error::from(ErrorKind::InvalidContent { what: "content", reason }))
        }
        Content::Image(image) => {
            Ok(json!({ "type": "input_image", "detail": "auto", "image_url": image_url(&target.dialect, image)? }))
        }
        _ => {
            let reason = "the Responses API takes text and images only".to_owned();
            Err(Error::from(ErrorKind::InvalidContent { what: "content", reason }))
        }
    }
}

//! From the core's requests to the bodies that the service takes.

use mellea_core::{ChatRequest, Content, Error, Format, Message, RawRequest, RequestOptions, Result, Role, ToolCall, ToolChoice};
use serde_json::{Map, Value, json};

use crate::options::{self, OWN, RAW_TOP};
use crate::scope::Scope;

/// The body of a chat; `extra` is what is left of the request's own options.
pub(crate) fn chat(request: &ChatRequest, extra: Map<String, Value>, model: &str, scope: &Scope) -> Result<Map<String, Value>> {
    let (system, count) = mellea_wire::leading_system(&request.messages);
    let system = system.map(|text| Ok(json!({ "role": "system", "content": text })));
    let messages = system.into_iter().chain(request.messages.iter().skip(count).map(message));
    let messages: Vec<Value> = messages.collect::<Result<_>>()?;
    let mut body = Map::new();
    scope.write(model, &mut body);
    body.insert("messages".to_owned(), messages.into());
    let set = &request.options;
    put(&mut body, "max_completion_tokens", set.max_new_tokens);
    put(&mut body, "temperature", set.temperature);
    put(&mut body, "seed", set.seed);
    if !set.stop_sequences.is_empty() {
        body.insert("stop".to_owned(), set.stop_sequences.clone().into());
    }
    if !request.tools.is_empty() {
        let tools: Vec<Value> = request.tools.iter().map(mellea_core::ToolSpec::to_openai).collect();
        body.insert("tools".to_owned(), tools.into());
        let (name, choice) = match &set.tool_choice {
            Some(ToolChoice::None) => ("tool_choice_option", "none".into()),
            Some(ToolChoice::Required) => ("tool_choice_option", "required".into()),
            Some(ToolChoice::Tool(tool)) => ("tool_choice", json!({ "type": "function", "function": { "name": tool } })),
            _ => ("tool_choice_option", "auto".into()),
        };
        body.insert(name.to_owned(), choice);
    }
    if let Some(format) = request.format.as_ref().filter(|_| !options::has(set, "response_format")) {
        let (name, value) = form(format)?;
        body.insert(name.to_owned(), value);
    }
    body.extend(extra.into_iter().filter(|(name, value)| !value.is_null() && !OWN.contains(&name.as_str())));
    Ok(body)
}

/// The body of a generation.
pub(crate) fn raw(request: &RawRequest, extra: Map<String, Value>, model: &str, scope: &Scope) -> Map<String, Value> {
    let mut body = Map::new();
    scope.write(model, &mut body);
    body.insert("input".to_owned(), request.prompt.as_str().into());
    let mut parameters = parameters(&request.options);
    for (name, value) in extra {
        if value.is_null() || OWN.contains(&name.as_str()) {
            continue;
        }
        let place = if RAW_TOP.contains(&name.as_str()) { &mut body } else { &mut parameters };
        place.insert(name, value);
    }
    if !parameters.is_empty() {
        body.insert("parameters".to_owned(), parameters.into());
    }
    body
}

fn parameters(set: &RequestOptions) -> Map<String, Value> {
    let mut parameters = Map::new();
    // The service is greedy unless told otherwise, and then takes no notice of a temperature.
    match set.temperature {
        Some(temperature) if temperature > 0.0 => {
            parameters.insert("decoding_method".to_owned(), "sample".into());
            parameters.insert("temperature".to_owned(), temperature.into());
        }
        Some(_) => {
            parameters.insert("decoding_method".to_owned(), "greedy".into());
        }
        None => {}
    }
    put(&mut parameters, "max_new_tokens", set.max_new_tokens);
    put(&mut parameters, "random_seed", set.seed);
    if !set.stop_sequences.is_empty() {
        parameters.insert("stop_sequences".to_owned(), set.stop_sequences.clone().into());
        // Otherwise the text ends with the sequence.
        parameters.insert("include_stop_sequence".to_owned(), false.into());
    }
    parameters
}

fn put(body: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), value.into());
    }
}

/// The field that asks for a form of answer.
fn form(format: &Format) -> Result<(&'static str, Value)> {
    match format {
        Format::JsonSchema(schema) => {
            let (strict, schema_json) = match schema.strict() {
                Ok(strict) => (true, strict.schema.clone()),
                Err(_) => (false, schema.plain().clone()),
            };
            let schema = json!({ "name": schema.name(), "strict": strict, "schema": schema_json });
            Ok(("response_format", json!({ "type": "json_schema", "json_schema": schema })))
        }
        Format::Regex(pattern) => Ok(("guided_regex", pattern.as_str().into())),
        other => Err(Error::unsupported("format", "watsonx", format!("watsonx.ai has no way to ask for {other:?}"))),
    }
}

fn message(message: &Message) -> Result<Value> {
    if let Some(media) = message.content.iter().find(|content| content.as_text().is_none()) {
        return Err(refused(media));
    }
    let mut out = Map::new();
    out.insert("role".to_owned(), message.role.as_str().into());
    let text = message.text();
    // An assistant that calls tools may say nothing; all others have to.
    if !text.is_empty() || message.tool_calls.is_empty() {
        out.insert("content".to_owned(), text.into());
    }
    match message.role {
        Role::Assistant if !message.tool_calls.is_empty() => {
            put(&mut out, "reasoning_content", message.thinking.as_deref());
            let calls: Vec<Value> = message.tool_calls.iter().map(call).collect();
            out.insert("tool_calls".to_owned(), calls.into());
        }
        Role::Tool => put(&mut out, "tool_call_id", message.tool_call_id.as_deref().filter(|id| !id.is_empty())),
        Role::Assistant | Role::System | Role::User => {}
    }
    Ok(out.into())
}

fn call(call: &ToolCall) -> Value {
    let arguments = match &call.arguments {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    json!({ "id": call.id, "type": "function", "function": { "name": call.name, "arguments": arguments } })
}

fn refused(media: &Content) -> Error {
    let what = match media {
        Content::Image(_) => "images",
        Content::Audio(_) => "audio",
        _ => "this kind of content",
    };
    let error = Error::unsupported(what, "watsonx", format!("{what} cannot be sent to watsonx.ai by this backend"));
    error.with_hint("leave it out, or use a backend that takes it, such as OpenAI's or Ollama's")
}

//! A request as it goes over the wire.

use mellea_core::schema::Dialect;
use mellea_core::{ChatRequest, Content, Error, Format, Message, RawRequest, RequestOptions, Result, ToolSpec};
use mellea_http::{CallOptions, Client, Request};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::backend::Settings;
use crate::builder::Truncation;
use crate::estimate::{self, PromptCheck};
use crate::options;

/// A request that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) request: Request,
    pub(crate) call: CallOptions,
    pub(crate) check: PromptCheck,
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<Turn<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<bool>,
    /// The server notices that a client has left only when it writes, so it always streams.
    stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    think: Option<Value>,
    options: Map<String, Value>,
    #[serde(flatten)]
    top: Map<String, Value>,
}

#[derive(Default, Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: std::borrow::Cow<'a, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    function: &'a ToolSpec,
}

/// The body of a chat.
pub(crate) fn chat(client: &Client, settings: &Settings, request: &ChatRequest, dialect: Dialect) -> Result<Prepared> {
    let tools = match &request.format {
        None => request.tools.as_slice(),
        Some(_) => &[],
    };
    let tools = if options::sends_tools(request) { tools } else { &[] };
    let (system, count) = mellea_wire::leading_system(&request.messages);
    let system = system.map(|text| Ok(Turn { role: "system", content: text.into(), ..Turn::default() }));
    let messages = system.into_iter().chain(request.messages.iter().skip(count).map(turn)).collect::<Result<_>>()?;
    let at_least = estimate::of_chat(&request.messages, tools);
    let tools = tools.iter().map(|function| Tool { r#type: "function", function }).collect();
    let form = request.format.as_ref().map(|format| (format, dialect));
    let post = client.post("api/chat");
    finish(post, settings, &request.options, form, at_least, |body| Body { messages: Some(messages), tools, ..body })
}

/// The body of a raw completion.
pub(crate) fn raw(client: &Client, settings: &Settings, request: &RawRequest, dialect: Dialect) -> Result<Prepared> {
    let at_least = estimate::at_least(&request.prompt);
    let form = request.format.as_ref().map(|format| (format, dialect));
    let post = client.post("api/generate");
    let fill = |body| Body { prompt: Some(&request.prompt), raw: Some(true), ..body };
    finish(post, settings, &request.options, form, at_least, fill)
}

fn finish<'a>(
    post: Request,
    settings: &'a Settings,
    asked: &RequestOptions,
    format: Option<(&'a Format, Dialect)>,
    at_least: u64,
    fill: impl FnOnce(Body<'a>) -> Body<'a>,
) -> Result<Prepared> {
    let mut extra = asked.extra.clone();
    let call = CallOptions::take(asked, &mut extra)?;
    let mut top = options::top_level(&mut extra);
    let format = match format {
        Some((Format::JsonSchema(schema), dialect)) => Some(&schema.wire(dialect).schema),
        _ => None,
    };
    if format.is_some() {
        top.shift_remove("format");
    }
    if let Some(keep_alive) = &settings.keep_alive {
        top.entry("keep_alive").or_insert_with(|| keep_alive.clone());
    }
    if settings.truncation == Truncation::Refuse {
        top.entry("truncate").or_insert(Value::Bool(false));
    }
    // Whoever lets the server truncate wants an answer all the same.
    let policy = if top.get("truncate") == Some(&Value::Bool(true)) { Truncation::Warn } else { settings.truncation };
    let window = asked.context_window.or(settings.window);
    let body = fill(Body {
        model: &settings.model,
        messages: None,
        prompt: None,
        raw: None,
        stream: true,
        tools: Vec::new(),
        format,
        think: asked.thinking.map(options::think),
        options: options::native(asked, window, extra),
        top,
    });
    let post = post.model(&settings.model).options(call.clone());
    let request = if call.body.is_empty() {
        post.json(&body)?
    } else {
        let no_json = |e| Error::config("request", format!("the request is no JSON: {e}"));
        let mut body = serde_json::to_value(body).map_err(no_json)?;
        if let Value::Object(fields) = &mut body {
            call.merge_into(fields);
        }
        post.json(&body)?
    };
    Ok(Prepared { request, call, check: PromptCheck { at_least, window, policy } })
}

fn turn(message: &Message) -> Result<Turn<'_>> {
    let mut images = Vec::new();
    for content in &message.content {
        match content {
            Content::Text(_) => {}
            Content::Image(image) => {
                let address = || {
                    Error::unsupported("image addresses", "ollama", "ollama takes no image by its address")
                        .with_hint("nothing is fetched: give the image itself, with `Image::from_file` or `Image::from_bytes`")
                };
                images.push(image.base64().ok_or_else(address)?);
            }
            _ => return Err(Error::unsupported("audio", "ollama", "ollama takes no audio")),
        }
    }
    let calls = message.tool_calls.iter().enumerate();
    Ok(Turn {
        role: message.role.as_str(),
        content: message.text(),
        images,
        thinking: message.thinking.as_deref().filter(|t| !t.is_empty() && !message.tool_calls.is_empty()),
        tool_calls: calls
            .map(|(index, call)| {
                // The server takes nothing but objects.
                let arguments = match &call.arguments {
                    Value::Object(_) => call.arguments.clone(),
                    other => json!({ "arguments": other }),
                };
                json!({"id": call.id, "function": {"index": index, "name": call.name, "arguments": arguments}})
            })
            .collect(),
        tool_name: message.tool_name.as_deref(),
        tool_call_id: message.tool_call_id.as_deref(),
    })
}

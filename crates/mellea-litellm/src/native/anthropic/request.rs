//! Requests in the form of the Messages API.

use mellea_core::{ChatRequest, Content, Image, Message, Result, Role, ToolChoice};
use mellea_wire::JSON_TOOL;
use mellea_wire::json::object;
use serde_json::{Map, Value, json};

use super::super::backend::Plan;
use super::super::claude::{self, LIMITS};
use super::super::options::{self, JSON_TOOL_DESCRIPTION, Structured, cannot, overlay, put, set, unsupported};
use super::super::turns::{self, Turn};
use super::{Host, Messages};

/// The most places in a request that may be marked for the cache.
const MAX_MARKS: usize = 4;

/// The options, as fields of the body.
pub(super) fn plan(wire: &Messages, request: &ChatRequest, mut extra: Map<String, Value>) -> Result<Plan> {
    let (options, provider) = (&request.options, wire.provider.as_str());
    let facts = wire.facts();
    let mut plan = Plan::default();
    let warnings = &mut plan.warnings;
    let native = if facts.schemas { Ok(()) } else { Err(options::NO_SCHEMAS.to_owned()) };
    let form = options::structured(request, &mut extra, native, &LIMITS, provider, warnings)?;
    plan.json_tool = matches!(form, Structured::Tool(_));

    let body = &mut plan.body;
    match &wire.host {
        Host::Anthropic => put(body, "model", Some(wire.model.as_str())),
        #[cfg(feature = "vertex")]
        Host::Vertex(_) => put(body, "anthropic_version", Some(wire.version.as_str())),
    }
    let thinking = claude::thinking(facts, options, warnings);
    body.insert("max_tokens".to_owned(), thinking.max_tokens.into());
    let temperature = claude::temperature(options, facts, thinking.is_on(), provider, warnings);
    claude::one_of_two(facts, &wire.model, temperature, &["top_p"], &mut extra, warnings);
    put(body, "temperature", temperature);
    put(body, "stop_sequences", claude::stops(options, provider, warnings));
    put(body, "thinking", thinking.field);
    let mut output = Map::new();
    put(&mut output, "effort", thinking.effort);
    if let Structured::Native(schema) = &form {
        output.insert("format".to_owned(), json!({"type": "json_schema", "schema": schema}));
    }
    options::nest(body, "output_config", output);
    if options.seed.is_some() {
        warnings.push(unsupported("seed", provider));
    }
    options::never(options, provider, warnings);
    options::check_choice(request, warnings);
    if !facts.sampling {
        for name in ["top_p", "top_k"] {
            if extra.shift_remove(name).is_some_and(|value| !value.is_null()) {
                warnings.push(unsupported(name, &wire.model));
            }
        }
    }
    let one_by_one = extra.shift_remove("parallel_tool_calls") == Some(Value::Bool(false));
    if let Some(user) = extra.shift_remove("user") {
        options::nest(body, "metadata", Map::from_iter([("user_id".to_owned(), user)]));
    }
    if let Some(betas) = extra.shift_remove("betas") {
        let names: Vec<_> = betas.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        match &wire.host {
            Host::Anthropic => plan.headers.push(("anthropic-beta", names.join(","))),
            #[cfg(feature = "vertex")]
            Host::Vertex(_) => put(body, "anthropic_beta", Some(json!(names))),
        }
    }
    tools(request, &form, one_by_one, &mut plan);
    overlay(&mut plan.body, extra);
    if options.stream {
        plan.body.insert("stream".to_owned(), true.into());
    }
    Ok(plan)
}

fn tools(request: &ChatRequest, form: &Structured, one_by_one: bool, plan: &mut Plan) {
    let mut tools: Vec<Value> = request
        .tools
        .iter()
        .map(|tool| {
            let mut out = json!({"name": tool.name, "input_schema": tool.parameters});
            if !tool.description.is_empty() {
                set(&mut out, "description", tool.description.as_str());
            }
            out
        })
        .collect();
    let mut choice = match &request.options.tool_choice {
        _ if tools.is_empty() => None,
        None => None,
        Some(ToolChoice::None) => Some(json!({"type": "none"})),
        Some(ToolChoice::Required) => Some(json!({"type": "any"})),
        Some(ToolChoice::Tool(name)) => Some(json!({"type": "tool", "name": name})),
        Some(_) => Some(json!({"type": "auto"})),
    };
    if let Structured::Tool(schema) = form {
        // A model that thinks refuses to be forced.
        let thinks = plan.body.get("thinking").is_some_and(|thinking| thinking["type"] != "disabled");
        choice = Some(if thinks {
            json!({"type": "auto"})
        } else if tools.is_empty() || request.options.tool_choice == Some(ToolChoice::None) {
            json!({"type": "tool", "name": JSON_TOOL})
        } else {
            choice.filter(|choice| choice["type"] == "tool").unwrap_or_else(|| json!({"type": "any"}))
        });
        tools.push(json!({"name": JSON_TOOL, "description": JSON_TOOL_DESCRIPTION, "input_schema": schema}));
    } else if tools.is_empty() {
        // Calls of earlier turns must be of tools that the request knows.
        for name in turns::forgotten(&request.messages, &[]) {
            tools.push(json!({"name": name, "input_schema": {"type": "object", "properties": {}}}));
            choice = Some(json!({"type": "none"}));
        }
    }
    if one_by_one && !tools.is_empty() {
        let choice = choice.get_or_insert_with(|| json!({"type": "auto"}));
        if choice["type"] != "none" {
            set(choice, "disable_parallel_tool_use", true);
        }
    }
    put(&mut plan.body, "tool_choice", choice);
    put(&mut plan.body, "tools", (!tools.is_empty()).then_some(tools));
}

/// The messages.
pub(super) fn fill(wire: &Messages, request: &ChatRequest, plan: &mut Plan) -> Result<()> {
    let turns = turns::turns(&request.messages);
    let mut system = Vec::new();
    for content in &turns.system {
        system.push(block(content, wire)?);
    }
    let mut messages = Vec::new();
    for turn in &turns.turns {
        let content = turn_content(turn, wire)?;
        if !content.is_empty() {
            messages.push(json!({"role": if turn.assistant { "assistant" } else { "user" }, "content": content}));
        }
    }
    if messages.is_empty() {
        return Err(mellea_core::ErrorKind::EmptyPrompt.into());
    }
    limit_marks(&mut system, &mut messages);
    if !system.is_empty() {
        plan.body.entry("system").or_insert_with(|| join_plain(system));
    }
    for message in &mut messages {
        if let Some(content) = message.get_mut("content")
            && let Value::Array(blocks) = content
        {
            *content = join_single(std::mem::take(blocks));
        }
    }
    plan.body.insert("messages".to_owned(), messages.into());
    Ok(())
}

fn turn_content(turn: &Turn<'_>, wire: &Messages) -> Result<Vec<Value>> {
    let mut out = Vec::new();
    for message in &turn.messages {
        match message.role {
            Role::Assistant => assistant(message, wire, &mut out)?,
            Role::Tool => {
                let mut content = Vec::new();
                for part in message.content.iter().filter(|part| !turns::is_blank(part)) {
                    content.push(block(part, wire)?);
                }
                let id = message.tool_call_id.as_deref().unwrap_or_default();
                let mut result = json!({"type": "tool_result", "tool_use_id": id});
                // A mark for the cache belongs on the result.
                let marks = content.iter_mut().filter_map(|block| block.as_object_mut()?.shift_remove("cache_control"));
                let mark = marks.last();
                if !content.is_empty() {
                    set(&mut result, "content", join_single(content));
                }
                if let Some(mark) = mark {
                    set(&mut result, "cache_control", mark);
                }
                out.push(result);
            }
            Role::User | Role::System => {
                for part in message.content.iter().filter(|part| !turns::is_blank(part)) {
                    out.push(block(part, wire)?);
                }
            }
        }
    }
    Ok(out)
}

/// An assistant's message: as Claude wrote it, if that was kept and still fits.
fn assistant(message: &Message, wire: &Messages, out: &mut Vec<Value>) -> Result<()> {
    let kept = message.replay.as_ref().and_then(|replay| replay.get("anthropic")?.as_array());
    if let Some(blocks) = kept {
        let calls = blocks.iter().filter(|block| block["type"] == "tool_use").filter_map(|block| block["id"].as_str());
        if calls.eq(message.tool_calls.iter().map(|call| call.id.as_str())) {
            out.extend(blocks.iter().cloned());
            return Ok(());
        }
        out.extend(blocks.iter().filter(|block| block["type"] == "thinking" || block["type"] == "redacted_thinking").cloned());
    }
    for part in message.content.iter().filter(|part| !turns::is_blank(part)) {
        out.push(block(part, wire)?);
    }
    for call in &message.tool_calls {
        let input = object(&call.arguments);
        out.push(json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input}));
    }
    Ok(())
}

fn block(content: &Content, wire: &Messages) -> Result<Value> {
    match content {
        Content::Text(text) => {
            let mut block = json!({"type": "text", "text": text.text});
            if text.cache {
                set(&mut block, "cache_control", json!({"type": "ephemeral"}));
            }
            Ok(block)
        }
        Content::Image(image) => self::image(image, wire),
        Content::Audio(_) => Err(cannot(&wire.provider, "audio")),
        _ => Err(cannot(&wire.provider, "content of this kind")),
    }
}

fn image(image: &Image, wire: &Messages) -> Result<Value> {
    let source = match (image.media_type(), image.base64(), image.url()) {
        (Some(kind), Some(data), _) => json!({"type": "base64", "media_type": kind, "data": data}),
        (_, _, Some(url)) if wire.host == Host::Anthropic => json!({"type": "url", "url": url}),
        _ => return Err(cannot(&wire.provider, "images by their address")),
    };
    Ok(json!({"type": "image", "source": source}))
}

/// Takes marks for the cache away where there are too many: the last ones save most.
fn limit_marks(system: &mut [Value], messages: &mut [Value]) {
    let contents = messages.iter_mut().filter_map(|message| message.get_mut("content")?.as_array_mut()).flatten();
    let mut left = MAX_MARKS;
    for block in system.iter_mut().chain(contents).collect::<Vec<_>>().into_iter().rev() {
        let Some(block) = block.as_object_mut().filter(|block| block.contains_key("cache_control")) else { continue };
        match left.checked_sub(1) {
            Some(fewer) => left = fewer,
            None => {
                block.shift_remove("cache_control");
            }
        }
    }
}

/// The system message: a text if nothing in it is marked.
fn join_plain(blocks: Vec<Value>) -> Value {
    if blocks.iter().any(|block| block.get("cache_control").is_some() || block["type"] != "text") {
        return blocks.into();
    }
    let texts: Vec<_> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
    texts.join("\n\n").into()
}

/// A single text without marks is written as a plain string.
fn join_single(blocks: Vec<Value>) -> Value {
    match blocks.as_slice() {
        [block] if block["type"] == "text" && block.get("cache_control").is_none() => block["text"].clone(),
        _ => blocks.into(),
    }
}

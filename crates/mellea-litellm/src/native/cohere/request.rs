//! Requests in the form of Cohere's chat API.

use mellea_core::{ChatRequest, Content, ErrorKind, Message, Result, Role, Thinking, ToolChoice, ToolSpec};
use mellea_wire::JSON_TOOL;
use mellea_wire::json::object;
use serde_json::{Map, Value, json};

use super::super::backend::Plan;
use super::super::options::{self, JSON_TOOL_DESCRIPTION, Structured, cannot, overlay, put, unsupported};
use super::super::schema::Limits;
use super::super::turns;
use super::Chat;

/// What Cohere enforces of a schema.
const LIMITS: Limits = Limits {
    keywords: &[],
    formats: &["date-time", "uuid", "date", "time"],
    closed: false,
    recursion: true,
    constants: true,
    all_of: false,
};

/// The options, as fields of the body.
pub(super) fn plan(wire: &Chat, request: &ChatRequest, mut extra: Map<String, Value>) -> Result<Plan> {
    let (options, provider) = (&request.options, wire.provider.as_str());
    let mut plan = Plan::default();
    let warnings = &mut plan.warnings;
    let beside = !request.tools.is_empty() || extra.contains_key("documents");
    let native = if beside { Err(format!("{provider} takes no schema beside tools or documents")) } else { Ok(()) };
    let form = options::structured(request, &mut extra, native, &LIMITS, provider, warnings)?;
    plan.json_tool = matches!(form, Structured::Tool(_));

    let body = &mut plan.body;
    put(body, "model", Some(wire.model.as_str()));
    put(body, "temperature", options.temperature);
    put(body, "max_tokens", options.max_new_tokens);
    put(body, "seed", options.seed);
    put(body, "stop_sequences", (!options.stop_sequences.is_empty()).then(|| options.stop_sequences.clone()));
    if let Structured::Native(schema) = &form {
        body.insert("response_format".to_owned(), json!({"type": "json_object", "json_schema": schema}));
    }
    put(body, "thinking", options.thinking.map(thinking));
    options::never(options, provider, warnings);
    options::check_choice(request, warnings);
    for (name, wire) in [("top_p", "p"), ("top_k", "k")] {
        put(body, wire, extra.shift_remove(name));
    }
    if extra.shift_remove("n").is_some_and(|n| n.as_u64().is_some_and(|n| n > 1)) {
        warnings.push(unsupported("n", provider));
    }
    tools(request, &form, &mut plan);
    overlay(&mut plan.body, extra);
    plan.body.insert("stream".to_owned(), options.stream.into());
    Ok(plan)
}

fn thinking(wish: Thinking) -> Value {
    match wish {
        Thinking::Off => json!({"type": "disabled"}),
        Thinking::On | Thinking::High => json!({"type": "enabled"}),
        Thinking::Low => json!({"type": "enabled", "token_budget": 1024}),
        _ => json!({"type": "enabled", "token_budget": 4096}),
    }
}

fn tools(request: &ChatRequest, form: &Structured, plan: &mut Plan) {
    let choice = request.options.tool_choice.as_ref();
    let mut tools: Vec<Value> = match choice {
        // The wire cannot name a tool; it can offer no other.
        Some(ToolChoice::Tool(name)) if request.tools.iter().any(|tool| tool.name == *name) => {
            request.tools.iter().filter(|tool| tool.name == *name).map(ToolSpec::to_openai).collect()
        }
        _ => request.tools.iter().map(ToolSpec::to_openai).collect(),
    };
    let mut required = match choice {
        _ if tools.is_empty() => None,
        Some(ToolChoice::None) => Some("NONE"),
        Some(ToolChoice::Required | ToolChoice::Tool(_)) => Some("REQUIRED"),
        _ => None,
    };
    if let Structured::Tool(schema) = form {
        if choice == Some(&ToolChoice::None) {
            tools.clear();
        }
        if !matches!(choice, Some(ToolChoice::Tool(_))) {
            tools.push(ToolSpec::new(JSON_TOOL, JSON_TOOL_DESCRIPTION, schema.clone()).to_openai());
        }
        required = Some("REQUIRED");
    }
    put(&mut plan.body, "tool_choice", required);
    put(&mut plan.body, "tools", (!tools.is_empty()).then_some(tools));
}

/// The messages.
pub(super) fn fill(wire: &Chat, request: &ChatRequest, plan: &mut Plan) -> Result<()> {
    let (system, others): (Vec<_>, Vec<_>) = request.messages.iter().partition(|message| message.role == Role::System);
    let mut messages = Vec::new();
    for message in others {
        messages.extend(self::message(message, wire)?);
    }
    if messages.is_empty() {
        return Err(ErrorKind::EmptyPrompt.into());
    }
    // One system message, wherever in the conversation its parts stood.
    let mut parts = Vec::new();
    for part in system.into_iter().flat_map(|message| &message.content).filter(|part| !turns::is_blank(part)) {
        parts.push(block(part, wire)?);
    }
    if !parts.is_empty() {
        messages.insert(0, json!({"role": "system", "content": joined(parts)}));
    }
    plan.body.insert("messages".to_owned(), messages.into());
    Ok(())
}

fn message(message: &Message, wire: &Chat) -> Result<Option<Value>> {
    let mut content = Vec::new();
    for part in message.content.iter().filter(|part| !turns::is_blank(part)) {
        content.push(block(part, wire)?);
    }
    let mut out = Map::from_iter([("role".to_owned(), message.role.as_str().into())]);
    match message.role {
        Role::Tool => {
            out.insert("tool_call_id".to_owned(), message.tool_call_id.as_deref().unwrap_or_default().into());
            out.insert("content".to_owned(), if content.is_empty() { "".into() } else { plain(content) });
        }
        Role::Assistant => {
            if !message.tool_calls.is_empty() {
                reasoning(message, &mut out, &mut content);
                let calls = message.tool_calls.iter().map(|call| {
                    let arguments = object(&call.arguments).to_string();
                    json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
                });
                out.insert("tool_calls".to_owned(), calls.collect());
            }
            if content.is_empty() && message.tool_calls.is_empty() {
                return Ok(None);
            }
            put(&mut out, "content", (!content.is_empty()).then(|| plain(content)));
        }
        Role::System | Role::User => {
            if content.is_empty() {
                return Ok(None);
            }
            out.insert("content".to_owned(), plain(content));
        }
    }
    Ok(Some(Value::Object(out)))
}

/// Puts the reasoning where it came from: into the plan for tools, or into the content.
fn reasoning(message: &Message, out: &mut Map<String, Value>, content: &mut Vec<Value>) {
    let kept = |name: &str| message.replay.as_ref()?.get("cohere")?.get(name)?.as_str();
    let (plan, thinking) = match (kept("tool_plan"), kept("thinking")) {
        (None, None) => (message.thinking.as_deref(), None),
        kept => kept,
    };
    put(out, "tool_plan", plan);
    if let Some(thinking) = thinking {
        content.insert(0, json!({"type": "thinking", "thinking": thinking}));
    }
}

fn block(content: &Content, wire: &Chat) -> Result<Value> {
    match content {
        Content::Text(text) => Ok(json!({"type": "text", "text": text.text})),
        Content::Image(image) => {
            let url = image.url().map(str::to_owned).or_else(|| image.data_uri());
            let url = url.ok_or_else(|| cannot(&wire.provider, "images of this kind"))?;
            Ok(json!({"type": "image_url", "image_url": {"url": url}}))
        }
        Content::Audio(_) => Err(cannot(&wire.provider, "audio")),
        _ => Err(cannot(&wire.provider, "content of this kind")),
    }
}

/// A single text is written as a plain string.
fn plain(blocks: Vec<Value>) -> Value {
    match blocks.as_slice() {
        [block] if block["type"] == "text" => block["text"].clone(),
        _ => blocks.into(),
    }
}

/// Texts alone are written as one.
fn joined(blocks: Vec<Value>) -> Value {
    if blocks.iter().any(|block| block["type"] != "text") {
        return blocks.into();
    }
    let texts: Vec<_> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
    texts.join("\n\n").into()
}

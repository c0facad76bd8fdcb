//! Requests in the form of the Converse API.

use mellea_core::{ChatRequest, Content, ErrorKind, Message, Result, Role, Schema, Thinking, ToolChoice, Warning};
use mellea_wire::JSON_TOOL;
use mellea_wire::json::object;
use serde_json::{Map, Value, json};

use super::super::backend::Plan;
use super::super::claude::{self, LIMITS};
use super::super::options::{self, JSON_TOOL_DESCRIPTION, Structured, cannot, nest, other, put, set, unsupported};
use super::super::turns::{self, Turn};
use super::Converse;

/// The most points for the cache in a request.
const MAX_POINTS: usize = 4;

/// Options that stand at the top of the body; all others are those of the model.
const TOP: [(&str, &str); 13] = [
    ("guardrailConfig", "guardrailConfig"),
    ("guardrail_config", "guardrailConfig"),
    ("performanceConfig", "performanceConfig"),
    ("performance_config", "performanceConfig"),
    ("serviceTier", "serviceTier"),
    ("requestMetadata", "requestMetadata"),
    ("request_metadata", "requestMetadata"),
    ("promptVariables", "promptVariables"),
    ("prompt_variables", "promptVariables"),
    ("additionalModelResponseFieldPaths", "additionalModelResponseFieldPaths"),
    ("additional_model_response_field_paths", "additionalModelResponseFieldPaths"),
    ("additionalModelRequestFields", "additionalModelRequestFields"),
    ("additional_model_request_fields", "additionalModelRequestFields"),
];

/// The options, as fields of the body.
pub(super) fn plan(wire: &Converse, request: &ChatRequest, mut extra: Map<String, Value>) -> Result<Plan> {
    let (options, provider) = (&request.options, wire.provider.as_str());
    let mut plan = Plan::default();
    let warnings = &mut plan.warnings;
    let native = if wire.has_schemas() { Ok(()) } else { Err(options::NO_SCHEMAS.to_owned()) };
    let form = options::structured(request, &mut extra, native, &LIMITS, provider, warnings)?;
    plan.json_tool = matches!(form, Structured::Tool(_));

    let asked = thinking(wire, request, warnings);
    let mut config = Map::new();
    put(&mut config, "maxTokens", options.max_new_tokens.or(asked.max_tokens));
    if wire.is_claude() {
        let facts = claude::facts(&wire.model);
        let temperature = claude::temperature(options, facts, asked.on, provider, warnings);
        claude::one_of_two(facts, &wire.model, temperature, &["top_p", "topP"], &mut extra, warnings);
        put(&mut config, "temperature", temperature);
        put(&mut config, "stopSequences", claude::stops(options, provider, warnings));
        if !facts.sampling {
            for name in ["top_p", "topP", "top_k"] {
                if extra.shift_remove(name).is_some_and(|value| !value.is_null()) {
                    warnings.push(unsupported(name, &wire.model));
                }
            }
        }
    } else {
        put(&mut config, "temperature", options.temperature);
        put(&mut config, "stopSequences", (!options.stop_sequences.is_empty()).then(|| options.stop_sequences.clone()));
    }
    for name in ["top_p", "topP"] {
        put(&mut config, "topP", extra.shift_remove(name));
    }
    nest(&mut plan.body, "inferenceConfig", config);
    let mut output = Map::new();
    put(&mut output, "effort", asked.effort);
    if let (Structured::Native(schema), Some(mellea_core::Format::JsonSchema(typed))) = (&form, &request.format) {
        output.insert("textFormat".to_owned(), text_format(schema, typed));
    }
    nest(&mut plan.body, "outputConfig", output);
    if options.seed.is_some() {
        warnings.push(unsupported("seed", provider));
    }
    options::never(options, provider, warnings);
    options::check_choice(request, warnings);
    let mut fields = asked.fields;
    for (name, value) in extra {
        match TOP.iter().find(|(given, _)| *given == name) {
            Some((_, top)) => put(&mut plan.body, top, Some(value)),
            None => {
                fields.insert(name, value);
            }
        }
    }
    nest(&mut plan.body, "additionalModelRequestFields", fields);
    tools(wire, request, &form, &mut plan);
    Ok(plan)
}

fn text_format(schema: &Value, typed: &Schema) -> Value {
    let mut definition = json!({"schema": schema.to_string(), "name": typed.name()});
    if let Some(description) = schema.get("description") {
        set(&mut definition, "description", description.clone());
    }
    json!({"type": "json_schema", "structure": {"jsonSchema": definition}})
}

/// How the model is asked to think; each maker has its own way.
#[derive(Debug, Default)]
struct Asked {
    fields: Map<String, Value>,
    effort: Option<&'static str>,
    max_tokens: Option<u64>,
    on: bool,
}

fn thinking(wire: &Converse, request: &ChatRequest, warnings: &mut Vec<Warning>) -> Asked {
    let mut asked = Asked::default();
    let Some(wish) = request.options.thinking else { return asked };
    let level = match wish {
        Thinking::Off => None,
        Thinking::Low => Some("low"),
        Thinking::High => Some("high"),
        _ => Some("medium"),
    };
    if wire.is_claude() {
        let thinking = claude::thinking(claude::facts(&wire.model), &request.options, warnings);
        asked.on = thinking.is_on();
        asked.max_tokens = asked.on.then_some(thinking.max_tokens);
        asked.effort = thinking.effort;
        put(&mut asked.fields, "thinking", thinking.field);
    } else if wire.model.contains("openai.") {
        match level {
            Some(level) => put(&mut asked.fields, "reasoning_effort", Some(level)),
            None => {
                warnings.push(other(format!("{} always thinks; it was asked for as little as it does (`low`)", wire.model)));
                put(&mut asked.fields, "reasoning_effort", Some("low"));
            }
        }
    } else if wire.model.contains("nova-2") {
        let config = match level {
            Some(level) => json!({"type": "enabled", "maxReasoningEffort": level}),
            None => json!({"type": "disabled"}),
        };
        put(&mut asked.fields, "reasoningConfig", Some(config));
    } else {
        warnings.push(unsupported("thinking", &wire.model));
    }
    asked
}

fn tools(wire: &Converse, request: &ChatRequest, form: &Structured, plan: &mut Plan) {
    let spec = |name: &str, description: &str, schema: &Value| {
        let mut spec = Map::from_iter([("name".to_owned(), name.into())]);
        put(&mut spec, "description", (!description.is_empty()).then_some(description));
        spec.insert("inputSchema".to_owned(), json!({ "json": schema }));
        json!({ "toolSpec": spec })
    };
    let mut choice = match &request.options.tool_choice {
        _ if request.tools.is_empty() => None,
        None | Some(ToolChoice::None) => None,
        Some(ToolChoice::Required) => Some(json!({"any": {}})),
        Some(ToolChoice::Tool(name)) => Some(json!({"tool": {"name": name}})),
        Some(_) => Some(json!({"auto": {}})),
    };
    let forbidden = request.options.tool_choice == Some(ToolChoice::None);
    // Calls of earlier turns must be of tools that the request knows.
    let forgotten = turns::forgotten(&request.messages, if forbidden { &[] } else { &request.tools });
    let mut tools: Vec<Value> = Vec::new();
    if forbidden && !request.tools.is_empty() && !forgotten.is_empty() {
        let message = format!("{} cannot keep a model from calling tools; it may call them", wire.provider);
        plan.warnings.push(other(message));
    }
    if !forbidden || !forgotten.is_empty() {
        tools.extend(request.tools.iter().map(|tool| spec(&tool.name, &tool.description, &tool.parameters)));
    }
    for name in forgotten {
        if !request.tools.iter().any(|tool| tool.name == name) {
            tools.push(spec(name, "A tool of earlier turns that cannot be called any more.", &json!({"type": "object"})));
        }
    }
    if let Structured::Tool(schema) = form {
        let chosen = choice.as_ref().is_some_and(|choice| choice.get("tool").is_some());
        // A Claude that thinks refuses to be forced.
        let thinking = plan.body.get("additionalModelRequestFields").and_then(|fields| fields.get("thinking"));
        if thinking.is_some_and(|thinking| thinking["type"] != "disabled") {
            choice = Some(json!({"auto": {}}));
        } else if !chosen {
            choice = Some(if request.tools.is_empty() || forbidden {
                json!({"tool": {"name": JSON_TOOL}})
            } else {
                json!({"any": {}})
            });
        }
        tools.push(spec(JSON_TOOL, JSON_TOOL_DESCRIPTION, schema));
    }
    if !tools.is_empty() {
        let mut config = Map::from_iter([("tools".to_owned(), tools.into())]);
        put(&mut config, "toolChoice", choice);
        plan.body.insert("toolConfig".to_owned(), Value::Object(config));
    }
}

/// The messages.
pub(super) fn fill(wire: &Converse, request: &ChatRequest, plan: &mut Plan) -> Result<()> {
    let turns = turns::turns(&request.messages);
    let mut system = Vec::new();
    for content in &turns.system {
        block(content, wire, &mut system)?;
    }
    let mut messages = Vec::new();
    for turn in &turns.turns {
        let content = turn_content(turn, wire)?;
        if !content.is_empty() {
            messages.push(json!({"role": if turn.assistant { "assistant" } else { "user" }, "content": content}));
        }
    }
    if messages.is_empty() {
        return Err(ErrorKind::EmptyPrompt.into());
    }
    limit_points(&mut system, &mut messages);
    put(&mut plan.body, "system", (!system.is_empty()).then_some(system));
    plan.body.insert("messages".to_owned(), messages.into());
    Ok(())
}

fn turn_content(turn: &Turn<'_>, wire: &Converse) -> Result<Vec<Value>> {
    let mut out = Vec::new();
    for message in &turn.messages {
        match message.role {
            Role::Assistant => assistant(message, wire, &mut out)?,
            Role::Tool => {
                let mut content = Vec::new();
                for part in message.content.iter().filter(|part| !turns::is_blank(part)) {
                    block(part, wire, &mut content)?;
                }
                // A point for the cache belongs behind the result.
                let marked = content.iter().any(is_point);
                content.retain(|block| !is_point(block));
                if content.is_empty() {
                    content.push(json!({"text": "(nothing)"}));
                }
                let id = message.tool_call_id.as_deref().unwrap_or_default();
                out.push(json!({"toolResult": {"toolUseId": id, "content": content}}));
                if marked {
                    out.push(point());
                }
            }
            Role::User | Role::System => {
                for part in message.content.iter().filter(|part| !turns::is_blank(part)) {
                    block(part, wire, &mut out)?;
                }
            }
        }
    }
    Ok(out)
}

/// An assistant's message: as the model wrote it, if that was kept and still fits.
fn assistant(message: &Message, wire: &Converse, out: &mut Vec<Value>) -> Result<()> {
    let kept = message.replay.as_ref().and_then(|replay| replay.get("bedrock")?.as_array());
    if let Some(blocks) = kept {
        let calls = blocks.iter().filter_map(|block| block.pointer("/toolUse/toolUseId")?.as_str());
        if calls.eq(message.tool_calls.iter().map(|call| call.id.as_str())) {
            out.extend(blocks.iter().cloned());
            return Ok(());
        }
        out.extend(blocks.iter().filter(|block| block.get("reasoningContent").is_some()).cloned());
    }
    for part in message.content.iter().filter(|part| !turns::is_blank(part)) {
        block(part, wire, out)?;
    }
    for call in &message.tool_calls {
        let input = object(&call.arguments);
        out.push(json!({"toolUse": {"toolUseId": call.id, "name": call.name, "input": input}}));
    }
    Ok(())
}

fn block(content: &Content, wire: &Converse, out: &mut Vec<Value>) -> Result<()> {
    let media = |name: &str, format: &str, data: &str| json!({name: {"format": format, "source": {"bytes": data}}});
    match content {
        Content::Text(text) => {
            out.push(json!({ "text": text.text }));
            if text.cache {
                out.push(point());
            }
        }
        Content::Image(image) => match (image.media_type(), image.base64()) {
            (Some(kind), Some(data)) => out.push(media("image", kind.strip_prefix("image/").unwrap_or(kind), data)),
            _ => return Err(cannot(&wire.provider, "images by their address")),
        },
        Content::Audio(audio) => match audio.base64() {
            Some(data) => out.push(media("audio", audio.format(), data)),
            None => return Err(cannot(&wire.provider, "audio by its address")),
        },
        _ => return Err(cannot(&wire.provider, "content of this kind")),
    }
    Ok(())
}

fn point() -> Value {
    json!({"cachePoint": {"type": "default"}})
}

fn is_point(block: &Value) -> bool {
    block.get("cachePoint").is_some()
}

/// Takes points for the cache away where there are too many: the last ones save most.
fn limit_points(system: &mut Vec<Value>, messages: &mut [Value]) {
    let mut left = MAX_POINTS;
    let contents = messages.iter_mut().filter_map(|message| message.get_mut("content")?.as_array_mut());
    for blocks in std::iter::once(system).chain(contents).collect::<Vec<_>>().into_iter().rev() {
        let keep: Vec<bool> = blocks
            .iter()
            .rev()
            .map(|block| {
                let keep = !is_point(block) || left > 0;
                left -= usize::from(keep && is_point(block));
                keep
            })
            .collect();
        let mut keep = keep.into_iter().rev();
        blocks.retain(|_| keep.next().unwrap_or(true));
    }
}

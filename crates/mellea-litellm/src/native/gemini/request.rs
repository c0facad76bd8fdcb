//! Requests in the form of `generateContent`.

use mellea_core::{ChatRequest, Content, Message, Messages, Result, Role, Thinking, ToolChoice, Warning};
use mellea_wire::JSON_TOOL;
use mellea_wire::json::object;
use serde_json::{Map, Value, json};

use super::super::backend::Plan;
use super::super::options::{self, JSON_TOOL_DESCRIPTION, Structured, cannot, nest, other, put, set, unsupported};
use super::super::schema::Limits;
use super::super::turns::{self, Turn};
use super::{Contents, version};

/// What Gemini enforces of a schema.
const LIMITS: Limits = Limits {
    keywords: &["prefixItems", "minItems", "maxItems", "minimum", "maximum"],
    formats: &["date-time", "date", "time"],
    closed: false,
    recursion: true,
    constants: false,
    all_of: false,
};

/// Options that stand at the top of the body; all others are those of the generation.
const TOP: [(&str, &str); 12] = [
    ("safetySettings", "safetySettings"),
    ("safety_settings", "safetySettings"),
    ("cachedContent", "cachedContent"),
    ("cached_content", "cachedContent"),
    ("toolConfig", "toolConfig"),
    ("tool_config", "toolConfig"),
    ("labels", "labels"),
    ("serviceTier", "serviceTier"),
    ("service_tier", "serviceTier"),
    ("store", "store"),
    ("generationConfig", "generationConfig"),
    ("generation_config", "generationConfig"),
];

/// What replaces a signature where the model did not make the call itself.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// The options, as fields of the body.
pub(super) fn plan(wire: &Contents, request: &ChatRequest, mut extra: Map<String, Value>) -> Result<Plan> {
    let (options, provider) = (&request.options, wire.provider.as_str());
    let mut plan = Plan::default();
    let warnings = &mut plan.warnings;
    let version = version(&wire.model);
    let native = if request.tools.is_empty() || version >= (3, 0) {
        Ok(())
    } else {
        Err(format!("{} takes no schema beside tools", wire.model))
    };
    let form = options::structured(request, &mut extra, native, &LIMITS, provider, warnings)?;
    plan.json_tool = matches!(form, Structured::Tool(_));

    let mut config = Map::new();
    put(&mut config, "temperature", options.temperature);
    put(&mut config, "maxOutputTokens", options.max_new_tokens);
    put(&mut config, "stopSequences", (!options.stop_sequences.is_empty()).then(|| options.stop_sequences.clone()));
    // The wire's seed has 31 bits.
    put(&mut config, "seed", options.seed.map(|seed| seed & 0x7fff_ffff));
    if let Structured::Native(schema) = &form {
        config.insert("responseMimeType".to_owned(), "application/json".into());
        config.insert("responseJsonSchema".to_owned(), schema.clone());
    }
    if let Some(thinking) = options.thinking.and_then(|wish| thinking(wish, wire, version, warnings)) {
        config.insert("thinkingConfig".to_owned(), thinking);
    }
    options::never(options, provider, warnings);
    options::check_choice(request, warnings);
    for name in ["n", "candidate_count", "candidateCount"] {
        if extra.shift_remove(name).is_some_and(|n| n.as_u64().is_some_and(|n| n > 1)) {
            warnings.push(unsupported(name, provider));
        }
    }
    if extra.get("logprobs") == Some(&Value::Bool(true)) {
        extra.shift_remove("logprobs");
        config.insert("responseLogprobs".to_owned(), true.into());
        put(&mut config, "logprobs", extra.shift_remove("top_logprobs"));
    }
    for (name, value) in extra {
        match TOP.iter().find(|(given, _)| *given == name) {
            Some((_, wire)) => put(&mut plan.body, wire, Some(value)),
            None => {
                config.insert(camel(&name), value);
            }
        }
    }
    nest(&mut plan.body, "generationConfig", config);
    tools(request, &form, &mut plan);
    Ok(plan)
}

/// `top_p` is `topP` on the wire.
fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else {
            out.push(if std::mem::take(&mut upper) { c.to_ascii_uppercase() } else { c });
        }
    }
    out
}

fn thinking(wish: Thinking, wire: &Contents, version: (u32, u32), warnings: &mut Vec<Warning>) -> Option<Value> {
    let flash = wire.model.contains("flash");
    if version >= (3, 0) {
        let level = match wish {
            Thinking::On => return Some(json!({"includeThoughts": true})),
            Thinking::Low => "LOW",
            Thinking::High => "HIGH",
            Thinking::Off => {
                let level = if flash { "MINIMAL" } else { "LOW" };
                let message = format!("{} always thinks; it was asked for as little as it does (`{level}`)", wire.model);
                warnings.push(other(message));
                return Some(json!({"thinkingLevel": level}));
            }
            _ => "MEDIUM",
        };
        return Some(json!({"thinkingLevel": level, "includeThoughts": true}));
    }
    if version < (2, 5) {
        if wish != Thinking::Off {
            warnings.push(unsupported("thinking", &wire.model));
        }
        return None;
    }
    let budget = match wish {
        Thinking::Off if flash => return Some(json!({"thinkingBudget": 0})),
        Thinking::Off => {
            warnings.push(other(format!("{} always thinks; it was asked for as little as it does (128 tokens)", wire.model)));
            return Some(json!({"thinkingBudget": 128}));
        }
        Thinking::On => -1,
        Thinking::Low => 1024,
        Thinking::High => 24_576,
        _ => 8192,
    };
    Some(json!({"thinkingBudget": budget, "includeThoughts": true}))
}

fn tools(request: &ChatRequest, form: &Structured, plan: &mut Plan) {
    let mut declared: Vec<Value> =
        request.tools.iter().map(|tool| declare(&tool.name, &tool.description, &tool.parameters)).collect();
    let choice = request.options.tool_choice.as_ref().filter(|_| !declared.is_empty());
    let mut config = choice.map(|choice| match choice {
        ToolChoice::None => json!({"mode": "NONE"}),
        ToolChoice::Required => json!({"mode": "ANY"}),
        ToolChoice::Tool(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
        _ => json!({"mode": "AUTO"}),
    });
    if let Structured::Tool(schema) = form {
        let chosen = matches!(choice, Some(ToolChoice::Tool(_)));
        let none = declared.is_empty() || choice == Some(&ToolChoice::None);
        declared.push(declare(JSON_TOOL, JSON_TOOL_DESCRIPTION, schema));
        if !chosen {
            config =
                Some(if none { json!({"mode": "ANY", "allowedFunctionNames": [JSON_TOOL]}) } else { json!({"mode": "ANY"}) });
        }
    }
    if !declared.is_empty() {
        plan.body.insert("tools".to_owned(), json!([{ "functionDeclarations": declared }]));
    }
    if let Some(config) = config {
        nest(&mut plan.body, "toolConfig", Map::from_iter([("functionCallingConfig".to_owned(), config)]));
    }
}

fn declare(name: &str, description: &str, parameters: &Value) -> Value {
    let mut out = Map::from_iter([("name".to_owned(), name.into())]);
    put(&mut out, "description", (!description.is_empty()).then_some(description));
    // An object without properties is refused; no schema says the same.
    let any = parameters.get("properties").and_then(Value::as_object).is_some_and(|properties| !properties.is_empty());
    put(&mut out, "parametersJsonSchema", any.then(|| parameters.clone()));
    Value::Object(out)
}

/// The messages.
pub(super) fn fill(wire: &Contents, request: &ChatRequest, plan: &mut Plan) -> Result<()> {
    let turns = turns::turns(&request.messages);
    let system: Result<Vec<_>> = turns.system.iter().map(|content| part(content, wire)).collect();
    let system = system?;
    if !system.is_empty() {
        plan.body.entry("systemInstruction").or_insert_with(|| json!({ "parts": system }));
    }
    let known = Known::of(&request.messages);
    let mut contents = Vec::new();
    for turn in &turns.turns {
        let parts = parts(turn, wire, &known)?;
        if !parts.is_empty() {
            contents.push(json!({"role": if turn.assistant { "model" } else { "user" }, "parts": parts}));
        }
    }
    if contents.is_empty() {
        return Err(mellea_core::ErrorKind::EmptyPrompt.into());
    }
    plan.body.insert("contents".to_owned(), contents.into());
    Ok(())
}

/// What earlier turns say about calls.
struct Known<'a> {
    /// Ids and names.
    calls: Vec<(&'a str, &'a str)>,
    /// The ids that the service gave, and so knows.
    ids: Vec<&'a str>,
}

impl<'a> Known<'a> {
    fn of(messages: &'a Messages) -> Self {
        let calls = messages.iter().flat_map(|m| &m.tool_calls).map(|call| (call.id.as_str(), call.name.as_str())).collect();
        let ids = messages.iter().filter_map(kept).flatten().filter_map(|part| part.pointer("/functionCall/id")?.as_str());
        Self { calls, ids: ids.collect() }
    }

    fn name(&self, id: &str) -> &'a str {
        self.calls.iter().rev().find(|(known, _)| *known == id).map_or("", |(_, name)| *name)
    }
}

/// The parts of a model's turn as the service sent them, if they were kept.
fn kept(message: &Message) -> Option<&Vec<Value>> {
    message.replay.as_ref()?.get("gemini")?.as_array()
}

fn parts(turn: &Turn<'_>, wire: &Contents, known: &Known<'_>) -> Result<Vec<Value>> {
    let mut out = Vec::new();
    for message in &turn.messages {
        match message.role {
            Role::Assistant => model_parts(message, wire, &mut out)?,
            Role::Tool => {
                let id = message.tool_call_id.as_deref().unwrap_or_default();
                let name = message.tool_name.as_deref().unwrap_or_else(|| known.name(id));
                let mut response = Map::from_iter([("name".to_owned(), name.into())]);
                put(&mut response, "id", known.ids.contains(&id).then_some(id));
                response.insert("response".to_owned(), json!({"output": message.text()}));
                out.push(json!({ "functionResponse": response }));
                for content in message.content.iter().filter(|content| content.as_text().is_none()) {
                    out.push(part(content, wire)?);
                }
            }
            Role::User | Role::System => {
                for content in message.content.iter().filter(|content| !turns::is_blank(content)) {
                    out.push(part(content, wire)?);
                }
            }
        }
    }
    Ok(out)
}

/// A model's message: as the service sent it, if that was kept and still fits.
fn model_parts(message: &Message, wire: &Contents, out: &mut Vec<Value>) -> Result<()> {
    if let Some(parts) = kept(message) {
        let names = parts.iter().filter_map(|part| part.pointer("/functionCall/name")?.as_str());
        if names.eq(message.tool_calls.iter().map(|call| call.name.as_str())) {
            out.extend(parts.iter().cloned());
            return Ok(());
        }
    }
    for content in message.content.iter().filter(|content| !turns::is_blank(content)) {
        out.push(part(content, wire)?);
    }
    for (n, call) in message.tool_calls.iter().enumerate() {
        let mut part = json!({"functionCall": {"name": call.name, "args": object(&call.arguments)}});
        if n == 0 && version(&wire.model) >= (3, 0) {
            set(&mut part, "thoughtSignature", NO_SIGNATURE);
        }
        out.push(part);
    }
    Ok(())
}

fn part(content: &Content, wire: &Contents) -> Result<Value> {
    let (kind, data) = match content {
        Content::Text(text) => return Ok(json!({ "text": text.text })),
        Content::Image(image) => match (image.media_type(), image.base64()) {
            (Some(kind), Some(data)) => (kind.to_owned(), data),
            _ => return Err(cannot(&wire.provider, "images by their address")),
        },
        Content::Audio(audio) => match audio.base64() {
            Some(data) => (format!("audio/{}", audio.format()), data),
            None => return Err(cannot(&wire.provider, "audio by its address")),
        },
        _ => return Err(cannot(&wire.provider, "content of this kind")),
    };
    Ok(json!({"inlineData": {"mimeType": kind, "data": data}}))
}

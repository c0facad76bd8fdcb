//! Turns the core's requests into the bodies of the wire; nothing is sent here.

mod fields;
mod messages;
pub(crate) mod responses;
mod schema;

use mellea_core::{ChatRequest, Error, ErrorKind, Format, ModelOption, RawRequest, Result, Thinking, Warning};
use mellea_http::CallOptions;
use serde_json::{Map, Value};

use crate::dialect::{Dialect, Guidance, SchemaPolicy, ThinkingField};
use crate::learned::Learned;
pub(crate) use fields::Fields;
pub(crate) use schema::Means;

/// A call that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) body: Map<String, Value>,
    pub(crate) call: CallOptions,
    /// What of the request is not honoured.
    pub(crate) warnings: Vec<Warning>,
    pub(crate) streamed: bool,
    /// By what the form of the answer is asked for.
    pub(crate) means: Means,
}

/// A server as requests are made for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) model: &'a str,
    pub(crate) dialect: Dialect,
    pub(crate) learned: Learned,
    /// [`Dialect::extra_body`], read.
    pub(crate) extra_body: &'a Map<String, Value>,
}

/// Options of the service itself that would replace what the backend writes.
const RESERVED: [&str; 3] = ["model", "messages", "prompt"];

/// The whole call for a chat.
pub(crate) fn chat(target: &Target<'_>, request: &ChatRequest) -> Result<Prepared> {
    let mut prepared = settings(target, request)?;
    let messages = messages::all(&target.dialect, request, prepared.means)?;
    let mut body = Map::new();
    body.insert("model".to_owned(), target.model.into());
    body.insert("messages".to_owned(), Value::Array(messages));
    body.append(&mut prepared.body);
    prepared.call.merge_into(&mut body);
    prepared.body = body;
    Ok(prepared)
}

/// All of a chat but its messages, which cost the most: what is wrong or not honoured shows here.
pub(crate) fn settings(target: &Target<'_>, request: &ChatRequest) -> Result<Prepared> {
    let dialect = &target.dialect;
    let options = &request.options;
    let mut extra = options.extra.clone();
    let call = CallOptions::take(options, &mut extra)?;
    check_extra(&extra)?;
    let mut fields = Fields::new(dialect, target.learned);
    let mut means = Means::default();

    tools(&mut fields, request, &mut extra);
    if let Some(format) = &request.format {
        means = schema::format(&mut fields, target, format, !request.tools.is_empty(), &extra)?;
    }
    sampling(&mut fields, target, request, &extra);
    if options.stream {
        fields.set("stream", true);
        if dialect.stream_usage && !extra.contains_key("stream_options") {
            fields.set("stream_options", serde_json::json!({ "include_usage": true }));
        }
    } else if extra.shift_remove("stream_options").is_some() {
        fields.warn("`stream_options` is for streams only; it was left out");
    }
    for (name, value) in target.extra_body {
        fields.set(name, value.clone());
    }
    // The caller's own word comes last and wins.
    for (name, value) in extra {
        fields.set_native(name, value);
    }
    let (body, warnings) = fields.finish();
    Ok(Prepared { body, call, warnings, streamed: options.stream, means })
}

/// The whole call for raw completions, which have these options and this form in common.
pub(crate) fn raw(target: &Target<'_>, prompt: Value, request: &RawRequest) -> Result<Prepared> {
    let options = &request.options;
    let mut extra = options.extra.clone();
    let call = CallOptions::take(options, &mut extra)?;
    check_extra(&extra)?;
    let mut fields = Fields::new(&target.dialect, target.learned);
    match &request.format {
        Some(Format::JsonSchema(form)) => schema::guided(&mut fields, "json", form.plain().clone()),
        Some(Format::Regex(pattern)) => schema::guided(&mut fields, "regex", pattern.as_str().into()),
        Some(_) => fields.unconstrained("this backend does not know this form of answer"),
        None => {}
    }
    if let Some(limit) = options.max_new_tokens {
        fields.set_option("max_tokens", limit, ModelOption::MaxNewTokens);
    }
    common(&mut fields, target, options);
    for (asked, option) in
        [(options.thinking.is_some(), ModelOption::Thinking), (options.tool_choice.is_some(), ModelOption::ToolChoice)]
    {
        if asked {
            fields.unsupported(option);
        }
    }
    if extra.shift_remove("stream_options").is_some() {
        fields.warn("`stream_options` is for streams only; it was left out");
    }
    for (name, value) in extra {
        fields.set_native(name, value);
    }
    let (mut rest, warnings) = fields.finish();
    let mut body = Map::new();
    body.insert("model".to_owned(), target.model.into());
    body.insert("prompt".to_owned(), prompt);
    body.append(&mut rest);
    call.merge_into(&mut body);
    Ok(Prepared { body, call, warnings, streamed: false, means: Means::Field })
}

/// Refuses options that cannot be passed on.
pub(crate) fn check_extra(extra: &Map<String, Value>) -> Result<()> {
    let invalid = |option: &str, value: &Value, expected: &str| {
        let value = value.to_string().chars().take(80).collect();
        Err(Error::from(ErrorKind::InvalidOption { option: option.to_owned(), value, expected: expected.to_owned() }))
    };
    for name in RESERVED {
        if let Some(value) = extra.get(name) {
            return invalid(name, value, "it is the backend's; set it there");
        }
    }
    for name in ["n", "best_of"] {
        if let Some(value) = extra.get(name).filter(|n| !n.is_null() && n.as_u64() != Some(1)) {
            return invalid(name, value, "one answer for each call: make several calls");
        }
    }
    Ok(())
}

fn tools(fields: &mut Fields<'_>, request: &ChatRequest, extra: &mut Map<String, Value>) {
    let mut tools: Vec<Value> = request.tools.iter().map(mellea_core::ToolSpec::to_openai).collect();
    if !tools.is_empty() && !fields.dialect().tools {
        fields.warn("this service calls no tools; they are sent all the same");
    }
    // Tools in the wire's own form, such as those that the service runs itself.
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
        fields.set_option("tool_choice", tool_choice(choice), ModelOption::ToolChoice);
    }
}

fn tool_choice(choice: &mellea_core::ToolChoice) -> Value {
    use mellea_core::ToolChoice;
    match choice {
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Tool(name) => serde_json::json!({ "type": "function", "function": { "name": name } }),
        _ => "auto".into(),
    }
}

fn sampling(fields: &mut Fields<'_>, target: &Target<'_>, request: &ChatRequest, extra: &Map<String, Value>) {
    let options = &request.options;
    let dialect = &target.dialect;
    if let Some(limit) = options.max_new_tokens {
        fields.set_option(dialect.token_field.as_str(), limit, ModelOption::MaxNewTokens);
    }
    common(fields, target, options);
    if let Some(thinking) = options.thinking {
        self::thinking(fields, target, thinking, extra);
    }
}

/// What chats and raw completions name alike.
fn common(fields: &mut Fields<'_>, target: &Target<'_>, options: &mellea_core::RequestOptions) {
    let dialect = &target.dialect;
    if let Some(mut temperature) = options.temperature {
        if let Some(max) = dialect.max_temperature.filter(|max| temperature > *max) {
            fields.warn(format!("the temperature was lowered from {temperature} to {max}, the most that {} takes", dialect.name));
            temperature = max;
        }
        fields.set_option("temperature", temperature, ModelOption::Temperature);
    }
    if let Some(seed) = options.seed {
        fields.set_option("seed", seed, ModelOption::Seed);
    }
    if !options.stop_sequences.is_empty() {
        fields.set_option("stop", options.stop_sequences.clone(), ModelOption::StopSequences);
    }
    if options.context_window.is_some() {
        fields.unsupported(ModelOption::ContextWindow);
    }
    if options.logits {
        fields.unsupported(ModelOption::Logits);
    }
    if options.raw_logits {
        fields.unsupported(ModelOption::RawLogits);
    }
}

/// The word for an effort; on is the middle one.
fn effort(thinking: Thinking) -> &'static str {
    match thinking {
        Thinking::Off => "none",
        Thinking::Low => "low",
        Thinking::High => "high",
        _ => "medium",
    }
}

fn thinking(fields: &mut Fields<'_>, target: &Target<'_>, thinking: Thinking, extra: &Map<String, Value>) {
    let by = target.dialect.thinking;
    if extra.contains_key("reasoning_effort") {
        let (dropped, used) = (ModelOption::Thinking.name().to_owned(), "reasoning_effort".to_owned());
        fields.push(Warning::ConflictingOption { dropped, used });
        return;
    }
    let on = thinking != Thinking::Off;
    let wanted = effort(thinking);
    let effort = target.learned.effort(wanted);
    if effort != wanted && by != ThinkingField::ThinkingObject {
        fields.warn(format!("the model does not take the effort `{wanted}`; `{effort}` was sent"));
    }
    let level = (!matches!(thinking, Thinking::On | Thinking::Off)).then_some(effort);
    let option = ModelOption::Thinking;
    match by {
        ThinkingField::ReasoningEffort => fields.set_option("reasoning_effort", effort, option),
        ThinkingField::TemplateKwargs => {
            let mut kwargs = Map::from_iter([("enable_thinking".to_owned(), Value::from(on))]);
            if let Some(level) = level {
                kwargs.insert("reasoning_effort".to_owned(), level.into());
                fields.set_option("reasoning_effort", level, option);
            }
            fields.set_option("chat_template_kwargs", kwargs, option);
        }
        ThinkingField::Both => {
            if level.is_none() {
                fields.set_option("chat_template_kwargs", serde_json::json!({ "enable_thinking": on }), option);
            }
            fields.set_option("reasoning_effort", effort, option);
        }
        ThinkingField::ReasoningObject => {
            let object = match level {
                Some(level) => serde_json::json!({ "effort": level }),
                None => serde_json::json!({ "enabled": on }),
            };
            fields.set_option("reasoning", object, option);
        }
        ThinkingField::ThinkingObject => {
            if let Some(level) = level {
                fields.warn(format!("reasoning can only be on or off; `{level}` is on"));
            }
            fields.set_option("thinking", serde_json::json!({ "type": if on { "enabled" } else { "disabled" } }), option);
        }
        ThinkingField::None => fields.unsupported(option),
    }
}

/// Whether the dialect enforces schemas, as far as is known.
pub(crate) fn enforces_schema(dialect: &Dialect) -> bool {
    matches!(dialect.schema, SchemaPolicy::Strict | SchemaPolicy::Plain | SchemaPolicy::Grammar)
        && !dialect.drops("response_format")
}

/// Whether the dialect enforces regular expressions.
pub(crate) fn enforces_regex(dialect: &Dialect) -> bool {
    dialect.guidance != Guidance::None
}

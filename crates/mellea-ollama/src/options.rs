//! The server's own options: which it has, where they go, and what cannot be honoured.

use mellea_core::{ChatRequest, Format, ModelOption, RequestOptions, Thinking, ToolChoice, Warning};
use mellea_http::CallOptions;
use serde_json::{Map, Value};

/// The options that go into the `options` of a request. Unknown ones are sent there too, with a warning:
/// the server ignores what it does not know, so a typo would go unnoticed.
pub const KNOWN_OPTIONS: &[&str] = &[
    "num_keep",
    "seed",
    "num_predict",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "repeat_last_n",
    "temperature",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "stop",
    "num_ctx",
    "num_batch",
    "num_gpu",
    "main_gpu",
    "use_mmap",
    "num_thread",
    "draft_num_predict",
];

/// The options that go into the request itself.
pub const TOP_LEVEL: &[&str] = &["keep_alive", "truncate", "shift", "logprobs", "top_logprobs", "format"];

/// The server's names for the common options.
pub(crate) const SYNONYMS: [(&str, ModelOption); 10] = [
    ("num_predict", ModelOption::MaxNewTokens),
    ("num_ctx", ModelOption::ContextWindow),
    ("think", ModelOption::Thinking),
    ("system", ModelOption::SystemPrompt),
    ("stop", ModelOption::StopSequences),
    ("seed", ModelOption::Seed),
    ("temperature", ModelOption::Temperature),
    ("stream", ModelOption::Stream),
    ("tools", ModelOption::Tools),
    ("tool_choice", ModelOption::ToolChoice),
];

/// `think` as the server takes it.
pub(crate) fn think(thinking: Thinking) -> Value {
    match thinking {
        Thinking::Off => false.into(),
        Thinking::On => true.into(),
        level => level.word().into(),
    }
}

/// Takes the options for the request itself out of `extra`; `null` counts as absent.
pub(crate) fn top_level(extra: &mut Map<String, Value>) -> Map<String, Value> {
    let mut top = Map::new();
    for &name in TOP_LEVEL {
        if let Some(value) = extra.shift_remove(name).filter(|value| !value.is_null()) {
            top.insert(name.to_owned(), value);
        }
    }
    // The server looks at the one only if the other is true.
    if top.contains_key("top_logprobs") {
        top.entry("logprobs").or_insert(Value::Bool(true));
    }
    top
}

/// The `options` of a request, always in the same order.
pub(crate) fn native(options: &RequestOptions, window: Option<u64>, extra: Map<String, Value>) -> Map<String, Value> {
    let mut native = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            native.insert(name.to_owned(), value);
        }
    };
    set("num_ctx", options.context_window.or(window).map(Value::from));
    set("num_predict", options.max_new_tokens.map(Value::from));
    set("temperature", options.temperature.map(Value::from));
    // The server's integers have a sign.
    set("seed", options.seed.map(|seed| Value::from(seed & (u64::MAX >> 1))));
    set("stop", (!options.stop_sequences.is_empty()).then(|| Value::from(options.stop_sequences.clone())));
    native.extend(extra.into_iter().filter(|(_, value)| !value.is_null()));
    native
}

/// What of a chat cannot be honoured.
pub(crate) fn unsupported(request: &ChatRequest) -> Vec<Warning> {
    let mut warnings = common(&request.options, request.format.as_ref());
    if request.format.is_some() && sends_tools(request) {
        let message = "ollama cannot call tools while it enforces a format; the tools were left out".to_owned();
        warnings.push(Warning::Other { message });
    }
    if matches!(request.options.tool_choice, Some(ToolChoice::Required | ToolChoice::Tool(_))) {
        warnings.push(missing(ModelOption::ToolChoice.name()));
    }
    warnings
}

/// Whether tools are offered, but for a format that keeps them out.
pub(crate) fn sends_tools(request: &ChatRequest) -> bool {
    !request.tools.is_empty() && request.options.tool_choice != Some(ToolChoice::None)
}

/// What of any call cannot be honoured.
pub(crate) fn common(options: &RequestOptions, format: Option<&Format>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if options.logits {
        warnings.push(missing(ModelOption::Logits.name()));
    }
    if options.raw_logits {
        warnings.push(missing(ModelOption::RawLogits.name()));
    }
    match format {
        Some(Format::Regex(_)) => {
            warnings.push(Warning::Unconstrained { reason: "ollama enforces no regular expressions".to_owned() });
        }
        Some(_) if options.thinking.is_some() => {
            let message = "with thinking set, some versions of ollama do not enforce the format, or do not think".to_owned();
            warnings.push(Warning::Other { message });
        }
        _ => {}
    }
    if format.is_some_and(|f| matches!(f, Format::JsonSchema(_))) && options.extra.get("format").is_some_and(|f| !f.is_null()) {
        warnings.push(Warning::ConflictingOption { dropped: "format".to_owned(), used: "the format of the call".to_owned() });
    }
    let known = |name: &str| KNOWN_OPTIONS.contains(&name) || TOP_LEVEL.contains(&name) || CallOptions::NAMES.contains(&name);
    for (name, value) in &options.extra {
        if !known(name) && !value.is_null() {
            let message = format!("ollama may have no option `{name}`: it was sent, and a server ignores what it does not know");
            warnings.push(Warning::Other { message });
        }
    }
    warnings
}

fn missing(option: &str) -> Warning {
    Warning::UnsupportedOption { option: option.to_owned(), provider: "ollama".to_owned() }
}

//! The service's names for the common options, its other options, and what it cannot do.

use mellea_core::{ChatRequest, Format, ModelOption, RequestOptions, ToolChoice, Warning};
use mellea_http::CallOptions;
use serde_json::Value;

use crate::PROVIDER;

/// The service's own names for common options; those of chat come first, those of generation second.
pub(crate) const SYNONYMS: &[(&str, ModelOption)] = &[
    ("max_completion_tokens", ModelOption::MaxNewTokens),
    ("max_tokens", ModelOption::MaxNewTokens),
    ("max_new_tokens", ModelOption::MaxNewTokens),
    ("temperature", ModelOption::Temperature),
    ("seed", ModelOption::Seed),
    ("random_seed", ModelOption::Seed),
    ("stop", ModelOption::StopSequences),
    ("stop_sequences", ModelOption::StopSequences),
    ("system", ModelOption::SystemPrompt),
    ("stream", ModelOption::Stream),
    ("tools", ModelOption::Tools),
    ("tool_choice", ModelOption::ToolChoice),
    ("tool_choice_option", ModelOption::ToolChoice),
];

/// The options of a chat besides the common ones.
const CHAT: [&str; 19] = [
    "chat_template_kwargs",
    "context",
    "frequency_penalty",
    "guided_choice",
    "guided_grammar",
    "guided_json",
    "guided_regex",
    "include_reasoning",
    "length_penalty",
    "logit_bias",
    "logprobs",
    "n",
    "presence_penalty",
    "reasoning_effort",
    "repetition_penalty",
    "response_format",
    "time_limit",
    "top_logprobs",
    "top_p",
];

/// What a generation knows among its `parameters`.
const RAW: [&str; 11] = [
    "decoding_method",
    "include_stop_sequence",
    "length_penalty",
    "min_new_tokens",
    "prompt_variables",
    "repetition_penalty",
    "return_options",
    "time_limit",
    "top_k",
    "top_p",
    "truncate_input_tokens",
];

/// The options of a generation besides its `parameters`.
pub(crate) const RAW_TOP: [&str; 1] = ["moderations"];

/// Fields of a request that are made of other things than options.
pub(crate) const OWN: [&str; 6] = ["messages", "model_id", "input", "parameters", "project_id", "space_id"];

/// What of a chat cannot be honoured, or is honoured in another way.
pub(crate) fn of_chat(request: &ChatRequest) -> Vec<Warning> {
    let options = &request.options;
    let mut warnings = common(options);
    let mut say = |message: String| warnings.push(Warning::Other { message });
    if let Some(choice @ (ToolChoice::Required | ToolChoice::Tool(_))) = &options.tool_choice
        && request.tools.is_empty()
    {
        let name = if let ToolChoice::Tool(name) = choice { name } else { "required" };
        say(format!("`tool_choice` ({name}) means nothing without tools; it was left out"));
    }
    if options.extra.get("n").and_then(Value::as_u64).is_some_and(|n| n > 1) {
        say("of the `n` answers, only the first is read".to_owned());
    }
    unknown(options, |name| CHAT.contains(&name), "a chat", &mut warnings);
    match &request.format {
        Some(_) if has(options, "response_format") => {
            let reason = "the option `response_format` was given, and was sent instead of the schema".to_owned();
            warnings.push(Warning::Unconstrained { reason });
        }
        Some(Format::JsonSchema(schema)) => {
            if let Err(error) = schema.strict() {
                warnings.push(Warning::Unconstrained { reason: format!("it was sent without `strict`: {error}") });
            }
        }
        _ => {}
    }
    warnings
}

/// The same of a generation.
pub(crate) fn of_raw(options: &RequestOptions, format: Option<&Format>) -> Vec<Warning> {
    let mut warnings = common(options);
    for (asked, option) in [(options.tool_choice.is_some(), ModelOption::ToolChoice), (options.stream, ModelOption::Stream)] {
        if asked {
            warnings.push(unsupported(option.name()));
        }
    }
    unknown(options, |name| RAW.contains(&name) || RAW_TOP.contains(&name), "a generation", &mut warnings);
    if format.is_some() {
        let reason = format!("{PROVIDER} has no form of answer for text generation");
        warnings.push(Warning::Unconstrained { reason });
    }
    warnings
}

/// What neither has.
fn common(options: &RequestOptions) -> Vec<Warning> {
    let asked = [
        (options.thinking.is_some(), ModelOption::Thinking),
        (options.context_window.is_some(), ModelOption::ContextWindow),
        (options.logits, ModelOption::Logits),
        (options.raw_logits, ModelOption::RawLogits),
    ];
    asked.into_iter().filter(|(asked, _)| *asked).map(|(_, option)| unsupported(option.name())).collect()
}

fn unknown(options: &RequestOptions, known: impl Fn(&str) -> bool, what: &str, warnings: &mut Vec<Warning>) {
    for name in options.extra.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name.as_str()) {
        if CallOptions::NAMES.contains(&name) || known(name) {
            continue;
        }
        if OWN.contains(&name) {
            warnings.push(unsupported(name));
        } else {
            let message = format!("{PROVIDER} is not known to have the option `{name}` for {what}; it was sent as it is");
            warnings.push(Warning::Other { message });
        }
    }
}

fn unsupported(option: &str) -> Warning {
    Warning::UnsupportedOption { option: option.to_owned(), provider: PROVIDER.to_owned() }
}

/// Whether an option of the service's own is set.
pub(crate) fn has(options: &RequestOptions, name: &str) -> bool {
    options.extra.get(name).is_some_and(|value| !value.is_null())
}

//! What wires have in common in how they take options.

use mellea_core::{ChatRequest, Error, ErrorKind, Format, RequestOptions, Result, ToolChoice, Warning};
use mellea_wire::JSON_TOOL;
use serde_json::{Map, Value};

use super::schema;

/// The option that says how JSON is asked for: `native` or `tool`.
pub(crate) const STRUCTURED_OUTPUT: &str = "structured_output";

/// An option that a provider does not have.
pub(crate) fn unsupported(option: &str, provider: &str) -> Warning {
    Warning::UnsupportedOption { option: option.to_owned(), provider: provider.to_owned() }
}

pub(crate) fn other(message: impl Into<String>) -> Warning {
    Warning::Other { message: message.into() }
}

pub(crate) fn unconstrained(reason: impl Into<String>) -> Warning {
    Warning::Unconstrained { reason: reason.into() }
}

/// What no wire here can do: scores, and windows of another size.
pub(crate) fn never(options: &RequestOptions, provider: &str, warnings: &mut Vec<Warning>) {
    for (given, name) in
        [(options.context_window.is_some(), "context_window"), (options.logits, "logits"), (options.raw_logits, "raw_logits")]
    {
        if given {
            warnings.push(unsupported(name, provider));
        }
    }
}

/// Warns of a choice of tools where there are none, and of what cannot be enforced.
pub(crate) fn check_choice(request: &ChatRequest, warnings: &mut Vec<Warning>) {
    match &request.options.tool_choice {
        Some(ToolChoice::Required) if request.tools.is_empty() => {
            warnings.push(other("a tool must be called, but there are no tools"));
        }
        Some(ToolChoice::Tool(name)) if !request.tools.iter().any(|tool| tool.name == *name) => {
            warnings.push(other(format!("the tool `{name}` must be called, but it is not among the tools")));
        }
        _ => {}
    }
}

/// Sets a field unless it is absent.
pub(crate) fn put(body: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), value.into());
    }
}

/// Sets the fields of an object within the body; what the caller gave under the provider's own
/// names stays.
pub(crate) fn nest(body: &mut Map<String, Value>, name: &str, fields: Map<String, Value>) {
    match body.get_mut(name) {
        Some(Value::Object(given)) => {
            for (key, value) in fields {
                given.entry(key).or_insert(value);
            }
        }
        Some(_) => {}
        None if fields.is_empty() => {}
        None => {
            body.insert(name.to_owned(), Value::Object(fields));
        }
    }
}

/// Takes the whole set of the caller's own options over what was made of the common ones.
pub(crate) fn overlay(body: &mut Map<String, Value>, extra: Map<String, Value>) {
    for (key, value) in extra {
        match (body.get_mut(&key), value) {
            (Some(Value::Object(made)), Value::Object(given)) => made.extend(given),
            (_, value) => {
                body.insert(key, value);
            }
        }
    }
}

/// How an answer of a given form is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Structured {
    /// Any answer will do, or its form is not enforced.
    #[default]
    Free,
    /// By the wire's own means, with this schema.
    Native(Value),
    /// As a call of a tool with this schema.
    Tool(Value),
}

/// That a model enforces no schema.
pub(crate) const NO_SCHEMAS: &str = "the model has no structured output";

/// Decides how the answer gets its form, and says what is not enforced; `native` is why the wire's own
/// means cannot be used.
pub(crate) fn structured(
    request: &ChatRequest,
    extra: &mut Map<String, Value>,
    native: Result<(), String>,
    limits: &schema::Limits,
    provider: &str,
    warnings: &mut Vec<Warning>,
) -> Result<Structured> {
    let wish = extra.shift_remove(STRUCTURED_OUTPUT).filter(|value| !value.is_null());
    let native = match &wish {
        None => native,
        Some(wish) => match wish.as_str() {
            Some("native") => Ok(()),
            Some("tool") => Err("it was chosen by `structured_output`".to_owned()),
            _ => {
                let (option, expected) = (STRUCTURED_OUTPUT.to_owned(), "\"native\" or \"tool\"".to_owned());
                return Err(ErrorKind::InvalidOption { option, value: wish.to_string(), expected }.into());
            }
        },
    };
    let schema = match &request.format {
        None => return Ok(Structured::Free),
        Some(Format::JsonSchema(schema)) => schema,
        Some(_) => {
            warnings.push(unconstrained(format!("{provider} has no regular expressions")));
            return Ok(Structured::Free);
        }
    };
    let why = match native {
        Err(why) => why,
        Ok(()) => match schema::restrict(schema, limits) {
            Ok(restricted) => {
                if !restricted.loose.is_empty() {
                    let words: Vec<_> = restricted.loose.iter().map(|word| format!("`{word}`")).collect();
                    warnings.push(unconstrained(format!("{provider} does not enforce {}", words.join(", "))));
                }
                return Ok(Structured::Native(restricted.schema));
            }
            Err(what) => format!("{provider} has no {what}"),
        },
    };
    warnings.push(unconstrained(format!("{why}; the answer is asked for as a call of the tool `{JSON_TOOL}`")));
    Ok(Structured::Tool(schema.plain().clone()))
}

/// What the model is told about the tool that takes the answer.
pub(crate) const JSON_TOOL_DESCRIPTION: &str = "Takes the final answer. Call it exactly once, with the answer as its arguments.";

/// Sets a field of a JSON object.
pub(crate) fn set(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Value::Object(fields) = object {
        fields.insert(name.to_owned(), value.into());
    }
}

/// An error for content that a wire cannot carry.
pub(crate) fn cannot(provider: &str, what: &str) -> Error {
    Error::unsupported(what.to_owned(), provider, format!("{provider} takes no {what}"))
}

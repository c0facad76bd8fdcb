//! What can be checked of a tool's arguments, and the check.

use serde_json::{Value, json};

use super::{ArgumentError, ArgumentPolicy, CheckedArguments, Tool, ToolOutcome, ToolSpec, args, check_arguments, known, plain};
use crate::error::ErrorKind;
use crate::schema::Schema;

/// The check of one tool's arguments, made of its schema.
#[derive(Debug)]
pub(super) struct Checks {
    /// `None` if nothing can be checked.
    schema: Option<Schema>,
    /// What the schema asks for and nobody can check: the keyword and its place.
    unchecked: Vec<String>,
}

impl Checks {
    pub(super) fn of(spec: &ToolSpec) -> Self {
        let (schema, unchecked) = understood(&spec.parameters);
        if !unchecked.is_empty() {
            tracing::debug!(tool = spec.name, ?unchecked, "arguments are not checked in full");
        }
        Self { schema, unchecked }
    }

    pub(super) fn unchecked(&self) -> &[String] {
        &self.unchecked
    }

    /// The arguments as the tool gets them, or why it does not get them.
    pub(super) fn check(&self, tool: &dyn Tool, arguments: Value, policy: ArgumentPolicy) -> Result<Value, ToolOutcome> {
        let strict = policy == ArgumentPolicy::Strict;
        if strict && !self.unchecked.is_empty() {
            let reason = format!("its arguments cannot be checked in full: {}", self.unchecked.join(", "));
            return Err(ToolOutcome::Denied { reason });
        }
        let arguments = args::as_object(arguments);
        let unnamed = known::unnamed(&tool.spec().parameters, &arguments);
        let given = if unnamed.is_empty() { Value::Null } else { arguments.clone() };
        let CheckedArguments { value, mut errors, .. } = match &self.schema {
            Some(schema) if schema.is_wrapped() && arguments.is_object() => check_wrapped(schema, &arguments, policy),
            Some(schema) => check_arguments(schema, arguments, policy),
            None => no_schema(arguments),
        };
        let refused = if strict || unnamed.is_empty() {
            unnamed
        } else if errors.is_empty() {
            taken(tool, &value, &given, &unnamed).into_iter().collect()
        } else {
            Vec::new()
        };
        for path in refused {
            if errors.iter().all(|error| error.path != path) {
                let found = given.pointer(&path).map_or_else(String::new, shown);
                errors.push(ArgumentError { path, expected: "no such argument".to_owned(), found });
            }
        }
        if errors.is_empty() {
            return Ok(value);
        }
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Err(ToolOutcome::InvalidArguments { errors, message: lines.join("; ") })
    }
}

/// A member that the tool would take although nothing about it was checked, such as a serde alias.
fn taken(tool: &dyn Tool, checked: &Value, given: &Value, unnamed: &[String]) -> Option<String> {
    let mut whole = checked.clone();
    known::restore(&mut whole, given, unnamed);
    tool.takes_unnamed(&whole, unnamed)
}

/// The part of a schema that can be checked, and what is left out of it.
fn understood(parameters: &Value) -> (Option<Schema>, Vec<String>) {
    match Schema::from_value(parameters.clone()) {
        Ok(schema) => (Some(schema), Vec::new()),
        Err(error) => (
            None,
            vec![match error.kind() {
                ErrorKind::SchemaUnsupported { keyword, path } if path.is_empty() => format!("`{keyword}`"),
                ErrorKind::SchemaUnsupported { keyword, path } => format!("`{keyword}` at {path}"),
                _ => error.to_string(),
            }],
        ),
    }
}

/// A schema that is a union or the like stands inside an object once it is normalised, and so must
/// the arguments that it is about.
fn check_wrapped(schema: &Schema, arguments: &Value, policy: ArgumentPolicy) -> CheckedArguments {
    let key = schema.plain().get("properties").and_then(Value::as_object).and_then(|p| p.keys().next().cloned());
    let key = key.unwrap_or_default();
    let mut checked = check_arguments(schema, json!({ key.as_str(): arguments }), policy);
    let inside = format!("/{key}");
    for error in &mut checked.errors {
        if let Some(path) = error.path.strip_prefix(&inside) {
            error.path = path.to_owned();
        }
    }
    checked.value = checked.value.get_mut(&key).map(Value::take).unwrap_or_default();
    checked
}

fn no_schema(value: Value) -> CheckedArguments {
    let mut errors = Vec::new();
    if !value.is_object() {
        errors.push(ArgumentError { path: String::new(), expected: "a JSON object".into(), found: shown(&value) });
    }
    CheckedArguments { value, errors }
}

/// A value in a message: itself if it is short.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(items) if !items.is_empty() => format!("an array of {}", items.len()),
        Value::Object(map) if !map.is_empty() => "an object".to_owned(),
        Value::String(text) => Value::from(plain::name(text)).to_string(),
        short => short.to_string(),
    }
}

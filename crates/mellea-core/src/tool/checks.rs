//! What can be checked of a tool's arguments, and the check.

use serde_json::Value;

use super::{ArgumentError, ArgumentPolicy, CheckedArguments, Tool, ToolOutcome, ToolSpec, check_arguments, known, plain};
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
        let arguments = crate::message::as_object(arguments);
        let unnamed = known::unnamed(&tool.spec().parameters, &arguments);
        let given = if unnamed.is_empty() { Value::Null } else { arguments.clone() };
        let CheckedArguments { value, mut errors, .. } = match &self.schema {
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
    match Schema::from_value_partial(parameters.clone()) {
        Ok((schema, unchecked)) => (Some(schema), unchecked.iter().map(ToString::to_string).collect()),
        Err(error) => (None, vec![error.to_string()]),
    }
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

//! Arguments checked against a tool's schema, field by field, with small slips mended.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::message::as_object;
use crate::schema::{Mismatch, Reading, Schema};

/// How exactly arguments must fit a tool's schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArgumentPolicy {
    /// Small slips are mended: `"3"` for `3`, `3.0` for `3`, `"yes"` for `true`, `4` for `"4"`, white
    /// space around text, a word of an enumeration in another case, one value for a list of such.
    /// Fields that the schema does not speak of are left out, unless it says that there may be others:
    /// the tool might read one as another name of a field, past the rules of that field.
    #[default]
    Lenient,
    /// Nothing is mended, unknown fields are refused, and so is every call if the schema has a rule that
    /// cannot be checked.
    Strict,
}

/// One argument that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ArgumentError {
    /// Where, as a JSON pointer; empty for the arguments as a whole.
    pub path: String,
    /// What the tool asks for.
    pub expected: String,
    /// What was given.
    pub found: String,
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, expected, found } = self;
        let place = if path.is_empty() { "the arguments" } else { path };
        write!(f, "{place}: expected {expected}, found {found}")
    }
}

impl std::error::Error for ArgumentError {}

impl From<Mismatch> for ArgumentError {
    fn from(Mismatch { path, expected, found, .. }: Mismatch) -> Self {
        Self { path, expected, found }
    }
}

/// Arguments after the check.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CheckedArguments {
    /// The arguments: those that fit, mended where the policy allows, and the others as given.
    pub value: Value,
    /// Those that do not fit, up to 16 of them.
    pub errors: Vec<ArgumentError>,
}

/// Checks arguments against the whole of a schema: its fields, and what it says of them together.
///
/// A value is never changed where the schema names no type, and no default is filled in: that is
/// serde's work. `null` for a field that may be missing but not be null is removed. What the schema
/// says that cannot be checked ([`Schema::unchecked`]) is ignored leniently, and denied strictly.
///
/// ```
/// use mellea_core::schema::Schema;
/// use mellea_core::tool::{ArgumentPolicy, check_arguments};
/// use serde_json::json;
///
/// let schema = Schema::from_value(json!({
///     "type": "object",
///     "properties": { "days": { "type": "integer" }, "metric": { "type": "boolean" } },
///     "required": ["days"],
/// }))?;
/// let given = json!({ "days": "3", "metric": "maybe" });
/// let checked = check_arguments(&schema, given, ArgumentPolicy::Lenient);
/// assert_eq!(checked.value["days"], 3);
/// assert_eq!(checked.errors[0].to_string(), "/metric: expected boolean, found \"maybe\"");
/// # Ok::<(), mellea_core::Error>(())
/// ```
#[must_use]
pub fn check_arguments(schema: &Schema, arguments: Value, policy: ArgumentPolicy) -> CheckedArguments {
    let map = match as_object(arguments) {
        Value::Object(map) => map,
        value => {
            let found = match &value {
                Value::Array(items) => format!("an array of {}", items.len()),
                Value::String(text) if text.chars().nth(60).is_some() => {
                    format!("{}…", Value::from(text.chars().take(60).collect::<String>()))
                }
                short => short.to_string(),
            };
            let error = ArgumentError { path: String::new(), expected: "a JSON object".into(), found };
            return CheckedArguments { value, errors: vec![error] };
        }
    };
    let reading = match policy {
        ArgumentPolicy::Lenient => Reading::Lenient,
        ArgumentPolicy::Strict => Reading::Strict,
    };
    let checked = schema.check_arguments(map, reading);
    let mut errors: Vec<ArgumentError> = checked.faults.faults.into_iter().map(ArgumentError::from).collect();
    if policy == ArgumentPolicy::Strict {
        errors.extend(schema.unchecked().iter().take(4).map(|unchecked| ArgumentError {
            path: String::new(),
            expected: "arguments that can be checked".to_owned(),
            found: format!("a rule that cannot: {unchecked}"),
        }));
    }
    CheckedArguments { value: checked.value, errors }
}

//! Arguments checked against a tool's schema, field by field, with small slips mended.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::message::as_object;
use crate::schema::Schema;
use crate::schema::equal::whole;
use crate::schema::path::Path;
use crate::schema::validate::{
    Mismatch, Validator, admits_type, expected, names_type, required, resolve, shown, stands_for_absent,
};

/// How exactly arguments must fit a tool's schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArgumentPolicy {
    /// Small slips are mended: `"3"` for `3`, `3.0` for `3`, `"yes"` for `true`, `4` for `"4"`,
    /// white space around text. Unknown fields are kept.
    #[default]
    Lenient,
    /// Nothing is mended, and unknown fields are refused.
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
    fn from(Mismatch { path, expected, found }: Mismatch) -> Self {
        Self { path, expected, found }
    }
}

/// Arguments after the check.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CheckedArguments {
    /// The arguments: those that fit, mended where the policy allows, and the others as given.
    pub value: Value,
    /// Those that do not fit, at most one error for each field.
    pub errors: Vec<ArgumentError>,
}

/// Checks arguments against a schema, each field by itself.
///
/// A value is never changed where the schema names no type, and no default is filled in: that is
/// serde's work. `null` for a field that may be missing but not be null is removed.
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
    let mut value = as_object(arguments);
    let (root, mut validator) = schema.validator();
    let rules = resolve(root, root).as_object();
    let (Some(rules), Value::Object(map)) = (rules, &mut value) else {
        let found = shown(&value);
        let error = ArgumentError { path: String::new(), expected: "a JSON object".into(), found };
        return CheckedArguments { value, errors: vec![error] };
    };
    let properties = rules.get("properties").and_then(Value::as_object);
    let rest = rules.get("additionalProperties").filter(|rest| rest.is_object());
    let open = rest.is_some() || rules.get("additionalProperties") == Some(&Value::Bool(true));
    let mut errors = Vec::new();
    for (name, member) in map.iter_mut() {
        let known = properties.and_then(|p| p.get(name));
        let Some(schema) = known.or(rest) else {
            if policy == ArgumentPolicy::Strict && !open {
                let path = Path::Key(&Path::Root, name).pointer();
                let expected = "no such argument".to_owned();
                errors.push(ArgumentError { path, expected, found: shown(member) });
            }
            continue;
        };
        if known.is_some() && stands_for_absent(root, rules, name, schema, member) {
            continue;
        }
        let place = Path::Key(&Path::Root, name);
        if policy == ArgumentPolicy::Lenient {
            let mut mended = member.clone();
            mend(&mut validator, root, schema, &mut mended, 0);
            match validator.check(schema, &mended, &place) {
                Ok(()) => *member = mended,
                Err(fault) => errors.push(fault.into()),
            }
        } else if let Err(fault) = validator.check(schema, member, &place) {
            errors.push(fault.into());
        }
    }
    for name in required(rules).filter(|name| !map.contains_key(*name)) {
        let path = Path::Key(&Path::Root, name).pointer();
        let schema = properties.and_then(|p| p.get(name));
        let expected = schema.map_or_else(|| "a value".to_owned(), |s| expected(root, s));
        errors.push(ArgumentError { path, expected, found: "nothing".to_owned() });
    }
    if errors.is_empty() {
        validator.conform(root, &mut value);
    }
    CheckedArguments { value, errors }
}

/// How deep slips are mended; a deeper value is checked as it is.
const MAX_MENDING: usize = 16;

fn mend<'s>(validator: &mut Validator<'s>, root: &'s Value, schema: &'s Value, value: &mut Value, depth: usize) {
    let schema = resolve(root, schema);
    let Some(rules) = schema.as_object().filter(|_| depth < MAX_MENDING) else {
        return;
    };
    for union in ["anyOf", "oneOf"] {
        let Some(Value::Array(branches)) = rules.get(union) else {
            continue;
        };
        if validator.check(schema, value, &Path::Root).is_ok() {
            return;
        }
        for branch in branches {
            let mut mended = value.clone();
            // Unions within unions are tried with more weight, so that the work stays bounded.
            mend(validator, root, branch, &mut mended, depth + 4);
            if validator.check(branch, &mended, &Path::Root).is_ok() {
                *value = mended;
                return;
            }
        }
        return;
    }
    if let Value::String(text) = value
        && names_type(rules, "string")
        && text.trim().len() < text.len()
    {
        *text = text.trim().to_owned();
    }
    if !admits_type(rules, value) {
        let types = ["boolean", "integer", "number", "string"];
        let named = types.iter().filter(|name| names_type(rules, name));
        if let Some(mended) = named.filter_map(|name| converted(name, value)).next() {
            *value = mended;
        }
        return;
    }
    match value {
        Value::Array(items) => {
            let prefix = rules.get("prefixItems").and_then(Value::as_array);
            for (index, item) in items.iter_mut().enumerate() {
                let own = prefix.and_then(|prefix| prefix.get(index));
                if let Some(schema) = own.or_else(|| rules.get("items")) {
                    mend(validator, root, schema, item, depth + 1);
                }
            }
        }
        Value::Object(map) => {
            let properties = rules.get("properties").and_then(Value::as_object);
            let rest = rules.get("additionalProperties");
            for (name, member) in map.iter_mut() {
                if let Some(schema) = properties.and_then(|p| p.get(name)).or(rest) {
                    mend(validator, root, schema, member, depth + 1);
                }
            }
        }
        _ => {}
    }
}

/// A scalar as another scalar type, where there is no doubt what was meant.
fn converted(name: &str, value: &Value) -> Option<Value> {
    match (name, value) {
        ("boolean", Value::String(text)) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(Value::Bool(true)),
            "false" | "no" | "off" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        ("boolean", Value::Number(number)) => match number.as_f64() {
            Some(1.0) => Some(Value::Bool(true)),
            Some(0.0) => Some(Value::Bool(false)),
            _ => None,
        },
        ("integer", Value::String(text)) => whole(&number(text)?).map(Value::Number),
        ("number", Value::String(text)) => number(text).map(Value::Number),
        ("string", Value::Number(number)) => Some(Value::String(number.to_string())),
        _ => None,
    }
}

fn number(text: &str) -> Option<Number> {
    serde_json::from_str(text.trim().trim_start_matches('+')).ok()
}

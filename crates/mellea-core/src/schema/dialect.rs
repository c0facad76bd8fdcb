//! The strict dialect: what providers that enforce a schema ask for.

use serde_json::{Map, Value};

use super::normalise::unsupported;
use super::path::Path;
use super::validate::{admits_null, required};
use crate::error::Result;

/// A normalised schema in the strict dialect.
pub(super) fn strict(root: &Value) -> Result<Value> {
    let mut out = node(root, root, &Path::Root)?;
    if let Some(defs) = root.get("$defs").and_then(Value::as_object) {
        let group = Path::Key(&Path::Root, "$defs");
        let mut strict_defs = Map::new();
        for (name, body) in defs {
            strict_defs.insert(name.clone(), Value::Object(node(root, body, &Path::Key(&group, name))?));
        }
        out.insert("$defs".to_owned(), Value::Object(strict_defs));
    }
    Ok(Value::Object(out))
}

fn node(root: &Value, schema: &Value, at: &Path<'_>) -> Result<Map<String, Value>> {
    let empty = Map::new();
    let source = schema.as_object().unwrap_or(&empty);
    let known = ["type", "$ref", "anyOf", "oneOf", "enum", "const"];
    if !known.iter().any(|key| source.contains_key(*key)) {
        return Err(unsupported("{}", at.pointer()).with_hint("a strict schema cannot hold a value of any type"));
    }
    let mut out = Map::new();
    for (keyword, value) in source {
        let here = Path::Key(at, keyword);
        match keyword.as_str() {
            "title" | "default" | "format" | "$defs" => {}
            "required" | "additionalProperties" if source.contains_key("properties") => {
                if matches!(value, Value::Object(_)) {
                    return Err(unsupported(keyword, at.pointer()));
                }
            }
            "additionalProperties" if value == &Value::Bool(false) => {}
            "properties" => {
                let properties = value.as_object().unwrap_or(&empty);
                let names = properties.keys().map(|name| Value::from(name.as_str())).collect();
                let needed: Vec<&str> = required(source).collect();
                let mut strict_properties = Map::new();
                for (name, property) in properties {
                    let mut strict = node(root, property, &Path::Key(&here, name))?;
                    if !needed.contains(&name.as_str()) && !admits_null(root, property) {
                        strict = or_null(strict);
                    }
                    strict_properties.insert(name.clone(), Value::Object(strict));
                }
                out.insert(keyword.clone(), Value::Object(strict_properties));
                out.insert("required".to_owned(), Value::Array(names));
            }
            "anyOf" | "oneOf" => {
                let mut branches = Vec::new();
                for (index, branch) in value.as_array().into_iter().flatten().enumerate() {
                    branches.push(Value::Object(node(root, branch, &Path::Index(&here, index))?));
                }
                out.insert("anyOf".to_owned(), Value::Array(branches));
            }
            "items" if value.is_object() => {
                out.insert(keyword.clone(), Value::Object(node(root, value, &here)?));
            }
            "const" => {
                out.insert("enum".to_owned(), Value::Array(vec![value.clone()]));
            }
            "type" | "enum" | "description" | "$ref" | "pattern" | "minimum" | "maximum" | "exclusiveMinimum"
            | "exclusiveMaximum" | "multipleOf" | "minItems" | "maxItems" => {
                out.insert(keyword.clone(), value.clone());
            }
            other => return Err(unsupported(other, at.pointer())),
        }
    }
    // A reference may have nothing beside it.
    if out.len() > 1
        && let Some(reference) = out.shift_remove("$ref")
    {
        let branch = std::iter::once(("$ref".to_owned(), reference)).collect();
        out.insert("anyOf".to_owned(), Value::Array(vec![Value::Object(branch)]));
    }
    if out.get("type").is_some_and(|t| t == "object" || t.as_array().is_some_and(|t| t.contains(&"object".into()))) {
        out.entry("properties").or_insert_with(|| Value::Object(Map::new()));
        out.entry("required").or_insert_with(|| Value::Array(Vec::new()));
        out.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    Ok(out)
}

/// The same schema, `null` let through.
fn or_null(mut schema: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Array(branches)) = schema.get_mut("anyOf") {
        branches.push(null());
        return schema;
    }
    let scalar = schema.get("type").is_some_and(|t| t.is_array() || (t != "object" && t != "array"));
    if scalar {
        if let Some(types) = schema.get_mut("type") {
            *types = match types.take() {
                Value::Array(mut list) => {
                    list.push("null".into());
                    Value::Array(list)
                }
                one => Value::Array(vec![one, "null".into()]),
            };
        }
        if let Some(Value::Array(values)) = schema.get_mut("enum") {
            values.push(Value::Null);
        }
        return schema;
    }
    let mut out = Map::new();
    if let Some(description) = schema.shift_remove("description") {
        out.insert("description".to_owned(), description);
    }
    out.insert("anyOf".to_owned(), Value::Array(vec![Value::Object(schema), null()]));
    out
}

fn null() -> Value {
    Value::Object(std::iter::once(("type".to_owned(), Value::from("null"))).collect())
}

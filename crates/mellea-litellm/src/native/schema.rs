//! Schemas in the narrower dialects that providers enforce.

use std::collections::BTreeSet;

use mellea_core::Schema;
use serde_json::{Map, Value, json};

/// What a provider's dialect has.
#[derive(Debug)]
pub(crate) struct Limits {
    /// Constraints that it enforces, besides types, enumerations, properties and `anyOf`.
    pub(crate) keywords: &'static [&'static str],
    /// Formats of texts that it knows.
    pub(crate) formats: &'static [&'static str],
    /// Objects must have known properties and no others.
    pub(crate) closed: bool,
    /// It has recursive types.
    pub(crate) recursion: bool,
    /// It has `const`.
    pub(crate) constants: bool,
    /// It has `allOf`.
    pub(crate) all_of: bool,
}

/// A schema in a dialect.
#[derive(Debug)]
pub(crate) struct Restricted {
    pub(crate) schema: Value,
    /// Constraints that are only in descriptions.
    pub(crate) loose: BTreeSet<String>,
}

/// The schema in a dialect, or what the dialect lacks.
///
/// Constraints that it does not enforce become a part of the description, so that the model knows.
pub(crate) fn restrict(schema: &Schema, limits: &Limits) -> Result<Restricted, &'static str> {
    let mut walk = Walk { limits, loose: BTreeSet::new() };
    let schema = walk.schema(schema.plain())?;
    Ok(Restricted { schema, loose: walk.loose })
}

struct Walk<'a> {
    limits: &'a Limits,
    loose: BTreeSet<String>,
}

impl Walk<'_> {
    fn schema(&mut self, schema: &Value) -> Result<Value, &'static str> {
        let Value::Object(given) = schema else { return Err("values of any type") };
        let mut out = Map::new();
        let mut told = Vec::new();
        for (key, value) in given {
            match key.as_str() {
                "type" | "enum" | "required" | "title" | "description" => {
                    out.insert(key.clone(), value.clone());
                }
                "$ref" if self.limits.recursion => {
                    out.insert(key.clone(), value.clone());
                }
                "$ref" => return Err("recursive types"),
                "const" if self.limits.constants => {
                    out.insert(key.clone(), value.clone());
                }
                "const" => {
                    out.insert("enum".to_owned(), json!([value]));
                }
                "properties" | "$defs" => {
                    let Value::Object(parts) = value else { continue };
                    let mut kept = Map::new();
                    for (name, part) in parts {
                        kept.insert(name.clone(), self.schema(part)?);
                    }
                    out.insert(key.clone(), Value::Object(kept));
                }
                "items" => {
                    out.insert(key.clone(), self.schema(value)?);
                }
                "anyOf" | "oneOf" => {
                    out.insert("anyOf".to_owned(), self.list(value)?);
                }
                "allOf" if self.limits.all_of => {
                    out.insert(key.clone(), self.list(value)?);
                }
                "allOf" => return Err("`allOf`"),
                "prefixItems" if self.limits.keywords.contains(&"prefixItems") => {
                    out.insert(key.clone(), self.list(value)?);
                }
                "prefixItems" => return Err("tuples"),
                "additionalProperties" => match value {
                    Value::Bool(false) => {
                        out.insert(key.clone(), value.clone());
                    }
                    _ if self.limits.closed => return Err("maps"),
                    Value::Object(_) => {
                        out.insert(key.clone(), self.schema(value)?);
                    }
                    _ => {}
                },
                "patternProperties" | "unevaluatedProperties" if self.limits.closed && !value.is_boolean() => {
                    return Err("maps");
                }
                "default" | "examples" | "$schema" | "$id" | "$comment" => {}
                "minItems" if value.as_u64() == Some(0) => {}
                _ if self.enforced(key, value) => {
                    out.insert(key.clone(), value.clone());
                }
                "format" if value.as_str().is_some_and(|format| self.limits.formats.contains(&format)) => {
                    out.insert(key.clone(), value.clone());
                }
                // It never decides whether a value fits; `uint8` and the like say nothing to a model.
                "format" if given.get("type").is_some_and(|kind| kind == "string") => told.push(format!("{key}: {value}")),
                "format" => {}
                _ => {
                    told.push(format!("{key}: {value}"));
                    self.loose.insert(key.clone());
                }
            }
        }
        if self.limits.closed {
            let is_object = out
                .get("type")
                .is_some_and(|kind| kind == "object" || kind.as_array().is_some_and(|k| k.contains(&"object".into())));
            if is_object && !out.contains_key("properties") && !out.contains_key("additionalProperties") {
                return Err("objects of any properties");
            }
            if is_object {
                out.insert("additionalProperties".to_owned(), false.into());
            }
            if !["type", "enum", "const", "anyOf", "allOf", "$ref"].iter().any(|key| out.contains_key(*key)) {
                return Err("values of any type");
            }
        }
        if !told.is_empty() {
            let told = format!("{{{}}}", told.join(", "));
            let description = match out.get("description").and_then(Value::as_str) {
                Some(text) => format!("{text}\n\n{told}"),
                None => told,
            };
            out.insert("description".to_owned(), description.into());
        }
        Ok(Value::Object(out))
    }

    fn list(&mut self, value: &Value) -> Result<Value, &'static str> {
        let items: Result<Vec<_>, _> = value.as_array().into_iter().flatten().map(|item| self.schema(item)).collect();
        Ok(Value::Array(items?))
    }

    fn enforced(&self, key: &str, value: &Value) -> bool {
        // `minItems=1`: only this value.
        self.limits.keywords.iter().any(|known| match known.split_once('=') {
            Some((name, only)) => name == key && only.parse().is_ok_and(|only: u64| value.as_u64() == Some(only)),
            None => *known == key,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW: Limits =
        Limits { keywords: &["minItems=1"], formats: &["date"], closed: true, recursion: false, constants: true, all_of: false };
    const WIDE: Limits = Limits {
        keywords: &["minimum", "prefixItems"],
        formats: &[],
        closed: false,
        recursion: true,
        constants: false,
        all_of: true,
    };

    #[expect(clippy::needless_pass_by_value, reason = "made for the call")]
    fn schema(properties: Value) -> Schema {
        Schema::from_value(json!({"type": "object", "properties": properties, "required": ["a"]})).unwrap()
    }

    #[test]
    fn what_is_not_enforced_is_told() {
        let given = schema(json!({
            "a": {"type": "integer", "minimum": 1, "maximum": 9, "description": "A digit."},
            "b": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "d": {"type": "string", "format": "date"},
            "e": {"type": "string", "format": "uuid"},
            "f": {"type": "integer", "format": "uint8"},
            "c": {"type": "array", "items": {"type": "string"}, "minItems": 2},
        }));
        let narrow = restrict(&given, &NARROW).unwrap();
        assert_eq!(narrow.loose.iter().map(String::as_str).collect::<Vec<_>>(), ["maximum", "minItems", "minimum"]);
        let properties = &narrow.schema["properties"];
        assert_eq!(properties["a"], json!({"type": "integer", "description": "A digit.\n\n{minimum: 1, maximum: 9}"}));
        assert_eq!(properties["b"]["minItems"], 1);
        assert_eq!(properties["c"]["description"], "{minItems: 2}");
        assert_eq!(properties["d"]["format"], "date");
        assert_eq!(properties["e"], json!({"type": "string", "description": "{format: \"uuid\"}"}));
        assert_eq!(properties["f"], json!({"type": "integer"}));
        assert_eq!(narrow.schema["additionalProperties"], false);
        let wide = restrict(&given, &WIDE).unwrap();
        assert_eq!(wide.schema["properties"]["a"]["minimum"], 1);
        assert!(wide.schema.get("additionalProperties").is_none());
    }

    #[test]
    fn what_a_dialect_lacks_is_named() {
        for (part, what) in [
            (json!({"type": "object", "additionalProperties": {"type": "string"}}), "maps"),
            (json!({"type": "array", "prefixItems": [{"type": "string"}]}), "tuples"),
            (json!({}), "values of any type"),
            (json!({"type": "object"}), "objects of any properties"),
        ] {
            assert_eq!(restrict(&schema(json!({"a": part.clone()})), &NARROW).unwrap_err(), what, "{part}");
            restrict(&schema(json!({"a": part})), &WIDE).unwrap();
        }
        let tree = Schema::from_value(json!({
            "type": "object",
            "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        }));
        if let Ok(tree) = tree {
            assert_eq!(restrict(&tree, &NARROW).unwrap_err(), "recursive types");
            restrict(&tree, &WIDE).unwrap();
        }
    }
}

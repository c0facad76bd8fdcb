//! Which members of a value a schema does not name.

use serde_json::{Map, Value};

/// How many schemas can hold for one value, its references and unions followed.
const MAX_SCHEMAS: usize = 64;

/// How deep a value is followed.
const MAX_DEPTH: usize = 128;

/// How many unnamed members are listed.
const MAX_FOUND: usize = 32;

/// The places, as JSON pointers, of members that no part of the schema names although it names
/// others. A schema that says what further members look like is open, and lists none.
pub(super) fn unnamed(schema: &Value, value: &Value) -> Vec<String> {
    let mut search = Search { root: schema, found: Vec::new() };
    search.value(&[schema], value, &mut String::new(), 0);
    search.found
}

/// Takes the member at a JSON pointer away.
pub(super) fn remove(value: &mut Value, pointer: &str) {
    if let Some((members, name)) = place(value, pointer) {
        members.shift_remove(&name);
    }
}

/// Puts members of another value back, by their JSON pointers.
pub(super) fn restore(value: &mut Value, from: &Value, pointers: &[String]) {
    for pointer in pointers {
        if let (Some((members, name)), Some(member)) = (place(value, pointer), from.pointer(pointer)) {
            members.entry(name).or_insert_with(|| member.clone());
        }
    }
}

/// The object that a JSON pointer leads into, and the name of the member there.
fn place<'v>(value: &'v mut Value, pointer: &str) -> Option<(&'v mut Map<String, Value>, String)> {
    let (parent, name) = pointer.rsplit_once('/')?;
    let members = value.pointer_mut(parent)?.as_object_mut()?;
    Some((members, name.replace("~1", "/").replace("~0", "~")))
}

struct Search<'s> {
    root: &'s Value,
    found: Vec<String>,
}

impl<'s> Search<'s> {
    fn value(&mut self, schemas: &[&'s Value], value: &Value, at: &mut String, depth: usize) {
        if depth > MAX_DEPTH || self.found.len() >= MAX_FOUND {
            return;
        }
        match value {
            Value::Object(members) => {
                let rules = self.applied(schemas);
                let named = rules.iter().any(|rules| rules.contains_key("properties"));
                for (name, member) in members {
                    let mut own: Vec<&Value> =
                        rules.iter().filter_map(|rules| rules.get("properties").and_then(|p| p.get(name))).collect();
                    if own.is_empty() {
                        own = rules.iter().copied().flat_map(further).collect();
                    }
                    let length = at.len();
                    at.push('/');
                    at.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    if own.is_empty() && named {
                        self.found.push(at.clone());
                    } else {
                        self.value(&own, member, at, depth + 1);
                    }
                    at.truncate(length);
                }
            }
            Value::Array(items) => {
                let rules = self.applied(schemas);
                for (index, item) in items.iter().enumerate() {
                    let own: Vec<&Value> = rules.iter().filter_map(|rules| element(rules, index)).collect();
                    let length = at.len();
                    at.push_str(&format!("/{index}"));
                    self.value(&own, item, at, depth + 1);
                    at.truncate(length);
                }
            }
            _ => {}
        }
    }

    /// All schemas that can hold for a value, references and combinations followed.
    fn applied(&self, schemas: &[&'s Value]) -> Vec<&'s Map<String, Value>> {
        let mut open: Vec<&'s Value> = schemas.iter().rev().copied().collect();
        let mut out: Vec<&'s Map<String, Value>> = Vec::new();
        while let Some(schema) = open.pop() {
            let Some(rules) = schema.as_object() else { continue };
            if out.len() >= MAX_SCHEMAS || out.iter().any(|seen| std::ptr::eq(*seen, rules)) {
                continue;
            }
            out.push(rules);
            let reference = rules.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
            open.extend(reference.and_then(|pointer| self.root.pointer(pointer)));
            for key in ["allOf", "anyOf", "oneOf"] {
                open.extend(rules.get(key).and_then(Value::as_array).into_iter().flatten());
            }
            open.extend(["if", "then", "else"].iter().filter_map(|key| rules.get(*key)));
            open.extend(rules.get("dependentSchemas").and_then(Value::as_object).into_iter().flat_map(Map::values));
        }
        out
    }
}

/// What further members look like, if they may be there.
fn further(rules: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let rest = ["additionalProperties", "unevaluatedProperties"].iter().filter_map(|key| rules.get(*key));
    let patterns = rules.get("patternProperties").and_then(Value::as_object);
    rest.filter(|rest| **rest != Value::Bool(false)).chain(patterns.into_iter().flat_map(Map::values))
}

fn element(rules: &Map<String, Value>, index: usize) -> Option<&Value> {
    let prefix = rules.get("prefixItems").and_then(Value::as_array);
    prefix.and_then(|prefix| prefix.get(index)).or_else(|| rules.get("items"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_that_no_schema_names_are_found_at_any_depth() {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": { "$ref": "#/$defs/Inner" },
                "list": { "type": "array", "items": { "$ref": "#/$defs/Inner" } },
                "either": { "anyOf": [{ "properties": { "x": {} } }, { "properties": { "y": {} } }] },
                "map": { "type": "object", "additionalProperties": { "$ref": "#/$defs/Inner" } },
                "any": {},
            },
            "$defs": { "Inner": { "properties": { "n": {}, "self": { "$ref": "#/$defs/Inner" } } } },
        });
        let value = json!({
            "a": { "n": 1, "m": 2, "self": { "self": { "a/b": 1 } } },
            "list": [{ "n": 1 }, { "k": 1 }],
            "either": { "x": 1, "y": 2, "z": 3 },
            "map": { "free": { "n": 1, "o": 2 } },
            "any": { "whatever": { "x": 1 } },
            "b": null,
        });
        let found = ["/a/m", "/a/self/self/a~1b", "/list/1/k", "/either/z", "/map/free/o", "/b"];
        assert_eq!(unnamed(&schema, &value), found);
        assert_eq!(unnamed(&json!(true), &value), [""; 0]);
        let endless = json!({ "$ref": "#/$defs/A", "$defs": { "A": { "anyOf": [{ "$ref": "#" }, { "$ref": "#/$defs/A" }] } } });
        assert_eq!(unnamed(&endless, &value), [""; 0]);
    }
}

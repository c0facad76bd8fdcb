//! One shape for every schema: references written out, only known keywords, the root an object.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::merge::{fold_all_of, merge, simplify_union};
use super::path::Path;
use super::{MAX_DEPTH, pointer_to};
use crate::error::{Error, ErrorKind, Result};

/// How many parts a schema may have once its references are written out.
const MAX_PARTS: usize = 20_000;

/// The seven type names of JSON Schema.
const TYPES: [&str; 7] = ["object", "array", "string", "integer", "number", "boolean", "null"];

/// Whether a keyword only describes, so that it never decides whether a value fits.
pub(super) fn is_annotation(keyword: &str) -> bool {
    matches!(keyword, "title" | "description" | "default" | "examples" | "format")
}

/// A schema that cannot be enforced.
pub(super) fn unsupported(keyword: &str, path: String) -> Error {
    Error::new(ErrorKind::SchemaUnsupported { keyword: keyword.to_owned(), path })
}

/// The normal form of a schema, not yet wrapped into an object.
pub(super) fn normalise(source: &Value) -> Result<Value> {
    if depth(source) > MAX_DEPTH {
        return Err(unsupported("nesting", String::new()).with_hint("a schema may be nested 128 levels deep"));
    }
    let mut normaliser = Normaliser::new(source);
    let mut root = match &normaliser.root_name {
        Some(name) => {
            let name = name.clone();
            normaliser.reference(&pointer_to(&name), &Path::Root, 0)?
        }
        None => normaliser.node(source, &Path::Root, 0)?,
    };
    let mut defs = Map::new();
    while let Some(name) = normaliser.used.iter().find(|name| !defs.contains_key(*name)).cloned() {
        let body = normaliser.definition(&name, 0)?;
        defs.insert(name, Value::Object(body));
    }
    // A recursive root is written out once, so that it is an object rather than a reference.
    if let Some(body) = root.get("$ref").and_then(Value::as_str).and_then(def_name).and_then(|name| defs.get(&name)) {
        let body = body.as_object().cloned().unwrap_or_default();
        root.shift_remove("$ref");
        for (key, value) in body {
            root.entry(key).or_insert(value);
        }
    }
    let mut out = Map::new();
    if let Some(title) = source.get("title").filter(|t| t.is_string()) {
        out.insert("title".to_owned(), title.clone());
    }
    out.extend(root);
    if !defs.is_empty() {
        out.insert("$defs".to_owned(), Value::Object(defs));
    }
    Ok(Value::Object(out))
}

/// How deep a value is nested, found without recursion.
fn depth(value: &Value) -> usize {
    let mut deepest = 0;
    let mut open = vec![(value, 1)];
    while let Some((value, level)) = open.pop() {
        deepest = deepest.max(level);
        match value {
            Value::Array(items) => open.extend(items.iter().map(|v| (v, level + 1))),
            Value::Object(map) => open.extend(map.values().map(|v| (v, level + 1))),
            _ => {}
        }
    }
    deepest
}

/// The definition that a reference names; `None` if it leads anywhere else.
pub(super) fn def_name(reference: &str) -> Option<String> {
    let name = reference.strip_prefix("#/$defs/").or_else(|| reference.strip_prefix("#/definitions/"))?;
    if name.contains('/') {
        return None;
    }
    Some(percent_decode(name).replace("~1", "/").replace("~0", "~"))
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        if let Some(value) = escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(value);
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

struct Normaliser<'a> {
    /// Every definition, and where it stands.
    defs: BTreeMap<String, (&'a Value, String)>,
    /// The name the root goes by if something refers to it with `#`.
    root_name: Option<String>,
    /// The definitions that lead back to themselves.
    recursive: BTreeSet<String>,
    /// The recursive definitions in use, in order of first use.
    used: Vec<String>,
    parts: usize,
}

impl<'a> Normaliser<'a> {
    fn new(source: &'a Value) -> Self {
        let mut defs = BTreeMap::new();
        for key in ["definitions", "$defs"] {
            for (name, body) in source.get(key).and_then(Value::as_object).into_iter().flatten() {
                let path = Path::Key(&Path::Key(&Path::Root, key), name).pointer();
                defs.insert(name.clone(), (body, path));
            }
        }
        let mut root_name = None;
        if references(source).contains("#") {
            let title = source.get("title").and_then(Value::as_str).unwrap_or("Root");
            let mut name = title.to_owned();
            while defs.contains_key(&name) {
                name.push('_');
            }
            defs.insert(name.clone(), (source, String::new()));
            root_name = Some(name);
        }
        let recursive = recursive(&defs, root_name.as_deref());
        Self { defs, root_name, recursive, used: Vec::new(), parts: 0 }
    }

    /// The normal form of one schema.
    fn node(&mut self, schema: &Value, at: &Path<'_>, depth: usize) -> Result<Map<String, Value>> {
        self.parts += 1;
        if self.parts > MAX_PARTS || depth > MAX_DEPTH {
            return Err(unsupported("$ref", at.pointer()).with_hint("with its references written out the schema is too large"));
        }
        let source = match schema {
            Value::Bool(true) => return Ok(Map::new()),
            Value::Object(source) => source,
            _ => return Err(unsupported("false", at.pointer())),
        };
        let mut out = Map::new();
        let mut closed = false;
        for (keyword, value) in source {
            let here = Path::Key(at, keyword);
            let kept = match keyword.as_str() {
                "$ref" => continue,
                "$schema" | "$id" | "$comment" | "$defs" | "definitions" | "title" | "examples" | "deprecated" | "readOnly"
                | "writeOnly" => continue,
                extension if extension.starts_with("x-") => continue,
                "unevaluatedProperties" if value == &Value::Bool(false) => {
                    closed = true;
                    continue;
                }
                "properties" => {
                    let mut properties = Map::new();
                    for (name, property) in value.as_object().ok_or_else(|| unsupported(keyword, at.pointer()))? {
                        let place = Path::Key(&here, name);
                        properties.insert(name.clone(), Value::Object(self.node(property, &place, depth + 1)?));
                    }
                    Value::Object(properties)
                }
                "additionalProperties" if value.is_boolean() => value.clone(),
                "items" if value == &Value::Bool(false) => value.clone(),
                "additionalProperties" | "items" => Value::Object(self.node(value, &here, depth + 1)?),
                "prefixItems" | "anyOf" | "oneOf" | "allOf" => {
                    let parts = value.as_array().filter(|parts| !parts.is_empty());
                    let parts = parts.ok_or_else(|| unsupported(keyword, at.pointer()))?;
                    let mut list = Vec::with_capacity(parts.len());
                    for (index, part) in parts.iter().enumerate() {
                        let part = self.node(part, &Path::Index(&here, index), depth + 1)?;
                        list.push(Value::Object(part));
                    }
                    Value::Array(list)
                }
                plain => plain_keyword(plain, value).ok_or_else(|| unsupported(keyword, at.pointer()))?,
            };
            out.insert(keyword.clone(), kept);
        }
        if let Some(reference) = source.get("$ref") {
            let reference = reference.as_str().ok_or_else(|| unsupported("$ref", at.pointer()))?;
            let target = self.reference(reference, at, depth)?;
            out = with_target(target, out);
        }
        out = fold_all_of(out);
        for union in ["anyOf", "oneOf"] {
            out = simplify_union(out, union);
        }
        if closed && !close(&mut out) {
            return Err(unsupported("unevaluatedProperties", at.pointer()));
        }
        infer_type(&mut out);
        Ok(out)
    }

    /// What a reference stands for: the definition itself, or a reference if it is recursive.
    fn reference(&mut self, reference: &str, at: &Path<'_>, depth: usize) -> Result<Map<String, Value>> {
        let name = if reference == "#" { self.root_name.clone() } else { def_name(reference) };
        let Some(name) = name.filter(|name| self.defs.contains_key(name)) else {
            return Err(
                unsupported("$ref", at.pointer()).with_hint("only references into the schema's own definitions are followed")
            );
        };
        if !self.recursive.contains(&name) {
            return self.definition(&name, depth + 1);
        }
        let mut out = Map::new();
        out.insert("$ref".to_owned(), pointer_to(&name).into());
        if !self.used.contains(&name) {
            self.used.push(name);
        }
        Ok(out)
    }

    /// The normal form of a definition.
    fn definition(&mut self, name: &str, depth: usize) -> Result<Map<String, Value>> {
        let Some((body, path)) = self.defs.get(name).cloned() else {
            return Err(unsupported("$ref", String::new()));
        };
        let path = path.trim_start_matches('/').to_owned();
        // The path was escaped when it was made, and each of its steps is a plain key.
        let steps: Vec<String> = path.split('/').map(|s| s.replace("~1", "/").replace("~0", "~")).collect();
        match steps.as_slice() {
            [group, key] => {
                let group = Path::Key(&Path::Root, group);
                self.node(body, &Path::Key(&group, key), depth)
            }
            _ => self.node(body, &Path::Root, depth),
        }
    }
}

/// A keyword whose value is no schema, if its value makes sense.
fn plain_keyword(keyword: &str, value: &Value) -> Option<Value> {
    let known = |t: &Value| t.as_str().is_some_and(|t| TYPES.contains(&t));
    let valid = match keyword {
        "type" => match value {
            Value::Array(types) => {
                if let [only] = types.as_slice() {
                    return known(only).then(|| only.clone());
                }
                !types.is_empty() && types.iter().all(known)
            }
            one => known(one),
        },
        "required" => value.as_array().is_some_and(|names| names.iter().all(Value::is_string)),
        "enum" => value.as_array().is_some_and(|values| !values.is_empty()),
        "const" | "default" => true,
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => value.is_number(),
        "multipleOf" => value.as_f64().is_some_and(|step| step > 0.0),
        "minLength" | "maxLength" | "minItems" | "maxItems" => value.is_u64(),
        "uniqueItems" => value.is_boolean(),
        "pattern" => value.as_str().is_some_and(|pattern| regex_lite::Regex::new(pattern).is_ok()),
        "format" | "description" => value.is_string(),
        _ => false,
    };
    valid.then(|| value.clone())
}

/// A reference's target together with the keywords that stood beside the reference.
fn with_target(mut target: Map<String, Value>, beside: Map<String, Value>) -> Map<String, Value> {
    if beside.keys().all(|key| is_annotation(key)) {
        target.extend(beside);
        return target;
    }
    if !target.contains_key("$ref")
        && let Some(merged) = merge(&target, &beside)
    {
        return merged;
    }
    let parts = Value::Array(vec![Value::Object(target), Value::Object(beside)]);
    std::iter::once(("allOf".to_owned(), parts)).collect()
}

/// Forbids properties that are not named; `false` where the schema's shape leaves that open.
fn close(out: &mut Map<String, Value>) -> bool {
    if out.contains_key("$ref") || out.contains_key("allOf") {
        return false;
    }
    for union in ["anyOf", "oneOf"] {
        if let Some(Value::Array(branches)) = out.get_mut(union) {
            return branches.iter_mut().all(|branch| branch.as_object_mut().is_some_and(close));
        }
    }
    out.insert("additionalProperties".to_owned(), Value::Bool(false));
    true
}

/// Names the type where the other keywords leave only one.
fn infer_type(out: &mut Map<String, Value>) {
    if ["type", "$ref", "allOf", "anyOf", "oneOf"].iter().any(|key| out.contains_key(*key)) {
        return;
    }
    let has = |keys: &[&str]| keys.iter().any(|key| out.contains_key(*key));
    let all_strings = match (out.get("const"), out.get("enum")) {
        (Some(Value::String(_)), None) => true,
        (None, Some(Value::Array(values))) => values.iter().all(Value::is_string),
        _ => false,
    };
    let name = if has(&["properties", "required", "additionalProperties"]) {
        "object"
    } else if has(&["items", "prefixItems"]) {
        "array"
    } else if all_strings {
        "string"
    } else {
        return;
    };
    let rest = std::mem::take(out);
    out.insert("type".to_owned(), name.into());
    out.extend(rest);
}

/// Every reference in a schema.
fn references(schema: &Value) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut open = vec![schema];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    found.insert(reference.as_str());
                }
                open.extend(map.values());
            }
            _ => {}
        }
    }
    found
}

/// The definitions that lead back to themselves.
fn recursive(defs: &BTreeMap<String, (&Value, String)>, root: Option<&str>) -> BTreeSet<String> {
    let mut leads: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, (body, _)) in defs {
        let mut targets = BTreeSet::new();
        let direct = if Some(name.as_str()) == root { without_definitions(body) } else { references(body) };
        for reference in direct {
            if reference == "#" {
                targets.extend(root.map(str::to_owned));
            } else {
                targets.extend(def_name(reference));
            }
        }
        leads.insert(name, targets);
    }
    let mut found = BTreeSet::new();
    for &name in leads.keys() {
        let mut seen = BTreeSet::new();
        let mut open = vec![name];
        while let Some(here) = open.pop() {
            for next in leads.get(here).into_iter().flatten() {
                if seen.insert(next.as_str()) {
                    open.push(next);
                }
            }
        }
        if seen.contains(name) {
            found.insert(name.to_owned());
        }
    }
    found
}

/// The references of the root itself, not those of the definitions it carries.
fn without_definitions(root: &Value) -> BTreeSet<&str> {
    let parts = root.as_object().into_iter().flatten().filter(|(key, _)| *key != "$defs" && *key != "definitions");
    let mut found: BTreeSet<&str> = parts.flat_map(|(_, value)| references(value)).collect();
    found.extend(root.get("$ref").and_then(Value::as_str));
    found
}

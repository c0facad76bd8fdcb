//! One schema out of several that must all hold, and simple unions out of nested ones.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::compile::is_annotation;

/// How many parts are folded into one; more stay as they are.
const MAX_FOLDED: usize = 32;

/// The schema that holds exactly where both hold, if it can be written without `allOf`.
pub(crate) fn merge(a: &Map<String, Value>, b: &Map<String, Value>) -> Option<Map<String, Value>> {
    if closes(a, b) || closes(b, a) || depend(a, b) || depend(b, a) {
        return None;
    }
    let mut out = a.clone();
    for (key, theirs) in b {
        let merged = match out.get(key) {
            None => theirs.clone(),
            Some(_) if is_annotation(key) => theirs.clone(),
            Some(ours) if ours == theirs => continue,
            Some(ours) => both(key, ours, theirs)?,
        };
        out.insert(key.clone(), merged);
    }
    Some(out)
}

/// Whether `a` says something about properties that only `b` names.
fn closes(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    let open = matches!(a.get("additionalProperties"), None | Some(Value::Bool(true)));
    let known = a.get("properties").and_then(Value::as_object);
    !open
        && b.get("properties")
            .and_then(Value::as_object)
            .is_some_and(|theirs| theirs.keys().any(|key| !known.is_some_and(|k| k.contains_key(key))))
}

/// Whether a keyword of `a` is about what a keyword of `b` leaves over.
fn depend(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    let has = |m: &Map<String, Value>, keys: &[&str]| keys.iter().any(|key| m.contains_key(*key));
    let open = matches!(a.get("additionalProperties"), None | Some(Value::Bool(true)));
    (has(a, &["prefixItems"]) && has(b, &["items", "prefixItems"]))
        || (!open && has(b, &["patternProperties"]))
        || (has(a, &["patternProperties"]) && has(b, &["patternProperties"]))
        || a.keys().any(|key| key.starts_with("unevaluated"))
}

fn both(key: &str, a: &Value, b: &Value) -> Option<Value> {
    match key {
        "type" => types(a, b),
        "required" => {
            let mut names = a.as_array()?.clone();
            for name in b.as_array()? {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            Some(Value::Array(names))
        }
        "properties" => {
            let mut out = a.as_object()?.clone();
            for (name, theirs) in b.as_object()? {
                let merged = match out.get(name) {
                    None => theirs.clone(),
                    Some(ours) => Value::Object(merge(ours.as_object()?, theirs.as_object()?)?),
                };
                out.insert(name.clone(), merged);
            }
            Some(Value::Object(out))
        }
        "minimum" | "exclusiveMinimum" | "minLength" | "minItems" => {
            Some(if a.as_f64()? >= b.as_f64()? { a.clone() } else { b.clone() })
        }
        "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" => {
            Some(if a.as_f64()? <= b.as_f64()? { a.clone() } else { b.clone() })
        }
        _ => None,
    }
}

fn types(a: &Value, b: &Value) -> Option<Value> {
    let list = |v: &Value| match v {
        Value::Array(items) => items.clone(),
        one => vec![one.clone()],
    };
    let (ours, theirs) = (list(a), list(b));
    let has = |set: &[Value], name: &Value| set.contains(name) || (name == "integer" && set.iter().any(|t| t == "number"));
    let mut shared: Vec<Value> = ours.iter().filter(|t| has(&theirs, t)).cloned().collect();
    shared.extend(theirs.iter().filter(|t| has(&ours, t) && !ours.contains(t)).cloned());
    match shared.len() {
        0 => None,
        1 => shared.pop(),
        _ => Some(Value::Array(shared)),
    }
}

/// Folds the parts of `allOf` into the schema itself, as far as they can be merged.
pub(crate) fn fold_all_of(mut out: Map<String, Value>) -> Map<String, Value> {
    let Some(Value::Array(parts)) = out.shift_remove("allOf") else {
        return out;
    };
    if parts.len() > MAX_FOLDED {
        out.insert("allOf".to_owned(), Value::Array(parts));
        return out;
    }
    let mut rest = Vec::new();
    for part in parts {
        match part.as_object().and_then(|p| merge(&out, p)) {
            Some(merged) if !out.contains_key("$ref") && part.get("$ref").is_none() => out = merged,
            _ => rest.push(part),
        }
    }
    if !rest.is_empty() {
        out.insert("allOf".to_owned(), Value::Array(rest));
    }
    out
}

/// Makes the union `key` of a schema simple: the rest of the schema moves into the branches, a
/// union of plain words becomes one `enum`, a union of one branch becomes that branch.
pub(crate) fn simplify_union(mut out: Map<String, Value>, key: &str) -> Map<String, Value> {
    let Some(Value::Array(branches)) = out.get(key).cloned() else {
        return out;
    };
    let base: Map<String, Value> =
        out.iter().filter(|(k, _)| *k != key && !is_annotation(k)).map(|(k, v)| (k.clone(), v.clone())).collect();
    let Some(mut branches) = distribute(&base, branches) else {
        return out;
    };
    out.retain(|k, _| is_annotation(k));
    // With `oneOf`, a value that fits two equal branches fits none.
    if key == "anyOf" {
        branches.dedup();
    }
    if let Some(words) = words(&branches, key == "oneOf") {
        out.insert("type".to_owned(), "string".into());
        out.insert("enum".to_owned(), Value::Array(words));
    } else if let [Value::Object(only)] = branches.as_slice() {
        for (k, v) in only {
            out.entry(k.clone()).or_insert_with(|| v.clone());
        }
    } else {
        out.insert(key.to_owned(), Value::Array(branches));
    }
    out
}

/// The branches with `base` merged into each, or `None` where that cannot be written.
fn distribute(base: &Map<String, Value>, branches: Vec<Value>) -> Option<Vec<Value>> {
    if base.is_empty() {
        return Some(branches);
    }
    let mergeable = |m: &Map<String, Value>| ["$ref", "allOf", "anyOf", "oneOf"].iter().all(|k| !m.contains_key(*k));
    if !mergeable(base) || branches.len() > MAX_FOLDED {
        return None;
    }
    let merged = branches.iter().map(|branch| {
        let branch = branch.as_object().filter(|b| mergeable(b))?;
        merge(base, branch).map(Value::Object)
    });
    merged.collect()
}

/// The words of a union in which every branch is a string `enum` or `const` without more to say.
fn words(branches: &[Value], distinct: bool) -> Option<Vec<Value>> {
    let mut out: Vec<Value> = Vec::new();
    let mut seen = HashSet::new();
    for branch in branches {
        let branch = branch.as_object()?;
        if branch.keys().any(|k| !matches!(k.as_str(), "type" | "enum" | "const")) {
            return None;
        }
        if branch.get("type").is_some_and(|kind| kind != "string") {
            return None;
        }
        let found = match (branch.get("const"), branch.get("enum")) {
            (Some(word), None) => std::slice::from_ref(word),
            (None, Some(Value::Array(words))) => words.as_slice(),
            _ => return None,
        };
        for word in found {
            if seen.insert(word.as_str()?) {
                out.push(word.clone());
            } else if distinct {
                return None;
            }
        }
    }
    Some(out)
}

//! One shape for the schemas that are sent: references written out, older spellings replaced, what can be
//! merged merged. It says what the schema says; values are never checked by it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value, json};

use crate::compile::{is_annotation, is_structural};
use crate::error::Unchecked;
use crate::merge::{fold_all_of, merge, simplify_union};
use crate::path::escape;
use crate::pointer_to;
use crate::resolve::Resolver;

/// How deep a schema may be nested.
const MAX_DEPTH: usize = 128;

/// How many parts a schema may have once its references are written out. A larger one keeps them.
const MAX_PARTS: usize = 20_000;

/// How many parts a schema may have in any case.
const MAX_KEPT: usize = 200_000;

/// How many definitions are looked at for circles. More are all kept as definitions.
const MAX_TARGETS: usize = 1_000;

/// The normal form of a schema, not yet wrapped into an object.
pub(crate) fn normalise(source: &Value) -> Result<Value, Unchecked> {
    if depth(source) > MAX_DEPTH {
        return Err(Unchecked::new("nesting", "", Some("a schema may be nested 128 levels deep")));
    }
    let resolver = Resolver::new(source);
    let references = references(source, &resolver);
    let circles = circles(&references);
    let written_out = circles.and_then(|kept| Normaliser::new(&resolver, kept, MAX_PARTS).run(source));
    let all = || references.values().cloned().collect();
    written_out
        .or_else(|| Normaliser::new(&resolver, all(), MAX_KEPT).run(source))
        .ok_or_else(|| Unchecked::new("$ref", "", Some("the schema has too many parts")))
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

/// Where each reference stands, and where it leads.
fn references(source: &Value, resolver: &Resolver<'_>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![(source, String::new())];
    while let Some((value, pointer)) = open.pop() {
        match value {
            Value::Array(items) => {
                let nested = items.iter().enumerate().filter(|(_, v)| v.is_object() || v.is_array());
                open.extend(nested.map(|(index, v)| (v, format!("{pointer}/{index}"))));
            }
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref")
                    && let Some((target, _)) = resolver.resolve(reference, &pointer)
                {
                    found.insert(pointer.clone(), target);
                }
                let nested = map.iter().filter(|(_, v)| v.is_object() || v.is_array());
                open.extend(nested.map(|(key, v)| (v, format!("{pointer}/{}", escape(key)))));
            }
            _ => {}
        }
    }
    found
}

/// The targets that lead back to themselves; `None` if there are too many to look.
fn circles(references: &BTreeMap<String, String>) -> Option<BTreeSet<String>> {
    let targets: Vec<&str> = references.values().map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect();
    if targets.len() > MAX_TARGETS {
        return None;
    }
    let place: HashMap<&str, usize> = targets.iter().enumerate().map(|(at, target)| (*target, at)).collect();
    let leads: Vec<BTreeSet<usize>> = targets
        .iter()
        .map(|target| {
            // Inside a place is everything from `place/` up to `place0`, the next after the slash.
            let inside = references.range(format!("{target}/")..format!("{target}0"));
            let own = references.get_key_value(*target).into_iter();
            // The root carries definitions that it may not use itself.
            let used = |at: &str| !target.is_empty() || !(at.starts_with("/$defs/") || at.starts_with("/definitions/"));
            let uses = inside.chain(own).filter(|(at, _)| used(at));
            uses.filter_map(|(_, to)| place.get(to.as_str()).copied()).collect()
        })
        .collect();
    let mut kept = BTreeSet::new();
    for (start, target) in targets.iter().enumerate() {
        let mut seen = vec![false; targets.len()];
        let mut open = vec![start];
        while let Some(here) = open.pop() {
            for next in leads.get(here).into_iter().flatten() {
                if let Some(seen) = seen.get_mut(*next).filter(|seen| !**seen) {
                    *seen = true;
                    open.push(*next);
                }
            }
        }
        if seen.get(start).copied().unwrap_or(false) {
            kept.insert((*target).to_owned());
        }
    }
    Some(kept)
}

struct Normaliser<'a> {
    resolver: &'a Resolver<'a>,
    /// The name of each definition that is kept, by its pointer.
    names: HashMap<String, String>,
    /// The kept definitions in use, in order of first use.
    used: Vec<(String, &'a Value)>,
    seen: HashSet<String>,
    parts: usize,
    most: usize,
    /// How many rules around this part turn around what it says.
    turned: usize,
}

impl<'a> Normaliser<'a> {
    fn new(resolver: &'a Resolver<'a>, kept: BTreeSet<String>, most: usize) -> Self {
        let mut taken = BTreeSet::new();
        let mut names = HashMap::new();
        // Definitions come first, so that they keep their names.
        let is_definition = |pointer: &str| pointer.starts_with("/$defs/") || pointer.starts_with("/definitions/");
        let mut kept: Vec<String> = kept.into_iter().collect();
        kept.sort_by_key(|pointer| !is_definition(pointer));
        for pointer in kept {
            let last = pointer.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("Root");
            let mut name = last.replace("~1", "/").replace("~0", "~");
            while !taken.insert(name.clone()) {
                name.push('_');
            }
            names.insert(pointer, name);
        }
        Self { resolver, names, used: Vec::new(), seen: HashSet::new(), parts: 0, most, turned: 0 }
    }

    /// `None` if the schema gets too large.
    fn run(mut self, source: &'a Value) -> Option<Value> {
        let title = source.get("title").filter(|title| title.is_string());
        if let (Some(name), Some(title)) = (self.names.get_mut(""), title.and_then(Value::as_str)) {
            title.clone_into(name);
        }
        let mut root = match self.names.get("") {
            Some(_) => self.target("", source, 0)?,
            None => self.node(source, "", 0)?,
        };
        let mut defs = Map::new();
        let mut next = 0;
        while let Some((pointer, schema)) = self.used.get(next).cloned() {
            let name = self.names.get(&pointer).cloned().unwrap_or_default();
            let body = self.node(schema, &pointer, 0)?;
            defs.insert(name, Value::Object(body));
            next += 1;
        }
        // A recursive root is written out once, so that it is an object rather than a reference.
        let body = root.get("$ref").and_then(Value::as_str).and_then(def_name).and_then(|name| defs.get(&name));
        if let Some(body) = body.and_then(Value::as_object).cloned() {
            root.shift_remove("$ref");
            for (key, value) in body {
                root.entry(key).or_insert(value);
            }
        }
        let mut out = Map::new();
        if let Some(title) = title {
            out.insert("title".to_owned(), title.clone());
        }
        out.extend(root);
        if !defs.is_empty() {
            out.insert("$defs".to_owned(), Value::Object(defs));
        }
        Some(Value::Object(out))
    }

    /// The normal form of one schema.
    fn node(&mut self, schema: &'a Value, at: &str, depth: usize) -> Option<Map<String, Value>> {
        self.parts += 1;
        if self.parts > self.most || depth > MAX_DEPTH {
            return None;
        }
        let source = match schema {
            Value::Object(source) => source,
            Value::Bool(false) => return Some(never()),
            _ => return Some(Map::new()),
        };
        let mut out = Map::new();
        let mut closed = false;
        for (keyword, value) in source {
            let here = || format!("{at}/{}", escape(keyword));
            let told = matches!(keyword.as_str(), "description" | "default" | "format");
            if is_structural(keyword) || (is_annotation(keyword) && !told) || matches!(keyword.as_str(), "$ref" | "nullable") {
                continue;
            }
            match (keyword.as_str(), value) {
                ("unevaluatedProperties", Value::Bool(false)) => closed = true,
                ("then" | "else", _) if !source.contains_key("if") => {}
                ("minContains" | "maxContains", _) if !source.contains_key("contains") => {}
                ("minimum", _) if source.get("exclusiveMinimum") == Some(&Value::Bool(true)) => {}
                ("maximum", _) if source.get("exclusiveMaximum") == Some(&Value::Bool(true)) => {}
                ("exclusiveMinimum" | "exclusiveMaximum", Value::Bool(exclusive)) => {
                    let beside = if keyword == "exclusiveMinimum" { "minimum" } else { "maximum" };
                    if let Some(limit) = source.get(beside).filter(|_| *exclusive) {
                        out.insert(keyword.clone(), limit.clone());
                    }
                }
                ("type", Value::Array(types)) if types.len() == 1 => {
                    out.extend(types.first().map(|only| (keyword.clone(), only.clone())));
                }
                ("items", Value::Array(items)) => {
                    out.insert("prefixItems".to_owned(), self.list(items, &here(), depth)?);
                }
                ("additionalItems", rest) => {
                    if source.get("items").is_some_and(Value::is_array) {
                        let rest = if rest.is_boolean() { rest.clone() } else { self.node(rest, &here(), depth + 1)?.into() };
                        out.insert("items".to_owned(), rest);
                    }
                }
                ("dependencies", Value::Object(parts)) => self.dependencies(parts, &here(), depth, &mut out)?,
                ("properties" | "patternProperties" | "dependentSchemas", Value::Object(parts)) => {
                    let mut kept = Map::new();
                    for (name, part) in parts {
                        let place = format!("{at}/{keyword}/{}", escape(name));
                        kept.insert(name.clone(), Value::Object(self.node(part, &place, depth + 1)?));
                    }
                    out.insert(keyword.clone(), Value::Object(kept));
                }
                ("additionalProperties" | "items" | "unevaluatedItems", Value::Bool(_)) => {
                    out.insert(keyword.clone(), value.clone());
                }
                (
                    "additionalProperties"
                    | "items"
                    | "unevaluatedItems"
                    | "unevaluatedProperties"
                    | "propertyNames"
                    | "then"
                    | "else",
                    part,
                ) => {
                    out.insert(keyword.clone(), Value::Object(self.node(part, &here(), depth + 1)?));
                }
                ("oneOf", Value::Array(parts)) => {
                    self.turned += 1;
                    out.insert(keyword.clone(), self.list(parts, &here(), depth)?);
                    self.turned -= 1;
                }
                ("not" | "if" | "contains", part) => {
                    self.turned += 1;
                    out.insert(keyword.clone(), Value::Object(self.node(part, &here(), depth + 1)?));
                    self.turned -= 1;
                }
                ("prefixItems" | "anyOf" | "allOf", Value::Array(parts)) => {
                    out.insert(keyword.clone(), self.list(parts, &here(), depth)?);
                }
                _ => _ = out.insert(keyword.clone(), value.clone()),
            }
        }
        if let Some(reference) = source.get("$ref") {
            let reference = reference.as_str().unwrap_or_default();
            match self.resolver.resolve(reference, at) {
                Some((pointer, schema)) => {
                    let target = self.target(&pointer, schema, depth)?;
                    out = with_target(target, out);
                }
                // It leads nowhere that is known here; who reads it may know more.
                None => _ = out.insert("$ref".to_owned(), reference.into()),
            }
        }
        // What others have not looked at depends on where the others stand.
        if !out.keys().any(|key| key.starts_with("unevaluated")) {
            out = fold_all_of(out);
            for union in ["anyOf", "oneOf"] {
                out = simplify_union(out, union);
            }
        }
        if closed && !close(&mut out) {
            out.insert("unevaluatedProperties".to_owned(), false.into());
        }
        // There a narrower part would let more through.
        if self.turned == 0 {
            infer_type(&mut out);
        }
        if source.get("nullable") == Some(&Value::Bool(true)) {
            out = or_null(out);
        }
        Some(out)
    }

    fn list(&mut self, parts: &'a [Value], at: &str, depth: usize) -> Option<Value> {
        let mut list = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            list.push(Value::Object(self.node(part, &format!("{at}/{index}"), depth + 1)?));
        }
        Some(Value::Array(list))
    }

    fn dependencies(
        &mut self,
        parts: &'a Map<String, Value>,
        at: &str,
        depth: usize,
        out: &mut Map<String, Value>,
    ) -> Option<()> {
        for (name, part) in parts {
            let (keyword, part) = match part {
                Value::Array(_) => ("dependentRequired", part.clone()),
                _ => ("dependentSchemas", Value::Object(self.node(part, &format!("{at}/{}", escape(name)), depth + 1)?)),
            };
            if let Value::Object(group) = out.entry(keyword).or_insert_with(|| json!({})) {
                group.insert(name.clone(), part);
            }
        }
        Some(())
    }

    /// What a reference stands for: the target itself, or a reference to a definition that is kept.
    fn target(&mut self, pointer: &str, schema: &'a Value, depth: usize) -> Option<Map<String, Value>> {
        let Some(name) = self.names.get(pointer) else {
            return self.node(schema, pointer, depth + 1);
        };
        let reference = pointer_to(name);
        if self.seen.insert(pointer.to_owned()) {
            self.used.push((pointer.to_owned(), schema));
        }
        Some(std::iter::once(("$ref".to_owned(), reference.into())).collect())
    }
}

/// The definition that a normal form's reference names.
pub(crate) fn def_name(reference: &str) -> Option<String> {
    Some(reference.strip_prefix("#/$defs/")?.replace("~1", "/").replace("~0", "~"))
}

/// The schema that nothing fits.
fn never() -> Map<String, Value> {
    std::iter::once(("not".to_owned(), json!({}))).collect()
}

/// A reference's target together with the keywords that stood beside the reference.
fn with_target(mut target: Map<String, Value>, beside: Map<String, Value>) -> Map<String, Value> {
    if beside.keys().all(|key| is_annotation(key)) {
        target.extend(beside);
        return target;
    }
    if !target.contains_key("$ref")
        && !beside.keys().chain(target.keys()).any(|key| key.starts_with("unevaluated"))
        && let Some(merged) = merge(&target, &beside)
    {
        return merged;
    }
    let parts = Value::Array(vec![Value::Object(target), Value::Object(beside)]);
    std::iter::once(("allOf".to_owned(), parts)).collect()
}

/// Forbids properties that are not named; `false` where the schema's shape leaves that open.
fn close(out: &mut Map<String, Value>) -> bool {
    const OPEN: [&str; 7] =
        ["$ref", "allOf", "if", "dependentSchemas", "patternProperties", "additionalProperties", "unevaluatedProperties"];
    if OPEN.iter().any(|key| out.contains_key(*key)) {
        return false;
    }
    if let Some(union) = ["anyOf", "oneOf"].into_iter().find(|union| out.contains_key(*union)) {
        // What is named beside a union counts in each of its branches.
        if out.contains_key("properties") || (out.contains_key("anyOf") && out.contains_key("oneOf")) {
            return false;
        }
        let Some(Value::Array(branches)) = out.get_mut(union) else { return false };
        // Branches of `anyOf` that fit together may name members for each other.
        let mut closed = branches.clone();
        if (union == "anyOf" && !are_apart(&closed)) || !closed.iter_mut().all(|b| b.as_object_mut().is_some_and(close)) {
            return false;
        }
        *branches = closed;
        return true;
    }
    out.insert("additionalProperties".to_owned(), Value::Bool(false));
    true
}

/// Whether no value fits two of these, as far as their types and tags say.
fn are_apart(branches: &[Value]) -> bool {
    let tag = |branch: &Value| {
        let members = branch.get("properties")?.as_object()?;
        members.iter().find_map(|(name, member)| Some((name.clone(), member.get("const")?.clone())))
    };
    let kind = |branch: &Value| (branch.get("type").cloned(), tag(branch));
    let kinds: Vec<_> = branches.iter().map(kind).collect();
    branches.len() <= 64
        && kinds.iter().enumerate().all(|(at, one)| {
            kinds.iter().take(at).all(|other| match (&one.1, &other.1) {
                (Some((a, x)), Some((b, y))) => a == b && x != y,
                _ => one.0.is_some() && other.0.is_some() && one.0 != other.0,
            })
        })
}

/// Names the type where the other keywords leave only one that is meant.
fn infer_type(out: &mut Map<String, Value>) {
    if ["type", "$ref", "allOf", "anyOf", "oneOf", "not", "if"].iter().any(|key| out.contains_key(*key)) {
        return;
    }
    let has = |keys: &[&str]| keys.iter().any(|key| out.contains_key(*key));
    let all_strings = match (out.get("const"), out.get("enum")) {
        (Some(Value::String(_)), None) => true,
        (None, Some(Value::Array(values))) => values.iter().all(Value::is_string),
        _ => false,
    };
    let name = if has(&["properties", "required", "additionalProperties", "patternProperties"]) {
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

/// The same schema, `null` let through.
fn or_null(mut schema: Map<String, Value>) -> Map<String, Value> {
    let only_typed = schema.contains_key("type")
        && !["$ref", "allOf", "anyOf", "oneOf", "not", "if", "const"].iter().any(|k| schema.contains_key(*k));
    if !only_typed {
        let mut out = Map::new();
        if let Some(description) = schema.shift_remove("description") {
            out.insert("description".to_owned(), description);
        }
        out.insert("anyOf".to_owned(), json!([schema, { "type": "null" }]));
        return out;
    }
    let null = Value::from("null");
    match schema.get_mut("type") {
        Some(Value::Array(types)) if !types.contains(&null) => types.push(null),
        Some(one @ Value::String(_)) if *one != null => *one = Value::Array(vec![one.take(), null]),
        _ => {}
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    schema
}

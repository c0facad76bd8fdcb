//! Whether a value fits a schema, and where it does not.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::equal::{canonical, check_number, same, whole};
use super::normalise::def_name;
use super::path::Path;
use super::{MAX_DEPTH, hint};

/// The first place where a value does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) path: String,
    pub(crate) expected: String,
    pub(crate) found: String,
}

impl Mismatch {
    pub(super) fn new(at: &Path<'_>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { path: at.pointer(), expected: expected.into(), found: found.into() }
    }

    fn depth(&self) -> usize {
        self.path.matches('/').count()
    }
}

/// Checks values against one normalised schema.
#[derive(Debug)]
pub(crate) struct Validator<'s> {
    pub(super) root: &'s Value,
    patterns: &'s BTreeMap<String, Regex>,
    /// What is known about a value and a branch of a union, by address. Without it a recursive
    /// union costs exponential time on a value that nearly fits.
    pub(super) known: HashMap<(*const Value, *const Value), bool>,
}

impl<'s> Validator<'s> {
    pub(crate) fn new(root: &'s Value, patterns: &'s BTreeMap<String, Regex>) -> Self {
        Self { root, patterns, known: HashMap::new() }
    }

    /// Checks a value against a part of the schema.
    pub(crate) fn check(&mut self, schema: &'s Value, value: &Value, at: &Path<'_>) -> Result<(), Mismatch> {
        let result = self.node(schema, value, at, 0);
        self.known.clear();
        result
    }

    pub(super) fn node(&mut self, schema: &'s Value, value: &Value, at: &Path<'_>, depth: usize) -> Result<(), Mismatch> {
        // References may lead to themselves without a step into the value.
        if depth > 4 * MAX_DEPTH {
            return Err(Mismatch::new(at, "less nesting", "a value nested too deep"));
        }
        let Some(rules) = schema.as_object() else {
            return Ok(());
        };
        if let Some(target) = target(self.root, rules) {
            return self.node(target, value, at, depth + 1);
        }
        if !admits_type(rules, value) {
            return Err(Mismatch::new(at, expected(self.root, schema), shown(value)));
        }
        if let Some(Value::Array(allowed)) = rules.get("enum")
            && !allowed.iter().any(|a| same(a, value))
        {
            return Err(Mismatch::new(at, one_of(allowed), shown(value)));
        }
        if let Some(only) = rules.get("const")
            && !same(only, value)
        {
            return Err(Mismatch::new(at, only.to_string(), shown(value)));
        }
        match value {
            Value::String(text) => self.string(rules, text, value, at)?,
            Value::Number(number) => check_number(rules, number, at)?,
            Value::Array(items) => self.array(rules, items, at, depth)?,
            Value::Object(map) => self.object(rules, map, at, depth)?,
            Value::Null | Value::Bool(_) => {}
        }
        for part in rules.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.node(part, value, at, depth + 1)?;
        }
        for (union, only_one) in [("anyOf", false), ("oneOf", true)] {
            if let Some(Value::Array(branches)) = rules.get(union) {
                self.union(schema, branches, only_one, value, at, depth)?;
            }
        }
        Ok(())
    }

    fn string(&self, rules: &Map<String, Value>, text: &str, value: &Value, at: &Path<'_>) -> Result<(), Mismatch> {
        let bound = |key: &str| rules.get(key).and_then(Value::as_u64);
        let (min, max) = (bound("minLength"), bound("maxLength"));
        if min.is_some() || max.is_some() {
            let length = text.chars().count() as u64;
            if let Some(min) = min.filter(|min| length < *min) {
                return Err(Mismatch::new(at, format!("at least {min} characters"), format!("{length}")));
            }
            if let Some(max) = max.filter(|max| length > *max) {
                return Err(Mismatch::new(at, format!("at most {max} characters"), format!("{length}")));
            }
        }
        if let Some(Value::String(pattern)) = rules.get("pattern")
            && self.patterns.get(pattern).is_some_and(|regex| !regex.is_match(text))
        {
            return Err(Mismatch::new(at, format!("text that matches {pattern}"), shown(value)));
        }
        Ok(())
    }

    fn array(&mut self, rules: &'s Map<String, Value>, items: &[Value], at: &Path<'_>, depth: usize) -> Result<(), Mismatch> {
        let bound = |key: &str| rules.get(key).and_then(Value::as_u64);
        let length = items.len() as u64;
        if let Some(min) = bound("minItems").filter(|min| length < *min) {
            return Err(Mismatch::new(at, format!("at least {min} items"), format!("{length}")));
        }
        if let Some(max) = bound("maxItems").filter(|max| length > *max) {
            return Err(Mismatch::new(at, format!("at most {max} items"), format!("{length}")));
        }
        if rules.get("uniqueItems") == Some(&Value::Bool(true)) {
            let mut seen = BTreeSet::new();
            for (index, item) in items.iter().enumerate() {
                if !seen.insert(canonical(item)) {
                    return Err(Mismatch::new(&Path::Index(at, index), "an item that is not there twice", shown(item)));
                }
            }
        }
        let prefix = rules.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (index, item) in items.iter().enumerate() {
            let place = Path::Index(at, index);
            match prefix.get(index).or_else(|| rules.get("items")) {
                Some(Value::Bool(false)) => {
                    return Err(Mismatch::new(at, format!("at most {} items", prefix.len()), format!("{length}")));
                }
                Some(schema) => self.node(schema, item, &place, depth + 1)?,
                None => {}
            }
        }
        Ok(())
    }

    fn object(
        &mut self,
        rules: &'s Map<String, Value>,
        map: &Map<String, Value>,
        at: &Path<'_>,
        depth: usize,
    ) -> Result<(), Mismatch> {
        let properties = rules.get("properties").and_then(Value::as_object);
        for name in required(rules) {
            if !map.contains_key(name) {
                let what = properties.and_then(|p| p.get(name)).map(|schema| expected(self.root, schema));
                return Err(Mismatch::new(&Path::Key(at, name), what.unwrap_or_else(|| "a value".to_owned()), "nothing"));
            }
        }
        for (name, member) in map {
            let place = Path::Key(at, name);
            match properties.and_then(|p| p.get(name)) {
                Some(schema) if stands_for_absent(self.root, rules, name, schema, member) => {}
                Some(schema) => self.node(schema, member, &place, depth + 1)?,
                None => match rules.get("additionalProperties") {
                    None | Some(Value::Bool(true)) => {}
                    Some(Value::Bool(false)) => {
                        let known: Vec<String> = properties.into_iter().flatten().map(|(k, _)| format!("{k:?}")).collect();
                        let expected =
                            if known.is_empty() { "no members".to_owned() } else { format!("only {}", known.join(", ")) };
                        return Err(Mismatch::new(at, expected, format!("{name:?}")));
                    }
                    Some(schema) => self.node(schema, member, &place, depth + 1)?,
                },
            }
        }
        Ok(())
    }

    fn union(
        &mut self,
        schema: &'s Value,
        branches: &'s [Value],
        only_one: bool,
        value: &Value,
        at: &Path<'_>,
        depth: usize,
    ) -> Result<(), Mismatch> {
        let mut fits = 0;
        let mut faults: Vec<(bool, Mismatch)> = Vec::new();
        for branch in branches {
            let resolved = resolve(self.root, branch);
            if resolved.as_object().is_some_and(|rules| !admits_type(rules, value)) {
                continue;
            }
            let key = (std::ptr::from_ref(value), std::ptr::from_ref(branch));
            match self.known.get(&key) {
                Some(true) if !only_one => return Ok(()),
                Some(true) => {
                    fits += 1;
                    continue;
                }
                Some(false) => continue,
                None => {}
            }
            let result = self.node(branch, value, at, depth + 1);
            // Only a schema with references can meet the same pair again.
            if self.root.get("$defs").is_some() {
                self.known.insert(key, result.is_ok());
            }
            match result {
                Ok(()) if !only_one => return Ok(()),
                Ok(()) => fits += 1,
                Err(fault) => faults.push((is_tagged_for(resolved, value), fault)),
            }
        }
        match fits {
            1 => return Ok(()),
            0 => {}
            _ => {
                return Err(Mismatch::new(at, "exactly one of the alternatives", "a value that fits several"));
            }
        }
        // The branch the value was meant for tells most: the one whose tag it carries, else the
        // one that it fits deepest.
        if faults.iter().any(|(tagged, _)| *tagged) {
            faults.retain(|(tagged, _)| *tagged);
        }
        let deepest = faults.iter().map(|(_, fault)| fault.depth()).max().unwrap_or(0);
        faults.retain(|(_, fault)| fault.depth() == deepest);
        match faults.len() {
            1 => Err(faults.swap_remove(0).1),
            _ => Err(Mismatch::new(at, expected(self.root, schema), shown(value))),
        }
    }
}

/// The definition a schema refers to.
pub(crate) fn target<'s>(root: &'s Value, rules: &Map<String, Value>) -> Option<&'s Value> {
    let name = def_name(rules.get("$ref")?.as_str()?)?;
    root.get("$defs")?.get(&name)
}

/// The schema itself, or the definition it refers to.
pub(crate) fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let mut here = schema;
    for _ in 0..MAX_DEPTH {
        match here.as_object().and_then(|rules| target(root, rules)) {
            Some(next) => here = next,
            None => break,
        }
    }
    here
}

/// The names an object must have.
pub(crate) fn required(rules: &Map<String, Value>) -> impl Iterator<Item = &str> {
    rules.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Whether a schema lets `null` through.
pub(crate) fn admits_null(root: &Value, schema: &Value) -> bool {
    fn walk(root: &Value, schema: &Value, depth: usize) -> bool {
        let Some(rules) = resolve(root, schema).as_object() else {
            return true;
        };
        if depth > MAX_DEPTH || !admits_type(rules, &Value::Null) {
            return false;
        }
        if rules.get("const").is_some_and(|only| !only.is_null()) {
            return false;
        }
        if let Some(Value::Array(allowed)) = rules.get("enum")
            && !allowed.contains(&Value::Null)
        {
            return false;
        }
        let parts = |key: &str| rules.get(key).and_then(Value::as_array);
        parts("allOf").is_none_or(|all| all.iter().all(|part| walk(root, part, depth + 1)))
            && ["anyOf", "oneOf"]
                .iter()
                .all(|key| parts(key).is_none_or(|any| any.iter().any(|part| walk(root, part, depth + 1))))
    }
    walk(root, schema, 0)
}

/// Whether this member is a `null` that means "not there".
pub(crate) fn stands_for_absent(root: &Value, rules: &Map<String, Value>, name: &str, schema: &Value, member: &Value) -> bool {
    member.is_null() && !required(rules).any(|r| r == name) && !admits_null(root, schema)
}

/// Whether the schema's `type` names this one.
pub(crate) fn names_type(rules: &Map<String, Value>, name: &str) -> bool {
    match rules.get("type") {
        Some(Value::String(only)) => only == name,
        Some(Value::Array(types)) => types.iter().any(|t| t == name),
        _ => false,
    }
}

/// Whether the schema's `type` lets this value through.
pub(crate) fn admits_type(rules: &Map<String, Value>, value: &Value) -> bool {
    if !rules.contains_key("type") {
        return true;
    }
    match value {
        Value::Null => names_type(rules, "null"),
        Value::Bool(_) => names_type(rules, "boolean"),
        Value::String(_) => names_type(rules, "string"),
        Value::Array(_) => names_type(rules, "array"),
        Value::Object(_) => names_type(rules, "object"),
        Value::Number(number) => names_type(rules, "number") || (names_type(rules, "integer") && whole(number).is_some()),
    }
}

/// Whether a value carries the tag of this branch: a fixed member, or the one key of a closed object.
fn is_tagged_for(schema: &Value, value: &Value) -> bool {
    let (Some(rules), Some(map)) = (schema.as_object(), value.as_object()) else {
        return false;
    };
    let fixed = |property: &Value| match (property.get("const"), property.get("enum")) {
        (Some(only), _) => Some(only.clone()),
        (None, Some(Value::Array(values))) if values.len() == 1 => values.first().cloned(),
        _ => None,
    };
    let mut tags = rules.get("properties").and_then(Value::as_object).into_iter().flatten();
    let closed = rules.get("additionalProperties") == Some(&Value::Bool(false));
    tags.any(|(name, property)| fixed(property).is_some_and(|tag| map.get(name) == Some(&tag)))
        || (closed && required(rules).count() == 1 && required(rules).all(|name| map.contains_key(name)))
}

/// What a schema asks for, in words for a message.
pub(crate) fn expected(root: &Value, schema: &Value) -> String {
    if let Some(Value::Array(allowed)) = resolve(root, schema).get("enum") {
        return one_of(allowed);
    }
    hint::brief(root, schema)
}

fn one_of(allowed: &[Value]) -> String {
    let words: Vec<String> = allowed.iter().map(Value::to_string).collect();
    if words.len() == 1 { words.concat() } else { format!("one of {}", words.join(", ")) }
}

/// A value in a message: itself if it is short.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Array(items) if !items.is_empty() => format!("an array of {}", items.len()),
        Value::Object(map) if !map.is_empty() => "an object".to_owned(),
        Value::String(text) if text.chars().nth(60).is_some() => {
            format!("{}…", Value::from(text.chars().take(60).collect::<String>()))
        }
        short => short.to_string(),
    }
}

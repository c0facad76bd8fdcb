//! The dialect of servers that turn a schema into a grammar of llama.cpp's: Ollama, llama.cpp, LM Studio, llamafile.
//!
//! Such a grammar is made from the first keyword that the server knows of each part, and the others are passed
//! over unsaid, so that a schema often means something else there: a union forgets what stands beside it, an
//! object with `patternProperties` may have no members at all, a pattern wins over a length. And some schemas end
//! the server. What is written here says less than the schema at most, never something else.

mod pattern;

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use crate::dialect::{LeftOut, Wire, required, target};
use crate::merge::merge;
use crate::normalise::def_name;
use crate::path::Path;
use crate::pointer_to;

/// The most repetitions that the grammar takes.
const MAX_COUNT: u64 = 1_500;

/// The largest bound of an integer that the grammar takes.
const MAX_BOUND: i64 = 999_999_999_999_999;

/// The types of JSON, in the order in which they are named.
const TYPES: [&str; 6] = ["object", "array", "string", "number", "boolean", "null"];

/// The forms of text that the grammar knows.
const FORMATS: [&str; 4] = ["date", "time", "date-time", "uuid"];

/// How much of a schema is said.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    /// Bounds, lengths, patterns and formats too.
    pub(crate) rules: bool,
    /// The members of an object in their declared order, for servers that sort `properties`.
    pub(crate) ordered: bool,
}

/// A normal form in this dialect.
pub(crate) fn grammar(root: &Value, options: Options) -> Wire {
    let mut walk = Walk { root, options, left_out: Vec::new(), names: HashMap::new(), open: Vec::new(), taken: BTreeSet::new() };
    let mut schema = walk.node(root, &Path::Root);
    let mut defs = Map::new();
    while let Some(name) = walk.open.pop() {
        let Some(body) = root.get("$defs").and_then(|defs| defs.get(&name)) else { continue };
        let group = Path::Key(&Path::Root, "$defs");
        let body = walk.node(body, &Path::Key(&group, &name));
        defs.insert(walk.names.get(&name).cloned().unwrap_or(name), body);
    }
    if let (Value::Object(schema), false) = (&mut schema, defs.is_empty()) {
        schema.insert("$defs".to_owned(), Value::Object(defs));
    }
    Wire { schema, left_out: walk.left_out }
}

struct Walk<'a> {
    root: &'a Value,
    options: Options,
    left_out: Vec<LeftOut>,
    /// The definitions in use, and what they are called on the wire.
    names: HashMap<String, String>,
    taken: BTreeSet<String>,
    /// Those still to be written.
    open: Vec<String>,
}

impl Walk<'_> {
    fn lacks(&mut self, keyword: &str, at: &Path<'_>) {
        self.left_out.push(LeftOut { keyword: keyword.to_owned(), path: at.pointer() });
    }

    fn node(&mut self, schema: &Value, at: &Path<'_>) -> Value {
        let Some(rules) = schema.as_object() else { return any() };
        let mut out = Map::new();
        for key in ["title", "description"] {
            if let Some(text) = rules.get(key) {
                out.insert(key.to_owned(), text.clone());
            }
        }
        if let Some(reference) = rules.get("$ref").and_then(Value::as_str) {
            self.left_beside(rules, &["$ref"], at);
            return match def_name(reference).filter(|_| target(self.root, rules).is_some()) {
                Some(name) => {
                    out.insert("$ref".to_owned(), self.definition(&name).into());
                    Value::Object(out)
                }
                None => {
                    self.lacks("$ref", at);
                    any()
                }
            };
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(Value::Array(branches)) = rules.get(keyword) {
                return self.union(rules, keyword, branches, out, at);
            }
        }
        for keyword in ["const", "enum"] {
            if let Some(value) = rules.get(keyword) {
                self.left_beside(rules, &["type", "const", "enum"], at);
                if let Some(Value::String(only)) = rules.get("type") {
                    out.insert("type".to_owned(), only.as_str().into());
                }
                out.insert(keyword.to_owned(), value.clone());
                return Value::Object(out);
            }
        }
        for keyword in ["allOf", "not", "if", "then", "else"] {
            if rules.contains_key(keyword) {
                self.lacks(keyword, at);
            }
        }
        let types = types(rules);
        let has = |name: &str| types.contains(&name);
        // Parts that the grammar cannot join may name members of their own.
        let joined = ["allOf", "$ref", "if", "dependentSchemas"].iter().any(|key| rules.contains_key(*key));
        if has("object") && !joined {
            self.object(rules, &types, &mut out, at);
        }
        if has("array") && !joined {
            self.array(rules, &mut out, at);
        }
        if has("string") {
            self.string(rules, &mut out, at);
        }
        if has("integer") && !has("number") {
            self.integer(rules, &mut out, at);
        } else if has("number") {
            for keyword in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"] {
                if rules.contains_key(keyword) {
                    self.lacks(keyword, at);
                }
            }
        }
        let told = match types.as_slice() {
            [only] => (*only).into(),
            several => several.iter().map(|name| Value::from(*name)).collect(),
        };
        out.insert("type".to_owned(), told);
        Value::Object(out)
    }

    /// Names what stands beside the keywords that are sent.
    fn left_beside(&mut self, rules: &Map<String, Value>, sent: &[&str], at: &Path<'_>) {
        for keyword in rules.keys() {
            let silent = ["title", "description", "default", "format", "$defs", "type"].contains(&keyword.as_str());
            if !silent && !sent.contains(&keyword.as_str()) {
                self.lacks(keyword, at);
            }
        }
    }

    /// The reference to a definition, under a name that the grammar can use.
    fn definition(&mut self, name: &str) -> String {
        if let Some(known) = self.names.get(name) {
            return pointer_to(known);
        }
        let safe = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let mut wire: String = name.chars().map(safe).take(64).collect();
        while !self.taken.insert(wire.clone()) {
            wire.push('x');
        }
        let reference = pointer_to(&wire);
        self.names.insert(name.to_owned(), wire);
        self.open.push(name.to_owned());
        reference
    }

    fn union(
        &mut self,
        rules: &Map<String, Value>,
        keyword: &str,
        branches: &[Value],
        mut out: Map<String, Value>,
        at: &Path<'_>,
    ) -> Value {
        let about = |key: &str| ["title", "description", "default", "$defs"].contains(&key);
        let mut beside: Map<String, Value> =
            rules.iter().filter(|(key, _)| *key != keyword && !about(key)).map(|(k, v)| (k.clone(), v.clone())).collect();
        // A type alone is said by the branches, or checked here.
        if beside.keys().all(|key| key == "type") {
            beside.clear();
        }
        let place = Path::Key(at, keyword);
        let mut written = Vec::with_capacity(branches.len());
        for (index, branch) in branches.iter().enumerate() {
            let Some(own) = branch.as_object() else { return any() };
            let merged = if beside.is_empty() { Some(own.clone()) } else { self.with(&beside, own) };
            let Some(merged) = merged else {
                // The server would forget what stands beside the union.
                self.left_beside(rules, &[], at);
                let types: Vec<Value> = types(rules).into_iter().map(Value::from).collect();
                return json!({ "type": types });
            };
            written.push(self.node(&Value::Object(merged), &Path::Index(&place, index)));
        }
        written.dedup();
        // Only the check can tell when several branches fit at once.
        out.insert("anyOf".to_owned(), Value::Array(written));
        Value::Object(out)
    }

    /// A branch of a union together with what stands beside the union.
    fn with(&self, beside: &Map<String, Value>, branch: &Map<String, Value>) -> Option<Map<String, Value>> {
        let branch = match target(self.root, branch) {
            Some(body) => body.as_object()?,
            None => branch,
        };
        let flat = |rules: &Map<String, Value>| !["allOf", "anyOf", "oneOf", "$ref"].iter().any(|key| rules.contains_key(*key));
        if !flat(beside) || !flat(branch) {
            return None;
        }
        merge(beside, branch)
    }

    fn object(&mut self, rules: &Map<String, Value>, types: &[&str], out: &mut Map<String, Value>, at: &Path<'_>) {
        for keyword in
            ["minProperties", "maxProperties", "propertyNames", "dependentRequired", "dependentSchemas", "unevaluatedProperties"]
        {
            let closes = keyword == "unevaluatedProperties" && rules.get(keyword) == Some(&Value::Bool(false));
            if rules.contains_key(keyword) && !closes {
                self.lacks(keyword, at);
            }
        }
        let empty = Map::new();
        let named = rules.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let place = Path::Key(at, "properties");
        let mut properties = Map::new();
        for (name, property) in named {
            properties.insert(name.clone(), self.node(property, &Path::Key(&place, name)));
        }
        // Names that must be there although nothing else is said of them.
        for name in required(rules).filter(|name| !named.contains_key(*name)) {
            let open = !matches!(rules.get("additionalProperties"), Some(Value::Bool(false)));
            if open && !rules.contains_key("patternProperties") {
                properties.insert(name.to_owned(), any());
            }
        }
        let rest = self.rest(rules, named.is_empty(), at);
        // The server writes the other names as a class of characters, without care for what stands in it.
        let plain = |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ' ');
        let rest = match rest {
            Some(rest) if rest != Value::Bool(false) && !properties.keys().all(plain) => {
                self.lacks("additionalProperties", at);
                None
            }
            rest => rest,
        };
        let needed: Vec<&str> = required(rules).collect();
        let sorted = properties.keys().zip(properties.keys().skip(1)).all(|(one, next)| one <= next);
        let closed = !rest.as_ref().is_some_and(|rest| *rest != Value::Bool(false));
        let only_object = types.iter().all(|name| *name == "object" || *name == "null");
        if self.options.ordered && !sorted && closed && only_object {
            let one = |(name, property): (String, Value)| {
                let needed = needed.contains(&name.as_str());
                let part: Map<String, Value> = std::iter::once((name.clone(), property)).collect();
                match needed {
                    true => json!({ "properties": part, "required": [name] }),
                    false => json!({ "anyOf": [{ "properties": part }] }),
                }
            };
            out.insert("allOf".to_owned(), properties.into_iter().map(one).collect());
            return;
        }
        if properties.is_empty() && rest.is_none() && !rules.contains_key("properties") {
            return;
        }
        out.insert("properties".to_owned(), Value::Object(properties));
        if !needed.is_empty() {
            out.insert("required".to_owned(), needed.into());
        }
        if let Some(rest) = rest {
            out.insert("additionalProperties".to_owned(), rest);
        }
    }

    /// What members without a name of their own may be; `None` if nothing is said of them.
    fn rest(&mut self, rules: &Map<String, Value>, unnamed: bool, at: &Path<'_>) -> Option<Value> {
        let patterns = rules.get("patternProperties").and_then(Value::as_object).filter(|patterns| !patterns.is_empty());
        let additional = match rules.get("additionalProperties") {
            Some(Value::Object(rest)) if rest.is_empty() => Some(Value::Bool(true)),
            Some(rest @ Value::Object(_)) => Some(self.node(rest, &Path::Key(at, "additionalProperties"))),
            Some(Value::Bool(open)) => Some(Value::Bool(*open)),
            _ => None,
        };
        let Some(patterns) = patterns else { return additional };
        self.lacks("patternProperties", at);
        let place = Path::Key(at, "patternProperties");
        let mut values: Vec<Value> = Vec::new();
        for (name, part) in patterns {
            let part = self.node(part, &Path::Key(&place, name));
            if !values.contains(&part) {
                values.push(part);
            }
        }
        match additional {
            Some(Value::Bool(false)) => {}
            Some(rest @ Value::Object(_)) => values.push(rest),
            Some(_) => return Some(Value::Bool(true)),
            // Anything else may be there too; among named members nobody asks for it.
            None if unnamed => return Some(Value::Bool(true)),
            None => {}
        }
        match values.len() {
            1 => values.pop(),
            _ => Some(json!({ "anyOf": values })),
        }
    }

    fn array(&mut self, rules: &Map<String, Value>, out: &mut Map<String, Value>, at: &Path<'_>) {
        for keyword in ["contains", "unevaluatedItems", "uniqueItems"] {
            if rules.get(keyword).is_some_and(|value| value != &Value::Bool(false)) {
                self.lacks(keyword, at);
            }
        }
        let (least, most) = self.count(rules, ["minItems", "maxItems"], at);
        let items = rules.get("items");
        if let Some(Value::Array(prefix)) =
            rules.get("prefixItems").filter(|prefix| prefix.as_array().is_some_and(|p| !p.is_empty()))
        {
            let place = Path::Key(at, "prefixItems");
            let mut parts: Vec<Value> =
                prefix.iter().enumerate().map(|(index, item)| self.node(item, &Path::Index(&place, index))).collect();
            let length = parts.len() as u64;
            let fixed = least.is_none_or(|least| least <= length) && most.is_none_or(|most| most >= length);
            if fixed && !items.is_some_and(|rest| rest != &Value::Bool(false)) {
                // A tuple of exactly so many: `items` beside it would take its place, whatever it says.
                out.insert("prefixItems".to_owned(), Value::Array(parts));
                return;
            }
            self.lacks("prefixItems", at);
            match items {
                Some(rest @ Value::Object(_)) => parts.push(self.node(rest, &Path::Key(at, "items"))),
                Some(Value::Bool(false)) => {}
                _ => parts.push(any()),
            }
            out.insert("items".to_owned(), json!({ "anyOf": parts }));
        } else if let Some(items) = items {
            let item = if items.is_object() { self.node(items, &Path::Key(at, "items")) } else { any() };
            out.insert("items".to_owned(), item);
        } else if least.is_some() || most.is_some() {
            out.insert("items".to_owned(), any());
        }
        insert(out, "minItems", least);
        insert(out, "maxItems", most);
    }

    fn string(&mut self, rules: &Map<String, Value>, out: &mut Map<String, Value>, at: &Path<'_>) {
        let format = rules.get("format").and_then(Value::as_str).filter(|format| FORMATS.contains(format));
        if !self.options.rules {
            for keyword in ["pattern", "minLength", "maxLength"] {
                if rules.contains_key(keyword) {
                    self.lacks(keyword, at);
                }
            }
            return;
        }
        if let Some(source) = rules.get("pattern").and_then(Value::as_str) {
            let carried = pattern::carried(source);
            if carried.as_ref().is_none_or(|carried| carried.widened) {
                self.lacks("pattern", at);
            }
            if let Some(carried) = carried {
                for keyword in ["minLength", "maxLength"] {
                    if rules.contains_key(keyword) {
                        self.lacks(keyword, at);
                    }
                }
                out.insert("pattern".to_owned(), carried.pattern.into());
                return;
            }
        }
        let (least, most) = self.count(rules, ["minLength", "maxLength"], at);
        match format {
            Some(format) if least.is_none() && most.is_none() => _ = out.insert("format".to_owned(), format.into()),
            _ => {
                insert(out, "minLength", least);
                insert(out, "maxLength", most);
            }
        }
    }

    /// The least and the most of something, if the grammar can count so far.
    fn count(&mut self, rules: &Map<String, Value>, keywords: [&str; 2], at: &Path<'_>) -> (Option<u64>, Option<u64>) {
        let number = |key: &str| rules.get(key).and_then(whole).and_then(|number| u64::try_from(number).ok());
        let [least, most] = keywords.map(number);
        let contradictory = least.zip(most).is_some_and(|(least, most)| least > most);
        let mut kept = |keyword: &str, count: Option<u64>| {
            let fits = count.filter(|count| *count <= MAX_COUNT && !contradictory && self.options.rules);
            if rules.contains_key(keyword) && fits.is_none() {
                self.left_out.push(LeftOut { keyword: keyword.to_owned(), path: at.pointer() });
            }
            fits
        };
        let [low, high] = keywords;
        (kept(low, least).filter(|least| *least > 0), kept(high, most))
    }

    fn integer(&mut self, rules: &Map<String, Value>, out: &mut Map<String, Value>, at: &Path<'_>) {
        let bound = |key: &str| rules.get(key).and_then(whole);
        // The server reads one bound at each end, and none that is not an integer.
        let least =
            [bound("minimum"), bound("exclusiveMinimum").map(|least| least.saturating_add(1))].into_iter().flatten().max();
        let most = [bound("maximum"), bound("exclusiveMaximum").map(|most| most.saturating_sub(1))].into_iter().flatten().min();
        let contradictory = least.zip(most).is_some_and(|(least, most)| least > most);
        let fits = |limit: &i128| limit.unsigned_abs() <= MAX_BOUND.unsigned_abs().into() && !contradictory && self.options.rules;
        let (low, high) = (least.filter(fits), most.filter(fits));
        for (keywords, kept) in [(["minimum", "exclusiveMinimum"], low), (["maximum", "exclusiveMaximum"], high)] {
            for keyword in keywords {
                let lost = kept.is_none() || bound(keyword).is_none();
                if rules.contains_key(keyword) && lost {
                    self.lacks(keyword, at);
                }
            }
        }
        if rules.contains_key("multipleOf") {
            self.lacks("multipleOf", at);
        }
        for (keyword, limit) in [("minimum", low), ("maximum", high)] {
            if let Some(limit) = limit.and_then(|limit| i64::try_from(limit).ok()) {
                out.insert(keyword.to_owned(), limit.into());
            }
        }
    }
}

fn insert(out: &mut Map<String, Value>, keyword: &str, count: Option<u64>) {
    if let Some(count) = count {
        out.insert(keyword.to_owned(), count.into());
    }
}

/// A whole number, however it is written.
fn whole(value: &Value) -> Option<i128> {
    let number = value.as_number()?;
    if let Some(number) = number.as_i128() {
        return Some(number);
    }
    let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 1e15)?;
    format!("{float:.0}").parse().ok()
}

/// The types of a part; all of them if it names none.
fn types(rules: &Map<String, Value>) -> Vec<&str> {
    match rules.get("type") {
        Some(Value::String(only)) => vec![only],
        Some(Value::Array(several)) if !several.is_empty() => several.iter().filter_map(Value::as_str).collect(),
        _ => TYPES.to_vec(),
    }
}

/// Any value: the grammar takes a part without a type for an object.
fn any() -> Value {
    json!({ "type": TYPES })
}

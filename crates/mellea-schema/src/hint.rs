//! A schema as the model reads it: a type in the style of TypeScript.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value};

use crate::dialect::{admits_null, required, target};
use crate::words::cut;

/// How much of a rule without words of its own is shown.
const MAX_RULE: usize = 300;

/// The type of a whole schema, with its descriptions.
pub(crate) fn full(root: &Value) -> String {
    let mut writer = Writer { root, seen: BTreeSet::new() };
    // A recursive root is written out here; its definition carries its title.
    if let Some(title) = root.get("title").and_then(Value::as_str) {
        writer.seen.insert(title.to_owned());
    }
    let mut told = writer.node(root).text;
    let rules = words(root);
    if !rules.is_empty() {
        told.push_str(&comment(&rules));
    }
    told
}

struct Writer<'a> {
    root: &'a Value,
    /// The definitions written out so far; they go by name from then on.
    seen: BTreeSet<String>,
}

struct Type {
    text: String,
    /// Whether the text needs parentheses before `[]`.
    union: bool,
}

impl Type {
    fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), union: false }
    }

    /// The alternatives once each, `null` last.
    fn any_of(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut seen: HashSet<String> = HashSet::new();
        let mut words: Vec<String> = Vec::new();
        let (mut union, mut null) = (false, false);
        for part in parts {
            union |= part.union;
            let text = match part.text.strip_suffix(" | null") {
                Some(rest) if part.union => {
                    null = true;
                    rest.to_owned()
                }
                _ => part.text,
            };
            if text == "null" {
                null = true;
            } else if seen.insert(text.clone()) {
                words.push(text);
            }
        }
        if null {
            words.push("null".to_owned());
        }
        Self { union: union || words.len() > 1, text: words.join(" | ") }
    }

    fn wrapped(self) -> String {
        if self.union { format!("({})", self.text) } else { self.text }
    }
}

impl<'a> Writer<'a> {
    fn node(&mut self, schema: &'a Value) -> Type {
        let Some(rules) = schema.as_object() else {
            return Type::plain("any");
        };
        if let (Some(body), Some(reference)) = (target(self.root, rules), rules.get("$ref").and_then(Value::as_str)) {
            let name = reference.rsplit('/').next().unwrap_or(reference).to_owned();
            return if self.seen.insert(name.clone()) { self.node(body) } else { Type::plain(name) };
        }
        if let Some(only) = rules.get("const") {
            return Type::plain(only.to_string());
        }
        if let Some(Value::Array(values)) = rules.get("enum") {
            return Type::any_of(values.iter().map(|v| Type::plain(v.to_string())));
        }
        for union in ["anyOf", "oneOf"] {
            if let Some(Value::Array(branches)) = rules.get(union) {
                let branches: Vec<Type> = branches.iter().map(|branch| self.described(branch)).collect();
                return Type::any_of(branches);
            }
        }
        if let Some(Value::Array(parts)) = rules.get("allOf") {
            let mut texts: Vec<String> = parts.iter().map(|part| self.node(part).wrapped()).collect();
            if rules.contains_key("type") {
                texts.insert(0, self.typed(rules).wrapped());
            }
            return Type { union: texts.len() > 1, text: texts.join(" & ") };
        }
        self.typed(rules)
    }

    /// A node with its description and its rules as a comment.
    fn described(&mut self, schema: &'a Value) -> Type {
        let mut node = self.node(schema);
        node.text.push_str(&comment(&told(schema)));
        node
    }

    /// A node with its rules as a comment, for the items of arrays and the like.
    fn ruled(&mut self, schema: &'a Value) -> Type {
        let mut node = self.node(schema);
        let rules = comment(&words(schema));
        if !rules.is_empty() {
            node.text.push_str(&rules);
            node.union = true;
        }
        node
    }

    fn typed(&mut self, rules: &'a Map<String, Value>) -> Type {
        match rules.get("type") {
            Some(Value::String(name)) => self.named(name, rules),
            Some(Value::Array(names)) => {
                let parts: Vec<Type> = names.iter().filter_map(Value::as_str).map(|name| self.named(name, rules)).collect();
                Type::any_of(parts)
            }
            _ => Type::plain("any"),
        }
    }

    fn named(&mut self, name: &str, rules: &'a Map<String, Value>) -> Type {
        match name {
            "object" => self.object(rules),
            "array" => self.array(rules),
            scalar => Type::plain(scalar),
        }
    }

    fn array(&mut self, rules: &'a Map<String, Value>) -> Type {
        if let Some(Value::Array(prefix)) = rules.get("prefixItems") {
            let mut items: Vec<String> = prefix.iter().map(|item| self.ruled(item).text).collect();
            if let Some(rest @ Value::Object(_)) = rules.get("items") {
                items.push(format!("...{}[]", self.ruled(rest).wrapped()));
            }
            return Type::plain(format!("[{}]", items.join(", ")));
        }
        let item = rules.get("items").map_or_else(|| Type::plain("any"), |item| self.ruled(item));
        Type::plain(item.wrapped() + "[]")
    }

    fn object(&mut self, rules: &'a Map<String, Value>) -> Type {
        let properties = rules.get("properties").and_then(Value::as_object);
        let needed: BTreeSet<&str> = required(rules).collect();
        let mut members = Vec::new();
        for (name, property) in properties.into_iter().flatten() {
            let mut member = self.node(property);
            if !needed.contains(name.as_str()) && !admits_null(self.root, property) {
                member = Type::any_of([member, Type::plain("null")]);
            }
            members.push(format!("{}: {}{}", Value::from(name.as_str()), member.text, comment(&told(property))));
        }
        for (pattern, part) in rules.get("patternProperties").and_then(Value::as_object).into_iter().flatten() {
            let key = match pattern.as_str() {
                r"^\d+$" | r"^[0-9]+$" => "whole number".to_owned(),
                r"^-?\d+$" => "integer".to_owned(),
                pattern => format!("string matching {}", cut(pattern.to_owned(), MAX_RULE)),
            };
            members.push(format!("[key: {key}]: {}", self.ruled(part).text));
        }
        let named = !members.is_empty();
        match rules.get("additionalProperties") {
            Some(rest @ Value::Object(_)) => members.push(format!("[key: string]: {}", self.ruled(rest).text)),
            Some(Value::Bool(true)) => members.push("[key: string]: any".to_owned()),
            None if !named && properties.is_none() => members.push("[key: string]: any".to_owned()),
            _ => {}
        }
        // A name that must be there though nothing else is said of it.
        for name in required(rules).filter(|name| !properties.is_some_and(|known| known.contains_key(*name))) {
            members.push(format!("{}: any", Value::from(name)));
        }
        Type::plain(format!("{{{}}}", members.join(", ")))
    }
}

fn comment(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(" /* {} */", words.replace("*/", "* /")) }
}

/// What is said of a schema in words: its description, then its rules.
fn told(schema: &Value) -> String {
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    let rules = words(schema);
    match (description.is_empty(), rules.is_empty()) {
        (_, true) => description,
        (true, false) => rules,
        (false, false) if description.ends_with(['.', '!', '?', ':', ';']) => format!("{description} {rules}"),
        (false, false) => format!("{description}; {rules}"),
    }
}

/// The rules of a schema that its type does not show.
fn words(schema: &Value) -> String {
    let Some(rules) = schema.as_object() else { return String::new() };
    let mut out: Vec<String> = Vec::new();
    numbers(rules, &mut out);
    for (low, high, one, many) in [
        ("minLength", "maxLength", "character", "characters"),
        ("minItems", "maxItems", "item", "items"),
        ("minProperties", "maxProperties", "member", "members"),
    ] {
        let size = |key: &str| rules.get(key).and_then(Value::as_u64);
        let unit = |n: u64| if n == 1 { one } else { many };
        // A tuple shows its length itself.
        if low == "minItems" && rules.contains_key("prefixItems") {
            continue;
        }
        match (size(low).filter(|min| *min > 0), size(high)) {
            (Some(min), Some(max)) if min == max => out.push(format!("exactly {min} {}", unit(min))),
            (Some(min), Some(max)) => out.push(format!("{min} to {max} {many}")),
            (Some(min), None) => out.push(format!("at least {min} {}", unit(min))),
            (None, Some(max)) => out.push(format!("at most {max} {}", unit(max))),
            (None, None) => {}
        }
    }
    if let Some(pattern) = rules.get("pattern").and_then(Value::as_str) {
        out.push(format!("matches {}", cut(pattern.to_owned(), MAX_RULE)));
    }
    if let Some(format) = rules.get("format").and_then(Value::as_str).and_then(format_words) {
        out.push(format);
    }
    if rules.get("uniqueItems") == Some(&Value::Bool(true)) {
        out.push("no item twice".to_owned());
    }
    let logic = [
        "not",
        "if",
        "then",
        "else",
        "contains",
        "minContains",
        "maxContains",
        "propertyNames",
        "dependentRequired",
        "dependentSchemas",
    ];
    for (key, value) in rules.iter().filter(|(key, _)| logic.contains(&key.as_str())) {
        out.push(cut(format!("{key} {value}"), MAX_RULE));
    }
    out.join(", ")
}

fn numbers(rules: &Map<String, Value>, out: &mut Vec<String>) {
    let number = |key: &str| rules.get(key).filter(|value| value.is_number());
    let implied = |key: &str| rules.get("format").and_then(Value::as_str).is_some_and(|format| is_implied(format, number(key)));
    let low = number("minimum").filter(|_| !implied("minimum"));
    let high = number("maximum").filter(|_| !implied("maximum"));
    match (low, high) {
        (Some(low), Some(high)) if low == high => out.push(format!("exactly {low}")),
        (Some(low), Some(high)) => out.push(format!("{low} to {high}")),
        (Some(low), None) => out.push(format!("at least {low}")),
        (None, Some(high)) => out.push(match number("minimum") {
            Some(low) => format!("{low} to {high}"),
            None => format!("at most {high}"),
        }),
        (None, None) => {}
    }
    for (key, words) in [("exclusiveMinimum", "more than"), ("exclusiveMaximum", "less than"), ("multipleOf", "a multiple of")] {
        if let Some(limit) = number(key) {
            out.push(format!("{words} {limit}"));
        }
    }
}

/// Whether a bound is only that of the Rust type, which nobody would break.
fn is_implied(format: &str, bound: Option<&Value>) -> bool {
    let Some(bound) = bound else { return true };
    let bits = format.trim_start_matches("uint").trim_start_matches("int");
    if !format.contains("int") {
        return false;
    }
    let Ok(bits) = bits.parse::<u32>() else { return bound.as_u64() == Some(0) || bound.as_u64() == Some(1) && format == "uint" };
    let Some(bound) = bound.as_number().and_then(serde_json::Number::as_i128) else { return bits >= 64 };
    let unsigned = format.starts_with('u');
    let power = |bits: u32| 1_i128.checked_shl(bits).unwrap_or(i128::MAX);
    let (low, high) =
        if unsigned { (0, power(bits) - 1) } else { (-power(bits.saturating_sub(1)), power(bits.saturating_sub(1)) - 1) };
    bound == low || bound == high
}

/// A format in words; `None` for those that only name a type of numbers.
fn format_words(format: &str) -> Option<String> {
    Some(match format {
        "date" => "date (YYYY-MM-DD)".to_owned(),
        "date-time" | "partial-date-time" => "date and time (RFC 3339)".to_owned(),
        "time" => "time (RFC 3339)".to_owned(),
        "duration" => "duration (ISO 8601)".to_owned(),
        "email" | "idn-email" => "e-mail address".to_owned(),
        "uuid" => "UUID".to_owned(),
        "uri" | "url" | "iri" => "URI".to_owned(),
        "float" | "double" | "char" => return None,
        number if number.contains("int") && number.len() <= 7 => return None,
        other => cut(other.to_owned(), 40),
    })
}

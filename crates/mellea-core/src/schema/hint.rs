//! A schema as the model reads it: a type in the manner of TypeScript.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::validate::{admits_null, required, target};

/// The type of a whole schema, with its descriptions.
pub(super) fn full(root: &Value) -> String {
    let mut writer = Writer { root, seen: BTreeSet::new(), comments: true };
    // A recursive root is written out here; its definition carries its title.
    if let Some(title) = root.get("title").and_then(Value::as_str) {
        writer.seen.insert(title.to_owned());
    }
    writer.node(root).text
}

/// The type of a part of a schema, without descriptions and without the members of objects: for
/// messages.
pub(super) fn brief(root: &Value, schema: &Value) -> String {
    let mut writer = Writer { root, seen: BTreeSet::new(), comments: false };
    let text = writer.node(schema).text;
    // A long type says no more in a message than its first letters.
    if text.chars().nth(200).is_some() { text.chars().take(200).chain(['…']).collect() } else { text }
}

struct Writer<'a> {
    root: &'a Value,
    /// The definitions written out so far; they go by name from then on.
    seen: BTreeSet<String>,
    comments: bool,
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
        let mut seen: Vec<String> = Vec::new();
        let (mut union, mut null) = (false, false);
        for part in parts {
            union |= part.union;
            match part.text.as_str() {
                "null" => null = true,
                text => match text.strip_suffix(" | null") {
                    Some(rest) if part.union => {
                        null = true;
                        push_new(&mut seen, rest);
                    }
                    _ => push_new(&mut seen, text),
                },
            }
        }
        if null {
            seen.push("null".to_owned());
        }
        Self { union: union || seen.len() > 1, text: seen.join(" | ") }
    }
}

fn push_new(seen: &mut Vec<String>, text: &str) {
    if !seen.iter().any(|s| s == text) {
        seen.push(text.to_owned());
    }
}

impl Writer<'_> {
    fn node(&mut self, schema: &Value) -> Type {
        let Some(rules) = schema.as_object() else {
            return Type::plain("any");
        };
        if let (Some(body), Some(reference)) = (target(self.root, rules), rules.get("$ref").and_then(Value::as_str)) {
            let name = reference.rsplit('/').next().unwrap_or(reference).to_owned();
            let body = body.clone();
            return if self.seen.insert(name.clone()) { self.node(&body) } else { Type::plain(name) };
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
            let mut texts: Vec<String> = parts.iter().map(|part| wrapped(self.node(part))).collect();
            if rules.contains_key("type") {
                texts.insert(0, wrapped(self.typed(rules)));
            }
            return Type { text: texts.join(" & "), union: texts.len() > 1 };
        }
        self.typed(rules)
    }

    /// A node with its description as a comment.
    fn described(&mut self, schema: &Value) -> Type {
        let mut node = self.node(schema);
        if self.comments
            && let Some(description) = schema.get("description").and_then(Value::as_str)
        {
            let words: Vec<&str> = description.split_whitespace().collect();
            if !words.is_empty() {
                node.text = format!("{} /* {} */", node.text, words.join(" ").replace("*/", "* /"));
            }
        }
        node
    }

    fn typed(&mut self, rules: &Map<String, Value>) -> Type {
        match rules.get("type") {
            Some(Value::String(name)) => self.named(name, rules),
            Some(Value::Array(names)) => {
                let parts: Vec<Type> = names.iter().filter_map(Value::as_str).map(|name| self.named(name, rules)).collect();
                Type::any_of(parts)
            }
            _ => Type::plain("any"),
        }
    }

    fn named(&mut self, name: &str, rules: &Map<String, Value>) -> Type {
        match name {
            "object" => self.object(rules),
            "array" => self.array(rules),
            scalar => Type::plain(scalar),
        }
    }

    fn array(&mut self, rules: &Map<String, Value>) -> Type {
        if let Some(Value::Array(prefix)) = rules.get("prefixItems") {
            let items: Vec<String> = prefix.iter().map(|item| self.node(item).text).collect();
            return Type::plain(format!("[{}]", items.join(", ")));
        }
        let item = rules.get("items").map_or_else(|| Type::plain("any"), |item| self.node(item));
        Type::plain(wrapped(item) + "[]")
    }

    fn object(&mut self, rules: &Map<String, Value>) -> Type {
        let properties = rules.get("properties").and_then(Value::as_object);
        if !self.comments && properties.is_some() {
            return Type::plain("object");
        }
        let needed: BTreeSet<&str> = required(rules).collect();
        let mut members = Vec::new();
        for (name, property) in properties.into_iter().flatten() {
            let mut member = self.node(property);
            if !needed.contains(name.as_str()) && !admits_null(self.root, property) {
                member = Type::any_of([member, Type::plain("null")]);
            }
            let mut comment = property.clone();
            let text = std::mem::take(&mut member.text);
            if let Some(map) = comment.as_object_mut() {
                map.retain(|key, _| key == "description");
            }
            let comment = self.described(&comment).text;
            let comment = comment.strip_prefix("any").unwrap_or_default();
            members.push(format!("{}: {text}{comment}", Value::from(name.as_str())));
        }
        if let Some(rest @ Value::Object(_)) = rules.get("additionalProperties") {
            members.push(format!("[key: string]: {}", self.node(rest).text));
        }
        Type::plain(format!("{{{}}}", members.join(", ")))
    }
}

fn wrapped(node: Type) -> String {
    if node.union { format!("({})", node.text) } else { node.text }
}

//! What a schema asks for and what a value is, in the few words of a message.

use serde_json::Value;

use crate::node::{Allowed, Id, Node, Program, Types};

/// How long what is expected may be in a message.
const MAX_EXPECTED: usize = 200;

/// How much of a text stands in a message.
const MAX_SHOWN: usize = 60;

/// How deep a type is told in a message.
const MAX_DEPTH: usize = 6;

/// What a node asks for.
pub(crate) fn expected(program: &Program, id: Id) -> String {
    let (_, node) = program.resolved(id);
    if let Some(allowed) = &node.allowed {
        return one_of(allowed);
    }
    let mut words = Words { program, left: 64 };
    cut(words.node(id, 0).text, MAX_EXPECTED)
}

/// The values of an enumeration.
pub(crate) fn one_of(allowed: &Allowed) -> String {
    if let [only] = allowed.values.as_slice() {
        return shown(only);
    }
    let mut out = String::from("one of ");
    for (index, value) in allowed.values.iter().enumerate() {
        let word = shown(value);
        if out.len() + word.len() > MAX_EXPECTED {
            out.push_str(&format!(" and {} more", allowed.values.len() - index));
            break;
        }
        if index > 0 {
            out.push_str(", ");
        }
        out.push_str(&word);
    }
    out
}

/// A value: itself if it is short.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Array(items) if !items.is_empty() => format!("an array of {}", items.len()),
        Value::Object(map) if !map.is_empty() => "an object".to_owned(),
        Value::String(text) => quoted(text),
        short => short.to_string(),
    }
}

/// A text in quotes, shortened.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", Value::from(text.get(..end).unwrap_or_default())),
        None => Value::from(text).to_string(),
    }
}

/// A text, shortened.
pub(crate) fn cut(text: String, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

struct Words<'p> {
    program: &'p Program,
    /// How many more parts are told.
    left: usize,
}

struct Type {
    text: String,
    /// Whether the text needs parentheses before `[]`.
    union: bool,
}

impl Type {
    fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), union: false }
    }

    fn any_of(parts: &[Self]) -> Self {
        let mut words: Vec<&str> = Vec::new();
        for part in parts {
            for word in part.text.split(" | ") {
                if !words.contains(&word) && words.len() < 16 {
                    words.push(word);
                }
            }
        }
        if let Some(null) = words.iter().position(|word| *word == "null") {
            let null = words.remove(null);
            words.push(null);
        }
        Self { union: words.len() > 1, text: words.join(" | ") }
    }

    fn item(self) -> String {
        if self.union { format!("({})[]", self.text) } else { format!("{}[]", self.text) }
    }
}

impl Words<'_> {
    fn node(&mut self, id: Id, depth: usize) -> Type {
        let (_, node) = self.program.resolved(id);
        if depth > MAX_DEPTH || self.left == 0 {
            return Type::plain("…");
        }
        self.left -= 1;
        let mut told = self.inner(node, depth);
        if node.nullable {
            told = Type::any_of(&[told, Type::plain("null")]);
        }
        told
    }

    fn inner(&mut self, node: &Node, depth: usize) -> Type {
        if let Some(allowed) = &node.allowed {
            let some = allowed.values.iter().take(12);
            return Type::any_of(&some.map(|value| Type::plain(&shown(value))).collect::<Vec<_>>());
        }
        let logic = node.logic.as_deref();
        if let Some(union) = logic.map(|l| if l.any_of.is_empty() { &l.one_of } else { &l.any_of }).filter(|u| !u.is_empty()) {
            return Type::any_of(&union.iter().take(16).map(|id| self.node(*id, depth + 1)).collect::<Vec<_>>());
        }
        if node.types == Types::NONE {
            return Type::plain("nothing");
        }
        if node.types == Types::ALL {
            if let Some(part) = node.reference.or_else(|| logic.and_then(|l| l.all_of.first().copied())) {
                return self.node(part, depth + 1);
            }
            if let Some(not) = logic.and_then(|l| l.not) {
                return Type::plain(&format!("anything but {}", self.node(not, depth + 1).text));
            }
            return Type::plain(match (&node.object, &node.array) {
                (Some(_), _) => "object",
                (_, Some(_)) => "array",
                _ if node.string.is_some() => "string",
                _ if node.number.is_some() => "number",
                _ => "any",
            });
        }
        let types = Types::NAMED.iter().filter(|(_, types)| node.types.has(*types));
        let parts = types.map(|(name, types)| match *types {
            Types::ARRAY => self.array(node, depth),
            _ => Type::plain(name),
        });
        Type::any_of(&parts.collect::<Vec<_>>())
    }

    fn array(&mut self, node: &Node, depth: usize) -> Type {
        match node.array.as_deref() {
            Some(rules) if !rules.prefix.is_empty() => {
                let items: Vec<String> = rules.prefix.iter().take(8).map(|id| self.node(*id, depth + 1).text).collect();
                Type::plain(&format!("[{}]", items.join(", ")))
            }
            Some(rules) => match rules.items {
                Some(id) => Type::plain(&self.node(id, depth + 1).item()),
                None => Type::plain("any[]"),
            },
            None => Type::plain("any[]"),
        }
    }
}

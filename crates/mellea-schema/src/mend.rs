//! Small slips mended, where there is no doubt what was meant.

use serde_json::{Number, Value};

use crate::check::Checker;
use crate::equal::{same, whole};
use crate::node::{Allowed, Id, Node, Types};
use crate::path::Path;
use crate::words::shown;

/// How deep slips are mended; a deeper value is taken as it is.
const MAX_DEPTH: usize = 24;

/// How many slips are told.
const MAX_NOTES: usize = 8;

/// Which slips are mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slips {
    /// The spelling of an enumeration's words, and one value for a list.
    Answer,
    /// These, and scalars in the spelling of another type, and white space around text.
    Arguments,
}

/// Mends what does not fit. What cannot be mended stays as it is.
pub(crate) fn mend(checker: &mut Checker<'_>, id: Id, value: &mut Value, slips: Slips, notes: &mut Vec<String>) {
    Mender { checker, slips, notes }.node(id, value, &Path::Root, 0);
}

struct Mender<'c, 'p, 'n> {
    checker: &'c mut Checker<'p>,
    slips: Slips,
    notes: &'n mut Vec<String>,
}

impl<'p> Mender<'_, 'p, '_> {
    fn fits(&mut self, id: Id, value: &Value) -> bool {
        let fits = self.checker.fits(id, value);
        // Values change between one look and the next.
        self.checker.forget();
        fits
    }

    fn node(&mut self, id: Id, value: &mut Value, at: &Path<'_>, depth: usize) {
        if depth > MAX_DEPTH || self.checker.is_exhausted() {
            return;
        }
        let (_, node) = self.checker.program.resolved(id);
        self.trim(node, value);
        if self.slips == Slips::Answer && self.fits(id, value) {
            return;
        }
        if let Some(reference) = node.reference {
            self.node(reference, value, at, depth + 1);
        }
        if let Some(logic) = node.logic.as_deref() {
            for part in &logic.all_of {
                self.node(*part, value, at, depth + 1);
            }
            for union in [&logic.any_of, &logic.one_of].into_iter().filter(|union| !union.is_empty()) {
                self.union(id, union, value, at, depth);
            }
        }
        if !node.types.admit(value) {
            self.other_type(id, node, value, at, depth);
            return;
        }
        if let (Some(allowed), Value::String(text)) = (&node.allowed, &*value)
            && let Some(word) = meant(allowed, text, self.slips)
        {
            self.replace(value, word, at);
            return;
        }
        self.parts(node, value, at, depth);
    }

    fn trim(&self, node: &Node, value: &mut Value) {
        if self.slips == Slips::Arguments
            && node.types != Types::ALL
            && node.types.has(Types::STRING)
            && let Value::String(text) = value
            && text.trim().len() < text.len()
        {
            *text = text.trim().to_owned();
        }
    }

    fn replace(&mut self, value: &mut Value, with: Value, at: &Path<'_>) {
        if *value == with {
            return;
        }
        if self.notes.len() < MAX_NOTES {
            let place = at.pointer();
            let place = if place.is_empty() { place } else { format!(" at {place}") };
            self.notes.push(format!("{} read as {}{place}", shown(value), shown(&with)));
        }
        *value = with;
    }

    /// A value whose type the node does not have.
    fn other_type(&mut self, id: Id, node: &'p Node, value: &mut Value, at: &Path<'_>, depth: usize) {
        if self.slips == Slips::Arguments {
            let types = [Types::BOOLEAN, Types::INTEGER, Types::NUMBER, Types::STRING];
            let mut named = types.into_iter().filter(|types| node.types.has(*types));
            if let Some(other) = named.find_map(|types| converted(types, value)) {
                self.replace(value, other, at);
                return;
            }
        }
        if let Some(word) = node.allowed.as_ref().and_then(|allowed| meant(allowed, value.as_str()?, self.slips)) {
            self.replace(value, word, at);
            return;
        }
        // One value, where a list of such is due.
        if node.types.has(Types::ARRAY) && !value.is_null() {
            let mut item = value.clone();
            if let Some(items) = node.array.as_deref().filter(|rules| rules.prefix.is_empty()).and_then(|rules| rules.items) {
                if !self.fits(items, &item) {
                    self.node(items, &mut item, &Path::Index(at, 0), depth + 1);
                }
                let list = Value::Array(vec![item]);
                if self.fits(id, &list) {
                    if self.notes.len() < MAX_NOTES {
                        let place = at.pointer();
                        let place = if place.is_empty() { place } else { format!(" at {place}") };
                        self.notes.push(format!("one value read as a list{place}"));
                    }
                    *value = list;
                }
            }
        }
    }

    fn union(&mut self, id: Id, union: &'p [Id], value: &mut Value, at: &Path<'_>, depth: usize) {
        if self.fits(id, value) || union.iter().any(|branch| self.fits(*branch, value)) {
            return;
        }
        let mut found: Option<(Value, Vec<String>)> = None;
        for branch in union {
            let mut mended = value.clone();
            let mut notes = Vec::new();
            let mut inner = Mender { checker: self.checker, slips: self.slips, notes: &mut notes };
            // Unions within unions are tried with more weight, so that the work stays bounded.
            inner.node(*branch, &mut mended, at, depth + 6);
            if mended == *value || !self.fits(*branch, &mended) {
                continue;
            }
            match &found {
                None => found = Some((mended, notes)),
                Some((earlier, _)) if *earlier == mended => {}
                // Two meanings are none.
                Some(_) => return,
            }
        }
        if let Some((mended, notes)) = found {
            *value = mended;
            self.notes.extend(notes);
            self.notes.truncate(MAX_NOTES);
        }
    }

    fn parts(&mut self, node: &'p Node, value: &mut Value, at: &Path<'_>, depth: usize) {
        match value {
            Value::Array(items) => {
                let Some(rules) = node.array.as_deref() else { return };
                for (index, item) in items.iter_mut().enumerate() {
                    let Some(id) = rules.prefix.get(index).copied().or(rules.items) else { break };
                    self.part(id, item, &Path::Index(at, index), depth);
                }
            }
            Value::Object(map) => {
                let Some(rules) = node.object.as_deref() else { return };
                for (name, member) in map.iter_mut() {
                    let place = Path::Key(at, name);
                    match rules.property(name) {
                        Some(property) if self.checker.stands_for_absent(property.null_is_absent, member) => {}
                        Some(property) => self.part(property.id, member, &place, depth),
                        None => {
                            let matched = rules.patterns.iter().find(|(pattern, _)| pattern.is_match(name));
                            if let Some(id) = matched.map(|(_, id)| *id).or(rules.additional) {
                                self.part(id, member, &place, depth);
                            }
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// A part of a value is changed only if it fits then.
    fn part(&mut self, id: Id, part: &mut Value, at: &Path<'_>, depth: usize) {
        let scalar = !part.is_array() && !part.is_object();
        if self.fits(id, part) && !(scalar && self.slips == Slips::Arguments) {
            return;
        }
        let mut mended = part.clone();
        let told = self.notes.len();
        self.node(id, &mut mended, at, depth + 1);
        if mended != *part && self.fits(id, &mended) {
            *part = mended;
        } else {
            self.notes.truncate(told);
        }
    }
}

/// The one value of an enumeration that differs from the text in its spelling only.
fn meant(allowed: &Allowed, text: &str, slips: Slips) -> Option<Value> {
    if allowed.values.iter().any(|value| value.as_str() == Some(text)) {
        return None;
    }
    let trimmed = text.trim();
    let exact = |value: &&Value| match value {
        Value::String(word) => word.trim() == trimmed,
        Value::Number(_) | Value::Bool(_) if slips == Slips::Arguments => {
            serde_json::from_str::<Value>(trimmed).is_ok_and(|given| same(value, &given))
        }
        _ => false,
    };
    let wanted = folded(trimmed);
    let near = |value: &&Value| value.as_str().is_some_and(|word| !wanted.is_empty() && folded(word) == wanted);
    let only = |fits: &dyn Fn(&&Value) -> bool| {
        let mut fitting = allowed.values.iter().filter(fits);
        fitting.next().filter(|_| fitting.next().is_none()).cloned()
    };
    only(&exact).or_else(|| only(&near))
}

/// A word without case, and without what stands between its parts.
fn folded(word: &str) -> String {
    let letters = word.chars().filter(|c| !matches!(c, ' ' | '_' | '-'));
    letters.take(200).flat_map(char::to_lowercase).collect()
}

/// A scalar as another scalar type, where there is no doubt what was meant.
fn converted(types: Types, value: &Value) -> Option<Value> {
    match (types, value) {
        (Types::BOOLEAN, Value::String(text)) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(Value::Bool(true)),
            "false" | "no" | "off" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        (Types::BOOLEAN, Value::Number(number)) => match number.as_f64() {
            Some(1.0) => Some(Value::Bool(true)),
            Some(0.0) => Some(Value::Bool(false)),
            _ => None,
        },
        (Types::INTEGER, Value::String(text)) => whole(&number(text)?).map(Value::Number),
        (Types::NUMBER, Value::String(text)) => number(text).map(Value::Number),
        (Types::STRING, Value::Number(number)) => Some(Value::String(number.to_string())),
        _ => None,
    }
}

fn number(text: &str) -> Option<Number> {
    serde_json::from_str(text.trim().trim_start_matches('+')).ok()
}

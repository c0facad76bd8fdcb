//! The spelling of a value that serde wants, once the value fits.

use std::collections::HashSet;

use serde_json::Value;

use crate::check::Checker;
use crate::equal::whole;
use crate::node::{Id, Node};

const MAX_DEPTH: usize = 512;

/// Spells a value that fits as serde wants it: whole floats become integers where integers are due, and
/// `null` for a property that may be missing but not be null is removed.
///
/// With `strip`, members that the schema does not speak of are removed too, unless it says that there may
/// be others: serde might read one of them by an alias, past the rules of the member that it stands for.
pub(crate) fn conform(checker: &mut Checker<'_>, id: Id, value: &mut Value, strip: bool) {
    Conform { checker, strip }.value(id, value, true, 0);
}

struct Conform<'c, 'p> {
    checker: &'c mut Checker<'p>,
    strip: bool,
}

impl<'p> Conform<'_, 'p> {
    /// One value; `alone` says that no other node speaks of it.
    fn value(&mut self, id: Id, value: &mut Value, alone: bool, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        if self.strip && alone && value.as_object().is_some_and(|map| !map.is_empty()) {
            let seen = self.checker.evaluated_by_others(id, value);
            if let Value::Object(map) = value
                && !(0..map.len()).all(|at| seen.has(at))
                && self.names_members(id)
            {
                let mut at = 0;
                map.retain(|_, _| {
                    at += 1;
                    seen.has(at - 1)
                });
                self.checker.forget();
            }
        }
        self.node(id, value, alone, depth);
    }

    /// Whether the node names members at all; an object of which nothing is said is free.
    fn names_members(&self, id: Id) -> bool {
        let mut open = vec![id];
        let mut seen = HashSet::from([id]);
        while let Some(id) = open.pop() {
            let node = self.checker.program.node(id);
            if node.object.as_deref().is_some_and(|rules| !rules.properties.is_empty()) {
                return true;
            }
            open.extend(node.in_place().filter(|next| seen.insert(*next)));
        }
        false
    }

    fn node(&mut self, id: Id, value: &mut Value, alone: bool, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        let node = self.checker.program.node(id);
        if let Value::Number(number) = value
            && node.types.only_integers()
            && !number.is_i64()
            && !number.is_u64()
            && let Some(whole) = whole(number)
        {
            *number = whole;
        }
        self.parts(node, value, alone, depth);
        let Some(logic) = node.logic.as_deref() else {
            if let Some(reference) = node.reference {
                self.node(reference, value, alone && node.object.is_none(), depth + 1);
            }
            return;
        };
        let only = alone && node.object.is_none() && node.reference.is_none();
        if let Some(reference) = node.reference {
            self.node(reference, value, false, depth + 1);
        }
        for part in &logic.all_of {
            self.node(*part, value, only && logic.all_of.len() == 1, depth + 1);
        }
        for union in [&logic.any_of, &logic.one_of] {
            if let Some(branch) = self.chosen(union, value) {
                self.node(branch, value, only && logic.all_of.is_empty(), depth + 1);
            }
        }
        if let Some(condition) = logic.condition {
            let fits = self.checker.fits(condition, value);
            self.checker.forget();
            if let Some(next) = if fits { logic.then } else { logic.otherwise } {
                self.node(next, value, false, depth + 1);
            }
        }
    }

    fn parts(&mut self, node: &'p Node, value: &mut Value, alone: bool, depth: usize) {
        match value {
            Value::Array(items) => {
                let Some(rules) = node.array.as_deref() else { return };
                for (at, item) in items.iter_mut().enumerate() {
                    let Some(id) = rules.prefix.get(at).copied().or(rules.items) else { break };
                    self.value(id, item, alone, depth + 1);
                }
            }
            Value::Object(map) => {
                let Some(rules) = node.object.as_deref() else { return };
                let absent = |name: &str, member: &Value| {
                    let null_is_absent = rules.property(name).is_some_and(|property| property.null_is_absent);
                    self.checker.stands_for_absent(null_is_absent, member)
                };
                if map.iter().any(|(name, member)| absent(name, member)) {
                    map.retain(|name, member| !absent(name, member));
                    self.checker.forget();
                }
                for (name, member) in map.iter_mut() {
                    if let Some(property) = rules.property(name) {
                        self.value(property.id, member, alone && rules.patterns.is_empty(), depth + 1);
                        continue;
                    }
                    let matched = rules.patterns.iter().find(|(pattern, _)| pattern.is_match(name)).map(|(_, id)| *id);
                    if let Some(id) = matched.or(rules.additional) {
                        self.value(id, member, alone && rules.patterns.len() < 2, depth + 1);
                    }
                }
            }
            _ => {}
        }
    }

    /// The branch of a union that a value stands for.
    fn chosen(&mut self, union: &[Id], value: &Value) -> Option<Id> {
        let program = self.checker.program;
        let mut open = union.iter().copied().filter(|branch| program.resolved(*branch).1.types.admit(value));
        let first = open.next()?;
        if open.next().is_none() {
            return Some(first);
        }
        let fitting = union.iter().copied().find(|branch| self.checker.fits(*branch, value));
        self.checker.forget();
        fitting
    }
}

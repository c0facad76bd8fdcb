//! Every place where a value does not fit, in words.

use serde_json::{Map, Value};

use crate::check::Checker;
use crate::equal::{check_number, first_repeated};
use crate::error::{Mismatch, Mismatches};
use crate::node::{ArrayRules, Id, Logic, Node, ObjectRules, StringRules, Types};
use crate::path::Path;
use crate::words::{expected, one_of, quoted, shown};

/// How deep faults are looked for.
const MAX_DEPTH: usize = 512;

/// How many parts of a value are looked at.
const MAX_PARTS: usize = 10_000;

/// How many parts a branch of a union counts as: each is looked at for what it says.
const BRANCH: usize = 8;

/// Says where a value does not fit a node. It is only asked when one does not.
pub(crate) fn explain(checker: &mut Checker<'_>, id: Id, value: &Value, at: &Path<'_>) -> Mismatches {
    let mut faults = Mismatches::default();
    let mut explainer = Explainer { checker, left: MAX_PARTS };
    if explainer.checker.is_exhausted() {
        faults.push(Mismatch::new(at.pointer(), "a value that can be checked in time", shown(value)));
        return faults;
    }
    explainer.node(id, value, at, 0, &mut faults);
    if faults.faults.is_empty() {
        let expected = expected(explainer.checker.program, id);
        faults.push(Mismatch::new(at.pointer(), expected, shown(value)));
    }
    faults
}

struct Explainer<'c, 'p> {
    checker: &'c mut Checker<'p>,
    left: usize,
}

impl<'p> Explainer<'_, 'p> {
    fn expected(&self, id: Id) -> String {
        expected(self.checker.program, id)
    }

    fn node(&mut self, id: Id, value: &Value, at: &Path<'_>, depth: usize, out: &mut Mismatches) {
        if self.left == 0 || depth > MAX_DEPTH {
            // What is left over is told as one, if it is a fault at all.
            if !self.checker.fits(id, value) {
                out.push(Mismatch::new(at.pointer(), self.expected(id), shown(value)));
            }
            return;
        }
        self.left -= 1;
        let node = self.checker.program.node(id);
        if node.nullable && value.is_null() {
            return;
        }
        if !node.types.admit(value) {
            out.push(Mismatch::new(at.pointer(), self.expected(id), shown(value)));
            return;
        }
        if let Some(allowed) = node.allowed.as_ref().filter(|allowed| !allowed.has(value)) {
            out.push(Mismatch::new(at.pointer(), one_of(allowed), shown(value)));
            return;
        }
        match value {
            Value::Number(number) => {
                if let Some(expected) = node.number.as_deref().and_then(|rules| check_number(rules, number)) {
                    out.push(Mismatch::new(at.pointer(), expected, number.to_string()));
                }
            }
            Value::String(text) => {
                if let Some(rules) = &node.string {
                    string(rules, text, at, out);
                }
            }
            Value::Array(items) => {
                if let Some(rules) = &node.array {
                    self.array(rules, items, at, depth, out);
                }
            }
            Value::Object(map) => {
                if let Some(rules) = &node.object {
                    self.object(rules, value, map, at, depth, out);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
        if let Some(reference) = node.reference {
            self.node(reference, value, at, depth + 1, out);
        }
        if let Some(logic) = &node.logic {
            self.logic(id, logic, value, at, depth, out);
        }
        self.unevaluated(id, node, value, at, depth, out);
    }

    fn array(&mut self, rules: &'p ArrayRules, items: &[Value], at: &Path<'_>, depth: usize, out: &mut Mismatches) {
        let length = items.len() as u64;
        if let Some(min) = rules.min.filter(|min| length < *min) {
            out.push(Mismatch::new(at.pointer(), format!("at least {min} items"), length.to_string()));
        }
        if let Some(max) = rules.max.filter(|max| length > *max) {
            out.push(Mismatch::new(at.pointer(), format!("at most {max} items"), length.to_string()));
        }
        if let Some(index) = rules.unique.then(|| first_repeated(items)).flatten() {
            let item = items.get(index).map(shown).unwrap_or_default();
            out.push(Mismatch::new(Path::Index(at, index).pointer(), "an item that is not there twice", item));
        }
        for (index, item) in items.iter().enumerate() {
            let Some(id) = rules.prefix.get(index).copied().or(rules.items) else { break };
            if self.checker.program.node(id).types == Types::NONE {
                out.push(Mismatch::new(at.pointer(), format!("at most {} items", rules.prefix.len()), length.to_string()));
                break;
            }
            self.node(id, item, &Path::Index(at, index), depth + 1, out);
        }
        if let Some(contains) = &rules.contains {
            let count = items.iter().filter(|item| self.checker.fits(contains.id, item)).count() as u64;
            let item = self.expected(contains.id);
            if count < contains.min {
                out.push(Mismatch::new(
                    at.pointer(),
                    format!("at least {} items that are {item}", contains.min),
                    count.to_string(),
                ));
            }
            if let Some(max) = contains.max.filter(|max| count > *max) {
                out.push(Mismatch::new(at.pointer(), format!("at most {max} items that are {item}"), count.to_string()));
            }
        }
    }

    fn object(
        &mut self,
        rules: &'p ObjectRules,
        value: &Value,
        map: &Map<String, Value>,
        at: &Path<'_>,
        depth: usize,
        out: &mut Mismatches,
    ) {
        let count = map.len() as u64;
        if let Some(min) = rules.min.filter(|min| count < *min) {
            out.push(Mismatch::new(at.pointer(), format!("at least {min} members"), count.to_string()));
        }
        if let Some(max) = rules.max.filter(|max| count > *max) {
            out.push(Mismatch::new(at.pointer(), format!("at most {max} members"), count.to_string()));
        }
        for (name, member) in map {
            let place = Path::Key(at, name);
            let property = rules.property(name);
            let mut known = property.is_some();
            if let Some(property) = property
                && !self.checker.stands_for_absent(property.null_is_absent, member)
            {
                self.node(property.id, member, &place, depth + 1, out);
            }
            for (pattern, id) in &rules.patterns {
                if pattern.is_match(name) {
                    known = true;
                    self.node(*id, member, &place, depth + 1, out);
                }
            }
            if let Some(rest) = rules.additional.filter(|_| !known) {
                self.other(rules, rest, name, member, at, depth, out);
            }
            if let Some(names) = rules.names {
                let text = Value::from(name.as_str());
                let fits = self.checker.fits(names, &text);
                // What is known of the name must not outlive it.
                self.checker.forget();
                if !fits {
                    let expected = format!("names that are {}", self.expected(names));
                    out.push(Mismatch::new(at.pointer(), expected, quoted(name)));
                }
            }
        }
        for (name, id) in rules.missing(map) {
            let what = id.map_or_else(|| "a value".to_owned(), |id| self.expected(id));
            out.push(Mismatch::new(Path::Key(at, name).pointer(), what, "nothing"));
        }
        for (name, needed) in rules.dependent_required.iter().filter(|(name, _)| map.contains_key(name)) {
            for missing in needed.iter().filter(|missing| !map.contains_key(*missing)) {
                let place = Path::Key(at, missing).pointer();
                out.push(Mismatch::new(place, format!("a value beside {}", quoted(name)), "nothing"));
            }
        }
        for (_, id) in rules.dependent_schemas.iter().filter(|(name, _)| map.contains_key(name)) {
            self.node(*id, value, at, depth + 1, out);
        }
    }

    /// A member that no property names.
    #[expect(clippy::too_many_arguments, reason = "the place of one member, said in full")]
    fn other(
        &mut self,
        rules: &ObjectRules,
        rest: Id,
        name: &str,
        member: &Value,
        at: &Path<'_>,
        depth: usize,
        out: &mut Mismatches,
    ) {
        if self.checker.program.node(rest).types != Types::NONE {
            self.node(rest, member, &Path::Key(at, name), depth + 1, out);
            return;
        }
        let known: Vec<String> = rules.properties.iter().take(20).map(|(name, _)| quoted(name)).collect();
        let mut expected = match (known.is_empty(), rules.patterns.first()) {
            (false, _) => format!("only {}", known.join(", ")),
            (true, Some((pattern, _))) => format!("names that match {}", pattern.as_str()),
            (true, None) => "no members".to_owned(),
        };
        if rules.properties.len() > known.len() {
            expected.push_str(", …");
        }
        out.push(Mismatch::new(at.pointer(), expected, quoted(name)));
    }

    fn unevaluated(&mut self, id: Id, node: &'p Node, value: &Value, at: &Path<'_>, depth: usize, out: &mut Mismatches) {
        match value {
            Value::Object(map) => {
                let Some((rules, rest)) = node.object.as_deref().and_then(|o| Some((o, o.unevaluated?))) else { return };
                // With the rule itself taken away, what is left is what others looked at.
                let seen = self.evaluated_by_others(id, value);
                for (index, (name, member)) in map.iter().enumerate() {
                    if !seen.get(index).copied().unwrap_or(false) && !self.checker.fits(rest, member) {
                        self.other(rules, rest, name, member, at, depth, out);
                    }
                }
            }
            Value::Array(items) => {
                let Some(rest) = node.array.as_deref().and_then(|rules| rules.unevaluated) else { return };
                let seen = self.evaluated_by_others(id, value);
                for (index, item) in items.iter().enumerate() {
                    if !seen.get(index).copied().unwrap_or(false) {
                        self.node(rest, item, &Path::Index(at, index), depth + 1, out);
                    }
                }
            }
            _ => {}
        }
    }

    fn evaluated_by_others(&mut self, id: Id, value: &Value) -> Vec<bool> {
        let count = value.as_array().map_or_else(|| value.as_object().map_or(0, Map::len), Vec::len);
        let seen = self.checker.evaluated_by_others(id, value);
        (0..count).map(|at| seen.has(at)).collect()
    }

    fn logic(&mut self, id: Id, logic: &'p Logic, value: &Value, at: &Path<'_>, depth: usize, out: &mut Mismatches) {
        for part in &logic.all_of {
            self.node(*part, value, at, depth + 1, out);
        }
        for (branches, only_one) in [(&logic.any_of, false), (&logic.one_of, true)] {
            if !branches.is_empty() {
                self.union(id, branches, only_one, value, at, depth, out);
            }
        }
        if let Some(not) = logic.not
            && self.checker.fits(not, value)
        {
            let expected = format!("anything but {}", self.expected(not));
            out.push(Mismatch::new(at.pointer(), expected, shown(value)));
        }
        if let Some(condition) = logic.condition {
            let next = if self.checker.fits(condition, value) { logic.then } else { logic.otherwise };
            if let Some(next) = next {
                self.node(next, value, at, depth + 1, out);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a union and where it stands")]
    fn union(
        &mut self,
        id: Id,
        branches: &'p [Id],
        only_one: bool,
        value: &Value,
        at: &Path<'_>,
        depth: usize,
        out: &mut Mismatches,
    ) {
        match branches.iter().filter(|branch| self.checker.fits(**branch, value)).count() {
            0 => {}
            1 => return,
            _ if !only_one => return,
            _ => {
                out.push(Mismatch::new(at.pointer(), "exactly one of the alternatives", "a value that fits several"));
                return;
            }
        }
        // The branch that was meant tells most: the one whose tag the value carries, else the one that it
        // fits deepest.
        let program = self.checker.program;
        let mut meant: Vec<Id> =
            branches.iter().copied().filter(|branch| program.resolved(*branch).1.types.admit(value)).collect();
        if meant.iter().any(|branch| is_tagged_for(self.checker, *branch, value)) {
            meant.retain(|branch| is_tagged_for(self.checker, *branch, value));
        }
        let mut deepest: Option<(usize, bool, Mismatches)> = None;
        for branch in meant.into_iter().take(32) {
            let mut faults = Mismatches::default();
            self.left = self.left.saturating_sub(BRANCH);
            self.node(branch, value, at, depth + 1, &mut faults);
            let level = faults.faults.iter().map(|fault| fault.path.matches('/').count()).max().unwrap_or(0);
            match &mut deepest {
                Some((known, several, _)) if *known == level => *several = true,
                Some((known, ..)) if *known > level => {}
                _ => deepest = Some((level, false, faults)),
            }
        }
        match deepest {
            Some((_, false, faults)) => {
                out.more += faults.more;
                faults.faults.into_iter().for_each(|fault| out.push(fault));
            }
            _ => out.push(Mismatch::new(at.pointer(), self.expected(id), shown(value))),
        }
    }
}

fn string(rules: &StringRules, text: &str, at: &Path<'_>, out: &mut Mismatches) {
    if rules.min.is_some() || rules.max.is_some() {
        let length = text.chars().count() as u64;
        if let Some(min) = rules.min.filter(|min| length < *min) {
            out.push(Mismatch::new(at.pointer(), format!("at least {min} characters"), length.to_string()));
        }
        if let Some(max) = rules.max.filter(|max| length > *max) {
            out.push(Mismatch::new(at.pointer(), format!("at most {max} characters"), length.to_string()));
        }
    }
    if let Some(pattern) = rules.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
        let expected = format!("text that matches {}", crate::words::cut(pattern.as_str().to_owned(), 200));
        out.push(Mismatch::new(at.pointer(), expected, quoted(text)));
    }
}

/// Whether a value carries the tag of this branch: a fixed member, or the one key of a closed object.
fn is_tagged_for(checker: &Checker<'_>, branch: Id, value: &Value) -> bool {
    let program = checker.program;
    let (Some(rules), Some(map)) = (program.resolved(branch).1.object.as_deref(), value.as_object()) else {
        return false;
    };
    let tagged = rules.properties.iter().any(|(name, property)| {
        let allowed = program.resolved(property.id).1.allowed.as_ref().filter(|allowed| allowed.values.len() == 1);
        allowed.is_some_and(|allowed| map.get(name).is_some_and(|member| allowed.has(member)))
    });
    let closed = rules.additional.is_some_and(|rest| program.node(rest).types == Types::NONE);
    let mut needed = rules.properties.iter().filter(|(_, property)| property.required);
    let only = needed.next().filter(|_| needed.next().is_none());
    tagged || (closed && only.is_some_and(|(name, _)| map.contains_key(name)))
}

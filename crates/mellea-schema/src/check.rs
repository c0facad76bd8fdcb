//! Whether a value fits, found without an allocation for most values.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::equal::{check_number, first_repeated};
use crate::node::{ArrayRules, Id, Logic, Node, ObjectRules, Program};

/// How deep the check goes; a deeper value fits nothing.
const MAX_DEPTH: usize = 512;

/// How many steps are taken before what is known is written down.
const BEFORE_MEMORY: u64 = 20_000;

/// Which members or items of a value some rule has looked at: `unevaluatedProperties` and
/// `unevaluatedItems` are about the others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    all: bool,
    places: Vec<bool>,
}

impl Seen {
    fn of(value: &Value) -> Self {
        let count = match value {
            Value::Array(items) => items.len(),
            Value::Object(map) => map.len(),
            _ => 0,
        };
        Self { all: false, places: vec![false; count] }
    }

    pub(crate) fn has(&self, at: usize) -> bool {
        self.all || self.places.get(at).copied().unwrap_or(false)
    }

    fn mark(&mut self, at: usize) {
        if let Some(place) = self.places.get_mut(at) {
            *place = true;
        }
    }

    fn add(&mut self, other: &Self) {
        self.all |= other.all;
        for (mine, theirs) in self.places.iter_mut().zip(&other.places) {
            *mine |= theirs;
        }
    }
}

/// Checks values against a program.
///
/// The work is bounded by `fuel`, one unit for each node and value that meet. When it is used up, nothing
/// fits any more, and [`is_exhausted`](Self::is_exhausted) says so.
#[derive(Debug)]
pub(crate) struct Checker<'p> {
    pub(crate) program: &'p Program,
    /// Whether `null` stands for a property that may be missing.
    nulls: bool,
    fuel: u64,
    steps: u64,
    stopped: bool,
    /// What is known about a node and a value, by the value's address. Without it a schema whose parts
    /// refer to each other costs exponential time.
    known: HashMap<(Id, *const Value), bool>,
}

impl<'p> Checker<'p> {
    pub(crate) fn new(program: &'p Program, nulls: bool, fuel: u64) -> Self {
        Self { program, nulls, fuel, steps: 0, stopped: false, known: HashMap::new() }
    }

    /// What is left of the fuel.
    pub(crate) fn fuel(&self) -> u64 {
        self.fuel
    }

    /// Whether the last values were not checked to their end.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.stopped
    }

    /// Whether the member is a `null` that means "not there".
    pub(crate) fn stands_for_absent(&self, null_is_absent: bool, member: &Value) -> bool {
        self.nulls && null_is_absent && member.is_null()
    }

    /// Whether a value fits a node. The value must outlive all checks until [`forget`](Self::forget).
    pub(crate) fn fits(&mut self, id: Id, value: &Value) -> bool {
        self.at(id, value, 0, None) && !self.stopped
    }

    /// Forgets what is known of values that are changed or dropped now.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
        self.steps = 0;
    }

    /// Which members or items some rule of the node, other than those about the unevaluated, has looked at.
    pub(crate) fn evaluated_by_others(&mut self, id: Id, value: &Value) -> Seen {
        let mut seen = Seen::of(value);
        let node = self.program.node(id);
        match value {
            Value::Array(items) => _ = node.array.as_deref().map(|rules| self.array(rules, items, 0, Some(&mut seen))),
            Value::Object(map) => _ = node.object.as_deref().map(|rules| self.object(rules, value, map, 0, Some(&mut seen))),
            _ => {}
        }
        if let Some(reference) = node.reference {
            self.branch(reference, value, 0, Some(&mut seen));
        }
        if let Some(logic) = &node.logic {
            self.logic(logic, value, 0, Some(&mut seen));
        }
        seen
    }

    fn at(&mut self, id: Id, value: &Value, depth: usize, seen: Option<&mut Seen>) -> bool {
        self.steps += 1;
        if self.stopped || self.fuel == 0 || depth > MAX_DEPTH {
            self.stopped = true;
            return false;
        }
        self.fuel -= 1;
        let program = self.program;
        let node = program.node(id);
        if self.steps < BEFORE_MEMORY || seen.is_some() {
            return self.node(node, value, depth, seen);
        }
        let key = (id, std::ptr::from_ref(value));
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let fits = self.node(node, value, depth, None);
        self.known.insert(key, fits);
        fits
    }

    fn node(&mut self, node: &'p Node, value: &Value, depth: usize, mut seen: Option<&mut Seen>) -> bool {
        if node.nullable && value.is_null() {
            return true;
        }
        if !node.types.admit(value) || node.allowed.as_ref().is_some_and(|allowed| !allowed.has(value)) {
            return false;
        }
        // The rules of this node about what others have not looked at need to know what they looked at.
        let mut own = None;
        let unevaluated = match value {
            Value::Array(_) => node.array.as_deref().and_then(|rules| rules.unevaluated),
            Value::Object(_) => node.object.as_deref().and_then(|rules| rules.unevaluated),
            _ => None,
        };
        if unevaluated.is_some() {
            own = Some(Seen::of(value));
        }
        {
            let mut seen = own.as_mut().or(seen.as_deref_mut());
            let fits = match value {
                Value::Number(number) => node.number.as_deref().is_none_or(|rules| check_number(rules, number).is_none()),
                Value::String(text) => node.string.as_deref().is_none_or(|rules| {
                    let length = (rules.min.is_some() || rules.max.is_some()).then(|| text.chars().count() as u64);
                    length.is_none_or(|l| rules.min.is_none_or(|min| l >= min) && rules.max.is_none_or(|max| l <= max))
                        && rules.pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
                }),
                Value::Array(items) => match &node.array {
                    Some(rules) => self.array(rules, items, depth, seen.as_deref_mut()),
                    None => true,
                },
                Value::Object(map) => match &node.object {
                    Some(rules) => self.object(rules, value, map, depth, seen.as_deref_mut()),
                    None => true,
                },
                Value::Null | Value::Bool(_) => true,
            };
            if !fits {
                return false;
            }
            if let Some(reference) = node.reference
                && !self.at(reference, value, depth + 1, seen.as_deref_mut())
            {
                return false;
            }
            if let Some(logic) = &node.logic
                && !self.logic(logic, value, depth, seen)
            {
                return false;
            }
        }
        let (Some(rest), Some(mut own)) = (unevaluated, own) else { return true };
        let fits = match value {
            Value::Array(items) => {
                let mut others = items.iter().enumerate().filter(|(at, _)| !own.has(*at));
                others.all(|(_, item)| self.at(rest, item, depth + 1, None))
            }
            Value::Object(map) => {
                let mut others = map.values().enumerate().filter(|(at, _)| !own.has(*at));
                others.all(|(_, member)| self.at(rest, member, depth + 1, None))
            }
            _ => true,
        };
        own.all = true;
        if let Some(seen) = seen {
            seen.add(&own);
        }
        fits
    }

    fn array(&mut self, rules: &ArrayRules, items: &[Value], depth: usize, mut seen: Option<&mut Seen>) -> bool {
        let length = items.len() as u64;
        if rules.min.is_some_and(|min| length < min) || rules.max.is_some_and(|max| length > max) {
            return false;
        }
        if rules.unique && first_repeated(items).is_some() {
            return false;
        }
        for (at, item) in items.iter().enumerate() {
            let Some(id) = rules.prefix.get(at).copied().or(rules.items) else { break };
            if !self.at(id, item, depth + 1, None) {
                return false;
            }
            if let Some(seen) = seen.as_deref_mut() {
                seen.mark(at);
            }
        }
        let Some(contains) = &rules.contains else { return true };
        let mut count = 0;
        for (at, item) in items.iter().enumerate() {
            if self.at(contains.id, item, depth + 1, None) {
                count += 1;
                if let Some(seen) = seen.as_deref_mut() {
                    seen.mark(at);
                }
            }
        }
        count >= contains.min && contains.max.is_none_or(|max| count <= max)
    }

    fn object(
        &mut self,
        rules: &ObjectRules,
        value: &Value,
        map: &Map<String, Value>,
        depth: usize,
        mut seen: Option<&mut Seen>,
    ) -> bool {
        let count = map.len() as u64;
        if rules.min.is_some_and(|min| count < min) || rules.max.is_some_and(|max| count > max) {
            return false;
        }
        let needed = |name: &String| map.contains_key(name);
        if !rules.required.iter().all(needed) || rules.properties.iter().any(|(name, p)| p.required && !needed(name)) {
            return false;
        }
        for (at, (name, member)) in map.iter().enumerate() {
            let property = rules.property(name);
            let mut evaluated = property.is_some();
            if let Some(property) = property
                && !self.stands_for_absent(property.null_is_absent, member)
                && !self.at(property.id, member, depth + 1, None)
            {
                return false;
            }
            for (pattern, id) in &rules.patterns {
                if pattern.is_match(name) {
                    evaluated = true;
                    if !self.at(*id, member, depth + 1, None) {
                        return false;
                    }
                }
            }
            if let Some(rest) = rules.additional.filter(|_| !evaluated) {
                evaluated = true;
                if !self.at(rest, member, depth + 1, None) {
                    return false;
                }
            }
            if let Some(names) = rules.names {
                // The name has an address of its own only for the time of this check.
                let name = Value::from(name.as_str());
                let mut checker = Checker::new(self.program, self.nulls, self.fuel);
                let fits = checker.at(names, &name, depth + 1, None);
                (self.fuel, self.stopped) = (checker.fuel, self.stopped || checker.stopped);
                if !fits {
                    return false;
                }
            }
            if let Some(seen) = seen.as_deref_mut().filter(|_| evaluated) {
                seen.mark(at);
            }
        }
        let dependent = rules.dependent_required.iter().filter(|(name, _)| map.contains_key(name));
        if !dependent.flat_map(|(_, names)| names).all(needed) {
            return false;
        }
        rules
            .dependent_schemas
            .iter()
            .filter(|(name, _)| map.contains_key(name))
            .all(|(_, id)| self.at(*id, value, depth + 1, seen.as_deref_mut()))
    }

    /// Holds a value against a branch; what it looked at counts only if it fits.
    fn branch(&mut self, id: Id, value: &Value, depth: usize, seen: Option<&mut Seen>) -> bool {
        let Some(seen) = seen else { return self.at(id, value, depth + 1, None) };
        let mut own = Seen::of(value);
        let fits = self.at(id, value, depth + 1, Some(&mut own));
        if fits {
            seen.add(&own);
        }
        fits
    }

    fn logic(&mut self, logic: &Logic, value: &Value, depth: usize, mut seen: Option<&mut Seen>) -> bool {
        for id in &logic.all_of {
            if !self.branch(*id, value, depth, seen.as_deref_mut()) {
                return false;
            }
        }
        if !logic.any_of.is_empty() {
            let mut any = false;
            for id in &logic.any_of {
                any |= self.branch(*id, value, depth, seen.as_deref_mut());
                // All that fit have looked at something.
                if any && seen.is_none() {
                    break;
                }
            }
            if !any {
                return false;
            }
        }
        if !logic.one_of.is_empty() {
            let mut count = 0;
            for id in &logic.one_of {
                count += usize::from(self.branch(*id, value, depth, seen.as_deref_mut()));
                if count > 1 {
                    return false;
                }
            }
            if count != 1 {
                return false;
            }
        }
        // What must not fit looks at nothing. A check that was stopped proves nothing.
        if logic.not.is_some_and(|id| self.at(id, value, depth + 1, None) || self.stopped) {
            return false;
        }
        match logic.condition {
            None => true,
            Some(condition) => {
                let next = if self.branch(condition, value, depth, seen.as_deref_mut()) { logic.then } else { logic.otherwise };
                next.is_none_or(|id| self.branch(id, value, depth, seen))
            }
        }
    }
}

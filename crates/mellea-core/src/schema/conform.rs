//! The spelling of a value that serde wants, once the value fits.

use serde_json::Value;

use super::MAX_DEPTH;
use super::equal::whole;
use super::path::Path;
use super::validate::{Validator, admits_type, names_type, resolve, stands_for_absent};

impl<'s> Validator<'s> {
    /// Spells a value that fits as serde wants it: whole floats become integers where integers are
    /// due, and `null` for a property that may be missing but not be null is removed.
    pub(crate) fn conform(&mut self, schema: &'s Value, value: &mut Value) {
        self.conform_node(schema, value, 0);
        self.known.clear();
    }

    fn conform_node(&mut self, schema: &'s Value, value: &mut Value, depth: usize) {
        if depth > 4 * MAX_DEPTH {
            return;
        }
        let Some(rules) = resolve(self.root, schema).as_object() else {
            return;
        };
        if let Value::Number(number) = value
            && names_type(rules, "integer")
            && !names_type(rules, "number")
            && let Some(whole) = whole(number)
        {
            *number = whole;
        }
        match value {
            Value::Array(items) => {
                let prefix = rules.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                for (index, item) in items.iter_mut().enumerate() {
                    if let Some(schema) = prefix.get(index).or_else(|| rules.get("items")) {
                        self.conform_node(schema, item, depth + 1);
                    }
                }
            }
            Value::Object(map) => {
                for (name, schema) in rules.get("properties").and_then(Value::as_object).into_iter().flatten() {
                    let Some(member) = map.get_mut(name) else {
                        continue;
                    };
                    if stands_for_absent(self.root, rules, name, schema, member) {
                        map.shift_remove(name);
                    } else {
                        self.conform_node(schema, member, depth + 1);
                    }
                }
                if let Some(schema @ Value::Object(_)) = rules.get("additionalProperties") {
                    let named = rules.get("properties").and_then(Value::as_object);
                    for (name, member) in map.iter_mut() {
                        if !named.is_some_and(|n| n.contains_key(name)) {
                            self.conform_node(schema, member, depth + 1);
                        }
                    }
                }
            }
            _ => {}
        }
        for part in rules.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.conform_node(part, value, depth + 1);
        }
        for union in ["anyOf", "oneOf"] {
            let branches = rules.get(union).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let fitting: Vec<&'s Value> = branches
                .iter()
                .filter(|branch| resolve(self.root, branch).as_object().is_none_or(|rules| admits_type(rules, value)))
                .collect();
            let chosen = match fitting.as_slice() {
                [only] => Some(*only),
                several => several.iter().copied().find(|branch| {
                    self.known.clear();
                    self.node(branch, value, &Path::Root, 0).is_ok()
                }),
            };
            if let Some(branch) = chosen {
                self.conform_node(branch, value, depth + 1);
            }
        }
    }
}

//! What only recordings need of a redactor.

use serde_json::{Map, Value};

use super::{Redactor, allowed};

/// What is shorter is too common a text to be taken out wherever it stands.
const LEAST_KNOWN: usize = 4;

impl Redactor {
    /// Whether the value of an option of this name may be shown.
    pub(crate) fn shows(&self, name: &str) -> bool {
        self.allowed.contains(&name.to_ascii_lowercase()) || allowed::option(name).is_some()
    }

    /// A redactor that also takes out what [`options`](Self::options) blanks of these, wherever it
    /// stands: what a service says about a request may repeat it.
    pub(crate) fn knowing(&self, options: &Map<String, Value>) -> Self {
        let mut all = self.clone();
        let mut blanked = options.clone();
        self.options(&mut blanked);
        for (name, value) in options {
            if let Some(after) = blanked.get(name) {
                all.learn(value, after);
            }
        }
        all
    }

    fn learn(&mut self, before: &Value, after: &Value) {
        match (before, after) {
            (Value::Object(before), Value::Object(after)) => {
                for (name, value) in before {
                    after.get(name).into_iter().for_each(|after| self.learn(value, after));
                }
            }
            (before, after) if before != after => self.learn_all(before),
            _ => {}
        }
    }

    fn learn_all(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                // The words too: a header's `Bearer` is not part of what is secret.
                for part in std::iter::once(text.trim()).chain(text.split_whitespace()) {
                    if part.len() >= LEAST_KNOWN {
                        self.add(part.to_owned());
                    }
                }
            }
            Value::Number(number) => {
                let text = number.to_string();
                if text.len() >= LEAST_KNOWN {
                    self.add(text);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn_all(item)),
            Value::Object(map) => map.values().for_each(|value| self.learn_all(value)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// As [`json`](Self::json), but key names mean nothing: in a JSON schema a property `password`
    /// holds no password.
    pub(crate) fn schema(&self, value: &mut Value) {
        self.walk(value, false);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_keeps_its_properties() {
        let mut value = json!({"properties": {"password": {"type": "string", "const": "sk-abcdefgh"}}});
        Redactor::default().schema(&mut value);
        assert_eq!(value, json!({"properties": {"password": {"type": "string", "const": "[redacted]"}}}));
    }

    #[test]
    fn what_is_blanked_is_known_wherever_it_stands() {
        let options = json!({"top_p": 0.125, "jwt": {"a": ["canary-1"]}, "pin": 48151, "x": "ab",
            "extra_headers": {"Accept": "text/plain", "X-Any": "Scheme canary-2"}});
        let redactor = Redactor::default().knowing(options.as_object().unwrap());
        let said = "no canary-1, canary-2 or 48151, but 0.125, ab and text/plain";
        assert_eq!(redactor.text(said), "no [redacted], [redacted] or [redacted], but 0.125, ab and text/plain");
    }
}

//! Gathers the fields of a body, with a dialect's dropped and renamed fields.

use mellea_core::{ModelOption, Warning};
use serde_json::{Map, Value};

use crate::dialect::Dialect;
use crate::learned::Learned;

/// Fields that hold several settings, of which the backend may write one and the caller another.
const MERGED: [&str; 4] = ["chat_template_kwargs", "structured_outputs", "text", "reasoning"];

/// Fields that the backend adds of its own accord, and that nobody misses.
const OWN: [&str; 1] = ["stream_options"];

/// Gathers the fields of a body, and what of them the service does not take.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    dialect: &'a Dialect,
    learned: Learned,
    body: Map<String, Value>,
    warnings: Vec<Warning>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(dialect: &'a Dialect, learned: Learned) -> Self {
        Self { dialect, learned, body: Map::new(), warnings: Vec::new() }
    }

    pub(crate) fn dialect(&self) -> &'a Dialect {
        self.dialect
    }

    /// Sets a field of the backend's own making.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.body.insert(self.renamed(name), value.into());
    }

    /// Sets the field of an option, or names the option where the service has no such field.
    pub(crate) fn set_option(&mut self, name: &str, value: impl Into<Value>, option: ModelOption) {
        if self.dialect.drops(name) {
            self.unsupported(option);
        } else {
            self.set(name, value);
        }
    }

    /// Sets a field that the caller named; those that hold several settings are merged.
    pub(crate) fn set_native(&mut self, name: String, value: Value) {
        if self.dialect.drops(&name) {
            self.unsupported_native(name);
            return;
        }
        let name = self.renamed(&name);
        match (self.body.get_mut(&name), value) {
            (Some(Value::Object(old)), Value::Object(new)) if MERGED.contains(&name.as_str()) => old.extend(new),
            (_, value) => {
                self.body.insert(name, value);
            }
        }
    }

    /// Adds a tool; true if it is the only one.
    pub(crate) fn add_tool(&mut self, tool: Value) -> bool {
        match self.body.get_mut("tools") {
            Some(Value::Array(tools)) => {
                tools.push(tool);
                false
            }
            _ => {
                self.set("tools", vec![tool]);
                true
            }
        }
    }

    fn renamed(&self, name: &str) -> String {
        let new = self.dialect.rename.iter().find(|(from, _)| *from == name);
        new.map_or(name, |(_, to)| to).to_owned()
    }

    pub(crate) fn push(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }

    pub(crate) fn warn(&mut self, message: impl Into<String>) {
        self.push(Warning::Other { message: message.into() });
    }

    pub(crate) fn unconstrained(&mut self, reason: impl Into<String>) {
        self.push(Warning::Unconstrained { reason: reason.into() });
    }

    pub(crate) fn unsupported(&mut self, option: ModelOption) {
        self.unsupported_native(option.name().to_owned());
    }

    fn unsupported_native(&mut self, option: String) {
        let warning = Warning::UnsupportedOption { option, provider: self.dialect.name.to_owned() };
        if !self.warnings.contains(&warning) {
            self.push(warning);
        }
    }

    /// The fields, but for those that the server was found to refuse; and what is not honoured.
    pub(crate) fn finish(mut self) -> (Map<String, Value>, Vec<Warning>) {
        for name in self.learned.refused() {
            if self.body.shift_remove(name).is_some() && !OWN.contains(&name) {
                self.unsupported_native(name.to_owned());
            }
        }
        (self.body, self.warnings)
    }
}

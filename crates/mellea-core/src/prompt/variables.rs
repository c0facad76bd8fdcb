//! User variables: `{{name}}` in a caller's text stands for a value.

use std::collections::{BTreeMap, HashSet};

use minijinja::Value;

use super::Prompts;
use crate::error::{ErrorKind, Result};

/// Fills variables into texts and remembers which were used.
pub(super) struct Variables {
    values: Vec<(String, Value)>,
    used: HashSet<String>,
}

impl Variables {
    pub(super) fn new(values: Vec<(String, Value)>) -> Self {
        Self { values, used: HashSet::new() }
    }

    /// The text with its variables filled in. Without any variables it stays as it is, braces
    /// included.
    ///
    /// # Errors
    /// [`ErrorKind::UndefinedVariable`], [`ErrorKind::Template`].
    pub(super) fn fill(&mut self, prompts: &Prompts, text: &str) -> Result<String> {
        if self.values.is_empty() || !text.contains('{') {
            return Ok(text.to_owned());
        }
        let shown: String = text.chars().take(40).collect();
        let template =
            prompts.environment.template_from_named_str("text", text).map_err(|e| super::template_error(&shown, &e))?;
        for name in template.undeclared_variables(false) {
            if self.values.iter().any(|(known, _)| *known == name) {
                self.used.insert(name);
            } else if !prompts.environment.globals().any(|(global, _)| *global == *name) {
                return Err(ErrorKind::UndefinedVariable { template: shown, variable: name }.into());
            }
        }
        let values: BTreeMap<&str, Value> = self.values.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        template.render(Value::from(values)).map_err(|e| super::template_error(&shown, &e))
    }

    /// # Errors
    /// [`ErrorKind::UnusedVariable`] for the first variable that no text used.
    pub(super) fn finish(self) -> Result<()> {
        match self.values.into_iter().find(|(name, _)| !self.used.contains(name)) {
            Some((name, _)) => Err(ErrorKind::UnusedVariable(name).into()),
            None => Ok(()),
        }
    }
}

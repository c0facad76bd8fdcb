//! User variables: `{{name}}` in a caller's text stands for a value.

use std::collections::BTreeMap;
use std::fmt::Write;

use minijinja::Value;

use super::Prompts;
use crate::error::{Error, ErrorKind, Result};

/// Fills variables into texts and remembers which were used.
pub(super) struct Variables {
    /// Sorted by name; there are few.
    values: Vec<Variable>,
}

struct Variable {
    name: String,
    value: Value,
    used: bool,
}

impl Variables {
    /// Of two of one name the later counts.
    pub(super) fn new(values: impl IntoIterator<Item = (String, Value)>) -> Self {
        let values = values.into_iter().map(|(name, value)| Variable { name, value, used: false });
        let mut values: Vec<Variable> = values.collect();
        values.sort_by(|a, b| a.name.cmp(&b.name));
        values.dedup_by(|later, earlier| {
            let same = later.name == earlier.name;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        Self { values }
    }

    /// The value of this name, which counts as used from now on.
    fn take(&mut self, name: &str) -> Option<&Value> {
        let at = self.values.binary_search_by(|variable| variable.name.as_str().cmp(name)).ok()?;
        let variable = self.values.get_mut(at)?;
        variable.used = true;
        Some(&variable.value)
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
        match pieces(text) {
            Some(pieces) => self.fill_plain(text, &pieces),
            None => self.fill_template(prompts, text),
        }
    }

    /// Most texts have nothing but names in braces; for those no template is compiled.
    fn fill_plain(&mut self, text: &str, pieces: &[Piece<'_>]) -> Result<String> {
        let mut filled = String::with_capacity(text.len() + 32);
        for piece in pieces {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Name(name) => {
                    let value = self.take(name).ok_or_else(|| undefined(text, name))?;
                    match value.as_str() {
                        Some(text) => filled.push_str(text),
                        // Writing to a string cannot fail.
                        None => _ = write!(filled, "{value}"),
                    }
                }
            }
        }
        Ok(filled)
    }

    fn fill_template(&mut self, prompts: &Prompts, text: &str) -> Result<String> {
        let template =
            prompts.environment.template_from_named_str("text", text).map_err(|e| super::template_error(&shown(text), &e))?;
        for name in template.undeclared_variables(false) {
            if self.take(&name).is_none() && !prompts.environment.globals().any(|(global, _)| *global == *name) {
                return Err(undefined(text, &name));
            }
        }
        let values = self.values.iter().map(|variable| (variable.name.clone(), variable.value.clone()));
        let values: BTreeMap<String, Value> = values.collect();
        let mut filled = template.render(Value::from(values)).map_err(|e| super::template_error(&shown(text), &e))?;
        if text.ends_with('\n') {
            // The engine takes a last newline for the end of a file.
            filled.push('\n');
        }
        Ok(filled)
    }

    /// # Errors
    /// [`ErrorKind::UnusedVariable`] for the first variable that no text used.
    pub(super) fn finish(self) -> Result<()> {
        match self.values.into_iter().find(|variable| !variable.used) {
            Some(variable) => Err(ErrorKind::UnusedVariable(variable.name).into()),
            None => Ok(()),
        }
    }
}

fn undefined(text: &str, name: &str) -> Error {
    ErrorKind::UndefinedVariable { template: shown(text), variable: name.to_owned() }.into()
}

/// The beginning of a text, for errors.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

/// The pieces of a text whose only tags are names in double braces; `None` if there is more to it.
fn pieces(text: &str) -> Option<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}")?;
        let name = name.trim_matches([' ', '\t']);
        let mut letters = name.chars();
        let is_name = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !RESERVED.contains(&name);
        if !is_name {
            return None;
        }
        pieces.extend([Piece::Text(before), Piece::Name(name)]);
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    // A block, a comment, or a lone pair of closing braces is for the engine to judge.
    let plain = |piece: &Piece<'_>| matches!(piece, Piece::Name(_)) || matches!(piece, Piece::Text(t) if is_plain(t));
    pieces.iter().all(plain).then_some(pieces)
}

/// Words that the engine does not take for variables.
const RESERVED: [&str; 12] = ["true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if"];

fn is_plain(text: &str) -> bool {
    !(text.contains("{%") || text.contains("{#") || text.contains("}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(text: &str) -> (Result<String>, Result<String>) {
        let prompts = Prompts::new();
        let values: BTreeMap<String, Value> =
            [("a".to_owned(), Value::from("x{{b}}")), ("b".to_owned(), Value::from(1.5)), ("c".to_owned(), Value::from(true))]
                .into();
        let plain = Variables::new(values.clone()).fill(&prompts, text);
        (plain, Variables::new(values).fill_template(&prompts, text))
    }

    #[test]
    fn the_short_way_gives_what_the_engine_gives() {
        for text in [
            "{{a}}",
            "{{ a }} and {{b}}{{c}}!",
            "no tags {at} all",
            "{ {a} }",
            "a\n{{a}}\n",
            "{{a}}\n",
            "ends with {{b}}",
            "{{\ta }}",
            "{{a|upper}}",
            "{% if c %}{{a}}{% endif %}",
            "{# note #}{{b}}",
            "{{ true }} {{a}}",
        ] {
            let (plain, engine) = both(text);
            assert_eq!(plain.unwrap(), engine.unwrap(), "{text:?}");
        }
        for text in ["{{missing}}", "{{a", "{{}}", "{{a b}}"] {
            let (plain, engine) = both(text);
            assert_eq!(plain.unwrap_err().to_string(), engine.unwrap_err().to_string(), "{text:?}");
        }
    }
}

//! Keeps the text of messages from turning into control tokens.
//!
//! A chat template pastes what users wrote between its own turn markers. If the whole prompt were then parsed for
//! special tokens, a user could write `<|end_of_text|>` and end his turn. So every place of a message where a
//! control token is spelt is *marked* before rendering: one private character, which occurs nowhere else in the
//! prompt, is put behind the spelling's first character. Trimming and tests in the template see the same text as
//! before, since marks stand neither at the edges nor in ordinary text. After rendering the tokenizer takes the
//! marks out and spells those stretches as plain text; see [`crate::tokenizer`].

use serde_json::Value;

/// Unicode guarantees that these 32 code points are never characters of a text.
const NONCHARACTERS: std::ops::RangeInclusive<char> = '\u{FDD0}'..='\u{FDEF}';

/// The spellings that must not be read as tokens, and the private mark.
#[derive(Debug)]
pub(crate) struct Shield<'a> {
    spellings: Vec<&'a str>,
    mark: char,
}

/// A character that none of the texts contains, or `None` if somebody used up all of them.
pub(crate) fn free_mark<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Option<char> {
    NONCHARACTERS.into_iter().find(|mark| !texts.clone().any(|text| text.contains(*mark)))
}

/// All strings of a JSON value, keys too.
pub(crate) fn strings(value: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => found.push(text.as_str()),
            Value::Array(items) => open.extend(items),
            Value::Object(map) => {
                found.extend(map.keys().map(String::as_str));
                open.extend(map.values());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    found
}

impl<'a> Shield<'a> {
    /// A spelling of one character could not be broken, so it is not accepted as a control token.
    pub(crate) fn new(spellings: impl Iterator<Item = &'a str>, mark: char) -> Self {
        Self { spellings: spellings.filter(|text| text.chars().nth(1).is_some()).collect(), mark }
    }

    /// Marks one text.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + 8);
        for (at, c) in text.char_indices() {
            out.push(c);
            let rest = text.get(at..).unwrap_or_default();
            // A spelling cut off by the end of the text might be completed by what the template puts behind it.
            if self.spellings.iter().any(|token| rest.starts_with(token) || token.starts_with(rest)) {
                out.push(self.mark);
            }
        }
        out
    }

    /// Marks every string of a JSON value, keys too.
    pub(crate) fn json(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.json(item)).collect(),
            Value::Object(map) => {
                Value::Object(map.iter().map(|(key, item)| (self.text(key), self.json(item))).collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shield() -> Shield<'static> {
        Shield::new(["<|end|>", "<|end_of_turn|>"].into_iter(), '#')
    }

    #[test]
    fn spellings_are_broken_and_other_text_is_left_alone() {
        assert_eq!(shield().text("a <|end|> b"), "a <#|end|> b");
        assert_eq!(shield().text("plain <b> text | end"), "plain <b> text | end");
        assert_eq!(shield().text("<|end<|end|>"), "<|end<#|end|>");
    }

    #[test]
    fn a_spelling_cut_off_at_the_end_is_broken_too() {
        assert_eq!(shield().text("x <|en"), "x <#|en");
        assert_eq!(shield().text("<"), "<#");
    }

    #[test]
    fn a_free_mark_is_found_unless_all_are_used() {
        assert_eq!(free_mark(["a", "\u{FDD0}"].into_iter()), Some('\u{FDD1}'));
        let all: String = NONCHARACTERS.collect();
        assert_eq!(free_mark([all.as_str()].into_iter()), None);
    }
}

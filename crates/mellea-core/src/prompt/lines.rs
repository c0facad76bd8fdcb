//! Values in their place: what a prompt quotes stays inside the section it is quoted in.
//!
//! A retrieved text, a title or a reason may hold line breaks, and with them lines that look like the
//! prompt's own headings. The filters here are how the templates keep them from being taken for such.

use std::borrow::Cow;

use minijinja::{Environment, Value};

use crate::text::short_line;

/// The most bytes of a name, a key, a title or an id in a prompt.
const MAX_LABEL: usize = 200;

/// Makes the filters known to templates.
pub(super) fn add_filters(environment: &mut Environment<'static>) {
    environment.add_filter("item", |value: Value| changed(value, item));
    environment.add_filter("label", |value: Value| changed(value, |text| Cow::Owned(label(text))));
    environment.add_filter("guard", |value: Value, heading: String| changed(value, |text| guard(text, &heading)));
    environment.add_filter("fenced", |value: Value| changed(value, |text| Cow::Owned(fenced(text))));
}

/// A value whose text was changed; most need no change, and are not copied.
fn changed(value: Value, change: impl Fn(&str) -> Cow<'_, str>) -> Value {
    let new = match value.as_str().map(&change) {
        Some(Cow::Borrowed(_)) => return value,
        Some(Cow::Owned(text)) => text,
        None => change(&value.to_string()).into_owned(),
    };
    Value::from(new)
}

const fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// The text with every line but the first indented, so that none of them can stand where headings do.
fn item(text: &str) -> Cow<'_, str> {
    if !text.contains(is_break) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(lines(text).collect::<Vec<_>>().join("\n  "))
}

/// The lines of a text, whatever breaks them.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split(is_break))
}

/// A name on one line, in no brackets but the prompt's own.
fn label(text: &str) -> String {
    short_line(text, MAX_LABEL).replace('[', "(").replace(']', ")")
}

/// The text with those lines indented that begin as a heading of the prompt does.
fn guard<'t>(text: &'t str, heading: &str) -> Cow<'t, str> {
    let forged = |line: &str| line.get(..heading.len()).is_some_and(|start| start.eq_ignore_ascii_case(heading));
    if !lines(text).any(forged) {
        return Cow::Borrowed(text);
    }
    let kept = lines(text).map(|line| if forged(line) { Cow::Owned(format!("  {line}")) } else { Cow::Borrowed(line) });
    Cow::Owned(kept.collect::<Vec<_>>().join("\n"))
}

/// The text between two fences that it cannot close.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(3.max(longest + 1));
    format!("{fence}\n{text}\n{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_keep_their_lines_to_themselves() {
        assert!(matches!(item("one line {{x}} [a]"), Cow::Borrowed(_)));
        assert_eq!(item("a\nRequirements:\r\n- b\u{2028}c\rd\n"), "a\n  Requirements:\n  - b\n  c\n  d\n  ");
    }

    #[test]
    fn labels_are_short_names() {
        assert_eq!(label("a] x\n\n[b\u{202e}"), "a) x (b");
        assert!(label(&"x".repeat(5_000_000)).len() < 250);
    }

    #[test]
    fn only_lines_that_look_like_the_heading_are_moved() {
        assert_eq!(guard("a\n[Document 2]\n[1]", "[Document"), "a\n  [Document 2]\n[1]");
        assert_eq!(guard("a\r[document", "[Document"), "a\n  [document");
        assert!(matches!(guard("a\r\nb\u{2028}é", "[Document"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_fence_is_longer_than_any_in_the_text() {
        assert_eq!(fenced("a"), "```\na\n```");
        assert_eq!(fenced("```\n````"), "`````\n```\n````\n`````");
    }
}

//! A pattern as the grammar of llama.cpp can carry it.
//!
//! That grammar describes the JSON text of a string, not its value, and knows `^…$` around literals, classes,
//! groups, alternatives and counts. Older servers die of much else (`\d`, `(?:`, `\-`, a group that repeats
//! nothing), so a pattern is parsed here and written anew from what it means. What cannot be written is not sent.

use std::fmt::Write as _;

use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

use crate::pattern::translate;

/// How many parts a pattern may have once its counts are written out, as the server does it.
const MAX_PARTS: u64 = 1_500;

/// How long a pattern may be on the wire, in bytes.
const MAX_LENGTH: usize = 8_000;

/// How deep groups may be nested.
const MAX_DEPTH: usize = 60;

/// How many ranges beyond ASCII a class may have before it is widened to all of them.
const MAX_RANGES: usize = 12;

/// Any character of a JSON string, as its text is written.
const ANY: &str = r#"([ -!#-\x5B\x5D-\U0010FFFF]|[\x5C]["\x5C/bfnrt])"#;

/// A pattern on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) pattern: String,
    /// Whether it lets through what the pattern does not.
    pub(super) widened: bool,
}

/// The pattern for a server that matches the whole text of a string; `None` if it cannot be carried.
pub(super) fn carried(source: &str) -> Option<Carried> {
    let translated = translate(source).ok()?;
    let mut parser = regex_syntax::ParserBuilder::new().nest_limit(100).build();
    let hir = parser.parse(&translated).ok()?;
    let mut writer = Writer { parts: 0, widened: false };
    let body = writer.edge(&hir, Edge { left: true, right: true }, 0)?;
    let pattern = format!("^{body}$");
    (pattern.len() <= MAX_LENGTH).then_some(Carried { pattern, widened: writer.widened })
}

/// Which ends of the text a part may touch. Where it is not anchored there, anything may stand between.
#[derive(Clone, Copy)]
struct Edge {
    left: bool,
    right: bool,
}

struct Writer {
    parts: u64,
    widened: bool,
}

impl Writer {
    /// A part at an end of the text.
    fn edge(&mut self, hir: &Hir, at: Edge, depth: usize) -> Option<String> {
        if depth > MAX_DEPTH {
            return None;
        }
        let any = |open: bool| if open { format!("{ANY}*") } else { String::new() };
        match hir.kind() {
            _ if !(at.left || at.right) => self.plain(hir, depth),
            HirKind::Empty => Some(any(true)),
            HirKind::Look(Look::Start) if at.left => Some(any(at.right)),
            HirKind::Look(Look::End) if at.right => Some(any(at.left)),
            HirKind::Capture(group) => self.edge(&group.sub, at, depth + 1),
            HirKind::Alternation(branches) => {
                let mut written = Vec::with_capacity(branches.len());
                for branch in branches {
                    written.push(self.edge(branch, at, depth + 1)?);
                }
                Some(alternatives(written))
            }
            HirKind::Concat(parts) => {
                let mut out = String::new();
                let last = parts.len().checked_sub(1)?;
                for (index, part) in parts.iter().enumerate() {
                    let here = Edge { left: at.left && index == 0, right: at.right && index == last };
                    out.push_str(&self.edge(part, here, depth + 1)?);
                }
                Some(out)
            }
            _ => Some(format!("{}{}{}", any(at.left), self.plain(hir, depth)?, any(at.right))),
        }
    }

    /// A part inside the text.
    fn plain(&mut self, hir: &Hir, depth: usize) -> Option<String> {
        if depth > MAX_DEPTH || self.parts > MAX_PARTS {
            return None;
        }
        match hir.kind() {
            HirKind::Empty => Some(String::new()),
            HirKind::Literal(literal) => {
                let mut out = String::new();
                for char in std::str::from_utf8(&literal.0).ok()?.chars() {
                    self.parts += 1;
                    out.push_str(&self.char(char)?);
                }
                Some(out)
            }
            HirKind::Class(Class::Unicode(class)) => {
                self.parts += 1;
                self.class(class.ranges().iter().map(|range| (range.start(), range.end())))
            }
            HirKind::Class(Class::Bytes(class)) => {
                self.parts += 1;
                class.is_ascii().then_some(())?;
                self.class(class.ranges().iter().map(|range| (char::from(range.start()), char::from(range.end()))))
            }
            // An anchor or the edge of a word in the middle of the text.
            HirKind::Look(_) => None,
            HirKind::Capture(group) => self.plain(&group.sub, depth + 1),
            HirKind::Repetition(repetition) => self.repetition(repetition, depth),
            HirKind::Concat(parts) => {
                let mut out = String::new();
                for part in parts {
                    out.push_str(&self.plain(part, depth + 1)?);
                }
                Some(out)
            }
            HirKind::Alternation(branches) => {
                let mut written = Vec::with_capacity(branches.len());
                for branch in branches {
                    written.push(self.plain(branch, depth + 1)?);
                }
                Some(alternatives(written))
            }
        }
    }

    fn repetition(&mut self, repetition: &Repetition, depth: usize) -> Option<String> {
        let Repetition { min, max, sub, .. } = repetition;
        if *max == Some(0) {
            return Some(String::new());
        }
        let before = self.parts;
        let inner = self.plain(sub, depth + 1)?;
        if inner.is_empty() || (*min, *max) == (1, Some(1)) {
            return Some(inner);
        }
        let nullable = sub.properties().minimum_len().is_none_or(|least| least == 0);
        // A repetition of what may be empty is a left recursion to the server.
        if nullable && *max != Some(1) {
            return None;
        }
        let times = u64::from(max.unwrap_or(min.saturating_add(1)).max(1));
        self.parts = before.saturating_add(self.parts.saturating_sub(before).saturating_mul(times));
        if self.parts > MAX_PARTS {
            return None;
        }
        let count = match (*min, *max) {
            (0, None) => "*".to_owned(),
            (1, None) => "+".to_owned(),
            (0, Some(1)) => "?".to_owned(),
            (min, None) => format!("{{{min},}}"),
            (min, Some(max)) if min == max => format!("{{{min}}}"),
            (min, Some(max)) => format!("{{{min},{max}}}"),
        };
        Some(format!("{}{count}", grouped(inner)))
    }

    /// A character that stands for itself.
    fn char(&mut self, char: char) -> Option<String> {
        match char {
            ' ' | '-' | '_' | ':' | '/' | ',' | ';' | '@' | '#' | '%' | '&' | '=' | '<' | '>' | '~' | '!' | '\'' | '`' => {
                Some(char.to_string())
            }
            char if char.is_ascii_alphanumeric() => Some(char.to_string()),
            other => self.class([(other, other)].into_iter()),
        }
    }

    /// A class of characters, as they are written in JSON: quotes, backslashes and line ends with a backslash.
    fn class(&mut self, ranges: impl Iterator<Item = (char, char)>) -> Option<String> {
        let mut raw: Vec<(u32, u32)> = Vec::new();
        let mut beyond = raw.clone();
        let mut escaped = String::new();
        for (first, last) in ranges {
            let (first, last) = (u32::from(first), u32::from(last));
            for (code, letter) in [(0x22, "\""), (0x5C, r"\x5C"), (8, "b"), (12, "f"), (10, "n"), (13, "r"), (9, "t")] {
                if (first..=last).contains(&code) {
                    escaped.push_str(letter);
                }
            }
            for (low, high) in [(0x20, 0x21), (0x23, 0x5B), (0x5D, 0x7F)] {
                let (low, high) = (low.max(first), high.min(last));
                if low <= high {
                    raw.push((low, high));
                }
            }
            if last >= 0x80 {
                let first = first.max(0x80);
                match beyond.last_mut() {
                    // No text holds the halves of surrogate pairs between the two.
                    Some((_, end)) if *end + 1 == first || (*end == 0xD7FF && first == 0xE000) => *end = last,
                    _ => beyond.push((first, last)),
                }
            }
        }
        if beyond.len() > MAX_RANGES {
            self.widened = true;
            beyond = vec![(0x80, 0x10_FFFF)];
        }
        if let (Some((_, end)), Some((first, last))) = (raw.last_mut(), beyond.first().copied())
            && *end + 1 == first
        {
            *end = last;
            beyond.remove(0);
        }
        raw.extend(beyond);
        let mut class = String::new();
        for (low, high) in raw {
            class.push_str(&in_class(low)?);
            if high > low {
                if high > low + 1 {
                    class.push('-');
                }
                class.push_str(&in_class(high)?);
            }
        }
        match (class.is_empty(), escaped.is_empty()) {
            (false, true) => Some(format!("[{class}]")),
            (true, false) => Some(format!(r"([\x5C][{escaped}])")),
            (false, false) => Some(format!(r"([{class}]|[\x5C][{escaped}])")),
            // Nothing, or characters that JSON can only give by their number.
            (true, true) => None,
        }
    }
}

/// A character inside a class.
fn in_class(code: u32) -> Option<String> {
    let char = char::from_u32(code)?;
    let mut out = String::new();
    match char {
        '[' | ']' | '\\' | '^' | '-' | '"' | '\x7f' => write!(out, "\\x{code:02X}").ok()?,
        ' '..='~' => out.push(char),
        _ if code <= 0xFFFF => write!(out, "\\u{code:04X}").ok()?,
        _ => write!(out, "\\U{code:08X}").ok()?,
    }
    Some(out)
}

/// Alternatives as one group; an empty one makes it optional.
fn alternatives(branches: Vec<String>) -> String {
    let all = branches.len();
    let mut kept: Vec<String> = Vec::with_capacity(all);
    for branch in branches {
        if !branch.is_empty() && !kept.contains(&branch) {
            kept.push(branch);
        }
    }
    let optional = kept.len() < all && !kept.is_empty();
    match (kept.as_slice(), optional) {
        ([], _) => String::new(),
        ([only], false) => only.clone(),
        (several, false) => format!("({})", several.join("|")),
        (several, true) => format!("({})?", several.join("|")),
    }
}

/// A part that a count can follow.
fn grouped(part: String) -> String {
    if is_one(&part) { part } else { format!("({part})") }
}

/// Whether a part is a single class or a single group.
fn is_one(part: &str) -> bool {
    let (open, close) = match part.as_bytes().first() {
        Some(b'[') => (None, b']'),
        Some(b'(') => (Some(b'('), b')'),
        _ => return false,
    };
    let (mut level, mut in_class) = (0_usize, false);
    for (index, byte) in part.bytes().enumerate() {
        match byte {
            b'[' if !in_class => in_class = true,
            b']' if in_class => {
                in_class = false;
                if open.is_none() {
                    return index + 1 == part.len();
                }
            }
            _ if in_class => {}
            b'(' => level += 1,
            b')' => {
                level = level.saturating_sub(1);
                if level == 0 {
                    return close == b')' && index + 1 == part.len();
                }
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::carried;

    fn wire(pattern: &str) -> Option<String> {
        carried(pattern).map(|carried| carried.pattern)
    }

    #[test]
    fn a_pattern_is_written_in_plain_classes_and_groups() {
        for (pattern, expected) in [
            (r"^\d{4}-\d{2}-\d{2}$", "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
            (r"^\w{2}$", "^[0-9A-Z_a-z]{2}$"),
            (r"^[\w.]+@[\w]+$", "^[.0-9A-Z_a-z]+@[0-9A-Z_a-z]+$"),
            (r"^[\]\-]+$", r"^[\x2D\x5D]+$"),
            (r"^\/\.\-$", "^/[.]-$"),
            (r"^(?:red|green)$", "^(red|green)$"),
            (r"^(?<colour>red|green){2}$", "^(red|green){2}$"),
            (r"^ü+$", r"^[\u00FC]+$"),
            (r"^a\.b$", "^a[.]b$"),
            (r"^a\.+$", "^a[.]+$"),
            (r"^[a-z]+?$", "^[a-z]+$"),
            (r"^a{0}b{1}c{2,}$", "^bc{2,}$".replace("c{", "(c){").as_str()),
            (r"^(a|)$", "^(a)?$"),
            (r"^a?$", "^(a)?$"),
            (r"^$", "^$"),
            (r#"^"\\$"#, r#"^([\x5C]["])([\x5C][\x5C])$"#),
            ("^a$|^b$", "^(a|b)$"),
            ("^(red$|gr.$)", r#"^(red|gr([ !#-\x5B\x5D-\u2027\u202A-\U0010FFFF]|[\x5C][btf"\x5C]))$"#),
            ("^😀$", r"^[\U0001F600]$"),
        ] {
            assert_eq!(wire(pattern).as_deref(), Some(expected), "{pattern}");
        }
    }

    #[test]
    fn what_is_not_anchored_may_have_anything_around_it() {
        let any = super::ANY;
        assert_eq!(wire("[0-9]+").unwrap(), format!("^{any}*[0-9]+{any}*$"));
        assert_eq!(wire("^[0-9]{4}").unwrap(), format!("^[0-9]{{4}}{any}*$"));
        assert_eq!(wire("ab$").unwrap(), format!("^{any}*ab$"));
        assert_eq!(wire("(^|,)a").unwrap(), format!("^({any}*,)?a{any}*$"));
        assert_eq!(wire("^").unwrap(), format!("^{any}*$"));
    }

    #[test]
    fn what_the_grammar_lacks_is_not_sent() {
        for pattern in [
            r"^\bfoo$",
            "^(?i:red)$",
            "^(?=a)b$",
            "a^b",
            "(^a)+",
            "^(a*)*$",
            "^(a?|b)+$",
            "^a{2000}$",
            "^(a{50}){50}$",
            r"^\x01$",
        ] {
            assert_eq!(wire(pattern), None, "{pattern}");
        }
        assert_eq!(wire(&format!("^{}a{}$", "(".repeat(80), ")".repeat(80))), None);
    }

    #[test]
    fn a_class_of_many_scripts_is_widened_and_says_so() {
        let letters = carried(r"^\p{L}{3}$").unwrap();
        assert_eq!(letters.pattern, r"^[A-Za-z\u0080-\U0010FFFF]{3}$");
        assert!(letters.widened);
        let space = carried(r"^\S+$").unwrap();
        assert!(space.pattern.starts_with(r"^([!#-\x5B") && !carried("^[äöü]$").unwrap().widened, "{}", space.pattern);
    }
}

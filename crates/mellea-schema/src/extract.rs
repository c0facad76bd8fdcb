//! JSON values inside other text, found in one pass.

use std::ops::Range;

use serde_json::Value;

use crate::error::Mismatches;
use crate::lenient::{self, Slip};
use crate::strict;

/// How deep a value may be nested; `serde_json` reads no deeper.
const MAX_NESTING: usize = 127;

/// The JSON objects and arrays in a text, outermost first, in order, none inside another.
///
/// One in which a name stands twice with different values is passed over: it does not say what it means.
///
/// The work is linear in the length of the text: a budget stops a text that is made to be slow.
#[derive(Clone, Debug)]
pub struct JsonValues<'t> {
    text: &'t str,
    at: usize,
    budget: usize,
    lenient: bool,
    /// Where JSON starts that the end of the text cuts off.
    pub(crate) cut: Option<usize>,
}

/// A JSON value, and where it stands in a text.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// Where, in bytes.
    pub range: Range<usize>,
    /// The value.
    pub value: Value,
    pub(crate) slips: Vec<Slip>,
    /// The names that stand twice in it with different values.
    pub(crate) repeated: Mismatches,
}

/// Looks for JSON objects and arrays in a text.
///
/// ```
/// let found: Vec<_> = mellea_schema::json_values("As [1] says: {\"a\": 2}.").collect();
/// assert_eq!(found[1].value["a"], 2);
/// assert_eq!(found[1].range, 13..21);
/// ```
#[must_use]
pub fn json_values(text: &str) -> JsonValues<'_> {
    values(text, false)
}

pub(crate) fn values(text: &str, lenient: bool) -> JsonValues<'_> {
    JsonValues { text, at: 0, budget: text.len().saturating_mul(16).saturating_add(1 << 16), lenient, cut: None }
}

impl Iterator for JsonValues<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        let bytes = self.text.as_bytes();
        if self.cut.is_some() {
            return None;
        }
        while let Some(rest) = bytes.get(self.at..) {
            let start = self.at + rest.iter().position(|b| matches!(b, b'{' | b'['))?;
            self.at = start + 1;
            let scanned = scan(bytes, start);
            let mut reached = match scanned {
                Ok(end) => {
                    let read = self.text.get(start..end).and_then(|text| strict::read(text).ok());
                    if let Some(strict::Read { value, repeated }) = read {
                        self.at = end;
                        if !self.lenient && !repeated.faults.is_empty() {
                            continue;
                        }
                        return Some(Found { range: start..end, value, slips: Vec::new(), repeated });
                    }
                    end
                }
                Err(reached) => reached,
            };
            if self.lenient {
                match lenient::read(self.text, start) {
                    Ok(lenient::Read { value, slips, repeated, end }) => {
                        self.at = end;
                        return Some(Found { range: start..end, value, slips, repeated });
                    }
                    // It is read character by character, which costs more.
                    Err(end) => reached += 4 * end.saturating_sub(start),
                }
                // What is found behind it would be a part of it.
                if scanned.is_err_and(|reached| reached >= bytes.len()) {
                    self.cut = Some(start);
                    return None;
                }
            }
            self.budget = self.budget.checked_sub(reached - start)?;
        }
        None
    }
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
}

/// Where the object or array that starts here ends, or how far it makes sense.
fn scan(bytes: &[u8], start: usize) -> Result<usize, usize> {
    let mut open: Vec<u8> = Vec::new();
    let mut next = Next::Value;
    let mut at = start;
    loop {
        let byte = *bytes.get(at).ok_or(at)?;
        if byte.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        match (byte, next) {
            (b'{' | b'[', Next::Value | Next::ValueOrEnd) => {
                if open.len() == MAX_NESTING {
                    return Err(at);
                }
                open.push(byte);
                next = if byte == b'{' { Next::KeyOrEnd } else { Next::ValueOrEnd };
                at += 1;
            }
            (b'}', Next::KeyOrEnd | Next::CommaOrEnd) | (b']', Next::ValueOrEnd | Next::CommaOrEnd) => {
                let opener = if byte == b'}' { b'{' } else { b'[' };
                if open.pop() != Some(opener) {
                    return Err(at);
                }
                at += 1;
                if open.is_empty() {
                    return Ok(at);
                }
                next = Next::CommaOrEnd;
            }
            (b',', Next::CommaOrEnd) => {
                next = if open.last() == Some(&b'{') { Next::Key } else { Next::Value };
                at += 1;
            }
            (b':', Next::Colon) => {
                next = Next::Value;
                at += 1;
            }
            (b'"', Next::Key | Next::KeyOrEnd) => {
                at = string_end(bytes, at)?;
                next = Next::Colon;
            }
            (b'"', Next::Value | Next::ValueOrEnd) => {
                at = string_end(bytes, at)?;
                next = Next::CommaOrEnd;
            }
            (b'-' | b'0'..=b'9' | b't' | b'f' | b'n', Next::Value | Next::ValueOrEnd) => {
                let rest = bytes.get(at..).unwrap_or_default();
                let inside = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
                at += rest.iter().position(|b| !inside(b)).unwrap_or(rest.len());
                next = Next::CommaOrEnd;
            }
            _ => return Err(at),
        }
    }
}

/// The place behind the string that starts here.
fn string_end(bytes: &[u8], start: usize) -> Result<usize, usize> {
    let mut at = start + 1;
    loop {
        match *bytes.get(at).ok_or(at)? {
            b'"' => return Ok(at + 1),
            b'\\' => at += 2,
            byte if byte < 0x20 => return Err(at),
            _ => at += 1,
        }
    }
}

/// What surrounds the value at `range`, in words; `None` if it is nothing but white space.
pub(crate) fn surroundings(text: &str, range: &Range<usize>) -> Option<String> {
    let mut before = text.get(..range.start).unwrap_or_default().trim();
    let mut after = text.get(range.end..).unwrap_or_default().trim();
    let mut parts = Vec::new();
    if let Some(rest) = before.strip_prefix('\u{feff}') {
        parts.push("a byte order mark".to_owned());
        before = rest.trim();
    }
    if let Some(rest) = before.strip_suffix('{') {
        parts.push("a doubled opening brace".to_owned());
        before = rest.trim();
        after = after.strip_prefix('}').unwrap_or(after).trim();
    }
    if let Some((rest, language)) = before.rsplit_once("```")
        && language.chars().all(char::is_alphanumeric)
    {
        parts.push("a code fence".to_owned());
        before = rest.trim();
        after = after.strip_prefix("```").unwrap_or(after).trim();
    }
    for (place, rest) in [("before", before), ("after", after)] {
        if !rest.is_empty() {
            parts.push(format!("text {place} it ({})", excerpt(rest)));
        }
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The first words of a text, quoted.
fn excerpt(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().take(12).collect();
    let line: String = words.join(" ").chars().take(40).collect();
    let cut = if line.len() < text.len() { "…" } else { "" };
    format!("{}{cut}", Value::from(line))
}

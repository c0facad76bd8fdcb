//! Texts that match a regular expression, for the simple part of the language.

use std::iter::Peekable;
use std::str::Chars;

use super::random::Random;
use crate::error::{Error, ErrorKind, Result};

/// How deep groups may be nested.
const MAX_NESTING: usize = 32;

/// The most times that an open repetition is repeated beyond what it must.
const MORE: u64 = 3;

/// A text that the pattern matches from its beginning to its end.
///
/// # Errors
/// [`ErrorKind::SchemaUnsupported`] if the pattern uses more than literals, classes, groups,
/// alternatives, repetitions and anchors at its ends.
pub(super) fn sample(pattern: &str, random: &mut Random) -> Result<String> {
    let mut parser = Parser { rest: pattern.chars().peekable() };
    let tree = parser.alternatives(0).filter(|_| parser.rest.peek().is_none()).ok_or_else(|| unknown(pattern))?;
    let mut out = String::new();
    write(&tree, random, &mut out);
    let whole = regex_lite::Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|regex| regex.is_match(&out));
    if whole { Ok(out) } else { Err(unknown(pattern)) }
}

fn unknown(pattern: &str) -> Error {
    Error::new(ErrorKind::SchemaUnsupported { keyword: "pattern".to_owned(), path: String::new() })
        .with_hint(format!("no text can be made up for {pattern:?}"))
}

enum Node {
    /// One character out of these ranges.
    One(Vec<(char, char)>),
    Sequence(Vec<Self>),
    Either(Vec<Self>),
    Repeat(Box<Self>, u64, u64),
}

fn write(node: &Node, random: &mut Random, out: &mut String) {
    match node {
        Node::One(ranges) => {
            let Some(&(first, last)) = random.pick(ranges) else { return };
            let code = u32::from(first) as u64 + random.below(u64::from(u32::from(last) - u32::from(first)) + 1);
            out.push(u32::try_from(code).ok().and_then(char::from_u32).unwrap_or(first));
        }
        Node::Sequence(parts) => parts.iter().for_each(|part| write(part, random, out)),
        Node::Either(branches) => {
            if let Some(branch) = random.pick(branches) {
                write(branch, random, out);
            }
        }
        Node::Repeat(part, least, most) => {
            let count = least + random.below(most - least + 1);
            (0..count).for_each(|_| write(part, random, out));
        }
    }
}

/// Reads a pattern; `None` stands for anything it does not know.
struct Parser<'p> {
    rest: Peekable<Chars<'p>>,
}

impl Parser<'_> {
    fn take(&mut self, wanted: char) -> bool {
        self.rest.next_if_eq(&wanted).is_some()
    }

    fn alternatives(&mut self, nesting: usize) -> Option<Node> {
        if nesting > MAX_NESTING {
            return None;
        }
        let mut branches = vec![self.sequence(nesting)?];
        while self.take('|') {
            branches.push(self.sequence(nesting)?);
        }
        Some(Node::Either(branches))
    }

    fn sequence(&mut self, nesting: usize) -> Option<Node> {
        let mut parts = Vec::new();
        while let Some(&next) = self.rest.peek() {
            if matches!(next, '|' | ')') {
                break;
            }
            self.rest.next();
            let part = match next {
                // The text is checked in the end, so an anchor in a wrong place is noticed there.
                '^' | '$' => continue,
                '.' => Node::One(vec![('a', 'z')]),
                '[' => self.class()?,
                '\\' => Node::One(escape(self.rest.next()?)?),
                '(' => {
                    if self.take('?') && !self.take(':') {
                        return None;
                    }
                    let group = self.alternatives(nesting + 1)?;
                    self.take(')').then_some(group)?
                }
                '*' | '+' | '?' | '{' => return None,
                literal => Node::One(vec![(literal, literal)]),
            };
            parts.push(self.repeated(part)?);
        }
        Some(Node::Sequence(parts))
    }

    fn repeated(&mut self, part: Node) -> Option<Node> {
        let (least, most) = match self.rest.peek() {
            Some('?') => (0, 1),
            Some('*') => (0, MORE),
            Some('+') => (1, 1 + MORE),
            Some('{') => {
                self.rest.next();
                return self.counted(part);
            }
            _ => return Some(part),
        };
        self.rest.next();
        self.take('?');
        Some(Node::Repeat(Box::new(part), least, most))
    }

    /// A repetition like `{2}`, `{2,}` or `{2,4}`, after its brace.
    fn counted(&mut self, part: Node) -> Option<Node> {
        let least = self.number()?;
        let most = match self.take(',') {
            false => least,
            true if self.rest.peek() == Some(&'}') => least + MORE,
            true => self.number()?,
        };
        let closed = self.take('}') && least <= most && most <= 10_000;
        self.take('?');
        closed.then(|| Node::Repeat(Box::new(part), least, most))
    }

    fn number(&mut self) -> Option<u64> {
        let mut digits = String::new();
        while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        digits.parse().ok()
    }

    /// A class like `[a-z_]`, after its bracket.
    fn class(&mut self) -> Option<Node> {
        let negated = self.take('^');
        let mut ranges: Vec<(char, char)> = Vec::new();
        loop {
            let first = match self.rest.next()? {
                ']' if !ranges.is_empty() => break,
                '[' => return None,
                '\\' => match escape(self.rest.next()?)?.as_slice() {
                    [(one, last)] if one == last => *one,
                    several => {
                        ranges.extend_from_slice(several);
                        continue;
                    }
                },
                plain => plain,
            };
            let mut ahead = self.rest.clone();
            let is_range = ahead.next() == Some('-') && ahead.peek().is_some_and(|c| *c != ']');
            let last = if is_range {
                self.rest.next();
                match self.rest.next()? {
                    '\\' => escape(self.rest.next()?)?.first()?.0,
                    plain => plain,
                }
            } else {
                first
            };
            ranges.push((first, last));
        }
        if negated {
            let printable = (' '..='~').filter(|c| !ranges.iter().any(|(first, last)| (first..=last).contains(&c)));
            ranges = printable.map(|c| (c, c)).collect();
        }
        (!ranges.is_empty() && ranges.iter().all(|(first, last)| first <= last)).then_some(Node::One(ranges))
    }
}

/// The characters that an escape stands for.
fn escape(letter: char) -> Option<Vec<(char, char)>> {
    Some(match letter {
        'd' => vec![('0', '9')],
        'w' => vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')],
        's' => vec![(' ', ' ')],
        'n' => vec![('\n', '\n')],
        't' => vec![('\t', '\t')],
        'r' => vec![('\r', '\r')],
        'W' => vec![(' ', ' ')],
        'D' | 'S' => vec![('a', 'z')],
        letter if letter.is_ascii_alphanumeric() => return None,
        literal => vec![(literal, literal)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_up_matches() {
        for pattern in [
            "^[a-z]{3}-\\d{2,4}$",
            "(foo|bar(baz)?)+",
            "[A-Z][a-z_]*\\.[^0-9]",
            "^$",
            "(?:yes|no)",
            "\\w+@\\w+\\.(com|org)",
            "[\\d.]+x?",
            "a{2,}b{0,1}c*?",
        ] {
            for seed in 0..50 {
                let text = sample(pattern, &mut Random::new(seed)).unwrap();
                assert!(regex_lite::Regex::new(&format!("^(?:{pattern})$")).unwrap().is_match(&text), "{pattern}: {text}");
            }
        }
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for pattern in ["\\bword", "(?i)a", "[[:alpha:]]", "a{99999999}", "(", "*", &"(".repeat(1000)] {
            assert!(sample(pattern, &mut Random::new(1)).is_err(), "{pattern}");
        }
    }
}

//! Regular expressions as JSON Schema has them: ECMAScript's, run in linear time.

use std::fmt::Write as _;

use regex::{Regex, RegexBuilder};

/// A compiled regular expression in the syntax of ECMAScript.
///
/// A match may begin and end anywhere, unless the pattern is anchored. The time is linear in the length
/// of the text. Look-around and references back to groups are not supported, since they cannot be
/// matched in linear time. `\d`, `\w` and `\b` know ASCII only, as in ECMAScript; `\p{…}` knows Unicode.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    regex: Regex,
}

/// How large a compiled pattern may be, in bytes.
const MAX_SIZE: usize = 1 << 20;

/// How long a pattern may be, in bytes.
const MAX_LENGTH: usize = 1 << 16;

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// In words, why the pattern cannot be used.
    pub fn new(source: &str) -> Result<Self, String> {
        let translated = translate(source)?;
        let regex = RegexBuilder::new(&translated).size_limit(MAX_SIZE).nest_limit(100).build();
        let regex = regex.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "the pattern is too large".to_owned(),
            _ => "it is not a regular expression".to_owned(),
        })?;
        Ok(Self { source: source.to_owned(), regex })
    }

    /// The pattern as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether it matches somewhere in the text.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// Whether it matches the text from beginning to end.
    #[must_use]
    pub fn is_full_match(&self, text: &str) -> bool {
        // An alternative that matches a shorter text may hide a longer one, so the anchors go into the pattern.
        Self::new(&format!("^(?:{})$", self.source)).is_ok_and(|whole| whole.is_match(text))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// A pattern in the syntax of the `regex` crate.
pub(crate) fn translate(source: &str) -> Result<String, String> {
    if source.len() > MAX_LENGTH {
        return Err("the pattern is too long".to_owned());
    }
    Translator { chars: source.chars().collect(), at: 0, out: String::new() }.run()
}

/// What `\s` matches in ECMAScript, for use inside a class.
const SPACE: &str = r"\t\n\x0b\x0c\r \u{a0}\u{feff}\u{2028}\u{2029}\p{Zs}";

/// Rewrites a pattern from ECMAScript's syntax to that of the `regex` crate.
struct Translator {
    chars: Vec<char>,
    at: usize,
    out: String,
}

impl Translator {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek(0);
        self.at += 1;
        next
    }

    fn run(mut self) -> Result<String, String> {
        while let Some(char) = self.next() {
            match char {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '.' => self.out.push_str(r"[^\n\r\u{2028}\u{2029}]"),
                '(' if self.peek(0) == Some('?') => match (self.peek(1), self.peek(2)) {
                    (Some(':'), _) => self.out.push('('),
                    (Some('<'), Some(name)) if name != '=' && name != '!' => self.out.push('('),
                    (Some('=' | '!' | '<'), _) => return Err("look-around cannot be checked".to_owned()),
                    _ => return Err("it is not a regular expression of ECMAScript".to_owned()),
                },
                '{' if !self.is_count() => self.out.push_str(r"\{"),
                '}' if !self.closes_count() => self.out.push_str(r"\}"),
                ']' => self.out.push_str(r"\]"),
                plain => self.out.push(plain),
            }
        }
        Ok(self.out)
    }

    /// Whether a repetition like `{2}`, `{2,}` or `{2,3}` starts behind the brace just read.
    fn is_count(&self) -> bool {
        let rest = self.chars.get(self.at..).unwrap_or_default();
        let Some(end) = rest.iter().position(|c| *c == '}') else { return false };
        let inner: String = rest.iter().take(end).collect();
        let (least, most) = inner.split_once(',').unwrap_or((&inner, ""));
        let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
        !least.is_empty() && digits(least) && digits(most)
    }

    fn closes_count(&self) -> bool {
        let before = self.chars.get(..self.at.saturating_sub(1)).unwrap_or_default();
        let start = before.iter().rposition(|c| *c == '{');
        start.is_some_and(|start| {
            let inner = before.get(start + 1..).unwrap_or_default();
            inner.first().is_some_and(char::is_ascii_digit) && inner.iter().all(|c| c.is_ascii_digit() || *c == ',')
        })
    }

    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.peek(0) == Some('^') {
            self.at += 1;
            self.out.push('^');
        }
        if self.peek(0) == Some(']') {
            return Err("an empty class is not supported".to_owned());
        }
        loop {
            match self.next().ok_or("a class is not closed")? {
                ']' => break,
                '\\' => self.escape(true)?,
                special @ ('[' | '&' | '~') => {
                    self.out.push('\\');
                    self.out.push(special);
                }
                '-' if self.peek(0) == Some('-') => self.out.push_str(r"\-"),
                plain => self.out.push(plain),
            }
        }
        self.out.push(']');
        Ok(())
    }

    /// An escape, after its backslash.
    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let letter = self.next().ok_or("it ends in a backslash")?;
        match letter {
            'd' if in_class => self.out.push_str("0-9"),
            'd' => self.out.push_str("[0-9]"),
            'D' => self.out.push_str("[^0-9]"),
            'w' if in_class => self.out.push_str("A-Za-z0-9_"),
            'w' => self.out.push_str("[A-Za-z0-9_]"),
            'W' => self.out.push_str("[^A-Za-z0-9_]"),
            's' if in_class => self.out.push_str(SPACE),
            's' => _ = write!(self.out, "[{SPACE}]"),
            'S' => _ = write!(self.out, "[^{SPACE}]"),
            'b' if in_class => self.out.push_str(r"\x08"),
            'b' => self.out.push_str(r"(?-u:\b)"),
            'n' | 'r' | 't' | 'v' | 'f' => {
                self.out.push('\\');
                self.out.push(letter);
            }
            '0' if !self.peek(0).is_some_and(|c| c.is_ascii_digit()) => self.out.push_str(r"\x00"),
            '0'..='9' | 'k' => return Err("references back to groups cannot be checked".to_owned()),
            'c' => {
                let control = self.next().filter(char::is_ascii_alphabetic).ok_or("`\\c` needs a letter")?;
                self.code_point(u32::from(control) % 32)?;
            }
            'x' => {
                let code = self.hex(2)?;
                self.code_point(code)?;
            }
            'u' if self.peek(0) == Some('{') => {
                self.at += 1;
                let mut digits = String::new();
                while let Some(digit) = self.next().filter(|c| *c != '}') {
                    digits.push(digit);
                }
                self.code_point(u32::from_str_radix(&digits, 16).map_err(|_| "`\\u` needs a number")?)?;
            }
            'u' => {
                let mut code = self.hex(4)?;
                if (0xD800..0xDC00).contains(&code) && self.peek(0) == Some('\\') && self.peek(1) == Some('u') {
                    self.at += 2;
                    let low = self.hex(4)?;
                    code = 0x1_0000 + ((code - 0xD800) << 10) + (low.wrapping_sub(0xDC00) & 0x3FF);
                }
                self.code_point(code)?;
            }
            'p' | 'P' if self.peek(0) == Some('{') => {
                self.out.push('\\');
                self.out.push(letter);
                while let Some(char) = self.next() {
                    self.out.push(char);
                    if char == '}' {
                        break;
                    }
                }
            }
            letter if letter.is_ascii_alphabetic() => return Err(format!("`\\{letter}` is not supported")),
            literal => self.out.push_str(&regex::escape(literal.encode_utf8(&mut [0; 4]))),
        }
        Ok(())
    }

    fn hex(&mut self, length: usize) -> Result<u32, String> {
        let digits: String = self.chars.get(self.at..self.at + length).unwrap_or_default().iter().collect();
        self.at += length;
        if digits.len() < length {
            return Err("an escape is cut off".to_owned());
        }
        u32::from_str_radix(&digits, 16).map_err(|_| "an escape needs a number".to_owned())
    }

    fn code_point(&mut self, code: u32) -> Result<(), String> {
        let char = char::from_u32(code).ok_or("half of a surrogate pair cannot be checked")?;
        _ = write!(self.out, r"\u{{{:x}}}", u32::from(char));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn patterns_are_read_as_in_ecmascript() {
        for (pattern, fits, misfits) in [
            (r"^\d{2}$", &["42"][..], &["४२", "4", "423", "42\n"][..]),
            (r"^\p{L}+$", &["Straße", "東京"], &["a1", ""]),
            (r"^\p{Lu}\p{Ll}*$", &["Ärger"], &["ärger"]),
            (r"^\p{N}$", &["½", "७"], &["x"]),
            (r"^[\w.-]+@[\w-]+\.\w{2,}$", &["a.b@c-d.org"], &["é@x.org", "a@b"]),
            (r"^[^\s]+$", &["a"], &["a b", "\u{feff}"]),
            (r"^a{2}{$", &["aa{"], &["aaa"]),
            (r"^[[\]&&~]+$", &["[]&~"], &["a"]),
            (r"^\u0041\x42\cJ$", &["AB\n"], &["AB"]),
            (r"^\ud83d\ude00$", &["😀"], &["😁"]),
            (r"\bcat\b", &["a cat.", "écat"], &["cats"]),
            (r"^.$", &["😀"], &["\n", "\u{2028}"]),
            (r"\/\-\'", &["/-'"], &["/-"]),
        ] {
            let compiled = Pattern::new(pattern).unwrap();
            for text in fits {
                assert!(compiled.is_match(text), "{pattern} {text:?}");
            }
            for text in misfits {
                assert!(!compiled.is_match(text), "{pattern} {text:?}");
            }
        }
        assert!(Pattern::new("a|ab").unwrap().is_full_match("ab"));
    }

    #[test]
    fn what_cannot_be_checked_is_said() {
        for pattern in ["(?=a)b", "(?<!a)b", r"(a)\1", r"\k<a>", "(", "[", r"\", "[]", r"\uD800", "(?i)a", r"\q", r"\p{Nope}"] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
        assert!(Pattern::new(&"(a{100}){100}{100}".repeat(2)).is_err());
        assert!(Pattern::new(&"(".repeat(10_000)).is_err());
    }
}

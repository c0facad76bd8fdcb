//! JSON that almost is JSON, read where it has one meaning.
//!
//! Understood are commas before a closing bracket, comments, unusual white space, single and typographic quotes, line breaks
//! and other controls inside texts, names without quotes, Python's `None`, `True` and `False`, and numbers
//! such as `+1`, `.5` and `1.`. Whatever could mean two things is refused: missing commas or quotes,
//! `NaN`, text that breaks off. A name that stands twice in an object is noted, as in strict JSON.

use serde_json::{Map, Number, Value};

use crate::error::Mismatches;
use crate::path::Path;
use crate::strict::insert;

/// How deep a value may be nested; `serde_json` reads no deeper.
const MAX_NESTING: usize = 127;

/// A slip that was read over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slip {
    Comma,
    Comment,
    Space,
    Quotes,
    Control,
    Key,
    Word,
    Number,
}

impl Slip {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Comma => "a comma before a closing bracket",
            Self::Comment => "a comment",
            Self::Space => "white space other than JSON's",
            Self::Quotes => "quotes other than JSON's",
            Self::Control => "a line break inside a text",
            Self::Key => "a name without quotes",
            Self::Word => "a word of Python's",
            Self::Number => "a number as JSON does not write it",
        }
    }
}

/// A value with the slips in it, and where it ends.
pub(crate) struct Read {
    pub(crate) value: Value,
    pub(crate) slips: Vec<Slip>,
    /// The names that stand twice in it with different values.
    pub(crate) repeated: Mismatches,
    pub(crate) end: usize,
}

/// Reads the object or array that starts at a place; the error is how far it made sense.
pub(crate) fn read(text: &str, start: usize) -> Result<Read, usize> {
    let mut reader = Reader { text, at: start, slips: Vec::new(), repeated: Mismatches::default() };
    match reader.value(&Path::Root, 0) {
        Some(value) => {
            let mut slips = reader.slips;
            slips.sort_unstable();
            slips.dedup();
            Ok(Read { value, slips, repeated: reader.repeated, end: reader.at })
        }
        None => Err(reader.at),
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    slips: Vec<Slip>,
    repeated: Mismatches,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn slip(&mut self, slip: Slip) {
        if !self.slips.contains(&slip) {
            self.slips.push(slip);
        }
    }

    /// White space and comments.
    fn skip(&mut self) -> Option<()> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            if rest.trim_start_matches([' ', '\n', '\r', '\t']).len() != trimmed.len() {
                self.slip(Slip::Space);
            }
            self.at += rest.len() - trimmed.len();
            let length = if let Some(inside) = trimmed.strip_prefix("/*") {
                inside.find("*/")? + 4
            } else if trimmed.starts_with("//") || trimmed.starts_with('#') {
                trimmed.find('\n').unwrap_or(trimmed.len())
            } else {
                return Some(());
            };
            self.slip(Slip::Comment);
            self.at += length;
        }
    }

    fn value(&mut self, place: &Path<'_>, depth: usize) -> Option<Value> {
        if depth > MAX_NESTING {
            return None;
        }
        self.skip()?;
        match self.peek()? {
            '{' => self.object(place, depth),
            '[' => self.array(place, depth),
            '"' | '\'' | '“' | '”' | '‘' | '’' | '„' => self.string().map(Value::String),
            '0'..='9' | '-' | '+' | '.' => self.number(),
            letter if letter.is_ascii_alphabetic() => self.word(),
            _ => None,
        }
    }

    fn object(&mut self, place: &Path<'_>, depth: usize) -> Option<Value> {
        self.take('{');
        let mut out = Map::new();
        loop {
            self.skip()?;
            if self.take('}') {
                if !out.is_empty() {
                    self.slip(Slip::Comma);
                }
                return Some(Value::Object(out));
            }
            let name = self.name()?;
            self.skip()?;
            if !self.take(':') {
                return None;
            }
            let value = self.value(&Path::Key(place, &name), depth + 1)?;
            insert(&mut out, name, value, place, &mut self.repeated);
            self.skip()?;
            if self.take('}') {
                return Some(Value::Object(out));
            }
            if !self.take(',') {
                return None;
            }
        }
    }

    fn array(&mut self, place: &Path<'_>, depth: usize) -> Option<Value> {
        self.take('[');
        let mut out = Vec::new();
        loop {
            self.skip()?;
            if self.take(']') {
                if !out.is_empty() {
                    self.slip(Slip::Comma);
                }
                return Some(Value::Array(out));
            }
            out.push(self.value(&Path::Index(place, out.len()), depth + 1)?);
            self.skip()?;
            if self.take(']') {
                return Some(Value::Array(out));
            }
            if !self.take(',') {
                return None;
            }
        }
    }

    fn name(&mut self) -> Option<String> {
        let first = self.peek()?;
        if matches!(first, '"' | '\'' | '“' | '”' | '‘' | '’' | '„') {
            return self.string();
        }
        if !(first.is_alphabetic() || matches!(first, '_' | '$')) {
            return None;
        }
        let rest = self.rest();
        let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '-');
        let end = rest.find(|c| !inside(c)).unwrap_or(rest.len());
        self.at += end;
        self.slip(Slip::Key);
        rest.get(..end).map(str::to_owned)
    }

    fn string(&mut self) -> Option<String> {
        let open = self.peek()?;
        let closes: &[char] = match open {
            '"' => &['"'],
            '\'' => &['\''],
            '“' | '”' | '„' => &['”', '“'],
            _ => &['’', '‘'],
        };
        if open != '"' {
            self.slip(Slip::Quotes);
        }
        self.at += open.len_utf8();
        let mut out = String::new();
        loop {
            let rest = self.rest();
            // Most of a text is plain, and is taken in one piece.
            let plain = rest.find(|c: char| closes.contains(&c) || c == '\\' || c < ' ')?;
            out.push_str(rest.get(..plain)?);
            self.at += plain;
            let next = self.peek()?;
            self.at += next.len_utf8();
            match next {
                '\\' => self.escape(&mut out)?,
                control if control < ' ' => {
                    self.slip(Slip::Control);
                    out.push(control);
                }
                _ => return Some(out),
            }
        }
    }

    /// An escape, after its backslash.
    fn escape(&mut self, out: &mut String) -> Option<()> {
        let letter = self.peek()?;
        self.at += letter.len_utf8();
        out.push(match letter {
            '"' | '\\' | '/' => letter,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let mut code = self.hex(4)?;
                if (0xD800..0xDC00).contains(&code) {
                    if !(self.take('\\') && self.take('u')) {
                        return None;
                    }
                    let low = self.hex(4).filter(|low| (0xDC00..0xE000).contains(low))?;
                    code = 0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                }
                char::from_u32(code)?
            }
            '\'' => {
                self.slip(Slip::Quotes);
                '\''
            }
            _ => return None,
        });
        Some(())
    }

    fn hex(&mut self, length: usize) -> Option<u32> {
        let digits = self.rest().get(..length)?;
        self.at += length;
        digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
    }

    fn number(&mut self) -> Option<Value> {
        let rest = self.rest();
        let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let end = rest.find(|c| !inside(c)).unwrap_or(rest.len());
        let text = rest.get(..end)?;
        let value = match serde_json::from_str::<Number>(text) {
            Ok(number) => number,
            Err(_) => {
                let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                let (sign, plain) = match text.strip_prefix('-') {
                    Some(plain) => ("-", plain),
                    None => ("", text.strip_prefix('+').unwrap_or(text)),
                };
                let (whole, fraction) = plain.split_once('.').unwrap_or((plain, "0"));
                let (whole, fraction) =
                    (if whole.is_empty() { "0" } else { whole }, if fraction.is_empty() { "0" } else { fraction });
                if plain == "." || !digits(whole) || !digits(fraction) || (whole.len() > 1 && whole.starts_with('0')) {
                    return None;
                }
                self.slip(Slip::Number);
                let spelled = if plain.contains('.') { format!("{sign}{whole}.{fraction}") } else { format!("{sign}{whole}") };
                serde_json::from_str(&spelled).ok()?
            }
        };
        self.at += end;
        Some(Value::Number(value))
    }

    fn word(&mut self) -> Option<Value> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let value = match rest.get(..end)? {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            word => {
                let value = match word {
                    "None" => Value::Null,
                    "True" => Value::Bool(true),
                    "False" => Value::Bool(false),
                    _ => return None,
                };
                self.slip(Slip::Word);
                value
            }
        };
        self.at += end;
        Some(value)
    }
}

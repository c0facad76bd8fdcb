//! Forms of answers that are regular expressions: checked before they are sent, and afterwards.

use regex_lite::Regex;

use super::Format;
use crate::error::{Error, ErrorKind, Result};
use crate::text::short_line;

impl Format {
    /// Text that a regular expression matches as a whole, in the syntax of `regex-lite`: the common
    /// one, without look-around and back-references.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`] if the pattern is not a regular expression.
    pub fn regex(pattern: impl Into<String>) -> Result<Self> {
        let pattern = pattern.into();
        compile(&pattern)?;
        Ok(Self::Regex(pattern))
    }

    /// Whether the form can be checked.
    ///
    /// # Errors
    /// As [`regex`](Self::regex).
    pub(crate) fn ensure(&self) -> Result<()> {
        match self {
            Self::Regex(pattern) => compile(pattern).map(|_| ()),
            Self::JsonSchema(_) => Ok(()),
        }
    }

    /// The text of an answer that has this form: the whole of it, or what is left without the white
    /// space around it. A schema's answers are read elsewhere.
    ///
    /// # Errors
    /// [`ErrorKind::Parse`] if the text does not match as a whole.
    pub(crate) fn matched<'t>(&self, text: &'t str) -> Result<&'t str> {
        let Self::Regex(pattern) = self else { return Ok(text) };
        let regex = compile(pattern)?;
        let found = [text, text.trim()].into_iter().find(|text| regex.is_match(text));
        found.ok_or_else(|| {
            let (pattern, text) = (short_line(pattern, 200), short_line(text.trim(), 80));
            ErrorKind::Parse(format!("it does not match `{pattern}` as a whole, found \"{text}\"")).into()
        })
    }
}

/// The pattern for whole texts.
fn compile(pattern: &str) -> Result<Regex> {
    // By itself first, since what follows would make sense of a pattern such as `a)(b`.
    Regex::new(pattern).and_then(|_| Regex::new(&format!(r"\A(?:{pattern})\z"))).map_err(|error| {
        let kind = ErrorKind::InvalidOption {
            option: "matching".to_owned(),
            value: format!("`{}`", short_line(pattern, 200)),
            expected: format!("a regular expression ({})", short_line(&error.to_string(), 200)),
        };
        Error::from(kind).with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_patterns_are_refused_and_named() {
        for pattern in ["[a-z", "a)(b", "(?=x)", r"(a)\1", "*", "a{99999999}"] {
            let error = Format::regex(pattern).unwrap_err();
            assert!(error.to_string().starts_with(&format!("option `matching` cannot be `{pattern}`: ")), "{error}");
            assert!(Format::Regex(pattern.to_owned()).ensure().is_err());
        }
        assert!(Format::regex("x".repeat(1 << 20) + "[").unwrap_err().to_string().len() < 1000);
    }

    #[test]
    fn the_whole_text_must_match() {
        let date = Format::regex(r"\d{4}-\d\d-\d\d|none").unwrap();
        assert_eq!(date.matched("2026-01-02").unwrap(), "2026-01-02");
        assert_eq!(date.matched(" none\n").unwrap(), "none");
        for text in ["2026-01-02.", "on 2026-01-02", "2026-01-02\n2026-01-02", "nonesuch", "", "None"] {
            let error = date.matched(text).unwrap_err();
            assert!(error.is_answer_fault(), "{error}");
        }
        assert_eq!(Format::regex("a|ab").unwrap().matched("ab").unwrap(), "ab", "the longer branch counts, too");
        assert_eq!(Format::regex(" x ").unwrap().matched(" x ").unwrap(), " x ", "white space may be part of it");
        let long = date.matched(&"x\n\u{1b}".repeat(1 << 20)).unwrap_err().to_string();
        assert!(long.len() < 400 && !long.contains('\n') && !long.contains('\u{1b}'), "{long}");
    }
}

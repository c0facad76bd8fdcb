//! Text that others wrote, made fit to be told to a model or shown on a line.

pub(super) use crate::text::start;
use crate::text::words;

/// How many characters of a name are repeated.
const MAX_NAME: usize = 64;

/// How many bytes a line may have.
const MAX_LINE: usize = 4 * 1024;

/// The text as one line of at most 4 KiB, without characters that control a terminal or the
/// direction of text.
pub(super) fn line(text: &str) -> String {
    words(text, MAX_LINE, usize::MAX)
}

/// A name that a model made up, in at most 64 characters.
pub(super) fn name(text: &str) -> String {
    words(text, MAX_LINE, MAX_NAME)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::is_hidden;

    #[test]
    fn a_line_has_no_controls() {
        assert_eq!(line(" a\r\n\tb\u{1b}[31m \u{202e}c\u{2028}d\u{0} "), "a b[31m c d");
        assert_eq!(line("\u{200b}\u{7}\n"), "");
        assert_eq!(name(&"é".repeat(1_000)), format!("{}…", "é".repeat(64)));
        assert!(line(&"x y".repeat(5_000_000)).len() <= MAX_LINE + 3);
    }

    #[test]
    fn a_cut_keeps_characters_whole() {
        assert_eq!((start("aé", 2), start("aé", 3), start("é", 0)), ("a", "aé", ""));
    }

    proptest! {
        #[test]
        fn every_text_becomes_a_short_line(text in any::<String>()) {
            let line = line(&text);
            prop_assert!(!line.chars().any(|c| is_hidden(c) || (c.is_whitespace() && c != ' ')));
            prop_assert!(line.len() <= text.len() + 3 && line.trim() == line);
        }
    }
}

//! Foreign text made safe to show: on one line, without control characters, and of bounded length.
//!
//! What a model, a service, a tool or a file says ends up in terminals, logs and prompts. Escape
//! sequences there can clear a screen, bidirectional controls can reorder what a reader sees, and a
//! line break can forge a second record. Everything that quotes foreign text in one line goes
//! through [`one_line`], everything that may be long through [`bounded`].

use std::borrow::Cow;

/// What becomes of a character that cannot stand in a line.
enum Place {
    Keep,
    Space,
    Drop,
}

const fn place(c: char) -> Place {
    match c {
        // Line breaks of every kind, and tabs.
        '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => Place::Space,
        // Other control characters, among them the escape character and its eight-bit forms.
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // What is not seen, and what changes the direction or the shape of its neighbours.
        | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}' => Place::Drop,
        _ => Place::Keep,
    }
}

/// Whether nobody sees a character that may change how others are shown.
pub(crate) const fn is_hidden(c: char) -> bool {
    matches!(place(c), Place::Drop)
}

/// The words of a text on one line, within bounds: any white space becomes one space, none at the ends, and what
/// cannot be seen is left out. A longer text ends with `…`.
pub(crate) fn words(text: &str, bytes: usize, chars: usize) -> String {
    let mut out = String::new();
    let (mut count, mut blank) = (0, false);
    for c in text.chars() {
        if c.is_whitespace() {
            blank = !out.is_empty();
            continue;
        }
        if is_hidden(c) {
            continue;
        }
        let gap = usize::from(blank);
        if count + gap + 1 > chars || out.len() + gap + c.len_utf8() > bytes {
            out.push('…');
            break;
        }
        if blank {
            out.push(' ');
            blank = false;
        }
        out.push(c);
        count += gap + 1;
    }
    out
}

/// The start of a text, at most this many bytes and never half a character.
pub(crate) fn start(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default();
    text.get(..end).unwrap_or_default()
}

/// The text on one line: line breaks and tabs become a space (a run of them only one), control
/// characters, bidirectional controls and characters without width are left out.
///
/// ```
/// use mellea_core::text::one_line;
///
/// assert_eq!(one_line("over\r\ncapacity"), "over capacity");
/// assert_eq!(one_line("\u{1b}[2Jgone \u{202e}txt"), "[2Jgone txt");
/// ```
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| matches!(place(c), Place::Keep)) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len());
    let mut in_break = false;
    for c in text.chars() {
        match place(c) {
            Place::Keep => line.push(c),
            Place::Space if !in_break => line.push(' '),
            Place::Space => {}
            Place::Drop => continue,
        }
        in_break = matches!(place(c), Place::Space);
    }
    Cow::Owned(line)
}

/// The text, cut after at most `max` bytes with a mark that says how long it was.
///
/// ```
/// use mellea_core::text::bounded;
///
/// assert_eq!(bounded("short", 8), "short");
/// assert_eq!(bounded("né né né né", 5), "né n… (15 bytes in all)");
/// ```
#[must_use]
pub fn bounded(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let kept = start(text, max);
    Cow::Owned(format!("{kept}… ({} bytes in all)", text.len()))
}

/// Both: one line of at most about `max` bytes.
#[must_use]
pub fn short_line(text: &str, max: usize) -> Cow<'_, str> {
    match bounded(text, max) {
        Cow::Borrowed(text) => one_line(text),
        Cow::Owned(text) => Cow::Owned(one_line(&text).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_text_of_any_script_is_left_alone() {
        for text in ["", "plain", "größer 日本語 עברית हिन्दी 🙂", "a  b"] {
            assert!(matches!(one_line(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn nothing_can_forge_a_line_or_move_the_cursor() {
        let attack = "a\n\n\tb\u{1b}[31m\u{9b}2J\u{7}\u{202e}c\u{2066}\u{200b}\u{feff}\u{2028}d\u{e0041}\0";
        assert_eq!(one_line(attack), "a b[31m2Jc d");
    }

    #[test]
    fn long_text_is_cut_between_characters_and_says_how_long_it_was() {
        assert_eq!(bounded("ééé", 3), "é… (6 bytes in all)");
        assert_eq!(bounded("ab", 0), "… (2 bytes in all)");
        assert_eq!(short_line("a\nb\nc\nd", 3), "a b… (7 bytes in all)");
    }

    proptest! {
        #[test]
        fn any_text_ends_up_on_one_bounded_line(text: String, max in 0_usize..64) {
            let line = short_line(&text, max);
            prop_assert!(!line.chars().any(char::is_control));
            prop_assert!(line.len() <= max + 40);
            prop_assert_eq!(one_line(&line), line.clone());
        }
    }
}

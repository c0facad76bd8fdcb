//! Mending JSON that a careless server wrote.

/// Where halves of characters are kept until both are there: in a private plane of Unicode, so that they pass through
/// any reader of JSON.
const HALVES: u32 = 0x10_F000;
const FIRST_HALF: std::ops::Range<u32> = HALVES..HALVES + 0x400;
const SECOND_HALF: std::ops::Range<u32> = HALVES + 0x400..HALVES + 0x800;

/// JSON that does not parse, made readable where its meaning is plain: raw control characters within texts are escaped,
/// `NaN` and infinities become `null`, and halves of characters (lone surrogates) are marked, for [`join_halves`].
/// `None` if there is nothing to mend.
///
/// ```
/// use mellea_wire::json::mend;
///
/// assert_eq!(mend(r#"{"logprob": NaN}"#).as_deref(), Some(r#"{"logprob": null}"#));
/// assert_eq!(mend("{\"text\": \"a\tb\"}").as_deref(), Some(r#"{"text": "a\u0009b"}"#));
/// assert_eq!(mend(r#"{"text": "fine"}"#), None);
/// ```
#[must_use]
pub fn mend(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 16);
    let mut mended = false;
    let mut rest = text;
    let mut quoted = false;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '"' => {
                quoted = !quoted;
                out.push(c);
            }
            '\\' if quoted => match escape(rest) {
                Escape::Half(unit) => {
                    mended = true;
                    taken = 6;
                    out.extend(char::from_u32(HALVES + (unit - 0xD800)));
                }
                Escape::Other(len) => {
                    taken = len;
                    out.push_str(rest.get(..len).unwrap_or_default());
                }
            },
            c if quoted && c < ' ' => {
                mended = true;
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            'N' | 'I' | 'n' | '-' if !quoted => match number_word(rest) {
                Some(len) => {
                    mended = true;
                    taken = len;
                    out.push_str("null");
                }
                None => out.push(c),
            },
            c => out.push(c),
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    mended.then_some(out)
}

enum Escape {
    /// One half of a character, without the other.
    Half(u32),
    /// Something that stays as it is: its length.
    Other(usize),
}

fn escape(text: &str) -> Escape {
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
    };
    match unit(text) {
        Some(first @ 0xD800..=0xDBFF) => match text.get(6..).and_then(unit) {
            Some(0xDC00..=0xDFFF) => Escape::Other(12),
            _ => Escape::Half(first),
        },
        Some(second @ 0xDC00..=0xDFFF) => Escape::Half(second),
        Some(_) => Escape::Other(6),
        // The backslash and what it escapes.
        None => Escape::Other(1 + text.chars().nth(1).map_or(0, char::len_utf8)),
    }
}

/// The length of a word that stands for a number which JSON has not.
fn number_word(text: &str) -> Option<usize> {
    let words = ["-Infinity", "Infinity", "-inf", "inf", "-NaN", "NaN", "nan"];
    let word = words.into_iter().find(|word| text.starts_with(word))?;
    let ends = text.get(word.len()..)?.chars().next().is_none_or(|c| !c.is_alphanumeric());
    ends.then_some(word.len())
}

/// Makes characters of the halves that [`mend`] marked; a half without its other becomes `U+FFFD`.
///
/// With `hold`, a first half at the very end is cut off and returned: its other may come with the next piece, to whose
/// front it is to be put.
pub fn join_halves(text: &mut String, hold: bool) -> Option<char> {
    let is_half = |c: char| (HALVES..HALVES + 0x800).contains(&u32::from(c));
    if !text.chars().any(is_half) {
        return None;
    }
    let all = std::mem::take(text);
    let mut chars = all.chars().peekable();
    while let Some(c) = chars.next() {
        let code = u32::from(c);
        if FIRST_HALF.contains(&code) {
            match chars.peek().map(|next| u32::from(*next)) {
                Some(next) if SECOND_HALF.contains(&next) => {
                    chars.next();
                    let joined = 0x1_0000 + ((code - FIRST_HALF.start) << 10) + (next - SECOND_HALF.start);
                    text.push(char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                None if hold => return Some(c),
                _ => text.push(char::REPLACEMENT_CHARACTER),
            }
        } else {
            text.push(if SECOND_HALF.contains(&code) { char::REPLACEMENT_CHARACTER } else { c });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn text(json: &str) -> String {
        let mended = mend(json).unwrap();
        let Value::String(mut text) = serde_json::from_str(&mended).unwrap() else { panic!("{mended}") };
        join_halves(&mut text, false);
        text
    }

    #[test]
    fn halves_are_joined_or_replaced() {
        assert_eq!(text(r#""a\ud83db""#), "a\u{fffd}b");
        assert_eq!(text(r#""\ude00""#), "\u{fffd}");
        assert_eq!(text(r#""\ud83d\ud83d\ude00""#), "\u{fffd}😀");
        let mut first: String = serde_json::from_str(&mend(r#""x\ud83d""#).unwrap()).unwrap();
        let held = join_halves(&mut first, true).unwrap();
        let mut second: String = serde_json::from_str(&mend(r#""\ude00!""#).unwrap()).unwrap();
        second.insert(0, held);
        assert_eq!(join_halves(&mut second, true), None);
        assert_eq!((first.as_str(), second.as_str()), ("x", "😀!"));
    }

    #[test]
    fn only_what_is_wrong_is_changed() {
        assert_eq!(mend("{\"a\": [NaN, -Infinity, 1], \"NaN\": \"NaN\"}").unwrap(), r#"{"a": [null, null, 1], "NaN": "NaN"}"#);
        assert_eq!(text("\"a\nb\\n\\\"\u{1}\""), "a\nb\n\"\u{1}");
        for fine in [r#"{"a": "\ud83d\ude00 \\ud83d \u0041"}"#, "[null, -1, true]", "", "{\"a\": nul"] {
            assert_eq!(mend(fine), None, "{fine}");
        }
    }

    proptest! {
        #[test]
        fn what_parses_stays_as_it_is(value in "[^\u{10f000}-\u{10f7ff}]{0,40}") {
            let json = serde_json::to_string(&value).unwrap();
            let read: String = serde_json::from_str(&mend(&json).unwrap_or_else(|| json.clone())).unwrap();
            prop_assert_eq!(read, value);
        }

        #[test]
        fn anything_can_be_mended(text in any::<String>()) {
            let _ = mend(&text);
        }
    }
}

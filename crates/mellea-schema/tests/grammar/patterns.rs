//! Patterns: the same meaning for the text of JSON, and nothing that a server could die of.

use mellea_schema::{Dialect, Pattern, Schema};
use proptest::prelude::*;
use serde_json::{Value, json};

const PATTERNS: &str = include_str!("../../../../tests/corpus/ollama/patterns.json");

/// The pattern on the wire, and whether it is said that it is not all there.
fn wire(pattern: &str) -> (Option<String>, bool) {
    let schema = json!({"type": "object", "properties": {"v": {"type": "string", "pattern": pattern}}});
    let (schema, _) = Schema::from_value_partial(schema).unwrap();
    let wire = schema.wire(Dialect::Grammar);
    let sent = wire.schema["properties"]["v"]["pattern"].as_str().map(str::to_owned);
    (sent, wire.left_out.iter().any(|left| left.keyword == "pattern"))
}

/// The pattern of the wire as one of ECMAScript, which lacks the grammar's long escape.
fn compiled(wire: &str) -> Pattern {
    let mut ecma = wire.to_owned();
    while let Some(at) = ecma.find(r"\U") {
        let code = u32::from_str_radix(&ecma[at + 2..at + 10], 16).unwrap();
        ecma.replace_range(at..at + 10, &format!(r"\u{{{code:X}}}"));
    }
    Pattern::new(&ecma).unwrap()
}

/// Whether the server would let the text through: it matches what stands between the quotes of the JSON.
fn lets_through(wire: &Pattern, text: &str) -> bool {
    let written = serde_json::to_string(text).unwrap();
    wire.is_match(&written[1..written.len() - 1])
}

/// Only what both generations of the grammar read: literals, classes, plain groups, alternatives and counts.
pub(super) fn is_harmless(wire: &str) -> Result<(), String> {
    let inner = wire.strip_prefix('^').and_then(|rest| rest.strip_suffix('$')).ok_or("no anchors")?;
    let chars: Vec<char> = inner.chars().collect();
    let (mut at, mut level, mut in_class) = (0, 0_i32, false);
    while let Some(char) = chars.get(at) {
        if !char.is_ascii() || char.is_ascii_control() {
            return Err(format!("{char:?}"));
        }
        match char {
            '\\' => {
                let digits = match chars.get(at + 1) {
                    Some('x') => 2,
                    Some('u') => 4,
                    Some('U') => 8,
                    other => return Err(format!("escape {other:?}")),
                };
                let hex = chars.get(at + 2..at + 2 + digits).ok_or("a cut escape")?;
                if !in_class || !hex.iter().all(char::is_ascii_hexdigit) {
                    return Err("an escape outside a class".to_owned());
                }
                at += 1 + digits;
            }
            '[' if !in_class => in_class = true,
            ']' if in_class => in_class = false,
            _ if in_class => {}
            '(' if chars.get(at + 1) == Some(&'?') => return Err("a group with a mark".to_owned()),
            '(' => level += 1,
            ')' => level -= 1,
            '*' | '+' | '?' | '{' if !matches!(chars.get(at.wrapping_sub(1)), Some(']' | ')')) => {
                return Err("a count that is not behind a class or a group".to_owned());
            }
            '.' | '^' | '$' | '"' | ']' => return Err(format!("a bare {char}")),
            _ => {}
        }
        at += 1;
    }
    if level == 0 && !in_class { Ok(()) } else { Err("something is not closed".to_owned()) }
}

const TEXTS: [&str; 40] = [
    "", "a", "b", "ab", "abab", "aa", "aaaa", "red", "green", "redgreen", "RED", "2024", "12", "123", "1234", "12345", "a1",
    "1a", "x12y", "ABC-1234", "ABC-12", "__", "a_", "é_", "a.b", "axb", "a.b@c", "@", "]-", "-", "/.-", "ü", "üü", "äöü", "a b",
    "a\nb", "\"", "\\", "foo", "\u{a0}",
];

#[test]
fn the_patterns_that_servers_died_of_are_written_another_way_or_not_sent() {
    let cases: Vec<Value> = serde_json::from_str(PATTERNS).unwrap();
    assert_eq!(cases.len(), 25);
    let mut sent = 0;
    for case in &cases {
        let pattern = case["pattern"].as_str().unwrap();
        let (wire, left_out) = wire(pattern);
        let Some(wire) = wire else {
            assert!(left_out, "{pattern}: nothing says that it is not sent");
            assert!([r"^\bfoo$", "^(?i:red)$", "^(?=a)b$", r"^\d{3}\z"].contains(&pattern), "{pattern} is not sent");
            continue;
        };
        sent += 1;
        is_harmless(&wire).unwrap_or_else(|reason| panic!("{pattern}: {wire}: {reason}"));
        let (here, there) = (Pattern::new(pattern).unwrap(), compiled(&wire));
        let same = case["same_meaning"].as_str().and_then(|same| same.split(' ').next()).map(|same| Pattern::new(same).unwrap());
        for text in TEXTS {
            assert!(lets_through(&there, text) || !here.is_match(text), "{pattern} as {wire} refuses {text:?}");
            assert!(left_out || here.is_match(text) == lets_through(&there, text), "{pattern} as {wire} and {text:?}");
            if let Some(same) = same.as_ref().filter(|_| !text.contains('\n')) {
                assert_eq!(same.is_match(text), here.is_match(text), "{pattern} {text:?}");
            }
        }
    }
    assert_eq!(sent, 21);
}

const ATOMS: [&str; 23] = [
    "a",
    "b",
    "1",
    r"\d",
    r"\w",
    r"\s",
    ".",
    "[ab]",
    "[^a]",
    r"[\d-]",
    r"\.",
    r"\-",
    "\"",
    r"\\",
    "ü",
    r"\n",
    r"[\]\[^-]",
    "(?:a|b1)",
    "(a|)",
    "^",
    "$",
    "(^|b)",
    "(a|$)",
];

const COUNTS: [&str; 10] = ["", "", "", "", "*", "+", "?", "{2}", "{1,2}", "+?"];

/// A pattern out of parts that mean something to one side or the other.
fn patterns() -> impl Strategy<Value = String> {
    let part = (prop::sample::select(&ATOMS[..]), prop::sample::select(&COUNTS[..]));
    let part = part.prop_map(|(atom, count)| if matches!(atom, "^" | "$") { atom.to_owned() } else { format!("{atom}{count}") });
    let run = prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat());
    let runs = prop::collection::vec(run, 1..3).prop_map(|runs| runs.join("|"));
    (any::<bool>(), runs, any::<bool>())
        .prop_map(|(left, runs, right)| format!("{}{runs}{}", if left { "^" } else { "" }, if right { "$" } else { "" }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_means_the_same(pattern in patterns(), texts in prop::collection::vec("[ab1ü .\"\\\\\n-]{0,5}", 20)) {
        let (Some(wire), left_out) = wire(&pattern) else { return Ok(()) };
        prop_assert!(is_harmless(&wire).is_ok(), "{} {}: {:?}", pattern, wire, is_harmless(&wire));
        let (here, there) = (Pattern::new(&pattern).unwrap(), compiled(&wire));
        for text in texts.iter().map(String::as_str).chain(TEXTS) {
            prop_assert!(lets_through(&there, text) || !here.is_match(text), "{} as {} refuses {:?}", pattern, wire, text);
            prop_assert!(left_out || here.is_match(text) == lets_through(&there, text), "{} as {} and {:?}", pattern, wire, text);
        }
    }
}

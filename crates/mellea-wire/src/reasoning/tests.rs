use proptest::prelude::*;

use super::*;

/// The reasoning, the text, and the calls.
fn split(pieces: &[&str], open: bool) -> (String, String, Vec<(String, String)>) {
    let (mut splitter, mut out) = (Splitter::new(Tags::default(), open), Vec::new());
    pieces.iter().for_each(|piece| splitter.push((*piece).to_owned(), &mut out));
    splitter.finish(&mut out);
    let (mut thinking, mut text, mut calls) = (String::new(), String::new(), Vec::new());
    for piece in out {
        match piece {
            Piece::Thinking(piece) => thinking.push_str(&piece),
            Piece::Text(piece) => text.push_str(&piece),
            Piece::WasThinking => thinking.push_str(&std::mem::take(&mut text)),
            Piece::Call(name, arguments) => calls.push((name, arguments)),
        }
    }
    (thinking, text, calls)
}

const CASES: [(&str, &str, &str); 32] = [
    ("<think>a</think>Yes <think>", "a", "Yes <think>"),
    ("hello", "", "hello"),
    ("<think>a</think>b", "a", "b"),
    ("\n<think>\na < b </th> c\n</think>\n\nb </think>", "a < b </th> c", "b </think>"),
    ("<think></think>b", "", "b"),
    ("<think>\n\n</think>\n\nb", "", "b"),
    ("<think>a", "a", ""),
    ("<think>a</thin", "a</thin", ""),
    ("<thin", "", "<thin"),
    ("a <think>b</think>", "", "a <think>b</think>"),
    ("  <thinkers>", "", "  <thinkers>"),
    ("<think>ä—</think>é", "ä—", "é"),
    ("<thinking>a</thinking>b", "a", "b"),
    ("<thought>a</thought>b", "a", "b"),
    ("<reasoning>a</reasoning>b", "a", "b"),
    ("[THINK]a[/THINK]b", "a", "b"),
    ("<Think>a</THINK>b", "a", "b"),
    ("<|START_THINKING|>a<|END_THINKING|>b", "a", "b"),
    ("<think>a</think>b<think>c</think>d", "ac", "bd"),
    ("<think>a</think>\n\nb\n<thinking>c</thinking>\nd", "ac", "b\nd"),
    ("The user greets.</think>\n\nHello!", "The user greets.", "Hello!"),
    ("long\n\nthought\n</think>\nHello", "long\n\nthought\n", "Hello"),
    ("a[/THINK]b", "a", "b"),
    ("</think>\n\nHello", "", "Hello"),
    ("Close it with `</think>`.", "", "Close it with `</think>`."),
    (
        "<|channel|>analysis<|message|>Greet.<|end|><|start|>assistant<|channel|>final<|message|>Hello!<|return|>",
        "Greet.",
        "Hello!",
    ),
    ("<|start|>assistant<|channel|>final<|message|>Hello!", "", "Hello!"),
    ("<|channel|>final<|message|>Hello <|b", "", "Hello <|b"),
    ("<|channel|>analysis<|message|>a<|channel|>final<|message|>b", "a", "b"),
    ("1 < 2 and [3]", "", "1 < 2 and [3]"),
    ("[1, 2, 3]", "", "[1, 2, 3]"),
    ("<b>bold</b>", "", "<b>bold</b>"),
];

#[test]
fn reasoning_is_set_apart() {
    for (all, thinking, text) in CASES {
        assert_eq!(split(&[all], false), (thinking.to_owned(), text.to_owned(), Vec::new()), "{all:?}");
    }
    assert_eq!(split(&["a</think>b"], true), ("a".to_owned(), "b".to_owned(), Vec::new()));
    assert_eq!(split(&["\na ", "\n</th", "ink>\n\nb"], true), ("a".to_owned(), "b".to_owned(), Vec::new()));
}

#[test]
fn a_channel_may_hold_a_call() {
    let text = "<|channel|>analysis<|message|>Look.<|end|><|start|>assistant<|channel|>commentary to=functions.find <|constrain|>json<|message|>{\"city\":\"Oslo\"}<|call|>";
    let expected = ("Look.".to_owned(), String::new(), vec![("find".to_owned(), "{\"city\":\"Oslo\"}".to_owned())]);
    assert_eq!(split(&[text], false), expected);
}

#[test]
fn a_backtick_before_a_closing_tag_is_of_the_reasoning() {
    let expected = ("`<".to_owned(), String::new(), Vec::new());
    assert_eq!(split(&["`<", "</Thought>", "<think>"], false), expected);
}

#[test]
fn tags_are_a_setting() {
    let mut out = Vec::new();
    let mut splitter = Splitter::new(Tags::none(), false);
    splitter.push("<think>a</think>".to_owned(), &mut out);
    let mut splitter = Splitter::new(Tags::default().with("{plan}", "{/plan}").with("", "x"), false);
    splitter.push("{plan}a{/plan}b".to_owned(), &mut out);
    splitter.finish(&mut out);
    assert_eq!(out, [Piece::Text("<think>a</think>".into()), Piece::Thinking("a".into()), Piece::Text("b".into())]);
}

#[test]
fn it_does_not_matter_where_the_text_is_cut() {
    for (all, thinking, text) in CASES {
        let one_by_one: Vec<String> = all.chars().map(String::from).collect();
        let pieces: Vec<&str> = one_by_one.iter().map(String::as_str).collect();
        assert_eq!(split(&pieces, false), (thinking.to_owned(), text.to_owned(), Vec::new()), "{all:?}");
    }
}

proptest! {
    #[test]
    fn any_text_comes_to_the_same_whole_or_in_pieces(
        pieces in prop::collection::vec("[<>/a thinké\n`\\[\\]|]{0,6}|<think>|</think>|<thought>|</Thought>|<\\|channel\\|>|final|<\\|message\\|>|<\\|end\\|>|<\\|start\\|>", 0..12),
        open in any::<bool>(),
    ) {
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        prop_assert_eq!(split(&pieces, open), split(&[&pieces.concat()], open));
    }
}

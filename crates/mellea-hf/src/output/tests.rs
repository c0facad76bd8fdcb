//! Every answer is parsed whole and at every split; the pieces, joined, must be the same.

use serde_json::json;

use super::*;

fn join(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Piece::Text(last)), Piece::Text(text)) => last.push_str(&text),
            (Some(last @ Piece::Text(_)), Piece::WasThinking) => {
                let Piece::Text(text) = std::mem::replace(last, Piece::WasThinking) else { unreachable!() };
                *last = Piece::Thinking(text);
            }
            (Some(Piece::Thinking(last)), Piece::Thinking(text)) => last.push_str(&text),
            (_, piece) => joined.push(piece),
        }
    }
    joined
}

fn parse(rules: &OutputRules, parts: &[&str]) -> Vec<Piece> {
    let mut parser = OutputParser::new(rules.clone());
    let mut pieces = Vec::new();
    for part in parts {
        pieces.extend(parser.push(part));
    }
    pieces.extend(parser.finish());
    join(pieces)
}

/// Parses whole, at every pair of splits and character by character.
fn check(rules: &OutputRules, text: &str, expected: &[Piece]) {
    assert_eq!(parse(rules, &[text]), expected, "{text}");
    let borders: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let single: Vec<&str> = text.split_inclusive(|_| true).collect();
    assert_eq!(parse(rules, &single), expected, "{text}");
    for (n, first) in borders.iter().enumerate() {
        for second in &borders[n..] {
            let parts = [&text[..*first], &text[*first..*second], &text[*second..]];
            assert_eq!(parse(rules, &parts), expected, "{parts:?}");
        }
    }
}

fn text(text: &str) -> Piece {
    Piece::Text(text.to_owned())
}

fn thinking(text: &str) -> Piece {
    Piece::Thinking(text.to_owned())
}

fn call(name: &str, arguments: Value) -> Piece {
    Piece::ToolCall { name: name.to_owned(), arguments }
}

fn tools(format: ToolFormat) -> OutputRules {
    OutputRules { tools: Some(format), tool_names: vec!["add".to_owned()], ..OutputRules::default() }
}

#[test]
fn text_before_a_stop_sequence_is_kept_and_the_rest_dropped() {
    let rules = OutputRules { stop: vec!["END".to_owned(), "\n\n".to_owned()], ..OutputRules::default() };
    check(&rules, "one ENEND two", &[text("one EN")]);
    check(&rules, "日本\n\nEND", &[text("日本")]);
    check(&rules, "no stop EN", &[text("no stop EN")]);
    let mut parser = OutputParser::new(rules);
    parser.push("a E");
    assert!(!parser.stopped());
    parser.push("ND");
    assert!(parser.stopped());
}

#[test]
fn thinking_is_taken_apart_from_the_answer() {
    let rules = OutputRules { thinks: true, ..OutputRules::default() };
    check(&rules, "<think>\nhm, 2 < 3\n</think>\n\nYes <think>", &[thinking("hm, 2 < 3"), text("Yes <think>")]);
    check(&rules, "a thought </think>\nYes", &[thinking("a thought "), text("Yes")]);
    check(&rules, "<think></think>Yes", &[text("Yes")]);
    check(&rules, "<think>never ends ", &[thinking("never ends")]);
    check(&rules, "<thin", &[text("<thin")]);
    let open = OutputRules { thinks: true, thinking_open: true, ..OutputRules::default() };
    check(&open, "hm\n</think>\nYes", &[thinking("hm"), text("Yes")]);
    check(&OutputRules::default(), "<think>x</think>", &[text("<think>x</think>")]);
}

#[test]
fn tagged_calls_are_found_between_text() {
    let rules = tools(ToolFormat::Tagged);
    let one = r#"{"name":"add","arguments":{"a":1}}"#;
    check(&rules, &format!("<tool_call>{one}</tool_call>"), &[call("add", json!({"a": 1}))]);
    check(
        &rules,
        &format!("Wait. <tool_call>\n{one}\n</tool_call>\n<tool_call>{one}</tool_call>\nok"),
        &[text("Wait. "), call("add", json!({"a": 1})), call("add", json!({"a": 1})), text("ok")],
    );
    check(&rules, "<tool_call>not json</tool_call>!", &[text("<tool_call>not json</tool_call>!")]);
    check(&rules, "a <tool", &[text("a <tool")]);
    // An end token may take the place of the closing tag.
    check(&rules, &format!("<tool_call>{one}"), &[call("add", json!({"a": 1}))]);
    check(&rules, "<tool_call>{\"name\":\"ad", &[text("<tool_call>{\"name\":\"ad")]);
}

#[test]
fn lists_of_calls_are_read() {
    let list = r#"[{"name":"add","arguments":{"a":1}},{"name":"sub","arguments":"{\"b\":2}"}]"#;
    let calls = [call("add", json!({"a": 1})), call("sub", json!({"b": 2}))];
    check(&tools(ToolFormat::GraniteList), &format!("<|tool_call|>{list}"), &calls);
    check(&tools(ToolFormat::MistralList), &format!("[TOOL_CALLS] {list}"), &calls);
    check(&tools(ToolFormat::MistralList), "[TOOL_CALLS]add{\"a\":1}", &calls[..1]);
}

#[test]
fn bare_calls_must_name_a_tool() {
    let rules = tools(ToolFormat::Llama);
    let one = r#"{"name": "add", "parameters": {"a": 1}}"#;
    check(&rules, one, &[call("add", json!({"a": 1}))]);
    check(&rules, &format!("<|python_tag|>{one}"), &[call("add", json!({"a": 1}))]);
    check(&rules, r#"{"name": "Ann"}"#, &[text(r#"{"name": "Ann"}"#)]);
    check(&rules, "{not json", &[text("{not json")]);
    check(&rules, "plain", &[text("plain")]);
}

#[test]
fn formats_follow_the_markers_in_the_template() {
    let cases = [
        ("… <tool_call> …", ToolFormat::Tagged),
        ("'<|tool_call|>'", ToolFormat::GraniteList),
        ("\"[TOOL_CALLS]\"", ToolFormat::MistralList),
        ("<|python_tag|>", ToolFormat::Llama),
        ("", ToolFormat::Tagged),
    ];
    for (template, format) in cases {
        assert_eq!(ToolFormat::detect(template), format);
    }
}

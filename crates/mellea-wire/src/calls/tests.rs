//! Every way in which servers are known to stream tool calls.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Pushes chunks, each a list of pieces, and gives names and arguments with the ids that were given.
fn put_together(chunks: &[Value]) -> Vec<Triple> {
    let mut calls = ToolCalls::default();
    for chunk in chunks {
        for (position, part) in chunk.as_array().unwrap().iter().enumerate() {
            calls.push(piece(part), position).unwrap();
        }
    }
    let calls = calls.finish().0;
    assert!(calls.iter().all(|call| !call.id.is_empty()));
    calls.into_iter().map(|call| (call.id, call.name, call.arguments)).collect()
}

/// A piece in the form of chat completions.
fn piece(value: &Value) -> CallPiece {
    let function = value.get("function").unwrap_or(value);
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    CallPiece {
        index: value.get("index").and_then(Value::as_u64),
        id: value.get("id").map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned)).filter(|id| id != "null"),
        name: text(function, "name"),
        arguments: function.get("arguments").cloned(),
        extra: None,
    }
}

/// Id, name and arguments.
type Triple = (String, String, Value);

fn call(id: &str, name: &str, arguments: Value) -> Triple {
    (id.to_owned(), name.to_owned(), arguments)
}

#[test]
fn the_ways_of_servers() {
    let x = || json!({"x": 1});
    let y = || json!({"y": 2});
    let fixtures: Vec<(&str, Vec<Value>, Vec<Triple>)> = vec![
        (
            "OpenAI: by index, arguments in pieces",
            vec![
                json!([{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]),
                json!([{"index": 0, "function": {"arguments": "{\"x\""}}]),
                json!([{"index": 0, "function": {"arguments": ": 1}"}}]),
            ],
            vec![call("a", "f", x())],
        ),
        (
            "parallel calls, interleaved",
            vec![
                json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]),
                json!([{"index": 1, "id": "b", "function": {"name": "g", "arguments": ""}}]),
                json!([{"index": 0, "function": {"arguments": "{\"x\""}}, {"index": 1, "function": {"arguments": "{\"y\""}}]),
                json!([{"index": 1, "function": {"arguments": ":2}"}}]),
                json!([{"index": 0, "function": {"arguments": ":1}"}}]),
            ],
            vec![call("a", "f", x()), call("b", "g", y())],
        ),
        (
            "the first index is 2",
            vec![
                json!([{"index": 2, "id": "a", "function": {"name": "f", "arguments": "{\"x\":"}}]),
                json!([{"index": 2, "function": {"arguments": "1}"}}]),
            ],
            vec![call("a", "f", x())],
        ),
        (
            "no index, ids in each piece",
            vec![
                json!([{"id": "a", "function": {"name": "f", "arguments": "{\"x\":"}}]),
                json!([{"id": "b", "function": {"name": "g", "arguments": "{\"y\":"}}]),
                json!([{"id": "a", "function": {"arguments": "1}"}}]),
                json!([{"id": "b", "function": {"arguments": "2}"}}]),
            ],
            vec![call("a", "f", x()), call("b", "g", y())],
        ),
        (
            "neither index nor id after the first piece",
            vec![
                json!([{"id": "a", "function": {"name": "f", "arguments": "{\"x\":"}}]),
                json!([{"function": {"arguments": "1}"}}]),
                json!([{"id": "b", "function": {"name": "g", "arguments": "{\"y\":"}}]),
                json!([{"function": {"arguments": "2}"}}]),
            ],
            vec![call("a", "f", x()), call("b", "g", y())],
        ),
        (
            "Ollama: whole calls, every index 0",
            vec![
                json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\":1}"}}]),
                json!([{"index": 0, "id": "b", "function": {"name": "g", "arguments": "{\"y\":2}"}}]),
            ],
            vec![call("a", "f", x()), call("b", "g", y())],
        ),
        (
            "two calls of index 0 in one piece",
            vec![json!([
                {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\":1}"}},
                {"index": 0, "id": "b", "function": {"name": "f", "arguments": "{\"y\":2}"}}
            ])],
            vec![call("a", "f", x()), call("b", "f", y())],
        ),
        (
            "an empty name does not overwrite, nor does a repeated one lengthen",
            vec![
                json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]),
                json!([{"index": 0, "id": "a", "function": {"name": "", "arguments": "{\"x\":"}}]),
                json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "1}"}}]),
            ],
            vec![call("a", "f", x())],
        ),
        (
            "a name in pieces, and one that grows",
            vec![
                json!([{"index": 0, "id": "a", "function": {"name": "get_"}}, {"index": 1, "id": "b", "function": {"name": "get"}}]),
                json!([{"index": 0, "function": {"name": "time"}}, {"index": 1, "function": {"name": "get_day", "arguments": "{}"}}]),
            ],
            vec![call("a", "get_time", json!({})), call("b", "get_day", json!({}))],
        ),
        (
            "arguments as an object",
            vec![json!([{"id": "a", "function": {"name": "f", "arguments": {"x": 1}}}])],
            vec![call("a", "f", x())],
        ),
        (
            "an empty object, and then the text",
            vec![
                json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": {}}}]),
                json!([{"index": 0, "function": {"arguments": "{\"x\":1}"}}]),
                json!([{"index": 0, "function": {"arguments": {}}}]),
            ],
            vec![call("a", "f", x())],
        ),
        (
            "no arguments at all",
            vec![json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": null}}])],
            vec![call("a", "f", json!({}))],
        ),
        (
            "arguments that are no JSON are kept",
            vec![json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\": 1"}}])],
            vec![call("a", "f", json!("{\"x\": 1"))],
        ),
        (
            "name and arguments without `function`",
            vec![json!([{"id": "a", "name": "f", "arguments": {"x": 1}}])],
            vec![call("a", "f", x())],
        ),
        (
            "nothing of use",
            vec![json!([{"index": 0}, {"index": 1, "id": "b", "function": {}}, {"index": 2, "function": null}])],
            vec![],
        ),
        (
            "fields of wrong types",
            vec![json!([{"index": "0", "id": 7, "function": {"name": "f", "arguments": "{\"x\":1}"}}])],
            vec![call("7", "f", x())],
        ),
    ];
    for (what, chunks, expected) in fixtures {
        assert_eq!(put_together(&chunks), expected, "{what}");
    }
}

#[test]
fn ids_are_made_up_where_they_are_missing_or_used_twice() {
    let chunks = [
        json!([{"index": 0, "function": {"name": "f", "arguments": "{\"x\":1}"}}]),
        json!([{"index": 0, "function": {"name": "f", "arguments": "{\"x\":2}"}}]),
        json!([{"index": 1, "id": "a", "function": {"name": "g", "arguments": "{}"}}, {"index": 2, "id": "a", "function": {"name": "h", "arguments": "{}"}}]),
    ];
    let calls = put_together(&chunks);
    let names: Vec<&str> = calls.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(names, ["f", "f", "g", "h"]);
    let ids: std::collections::BTreeSet<_> = calls.iter().map(|(id, _, _)| id).collect();
    assert_eq!(ids.len(), 4, "{calls:?}");
}

#[test]
fn an_id_that_is_made_up_is_none_that_the_server_used() {
    let next: u64 = ToolCall::new("", json!({})).id.strip_prefix("call_").unwrap().parse().unwrap();
    let mut pieces: Vec<Value> = (1..=200).map(|n| json!({"id": format!("call_{}", next + n), "name": "f"})).collect();
    pieces.push(json!({"name": "f"}));
    let ids: std::collections::HashSet<String> = put_together(&[pieces.into()]).into_iter().map(|call| call.0).collect();
    assert_eq!(ids.len(), 201);
}

#[test]
fn memory_is_bounded() {
    let mut calls = ToolCalls::default();
    let begin = |index: u64| CallPiece { index: Some(index), name: Some("f".to_owned()), ..CallPiece::default() };
    for index in 0..256 {
        calls.push(begin(index), 0).unwrap();
    }
    assert!(matches!(calls.push(begin(256), 0), Err(Fault::Repeating(_))));
    let mut calls = ToolCalls::default();
    let long = || CallPiece { index: Some(0), arguments: Some("x".repeat(9 << 20).into()), ..CallPiece::default() };
    calls.push(long(), 0).unwrap();
    assert!(matches!(calls.push(long(), 0), Err(Fault::Repeating(_))));
}

fn part() -> impl Strategy<Value = Value> {
    let text = prop_oneof![Just(json!(null)), Just(json!("")), "[a-c{}\":1]{0,6}".prop_map(Value::from), Just(json!({"a": 1}))];
    let index = prop_oneof![Just(json!(null)), (0_u64..4).prop_map(Value::from), Just(json!("x"))];
    let id = prop_oneof![Just(json!(null)), Just(json!("")), "[ab]".prop_map(Value::from)];
    let name = prop_oneof![Just(json!(null)), Just(json!("")), "[fg]{1,2}".prop_map(Value::from)];
    (index, id, name, text).prop_map(
        |(index, id, name, arguments)| json!({"index": index, "id": id, "function": {"name": name, "arguments": arguments}}),
    )
}

proptest! {
    #[test]
    fn any_pieces_give_calls_with_ids_of_their_own(parts in prop::collection::vec(part(), 0..24)) {
        let mut calls = ToolCalls::default();
        for (position, part) in parts.into_iter().enumerate() {
            calls.push(piece(&part), position % 3).unwrap();
        }
        let calls = calls.finish().0;
        let ids: std::collections::BTreeSet<_> = calls.iter().map(|call| call.id.clone()).collect();
        prop_assert_eq!(ids.len(), calls.len());
    }

    #[test]
    fn interleaved_calls_come_out_as_they_went_in(texts in prop::collection::vec("[a-z]{0,12}", 1..5), order in any::<u64>()) {
        let whole: Vec<String> = texts.iter().map(|text| json!({"t": text}).to_string()).collect();
        let mut calls = ToolCalls::default();
        for (index, _) in whole.iter().enumerate() {
            let part = json!({"index": index, "id": format!("c{index}"), "function": {"name": "f", "arguments": ""}});
            calls.push(piece(&part), 0).unwrap();
        }
        let mut left: Vec<(usize, std::collections::VecDeque<char>)> =
            whole.iter().enumerate().map(|(index, text)| (index, text.chars().collect())).collect();
        let mut order = order;
        while !left.is_empty() {
            order = order.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (order >> 33) as usize % left.len();
            let (index, chars) = &mut left[at];
            match chars.pop_front() {
                Some(c) => {
                    let part = json!({"index": *index, "function": {"arguments": c.to_string()}});
                    calls.push(piece(&part), 0).unwrap();
                }
                None => {
                    left.remove(at);
                }
            }
        }
        let got: Vec<Value> = calls.finish().0.into_iter().map(|call| call.arguments["t"].clone()).collect();
        prop_assert_eq!(got, texts.into_iter().map(Value::from).collect::<Vec<_>>());
    }
}

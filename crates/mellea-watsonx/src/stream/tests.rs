//! The decoder: what each piece gives, however odd it is.

use mellea_core::{Event, FinishReason, TokenLogprob, ToolCall, Usage};
use mellea_http::{Framer, SseFramer};
use mellea_wire::{Reader, Rules};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A stream as the service sends it.
const RECORDED: &[u8] = include_bytes!("../../tests/corpus/chat.sse");

fn reader() -> Reader<Decoder> {
    Reader::new(Decoder::default(), Rules::new())
}

fn frame(data: &str) -> SseEvent {
    SseEvent { data: data.to_owned(), ..SseEvent::default() }
}

fn events(reader: &mut Reader<Decoder>) -> Vec<Event> {
    std::iter::from_fn(|| reader.pop()).collect()
}

fn decode(pieces: &[&str]) -> (Vec<Event>, Result<(), Fault>) {
    let mut reader = reader();
    let result = pieces.iter().try_for_each(|piece| reader.frame(frame(piece), false)).and_then(|()| reader.body_ended());
    (events(&mut reader), result)
}

fn whole(body: &str) -> (Vec<Event>, Result<(), Fault>) {
    let mut reader = reader();
    let result = reader.whole(body.as_bytes());
    (events(&mut reader), result)
}

fn calls(events: &[Event]) -> Vec<(&str, &str, Value)> {
    let mut calls = Vec::new();
    for event in events {
        if let Event::ToolCall(call) = event {
            calls.push((call.id.as_str(), call.name.as_str(), call.arguments.clone()));
        }
    }
    calls
}

#[test]
fn tool_calls_are_put_together_by_index() {
    let (events, result) = decode(&[
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"add","arguments":""}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"b","function":{"name":"now","arguments":"{}"}},{"index":0,"function":{"arguments":"{\"x\""}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"","arguments":":1}"}}]},"finish_reason":"tool_calls"}]}"#,
    ]);
    result.unwrap();
    assert_eq!(calls(&events), [("a", "add", json!({"x": 1})), ("b", "now", json!({}))]);
    assert_eq!(events.last(), Some(&Event::Finish(FinishReason::ToolCalls)));
}

#[test]
fn tool_calls_without_index_begin_with_their_ids() {
    let (events, result) = decode(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{\"x\":"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"1}"}},{"id":"b","function":{"name":"g","arguments":{"y":2}}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[]},"finish_reason":"stop"}]}"#,
    ]);
    result.unwrap();
    assert_eq!(calls(&events), [("a", "f", json!({"x": 1})), ("b", "g", json!({"y": 2}))]);
}

#[test]
fn calls_of_a_whole_answer_are_separate_and_have_ids_of_their_own() {
    let (events, result) = whole(
        r#"{"choices":[{"message":{"tool_calls":[{"function":{"name":"f"}},{"function":{"name":"f","arguments":"oops"}},
        {"id":"x","function":{"name":"g","arguments":null}},{"id":"x","function":{"name":"h"}},{"id":"y"},7,null]}}]}"#,
    );
    result.unwrap();
    let calls = calls(&events);
    assert_eq!(calls.iter().map(|(_, name, _)| *name).collect::<Vec<_>>(), ["f", "f", "g", "h"]);
    let ids: std::collections::BTreeSet<_> = calls.iter().map(|(id, ..)| *id).collect();
    assert!(ids.len() == 4 && ids.contains("x") && !ids.contains(""), "{ids:?}");
    assert_eq!(calls[1].2, json!("oops"));
    assert!(events.iter().any(|event| matches!(event, Event::Warning(_))), "a call without a name is told");
}

#[test]
fn an_id_that_is_made_up_is_none_that_the_service_used() {
    let next: u64 = ToolCall::new("", json!({})).id.strip_prefix("call_").unwrap().parse().unwrap();
    let mut made: Vec<Value> =
        (1..=200).map(|n| json!({"id": format!("call_{}", next + n), "function": {"name": "f"}})).collect();
    made.push(json!({"function": {"name": "f"}}));
    let (events, _) = whole(&json!({"choices": [{"message": {"tool_calls": made}}]}).to_string());
    let ids: std::collections::HashSet<&str> = calls(&events).into_iter().map(|call| call.0).collect();
    assert_eq!(ids.len(), 201);
}

#[test]
fn every_reason_to_finish_has_its_meaning() {
    for (reason, finish) in [
        ("stop", FinishReason::Stop),
        ("length", FinishReason::Length),
        ("tool_calls", FinishReason::Stop),
        ("content_filter", FinishReason::ContentFilter),
    ] {
        let piece = format!(r#"{{"choices":[{{"finish_reason":"{reason}"}}]}}"#);
        assert_eq!(decode(&[&piece]).0, [Event::Finish(finish.clone())]);
        assert_eq!(whole(&piece).0, [Event::Finish(finish)]);
    }
    let failed = r#"{"choices":[{"delta":{"content":"so far"},"finish_reason":"error"}]}"#;
    assert!(matches!(decode(&[failed]), (events, Err(Fault::Refused(_))) if events == [Event::Text("so far".into())]));
    let (new, _) = decode(&[r#"{"choices":[{"finish_reason":"something new"}]}"#]);
    assert!(matches!(new.as_slice(), [Event::Warning(_), Event::Finish(FinishReason::Other(word))] if word == "something new"));
}

#[test]
fn usage_comes_after_the_finish_and_with_details() {
    let (events, result) = decode(&[
        r#"{"id":"c1","model_id":"m","model":"m-2","choices":[{"delta":{"reasoning_content":"Hm.","content":"A"}}]}"#,
        r#"{"id":"c1","model_id":"m","choices":[{"delta":{"content":""},"finish_reason":"stop"}]}"#,
        r#"{"id":"c1","model_id":"m","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":"3","total_tokens":10,
            "prompt_tokens_details":{"cached_tokens":5},"completion_tokens_details":{"reasoning_tokens":2.0}}}"#,
        "[DONE]",
    ]);
    result.unwrap();
    let mut usage = Usage::new(7, 3);
    (usage.cached_tokens, usage.reasoning_tokens) = (Some(5), Some(2));
    let expected = [
        Event::ResponseId("c1".into()),
        Event::Model("m-2".into()),
        Event::Thinking("Hm.".into()),
        Event::Text("A".into()),
        Event::Usage(usage),
        Event::Finish(FinishReason::Stop),
    ];
    assert_eq!(events, expected);
}

#[test]
fn remarks_are_told_once_and_disclaimers_are_not() {
    let piece = r#"{"system":{"warnings":[{"message":"This model is a Non-IBM Product","id":"disclaimer_warning"},
        {"message":"The value of `top_p` was lowered","id":"x"}]},"choices":[{"delta":{}}]}"#;
    let (events, _) = decode(&[piece, piece]);
    assert_eq!(events, [Event::Warning(Warning::Other { message: "The value of `top_p` was lowered".into() })]);
}

#[test]
fn probabilities_are_read() {
    let (events, _) = decode(&[r#"{"choices":[{"delta":{"content":"A"},"logprobs":{"content":[{"token":"A","logprob":-0.5,
        "bytes":[65],"top_logprobs":[{"token":"A","logprob":-0.5},{"token":"B","logprob":-1}]}]}}]}"#]);
    let mut expected = TokenLogprob::new("A", -0.5);
    expected.top = vec![("A".into(), -0.5), ("B".into(), -1.0)];
    assert_eq!(events, [Event::Text("A".into()), Event::Logprobs(vec![expected])]);
}

#[test]
fn refusals_are_found_wherever_they_stand() {
    let said = r#"{"errors":[{"code":"x","message":"no"}],"trace":"t","status_code":500}"#;
    for (name, data) in [("error", said), ("message", said), ("", said), ("error", "plain words"), ("", r#"{"error":"no"}"#)] {
        let mut event = frame(data);
        name.clone_into(&mut event.name);
        assert!(matches!(reader().frame(event, false), Err(Fault::Refused(_))), "{name} {data}");
    }
    for none in [r#"{"errors":[],"choices":[]}"#, r#"{"errors":null,"error":null,"choices":[]}"#, r#"{"error":""}"#] {
        reader().frame(frame(none), false).unwrap();
    }
}

#[test]
fn what_is_no_answer_is_malformed() {
    for body in ["", "{", "[1]", "7", "null", "\"text\"", "<html>", "{\"choices\":[]}", "{}", "{\"choices\":[7]}"] {
        let (_, result) = whole(body);
        assert!(matches!(result, Err(Fault::Malformed { .. })), "{body}: {result:?}");
    }
    assert!(matches!(decode(&[]), (_, Err(Fault::Interrupted))));
    assert!(matches!(decode(&[r#"{"choices":[{"delta":{"content":"x"}}]}"#]), (_, Err(Fault::Interrupted))));
}

#[test]
fn tool_calls_are_bounded() {
    let calls: Vec<Value> = (0..=256).map(|i| json!({"index": i})).collect();
    let many = json!({"choices": [{"delta": {"tool_calls": calls}}]}).to_string();
    assert!(matches!(reader().frame(frame(&many), false), Err(Fault::Repeating(_))));
    let mut reader = reader();
    let long = "x".repeat(1 << 20);
    let piece = json!({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": long}}]}}]}).to_string();
    let result = (0..17).try_for_each(|_| reader.frame(frame(&piece), false));
    assert!(matches!(result, Err(Fault::Repeating(_))));
}

/// JSON of any shape, with the names that are read in it.
fn odd() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z\"{}]{0,5}".prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "id",
        "model",
        "choices",
        "index",
        "message",
        "delta",
        "content",
        "reasoning_content",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "finish_reason",
        "usage",
        "prompt_tokens",
        "completion_tokens_details",
        "system",
        "warnings",
        "errors",
        "logprobs",
        "token",
        "top_logprobs",
        "results",
        "generated_text",
        "stop_reason",
    ]);
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

/// What the frames of these bytes give, pushed as they are cut.
fn framed<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> (Vec<Event>, bool) {
    let (mut framer, mut reader) = (SseFramer::default(), reader());
    let mut fine = true;
    for piece in pieces {
        framer.push(piece);
        while let Some(frame) = framer.next() {
            let Ok(frame) = frame else { return (events(&mut reader), false) };
            fine &= reader.frame(frame, false).is_ok();
        }
    }
    fine &= reader.body_ended().is_ok();
    (events(&mut reader), fine)
}

proptest! {
    #[test]
    fn a_stream_gives_the_same_however_it_is_cut(sizes in prop::collection::vec(1_usize..80, 1..60)) {
        let mut rest = RECORDED;
        let mut sizes = sizes.into_iter().cycle();
        let pieces = std::iter::from_fn(move || {
            let (piece, after) = rest.split_at(sizes.next()?.min(rest.len()));
            rest = after;
            (!piece.is_empty()).then_some(piece)
        });
        let whole = framed([RECORDED].into_iter());
        prop_assert!(whole.1 && whole.0.contains(&Event::Usage(Usage::new(12, 4))));
        prop_assert_eq!(framed(pieces), whole);
    }

    #[test]
    fn no_object_is_too_odd(value in odd()) {
        let text = value.to_string();
        let chat = serde_json::from_str::<Chat>(&text);
        prop_assert_eq!(chat.is_ok(), value.is_object() || chat.is_ok() && value.is_array());
        if value.is_object() {
            prop_assert!(serde_json::from_str::<crate::wire::Generation>(&text).is_ok());
        }
        let _ = reader().frame(frame(&text), false);
        let _ = reader().whole(text.as_bytes());
    }

    #[test]
    fn garbage_is_an_error_and_no_panic(name in "[a-z]{0,5}", data in any::<String>(), body in any::<Vec<u8>>()) {
        let mut event = frame(&data);
        event.name = name;
        let _ = reader().frame(event, false);
        let _ = reader().whole(&body);
    }
}

//! What becomes of answers that are not as the interface promises.

use mellea_core::{Event, FinishReason};
use mellea_http::testing::Server;
use serde_json::json;

use super::super::super::testing::*;
use super::super::*;
use super::{new, old};

fn sse(events: &[Value]) -> Vec<u8> {
    events.iter().flat_map(|event| format!("data: {event}\n\n").into_bytes()).collect()
}

fn start(index: u64, block: &Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: u64, name: &str, text: &str) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": {name: text}})
}

fn stop(index: u64) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn finish(reason: &str) -> Value {
    json!({"type": "message_delta", "delta": {"stop_reason": reason}})
}

fn end() -> Value {
    json!({"type": "message_stop"})
}

#[test]
fn what_comes_twice_is_taken_once() {
    let whole = json!([{"type": "thinking", "thinking": "Hm, a question."}, {"type": "text", "text": "The answer is 42."}]);
    for (what, events) in [
        (
            "the first delta",
            vec![
                start(0, &json!({"type": "thinking", "thinking": "Hm, "})),
                delta(0, "thinking", "Hm, "),
                delta(0, "thinking", "a question."),
                stop(0),
                start(1, &json!({"type": "text", "text": "The "})),
                delta(1, "text", "The "),
                delta(1, "text", "answer is 42."),
                stop(1),
            ],
        ),
        (
            "the text at the end of its block",
            vec![
                start(0, &json!({"type": "thinking", "thinking": ""})),
                delta(0, "thinking", "Hm, "),
                delta(0, "thinking", "a question."),
                delta(0, "thinking", "Hm, a question."),
                stop(0),
                start(1, &json!({"type": "text", "text": ""})),
                delta(1, "text", "The "),
                delta(1, "text", "answer is 42."),
                delta(1, "text", "The answer is 42."),
                stop(1),
            ],
        ),
        (
            "the message at the end",
            vec![
                start(0, &json!({"type": "thinking", "thinking": "Hm, a question."})),
                stop(0),
                start(1, &json!({"type": "text", "text": "The "})),
                delta(1, "text", "answer is 42."),
                stop(1),
                json!({"type": "message_delta", "delta": {}, "message": {"content": whole}}),
            ],
        ),
        ("the message alone", vec![json!({"type": "message_delta", "delta": {}, "message": {"content": whole}})]),
    ] {
        let (events, error) = recorded_text(&[events, vec![finish("end_turn"), end()]].concat());
        let answer = folded(&events);
        assert_eq!((answer["text"].as_str(), error), (Some("The answer is 42."), None), "{what}");
        assert_eq!(answer["thinking"], "Hm, a question.", "{what}");
    }
}

fn recorded_text(events: &[Value]) -> (Vec<Event>, Option<String>) {
    recorded(&new(), false, &sse(events))
}

#[test]
fn calls_have_the_arguments_that_the_model_wrote() {
    let call = |input: Value| json!({"type": "tool_use", "id": "toolu_1", "name": "find", "input": input});
    let oslo = json!({"city": "Oslo"});
    for (what, events) in [
        (
            "pieces",
            vec![start(0, &call(json!({}))), delta(0, "partial_json", "{\"city\":"), delta(0, "partial_json", "\"Oslo\"}")],
        ),
        ("the start", vec![start(0, &call(oslo.clone()))]),
        ("both", vec![start(0, &call(oslo.clone())), delta(0, "partial_json", "{\"city\":\"Oslo\"}")]),
        (
            "a placeholder",
            vec![start(0, &call(json!({}))), delta(0, "partial_json", "{}"), delta(0, "partial_json", "{\"city\":\"Oslo\"}")],
        ),
        ("a text", vec![start(0, &call(json!("{\"city\":\"Oslo\"}")))]),
        (
            "the start twice",
            vec![start(0, &call(json!({}))), start(0, &call(json!({}))), delta(0, "partial_json", "{\"city\":\"Oslo\"}")],
        ),
    ] {
        let (events, error) = recorded_text(&[events, vec![stop(0), finish("tool_use"), end()]].concat());
        let calls = json!([{"id": "toolu_1", "name": "find", "arguments": oslo}]);
        assert_eq!((&folded(&events)["calls"], error), (&calls, None), "{what}");
    }
}

#[test]
fn a_hole_is_an_error_unless_leniency_is_asked_for() {
    let bytes = [
        sse(&[delta(0, "text", "Pay ")]),
        b"data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"100 dollars \n\n".to_vec(),
        sse(&[delta(0, "text", "to Ann"), finish("end_turn"), end()]),
    ]
    .concat();
    let (events, error) = decode(&new(), false, &[&bytes]);
    assert_eq!(text(&events), "Pay ");
    assert!(error.unwrap().contains("Malformed"));
    let (events, error) = decode_by(&new(), |rules| rules.skip_unreadable = true, &bytes);
    assert_eq!((text(&events).as_str(), error), ("Pay to Ann", None));
    assert!(notes(&events).contains("could not be read"), "{}", notes(&events));
}

#[test]
fn characters_in_halves_are_joined() {
    let bytes = br#"data: {"type":"content_block_delta","index":0,"delta":{"text":"Hi \ud83d"}}

data: {"type":"content_block_delta","index":0,"delta":{"text":"\ude00!"}}

"#;
    let bytes =
        [sse(&[start(0, &json!({"type": "text", "text": ""}))]), bytes.to_vec(), sse(&[finish("end_turn"), end()])].concat();
    let (events, error) = recorded(&new(), false, &bytes);
    assert_eq!((text(&events).as_str(), error), ("Hi \u{1f600}!", None));
}

#[test]
fn an_end_without_a_finish_is_told() {
    let text_block = [start(0, &json!({"type": "text", "text": ""})), delta(0, "text", "Hello")];
    let (events, error) = decode(&new(), false, &[&sse(&text_block), &sse(&[end()])]);
    assert_eq!((text(&events).as_str(), error), ("Hello", None));
    assert!(notes(&events).contains("complete"), "{}", notes(&events));
    let (events, error) = decode(&new(), false, &[&sse(&text_block), b"data: [DONE]\n\n"]);
    assert_eq!((text(&events).as_str(), error), ("Hello", None));
    let half = [start(0, &json!({"type": "tool_use", "id": "t", "name": "f", "input": {}})), delta(0, "partial_json", "{\"x\":")];
    let (events, error) = decode(&new(), false, &[&sse(&half), &sse(&[end()])]);
    assert!(error.unwrap().contains("Interrupted") && folded(&events)["calls"] == json!([]));
}

#[test]
fn reasons_to_stop() {
    for (word, expected) in [
        ("end_turn", Some(FinishReason::Stop)),
        ("stop_sequence", Some(FinishReason::Stop)),
        ("max_tokens", Some(FinishReason::Length)),
        ("MAX_TOKENS", Some(FinishReason::Length)),
        ("model_context_window_exceeded", Some(FinishReason::Length)),
        ("refusal", Some(FinishReason::ContentFilter)),
        ("pause_turn", Some(FinishReason::Other("pause_turn".to_owned()))),
        ("error", None),
        ("overloaded", None),
    ] {
        let (events, error) = recorded_text(&[delta(0, "text", "half"), finish(word), end()]);
        let whole_body = json!({"content": [{"type": "text", "text": "half"}], "stop_reason": word}).to_string();
        let (whole, whole_error) = whole(&new(), false, whole_body.as_bytes());
        for (events, error) in [(&events, &error), (&whole, &whole_error)] {
            let found = events.iter().find_map(|e| if let Event::Finish(reason) = e { Some(reason.clone()) } else { None });
            assert_eq!((text(events).as_str(), found.is_none()), ("half", error.is_some()), "{word}");
            assert_eq!(found, expected, "{word}");
        }
        assert_eq!(notes(&events).contains(word), word == "pause_turn", "{word}: {}", notes(&events));
    }
}

#[test]
fn zeros_at_the_end_are_no_figures() {
    let begins = json!({"type": "message_start", "message": {"usage": {"input_tokens": 12, "cache_read_input_tokens": 30, "output_tokens": 1}}});
    let usage = |output: u64| json!({"type": "message_delta", "delta": {}, "usage": {"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": output}});
    let (events, _) = recorded_text(&[begins, delta(0, "text", "a"), usage(9), finish("end_turn"), usage(0), end()]);
    assert_eq!(folded(&events)["usage"], json!({"prompt_tokens": 42, "completion_tokens": 9, "cached_tokens": 30}));
}

#[test]
fn errors_in_a_success_are_errors() {
    for body in [
        json!({"error": {"message": "full", "code": 400}}),
        json!({"success": false, "message": "full"}),
        json!({"code": 1261, "msg": "full"}),
        json!({"detail": "full"}),
        json!({"base_resp": {"status_code": 1004, "status_msg": "full"}}),
    ] {
        let (_, error) = whole(&new(), false, body.to_string().as_bytes());
        assert!(error.as_ref().is_some_and(|e| e.contains("Refused") && e.contains("full")), "{body}: {error:?}");
        let (events, error) = decode(&new(), false, &[&sse(&[delta(0, "text", "Once"), body.clone()])]);
        assert!(error.as_ref().is_some_and(|e| e.contains("Refused") && e.contains("full")), "{body}: {error:?}");
        assert_eq!(text(&events), "Once");
    }
    let (events, error) =
        decode(&new(), false, &[&sse(&[delta(0, "text", "Once")]), b"error: {\"code\":500,\"message\":\"broke\"}\n\n"]);
    assert!(error.unwrap().contains("broke") && text(&events) == "Once");
    // After the finish, the answer is complete.
    let late = json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}});
    let (events, error) = decode(&new(), false, &[&sse(&[delta(0, "text", "Once"), finish("end_turn"), late])]);
    assert_eq!((text(&events).as_str(), error), ("Once", None));
    assert!(notes(&events).contains("busy"));
}

#[test]
fn a_call_that_is_told_as_text_is_a_call() {
    let told = r#"<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>"#;
    let bytes = sse(&[delta(0, "text", told), finish("end_turn"), end()]);
    let request = ask("hi").tools(vec![weather()]);
    let client = mellea_http::Client::builder("anthropic", "http://localhost:1").build().unwrap();
    let rules = client.rules(&request);
    let (events, _) = decode_by(&new(), |given| *given = rules, &bytes);
    assert_eq!(folded(&events)["calls"][0]["arguments"], json!({"city": "Oslo"}));
    assert!(notes(&events).contains("weather"));
    // Who may not call a tool has not called one.
    let none = with_options("hi", |o| o.tool_choice = Some(mellea_core::ToolChoice::None)).tools(vec![weather()]);
    let rules = client.rules(&none);
    assert_eq!(text(&decode_by(&new(), |given| *given = rules, &bytes).0), told);
}

#[test]
fn ids_of_other_providers_are_brought_into_form() {
    let (sent, _) = body(&old(), &with_foreign_call());
    let id = sent["messages"][1]["content"][0]["id"].as_str().unwrap().to_owned();
    assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') && id.len() <= 64, "{id}");
    assert_eq!(sent["messages"][2]["content"][0]["tool_use_id"], id.as_str());
    assert_eq!((&sent["messages"][1]["content"][0]["name"], &sent["tools"][0]["name"]), (&"find_it".into(), &"find_it".into()));
    // The conversation goes on, and the id stays.
    let mut longer = with_foreign_call();
    longer.messages.push(mellea_core::Message::assistant("Here."));
    longer.messages.push(mellea_core::Message::user("And then?"));
    assert_eq!(body(&old(), &longer).0["messages"][1]["content"][0]["id"], id.as_str());
}

#[test]
fn there_is_one_system_message_or_none() {
    let mut request = ask("hi");
    request.messages.insert(0, mellea_core::Message::system("Be brief."));
    request.messages.insert(1, mellea_core::Message::system(""));
    request.messages.push(mellea_core::Message::assistant("Hello."));
    request.messages.push(mellea_core::Message::system("Be kind."));
    request.messages.push(mellea_core::Message::user("And?"));
    assert_eq!(body(&new(), &request).0["system"], "Be brief.\n\nBe kind.");
    let mut request = ask("hi");
    request.messages.insert(0, mellea_core::Message::system(""));
    assert_eq!(body(&new(), &request).0.get("system"), None);
}

#[test]
fn of_temperature_and_top_p_some_models_take_one() {
    for (model, both) in [
        ("claude-3-5-haiku-20241022", true),
        ("claude-sonnet-4-20250514", true),
        ("claude-opus-4-1-20250805", false),
        ("claude-sonnet-4-5", false),
        ("claude-haiku-4-5-20251001", false),
        ("claude-opus-4-6", false),
    ] {
        let mut request = with_options("hi", |o| o.temperature = Some(0.2));
        request.options.extra.insert("top_p".to_owned(), 0.9.into());
        let (sent, warnings) = body(&super::wire(model), &request);
        assert_eq!((&sent["temperature"], sent.get("top_p").is_some()), (&json!(0.2), both), "{model}");
        assert_eq!(warnings.iter().any(|warning| warning.contains("top_p")), !both, "{model}: {warnings:?}");
        request.options.temperature = None;
        let (sent, warnings) = body(&super::wire(model), &request);
        assert_eq!((&sent["top_p"], warnings.len()), (&json!(0.9), 0), "{model}");
    }
}

#[tokio::test]
async fn a_finished_answer_is_handed_over_though_the_connection_stays_open() {
    for ends in [true, false] {
        let server = Server::start().await.unwrap();
        let backend = backend(settings("anthropic", "claude-opus-4-5", &server.url())).unwrap();
        let mut events = vec![sse(&[delta(0, "text", "Hello")]), sse(&[finish("end_turn")])];
        if ends {
            events.push(sse(&[end()]));
        }
        assert_eq!(is_handed_over(&*backend, &server, events).await, "Hello");
    }
}

#[tokio::test]
async fn a_stream_is_read_as_what_it_is() {
    let server = Server::start().await.unwrap();
    let backend = backend(settings("anthropic", "claude-opus-4-5", &server.url())).unwrap();
    let stream = sse(&[delta(0, "text", "Hello"), finish("end_turn"), end()]);
    let whole = json!({"content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn"}).to_string().into_bytes();
    for (body, kind) in
        [(&whole, "text/event-stream"), (&whole, "text/plain"), (&stream, "application/json"), (&stream, "text/plain")]
    {
        for asked in [true, false] {
            let reply = mellea_http::testing::Reply::bytes(200, body.clone(), kind);
            server.handle(move |_| reply.clone());
            let got = events(&*backend, with_options("hi", |o| o.stream = asked)).await.unwrap();
            assert_eq!(text(&got), "Hello", "{kind} {asked}");
        }
    }
}

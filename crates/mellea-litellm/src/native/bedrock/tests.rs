//! The Converse wire: requests as they are sent, recorded answers, a simulated service.

mod service;

use insta::assert_json_snapshot;
use mellea_core::{Audio, Content, ErrorKind, Event, Image, Message, Thinking, ToolCall, ToolChoice};
use proptest::prelude::*;
use serde_json::json;

use super::super::testing::*;
use super::frames::tests::{event, write};
use super::*;

fn wire(model: &str) -> Converse {
    Converse { provider: "bedrock".to_owned(), model: model.to_owned() }
}

fn claude() -> Converse {
    wire("us.anthropic.claude-sonnet-4-5-20250929-v1:0")
}

fn nova() -> Converse {
    wire("amazon.nova-pro-v1:0")
}

fn conversation() -> ChatRequest {
    let calls = vec![
        ToolCall::with_id("tooluse_01", "weather", json!({"city": "Paris"})),
        ToolCall::with_id("tooluse_02", "weather", json!({"city": "Rome"})),
    ];
    let mut asks = Message::assistant("I look it up.");
    asks.tool_calls = calls.clone();
    ChatRequest::new(vec![
        Message::system("Be brief."),
        Message::system(Content::cached("A long handbook.")),
        Message::user("Weather?").content(Image::from_base64(PIXEL).unwrap()),
        asks,
        Message::tool(&calls[0], "sunny"),
        Message::tool(&calls[1], Content::cached("")),
    ])
    .tools(vec![weather()])
}

/// A stream of events, ending with the tokens used.
fn stream(events: &[(&str, Value)]) -> Vec<u8> {
    events.iter().flat_map(|(name, payload)| event(name, payload)).collect()
}

fn usage() -> (&'static str, Value) {
    let usage =
        json!({"inputTokens": 12, "outputTokens": 9, "totalTokens": 61, "cacheReadInputTokens": 30, "cacheWriteInputTokens": 10});
    ("metadata", json!({"usage": usage, "metrics": {"latencyMs": 551}, "p": "abcdefgh"}))
}

#[expect(clippy::needless_pass_by_value, reason = "made for the call")]
fn delta(index: u64, delta: Value) -> (&'static str, Value) {
    ("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta, "p": "abc"}))
}

fn stop_block(index: u64) -> (&'static str, Value) {
    ("contentBlockStop", json!({"contentBlockIndex": index}))
}

fn stop(reason: &str) -> (&'static str, Value) {
    ("messageStop", json!({"stopReason": reason}))
}

fn call(index: u64, id: &str, name: &str) -> (&'static str, Value) {
    ("contentBlockStart", json!({"contentBlockIndex": index, "start": {"toolUse": {"toolUseId": id, "name": name}}}))
}

fn text_stream() -> Vec<u8> {
    stream(&[
        ("messageStart", json!({"role": "assistant"})),
        delta(0, json!({"text": "Grüße, "})),
        delta(0, json!({"text": "世界 🌍!"})),
        stop_block(0),
        stop("end_turn"),
        usage(),
    ])
}

fn tool_stream() -> Vec<u8> {
    stream(&[
        ("messageStart", json!({"role": "assistant"})),
        delta(0, json!({"reasoningContent": {"text": "Two cities, "}})),
        delta(0, json!({"reasoningContent": {"text": "two calls."}})),
        delta(0, json!({"reasoningContent": {"signature": "EqQBCgIYAhIM"}})),
        stop_block(0),
        delta(1, json!({"reasoningContent": {"redactedContent": "YWJj"}})),
        stop_block(1),
        delta(2, json!({"text": "I look it up."})),
        stop_block(2),
        call(3, "tooluse_01", "weather"),
        delta(3, json!({"toolUse": {"input": "{\"city\": \"Pa"}})),
        delta(3, json!({"toolUse": {"input": "ris\"}"}})),
        stop_block(3),
        call(4, "tooluse_02", "weather"),
        delta(4, json!({"toolUse": {"input": "{\"city\": \"Rome\"}"}})),
        stop_block(4),
        stop("tool_use"),
        usage(),
    ])
}

fn tool_body() -> Value {
    json!({
        "output": {"message": {"role": "assistant", "content": [
            {"reasoningContent": {"reasoningText": {"text": "Two cities, two calls.", "signature": "EqQBCgIYAhIM"}}},
            {"reasoningContent": {"redactedContent": "YWJj"}},
            {"text": "I look it up."},
            {"toolUse": {"toolUseId": "tooluse_01", "name": "weather", "input": {"city": "Paris"}}},
            {"toolUse": {"toolUseId": "tooluse_02", "name": "weather", "input": {"city": "Rome"}}},
        ]}},
        "stopReason": "tool_use",
        "usage": usage().1["usage"],
        "metrics": {"latencyMs": 1},
    })
}

#[test]
fn requests() {
    assert_json_snapshot!("the_least_request", body(&nova(), &ask("hi")).0);
    assert_json_snapshot!("a_tool_loop", body(&claude(), &conversation()).0);
    let mut request = conversation();
    request.options.temperature = Some(0.5);
    request.options.max_new_tokens = Some(300);
    request.options.seed = Some(7);
    request.options.stop_sequences = vec!["END".into()];
    request.options.tool_choice = Some(ToolChoice::Tool("weather".into()));
    request.options.extra = json!({
        "top_p": 0.9, "top_k": 4, "guardrail_config": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
        "additional_model_request_fields": {"x": 1}, "additional_model_response_field_paths": ["/y"],
    })
    .as_object()
    .unwrap()
    .clone();
    let (mut sent, warnings) = body(&claude(), &request);
    sent.as_object_mut().unwrap().retain(|name, _| name != "messages" && name != "system");
    assert_json_snapshot!("all_options", sent);
    assert_eq!(
        warnings,
        [
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0 takes either `temperature` or `top_p`; `top_p` was left out",
            "bedrock has no option `seed`; it was left out"
        ]
    );
}

#[test]
fn structured_output_by_each_means() {
    let (sent, _) = body(&claude(), &json_format("Who?", person()));
    assert_json_snapshot!("structured_output", sent["outputConfig"]);
    let (sent, warnings) = body(&nova(), &json_format("Who?", person()));
    assert_eq!(sent["toolConfig"]["toolChoice"], json!({"tool": {"name": "json_tool_call"}}));
    assert!(warnings[0].contains("json_tool_call"), "{warnings:?}");
    let (sent, _) = body(&nova(), &json_format("Who?", person()).tools(vec![weather()]));
    assert_eq!(sent["toolConfig"]["toolChoice"], json!({"any": {}}));
    let mut thinks = json_format("Who?", person());
    thinks.options.thinking = Some(Thinking::On);
    let (sent, _) = body(&wire("anthropic.claude-3-7-sonnet-20250219-v1:0"), &thinks);
    assert_eq!(sent["toolConfig"]["toolChoice"], json!({"auto": {}}));
    let mut forced = json_format("Who?", person());
    forced.options.extra.insert("structured_output".into(), "native".into());
    assert!(body(&nova(), &forced).0["outputConfig"].is_object());
    assert!(wire("openai.gpt-oss-120b-1:0").capabilities().json_schema && !nova().capabilities().json_schema);
}

#[test]
fn thinking_by_maker() {
    for (model, wish, fields, effort, max, warnings) in [
        (
            "anthropic.claude-3-7-sonnet-20250219-v1:0",
            Thinking::Low,
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
            Value::Null,
            json!(64_000),
            0,
        ),
        (
            "global.anthropic.claude-opus-4-6-v1",
            Thinking::High,
            json!({"thinking": {"type": "adaptive"}}),
            json!("high"),
            json!(64_000),
            0,
        ),
        ("openai.gpt-oss-120b-1:0", Thinking::High, json!({"reasoning_effort": "high"}), Value::Null, Value::Null, 0),
        ("openai.gpt-oss-120b-1:0", Thinking::Off, json!({"reasoning_effort": "low"}), Value::Null, Value::Null, 1),
        (
            "us.amazon.nova-2-lite-v1:0",
            Thinking::Low,
            json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
            Value::Null,
            Value::Null,
            0,
        ),
        ("meta.llama3-1-70b-instruct-v1:0", Thinking::On, Value::Null, Value::Null, Value::Null, 1),
    ] {
        let (sent, said) = body(&wire(model), &with_options("hi", |o| o.thinking = Some(wish)));
        assert_eq!(sent["additionalModelRequestFields"], fields, "{model}");
        assert_eq!(
            (&sent["outputConfig"]["effort"], &sent["inferenceConfig"]["maxTokens"], said.len()),
            (&effort, &max, warnings),
            "{model}"
        );
    }
}

#[test]
fn reasoning_comes_back_as_it_was() {
    let (events, _) = decode(&claude(), false, &[&tool_stream()]);
    let replay = events.iter().find_map(|event| if let Event::Replay(value) = event { Some(value.clone()) } else { None });
    let mut request = conversation();
    request.messages[3].replay = replay.map(Into::into);
    assert_json_snapshot!("replay", body(&claude(), &request).0["messages"][1]["content"]);
    request.messages[3].tool_calls.pop();
    let (sent, _) = body(&claude(), &request);
    assert_eq!(sent["messages"][1]["content"].as_array().unwrap().len(), 4);
}

#[test]
fn tools_of_earlier_turns_stay_known() {
    let mut request = conversation();
    request.tools.clear();
    assert_eq!(body(&claude(), &request).0["toolConfig"]["tools"][0]["toolSpec"]["name"], "weather");
    // The wire cannot forbid calls; without earlier ones the tools are left out.
    let mut request = conversation();
    request.options.tool_choice = Some(ToolChoice::None);
    let (sent, warnings) = body(&claude(), &request);
    assert!(sent["toolConfig"]["tools"].is_array() && warnings.len() == 1, "{warnings:?}");
    let request = with_options("hi", |o| o.tool_choice = Some(ToolChoice::None)).tools(vec![weather()]);
    let (sent, warnings) = body(&claude(), &request);
    assert!(sent.get("toolConfig").is_none() && warnings.is_empty());
}

#[test]
fn points_for_the_cache_are_at_most_four() {
    let mut request = ask("q");
    request.messages.insert(0, Message::system(Content::cached("s")));
    for n in 0..5 {
        request.messages.push(Message::user(Content::cached(format!("{n}"))));
    }
    let (sent, _) = body(&claude(), &request);
    assert_eq!(sent.to_string().matches("cachePoint").count(), 4);
    assert_eq!(sent["messages"][0]["content"].as_array().unwrap().last().unwrap(), &json!({"cachePoint": {"type": "default"}}));
}

#[test]
fn media_have_their_formats() {
    let audio = Audio::from_base64("UklGRg==", Some("wav")).unwrap();
    let request = ChatRequest::new(vec![Message::user("x").content(audio)]);
    let (sent, _) = body(&nova(), &request);
    assert_eq!(sent["messages"][0]["content"][1], json!({"audio": {"format": "wav", "source": {"bytes": "UklGRg=="}}}));
    let request = ChatRequest::new(vec![Message::user(Image::from_url("https://example.org/a.png").unwrap())]);
    let mut plan = nova().plan(&request, Map::new()).unwrap();
    assert!(matches!(nova().fill(&request, &mut plan).unwrap_err().kind(), ErrorKind::Unsupported { .. }));
}

#[test]
fn every_option_is_sent_or_named() {
    option_contract(&claude(), claude().synonyms());
    option_contract(&nova(), nova().synonyms());
    option_contract(&wire("anthropic.claude-opus-4-7"), nova().synonyms());
}

#[test]
fn a_stream_of_text() {
    let (events, error) = recorded(&nova(), false, &text_stream());
    assert_eq!((text(&events).as_str(), error), ("Grüße, 世界 🌍!", None));
    assert_json_snapshot!("text", folded(&events));
}

#[test]
fn a_stream_of_thoughts_and_calls_equals_the_whole() {
    let (streamed, _) = recorded(&claude(), false, &tool_stream());
    let (whole, _) = whole(&claude(), false, tool_body().to_string().as_bytes());
    assert_json_snapshot!("tools", folded(&streamed));
    assert_eq!(folded(&streamed), folded(&whole));
}

#[test]
fn an_answer_by_tool_is_unwrapped() {
    let events = [
        delta(0, json!({"text": "Here."})),
        stop_block(0),
        call(1, "t", "json_tool_call"),
        delta(1, json!({"toolUse": {"input": "{\"name\": \"Ada\""}})),
        delta(1, json!({"toolUse": {"input": ", \"age\": 36}"}})),
        stop_block(1),
        stop("tool_use"),
        usage(),
    ];
    let (events, _) = recorded(&nova(), true, &stream(&events));
    let answer = folded(&events);
    assert_eq!((answer["text"].as_str(), &answer["rest"]["finish"]), (Some(r#"{"name": "Ada", "age": 36}"#), &"stop".into()));
    let body = json!({"output": {"message": {"content": [{"toolUse": {"toolUseId": "t", "name": "json_tool_call", "input": {"name": "Ada", "age": 36}}}]}}, "stopReason": "tool_use"});
    let (events, _) = whole(&nova(), true, body.to_string().as_bytes());
    assert_eq!(
        (text(&events).as_str(), folded(&events)["rest"]["finish"].as_str()),
        (r#"{"name":"Ada","age":36}"#, Some("stop"))
    );
}

#[test]
fn reasons_to_stop() {
    for (reason, expected) in [
        ("end_turn", json!("stop")),
        ("stop_sequence", json!("stop")),
        ("max_tokens", json!("length")),
        ("model_context_window_exceeded", json!("length")),
        // What counts is whether there was a call.
        ("tool_use", json!("stop")),
        ("guardrail_intervened", json!("content_filter")),
        ("content_filtered", json!("content_filter")),
        ("something_new", json!({"other": "something_new"})),
    ] {
        let (events, _) = decode(&nova(), false, &[&stream(&[delta(0, json!({"text": "a"})), stop(reason), usage()])]);
        assert_eq!(folded(&events)["rest"]["finish"], expected, "{reason}");
        assert_eq!(notes(&events).contains(reason), reason == "something_new", "{reason}: {}", notes(&events));
    }
    for (reason, fault) in [("malformed_tool_use", "Broken"), ("malformed_model_output", "Broken"), ("error", "Refused")] {
        let (events, error) = recorded(&nova(), false, &stream(&[delta(0, json!({"text": "half"})), stop(reason), usage()]));
        assert!(text(&events) == "half" && error.as_ref().is_some_and(|e| e.contains(fault)), "{reason}: {error:?}");
        let body = json!({"output": {"message": {"content": [{"text": "half"}]}}, "stopReason": reason}).to_string();
        let (events, error) = whole(&nova(), false, body.as_bytes());
        assert!(text(&events) == "half" && error.as_ref().is_some_and(|e| e.contains(fault)), "{reason}: {error:?}");
    }
}

#[test]
fn what_comes_twice_is_taken_once() {
    let events = [
        delta(0, json!({"text": "The answer "})),
        delta(0, json!({"text": "is 42."})),
        delta(0, json!({"text": "The answer is 42."})),
        stop_block(0),
        call(1, "t", "weather"),
        delta(1, json!({"toolUse": {"input": "{}"}})),
        delta(1, json!({"toolUse": {"input": "{\"city\": \"Oslo\"}"}})),
        stop_block(1),
        stop("tool_use"),
        usage(),
    ];
    let answer = folded(&recorded(&nova(), false, &stream(&events)).0);
    assert_eq!((&answer["text"], &answer["calls"][0]["arguments"]), (&json!("The answer is 42."), &json!({"city": "Oslo"})));
}

#[test]
fn ids_of_other_providers_are_brought_into_form() {
    let (sent, _) = body(&claude(), &with_foreign_call());
    let id = sent["messages"][1]["content"][0]["toolUse"]["toolUseId"].as_str().unwrap();
    assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') && id.len() <= 64, "{id}");
    assert_eq!(sent["messages"][2]["content"][0]["toolResult"]["toolUseId"], id);
    assert_eq!(sent["messages"][1]["content"][0]["toolUse"]["name"], sent["toolConfig"]["tools"][0]["toolSpec"]["name"]);
}

#[test]
fn a_system_message_without_text_is_none() {
    let mut request = ask("hi");
    request.messages.insert(0, Message::system(""));
    assert_eq!(body(&nova(), &request).0.get("system"), None);
}

#[test]
fn a_model_that_takes_either_gets_the_temperature() {
    for name in ["top_p", "topP"] {
        for (wire, both) in [(claude(), false), (wire("anthropic.claude-opus-4-20250514-v1:0"), true), (nova(), true)] {
            let mut request = with_options("hi", |o| o.temperature = Some(0.2));
            request.options.extra.insert(name.to_owned(), 0.9.into());
            let (sent, warnings) = body(&wire, &request);
            let config = &sent["inferenceConfig"];
            assert_eq!((&config["temperature"], config.get("topP").is_some()), (&json!(0.2), both), "{}", wire.model);
            assert_eq!(warnings.iter().any(|warning| warning.contains("top_p")), !both, "{warnings:?}");
        }
    }
}

#[test]
fn streams_that_go_wrong() {
    let begun = stream(&[delta(0, json!({"text": "Once upon"}))]);
    for (name, payload, word) in [
        ("throttlingException", json!({"message": "slow down"}), "throttlingException"),
        ("modelStreamErrorException", json!({"message": "m", "originalStatusCode": 500, "originalMessage": "boom"}), "500"),
        ("modelStreamErrorException", json!({"message": "m"}), "424"),
        ("validationException", json!({"message": "Input is too long for requested model."}), "too long"),
    ] {
        let headers = [(":exception-type", name), (":content-type", "application/json"), (":message-type", "exception")];
        let bytes = [begun.clone(), write(&headers, payload.to_string().as_bytes())].concat();
        let (events, error) = recorded(&nova(), false, &bytes);
        assert_eq!(text(&events), "Once upon");
        assert!(error.unwrap().contains(word), "{name}");
    }
    let headers = [(":message-type", "error"), (":error-code", "InternalFailure"), (":error-message", "broken")];
    let (_, error) = recorded(&nova(), false, &[begun, write(&headers, b"")].concat());
    let error = error.unwrap();
    assert!(error.contains("InternalFailure") && error.contains("broken"), "{error}");
    // An event that cannot be read is a hole in the answer.
    let bytes = [write(&[(":event-type", "contentBlockDelta"), (":message-type", "event")], b"{"), text_stream()].concat();
    let (_, error) = recorded(&nova(), false, &bytes);
    assert!(error.unwrap().contains("Malformed"));
    let (events, _) = decode_by(&nova(), |rules| rules.skip_unreadable = true, &bytes);
    assert!(notes(&events).contains("could not be read"), "{}", notes(&events));
    // Halves of a character.
    let half = |text: &str| {
        let payload = format!(r#"{{"contentBlockIndex":0,"delta":{{"text":"{text}"}}}}"#);
        write(&[(":event-type", "contentBlockDelta"), (":message-type", "event")], payload.as_bytes())
    };
    let bytes = [half(r"Hi \ud83d"), half(r"\ude00"), stream(&[stop("end_turn"), usage()])].concat();
    assert_eq!(text(&recorded(&nova(), false, &bytes).0), "Hi \u{1f600}");
    // The front door's errors.
    let (_, error) =
        whole(&nova(), false, br#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}"#);
    assert!(error.unwrap().contains("UnknownOperation"));
}

#[test]
fn odd_answers() {
    for (body, expected) in [
        (r#"{"output":{"message":{"content":[{"text":"a"}]}}}"#, Ok("a")),
        (r#"{"output":{"message":{"content":[5,{"new":{}},{"text":"a"}]}},"usage":[],"stopReason":1}"#, Ok("a")),
        (r#"{"output":{"message":{"content":[{"toolUse":{}}]}}}"#, Ok("")),
        (r#"{"output":{}}"#, Err("content")),
        ("{}", Err("content")),
        ("[1]", Err("Malformed")),
        ("", Err("Malformed")),
    ] {
        let (events, error) = whole(&nova(), false, body.as_bytes());
        match expected {
            Ok(expected) => assert_eq!((text(&events).as_str(), error), (expected, None), "{body}"),
            Err(word) => assert!(error.as_ref().is_some_and(|e| e.contains(word)), "{body}: {error:?}"),
        }
    }
}

proptest! {
    #[test]
    fn any_cut_reads_the_same(cuts in prop::collection::vec(0_usize..8000, 0..5), at in 0_usize..8000, byte: u8, json_tool: bool) {
        let mut bytes = tool_stream();
        same_in_any_cut(&nova(), json_tool, &bytes, &cuts);
        let at = at % bytes.len();
        bytes[at] = byte;
        same_in_any_cut(&nova(), json_tool, &bytes, &cuts);
    }

    #[test]
    fn no_bytes_break_the_decoder(bytes in prop::collection::vec(any::<u8>(), 0..200), name in "[a-zA-Z]{0,12}|contentBlock(Start|Delta|Stop)|messageStop|metadata", json_tool: bool) {
        decode(&nova(), json_tool, &[&bytes]);
        decode(&nova(), json_tool, &[&write(&[(":event-type", &name), (":message-type", "event")], &bytes)]);
        whole(&nova(), json_tool, &bytes);
    }

    #[test]
    fn no_json_breaks_the_decoder(at in 0_usize..3000, byte: u8) {
        let mut bytes = tool_body().to_string().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        whole(&nova(), true, &bytes);
    }
}

//! The Messages wire: requests as they are sent, recorded answers, a simulated service.

pub(in super::super) mod service;

use insta::assert_json_snapshot;
use mellea_core::{Content, ErrorKind, FinishReason, Image, RequestOptions, ToolCall, Warning};
use proptest::prelude::*;

use super::super::testing::*;
use super::*;

fn wire(model: &str) -> Messages {
    Messages { provider: "anthropic".to_owned(), model: model.to_owned(), version: VERSION.to_owned(), host: Host::Anthropic }
}

fn old() -> Messages {
    wire("claude-3-5-haiku-20241022")
}

fn new() -> Messages {
    wire("claude-opus-4-7")
}

/// The conversation of a tool loop, with documents for the cache.
fn conversation() -> ChatRequest {
    let calls = vec![
        ToolCall::with_id("toolu_01", "weather", serde_json::json!({"city": "Paris"})),
        ToolCall::with_id("toolu_02", "weather", serde_json::json!({"city": "Rome"})),
    ];
    let mut asks = mellea_core::Message::assistant("I look it up.");
    asks.tool_calls = calls.clone();
    ChatRequest::new(vec![
        mellea_core::Message::system("Be brief."),
        mellea_core::Message::system(Content::cached("A long handbook.")),
        mellea_core::Message::user("Weather?")
            .content(Image::from_base64(PIXEL).unwrap())
            .content(Image::from_url("https://example.org/a.png").unwrap()),
        asks,
        mellea_core::Message::tool(&calls[0], "sunny"),
        mellea_core::Message::tool(&calls[1], ""),
        mellea_core::Message::user("And now?"),
    ])
    .tools(vec![weather()])
}

#[test]
fn the_least_request() {
    assert_json_snapshot!(body(&old(), &ask("hi")).0);
}

#[test]
fn a_tool_loop() {
    assert_json_snapshot!(body(&old(), &conversation()).0);
}

#[test]
fn all_options() {
    let mut request = conversation();
    request.options.temperature = Some(0.5);
    request.options.max_new_tokens = Some(3000);
    request.options.stop_sequences = vec!["END".into(), "\n".into()];
    request.options.stream = true;
    request.options.seed = Some(1);
    request.options.tool_choice = Some(mellea_core::ToolChoice::Tool("weather".into()));
    request.options.extra = serde_json::json!({
        "top_p": 0.9, "user": "u1", "parallel_tool_calls": false, "betas": ["a-1", "b-2"], "service_tier": "auto",
    })
    .as_object()
    .unwrap()
    .clone();
    let (mut body, warnings) = body(&old(), &request);
    body.as_object_mut().unwrap().retain(|name, _| name != "messages" && name != "system");
    assert_json_snapshot!(body);
    assert_eq!(
        warnings,
        [
            "anthropic does not stop at white space alone; such stop sequences were left out",
            "anthropic has no option `seed`; it was left out"
        ]
    );
}

#[test]
fn structured_output_by_each_means() {
    let (native, warnings) = body(&new(), &json_format("Who?", person()));
    assert_json_snapshot!(native["output_config"]);
    assert_eq!(warnings, ["the schema was not enforced while generating: anthropic does not enforce `maximum`, `minimum`"]);
    let (tool, warnings) = body(&old(), &json_format("Who?", person()));
    assert_json_snapshot!(serde_json::json!({"tools": tool["tools"], "tool_choice": tool["tool_choice"]}));
    assert!(warnings[0].contains("json_tool_call"), "{warnings:?}");
    assert!(!old().capabilities().json_schema && new().capabilities().json_schema);
    // A model that thinks refuses to be forced.
    let mut thinks = json_format("Who?", person());
    thinks.options.thinking = Some(mellea_core::Thinking::On);
    assert_eq!(body(&old(), &thinks).0["tool_choice"], serde_json::json!({"type": "auto"}));
    // Real tools stay callable.
    let (both, _) = body(&old(), &json_format("Who?", person()).tools(vec![weather()]));
    assert_eq!((both["tools"].as_array().unwrap().len(), &both["tool_choice"]["type"]), (2, &"any".into()));
}

#[test]
fn thinking_in_each_generation() {
    let of = |wire: &Messages, change: fn(&mut RequestOptions)| {
        let (body, warnings) = body(wire, &with_options("hi", change));
        (body["thinking"].clone(), body["output_config"].clone(), body["max_tokens"].clone(), warnings.len())
    };
    use mellea_core::Thinking;
    use serde_json::{Value::Null, json};
    let adaptive = json!({"type": "adaptive", "display": "summarized"});
    let budget = |tokens: u64| json!({"type": "enabled", "budget_tokens": tokens});
    for (wire, change, expected) in [
        (old(), (|o| o.thinking = Some(Thinking::Low)) as fn(&mut RequestOptions), (budget(1024), Null, json!(8192), 0)),
        (old(), |o| o.thinking = Some(Thinking::High), (budget(4096), Null, json!(8192), 0)),
        (old(), |o| (o.thinking, o.max_new_tokens) = (Some(Thinking::On), Some(1500)), (budget(1499), Null, json!(1500), 0)),
        (old(), |o| (o.thinking, o.max_new_tokens) = (Some(Thinking::On), Some(100)), (Null, Null, json!(100), 1)),
        (old(), |o| (o.thinking, o.temperature) = (Some(Thinking::On), Some(0.5)), (budget(2048), Null, json!(8192), 1)),
        (old(), |o| o.thinking = Some(Thinking::Off), (json!({"type": "disabled"}), Null, json!(8192), 0)),
        (new(), |o| o.thinking = Some(Thinking::On), (adaptive.clone(), Null, json!(64_000), 0)),
        (new(), |o| o.thinking = Some(Thinking::High), (adaptive, json!({"effort": "high"}), json!(64_000), 0)),
        (new(), |o| o.temperature = Some(0.0), (Null, Null, json!(64_000), 1)),
        (new(), |o| o.temperature = Some(1.0), (Null, Null, json!(64_000), 0)),
    ] {
        assert_eq!(of(&wire, change), expected);
    }
    let (body, warnings) = body(&old(), &with_options("hi", |o| o.temperature = Some(1.7)));
    assert_eq!((&body["temperature"], warnings.len()), (&json!(1.0), 1));
}

#[test]
fn newer_versions_of_the_interface_take_no_sampling_options() {
    let mut wire = old();
    wire.version = "2026-10-21".to_owned();
    let (sent, warnings) = body(&wire, &with_options("hi", |o| o.temperature = Some(0.5)));
    assert!(sent.get("temperature").is_none() && warnings.len() == 1, "{warnings:?}");
}

#[test]
fn signatures_come_back_as_they_were() {
    let (events, _) = decode(&new(), false, &[&corpus("anthropic/tools.sse")]);
    let replay =
        events.iter().find_map(|event| if let mellea_core::Event::Replay(value) = event { Some(value.clone()) } else { None });
    let mut request = conversation();
    request.messages[3].replay = replay.map(Into::into);
    let (sent, _) = body(&new(), &request);
    assert_json_snapshot!(sent["messages"][1]["content"]);
    // A turn that was changed keeps the thoughts and takes the new calls.
    request.messages[3].tool_calls.pop();
    let (sent, _) = body(&new(), &request);
    let kinds: Vec<_> =
        sent["messages"][1]["content"].as_array().unwrap().iter().map(|b| b["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["thinking", "redacted_thinking", "text", "tool_use"]);
}

#[test]
fn marks_for_the_cache_are_at_most_four() {
    let mut request = ask("q");
    request.messages.insert(0, mellea_core::Message::system(Content::cached("s")));
    let call = ToolCall::with_id("1", "f", serde_json::json!({}));
    request.messages.push(mellea_core::Message::assistant("a"));
    request.messages.push(mellea_core::Message::tool(&call, Content::cached("r")));
    for n in 0..5 {
        request.messages.push(mellea_core::Message::user(Content::cached(format!("{n}"))));
    }
    let sent = body(&old(), &request).0.to_string();
    assert_eq!(sent.matches("cache_control").count(), 4);
    assert!(sent.contains(r#"{"type":"text","text":"4","cache_control":{"type":"ephemeral"}}"#), "{sent}");
}

#[test]
fn what_the_wire_cannot_carry_is_refused() {
    let audio = mellea_core::Audio::from_base64("data:audio/wav;base64,UklGRg==", None).unwrap();
    let request = ChatRequest::new(vec![mellea_core::Message::user("x").content(audio)]);
    let mut plan = old().plan(&request, Map::new()).unwrap();
    let error = old().fill(&request, &mut plan).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unsupported { .. }), "{error}");
}

#[test]
fn every_option_is_sent_or_named() {
    option_contract(&old(), old().synonyms());
    option_contract(&new(), new().synonyms());
}

#[test]
fn calls_of_earlier_turns_are_of_known_tools() {
    let mut request = conversation();
    request.tools.clear();
    let (sent, _) = body(&old(), &request);
    assert_eq!((&sent["tools"][0]["name"], &sent["tool_choice"]["type"]), (&"weather".into(), &"none".into()));
}

#[test]
fn a_stream_of_text() {
    let (events, error) = recorded(&new(), false, &corpus("anthropic/text.sse"));
    assert_eq!((text(&events).as_str(), error), ("Grüße, 世界 🌍!", None));
    assert_json_snapshot!(folded(&events));
}

#[test]
fn a_stream_of_thoughts_and_calls_equals_the_whole() {
    let (streamed, _) = recorded(&new(), false, &corpus("anthropic/tools.sse"));
    let (whole, _) = whole(&new(), false, &corpus("anthropic/tools.json"));
    let (mut one, mut other) = (folded(&streamed), folded(&whole));
    assert_json_snapshot!(one);
    for answer in [&mut one, &mut other] {
        answer["rest"].as_object_mut().unwrap().remove("response_id");
    }
    assert_eq!(one, other);
}

#[test]
fn calls_may_be_interleaved_and_left_open() {
    let (events, _) = recorded(&new(), false, &corpus("anthropic/interleaved.sse"));
    assert_eq!(
        folded(&events)["calls"],
        serde_json::json!([
            {"id": "a", "name": "f", "arguments": {"x": 1}}, {"id": "b", "name": "g", "arguments": {"y": 2}},
        ])
    );
}

#[test]
fn an_answer_by_tool_is_unwrapped() {
    let (events, _) = recorded(&old(), true, &corpus("anthropic/json_tool.sse"));
    let answer = folded(&events);
    assert_eq!(
        (answer["text"].as_str(), answer["thinking"].as_str()),
        (Some(r#"{"name": "Ada", "age": 36}"#), Some("Here it is."))
    );
    assert_eq!((&answer["calls"], &answer["rest"]["finish"]), (&serde_json::json!([]), &"stop".into()));
    // The same call is a call where nobody asked for it.
    let (events, _) = decode(&old(), false, &[&corpus("anthropic/json_tool.sse")]);
    assert_eq!(folded(&events)["rest"]["finish"], "tool_calls");
    // No call at all: the text is the answer.
    let (events, _) = decode(&old(), true, &[&corpus("anthropic/text.sse")]);
    assert_eq!(text(&events), "Grüße, 世界 🌍!");
}

#[test]
fn an_error_in_the_stream_is_one() {
    let (events, error) = recorded(&new(), false, &corpus("anthropic/overloaded.sse"));
    assert_eq!(text(&events), "Once upon");
    assert!(error.unwrap().contains("overloaded_error"));
}

#[test]
fn a_refusal_says_why() {
    let (events, _) = recorded(&new(), false, &corpus("anthropic/refusal.sse"));
    assert!(events.contains(&mellea_core::Event::Finish(FinishReason::ContentFilter)));
    let why = |event: &mellea_core::Event| matches!(event, mellea_core::Event::Warning(Warning::Note { message }) if message.contains("declined"));
    assert!(events.iter().any(why));
}

#[test]
fn blocks_that_only_the_provider_knows_come_back() {
    let (events, _) = recorded(&new(), false, &corpus("anthropic/server_tool.sse"));
    let answer = folded(&events);
    let kept: Vec<_> =
        answer["rest"]["replay"]["anthropic"].as_array().unwrap().iter().map(|b| b["type"].as_str().unwrap()).collect();
    assert_eq!(kept, ["server_tool_use", "web_search_tool_result", "text", "tool_use"]);
    assert_eq!(answer["rest"]["replay"]["anthropic"][0]["input"], serde_json::json!({"query": "x"}));
    assert_eq!(answer["calls"][0]["arguments"], serde_json::json!({"ok": true}));
}

#[test]
fn odd_answers() {
    for (body, expected) in [
        (r#"{"content":[{"type":"text","text":"a"}]}"#, Ok("a")),
        (r#"{"content":[{"type":"text","text":"a"}],"usage":"none","stop_reason":7,"id":3}"#, Ok("a")),
        (r#"{"content":["x",{"type":"text","text":"a"},{"type":5},{}],"usage":{"input_tokens":-1}}"#, Ok("a")),
        (r#"{"content":[{"type":"tool_use","name":"f"}]}"#, Ok("")),
        (r#"{"content":"a"}"#, Err("content")),
        (r#"[]"#, Err("Malformed")),
        ("", Err("Malformed")),
        (r#"{"type":"error","error":{"type":"api_error","message":"m"}}"#, Err("Refused")),
    ] {
        let (events, error) = whole(&new(), false, body.as_bytes());
        match expected {
            Ok(expected) => assert_eq!((text(&events).as_str(), error), (expected, None), "{body}"),
            Err(word) => assert!(error.as_ref().is_some_and(|e| e.contains(word)), "{body}: {error:?}"),
        }
    }
    for (stream, expected) in [
        ("data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"a\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n", Ok("a")),
        (
            "data: nonsense\n\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"a\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n",
            Err("Malformed"),
        ),
        ("data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"max_tokens\"}}\n\n", Ok("")),
        ("data: {\"type\":\"content_block_start\",\"content_block\":\"x\"}\n\n", Err("Interrupted")),
        ("data: <html>\n\n", Err("Malformed")),
        ("event: error\ndata: out of order\n\n", Err("out of order")),
        ("", Err("Interrupted")),
    ] {
        let (events, error) = decode(&new(), false, &[stream.as_bytes()]);
        match expected {
            Ok(expected) => assert_eq!((text(&events).as_str(), error), (expected, None), "{stream}"),
            Err(word) => assert!(error.as_ref().is_some_and(|e| e.contains(word)), "{stream}: {error:?}"),
        }
    }
}

mod answers;

proptest! {
    #[test]
    fn any_cut_reads_the_same(
        cuts in prop::collection::vec(0_usize..8000, 0..5), at in 0_usize..8000, byte: u8, json_tool: bool, tool: bool,
    ) {
        let mut bytes = corpus(if tool { "anthropic/json_tool.sse" } else { "anthropic/tools.sse" });
        same_in_any_cut(&new(), json_tool, &bytes, &cuts);
        let at = at % bytes.len();
        bytes[at] = byte;
        same_in_any_cut(&new(), json_tool, &bytes, &cuts);
    }

    #[test]
    fn no_bytes_break_the_decoder(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        decode(&new(), true, &[&bytes]);
        whole(&new(), true, &bytes);
    }

    #[test]
    fn no_change_breaks_the_decoder(at in 0_usize..3000, byte: u8, json_tool: bool) {
        let mut bytes = corpus("anthropic/tools.sse");
        let at = at % bytes.len();
        bytes[at] = byte;
        decode(&new(), json_tool, &[&bytes]);
    }
}

//! The chat wire: requests as they are sent, recorded answers, a simulated service.

use insta::assert_json_snapshot;
use mellea_core::testing::conformance::Fixture;
use mellea_core::{Audio, ErrorKind, Event, Image, Message, Thinking, ToolCall, ToolChoice, backend_conformance};
use mellea_http::testing::{Recorded, Reply, Server};
use proptest::prelude::*;
use serde_json::json;

use super::super::testing::*;
use super::*;

fn wire() -> Chat {
    Chat { provider: "cohere".to_owned(), model: "command-a-03-2025".to_owned() }
}

fn conversation() -> ChatRequest {
    let calls = vec![
        ToolCall::with_id("weather_p1", "weather", json!({"city": "Paris"})),
        ToolCall::with_id("weather_r2", "weather", json!({"city": "Rome"})),
    ];
    let mut asks = Message::assistant("");
    asks.tool_calls = calls.clone();
    asks.thinking = Some("I will look it up.".to_owned());
    ChatRequest::new(vec![
        Message::system("Be brief."),
        Message::user("Weather?")
            .content(Image::from_base64(PIXEL).unwrap())
            .content(Image::from_url("https://example.org/a.png").unwrap()),
        asks,
        Message::tool(&calls[0], "sunny"),
        Message::tool(&calls[1], ""),
    ])
    .tools(vec![weather()])
}

#[test]
fn requests() {
    assert_json_snapshot!("the_least_request", body(&wire(), &ask("hi")).0);
    assert_json_snapshot!("a_tool_loop", body(&wire(), &conversation()).0);
    let mut request = conversation();
    request.options.temperature = Some(0.5);
    request.options.max_new_tokens = Some(300);
    request.options.seed = Some(7);
    request.options.stop_sequences = vec!["END".into()];
    request.options.thinking = Some(Thinking::Low);
    request.options.extra = json!({"top_p": 0.9, "top_k": 4, "safety_mode": "STRICT", "n": 2}).as_object().unwrap().clone();
    let (mut sent, warnings) = body(&wire(), &request);
    sent.as_object_mut().unwrap().retain(|name, _| name != "messages" && name != "tools");
    assert_json_snapshot!("all_options", sent);
    assert_eq!(warnings, ["cohere has no option `n`; it was left out"]);
}

#[test]
fn tool_choices() {
    let second = mellea_core::ToolSpec::without_parameters("now", "");
    for (choice, expected, count) in [
        (ToolChoice::Auto, Value::Null, 2),
        (ToolChoice::None, json!("NONE"), 2),
        (ToolChoice::Required, json!("REQUIRED"), 2),
        (ToolChoice::Tool("now".to_owned()), json!("REQUIRED"), 1),
    ] {
        let request = with_options("hi", |o| o.tool_choice = Some(choice)).tools(vec![weather(), second.clone()]);
        let (sent, _) = body(&wire(), &request);
        assert_eq!((&sent["tool_choice"], sent["tools"].as_array().unwrap().len()), (&expected, count));
    }
}

#[test]
fn structured_output_by_each_means() {
    let (sent, warnings) = body(&wire(), &json_format("Who?", person()));
    assert_json_snapshot!("structured_output", sent["response_format"]);
    assert_eq!(warnings, ["the schema was not enforced while generating: cohere does not enforce `maximum`, `minimum`"]);
    let (sent, warnings) = body(&wire(), &json_format("Who?", person()).tools(vec![weather()]));
    assert_eq!((&sent["tool_choice"], sent.get("response_format")), (&json!("REQUIRED"), None));
    assert_eq!(sent["tools"][1]["function"]["name"], "json_tool_call");
    assert!(warnings[0].contains("beside tools"), "{warnings:?}");
}

#[test]
fn reasoning_comes_back_where_it_came_from() {
    let mut request = conversation();
    request.messages[2].replay = Some(json!({"cohere": {"thinking": "Hm."}}).into());
    let (sent, _) = body(&wire(), &request);
    assert_eq!(sent["messages"][2]["content"], json!([{"type": "thinking", "thinking": "Hm."}]));
    assert!(sent["messages"][2].get("tool_plan").is_none());
}

#[test]
fn what_the_wire_cannot_carry_is_refused() {
    let audio = Audio::from_base64("UklGRg==", Some("wav")).unwrap();
    let request = ChatRequest::new(vec![Message::user("x").content(audio)]);
    let mut plan = wire().plan(&request, Map::new()).unwrap();
    assert!(matches!(wire().fill(&request, &mut plan).unwrap_err().kind(), ErrorKind::Unsupported { .. }));
}

#[test]
fn every_option_is_sent_or_named() {
    option_contract(&wire(), wire().synonyms());
}

#[test]
fn a_stream_of_text() {
    let (events, error) = recorded(&wire(), false, &corpus("cohere/text.sse"));
    assert_eq!((text(&events).as_str(), error), ("Grüße, 世界 🌍!", None));
    assert_json_snapshot!("text", folded(&events));
}

#[test]
fn a_stream_of_calls_equals_the_whole() {
    let (streamed, _) = recorded(&wire(), false, &corpus("cohere/tools.sse"));
    let (whole, _) = whole(&wire(), false, &corpus("cohere/tools.json"));
    assert_json_snapshot!("tools", folded(&streamed));
    assert_eq!(folded(&streamed), folded(&whole));
}

#[test]
fn an_answer_by_tool_is_unwrapped() {
    let (events, _) = recorded(&wire(), true, &corpus("cohere/json_tool.sse"));
    let answer = folded(&events);
    assert_eq!((answer["text"].as_str(), &answer["rest"]["finish"]), (Some(r#"{"name": "Ada", "age": 36}"#), &json!("stop")));
    assert_eq!(folded(&decode(&wire(), false, &[&corpus("cohere/json_tool.sse")]).0)["rest"]["finish"], "tool_calls");
}

#[test]
fn streams_that_go_wrong() {
    let (events, error) = recorded(&wire(), false, &corpus("cohere/error.sse"));
    assert_eq!(text(&events), "Once upon");
    assert!(error.unwrap().contains("the model crashed"));
    for (stream, word) in [
        ("event: error\ndata: {\"message\":\"too busy\"}\n\n", "too busy"),
        ("data: {\"id\":\"x\",\"message\":\"invalid request\"}\n\n", "invalid request"),
        ("data: [DONE]\n\n", "Interrupted"),
        ("data: <html>\n\n", "Malformed"),
        ("", "Interrupted"),
    ] {
        let (_, error) = decode(&wire(), false, &[stream.as_bytes()]);
        assert!(error.as_ref().is_some_and(|e| e.contains(word)), "{stream}: {error:?}");
    }
}

#[test]
fn reasons_to_stop() {
    for (reason, expected) in [
        ("COMPLETE", json!("stop")),
        ("STOP_SEQUENCE", json!("stop")),
        ("MAX_TOKENS", json!("length")),
        ("ERROR_TOXIC", json!("content_filter")),
        ("ERROR_LIMIT", json!("length")),
        ("something_new", json!({"other": "something_new"})),
    ] {
        let body = json!({"message": {"content": [{"type": "text", "text": "a"}]}, "finish_reason": reason});
        assert_eq!(folded(&whole(&wire(), false, body.to_string().as_bytes()).0)["rest"]["finish"], expected);
    }
    for reason in ["ERROR", "TIMEOUT", "USER_CANCEL"] {
        let body = json!({"message": {"content": [{"type": "text", "text": "half"}]}, "finish_reason": reason});
        let (events, error) = whole(&wire(), false, body.to_string().as_bytes());
        assert!(text(&events) == "half" && error.as_ref().is_some_and(|e| e.contains(reason)), "{reason}: {error:?}");
        let end = json!({"type": "message-end", "delta": {"finish_reason": reason}});
        let (events, error) = recorded(&wire(), false, &sse(&[content("half"), end]));
        assert!(text(&events) == "half" && error.as_ref().is_some_and(|e| e.contains(reason)), "{reason}: {error:?}");
    }
}

fn sse(events: &[Value]) -> Vec<u8> {
    events.iter().flat_map(|event| format!("data: {event}\n\n").into_bytes()).collect()
}

fn content(text: &str) -> Value {
    json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}})
}

fn complete() -> Value {
    json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE"}})
}

#[test]
fn what_comes_twice_is_taken_once() {
    let start = |text: &str| json!({"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": text}}}});
    let end = || json!({"type": "content-end", "index": 0});
    for events in [
        vec![start("The "), content("The "), content("answer is 42."), end()],
        vec![start(""), content("The answer "), content("is 42."), content("The answer is 42."), end()],
        vec![content("The answer "), content("is 42."), content("The answer is 42.")],
    ] {
        let (events, error) = recorded(&wire(), false, &sse(&[events, vec![complete()]].concat()));
        assert_eq!((text(&events).as_str(), error), ("The answer is 42.", None));
    }
}

#[test]
fn an_error_that_is_a_message_is_the_servers() {
    for bytes in [
        b"event: error\ndata: {\"type\":\"error\",\"message\":\"it broke\"}\n\n".as_slice(),
        b"data: {\"type\":\"error\",\"message\":\"it broke\"}\n\n",
        b"data: {\"id\":\"x\",\"message\":\"it broke\"}\n\n",
    ] {
        let (_, error) = decode(&wire(), false, &[bytes]);
        assert!(error.as_ref().is_some_and(|e| e.contains("server_error") && e.contains("it broke")), "{error:?}");
    }
    let (_, error) = whole(&wire(), false, br#"{"id":"x","message":"it broke"}"#);
    assert!(error.as_ref().is_some_and(|e| e.contains("server_error") && e.contains("it broke")), "{error:?}");
}

#[test]
fn holes_ends_and_halves() {
    let hole = [sse(&[content("Pay ")]), b"data: {\"type\":\n\n".to_vec(), sse(&[content("to Ann"), complete()])].concat();
    let (events, error) = decode(&wire(), false, &[&hole]);
    assert!(text(&events) == "Pay " && error.unwrap().contains("Malformed"));
    let (events, error) = decode(&wire(), false, &[&sse(&[content("Hello")]), b"data: [DONE]\n\n"]);
    assert!(text(&events) == "Hello" && error.is_none() && notes(&events).contains("complete"));
    let half = |text: &str| {
        format!("data: {{\"type\":\"content-delta\",\"delta\":{{\"message\":{{\"content\":{{\"text\":\"{text}\"}}}}}}}}\n\n")
            .into_bytes()
    };
    let bytes = [half("Hi \\ud83d"), half("\\ude00"), sse(&[complete()])].concat();
    assert_eq!(text(&recorded(&wire(), false, &bytes).0), "Hi \u{1f600}");
}

#[test]
fn a_token_without_a_score_is_left_out() {
    let body = r#"{"message":{"content":[{"text":"xy"}]},"logprobs":[{"text":"x","logprobs":[NaN]},{"text":"y","logprobs":[-2.0]},{"text":"z"}],"finish_reason":"COMPLETE"}"#;
    let (events, error) = whole(&wire(), false, body.as_bytes());
    let scores: Vec<_> =
        events.iter().filter_map(|e| if let Event::Logprobs(all) = e { Some(all) } else { None }).flatten().collect();
    assert_eq!((scores.len(), scores[0].token.as_str(), scores[0].logprob, error), (1, "y", -2.0, None));
}

#[test]
fn there_is_one_system_message_or_none() {
    let mut request = ask("hi");
    request.messages.insert(0, Message::system("Be brief."));
    request.messages.insert(1, Message::system(""));
    request.messages.push(Message::system("Be kind."));
    request.messages.push(Message::user("And?"));
    let (sent, _) = body(&wire(), &request);
    let roles: Vec<_> = sent["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!((roles, &sent["messages"][0]["content"]), (vec!["system", "user", "user"], &json!("Be brief.\n\nBe kind.")));
    let mut request = ask("hi");
    request.messages.insert(0, Message::system(""));
    assert_eq!(body(&wire(), &request).0["messages"].as_array().unwrap().len(), 1);
}

#[test]
fn odd_answers() {
    for (body, expected) in [
        (r#"{"message":{"content":[{"type":"text","text":"a"}]}}"#, Ok("a")),
        (r#"{"message":{"content":[5,{"text":"a"}],"tool_calls":"x"},"usage":1,"finish_reason":2,"id":3}"#, Ok("a")),
        (r#"{"message":{"tool_calls":[{"function":{"name":"f","arguments":{"a":1}}},{}]}}"#, Ok("")),
        (r#"{"message":{"content":null},"logprobs":[{"text":"x","logprobs":[-1.0,-2.0]},5]}"#, Ok("")),
        (r#"{"message":"overloaded"}"#, Err("message")),
        ("{}", Err("message")),
        ("", Err("Malformed")),
    ] {
        let (events, error) = whole(&wire(), false, body.as_bytes());
        match expected {
            Ok(expected) => assert_eq!((text(&events).as_str(), error), (expected, None), "{body}"),
            Err(word) => assert!(error.as_ref().is_some_and(|e| e.contains(word)), "{body}: {error:?}"),
        }
    }
    let scores =
        r#"{"message":{"content":[{"text":"xy"}]},"logprobs":[{"text":"x","logprobs":[-1.0]},{"text":"y","logprobs":[-2.0]}]}"#;
    let scores =
        whole(&wire(), false, scores.as_bytes()).0.into_iter().filter(|event| matches!(event, Event::Logprobs(_))).count();
    assert_eq!(scores, 2);
}

proptest! {
    #[test]
    fn any_cut_reads_the_same(
        cuts in prop::collection::vec(0_usize..8000, 0..5), at in 0_usize..8000, byte: u8, json_tool: bool, tool: bool,
    ) {
        let mut bytes = corpus(if tool { "cohere/json_tool.sse" } else { "cohere/tools.sse" });
        same_in_any_cut(&wire(), json_tool, &bytes, &cuts);
        let at = at % bytes.len();
        bytes[at] = byte;
        same_in_any_cut(&wire(), json_tool, &bytes, &cuts);
    }

    #[test]
    fn no_bytes_break_the_decoder(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        decode(&wire(), true, &[&bytes]);
        whole(&wire(), true, &bytes);
    }

    #[test]
    fn no_change_breaks_the_decoder(at in 0_usize..3000, byte: u8, json_tool: bool) {
        let mut bytes = corpus("cohere/tools.sse");
        let at = at % bytes.len();
        bytes[at] = byte;
        decode(&wire(), json_tool, &[&bytes]);
    }
}

/// The service as it answers a model that follows to the letter.
fn service(request: &Recorded) -> Reply {
    let sent = request.json();
    let tools: Vec<_> = sent["tools"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|t| &t["function"])
        .map(|t| (t["name"].as_str().unwrap().to_owned(), t["parameters"].clone()))
        .collect();
    let asked = Asked {
        prompt: sent["messages"].as_array().unwrap().last().unwrap()["content"].to_string(),
        max_tokens: sent["max_tokens"].as_u64(),
        stops: sent["stop_sequences"].as_array().into_iter().flatten().map(|s| s.as_str().unwrap().to_owned()).collect(),
        forced: (sent["tool_choice"] == "REQUIRED").then(|| tools.last().unwrap().0.clone()),
        tools,
        schema: sent.pointer("/response_format/json_schema").cloned(),
        stream: sent["stream"] == true,
    };
    let told = model(&asked);
    let reason = if !told.calls.is_empty() {
        "TOOL_CALL"
    } else if told.length {
        "MAX_TOKENS"
    } else {
        "COMPLETE"
    };
    let usage = json!({"tokens": {"input_tokens": told.prompt_tokens, "output_tokens": told.tokens}});
    if !asked.stream {
        let mut message = json!({"role": "assistant"});
        if told.calls.is_empty() {
            message["content"] = json!([{"type": "text", "text": told.pieces.concat()}]);
        } else {
            message["tool_calls"] = told.calls.iter().map(|(name, args)| json!({"id": "c1", "type": "function", "function": {"name": name, "arguments": args.to_string()}})).collect();
        }
        let reply = Reply::json(200, &json!({"id": "r", "message": message, "finish_reason": reason, "usage": usage}));
        return if told.endless { reply.hang() } else { reply };
    }
    let event = |value: Value| format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap()).into_bytes();
    let mut out = vec![event(json!({"type": "message-start", "id": "r", "delta": {"message": {"role": "assistant"}}}))];
    for (name, args) in &told.calls {
        out.push(event(json!({"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": {"id": "c1", "type": "function", "function": {"name": name, "arguments": ""}}}}})));
        out.push(event(json!({"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": {"function": {"arguments": args.to_string()}}}}})));
        out.push(event(json!({"type": "tool-call-end", "index": 0})));
    }
    for piece in &told.pieces {
        out.push(event(json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": piece}}}})));
    }
    out.push(event(json!({"type": "message-end", "delta": {"finish_reason": reason, "usage": usage}})));
    streamed("text/event-stream", out, told.endless)
}

async fn simulated() -> Fixture {
    // The wire has no limits on the lengths of lists.
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}, "big": {"type": "boolean"}}, "required": ["name", "big"]});
    let schema = mellea_core::Schema::from_value(schema).unwrap();
    fixture(service, backend, "cohere", "command-a-03-2025").await.json("Describe Paris as JSON.", schema)
}

backend_conformance!(conformance, simulated());

#[tokio::test]
async fn the_call_has_its_headers_and_its_path() {
    let server = Server::start().await.unwrap();
    server.handle(service);
    for base in [server.url(), server.url() + "/v2/"] {
        let backend = backend(settings("cohere", "command-a-03-2025", &base)).unwrap();
        events(&*backend, ask("hi")).await.unwrap();
    }
    for request in server.requests() {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v2/chat"));
        assert_eq!(request.header("authorization"), Some(format!("Bearer {CANARY}").as_str()));
    }
}

#[tokio::test]
async fn refusals_have_their_kinds() {
    for (status, message, check, requests) in [
        (
            401,
            "invalid api token",
            (|k| matches!(k, ErrorKind::Provider(e) if e.status == Some(401))) as fn(&ErrorKind) -> bool,
            1,
        ),
        (404, "model 'command-x' not found", |k| matches!(k, ErrorKind::ModelNotFound(_)), 1),
        (
            400,
            "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292",
            |k| matches!(k, ErrorKind::ContextWindowExceeded { limit: Some(4081), .. }),
            1,
        ),
        (429, "rate limited", |k| matches!(k, ErrorKind::Provider(e) if e.status == Some(429)), 3),
        (503, "later", |k| matches!(k, ErrorKind::Provider(e) if e.status == Some(503)), 3),
    ] {
        let server = Server::start().await.unwrap();
        server.on("POST /v2/chat").reply(Reply::json(status, &json!({"id": "x", "message": message})));
        let backend = backend(settings("cohere", "command-a-03-2025", &server.url())).unwrap();
        let error = events(&*backend, ask("hi")).await.unwrap_err();
        assert!(check(error.kind()), "{error:?}");
        assert_eq!(server.count(), requests, "{error}");
    }
}

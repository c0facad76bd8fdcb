//! The wire of `generateContent`: requests as they are sent, recorded answers, a simulated service.

use insta::assert_json_snapshot;
use mellea_core::testing::conformance::Fixture;
use mellea_core::{Audio, ErrorKind, Event, Image, Message, Thinking, ToolCall, ToolChoice, ToolSpec, backend_conformance};
use mellea_http::testing::{Recorded, Reply, Server, Step};
use proptest::prelude::*;
use serde_json::json;

use super::super::testing::*;
use super::*;

fn wire(model: &str) -> Contents {
    Contents { provider: "gemini".to_owned(), model: model.to_owned(), path: format!("models/{model}") }
}

fn old() -> Contents {
    wire("gemini-2.5-flash")
}

fn new() -> Contents {
    wire("gemini-3-pro-preview")
}

fn conversation() -> ChatRequest {
    let calls = vec![
        ToolCall::with_id("fc-1", "weather", json!({"city": "Paris"})),
        ToolCall::with_id("fc-2", "weather", json!({"city": "Rome"})),
    ];
    let mut asks = Message::assistant("I look it up.");
    asks.tool_calls = calls.clone();
    ChatRequest::new(vec![
        Message::system("Be brief."),
        Message::user("Weather?")
            .content(Image::from_base64(PIXEL).unwrap())
            .content(Audio::from_base64("UklGRg==", Some("wav")).unwrap()),
        asks,
        Message::tool(&calls[0], "sunny"),
        Message::tool(&calls[1], "rain"),
    ])
    .tools(vec![weather(), ToolSpec::without_parameters("now", "")])
}

#[test]
fn versions_are_read_from_names() {
    for (name, expected) in [
        ("gemini-2.5-flash-lite", (2, 5)),
        ("gemini-3-pro-preview", (3, 0)),
        ("gemini-3.1-pro", (3, 1)),
        ("gemini-1.5-pro-002", (1, 5)),
        ("gemini-flash-latest", (3, 0)),
        ("models/gemini-2.0-flash", (2, 0)),
        ("tunedModels/mine", (3, 0)),
    ] {
        assert_eq!(version(name), expected, "{name}");
    }
}

#[test]
fn requests() {
    assert_json_snapshot!("the_least_request", body(&old(), &ask("hi")).0);
    assert_json_snapshot!("a_tool_loop", body(&old(), &conversation()).0);
    let mut request = conversation();
    request.options.temperature = Some(0.5);
    request.options.max_new_tokens = Some(300);
    request.options.seed = Some((1 << 40) + 7);
    request.options.stop_sequences = vec!["END".into()];
    request.options.tool_choice = Some(ToolChoice::Tool("weather".into()));
    request.options.extra = json!({
        "top_p": 0.9, "topK": 4, "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "logprobs": true, "top_logprobs": 3, "n": 2, "labels": {"a": "b"},
    })
    .as_object()
    .unwrap()
    .clone();
    let (mut sent, warnings) = body(&old(), &request);
    sent.as_object_mut().unwrap().retain(|name, _| name != "contents" && name != "tools");
    assert_json_snapshot!("all_options", sent);
    assert_eq!(warnings, ["gemini has no option `n`; it was left out"]);
}

#[test]
fn structured_output_by_each_means() {
    let (sent, warnings) = body(&old(), &json_format("Who?", person()));
    assert_json_snapshot!("structured_output", sent["generationConfig"]);
    assert!(warnings.is_empty(), "{warnings:?}");
    // Before Gemini 3 the wire has no schema beside tools.
    let (sent, warnings) = body(&old(), &json_format("Who?", person()).tools(vec![weather()]));
    assert_eq!(sent["tools"][0]["functionDeclarations"][1]["name"], "json_tool_call");
    assert_eq!(sent["toolConfig"]["functionCallingConfig"], json!({"mode": "ANY"}));
    assert!(warnings[0].contains("beside tools"), "{warnings:?}");
    let (sent, warnings) = body(&new(), &json_format("Who?", person()).tools(vec![weather()]));
    assert!(sent["generationConfig"]["responseJsonSchema"].is_object() && warnings.is_empty());
}

#[test]
fn thinking_in_each_generation() {
    for (model, wish, expected, warnings) in [
        ("gemini-2.5-flash", Thinking::Off, json!({"thinkingBudget": 0}), 0),
        ("gemini-2.5-pro", Thinking::Off, json!({"thinkingBudget": 128}), 1),
        ("gemini-2.5-pro", Thinking::On, json!({"thinkingBudget": -1, "includeThoughts": true}), 0),
        ("gemini-2.5-pro", Thinking::High, json!({"thinkingBudget": 24576, "includeThoughts": true}), 0),
        ("gemini-3-pro-preview", Thinking::On, json!({"includeThoughts": true}), 0),
        ("gemini-3-pro-preview", Thinking::Low, json!({"thinkingLevel": "LOW", "includeThoughts": true}), 0),
        ("gemini-3-pro-preview", Thinking::Off, json!({"thinkingLevel": "LOW"}), 1),
        ("gemini-3-flash-preview", Thinking::Off, json!({"thinkingLevel": "MINIMAL"}), 1),
        ("gemini-2.0-flash", Thinking::High, Value::Null, 1),
        ("gemini-2.0-flash", Thinking::Off, Value::Null, 0),
    ] {
        let (sent, said) = body(&wire(model), &with_options("hi", |o| o.thinking = Some(wish)));
        assert_eq!((&sent["generationConfig"]["thinkingConfig"], said.len()), (&expected, warnings), "{model} {wish:?}");
    }
}

#[test]
fn signatures_come_back_as_they_were() {
    let (events, _) = decode(&new(), false, &[&corpus("gemini/tools.sse")]);
    let replay = events.iter().find_map(|event| if let Event::Replay(value) = event { Some(value.clone()) } else { None });
    let mut request = conversation();
    request.messages[2].replay = replay.map(Into::into);
    let (sent, _) = body(&new(), &request);
    assert_json_snapshot!("replay", json!([sent["contents"][1], sent["contents"][2]]));
    // A call that the model did not make has no signature; Gemini 3 wants one all the same.
    let (sent, _) = body(&new(), &conversation());
    assert_eq!(sent["contents"][1]["parts"][1]["thoughtSignature"], "skip_thought_signature_validator");
    assert!(sent["contents"][1]["parts"][2].get("thoughtSignature").is_none());
    assert!(!body(&old(), &conversation()).0.to_string().contains("thoughtSignature"));
}

#[test]
fn what_the_wire_cannot_carry_is_refused() {
    for content in [
        Image::from_url("https://example.org/a.png").unwrap().into(),
        mellea_core::Content::from(Audio::from_url("https://example.org/a.wav", "wav").unwrap()),
    ] {
        let request = ChatRequest::new(vec![Message::user("x").content(content)]);
        let mut plan = old().plan(&request, Map::new()).unwrap();
        let error = old().fill(&request, &mut plan).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unsupported { .. }), "{error}");
    }
}

#[test]
fn every_option_is_sent_or_named() {
    option_contract(&old(), old().synonyms());
    option_contract(&new(), new().synonyms());
}

#[test]
fn a_stream_of_text() {
    let (events, error) = recorded(&old(), false, &corpus("gemini/text.sse"));
    assert_eq!((text(&events).as_str(), error), ("Grüße, 世界 🌍!", None));
    assert_json_snapshot!("text", folded(&events));
}

#[test]
fn a_stream_of_calls_equals_the_whole() {
    let (streamed, _) = recorded(&new(), false, &corpus("gemini/tools.sse"));
    let (whole, _) = whole(&new(), false, &corpus("gemini/tools.json"));
    assert_json_snapshot!("tools", folded(&streamed));
    assert_eq!(folded(&streamed), folded(&whole));
    // What comes without `alt=sse` is an array of the same.
    let array = format!("[{}]", String::from_utf8(corpus("gemini/tools.json")).unwrap());
    assert_eq!(super::super::testing::whole(&new(), false, array.as_bytes()).0, whole);
}

#[test]
fn an_answer_by_tool_is_unwrapped() {
    let (events, _) = recorded(&old(), true, &corpus("gemini/json_tool.sse"));
    let answer = folded(&events);
    assert_eq!((answer["text"].as_str(), &answer["rest"]["finish"]), (Some(r#"{"name":"Ada","age":36}"#), &"stop".into()));
    assert_eq!(folded(&decode(&old(), false, &[&corpus("gemini/json_tool.sse")]).0)["rest"]["finish"], "tool_calls");
}

#[test]
fn streams_that_go_wrong() {
    let (events, error) = recorded(&old(), false, &corpus("gemini/error.sse"));
    assert_eq!(text(&events), "Once upon");
    assert!(error.unwrap().contains("UNAVAILABLE"));
    let (events, _) = recorded(&old(), false, &corpus("gemini/blocked.sse"));
    assert_eq!(folded(&events)["rest"]["finish"], "content_filter");
    assert!(folded(&events)["rest"]["warning"].to_string().contains("PROHIBITED_CONTENT"));
    let (_, error) = recorded(&old(), false, &corpus("gemini/malformed_call.sse"));
    assert!(error.as_ref().is_some_and(|e| e.contains("Broken") && e.contains("weather(city=")), "{error:?}");
    let (events, _) = decode(&old(), false, &[&corpus("gemini/stop_everywhere.sse")]);
    assert_eq!(text(&events), "ab");
}

#[test]
fn scores_come_with_their_tokens() {
    let body = json!({"candidates": [{"content": {"parts": [{"text": "ab"}]}, "finishReason": "STOP", "logprobsResult": {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5, "tokenId": 1}, {"token": "b", "logProbability": -1.0}],
        "topCandidates": [{"candidates": [{"token": "a", "logProbability": -0.5}, {"token": "x", "logProbability": -2.0}]}],
    }}]});
    let (events, _) = whole(&old(), false, body.to_string().as_bytes());
    let scores = events.iter().find_map(|event| if let Event::Logprobs(tokens) = event { Some(tokens) } else { None }).unwrap();
    assert_eq!((scores.len(), scores[0].top.len(), scores[1].logprob), (2, 2, -1.0));
}

#[test]
fn odd_answers() {
    for (body, expected) in [
        (r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}"#, Ok("a")),
        (
            r#"{"candidates":[{"content":{"parts":[{"text":"a","new":{"x":1}},{"other":1}],"role":5},"finishReason":"STOP"}],"usageMetadata":7}"#,
            Ok("a"),
        ),
        (r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":"x"}}"#, Ok("")),
        (r#"{"candidates":[{"content":{"parts":null},"finishReason":"STOP"}],"promptFeedback":[]}"#, Ok("")),
        (
            r#"{"candidates":[{"index":1,"content":{"parts":[{"text":"b"}]}},{"index":0,"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}"#,
            Ok("a"),
        ),
        (r#"{"candidates":null}"#, Err("finishReason")),
        ("{}", Err("finishReason")),
        ("[]", Err("finishReason")),
        ("nonsense", Err("Malformed")),
        (r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]"#, Err("RESOURCE_EXHAUSTED")),
    ] {
        let (events, error) = whole(&old(), false, body.as_bytes());
        match expected {
            Ok(expected) => assert_eq!((text(&events).as_str(), error), (expected, None), "{body}"),
            Err(word) => assert!(error.as_ref().is_some_and(|e| e.contains(word)), "{body}: {error:?}"),
        }
    }
    let (events, error) = decode(&old(), false, &[b"data: {\"a\"\n\n", &corpus("gemini/text.sse")]);
    assert!(text(&events).is_empty() && error.unwrap().contains("Malformed"));
    let bytes = [b"data: {\"a\"\n\n".to_vec(), corpus("gemini/text.sse")].concat();
    let (events, error) = decode_by(&old(), |rules| rules.skip_unreadable = true, &bytes);
    assert_eq!((text(&events).as_str(), error), ("Grüße, 世界 🌍!", None));
    assert!(notes(&events).contains("could not be read"));
}

fn chunk(text: &str, finish: Option<&str>) -> Vec<u8> {
    let mut candidate = json!({"content": {"parts": [{"text": text}], "role": "model"}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = finish.into();
    }
    format!("data: {}\n\n", json!({ "candidates": [candidate] })).into_bytes()
}

#[test]
fn reasons_to_stop() {
    for (word, expected) in [
        ("STOP", json!("stop")),
        ("MAX_TOKENS", json!("length")),
        ("SAFETY", json!("content_filter")),
        ("MODEL_ARMOR", json!("content_filter")),
        ("LANGUAGE", json!("content_filter")),
        ("OTHER", json!({"other": "OTHER"})),
        ("MALFORMED_FUNCTION_CALL", Value::Null),
        ("UNEXPECTED_TOOL_CALL", Value::Null),
    ] {
        let (events, error) = recorded(&old(), false, &chunk("half", Some(word)));
        assert_eq!((text(&events).as_str(), error.is_some()), ("half", expected.is_null()), "{word}");
        assert_eq!(folded(&events)["rest"]["finish"], expected, "{word}");
        assert_eq!(notes(&events).contains(word), word == "OTHER", "{word}");
        assert_eq!(error.is_some_and(|e| e.contains("Broken")), expected.is_null(), "{word}");
    }
}

#[test]
fn what_comes_twice_is_taken_once() {
    let bytes = [chunk("The answer ", None), chunk("is 42.", None), chunk("The answer is 42.", Some("STOP"))].concat();
    let (events, error) = recorded(&old(), false, &bytes);
    assert_eq!((text(&events).as_str(), error), ("The answer is 42.", None));
    let call = |finish: Value| {
        let part = json!({"functionCall": {"id": "fc-1", "name": "weather", "args": {"city": "Oslo"}}});
        format!("data: {}\n\n", json!({"candidates": [{"content": {"parts": [part]}, "finishReason": finish}]}))
    };
    let bytes = [call(Value::Null), call("STOP".into())].concat();
    let (events, _) = recorded(&old(), false, bytes.as_bytes());
    assert_eq!(folded(&events)["calls"].as_array().unwrap().len(), 1);
}

#[test]
fn of_a_second_candidate_counts_what_the_first_lacks() {
    let call = json!({"functionCall": {"name": "weather", "args": {"city": "Oslo"}}});
    let body = |candidates: Value| json!({ "candidates": candidates }).to_string();
    let (events, _) = whole(
        &old(),
        false,
        body(json!([
            {"index": 0, "content": {"parts": [{"text": "I look."}]}, "finishReason": "STOP"},
            {"index": 1, "content": {"parts": [call, {"text": "No."}]}, "finishReason": "STOP"},
        ]))
        .as_bytes(),
    );
    let answer = folded(&events);
    assert_eq!((&answer["text"], &answer["calls"][0]["name"]), (&json!("I look."), &json!("weather")));
    let (events, error) = whole(
        &old(),
        false,
        body(json!([{"index": 1, "content": {"parts": [{"text": "One."}]}, "finishReason": "STOP"}])).as_bytes(),
    );
    assert_eq!((text(&events).as_str(), error), ("One.", None));
}

#[test]
fn zeros_at_the_end_are_no_figures() {
    let usage = |prompt: u64, said: u64| {
        format!("data: {}\n\n", json!({"usageMetadata": {"promptTokenCount": prompt, "candidatesTokenCount": said}})).into_bytes()
    };
    let bytes = [chunk("a", None), usage(8, 3), chunk("b", Some("STOP")), usage(0, 0)].concat();
    let (events, _) = recorded(&old(), false, &bytes);
    let used = &folded(&events)["usage"];
    assert_eq!((&used["prompt_tokens"], &used["completion_tokens"]), (&json!(8), &json!(3)));
}

#[test]
fn ends_halves_and_errors() {
    let (events, error) = decode(&old(), false, &[&chunk("Hello", None), b"data: [DONE]\n\n"]);
    assert!(text(&events) == "Hello" && error.is_none() && notes(&events).contains("complete"));
    let (events, error) = whole(&old(), false, br#"{"candidates":[{"content":{"parts":[{"text":"Hello"}]}}]}"#);
    assert!(text(&events) == "Hello" && error.is_none() && notes(&events).contains("complete"));
    let half = |text: &str| {
        format!("data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{text}\"}}]}}}}]}}\n\n").into_bytes()
    };
    let bytes = [half("Hi \\ud83d"), half("\\ude00"), chunk("", Some("STOP"))].concat();
    assert_eq!(text(&recorded(&old(), false, &bytes).0), "Hi \u{1f600}");
    for body in [json!({"detail": "full"}), json!({"success": false, "msg": "full"}), json!([{"error": {"message": "full"}}])] {
        let (_, error) = whole(&old(), false, body.to_string().as_bytes());
        assert!(error.as_ref().is_some_and(|e| e.contains("Refused") && e.contains("full")), "{body}: {error:?}");
        let bytes = [chunk("Once", None), format!("data: {body}\n\n").into_bytes()].concat();
        let (events, error) = decode(&old(), false, &[&bytes]);
        assert!(text(&events) == "Once" && error.as_ref().is_some_and(|e| e.contains("full")), "{body}: {error:?}");
    }
}

#[test]
fn a_token_without_a_score_is_left_out() {
    let body = r#"{"candidates":[{"content":{"parts":[{"text":"ab"}]},"finishReason":"STOP","logprobsResult":{
        "chosenCandidates":[{"token":"a"},{"token":"b","logProbability":-1.0},{"token":"c","logProbability":NaN}],
        "topCandidates":[{"candidates":[{"token":"x","logProbability":-1}]},{"candidates":[{"token":"b","logProbability":-1.0},{"token":"y"}]}]}}]}"#;
    let (events, error) = whole(&old(), false, body.as_bytes());
    let scores = events.iter().find_map(|event| if let Event::Logprobs(tokens) = event { Some(tokens) } else { None }).unwrap();
    assert_eq!((scores.len(), scores[0].token.as_str(), scores[0].top.len(), error), (1, "b", 1, None));
}

#[test]
fn there_is_one_system_message_or_none() {
    let mut request = ask("hi");
    request.messages.insert(0, Message::system("Be brief."));
    request.messages.push(Message::system(""));
    assert_eq!(body(&old(), &request).0["systemInstruction"], json!({"parts": [{"text": "Be brief."}]}));
    request.messages.remove(0);
    assert_eq!(body(&old(), &request).0.get("systemInstruction"), None);
}

#[tokio::test]
async fn a_finished_answer_is_handed_over_though_the_connection_stays_open() {
    let server = Server::start().await.unwrap();
    let backend = backend(settings("gemini", "gemini-2.5-flash", &server.url())).unwrap();
    let events = vec![chunk("Hel", None), chunk("lo", Some("STOP"))];
    assert_eq!(is_handed_over(&*backend, &server, events).await, "Hello");
}

#[tokio::test]
async fn a_finish_with_every_piece_is_the_end_with_the_last() {
    let server = Server::start().await.unwrap();
    let backend = backend(settings("gemini", "gemini-2.5-flash", &server.url())).unwrap();
    server.handle(|_| {
        let pieces = (0..4)
            .flat_map(|n| [Step::Send(chunk(&n.to_string(), Some("STOP"))), Step::Wait(std::time::Duration::from_millis(200))]);
        Reply::stream("text/event-stream", pieces)
    });
    let got = self::events(&*backend, with_options("hi", |o| o.stream = true)).await.unwrap();
    assert_eq!(text(&got), "0123");
}

proptest! {
    #[test]
    fn any_cut_reads_the_same(
        cuts in prop::collection::vec(0_usize..8000, 0..5), at in 0_usize..8000, byte: u8, json_tool: bool, tool: bool,
    ) {
        let mut bytes = corpus(if tool { "gemini/json_tool.sse" } else { "gemini/tools.sse" });
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
        let mut bytes = corpus("gemini/tools.sse");
        let at = at % bytes.len();
        bytes[at] = byte;
        decode(&new(), json_tool, &[&bytes]);
    }
}

/// The service as it answers a model that follows to the letter.
pub(in super::super) fn service(request: &Recorded) -> Reply {
    let sent = request.json();
    let config = &sent["generationConfig"];
    let allowed = sent.pointer("/toolConfig/functionCallingConfig/allowedFunctionNames/0").and_then(Value::as_str);
    let asked = Asked {
        prompt: sent["contents"].as_array().unwrap().last().unwrap()["parts"].to_string(),
        max_tokens: config["maxOutputTokens"].as_u64(),
        stops: config["stopSequences"].as_array().into_iter().flatten().map(|s| s.as_str().unwrap().to_owned()).collect(),
        tools: sent["tools"][0]["functionDeclarations"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|t| (t["name"].as_str().unwrap().to_owned(), t["parametersJsonSchema"].clone()))
            .collect(),
        forced: allowed.map(str::to_owned),
        schema: config.get("responseJsonSchema").cloned(),
        stream: request.path.ends_with(":streamGenerateContent"),
    };
    let told = model(&asked);
    let reason = if told.length { "MAX_TOKENS" } else { "STOP" };
    let usage = json!({"promptTokenCount": told.prompt_tokens, "candidatesTokenCount": told.tokens});
    let calls: Vec<_> = told.calls.iter().map(|(name, args)| json!({"functionCall": {"name": name, "args": args}})).collect();
    if !asked.stream {
        let parts = if calls.is_empty() { vec![json!({"text": told.pieces.concat()})] } else { calls };
        let reply = Reply::json(
            200,
            &json!({"candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": reason}], "usageMetadata": usage}),
        );
        return if told.endless { reply.hang() } else { reply };
    }
    assert_eq!(request.query, "alt=sse");
    let event = |value: Value| format!("data: {value}\r\n\r\n").into_bytes();
    let pieces = calls.into_iter().chain(told.pieces.iter().map(|piece| json!({"text": piece})));
    let mut out: Vec<_> =
        pieces.map(|part| event(json!({"candidates": [{"content": {"parts": [part], "role": "model"}}]}))).collect();
    out.push(event(json!({"candidates": [{"finishReason": reason}], "usageMetadata": usage})));
    streamed("text/event-stream", out, told.endless)
}

async fn simulated(model: &str) -> Fixture {
    fixture(service, backend, "gemini", model).await
}

backend_conformance!(conformance, simulated("gemini-2.5-flash"));

#[tokio::test]
async fn the_call_has_its_headers_and_its_path() {
    let server = Server::start().await.unwrap();
    server.handle(service);
    for (base, model, stream) in [
        (server.url(), "gemini-2.5-flash", false),
        (server.url() + "/v1beta/", "models/gemini-2.5-flash", true),
        (server.url(), "tunedModels/mine", false),
    ] {
        let backend = backend(settings("gemini", model, &base)).unwrap();
        events(&*backend, with_options("hi", |o| o.stream = stream)).await.unwrap();
    }
    let paths: Vec<_> = server.requests().iter().map(|request| request.path.clone()).collect();
    assert_eq!(
        paths,
        [
            "/v1beta/models/gemini-2.5-flash:generateContent",
            "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
            "/v1beta/tunedModels/mine:generateContent"
        ]
    );
    for request in server.requests() {
        assert_eq!((request.header("x-goog-api-key"), request.header("authorization")), (Some(CANARY), None));
        assert!(!request.query.contains(CANARY));
    }
}

#[tokio::test]
async fn refusals_have_their_kinds() {
    let refuse = |code: u16, status: &str, message: &str| {
        Reply::json(code, &json!({"error": {"code": code, "message": message, "status": status, "details": []}}))
    };
    for (reply, check, requests) in [
        (
            refuse(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
            (|k| matches!(k, ErrorKind::Provider(e) if e.status == Some(400))) as fn(&ErrorKind) -> bool,
            1,
        ),
        (
            refuse(404, "NOT_FOUND", "models/gemini-9 is not found for API version v1beta"),
            |k| matches!(k, ErrorKind::ModelNotFound(_)),
            1,
        ),
        (
            refuse(400, "INVALID_ARGUMENT", "The input token count (300) exceeds the maximum number of tokens allowed (200)."),
            |k| matches!(k, ErrorKind::ContextWindowExceeded { prompt: Some(300), limit: Some(200) }),
            1,
        ),
        (refuse(503, "UNAVAILABLE", "overloaded"), |k| matches!(k, ErrorKind::Provider(e) if e.status == Some(503)), 3),
    ] {
        let server = Server::start().await.unwrap();
        server.on("/v1beta/models/gemini-2.5-flash:generateContent").reply(reply);
        let backend = backend(settings("gemini", "gemini-2.5-flash", &server.url())).unwrap();
        let error = events(&*backend, ask("hi")).await.unwrap_err();
        assert!(check(error.kind()), "{error:?}");
        assert_eq!(server.count(), requests, "{error}");
        assert_eq!(error.to_string().contains("API key"), error.hint().is_some_and(|hint| hint.contains("key")));
        assert!(!format!("{error:?}").contains(CANARY));
    }
}

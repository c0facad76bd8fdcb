//! The simulated service, and what only shows over HTTP.

use mellea_core::testing::conformance::Fixture;
use mellea_core::{ErrorKind, Usage, backend_conformance};
use mellea_http::testing::{Recorded, Reply, Server, Step};

use super::super::super::testing::*;
use super::super::*;

/// The service as it answers a model that follows to the letter.
pub(in super::super::super) fn service(request: &Recorded) -> Reply {
    use serde_json::json;
    let sent = request.json();
    let asked = Asked {
        prompt: sent["messages"].as_array().unwrap().last().unwrap()["content"].to_string(),
        max_tokens: sent["max_tokens"].as_u64(),
        stops: sent["stop_sequences"].as_array().into_iter().flatten().map(|s| s.as_str().unwrap().to_owned()).collect(),
        tools: sent["tools"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|t| (t["name"].as_str().unwrap().to_owned(), t["input_schema"].clone()))
            .collect(),
        forced: sent["tool_choice"]["name"].as_str().map(str::to_owned),
        schema: sent.pointer("/output_config/format/schema").cloned(),
        stream: sent["stream"].as_bool() == Some(true),
    };
    let told = model(&asked);
    let reason = if !told.calls.is_empty() {
        "tool_use"
    } else if told.length {
        "max_tokens"
    } else {
        "end_turn"
    };
    let usage = json!({"input_tokens": told.prompt_tokens, "output_tokens": told.tokens});
    if !asked.stream {
        let mut content: Vec<_> = told
            .calls
            .iter()
            .map(|(name, input)| json!({"type": "tool_use", "id": "toolu_1", "name": name, "input": input}))
            .collect();
        if content.is_empty() {
            content.push(json!({"type": "text", "text": told.pieces.concat()}));
        }
        let reply =
            Reply::json(200, &json!({"id": "msg_1", "model": "m", "content": content, "stop_reason": reason, "usage": usage}));
        return if told.endless { reply.hang() } else { reply };
    }
    let event = |value: Value| format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap()).into_bytes();
    let mut out = vec![event(
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": told.prompt_tokens, "output_tokens": 1}}}),
    )];
    for (name, input) in &told.calls {
        out.push(event(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}})));
        out.push(event(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": input.to_string()}})));
        out.push(event(json!({"type": "content_block_stop", "index": 0})));
    }
    if told.calls.is_empty() {
        out.push(event(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})));
        for piece in &told.pieces {
            out.push(event(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}})));
        }
        out.push(event(json!({"type": "content_block_stop", "index": 0})));
    }
    out.push(event(json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": told.tokens}})));
    out.push(event(json!({"type": "message_stop"})));
    streamed("text/event-stream", out, told.endless)
}

async fn simulated(model: &str) -> Fixture {
    fixture(service, backend, "anthropic", model).await
}

backend_conformance!(of_a_recent_model, simulated("claude-opus-4-5"));
backend_conformance!(of_an_old_model, simulated("claude-3-5-haiku-20241022"));

async fn server() -> (Server, Arc<dyn Backend>) {
    let server = Server::start().await.unwrap();
    let backend = backend(settings("anthropic", "claude-opus-4-5", &server.url())).unwrap();
    (server, backend)
}

#[tokio::test]
async fn the_call_has_its_headers_and_its_path() {
    let (server, _) = server().await;
    server.handle(service);
    for base in [server.url(), server.url() + "/v1/"] {
        let backend = backend(settings("anthropic", "claude-opus-4-5", &base)).unwrap();
        let mut request = ask("hi");
        request.options.extra.insert("betas".into(), serde_json::json!(["x-1"]));
        request.options.extra.insert("extra_body".into(), serde_json::json!({"speed": "fast"}));
        events(&*backend, request).await.unwrap();
    }
    for request in server.requests() {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/messages"));
        assert_eq!(request.header("x-api-key"), Some(CANARY));
        assert_eq!(request.header("authorization"), None);
        assert_eq!(request.header("anthropic-version"), Some("2023-06-01"));
        assert_eq!(request.header("anthropic-beta"), Some("x-1"));
        assert_eq!(request.json()["speed"], "fast");
    }
}

#[tokio::test]
async fn refusals_have_their_kinds() {
    let refuse = |status: u16, kind: &str, message: &str| {
        Reply::json(
            status,
            &serde_json::json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}),
        )
    };
    for (status, kind, message, check) in [
        (
            401,
            "authentication_error",
            "invalid x-api-key",
            (|k| matches!(k, ErrorKind::Provider(e) if e.status == Some(401))) as fn(&ErrorKind) -> bool,
        ),
        (404, "not_found_error", "model: claude-9", |k| matches!(k, ErrorKind::ModelNotFound(_))),
        (400, "invalid_request_error", "prompt is too long: 300 tokens > 200 maximum", |k| {
            matches!(k, ErrorKind::ContextWindowExceeded { prompt: Some(300), limit: Some(200) })
        }),
        (400, "invalid_request_error", "Your credit balance is too low", |k| matches!(k, ErrorKind::QuotaExhausted(_))),
        (413, "request_too_large", "too large", |k| matches!(k, ErrorKind::Provider(e) if e.status == Some(413))),
        (
            529,
            "overloaded_error",
            "Overloaded",
            |k| matches!(k, ErrorKind::Provider(e) if e.code.as_deref() == Some("overloaded_error")),
        ),
    ] {
        let (server, backend) = server().await;
        server.on("POST /v1/messages").reply(refuse(status, kind, message));
        let error = events(&*backend, ask("hi")).await.unwrap_err();
        assert!(check(error.kind()), "{error:?}");
        assert_eq!((error.provider(), error.model()), (Some("anthropic"), Some("claude-opus-4-5")));
        assert!(!format!("{error:?}").contains(CANARY));
        assert_eq!(server.count(), if status == 529 { 3 } else { 1 });
    }
}

#[tokio::test]
async fn overload_before_the_first_word_is_tried_again_and_after_it_is_not() {
    let (server, backend) = server().await;
    let error =
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\"}}\n\n";
    let good = String::from_utf8(corpus("anthropic/text.sse")).unwrap();
    server.on("POST /v1/messages").replies([Reply::sse([start, error]), Reply::sse([good.as_str()])]);
    let stream = with_options("hi", |o| o.stream = true);
    assert_eq!(text(&events(&*backend, stream.clone()).await.unwrap()), "Grüße, 世界 🌍!");
    assert_eq!(server.count(), 2);
    let (server, backend) = self::server().await;
    server.on("POST /v1/messages").reply(Reply::sse([String::from_utf8(corpus("anthropic/overloaded.sse")).unwrap()]));
    let error = events(&*backend, stream.clone()).await.unwrap_err();
    assert_eq!((error.status(), server.count()), (Some(529), 1));
    // A cut after the first word.
    let (server, backend) = self::server().await;
    server.on("POST /v1/messages").reply(Reply::stream("text/event-stream", [Step::send(&good.as_bytes()[..700]), Step::Cut]));
    let error = events(&*backend, stream).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::StreamInterrupted), "{error:?}");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_stream_answered_whole_is_an_answer() {
    let (server, backend) = server().await;
    server.on("POST /v1/messages").reply(Reply::bytes(200, corpus("anthropic/tools.json"), "application/json"));
    let got = events(&*backend, with_options("hi", |o| o.stream = true)).await.unwrap();
    let usage: Usage = serde_json::from_value(folded(&got)["usage"].clone()).unwrap();
    assert_eq!((usage.prompt_tokens, usage.cached_tokens, usage.reasoning_tokens), (Some(500), Some(90), Some(40)));
}

#[test]
fn a_key_is_needed() {
    let mut settings = settings("anthropic", "claude", "http://localhost");
    settings.api_key = None;
    let error = backend(settings).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Config { .. }) && error.hint().unwrap().contains("ANTHROPIC_API_KEY"), "{error:?}");
}

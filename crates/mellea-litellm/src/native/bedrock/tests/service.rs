//! The simulated service, and what only shows over HTTP.

use mellea_core::backend_conformance;
use mellea_core::testing::conformance::Fixture;
use mellea_http::testing::{Recorded, Reply, Server};
use serde_json::json;

use super::super::super::testing::*;
use super::super::frames::tests::{event, write};
use super::super::*;
use super::{call, delta, stop_block, text_stream};

/// The service as it answers a model that follows to the letter.
fn service(request: &Recorded) -> Reply {
    let sent = request.json();
    let config = &sent["inferenceConfig"];
    let asked = Asked {
        prompt: sent["messages"].as_array().unwrap().last().unwrap()["content"].to_string(),
        max_tokens: config["maxTokens"].as_u64(),
        stops: config["stopSequences"].as_array().into_iter().flatten().map(|s| s.as_str().unwrap().to_owned()).collect(),
        tools: sent["toolConfig"]["tools"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|t| &t["toolSpec"])
            .map(|t| (t["name"].as_str().unwrap().to_owned(), t["inputSchema"]["json"].clone()))
            .collect(),
        forced: sent.pointer("/toolConfig/toolChoice/tool/name").and_then(Value::as_str).map(str::to_owned),
        schema: sent
            .pointer("/outputConfig/textFormat/structure/jsonSchema/schema")
            .map(|schema| serde_json::from_str(schema.as_str().unwrap()).unwrap()),
        stream: request.path.ends_with("/converse-stream"),
    };
    let told = model(&asked);
    let reason = if !told.calls.is_empty() {
        "tool_use"
    } else if told.length {
        "max_tokens"
    } else {
        "end_turn"
    };
    let usage = json!({"inputTokens": told.prompt_tokens, "outputTokens": told.tokens});
    if !asked.stream {
        let mut content: Vec<_> = told
            .calls
            .iter()
            .map(|(name, input)| json!({"toolUse": {"toolUseId": "t1", "name": name, "input": input}}))
            .collect();
        if content.is_empty() {
            content.push(json!({"text": told.pieces.concat()}));
        }
        let reply = Reply::json(
            200,
            &json!({"output": {"message": {"role": "assistant", "content": content}}, "stopReason": reason, "usage": usage}),
        );
        return if told.endless { reply.hang() } else { reply };
    }
    let mut out = vec![event("messageStart", &json!({"role": "assistant"}))];
    for (name, input) in &told.calls {
        for (name, payload) in [call(0, "t1", name), delta(0, json!({"toolUse": {"input": input.to_string()}})), stop_block(0)] {
            out.push(event(name, &payload));
        }
    }
    for piece in &told.pieces {
        let (name, payload) = delta(0, json!({"text": piece}));
        out.push(event(name, &payload));
    }
    out.push(event("messageStop", &json!({"stopReason": reason})));
    out.push(event("metadata", &json!({"usage": usage})));
    streamed("application/vnd.amazon.eventstream", out, told.endless)
}

fn empty(_: &str) -> Option<String> {
    None
}

async fn simulated(model: &str) -> Fixture {
    fixture(service, |settings| backend_in(settings, &empty), "bedrock", model).await
}

backend_conformance!(of_claude, simulated("us.anthropic.claude-sonnet-4-5-20250929-v1:0"));
backend_conformance!(of_nova, simulated("amazon.nova-pro-v1:0"));

#[tokio::test]
async fn the_model_is_one_segment_of_the_path() {
    let server = Server::start().await.unwrap();
    server.handle(service);
    for (model, stream) in
        [("converse/anthropic.claude-3-sonnet-20240229-v1:0", false), ("arn:aws:bedrock:us-east-1:1:inference-profile/x y", true)]
    {
        let backend = backend_in(settings("bedrock", model, &server.url()), &empty).unwrap();
        events(&*backend, with_options("hi", |o| o.stream = stream)).await.unwrap();
    }
    let requests = server.requests();
    assert_eq!(requests[0].path, "/model/anthropic.claude-3-sonnet-20240229-v1%3A0/converse");
    assert_eq!(requests[1].path, "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx%20y/converse-stream");
    assert_eq!(requests[0].header("authorization"), Some(format!("Bearer {CANARY}").as_str()));
}

#[test]
fn regions_make_addresses() {
    let built = |region: Option<&str>| {
        let mut settings = settings("bedrock", "m", "");
        (settings.base_url, settings.region) = (None, region.map(str::to_owned));
        backend_in(settings, &empty).map(|backend| format!("{backend:?}"))
    };
    assert!(built(Some("eu-west-1")).unwrap().contains("https://bedrock-runtime.eu-west-1.amazonaws.com"));
    assert!(built(Some("cn-north-1")).unwrap().contains("https://bedrock-runtime.cn-north-1.amazonaws.com.cn"));
    let error = built(None).unwrap_err();
    assert!(error.hint().unwrap().contains("AWS_REGION_NAME"), "{error:?}");
}

#[tokio::test]
async fn refusals_have_their_kinds() {
    let refuse = |status: u16, kind: &str, message: &str| {
        Reply::json(status, &json!({"message": message}))
            .header("x-amzn-ErrorType", format!("{kind}:http://internal.amazon.com/"))
    };
    for (reply, check, requests) in [
        (
            refuse(403, "AccessDeniedException", "You don't have access to the model with the specified model ID."),
            (|e: &Error| e.status() == Some(403) && e.hint().unwrap().contains("console")) as fn(&Error) -> bool,
            1,
        ),
        (
            refuse(400, "ValidationException", "The provided model identifier is invalid."),
            |e| matches!(e.kind(), ErrorKind::ModelNotFound(_)),
            1,
        ),
        (
            refuse(404, "ResourceNotFoundException", "This Model is marked by provider as Legacy"),
            |e| matches!(e.kind(), ErrorKind::ModelNotFound(_)),
            1,
        ),
        (
            refuse(400, "ValidationException", "Input is too long for requested model."),
            |e| matches!(e.kind(), ErrorKind::ContextWindowExceeded { .. }),
            1,
        ),
        (
            refuse(400, "ValidationException", "Invocation of model ID x with on-demand throughput isn't supported."),
            |e| e.hint().is_some_and(|hint| hint.contains("inference profile")),
            1,
        ),
        (refuse(429, "ThrottlingException", "Too many tokens"), |e| e.is_rate_limited(), 3),
        (refuse(408, "ModelTimeoutException", "slow"), |e| e.status() == Some(408), 3),
        (refuse(424, "ModelErrorException", "broken"), |e| e.status() == Some(424), 1),
        (refuse(503, "ServiceUnavailableException", "later"), |e| e.status() == Some(503), 3),
    ] {
        let server = Server::start().await.unwrap();
        server.on("POST /model/m/converse").reply(reply);
        let backend = backend_in(settings("bedrock", "m", &server.url()), &empty).unwrap();
        let error = events(&*backend, ask("hi")).await.unwrap_err();
        assert!(check(&error), "{error:?}");
        assert_eq!(server.count(), requests, "{error}");
        assert!(!format!("{error:?}").contains(CANARY));
    }
}

#[tokio::test]
async fn an_exception_as_the_first_message_is_tried_again() {
    let server = Server::start().await.unwrap();
    let headers = [(":exception-type", "throttlingException"), (":message-type", "exception")];
    let refused = Reply::bytes(200, write(&headers, br#"{"message":"slow down"}"#), "application/vnd.amazon.eventstream");
    let good = Reply::bytes(200, text_stream(), "application/vnd.amazon.eventstream");
    server.on("POST /model/m/converse-stream").replies([refused, good]);
    let backend = backend_in(settings("bedrock", "m", &server.url()), &empty).unwrap();
    let got = events(&*backend, with_options("hi", |o| o.stream = true)).await.unwrap();
    assert_eq!((text(&got).as_str(), server.count()), ("Grüße, 世界 🌍!", 2));
}

#[tokio::test]
async fn a_damaged_stream_is_malformed() {
    let server = Server::start().await.unwrap();
    let mut bytes = text_stream();
    let at = bytes.len() / 3;
    bytes[at] ^= 1;
    server.on("POST /model/m/converse-stream").reply(Reply::bytes(200, bytes, "application/vnd.amazon.eventstream"));
    let backend = backend_in(settings("bedrock", "m", &server.url()), &empty).unwrap();
    let error = events(&*backend, with_options("hi", |o| o.stream = true)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::MalformedResponse { reason, .. } if reason.contains("checksum")), "{error:?}");
}

#[cfg(feature = "bedrock-sigv4")]
#[tokio::test]
async fn access_keys_sign_each_call() {
    let server = Server::start().await.unwrap();
    server.handle(service);
    let env = |name: &str| match name {
        "AWS_ACCESS_KEY_ID" => Some("AKIDEXAMPLE".to_owned()),
        "AWS_SECRET_ACCESS_KEY" => Some(CANARY.to_owned()),
        "AWS_SESSION_TOKEN" => Some("session".to_owned()),
        "AWS_REGION" => Some("eu-west-1".to_owned()),
        _ => None,
    };
    let mut settings = settings("bedrock", "anthropic.claude-3-haiku-20240307-v1:0", &server.url());
    settings.api_key = None;
    let backend = backend_in(settings, &env).unwrap();
    events(&*backend, ask("hi")).await.unwrap();
    let request = server.requests().remove(0);
    let proof = request.header("authorization").unwrap();
    assert!(
        proof.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") && proof.contains("/eu-west-1/bedrock/aws4_request"),
        "{proof}"
    );
    assert_eq!(request.header("x-amz-security-token"), Some("session"));
    assert!(!format!("{backend:?}").contains(CANARY));
}

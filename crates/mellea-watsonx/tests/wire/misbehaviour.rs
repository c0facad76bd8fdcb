//! Refusals, odd bodies, and the service's word that it is enough.

use mellea_core::{ErrorKind, Limiter};
use tokio::time::Instant;

use super::*;

async fn refused(reply: Reply) -> (Error, usize) {
    let server = Server::start().await.unwrap();
    server.on(CHAT).reply(reply);
    let error = all(&builder(&server).build().unwrap(), ask("Hi")).await.unwrap_err();
    assert_eq!((error.provider(), error.model()), (Some("watsonx"), Some("ibm/granite-4-h-small")));
    (error, server.count())
}

#[tokio::test]
async fn refusals_have_their_kinds_and_their_hints() {
    let missing = refusal(404, "model_not_supported", "Model 'x' is not supported for this environment");
    let (error, requests) = refused(missing).await;
    assert!(matches!(error.kind(), ErrorKind::ModelNotFound(model) if model == "ibm/granite-4-h-small"), "{error:?}");
    assert!(error.hint().unwrap().contains("/ml/v1/foundation_model_specs?version=2025-02-11"), "{error}");
    assert_eq!((error.status(), error.request_id(), requests), (Some(404), Some("trace-1"), 1));

    let unbound = refusal(403, "no_associated_service_instance_error", "Project 1 is not associated with an instance");
    assert!(refused(unbound).await.0.hint().unwrap().contains("watsonx.ai Runtime"));

    let long = "Number of input tokens 9000 cannot exceed the total tokens limit 8192 for this model";
    let (error, _) = refused(refusal(400, "invalid_input_argument", long)).await;
    let numbers = (Some(9000), Some(8192));
    assert!(
        matches!(error.kind(), ErrorKind::ContextWindowExceeded { prompt, limit } if (*prompt, *limit) == numbers),
        "{error:?}"
    );

    let (error, requests) = refused(refusal(403, "token_quota_reached", "The monthly quota is used up")).await;
    assert!(matches!(error.kind(), ErrorKind::QuotaExhausted(_)) && requests == 1, "{error:?}");

    let (error, requests) = refused(refusal(429, "too_many_requests", "slow down")).await;
    assert!(error.is_rate_limited() && requests == 3, "{error:?}");

    let (error, requests) = refused(refusal(400, "json_validation_error", "Json document validation error: messages")).await;
    assert_eq!((error.status(), requests), (Some(400), 1));
}

#[tokio::test]
async fn a_deployment_that_is_not_there_says_so() {
    let server = Server::start().await.unwrap();
    server.handle(|_| refusal(404, "deployment_not_found", "Deployment d does not exist"));
    let backend = WatsonX::builder().url(server.url()).token("t").deployment_id("d").build().unwrap();
    let error = all(&backend, ask("Hi")).await.unwrap_err();
    assert!(error.hint().unwrap().contains("id of the deployment"), "{error}");
    assert_eq!(error.model(), Some("deployment/d"));
}

#[tokio::test]
async fn failures_on_the_way_are_tried_again() {
    let server = Server::start().await.unwrap();
    server.on(CHAT).replies([Reply::status(503), Reply::status(520), Reply::json(200, &answer("Hi"))]);
    all(&builder(&server).build().unwrap(), ask("Hi")).await.unwrap();
    assert_eq!(server.count(), 3);
}

/// Bodies with status 200 that answer all the same.
const ODD: [&str; 14] = [
    r#"{"choices":[{"message":{"content":"Hi"}}]}"#,
    r#"{"choices":[{"message":{"content":"Hi"},"finish_reason":""}]}"#,
    r#"{"choices":[{"message":{"content":"Hi"},"finish_reason":null}],"usage":null}"#,
    r#"{"choices":[{"message":{"content":"Hi"},"finish_reason":7}],"usage":{}}"#,
    r#"{"choices":[{"message":{"content":"Hi","tool_calls":null}}],"usage":[]}"#,
    r#"{"choices":[{"message":{"content":"Hi","tool_calls":{}}}],"usage":{"prompt_tokens":-1,"completion_tokens":1.5}}"#,
    r#"{"choices":[{"message":{"content":"Hi","tool_calls":[]}}],"id":7,"model":{},"model_id":[]}"#,
    r#"{"choices":[null,7,{"index":0,"message":{"content":"Hi"}}]}"#,
    r#"{"choices":[{"index":1,"message":{"content":"no"}},{"index":0,"message":{"content":"Hi"}}]}"#,
    r#"{"choices":[{"index":"0","message":{"content":"Hi","role":null}}],"system":{"warnings":{}}}"#,
    r#"{"choices":[{"message":{"content":"Hi"},"logprobs":{"content":[{"token":null,"logprob":"-inf"}]}}]}"#,
    r#"{"choices":[{"message":{"content":"Hi"},"logprobs":[]}],"system":[],"errors":null}"#,
    r#"{"choices":[{"message":{"content":"Hi"},"delta":null,"finish_reason":"eos"}],"errors":[]}"#,
    r#"{"unknown":{"deep":[{"a":1e400}]},"choices":[{"message":{"content":"Hi"}}]}"#,
];

#[tokio::test]
async fn odd_answers_are_answers() {
    let server = Server::start().await.unwrap();
    // A number beyond all numbers is no JSON that can be read.
    let odd = ODD.map(|body| body.replace("1e400", "1e300"));
    server.on(CHAT).replies(odd.iter().map(|body| Reply::text(200, body, "application/json;charset=utf-8")));
    let backend = builder(&server).build().unwrap();
    for body in &odd {
        let events = all(&backend, ask("Hi")).await.unwrap_or_else(|error| panic!("{body}: {error}"));
        assert_eq!(events.iter().filter(|event| **event == Event::Text("Hi".into())).count(), 1, "{body}: {events:?}");
        assert_eq!(events.iter().filter(|event| matches!(event, Event::Finish(_))).count(), 1, "{body}: {events:?}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_malformed_and_shows_no_key() {
    let bodies =
        ["", " ", "{", "[]", "null", "{}", "{\"choices\":[]}", "canary-token", "{\"choices\":[{\"message\":{\"content\":\"H"];
    for body in bodies {
        let (error, requests) = refused(Reply::text(200, body, "application/json")).await;
        assert!(matches!(error.kind(), ErrorKind::MalformedResponse { .. }), "{body}: {error:?}");
        assert!(!shown(&error).contains("canary-token"));
        assert_eq!(requests, 1);
    }
    let (error, _) = refused(Reply::text(200, "<html><title>Login</title></html>", "text/html")).await;
    assert!(error.to_string().contains("HTML"), "{error}");
    let (error, _) =
        refused(Reply::json(200, &json!({ "errors": [{ "code": "x", "message": "inside" }], "status_code": 400 }))).await;
    assert!(error.to_string().contains("inside"), "{error}");
}

#[tokio::test]
async fn a_request_without_messages_is_refused_here() {
    let server = Server::start().await.unwrap();
    let backend = builder(&server).build().unwrap();
    let error = backend.chat(ChatRequest::default()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::EmptyPrompt) && error.provider() == Some("watsonx"));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn when_nothing_is_left_the_next_call_waits() {
    for own in [false, true] {
        let server = Server::start().await.unwrap();
        let reply = |left: &str| Reply::json(200, &answer("Hi")).header("x-requests-limit-remaining", left);
        server.on(CHAT).replies([reply("5"), reply("0"), reply("7")]);
        let limiter = Limiter::new();
        let backend = if own { builder(&server).limiter(limiter.clone()) } else { builder(&server) }.build().unwrap();
        all(&backend, ask("1")).await.unwrap();
        let before = Instant::now();
        all(&backend, ask("2")).await.unwrap();
        all(&backend.clone(), ask("3")).await.unwrap();
        // The pause began after the second answer.
        assert!(before.elapsed() >= Duration::from_millis(125), "{:?}", before.elapsed());
        assert_eq!(limiter.in_use(), 0);
    }
}

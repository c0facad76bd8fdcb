//! Answers as they come, and every way in which they do not.

use std::time::Duration;

use mellea_core::{ErrorKind, TimeoutPhase};
use mellea_http::testing::Step;

use super::*;

const PATH: &str = "POST /v1/chat/completions";

pub(super) async fn serve(replies: impl IntoIterator<Item = Reply>) -> (Server, OpenAi) {
    let server = Server::start().await.unwrap();
    server.on(PATH).replies(replies);
    let backend = at(&server, Dialect::GENERIC).build().unwrap();
    (server, backend)
}

pub(super) fn sse(events: &[&str]) -> Reply {
    Reply::sse(events.iter().map(|e| (*e).to_owned()))
}

#[tokio::test]
async fn id_model_and_usage_come_with_a_stream() {
    let usage = event(&json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}));
    let (_server, backend) = serve([sse(&[&piece("Hel"), &piece("lo"), &stop(), &usage, DONE])]).await;
    let answer = ask(&backend, streamed(hi())).await;
    assert_eq!((answer.text.as_str(), answer.usage), ("Hello", Usage::new(3, 2)));
    assert_eq!((answer.id.as_deref(), answer.model.as_deref()), (Some("c1"), Some("m-1")));
    assert_eq!(answer.finish, Some(FinishReason::Stop));
}

#[tokio::test]
async fn streamed_and_whole_answers_are_the_same() {
    let usage = event(&json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}));
    let (_server, backend) = serve([said("Hello"), sse(&[&piece("Hel"), &piece("lo"), &stop(), &usage, DONE])]).await;
    assert_eq!(ask(&backend, hi()).await, ask(&backend, streamed(hi())).await);
}

#[tokio::test]
async fn what_comes_counts_and_not_what_was_asked_for() {
    let (_server, backend) = serve([said("whole"), sse(&[&piece("in "), &piece("pieces"), &stop(), DONE])]).await;
    assert_eq!(ask(&backend, streamed(hi())).await.text, "whole");
    assert_eq!(ask(&backend, hi()).await.text, "in pieces");
}

#[tokio::test]
async fn a_finish_is_an_end_without_the_last_word() {
    let (_server, backend) = serve([sse(&[&piece("a"), &stop()]), sse(&[&piece("a"), DONE])]).await;
    assert_eq!(ask(&backend, streamed(hi())).await.finish, Some(FinishReason::Stop));
    assert_eq!(ask(&backend, streamed(hi())).await.finish, Some(FinishReason::Stop), "the last word without a finish");
}

#[tokio::test]
async fn an_end_without_either_is_an_interruption() {
    let cut = |end: Step| Reply::stream("text/event-stream", [Step::send(piece("par")), Step::send(piece("tial")), end]);
    let half = Reply::stream("text/event-stream", [Step::send(piece("partial")), Step::send("data: {\"choices\": [{\"del")]);
    for reply in [sse(&[&piece("partial")]), cut(Step::Cut), half] {
        let (server, backend) = serve([reply]).await;
        let (answer, error) = try_ask(&backend, streamed(hi())).await;
        let error = error.unwrap();
        assert!(matches!(error.kind(), ErrorKind::StreamInterrupted), "{error:?}");
        assert_eq!((answer.text.as_str(), answer.finish, error.model()), ("partial", None, Some("m")));
        assert_eq!(server.count(), 1, "nothing is repeated after the first piece");
    }
}

#[tokio::test]
async fn a_server_that_never_says_the_end_may_be_taken_at_the_end_of_the_body() {
    let cut = Reply::stream("text/event-stream", [Step::send(piece("partial")), Step::Cut]);
    let server = Server::start().await.unwrap();
    server.on(PATH).replies([sse(&[&piece("all"), &piece(" of it")]), cut, sse(&[])]);
    let backend = at(&server, Dialect::GENERIC.says_finish(false)).retry(mellea_openai::Retry::never()).build().unwrap();
    let answer = ask(&backend, streamed(hi())).await;
    assert_eq!((answer.text.as_str(), answer.finish), ("all of it", Some(FinishReason::Stop)));
    assert!(answer.warnings[0].to_string().contains("did not say that the answer is complete"), "{:?}", answer.warnings);
    for what in ["a lost connection", "nothing at all"] {
        let (_, error) = try_ask(&backend, streamed(hi())).await;
        assert!(matches!(error.unwrap().kind(), ErrorKind::StreamInterrupted), "{what}");
    }
}

#[tokio::test]
async fn errors_within_a_stream_end_it() {
    for error in [
        event(&json!({"error": {"message": "out of memory", "type": "api_error"}})),
        event(&json!({"object": "error", "message": "out of memory", "code": 500})),
        event(
            &json!({"choices": [{"index": 0, "delta": {}, "error": {"message": "out of memory", "code": 502}, "finish_reason": "error"}]}),
        ),
        event(&json!({"error": "out of memory"})),
        "event: error\ndata: {\"message\": \"out of memory\"}\n\n".to_owned(),
    ] {
        let (server, backend) = serve([sse(&[&piece("par"), &error, DONE])]).await;
        let (answer, failure) = try_ask(&backend, streamed(hi())).await;
        let failure = failure.unwrap();
        assert!(failure.to_string().contains("out of memory"), "{error}: {failure}");
        assert_eq!((answer.text.as_str(), server.count()), ("par", 1));
    }
}

#[tokio::test]
async fn an_error_before_the_first_piece_is_retried_like_a_status() {
    let busy = event(&json!({"error": {"message": "overloaded", "type": "server_error", "code": 503}}));
    let role = event(&json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}));
    let good = sse(&[&role, &piece("ok"), &stop(), DONE]);
    let (server, backend) = serve([sse(&[&busy]), sse(&[&role, &busy]), good]).await;
    assert_eq!(ask(&backend, streamed(hi())).await.text, "ok");
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn a_quota_within_a_stream_is_not_retried() {
    let unpaid = event(&json!({"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}));
    let (server, backend) = serve([sse(&[&unpaid])]).await;
    let error = backend.chat(streamed(hi())).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::QuotaExhausted(_)), "{error:?}");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn an_error_with_a_status_of_success_is_an_error() {
    let body = json!({"error": {"message": "no such luck", "type": "invalid_request_error"}});
    let (_server, backend) = serve([Reply::json(200, &body)]).await;
    for request in [hi(), streamed(hi())] {
        let error = backend.chat(request).await.unwrap_err();
        assert!(error.to_string().contains("no such luck"), "{error}");
    }
}

#[tokio::test]
async fn a_hole_in_an_answer_is_an_error_unless_it_is_asked_for() {
    let hole = || sse(&[&piece("a"), "data: {broken\n\n", ": ping\n\n", &piece("b"), &stop(), DONE]);
    let (_server, backend) = serve([hole()]).await;
    let (answer, error) = try_ask(&backend, streamed(hi())).await;
    assert_eq!(answer.text, "a");
    assert!(matches!(error.unwrap().kind(), ErrorKind::MalformedResponse { .. }));

    let server = Server::start().await.unwrap();
    let skipping = OpenAi::builder().base_url(server.url()).keyless().model("m").skip_unreadable().build().unwrap();
    server.handle(move |_| hole());
    let answer = ask(&skipping, streamed(hi())).await;
    assert_eq!(answer.text, "ab");
    assert!(matches!(answer.warnings.as_slice(), [Warning::Note { message }] if message.starts_with("1 piece")), "{answer:?}");
    let many: Vec<String> = (0..40).map(|_| "data: ]\n\n".to_owned()).collect();
    server.handle(move |_| Reply::sse([vec![piece("a")], many.clone(), vec![stop()]].concat()));
    let error = fails(&skipping, streamed(hi())).await;
    assert!(matches!(error.kind(), ErrorKind::MalformedResponse { .. }), "{error:?}");
}

#[tokio::test]
async fn bodies_without_an_answer_are_malformed() {
    for body in [json!({}), json!({"choices": []}), json!({"choices": null}), json!({"choices": {}}), json!([1])] {
        let (_server, backend) = serve([Reply::json(200, &body)]).await;
        let error = backend.chat(hi()).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::MalformedResponse { .. }), "{body}: {error:?}");
    }
    let (_server, backend) = serve([Reply::text(200, "<html><title>Hello</title></html>", "text/html")]).await;
    for request in [hi(), streamed(hi())] {
        assert!(matches!(backend.chat(request).await.unwrap_err().kind(), ErrorKind::MalformedResponse { .. }));
    }
}

#[tokio::test]
async fn refusals_by_status_are_errors_of_the_call() {
    for (status, requests) in [(400, 1), (401, 1), (404, 1), (422, 1), (429, 3), (500, 3), (503, 3)] {
        let (server, backend) = serve([Reply::json(status, &json!({"error": {"message": "no", "code": "x"}}))]).await;
        let error = backend.chat(streamed(hi())).await.unwrap_err();
        assert_eq!((error.status(), server.count()), (Some(status), requests), "{error:?}");
    }
    let (server, backend) = serve([Reply::json(500, &json!({})), said("ok")]).await;
    assert_eq!(ask(&backend, hi()).await.text, "ok");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_missing_model_says_what_to_do() {
    let server = Server::start().await.unwrap();
    server.on(PATH).reply(Reply::json(404, &json!({"error": {"message": "model \"m\" not found", "type": "not_found_error"}})));
    let error = at(&server, Dialect::OLLAMA).build().unwrap().chat(hi()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ModelNotFound(_)), "{error:?}");
    assert!(error.to_string().contains("ollama pull m"), "{error}");
}

#[tokio::test]
async fn silence_within_a_stream_is_a_timeout() {
    let reply = Reply::stream("text/event-stream", [Step::send(piece("par")), Step::Hang]);
    let (_server, backend) = serve([reply]).await;
    let request = hi().options(options(|o| {
        o.stream = true;
        o.stream_timeout = Some(Duration::from_millis(50));
    }));
    let (answer, error) = try_ask(&backend, request).await;
    let error = error.unwrap();
    assert!(matches!(error.kind(), ErrorKind::Timeout { phase: TimeoutPhase::NextToken, .. }), "{error:?}");
    assert_eq!(answer.text, "par");
}

#[tokio::test]
async fn dropping_a_stream_or_a_call_closes_the_connection() {
    let reply = Reply::stream("text/event-stream", [Step::send(piece("par")), Step::Hang]);
    let (server, backend) = serve([reply, said("late").hang()]).await;
    let mut events = backend.chat(streamed(hi())).await.unwrap();
    while !matches!(events.next().await, Some(Ok(Event::Text(_)))) {}
    drop(events);
    assert!(server.wait_until(|s| s.in_flight() == 0, Duration::from_secs(5)).await);
    let call = backend.chat(hi());
    assert!(tokio::time::timeout(Duration::from_millis(50), call).await.is_err());
    assert!(server.wait_until(|s| s.in_flight() == 0, Duration::from_secs(5)).await);
}

#[tokio::test]
async fn a_connection_serves_the_next_call_after_a_stream() {
    let (server, backend) = serve([sse(&[&piece("a"), &stop(), DONE])]).await;
    for _ in 0..5 {
        ask(&backend, streamed(hi())).await;
    }
    assert_eq!((server.count(), server.connections()), (5, 1));
}

#[tokio::test]
async fn pieces_are_handed_on_as_they_come() {
    let gate = mellea_http::testing::Gate::new();
    let steps = [Step::send(piece("first")), Step::Gate(gate.clone()), Step::send(stop())];
    let (_server, backend) = serve([Reply::stream("text/event-stream", steps)]).await;
    let mut events = backend.chat(streamed(hi())).await.unwrap();
    let text = loop {
        if let Event::Text(text) = events.next().await.unwrap().unwrap() {
            break text;
        }
    };
    assert_eq!(text, "first");
    gate.open();
    assert!(matches!(events.next().await, Some(Ok(Event::Finish(FinishReason::Stop)))));
}

#[tokio::test]
async fn the_tool_for_json_is_the_answers_text() {
    let server = Server::start().await.unwrap();
    let call = json!([{"index": 0, "id": "a", "function": {"name": "json_tool_call", "arguments": "{\"id\":1}"}}]);
    let whole = json!({"choices": [{"message": {"content": null, "tool_calls": call}, "finish_reason": "tool_calls"}]});
    let pieces = event(&json!({"choices": [{"delta": {"tool_calls": call}}]}));
    let end = event(&json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}));
    server.on(PATH).reply(Reply::json(200, &whole)).reply(sse(&[&pieces, &end, DONE]));
    let backend = at(&server, Dialect::GENERIC.schema(mellea_openai::SchemaPolicy::ForcedTool)).build().unwrap();
    let schema = mellea_core::Schema::from_value(json!({"type": "object", "properties": {"id": {"type": "integer"}}})).unwrap();
    for request in [hi(), streamed(hi())] {
        let answer = ask(&backend, request.format(mellea_core::Format::JsonSchema(schema.clone()))).await;
        assert_eq!((answer.text.as_str(), answer.calls.len(), answer.finish), ("{\"id\":1}", 0, Some(FinishReason::Stop)));
    }
}

#[tokio::test]
async fn what_a_service_wants_back_with_its_calls_is_kept() {
    let signature = json!({"google": {"thought_signature": "sig"}});
    let call = json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}, "extra_content": signature}]);
    let detail = |text: &str| json!([{"type": "reasoning.text", "text": text, "index": 0}]);
    let whole =
        json!({"choices": [{"message": {"reasoning_details": detail("ab"), "tool_calls": call}, "finish_reason": "tool_calls"}]});
    let delta = |delta: Value| event(&json!({"choices": [{"delta": delta}]}));
    let pieces =
        [delta(json!({"reasoning_details": detail("a")})), delta(json!({"reasoning_details": detail("b"), "tool_calls": call}))];
    let (_server, backend) = serve([Reply::json(200, &whole), Reply::sse([pieces.concat(), stop()])]).await;
    let answer = ask(&backend, hi()).await;
    let kept = json!({"openai": {"reasoning_details": detail("ab"), "extra_content": {"a": signature}}});
    assert_eq!(answer.replay, Some(kept));
    assert_eq!(answer, ask(&backend, streamed(hi())).await);
}

#[tokio::test]
async fn a_call_that_the_server_could_not_read_is_the_models_fault() {
    let said =
        json!({"error": {"message": "Failed to call a function.", "type": "invalid_request_error", "code": "tool_use_failed"}});
    let (server, backend) = serve([Reply::json(400, &said), sse(&[&piece("a"), &event(&said)])]).await;
    for request in [hi(), streamed(hi())] {
        let error = fails(&backend, request).await;
        assert!(error.is_answer_fault() && error.model() == Some("m"), "{error:?}");
    }
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn models_are_listed() {
    let server = Server::start().await.unwrap();
    server.on("GET /v1/models").reply(Reply::json(200, &json!({"object": "list", "data": [{"id": "a"}, {"id": "b"}]})));
    let backend = at(&server, Dialect::GENERIC).build().unwrap();
    assert_eq!(backend.models().await.unwrap(), ["a", "b"]);
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer sk-canary"));
}

#[tokio::test]
async fn errors_and_their_causes_show_no_key() {
    let (server, backend) =
        serve([Reply::json(401, &json!({"error": {"message": "bad key sk-canary", "code": "invalid_api_key"}}))]).await;
    let error = backend.chat(hi()).await.unwrap_err();
    let mut shown = format!("{error} {error:?} {error:#?}");
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        shown.push_str(&format!("{error} {error:?}"));
        cause = error.source();
    }
    assert!(!shown.contains("canary"), "{shown}");
    assert_eq!(server.count(), 1);
}

//! What servers were seen to do, and what it must come to.

use std::time::{Duration, Instant};

use mellea_core::ErrorKind;
use mellea_http::testing::Step;

use super::streams::{serve, sse};
use super::*;

#[expect(clippy::needless_pass_by_value, reason = "it reads better at the call")]
fn chunk(delta: Value) -> String {
    event(&json!({"choices": [{"index": 0, "delta": delta}]}))
}

#[expect(clippy::needless_pass_by_value, reason = "it reads better at the call")]
fn last(choice: Value) -> String {
    event(&json!({"choices": [choice]}))
}

/// The answer and the error, of a stream with these events.
async fn stream(events: &[&str]) -> (Answer, Option<Error>) {
    let (_server, backend) = serve([sse(events)]).await;
    try_ask(&backend, streamed(hi())).await
}

async fn body(body: Value) -> (Answer, Option<Error>) {
    let (_server, backend) = serve([Reply::json(200, &body)]).await;
    try_ask(&backend, hi()).await
}

#[tokio::test]
async fn an_error_within_a_success_is_that_error() {
    let piece = chunk(json!({"content": "Once upon"}));
    for error in [
        "error: {\"code\":500,\"message\":\"slot failed\",\"type\":\"server_error\"}\n\n",
        "{\"error\":{\"code\":500,\"message\":\"slot failed\"}}\n\n",
        "event: error\ndata: {\"code\":500,\"message\":\"slot failed\"}\n\n",
        "data: {\"choices\":null,\"base_resp\":{\"status_code\":1000,\"status_msg\":\"slot failed\"}}\n\n",
        "data: {\"success\":false,\"msg\":\"slot failed\"}\n\n",
        "data: {\"detail\":\"slot failed\"}\n\n",
    ] {
        let (answer, failure) = stream(&[&piece, error, DONE]).await;
        let failure = failure.unwrap_or_else(|| panic!("{error}"));
        assert_eq!(answer.text, "Once upon");
        assert!(failure.to_string().contains("slot failed"), "{error}: {failure}");
    }
    let full =
        json!({"error": {"message": "request (9000 tokens) exceeds the available context size (4096 tokens)", "code": 400}});
    let (server, backend) = serve([Reply::text(200, &full.to_string(), "text/event-stream")]).await;
    let error = backend.chat(streamed(hi())).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ContextWindowExceeded { prompt: Some(9000), limit: Some(4096) }), "{error:?}");
    assert_eq!(server.requests().len(), 1);
    for said in [
        json!({"choices": null, "base_resp": {"status_code": 1004, "status_msg": "login fail"}}),
        json!({"success": false, "errors": [{"code": 7003, "message": "no route"}], "result": null}),
        json!({"code": 50604, "msg": "busy", "data": null}),
        json!({"detail": "Model is overloaded"}),
    ] {
        let (_, error) = body(said.clone()).await;
        let shown = error.unwrap().to_string();
        assert!(["login fail", "no route", "busy", "overloaded"].iter().any(|words| shown.contains(words)), "{said}: {shown}");
    }
}

#[tokio::test]
async fn what_is_sent_twice_counts_once() {
    let pieces = [chunk(json!({"content": "Good morning"})), chunk(json!({"content": " to you"}))];
    let whole = json!({"role": "assistant", "content": "Good morning to you"});
    for end in [
        json!({"index": 0, "finish_reason": "stop", "message": whole}),
        json!({"index": 0, "finish_reason": "stop", "delta": {}, "message": whole}),
        json!({"index": 0, "finish_reason": "stop", "delta": whole}),
    ] {
        let (answer, error) = stream(&[&pieces[0], &pieces[1], &last(end.clone()), DONE]).await;
        assert_eq!((answer.text.as_str(), error.is_none()), ("Good morning to you", true), "{end}");
    }
    let thoughts = [chunk(json!({"reasoning_content": "They greet me, "})), chunk(json!({"reasoning_content": "so do I."}))];
    let whole = json!({"reasoning_content": "They greet me, so do I.", "content": "Hi"});
    let end = last(json!({"index": 0, "finish_reason": "stop", "message": whole}));
    let (answer, _) = stream(&[&thoughts[0], &thoughts[1], &chunk(json!({"content": "Hi"})), &end, DONE]).await;
    assert_eq!((answer.thinking.as_str(), answer.text.as_str()), ("They greet me, so do I.", "Hi"));
    // A server that streams messages instead of deltas.
    let said = |text: &str, finish: Value| last(json!({"index": 0, "message": {"content": text}, "finish_reason": finish}));
    let (answer, _) = stream(&[&said("Good ", json!(null)), &said("day", json!(null)), &said("!", json!("stop")), DONE]).await;
    assert_eq!(answer.text, "Good day!");
}

#[tokio::test]
async fn arguments_are_those_that_the_model_wrote() {
    let part = |id: Value, arguments: Value| {
        chunk(json!({"tool_calls": [{"index": 0, "id": id, "function": {"name": "find", "arguments": arguments}}]}))
    };
    let more = |arguments: Value| chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]}));
    let end = last(json!({"index": 0, "delta": {}, "finish_reason": "tool_calls"}));
    let again = json!({"tool_calls": [{"id": "c", "function": {"name": "find", "arguments": "{\"city\": \"Oslo\"}"}}]});
    let again = last(json!({"index": 0, "message": again, "finish_reason": "tool_calls"}));
    for events in [
        vec![part(json!("c"), json!("{}")), more(json!("{\"city\":")), more(json!(" \"Oslo\"}")), end.clone()],
        vec![part(json!("c"), json!({})), more(json!("{\"city\": \"Oslo\"}")), end.clone()],
        vec![
            part(json!("c"), json!("{\"city\":")),
            more(json!(" \"Oslo\"}")),
            part(json!("c"), json!("{\"city\": \"Oslo\"}")),
            end.clone(),
        ],
        vec![part(json!("c"), json!({"city": "Oslo"})), more(json!({"city": "Oslo"})), end.clone()],
        vec![part(json!("c"), json!("{\"city\":")), more(json!(" \"Oslo\"}")), again.clone()],
        vec![again],
    ] {
        let (answer, error) = stream(&events.iter().map(String::as_str).chain([DONE]).collect::<Vec<_>>()).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!(answer.calls.len(), 1, "{events:?}");
        assert_eq!(answer.calls[0].arguments, json!({"city": "Oslo"}), "{events:?}");
    }
}

#[tokio::test]
async fn a_choice_beside_the_first_is_read_where_the_first_lacks_something() {
    let call = json!([{"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{\"a\":1}"}}]);
    let choices = json!([
        {"index": 0, "finish_reason": "tool_calls", "message": {"content": "I will look."}},
        {"index": 1, "finish_reason": "tool_calls", "message": {"tool_calls": call}},
    ]);
    let (answer, _) = body(json!({ "choices": choices })).await;
    assert_eq!((answer.text.as_str(), answer.calls.len(), answer.finish), ("I will look.", 1, Some(FinishReason::ToolCalls)));
    let (answer, _) = body(json!({"choices": [{"index": 1, "message": {"content": "Hi"}, "finish_reason": "stop"}]})).await;
    assert_eq!(answer.text, "Hi");
}

#[tokio::test]
async fn words_for_the_end_mean_what_they_say() {
    let with = |word: &str| json!({"choices": [{"message": {"content": "The answer is half"}, "finish_reason": word}]});
    for word in [
        "network_error",
        "insufficient_system_resource",
        "error",
        "abort",
        "cancelled",
        "malformed_function_call",
        "repetition_truncation",
    ] {
        let (answer, error) = body(with(word)).await;
        let error = error.unwrap_or_else(|| panic!("{word}"));
        assert_eq!(answer.text, "The answer is half");
        assert_eq!(error.is_answer_fault(), word.starts_with("mal") || word.starts_with("rep"), "{word}: {error:?}");
        assert_eq!(error.is_retryable(), !error.is_answer_fault(), "{word}: {error:?}");
    }
    for (word, finish) in [
        ("sensitive", FinishReason::ContentFilter),
        ("SAFETY", FinishReason::ContentFilter),
        ("content-filter", FinishReason::ContentFilter),
        ("MAX_TOKENS", FinishReason::Length),
        ("Length", FinishReason::Length),
        ("brand_new", FinishReason::Other("brand_new".to_owned())),
    ] {
        let (answer, _) = body(with(word)).await;
        assert_eq!((answer.finish, answer.warnings.len()), (Some(finish), usize::from(word == "brand_new")), "{word}");
    }
    let end =
        last(json!({"index": 0, "delta": {"content": ""}, "finish_reason": "stop", "native_finish_reason": "network_error"}));
    let (answer, error) = stream(&[&chunk(json!({"content": "half"})), &end, DONE]).await;
    assert!(answer.text == "half" && error.unwrap().is_retryable());
}

#[tokio::test]
async fn an_end_without_a_finish_is_said_and_half_a_call_is_no_answer() {
    let (answer, error) = stream(&[&chunk(json!({"content": "Hi"})), DONE]).await;
    assert!(error.is_none() && answer.text == "Hi" && answer.warnings.len() == 1, "{answer:?} {error:?}");
    let half = chunk(json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "find", "arguments": "{\"city\":"}}]}));
    let (_, error) = stream(&[&half, DONE]).await;
    assert!(matches!(error.unwrap().kind(), ErrorKind::StreamInterrupted));
}

#[tokio::test]
async fn a_finished_answer_does_not_wait_for_the_end() {
    let steps = || vec![Step::send(piece("Hi")), Step::send(stop())];
    let mut beating = steps();
    beating.extend((0..40).flat_map(|_| [Step::Wait(Duration::from_millis(100)), Step::send(": ping\n\n")]));
    let mut silent = steps();
    silent.push(Step::Hang);
    for steps in [silent, beating] {
        let (_server, backend) = serve([Reply::stream("text/event-stream", steps)]).await;
        let start = Instant::now();
        assert_eq!(ask(&backend, streamed(hi())).await.text, "Hi");
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn an_answer_is_read_as_what_it_is() {
    let json = json!({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}).to_string();
    let events = [piece("Hi"), stop(), DONE.to_owned()].concat();
    for (text, kind) in [
        (json.clone(), "text/event-stream"),
        (format!("{json}\n\ndata: [DONE]\n\n"), "text/event-stream"),
        (json.clone(), "text/plain"),
        (json, ""),
        (events.clone(), "application/json"),
        (events, "text/plain"),
    ] {
        for request in [hi(), streamed(hi())] {
            let (_server, backend) = serve([Reply::text(200, &text, kind)]).await;
            assert_eq!(ask(&backend, request).await.text, "Hi", "{kind}");
        }
    }
}

#[tokio::test]
async fn text_in_the_wrong_script_is_kept() {
    let raw = |text: &str| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    let (answer, error) = stream(&[&raw("a\\ud83d"), &raw("\\ude00 b\\ud83d c"), &raw("d\te"), &stop(), DONE]).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(answer.text, "a😀 b\u{fffd} cd\te");
    let odd = r#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop","logprobs":{"content":[{"token":"Hi","logprob":-Infinity}]}}]}"#;
    let (_server, backend) = serve([Reply::text(200, odd, "application/json")]).await;
    let answer = ask(&backend, hi()).await;
    assert_eq!((answer.text.as_str(), answer.logprobs), ("Hi", 0));
}

#[tokio::test]
async fn calls_told_as_text_are_calls_of_what_was_offered() {
    let spoken = |name: &str| json!({"choices": [{"message": {"content": format!("<tool_call>{{\"name\": \"{name}\", \"arguments\": {{\"city\": \"Oslo\"}}}}</tool_call>")}, "finish_reason": "stop"}]});
    let offered = || hi().tools(vec![mellea_core::tool::ToolSpec::new("find", "Finds", json!({"type": "object"}))]);
    for (name, offer, calls) in [("find", true, 1), ("other", true, 0), ("find", false, 0)] {
        let (_server, backend) = serve([Reply::json(200, &spoken(name))]).await;
        let answer = ask(&backend, if offer { offered() } else { hi() }).await;
        assert_eq!((answer.calls.len(), answer.warnings.len(), answer.text.is_empty()), (calls, calls, calls == 1), "{name}");
    }
}

#[tokio::test]
async fn output_that_the_server_could_not_read_is_a_fault_of_the_answer() {
    for (status, said) in [
        (
            400,
            json!({"error": {"message": "Failed to generate JSON. Please adjust your prompt.", "code": "json_validate_failed", "failed_generation": "{\"answer\": blue}"}}),
        ),
        (500, json!({"error": "error parsing tool call: raw='{\"city\": Oslo}', err=invalid character 'O'"})),
        (500, json!({"error": {"message": "Failed to parse tool call arguments as JSON"}})),
        (500, json!({"error": {"message": "The model produced output that does not match the expected peg-native format"}})),
    ] {
        let (server, backend) = serve([Reply::json(status, &said)]).await;
        let error = backend.chat(hi()).await.unwrap_err();
        assert!(error.is_answer_fault(), "{said}: {error:?}");
        assert_eq!(server.requests().len(), 1);
    }
}

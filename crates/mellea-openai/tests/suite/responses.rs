//! The Responses API. The fields of requests and the names of events are those of the types in OpenAI's Python package 3.54.0.

use insta::assert_json_snapshot;
use mellea_core::{ErrorKind, Format, Schema, Thinking, ToolChoice, ToolSpec};
use mellea_http::testing::Step;

use super::*;

const PATH: &str = "POST /v1/responses";

async fn serve(replies: impl IntoIterator<Item = Reply>) -> (Server, OpenAi) {
    let server = Server::start().await.unwrap();
    server.on(PATH).replies(replies);
    let backend = at(&server, Dialect::OPENAI).responses().build().unwrap();
    (server, backend)
}

fn output() -> Value {
    json!([
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "first"}, {"type": "summary_text", "text": "second"}], "encrypted_content": "xyz", "status": null},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "Let me add.", "annotations": []}]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "add", "arguments": "{\"a\":1,\"b\":2}", "status": "completed"},
    ])
}

fn whole() -> Value {
    json!({
        "id": "resp_1", "object": "response", "model": "gpt-5.1-2025", "status": "completed", "error": null, "incomplete_details": null,
        "output": output(),
        "usage": {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 5}, "total_tokens": 17},
    })
}

fn events() -> Vec<Value> {
    let items = output();
    let done = |i: usize| json!({"type": "response.output_item.done", "output_index": i, "item": items[i]});
    let summary = |text: &str| json!({"type": "response.reasoning_summary_text.delta", "delta": text});
    vec![
        json!({"type": "response.created", "response": {"id": "resp_1", "model": "gpt-5.1-2025", "status": "in_progress", "output": []}, "sequence_number": 0}),
        json!({"type": "response.in_progress", "response": {"id": "resp_1", "status": "in_progress"}}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "summary": []}}),
        json!({"type": "response.reasoning_summary_part.added", "summary_index": 0}),
        summary("fir"),
        summary("st"),
        json!({"type": "response.reasoning_summary_text.done", "text": "first"}),
        json!({"type": "response.reasoning_summary_part.added", "summary_index": 1}),
        summary("second"),
        done(0),
        json!({"type": "response.content_part.added", "part": {"type": "output_text", "text": ""}}),
        json!({"type": "response.output_text.delta", "delta": "Let me "}),
        json!({"type": "response.output_text.delta", "delta": "add."}),
        json!({"type": "response.output_text.done", "text": "Let me add."}),
        done(1),
        json!({"type": "response.function_call_arguments.delta", "delta": "{\"a\":1,"}),
        json!({"type": "response.function_call_arguments.done", "arguments": "{\"a\":1,\"b\":2}"}),
        done(2),
        json!({"type": "response.completed", "response": whole()}),
    ]
}

fn sse(events: &[Value]) -> Reply {
    Reply::sse(events.iter().map(|e| format!("event: {}\ndata: {e}\n\n", e["type"].as_str().unwrap())))
}

#[tokio::test]
async fn whole_and_streamed_responses_are_the_same() {
    let (_server, backend) = serve([Reply::json(200, &whole()), sse(&events())]).await;
    let answer = ask(&backend, hi()).await;
    assert_eq!(answer, ask(&backend, streamed(hi())).await);
    assert_eq!((answer.text.as_str(), answer.thinking.as_str()), ("Let me add.", "first\n\nsecond"));
    assert_eq!(answer.calls, [ToolCall::with_id("call_1", "add", json!({"a": 1, "b": 2}))]);
    assert_eq!(
        (answer.finish, answer.usage.cached_tokens, answer.usage.reasoning_tokens),
        (Some(FinishReason::ToolCalls), Some(4), Some(5))
    );
    assert_eq!((answer.id.as_deref(), answer.model.as_deref()), (Some("resp_1"), Some("gpt-5.1-2025")));
    assert_eq!(answer.replay, Some(json!({"openai_responses": output()})));
}

#[tokio::test]
async fn the_request_and_what_goes_back_with_a_turn() {
    let (server, backend) = serve([Reply::json(200, &whole())]).await;
    let call = ToolCall::with_id("call_1", "add", json!({"a": 1, "b": 2}));
    let mut turn = Message::assistant("Let me add.");
    turn.tool_calls = vec![call.clone()];
    turn.replay = Some(json!({"openai_responses": output()}).into());
    let mut changed = turn.clone();
    changed.tool_calls[0].id = "other".to_owned();
    let number = json!({"type": "number"});
    let add = ToolSpec::new("add", "Adds.", json!({"type": "object", "properties": {"a": number, "b": number}}));
    let schema = Schema::from_value(
        json!({"title": "Sum", "type": "object", "properties": {"sum": {"type": "integer"}, "note": {"type": "string"}}, "required": ["sum"]}),
    );
    let pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mP8/x8AAwMCAO+ip1sAAAAASUVORK5CYII=";
    let picture = Message::user("1+2?").content(mellea_core::Image::from_base64(pixel).unwrap());
    let messages = vec![
        Message::system("be brief"),
        picture,
        turn,
        Message::tool(&call, "3"),
        changed,
        Message::assistant("so"),
        Message::system("now"),
    ];
    let given = options(|o| {
        o.max_new_tokens = Some(100);
        o.temperature = Some(0.5);
        o.thinking = Some(Thinking::High);
        o.tool_choice = Some(ToolChoice::Tool("add".to_owned()));
        o.extra = json!({"text": {"verbosity": "low"}, "reasoning": {"summary": "auto"}}).as_object().unwrap().clone();
    });
    let request = ChatRequest::new(messages).tools(vec![add]).format(Format::JsonSchema(schema.unwrap())).options(given);
    assert_eq!(backend.unsupported(&request), []);
    ask(&backend, request).await;
    assert_json_snapshot!("responses", server.requests()[0].json());
}

#[tokio::test]
async fn what_the_interface_lacks_is_named() {
    let (_server, backend) = serve([]).await;
    let given = options(|o| {
        o.seed = Some(1);
        o.stop_sequences = vec!["x".to_owned()];
        o.context_window = Some(1);
    });
    assert_eq!(backend.unsupported(&hi().options(given)).len(), 3);
    assert!(!backend.capabilities().regex && backend.capabilities().json_schema);
    assert_eq!(backend.unsupported(&hi().format(Format::Regex("a".to_owned()))).len(), 1);
}

#[tokio::test]
async fn every_end_has_its_reason() {
    let with = |status: &str, more: Value| {
        let mut body = json!({"id": "r", "status": status, "output": [{"type": "message", "content": [{"type": "output_text", "text": "a"}]}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (body, finish) in [
        (with("completed", json!({})), FinishReason::Stop),
        (with("incomplete", json!({"incomplete_details": {"reason": "max_output_tokens"}})), FinishReason::Length),
        (with("incomplete", json!({"incomplete_details": {"reason": "content_filter"}})), FinishReason::ContentFilter),
        (with("incomplete", json!({"incomplete_details": null})), FinishReason::Other("incomplete".to_owned())),
        (
            json!({"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "a"}]}], "status": "completed"}),
            FinishReason::ContentFilter,
        ),
    ] {
        let (_server, backend) = serve([Reply::json(200, &body)]).await;
        let answer = ask(&backend, hi()).await;
        assert_eq!((answer.text.as_str(), answer.finish), ("a", Some(finish)), "{body}");
    }
}

#[tokio::test]
async fn failures_are_errors() {
    let text = json!({"type": "response.output_text.delta", "delta": "par"});
    for failure in [
        json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": "server_error", "message": "broken"}}}),
        json!({"type": "error", "code": "server_error", "message": "broken", "param": null}),
        json!({"type": "error", "error": {"type": "server_error", "message": "broken"}}),
    ] {
        let (server, backend) = serve([sse(&[text.clone(), failure.clone()])]).await;
        let (answer, error) = try_ask(&backend, streamed(hi())).await;
        let error = error.unwrap();
        assert!(error.to_string().contains("broken") && error.is_retryable(), "{failure}: {error:?}");
        assert_eq!((answer.text.as_str(), server.count()), ("par", 1));
    }
    let cut = Reply::stream("text/event-stream", [Step::send(format!("data: {text}\n\n")), Step::Cut]);
    let (_server, backend) =
        serve([cut, Reply::json(200, &json!({"status": "failed", "output": [], "error": {"message": "broken"}}))]).await;
    assert!(matches!(fails(&backend, streamed(hi())).await.kind(), ErrorKind::StreamInterrupted));
    assert!(fails(&backend, hi()).await.to_string().contains("broken"));
}

#[tokio::test]
async fn a_model_without_encrypted_reasoning_is_not_asked_for_it_again() {
    let refusal = Reply::json(
        400,
        &json!({"error": {"message": "Encrypted content is not supported with this model.", "param": "include"}}),
    );
    let (server, backend) = serve([refusal, Reply::json(200, &whole())]).await;
    assert_eq!(ask(&backend, hi()).await.warnings.len(), 1);
    assert_eq!(ask(&backend, hi()).await.warnings, []);
    let asked: Vec<bool> = server.requests().iter().map(|r| r.json().get("include").is_some()).collect();
    assert_eq!(asked, [true, false, false]);
}

proptest::proptest! {
    #[test]
    fn any_value_in_any_field_of_an_event_is_read(
        kind in proptest::sample::select(vec![
            "response.created", "response.output_text.delta", "response.output_item.done", "response.completed", "response.failed", "error", "new",
        ]),
        field in proptest::sample::select(vec!["delta", "item", "response", "error", "code", "message"]),
        inner in proptest::sample::select(vec!["type", "id", "status", "output", "usage", "content", "summary", "arguments", "call_id"]),
        value in proptest::sample::select(vec![json!(null), json!(true), json!(-1), json!("x"), json!([]), json!([null, 1, {"text": 2}]), json!({})]),
    ) {
        use mellea_wire::Fault;
        for more in [value.clone(), json!({ inner: value })] {
            let mut reader = reader();
            let read = reader.frame(event(&json!({"type": kind, field: more}).to_string()), false);
            assert!(!matches!(read, Err(Fault::Unreadable { .. } | Fault::Malformed { .. })), "{read:?}");
            let _ = reader.body_ended();
        }
    }
}

fn reader() -> mellea_wire::Reader<mellea_openai::wire::ResponsesDecoder> {
    mellea_wire::Reader::new(mellea_openai::wire::ResponsesDecoder::default(), mellea_wire::Rules::new())
}

fn event(data: &str) -> mellea_http::SseEvent {
    mellea_http::SseEvent { data: data.to_owned(), ..mellea_http::SseEvent::default() }
}

#[tokio::test]
async fn a_model_without_schemas_is_asked_without_one() {
    let refusal = Reply::json(
        400,
        &json!({"error": {"message": "Invalid parameter: 'text.format' of type 'json_schema' is not supported with this model.", "param": "text"}}),
    );
    let (server, backend) = serve([refusal, Reply::json(200, &whole())]).await;
    let schema = Schema::from_value(json!({"type": "object", "properties": {"a": {"type": "string"}}})).unwrap();
    let request = hi().format(Format::JsonSchema(schema));
    assert_eq!(ask(&backend, request.clone()).await.warnings.len(), 1);
    assert_eq!(server.requests()[1].json().get("text"), None);
    assert!(matches!(backend.unsupported(&request).as_slice(), [Warning::Unconstrained { .. }]));
    assert!(!backend.capabilities().json_schema);
}

#[test]
fn no_event_breaks_the_decoder() {
    let all = events();
    for skip in 0..all.len() {
        let mut reader = reader();
        for one in all.iter().enumerate().filter(|(i, _)| *i != skip).map(|(_, e)| e) {
            reader.frame(event(&one.to_string()), false).unwrap();
        }
        assert_eq!(reader.body_ended().is_ok(), skip != all.len() - 1, "without {}", all[skip]["type"]);
    }
    for odd in [
        "[]",
        "1",
        "{}",
        r#"{"type": 7}"#,
        r#"{"type": "response.completed"}"#,
        r#"{"type": "response.output_item.done", "item": []}"#,
    ] {
        let mut reader = reader();
        let _ = reader.frame(event(odd), false);
        let _ = reader.body_ended();
    }
}

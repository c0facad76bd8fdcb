//! Streamed answers: framing, usage, and every way to end.

use mellea_core::{ErrorKind, FinishReason, Usage};
use mellea_http::testing::Step;

use super::*;

const RECORDED: &str = include_str!("../corpus/chat.sse");

fn expected() -> Vec<Event> {
    vec![
        Event::ResponseId("chatcmpl-9d1".into()),
        Event::Model("ibm/granite-4-h-small".into()),
        Event::Text("Grüß ".into()),
        Event::Text("Gott".into()),
        Event::Usage(Usage::new(12, 4)),
        Event::Finish(FinishReason::Stop),
    ]
}

fn event(data: &Value) -> String {
    format!("event: message\ndata: {data}\n\n")
}

fn text(text: &str) -> String {
    event(&json!({ "choices": [{ "index": 0, "delta": { "content": text } }] }))
}

#[tokio::test]
async fn a_stream_is_read_alike_wherever_it_is_cut_in_two() {
    let server = Server::start().await.unwrap();
    let bytes = RECORDED.as_bytes();
    let cut = |at: usize| Reply::stream("text/event-stream", [Step::send(&bytes[..at]), Step::send(&bytes[at..])]);
    server.on(STREAM).replies((1..bytes.len()).map(cut));
    let backend = builder(&server).build().unwrap();
    for at in 1..bytes.len() {
        assert_eq!(all(&backend, streamed(ask("Hi"))).await.unwrap(), expected(), "cut at {at}");
    }
    assert_eq!(requests_to(&server, "/ml/v1/text/chat_stream").len(), bytes.len() - 1);
}

#[tokio::test]
async fn a_stream_that_ends_early_is_no_success() {
    let server = Server::start().await.unwrap();
    let bytes = RECORDED.as_bytes();
    // In good order, and with a broken connection.
    let clean = |at: usize| Reply::stream("text/event-stream", [Step::send(&bytes[..at])]);
    let broken = |at: usize| Reply::stream("text/event-stream", [Step::send(&bytes[..at]), Step::Cut]);
    server.on(STREAM).replies((1..bytes.len()).flat_map(|at| [clean(at), broken(at)]));
    let backend = builder(&server).retry(Retry::never()).build().unwrap();
    for at in 1..bytes.len() {
        for how in ["clean", "broken"] {
            let (events, error) = events(&backend, streamed(ask("Hi"))).await;
            let known = |event: &Event| expected().contains(event);
            assert!(events.iter().all(known), "{how} at {at}: {events:?}");
            let finished = events.contains(&Event::Finish(FinishReason::Stop));
            match error {
                // The answer is complete, only the usage is missing.
                None => assert!(finished, "{how} at {at}: {events:?}"),
                Some(error) => {
                    assert!(!finished && matches!(error.kind(), ErrorKind::StreamInterrupted), "{how} at {at}: {error:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_error_in_the_middle_comes_after_the_text() {
    let said =
        json!({ "errors": [{ "code": "internal_error", "message": "the model fell over" }], "trace": "t9", "status_code": 500 });
    for last in [format!("id: 3\nevent: error\ndata: {said}\n\n"), event(&said), event(&json!({ "error": said["errors"][0] }))] {
        let server = Server::start().await.unwrap();
        server.on(STREAM).reply(Reply::sse([text("so "), text("far"), last, text("never")]));
        let (events, error) = events(&builder(&server).build().unwrap(), streamed(ask("Hi"))).await;
        assert_eq!(events, [Event::Text("so ".into()), Event::Text("far".into())]);
        let error = error.unwrap();
        assert!(error.to_string().contains("the model fell over"), "{error}");
        assert_eq!((error.status(), server.count()), (Some(500), 1), "nothing is repeated once text was given");
    }
}

#[tokio::test]
async fn an_error_in_place_of_the_first_event_is_one_of_the_call() {
    let server = Server::start().await.unwrap();
    let said = |status: u16, code: &str| {
        let said = json!({ "errors": [{ "code": code, "message": "not now" }], "status_code": status });
        Reply::sse([format!("event: error\ndata: {said}\n\n")])
    };
    server.on(STREAM).replies([said(503, "service_unavailable"), Reply::sse([RECORDED]), said(400, "invalid_request_entity")]);
    let backend = builder(&server).build().unwrap();
    assert_eq!(all(&backend, streamed(ask("Hi"))).await.unwrap(), expected());
    assert_eq!(server.count(), 2, "the first was repeated");
    let error = backend.chat(streamed(ask("Hi"))).await.unwrap_err();
    assert_eq!((error.status(), server.count()), (Some(400), 3));
}

#[tokio::test]
async fn a_model_that_fails_is_an_error_with_what_came() {
    for stream in [false, true] {
        let server = Server::start().await.unwrap();
        let mut body = answer("so far");
        body["choices"][0]["finish_reason"] = json!("error");
        server.on(CHAT).reply(Reply::json(200, &body));
        body["choices"][0]["delta"] = body["choices"][0]["message"].take();
        server.on(STREAM).reply(Reply::sse([event(&body)]));
        let mut request = ask("Hi");
        request.options.stream = stream;
        let (events, error) = events(&builder(&server).build().unwrap(), request).await;
        assert!(events.contains(&Event::Text("so far".into())), "{events:?}");
        assert!(!events.iter().any(|event| matches!(event, Event::Finish(_))));
        assert!(matches!(error.unwrap().kind(), ErrorKind::Provider(_)));
    }
}

#[tokio::test]
async fn a_whole_answer_in_place_of_a_stream_is_read() {
    let server = Server::start().await.unwrap();
    server.on(STREAM).reply(Reply::json(200, &answer("Hi")));
    let events = all(&builder(&server).build().unwrap(), streamed(ask("Hi"))).await.unwrap();
    assert!(events.contains(&Event::Text("Hi".into())) && events.contains(&Event::Usage(Usage::new(9, 2))));
}

#[tokio::test]
async fn silence_is_limited_and_dropping_the_stream_closes_it() {
    let server = Server::start().await.unwrap();
    server.on(STREAM).reply(Reply::stream("text/event-stream", [Step::send(text("one")), Step::Hang]));
    let backend = builder(&server).build().unwrap();
    let mut request = streamed(ask("Hi"));
    request.options.stream_timeout = Some(Duration::from_millis(500));
    let (events, error) = events(&backend, request).await;
    assert_eq!(events, [Event::Text("one".into())]);
    assert!(error.unwrap().is_timeout());
    let stream = backend.chat(streamed(ask("Hi"))).await.unwrap();
    assert!(server.wait_until(|server| server.in_flight() == 1, Duration::from_secs(30)).await);
    drop(stream);
    server.idle().await;
}

#[tokio::test]
async fn a_finished_answer_does_not_wait_for_its_usage_for_ever() {
    let server = Server::start().await.unwrap();
    let done = event(&json!({ "choices": [{ "delta": { "content": "Hi" }, "finish_reason": "time_limit" }] }));
    server.on(STREAM).reply(Reply::stream("text/event-stream", [Step::send(done), Step::Hang]));
    let mut request = streamed(ask("Hi"));
    request.options.stream_timeout = Some(Duration::from_millis(500));
    let events = all(&builder(&server).build().unwrap(), request).await.unwrap();
    assert_eq!(events.first(), Some(&Event::Text("Hi".into())));
    assert_eq!(events.last(), Some(&Event::Finish(FinishReason::Other("time_limit".into()))));
}

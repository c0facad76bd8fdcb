//! A prompt that the server did not read to its end is never answered silently.

use mellea_core::{Backend, ChatRequest, ErrorKind, Event, Message, RawRequest, Session};
use mellea_http::testing::{Reply, Server};
use mellea_ollama::Truncation;
use serde_json::json;

use crate::{answer, ask, backend, body, builder, events, piece, text};

async fn reads(tokens: Option<u64>) -> Server {
    let server = Server::start().await.unwrap();
    let last = json!({"done": true, "done_reason": "stop", "prompt_eval_count": tokens, "eval_count": 1});
    server.on("POST /api/chat").reply(Reply::ndjson([piece("Sure."), last.clone()]));
    server.on("POST /api/generate").reply(Reply::ndjson([json!({"response": "Sure."}), last]));
    server
}

fn long() -> ChatRequest {
    ChatRequest::new(vec![Message::user("word ".repeat(5000)), Message::assistant("Yes."), Message::user("What was it about?")])
}

#[tokio::test]
async fn a_shortened_prompt_is_an_error_that_keeps_the_answer() {
    let server = reads(Some(2048)).await;
    let (events, error) = ask(&backend(&server), long()).await;
    assert_eq!(text(&events), "Sure.");
    assert!(!events.iter().any(|event| matches!(event, Event::Finish(_))));
    let error = error.unwrap();
    let ErrorKind::PromptTruncated { prompt, read } = error.kind() else { panic!("{error:?}") };
    assert!((5000..5100).contains(prompt) && *read == 2048, "{error}");
    assert!(error.hint().unwrap().contains("context_window"), "{error}");
    assert!(!error.is_retryable() && !error.is_answer_fault());
    let session = Session::new(backend(&server));
    let error = session.chat("word ".repeat(5000)).await.unwrap_err();
    assert_eq!(error.partial().unwrap().text, "Sure.");
}

#[tokio::test]
async fn it_can_be_a_warning() {
    let server = reads(Some(2048)).await;
    let warn = builder(&server).truncation(Truncation::Warn).build().unwrap();
    let events = events(&warn, long()).await;
    assert!(body(&server).get("truncate").is_none());
    assert!(events.iter().any(|e| matches!(e, Event::Warning(w) if w.to_string().contains("read 2048 tokens"))), "{events:?}");
    // A call that lets the server shorten its prompt wants an answer as well.
    let mut request = long();
    request.options.extra.insert("truncate".to_owned(), json!(true));
    let events = crate::events(&backend(&server), request).await;
    assert_eq!(body(&server)["truncate"], true);
    assert!(
        events.iter().any(|e| matches!(e, Event::Warning(_))) && matches!(events.last(), Some(Event::Finish(_))),
        "{events:?}"
    );
}

#[tokio::test]
async fn no_alarm_without_a_count_or_with_one_that_fits() {
    for tokens in [None, Some(0), Some(5007), Some(4600)] {
        let server = reads(tokens).await;
        assert_eq!(text(&events(&backend(&server), long()).await), "Sure.", "{tokens:?}");
    }
}

#[tokio::test]
async fn a_window_that_cannot_hold_the_prompt_is_noticed_by_itself() {
    let server = reads(Some(64)).await;
    let small = builder(&server).context_window(64).build().unwrap();
    let request = || ChatRequest::new(vec![Message::user("word ".repeat(100))]);
    let error = ask(&small, request()).await.1.unwrap();
    assert!(matches!(error.kind(), ErrorKind::PromptTruncated { prompt: 100, read: 64 }), "{error:?}");
    assert_eq!(text(&events(&backend(&server), request()).await), "Sure.");
}

#[tokio::test]
async fn raw_prompts_are_looked_at_too() {
    let server = reads(Some(2048)).await;
    let outputs = backend(&server).complete(vec![RawRequest::new("word ".repeat(5000)), RawRequest::new("short")]).await;
    assert!(matches!(outputs[0].as_ref().unwrap_err().kind(), ErrorKind::PromptTruncated { .. }));
    assert!(outputs[1].is_ok());
}

#[tokio::test]
async fn a_server_that_refuses_a_long_prompt_is_not_asked_again() {
    let server = Server::start().await.unwrap();
    let said = json!({"error": "request (5010 tokens) exceeds the available context size (4096 tokens), try increasing it"});
    server.on("POST /api/chat").reply(Reply::json(400, &said)).reply(answer(&["no"]));
    let backend = builder(&server).retry(mellea_http::Retry::new()).build().unwrap();
    let error = ask(&backend, long()).await.1.unwrap();
    assert!(matches!(error.kind(), ErrorKind::ContextWindowExceeded { prompt: Some(5010), limit: Some(4096) }), "{error:?}");
    assert_eq!((server.count(), body(&server)["truncate"].clone()), (1, json!(false)));
}

#[tokio::test]
async fn an_answer_that_fills_the_window_is_told_from_one_at_its_limit() {
    for (window, full) in [(10, true), (11, false)] {
        let server = Server::start().await.unwrap();
        let last = json!({"done": true, "done_reason": "length", "prompt_eval_count": 7, "eval_count": 3});
        server.on("POST /api/chat").reply(Reply::ndjson([piece("Sure"), last]));
        let backend = builder(&server).context_window(window).build().unwrap();
        let events = events(&backend, crate::hi()).await;
        let warned = events.iter().any(|e| matches!(e, Event::Warning(w) if w.to_string().contains("is full")));
        assert_eq!(warned, full, "{events:?}");
    }
}

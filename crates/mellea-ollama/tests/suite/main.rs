//! The backend over a wire: against a scripted server, and against a simulator of Ollama.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "all of this is tests")]

mod conformance;
mod failures;
mod options;
mod raw;
mod requests;
mod servers;
mod sessions;
mod simulator;
mod streams;
mod windows;

use futures_util::StreamExt;
use mellea_core::{Backend, ChatRequest, Error, Event, Message, Result};
use mellea_http::testing::{Reply, Server};
use mellea_http::{Client, Retry};
use mellea_ollama::{Ollama, OllamaBuilder};
use serde_json::{Value, json};

const MODEL: &str = "granite4.1:3b";

/// A backend of this server that tries each call once.
fn builder(server: &Server) -> OllamaBuilder {
    Ollama::builder().model(MODEL).host(server.url()).api_key("not-a-key").retry(Retry::never())
}

fn backend(server: &Server) -> Ollama {
    builder(server).build().unwrap()
}

fn hi() -> ChatRequest {
    ChatRequest::new(vec![Message::user("hi")])
}

fn piece(text: &str) -> Value {
    json!({"model": MODEL, "created_at": "2026-08-21T18:48:22Z", "message": {"role": "assistant", "content": text}, "done": false})
}

fn end() -> Value {
    json!({"model": MODEL, "message": {"role": "assistant", "content": ""}, "done": true, "done_reason": "stop",
        "total_duration": 500, "load_duration": 10, "prompt_eval_count": 3, "prompt_eval_duration": 40, "eval_count": 2,
        "eval_duration": 400})
}

fn answer(texts: &[&str]) -> Reply {
    Reply::ndjson(texts.iter().map(|text| piece(text)).chain([end()]))
}

/// All events, up to an error.
async fn ask(backend: &Ollama, request: ChatRequest) -> (Vec<Event>, Option<Error>) {
    let mut stream = match backend.chat(request).await {
        Ok(stream) => stream,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => events.push(event),
            Err(error) => {
                assert!(stream.next().await.is_none(), "nothing comes after an error");
                return (events, Some(error));
            }
        }
    }
    (events, None)
}

async fn events(backend: &Ollama, request: ChatRequest) -> Vec<Event> {
    let (events, error) = ask(backend, request).await;
    assert!(error.is_none(), "{error:?}");
    events
}

async fn refusal(backend: &Ollama, request: ChatRequest) -> Error {
    ask(backend, request).await.1.expect("an error")
}

fn text(events: &[Event]) -> String {
    events.iter().filter_map(|event| if let Event::Text(text) = event { Some(text.as_str()) } else { None }).collect()
}

/// The body of the last request.
fn body(server: &Server) -> Value {
    server.requests().last().expect("a request").json()
}

#[test]
fn futures_can_go_between_threads() {
    fn sent<T: Send>(_: T) {}
    fn shared<T: Send + Sync + Clone + 'static>() {}
    shared::<Ollama>();
    shared::<Client>();
    let backend = Ollama::new("m").unwrap();
    sent(backend.pull());
    sent(backend.show());
    sent(backend.models());
    sent(Ollama::builder().connect());
    let _: Result<()> = Ok(());
}

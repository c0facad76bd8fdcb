//! What goes over the wire, and what is made of what comes back.
#![cfg(test)]

mod access;
mod chat;
mod misbehaviour;
mod raw;
mod session;
mod stream;

use std::time::Duration;

use futures_util::StreamExt;
use mellea_core::{Backend, ChatRequest, Error, Event, Message, ModelOptions, RequestOptions, Result};
use mellea_http::Retry;
use mellea_http::testing::{Recorded, Reply, Server};
use mellea_watsonx::{WatsonX, WatsonXBuilder};
use serde_json::{Value, json};

const CHAT: &str = "POST /ml/v1/text/chat";
const STREAM: &str = "POST /ml/v1/text/chat_stream";
const GENERATION: &str = "POST /ml/v1/text/generation";
const IAM: &str = "POST /identity/token";

/// A backend on this server with a fixed token, without waits between attempts.
fn builder(server: &Server) -> WatsonXBuilder {
    let retry = Retry::new().waits(Duration::ZERO, Duration::ZERO);
    WatsonX::builder().url(server.url()).token("canary-token").project_id("p1").model("ibm/granite-4-h-small").retry(retry)
}

fn ask(text: &str) -> ChatRequest {
    ChatRequest::new(vec![Message::user(text)])
}

/// The options as a session would resolve them.
fn resolved(backend: &WatsonX, options: &ModelOptions) -> RequestOptions {
    ModelOptions::resolve([&backend.default_options(), options], backend.synonyms()).unwrap().options
}

fn streamed(mut request: ChatRequest) -> ChatRequest {
    request.options.stream = true;
    request
}

/// An answer as the service gives it.
fn answer(text: &str) -> Value {
    json!({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model_id": "ibm/granite-4-h-small",
        "model": "ibm/granite-4-h-small",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
        "created": 1_760_000_000,
        "model_version": "1.0.0",
        "created_at": "2026-08-20T10:00:00.000Z",
        "usage": { "completion_tokens": 2, "prompt_tokens": 9, "total_tokens": 11 },
        "system": { "warnings": [] },
    })
}

fn refusal(status: u16, code: &str, message: &str) -> Reply {
    let error = json!({ "code": code, "message": message, "more_info": "https://cloud.ibm.com/apidocs" });
    Reply::json(status, &json!({ "errors": [error], "trace": "trace-1", "status_code": status }))
}

/// The events of a call up to its first error.
async fn events(backend: &WatsonX, request: ChatRequest) -> (Vec<Event>, Option<Error>) {
    let mut stream = match backend.chat(request).await {
        Ok(stream) => stream,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => events.push(event),
            Err(error) => return (events, Some(error)),
        }
    }
    (events, None)
}

async fn all(backend: &WatsonX, request: ChatRequest) -> Result<Vec<Event>> {
    match events(backend, request).await {
        (events, None) => Ok(events),
        (_, Some(error)) => Err(error),
    }
}

/// All that an error shows.
fn shown(error: &Error) -> String {
    let mut text = format!("{error:?} {error:#?}");
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

fn requests_to(server: &Server, path: &str) -> Vec<Recorded> {
    server.requests().into_iter().filter(|request| request.path == path).collect()
}

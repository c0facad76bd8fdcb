//! The backend over the wire, against a scripted server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "all of this is tests")]

mod bodies;
mod cases;
mod conformance;
mod corpus;
mod lessons;
mod options;
mod raw;
mod responses;
mod simulator;
mod streams;

use futures_util::StreamExt;
use mellea_core::{
    Backend, ChatRequest, Error, Event, FinishReason, Message, ModelOutput, RequestOptions, Result, ToolCall, Usage, Warning,
};
use mellea_http::testing::{Recorded, Reply, Server};
use mellea_openai::{Dialect, OpenAi, OpenAiBuilder};
use serde_json::{Value, json};

/// A backend of the model `m` at this server, which answers at once or not at all.
fn at(server: &Server, dialect: Dialect) -> OpenAiBuilder {
    let retry = mellea_http::Retry::new().waits(std::time::Duration::ZERO, std::time::Duration::ZERO);
    OpenAi::builder().dialect(dialect).base_url(server.url()).model("m").api_key("sk-canary").retry(retry)
}

fn hi() -> ChatRequest {
    ChatRequest::new(vec![Message::user("hi")])
}

fn streamed(mut request: ChatRequest) -> ChatRequest {
    request.options.stream = true;
    request
}

fn options(change: impl FnOnce(&mut RequestOptions)) -> RequestOptions {
    let mut options = RequestOptions::default();
    change(&mut options);
    options
}

/// What came of an answer, folded as the core does it.
#[derive(Debug, Default, PartialEq)]
struct Answer {
    text: String,
    thinking: String,
    calls: Vec<ToolCall>,
    usage: Usage,
    finish: Option<FinishReason>,
    id: Option<String>,
    model: Option<String>,
    warnings: Vec<Warning>,
    replay: Option<Value>,
    logprobs: usize,
}

fn fold(events: impl IntoIterator<Item = Event>) -> Answer {
    let mut answer = Answer::default();
    for event in events {
        match event {
            Event::Text(text) => answer.text.push_str(&text),
            Event::Thinking(text) => answer.thinking.push_str(&text),
            Event::ToolCall(call) => answer.calls.push(call),
            Event::Usage(usage) => answer.usage.update(usage),
            Event::Finish(reason) => assert_eq!(answer.finish.replace(reason), None, "two finishes"),
            Event::ResponseId(id) => answer.id = Some(id),
            Event::Model(model) => answer.model = Some(model),
            Event::Warning(warning) => answer.warnings.push(warning),
            Event::Replay(value) => answer.replay = Some(value),
            Event::Logprobs(tokens) => answer.logprobs += tokens.len(),
            other => panic!("{other:?}"),
        }
    }
    answer
}

/// The whole answer, or the error with what had come before it.
async fn try_ask(backend: &OpenAi, request: ChatRequest) -> (Answer, Option<Error>) {
    let mut events = match backend.chat(request).await {
        Ok(events) => events,
        Err(error) => return (Answer::default(), Some(error)),
    };
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => seen.push(event),
            Err(error) => return (fold(seen), Some(error)),
        }
    }
    (fold(seen), None)
}

async fn ask(backend: &OpenAi, request: ChatRequest) -> Answer {
    match try_ask(backend, request).await {
        (answer, None) => answer,
        (_, Some(error)) => panic!("{error:?}"),
    }
}

async fn fails(backend: &OpenAi, request: ChatRequest) -> Error {
    let (answer, error) = try_ask(backend, request).await;
    error.unwrap_or_else(|| panic!("{answer:?}"))
}

/// A plain answer.
fn said(text: &str) -> Reply {
    Reply::json(
        200,
        &json!({"id": "c1", "model": "m-1", "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
    )
}

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn piece(text: &str) -> String {
    event(&json!({"id": "c1", "model": "m-1", "choices": [{"index": 0, "delta": {"content": text}}]}))
}

fn stop() -> String {
    event(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
}

const DONE: &str = "data: [DONE]\n\n";

/// The body that a request comes to, and the request itself.
async fn sent(dialect: Dialect, request: ChatRequest) -> (Value, Recorded) {
    let server = Server::start().await.unwrap();
    server.on("/v1/chat/completions").reply(said("ok"));
    server.on("/openai/deployments/m/chat/completions").reply(said("ok"));
    let backend = at(&server, dialect).build().unwrap();
    ask(&backend, request).await;
    let request = server.requests().pop().unwrap();
    (request.json(), request)
}

fn other(message: &str) -> Warning {
    Warning::Other { message: message.to_owned() }
}

fn texts(results: Vec<Result<ModelOutput>>) -> Vec<Result<String, String>> {
    results.into_iter().map(|result| result.map(|output| output.text).map_err(|error| error.to_string())).collect()
}

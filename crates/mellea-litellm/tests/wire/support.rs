//! What the tests share: a server that answers every chat, and requests to send.

use futures_util::TryStreamExt;
use mellea_core::{Backend, ChatRequest, Event, Format, Message, RequestOptions, Schema};
use mellea_http::reqwest;
use mellea_http::testing::{Recorded, Reply, Server};
use mellea_litellm::LiteLlm;
use serde_json::{Value, json};

/// What stands for a key; it must never be seen anywhere but in the header it belongs in.
pub(crate) const KEY: &str = "sk-canary-of-the-tests";

/// A server that answers a chat with a text, or with a call of the tool that must be called.
pub(crate) async fn server() -> Server {
    let server = Server::start().await.unwrap();
    server.handle(answer);
    server
}

fn answer(request: &Recorded) -> Reply {
    let body = request.json();
    let message = match body["tools"][0]["function"]["name"].as_str() {
        Some(tool) if body["tool_choice"] != "auto" && !body["tool_choice"].is_null() => json!({
            "role": "assistant",
            "tool_calls": [{ "id": "1", "type": "function", "function": { "name": tool, "arguments": "{\"city\":\"Rome\"}" } }],
        }),
        _ => json!({ "role": "assistant", "content": "{\"city\":\"Rome\"}" }),
    };
    Reply::json(
        200,
        &json!({
            "id": "r1",
            "model": "served",
            "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 1, "completion_tokens": 2 },
        }),
    )
}

/// One HTTP client for many backends: each of its own reads the system's certificates.
pub(crate) fn http() -> reqwest::Client {
    // The first backend chooses who does TLS in this process, which the client needs to know.
    LiteLlm::builder().model("custom_openai/m").base_url("http://localhost:1").build().unwrap();
    reqwest::Client::new()
}

/// A request that uses what providers differ in.
pub(crate) fn request() -> ChatRequest {
    let mut options = RequestOptions::default();
    options.max_new_tokens = Some(9);
    options.seed = Some(7);
    options.temperature = Some(1.995);
    options.stop_sequences = vec!["END".to_owned()];
    ChatRequest::new(vec![Message::user("Where?")]).options(options)
}

/// The same, with a form for the answer.
pub(crate) fn formatted() -> ChatRequest {
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] });
    request().format(Format::JsonSchema(Schema::from_value(schema).unwrap()))
}

/// The events of an answer.
pub(crate) async fn events(backend: &impl Backend, request: ChatRequest) -> Vec<Event> {
    backend.chat(request).await.unwrap().try_collect().await.unwrap()
}

/// The text of these events.
pub(crate) fn text(events: &[Event]) -> String {
    events.iter().filter_map(|event| if let Event::Text(text) = event { Some(text.as_str()) } else { None }).collect()
}

/// The last request's body.
pub(crate) fn body(server: &Server) -> Value {
    server.requests().last().unwrap().json()
}

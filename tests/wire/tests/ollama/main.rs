//! The Ollama backend against a real Ollama server, which answers with the model pico.
//!
//! One test at a time (`--test-threads=1`): some look at what the server is doing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "all of this is tests")]

mod calls;
mod crashes;
mod schemas;
mod small_model;

use futures_util::StreamExt;
use mellea_core::{Backend, ChatRequest, Event, FinishReason, Message, RequestOptions, Schema, ToolSpec};
use mellea_ollama::Ollama;
use serde_json::json;

/// The prompt that pico was trained to answer with a record.
const ASK: &str = "Extract the user's name and age from the text.\n\ntext = \"Bob Stone, aged 45, signed up yesterday.\"\n\n\
                   Answer with JSON: {\"name\": string, \"age\": integer}";

const RECORD: &str = r#"{"name":"Bob Stone","age":45}"#;

const MAIL: &str = "Write an email to Alice inviting them to the launch.";

/// What the suite is told by the task that runs it.
fn told(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name}; `cargo xtask integration ollama` starts a server and sets it"))
}

fn host() -> String {
    told("MELLEA_OLLAMA_HOST")
}

fn model(name: &str) -> Ollama {
    Ollama::builder().host(host()).model(name).build().unwrap()
}

fn backend() -> Ollama {
    model("pico")
}

fn greedy() -> RequestOptions {
    let mut options = RequestOptions::default();
    (options.temperature, options.max_new_tokens) = (Some(0.0), Some(120));
    options
}

fn ask(text: &str) -> ChatRequest {
    ChatRequest::new(vec![Message::user(text)]).options(greedy())
}

fn person() -> Schema {
    let properties = json!({"name": {"type": "string"}, "age": {"type": "integer"}});
    Schema::from_value(json!({"type": "object", "properties": properties, "required": ["name", "age"]})).unwrap()
}

fn time() -> ToolSpec {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    ToolSpec::new("get_time", "Get the current time in a city.", parameters)
}

async fn events(backend: &dyn Backend, request: ChatRequest) -> mellea_core::Result<Vec<Event>> {
    let mut stream = backend.chat(request).await?;
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event?);
    }
    Ok(events)
}

fn text(events: &[Event]) -> String {
    events.iter().filter_map(|event| if let Event::Text(text) = event { Some(text.as_str()) } else { None }).collect()
}

fn finish(events: &[Event]) -> Option<&FinishReason> {
    events.iter().find_map(|event| if let Event::Finish(reason) = event { Some(reason) } else { None })
}

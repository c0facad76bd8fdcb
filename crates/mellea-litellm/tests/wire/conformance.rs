//! The rules of backends, for a model behind OpenAI's wire that a server simulates.

use std::sync::Arc;
use std::time::Duration;

use mellea_core::testing::conformance::Fixture;
use mellea_core::testing::sample_value;
use mellea_core::{Schema, ToolSpec, backend_conformance};
use mellea_http::testing::{Recorded, Reply, Server, Step};
use mellea_litellm::LiteLlm;
use serde_json::{Value, json};

use crate::support::KEY;

/// A row that answers by `response_format`.
async fn native() -> Fixture {
    fixture("mistral/sim").await
}

/// A row that answers by a tool that must be called.
async fn forced() -> Fixture {
    fixture("v0/sim").await
}

backend_conformance!(schema_by_response_format, native());
backend_conformance!(schema_by_forced_tool, forced());

async fn fixture(model: &str) -> Fixture {
    let server = Arc::new(Server::start().await.unwrap());
    server.handle(answer);
    let backend = LiteLlm::builder().model(model).base_url(server.url()).api_key(KEY).build().unwrap();
    let weather = ToolSpec::new(
        "weather",
        "Tells the weather of a city.",
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false}),
    );
    let wire = Arc::clone(&server);
    Fixture::new(backend)
        .prompt("Say hello in five words.")
        .long_prompt("Count for a long time.")
        .tool("What is the weather?", weather)
        .secret(KEY)
        .wire(move || wire.requests().iter().map(Recorded::text).collect())
        .in_flight(move || server.in_flight())
}

/// The model: it says the prompt's words back, numbered.
fn answer(request: &Recorded) -> Reply {
    let body = request.json();
    if request.path.ends_with("/completions") && !request.path.ends_with("/chat/completions") {
        return complete(&body);
    }
    let prompt = body["messages"].as_array().and_then(|m| m.last()).map(|m| m["content"].to_string()).unwrap_or_default();
    let streamed = body["stream"] == true;
    let forced = body["tool_choice"]["function"]["name"].as_str();
    let tools = body["tools"].as_array().cloned().unwrap_or_default();
    let called = tools.iter().find(|tool| forced.is_none_or(|name| tool["function"]["name"] == name));
    if let Some(tool) = called.filter(|_| forced.is_some() || prompt.contains("weather")) {
        let function = &tool["function"];
        let arguments = sample(&function["parameters"]);
        return tool_call(function["name"].as_str().unwrap(), &arguments, streamed);
    }
    let format = &body["response_format"]["json_schema"]["schema"];
    let text = match format.is_null() {
        false => sample(format),
        true if prompt.contains("long time") => (1..=400).map(|n| format!("number {n} ")).collect(),
        true => prompt.split_whitespace().enumerate().map(|(n, word)| format!("{n}:{} ", word.trim_matches('"'))).collect(),
    };
    let slow = prompt.contains("long time") && limit(&body).is_none_or(|limit| limit > 1000);
    let (text, finish) = cut(&text, &body);
    if slow && !streamed {
        return Reply::json(200, &whole(&text, finish, &prompt)).delay(Duration::from_secs(3600));
    }
    if !streamed {
        return Reply::json(200, &whole(&text, finish, &prompt));
    }
    let mut steps = Vec::new();
    for piece in text.split_inclusive(' ') {
        steps.push(chunk(json!({ "content": piece }), Value::Null, Value::Null));
        if slow {
            steps.push(Step::Wait(Duration::from_secs(3600)));
        }
    }
    steps.push(chunk(json!({}), finish.into(), Value::Null));
    steps.push(chunk(json!({}), Value::Null, usage(&prompt, &text)));
    steps.push(Step::send("data: [DONE]\n\n"));
    Reply::stream("text/event-stream", steps)
}

fn sample(schema: &Value) -> String {
    let schema = Schema::from_value(schema.clone()).unwrap();
    sample_value(&schema, 1).unwrap().to_string()
}

fn limit(body: &Value) -> Option<u64> {
    body["max_tokens"].as_u64().or(body["max_completion_tokens"].as_u64())
}

/// The text up to the limit of words or the first stop sequence.
fn cut(text: &str, body: &Value) -> (String, &'static str) {
    let stops = body["stop"].as_array().cloned().unwrap_or_default();
    let end = stops.iter().filter_map(|stop| text.find(stop.as_str()?)).min().unwrap_or(text.len());
    let text = &text[..end];
    let limit = limit(body).map_or(usize::MAX, |limit| usize::try_from(limit).unwrap());
    // JSON is one word here.
    let words: Vec<&str> = text.split_inclusive(' ').collect();
    if words.len() > limit { (words[..limit].concat(), "length") } else { (text.to_owned(), "stop") }
}

fn usage(prompt: &str, text: &str) -> Value {
    json!({ "prompt_tokens": prompt.split_whitespace().count(), "completion_tokens": text.split_whitespace().count() })
}

fn whole(text: &str, finish: &str, prompt: &str) -> Value {
    json!({
        "id": "sim",
        "model": "sim",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": finish }],
        "usage": usage(prompt, text),
    })
}

fn chunk(delta: Value, finish: Value, usage: Value) -> Step {
    let choices = if usage.is_null() { json!([{ "index": 0, "delta": delta, "finish_reason": finish }]) } else { json!([]) };
    let body = json!({ "id": "sim", "model": "sim", "choices": choices, "usage": usage });
    Step::send(format!("data: {body}\n\n"))
}

fn tool_call(name: &str, arguments: &str, streamed: bool) -> Reply {
    let call = json!([{ "index": 0, "id": "call-1", "type": "function", "function": { "name": name, "arguments": arguments } }]);
    let usage = json!({ "prompt_tokens": 3, "completion_tokens": 5 });
    if !streamed {
        let message = json!({ "role": "assistant", "content": null, "tool_calls": call });
        let choice = json!([{ "index": 0, "message": message, "finish_reason": "tool_calls" }]);
        return Reply::json(200, &json!({ "id": "sim", "model": "sim", "choices": choice, "usage": usage }));
    }
    let steps = [
        chunk(json!({ "tool_calls": call }), Value::Null, Value::Null),
        chunk(json!({}), "tool_calls".into(), Value::Null),
        chunk(json!({}), Value::Null, usage),
        Step::send("data: [DONE]\n\n"),
    ];
    Reply::stream("text/event-stream", steps)
}

fn complete(body: &Value) -> Reply {
    let prompts = match &body["prompt"] {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    };
    let choices: Vec<Value> = prompts
        .iter()
        .enumerate()
        .map(|(index, prompt)| json!({ "index": index, "text": format!("echo {prompt}"), "finish_reason": "stop" }))
        .collect();
    Reply::json(200, &json!({ "id": "sim", "model": "sim", "choices": choices }))
}

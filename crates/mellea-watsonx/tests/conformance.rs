//! The rules of a backend, over a simulator of the service.
#![cfg(test)]

use std::sync::Arc;
use std::time::Duration;

use mellea_core::testing::conformance::Fixture;
use mellea_core::testing::sample_value;
use mellea_core::{Schema, ToolSpec, backend_conformance};
use mellea_http::testing::{Recorded, Reply, Server, Step};
use mellea_watsonx::WatsonX;
use serde_json::{Value, json};

const LONG: &str = "Count for a long time.";

/// What the simulated model says, word by word.
fn words(prompt: &str) -> Vec<String> {
    let last = prompt.split_whitespace().next_back().unwrap_or("nothing");
    let count = if prompt == LONG { 60 } else { 6 };
    (0..count).map(|i| if i == 0 { format!("You said {last}") } else { format!(" word{i}") }).collect()
}

/// One answer: its pieces of text, its tool calls, and why it ends.
struct Answer {
    pieces: Vec<String>,
    call: Option<Value>,
    reason: &'static str,
}

impl Answer {
    fn of(body: &Value) -> Self {
        let prompt = body["messages"].as_array().and_then(|all| all.last()).and_then(|last| last["content"].as_str());
        let prompt = prompt.unwrap_or_default();
        if let Some(function) = body["tools"].get(0).map(|tool| &tool["function"])
            && body["tool_choice_option"] != "none"
        {
            let schema = Schema::from_value(function["parameters"].clone()).unwrap();
            let arguments = sample_value(&schema, 1).unwrap().to_string();
            let call = json!({ "index": 0, "id": "chatcmpl-tool-1", "type": "function",
                "function": { "name": function["name"], "arguments": arguments } });
            return Self { pieces: Vec::new(), call: Some(call), reason: "tool_calls" };
        }
        let format = &body["response_format"]["json_schema"]["schema"];
        if format.is_object() {
            let value = sample_value(&Schema::from_value(format.clone()).unwrap(), 1).unwrap().to_string();
            return Self { pieces: value.split_inclusive(',').map(str::to_owned).collect(), call: None, reason: "stop" };
        }
        let mut pieces = words(prompt);
        let mut reason = "stop";
        if let Some(limit) = body["max_completion_tokens"].as_u64().and_then(|limit| usize::try_from(limit).ok())
            && limit < pieces.len()
        {
            pieces.truncate(limit);
            reason = "length";
        }
        if let Some(stop) = body["stop"].get(0).and_then(Value::as_str)
            && let Some(end) = pieces.concat().find(stop)
        {
            (pieces, reason) = (vec![pieces.concat()[..end].to_owned()], "stop");
        }
        Self { pieces, call: None, reason }
    }

    fn usage(&self) -> Value {
        let tokens = self.pieces.len();
        json!({ "prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7 + tokens })
    }

    fn whole(&self) -> Reply {
        let mut message = json!({ "role": "assistant", "content": self.pieces.concat() });
        if let Some(call) = &self.call {
            message["tool_calls"] = json!([call]);
        }
        let choice = json!({ "index": 0, "message": message, "finish_reason": self.reason });
        Reply::json(200, &json!({ "id": "chatcmpl-1", "model_id": "sim", "choices": [choice], "usage": self.usage() }))
    }

    /// `endless` goes on until the client leaves.
    fn streamed(&self, endless: bool) -> Reply {
        let event = |data: Value| Step::send(format!("id: 1\nevent: message\ndata: {data}\n\n"));
        let delta =
            |delta: Value| event(json!({ "id": "chatcmpl-1", "model_id": "sim", "choices": [{ "index": 0, "delta": delta }] }));
        let mut steps = vec![delta(json!({ "role": "assistant", "content": "" }))];
        steps.extend(self.pieces.iter().map(|piece| delta(json!({ "content": piece }))));
        if endless {
            steps.push(Step::Hang);
        }
        if let Some(call) = &self.call {
            let (mut first, mut second) = (call.clone(), json!({ "index": 0, "function": {} }));
            let arguments = call["function"]["arguments"].as_str().unwrap();
            let (one, two) = arguments.split_at(arguments.len() / 2);
            (first["function"]["arguments"], second["function"]["arguments"]) = (one.into(), two.into());
            steps.extend([first, second].map(|call| delta(json!({ "tool_calls": [call] }))));
        }
        steps.push(event(json!({ "choices": [{ "index": 0, "delta": { "content": "" }, "finish_reason": self.reason }] })));
        steps.push(event(json!({ "choices": [], "usage": self.usage() })));
        Reply::stream("text/event-stream", steps)
    }
}

fn respond(request: &Recorded) -> Reply {
    let body = request.json();
    let limit = |value: &Value| value.as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    match request.path.as_str() {
        "/identity/token" => Reply::json(200, &json!({ "access_token": "token-1", "expires_in": 3600 })),
        _ if request.header("authorization") != Some("Bearer token-1") => Reply::status(401),
        // A whole answer that is long is dropped before it comes.
        "/ml/v1/text/chat" if limit(&body["max_completion_tokens"]) > 1000 => Reply::status(200).hang(),
        "/ml/v1/text/chat" => Answer::of(&body).whole(),
        "/ml/v1/text/chat_stream" => Answer::of(&body).streamed(limit(&body["max_completion_tokens"]) > 1000),
        "/ml/v1/text/generation" => {
            let mut words = words(body["input"].as_str().unwrap_or_default());
            words.truncate(limit(&body["parameters"]["max_new_tokens"]));
            let result = json!({ "generated_text": words.concat(), "generated_token_count": words.len(), "input_token_count": 3,
                "stop_reason": "eos_token" });
            Reply::json(200, &json!({ "model_id": "sim", "results": [result] }))
        }
        _ => Reply::status(404),
    }
}

async fn fixture() -> Fixture {
    let server = Arc::new(Server::start().await.unwrap());
    server.handle(respond);
    let backend = WatsonX::builder().url(server.url()).iam_url(server.url()).api_key("canary-key").project_id("p").model("sim");
    let parameters = json!({
        "type": "object",
        "properties": { "a": { "type": "integer" }, "unit": { "enum": ["m", "km"] } },
        "required": ["a", "unit"],
    });
    let wire = Arc::clone(&server);
    Fixture::new(backend.build().unwrap())
        .long_prompt(LONG)
        .tool("Convert 3 m.", ToolSpec::new("convert", "Converts a length.", parameters))
        .secret("canary-key")
        .wire(move || wire.requests().iter().map(Recorded::text).collect())
        .in_flight(move || server.in_flight())
        .limit(Duration::from_secs(60))
}

backend_conformance!(watsonx, fixture());

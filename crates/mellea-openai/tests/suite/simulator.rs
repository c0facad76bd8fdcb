//! A small model behind a server: it answers any prompt, always alike, and keeps to what it is asked.

use mellea_core::Schema;
use mellea_core::testing::sample_value;

use super::*;

const WORDS: [&str; 12] = ["amber", "birch", "cedar", "dune", "ember", "fern", "grove", "heath", "iris", "jade", "kelp", "larch"];

/// What is to be answered, and under which rules.
struct Asked {
    prompt: String,
    limit: usize,
    stop: Vec<String>,
    streamed: bool,
    schema: Option<Value>,
    regex: bool,
    tool: Option<Value>,
}

/// What is answered.
enum Said {
    Words { words: Vec<String>, finish: &'static str },
    Call { name: String, arguments: String },
}

impl Said {
    fn tokens(&self) -> usize {
        match self {
            Self::Words { words, .. } => words.len(),
            Self::Call { .. } => 9,
        }
    }
}

/// Starts a server for chats, raw completions and responses.
pub(super) async fn start() -> Server {
    let server = Server::start().await.unwrap();
    server.handle(|request| match request.path.as_str() {
        _ if request.header("authorization") != Some("Bearer sk-canary") => {
            Reply::json(401, &json!({"error": {"message": "no key"}}))
        }
        "/v1/chat/completions" => chat(&request.json()),
        "/v1/completions" => raw(&request.json()),
        "/v1/responses" => response(&request.json()),
        _ => Reply::status(404),
    });
    server
}

fn number(prompt: &str) -> usize {
    prompt.bytes().fold(7_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte as usize))
}

fn answer(asked: &Asked) -> Said {
    let seed = number(&asked.prompt);
    if let Some(tool) = &asked.tool {
        let schema = Schema::from_value(tool["parameters"].clone()).unwrap();
        let arguments = sample_value(&schema, seed as u64).unwrap().to_string();
        return Said::Call { name: tool["name"].as_str().unwrap().to_owned(), arguments };
    }
    let all: Vec<String> = match &asked.schema {
        Some(schema) => {
            let schema = Schema::from_value(schema.clone()).unwrap();
            sample_value(&schema, seed as u64).unwrap().to_string().split_inclusive(',').map(str::to_owned).collect()
        }
        None if asked.regex => vec!["abc".to_owned()],
        None => {
            let count = if asked.prompt.contains("Count") { 100 } else { 6 };
            let word = |i: usize| WORDS[(seed % 1000 + i * 7 + i / 5) % WORDS.len()];
            (0..count).map(|i| if i == 0 { word(i).to_owned() } else { format!(" {}", word(i)) }).collect()
        }
    };
    let (mut words, mut finish, mut text) = (Vec::new(), "stop", String::new());
    for word in all {
        if words.len() == asked.limit {
            finish = "length";
            break;
        }
        let before = text.len();
        text.push_str(&word);
        if let Some(at) = asked.stop.iter().filter_map(|stop| text.find(stop.as_str())).min() {
            words.push(text[before.min(at)..at].to_owned());
            break;
        }
        words.push(word);
    }
    Said::Words { words, finish }
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

fn limit(body: &Value, names: &[&str]) -> usize {
    names.iter().find_map(|name| body[*name].as_u64()).unwrap_or(1000) as usize
}

fn usage(asked: &Asked, said: &Said) -> Value {
    json!({"prompt_tokens": asked.prompt.split_whitespace().count(), "completion_tokens": said.tokens()})
}

fn last_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        parts => parts.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str()).collect(),
    }
}

/// An answer that does not come to its end.
fn endless(streamed: bool, first: Vec<String>) -> Reply {
    use mellea_http::testing::Step;
    if !streamed {
        return Reply::status(200).hang();
    }
    Reply::stream("text/event-stream", first.into_iter().map(Step::send).chain([Step::Hang]))
}

fn chat(body: &Value) -> Reply {
    let messages = body["messages"].as_array().unwrap();
    let asked = Asked {
        prompt: last_text(&messages.last().unwrap()["content"]),
        limit: limit(body, &["max_tokens", "max_completion_tokens"]),
        stop: strings(&body["stop"]),
        streamed: body["stream"] == true,
        schema: body["response_format"]["json_schema"].get("schema").cloned(),
        regex: body["structured_outputs"].get("regex").is_some(),
        tool: body["tools"][0].get("function").cloned(),
    };
    let said = answer(&asked);
    let chunk = |delta: Value, finish: Value| {
        event(&json!({"id": "sim", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}))
    };
    let mut pieces = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    let (message, finish) = match &said {
        Said::Words { words, finish } => {
            pieces.extend(words.iter().map(|word| chunk(json!({"content": word}), Value::Null)));
            (json!({"role": "assistant", "content": words.concat()}), *finish)
        }
        Said::Call { name, arguments } => {
            let (one, two) = arguments.split_at(arguments.len() / 2);
            let call = |more: Value| json!({"tool_calls": [more]});
            pieces.push(chunk(
                call(json!({"index": 0, "id": "c1", "type": "function", "function": {"name": name, "arguments": one}})),
                Value::Null,
            ));
            pieces.push(chunk(call(json!({"index": 0, "function": {"arguments": two}})), Value::Null));
            let whole = json!({"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}});
            (json!({"role": "assistant", "content": null, "tool_calls": [whole]}), "tool_calls")
        }
    };
    if asked.limit > 1000 && asked.prompt.contains("Count") {
        return endless(asked.streamed, pieces);
    }
    if !asked.streamed {
        let choice = json!({"index": 0, "message": message, "finish_reason": finish});
        return Reply::json(200, &json!({"id": "sim", "model": "m", "choices": [choice], "usage": usage(&asked, &said)}));
    }
    pieces.push(chunk(json!({}), finish.into()));
    if body["stream_options"]["include_usage"] == true {
        pieces.push(event(&json!({"choices": [], "usage": usage(&asked, &said)})));
    }
    pieces.push(DONE.to_owned());
    Reply::sse(pieces)
}

fn raw(body: &Value) -> Reply {
    let prompts = match &body["prompt"] {
        Value::String(one) => vec![one.clone()],
        many => strings(many),
    };
    let choices: Vec<Value> = prompts
        .into_iter()
        .enumerate()
        .map(|(index, prompt)| {
            let limit = limit(body, &["max_tokens"]);
            let asked =
                Asked { prompt, limit, stop: strings(&body["stop"]), streamed: false, schema: None, regex: false, tool: None };
            let Said::Words { words, finish } = answer(&asked) else { unreachable!() };
            json!({"index": index, "text": words.concat(), "finish_reason": finish})
        })
        .rev()
        .collect();
    Reply::json(
        200,
        &json!({"id": "sim", "model": "m", "choices": choices, "usage": {"prompt_tokens": 1, "completion_tokens": 8}}),
    )
}

fn response(body: &Value) -> Reply {
    let asked = Asked {
        prompt: last_text(&body["input"].as_array().unwrap().last().unwrap()["content"]),
        limit: limit(body, &["max_output_tokens"]),
        stop: Vec::new(),
        streamed: body["stream"] == true,
        schema: body["text"]["format"].get("schema").cloned(),
        regex: false,
        tool: body["tools"].get(0).cloned(),
    };
    let said = answer(&asked);
    let mut events = vec![json!({"type": "response.created", "response": {"id": "sim", "model": "m", "status": "in_progress"}})];
    let (item, status) = match &said {
        Said::Words { words, finish } => {
            events.extend(words.iter().map(|word| json!({"type": "response.output_text.delta", "delta": word})));
            let content = json!([{"type": "output_text", "text": words.concat()}]);
            (json!({"type": "message", "role": "assistant", "content": content}), *finish)
        }
        Said::Call { name, arguments } => {
            (json!({"type": "function_call", "call_id": "c1", "name": name, "arguments": arguments}), "stop")
        }
    };
    let figures = json!({"input_tokens": usage(&asked, &said)["prompt_tokens"], "output_tokens": said.tokens()});
    let (status, why) =
        if status == "length" { ("incomplete", json!({"reason": "max_output_tokens"})) } else { ("completed", Value::Null) };
    let whole =
        json!({"id": "sim", "model": "m", "status": status, "incomplete_details": why, "output": [item], "usage": figures});
    let sse = |event: &Value| format!("data: {event}\n\n");
    if asked.limit > 1000 && asked.prompt.contains("Count") {
        return endless(asked.streamed, events.iter().map(sse).collect());
    }
    if !asked.streamed {
        return Reply::json(200, &whole);
    }
    events.push(json!({"type": "response.output_item.done", "output_index": 0, "item": item}));
    events.push(json!({"type": format!("response.{status}"), "response": whole}));
    Reply::sse(events.iter().map(sse))
}

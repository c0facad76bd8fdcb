//! A server that behaves as Ollama does: deterministic, with a model of a few words.

use std::time::Duration;

use mellea_core::Schema;
use mellea_core::testing::sample_value;
use mellea_http::testing::{Recorded, Reply, Step};
use serde_json::{Value, json};

const NUMBERS: [&str; 10] = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

pub(crate) fn answer(request: &Recorded) -> Reply {
    if request.header("authorization") != Some("Bearer not-a-key") {
        return Reply::json(401, &json!({"error": "unauthorized", "signin_url": "https://ollama.com/connect?name=x"}));
    }
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/api/version") => Reply::json(200, &json!({"version": "0.30.5"})),
        ("GET", "/api/ps") => Reply::json(200, &json!({"models": []})),
        ("POST", "/api/show") => Reply::json(
            200,
            &json!({"capabilities": ["completion", "tools", "vision", "thinking"],
                "model_info": {"general.architecture": "granite", "granite.context_length": 131_072}}),
        ),
        ("POST", "/api/chat") => chat(&request.json()),
        ("POST", "/api/generate") => generate(&request.json()),
        _ => Reply::text(404, "404 page not found", "text/plain"),
    }
}

fn chat(body: &Value) -> Reply {
    let Some(last) = body["messages"].as_array().and_then(|all| all.last()) else {
        return Reply::ndjson([json!({"done": true, "done_reason": "load"})]);
    };
    let prompt = last["content"].as_str().unwrap_or_default();
    let line = |message: Value| json!({"model": body["model"], "message": message, "done": false});
    if body["format"].is_object() {
        let text = sample(&body["format"]).to_string();
        let pieces: Vec<String> = text.chars().collect::<Vec<_>>().chunks(3).map(|piece| piece.iter().collect()).collect();
        let lines: Vec<Value> = pieces.iter().map(|p| line(json!({"content": p}))).collect();
        return send(&lines, body, prompt, pieces.len(), "stop");
    }
    if let Some(tool) = body["tools"].get(0) {
        let function =
            json!({"index": 0, "name": tool["function"]["name"], "arguments": sample(&tool["function"]["parameters"])});
        let call = line(json!({"content": "", "tool_calls": [{"id": "call_abc", "function": function}]}));
        return send(&[line(json!({"content": "I shall. "})), call], body, prompt, 2, "stop");
    }
    let (words, reason) = speak(prompt, body);
    let lines: Vec<Value> = words.iter().map(|word| line(json!({"content": word}))).collect();
    send(&lines, body, prompt, words.len(), reason)
}

fn generate(body: &Value) -> Reply {
    let prompt = body["prompt"].as_str().unwrap_or_default();
    let (words, reason) = speak(prompt, body);
    let line = |word: &String| json!({"model": body["model"], "response": word, "done": false});
    send(&words.iter().map(line).collect::<Vec<_>>(), body, prompt, words.len(), reason)
}

/// The words of the answer, each one token, and why they end.
fn speak(prompt: &str, body: &Value) -> (Vec<String>, &'static str) {
    let limit = body["options"]["num_predict"].as_u64().map_or(usize::MAX, |n| usize::try_from(n).unwrap());
    let long = prompt.starts_with("Count");
    let seed = prompt.bytes().map(usize::from).sum::<usize>();
    let words = (0..if long { 100 } else { 5 }).map(|i| format!("{} ", NUMBERS[(seed + i * 7) % 10]));
    let mut words: Vec<String> = words.collect();
    let mut reason = "stop";
    for stop in body["options"]["stop"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if let Some(found) = words.iter().position(|word| word.contains(stop)) {
            words.truncate(found);
        }
    }
    if words.len() > limit {
        words.truncate(limit);
        reason = "length";
    }
    (words, reason)
}

fn send(lines: &[Value], body: &Value, prompt: &str, tokens: usize, reason: &str) -> Reply {
    let done = json!({"model": body["model"], "done": true, "done_reason": reason, "eval_count": tokens,
        "prompt_eval_count": prompt.split_whitespace().count() + 10, "total_duration": 1});
    let endless = body["options"]["num_predict"].as_u64() == Some(4096);
    let mut steps: Vec<Step> = lines.iter().map(|line| Step::send(format!("{line}\n"))).collect();
    if endless {
        steps.insert(0, Step::Wait(Duration::from_millis(1)));
        steps.push(Step::Hang);
    } else {
        steps.push(Step::send(format!("{done}\n")));
    }
    Reply::stream("application/x-ndjson", steps)
}

fn sample(schema: &Value) -> Value {
    let schema = Schema::from_value(schema.clone()).unwrap();
    schema.wrap(sample_value(&schema, 1).unwrap())
}

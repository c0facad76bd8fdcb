//! pico's figures on held-out data, measured through the library as a program would use it.
//!
//! ```text
//! cargo run --release -p mellea-tests --bin pico-eval [-- FILE.jsonl [EMAILS]]
//! ```
//!
//! Each line of the file is an example: messages, tools, the answer's schema, and the right answer. JSON
//! answers are generated under their schema at temperature 0. The e-mails are the quickstart's: up to five
//! attempts at temperature 0.8, the later ones with the reasons of the last.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use mellea::backend::{ChatRequest, Event, Format};
use mellea::message::Messages;
use mellea::options::RequestOptions;
use mellea::tool::ToolSpec;
use mellea::{Attempt, Backend, HuggingFace, Message, ModelOption, RepairTemplate, Schema, Session, req};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Example {
    task: String,
    messages: Vec<ChatMessage>,
    #[serde(default)]
    tools: Vec<Tool>,
    schema: Option<Value>,
    answer: String,
}

#[derive(Deserialize)]
struct ChatMessage {
    role: mellea::Role,
    content: String,
}

#[derive(Deserialize)]
struct Tool {
    function: ToolSpec,
}

/// What is aimed at, in percent, and for what the figure stands.
const TARGETS: [(&str, f64); 4] = [("extraction", 97.0), ("classification", 97.0), ("judge", 95.0), ("tools", 95.0)];

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/mellea-pico/eval/heldout.jsonl").to_owned();
    let file = args.next().unwrap_or(default);
    let emails: usize = args.next().map_or(Ok(200), |n| n.parse())?;
    let backend: Arc<dyn Backend> = Arc::new(HuggingFace::pico().await?);

    let mut score: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for line in std::fs::read_to_string(&file)?.lines() {
        let example: Example = serde_json::from_str(line)?;
        if example.task == "email" {
            continue;
        }
        let right = is_right(&backend, &example).await?;
        let (good, all) = score.entry(example.task.clone()).or_default();
        *good += usize::from(right);
        *all += 1;
    }
    println!("{:<26} {:>8} {:>8} {:>8}", "task", "right", "of", "target");
    for (task, (good, all)) in &score {
        let target = TARGETS.iter().find(|(name, _)| name == task).map_or("-".to_owned(), |(_, t)| format!("{t:.0} %"));
        println!("{task:<26} {:>6.1} % {all:>8} {target:>8}", percent(*good, *all));
    }

    let (first, within) = write_emails(&backend, emails).await?;
    println!("{:<26} {:>6.1} % {emails:>8} 50-95 %", "e-mail, first attempt", percent(first, emails));
    println!("{:<26} {:>6.1} % {emails:>8} {:>8}", "e-mail, within five", percent(within, emails), "99 %");
    Ok(())
}

fn percent(good: usize, all: usize) -> f64 {
    100.0 * good as f64 / all.max(1) as f64
}

async fn is_right(backend: &Arc<dyn Backend>, example: &Example) -> mellea::Result<bool> {
    let mut options = RequestOptions::default();
    options.temperature = Some(0.0);
    let messages: Messages = example.messages.iter().map(|m| Message::new(m.role, m.content.as_str())).collect();
    let tools = example.tools.iter().map(|t| t.function.clone()).collect();
    let mut request = ChatRequest::new(messages).tools(tools).options(options);
    if let Some(schema) = &example.schema {
        request = request.format(Format::JsonSchema(Schema::from_value(schema.clone())?));
    }
    let (mut text, mut calls) = (String::new(), Vec::new());
    let mut events = backend.chat(request).await?;
    while let Some(event) = events.next().await {
        match event? {
            Event::Text(piece) => text.push_str(&piece),
            Event::ToolCall(call) => calls.push(json!({"name": call.name, "arguments": call.arguments})),
            _ => {}
        }
    }
    let called = example.answer.strip_prefix("<tool_call>").and_then(|rest| rest.strip_suffix("</tool_call>"));
    Ok(match (example.task.as_str(), called) {
        (_, Some(call)) => serde_json::from_str::<Value>(call).is_ok_and(|call| calls == [call]),
        ("judge", None) => verdict(&text).is_some() && verdict(&text) == verdict(&example.answer),
        _ => calls.is_empty() && text.trim() == example.answer.trim(),
    })
}

fn verdict(text: &str) -> Option<String> {
    Some(serde_json::from_str::<Value>(text).ok()?.get("verdict")?.as_str()?.to_owned())
}

/// Writes the quickstart's e-mail for many names; how many were right at once, and how many in the end.
async fn write_emails(backend: &Arc<dyn Backend>, count: usize) -> mellea::Result<(usize, usize)> {
    let m = Session::new(Arc::clone(backend));
    let results: Vec<mellea::Result<(bool, bool)>> = stream::iter(0..count)
        .map(|i| {
            let call = m
                .instruct("Write an email to {{name}} inviting them to the launch.")
                .var("name", name(i))
                .require(req("The email should have a salutation.").validate(has_salutation))
                .require(req("Use only lower-case letters.").validate(|s| s == s.to_lowercase()))
                .strategy(RepairTemplate::new(5))
                .option(ModelOption::Temperature, 0.8)
                .option(ModelOption::Seed, i as u64);
            async move {
                let result = call.sample().await?;
                Ok((result.attempts().first().is_some_and(Attempt::succeeded), result.success()))
            }
        })
        .buffer_unordered(4)
        .collect()
        .await;
    let mut sums = (0, 0);
    for result in results {
        let (first, within) = result?;
        sums.0 += usize::from(first);
        sums.1 += usize::from(within);
    }
    Ok(sums)
}

/// A name made of syllables, which pico has not seen.
fn name(i: usize) -> String {
    const START: [&str; 8] = ["Vel", "Dor", "Mir", "Kas", "Tho", "Lun", "Bre", "Zai"];
    const MIDDLE: [&str; 5] = ["", "an", "i", "or", "el"];
    const END: [&str; 5] = ["da", "wyn", "rick", "sa", "mo"];
    format!("{}{}{}", START[i % 8], MIDDLE[i / 8 % 5], END[i / 40 % 5])
}

fn has_salutation(text: &str) -> bool {
    const GREETINGS: [&str; 9] =
        ["hi", "hello", "dear", "hey", "good morning", "good afternoon", "good evening", "good day", "greetings"];
    let start = text.trim_start().to_lowercase();
    GREETINGS.iter().any(|greeting| start.strip_prefix(greeting).is_some_and(|rest| rest.starts_with([' ', ',', '!'])))
}

//! Whether all of a request reaches the wire, or is named.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::cases::{Fault, PIXEL, SILENCE, ask, ensure, named, request, try_ask};
use super::{Fixture, Wire};
use crate::backend::{ChatRequest, Event, RawRequest};
use crate::content::{Audio, Content, Image};
use crate::error::{Error, ErrorKind};
use crate::message::Message;
use crate::options::{RequestOptions, Thinking, ToolChoice};
use crate::output::Warning;
use crate::tool::{ToolCall, ToolSpec};

/// What became of a request.
struct Sent {
    /// All that was sent for it: verbatim, and again with the texts of JSON decoded.
    wire: String,
    said: Vec<Warning>,
    error: Option<Error>,
}

impl Sent {
    /// Whether the call was refused before it was sent, for what was asked.
    fn is_refused(&self) -> bool {
        let is_refusal = |error: &Error| matches!(error.kind(), ErrorKind::Unsupported { .. } | ErrorKind::InvalidOption { .. });
        self.error.as_ref().is_some_and(is_refusal)
    }

    fn honours(&self, mark: &str, before: &[Warning], words: &[&str]) -> bool {
        stands_in(&self.wire, mark) || named(&self.said, before, words) || self.is_refused()
    }

    fn fault(&self, what: &str) -> Fault {
        match &self.error {
            Some(error) => format!("{what} is not sent; the call failed: {error}"),
            None => format!("{what} is neither sent nor named in a warning"),
        }
    }
}

/// Whether a text stands in another, and not as a part of a longer number.
fn stands_in(wire: &str, mark: &str) -> bool {
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    wire.match_indices(mark).any(|(at, _)| {
        let before = wire.get(..at).and_then(|before| before.chars().next_back());
        let after = wire.get(at + mark.len()..).and_then(|after| after.chars().next());
        let longer = (digit(mark.chars().next()) && digit(before)) || (digit(mark.chars().next_back()) && digit(after));
        !longer
    })
}

fn bodies(fixture: &Fixture) -> Result<Vec<String>, Fault> {
    match &fixture.wire {
        Wire::Shown(sent) => Ok(sent()),
        Wire::None(_) | Wire::Unsaid => {
            Err("the fixture does not say what is sent: give it `wire`, or `no_wire` with the reason".to_owned())
        }
    }
}

/// A body verbatim, and the texts in it decoded.
fn readable(body: &str) -> String {
    fn texts(value: &Value, out: &mut String) {
        match value {
            Value::String(text) => {
                // Writing to a text does not fail.
                let _ = writeln!(out, "{text}");
            }
            Value::Array(items) => items.iter().for_each(|item| texts(item, out)),
            Value::Object(map) => map.values().for_each(|value| texts(value, out)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut out = format!("{body}\n");
    if let Ok(value) = serde_json::from_str(body) {
        texts(&value, &mut out);
    }
    out
}

async fn send(fixture: &Fixture, request: ChatRequest) -> Result<Sent, Fault> {
    let before = bodies(fixture)?.len();
    let mut said = fixture.backend.unsupported(&request);
    let error = match try_ask(&*fixture.backend, request).await {
        Ok(events) => {
            said.extend(
                events.into_iter().filter_map(|event| if let Event::Warning(warning) = event { Some(warning) } else { None }),
            );
            None
        }
        Err(error) => Some(error),
    };
    let wire = bodies(fixture)?.iter().skip(before).map(|body| readable(body)).collect();
    Ok(Sent { wire, said, error })
}

/// A request that no other is equal to, so that no cache answers it.
fn fresh(fixture: &Fixture, mark: &str) -> ChatRequest {
    request(&format!("{} ({mark})", fixture.prompt))
}

/// What is said of a request with nothing special. It also gets out of the way what is sent only once.
async fn before(fixture: &Fixture) -> Result<Vec<Warning>, Fault> {
    let plain = send(fixture, fresh(fixture, "plain")).await?;
    match plain.error {
        Some(error) => Err(format!("the call failed: {error}")),
        None => Ok(plain.said),
    }
}

/// Words that a conversation has in no other place.
fn mark(number: usize) -> String {
    format!("mark-{number}-begins, says \"h\u{e9}llo\" and mark-{number}-ends")
}

/// A conversation with all kinds of turns, and how many marks it has.
fn conversation(fixture: &Fixture) -> (ChatRequest, usize) {
    let mut messages = vec![
        Message::user(mark(0)),
        Message::assistant(mark(1)),
        Message::user(mark(2)).content(mark(3)),
        Message::assistant(mark(4)),
    ];
    let tool = fixture.tool.as_ref().filter(|_| fixture.backend.capabilities().tools).map(|(_, tool)| tool.clone());
    let mut marks = 5;
    if let Some(tool) = &tool {
        let call = ToolCall::with_id("call-1", tool.name.as_str(), json!({ "note": mark(6) }));
        messages.push(Message::user(mark(5)));
        let mut turn = Message::assistant("");
        turn.tool_calls = vec![call.clone()];
        messages.push(turn);
        messages.push(Message::tool(&call, mark(7)));
        messages.push(Message::assistant(mark(8)));
        marks = 9;
    }
    messages.push(Message::user(format!("{} {}", fixture.prompt, mark(marks))));
    let tools = tool.into_iter().collect();
    let asked = request(&fixture.prompt);
    (ChatRequest::new(messages).tools(tools).options(asked.options), marks + 1)
}

pub(super) async fn history(fixture: &Fixture) -> Result<(), Fault> {
    if matches!(fixture.wire, Wire::None(_)) {
        let last = || Message::user(fixture.prompt.as_str());
        let turns = |first: &str| vec![Message::user(first), Message::assistant("Yes."), last()];
        differs(fixture, vec![last()], turns("Hello, are you there?"), "earlier messages").await?;
        return differs(fixture, turns("One."), turns("One, two, three, four, five, six."), "an earlier message").await;
    }
    let (request, marks) = conversation(fixture);
    let sent = send(fixture, request).await?;
    if let Some(error) = &sent.error {
        return Err(format!("the call failed: {error}"));
    }
    let mut at = 0;
    for number in 0..marks {
        for part in [format!("mark-{number}-begins"), format!("says \"h\u{e9}llo\" and mark-{number}-ends")] {
            // A tool's arguments may be JSON in a text, with the marks of that.
            let found = sent.wire.contains(&part) || sent.wire.replace("\\\"", "\"").contains(&part);
            ensure(found, || format!("of message or block {number}, {part:?} is not sent"))?;
        }
        let found = sent.wire.find(&format!("mark-{number}-begins")).unwrap_or(0);
        ensure(found >= at, || format!("message or block {number} is sent before the one before it"))?;
        at = found;
    }
    Ok(())
}

/// Without a wire: whether the answer, or what it took to read the prompt, is another one.
async fn differs(fixture: &Fixture, one: Vec<Message>, other: Vec<Message>, what: &str) -> Result<(), Fault> {
    let options = request(&fixture.prompt).options;
    let one = ask(fixture, ChatRequest::new(one).options(options.clone())).await?;
    let other = ask(fixture, ChatRequest::new(other).options(options)).await?;
    let same = one.text == other.text && one.prompt_tokens == other.prompt_tokens;
    ensure(!same, || format!("with {what} neither the answer nor its prompt's tokens change"))
}

pub(super) async fn system_prompt(fixture: &Fixture) -> Result<(), Fault> {
    let last = || Message::user(fixture.prompt.as_str());
    if matches!(fixture.wire, Wire::None(_)) {
        let with = vec![Message::system("You are a pirate and talk like one."), last()];
        return differs(fixture, vec![last()], with, "a system message").await;
    }
    let before = before(fixture).await?;
    let options = request(&fixture.prompt).options;
    let first = vec![Message::system("mark-system-first"), last()];
    let middle = vec![
        Message::system("mark-system-before"),
        Message::user("Hello"),
        Message::assistant("Hello"),
        Message::system("mark-system-middle"),
        last(),
    ];
    for (messages, marks) in [(first, &["mark-system-first"][..]), (middle, &["mark-system-before", "mark-system-middle"])] {
        let sent = send(fixture, ChatRequest::new(messages).options(options.clone())).await?;
        for mark in marks {
            ensure(sent.honours(mark, &before, &["system"]), || sent.fault(&format!("the system message {mark:?}")))?;
        }
    }
    Ok(())
}

pub(super) async fn media(fixture: &Fixture) -> Result<(), Fault> {
    let can = fixture.backend.capabilities();
    let before = before(fixture).await?;
    let image: Content = Image::from_base64(PIXEL).map_err(|error| error.to_string())?.into();
    let audio: Content = Audio::from_base64(SILENCE, Some("wav")).map_err(|error| error.to_string())?.into();
    for (what, can, content, data) in [("image", can.images, image, PIXEL), ("audio", can.audio, audio, SILENCE)] {
        if !can {
            continue;
        }
        let message = Message::user(fixture.prompt.as_str()).content(content);
        let sent = send(fixture, ChatRequest::new(vec![message]).options(request("").options)).await?;
        let data = data.trim_end_matches('=');
        ensure(sent.honours(data, &before, &[what]), || sent.fault(&format!("the {what}")))?;
    }
    Ok(())
}

/// An option, how it is set, what of its value must be seen, and by what words it is named.
type Setting = (&'static str, fn(&mut RequestOptions), &'static str, &'static [&'static str]);

const SETTINGS: [Setting; 5] = [
    ("temperature", |o| o.temperature = Some(0.4375), "0.4375", &["temperature"]),
    ("seed", |o| o.seed = Some(734_561), "734561", &["seed"]),
    ("max_new_tokens", |o| o.max_new_tokens = Some(613), "613", &["max_new_tokens"]),
    ("context_window", |o| o.context_window = Some(24_593), "24593", &["context_window"]),
    ("stop_sequences", |o| o.stop_sequences = vec!["mark-stop".to_owned()], "mark-stop", &["stop_sequences"]),
];

pub(super) async fn options(fixture: &Fixture) -> Result<(), Fault> {
    let before = before(fixture).await?;
    for (name, set, mark, words) in SETTINGS {
        let mut request = fresh(fixture, name);
        set(&mut request.options);
        let sent = send(fixture, request).await?;
        ensure(sent.honours(mark, &before, words), || sent.fault(&format!("the option `{name}`")))?;
    }
    thinking(fixture, &before).await?;
    if fixture.backend.capabilities().raw { raw_options(fixture).await } else { Ok(()) }
}

/// Levels have names of their own on each wire, so they must only be told apart.
async fn thinking(fixture: &Fixture, before: &[Warning]) -> Result<(), Fault> {
    let with = |thinking| {
        let mut request = fresh(fixture, "levels");
        request.options.thinking = thinking;
        send(fixture, request)
    };
    let (none, off, high) = (with(None).await?, with(Some(Thinking::Off)).await?, with(Some(Thinking::High)).await?);
    let says = |sent: &Sent| named(&sent.said, before, &["thinking"]) || sent.is_refused();
    ensure(none.wire != high.wire || says(&high), || high.fault("the option `thinking`"))?;
    ensure(off.wire != high.wire || says(&high) || says(&off), || off.fault("that there shall be no `thinking`"))
}

async fn raw_options(fixture: &Fixture) -> Result<(), Fault> {
    for (name, set, mark, words) in SETTINGS {
        let mut request = RawRequest::new(format!("{} ({name})", fixture.prompt)).options(request("").options);
        set(&mut request.options);
        let before = bodies(fixture)?.len();
        let output = fixture.backend.complete(vec![request]).await.into_iter().next();
        let wire: String = bodies(fixture)?.iter().skip(before).map(|body| readable(body)).collect();
        let (said, error) = match output {
            Some(Ok(output)) => (output.warnings, None),
            Some(Err(error)) => (Vec::new(), Some(error)),
            None => return Err("one request gave no result".to_owned()),
        };
        let sent = Sent { wire, said, error };
        ensure(sent.honours(mark, &[], words), || sent.fault(&format!("the option `{name}` of a raw completion")))?;
    }
    Ok(())
}

pub(super) async fn tool_choice(fixture: &Fixture) -> Result<(), Fault> {
    let tool = fixture.tool.as_ref().map_or_else(now, |(_, tool)| tool.clone());
    let before = before(fixture).await?;
    let with = |choice: Option<ToolChoice>| {
        let mut request = fresh(fixture, "choices").tools(vec![tool.clone()]);
        request.options.tool_choice = choice;
        send(fixture, request)
    };
    let free = with(None).await?;
    for choice in [ToolChoice::Required, ToolChoice::None, ToolChoice::Tool(tool.name.clone())] {
        let sent = with(Some(choice.clone())).await?;
        let differs = sent.wire != free.wire;
        let says = named(&sent.said, &before, &["tool_choice"]) || sent.is_refused();
        ensure(differs || says, || sent.fault(&format!("the tool choice {choice:?}")))?;
    }
    Ok(())
}

fn now() -> ToolSpec {
    ToolSpec::new("now", "Tells the time.", json!({"type": "object", "properties": {}}))
}

/// Whether a tool's name and description are sent.
pub(super) async fn tool_is_sent(fixture: &Fixture, request: &ChatRequest, tool: &ToolSpec) -> Result<(), Fault> {
    if matches!(fixture.wire, Wire::None(_)) {
        return Ok(());
    }
    let sent = send(fixture, request.clone()).await?;
    for (what, text) in [("name", &tool.name), ("description", &tool.description)] {
        ensure(sent.wire.contains(text.as_str()), || sent.fault(&format!("the tool's {what}")))?;
    }
    Ok(())
}

pub(super) async fn own_options(fixture: &Fixture) -> Result<(), Fault> {
    let before = before(fixture).await?;
    let mut request = fresh(fixture, "own");
    request.options.extra = Map::from_iter([("conformance_option".to_owned(), json!("mark-own"))]);
    let sent = send(fixture, request).await?;
    ensure(sent.honours("mark-own", &before, &["conformance_option"]), || sent.fault("an option of the provider's"))
}

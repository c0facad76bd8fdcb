//! How each rule is checked.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::future::Future;
use std::pin::pin;

use futures_util::StreamExt;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Case, Fixture, thread, wire};
use crate::backend::{Backend, ChatRequest, Event, Format, RawRequest};
use crate::content::{Audio, Content, Image};
use crate::error::{Error, Result};
use crate::message::Message;
use crate::options::RequestOptions;
use crate::output::{FinishReason, ModelOutput, Usage, Warning};
use crate::schema::Schema;
use crate::tool::ToolSpec;

/// How a rule is broken.
pub(super) type Fault = String;

pub(super) async fn check(case: Case, fixture: &Fixture) -> Result<(), Fault> {
    match case {
        Case::Names => names(fixture),
        Case::Events => events(fixture).await,
        Case::Streaming => streaming(fixture).await,
        Case::DropStream => drop_stream(fixture).await,
        Case::DropCall => drop_call(fixture).await,
        Case::Empty => empty(fixture).await,
        Case::Secrets => secrets(fixture).await,
        Case::Unsupported => unsupported(fixture).await,
        Case::StopSequences => stop_sequences(fixture).await,
        Case::OneToken => one_token(fixture).await,
        Case::JsonSchema => json_schema(fixture).await,
        Case::Tools => tools(fixture).await,
        Case::Concurrency => concurrency(fixture).await,
        Case::Raw => raw(fixture).await,
        Case::History => wire::history(fixture).await,
        Case::SystemPrompt => wire::system_prompt(fixture).await,
        Case::Media => wire::media(fixture).await,
        Case::Options => wire::options(fixture).await,
        Case::ToolChoice => wire::tool_choice(fixture).await,
        Case::OwnOptions => wire::own_options(fixture).await,
        Case::Usage => usage(fixture).await,
        Case::Yields => thread::yields(fixture).await,
    }
}

/// A finished answer as far as two of them can be compared.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) text: String,
    thinking: String,
    calls: Vec<(String, Value)>,
    finish: Option<FinishReason>,
    pub(super) prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

pub(super) fn greedy(max_new_tokens: u64) -> RequestOptions {
    RequestOptions { temperature: Some(0.0), seed: Some(1), max_new_tokens: Some(max_new_tokens), ..RequestOptions::default() }
}

pub(super) fn request(prompt: &str) -> ChatRequest {
    ChatRequest::new(vec![Message::user(prompt)]).options(greedy(48))
}

pub(super) async fn try_ask(backend: &dyn Backend, request: ChatRequest) -> Result<Vec<Event>> {
    let mut stream = backend.chat(request).await?;
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event?);
    }
    Ok(events)
}

pub(super) async fn ask(fixture: &Fixture, request: ChatRequest) -> Result<Answer, Fault> {
    let events = try_ask(&*fixture.backend, request).await.map_err(|error| format!("the call failed: {error}"))?;
    Ok(fold(events))
}

fn fold(events: Vec<Event>) -> Answer {
    let mut answer = Answer::default();
    let mut usage = Usage::default();
    for event in events {
        match event {
            Event::Text(text) => answer.text.push_str(&text),
            Event::Thinking(text) => answer.thinking.push_str(&text),
            Event::ToolCall(call) => answer.calls.push((call.name, call.arguments)),
            Event::Usage(later) => usage.update(later),
            Event::Finish(reason) => answer.finish = Some(reason),
            _ => {}
        }
    }
    (answer.prompt_tokens, answer.completion_tokens) = (usage.prompt_tokens, usage.completion_tokens);
    answer
}

pub(super) fn ensure(holds: bool, fault: impl FnOnce() -> Fault) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(fault()) }
}

fn equal<T: PartialEq + Debug>(one: &T, other: &T, what: &str) -> Result<(), Fault> {
    ensure(one == other, || format!("{what} differ: {one:?} and {other:?}"))
}

fn names(fixture: &Fixture) -> Result<(), Fault> {
    for (what, name) in [("provider", fixture.backend.provider()), ("model", fixture.backend.model())] {
        ensure(!name.trim().is_empty() && name.trim() == name, || format!("the {what} is named {name:?}"))?;
    }
    Ok(())
}

async fn events(fixture: &Fixture) -> Result<(), Fault> {
    for stream in [false, true] {
        let mut request = request(&fixture.prompt);
        request.options.stream = stream;
        let events = try_ask(&*fixture.backend, request).await.map_err(|error| format!("the call failed: {error}"))?;
        let finishes = events.iter().filter(|event| matches!(event, Event::Finish(_))).count();
        ensure(finishes == 1, || format!("the stream has {finishes} finishes: {events:?}"))?;
        let after = events.iter().skip_while(|event| !matches!(event, Event::Finish(_))).skip(1);
        let other = after.filter(|event| !matches!(event, Event::Usage(_))).collect::<Vec<_>>();
        ensure(other.is_empty(), || format!("after the finish came {other:?}"))?;
        let text = fold(events).text;
        ensure(!text.trim().is_empty(), || "the answer has no text".to_owned())?;
    }
    Ok(())
}

async fn streaming(fixture: &Fixture) -> Result<(), Fault> {
    let mut requests = vec![request(&fixture.prompt)];
    if let Some((prompt, tool)) = fixture.tool.clone().filter(|_| fixture.backend.capabilities().tools) {
        requests.push(request(&prompt).tools(vec![tool]));
    }
    for mut request in requests {
        let whole = ask(fixture, request.clone()).await?;
        request.options.stream = true;
        equal(&whole, &ask(fixture, request).await?, "the unstreamed and the streamed answer")?;
    }
    Ok(())
}

/// Whether a warning names one of these words, or was not there before: one that comes with every
/// request says nothing about this one.
pub(super) fn named(said: &[Warning], before: &[Warning], words: &[&str]) -> bool {
    said.iter().any(|warning| {
        let text = warning.to_string().to_lowercase();
        !before.contains(warning) || words.iter().any(|word| text.contains(word))
    })
}

/// All warnings of a call, before and in its answer; `None` if it fails.
async fn said(fixture: &Fixture, request: ChatRequest) -> Option<Vec<Warning>> {
    let mut said = fixture.backend.unsupported(&request);
    let events = try_ask(&*fixture.backend, request).await.ok()?;
    said.extend(events.into_iter().filter_map(|event| if let Event::Warning(warning) = event { Some(warning) } else { None }));
    Some(said)
}

async fn usage(fixture: &Fixture) -> Result<(), Fault> {
    for stream in [false, true] {
        let mut request = request(&fixture.prompt);
        request.options.stream = stream;
        let answer = ask(fixture, request).await?;
        let said = answer.prompt_tokens.or(answer.completion_tokens).is_some();
        let how = if stream { "streamed" } else { "whole" };
        ensure(said, || format!("a {how} answer has no usage; if the service reports none, say so with `no_usage`"))?;
        let none = answer.completion_tokens == Some(0) && !answer.text.is_empty();
        ensure(!none, || format!("a {how} answer took no tokens: {:?}", answer.text))?;
    }
    Ok(())
}

fn running(fixture: &Fixture) -> usize {
    fixture.in_flight.as_ref().map_or(0, |count| count())
}

/// Lets others work until no generation runs; the time limit around the check ends the wait.
async fn settle(fixture: &Fixture) -> Result<(), Fault> {
    let quiet = async {
        while running(fixture) > 0 {
            tokio::task::yield_now().await;
        }
    };
    let still = || format!("{} generations still run after the drop", running(fixture));
    tokio::time::timeout(fixture.limit / 4, quiet).await.map_err(|_| still())
}

async fn drop_stream(fixture: &Fixture) -> Result<(), Fault> {
    settle(fixture).await?;
    let mut request = request(&fixture.long_prompt);
    request.options = RequestOptions { stream: true, ..greedy(4096) };
    let mut stream = fixture.backend.chat(request).await.map_err(|error| format!("the call failed: {error}"))?;
    let first = stream.next().await;
    ensure(matches!(first, Some(Ok(_))), || format!("the stream began with {first:?}"))?;
    ensure(running(fixture) > 0, || "`in_flight` counts nothing while a stream is open".to_owned())?;
    drop(stream);
    settle(fixture).await
}

async fn drop_call(fixture: &Fixture) -> Result<(), Fault> {
    settle(fixture).await?;
    let mut request = request(&fixture.long_prompt);
    request.options = greedy(4096);
    {
        let mut call = pin!(fixture.backend.chat(request));
        let begun = std::future::poll_fn(|cx| match call.as_mut().poll(cx) {
            std::task::Poll::Pending if running(fixture) == 0 => {
                // What the call waits for may not be able to wake it while it is not counted.
                cx.waker().wake_by_ref();
                std::task::Poll::Pending
            }
            _ => std::task::Poll::Ready(()),
        });
        begun.await;
    }
    settle(fixture).await
}

async fn empty(fixture: &Fixture) -> Result<(), Fault> {
    match try_ask(&*fixture.backend, ChatRequest::default()).await {
        Ok(events) => Err(format!("a request without messages was answered: {events:?}")),
        Err(error) => {
            ensure(error.provider().is_some() && error.model().is_some(), || format!("the error does not say where: {error:?}"))
        }
    }
}

async fn secrets(fixture: &Fixture) -> Result<(), Fault> {
    let (backend, secret) = (&fixture.backend, fixture.secret.as_deref().unwrap_or_default());
    let hidden = |what: &str, shown: &[String]| {
        ensure(!shown.iter().any(|text| text.contains(secret)), || format!("the {what} shows the secret"))
    };
    hidden("backend", &[format!("{backend:?}"), format!("{backend:#?}")])?;
    hidden("names", &[backend.provider().to_owned(), backend.model().to_owned()])?;
    if let Err(error) = try_ask(&**backend, ChatRequest::default()).await {
        hidden("error", &chain(&error))?;
    }
    for result in backend.complete(vec![RawRequest::default()]).await {
        if let Err(error) = result {
            hidden("error", &chain(&error))?;
        }
    }
    Ok(())
}

/// All that an error shows.
fn chain(error: &Error) -> Vec<String> {
    let mut shown = vec![format!("{error:?}"), format!("{error:#?}")];
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        shown.push(error.to_string());
        next = error.source();
    }
    shown
}

async fn unsupported(fixture: &Fixture) -> Result<(), Fault> {
    let can = fixture.backend.capabilities();
    let asked = || request(&fixture.prompt);
    let schema = Schema::from_value(json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}));
    let schema = schema.map_err(|error| error.to_string())?;
    let tool = ToolSpec {
        name: "now".to_owned(),
        description: "Tells the time.".to_owned(),
        parameters: json!({"type": "object", "properties": {}}),
    };
    let image = Image::from_base64(PIXEL).map_err(|error| error.to_string())?;
    let audio = Audio::from_base64(SILENCE, Some("wav")).map_err(|error| error.to_string())?;
    let with = |content: Content| ChatRequest::new(vec![Message::user(fixture.prompt.as_str()).content(content)]);
    let before = said(fixture, asked()).await.ok_or("a plain call failed")?;
    for (what, can, request, words) in [
        ("images", can.images, with(image.into()), &["image"][..]),
        ("audio", can.audio, with(audio.into()), &["audio"]),
        ("tools", can.tools, asked().tools(vec![tool]), &["tool"]),
        ("JSON schemas", can.json_schema, asked().format(Format::JsonSchema(schema)), &["schema", "json"]),
        ("regular expressions", can.regex, asked().format(Format::Regex("[a-z]+".to_owned())), &["regular", "regex", "pattern"]),
    ] {
        // It may be the answer that says so, where it is known only then who gives it.
        let said = can || said(fixture, request).await.is_none_or(|said| named(&said, &before, words));
        ensure(said, || format!("it has no {what}, but neither says so nor refuses them"))?;
    }
    for (what, options) in [
        ("logits", RequestOptions { logits: true, ..greedy(8) }),
        ("raw_logits", RequestOptions { raw_logits: true, ..greedy(8) }),
    ] {
        let request = asked().options(options);
        if !named(&fixture.backend.unsupported(&request), &before, &["logits"]) {
            let given = try_ask(&*fixture.backend, request).await;
            let honoured = match &given {
                Ok(events) => events.iter().any(|event| matches!(event, Event::Logits(rows) if !rows.is_empty())),
                Err(_) => true,
            };
            ensure(honoured, || format!("it gives no scores for `{what}`, but neither says so nor refuses"))?;
        }
    }
    Ok(())
}

/// One white pixel, as PNG.
pub(super) const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mP8/x8AAwMCAO+ip1sAAAAASUVORK5CYII=";

/// An empty WAV file.
pub(super) const SILENCE: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

async fn stop_sequences(fixture: &Fixture) -> Result<(), Fault> {
    let whole = ask(fixture, request(&fixture.prompt)).await?.text;
    let stop = whole.split_whitespace().skip(1).last();
    let Some(stop) = stop else { return Err(format!("the fixture's `prompt` must give two words or more, not {whole:?}")) };
    let mut stopped = request(&fixture.prompt);
    let before = fixture.backend.unsupported(&stopped);
    stopped.options.stop_sequences = vec![stop.to_owned()];
    if named(&fixture.backend.unsupported(&stopped), &before, &["stop"]) {
        return Ok(());
    }
    let answer = ask(fixture, stopped).await?;
    ensure(!answer.text.contains(stop), || format!("the answer goes on past its stop sequence {stop:?}: {:?}", answer.text))
}

async fn one_token(fixture: &Fixture) -> Result<(), Fault> {
    let whole = ask(fixture, request(&fixture.long_prompt)).await?;
    let mut short = request(&fixture.long_prompt);
    short.options.max_new_tokens = None;
    let before = fixture.backend.unsupported(&short);
    short.options.max_new_tokens = Some(1);
    if named(&fixture.backend.unsupported(&short), &before, &["max_new_tokens"]) {
        return Ok(());
    }
    let answer = ask(fixture, short).await?;
    let known = matches!(answer.finish, Some(FinishReason::Length | FinishReason::Stop));
    ensure(known, || format!("one token ends with {:?}", answer.finish))?;
    let tokens = answer.completion_tokens.unwrap_or(1);
    ensure(tokens <= 1, || format!("{tokens} tokens came where one may"))?;
    let long = whole.text.split_whitespace().count() > 1;
    ensure(!long || answer.text.len() < whole.text.len(), || "the limit of one token changes nothing".to_owned())
}

fn city() -> crate::Result<Schema> {
    Ok(Schema::from_value(json!({
        "title": "City",
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "inhabitants": {"type": "integer", "minimum": 1},
            "size": {"enum": ["small", "large"]},
            "districts": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "central": {"type": "boolean"}},
                    "required": ["name", "central"],
                    "additionalProperties": false,
                },
                "minItems": 1,
                "maxItems": 2,
            },
        },
        "required": ["name", "inhabitants", "size", "districts"],
        "additionalProperties": false,
    }))?)
}

async fn json_schema(fixture: &Fixture) -> Result<(), Fault> {
    let (prompt, schema) = match &fixture.json {
        Some((prompt, schema)) => (prompt.as_str(), schema.clone()),
        None => ("Describe Paris as JSON.", city().map_err(|error| error.to_string())?),
    };
    for stream in [false, true] {
        let mut request = request(prompt).format(Format::JsonSchema(schema.clone())).options(greedy(512));
        request.options.stream = stream;
        let answer = ask(fixture, request).await?;
        ensure(answer.finish == Some(FinishReason::Stop), || format!("the JSON ends with {:?}", answer.finish))?;
        let parsed = schema.parse(&answer.text).map_err(|error| format!("{error}: {}", answer.text))?;
        ensure(parsed.lenient.is_none(), || format!("around the JSON stands {:?}", parsed.lenient))?;
    }
    Ok(())
}

async fn tools(fixture: &Fixture) -> Result<(), Fault> {
    let Some((prompt, tool)) = &fixture.tool else { return Ok(()) };
    let schema = Schema::from_value(tool.parameters.clone()).map_err(|error| error.to_string())?;
    let request = request(prompt).tools(vec![tool.clone()]);
    wire::tool_is_sent(fixture, &request, tool).await?;
    let events = try_ask(&*fixture.backend, request).await.map_err(|error| format!("the call failed: {error}"))?;
    let calls: Vec<_> =
        events.iter().filter_map(|event| if let Event::ToolCall(call) = event { Some(call) } else { None }).collect();
    ensure(!calls.is_empty(), || format!("no tool was called: {events:?}"))?;
    for call in &calls {
        equal(&call.name, &tool.name, "the tool's name and the call's")?;
        ensure(!call.id.is_empty(), || "a tool call has no id".to_owned())?;
        schema.validate(&call.arguments).map_err(|error| format!("{error}: {}", call.arguments))?;
    }
    let ids: BTreeSet<_> = calls.iter().map(|call| &call.id).collect();
    ensure(ids.len() == calls.len(), || "two tool calls have the same id".to_owned())?;
    equal(&fold(events.clone()).finish, &Some(FinishReason::ToolCalls), "the finish and that of tool calls")
}

async fn concurrency(fixture: &Fixture) -> Result<(), Fault> {
    let prompts: Vec<String> = (1..=4).map(|i| format!("{} ({i})", fixture.prompt)).collect();
    let mut alone = Vec::new();
    for prompt in &prompts {
        alone.push(ask(fixture, request(prompt)).await?);
    }
    let together = join_all(prompts.iter().map(|prompt| ask(fixture, request(prompt)))).await;
    for (alone, together) in alone.iter().zip(together) {
        equal(alone, &together?, "the answer alone and the answer side by side")?;
    }
    Ok(())
}

async fn raw(fixture: &Fixture) -> Result<(), Fault> {
    let prompts = match fixture.raw_prompts.as_slice() {
        [] => (1..=3).map(|i| format!("{} ({i})", fixture.prompt)).collect(),
        prompts => prompts.to_vec(),
    };
    let requests: Vec<RawRequest> = prompts.into_iter().map(|prompt| RawRequest::new(prompt).options(greedy(8))).collect();
    let batch = fixture.backend.complete(requests.clone()).await;
    equal(&batch.len(), &requests.len(), "the numbers of results and of requests")?;
    if !fixture.backend.capabilities().raw {
        return ensure(batch.iter().all(Result::is_err), || "`capabilities().raw` is false, but completions come".to_owned());
    }
    let text = |result: Result<ModelOutput>| result.map(|output| output.text).map_err(|error| format!("it failed: {error}"));
    let mut texts = BTreeSet::new();
    for (i, (request, together)) in requests.into_iter().zip(batch).enumerate() {
        let alone = fixture.backend.complete(vec![request]).await.into_iter().next();
        let alone = alone.map(text).ok_or("one request gave no result")??;
        equal(&alone, &text(together)?, &format!("completion {i} alone and in a batch"))?;
        texts.insert(alone);
    }
    ensure(texts.len() > 1, || format!("all completions are {texts:?}, so their order cannot be seen; give other `raw_prompts`"))
}

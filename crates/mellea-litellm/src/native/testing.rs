//! What the tests of all families share: a simulated model, and streams that are cut anywhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use mellea_core::testing::conformance::Fixture;
use mellea_core::testing::sample_value;
use mellea_core::{
    Backend, ChatRequest, Event, Format, Message, ModelOption, ModelOptions, RequestOptions, Result, Schema, Thinking, ToolCall,
    ToolChoice, ToolSpec,
};
use mellea_http::testing::{Recorded, Reply, Server, Step};
use mellea_http::{ClientSettings, Retry};
use mellea_wire::Rules;
use serde_json::{Value, json};

use super::backend::{Plan, Wire};
use super::replay::Broken;
use super::{Settings, replay};

/// The key that no test may see.
pub(super) const CANARY: &str = "key-canary-4711";

/// One white pixel, as PNG.
pub(super) const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mP8/x8AAwMCAO+ip1sAAAAASUVORK5CYII=";

pub(super) fn corpus(path: &str) -> Vec<u8> {
    let path = format!("{}/tests/corpus/native/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Settings for a model at this server, without pauses between attempts.
pub(super) fn settings(provider: &str, model: &str, base: &str) -> Settings {
    let mut client = ClientSettings::default();
    client.retry = Some(Retry::new().waits(Duration::ZERO, Duration::ZERO));
    Settings { api_key: Some(CANARY.into()), base_url: Some(base.to_owned()), client, ..Settings::new(provider, model) }
}

pub(super) fn weather() -> ToolSpec {
    let city = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    ToolSpec::new("weather", "Tells the weather of a city.", city)
}

pub(super) fn person() -> Schema {
    Schema::from_value(json!({
        "title": "Person",
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 255}},
        "required": ["name", "age"],
    }))
    .unwrap()
}

pub(super) fn ask(prompt: &str) -> ChatRequest {
    ChatRequest::new(vec![Message::user(prompt)])
}

pub(super) fn with_options(prompt: &str, change: impl FnOnce(&mut RequestOptions)) -> ChatRequest {
    let mut request = ask(prompt);
    change(&mut request.options);
    request
}

pub(super) async fn events(backend: &dyn Backend, request: ChatRequest) -> Result<Vec<Event>> {
    let mut stream = backend.chat(request).await?;
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event?);
    }
    Ok(events)
}

/// All text of an answer.
pub(super) fn text(events: &[Event]) -> String {
    events.iter().filter_map(|event| if let Event::Text(text) = event { Some(text.as_str()) } else { None }).collect()
}

/// The body that a wire makes of a request, and its warnings.
pub(super) fn body<W: Wire>(wire: &W, request: &ChatRequest) -> (Value, Vec<String>) {
    let plan = Plan::of(wire, &mut request.clone(), request.options.extra.clone()).unwrap();
    (Value::Object(plan.body), plan.warnings.iter().map(ToString::to_string).collect())
}

fn rules(json_tool: bool) -> Rules {
    let mut rules = Rules::new();
    rules.json_tool = json_tool;
    rules
}

/// Decodes a stream that comes in these pieces.
pub(super) fn decode<W: Wire>(_: &W, json_tool: bool, pieces: &[&[u8]]) -> (Vec<Event>, Option<String>) {
    settled(replay::stream::<W>(rules(json_tool), pieces))
}

/// Decodes a body that came whole.
pub(super) fn whole<W: Wire>(_: &W, json_tool: bool, body: &[u8]) -> (Vec<Event>, Option<String>) {
    settled(replay::whole::<W>(rules(json_tool), body))
}

/// Ids that are made up differ from run to run.
fn settled((events, broken): (Vec<Event>, Option<Broken>)) -> (Vec<Event>, Option<String>) {
    fn same_ids(value: &mut Value) {
        match value {
            Value::String(text) if text.starts_with("call_") => "call_".clone_into(text),
            Value::Array(items) => items.iter_mut().for_each(same_ids),
            Value::Object(fields) => fields.values_mut().for_each(same_ids),
            _ => {}
        }
    }
    let events = events.into_iter().map(|event| match event {
        Event::ToolCall(mut call) if call.id.starts_with("call_") => {
            "call_".clone_into(&mut call.id);
            Event::ToolCall(call)
        }
        Event::Replay(mut value) => {
            same_ids(&mut value);
            Event::Replay(value)
        }
        other => other,
    });
    let fault = |broken| match broken {
        Broken::Frames(fault) => format!("{fault:?}"),
        Broken::Answer(fault) => format!("{fault:?}"),
    };
    (events.collect(), broken.map(fault))
}

/// Reads a stream by rules that are changed like this.
pub(super) fn decode_by<W: Wire>(_: &W, change: impl FnOnce(&mut Rules), bytes: &[u8]) -> (Vec<Event>, Option<String>) {
    let mut rules = Rules::new();
    change(&mut rules);
    settled(replay::stream::<W>(rules, &[bytes]))
}

/// The warnings in an answer, one after the other.
pub(super) fn notes(events: &[Event]) -> String {
    let warnings = events.iter().filter_map(|event| if let Event::Warning(warning) = event { Some(warning) } else { None });
    warnings.map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A conversation with a call that another provider's model made.
pub(super) fn with_foreign_call() -> ChatRequest {
    let call = ToolCall::with_id("functions.find:0", "find.it", json!({"city": "Oslo"}));
    let mut asks = Message::assistant("");
    asks.tool_calls = vec![call.clone()];
    ChatRequest::new(vec![Message::user("Where?"), asks, Message::tool(&call, "there"), Message::user("And now?")])
}

/// Whether a backend hands an answer over soon, though the connection stays open and shows signs of life.
pub(super) async fn is_handed_over(backend: &dyn Backend, server: &Server, events: Vec<Vec<u8>>) -> String {
    let mut steps: Vec<_> = events.into_iter().map(Step::Send).collect();
    for _ in 0..100 {
        steps.extend([Step::Wait(Duration::from_millis(100)), Step::send(": ping\n\n")]);
    }
    server.handle(move |_| Reply::stream("text/event-stream", steps.clone()));
    let begun = Instant::now();
    let got = self::events(backend, with_options("hi", |o| o.stream = true)).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(matches!(got.last(), Some(Event::Finish(_))), "{got:?}");
    text(&got)
}

/// A stream with one byte changed reads the same wherever it is cut.
pub(super) fn same_in_any_cut<W: Wire>(wire: &W, json_tool: bool, bytes: &[u8], cuts: &[usize]) {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    places.sort_unstable();
    let (mut pieces, mut start) = (Vec::new(), 0);
    for place in places.into_iter().chain([bytes.len()]) {
        pieces.push(&bytes[start..place]);
        start = place;
    }
    assert_eq!(decode(wire, json_tool, &pieces), decode(wire, json_tool, &[bytes]));
}

/// The events of a stream, which are the same wherever it is cut; a stream that ends too soon never
/// is a success.
pub(super) fn recorded<W: Wire>(wire: &W, json_tool: bool, bytes: &[u8]) -> (Vec<Event>, Option<String>) {
    let whole = decode(wire, json_tool, &[bytes]);
    for cut in 0..=bytes.len() {
        let (a, b) = bytes.split_at(cut);
        assert_eq!(decode(wire, json_tool, &[a, b]), whole, "cut at {cut}");
        let (events, error) = decode(wire, json_tool, &[a]);
        let finished = events.iter().any(|event| matches!(event, Event::Finish(_)));
        assert_eq!(finished, error.is_none(), "ended at {cut}: {events:?} {error:?}");
        if finished {
            assert_eq!(events.last(), whole.0.last(), "ended at {cut}");
        }
    }
    let bytes: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(decode(wire, json_tool, &bytes), whole, "byte by byte");
    whole
}

/// An answer, put together: what streamed and unstreamed must have in common.
pub(super) fn folded(events: &[Event]) -> Value {
    let mut usage = mellea_core::Usage::default();
    let (mut thinking, mut calls, mut rest) = (String::new(), Vec::new(), serde_json::Map::new());
    for event in events {
        match event {
            Event::Thinking(text) => thinking.push_str(text),
            Event::ToolCall(call) => calls.push(json!(call)),
            Event::Usage(later) => usage.update(*later),
            Event::Text(_) => {}
            other => {
                if let Value::Object(fields) = json!(other) {
                    rest.extend(fields);
                }
            }
        }
    }
    json!({"text": text(events), "thinking": thinking, "calls": calls, "usage": usage, "rest": rest})
}

/// For each option: a value, and how it shows in a body or in the warnings.
pub(super) fn option_contract<W: Wire>(wire: &W, synonyms: &[(&'static str, ModelOption)]) {
    for option in ModelOption::ALL {
        let mut options = ModelOptions::new();
        let mut request = ask("Hello");
        match option {
            ModelOption::Temperature => options.set(option, 0.25),
            ModelOption::MaxNewTokens => options.set(option, 2357),
            ModelOption::Seed => options.set(option, 2357),
            ModelOption::SystemPrompt => request.messages.insert(0, Message::system("2357")),
            ModelOption::Thinking => options.set(option, Thinking::High),
            ModelOption::Stream => options.set(option, true),
            ModelOption::StreamTimeout | ModelOption::Timeout => options.set(option, 5.0),
            ModelOption::Tools => request.tools = vec![weather()],
            ModelOption::ToolChoice => {
                request.tools = vec![weather()];
                options.set(option, ToolChoice::Required);
            }
            ModelOption::ContextWindow => options.set(option, 2357),
            ModelOption::StopSequences => options.set(option, ["2357"]),
            ModelOption::Logits | ModelOption::RawLogits => options.set(option, true),
            other => panic!("no value for {other:?}"),
        }
        let mut plain = request.clone();
        request.options = ModelOptions::resolve([&options], synonyms).unwrap().options;
        if option == ModelOption::ToolChoice {
            plain.options = RequestOptions::default();
        } else if option == ModelOption::Tools {
            plain.tools.clear();
        } else if option == ModelOption::SystemPrompt {
            plain.messages.remove(0);
        }
        let (with, warnings) = body(wire, &request);
        let (without, none) = body(wire, &plain);
        assert!(none.is_empty(), "{none:?}");
        let client = mellea_http::Client::builder("p", "http://localhost").build().unwrap();
        let call = |stream| format!("{:?}", wire.call(&client, stream));
        let honoured = match option {
            // The client's own affair.
            ModelOption::StreamTimeout | ModelOption::Timeout => true,
            ModelOption::Stream => with != without || call(true) != call(false),
            _ => with != without,
        };
        let named = warnings.iter().any(|warning| warning.contains(option.name()));
        assert!(honoured != named || option == ModelOption::Thinking, "{option:?}: {with} {warnings:?}");
        assert!(honoured || named, "{option:?}: {with} {warnings:?}");
    }
}

/// What a simulated model is asked, in no provider's form.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) prompt: String,
    pub(super) max_tokens: Option<u64>,
    pub(super) stops: Vec<String>,
    pub(super) tools: Vec<(String, Value)>,
    /// The tool that must be called.
    pub(super) forced: Option<String>,
    pub(super) schema: Option<Value>,
    pub(super) stream: bool,
}

/// What it answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) pieces: Vec<String>,
    pub(super) calls: Vec<(String, Value)>,
    pub(super) length: bool,
    pub(super) prompt_tokens: usize,
    pub(super) tokens: usize,
    /// The answer never ends.
    pub(super) endless: bool,
}

/// The prompt that makes it call a tool.
pub(super) const CALL: &str = "Please call the tool.";

/// The model: it follows what it is asked to the letter.
pub(super) fn model(asked: &Asked) -> Told {
    let mut told = Told { prompt_tokens: asked.prompt.split_whitespace().count(), ..Told::default() };
    let sample = |schema: &Value| sample_value(&Schema::from_value(schema.clone()).unwrap(), 1).unwrap();
    let called =
        asked.forced.clone().or_else(|| asked.prompt.contains(CALL).then(|| asked.tools.first().map(|t| t.0.clone())).flatten());
    if let Some((name, schema)) = asked.tools.iter().find(|(name, _)| Some(name) == called.as_ref()) {
        told.calls.push((name.clone(), sample(schema)));
        told.tokens = 7;
        return told;
    }
    let words = if let Some(schema) = &asked.schema {
        let json = sample(schema).to_string();
        json.chars().collect::<Vec<_>>().chunks(5).map(|piece| piece.iter().collect()).collect()
    } else {
        let count = if asked.prompt.contains("one hundred") { 40 } else { 6 };
        let sum = asked.prompt.bytes().map(usize::from).sum::<usize>();
        (0..count).map(|n| format!("{}w{}é{n}", if n == 0 { "" } else { " " }, sum % 997)).collect::<Vec<_>>()
    };
    let limit = asked.max_tokens.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap());
    told.length = words.len() > limit;
    told.pieces = words.into_iter().take(limit).collect();
    let all = told.pieces.concat();
    if let Some(end) = asked.stops.iter().filter_map(|stop| all.find(stop.as_str())).min() {
        told.pieces = vec![all[..end].to_owned()];
        told.length = false;
    }
    told.tokens = told.pieces.len();
    told.endless = asked.prompt.contains("one hundred") && asked.max_tokens.is_some_and(|limit| limit >= 4096);
    told
}

/// Sends these pieces as a stream; an endless one stops before its last piece and stays open.
pub(super) fn streamed(content_type: &str, pieces: Vec<Vec<u8>>, endless: bool) -> Reply {
    let count = if endless { 4.min(pieces.len()) } else { pieces.len() };
    let mut steps: Vec<_> = pieces.into_iter().take(count).map(Step::Send).collect();
    if endless {
        steps.push(Step::Hang);
    }
    Reply::stream(content_type, steps)
}

/// A backend at a server that answers like this, ready for the checks of all backends.
pub(super) async fn fixture(
    handle: impl Fn(&Recorded) -> Reply + Send + Sync + 'static,
    backend: impl FnOnce(Settings) -> Result<Arc<dyn Backend>>,
    provider: &str,
    model: &str,
) -> Fixture {
    let server = Arc::new(Server::start().await.unwrap());
    server.handle(handle);
    let backend = backend(settings(provider, model, &server.url())).unwrap();
    let wire = Arc::clone(&server);
    Fixture::new(backend)
        .prompt("Say something nice.")
        .long_prompt("Count to one hundred in words.")
        .tool(CALL, weather())
        .secret(CANARY)
        .wire(move || wire.requests().iter().map(Recorded::text).collect())
        .in_flight(move || server.in_flight())
}

pub(super) fn json_format(prompt: &str, schema: Schema) -> ChatRequest {
    ask(prompt).format(Format::JsonSchema(schema))
}

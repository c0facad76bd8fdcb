//! A backend that keeps every rule, or breaks exactly one.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use mellea_core::{
    Backend, Capabilities, ChatRequest, Error, ErrorKind, Event, EventStream, FinishReason, Format, ModelOutput, RawRequest,
    Result, Role, ToolCall, Usage, Warning,
};
use serde_json::{Map, Value, json};

/// The one rule that a [`Fake`] breaks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Breaks {
    Nothing,
    NamelessModel,
    TwoFinishes,
    NoFinish,
    TextAfterFinish,
    OtherWhenStreamed,
    RunsOnAfterStream,
    RunsOnAfterCall,
    AnswersEmpty,
    PlacelessError,
    ShowsSecret,
    SilentAboutTools,
    SilentAboutLogits,
    IgnoresStops,
    IgnoresLimit,
    CountsTooMuch,
    ProseAroundJson,
    WrongJson,
    UnfitArguments,
    SameCallIds,
    MixesCalls,
    SwapsCompletions,
    TooFewCompletions,
    IgnoresHistory,
    IgnoresSystem,
    IgnoresLaterSystem,
    ReordersMessages,
    SendsOneBlock,
    CutsMessages,
    SpoilsText,
    SwallowsToolCalls,
    SwallowsToolResults,
    DropsImages,
    DropsAudio,
    DropsToolDescriptions,
    IgnoresTemperature,
    IgnoresSeed,
    SendsItsOwnSeed,
    IgnoresWindow,
    IgnoresStopsOnTheWire,
    IgnoresThinking,
    AlwaysThinks,
    IgnoresToolChoice,
    IgnoresToolChoiceNone,
    IgnoresOwnOptions,
    WarnsAboutEverything,
    IgnoresRawOptions,
    NeverSendsUsage,
    SendsNoUsageInStreams,
    CountsNothing,
    BlocksInCall,
    BlocksInStream,
    NeverAnswers,
    PanicsInCall,
    PanicsInStream,
}

#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) breaks: Breaks,
    pub(crate) secret: String,
    running: Arc<AtomicUsize>,
    sent: Arc<Mutex<Vec<String>>>,
}

/// Counts a generation for as long as it runs.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Fake {
    pub(crate) fn new(breaks: Breaks) -> Self {
        Self { breaks, secret: "canary-3c1f".to_owned(), running: Arc::default(), sent: Arc::default() }
    }

    /// How many generations run.
    pub(crate) fn running(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.running)
    }

    /// What it has sent.
    pub(crate) fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap().clone()
    }

    /// The body of a request: all of it, but for what is broken.
    fn body(&self, request: &ChatRequest) -> Value {
        let mut body = json!(request);
        self.spoil_messages(body["messages"].as_array_mut().unwrap());
        self.spoil_options(&mut body["options"]);
        if self.breaks == Breaks::DropsToolDescriptions {
            body["tools"].as_array_mut().into_iter().flatten().for_each(|tool| tool["description"] = json!(""));
        }
        body
    }

    fn spoil_messages(&self, messages: &mut Vec<Value>) {
        let last = messages.len().saturating_sub(1);
        let mut at = 0..;
        match self.breaks {
            Breaks::IgnoresHistory => drop(messages.drain(..last)),
            Breaks::IgnoresSystem => messages.retain(|message| message["role"] != "system"),
            Breaks::IgnoresLaterSystem => messages.retain(|message| at.next() == Some(0) || message["role"] != "system"),
            Breaks::ReordersMessages => messages.reverse(),
            Breaks::SwallowsToolResults => messages.retain(|message| message["role"] != "tool"),
            _ => {}
        }
        for message in messages {
            if self.breaks == Breaks::SwallowsToolCalls {
                message.as_object_mut().unwrap().remove("tool_calls");
            }
            let Some(blocks) = message["content"].as_array_mut() else { continue };
            match self.breaks {
                Breaks::SendsOneBlock => blocks.truncate(1),
                Breaks::DropsImages => blocks.retain(|block| !block.to_string().contains("iVBORw0")),
                Breaks::DropsAudio => blocks.retain(|block| !block.to_string().contains("UklGR")),
                Breaks::CutsMessages | Breaks::SpoilsText => {
                    for block in blocks {
                        let cut = |text: &str| text.chars().take(40).collect::<String>();
                        let spoil = |text: &str| text.replace(|c: char| !c.is_ascii(), "?");
                        let change: &dyn Fn(&str) -> String = if self.breaks == Breaks::CutsMessages { &cut } else { &spoil };
                        texts(block, change);
                    }
                }
                _ => {}
            }
        }
    }

    fn spoil_options(&self, options: &mut Value) {
        let high = !options["thinking"].is_null();
        let options = options.as_object_mut().unwrap();
        let mut drop = |name: &str| drop(options.shift_remove(name));
        match self.breaks {
            Breaks::IgnoresTemperature => drop("temperature"),
            Breaks::IgnoresSeed | Breaks::WarnsAboutEverything => drop("seed"),
            Breaks::IgnoresWindow => drop("context_window"),
            Breaks::IgnoresStopsOnTheWire => drop("stop_sequences"),
            Breaks::IgnoresThinking => drop("thinking"),
            Breaks::IgnoresToolChoice => drop("tool_choice"),
            Breaks::IgnoresOwnOptions => drop("extra"),
            Breaks::IgnoresToolChoiceNone if options.get("tool_choice") == Some(&json!("none")) => {
                options.shift_remove("tool_choice");
            }
            Breaks::SendsItsOwnSeed => drop_in(options, "seed", json!(42)),
            Breaks::AlwaysThinks if high => drop_in(options, "thinking", json!("high")),
            _ => {}
        }
    }

    fn start(&self) -> Running {
        self.running.fetch_add(1, Ordering::SeqCst);
        Running(Arc::clone(&self.running))
    }

    fn refusal(&self) -> Error {
        let error = Error::from(ErrorKind::EmptyPrompt);
        if self.breaks == Breaks::PlacelessError { error } else { error.at("fake", "fake-1") }
    }

    fn words(&self, request: &ChatRequest) -> Vec<String> {
        let prompt = request.messages.last().map(|m| m.text().into_owned()).unwrap_or_default();
        let long = prompt.contains("Count");
        let text = match (&request.format, long) {
            (Some(Format::JsonSchema(_)), _) => match self.breaks {
                Breaks::WrongJson => r#"{"name": "Paris"}"#.to_owned(),
                Breaks::ProseAroundJson => format!("Here it is: {CITY}"),
                _ => CITY.to_owned(),
            },
            (_, true) => (0..40).map(|i| format!("number{i} ")).collect(),
            _ => format!("hello to you, {prompt} there"),
        };
        let mut words: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
        if let Some(limit) = request.options.max_new_tokens.filter(|_| self.breaks != Breaks::IgnoresLimit) {
            words.truncate(usize::try_from(limit).unwrap());
        }
        if self.breaks != Breaks::IgnoresStops {
            let stops = |word: &String| request.options.stop_sequences.iter().any(|stop| word.contains(stop.as_str()));
            words = words.into_iter().take_while(|word| !stops(word)).collect();
        }
        words
    }

    fn events(&self, request: &ChatRequest) -> Vec<Event> {
        if !request.tools.is_empty() {
            let calls = (1..=2).map(|i| {
                let id = if self.breaks == Breaks::SameCallIds { 1 } else { i };
                let a = if self.breaks == Breaks::UnfitArguments { json!("x") } else { json!(i) };
                Event::ToolCall(ToolCall { id: format!("call-{id}"), name: "add".to_owned(), arguments: json!({ "a": a }) })
            });
            return calls.chain([Event::Finish(FinishReason::ToolCalls)]).collect();
        }
        let words = self.words(request);
        let cut = request.options.max_new_tokens == Some(words.len() as u64);
        let mut usage = Usage::new(3, words.len() as u64);
        if self.breaks == Breaks::CountsNothing {
            usage = Usage::new(3, 0);
        }
        if self.breaks == Breaks::CountsTooMuch {
            usage = Usage::new(3, words.len() as u64 + 1);
        }
        let text: Vec<String> = if request.options.stream { words } else { vec![words.concat()] };
        let mut events: Vec<Event> = text.into_iter().map(Event::Text).collect();
        if self.breaks == Breaks::OtherWhenStreamed && request.options.stream {
            events.push(Event::Text("!".to_owned()));
        }
        if self.breaks != Breaks::NoFinish {
            events.push(Event::Finish(if cut { FinishReason::Length } else { FinishReason::Stop }));
        }
        match self.breaks {
            Breaks::TwoFinishes => events.push(Event::Finish(FinishReason::Stop)),
            Breaks::TextAfterFinish => events.push(Event::Text("more".to_owned())),
            _ => {}
        }
        let silent =
            self.breaks == Breaks::NeverSendsUsage || (self.breaks == Breaks::SendsNoUsageInStreams && request.options.stream);
        if !silent {
            events.push(Event::Usage(usage));
        }
        events
    }
}

/// Longer than any step of a call may take.
const BLOCKED: Duration = Duration::from_millis(150);

/// Changes every text that is part of a value.
fn texts(value: &mut Value, change: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| texts(item, change)),
        Value::Object(map) => map.values_mut().for_each(|value| texts(value, change)),
        _ => {}
    }
}

fn drop_in(options: &mut Map<String, Value>, name: &str, value: Value) {
    if options.contains_key(name) {
        options.insert(name.to_owned(), value);
    }
}

const CITY: &str =
    r#"{"name": "Paris", "inhabitants": 2100000, "size": "large", "districts": [{"name": "Louvre", "central": true}]}"#;

#[async_trait]
impl Backend for Fake {
    fn provider(&self) -> &str {
        "fake"
    }

    fn model(&self) -> &str {
        if self.breaks == Breaks::NamelessModel { "" } else { "fake-1" }
    }

    fn capabilities(&self) -> Capabilities {
        let mut can = Capabilities::default();
        can.json_schema = true;
        can.tools = self.breaks != Breaks::SilentAboutTools;
        can.images = true;
        can.audio = true;
        can.raw = true;
        can
    }

    fn unsupported(&self, request: &ChatRequest) -> Vec<Warning> {
        let scores = (request.options.logits || request.options.raw_logits) && self.breaks != Breaks::SilentAboutLogits;
        let regex = matches!(request.format, Some(Format::Regex(_)));
        let always = self.breaks == Breaks::WarnsAboutEverything;
        if scores || regex || always { vec![Warning::Other { message: "not here".to_owned() }] } else { Vec::new() }
    }

    async fn chat(&self, request: ChatRequest) -> Result<EventStream> {
        let running = self.start();
        let other = self.running.load(Ordering::SeqCst) > 1;
        if self.breaks == Breaks::RunsOnAfterCall {
            std::mem::forget(self.start());
        }
        tokio::task::yield_now().await;
        match self.breaks {
            Breaks::PanicsInCall => panic!("no such key"),
            Breaks::BlocksInCall => std::thread::sleep(BLOCKED),
            Breaks::NeverAnswers => std::future::pending().await,
            _ => {}
        }
        let asks = request.messages.iter().any(|message| message.role == Role::User);
        if !asks && self.breaks != Breaks::AnswersEmpty {
            if self.breaks == Breaks::ShowsSecret {
                return Err(Error::connection("", format!("no entry with {}", self.secret)).at("fake", "fake-1"));
            }
            return Err(self.refusal());
        }
        self.sent.lock().unwrap().push(self.body(&request).to_string());
        let mut events = self.events(&request);
        if self.breaks == Breaks::MixesCalls && other {
            events.insert(0, Event::Text("mixed".to_owned()));
        }
        let running = if self.breaks == Breaks::RunsOnAfterStream {
            std::mem::forget(running);
            None
        } else {
            Some(running)
        };
        let breaks = self.breaks;
        Ok(EventStream::new(stream::iter(events).enumerate().then(move |(i, event)| {
            let _held = &running;
            match breaks {
                Breaks::PanicsInStream if i > 0 => panic!("no such piece"),
                Breaks::BlocksInStream if i == 0 => std::thread::sleep(BLOCKED),
                _ => {}
            }
            async move {
                tokio::task::yield_now().await;
                Ok(event)
            }
        })))
    }

    async fn complete(&self, requests: Vec<RawRequest>) -> Vec<Result<ModelOutput>> {
        for request in &requests {
            let mut body = json!(request);
            if self.breaks == Breaks::IgnoresRawOptions {
                body["options"] = json!({});
            }
            self.sent.lock().unwrap().push(body.to_string());
        }
        let mut outputs: Vec<_> = requests.iter().map(|r| Ok(ModelOutput::new(format!("{} goes on", r.prompt)))).collect();
        match self.breaks {
            Breaks::SwapsCompletions => outputs.reverse(),
            Breaks::TooFewCompletions => outputs.truncate(1),
            _ => {}
        }
        outputs
    }
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fake").field("breaks", &self.breaks).finish_non_exhaustive()
    }
}

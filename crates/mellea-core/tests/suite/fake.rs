//! A backend that keeps every rule, or breaks exactly one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use mellea_core::{
    Backend, Capabilities, ChatRequest, Error, ErrorKind, Event, EventStream, FinishReason, Format, ModelOutput, RawRequest,
    Result, Role, ToolCall, Usage, Warning,
};
use serde_json::json;

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
}

#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) breaks: Breaks,
    pub(crate) secret: String,
    running: Arc<AtomicUsize>,
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
        Self { breaks, secret: "canary-3c1f".to_owned(), running: Arc::default() }
    }

    /// How many generations run.
    pub(crate) fn running(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.running)
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
        events.push(Event::Usage(usage));
        events
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
        if scores || regex { vec![Warning::Other { message: "not here".to_owned() }] } else { Vec::new() }
    }

    async fn chat(&self, request: ChatRequest) -> Result<EventStream> {
        let running = self.start();
        let other = self.running.load(Ordering::SeqCst) > 1;
        if self.breaks == Breaks::RunsOnAfterCall {
            std::mem::forget(self.start());
        }
        tokio::task::yield_now().await;
        let asks = request.messages.iter().any(|message| message.role == Role::User);
        if !asks && self.breaks != Breaks::AnswersEmpty {
            if self.breaks == Breaks::ShowsSecret {
                return Err(Error::connection("", format!("no entry with {}", self.secret)).at("fake", "fake-1"));
            }
            return Err(self.refusal());
        }
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
        Ok(EventStream::new(stream::iter(events).then(move |event| {
            let _held = &running;
            async move {
                tokio::task::yield_now().await;
                Ok(event)
            }
        })))
    }

    async fn complete(&self, requests: Vec<RawRequest>) -> Vec<Result<ModelOutput>> {
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

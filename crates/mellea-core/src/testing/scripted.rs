//! A backend that answers as a test says.

mod kept;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};

use self::kept::{KEPT, Record};
use crate::backend::{Backend, Capabilities, ChatRequest, Event, EventStream, RawRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Message, ToolCall};
use crate::options::ModelOptions;
use crate::output::{FinishReason, ModelOutput, Usage, Warning};

/// A backend that answers as a test says: in order, by what the request contains, or by a function.
///
/// Rules ([`when`](Self::when), [`answer_with`](Self::answer_with)) are tried first, then the answers
/// in order. A request for which there is no answer is an error. Clones share script and record.
///
/// The record is bounded: it holds the last 1,000 requests, or fewer where they have more than 10,000
/// messages between them; see [`keep`](Self::keep). [`calls`](Self::calls) counts all.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::time::Duration;
/// use mellea_core::{Session, testing::{Reply, ScriptedBackend}};
///
/// let backend = ScriptedBackend::new(["first", "second"])
///     .when("weather", Reply::text("sunny").latency(Duration::from_millis(1)).chunks(2));
/// let m = Session::new(backend.clone());
/// assert_eq!(*m.instruct("Begin.").await?, "first");
/// assert_eq!(*m.instruct("How is the weather?").await?, "sunny");
/// assert_eq!(backend.requests().len(), 2);
/// assert!(backend.all_consumed().is_err(), "`second` was never asked for");
/// # Ok::<(), mellea_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct ScriptedBackend {
    script: Arc<Mutex<Script>>,
    capabilities: Capabilities,
    options: ModelOptions,
    warnings: Vec<Warning>,
}

#[derive(Default)]
struct Script {
    rules: Vec<Rule>,
    /// How many requests are kept, if a test says so.
    kept: Option<usize>,
    queue: VecDeque<Reply>,
    chats: Record<ChatRequest>,
    completions: Record<RawRequest>,
}

type Answer = Box<dyn FnMut(&ChatRequest) -> Option<Reply> + Send>;

struct Rule {
    answer: Answer,
    used: bool,
    name: String,
}

/// One scripted answer.
#[derive(Clone, Debug)]
#[must_use]
pub struct Reply {
    events: Vec<Result<Event>>,
    refusal: Option<Error>,
    latency: Duration,
    pace: Duration,
}

impl Reply {
    /// Answers with this text, finished normally. Usage is a quarter of the bytes.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        let usage = Usage { completion_tokens: Some((text.len() as u64).div_ceil(4)), ..Usage::default() };
        Self::events([Event::Text(text), Event::Usage(usage), Event::Finish(FinishReason::Stop)])
    }

    /// Answers by calling tools.
    pub fn tool_calls(calls: impl IntoIterator<Item = ToolCall>) -> Self {
        let calls = calls.into_iter().map(Event::ToolCall);
        Self::events(calls.chain([Event::Finish(FinishReason::ToolCalls)]))
    }

    /// Answers with these events, and nothing beside them.
    pub fn events(events: impl IntoIterator<Item = Event>) -> Self {
        Self { events: events.into_iter().map(Ok).collect(), refusal: None, latency: Duration::ZERO, pace: Duration::ZERO }
    }

    /// Refuses the request.
    pub fn refuse(error: impl Into<Error>) -> Self {
        Self { refusal: Some(error.into()), ..Self::events([]) }
    }

    /// Sends this text, then fails.
    pub fn cut(text: impl Into<String>, error: impl Into<Error>) -> Self {
        let mut reply = Self::events([Event::Text(text.into())]);
        reply.events.push(Err(error.into()));
        reply
    }

    /// Sends this text, then never anything more.
    pub fn stall(text: impl Into<String>) -> Self {
        Self { pace: Duration::MAX, ..Self::events([Event::Text(text.into()), Event::Finish(FinishReason::Stop)]) }
    }

    /// Waits before the first event.
    pub fn latency(mut self, time: Duration) -> Self {
        self.latency = time;
        self
    }

    /// Waits after each event.
    pub fn pace(mut self, time: Duration) -> Self {
        self.pace = time;
        self
    }

    /// Sends text in pieces of this many characters.
    pub fn chunks(mut self, characters: usize) -> Self {
        let pieces = |event: Result<Event>| match event {
            Ok(Event::Text(text)) => {
                let all: Vec<char> = text.chars().collect();
                all.chunks(characters.max(1)).map(|piece| Ok(Event::Text(piece.iter().collect()))).collect()
            }
            other => vec![other],
        };
        self.events = self.events.into_iter().flat_map(pieces).collect();
        self
    }

    /// With this usage.
    pub fn usage(self, usage: Usage) -> Self {
        self.event_before_finish(Event::Usage(usage))
    }

    /// With this reason for the end.
    pub fn finish(mut self, reason: FinishReason) -> Self {
        self.events.retain(|event| !matches!(event, Ok(Event::Finish(_))));
        self.events.push(Ok(Event::Finish(reason)));
        self
    }

    /// With this reasoning before the answer.
    pub fn thinking(mut self, text: impl Into<String>) -> Self {
        self.events.insert(0, Ok(Event::Thinking(text.into())));
        self
    }

    /// With another event just before the end.
    pub fn event_before_finish(mut self, event: Event) -> Self {
        let end = self.events.iter().position(|event| matches!(event, Ok(Event::Finish(_)))).unwrap_or(self.events.len());
        self.events.insert(end, Ok(event));
        self
    }

    fn into_stream(self) -> EventStream {
        let pace = self.pace;
        EventStream::new(stream::iter(self.events).enumerate().then(move |(i, event)| async move {
            if i > 0 {
                sleep(pace).await;
            }
            event
        }))
    }
}

impl<T: Into<String>> From<T> for Reply {
    fn from(text: T) -> Self {
        Self::text(text)
    }
}

async fn sleep(time: Duration) {
    match time {
        Duration::ZERO => {}
        Duration::MAX => std::future::pending().await,
        time => tokio::time::sleep(time).await,
    }
}

impl ScriptedBackend {
    /// Answers with these, in this order.
    pub fn new<R: Into<Reply>>(replies: impl IntoIterator<Item = R>) -> Self {
        let script = Script { queue: replies.into_iter().map(Into::into).collect(), ..Script::default() };
        let capabilities = Capabilities {
            json_schema: true,
            regex: true,
            tools: true,
            tools_with_format: true,
            images: true,
            audio: true,
            raw: true,
            ..Capabilities::default()
        };
        Self { script: Arc::new(Mutex::new(script)), capabilities, options: ModelOptions::new(), warnings: Vec::new() }
    }

    /// Has no answers yet.
    #[must_use]
    pub fn empty() -> Self {
        Self::new::<Reply>([])
    }

    /// Gives this answer whenever the last message contains the text.
    #[must_use]
    pub fn when(self, contains: impl Into<String>, reply: impl Into<Reply>) -> Self {
        let (text, reply) = (contains.into(), reply.into());
        let name = format!("a request with {text:?}");
        self.rule(name, move |request| request.messages.last()?.text().contains(&text).then(|| reply.clone()))
    }

    /// Answers by a function; `None` leaves the request to other rules and to the queue.
    #[must_use]
    pub fn answer_with(self, answer: impl FnMut(&ChatRequest) -> Option<Reply> + Send + 'static) -> Self {
        self.rule("the function".to_owned(), answer)
    }

    fn rule(self, name: String, answer: impl FnMut(&ChatRequest) -> Option<Reply> + Send + 'static) -> Self {
        self.lock().rules.push(Rule { answer: Box::new(answer), used: false, name });
        self
    }

    /// With these abilities; by default it can do everything and knows no window.
    #[must_use]
    pub fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// With default options, as a backend's constructor would take them.
    #[must_use]
    pub fn default_options(mut self, options: ModelOptions) -> Self {
        self.options = options;
        self
    }

    /// Cannot honour something in any request.
    #[must_use]
    pub fn unsupported(mut self, warning: Warning) -> Self {
        self.warnings.push(warning);
        self
    }

    /// Keeps this many of the last requests; 1,000 otherwise. It holds for all clones.
    #[must_use]
    pub fn keep(self, requests: usize) -> Self {
        let mut script = self.lock();
        script.kept = Some(requests);
        script.chats.shorten(requests);
        script.completions.shorten(requests);
        drop(script);
        self
    }

    /// How often it was asked, in chats and raw completions together, kept or not.
    #[must_use]
    pub fn calls(&self) -> usize {
        let script = self.lock();
        script.chats.calls + script.completions.calls
    }

    /// What it was asked, in order, as far as it is [kept](Self::keep).
    #[must_use]
    pub fn requests(&self) -> Vec<ChatRequest> {
        self.lock().chats.to_vec()
    }

    /// What it was asked last, without a copy.
    #[must_use]
    pub fn last_request(&self) -> Option<Arc<ChatRequest>> {
        self.lock().chats.last.back().cloned()
    }

    /// What it was asked to continue, in order, as far as it is [kept](Self::keep).
    #[must_use]
    pub fn raw_requests(&self) -> Vec<RawRequest> {
        self.lock().completions.to_vec()
    }

    /// The text of the last message of each request that is [kept](Self::keep), in order.
    #[must_use]
    pub fn prompts(&self) -> Vec<String> {
        self.lock().chats.last.iter().filter_map(|r| r.messages.last()).map(|m| m.text().into_owned()).collect()
    }

    /// Whether every answer was asked for and every rule was used.
    ///
    /// # Errors
    /// What was not.
    pub fn all_consumed(&self) -> Result<(), String> {
        let script = self.lock();
        let mut left: Vec<String> = script.rules.iter().filter(|rule| !rule.used).map(|rule| rule.name.clone()).collect();
        if !script.queue.is_empty() {
            left.push(format!("{} answers", script.queue.len()));
        }
        if left.is_empty() { Ok(()) } else { Err(format!("never asked for: {}", left.join(", "))) }
    }

    /// Panics unless [`all_consumed`](Self::all_consumed), for the end of a test.
    ///
    /// # Panics
    /// If an answer was never asked for.
    #[track_caller]
    pub fn assert_all_consumed(&self) {
        assert_eq!(self.all_consumed(), Ok(()));
    }

    fn note(&self, add: impl FnOnce(&mut Script, usize)) {
        let mut script = self.lock();
        let most = script.kept.unwrap_or(KEPT);
        add(&mut script, most);
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reply(&self, request: &ChatRequest) -> Result<Reply> {
        let mut script = self.lock();
        for rule in &mut script.rules {
            if let Some(reply) = (rule.answer)(request) {
                rule.used = true;
                return Ok(reply);
            }
        }
        script.queue.pop_front().ok_or_else(|| {
            let prompt = request.messages.last().map(|m| m.text().into_owned()).unwrap_or_default();
            let shown: String = prompt.chars().take(200).collect();
            Error::from(ErrorKind::Testing(format!("no answer is scripted for: {shown}")))
        })
    }
}

#[async_trait]
impl Backend for ScriptedBackend {
    fn provider(&self) -> &str {
        "scripted"
    }

    fn model(&self) -> &str {
        "script"
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    fn default_options(&self) -> ModelOptions {
        self.options.clone()
    }

    fn unsupported(&self, _: &ChatRequest) -> Vec<Warning> {
        self.warnings.clone()
    }

    fn is_real(&self) -> bool {
        false
    }

    async fn chat(&self, request: ChatRequest) -> Result<EventStream> {
        let request = Arc::new(request);
        self.note(|script, most| script.chats.add(Arc::clone(&request), most));
        let mut reply = self.reply(&request)?;
        sleep(reply.latency).await;
        match reply.refusal.take() {
            Some(error) => Err(error),
            None => Ok(reply.into_stream()),
        }
    }

    async fn complete(&self, requests: Vec<RawRequest>) -> Vec<Result<ModelOutput>> {
        let mut outputs = Vec::with_capacity(requests.len());
        for request in requests {
            self.note(|script, most| script.completions.add(Arc::new(request.clone()), most));
            let chat = ChatRequest::new([Message::user(request.prompt.as_str())]).options(request.options);
            outputs.push(self.reply(&chat).and_then(|reply| {
                let mut output = ModelOutput { provider: "scripted".into(), model: "script".into(), ..ModelOutput::default() };
                if let Some(error) = reply.refusal {
                    return Err(error);
                }
                for event in reply.events {
                    match event? {
                        Event::Text(text) => output.text.push_str(&text),
                        Event::Usage(usage) => output.usage.update(usage),
                        Event::Finish(reason) => output.finish = reason,
                        _ => {}
                    }
                }
                Ok(output)
            }));
        }
        outputs
    }
}

impl fmt::Debug for ScriptedBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let script = self.lock();
        f.debug_struct("ScriptedBackend")
            .field("queued", &script.queue.len())
            .field("calls", &(script.chats.calls + script.completions.calls))
            .finish_non_exhaustive()
    }
}

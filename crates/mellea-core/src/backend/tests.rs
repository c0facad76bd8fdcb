//! Backends made of backends keep the rules that those keep, alone and in each other.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;

use super::*;
use crate::backend_conformance;
use crate::error::{Error, ErrorKind};
use crate::limit::{Limiter, Permit};
use crate::testing::conformance::Fixture;
use crate::testing::{Reply, ScriptedBackend, sample_value, schema_backend};
use crate::tool::ToolCall;

fn adder() -> ToolSpec {
    let parameters = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]});
    ToolSpec::new("add", "Adds one.", parameters)
}

/// Answers everything that the rules ask.
fn answer(request: &ChatRequest) -> Reply {
    let Some(prompt) = request.messages.last().map(|message| message.text().into_owned()) else {
        return Reply::refuse(Error::from(ErrorKind::EmptyPrompt).at("counted", "c-1"));
    };
    if let Some(Format::JsonSchema(schema)) = &request.format {
        return Reply::text(schema.wrap(sample_value(schema, 1).unwrap()).to_string());
    }
    if !request.tools.is_empty() {
        return Reply::tool_calls([ToolCall::with_id("call-1", "add", json!({"a": 1}))]);
    }
    Reply::text(format!("hello {prompt}")).chunks(3).usage(Usage::new(3, 4))
}

fn script() -> ScriptedBackend {
    ScriptedBackend::empty()
        .unsupported(Warning::Other { message: NOT_LOOKED_AT.into() })
        .answer_with(|request| Some(answer(request)))
}

/// What a script does not do, whatever it sends.
const NOT_LOOKED_AT: &str = "not looked at: stop_sequences, max_new_tokens, logits";

/// What a script was asked stands for what a backend sends.
fn wire(script: ScriptedBackend) -> impl Fn() -> Vec<String> + Send + Sync + 'static {
    move || {
        let raw = script.raw_requests();
        let raw = raw.iter().map(|request| serde_json::to_string(request).unwrap());
        script.requests().iter().map(|request| serde_json::to_string(request).unwrap()).chain(raw).collect()
    }
}

/// A script of which is known how many generations run.
#[derive(Clone, Debug)]
struct Counted(ScriptedBackend, Arc<AtomicUsize>);

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Backend for Counted {
    fn provider(&self) -> &'static str {
        "counted"
    }

    fn model(&self) -> &'static str {
        "c-1"
    }

    fn capabilities(&self) -> Capabilities {
        Backend::capabilities(&self.0)
    }

    fn default_options(&self) -> ModelOptions {
        ModelOptions::new().with(ModelOption::Temperature, 0.5)
    }

    fn synonyms(&self) -> &'static [(&'static str, ModelOption)] {
        &[("num_predict", ModelOption::MaxNewTokens)]
    }

    fn unsupported(&self, request: &ChatRequest) -> Vec<Warning> {
        Backend::unsupported(&self.0, request)
    }

    async fn chat(&self, request: ChatRequest) -> Result<EventStream> {
        self.1.fetch_add(1, Ordering::SeqCst);
        let running = Running(Arc::clone(&self.1));
        tokio::task::yield_now().await;
        let events = self.0.chat(request).await?;
        Ok(EventStream::new(events.then(move |event| {
            let _held = &running;
            async move {
                tokio::task::yield_now().await;
                event
            }
        })))
    }

    async fn complete(&self, requests: Vec<RawRequest>) -> Vec<Result<ModelOutput>> {
        self.0.complete(requests).await
    }
}

/// A backend around one that can be looked into.
async fn around<B: Backend>(make: impl FnOnce(Counted) -> B) -> Fixture {
    let running = Arc::new(AtomicUsize::new(0));
    let script = script();
    let backend = make(Counted(script.clone(), Arc::clone(&running)));
    Fixture::new(backend)
        .wire(wire(script))
        .tool("Add one to one.", adder())
        .secret("canary-3c1f")
        .in_flight(move || running.load(Ordering::SeqCst))
        .limit(Duration::from_secs(20))
}

/// [`schema_backend`], but it refuses a request without messages, and answers one that is to be
/// streamed as it answers the others.
#[derive(Clone, Debug)]
struct Schemas(ScriptedBackend);

#[async_trait]
impl Backend for Schemas {
    described_by!(self => self.0.as_backend());

    async fn chat(&self, mut request: ChatRequest) -> Result<EventStream> {
        if request.messages.is_empty() {
            return Err(Error::from(ErrorKind::EmptyPrompt).at(self.provider(), self.model()));
        }
        request.options.stream = false;
        self.0.chat(request).await
    }

    async fn complete(&self, requests: Vec<RawRequest>) -> Vec<Result<ModelOutput>> {
        self.0.complete(requests).await
    }
}

trait AsBackend: Backend + Sized {
    /// Some builders of a script are named as methods of a backend.
    fn as_backend(&self) -> &dyn Backend {
        self
    }
}

impl AsBackend for ScriptedBackend {}

async fn around_schemas<B: Backend>(make: impl FnOnce(Schemas) -> B) -> Fixture {
    let quiet = Capabilities { tools: false, ..Backend::capabilities(&schema_backend(1)) };
    let backend = schema_backend(1).capabilities(quiet);
    let backend = backend.unsupported(Warning::Other { message: format!("{NOT_LOOKED_AT}, tools") });
    Fixture::new(make(Schemas(backend.clone()))).wire(wire(backend)).limit(Duration::from_secs(20))
}

fn limiter() -> Limiter {
    Limiter::new().concurrency(2).unwrap().per_second(1e6).unwrap()
}

fn some(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

/// One that cannot be reached, and then this one.
fn fallen_back(backend: impl Backend) -> Fallback {
    let down = ScriptedBackend::empty()
        .capabilities(backend.capabilities())
        .unsupported(Warning::Other { message: NOT_LOOKED_AT.into() })
        .answer_with(|_| Some(Reply::refuse(ErrorKind::connection("", "connection refused"))));
    Fallback::new(down).or(backend)
}

fn all(backend: impl Backend + Clone) -> impl Backend {
    let one: Arc<dyn Backend> = Arc::new(backend.clone().limited(limiter()));
    RoundRobin::new([one, Arc::new(fallen_back(backend))]).unwrap().limited(limiter()).cached(some(4))
}

backend_conformance!(limited, around(|b| b.limited(limiter())));
backend_conformance!(limited_schemas, around_schemas(|b| b.limited(limiter())));
backend_conformance!(fallback_first, around(|b| b.or(ScriptedBackend::empty())));
backend_conformance!(fallback_second, around(fallen_back));
backend_conformance!(fallback_schemas, around_schemas(fallen_back));
backend_conformance!(round_robin, around(|b| RoundRobin::new([b.clone(), b.clone(), b]).unwrap()));
backend_conformance!(round_robin_schemas, around_schemas(|b| RoundRobin::new([b.clone(), b]).unwrap()));
backend_conformance!(cached, around(|b| b.cached(some(4))));
backend_conformance!(cached_samples, around(|b| b.cached(some(4)).samples(some(3))));
backend_conformance!(cached_schemas, around_schemas(|b| b.cached(some(4))));
backend_conformance!(all_together, around(all));
backend_conformance!(all_together_schemas, around_schemas(all));

#[test]
fn they_answer_questions_as_their_first_backend() {
    let plain = || Counted(script(), Arc::default());
    let (expected, request) = (plain(), ChatRequest::default());
    let made: [Arc<dyn Backend>; 4] = [
        Arc::new(plain().limited(Limiter::new())),
        Arc::new(plain().or(script())),
        Arc::new(RoundRobin::new([plain(), plain()]).unwrap()),
        Arc::new(plain().cached(some(1))),
    ];
    for made in made {
        assert_eq!((made.provider(), made.model(), made.is_real()), ("counted", "c-1", true));
        assert_eq!((made.capabilities(), made.synonyms()), (expected.capabilities(), expected.synonyms()));
        assert_eq!(made.default_options().get(ModelOption::Temperature), Some(&json!(0.5)));
        assert_eq!(made.unsupported(&request), expected.unsupported(&request));
    }
    assert!(script().or(plain()).is_real(), "one that is real makes real calls");
    assert!(!script().or(script()).cached(some(1)).limited(Limiter::new()).is_real());
}

#[test]
fn they_are_shared_between_threads_and_shown() {
    fn shared<T: fmt::Debug + Send + Sync + Clone + 'static>() {}
    shared::<Limiter>();
    shared::<Limited<ScriptedBackend>>();
    shared::<Cached<ScriptedBackend>>();
    shared::<Fallback>();
    shared::<RoundRobin>();
    fn sent<T: fmt::Debug + Send + Sync + 'static>() {}
    sent::<Permit>();
    sent::<Tried>();
}

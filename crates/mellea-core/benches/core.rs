//! What the core itself costs: calls, contexts, prompts, schemas and streams without a model.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::StreamExt;
use mellea_core::{
    Backend, BackendExt, ChatContext, ChatRequest, Context, Event, EventStream, FinishReason, Instruct, Limiter, Message,
    ModelOutput, Result, Schema, Session, ToolCall, check, req,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

/// Answers at once and keeps nothing.
#[derive(Clone, Debug)]
struct Instant {
    events: Vec<Event>,
}

#[async_trait]
impl Backend for Instant {
    fn provider(&self) -> &str {
        "instant"
    }

    fn model(&self) -> &str {
        "instant"
    }

    async fn chat(&self, _: ChatRequest) -> Result<EventStream> {
        Ok(EventStream::ready(self.events.clone()))
    }
}

impl Instant {
    fn text(text: &str) -> Self {
        Self { events: vec![Event::Text(text.to_owned()), Event::Finish(FinishReason::Stop)] }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn checked(m: &Session) -> Instruct {
    m.instruct("Write an email to {{name}} inviting them to the launch.")
        .var("name", "Alice")
        .require(req("Use only lower-case letters.").validate(|text| text == text.to_lowercase()))
        .require(check("At most 50 words.").validate(|text| text.split_whitespace().count() <= 50))
        .require(req("Name the guest.").validate(|text| text.contains("alice")))
}

fn calls(c: &mut Criterion) {
    let runtime = runtime();
    let m = Session::new(Instant::text("dear alice, please come to the launch."));
    c.bench_function("instruct, three requirements", |b| {
        b.to_async(&runtime).iter(|| async { checked(&m).await.unwrap() });
    });
    // The same answer, as a text and as a value of its type.
    let m = Session::new(Instant::text(r#"{"name": "Person 1", "age": 30, "email": null}"#));
    c.bench_function("call, untyped", |b| b.to_async(&runtime).iter(|| async { m.instruct("Who is it?").await.unwrap() }));
    c.bench_function("call, typed", |b| {
        b.to_async(&runtime).iter(|| async { m.instruct("Who is it?").format::<Person>().await.unwrap() });
    });
    c.bench_function("chat", |b| b.to_async(&runtime).iter(|| async { m.chat("Hello").await.unwrap() }));
    c.bench_function("backend alone", |b| b.to_async(&runtime).iter(|| ask(m.backend())));
}

async fn ask(backend: &impl Backend) {
    let mut stream = backend.chat(ChatRequest::new(vec![Message::user("Hello")])).await.unwrap();
    while let Some(event) = stream.next().await {
        black_box(event.unwrap());
    }
}

/// What a backend around a backend adds to "alone".
fn decorators(c: &mut Criterion) {
    let runtime = runtime();
    let backend = || Instant::text("dear alice, please come to the launch.");
    let mut group = c.benchmark_group("backend");
    let alone = backend();
    group.bench_function("alone", |b| b.to_async(&runtime).iter(|| ask(&alone)));
    let limited = backend().limited(Limiter::new().concurrency(4).unwrap().per_second(1e9).unwrap().burst(u32::MAX).unwrap());
    group.bench_function("limited", |b| b.to_async(&runtime).iter(|| ask(&limited)));
    let fallback = backend().or(backend());
    group.bench_function("with a fallback", |b| b.to_async(&runtime).iter(|| ask(&fallback)));
    let cached = backend().cached(NonZeroUsize::MIN);
    group.bench_function("cached, hit", |b| b.to_async(&runtime).iter(|| ask(&cached)));
    let uncached = backend().cached(NonZeroUsize::MIN).max_bytes(0);
    group.bench_function("cached, miss", |b| b.to_async(&runtime).iter(|| ask(&uncached)));
    group.finish();
}

fn history(turns: usize, policy: ChatContext) -> Context {
    (0..turns).fold(Context::from(policy), |context, i| {
        context.add(Message::user(format!("question {i}"))).add(ModelOutput::new("an answer of some length"))
    })
}

fn contexts(c: &mut Criterion) {
    let mut group = c.benchmark_group("context");
    for turns in [10, 1_000, 100_000] {
        let (all, last) = (history(turns, ChatContext::new()), history(turns, ChatContext::new().last_turns(8)));
        let (message, output) = (Message::user("one more question"), std::sync::Arc::new(ModelOutput::new("an answer")));
        group.bench_function(BenchmarkId::new("append", turns), |b| {
            b.iter(|| all.add_turn([message.clone()], std::sync::Arc::clone(&output)));
        });
        group.bench_function(BenchmarkId::new("fork", turns), |b| b.iter(|| all.clone()));
        group.bench_function(BenchmarkId::new("view, last 8", turns), |b| b.iter(|| last.view()));
        group.bench_function(BenchmarkId::new("view, all", turns), |b| b.iter(|| all.view()));
    }
    // A whole call; each on a branch of its own, so that the history stays as long as it is.
    let runtime = runtime();
    let chat = |context: Context| {
        let m = Session::builder(Instant::text("an answer")).context(context).build();
        runtime.block_on(async { m.chat("Hello").await.unwrap() });
        m
    };
    for turns in [10, 1_000, 10_000, 100_000] {
        let m = chat(history(turns, ChatContext::new()));
        group.bench_function(BenchmarkId::new("chat", turns), |b| {
            b.to_async(&runtime).iter_batched(
                || m.fork(),
                |m| async move { m.chat("Hello").await.unwrap() },
                BatchSize::SmallInput,
            );
        });
    }
    let calls = (0..10_000).fold(Context::from(ChatContext::new()), |context, i| {
        let (mut output, call) = (ModelOutput::new(""), ToolCall::new("look", serde_json::json!({ "i": i })));
        let result = Message::tool(&call, "found");
        output.tool_calls.push(call);
        context.add(Message::user("look")).add(output).add(result)
    });
    let m = chat(calls);
    group.bench_function("chat, 10,000 turns with a tool", |b| {
        b.to_async(&runtime).iter_batched(|| m.fork(), |m| async move { m.chat("Hello").await.unwrap() }, BatchSize::SmallInput);
    });
    let m = chat(Context::from(ChatContext::new()).add(Message::user("x".repeat(10 << 20))).add(ModelOutput::new("read")));
    group.bench_function("chat, a document of 10 MB", |b| {
        b.to_async(&runtime).iter_batched(|| m.fork(), |m| async move { m.chat("Hello").await.unwrap() }, BatchSize::SmallInput);
    });
    group.finish();
}

fn prompts(c: &mut Criterion) {
    let runtime = runtime();
    let m = Session::new(Instant::text("x"));
    let instruct = || {
        let call =
            m.instruct("Write an email to {{name}} inviting them to {{event}}.").var("name", "Alice").var("event", "the launch");
        (0..5).fold(call, |call, i| call.require(format!("Requirement number {i} is met by {{{{name}}}}.")))
    };
    c.bench_function("render, five requirements", |b| {
        b.to_async(&runtime).iter(|| async { instruct().preview().await.unwrap() });
    });
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Company {
    name: String,
    founded: u16,
    offices: Vec<Office>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Office {
    city: String,
    address: Option<String>,
    staff: Vec<Person>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Person {
    name: String,
    age: u8,
    email: Option<String>,
}

fn schemas(c: &mut Criterion) {
    let person =
        |i: usize| Person { name: format!("Person {i}"), age: 30, email: i.is_multiple_of(2).then(|| "a@example.com".into()) };
    let office = |i: usize| Office { city: format!("City {i}"), address: None, staff: (0..4).map(person).collect() };
    let company = Company { name: "Mellea".into(), founded: 2025, offices: (0..3).map(office).collect() };
    let text = serde_json::to_string(&company).unwrap();
    let schema = Schema::of::<Company>().unwrap();
    let mut group = c.benchmark_group("schema");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("of a type", |b| b.iter(|| Schema::of::<Company>().unwrap()));
    let source = schema.plain().clone();
    group.bench_function("of a value", |b| b.iter(|| Schema::from_value(source.clone()).unwrap()));
    group.bench_function("hint", |b| b.iter(|| black_box(schema.hint().len())));
    group.bench_function("parse", |b| b.iter(|| schema.parse(&text).unwrap()));
    group.bench_function("read", |b| b.iter(|| schema.read::<Company>(&text).unwrap()));
    group.bench_function("serde_json alone", |b| b.iter(|| serde_json::from_str::<Company>(&text).unwrap()));
    group.finish();
}

fn streams(c: &mut Criterion) {
    const DELTAS: usize = 10_000;
    let runtime = runtime();
    let words = (0..DELTAS).map(|_| Event::Text("word ".to_owned()));
    let backend = Instant { events: words.chain([Event::Finish(FinishReason::Stop)]).collect() };
    let m = Session::new(backend.clone());
    let mut group = c.benchmark_group("stream");
    group.throughput(Throughput::Elements(DELTAS as u64));
    group.bench_function("thunk, 10,000 deltas", |b| {
        b.to_async(&runtime).iter(|| async {
            let thunk = m.chat("Go.").start().await.unwrap();
            assert_eq!(thunk.stream().count().await, DELTAS);
        });
    });
    group.bench_function("backend alone, 10,000 deltas", |b| {
        b.to_async(&runtime).iter_batched(
            || backend.events.clone(),
            |events| async { assert_eq!(EventStream::ready(events).count().await, DELTAS + 1) },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn quick() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(30)
}

criterion_group! {
    name = benches;
    config = quick();
    targets = calls, decorators, contexts, prompts, schemas, streams
}
criterion_main!(benches);

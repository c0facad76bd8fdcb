//! What is kept, what is shared, and what never is.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use serde_json::json;

use super::*;
use crate::backend::{BackendExt, Format};
use crate::content::Image;
use crate::error::ErrorKind;
use crate::message::Message;
use crate::options::{RequestOptions, Thinking, ToolChoice};
use crate::output::{FinishReason, TokenLogprob};
use crate::schema::Schema;
use crate::session::Session;
use crate::testing::{Reply, ScriptedBackend};
use crate::tool::{ToolCall, ToolSpec};

fn some(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn asks(prompt: &str) -> ChatRequest {
    ChatRequest::new(vec![Message::user(prompt)])
}

async fn events(backend: &impl Backend, request: ChatRequest) -> Result<Vec<Event>> {
    backend.chat(request).await?.collect::<Vec<_>>().await.into_iter().collect()
}

async fn ask(backend: &impl Backend, prompt: &str) -> Result<String> {
    let events = events(backend, asks(prompt)).await?;
    Ok(events.iter().filter_map(|event| if let Event::Text(text) = event { Some(text.as_str()) } else { None }).collect())
}

/// Answers with the number of the call.
fn counting() -> ScriptedBackend {
    let mut calls = 0;
    ScriptedBackend::empty().answer_with(move |_| {
        calls += 1;
        Some(Reply::text(format!("answer {calls}")).usage(Usage::new(10, 2)).chunks(3))
    })
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_in_one_piece() {
    let call = ToolCall::new("add", json!({"a": 1}));
    let reply = Reply::text("some words")
        .thinking("hm")
        .chunks(2)
        .event_before_finish(Event::ToolCall(call.clone()))
        .event_before_finish(Event::ResponseId("r-1".into()))
        .event_before_finish(Event::Logprobs(vec![TokenLogprob::new("some", -0.5)]))
        .event_before_finish(Event::Replay(json!({"a": 1})))
        .usage(Usage::new(7, 3))
        .finish(FinishReason::ToolCalls);
    let backend = ScriptedBackend::new([reply]).cached(some(8));
    let first = events(&backend, asks("Hello")).await.unwrap();
    let mut streamed = asks("Hello");
    streamed.options.stream = true;
    streamed.options.stream_timeout = None;
    let again = events(&backend, streamed).await.unwrap();
    assert!(first.len() > again.len());
    let mut usage = Usage::new(7, 3);
    usage.cached_tokens = Some(7);
    assert_eq!(
        again,
        [
            Event::Thinking("hm".into()),
            Event::Text("some words".into()),
            Event::Usage(Usage { completion_tokens: Some(3), ..Usage::default() }),
            Event::ToolCall(call),
            Event::ResponseId("r-1".into()),
            Event::Logprobs(vec![TokenLogprob::new("some", -0.5)]),
            Event::Replay(json!({"a": 1})),
            Event::Usage(usage),
            Event::Finish(FinishReason::ToolCalls),
        ]
    );
    let stats = backend.stats();
    assert_eq!((stats.misses, stats.hits, stats.shared, stats.entries), (1, 1, 0, 1));
    assert!(stats.bytes > 100 && format!("{backend:?}").contains("misses: 1"));
}

#[tokio::test]
async fn a_session_sees_what_was_kept() {
    let m = Session::new(counting().cached(some(8)));
    let first = m.instruct("Hello").await.unwrap();
    let again = m.instruct("Hello").await.unwrap();
    assert_eq!((first.as_str(), again.as_str()), ("answer 1", "answer 1"));
    assert_eq!((first.output().usage.cached_tokens, again.output().usage.cached_tokens), (None, Some(10)));
}

/// A change of one thing in a request.
type Change = (&'static str, fn(&mut ChatRequest));

#[tokio::test]
async fn everything_in_a_request_counts_but_how_it_is_streamed() {
    let base = || {
        let mut request = asks("Hello");
        request.options.extra.insert("top_p".into(), json!(0.5));
        request.options.extra.insert("top_k".into(), json!(5));
        request
    };
    let backend = counting().cached(some(1000));
    let first = events(&backend, base()).await.unwrap();
    let changes: [Change; 22] = [
        ("text", |r| r.messages = Message::user("Hello!").into()),
        ("role", |r| r.messages = Message::system("Hello").into()),
        ("messages", |r| r.messages.insert(0, Message::system("Be kind."))),
        ("image", |r| {
            let image = Image::from_url("https://example.org/a.png").unwrap();
            r.messages = Message::user("Hello").content(image).into();
        }),
        ("document", |r| r.messages = Message::user("Hello").document("text").into()),
        ("thinking of a message", |r| r.messages[0].thinking = Some("hm".into())),
        ("tool calls", |r| r.messages[0].tool_calls = vec![ToolCall::with_id("1", "add", json!({}))]),
        ("replay of a message", |r| r.messages[0].replay = Some(Arc::new(json!({"signature": "x"})))),
        ("tools", |r| r.tools = vec![ToolSpec::without_parameters("now", "Tells the time.")]),
        ("format", |r| r.format = Some(Format::Regex("a+".into()))),
        ("schema", |r| r.format = Some(Format::JsonSchema(Schema::from_value(json!({"type": "string"})).unwrap()))),
        ("temperature", |r| r.options.temperature = Some(0.5)),
        ("max_new_tokens", |r| r.options.max_new_tokens = Some(5)),
        ("seed", |r| r.options.seed = Some(1)),
        ("thinking", |r| r.options.thinking = Some(Thinking::On)),
        ("tool_choice", |r| r.options.tool_choice = Some(ToolChoice::Required)),
        ("context_window", |r| r.options.context_window = Some(4096)),
        ("stop_sequences", |r| r.options.stop_sequences = vec!["x".into()]),
        ("logits", |r| r.options.logits = true),
        ("raw_logits", |r| r.options.raw_logits = true),
        ("extra", |r| r.options.extra["top_p"] = json!(0.6)),
        ("extra, less", |r| r.options.extra = std::iter::once(("top_p".to_owned(), json!(0.5))).collect()),
    ];
    for (i, (what, change)) in changes.into_iter().enumerate() {
        let mut request = base();
        change(&mut request);
        assert_ne!(events(&backend, request).await.unwrap(), first, "{what}");
        assert_eq!((backend.stats().misses, backend.stats().hits), (i as u64 + 2, 0), "{what}");
    }
    let same: [Change; 3] = [
        ("stream", |r| r.options.stream = true),
        ("stream_timeout", |r| r.options.stream_timeout = None),
        ("order of extra", |r| {
            r.options.extra.sort_keys();
        }),
    ];
    for (what, change) in same {
        let mut request = base();
        change(&mut request);
        events(&backend, request).await.unwrap();
        assert_eq!(backend.stats().misses, 23, "{what}");
    }
    // A new option must be thought of: it is in the key as soon as it is in the JSON.
    let options = RequestOptions { stream: true, logits: true, raw_logits: true, ..RequestOptions::default() };
    assert_eq!(serde_json::to_value(options).unwrap().as_object().unwrap().len(), 4);
}

#[tokio::test]
async fn only_whole_answers_are_kept() {
    let busy = || ErrorKind::Busy("full".into());
    for (what, reply) in [
        ("refused", Reply::refuse(busy())),
        ("cut", Reply::cut("half", busy())),
        ("unfinished", Reply::events([Event::Text("half".into())])),
        ("empty", Reply::text(" \n")),
        ("only thinking", Reply::events([Event::Thinking("hm".into()), Event::Finish(FinishReason::Stop)])),
        ("filtered", Reply::text("half").finish(FinishReason::ContentFilter)),
        ("other", Reply::text("half").finish(FinishReason::Other("error".into()))),
    ] {
        let backend = ScriptedBackend::new([reply, Reply::text("whole")]).cached(some(8));
        let _ = events(&backend, asks("Hello")).await;
        assert_eq!(backend.stats().entries, 0, "{what}");
        assert_eq!(ask(&backend, "Hello").await.unwrap(), "whole", "{what}");
        assert_eq!(ask(&backend, "Hello").await.unwrap(), "whole", "{what}");
    }
    for finish in [FinishReason::Length, FinishReason::Stop] {
        let backend = ScriptedBackend::new([Reply::text("x").finish(finish)]).cached(some(8));
        ask(&backend, "Hello").await.unwrap();
        assert_eq!(ask(&backend, "Hello").await.unwrap(), "x");
    }
}

#[tokio::test]
async fn the_least_recently_used_goes_first() {
    let backend = counting().cached(some(2));
    for prompt in ["a", "b", "a", "c"] {
        ask(&backend, prompt).await.unwrap();
    }
    assert_eq!(backend.stats().entries, 2);
    let misses = |backend: &Cached<ScriptedBackend>| backend.stats().misses;
    ask(&backend, "a").await.unwrap();
    assert_eq!(misses(&backend), 3, "`a` was used after `b`");
    ask(&backend, "b").await.unwrap();
    assert_eq!(misses(&backend), 4, "`b` was put out by `c`");
    backend.clear();
    assert_eq!((backend.stats().entries, backend.stats().bytes), (0, 0));
    ask(&backend, "b").await.unwrap();
    assert_eq!(misses(&backend), 5);
}

#[tokio::test]
async fn empty_rows_of_scores_count_as_well() {
    let rows = Event::Logits(vec![Vec::new(); 10_000]);
    let reply = Reply::text("x").event_before_finish(rows);
    let backend = ScriptedBackend::empty().answer_with(move |_| Some(reply.clone())).cached(some(8)).max_bytes(100_000);
    events(&backend, asks("a")).await.unwrap();
    assert_eq!(backend.stats().entries, 0, "240 kB of rows are too large");
}

#[tokio::test]
async fn bytes_are_bounded_too() {
    let long = "x".repeat(10_000);
    let backend = ScriptedBackend::empty().answer_with(move |_| Some(Reply::text(long.clone())));
    let backend = backend.cached(some(1000)).max_bytes(50_000);
    for i in 0..20 {
        ask(&backend, &i.to_string()).await.unwrap();
        assert!(backend.stats().bytes <= 50_000);
    }
    assert_eq!(backend.stats().entries, 4);
    // The prompt counts as well, and what alone is too large puts nothing out.
    ask(&backend, &"y".repeat(50_000)).await.unwrap();
    assert_eq!(backend.stats().entries, 4);
    let nothing = counting().cached(some(8)).max_bytes(0);
    ask(&nothing, "a").await.unwrap();
    assert_eq!((ask(&nothing, "a").await.unwrap().as_str(), nothing.stats().entries), ("answer 2", 0));
}

#[tokio::test]
async fn several_samples_are_made_and_then_handed_out_in_turn() {
    let backend = counting().cached(some(8)).samples(some(3));
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(ask(&backend, "Hello").await.unwrap());
    }
    let expected = [1, 2, 3, 1, 2, 3, 1, 2].map(|n| format!("answer {n}"));
    assert_eq!(answers, expected);
    // At the same time, too: three run, and the others read along.
    let backend = counting().cached(some(8)).samples(some(3));
    let mut together: Vec<_> = join_all((0..6).map(|_| ask(&backend, "Hello"))).await.into_iter().map(Result::unwrap).collect();
    together.sort_unstable();
    assert_eq!(together, [1, 1, 2, 2, 3, 3].map(|n| format!("answer {n}")));
    assert_eq!(backend.stats().misses, 3);
}

/// Answers slowly, and knows how many calls run.
#[derive(Clone, Debug, Default)]
struct Slow {
    running: Arc<AtomicUsize>,
    begun: Arc<AtomicUsize>,
    refuses: Arc<Mutex<Option<ErrorKind>>>,
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Backend for Slow {
    fn provider(&self) -> &'static str {
        "slow"
    }

    fn model(&self) -> &'static str {
        "slow"
    }

    async fn chat(&self, _: ChatRequest) -> Result<EventStream> {
        self.running.fetch_add(1, Ordering::SeqCst);
        let number = self.begun.fetch_add(1, Ordering::SeqCst);
        let running = Running(Arc::clone(&self.running));
        tokio::time::sleep(Duration::from_secs(1)).await;
        if let Some(kind) = self.refuses.lock().unwrap().clone() {
            return Err(kind.into());
        }
        let events = (0..5).map(move |i| Event::Text(format!("{number}:{i} ")));
        let events = events.chain([Event::Usage(Usage::new(4, 5)), Event::Finish(FinishReason::Stop)]);
        Ok(EventStream::new(futures_util::stream::iter(events).then(move |event| {
            let _held = &running;
            async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(event)
            }
        })))
    }
}

impl Slow {
    fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }
}

const WHOLE: &str = "0:0 0:1 0:2 0:3 0:4 ";

#[tokio::test(start_paused = true)]
async fn equal_calls_at_the_same_time_are_made_once_and_read_along() {
    let slow = Slow::default();
    let backend = slow.clone().cached(some(8));
    let calls = (0..20).map(|i| {
        let backend = &backend;
        async move {
            // They come one after the other, some when half of the answer is there.
            tokio::time::sleep(Duration::from_millis(200 * i)).await;
            ask(backend, "Hello").await.unwrap()
        }
    });
    assert!(join_all(calls).await.iter().all(|text| text == WHOLE));
    let stats = backend.stats();
    assert_eq!((slow.begun(), slow.running(), stats.misses, stats.shared), (1, 0, 1, 19));
    assert!(backend.store.state().flights.is_empty());
    // Those who read along did not pay.
    let events = join_all((0..2).map(|_| events(&backend, asks("Other")))).await;
    let cached = |events: &Result<Vec<Event>>| {
        events.as_ref().unwrap().iter().find_map(|e| if let Event::Usage(u) = e { Some(u.cached_tokens) } else { None })
    };
    assert_eq!((cached(&events[0]), cached(&events[1])), (Some(None), Some(Some(4))));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_leaves_the_others_theirs() {
    let slow = Slow::default();
    let backend = slow.clone().cached(some(8));
    // The one who began the call goes away before it is accepted, another one in the middle.
    let first = tokio::time::timeout(Duration::from_millis(500), ask(&backend, "Hello"));
    let second = tokio::time::timeout(Duration::from_millis(3500), ask(&backend, "Hello"));
    let (first, second, third) = tokio::join!(first, second, ask(&backend, "Hello"));
    assert!(first.is_err() && second.is_err());
    assert_eq!(third.unwrap(), WHOLE);
    assert_eq!((slow.begun(), slow.running(), backend.stats().entries), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_with_its_last_reader_and_poisons_nothing() {
    let slow = Slow::default();
    let backend = slow.clone().cached(some(8));
    let mut one = backend.chat(asks("Hello")).await.unwrap();
    let mut two = backend.chat(asks("Hello")).await.unwrap();
    assert!(one.next().await.is_some() && two.next().await.is_some());
    assert_eq!((slow.begun(), slow.running()), (1, 1));
    drop(one);
    assert_eq!(slow.running(), 1);
    drop(two);
    assert_eq!(slow.running(), 0, "dropping the last reader drops the call");
    assert!(backend.store.state().flights.is_empty());
    assert!(backend.chat(asks("Hello")).now_or_never().is_none());
    assert_eq!(slow.running(), 0, "so does dropping the last one that waits for the call to be accepted");
    assert_eq!(ask(&backend, "Hello").await.unwrap(), WHOLE.replace("0:", "2:"), "the next call begins anew");
}

#[tokio::test(start_paused = true)]
async fn who_reads_nothing_holds_nobody_up() {
    let backend = Slow::default().cached(some(8));
    let idle = backend.chat(asks("Hello")).await.unwrap();
    assert_eq!(ask(&backend, "Hello").await.unwrap(), WHOLE);
    assert_eq!(idle.count().await, 7, "and gets everything later");
}

#[tokio::test(start_paused = true)]
async fn equal_calls_share_an_error_and_later_ones_try_again() {
    let slow = Slow::default();
    *slow.refuses.lock().unwrap() = Some(ErrorKind::Busy("full".into()));
    let backend = slow.clone().cached(some(8));
    let errors = join_all((0..3).map(|_| ask(&backend, "Hello"))).await;
    assert!(errors.iter().all(|error| matches!(error.as_ref().unwrap_err().kind(), ErrorKind::Busy(_))));
    assert_eq!(slow.begun(), 1);
    *slow.refuses.lock().unwrap() = None;
    assert!(ask(&backend, "Hello").await.is_ok());
    assert_eq!(slow.begun(), 2);
}

/// Panics when it is asked.
#[derive(Debug)]
struct Panics;

#[async_trait]
impl Backend for Panics {
    fn provider(&self) -> &'static str {
        "p"
    }

    fn model(&self) -> &'static str {
        "p"
    }

    async fn chat(&self, _: ChatRequest) -> Result<EventStream> {
        tokio::task::yield_now().await;
        panic!("on purpose")
    }
}

#[tokio::test]
async fn a_panic_is_one_callers_and_the_others_are_told() {
    let backend = Panics.cached(some(8));
    let calls = (0..3).map(|_| {
        let backend = backend.clone();
        tokio::spawn(async move { ask(&backend, "Hello").await })
    });
    let ended = join_all(calls).await;
    assert_eq!(ended.iter().filter(|call| call.is_err()).count(), 1, "{ended:?}");
    assert!(ended.into_iter().flatten().all(|result| matches!(result.unwrap_err().kind(), ErrorKind::StreamInterrupted)));
    assert!(backend.store.state().flights.is_empty());
}

#[tokio::test]
async fn an_answer_too_large_to_keep_passes_through() {
    let piece = "x".repeat(100_000);
    let reply = Reply::events((0..30).map(|_| Event::Text(piece.clone())).chain([Event::Finish(FinishReason::Stop)]));
    let backend = ScriptedBackend::empty().answer_with(move |_| Some(reply.clone())).cached(some(8)).max_bytes(10_000);
    let mut idle = backend.chat(asks("Hello")).await.unwrap();
    assert_eq!(ask(&backend, "Hello").await.unwrap().len(), 3_000_000);
    assert_eq!(backend.stats().entries, 0);
    // Who is too far behind is told, and did not make the program keep it all.
    let error = idle.next().await.unwrap().unwrap_err();
    assert!(error.hint().unwrap().contains("max_bytes"), "{error}");
    assert!(idle.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_threads_read_along() {
    let whole = "word ".repeat(200);
    for round in 0..50 {
        let reply = Reply::text(whole.clone()).chunks(5).latency(Duration::from_micros(50));
        let backend = ScriptedBackend::empty().answer_with(move |_| Some(reply.clone())).cached(some(8));
        let calls = (0..8).map(|i| {
            let backend = backend.clone();
            tokio::spawn(async move {
                // Some leave early.
                let events = if i % 3 == 0 { round } else { usize::MAX };
                let events = backend.chat(asks("Hello")).await.unwrap().take(events).collect::<Vec<_>>().await;
                let texts = events.into_iter().filter_map(|e| if let Event::Text(text) = e.unwrap() { Some(text) } else { None });
                (i, texts.collect::<String>())
            })
        });
        for ended in join_all(calls).await {
            let (i, text) = ended.unwrap();
            assert!(whole.starts_with(&text) && (i % 3 == 0 || text == whole), "{i}: {text:?}");
        }
        assert!(backend.store.state().flights.is_empty());
    }
}

#[tokio::test]
async fn completions_are_kept_and_shared_within_a_batch() {
    let script = ScriptedBackend::new(["one", "two", "three"]);
    let backend = script.clone().cached(some(8));
    let prompts = |prompts: &[&str]| prompts.iter().map(|prompt| RawRequest::new(*prompt)).collect();
    let texts = |results: Vec<Result<ModelOutput>>| results.into_iter().map(|r| r.unwrap().text).collect::<Vec<_>>();
    assert_eq!(texts(backend.complete(prompts(&["a", "b", "a"])).await), ["one", "two", "one"]);
    assert_eq!(texts(backend.complete(prompts(&["b", "c", "a"])).await), ["two", "three", "one"]);
    assert_eq!(script.raw_requests().len(), 3);
    let stats = backend.stats();
    assert_eq!((stats.misses, stats.shared, stats.hits), (3, 1, 2));
    // A chat with the same text is another request, and errors are not kept.
    assert!(ask(&backend, "a").await.is_err());
    assert!(backend.complete(prompts(&["d"])).await[0].is_err());
    assert_eq!(backend.stats().entries, 3);

    let several = ScriptedBackend::new(["one", "two"]).cached(some(8)).samples(some(2));
    assert_eq!(texts(several.complete(prompts(&["a", "a", "a", "a"])).await), ["one", "two", "one", "two"]);
    assert_eq!(texts(several.complete(prompts(&["a", "a", "a"])).await), ["one", "two", "one"]);
    assert!(several.complete(Vec::new()).await.is_empty());
}

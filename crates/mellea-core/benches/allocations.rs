//! How often a call allocates, and how much: exact counts, so one run is enough.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use mellea_core::testing::{Reply, ScriptedBackend};
use mellea_core::{
    Backend, ChatContext, ChatRequest, Context, Event, EventStream, FinishReason, Instruct, Message, ModelOutput, Session, check,
    req,
};

/// Answers at once and keeps nothing.
#[derive(Clone, Debug)]
struct Instant;

#[async_trait::async_trait]
impl Backend for Instant {
    fn provider(&self) -> &str {
        "instant"
    }

    fn model(&self) -> &str {
        "instant"
    }

    async fn chat(&self, _: ChatRequest) -> mellea_core::Result<EventStream> {
        Ok(EventStream::ready([Event::Text("an answer".to_owned()), Event::Finish(FinishReason::Stop)]))
    }
}

/// Never answers.
#[derive(Clone, Debug)]
struct Silent;

#[async_trait::async_trait]
impl Backend for Silent {
    fn provider(&self) -> &str {
        "silent"
    }

    fn model(&self) -> &str {
        "silent"
    }

    async fn chat(&self, _: ChatRequest) -> mellea_core::Result<EventStream> {
        std::future::pending().await
    }
}

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[expect(dead_code, reason = "nobody answers")]
struct Guest {
    name: String,
    age: u8,
}

/// The system's allocator, counting.
struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);
static FREED: AtomicUsize = AtomicUsize::new(0);
/// Those that are too large for what a thread keeps to itself: glibc keeps up to 1032 bytes.
static LARGE: AtomicUsize = AtomicUsize::new(0);

#[expect(unsafe_code, reason = "an allocator can only be written so; it hands everything on as it comes")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        LARGE.fetch_add(usize::from(layout.size() > 1032), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        FREED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the pointer came from `alloc` above, which is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn checked(m: &Session) -> Instruct {
    m.instruct("Write an email to {{name}} inviting them to the launch.")
        .var("name", "Alice")
        .require(req("Use only lower-case letters.").validate(|text| text == text.to_lowercase()))
        .require(check("At most 50 words.").validate(|text| text.split_whitespace().count() <= 50))
        .require(req("Name the guest.").validate(|text| text.contains("alice")))
}

fn count<T>(runtime: &tokio::runtime::Runtime, what: &str, call: impl AsyncFn() -> T) {
    const CALLS: usize = 1_000;
    // The first calls fill caches.
    (0..10).for_each(|_| drop(runtime.block_on(call())));
    let now = || [&COUNT, &BYTES, &LARGE].map(|counter| counter.load(Ordering::Relaxed));
    let before = now();
    (0..CALLS).for_each(|_| drop(runtime.block_on(call())));
    let of_one = |(after, before): (usize, usize)| (after - before) / CALLS;
    let mut each = now().into_iter().zip(before).map(of_one);
    let (count, bytes, large) = (each.next().unwrap(), each.next().unwrap(), each.next().unwrap());
    println!("{what}: {count} allocations ({large} large), {bytes} bytes");
}

/// What a call holds while its answer is awaited: many are begun, and none is answered.
fn in_flight<F: Future>(runtime: &tokio::runtime::Runtime, what: &str, call: impl Fn() -> F) {
    const CALLS: usize = 10_000;
    let held = || BYTES.load(Ordering::Relaxed) - FREED.load(Ordering::Relaxed);
    runtime.block_on(async {
        let mut calls: Vec<Pin<Box<F>>> = Vec::with_capacity(CALLS);
        let before = held();
        for _ in 0..CALLS {
            let mut call = Box::pin(call());
            let waits = poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending())).await;
            assert!(waits);
            calls.push(call);
        }
        println!("{what}: {} bytes for each of {CALLS} calls in flight", (held() - before) / CALLS);
    });
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let backend = ScriptedBackend::empty().answer_with(|_| Some(Reply::text("dear alice, please come to the launch.")));
    let m = Session::new(backend);
    count(&runtime, "instruct, three requirements", async || checked(&m).await.unwrap());
    count(&runtime, "instruct, three requirements: building the call", async || checked(&m));
    count(&runtime, "instruct, three requirements: preview", async || checked(&m).preview().await.unwrap());
    count(&runtime, "chat", async || m.chat("Hello").await.unwrap());
    let m = Session::new(Silent);
    in_flight(&runtime, "chat", || m.chat("Hello").into_future());
    in_flight(&runtime, "typed chat", || m.chat("Who comes?").format::<Guest>().into_future());
    in_flight(&runtime, "instruct, three requirements", || checked(&m).into_future());
    let turn = |context: Context, i: usize| {
        context.add(Message::user(format!("question {i}"))).add(ModelOutput::new("an answer of some length"))
    };
    for turns in [10, 10_000] {
        let history = (0..turns).fold(Context::from(ChatContext::new()), turn);
        let m = Session::builder(Instant).context(history).build();
        count(&runtime, &format!("chat, from {turns} turns on"), async || m.chat("Hello").await.unwrap());
    }
    let document = Context::from(ChatContext::new()).add(Message::user("x".repeat(10 << 20))).add(ModelOutput::new("read"));
    let m = Session::builder(Instant).context(document).build();
    count(&runtime, "chat, after a document of 10 MB", async || m.chat("Hello").await.unwrap());
}

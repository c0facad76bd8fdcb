//! Thunks: the same stream and the same end for every handle, and nothing runs on for nobody.

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::Stream;
use futures_util::StreamExt;
use mellea_core::testing::{Reply, ScriptedBackend};
use mellea_core::{
    Backend, ChatRequest, Delta, ErrorKind, Event, EventStream, FinishReason, ModelOption, Result, Session, Thunk, TimeoutPhase,
};
use proptest::prelude::*;
use tokio::sync::Notify;

async fn started(reply: impl Into<Reply>) -> Thunk {
    Session::new(ScriptedBackend::new([reply.into()])).instruct("Go.").start().await.unwrap()
}

async fn collect(thunk: &Thunk) -> (String, String) {
    let (mut text, mut thinking) = (String::new(), String::new());
    let mut stream = thunk.stream();
    while let Some(delta) = stream.next().await {
        match delta.unwrap() {
            Delta::Text(piece) => text += &piece,
            Delta::Thinking(piece) => thinking += &piece,
            _ => {}
        }
    }
    (text, thinking)
}

proptest! {
    #[test]
    fn deltas_concatenate_to_the_value(pieces in prop::collection::vec((any::<bool>(), "\\PC{0,6}"), 1..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let events = pieces.iter().map(|(text, piece)| {
                if *text { Event::Text(piece.clone()) } else { Event::Thinking(piece.clone()) }
            });
            let events: Vec<Event> = events.chain([Event::Text("end".into()), Event::Finish(FinishReason::Stop)]).collect();
            let thunk = started(Reply::events(events)).await;
            let early = collect(&thunk).await;
            let output = (&thunk).await.unwrap();
            assert_eq!(early.0, output.text());
            assert_eq!(early.1, output.output().thinking.clone().unwrap_or_default());
            assert_eq!(collect(&thunk).await, early, "a second stream starts from the beginning");
        });
    }
}

#[tokio::test]
async fn a_finished_thunk_streams_its_text_once() {
    let thunk = Thunk::from("all of it");
    let deltas: Vec<_> = thunk.stream().map(|delta| delta.unwrap()).collect().await;
    assert_eq!(deltas, [Delta::Text("all of it".into())]);
}

#[tokio::test]
async fn every_handle_gets_the_same_error_however_often() {
    let thunk = started(Reply::cut("half", ErrorKind::connection("", "gone"))).await;
    let clone = thunk.clone();
    let first = (&thunk).await.unwrap_err();
    for again in [(&thunk).await, thunk.peek().unwrap(), clone.await] {
        assert_eq!(again.unwrap_err().to_string(), first.to_string());
    }
    let items: Vec<_> = thunk.stream().collect().await;
    assert_eq!(items[0].as_ref().unwrap(), &Delta::Text("half".into()));
    assert_eq!(items[1].as_ref().unwrap_err().to_string(), first.to_string());
    assert_eq!(items.len(), 2);
}

/// Sends one piece, and then nothing until it is dropped.
#[derive(Clone, Debug, Default)]
struct Endless {
    asked: Arc<AtomicUsize>,
    dropped: Arc<AtomicBool>,
    gone: Arc<Notify>,
}

struct EndlessStream {
    sent: bool,
    of: Endless,
}

impl Stream for EndlessStream {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        if self.sent {
            return Poll::Pending;
        }
        self.sent = true;
        Poll::Ready(Some(Ok(Event::Text("first".into()))))
    }
}

impl Drop for EndlessStream {
    fn drop(&mut self) {
        self.of.dropped.store(true, Ordering::SeqCst);
        self.of.gone.notify_one();
    }
}

#[async_trait]
impl Backend for Endless {
    fn provider(&self) -> &str {
        "endless"
    }

    fn model(&self) -> &str {
        "endless"
    }

    async fn chat(&self, _: ChatRequest) -> Result<EventStream> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(EventStream::new(EndlessStream { sent: false, of: self.clone() }))
    }
}

#[tokio::test]
async fn dropping_the_last_handle_stops_the_producer() {
    let backend = Endless::default();
    let m = Session::builder(backend.clone()).option(ModelOption::StreamTimeout, None::<f64>).build();
    let thunk = m.instruct("Go on for ever.").start().await.unwrap();
    let (clone, mut stream) = (thunk.clone(), thunk.stream());
    assert_eq!(stream.next().await.unwrap().unwrap(), Delta::Text("first".into()));
    drop(thunk);
    drop(stream);
    tokio::task::yield_now().await;
    assert!(!backend.dropped.load(Ordering::SeqCst), "one handle is left");
    drop(clone);
    backend.gone.notified().await;
    assert!(backend.dropped.load(Ordering::SeqCst));
    assert!(m.context().is_empty(), "a dropped call leaves the context alone");
}

#[tokio::test]
async fn dropping_a_call_stops_the_producer() {
    let backend = Endless::default();
    let m = Session::builder(backend.clone()).option(ModelOption::StreamTimeout, None::<f64>).build();
    {
        let mut call = std::pin::pin!(m.instruct("Go on for ever.").into_future());
        while backend.asked.load(Ordering::SeqCst) == 0 {
            let waits = std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await;
            assert!(waits);
            tokio::task::yield_now().await;
        }
    }
    backend.gone.notified().await;
    assert!(m.context().is_empty());
}

#[tokio::test]
async fn cancelling_ends_every_handle_and_keeps_what_came() {
    let backend = Endless::default();
    let m = Session::builder(backend.clone()).option(ModelOption::StreamTimeout, None::<f64>).build();
    let thunk = m.instruct("Go on for ever.").start().await.unwrap();
    thunk.stream().next().await.unwrap().unwrap();
    thunk.cancel();
    backend.gone.notified().await;
    let error = thunk.await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Cancelled));
    assert_eq!(error.partial().unwrap().text, "first");
}

async fn silence(reply: Reply, seconds: f64) -> mellea_core::Error {
    let m = Session::builder(ScriptedBackend::new([reply])).option(ModelOption::StreamTimeout, seconds).build();
    m.instruct("Go.").await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn silence_before_the_first_token_is_told_from_silence_after_it() {
    let late = silence(Reply::text("late").latency(Duration::from_secs(11)), 10.0).await;
    let slow = silence(Reply::text("one two").chunks(4).pace(Duration::from_secs(11)), 10.0).await;
    for (error, wanted, text) in [(late, TimeoutPhase::FirstToken, ""), (slow, TimeoutPhase::NextToken, "one ")] {
        let ErrorKind::Timeout { phase, limit } = error.kind() else { panic!("{error}") };
        assert_eq!((*phase, *limit), (wanted, Duration::from_secs(10)));
        assert!(error.is_retryable());
        assert_eq!(error.partial().map(|output| output.text.as_str()).unwrap_or_default(), text);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_stream_that_is_never_silent_too_long_is_no_timeout() {
    let reply = Reply::text("one two three four").chunks(2).pace(Duration::from_secs(9));
    let m = Session::builder(ScriptedBackend::new([reply])).option(ModelOption::StreamTimeout, 10.0).build();
    let begin = tokio::time::Instant::now();
    assert_eq!(*m.instruct("Go.").await.unwrap(), "one two three four");
    assert!(begin.elapsed() > Duration::from_secs(60));
}

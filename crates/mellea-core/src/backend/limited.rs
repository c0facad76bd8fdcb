//! A backend that keeps within a limit on calls.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::Stream;

use super::{Backend, Capabilities, ChatRequest, Event, EventStream, RawRequest};
use crate::error::{Error, Result};
use crate::limit::{Limiter, Permit};
use crate::options::{ModelOption, ModelOptions};
use crate::output::{ModelOutput, Warning};

/// The longest pause that a service can ask for.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// A backend whose calls keep within a [`Limiter`].
///
/// A chat waits for a permit and holds it until its stream has ended or is dropped.
/// [`complete`](Backend::complete) holds one permit for each prompt: a batch goes out as a whole as
/// soon as there are permits for all of it, and is split only if it has more prompts than may run at
/// once.
///
/// The time that a call waits for its permit does not count towards
/// [`ModelOption::StreamTimeout`].
///
/// When an answer says how long to wait (`Retry-After`), no call begins before that time has passed,
/// or a minute if it asks for more. The call that was refused still fails.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use mellea_core::{BackendExt, Limiter, Session, testing::ScriptedBackend};
///
/// let limiter = Limiter::new().concurrency(1)?;
/// let m = Session::new(ScriptedBackend::new(["one", "two"]).limited(limiter.clone()));
/// let (first, second) = tokio::join!(m.clone().chat("Count."), m.clone().instruct("Count."));
/// assert_eq!(limiter.in_use(), 0);
/// # first?; second?;
/// # Ok::<(), mellea_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Limited<B> {
    backend: B,
    limiter: Limiter,
}

impl<B: Backend> Limited<B> {
    /// Keeps the calls of this backend within the limit, together with all others that share it.
    pub fn new(backend: B, limiter: Limiter) -> Self {
        Self { backend, limiter }
    }
}

#[async_trait]
impl<B: Backend> Backend for Limited<B> {
    described_by!(self => self.backend);

    async fn chat(&self, request: ChatRequest) -> Result<EventStream> {
        let permit = self.limiter.acquire().await;
        let events = self.backend.chat(request).await.inspect_err(|error| heed(&self.limiter, error))?;
        Ok(EventStream::new(Held { events, permit: Some(permit), limiter: self.limiter.clone() }))
    }

    async fn complete(&self, requests: Vec<RawRequest>) -> Vec<Result<ModelOutput>> {
        let mut results = Vec::with_capacity(requests.len());
        let mut requests = requests.into_iter().peekable();
        while requests.peek().is_some() {
            let batch: Vec<_> = requests.by_ref().take(self.limiter.most_at_once()).collect();
            let _permit = self.limiter.acquire_many(batch.len()).await;
            let outputs = self.backend.complete(batch).await;
            outputs.iter().filter_map(|output| output.as_ref().err()).for_each(|error| heed(&self.limiter, error));
            results.extend(outputs);
        }
        results
    }
}

/// Waits as long as the service asks.
fn heed(limiter: &Limiter, error: &Error) {
    if let Some(time) = error.retry_after() {
        limiter.pause(time.min(MAX_PAUSE));
    }
}

/// A stream that holds a permit. The stream goes before the permit, so that the call is over when
/// the next one begins.
struct Held {
    events: EventStream,
    permit: Option<Permit>,
    limiter: Limiter,
}

impl Stream for Held {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.events).poll_next(cx));
        match &item {
            None => self.permit = None,
            Some(Err(error)) => heed(&self.limiter, error),
            Some(Ok(_)) => {}
        }
        Poll::Ready(item)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use futures_util::{FutureExt, StreamExt};
    use tokio::time::Instant;

    use super::*;
    use crate::backend::BackendExt;
    use crate::error::{ErrorKind, ProviderError};
    use crate::message::Message;
    use crate::output::FinishReason;
    use crate::session::Session;
    use crate::testing::{Reply, ScriptedBackend};

    fn request() -> ChatRequest {
        ChatRequest::new(vec![Message::user("Hello")])
    }

    fn slow_down() -> Error {
        let error = ProviderError { status: Some(429), retry_after: Some(Duration::from_secs(7)), ..ProviderError::new("slow") };
        ErrorKind::Provider(error).into()
    }

    #[tokio::test(start_paused = true)]
    async fn fifty_calls_with_a_limit_of_four_are_never_five() {
        let limiter = Limiter::new().concurrency(4).unwrap();
        let reply = Reply::text("a few words for you").chunks(4).latency(Duration::from_secs(1)).pace(Duration::from_secs(1));
        let backend = ScriptedBackend::empty().answer_with(move |_| Some(reply.clone()));
        let limited = backend.clone().limited(limiter.clone());
        let mut most = 0;
        let mut calls = std::pin::pin!(join_all((0..50).map(|_| async {
            let open = limited.chat(request()).await.unwrap();
            let seen = limiter.in_use();
            assert!(open.collect::<Vec<_>>().await.iter().all(Result::is_ok));
            seen
        })));
        let seen = std::future::poll_fn(|cx| {
            most = most.max(limiter.in_use());
            calls.as_mut().poll(cx)
        })
        .await;
        assert_eq!((most, seen.into_iter().max(), limiter.in_use()), (4, Some(4), 0));
        assert_eq!(backend.requests().len(), 50);
    }

    #[tokio::test]
    async fn a_permit_is_held_until_the_stream_ends_or_is_dropped() {
        let limiter = Limiter::new().concurrency(1).unwrap();
        let backend = ScriptedBackend::new([Reply::text("one"), Reply::stall("two"), Reply::text("three")]);
        let backend = backend.limited(limiter.clone());
        let mut first = backend.chat(request()).await.unwrap();
        assert!(first.next().await.is_some());
        assert!(backend.chat(request()).now_or_never().is_none(), "the permit is held while the stream is open");
        while first.next().await.is_some() {}
        assert_eq!(limiter.in_use(), 0, "it is back at the end of the stream, before the drop");
        let mut second = backend.chat(request()).await.unwrap();
        assert!(second.next().await.is_some());
        assert_eq!(limiter.in_use(), 1);
        drop(second);
        assert_eq!(limiter.in_use(), 0);
        assert!(backend.chat(request()).now_or_never().unwrap().is_ok());
        drop(first);
    }

    #[tokio::test]
    async fn a_refused_or_dropped_call_gives_its_permit_back() {
        let limiter = Limiter::new().concurrency(1).unwrap();
        let backend = ScriptedBackend::new([
            Reply::refuse(ErrorKind::Busy("full".into())),
            Reply::text("never").latency(Duration::MAX),
            Reply::text("x"),
        ]);
        let backend = backend.limited(limiter.clone());
        assert!(backend.chat(request()).await.is_err());
        assert!(backend.chat(request()).now_or_never().is_none());
        assert_eq!(limiter.in_use(), 0);
        assert!(backend.chat(request()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_asks_for_time_gets_it_from_all_calls() {
        let late = Reply::events([Event::Warning(Warning::Other { message: "x".into() })]);
        let backend =
            ScriptedBackend::new([Reply::refuse(slow_down()), Reply::cut("a", slow_down()), late.finish(FinishReason::Stop)]);
        let backend = backend.limited(Limiter::new());
        let start = Instant::now();
        assert!(backend.chat(request()).await.is_err());
        let events = backend.chat(request()).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 7, "after a refusal");
        assert_eq!(events.count().await, 2);
        backend.chat(request()).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 14, "after an error in a stream");
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_permit_is_not_the_services_silence() {
        let reply = Reply::text("x").latency(Duration::from_secs(200));
        let backend = ScriptedBackend::empty().answer_with(move |_| Some(reply.clone()));
        let m = Session::new(backend.limited(Limiter::new().concurrency(1).unwrap()));
        let start = Instant::now();
        // Five minutes may a service be silent; the last of ten calls waits for half an hour.
        let answers = join_all((0..10).map(|_| m.clone().instruct("Hello").into_future())).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(start.elapsed().as_secs(), 2000);
        let slow = ScriptedBackend::new([Reply::text("x").latency(Duration::from_secs(301))]).limited(Limiter::new());
        let error = Session::new(slow).chat("Hello").await.unwrap_err();
        assert!(error.is_timeout(), "{error}");
    }

    /// Counts the prompts of each batch.
    #[derive(Clone, Debug, Default)]
    struct Batches(std::sync::Arc<std::sync::Mutex<Vec<usize>>>);

    #[async_trait]
    impl Backend for Batches {
        fn provider(&self) -> &'static str {
            "batches"
        }

        fn model(&self) -> &'static str {
            "b"
        }

        async fn chat(&self, _: ChatRequest) -> Result<EventStream> {
            Ok(EventStream::ready([]))
        }

        async fn complete(&self, requests: Vec<RawRequest>) -> Vec<Result<ModelOutput>> {
            self.0.lock().unwrap().push(requests.len());
            tokio::time::sleep(Duration::from_secs(1)).await;
            requests.into_iter().map(|request| Ok(ModelOutput::new(request.prompt))).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_has_a_permit_for_each_prompt_and_is_split_only_if_it_must() {
        let prompts = |n: usize| (0..n).map(|i| RawRequest::new(i.to_string())).collect::<Vec<_>>();
        for (limiter, expected) in [
            (Limiter::new(), vec![10]),
            (Limiter::new().concurrency(10).unwrap(), vec![10]),
            (Limiter::new().concurrency(4).unwrap(), vec![4, 4, 2]),
        ] {
            let batches = Batches::default();
            let limited = batches.clone().limited(limiter.clone());
            // Two batches at once must not wait for each other's permits for ever.
            let (one, two) = tokio::join!(limited.complete(prompts(10)), limited.complete(prompts(10)));
            for results in [one, two] {
                let texts: Vec<_> = results.into_iter().map(|result| result.unwrap().text).collect();
                assert_eq!(texts, (0..10).map(|i| i.to_string()).collect::<Vec<_>>());
            }
            let mut sizes = batches.0.lock().unwrap().clone();
            sizes.sort_unstable_by(|a, b| b.cmp(a));
            let mut twice: Vec<usize> = expected.iter().chain(&expected).copied().collect();
            twice.sort_unstable_by(|a, b| b.cmp(a));
            assert_eq!((sizes, limiter.in_use()), (twice, 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_counts_its_prompts_towards_the_rate() {
        let limited = Batches::default().limited(Limiter::new().per_second(1.0).unwrap());
        let start = Instant::now();
        let prompts = (0..5).map(|i| RawRequest::new(i.to_string())).collect();
        assert_eq!(limited.complete(prompts).await.len(), 5);
        assert_eq!(start.elapsed().as_secs(), 5, "four to wait, one to answer");
    }
}

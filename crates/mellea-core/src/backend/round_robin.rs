//! A backend that shares its calls out among several.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::future::join_all;

use super::several::{Shared, answer_of, common, completion_of, place};
use super::{Backend, Capabilities, ChatRequest, Event, EventStream, RawRequest};
use crate::error::{ErrorKind, Result};
use crate::options::{ModelOption, ModelOptions, RequestOptions};
use crate::output::{ModelOutput, Warning};

/// Several backends that take turns: next call, next backend. It skips none; around it, or around
/// each of its backends, a [`Fallback`](super::Fallback) can be put.
///
/// [`complete`](Backend::complete) spreads its prompts over all backends and gives the results in
/// order. Clones take turns together.
///
/// Names, default options and synonyms are those of the first backend, so all should be alike: the
/// same model on several machines. It can do what all can do, and what one of them cannot honour is
/// [`unsupported`](Backend::unsupported). A provider's own options, headers among them, go to those
/// backends for which they were given, by the same rule as in a [`Fallback`](super::Fallback): what
/// another one does not get is unsupported, unless [`share_options`](Self::share_options) names it. Where an answer is another model's than the first's, an
/// [`Event::Model`] says so; errors say whose they are.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use mellea_core::{RoundRobin, Session, testing::ScriptedBackend};
///
/// let machines = ["from the first", "from the second"].map(|answer| ScriptedBackend::new([answer]));
/// let m = Session::new(RoundRobin::new(machines)?);
/// assert_eq!(*m.instruct("Where are you?").await?, "from the first");
/// assert_eq!(*m.instruct("Where are you?").await?, "from the second");
/// # Ok::<(), mellea_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct RoundRobin {
    first: Arc<dyn Backend>,
    rest: Vec<Arc<dyn Backend>>,
    next: Arc<AtomicUsize>,
    shared: Shared,
}

impl RoundRobin {
    /// Shares calls out among these. Give `Arc<dyn Backend>`s if they are of several types.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if there are none.
    pub fn new<B: Backend>(backends: impl IntoIterator<Item = B>) -> Result<Self> {
        let mut backends = backends.into_iter().map(|backend| Arc::new(backend) as Arc<dyn Backend>);
        let first = backends.next().ok_or_else(|| ErrorKind::config("backends", "no backends were given to take turns"))?;
        Ok(Self { first, rest: backends.collect(), next: Arc::default(), shared: Shared::default() })
    }

    /// Sends these of a provider's own options to every backend, as
    /// [`Fallback::share_options`](super::Fallback::share_options) does.
    #[must_use]
    pub fn share_options<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.shared.add(names);
        self
    }

    /// See [`Shared::adapt`].
    fn adapt(&self, backend: &Arc<dyn Backend>, options: &mut RequestOptions) -> Option<Warning> {
        self.shared.adapt(&self.first, backend, options)
    }

    fn all(&self) -> impl Iterator<Item = &Arc<dyn Backend>> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// Whose turn it is after this many calls.
    fn turn(&self, calls: usize) -> &Arc<dyn Backend> {
        let turn = calls % (self.rest.len() + 1);
        turn.checked_sub(1).and_then(|turn| self.rest.get(turn)).unwrap_or(&self.first)
    }
}

#[async_trait]
impl Backend for RoundRobin {
    fn provider(&self) -> &str {
        self.first.provider()
    }

    fn model(&self) -> &str {
        self.first.model()
    }

    fn capabilities(&self) -> Capabilities {
        common(self.all())
    }

    fn default_options(&self) -> ModelOptions {
        self.first.default_options()
    }

    fn synonyms(&self) -> &'static [(&'static str, ModelOption)] {
        self.first.synonyms()
    }

    fn unsupported(&self, request: &ChatRequest) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for backend in self.all() {
            let mut request = request.clone();
            let left = self.adapt(backend, &mut request.options);
            for warning in left.into_iter().chain(backend.unsupported(&request)) {
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
        warnings
    }

    fn is_real(&self) -> bool {
        self.all().any(|backend| backend.is_real())
    }

    async fn chat(&self, mut request: ChatRequest) -> Result<EventStream> {
        let backend = self.turn(self.next.fetch_add(1, Ordering::Relaxed));
        // It is named in `unsupported`.
        self.adapt(backend, &mut request.options);
        let events = backend.chat(request).await.map_err(|error| place(&**backend, error))?;
        let other = backend.model() != self.model();
        let before = if other { vec![Event::Model(backend.model().to_owned())] } else { Vec::new() };
        Ok(answer_of(backend, before, events))
    }

    async fn complete(&self, requests: Vec<RawRequest>) -> Vec<Result<ModelOutput>> {
        let count = self.rest.len() + 1;
        let start = self.next.fetch_add(requests.len(), Ordering::Relaxed);
        let mut batches = vec![(Vec::new(), Vec::new()); count];
        for (i, request) in requests.into_iter().enumerate() {
            if let Some((places, batch)) = batches.get_mut(i % count) {
                places.push(i);
                batch.push(request);
            }
        }
        let batches = batches.into_iter().enumerate().filter(|(_, (places, _))| !places.is_empty());
        let answered = batches.map(|(i, (places, batch))| async move {
            let backend = self.turn(start.wrapping_add(i));
            let mut batch: Vec<RawRequest> = batch;
            let left: Vec<_> = batch.iter_mut().map(|request| self.adapt(backend, &mut request.options)).collect();
            let mut outputs = backend.complete(batch).await.into_iter();
            let output_of = |(place, left): (usize, Option<Warning>)| {
                let mut output = completion_of(&**backend, outputs.next());
                if let Ok(output) = &mut output {
                    output.warnings.extend(left);
                }
                (place, output)
            };
            places.into_iter().zip(left).map(output_of).collect::<Vec<_>>()
        });
        let mut results: Vec<_> = join_all(answered).await.into_iter().flatten().collect();
        results.sort_by_key(|(place, _)| *place);
        results.into_iter().map(|(_, result)| result).collect()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::super::several::Named;
    use super::*;
    use crate::message::Message;
    use crate::testing::{Reply, ScriptedBackend};

    fn echo(name: &'static str) -> ScriptedBackend {
        ScriptedBackend::empty().answer_with(move |request| {
            let asked = request.messages.last()?.text().into_owned();
            Some(Reply::text(format!("{name}: {asked}")))
        })
    }

    #[tokio::test]
    async fn calls_take_turns() {
        let machines = [echo("a"), echo("b"), echo("c")];
        let backend = RoundRobin::new(machines.clone()).unwrap();
        for turn in 0..7 {
            let request = ChatRequest::new(vec![Message::user(turn.to_string())]);
            let events: Vec<_> = backend.clone().chat(request).await.unwrap().collect().await;
            let expected = format!("{}: {turn}", ["a", "b", "c"][turn % 3]);
            assert_eq!(events[0].as_ref().unwrap(), &Event::Text(expected));
        }
        assert_eq!(machines.map(|machine| machine.requests().len()), [3, 2, 2]);
    }

    #[tokio::test]
    async fn prompts_are_spread_and_results_keep_their_order() {
        let machines = [echo("a"), echo("b"), echo("c")];
        let backend = RoundRobin::new(machines.clone()).unwrap();
        let prompts = |n: usize| (0..n).map(|i| RawRequest::new(i.to_string()).options(RequestOptions::default())).collect();
        for (n, expected) in [
            (0, vec![]),
            (4, vec!["a: 0", "b: 1", "c: 2", "a: 3"]),
            // The turn goes on where the last batch ended.
            (2, vec!["b: 0", "c: 1"]),
        ] {
            let results = backend.complete(prompts(n)).await;
            assert_eq!(results.into_iter().map(|r| r.unwrap().text).collect::<Vec<_>>(), expected);
        }
    }

    #[tokio::test]
    async fn errors_say_whose_they_are_and_another_model_says_its_name() {
        let failing = Named("second", ScriptedBackend::new([Reply::refuse(ErrorKind::Busy("full".into()))]));
        let cut = Named("third", ScriptedBackend::new([Reply::cut("x", ErrorKind::StreamInterrupted)]));
        let backend = RoundRobin::new([Named("first", echo("a")), failing, cut]).unwrap();
        let request = || ChatRequest::new(vec![Message::user("Hello")]);
        let first: Vec<_> = backend.chat(request()).await.unwrap().collect().await;
        assert!(first.iter().all(|event| !matches!(event, Ok(Event::Model(_)))));
        assert_eq!(backend.chat(request()).await.unwrap_err().model(), Some("second"));
        let third: Vec<_> = backend.chat(request()).await.unwrap().collect().await;
        assert_eq!(third[0].as_ref().unwrap(), &Event::Model("third".into()));
        assert_eq!(third[2].as_ref().unwrap_err().model(), Some("third"));
    }

    #[test]
    fn it_can_do_what_all_can_do_and_names_what_one_cannot() {
        assert!(matches!(RoundRobin::new::<ScriptedBackend>([]).unwrap_err().kind(), ErrorKind::Config { .. }));
        let can = |window, tools| Capabilities { context_window: window, tools, raw: true, ..Capabilities::default() };
        let warning = |message: &str| Warning::Other { message: message.to_owned() };
        let backend = RoundRobin::new([
            echo("a").capabilities(can(Some(8), true)).unsupported(warning("x")),
            echo("b").capabilities(can(None, true)).unsupported(warning("x")).unsupported(warning("y")),
            echo("c").capabilities(can(Some(4), false)),
        ])
        .unwrap();
        assert_eq!(backend.capabilities(), can(Some(4), false));
        assert_eq!(backend.unsupported(&ChatRequest::default()), [warning("x"), warning("y")]);
        assert!(!backend.is_real());
    }

    #[tokio::test]
    async fn a_providers_own_options_go_to_those_they_were_given_for() {
        let machines = [Named("first", echo("a")), Named("second", echo("b"))].map(|named| Arc::new(named) as Arc<dyn Backend>);
        let elsewhere = echo("c");
        let all = || machines.iter().cloned().chain([Arc::new(elsewhere.clone()) as Arc<dyn Backend>]);
        let options = ModelOptions::new().with("x", 1).with("api_key", "canary");
        let options = ModelOptions::resolve([&options], &[]).unwrap().options;
        let request = ChatRequest::new(vec![Message::user("Hello")]).options(options.clone());
        let backend = RoundRobin::new(all()).unwrap();
        let said: Vec<_> = backend.unsupported(&request).iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("named/second") && said[0].contains(": `api_key` (") && said[1].contains(": `x`, `api_key` ("));
        for _ in 0..3 {
            backend.chat(request.clone()).await.unwrap();
        }
        assert!(elsewhere.requests()[0].options.extra.is_empty());
        let raw = (0..3).map(|i| RawRequest::new(i.to_string()).options(options.clone())).collect();
        let warned: Vec<_> = backend.complete(raw).await.into_iter().map(|output| output.unwrap().warnings.len()).collect();
        assert_eq!(warned, [0, 1, 1]);
        let shared = RoundRobin::new(all()).unwrap().share_options(["x", "api_key"]);
        assert!(shared.unsupported(&request).is_empty());
    }
}

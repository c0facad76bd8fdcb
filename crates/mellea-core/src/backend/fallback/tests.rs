//! Who answers, who is asked, and what is said about it.

use tokio::time::Instant;

use super::super::several::Named;
use super::*;
use crate::backend::BackendExt;
use crate::error::ProviderError;
use crate::message::Message;
use crate::options::RequestOptions;
use crate::output::{FinishReason, Usage};
use crate::session::Session;
use crate::testing::{Reply, ScriptedBackend};
use crate::tool::ToolCall;

fn request() -> ChatRequest {
    ChatRequest::new(vec![Message::user("Hello")])
}

fn down() -> ErrorKind {
    ErrorKind::connection("", "connection refused")
}

fn status(status: u16) -> ErrorKind {
    ErrorKind::Provider(ProviderError { status: Some(status), ..ProviderError::new("no") })
}

fn named<R: Into<Reply>>(name: &'static str, replies: impl IntoIterator<Item = R>) -> Named {
    Named(name, ScriptedBackend::new(replies))
}

async fn events(backend: &impl Backend) -> Result<Vec<Event>> {
    backend.chat(request()).await?.collect::<Vec<_>>().await.into_iter().collect()
}

fn text(events: &[Event]) -> String {
    events.iter().filter_map(|event| if let Event::Text(text) = event { Some(text.as_str()) } else { None }).collect()
}

/// Gives one event, then no connection.
#[derive(Debug)]
struct BreaksAfter(Event);

#[async_trait]
impl Backend for BreaksAfter {
    fn provider(&self) -> &'static str {
        "a"
    }

    fn model(&self) -> &'static str {
        "breaks"
    }

    async fn chat(&self, _: ChatRequest) -> Result<EventStream> {
        Ok(EventStream::new(futures_util::stream::iter([Ok(self.0.clone()), Err(down().into())])))
    }
}

#[tokio::test]
async fn transport_and_capacity_fall_back_and_request_faults_do_not() {
    let timeout = |phase| ErrorKind::Timeout { phase, limit: Duration::from_secs(1) };
    let quota = || ErrorKind::QuotaExhausted(ProviderError::new("used up"));
    let mut falls = vec![
        down(),
        ErrorKind::Busy("full".into()),
        ErrorKind::StreamInterrupted,
        quota(),
        timeout(TimeoutPhase::Connect),
        timeout(TimeoutPhase::FirstToken),
    ];
    falls.extend([402, 408, 409, 425, 429, 500, 501, 502, 503, 504, 507, 529, 599].map(status));
    let mut stays = vec![
        timeout(TimeoutPhase::NextToken),
        timeout(TimeoutPhase::Total),
        timeout(TimeoutPhase::Tool),
        ErrorKind::EmptyPrompt,
        ErrorKind::unsupported("audio", "x", "no"),
        ErrorKind::config("model", "no"),
        ErrorKind::ModelNotFound("x".into()),
        ErrorKind::ContextWindowExceeded { prompt: None, limit: None },
        ErrorKind::SchemaUnsupported { keyword: "not".into(), path: String::new() },
        ErrorKind::Cancelled,
        ErrorKind::Testing("no".into()),
        ErrorKind::Provider(ProviderError::new("no status")),
    ];
    stays.extend([400, 401, 403, 404, 413, 422, 600].map(status));
    for (kind, falls) in falls.into_iter().map(|kind| (kind, true)).chain(stays.into_iter().map(|kind| (kind, false))) {
        // As a refusal, and as an error in the stream before any content.
        let mut broken = Reply::cut("", kind.clone());
        broken = broken.thinking("");
        for reply in [Reply::refuse(kind.clone()), broken] {
            let second = ScriptedBackend::new(["second"]);
            let result = events(&Fallback::new(ScriptedBackend::new([reply])).or(second.clone())).await;
            assert_eq!(result.is_ok(), falls, "{kind:?}: {result:?}");
            assert_eq!(second.requests().len(), usize::from(falls), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn after_the_first_content_an_error_is_the_streams() {
    let contents = [
        Event::Text("a".into()),
        Event::Thinking("a".into()),
        Event::ToolCall(ToolCall::new("add", serde_json::json!({}))),
        Event::Finish(FinishReason::Stop),
    ];
    for content in contents {
        let second = ScriptedBackend::new(["second"]);
        let backend = Fallback::new(BreaksAfter(content.clone())).or(second.clone());
        let all: Vec<_> = backend.chat(request()).await.unwrap().collect().await;
        assert!(all.iter().any(|event| event.as_ref().is_ok_and(|event| *event == content)), "{all:?}");
        let error = all.into_iter().find_map(Result::err).unwrap();
        assert!(matches!(error.kind(), ErrorKind::Connection { .. }) && error.model() == Some("breaks"), "{error}");
        assert!(second.requests().is_empty());
    }
}

#[tokio::test]
async fn what_comes_before_the_content_is_kept_and_bounded() {
    let before = [Event::ResponseId("r".into()), Event::Usage(Usage::new(1, 0)), Event::Text(String::new())];
    let answer = [Event::Text("x".into()), Event::Text("y".into()), Event::Finish(FinishReason::Stop)];
    let all: Vec<Event> = before.into_iter().chain(answer).collect();
    let backend = Fallback::new(ScriptedBackend::new([Reply::events(all.clone())])).or(ScriptedBackend::empty());
    assert_eq!(events(&backend).await.unwrap(), all, "the first backend's answer is left as it is");
    // An endless preface does not fill the memory: after a while the backend counts as answering.
    let endless: Vec<Event> = (0..1000).map(|_| Event::Raw(serde_json::json!({}))).collect();
    let backend = Fallback::new(ScriptedBackend::new([Reply::events(endless)])).or(ScriptedBackend::empty());
    assert_eq!(backend.chat(request()).await.unwrap().count().await, 1000);
}

#[tokio::test]
async fn the_answer_says_who_gave_it_and_what_was_not_honoured() {
    let warning = |message: &str| Warning::Other { message: message.to_owned() };
    let second = ScriptedBackend::new(["second"]).unsupported(warning("known")).unsupported(warning("new"));
    let first = ScriptedBackend::new([Reply::refuse(down())]).unsupported(warning("known"));
    let m = Session::new(Named("first", first).or(Named("second", second)));
    let answer = m.chat("Hello").await.unwrap();
    let output = answer.output();
    assert_eq!((output.text.as_str(), output.model.as_str(), output.provider.as_str()), ("second", "second", "named"));
    let said: Vec<String> = output.warnings.iter().map(Warning::to_string).collect();
    assert_eq!(said, ["known", "answered by named/second after named/first: connection refused", "new"]);
}

#[tokio::test]
async fn if_all_fail_the_last_error_knows_the_others() {
    let cause = std::io::Error::other("no route");
    let last = Error::from(ErrorKind::Busy("full".into())).with_hint("wait").with_source(cause);
    let backend = Fallback::new(named("a", [Reply::refuse(down())]))
        .or(named("b", [Reply::refuse(status(503))]))
        .or(named("c", [Reply::refuse(last)]));
    let error = events(&backend).await.unwrap_err();
    insta::assert_snapshot!(
        error,
        @"named/c: busy: full; wait; tried before: named/a: connection refused; named/b: status 503: no"
    );
    let tried = error.source().unwrap();
    assert_eq!(tried.downcast_ref::<Tried>().unwrap().errors().len(), 2);
    assert_eq!(tried.source().unwrap().to_string(), "no route", "the last error's own cause is not lost");
    // A fault of the request ends the search, and still names what was tried.
    let backend = named("a", [Reply::refuse(down())]).or(named("b", [Reply::refuse(status(401))])).or(ScriptedBackend::empty());
    let error = events(&backend).await.unwrap_err();
    assert_eq!((error.status(), error.model()), (Some(401), Some("b")));
    assert!(error.hint().unwrap().contains("named/a"));
    // One backend alone is as if there were no fallback.
    let error = events(&Fallback::new(named("a", [Reply::refuse(down())]))).await.unwrap_err();
    assert!(error.source().is_none() && error.hint().is_none());
}

#[tokio::test]
async fn the_condition_is_the_users() {
    let missing = || Reply::refuse(ErrorKind::ModelNotFound("x".into()));
    let both = |first: Reply| Fallback::new(ScriptedBackend::new([first])).or(ScriptedBackend::new(["second"]));
    let on_missing = |fallback: Fallback| fallback.when(|error| matches!(error.kind(), ErrorKind::ModelNotFound(_)));
    assert_eq!(text(&events(&on_missing(both(missing()))).await.unwrap()), "second");
    assert!(events(&on_missing(both(Reply::refuse(down())))).await.is_err(), "it replaces the default");
}

#[tokio::test(start_paused = true)]
async fn a_silent_backend_is_given_up_in_time_but_not_the_last() {
    let start = Instant::now();
    let silent = || named("silent", [Reply::text("late").latency(Duration::from_secs(60))]);
    let backend = silent().or(named("b", [Reply::text("b").latency(Duration::from_secs(20))]));
    let backend = backend.begin_within(Duration::from_secs(5));
    let all = events(&backend).await.unwrap();
    assert_eq!((text(&all).as_str(), start.elapsed().as_secs()), ("b", 25));
    assert!(matches!(&all[0], Event::Warning(warning) if warning.to_string().contains("timed out after 5s")), "{all:?}");
}

#[tokio::test]
async fn only_prompts_that_failed_go_on() {
    let first = named("a", [Reply::text("one"), Reply::refuse(down()), Reply::refuse(status(400)), Reply::refuse(down())]);
    let second = named("b", [Reply::text("two"), Reply::refuse(status(503))]);
    let backend = first.or(second.clone());
    let results = backend.complete((1..=4).map(|i| RawRequest::new(i.to_string())).collect()).await;
    let [one, two, three, four] = results.try_into().unwrap();
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((one.text.as_str(), one.model.as_str(), one.warnings.len()), ("one", "a", 0));
    assert_eq!((two.text.as_str(), two.model.as_str(), two.warnings.len()), ("two", "b", 1));
    assert_eq!(three.unwrap_err().status(), Some(400));
    let four = four.unwrap_err();
    assert!(four.status() == Some(503) && four.hint().unwrap().contains("named/a"), "{four}");
    let asked: Vec<_> = second.1.raw_requests().into_iter().map(|request| request.prompt).collect();
    assert_eq!(asked, ["2", "4"]);
}

#[test]
fn it_can_do_what_all_can_do() {
    let can = |tools| Capabilities { tools, regex: true, ..Capabilities::default() };
    let first = ScriptedBackend::empty().capabilities(can(true));
    let backend = first.or(ScriptedBackend::empty().capabilities(can(false)));
    assert_eq!(backend.capabilities(), can(false));
    assert!(!backend.is_real());
    assert!(format!("{backend:?}").contains("ScriptedBackend"));
}

/// All options of a call, those of a provider among them.
fn request_with_options() -> ChatRequest {
    let options = crate::options::ModelOptions::new()
        .with(ModelOption::Temperature, 0.5)
        .with("top_p", 0.9)
        .with("api_key", "canary")
        .with("x", "canary")
        .with("extra_body", serde_json::json!({"a": [{"password": "canary"}]}))
        .with("extra_headers", serde_json::json!({"X-Any": "canary"}))
        .with("nothing", None::<f64>);
    let mut request = request();
    request.options = ModelOptions::resolve([&options], &[]).unwrap().options;
    request
}

fn names(request: &RequestOptions) -> Vec<&str> {
    request.extra.keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_providers_own_options_stay_with_it() {
    let refuses = || ScriptedBackend::empty().answer_with(|_| Some(Reply::refuse(down())));
    let answers = || ScriptedBackend::empty().answer_with(|_| Some(Reply::text("x")));
    // Another provider, one of the same name, and both with an option that is for all.
    for (same, shared, expected, left) in [
        (false, None, vec![], "`top_p`, `api_key`, `x`, `extra_body`, `extra_headers`"),
        (false, Some("top_p"), vec!["top_p"], "`api_key`, `x`, `extra_body`, `extra_headers`"),
        (true, None, vec!["top_p", "x", "nothing"], "`api_key`, `extra_body`, `extra_headers`"),
        (true, Some("extra_headers"), vec!["top_p", "x", "extra_headers", "nothing"], "`api_key`, `extra_body`"),
    ] {
        let (first, second) = (refuses(), answers());
        let backend = match same {
            true => Named("first", first.clone()).or(Named("second", second.clone())),
            false => Named("first", first.clone()).or(second.clone()),
        };
        let backend = backend.share_options(shared);
        let all: Result<Vec<_>> =
            backend.chat(request_with_options()).await.unwrap().collect::<Vec<_>>().await.into_iter().collect();
        assert_eq!(first.requests()[0], request_with_options(), "the first gets all");
        let got = &second.requests()[0].options;
        assert_eq!((got.temperature, names(got)), (Some(0.5), expected.clone()));
        let warned =
            all.unwrap().into_iter().any(|event| matches!(event, Event::Warning(warning) if warning.to_string().contains(left)));
        assert!(warned, "{left}");

        let raw = RawRequest::new("x").options(request_with_options().options);
        let output = backend.complete(vec![raw]).await.remove(0).unwrap();
        assert_eq!(names(&second.raw_requests()[0].options), expected);
        assert!(output.warnings.iter().any(|warning| warning.to_string().contains(left)), "{:?}", output.warnings);
    }
}

#[tokio::test]
async fn each_backend_has_its_own_defaults() {
    let defaults = |value: &str| ModelOptions::new().with("extra_headers", serde_json::json!({"X-Key": value}));
    let first = ScriptedBackend::new([Reply::refuse(down())]).default_options(defaults("first"));
    let second = ScriptedBackend::new(["x"]).default_options(defaults("second"));
    let m = Session::new(first.clone().or(second.clone()));
    let output = m.chat("Hello").await.unwrap();
    let sent = |backend: &ScriptedBackend| backend.requests()[0].options.extra["extra_headers"]["X-Key"].clone();
    assert_eq!((sent(&first), sent(&second)), ("first".into(), "second".into()));
    assert_eq!(output.output().warnings.len(), 1, "nobody asked for the first's defaults: {:?}", output.output().warnings);
}

//! Calls that run tools: the answer has its type, its requirements hold, and no tool runs more often than it must.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
use mellea_core::blocking::Wait;
use mellea_core::testing::{Reply, ScriptedBackend};
use mellea_core::tool::{FunctionTool, Tool, ToolError, ToolSpec, Tools, tool_fn};
use mellea_core::{Capabilities, ChatContext, Delta, ErrorKind, Role, Session, ToolCall, ToolChoice, Usage, check, req};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
struct Report {
    city: String,
    degrees: i32,
}

#[derive(Deserialize, JsonSchema)]
struct Place {
    city: String,
}

/// A thermometer, and how often it was read.
fn thermometer() -> (FunctionTool, Arc<AtomicUsize>) {
    let read = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&read);
    let tool = tool_fn("temperature", "The temperature in a city.", move |place: Place| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(format!("{} has 21 degrees", place.city))
    });
    (tool, read)
}

fn look(city: &str) -> Reply {
    Reply::tool_calls([ToolCall::with_id(format!("call_{city}"), "temperature", json!({ "city": city }))]).usage(Usage::new(5, 5))
}

const PARIS: &str = r#"{"city": "Paris", "degrees": 21}"#;

#[tokio::test]
async fn tools_run_until_a_typed_answer_comes() {
    let (thermometer, read) = thermometer();
    let backend = ScriptedBackend::new([look("Paris"), look("Rome"), Reply::text(PARIS).usage(Usage::new(10, 10))]);
    let m = Session::builder(backend.clone()).context(ChatContext::new()).build();
    let report = m.instruct("How warm is it in Paris?").tool(thermometer).format::<Report>().await.unwrap();
    assert_eq!(*report, Report { city: "Paris".into(), degrees: 21 });
    assert_eq!(read.load(Ordering::SeqCst), 2);
    assert_eq!(report.attempts().len(), 1, "a turn that calls tools is not an attempt");
    let attempt = &report.attempts()[0];
    assert_eq!(attempt.rounds.len(), 2);
    assert_eq!(attempt.rounds[0].results[0].outcome.to_model_text(), "Paris has 21 degrees");
    assert_eq!(report.usage().total_tokens(), Some(40), "every round counts");
    let roles: Vec<Role> = m.context().view().iter().map(|m| m.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::Assistant, Role::Tool, Role::Assistant]);
    assert_eq!(backend.requests()[2].messages.len(), 5);
}

#[tokio::test]
async fn an_answer_that_is_refused_is_repaired_without_running_tools_again() {
    let (thermometer, read) = thermometer();
    let replies = [look("Paris"), Reply::text(r#"{"city": "Paris", "degrees": "warm"}"#), Reply::text(PARIS)];
    let backend = ScriptedBackend::new(replies);
    let m = Session::new(backend.clone());
    let report = m.chat("How warm?").tool(thermometer).format::<Report>().await.unwrap();
    assert_eq!((report.degrees, report.attempts().len(), read.load(Ordering::SeqCst)), (21, 2, 1));
    let last = &backend.requests()[2].messages;
    let roles: Vec<Role> = last.iter().map(|m| m.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::Assistant, Role::User]);
    assert!(last[4].text().contains("/degrees"), "{}", last[4].text());
}

#[tokio::test]
async fn requirements_run_tools_too_and_without_either_calls_are_handed_back() {
    let (thermometer, read) = thermometer();
    let m = Session::new(ScriptedBackend::new([look("Paris"), Reply::text("21 degrees")]));
    let warm = check("In degrees.").validate(|t| t.contains("degrees"));
    let answer = m.instruct("How warm?").tool(thermometer.clone()).require(warm).await.unwrap();
    assert_eq!((&**answer, read.load(Ordering::SeqCst)), ("21 degrees", 1));

    let m = Session::new(ScriptedBackend::new([look("Paris")]));
    let answer = m.instruct("How warm?").tool(thermometer.clone()).await.unwrap();
    assert_eq!((answer.output().tool_calls.len(), read.load(Ordering::SeqCst)), (1, 1));

    let m = Session::new(ScriptedBackend::new([look("Paris"), Reply::text("Warm.")]));
    let answer = m.instruct("How warm?").tool(thermometer.clone()).tool_rounds(3).await.unwrap();
    assert_eq!((&**answer, read.load(Ordering::SeqCst)), ("Warm.", 2));

    let m = Session::builder(ScriptedBackend::new([look("Paris"), Reply::text(PARIS)])).tool(thermometer).build();
    let report = m.instruct("How warm?").format::<Report>().await.unwrap();
    assert_eq!((report.degrees, read.load(Ordering::SeqCst)), (21, 3), "a session has tools of its own");
}

#[tokio::test]
async fn rounds_are_bounded_and_the_model_is_made_to_answer() {
    let (thermometer, read) = thermometer();
    let backend = ScriptedBackend::empty().answer_with(|request| {
        Some(match request.options.tool_choice {
            Some(ToolChoice::None) => Reply::text(PARIS),
            _ => look("Paris"),
        })
    });
    let m = Session::new(backend);
    let report = m.instruct("How warm?").tool(thermometer.clone()).format::<Report>().tool_rounds(3).await.unwrap();
    assert_eq!((report.degrees, read.load(Ordering::SeqCst)), (21, 3));

    let m = Session::new(ScriptedBackend::empty().answer_with(|_| Some(look("Paris"))));
    let call = m.instruct("How warm?").tool(thermometer).format::<Report>().tool_rounds(2);
    let error = call.await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ToolRounds { limit: 2 }), "{error}");
    assert_eq!(error.attempts().len(), 2);
    assert_eq!(error.attempts()[0].rounds.len(), 2);
}

#[tokio::test]
async fn a_backend_that_cannot_force_a_form_beside_tools_is_asked_freely_first() {
    let (thermometer, _) = thermometer();
    let capabilities = || {
        let mut capabilities = Capabilities::default();
        capabilities.tools = true;
        capabilities.json_schema = true;
        capabilities
    };
    let backend = ScriptedBackend::new([look("Paris"), Reply::text("It is 21 degrees in Paris."), Reply::text(PARIS)])
        .capabilities(capabilities());
    let m = Session::new(backend.clone());
    let report = m.instruct("How warm?").tool(thermometer.clone()).format::<Report>().await.unwrap();
    assert_eq!((report.degrees, report.attempts().len()), (21, 1));
    let asked: Vec<_> = backend.requests().iter().map(|r| (r.format.is_some(), r.tools.len())).collect();
    assert_eq!(asked, [(false, 1), (false, 1), (true, 0)]);

    let backend = ScriptedBackend::new([look("Paris"), Reply::text(PARIS)]).capabilities(capabilities());
    let m = Session::new(backend.clone());
    m.instruct("How warm?").tool(thermometer).format::<Report>().await.unwrap();
    assert_eq!(backend.requests().len(), 2, "an answer that fits needs no further request");
}

#[tokio::test]
async fn streams_show_tools_as_they_start_and_end() {
    let (thermometer, _) = thermometer();
    let m = Session::new(ScriptedBackend::new([look("Paris"), Reply::text(PARIS).chunks(8)]));
    let mut stream = m.instruct("How warm?").tool(thermometer).format::<Report>().stream().await.unwrap();
    let mut seen = Vec::new();
    let mut text = String::new();
    while let Some(delta) = stream.next().await {
        match delta.unwrap() {
            Delta::ToolStarted(call) => seen.push(format!("{}({})", call.name, call.arguments)),
            Delta::ToolEnded(result) => seen.push(result.outcome.to_model_text()),
            piece => text += &piece.into_text(),
        }
    }
    assert_eq!(seen, [r#"temperature({"city":"Paris"})"#, "Paris has 21 degrees"]);
    assert_eq!(text, PARIS);
    assert_eq!(stream.finish().await.unwrap().degrees, 21);
}

#[tokio::test]
async fn a_started_answer_runs_tools_and_keeps_its_type() {
    let (thermometer, _) = thermometer();
    let m = Session::new(ScriptedBackend::new([look("Paris"), Reply::text(PARIS), Reply::text("Noted.")]));
    let report = m.instruct("How warm?").tool(thermometer).format::<Report>().start().await.unwrap();
    m.instruct("Note {{report}}.").var("report", &report).await.unwrap();
    let computed = (&report).await.unwrap();
    assert_eq!((computed.degrees, computed.attempts().len()), (21, 1));
}

#[test]
fn blocking_calls_run_tools() {
    let (thermometer, _) = thermometer();
    let m = Session::new(ScriptedBackend::new([look("Paris"), Reply::text(PARIS)]));
    assert_eq!(m.instruct("How warm?").tool(thermometer).format::<Report>().wait().unwrap().degrees, 21);
}

#[tokio::test]
async fn what_tools_cost_is_kept_when_the_next_request_fails() {
    let (thermometer, _) = thermometer();
    let down = Reply::refuse(ErrorKind::Busy("down".into()));
    let m = Session::builder(ScriptedBackend::new([look("Paris"), down])).context(ChatContext::new()).build();
    let error = m.instruct("How warm?").tool(thermometer).format::<Report>().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Busy(_)));
    assert_eq!(error.attempts()[0].rounds[0].results.len(), 1);
    assert!(m.context().is_empty());
}

#[tokio::test]
async fn validators_see_the_tools_in_the_context() {
    let (thermometer, _) = thermometer();
    let m = Session::new(ScriptedBackend::new([look("Paris"), Reply::text("21 degrees")]));
    let looked = req("Look it up.").validate_with(|c| c.context().newest_first().any(|e| e.to_message().role == Role::Tool));
    m.instruct("How warm?").tool(thermometer).require(looked).await.unwrap();
}

#[tokio::test]
async fn a_stream_says_that_a_free_answer_is_void() {
    let (thermometer, _) = thermometer();
    let mut capabilities = Capabilities::default();
    capabilities.tools = true;
    capabilities.json_schema = true;
    let backend = ScriptedBackend::new([Reply::text("It is warm."), Reply::text(PARIS)]).capabilities(capabilities);
    let m = Session::new(backend);
    let stream = m.instruct("How warm?").tool(thermometer).format::<Report>().stream().await.unwrap();
    let deltas: Vec<Delta> = stream.map(Result::unwrap).collect().await;
    assert!(matches!(&deltas[..], [Delta::Text(_), Delta::Restarted { attempt: 1, .. }, Delta::Text(json)] if json == PARIS));
}

#[tokio::test]
async fn what_is_said_on_the_way_to_a_tool_is_not_a_part_of_the_answer() {
    let (thermometer, _) = thermometer();
    let call = ToolCall::with_id("call_1", "temperature", json!({ "city": "Paris" }));
    let first = Reply::events([
        mellea_core::Event::Text("Let me look.".into()),
        mellea_core::Event::ToolCall(call),
        mellea_core::Event::Finish(mellea_core::FinishReason::ToolCalls),
    ]);
    let m = Session::new(ScriptedBackend::new([first, Reply::stall("It is")]));
    let polite = check("Polite.").validate(|_| true);
    let thunk = m.instruct("How warm is it?").tool(thermometer).require(polite).start().await.unwrap();
    let mut pieces = thunk.stream();
    while pieces.next().await.unwrap().unwrap() != Delta::Text("It is".into()) {}
    thunk.cancel();
    let error = thunk.await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Cancelled), "{error}");
    assert_eq!(error.partial().unwrap().text, "It is");
}

#[tokio::test]
async fn a_tool_whose_schema_is_too_large_is_refused() {
    let schema = |parts: usize| {
        let members: serde_json::Map<_, _> = (0..parts).map(|n| (format!("p{n}"), json!({ "type": "string" }))).collect();
        json!({ "type": "object", "properties": members })
    };
    let deep = (0..200).fold(json!({ "type": "string" }), |inner, _| json!({ "properties": { "a": inner } }));
    #[derive(Debug)]
    struct Large(ToolSpec);
    #[async_trait::async_trait]
    impl Tool for Large {
        fn spec(&self) -> &ToolSpec {
            &self.0
        }
        async fn call(&self, _: serde_json::Value) -> Result<serde_json::Value, ToolError> {
            panic!("nobody can call it")
        }
    }
    let tool = |parameters: serde_json::Value| Large(ToolSpec::new("large", "Large.", parameters));
    let mut tools = Tools::new();
    tools.try_insert(tool(schema(5_000))).unwrap();
    for (parameters, words) in [(schema(50_000), "20,000 parts"), (deep, "128 deep")] {
        let error = Tools::new().try_insert(tool(parameters.clone())).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Config { .. }) && error.to_string().contains(words), "{error}");
        let backend = ScriptedBackend::empty();
        let error = Session::new(backend.clone()).instruct("Go.").tool(tool(parameters)).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Config { .. }) && error.to_string().contains("`large`"), "{error}");
        assert_eq!(backend.calls(), 0);
    }
}

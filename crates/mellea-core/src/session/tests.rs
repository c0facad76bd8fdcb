use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::*;
use crate::options::ModelOption;
use crate::output::{FinishReason, Warning};
use crate::requirement::{check, req};
use crate::sampling::{MultiTurn, RejectionSampling, RepairTemplate};
use crate::testing::{Reply, ScriptedBackend};
use crate::{ChatContext, Event, Message, Role, SimpleContext, Usage};

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
struct Profile {
    name: String,
    age: u8,
}

fn chatty(replies: &[&str]) -> (ScriptedBackend, Session) {
    let backend = ScriptedBackend::new(replies.iter().copied());
    let session = Session::builder(backend.clone()).context(ChatContext::new()).build();
    (backend, session)
}

#[tokio::test]
async fn a_typed_answer_is_a_value() {
    let backend = ScriptedBackend::new([r#"{"name":"Alice","age":31}"#]);
    let m = Session::new(backend.clone());
    let profile = m.instruct("Extract.").input("text", "Alice is 31.").format::<Profile>().await.unwrap();
    assert_eq!(*profile, Profile { name: "Alice".into(), age: 31 });
    assert_eq!(
        backend.prompts(),
        ["Extract.\n\ntext = \"Alice is 31.\"\n\nAnswer with JSON: {\"name\": string, \"age\": integer}"]
    );
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_repaired_with_the_reason() {
    let backend = ScriptedBackend::new([r#"{"name":"Alice","age":"old"}"#, r#"{"name":"Alice","age":31}"#]);
    let m = Session::new(backend.clone());
    let profile = m.instruct("Extract.").format::<Profile>().await.unwrap();
    assert_eq!((profile.age, profile.attempts().len()), (31, 2));
    let second = &backend.prompts()[1];
    assert!(second.contains("failed these checks:\n- the answer does not fit its type at /age: expected integer"), "{second}");
    assert!(second.ends_with("\nAnswer with JSON only: {\"name\": string, \"age\": integer}"), "{second}");
    assert!(!second.contains(r#"{"name":"Alice","age":"old"}"#), "a small model would copy it: {second}");
}

#[tokio::test]
async fn truncation_is_seen_before_parsing() {
    let cut = || Reply::text(r#"{"name":"Al"#).finish(FinishReason::Length);
    let m = Session::new(ScriptedBackend::new([cut(), cut()]));
    let error = m.instruct("Extract.").format::<Profile>().option(ModelOption::MaxNewTokens, 3).await.unwrap_err();
    assert!(matches!(error.kind(), crate::ErrorKind::Truncated { limit: Some(3), .. }), "{error}");
    assert_eq!(error.partial().unwrap().text, r#"{"name":"Al"#);
}

#[tokio::test]
async fn lenient_json_is_recorded() {
    let m = Session::new(ScriptedBackend::new(["Sure!\n```json\n{\"name\":\"Bo\",\"age\":4}\n```"]));
    let profile = m.instruct("Extract.").format::<Profile>().await.unwrap();
    assert_eq!(profile.name, "Bo");
    assert!(matches!(profile.warnings(), [Warning::LenientJson { .. }]));
}

#[tokio::test]
async fn an_empty_answer_is_never_a_success() {
    let m = Session::new(ScriptedBackend::new(["", " \n"]));
    let error = m.instruct("Say something.").await.unwrap_err();
    assert!(matches!(error.kind(), crate::ErrorKind::EmptyResponse), "{error}");
    assert!(m.context().is_empty());
}

#[tokio::test]
async fn an_empty_prompt_never_reaches_the_backend() {
    let backend = ScriptedBackend::empty();
    let m = Session::new(backend.clone());
    for error in [m.instruct(" ").await.unwrap_err(), m.chat("").await.unwrap_err()] {
        assert!(matches!(error.kind(), crate::ErrorKind::EmptyPrompt), "{error}");
    }
    let empty = m.instruct("x").require("").await.unwrap_err();
    assert!(matches!(empty.kind(), crate::ErrorKind::EmptyRequirement));
    assert!(backend.requests().is_empty());
}

#[tokio::test]
async fn requirements_are_stated_unless_they_are_checks() {
    let backend = ScriptedBackend::new(["fine"]);
    let m = Session::new(backend.clone());
    m.instruct("Write.")
        .require(req("Be brief.").validate(|t| t.len() < 10))
        .require(check("Do not mention rivals.").validate(|t| !t.contains("rival")))
        .await
        .unwrap();
    assert_eq!(backend.prompts(), ["Write.\n\nRequirements:\n- Be brief."]);
}

#[tokio::test]
async fn exhaustion_is_data_and_can_be_made_an_error() {
    let m = Session::new(ScriptedBackend::new(["Aa", "bB"]));
    let lower = || req("Use lower case.").validate(|t| (t == t.to_lowercase(), "There are capitals."));
    let result = m.instruct("Write.").require(lower()).sample().await.unwrap();
    assert!(!result.success());
    assert_eq!(result.attempts().len(), 2);
    assert_eq!(result.chosen().unwrap().text(), "bB", "the latest of equals");
    assert_eq!(result.value().unwrap(), "bB");
    let error = result.into_result().unwrap_err();
    assert_eq!(error.to_string(), "scripted/script: none of 2 attempts met all requirements: There are capitals.");
    assert!(m.context().is_empty(), "a refused answer is not in the context");
}

#[tokio::test]
async fn the_attempt_that_met_most_is_chosen() {
    let m = Session::new(ScriptedBackend::new(["ab", "x"]));
    let result = m
        .instruct("Write.")
        .require(req("a").validate(|t| t.contains('a')))
        .require(req("b").validate(|t| t.contains('b')))
        .require(req("c").validate(|t| t.contains('c')))
        .sample()
        .await
        .unwrap();
    assert_eq!(result.chosen().unwrap().number, 1);
    let names: Vec<_> = result.attempts()[0].verdicts.iter().map(|v| v.requirement.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"], "verdicts keep the order of the requirements");
}

#[tokio::test]
async fn multi_turn_shows_the_refused_answer_and_commits_one_turn() {
    let (backend, m) = chatty(&["NO", "yes"]);
    m.instruct("Write.")
        .require(req("Lower case.").validate(|t| t == t.to_lowercase()))
        .strategy(MultiTurn::new(3))
        .await
        .unwrap();
    let second = &backend.requests()[1].messages;
    let roles: Vec<_> = second.iter().map(|m| m.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::User]);
    assert_eq!(second[1].text(), "NO");
    assert!(second[2].text().contains("- Lower case."));
    assert_eq!(m.context().len(), 2);
}

#[tokio::test]
async fn rejection_repeats_the_prompt_with_derived_seeds() {
    let backend = ScriptedBackend::new(["A", "B", "c"]);
    let m = Session::new(backend.clone());
    let lower = req("Lower case.").validate(|t| t == t.to_lowercase());
    m.instruct("Write.").require(lower).strategy(RejectionSampling::new(3)).option(ModelOption::Seed, 7_u64).await.unwrap();
    let requests = backend.requests();
    assert!(requests.windows(2).all(|pair| pair[0].messages == pair[1].messages));
    let seeds: Vec<_> = requests.iter().map(|r| r.options.seed.unwrap()).collect();
    assert_eq!(seeds, (0..3).map(|k| crate::sampling::attempt_seed(7, k)).collect::<Vec<_>>());
    assert_eq!(seeds[0], 7);
}

#[tokio::test(start_paused = true)]
async fn concurrent_attempts_start_together_and_the_first_success_cancels_the_rest() {
    let started = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&started);
    let backend = ScriptedBackend::empty().answer_with(move |_| {
        let number = seen.fetch_add(1, Ordering::SeqCst);
        Some(if number == 1 { Reply::text("good").latency(Duration::from_secs(1)) } else { Reply::stall("bad") })
    });
    let m = Session::new(backend);
    let result = m.instruct("Write.").strategy(RejectionSampling::new(3).concurrency(3)).sample().await.unwrap();
    assert!(result.success());
    assert_eq!(started.load(Ordering::SeqCst), 3);
    assert_eq!(result.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_call() {
    let replies = [Reply::text("A"), Reply::text("b").latency(Duration::from_secs(60))];
    let m = Session::new(ScriptedBackend::new(replies));
    let lower = req("Lower case.").validate(|t| t == t.to_lowercase());
    let strategy = RepairTemplate::new(5).deadline(Duration::from_secs(10));
    let result = m.instruct("Write.").require(lower).strategy(strategy).sample().await.unwrap();
    assert!(matches!(result.stopped(), crate::StopReason::Deadline));
    assert_eq!(result.attempts().len(), 1);
}

#[tokio::test]
async fn a_token_budget_counts_judges_too() {
    let judge = r#"{"reason":"It is not.","verdict":"no"}"#;
    let reply = |t: &str| Reply::text(t).usage(Usage::new(10, 10));
    let backend = ScriptedBackend::empty()
        .answer_with(move |request| Some(if request.format.is_some() { reply(judge) } else { reply("x") }));
    let m = Session::new(backend);
    let strategy = RepairTemplate::new(10).token_budget(70);
    let result = m.instruct("Write.").require("It is good.").strategy(strategy).sample().await.unwrap();
    assert!(matches!(result.stopped(), crate::StopReason::Tokens));
    assert_eq!((result.attempts().len(), result.usage().total_tokens()), (2, Some(80)));
    assert_eq!(result.attempts()[0].complaints(), ["It is not."]);
}

#[tokio::test]
async fn a_failing_backend_is_not_an_unmet_requirement() {
    let refused = Reply::refuse(crate::ErrorKind::connection("", "refused"));
    let m = Session::new(ScriptedBackend::new([Reply::text("A"), refused]));
    let lower = req("Lower case.").validate(|t| t == t.to_lowercase());
    let result = m.instruct("Write.").require(lower).sample().await.unwrap();
    assert!(matches!(result.stopped(), crate::StopReason::Error(e) if e.attempt() == Some(2)));
    assert_eq!(result.attempts().len(), 2, "both attempts are on record");
    assert!(matches!(result.into_result().unwrap_err().kind(), crate::ErrorKind::Connection { .. }));
}

#[tokio::test]
async fn a_chat_remembers_and_a_simple_session_does_not() {
    let (backend, m) = chatty(&["Hello!", "You said hi."]);
    assert_eq!(m.chat("Hi").await.unwrap().text(), "Hello!");
    m.chat("What did I say? {{literally}}").await.unwrap();
    let texts: Vec<_> = backend.requests()[1].messages.iter().map(|m| m.text().into_owned()).collect();
    assert_eq!(texts, ["Hi", "Hello!", "What did I say? {{literally}}"]);

    let backend = ScriptedBackend::new(["a", "b"]);
    let m = Session::builder(backend.clone()).context(SimpleContext::new()).build();
    m.chat("1").await.unwrap();
    m.chat("2").await.unwrap();
    assert_eq!(backend.requests()[1].messages.len(), 1);
    assert_eq!(m.context().len(), 2, "only the last turn is kept");
    assert!(m.add(Message::user("lost")).is_err());
}

#[tokio::test]
async fn forks_go_their_own_way_and_reset_forgets() {
    let (_, m) = chatty(&["a", "b", "c"]);
    m.chat("1").await.unwrap();
    let fork = m.fork();
    assert_ne!(fork.id(), m.id());
    fork.chat("2").await.unwrap();
    assert_eq!((m.context().len(), fork.context().len()), (2, 4));
    m.reset();
    assert_eq!((m.context().len(), fork.context().len()), (0, 4));
    assert!(m.last_prompt().is_none());
    m.chat("3").await.unwrap();
    assert!(!m.context().is_stateless(), "a reset keeps the policy");
}

#[tokio::test]
async fn a_conflict_carries_the_finished_answer() {
    let (_, m) = chatty(&["slow", "fast"]);
    let slow = m.instruct("1").start().await.unwrap();
    m.add(Message::user("meanwhile")).unwrap();
    let error = slow.await.unwrap_err();
    assert!(matches!(error.kind(), crate::ErrorKind::Conflict), "{error}");
    assert_eq!(error.partial().unwrap().text, "slow");
    assert_eq!(m.context().len(), 1);
}

#[tokio::test]
async fn a_started_answer_can_be_part_of_another_prompt() {
    let backend = ScriptedBackend::new(["Paris", "It is in France."]);
    let m = Session::new(backend.clone());
    let city = m.instruct("Name a city.").start().await.unwrap();
    m.instruct("Where is {{city}}?").var("city", &city).await.unwrap();
    assert_eq!(backend.prompts()[1], "Where is Paris?");
}

#[tokio::test]
async fn preview_shows_the_request_and_sends_nothing() {
    let backend = ScriptedBackend::new(["x"]);
    let m = Session::builder(backend.clone()).option(ModelOption::SystemPrompt, "Be kind.").build();
    let call = m.instruct("Write.").option(ModelOption::Temperature, 0.5);
    let preview = call.clone().preview().await.unwrap();
    assert!(backend.requests().is_empty());
    call.await.unwrap();
    assert_eq!(backend.requests(), std::slice::from_ref(&preview));
    assert_eq!(*m.last_prompt().unwrap(), preview);
    assert_eq!(preview.messages[0], Message::system("Be kind."));
}

#[tokio::test]
async fn strict_refuses_what_is_not_honoured_and_others_are_warned() {
    let warning = Warning::UnsupportedOption { option: "seed".into(), provider: "scripted".into() };
    let backend = || ScriptedBackend::new(["x"]).unsupported(warning.clone());
    let output = Session::new(backend()).instruct("Write.").await.unwrap();
    assert_eq!(output.warnings(), std::slice::from_ref(&warning));
    let error = Session::builder(backend()).strict().build().instruct("Write.").await.unwrap_err();
    assert!(matches!(error.kind(), crate::ErrorKind::Unsupported { .. }), "{error}");
}

#[tokio::test]
async fn preconditions_are_checked_before_the_model_is_asked() {
    let backend = ScriptedBackend::new(["x"]);
    let m = Session::new(backend.clone());
    let call = m.instruct("Work.").input("n", &5).precondition(req("n is even").validate(|t| (t == "n = 4", "n is odd")));
    let error = call.await.unwrap_err();
    assert_eq!(error.to_string(), "precondition failed: n is odd");
    assert!(backend.requests().is_empty());
}

#[tokio::test]
async fn validation_stands_alone_and_finds_the_last_answer() {
    let (_, m) = chatty(&["hello"]);
    let lower = || req("Lower case.").validate(|t| t == t.to_lowercase());
    assert!(!m.validate([lower()]).await.unwrap()[0].passed(), "nothing to check is a failure");
    m.chat("Hi").await.unwrap();
    let before = m.context();
    assert!(m.validate([lower()]).await.unwrap()[0].passed());
    assert!(!m.validate([lower()]).text("HELLO").await.unwrap()[0].passed());
    assert_eq!(m.context(), before);
}

#[tokio::test]
async fn a_dropped_stream_leaves_the_context_alone() {
    let (_, m) = chatty(&[]);
    let backend = ScriptedBackend::new([Reply::stall("partial")]);
    let m2 = Session::builder(backend).context(m.context()).build();
    let stream = m2.instruct("Write.").stream().await.unwrap();
    drop(stream);
    tokio::task::yield_now().await;
    assert!(m2.context().is_empty());
}

#[tokio::test]
async fn an_interrupted_stream_is_an_error_that_keeps_the_text() {
    let m = Session::new(ScriptedBackend::new([Reply::events([Event::Text("half".into())])]));
    let thunk = m.instruct("Write.").start().await.unwrap();
    let (first, second) = ((&thunk).await.unwrap_err(), (&thunk).await.unwrap_err());
    assert!(matches!(first.kind(), crate::ErrorKind::StreamInterrupted));
    assert_eq!(first.partial().unwrap().text, "half");
    assert_eq!(first.to_string(), second.to_string());
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_timeout_and_cancel_keeps_what_there_was() {
    let m = Session::new(ScriptedBackend::new([Reply::stall("a"), Reply::stall("b")]));
    let error = m.instruct("Write.").option(ModelOption::StreamTimeout, 2).await.unwrap_err();
    assert!(error.is_timeout() && error.is_retryable(), "{error}");
    let thunk = m.instruct("Write.").start().await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    thunk.cancel();
    let error = thunk.await.unwrap_err();
    assert!(matches!(error.kind(), crate::ErrorKind::Cancelled));
    assert_eq!(error.partial().unwrap().text, "b");
}

#[tokio::test]
async fn raw_completions_pair_by_index_and_fail_alone() {
    let refused = Reply::refuse(crate::ErrorKind::Busy("later".into()));
    let backend = ScriptedBackend::new([Reply::text("one"), refused, Reply::text("three")]);
    let outputs = Session::new(backend.clone()).complete(["a", "b", " ", "c"]).await.unwrap();
    let texts: Vec<_> = outputs.iter().map(|o| o.as_ref().map(|o| o.text.as_str()).map_err(|e| e.kind().to_string())).collect();
    assert_eq!(texts, [Ok("one"), Err("busy: later".into()), Err("the prompt is empty".into()), Ok("three")]);
    assert_eq!(backend.raw_requests().len(), 3);
}

#[derive(Debug)]
struct Counter;

impl Queryable for Counter {
    fn content(&self) -> String {
        "a counter at 3".into()
    }

    fn tools(&self) -> crate::Tools {
        #[derive(Deserialize, JsonSchema)]
        struct By {
            by: i64,
        }
        crate::Tools::new().with(crate::tool::tool_fn("raise", "Raise the counter.", |By { by }| match by {
            0 => Err(crate::ToolError::new("nothing to do")),
            by => Ok(3 + by),
        }))
    }
}

fn raise(by: i64) -> Reply {
    Reply::tool_calls([crate::ToolCall::new("raise", serde_json::json!({ "by": by }))])
}

#[tokio::test]
async fn objects_can_be_asked_about_and_changed() {
    let backend = ScriptedBackend::new([Reply::text("3"), raise(4), raise(0), Reply::text("a counter at 0")]);
    let m = Session::builder(backend.clone()).context(ChatContext::new()).build();
    assert_eq!(*m.query(Counter, "Where is it?").await.unwrap(), "3");
    assert!(backend.prompts()[0].contains("a counter at 3") && backend.prompts()[0].ends_with("Question: Where is it?"));
    assert!(backend.requests()[0].tools.is_empty());

    let Transformed::Tools(results) = m.transform(Counter, "Raise it by 4.").await.unwrap() else { panic!("a tool was called") };
    assert_eq!(results[0].outcome.to_model_text(), "7");
    assert_eq!(backend.requests()[1].tools[0].name, "raise");
    assert_eq!(m.context().view().last().unwrap().role, Role::Tool, "the result is in the context");

    let Transformed::Tools(results) = m.transform(Counter, "Raise it by 0.").await.unwrap() else { panic!("a tool was called") };
    assert!(!results[0].outcome.is_ok(), "a failed tool is marked as failed");
    let Transformed::Text(text) = m.transform(Counter, "Reset it.").await.unwrap() else { panic!("no tool was called") };
    assert_eq!(*text, "a counter at 0");
}

#[tokio::test]
async fn the_model_goes_on_from_its_tools() {
    let backend = ScriptedBackend::new([raise(1), Reply::text("It is at 4 now.")]);
    let m = Session::builder(backend.clone()).context(ChatContext::new()).build();
    let answer = m.chat("Raise it.").tools(Counter.tools().iter().cloned()).await.unwrap();
    assert!(answer.text().is_empty() && answer.output().tool_calls.len() == 1, "calls are not run by themselves");
    m.call_tools(&answer).await.unwrap();
    assert_eq!(m.resume().await.unwrap().text(), "It is at 4 now.");
    let roles: Vec<_> = backend.requests()[1].messages.iter().map(|m| m.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool]);
}

#[tokio::test]
async fn a_conversation_shows_no_answer_that_is_malformed_and_is_left_at_last() {
    let malformed = ScriptedBackend::new([r#"{"name":"Alice","age":"old"}"#, r#"{"name":"Alice","age":31}"#]);
    let m = Session::new(malformed.clone());
    m.instruct("Extract.").format::<Profile>().strategy(MultiTurn::new(3)).await.unwrap();
    assert_eq!(malformed.requests()[1].messages.len(), 1);
    assert!(malformed.prompts()[1].contains("/age"), "{}", malformed.prompts()[1]);

    let refused = ScriptedBackend::new(["A", "B", "C", "d"]);
    let m = Session::new(refused.clone());
    let lower = req("Use lower case.").validate(|text| text == text.to_lowercase());
    m.instruct("Write.").require(lower).strategy(MultiTurn::new(4)).await.unwrap();
    let lengths: Vec<usize> = refused.requests().iter().map(|request| request.messages.len()).collect();
    assert_eq!(lengths, [1, 3, 5, 1]);
    assert!(refused.prompts()[3].contains("failed these checks:\n- Use lower case."), "{}", refused.prompts()[3]);
}

//! Whatever is done with sessions, in whatever order, providers accept what they are sent.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mellea_core::testing::{Reply, ScriptedBackend};
use mellea_core::tool::tool_fn;
use mellea_core::{ChatContext, ErrorKind, Message, Messages, Output, Role, Session, SimpleContext, ToolCall, Tools};
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// What providers refuse in a conversation.
pub(crate) fn fault(messages: &Messages) -> Option<String> {
    let mut open: Vec<&str> = Vec::new();
    let mut ids: HashSet<&str> = HashSet::new();
    for (i, message) in messages.iter().enumerate() {
        if message.role == Role::Tool {
            let id = message.tool_call_id.as_deref().unwrap_or_default();
            let Some(at) = open.iter().position(|open| *open == id) else {
                return Some(format!("message {i} answers the call {id:?}, which is not open"));
            };
            open.remove(at);
            continue;
        }
        if !open.is_empty() {
            return Some(format!("message {i} comes before the results of {open:?}"));
        }
        for call in &message.tool_calls {
            if call.id.is_empty() || !ids.insert(&call.id) {
                return Some(format!("message {i} has a call with the id {:?}, which is taken", call.id));
            }
            open.push(&call.id);
        }
    }
    (!open.is_empty()).then(|| format!("{open:?} have no results"))
}

/// Something that happens to one of several sessions.
#[derive(Clone, Debug)]
enum Step {
    Chat,
    Ask,
    /// Runs the calls of one of the answers.
    CallTools(usize),
    /// Begins a call and drops it.
    Drop,
    Fork,
    Resume,
    Add(Role),
    /// Adds a result of a call that somebody made, or nobody.
    AddResult(usize),
    /// Says a result instead of a question.
    SayResult,
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Chat),
        6 => Just(Step::Ask),
        6 => (0..4_usize).prop_map(Step::CallTools),
        2 => Just(Step::Drop),
        1 => Just(Step::Fork),
        3 => Just(Step::Resume),
        1 => Just(Step::Add(Role::User)),
        1 => Just(Step::Add(Role::System)),
        1 => Just(Step::Add(Role::Assistant)),
        2 => (0..4_usize).prop_map(Step::AddResult),
        1 => Just(Step::SayResult),
        1 => Just(Step::Reset),
    ]
}

/// A model that calls tools now and then, with ids that come again.
fn model(seed: usize) -> ScriptedBackend {
    let mut n = seed;
    ScriptedBackend::empty().answer_with(move |request| {
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = n >> 33;
        if request.tools.is_empty() || random.is_multiple_of(4) {
            return Some(Reply::text("fine"));
        }
        let calls =
            (0..random % 3 + 1).map(|i| ToolCall::with_id(format!("call_{}", (random / 7 + i) % 5), "look", json!({"n": i})));
        Some(Reply::tool_calls(calls))
    })
}

#[derive(Deserialize, JsonSchema)]
struct Look {
    #[serde(default)]
    n: usize,
}

fn tools(ran: &Arc<AtomicUsize>) -> Tools {
    let ran = Arc::clone(ran);
    Tools::new().with(tool_fn("look", "Looks.", move |Look { n }| {
        ran.fetch_add(1, Ordering::SeqCst);
        Ok::<_, mellea_core::ToolError>(format!("found {n}"))
    }))
}

async fn happen(seed: usize, policy: usize, steps: Vec<(usize, Step)>) {
    let backend = model(seed);
    let builder = Session::builder(backend.clone());
    let first = match policy {
        0 => builder.context(ChatContext::new()),
        1 => builder.context(ChatContext::new().last_turns(2)),
        2 => builder.context(ChatContext::new().token_budget(40).keep_all()),
        _ => builder.context(SimpleContext::new()),
    };
    let mut sessions = vec![first.build()];
    let ran = Arc::new(AtomicUsize::new(0));
    let tools = tools(&ran);
    let mut answers: Vec<Output<Message>> = Vec::new();
    for (which, step) in steps {
        let m = sessions[which % sessions.len()].clone();
        let given: Vec<_> = tools.iter().cloned().collect();
        match step {
            Step::Chat => drop(m.chat("What?").await.unwrap()),
            Step::Ask => answers.push(m.chat("Look.").tools(given).await.unwrap()),
            Step::CallTools(back) => {
                let Some(answer) = answers.iter().rev().nth(back) else { continue };
                let (open, calls, before) =
                    (m.context().open_calls(), answer.output().tool_calls.clone(), ran.load(Ordering::SeqCst));
                let called = m.call_tools(answer).await;
                let stateless = m.context().is_stateless();
                if calls.is_empty() || stateless || open == calls {
                    assert_eq!(called.unwrap().len(), calls.len());
                    assert!(stateless || m.call_tools(answer).await.is_err() || calls.is_empty(), "called twice");
                } else {
                    assert!(matches!(called.unwrap_err().kind(), ErrorKind::Tool { .. }));
                    assert_eq!(ran.load(Ordering::SeqCst), before, "no tool runs in vain");
                }
            }
            Step::Drop => drop(m.chat("Never mind.").tools(given).stream().await.unwrap()),
            Step::Fork => sessions.push(m.fork()),
            Step::Resume => drop(m.resume().await),
            Step::Add(role) => drop(m.add(Message::new(role, "By the way."))),
            Step::AddResult(n) => {
                let open = m.context().open_calls();
                let call = open.get(n).cloned().unwrap_or_else(|| ToolCall::with_id("call_9", "look", json!({})));
                let added = m.add(Message::tool(&call, "found elsewhere"));
                assert_eq!(added.is_ok(), open.get(n).is_some() && !m.context().is_stateless());
            }
            Step::SayResult => {
                if let [call, ..] = &*m.context().open_calls() {
                    let said = m.chat(Message::tool(call, "said")).await;
                    assert_eq!(said.is_ok(), !m.context().is_stateless());
                    let request = m.last_prompt().unwrap();
                    assert!(said.is_err() || request.messages.iter().any(|m| m.text() == "said"));
                }
            }
            Step::Reset => m.reset(),
        }
        for m in &sessions {
            assert_eq!(fault(&m.context().view()), None, "{:?}", m.context().view());
        }
    }
    for request in backend.requests() {
        assert_eq!(fault(&request.messages), None, "{:?}", request.messages);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn every_interleaving_is_a_conversation_that_providers_accept(
        seed: usize,
        policy in 0..4_usize,
        steps in prop::collection::vec((0..4_usize, step()), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(happen(seed, policy, steps));
    }
}

fn chatty(replies: impl IntoIterator<Item = Reply>) -> (ScriptedBackend, Session) {
    let backend = ScriptedBackend::new(replies);
    (backend.clone(), Session::builder(backend).context(ChatContext::new()).build())
}

fn looks(id: &str) -> Reply {
    Reply::tool_calls([ToolCall::with_id(id, "look", json!({}))])
}

#[tokio::test]
async fn calls_are_run_once_and_before_the_next_turn() {
    let ran = Arc::new(AtomicUsize::new(0));
    let given = || tools(&ran).iter().cloned().collect::<Vec<_>>();
    let (backend, m) = chatty([looks("1"), looks("1"), Reply::text("well"), Reply::text("on")]);
    let first = m.chat("Look.").tools(given()).await.unwrap();
    assert_eq!(m.context().open_calls(), first.output().tool_calls);
    m.call_tools(&first).await.unwrap();
    let twice = m.call_tools(&first).await.unwrap_err();
    assert_eq!(twice.to_string(), "tool `look`: the call `1` has its result already; run the calls of an answer once");
    assert!(twice.hint().is_some());

    let second = m.chat("Look again.").tools(given()).await.unwrap();
    let fork = m.fork();
    m.chat("Well?").await.unwrap();
    let late = m.call_tools(&second).await.unwrap_err();
    assert!(matches!(late.kind(), ErrorKind::Tool { .. }) && late.to_string().contains("went on without"), "{late}");
    let sent = &backend.requests()[2].messages;
    assert_eq!(fault(sent), None);
    assert_eq!(sent[sent.len() - 2].text(), "error: not called: the conversation went on without a result");

    fork.call_tools(&second).await.unwrap();
    let (_, other) = chatty([]);
    let foreign = other.call_tools(&second).await.unwrap_err();
    assert!(foreign.to_string().contains("not in this session's history"), "{foreign}");
    assert_eq!(ran.load(Ordering::SeqCst), 2, "the tools ran for those whose calls were open");
    fork.resume().await.unwrap();
    assert_eq!(fault(&backend.requests()[3].messages), None);
}

#[tokio::test]
async fn results_can_be_added_or_said_by_hand() {
    let (backend, m) = chatty([looks("1"), looks("2"), Reply::text("done")]);
    let ran = Arc::new(AtomicUsize::new(0));
    let given = || tools(&ran).iter().cloned().collect::<Vec<_>>();
    let first = m.chat("Look.").tools(given()).await.unwrap();
    let unknown = m.add(Message::tool(&ToolCall::with_id("7", "look", json!({})), "x")).unwrap_err();
    assert!(unknown.to_string().starts_with("tool `look`: the call `7` is not open"), "{unknown}");
    m.add(Message::tool(&first.output().tool_calls[0], "by hand")).unwrap();
    let second = m.chat("Again.").tools(given()).await.unwrap();
    m.chat(Message::tool(&second.output().tool_calls[0], "said")).await.unwrap();
    let texts: Vec<_> = backend.requests()[2].messages.iter().map(|m| m.text().into_owned()).collect();
    assert_eq!(texts, ["Look.", "", "by hand", "Again.", "", "said"]);
    assert_eq!(ran.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_simple_session_says_that_it_cannot_go_on() {
    let m = Session::new(ScriptedBackend::new(["one"]));
    m.chat("Hello").await.unwrap();
    for error in [m.resume().await.unwrap_err(), m.resume().preview().await.unwrap_err(), m.add(Message::user("x")).unwrap_err()]
    {
        assert!(matches!(error.kind(), ErrorKind::Config { .. }), "{error:?}");
        assert!(error.to_string().contains("a simple context"), "{error}");
        assert!(error.hint().unwrap().contains("ChatContext::new()"));
    }
}

#[tokio::test]
async fn a_simple_session_runs_its_tools_whatever_came_between() {
    let ran = Arc::new(AtomicUsize::new(0));
    let given = tools(&ran).iter().cloned().collect::<Vec<_>>();
    let m = Session::new(ScriptedBackend::new([looks("1"), Reply::text("other")]));
    let answer = m.chat("Look.").tools(given).await.unwrap();
    assert_eq!(m.call_tools(&answer).await.unwrap().len(), 1);
    assert_eq!(m.context().len(), 3);
    m.chat("Other.").await.unwrap();
    assert_eq!(m.call_tools(&answer).await.unwrap().len(), 1);
    assert_eq!((m.context().len(), ran.load(Ordering::SeqCst)), (2, 2));
}

#[tokio::test]
async fn of_two_who_run_the_same_calls_one_is_refused_before_a_tool_runs() {
    let ran = Arc::new(AtomicUsize::new(0));
    let given = tools(&ran).iter().cloned().collect::<Vec<_>>();
    let (_, m) = chatty([looks("1")]);
    let answer = m.chat("Look.").tools(given).await.unwrap();
    let (one, other) = tokio::join!(m.call_tools(&answer), m.call_tools(&answer));
    let refused = other.unwrap_err();
    assert!(one.is_ok() && refused.to_string().contains("is being run"), "{refused}");
    assert_eq!((ran.load(Ordering::SeqCst), m.context().len()), (1, 3));
}

#[tokio::test]
async fn calls_that_were_given_up_can_be_run_again() {
    let slow = mellea_core::tool::tool("look", "Looks.", |Look { n }| async move {
        if n == 0 {
            std::future::pending::<()>().await;
        }
        Ok::<_, mellea_core::ToolError>(n)
    });
    let (_, m) = chatty([looks("1")]);
    let answer = m.chat("Look.").tools([slow]).await.unwrap();
    for _ in 0..2 {
        let given_up = tokio::time::timeout(std::time::Duration::from_millis(5), m.call_tools(&answer)).await;
        assert!(given_up.is_err(), "the tool never ends, and nothing refuses to run it again");
    }
    assert_eq!(m.context().open_calls(), answer.output().tool_calls);
}

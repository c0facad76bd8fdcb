//! Sessions commit whole turns, once, or none.

use std::future::IntoFuture;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use mellea_core::testing::{Reply, ScriptedBackend};
use mellea_core::{ChatContext, ChatRequest, ErrorKind, Session, check};

fn echo() -> ScriptedBackend {
    ScriptedBackend::empty().answer_with(|request| Some(Reply::text(format!("re: {}", request.messages.last()?.text()))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_calls_at_once_on_a_stateless_session_all_commit() {
    let m = Session::new(echo());
    let tasks = (0..8).map(|i| tokio::spawn(m.chat(format!("question {i}")).into_future()));
    for (i, answer) in join_all(tasks).await.into_iter().enumerate() {
        assert_eq!(answer.unwrap().unwrap().text(), format!("re: question {i}"));
    }
    assert_eq!(m.context().len(), 2, "a simple context keeps the last turn alone");
}

#[tokio::test]
async fn of_two_chats_at_once_one_commits_and_one_keeps_its_answer() {
    let slow = |request: &ChatRequest| {
        Some(Reply::text(format!("re: {}", request.messages.last()?.text())).latency(Duration::from_millis(20)))
    };
    let m = Session::builder(ScriptedBackend::empty().answer_with(slow)).context(ChatContext::new()).build();
    let (one, two) = tokio::join!(m.chat("one").into_future(), m.chat("two").into_future());
    let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
    let (won, lost) = (won.unwrap(), lost.unwrap_err());
    assert!(matches!(lost.kind(), ErrorKind::Conflict), "{lost}");
    let finished = lost.partial().expect("the finished answer").text.clone();
    assert_ne!(finished, won.text());
    assert!(["re: one", "re: two"].contains(&finished.as_str()));
    let context = m.context();
    assert_eq!(context.len(), 2);
    assert_eq!(context.view()[1].text(), won.text());
}

#[tokio::test]
async fn a_failed_call_leaves_the_context_alone() {
    let backend = ScriptedBackend::new([
        Reply::text("fine"),
        Reply::cut("half", ErrorKind::StreamInterrupted),
        Reply::text("refused"),
        Reply::text("refused"),
    ]);
    let m = Session::builder(backend).context(ChatContext::new()).build();
    m.chat("one").await.unwrap();
    let before = m.context();
    m.chat("two").await.unwrap_err();
    m.instruct("three").require(check("never").validate(|_| false)).await.unwrap_err();
    assert_eq!(m.context(), before);
    assert_eq!(m.context().id(), before.id());
}

#[tokio::test]
async fn a_stream_commits_its_turn_once_even_if_it_is_not_read() {
    let m = Session::builder(echo()).context(ChatContext::new()).build();
    let mut stream = m.chat("one").stream().await.unwrap();
    stream.next().await.unwrap().unwrap();
    stream.finish().await.unwrap();
    assert_eq!(m.context().len(), 2);
}

//! A server of the test's own that is brought down, or kept busy.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use mellea_core::{Backend, ErrorKind, ModelOption, Session};
use mellea_ollama::Ollama;

use super::{ASK, MAIL, RECORD, ask, events, text, told};

/// A server over the same models; ended on drop.
struct Server {
    process: Child,
    host: String,
}

impl Server {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let mut command = Command::new(told("MELLEA_OLLAMA_PROGRAM"));
        command.arg("serve").env("OLLAMA_HOST", &host).env("OLLAMA_MODELS", told("MELLEA_OLLAMA_MODELS"));
        command.env("HOME", told("MELLEA_OLLAMA_HOME")).envs(settings.iter().copied());
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { process, host };
        let started = Instant::now();
        while server.backend().version().await.is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "the server does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server
    }

    fn backend(&self) -> Ollama {
        Ollama::builder().host(&self.host).model("pico").build().unwrap()
    }

    /// Kills the processes that hold the models.
    fn kill_runners(&self) {
        let found = Command::new("pgrep").args(["-P", &self.process.id().to_string()]).output().unwrap();
        let runners = String::from_utf8(found.stdout).unwrap();
        assert!(!runners.trim().is_empty(), "no runner was found");
        assert!(Command::new("kill").arg("-9").args(runners.split_whitespace()).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let found = Command::new("pgrep").args(["-P", &self.process.id().to_string()]).output();
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Ok(found) = found {
            let runners = String::from_utf8_lossy(&found.stdout).into_owned();
            let _ = Command::new("kill").arg("-9").args(runners.split_whitespace()).stderr(Stdio::null()).status();
        }
    }
}

/// A call that takes a while.
fn long() -> mellea_core::ChatRequest {
    let mut request = ask(MAIL);
    request.options.max_new_tokens = Some(900);
    (request.options.temperature, request.options.seed) = (Some(2.0), Some(3));
    request.options.stream = true;
    request
}

#[tokio::test]
async fn a_killed_runner_is_a_server_fault_and_the_next_call_is_answered() {
    let server = Server::start(&[]).await;
    let backend = server.backend();
    assert_eq!(text(&events(&backend, ask(ASK)).await.unwrap()), RECORD);
    let mut answer = backend.chat(long()).await.unwrap();
    assert!(answer.next().await.unwrap().is_ok());
    server.kill_runners();
    let mut failure = None;
    while let Some(event) = answer.next().await {
        failure = event.err();
    }
    let error = failure.expect("a runner that died ends the answer with an error");
    assert!(!matches!(error.kind(), ErrorKind::ContextWindowExceeded { .. }), "{error:?}");
    assert!(!error.is_answer_fault(), "{error:?}");
    drop(answer);
    assert_eq!(text(&events(&backend, ask(ASK)).await.unwrap()), RECORD, "the server starts another runner");
}

#[tokio::test]
async fn calls_that_wait_survive_a_killed_runner_or_say_that_the_server_failed() {
    let server = Server::start(&[("OLLAMA_NUM_PARALLEL", "1")]).await;
    let backend = server.backend();
    assert_eq!(text(&events(&backend, ask(ASK)).await.unwrap()), RECORD);
    let calls = join_all((0..6).map(|_| events(&backend, ask(ASK))));
    let kill = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.kill_runners();
    };
    let (answers, ()) = tokio::join!(calls, kill);
    for answer in &answers {
        match answer {
            Ok(events) => assert_eq!(text(events), RECORD),
            Err(error) => assert!(!matches!(error.kind(), ErrorKind::ContextWindowExceeded { .. }), "{error:?}"),
        }
    }
    assert!(answers.iter().any(Result::is_ok), "{answers:?}");
}

#[tokio::test]
async fn a_killed_server_is_a_transport_fault_that_keeps_the_text() {
    let mut server = Server::start(&[]).await;
    let backend = server.backend();
    let mut answer = backend.chat(long()).await.unwrap();
    assert!(answer.next().await.unwrap().is_ok());
    server.process.kill().unwrap();
    let mut failure = None;
    while let Some(event) = answer.next().await {
        failure = event.err();
    }
    let error = failure.expect("a server that died ends the answer with an error");
    assert!(error.is_retryable() && !error.is_answer_fault(), "{error:?}");
    let error = events(&backend, ask(ASK)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Connection { .. }), "{error:?}");
}

#[tokio::test]
async fn a_full_queue_is_waited_for() {
    let server = Server::start(&[("OLLAMA_NUM_PARALLEL", "1"), ("OLLAMA_MAX_QUEUE", "1")]).await;
    let session = Session::new(server.backend());
    let calls = join_all((0..6_u64).map(|seed| {
        let call = session.fork();
        async move { call.chat("Say hello.").option(ModelOption::MaxNewTokens, 20).option(ModelOption::Seed, seed).await }
    }));
    for answer in calls.await {
        answer.unwrap_or_else(|error| panic!("{error:?}"));
    }
}

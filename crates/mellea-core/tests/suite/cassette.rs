//! What is recorded can be replayed, says what was asked, and holds no secret.

use futures_util::StreamExt;
use mellea_core::testing::{Cassette, Recorder, Replayer, Reply, ScriptedBackend};
use mellea_core::{
    Backend, ChatContext, ChatRequest, Error, ErrorKind, Message, ModelOption, ModelOptions, ProviderError, RawRequest, Session,
    Usage, check,
};

const CANARY: &str = "sk-canary-2f9a77";

/// A program with a judge (whose fence is random), a stream, a failure and raw completions.
async fn program(backend: impl Backend + Clone) -> Vec<String> {
    let m = Session::builder(backend.clone()).context(ChatContext::new()).option("api_key", CANARY).build();
    let mut said = Vec::new();
    said.push(m.instruct("Write to Alice.").require("It is short.").await.unwrap().to_string());
    let mut stream = m.chat("And now?").stream().await.unwrap();
    while let Some(piece) = stream.next().await {
        said.push(piece.unwrap().into_text());
    }
    drop(stream);
    let error = m.chat("Too much?").await.unwrap_err();
    said.push(format!("{error} {:?} {:?}", error.status(), error.retry_after()));
    for result in backend.complete(vec![RawRequest::new("one"), RawRequest::new("two")]).await {
        said.push(result.map_or_else(|error| error.to_string(), |output| output.text));
    }
    said
}

fn scripted() -> ScriptedBackend {
    let mut busy = ProviderError::new("slow down");
    (busy.status, busy.retry_after) = (Some(429), Some(std::time::Duration::from_secs(2)));
    ScriptedBackend::new([
        Reply::text("Dear Alice"),
        Reply::text(r#"{"reason": "two words", "verdict": "yes"}"#),
        Reply::text("one two three").chunks(4).usage(Usage::new(7, 3)).thinking("hm"),
        Reply::refuse(Error::from(ErrorKind::Provider(busy)).at("scripted", "script")),
        Reply::text("completed one"),
        Reply::refuse(ErrorKind::Busy("full".into())),
    ])
    .default_options(ModelOptions::new().with(ModelOption::Temperature, 0.5).with("token", CANARY))
}

#[tokio::test]
async fn a_program_runs_the_same_on_its_recording() {
    let recorder = Recorder::new(scripted());
    let live = program(recorder.clone()).await;
    let cassette = recorder.cassette().unwrap();
    assert_eq!(cassette.len(), 6);
    let replayer = Replayer::new(cassette);
    assert_eq!(program(replayer.clone()).await, live);
    replayer.assert_all_consumed();
    assert!(!replayer.is_real());
}

#[tokio::test]
async fn recording_twice_gives_the_same_bytes() {
    let record = || async {
        let recorder = Recorder::new(scripted());
        program(recorder.clone()).await;
        recorder.cassette().unwrap().to_json().unwrap()
    };
    let (one, two) = (record().await, record().await);
    assert_eq!(one, two);
    assert!(!one.contains("canary"), "{one}");
    assert_eq!(Cassette::from_json(&one).unwrap().to_json().unwrap(), one);
}

#[tokio::test]
async fn a_cassette_is_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cassettes/first.json");
    let recorder = Recorder::new(ScriptedBackend::new(["Paris"]));
    Session::new(recorder.clone()).instruct("The capital?").await.unwrap();
    recorder.save(&path).unwrap();
    let m = Session::new(Replayer::load(&path).unwrap());
    assert_eq!(*m.instruct("The capital?").await.unwrap(), "Paris");
}

#[tokio::test]
async fn a_request_that_was_not_recorded_is_shown_against_the_nearest() {
    let recorder = Recorder::new(ScriptedBackend::new(["hello"]));
    Session::new(recorder.clone()).chat("Say hello to Alice.").await.unwrap();
    let replayer = Replayer::new(recorder.cassette().unwrap());
    let m = Session::new(replayer.clone());
    let error = m.chat("Say hello to Bob.").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Testing(_)), "{error}");
    assert!(error.to_string().contains("recorded \"Say hello to Alice.\", now \"Say hello to Bob.\""), "{error}");
    assert!(replayer.all_consumed().unwrap_err().contains("Say hello to Alice."));
    m.chat("Say hello to Alice.").await.unwrap();
    let error = m.chat("Say hello to Alice.").await.unwrap_err();
    assert!(error.to_string().contains("recorded 1 times"), "{error}");
}

#[tokio::test]
async fn equal_requests_get_their_answers_in_order() {
    let recorder = Recorder::new(ScriptedBackend::new(["one", "two"]));
    let ask = |m: Session| async move { m.chat("Again?").await.unwrap().text().into_owned() };
    let m = Session::new(recorder.clone());
    ask(m.clone()).await;
    ask(m).await;
    let m = Session::new(Replayer::new(recorder.cassette().unwrap()));
    assert_eq!((ask(m.clone()).await, ask(m).await), ("one".to_owned(), "two".to_owned()));
}

#[tokio::test]
async fn a_stream_that_broke_breaks_again_at_the_same_place() {
    let recorder = Recorder::new(ScriptedBackend::new([Reply::cut("half an", ErrorKind::StreamInterrupted)]));
    let ask = |m: Session| async move { m.chat("Tell me.").await.unwrap_err() };
    let live = ask(Session::new(recorder.clone())).await;
    let again = ask(Session::new(Replayer::new(recorder.cassette().unwrap()))).await;
    assert_eq!(again.to_string(), live.to_string());
    assert_eq!(again.partial().unwrap().text, "half an");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_given_up_never_ends() {
    let recorder = Recorder::new(ScriptedBackend::new([Reply::stall("so far")]));
    let ask = |m: Session| async move { m.chat("Tell me.").await.unwrap_err() };
    let live = ask(Session::new(recorder.clone())).await;
    let again = ask(Session::new(Replayer::new(recorder.cassette().unwrap()))).await;
    assert!(live.is_timeout() && again.is_timeout());
    assert_eq!(again.partial().unwrap().text, "so far");
}

#[tokio::test]
async fn secrets_in_pieces_and_given_ones_are_taken_out() {
    let reply = Reply::text(format!("the key is {CANARY}, Alice"))
        .chunks(2)
        .event_before_finish(mellea_core::Event::Raw(serde_json::json!({"headers": {"authorization": "canary"}})));
    let recorder = Recorder::new(ScriptedBackend::new([reply])).redact("Alice");
    let request = ChatRequest::new(vec![Message::user(format!("Alice has Bearer {CANARY}"))]);
    recorder.chat(request.clone()).await.unwrap().collect::<Vec<_>>().await;
    let cassette = recorder.cassette().unwrap();
    let text = cassette.to_json().unwrap();
    assert!(!text.contains("canary") && !text.contains("Alice"), "{text}");
    assert!(text.contains("the key is [redacted], [redacted]"), "{text}");

    let plain = Replayer::new(cassette.clone()).chat(request.clone()).await;
    assert!(plain.unwrap_err().to_string().contains("not recorded"), "the replayer was not told what to take out");
    assert!(Replayer::new(cassette).redact("Alice").chat(request).await.is_ok());
}

#[tokio::test]
async fn checks_run_again_on_the_recording() {
    let recorder = Recorder::new(ScriptedBackend::new(["LOUD", "quiet"]));
    let ask = |m: Session| async move {
        let quiet = check("Lower case only.").validate(|text| text == text.to_lowercase());
        m.instruct("Speak.").require(quiet).await.unwrap().attempts().len()
    };
    assert_eq!(ask(Session::new(recorder.clone())).await, 2);
    assert_eq!(ask(Session::new(Replayer::new(recorder.cassette().unwrap()))).await, 2);
}

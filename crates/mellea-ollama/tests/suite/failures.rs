//! What goes wrong, and what the error says about it.

use std::time::Duration;

use futures_util::future::join_all;
use mellea_core::{ErrorKind, ModelOption, ModelOptions, RequestOptions, Session, TimeoutPhase};
use mellea_http::testing::{Gate, Reply, Server, Step, unused_address};
use mellea_http::{Retry, Timeouts};
use mellea_ollama::Ollama;
use serde_json::json;

use crate::{MODEL, answer, backend, builder, end, events, hi, piece, refusal, text};

async fn refused(status: u16, message: &str) -> mellea_core::Error {
    let server = Server::start().await.unwrap();
    server.on("POST /api/chat").reply(Reply::json(status, &json!({"error": message})));
    refusal(&backend(&server), hi()).await
}

#[tokio::test]
async fn nothing_listening_says_how_to_start_it_and_where_it_was_looked_for() {
    let address = unused_address().unwrap();
    let backend = Ollama::builder().model(MODEL).host(address.url()).retry(Retry::never()).build().unwrap();
    for error in [
        refusal(&backend, hi()).await,
        backend.models().await.unwrap_err(),
        backend.show().await.unwrap_err(),
        backend.pull().await.unwrap_err(),
        Ollama::builder().model(MODEL).host(address.url()).retry(Retry::never()).connect().await.unwrap_err(),
    ] {
        assert!(matches!(error.kind(), ErrorKind::Connection { .. }), "{error:?}");
        let hint = error.hint().unwrap();
        assert!(hint.contains("ollama serve") && hint.contains(&address.url()) && hint.contains("OLLAMA_HOST"), "{error}");
        assert_eq!((error.provider(), error.model()), (Some("ollama"), Some(MODEL)));
    }
}

#[tokio::test]
async fn a_missing_model_says_how_to_get_it() {
    for message in ["model 'granite4.1:3b' not found", "model \"granite4.1:3b\" not found, try pulling it first"] {
        let error = refused(404, message).await;
        assert!(matches!(error.kind(), ErrorKind::ModelNotFound(name) if name == MODEL), "{error:?}");
        assert!(error.hint().unwrap().contains("`ollama pull granite4.1:3b`"), "{error}");
    }
    let elsewhere = refused(404, "404 page not found").await;
    assert!(matches!(elsewhere.kind(), ErrorKind::Provider(_)), "{elsewhere:?}");
}

#[tokio::test]
async fn what_a_model_cannot_do_is_unsupported() {
    for what in ["chat", "thinking", "tools"] {
        let error = refused(400, &format!("\"registry.ollama.ai/library/x:latest\" does not support {what}")).await;
        assert!(matches!(error.kind(), ErrorKind::Unsupported { feature, .. } if feature == what), "{error:?}");
        assert_eq!(error.status(), Some(400));
        assert!(error.hint().unwrap().contains("ollama show"), "{error}");
    }
}

#[tokio::test]
async fn statuses_become_kinds() {
    let provider = |error: &mellea_core::Error| matches!(error.kind(), ErrorKind::Provider(_));
    let error = refused(400, "option \"num_ctx\" must be of type integer").await;
    assert!(provider(&error) && !error.is_retryable() && error.to_string().contains("num_ctx"), "{error}");
    let error = refused(503, "server busy, please try again.  maximum pending requests exceeded").await;
    assert!(provider(&error) && error.is_retryable() && error.hint().unwrap().contains("OLLAMA_MAX_QUEUE"), "{error}");
    let error = refused(500, "model requires more system memory (10.1 GiB) than is available (3.5 GiB)").await;
    assert!(provider(&error) && error.hint().unwrap().contains("smaller"), "{error}");
    let error = refused(400, "request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it").await;
    let ErrorKind::ContextWindowExceeded { prompt, limit } = error.kind() else { panic!("{error:?}") };
    assert_eq!((*prompt, *limit), (Some(9000), Some(8192)));
    assert!(error.hint().unwrap().contains("context_window"), "{error}");
}

#[tokio::test]
async fn a_prompt_that_is_too_long_is_known_by_its_words() {
    for message in [
        "the prompt is longer than the context length currently available to the model; shorten the prompt, adjust the context \
         length in settings, or use a model with a longer context length",
        "the input length exceeds the context length",
        "exceed_context_size_error: prompt is too long",
    ] {
        let error = refused(400, message).await;
        assert!(matches!(error.kind(), ErrorKind::ContextWindowExceeded { prompt: None, limit: None }), "{error:?}");
        assert!(error.hint().unwrap().contains("context_window") && error.status() == Some(400), "{error}");
    }
}

#[tokio::test]
async fn signing_in_is_explained() {
    let server = Server::start().await.unwrap();
    let said = json!({"error": "unauthorized", "signin_url": "https://ollama.com/connect?name=box"});
    server.on("POST /api/chat").reply(Reply::json(401, &said)).reply(Reply::json(401, &json!({"error": "unauthorized"})));
    let error = refusal(&backend(&server), hi()).await;
    assert_eq!(error.status(), Some(401));
    let hint = error.hint().unwrap();
    assert!(hint.contains("`ollama signin`") && hint.contains("https://ollama.com/connect?name=box"), "{error}");
    let error = refusal(&backend(&server), hi()).await;
    assert!(error.hint().unwrap().contains("OLLAMA_API_KEY"), "{error}");
}

#[tokio::test]
async fn a_busy_server_is_asked_again_but_not_for_ever() {
    let server = Server::start().await.unwrap();
    server.on("POST /api/chat").reply(Reply::status(503)).reply(answer(&["Hello"])).reply(Reply::status(503));
    let retry = Retry::new().waits(Duration::ZERO, Duration::ZERO);
    let backend = builder(&server).retry(retry).build().unwrap();
    assert_eq!(text(&events(&backend, hi()).await), "Hello");
    assert_eq!(server.count(), 2);
    assert_eq!(refusal(&backend, hi()).await.status(), Some(503));
    assert_eq!(server.count(), 5);
}

#[tokio::test]
async fn no_key_is_shown_in_any_error() {
    let server = Server::start().await.unwrap();
    server.on("POST /api/chat").reply(Reply::json(500, &json!({"error": "the key not-a-key is bad"})));
    let error = refusal(&backend(&server), hi()).await;
    assert!(!format!("{error} {error:?} {error:#?}").contains("not-a-key"), "{error:?}");
}

fn silent(limit: Duration) -> RequestOptions {
    let set = ModelOptions::new().with(ModelOption::StreamTimeout, limit);
    ModelOptions::resolve([&set], &[]).unwrap().options
}

/// Long enough for a busy machine to be asked what it does within the last quarter.
const SHORT: Duration = Duration::from_millis(1200);

/// A server that never answers a chat, and says this of what it runs.
async fn mute(running: Reply) -> Server {
    let server = Server::start().await.unwrap();
    server.on("POST /api/chat").reply(Reply::status(200).hang());
    server.on("GET /api/ps").reply(running);
    server
}

#[tokio::test]
async fn a_model_that_is_loading_is_told_from_a_server_that_has_stalled() {
    let model = |length: u64| json!({"models": [{"name": MODEL, "model": MODEL, "size": 1, "context_length": length}]});
    let cases = [
        (Reply::json(200, &json!({"models": []})), "still being loaded"),
        (Reply::json(200, &json!({"models": [{"name": "other:1b", "context_length": 9}]})), "still being loaded"),
        (Reply::json(200, &model(0)), "still being loaded"),
        (Reply::json(200, &model(8192)), "has stalled"),
        (Reply::status(200).hang(), "answers nothing at all"),
        (Reply::status(500), "answers nothing at all"),
    ];
    let check = async |(running, word): (Reply, &str)| {
        let server = mute(running).await;
        let error = refusal(&backend(&server), hi().options(silent(SHORT))).await;
        let ErrorKind::Timeout { phase: TimeoutPhase::FirstToken, limit } = error.kind() else { panic!("{error:?}") };
        assert_eq!(*limit, SHORT);
        assert!(error.hint().unwrap().contains(word), "{word}: {error}");
        assert_eq!(server.requests().iter().filter(|r| r.path == "/api/ps").count(), 1);
        assert!(server.wait_until(|s| s.in_flight() == 0, Duration::from_secs(10)).await, "the call is given up");
    };
    join_all(cases.map(check)).await;
}

#[tokio::test]
async fn a_session_hears_why_a_server_is_silent() {
    let server = mute(Reply::json(200, &json!({"models": []}))).await;
    let session = Session::new(backend(&server));
    let error = session.chat("hi").option(ModelOption::StreamTimeout, SHORT).await.unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("still being loaded"), "{error}");
}

#[tokio::test]
async fn the_backends_own_limit_counts_as_well() {
    let server = mute(Reply::json(200, &json!({"models": []}))).await;
    let backend = builder(&server).timeouts(Timeouts::new().first_byte(SHORT)).build().unwrap();
    let error = refusal(&backend, hi()).await;
    assert!(error.is_timeout() && error.to_string().contains("still being loaded"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_asked_what_it_does_may_still_answer_in_time() {
    let server = Server::start().await.unwrap();
    let gate = Gate::new();
    let held = [Step::Gate(gate.clone()), Step::send(format!("{}\n{}\n", piece("Hello"), end()))];
    server.on("POST /api/chat").reply(Reply::stream("application/x-ndjson", held));
    server.handle(move |_| {
        gate.open();
        Reply::json(200, &json!({"models": []}))
    });
    let slow = builder(&server).timeouts(Timeouts::new().first_byte(2 * SHORT)).build().unwrap();
    assert_eq!(text(&events(&slow, hi()).await), "Hello");
    assert_eq!(server.requests().last().unwrap().path, "/api/ps");
}

#[tokio::test]
async fn silence_within_an_answer_keeps_its_text() {
    let server = Server::start().await.unwrap();
    let steps = [Step::send(format!("{}\n", piece("One "))), Step::Hang];
    server.on("POST /api/chat").reply(Reply::stream("application/x-ndjson", steps));
    let (events, error) = crate::ask(&backend(&server), hi().options(silent(SHORT))).await;
    assert_eq!(text(&events), "One ");
    let error = error.unwrap();
    assert!(matches!(error.kind(), ErrorKind::Timeout { phase: TimeoutPhase::NextToken, .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("StreamTimeout"), "{error}");
}

#[tokio::test]
async fn a_whole_call_can_be_limited() {
    let server = mute(Reply::json(200, &json!({"models": []}))).await;
    let mut request = hi();
    request.options.extra.insert("timeout".to_owned(), json!(0.05));
    let error = refusal(&backend(&server), request).await;
    assert!(matches!(error.kind(), ErrorKind::Timeout { phase: TimeoutPhase::Total, .. }), "{error:?}");
}

#[tokio::test]
async fn without_a_limit_there_is_none() {
    let server = Server::start().await.unwrap();
    server.on("POST /api/chat").reply(answer(&["Hello"]));
    for limit in [None, Some(Duration::MAX)] {
        let mut request = hi();
        request.options.stream_timeout = limit;
        assert_eq!(text(&events(&backend(&server), request).await), "Hello");
    }
}

#[tokio::test]
async fn a_schema_that_the_server_refuses_is_sent_once_more_in_a_simpler_form() {
    let refusal = |status, said: &str| Reply::json(status, &json!({ "error": said }));
    for first in [
        refusal(500, "invalid JSON schema in format"),
        refusal(
            400,
            r#"{"error":{"code":400,"message":"Failed to initialize samplers: failed to parse grammar","type":"invalid_request_error"}}"#,
        ),
    ] {
        let server = Server::start().await.unwrap();
        server.on("POST /api/chat").replies([first, answer(&["{}"]), answer(&["{}"])]);
        let backend = backend(&server);
        let schema = json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "^a+$"}}});
        let request = || hi().format(mellea_core::Format::JsonSchema(mellea_core::Schema::from_value(schema.clone()).unwrap()));
        let first = events(&backend, request()).await;
        assert!(matches!(first[0], mellea_core::Event::Warning(mellea_core::Warning::Unconstrained { .. })), "{first:?}");
        events(&backend, request()).await;
        let sent: Vec<bool> = server.requests().iter().map(|r| r.json()["format"].to_string().contains("pattern")).collect();
        assert_eq!(sent, [true, false, false], "it is remembered");
    }
}

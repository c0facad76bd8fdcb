//! Vertex AI: addresses, tokens, and the two forms behind them.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use mellea_core::testing::conformance::Fixture;
use mellea_core::{Backend as _, ErrorKind, backend_conformance};
use mellea_http::Secret;
use mellea_http::testing::{Recorded, Reply, Server};
use serde_json::json;

use super::super::testing::*;
use super::super::{anthropic, gemini};
use super::*;

/// Gives `token-0` until it is to be forgotten, then `token-1`, and so on.
#[derive(Debug, Default)]
struct Stub(AtomicUsize);

#[async_trait]
impl TokenSource for Stub {
    async fn token(&self) -> Result<Secret> {
        Ok(format!("{CANARY}-{}", self.0.load(Ordering::SeqCst)).into())
    }

    async fn forget(&self) -> bool {
        self.0.fetch_add(1, Ordering::SeqCst);
        true
    }
}

fn env(name: &str) -> Option<String> {
    match name {
        "GOOGLE_CLOUD_PROJECT" => Some("my-project".to_owned()),
        "VERTEXAI_LOCATION" => Some("europe-west4".to_owned()),
        _ => None,
    }
}

fn build(settings: Settings) -> Result<Arc<dyn Backend>> {
    backend_in(settings, &env, Arc::new(Stub::default()))
}

fn service(request: &Recorded) -> Reply {
    assert!(request.header("authorization").unwrap().starts_with("Bearer "));
    if request.path.contains("/publishers/google/") {
        return gemini::tests::service(request);
    }
    let sent = request.json();
    assert_eq!((&sent["anthropic_version"], sent.get("model")), (&json!("vertex-2023-10-16"), None));
    assert_eq!(request.path.ends_with(":streamRawPredict"), sent["stream"] == true);
    anthropic::tests::service::service(request)
}

async fn simulated(model: &str) -> Fixture {
    fixture(service, build, "vertex_ai", model).await
}

backend_conformance!(of_gemini, simulated("gemini-2.5-pro"));
backend_conformance!(of_claude, simulated("claude-opus-4-5@20251101"));

#[tokio::test]
async fn models_have_their_addresses() {
    let server = Server::start().await.unwrap();
    server.handle(service);
    for (model, stream) in [
        ("gemini-2.5-pro", true),
        ("google/gemini-2.5-pro", false),
        ("claude-opus-4-5@20251101", true),
        ("anthropic/claude-opus-4-5", false),
    ] {
        let backend = build(settings("vertex_ai", model, &server.url())).unwrap();
        assert_eq!(backend.model(), model);
        events(&*backend, with_options("hi", |o| o.stream = stream)).await.unwrap();
    }
    let paths: Vec<_> = server.requests().iter().map(|request| request.path.clone()).collect();
    let start = "projects/my-project/locations/europe-west4/publishers";
    assert_eq!(
        paths,
        [
            format!("/v1beta1/{start}/google/models/gemini-2.5-pro:streamGenerateContent"),
            format!("/v1beta1/{start}/google/models/gemini-2.5-pro:generateContent"),
            format!("/v1/{start}/anthropic/models/claude-opus-4-5@20251101:streamRawPredict"),
            format!("/v1/{start}/anthropic/models/claude-opus-4-5:rawPredict"),
        ]
    );
}

#[test]
fn a_claude_that_takes_either_gets_the_temperature() {
    let (provider, model) = ("vertex_ai".to_owned(), "claude-sonnet-4-5@20250929".to_owned());
    let wire = Messages { provider, model, version: VERTEX_VERSION.to_owned(), host: Host::Vertex("path".to_owned()) };
    let mut request = with_options("hi", |o| o.temperature = Some(0.2));
    request.options.extra.insert("top_p".to_owned(), 0.9.into());
    let (sent, warnings) = body(&wire, &request);
    assert_eq!((&sent["temperature"], sent.get("top_p"), &sent["max_tokens"]), (&json!(0.2), None, &json!(64_000)));
    assert!(warnings.iter().any(|warning| warning.contains("top_p")), "{warnings:?}");
}

#[test]
fn locations_have_their_hosts() {
    for (region, host) in [
        (None, "https://europe-west4-aiplatform.googleapis.com/"),
        (Some("us-east5"), "https://us-east5-aiplatform.googleapis.com/"),
        (Some("global"), "https://aiplatform.googleapis.com/"),
        (Some("eu"), "https://aiplatform.eu.rep.googleapis.com/"),
    ] {
        let mut settings = Settings::new("vertex_ai", "gemini-2.5-pro");
        settings.region = region.map(str::to_owned);
        let shown = format!("{:?}", build(settings).unwrap());
        assert!(shown.contains(host), "{shown}");
    }
    let mut settings = Settings::new("vertex_ai", "gemini-2.5-pro");
    settings.region = Some("evil.example/x?".to_owned());
    assert!(matches!(build(settings).unwrap_err().kind(), ErrorKind::Config { .. }));
}

#[test]
fn what_is_missing_is_named() {
    let none = |_: &str| None;
    let error = backend_in(Settings::new("vertex_ai", "gemini-2.5-pro"), &none, Arc::new(Stub::default())).unwrap_err();
    assert!(error.hint().unwrap().contains("VERTEXAI_PROJECT"), "{error:?}");
}

#[tokio::test]
async fn other_publishers_speak_openais_wire() {
    let server = Server::start().await.unwrap();
    server.handle(|_| Reply::json(200, &json!({"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]})));
    for model in ["meta/llama-3.3-70b-instruct-maas", "1234567890"] {
        let backend = build(settings("vertex_ai", model, &server.url())).unwrap();
        assert_eq!((backend.provider(), backend.model()), ("vertex_ai", model));
        assert_eq!(text(&events(&*backend, with_options("hi", |o| o.max_new_tokens = Some(9))).await.unwrap()), "a");
    }
    let requests = server.requests();
    let start = "/v1/projects/my-project/locations/europe-west4/endpoints";
    assert_eq!(requests[0].path, format!("{start}/openapi/chat/completions"));
    assert_eq!(requests[1].path, format!("{start}/1234567890/chat/completions"));
    assert_eq!(requests[0].json()["model"], "meta/llama-3.3-70b-instruct-maas");
    assert_eq!(requests[0].header("authorization"), Some(format!("Bearer {CANARY}-0").as_str()));
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let server = Server::start().await.unwrap();
    let wrong = Reply::json(401, &json!({"error": {"code": 401, "message": "invalid", "status": "UNAUTHENTICATED"}}));
    let good = Reply::json(200, &json!({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]}));
    server.on("/v1beta1/projects/my-project/locations/europe-west4/publishers/google/models/m:generateContent").replies([
        wrong.clone(),
        good,
        wrong,
    ]);
    let backend = build(settings("vertex_ai", "m", &server.url())).unwrap();
    assert_eq!(text(&events(&*backend, ask("hi")).await.unwrap()), "a");
    let error = events(&*backend, ask("hi")).await.unwrap_err();
    assert_eq!(error.status(), Some(401));
    let tokens: Vec<_> =
        server.requests().iter().map(|r| r.header("authorization").unwrap().rsplit('-').next().unwrap().to_owned()).collect();
    assert_eq!(tokens, ["0", "1", "1", "2"]);
}

#[tokio::test]
async fn a_given_token_is_sent_as_it_is() {
    let server = Server::start().await.unwrap();
    server.handle(service);
    let mut settings = settings("vertex_ai", "gemini-2.5-pro", &server.url());
    settings.project = Some("p".to_owned());
    let backend = backend(settings).unwrap();
    events(&*backend, ask("hi")).await.unwrap();
    assert_eq!(server.requests()[0].header("authorization"), Some(format!("Bearer {CANARY}").as_str()));
    assert!(!format!("{backend:?}").contains(CANARY));
}

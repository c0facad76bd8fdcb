//! What a server has, runs and gets.

use std::sync::{Arc, Mutex};

use mellea_core::{Backend, ErrorKind, Image, Message, ModelOption, ToolSpec};
use mellea_http::testing::{Reply, Server};
use mellea_ollama::{Ollama, OllamaBuilder, Pull, PullProgress};
use serde_json::{Value, json};

use crate::{MODEL, answer, backend, body, builder, events, hi, refusal};

fn info() -> Value {
    json!({"capabilities": ["completion"], "parameters": "", "template": "{{ .Prompt }}",
        "model_info": {"general.architecture": "granite", "granite.context_length": 131_072}})
}

fn absent() -> Reply {
    Reply::json(404, &json!({"error": format!("model '{MODEL}' not found")}))
}

async fn server(shows: impl IntoIterator<Item = Reply>) -> Server {
    let server = Server::start().await.unwrap();
    server.on("GET /api/version").reply(Reply::json(200, &json!({"version": "0.12.6"})));
    server.on("POST /api/show").replies(shows);
    server.on("POST /api/chat").reply(answer(&["Hello"]));
    server.on("POST /api/pull").reply(Reply::ndjson([
        json!({"status": "pulling manifest"}),
        json!({"status": "pulling aaa", "digest": "sha256:aaa", "total": 100, "completed": 40}),
        json!({"status": "pulling aaa", "digest": "sha256:aaa", "total": 100, "completed": 100}),
        json!({"status": "pulling bbb", "digest": "sha256:bbb", "total": 50}),
        json!({"status": "verifying sha256 digest"}),
        json!({"status": "writing manifest"}),
        json!({"status": "success"}),
    ]));
    server
}

fn paths(server: &Server) -> Vec<String> {
    server.requests().iter().map(|request| request.path.clone()).collect()
}

#[tokio::test]
async fn a_model_that_is_there_is_not_pulled() {
    for pull in [Pull::Never, Pull::IfMissing] {
        let server = server([Reply::json(200, &info())]).await;
        let backend = builder(&server).pull(pull).connect().await.unwrap();
        assert_eq!(paths(&server), ["/api/version", "/api/show"]);
        events(&backend, hi()).await;
    }
}

#[tokio::test]
async fn a_missing_model_is_pulled_and_progress_is_told() {
    let server = server([absent(), Reply::json(200, &info())]).await;
    let told: Arc<Mutex<Vec<PullProgress>>> = Arc::default();
    let listener = Arc::clone(&told);
    let listen = move |progress: &PullProgress| listener.lock().unwrap().push(progress.clone());
    let backend = builder(&server).progress_bar().on_progress(listen).connect().await.unwrap();
    assert_eq!(paths(&server), ["/api/version", "/api/show", "/api/pull", "/api/show"]);
    let pull = &server.requests()[2];
    assert_eq!(pull.json(), json!({"model": MODEL, "stream": true}));
    assert!(server.requests().iter().all(|r| r.header("authorization") == Some("Bearer not-a-key")));
    let told = told.lock().unwrap();
    let sums: Vec<(u64, u64)> = told.iter().map(|progress| (progress.completed, progress.total)).collect();
    assert_eq!(sums, [(0, 0), (40, 100), (100, 100), (100, 150), (100, 150), (100, 150), (100, 150)]);
    assert_eq!((told[1].digest.as_deref(), told[6].status.as_str()), (Some("sha256:aaa"), "success"));
    assert_eq!((told[0].fraction(), told[1].fraction()), (None, Some(0.4)));
    assert_eq!(backend.context_window(), Some(8192));
}

#[tokio::test]
async fn the_policy_decides() {
    let server = server([absent()]).await;
    let error = builder(&server).pull(Pull::Never).connect().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ModelNotFound(_)) && error.to_string().contains("ollama pull"), "{error}");
    assert_eq!(paths(&server), ["/api/version", "/api/show"]);
    // Without `connect` nothing is looked at, and chats go on.
    events(&builder(&server).pull(Pull::Never).build().unwrap(), hi()).await;
    let server = self::server([Reply::json(200, &info())]).await;
    builder(&server).pull(Pull::Always).connect().await.unwrap();
    assert_eq!(paths(&server), ["/api/version", "/api/pull", "/api/show"]);
}

#[tokio::test]
async fn a_pull_that_does_not_succeed_is_an_error() {
    let pull = async |reply: Reply| {
        let server = Server::start().await.unwrap();
        server.on("POST /api/pull").reply(reply);
        backend(&server).pull().await.unwrap_err()
    };
    let start = json!({"status": "pulling manifest"});
    let missing = json!({"error": "pull model manifest: file does not exist"});
    for reply in [Reply::ndjson([start.clone(), missing.clone()]), Reply::json(500, &missing)] {
        let error = pull(reply).await;
        assert!(matches!(error.kind(), ErrorKind::ModelNotFound(name) if name == MODEL), "{error:?}");
        assert!(error.response().unwrap().message.contains("file does not exist") && error.to_string().contains("library"));
    }
    let error = pull(Reply::ndjson([start.clone(), json!({"error": "max retries exceeded: EOF"})])).await;
    assert!(matches!(error.kind(), ErrorKind::Provider(said) if said.message.contains("max retries exceeded")), "{error:?}");
    for reply in [Reply::ndjson([start]), Reply::ndjson([] as [Value; 0])] {
        let error = pull(reply).await;
        assert!(
            matches!(error.kind(), ErrorKind::StreamInterrupted) && error.hint().unwrap().contains("ollama pull"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn dropping_a_pull_stops_it() {
    use mellea_http::testing::Step;
    let server = Server::start().await.unwrap();
    let steps = [Step::send("{\"status\":\"pulling manifest\"}\n"), Step::Hang];
    server.on("POST /api/pull").reply(Reply::stream("application/x-ndjson", steps));
    let backend = backend(&server);
    let pull = tokio::spawn(async move { backend.pull().await });
    let soon = std::time::Duration::from_secs(10);
    assert!(server.wait_until(|server| server.in_flight() == 1, soon).await);
    pull.abort();
    assert!(server.wait_until(|server| server.in_flight() == 0, soon).await);
}

#[tokio::test]
async fn models_are_listed() {
    let server = Server::start().await.unwrap();
    server.on("GET /api/tags").reply(Reply::json(
        200,
        &json!({"models": [{"name": "llama3.2:1b", "model": "llama3.2:1b", "size": 7, "digest": "d", "modified_at": "2026-01-01T00:00:00Z",
            "details": {"family": "llama"}}, {"name": "x"}, 7]}),
    ));
    server.on("GET /api/ps").reply(Reply::json(
        200,
        &json!({"models": [{"name": "llama3.2:1b", "size": 9, "size_vram": 8, "context_length": 4096, "expires_at": "soon"}]}),
    ));
    server.on("GET /api/version").reply(Reply::json(200, &json!({"version": "0.12.6"}))).reply(Reply::json(200, &json!({})));
    let backend = backend(&server);
    let models = backend.models().await.unwrap();
    assert_eq!((models[0].name.as_str(), models[0].size, models[1].size, models.len()), ("llama3.2:1b", Some(7), None, 2));
    let running = backend.running().await.unwrap();
    assert_eq!((running[0].size_vram, running[0].context_length), (Some(8), Some(4096)));
    assert_eq!(backend.version().await.unwrap(), "0.12.6");
    let error = backend.version().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::MalformedResponse { .. }) && error.to_string().contains(&server.url()), "{error}");
}

#[tokio::test]
async fn something_else_at_the_address_is_named() {
    let server = Server::start().await.unwrap();
    server.on("/api/version").reply(Reply::text(200, "<html><title>Hello</title></html>", "text/html"));
    let error = builder(&server).connect().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::MalformedResponse { .. }), "{error}");
    let server = Server::start().await.unwrap();
    server.on("/api/version").reply(Reply::json(200, &json!({"version": "0.3.14"})));
    let error = builder(&server).connect().await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Config { reason, .. } if reason.contains("0.3.14"))
            && error.to_string().contains("0.5"),
        "{error}"
    );
}

#[tokio::test]
async fn a_failing_server_is_an_error_of_its_own() {
    let server = Server::start().await.unwrap();
    server.on("GET /api/ps").reply(Reply::json(500, &json!({"error": "no"})));
    assert_eq!(backend(&server).running().await.unwrap_err().status(), Some(500));
}

/// The window that a backend has, and the `num_ctx` that it sends.
async fn window(info: Value, set: impl FnOnce(OllamaBuilder) -> OllamaBuilder) -> (Option<u64>, Value) {
    let server = server([Reply::json(200, &info)]).await;
    let backend: Ollama = set(builder(&server)).connect().await.unwrap();
    events(&backend, hi()).await;
    assert_eq!(backend.capabilities().context_window, backend.context_window());
    (backend.context_window(), body(&server)["options"]["num_ctx"].clone())
}

#[tokio::test]
async fn the_window_is_chosen_once() {
    let small = json!({"model_info": {"x.context_length": 2048}});
    let file = json!({"model_info": {"x.context_length": 131_072}, "parameters": "num_ctx 32768"});
    assert_eq!(window(info(), |b| b).await, (Some(8192), json!(8192)));
    assert_eq!(window(small.clone(), |b| b).await, (Some(2048), json!(2048)));
    assert_eq!(window(file.clone(), |b| b).await, (Some(32_768), json!(32_768)));
    assert_eq!(window(file, |b| b.context_window(100)).await, (Some(100), json!(100)));
    assert_eq!(window(json!({}), |b| b).await, (None, Value::Null));
    let server = server([]).await;
    let backend = builder(&server).context_window(100).build().unwrap();
    let mut request = hi();
    request.options.context_window = Some(7);
    events(&backend, request).await;
    assert_eq!(body(&server)["options"]["num_ctx"], 7, "a call may say otherwise");
    assert!(backend.default_options().get(ModelOption::ContextWindow).is_none());
}

#[tokio::test]
async fn what_a_model_is_known_not_to_do_is_refused_before_it_is_sent() {
    let server = server([Reply::json(200, &info())]).await;
    let backend = builder(&server).connect().await.unwrap();
    assert!(!backend.capabilities().tools && !backend.capabilities().images);
    let pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=";
    let image = Message::user("Look.").content(Image::from_base64(pixel).unwrap());
    let mut thinking = hi();
    thinking.options.thinking = Some(mellea_core::Thinking::On);
    for (request, word) in [
        (hi().tools(vec![ToolSpec::without_parameters("now", "Tells the time.")]), "cannot call tools"),
        (mellea_core::ChatRequest::new(vec![image]), "cannot see images"),
        (thinking, "cannot think"),
    ] {
        let error = refusal(&backend, request).await;
        assert!(matches!(error.kind(), ErrorKind::Unsupported { reason, .. } if reason.contains(word)), "{error}");
        assert!(error.hint().unwrap().contains("ollama show granite4.1:3b"));
    }
    assert_eq!(paths(&server), ["/api/version", "/api/show"]);
    let mut unthinking = hi();
    unthinking.options.thinking = Some(mellea_core::Thinking::Off);
    events(&backend, unthinking).await;
}

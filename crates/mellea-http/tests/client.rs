//! The client against a server that behaves and misbehaves as told.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use mellea_core::limit::Limiter;
use mellea_core::{Error, ErrorKind, Result, TimeoutPhase};
use mellea_http::auth::{KeyHeader, Outgoing};
use mellea_http::testing::{Reply, Server, Step, unused_address};
use mellea_http::{Authorize, CallOptions, Client, ClientBuilder, Retry, Timeouts};
use serde_json::{Value, json};

/// A client that does not wait between attempts.
fn client(server: &Server) -> ClientBuilder {
    Client::builder("p", server.url()).retry(Retry::new().waits(Duration::ZERO, Duration::ZERO))
}

async fn server() -> Server {
    Server::start().await.unwrap()
}

async fn post(client: &Client) -> Result<Value> {
    client.open(client.post("x").model("m").json(&json!({"a": 1}))?, |response| response.json()).await
}

fn ok() -> Reply {
    Reply::json(200, &json!({"ok": true}))
}

fn phase(error: &Error) -> Option<TimeoutPhase> {
    match error.kind() {
        ErrorKind::Timeout { phase, .. } => Some(*phase),
        _ => None,
    }
}

#[tokio::test]
async fn headers_query_and_body_arrive() {
    let server = server().await;
    server.on("POST /x").reply(ok());
    let client = client(&server).key("sk-canary").header("x-title", "t").build().unwrap();
    let request = client.post("x").query("version", "1").header("x-a", "b").unwrap().json(&json!({"a": 1})).unwrap();
    assert_eq!(client.send(request).await.unwrap().json::<Value>().await.unwrap(), json!({"ok": true}));
    let seen = &server.requests()[0];
    assert_eq!((seen.query.as_str(), seen.json()), ("version=1", json!({"a": 1})));
    for (name, value) in
        [("authorization", "Bearer sk-canary"), ("x-title", "t"), ("x-a", "b"), ("content-type", "application/json")]
    {
        assert_eq!(seen.header(name), Some(value));
    }
    assert!(seen.header("user-agent").unwrap().starts_with("mellea/"));
}

#[tokio::test]
async fn retries_are_as_many_as_the_policy_says() {
    for (replies, requests, fine) in [
        (vec![Reply::status(500), Reply::status(503), ok()], 3, true),
        (vec![Reply::status(500)], 3, false),
        (vec![Reply::status(429).header("retry-after-ms", "1"), ok()], 2, true),
        (vec![Reply::status(429).header("retry-after", "3600"), ok()], 1, false),
        (vec![Reply::status(400), ok()], 1, false),
        (vec![Reply::status(400).header("x-should-retry", "true"), ok()], 2, true),
        (vec![Reply::status(500).header("x-should-retry", "false"), ok()], 1, false),
        (vec![Reply::text(429, "insufficient_quota", "text/plain"), ok()], 1, false),
        (vec![Reply::stream("application/json", [Step::send("{\"ok\""), Step::Cut]), ok()], 2, true),
        (vec![Reply::stream("application/json", [Step::send("{\"ok\""), Step::Reset]), ok()], 2, true),
        (vec![Reply::text(200, "{", "application/json"), ok()], 1, false),
    ] {
        let server = server().await;
        server.on("POST /x").replies(replies);
        let client = client(&server).build().unwrap();
        let result = post(&client).await;
        assert_eq!((server.count(), result.is_ok()), (requests, fine), "{result:?}");
        assert!(server.count() <= client.max_requests() as usize);
    }
}

#[tokio::test]
async fn a_budget_ends_a_storm_of_retries() {
    let server = server().await;
    server.on("POST /x").reply(Reply::status(500));
    let client = client(&server).retry(Retry::new().waits(Duration::ZERO, Duration::ZERO).budget(3)).build().unwrap();
    for _ in 0..10 {
        post(&client).await.unwrap_err();
    }
    assert_eq!(server.count(), 13, "ten calls and three retries");
}

#[tokio::test]
async fn each_limit_of_time_has_its_own_error() {
    let server = server().await;
    server.on("POST /x").reply(Reply::status(200).hang());
    let short = Duration::from_millis(50);
    let build = |timeouts| client(&server).timeouts(timeouts).build().unwrap();

    let error = post(&build(Timeouts::new().first_byte(short))).await.unwrap_err();
    assert_eq!(phase(&error), Some(TimeoutPhase::FirstToken), "{error}");
    let error = post(&build(Timeouts::new().total(short))).await.unwrap_err();
    assert_eq!(phase(&error), Some(TimeoutPhase::Total));
    assert_eq!(server.count(), 2, "silence is not repeated");

    let stalled = Server::start().await.unwrap();
    stalled.on("POST /x").reply(Reply::stream("application/json", [Step::send("{"), Step::Hang]));
    let idle = client(&stalled).timeouts(Timeouts::new().idle(short)).build().unwrap();
    assert_eq!(phase(&post(&idle).await.unwrap_err()), Some(TimeoutPhase::NextToken));

    let mut call = CallOptions::default();
    call.timeout = Some(short);
    let patient = client(&stalled).build().unwrap();
    let request = patient.post("x").options(call).json(&json!({})).unwrap();
    let error = patient.open(request, |response| response.json::<Value>()).await.unwrap_err();
    assert_eq!(phase(&error), Some(TimeoutPhase::Total), "one call may have its own");
    assert!(stalled.wait_until(|s| s.in_flight() == 0, Duration::from_secs(5)).await, "the server sees that nobody waits");
}

#[tokio::test]
async fn a_limit_beyond_all_time_is_none() {
    let server = server().await;
    server.on("POST /x").reply(ok());
    let ages = Duration::from_secs(u64::MAX);
    let client = client(&server).timeouts(Timeouts::new().first_byte(ages).idle(ages).total(ages)).build().unwrap();
    post(&client).await.unwrap();
}

#[tokio::test]
async fn nobody_there_is_told_with_the_address() {
    let unused = unused_address().unwrap();
    let client = Client::builder("p", unused.url()).retry(Retry::never()).build().unwrap();
    let error = post(&client).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Connection { .. }) && error.is_retryable(), "{error:?}");
    assert!(error.to_string().contains(&unused.url()) && error.hint().is_some(), "{error}");
    let client = Client::builder("p", "http://no-such-host.invalid").retry(Retry::never()).build().unwrap();
    let error = post(&client).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Connection { address, .. } if address.contains("no-such-host.invalid")), "{error}");
}

#[tokio::test]
async fn tls_with_a_server_that_has_none_is_not_tried_again() {
    let server = server().await;
    let connections = server.connections();
    let client =
        Client::builder("p", server.url().replace("http:", "https:")).retry(Retry::new().waits(Duration::ZERO, Duration::ZERO));
    let error = post(&client.build().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("no secure connection"), "{error}");
    assert_eq!(server.connections() - connections, 1);
}

#[tokio::test]
async fn a_key_does_not_follow_a_redirect_to_another_host() {
    let (server, thief) = (server().await, server().await);
    thief.on("POST /stolen").reply(ok());
    for status in [301, 302, 303, 307, 308] {
        server.on("POST /x").reply(Reply::status(status).header("location", format!("{}/stolen", thief.url())));
    }
    let auth = KeyHeader::new("x-api-key", "canary").unwrap();
    let client = client(&server).auth(auth).build().unwrap();
    for _ in 0..5 {
        let error = post(&client).await.unwrap_err();
        assert!(error.hint().unwrap().contains("redirect"), "{error}");
    }
    assert_eq!(thief.count(), 0);
    server.on("POST /moved").reply(Reply::status(307).header("location", "/here"));
    server.on("POST /here").reply(ok());
    client.send(client.post("moved").json(&json!({})).unwrap()).await.unwrap();
    assert_eq!(server.requests().last().unwrap().header("x-api-key"), Some("canary"), "within the host it may");
}

#[tokio::test]
async fn what_cannot_be_an_answer_is_refused() {
    for (reply, reason) in [
        (Reply::text(200, "<html>login</html>", "text/html; charset=utf-8"), "HTML"),
        (Reply::text(200, "x", "application/json").header("content-encoding", "gzip"), "compressed (gzip)"),
        (Reply::text(200, "", "application/json"), "empty"),
        (Reply::text(200, "{\"a\":}", "application/json"), "expected value"),
        (Reply::text(200, "{} trailing", "application/json"), "trailing"),
    ] {
        let server = server().await;
        server.on("POST /x").reply(reply);
        let error = post(&client(&server).build().unwrap()).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::MalformedResponse { .. }), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(server.count(), 1);
    }
}

#[tokio::test]
async fn a_first_event_that_fails_is_a_part_of_the_attempt() {
    let server = server().await;
    let failed = Reply::sse(["data: {\"error\": {\"type\": \"overloaded_error\", \"message\": \"x\"}}\n\n"]);
    server.on("POST /x").replies([failed, Reply::sse(["data: {\"text\": \"hi\"}\n\n"])]);
    let client = client(&server).build().unwrap();
    let text = client
        .open(client.post("x"), async |response| {
            let mut frames = response.sse()?;
            let Some(event) = frames.next().await.transpose()? else { return Err(frames.place().interrupted()) };
            let value: Value = frames.json(&event.data)?;
            if value.get("error").is_some() { Err(frames.place().refused(&value)) } else { Ok(value["text"].clone()) }
        })
        .await;
    assert_eq!(text.unwrap(), "hi");
    assert_eq!(server.count(), 2);
}

#[derive(Debug, Default)]
struct Token(AtomicUsize);

#[async_trait]
impl Authorize for Token {
    async fn authorize(&self, call: &mut Outgoing<'_>) -> Result<()> {
        call.set_secret(&mellea_http::reqwest::header::AUTHORIZATION, &format!("Bearer t{}", self.0.load(Ordering::SeqCst)))
    }

    fn renews(&self) -> bool {
        true
    }

    async fn renew(&self) -> Result<bool> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(true)
    }
}

#[tokio::test]
async fn credentials_are_renewed_once() {
    let server = server().await;
    server.handle(|request| if request.header("authorization") == Some("Bearer t1") { ok() } else { Reply::status(401) });
    let client = client(&server).auth(Token::default()).build().unwrap();
    assert_eq!(client.max_requests(), 4);
    post(&client).await.unwrap();
    assert_eq!(server.count(), 2);
    server.handle(|_| Reply::status(401));
    let error = post(&client).await.unwrap_err();
    assert_eq!((error.status(), server.count()), (Some(401), 4), "a second 401 is the answer");
}

#[tokio::test]
async fn a_limiter_bounds_what_runs_at_once() {
    let server = server().await;
    server.on("POST /x").reply(ok().delay(Duration::from_millis(5)));
    let client = client(&server).limiter(Limiter::new().concurrency(4).unwrap()).build().unwrap();
    let calls = (0..50).map(|_| post(&client));
    assert!(futures_util::future::join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(server.max_in_flight(), 4);
}

#[tokio::test]
async fn dropping_a_stream_closes_it() {
    let server = server().await;
    server.on("POST /x").reply(Reply::stream("text/event-stream", [Step::send("data: 1\n\n"), Step::Hang]));
    let client = client(&server).build().unwrap();
    let mut frames = client.send(client.post("x")).await.unwrap().sse().unwrap();
    assert_eq!(frames.next().await.unwrap().unwrap().data, "1");
    assert_eq!(server.in_flight(), 1);
    drop(frames);
    assert!(server.wait_until(|s| s.in_flight() == 0, Duration::from_secs(5)).await);
}

#[tokio::test]
async fn a_ready_client_is_used() {
    let server = server().await;
    server.on("POST /x").reply(ok());
    let http = mellea_http::reqwest::Client::builder().user_agent("mine").no_proxy();
    // Its TLS is set up by mellea's client, made first.
    let _ = client(&server).build().unwrap();
    let client = client(&server).http(http.build().unwrap()).build().unwrap();
    post(&client).await.unwrap();
}

#[tokio::test]
async fn a_proxy_is_gone_through() {
    let proxy = server().await;
    proxy.handle(|_| ok());
    let client = Client::builder("p", "http://far.example/v1").proxy(proxy.url()).build().unwrap();
    post(&client).await.unwrap();
    assert_eq!(proxy.requests()[0].header("host"), Some("far.example"));
}

#[test]
fn keys_are_not_sent_in_the_clear() {
    let error = Client::builder("p", "http://far.example").key("canary").build().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Config { .. }) && !format!("{error:?}").contains("canary"), "{error}");
    Client::builder("p", "http://far.example").key("canary").insecure().build().unwrap();
    Client::builder("p", "http://far.example").build().unwrap();
}

#[tokio::test]
async fn no_secret_is_shown() {
    let server = server().await;
    server.handle(|request| {
        let key = request.header("authorization").unwrap_or_default().to_owned();
        Reply::json(400, &json!({"error": {"message": format!("bad key {key}"), "header": key}}))
    });
    let client = client(&server).key("canary-1").header("x-other", "canary-2").secret("canary-2").build().unwrap();
    let request = client.post("x").header("x-mine", "canary-3").unwrap();
    let shown = format!("{client:?} {request:?}");
    let error = client.send(request).await.unwrap_err();
    let shown = format!("{shown} {error} {error:?} {error:#?}");
    assert!(!shown.contains("canary"), "{shown}");
}

//! Who calls: tokens, keys, and what happens when they are refused.

use futures_util::future::join_all;
use mellea_core::ErrorKind;
use mellea_http::testing::{Gate, Step};
use mellea_watsonx::{Credential, Tokens};

use super::*;

fn grant(token: &str) -> Reply {
    Reply::json(
        200,
        &json!({ "access_token": token, "refresh_token": "not_supported", "token_type": "Bearer",
        "expires_in": 3600, "expiration": 1_760_003_600, "scope": "ibm openid" }),
    )
}

fn with_key(server: &Server) -> WatsonXBuilder {
    builder(server).api_key("canary-key").iam_url(server.url())
}

fn bearers(server: &Server) -> Vec<String> {
    let chats = requests_to(server, "/ml/v1/text/chat");
    chats.iter().map(|request| request.header("authorization").unwrap_or_default().to_owned()).collect()
}

fn iam_error(status: u16) -> Reply {
    Reply::json(
        status,
        &json!({
            "errorCode": "BXNIM0415E",
            "errorMessage": "Provided API key could not be found. canary-key",
            "context": { "requestId": "r1", "requestType": "incoming.Identity_Token" },
        }),
    )
}

#[tokio::test]
async fn twenty_calls_at_once_make_one_request_for_a_token() {
    let server = Server::start().await.unwrap();
    let gate = Gate::new();
    let held = r#"{"access_token":"t1","expires_in":3600}"#;
    server.on(IAM).reply(Reply::stream("application/json", [Step::Gate(gate.clone()), Step::send(held)]));
    server.on(CHAT).reply(Reply::json(200, &answer("Hi")));
    let backend = with_key(&server).build().unwrap();
    let calls = join_all((0..20).map(|_| all(&backend, ask("Hi"))));
    let opens = async {
        assert!(server.wait_until(|server| server.count() == 1, Duration::from_secs(30)).await);
        gate.open();
    };
    let (results, ()) = tokio::join!(calls, opens);
    assert!(results.iter().all(Result::is_ok));
    let tokens = requests_to(&server, "/identity/token");
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].text(), "grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&apikey=canary-key");
    assert_eq!(tokens[0].header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(bearers(&server), vec!["Bearer t1"; 20]);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let server = Server::start().await.unwrap();
    server.on(IAM).replies([grant("t1"), grant("t2"), grant("t3")]);
    let expired = || refusal(401, "authentication_token_expired", "Failed to authenticate the request due to an expired token");
    server.on(CHAT).replies([Reply::json(200, &answer("a")), expired(), Reply::json(200, &answer("b"))]);
    let backend = with_key(&server).build().unwrap();
    all(&backend, ask("1")).await.unwrap();
    all(&backend, ask("2")).await.unwrap();
    assert_eq!(bearers(&server), ["Bearer t1", "Bearer t1", "Bearer t2"]);
    assert_eq!(requests_to(&server, "/identity/token").len(), 2);
}

#[tokio::test]
async fn a_token_that_is_refused_for_good_is_an_error() {
    let server = Server::start().await.unwrap();
    server.on(IAM).replies([grant("t1"), grant("t2"), grant("t3")]);
    server.on(CHAT).reply(refusal(401, "authentication_token_expired", "expired canary-key"));
    let backend = with_key(&server).build().unwrap();
    let error = all(&backend, ask("1")).await.unwrap_err();
    assert_eq!((error.status(), error.request_id()), (Some(401), Some("trace-1")));
    assert!(error.to_string().starts_with("watsonx/ibm/granite-4-h-small: status 401"), "{error}");
    assert_eq!(bearers(&server), ["Bearer t1", "Bearer t2"]);
    assert_eq!(requests_to(&server, "/identity/token").len(), 2);
    assert!(!shown(&error).contains("canary"));
}

#[tokio::test]
async fn a_token_that_a_service_repeats_is_not_shown() {
    let server = Server::start().await.unwrap();
    server.on(IAM).replies([grant("opaque-canary-1"), grant("opaque-canary-2")]);
    let repeats = "nobody knows opaque-canary-1 nor opaque-canary-2";
    server.on(CHAT).reply(refusal(401, "authentication_token_expired", repeats));
    // A header of the program's own gives way to the token, which is then as secret.
    let backend = with_key(&server).header("authorization", "Basic mine").build().unwrap();
    let error = all(&backend, ask("1")).await.unwrap_err();
    assert_eq!(requests_to(&server, "/identity/token").len(), 2);
    assert!(error.to_string().contains("nobody knows") && !shown(&error).contains("canary"), "{error}");
}

#[tokio::test]
async fn a_key_that_iam_does_not_take_is_told_and_not_shown() {
    for status in [400, 401, 403] {
        let server = Server::start().await.unwrap();
        server.on(IAM).reply(iam_error(status));
        let backend = with_key(&server).build().unwrap();
        let error = all(&backend, ask("1")).await.unwrap_err();
        assert_eq!((error.status(), error.is_retryable()), (Some(status), false));
        assert_eq!((error.provider(), error.model()), (Some("watsonx"), Some("ibm/granite-4-h-small")));
        let hint = error.hint().unwrap();
        assert!(hint.contains("API key") && hint.contains("WATSONX_API_KEY") && hint.contains("iam/apikeys"), "{hint}");
        assert!(error.to_string().contains("BXNIM0415E"), "{error}");
        assert!(!shown(&error).contains("canary"), "{}", shown(&error));
        assert_eq!(server.count(), 1, "neither repeated nor renewed");
    }
}

#[tokio::test]
async fn iam_is_asked_again_when_it_is_busy() {
    let server = Server::start().await.unwrap();
    server.on(IAM).replies([Reply::status(503), grant("t1")]);
    server.on(CHAT).reply(Reply::json(200, &answer("Hi")));
    let retry = Retry::new().waits(Duration::ZERO, Duration::ZERO);
    let tokens = Tokens::iam("canary-key").url(server.url()).retry(retry).build().unwrap();
    let account = || builder(&server).auth(tokens.clone());
    all(&account().build().unwrap(), ask("1")).await.unwrap();
    all(&account().model("another").build().unwrap(), ask("1")).await.unwrap();
    assert_eq!(requests_to(&server, "/identity/token").len(), 2, "one failed, and two backends shared the other");
}

#[tokio::test]
async fn an_iam_that_is_broken_is_no_crowd_of_requests() {
    let server = Server::start().await.unwrap();
    for (reply, requests) in
        [(Reply::status(503), 3), (Reply::json(200, &json!({ "expires_in": 1 })), 1), (Reply::text(200, "canary", ""), 1)]
    {
        let route = format!("POST /iam{requests}/{}", server.count());
        server.on(&route).reply(reply);
        let before = server.count();
        let retry = Retry::new().waits(Duration::ZERO, Duration::ZERO);
        let url = format!("{}{}", server.url(), &route[5..]);
        let tokens = Tokens::iam("canary-key").url(url).retry(retry).build().unwrap();
        let backend = builder(&server).auth(tokens).retry(Retry::never()).build().unwrap();
        let results = join_all((0..10).map(|_| all(&backend, ask("1")))).await;
        for error in results.into_iter().map(Result::unwrap_err) {
            assert!(error.hint().unwrap().contains("WATSONX_IAM_URL"), "{error}");
            assert!(!shown(&error).contains("canary"), "{}", shown(&error));
        }
        assert_eq!(server.count() - before, requests);
    }
}

#[tokio::test]
async fn on_premises_users_and_keys_are_exchanged_at_the_service() {
    for (credential, field) in
        [(Credential::password("canary-pass"), "password"), (Credential::api_key("canary-pass"), "api_key")]
    {
        let server = Server::start().await.unwrap();
        let token = Reply::json(200, &json!({ "_messageCode_": "200", "message": "Success", "token": "t1" }));
        server.on("POST /zen/icp4d-api/v1/authorize").replies([token, iam_error(401)]);
        server.on("POST /zen/ml/v1/text/chat").replies([Reply::json(200, &answer("Hi")), Reply::status(401)]);
        let backend = builder(&server).url(format!("{}/zen", server.url())).cloud_pak("alice", credential).build().unwrap();
        all(&backend, ask("1")).await.unwrap();
        let error = all(&backend, ask("2")).await.unwrap_err();
        assert!(error.hint().unwrap().contains("user"), "{error}");
        assert!(!shown(&error).contains("canary-pass"));
        let requests = server.requests();
        assert_eq!(requests[0].json(), json!({ "username": "alice", field: "canary-pass" }));
        assert_eq!(requests[1].header("authorization"), Some("Bearer t1"));
    }
}

#[tokio::test]
async fn fixed_tokens_and_zen_keys_go_as_they_are() {
    let server = Server::start().await.unwrap();
    server.on(CHAT).replies([
        Reply::json(200, &answer("Hi")),
        Reply::json(200, &answer("Hi")),
        refusal(401, "x", "canary-token"),
    ]);
    all(&builder(&server).build().unwrap(), ask("1")).await.unwrap();
    all(&builder(&server).zen_api_key("alice:canary").build().unwrap(), ask("1")).await.unwrap();
    assert_eq!(bearers(&server), ["Bearer canary-token", "ZenApiKey YWxpY2U6Y2FuYXJ5"]);
    let error = all(&builder(&server).build().unwrap(), ask("1")).await.unwrap_err();
    assert_eq!((error.status(), server.count()), (Some(401), 3), "there is nothing to renew");
    assert!(!shown(&error).contains("canary"));
}

#[tokio::test]
async fn a_service_for_tokens_that_is_not_there_says_so() {
    let server = Server::start().await.unwrap();
    let nobody = mellea_http::testing::unused_address().unwrap();
    let tokens = Tokens::iam("canary-key").url(nobody.url()).retry(Retry::never()).build().unwrap();
    let error = all(&builder(&server).auth(tokens).build().unwrap(), ask("1")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Connection { .. }), "{error}");
    assert!(error.hint().unwrap().contains("iam_url"), "{error}");
    assert_eq!(server.count(), 0);
}

#[test]
fn one_backend_serves_several_runtimes() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let of_server = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = of_server.block_on(Server::start()).unwrap();
    server.on(IAM).reply(grant("t1"));
    server.on(CHAT).reply(Reply::json(200, &answer("Hi")));
    let backend = with_key(&server).build().unwrap();
    for _ in 0..3 {
        // Each runtime is gone before the next begins.
        runtime().block_on(all(&backend, ask("Hi"))).unwrap();
    }
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (backend, runtime) = (backend.clone(), runtime());
            std::thread::spawn(move || runtime.block_on(all(&backend, ask("Hi"))).is_ok())
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
    assert_eq!(requests_to(&server, "/identity/token").len(), 1);
}

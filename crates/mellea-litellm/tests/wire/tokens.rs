//! Tokens that are had for a client's id and secret.

use mellea_core::Backend;
use mellea_http::Retry;
use mellea_http::testing::{Recorded, Reply, Server};
use mellea_litellm::{LiteLlm, Registry};
use serde_json::{Value, json};

use crate::support::{KEY, events, request};

/// A server that gives tokens, numbered, and answers chats; those with a refused token get 401.
async fn server(lifetime: Value, refused: &'static str) -> Server {
    let server = Server::start().await.unwrap();
    let given = std::sync::atomic::AtomicUsize::new(0);
    server.handle(move |got: &Recorded| {
        if got.path.ends_with("/token") {
            let number = given.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
            return Reply::json(200, &json!({ "access_token": format!("token-{number}"), "expires_in": lifetime }));
        }
        if !refused.is_empty() && got.header("authorization") == Some(refused) {
            return Reply::json(401, &json!({ "error": { "message": format!("expired, not {KEY}") } }));
        }
        Reply::json(200, &json!({ "choices": [{ "message": { "content": "hi" }, "finish_reason": "stop" }] }))
    });
    server
}

fn backend(server: &Server) -> LiteLlm {
    let row = format!(
        "[[provider]]\nname = \"mine\"\nkey_env = [\"MINE_KEY\"]\nauth = \"api-key\"\nbase_url = \"{0}/v1\"\nvars.tenant = {{ env = [\"TENANT\"] }}\n\
         oauth = {{ url = \"{0}/{{tenant}}/token\", client_id = [\"ID\"], client_secret = [\"SECRET\"], scope = \"all\" }}",
        server.url()
    );
    let registry = Registry::empty().with_toml(&row).unwrap();
    let variables = [("ID", "me"), ("SECRET", KEY), ("TENANT", "t1")];
    LiteLlm::builder().model("mine/m").registry(registry).variables(variables).retry(Retry::never()).build().unwrap()
}

fn paths(server: &Server) -> Vec<String> {
    server.requests().into_iter().map(|got| got.path).collect()
}

#[tokio::test]
async fn one_token_serves_all_calls() {
    let server = server(json!(3600), "").await;
    let backend = backend(&server);
    let calls = (0..20).map(|_| backend.chat(request()));
    for answer in futures_util::future::join_all(calls).await {
        answer.unwrap();
    }
    let seen = server.requests();
    let (tokens, chats): (Vec<_>, Vec<_>) = seen.iter().partition(|got| got.path == "/t1/token");
    assert_eq!((tokens.len(), chats.len()), (1, 20));
    assert_eq!(tokens[0].text(), format!("grant_type=client_credentials&scope=all&client_id=me&client_secret={KEY}"));
    assert!(chats.iter().all(|got| got.header("authorization") == Some("Bearer token-1") && got.header("api-key").is_none()));
}

#[tokio::test]
async fn a_token_about_to_expire_is_renewed() {
    let server = server(json!("59"), "").await;
    let backend = backend(&server);
    events(&backend, request()).await;
    events(&backend, request()).await;
    assert_eq!(paths(&server), ["/t1/token", "/v1/chat/completions", "/t1/token", "/v1/chat/completions"]);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let server = server(json!(3600), "Bearer token-1").await;
    events(&backend(&server), request()).await;
    assert_eq!(paths(&server), ["/t1/token", "/v1/chat/completions", "/t1/token", "/v1/chat/completions"]);
}

#[tokio::test]
async fn a_refusal_shows_no_secret() {
    let server = Server::start().await.unwrap();
    server.handle(|got: &Recorded| Reply::json(400, &json!({ "error": "invalid_client", "error_description": got.text() })));
    let backend = backend(&server);
    assert!(!format!("{backend:?}").contains(KEY));
    let error = backend.chat(request()).await.unwrap_err();
    assert_eq!((error.status(), error.provider()), (Some(400), Some("mine")));
    assert!(!format!("{error} {error:?}").contains(KEY), "{error:?}");
}

#[test]
fn a_key_or_token_of_the_environment_goes_first_and_half_a_pair_is_none() {
    let azure = |variables: &[(&str, &str)]| {
        let base = ("AZURE_API_BASE", "https://mine.openai.azure.com");
        LiteLlm::builder().model("azure/d").variables([base].into_iter().chain(variables.iter().copied())).build()
    };
    let all = [("AZURE_CLIENT_ID", "a"), ("AZURE_CLIENT_SECRET", "b"), ("AZURE_TENANT_ID", "c")];
    azure(&all).unwrap();
    for missing in [&all[..1], &all[1..2]] {
        let error = azure(missing).unwrap_err().to_string();
        for name in ["AZURE_API_KEY", "AZURE_AD_TOKEN", "AZURE_CLIENT_ID with AZURE_CLIENT_SECRET"] {
            assert!(error.contains(name), "{error}");
        }
    }
    assert!(azure(&all[..2]).unwrap_err().to_string().contains("AZURE_TENANT_ID"));
}

#[test]
fn the_secret_does_not_go_over_the_open_network_in_the_clear() {
    let variables = [("DATABRICKS_CLIENT_ID", "a"), ("DATABRICKS_CLIENT_SECRET", KEY)];
    let build = |base: &str| LiteLlm::builder().model("databricks/m").base_url(base).variables(variables).build();
    build("https://x.databricks.example").unwrap();
    let error = build("http://x.databricks.example").unwrap_err().to_string();
    assert!(error.contains("in the clear") && !error.contains(KEY), "{error}");
}

//! A LiteLLM proxy as a provider.

use mellea_core::{Backend, Event, ModelOption};
use mellea_http::testing::{Reply, Server};
use mellea_litellm::LiteLlm;

use crate::support::{KEY, events, request, server};

#[tokio::test]
async fn the_alias_goes_as_it_is_and_the_key_only_if_there_is_one() {
    let server = server().await;
    let proxy = |variables: Vec<(&str, String)>| {
        LiteLlm::builder().model("litellm_proxy/team/my-alias").variables(variables).build().unwrap()
    };
    let base = ("LITELLM_PROXY_API_BASE", server.url());
    events(&proxy(vec![base.clone()]), request()).await;
    events(&proxy(vec![base, ("LITELLM_PROXY_API_KEY", KEY.to_owned())]), request()).await;
    let seen = server.requests();
    assert!(seen.iter().all(|got| got.json()["model"] == "team/my-alias"));
    assert_eq!(seen[0].header("authorization"), None);
    assert_eq!(seen[1].header("authorization"), Some(format!("Bearer {KEY}").as_str()));
}

#[test]
fn there_must_be_an_address() {
    let none: [(&str, &str); 0] = [];
    let error = LiteLlm::builder().model("litellm_proxy/a").variables(none).build().unwrap_err().to_string();
    assert!(error.contains("base_url") && error.contains("LITELLM_PROXY_API_BASE"), "{error}");
}

#[tokio::test]
async fn streams_come_through() {
    let server = Server::start().await.unwrap();
    server.on("POST /v1/chat/completions").reply(Reply::sse(
        [
            r#"data: {"id":"c","model":"gpt","choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"}}]}"#,
            r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"lo"}}]}"#,
            r#"data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            "data: [DONE]",
        ]
        .map(|event| format!("{event}\n\n")),
    ));
    let backend = LiteLlm::builder().model("litellm_proxy/a").base_url(server.url()).option(ModelOption::Stream, true);
    let mut call = request();
    call.options.stream = true;
    let events = events(&backend.build().unwrap(), call).await;
    assert_eq!(crate::support::text(&events), "Hello");
    assert!(events.contains(&Event::ResponseId("c".to_owned())), "{events:?}");
}

#[tokio::test]
async fn an_unknown_key_is_explained() {
    let server = Server::start().await.unwrap();
    // What version 1.106.2 says to a key that it does not know.
    let body = r#"{"error":{"message":"No connected db.","type":"no_db_connection","param":null,"code":"400"}}"#;
    server.on("POST /v1/chat/completions").reply(Reply::text(400, body, "application/json"));
    let backend = LiteLlm::builder().model("litellm_proxy/a").base_url(server.url()).api_key(KEY).build().unwrap();
    let error = backend.chat(request()).await.unwrap_err();
    assert!(error.hint().unwrap().contains("does not know this key"), "{error}");
}

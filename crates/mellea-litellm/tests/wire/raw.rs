//! Raw completion, and what a strict session makes of an option that a provider does not take.

use mellea_core::{Backend, ErrorKind, Format, ModelOption, RawRequest, RequestOptions, Session, Warning};
use mellea_http::testing::{Recorded, Reply, Server};
use mellea_litellm::LiteLlm;
use serde_json::{Value, json};

use crate::support;

async fn server() -> Server {
    let server = Server::start().await.unwrap();
    server.handle(|got: &Recorded| {
        let prompts = match &got.json()["prompt"] {
            Value::Array(all) => all.len(),
            _ => 1,
        };
        let choices: Vec<Value> =
            (0..prompts).map(|index| json!({ "index": index, "text": "42", "finish_reason": "stop" })).collect();
        Reply::json(200, &json!({ "choices": choices }))
    });
    server
}

fn requests() -> Vec<RawRequest> {
    let mut options = RequestOptions::default();
    options.max_new_tokens = Some(9);
    options.seed = Some(7);
    options.extra.insert("api_key".to_owned(), support::KEY.into());
    ["one", "two"].map(|prompt| RawRequest::new(prompt).options(options.clone())).into()
}

#[tokio::test]
async fn raw_completions_have_max_tokens_whatever_chats_have() {
    let server = server().await;
    // The row's field for chats is `max_completion_tokens`.
    let backend = LiteLlm::builder().model("together_ai/m").base_url(server.url()).build().unwrap();
    let outputs = backend.complete(requests()).await;
    assert!(outputs.iter().all(|output| output.as_ref().unwrap().text == "42"), "{outputs:?}");
    let got = &server.requests()[0];
    assert_eq!(got.path, "/v1/completions");
    assert_eq!((&got.json()["max_tokens"], got.json().get("max_completion_tokens")), (&json!(9), None));
    assert!(!got.text().contains(support::KEY));
    let warning = Warning::UnsupportedOption { option: "api_key".to_owned(), provider: "litellm".to_owned() };
    assert!(outputs.iter().all(|output| output.as_ref().unwrap().warnings.contains(&warning)));
}

#[tokio::test]
async fn the_form_of_a_raw_completion_is_sent_or_warned_of() {
    let server = server().await;
    for model in ["hosted_vllm/m", "together_ai/m"] {
        let backend = LiteLlm::builder().model(model).base_url(server.url()).build().unwrap();
        let request = RawRequest::new("one").format(Format::Regex("[0-9]+".to_owned()));
        let output = backend.complete(vec![request]).await.remove(0).unwrap();
        let sent = server.requests().last().unwrap().text().contains("[0-9]+");
        assert!(sent != output.warnings.iter().any(|warning| matches!(warning, Warning::Unconstrained { .. })), "{output:?}");
        assert_eq!(sent, model == "hosted_vllm/m");
    }
}

#[tokio::test]
async fn an_option_that_is_dropped_is_a_warning_and_an_error_where_that_is_asked_for() {
    let server = support::server().await;
    let backend = || LiteLlm::builder().model("v0/m").base_url(server.url()).build().unwrap();
    let warned = Session::new(backend()).instruct("hi").option(ModelOption::Seed, 7).await.unwrap();
    let warning = Warning::UnsupportedOption { option: "seed".to_owned(), provider: "v0".to_owned() };
    assert!(warned.output().warnings.contains(&warning), "{:?}", warned.output().warnings);
    let strict = Session::builder(backend()).strict().build();
    let error = strict.instruct("hi").option(ModelOption::Seed, 7).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unsupported { .. }), "{error}");
    assert_eq!(server.count(), 1);
}

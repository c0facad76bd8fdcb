//! Keys: where they go, where they do not, and what is said if there is none.

use mellea_core::{Backend, ErrorKind, Result, Warning};
use mellea_http::Retry;
use mellea_http::testing::{Reply, Server};
use mellea_litellm::{Key, Kind, LiteLlm, LiteLlmBuilder, Provider, Registry, supported_providers};
use serde_json::{Value, json};

use crate::support::{KEY, body, events, request, server, text};

/// A builder that sees no environment but this.
fn builder(model: &str, variables: &[(&str, &str)]) -> LiteLlmBuilder {
    LiteLlm::builder().model(model).variables(variables.iter().copied()).retry(Retry::never())
}

/// The message of a refusal, which shows no key.
fn refusal(built: Result<LiteLlm>) -> String {
    let error = built.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Config { .. }), "{error:?}");
    assert!(!format!("{error} {error:?} {error:#?}").contains(KEY), "{error:?}");
    error.to_string()
}

#[test]
fn a_hosted_provider_without_a_key_is_refused_and_all_variables_are_named() {
    let mut hosted = 0;
    for row in supported_providers().filter(|row| matches!(row.kind, Kind::Openai | Kind::Template) && row.alias_of.is_none()) {
        let (Some(_), Key::Required) = (&row.base_url, row.key) else { continue };
        let error = refusal(builder(&format!("{}/m", row.name), &[]).var("account_id", "acc").build());
        for variable in row.key_env.iter().chain(&row.token_env) {
            assert!(error.contains(variable), "{}: {error}", row.name);
        }
        hosted += 1;
    }
    assert_eq!(hosted, 96 + 4, "96 hosted rows and four templates");
}

#[test]
fn a_key_does_not_go_to_a_host_that_only_looks_right() {
    let builder = builder("openai/gpt-4.1", &[("OPENAI_API_KEY", KEY)]).base_url("https://api.openai.com.example.net/v1");
    let error = refusal(builder.clone().build());
    assert!(error.contains("OPENAI_API_KEY is not sent to api.openai.com.example.net"), "{error}");
    builder.api_key("given").build().unwrap();
}

#[test]
fn a_key_does_not_go_over_the_open_network_in_the_clear() {
    let builder = builder("groq/m", &[("GROQ_API_KEY", KEY)]).base_url("http://api.groq.com/openai/v1");
    assert!(refusal(builder.clone().build()).contains("in the clear"));
    builder.insecure().build().unwrap();
}

#[tokio::test]
async fn a_redirect_to_another_host_gets_no_key() {
    let other = server().await;
    let first = Server::start().await.unwrap();
    let elsewhere = format!("http://localhost:{}/v1/chat/completions", other.address().port());
    first.handle(move |_| Reply::status(307).header("location", elsewhere.clone()));
    for model in ["groq/m", "sarvam/m"] {
        let backend = builder(model, &[]).base_url(first.url()).api_key(KEY).build().unwrap();
        // Whether it is followed or refused, the key stays.
        let _ = backend.chat(request()).await;
        for got in other.requests() {
            assert!(!got.headers.iter().any(|(_, value)| value.contains(KEY)), "{model}: {got:?}");
        }
    }
    assert_eq!(first.count(), 2);
}

#[tokio::test]
async fn neither_errors_nor_debug_show_a_key() {
    let server = Server::start().await.unwrap();
    server.handle(|got| {
        let key = got.header("authorization").unwrap_or_default().to_owned();
        Reply::json(401, &json!({ "error": { "message": format!("bad key {key}"), "code": "invalid_api_key" } }))
    });
    let builder = builder("groq/m", &[("GROQ_API_KEY", KEY)]).base_url(server.url()).header("x-more", KEY);
    let other = builder.clone().option("api_key", KEY).token(KEY).base_url(format!("https://{KEY}:{KEY}@h/?key={KEY}"));
    assert!(!format!("{other:?} {other:#?}").contains(KEY), "{other:?}");
    assert!(!format!("{builder:?} {builder:#?}").contains(KEY));
    let backend = builder.build().unwrap();
    assert!(!format!("{backend:?} {backend:#?}").contains(KEY), "{backend:?}");
    let error = backend.chat(request()).await.unwrap_err();
    assert_eq!((error.provider(), error.model(), error.status()), (Some("groq"), Some("m"), Some(401)));
    assert!(!format!("{error} {error:?} {error:#?}").contains(KEY), "{error:?}");
}

#[tokio::test]
async fn the_address_is_that_of_the_option_then_of_the_builder_then_of_the_environment() {
    let (one, two, three) = (server().await, server().await, server().await);
    let base = builder("groq/m", &[("GROQ_API_BASE", three.url().as_str())]);
    events(&base.clone().build().unwrap(), request()).await;
    events(&base.clone().base_url(two.url()).build().unwrap(), request()).await;
    events(&base.base_url(two.url()).option("api_base", one.url()).build().unwrap(), request()).await;
    assert_eq!((one.count(), two.count(), three.count()), (1, 1, 1));
    assert_eq!(body(&one).get("api_base"), None);
}

#[tokio::test]
async fn settings_of_litellm_in_a_call_are_warned_of_and_not_sent() {
    let server = server().await;
    let backend = builder("groq/m", &[]).base_url(server.url()).build().unwrap();
    let mut call = request();
    call.options.extra.insert("api_key".to_owned(), KEY.into());
    call.options.extra.insert("fallbacks".to_owned(), json!(["x/y"]));
    call.options.extra.insert("top_p".to_owned(), json!(0.5));
    let warnings = backend.unsupported(&call);
    for name in ["api_key", "fallbacks"] {
        let expected = Warning::UnsupportedOption { option: name.to_owned(), provider: "litellm".to_owned() };
        assert!(warnings.contains(&expected), "{warnings:?}");
    }
    events(&backend, call).await;
    let sent = body(&server);
    assert_eq!((&sent["top_p"], sent.get("api_key"), sent.get("fallbacks")), (&json!(0.5), None, None));
}

#[tokio::test]
async fn a_row_of_ones_own_is_called() {
    let server = server().await;
    let row =
        Provider::new("mine", server.url() + "/llm").key_env(["MINE_KEY"]).auth("x-key").header("x-team", "a").drop(["seed"]);
    let backend = builder("mine/org/m", &[("MINE_KEY", KEY)]).registry(Registry::builtin().with(row)).build().unwrap();
    assert_eq!(text(&events(&backend, request()).await), r#"{"city":"Rome"}"#);
    let got = &server.requests()[0];
    assert_eq!((got.path.as_str(), got.header("x-key"), got.header("x-team")), ("/llm/chat/completions", Some(KEY), Some("a")));
    assert_eq!((got.json()["model"].as_str(), got.json().get("seed")), (Some("org/m"), None));
    assert_eq!((backend.name(), backend.provider(), backend.model()), ("mine/org/m", "mine", "org/m"));
}

#[tokio::test]
async fn a_token_goes_as_bearer_where_keys_have_a_header_of_their_own() {
    let server = server().await;
    let azure = |variables: &[(&str, &str)]| builder("azure/d", variables).base_url(server.url());
    events(&azure(&[]).token("tok").build().unwrap(), request()).await;
    events(&azure(&[("AZURE_AD_TOKEN", "env")]).build().unwrap(), request()).await;
    events(&azure(&[("AZURE_AD_TOKEN", "env"), ("AZURE_API_KEY", "key")]).build().unwrap(), request()).await;
    let seen: Vec<(Option<String>, Option<String>)> = server
        .requests()
        .iter()
        .map(|got| (got.header("authorization").map(str::to_owned), got.header("api-key").map(str::to_owned)))
        .collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(seen, [(some("Bearer tok"), None), (some("Bearer env"), None), (None, some("key"))]);
}

#[tokio::test]
async fn azure_has_the_version_in_the_query() {
    let server = server().await;
    let azure = || builder("azure/my-gpt", &[("AZURE_API_VERSION", "2024-10-21")]).base_url(server.url()).api_key(KEY);
    events(&azure().build().unwrap(), request()).await;
    events(&azure().api_version("v1").build().unwrap(), request()).await;
    let seen: Vec<(String, String, Value)> =
        server.requests().iter().map(|got| (got.path.clone(), got.query.clone(), got.json()["model"].clone())).collect();
    assert_eq!(seen[0], ("/openai/deployments/my-gpt/chat/completions".into(), "api-version=2024-10-21".into(), json!("my-gpt")));
    assert_eq!(seen[1], ("/openai/v1/chat/completions".into(), String::new(), json!("my-gpt")));
}

#[tokio::test]
async fn azures_filter_is_an_error_with_its_code() {
    let server = Server::start().await.unwrap();
    server.handle(|_| {
        Reply::json(
            400,
            &json!({ "error": {
            "message": "The response was filtered", "code": "content_filter",
            "innererror": { "code": "ResponsibleAIPolicyViolation", "content_filter_result": { "hate": { "filtered": true } } },
        } }),
        )
    });
    let error = builder("azure/d", &[]).base_url(server.url()).build().unwrap().chat(request()).await.unwrap_err();
    assert_eq!((error.status(), error.provider()), (Some(400), Some("azure")));
    assert!(error.to_string().contains("content_filter"), "{error}");
}

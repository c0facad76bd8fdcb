//! One test for each row of the registry, made from the row.

use std::fmt::Write as _;

use mellea_core::{Backend, Warning};
use mellea_http::reqwest;
use mellea_http::testing::{Recorded, Reply, Server};
use mellea_litellm::{Form, Kind, LiteLlm, Provider, ResponseFormat, TokenField, supported_providers};
use serde_json::{Value, json};

use crate::support::{KEY, events, formatted, http, request, server, text};

/// The rows of OpenAI's wire, behind a template or not.
fn rows() -> impl Iterator<Item = &'static Provider> {
    supported_providers().filter(|row| matches!(row.kind, Kind::Openai | Kind::Template))
}

/// The row that a row leads to.
fn target(row: &'static Provider) -> &'static Provider {
    row.alias_of.as_ref().map_or(row, |name| rows().find(|other| other.name == *name).unwrap())
}

/// A backend of a row, at this server, with its key in the environment's first variable for it.
fn backend(row: &Provider, server: &Server, http: &reqwest::Client) -> LiteLlm {
    let model = match row.form {
        Form::RagFlow => "chat/id/org/model",
        _ => "org/model",
    };
    let variables = target_variables(row);
    LiteLlm::builder()
        .model(format!("{}/{model}", row.name))
        .base_url(format!("{}/base", server.url()))
        .http(http.clone())
        .variables(variables.iter().map(|name| (name.clone(), KEY)).collect::<Vec<_>>())
        .build()
        .unwrap_or_else(|error| panic!("{}: {error}", row.name))
}

fn target_variables(row: &Provider) -> Vec<String> {
    let target = rows().find(|other| Some(&other.name) == row.alias_of.as_ref()).unwrap_or(row);
    target.key_env.iter().take(1).chain(target.header_env.values()).cloned().collect()
}

/// Where a row's chat must go.
fn path(row: &Provider) -> String {
    match row.form {
        Form::Azure => "/base/openai/deployments/org%2Fmodel/chat/completions".to_owned(),
        Form::RagFlow => "/base/api/v1/chats_openai/id/chat/completions".to_owned(),
        _ => format!("/base/{}", row.path.as_deref().unwrap_or("chat/completions")),
    }
}

fn check_head(row: &Provider, got: &Recorded) {
    assert_eq!((got.method.as_str(), got.path.as_str()), ("POST", path(row).as_str()), "{}", row.name);
    assert_eq!(got.query, if row.form == Form::Azure { "api-version=2025-02-01-preview" } else { "" }, "{}", row.name);
    let key = (!target_variables(row).is_empty()).then_some(KEY);
    // A server that is not Azure's gets what all others get.
    let own = row.auth.as_deref().filter(|_| row.form != Form::AzureAi);
    match own {
        Some(header) => {
            assert_eq!((got.header(header), got.header("authorization")), (key, None), "{}", row.name);
        }
        None => {
            let bearer = key.map(|key| format!("Bearer {key}"));
            assert_eq!(got.header("authorization"), bearer.as_deref(), "{}", row.name);
        }
    }
    for (name, value) in &row.headers {
        assert_eq!(got.header(name), Some(value.as_str()), "{} {name}", row.name);
    }
    for name in row.header_env.keys() {
        assert_eq!(got.header(name), Some(KEY), "{} {name}", row.name);
    }
}

fn check_body(row: &Provider, body: &Value, warnings: &[Warning]) {
    let name = &row.name;
    assert_eq!(body["model"], "org/model", "{name}");
    let (used, unused) = match row.token_field {
        Some(TokenField::MaxCompletionTokens) => ("max_completion_tokens", "max_tokens"),
        _ => ("max_tokens", "max_completion_tokens"),
    };
    assert_eq!((&body[used], body.get(unused)), (&json!(9), None), "{name}");
    let warned = |field: &str| {
        warnings.iter().any(|warning| match warning {
            Warning::UnsupportedOption { option, provider } => provider == name && names(field).contains(&option.as_str()),
            _ => false,
        })
    };
    for (field, value) in [("seed", json!(7)), ("stop", json!(["END"])), ("temperature", json!(1.995))] {
        let sent = row.rename.get(field).map_or(field, String::as_str);
        match body.get(sent) {
            None => assert!(warned(field), "{name} drops {field} in silence: {warnings:?}"),
            Some(got) if field == "temperature" && row.max_temperature.is_some() => {
                assert_eq!(got.as_f64(), row.max_temperature, "{name}");
                assert!(!warnings.is_empty(), "{name}");
            }
            Some(got) => {
                assert!(!row.drop.iter().any(|dropped| dropped == field), "{name} sends {field}");
                assert!(*got == value || *got == value[0], "{name} {field}: {got}");
            }
        }
        assert!(sent == field || body.get(field).is_none(), "{name}: {field} has another name");
    }
    for (field, value) in &row.body {
        assert_eq!(&body[field], value, "{name} {field}");
    }
}

/// What warnings call a field of the body.
fn names(field: &str) -> &[&str] {
    match field {
        "stop" => &["stop", "stop_sequences"],
        "seed" => &["seed"],
        _ => &["temperature"],
    }
}

#[tokio::test]
async fn every_row_sends_what_it_says() {
    let (server, http) = (server().await, http());
    let mut seen = String::new();
    for row in rows() {
        let (backend, row_) = (backend(row, &server, &http), row);
        let row = target(row);
        let warnings = backend.unsupported(&request());
        let answer = text(&events(&backend, request()).await);
        assert_eq!((backend.provider(), answer.as_str()), (row.name.as_str(), r#"{"city":"Rome"}"#));
        let got = server.requests().pop().unwrap();
        check_head(row, &got);
        check_body(row, &got.json(), &warnings);
        assert!(!format!("{backend:?} {backend:#?} {}", got.text()).contains(KEY), "{}", row.name);
        let body = got.json();
        let fields: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        let warned: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        let _ = writeln!(seen, "{} {} [{}] {}", row_.name, got.path, fields.join(" "), warned.join("; "));
    }
    assert_eq!(server.count(), 115);
    insta::assert_snapshot!(seen);
}

#[tokio::test]
async fn every_row_asks_for_a_form_as_it_says() {
    let (server, http) = (server().await, http());
    for row in rows() {
        let backend = backend(row, &server, &http);
        let row = target(row);
        let answer = text(&events(&backend, formatted()).await);
        assert_eq!(answer, r#"{"city":"Rome"}"#, "{}", row.name);
        let body = crate::support::body(&server);
        let warned = backend.unsupported(&formatted()).iter().any(|warning| matches!(warning, Warning::Unconstrained { .. }));
        match row.response_format {
            Some(ResponseFormat::Tool) => {
                assert_eq!(body["tools"][0]["function"]["name"], "json_tool_call", "{}", row.name);
                assert_eq!(body["tool_choice"]["function"]["name"], "json_tool_call", "{}", row.name);
                assert!(body.get("response_format").is_none() && warned, "{}", row.name);
            }
            Some(ResponseFormat::JsonObject) => {
                assert_eq!(body["response_format"], json!({"type": "json_object"}), "{}", row.name);
                assert!(warned, "{}", row.name);
            }
            _ => {
                let kind = &body["response_format"]["type"];
                assert!(kind == "json_schema" || (row.dialect.is_some() && kind == "json_object"), "{}: {kind}", row.name);
                assert!(body.get("tools").is_none(), "{}", row.name);
            }
        }
    }
}

#[tokio::test]
async fn only_the_key_that_belongs_there_is_sent() {
    let server = server().await;
    let backend = LiteLlm::builder()
        .model("groq/m")
        .base_url(server.url())
        .variables([("OPENAI_API_KEY", "wrong"), ("AWS_BEARER_TOKEN_BEDROCK", "wrong")])
        .build()
        .unwrap();
    events(&backend, request()).await;
    assert_eq!(server.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_row_without_stream_options_sends_none() {
    let server = Server::start().await.unwrap();
    let chunk = r#"{"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}"#;
    server.on("/v1/chat/completions").reply(Reply::sse([format!("data: {chunk}\n\n"), "data: [DONE]\n\n".to_owned()]));
    for (model, sent) in [("mistral/m", false), ("together_ai/m", true)] {
        let backend = LiteLlm::builder().model(model).base_url(server.url()).api_key(KEY).build().unwrap();
        let mut call = request();
        call.options.stream = true;
        assert_eq!(text(&events(&backend, call).await), "hi");
        assert_eq!(crate::support::body(&server).get("stream_options").is_some(), sent, "{model}");
    }
}

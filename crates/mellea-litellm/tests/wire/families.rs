//! Providers with a wire of their own: found by name, called where they should be, with their key.

#[cfg(any(
    feature = "anthropic",
    feature = "gemini",
    feature = "bedrock",
    feature = "vertex",
    feature = "cohere",
    feature = "ollama",
    feature = "watsonx"
))]
use mellea_core::Backend;
use mellea_core::ErrorKind;
#[cfg(any(feature = "anthropic", feature = "ollama"))]
use mellea_core::ModelOption;
use mellea_litellm::{Kind, LiteLlm, LiteLlmBuilder, supported_providers};

#[cfg(any(
    feature = "anthropic",
    feature = "gemini",
    feature = "bedrock",
    feature = "vertex",
    feature = "cohere",
    feature = "ollama",
    feature = "watsonx"
))]
use crate::support::{events, request, text};

const KEY: &str = crate::support::KEY;

fn builder(model: &str, variables: &[(&str, &str)]) -> LiteLlmBuilder {
    LiteLlm::builder().model(model).variables(variables.iter().copied())
}

#[test]
fn a_family_that_is_not_built_in_is_named_with_its_feature() {
    for row in supported_providers().filter(|row| row.kind == Kind::Native && row.alias_of.is_none() && !row.is_enabled()) {
        let error = builder(&format!("{}/m", row.name), &[]).build().unwrap_err();
        let feature = row.feature.as_deref().unwrap();
        assert!(
            matches!(error.kind(), ErrorKind::Config { reason, .. } if reason.contains(&format!("the feature `{feature}`"))),
            "{error}"
        );
    }
}

#[test]
fn every_family_that_is_built_in_can_be_made() {
    let rows = supported_providers().filter(|row| row.kind == Kind::Native && row.alias_of.is_none() && row.is_enabled());
    for row in rows {
        let made = builder(&format!("{}/m", row.name), &[("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere")])
            .api_key(KEY)
            .region("us-south")
            .project("p")
            .build()
            .unwrap_or_else(|error| panic!("{}: {error}", row.name));
        assert!(!format!("{made:?}").contains(KEY), "{}", row.name);
    }
}

#[cfg(feature = "anthropic")]
mod anthropic {
    use mellea_http::testing::{Reply, Server};
    use serde_json::json;

    use super::*;

    async fn server() -> Server {
        let server = Server::start().await.unwrap();
        server.on("POST /v1/messages").reply(Reply::json(
            200,
            &json!({
                "id": "m", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
                "content": [{ "type": "text", "text": "hello" }], "usage": { "input_tokens": 1, "output_tokens": 1 },
            }),
        ));
        server
    }

    #[tokio::test]
    async fn claude_is_called_by_its_own_wire_with_the_key_of_the_environment() {
        let server = server().await;
        let built = |model| builder(model, &[("ANTHROPIC_API_KEY", KEY)]).base_url(server.url()).build().unwrap();
        for model in ["anthropic/claude-x", "claude-x"] {
            let backend = built(model);
            assert_eq!((backend.provider(), backend.model(), backend.name()), ("anthropic", "claude-x", model));
            assert_eq!(text(&events(&backend, request()).await), "hello");
        }
        for got in server.requests() {
            assert_eq!((got.header("x-api-key"), got.header("authorization")), (Some(KEY), None));
            assert_eq!(got.json()["model"], "claude-x");
        }
    }

    #[tokio::test]
    async fn settings_reach_the_family() {
        let server = server().await;
        let backend = builder("anthropic/claude-x", &[]).option("api_base", server.url()).option("api_key", KEY);
        let backend = backend.option(ModelOption::Temperature, 0.5).header("x-team", "a").build().unwrap();
        assert_eq!(backend.default_options().get(ModelOption::Temperature), Some(&json!(0.5)));
        events(&backend, request()).await;
        let got = &server.requests()[0];
        assert_eq!((got.header("x-team"), got.header("x-api-key")), (Some("a"), Some(KEY)));
    }

    #[test]
    fn keys_are_bound_to_the_host() {
        let error = builder("anthropic/m", &[]).build().unwrap_err().to_string();
        assert!(error.contains("ANTHROPIC_API_KEY"), "{error}");
        let key = [("ANTHROPIC_API_KEY", KEY)];
        let error = builder("anthropic/m", &key).base_url("https://api.anthropic.com.evil.example").build().unwrap_err();
        assert!(error.to_string().contains("only looks like api.anthropic.com"), "{error}");
    }
}

#[cfg(feature = "gemini")]
#[tokio::test]
async fn gemini_is_called_by_its_own_wire() {
    let server = mellea_http::testing::Server::start().await.unwrap();
    server.handle(|_| {
        mellea_http::testing::Reply::json(
            200,
            &serde_json::json!({
                "candidates": [{ "content": { "role": "model", "parts": [{ "text": "hello" }] }, "finishReason": "STOP" }],
            }),
        )
    });
    let backend = builder("gemini/gemini-x", &[("GOOGLE_API_KEY", KEY)]).base_url(server.url()).build().unwrap();
    assert_eq!((backend.provider(), backend.model()), ("gemini", "gemini-x"));
    let mut call = request();
    call.options.temperature = Some(0.5);
    assert_eq!(text(&events(&backend, call).await), "hello");
    let got = &server.requests()[0];
    assert!(got.path.ends_with("/models/gemini-x:generateContent"), "{}", got.path);
    assert_eq!(got.header("x-goog-api-key"), Some(KEY));
    assert!(!got.query.contains(KEY));
}

#[cfg(feature = "bedrock")]
#[tokio::test]
async fn bedrock_is_called_by_its_converse_interface() {
    let server = mellea_http::testing::Server::start().await.unwrap();
    server.handle(|_| {
        mellea_http::testing::Reply::json(
            200,
            &serde_json::json!({
                "output": { "message": { "role": "assistant", "content": [{ "text": "hello" }] } }, "stopReason": "end_turn",
            }),
        )
    });
    let url = server.url();
    let variables = [("AWS_BEARER_TOKEN_BEDROCK", KEY), ("AWS_REGION", "eu-west-1"), ("AWS_BEDROCK_RUNTIME_ENDPOINT", &url)];
    for model in ["bedrock/converse/openai.gpt-oss-20b-1:0", "bedrock/openai.gpt-oss-20b-1:0"] {
        let backend = builder(model, &variables).build().unwrap();
        assert_eq!((backend.provider(), backend.model()), ("bedrock", "openai.gpt-oss-20b-1:0"));
        let mut call = request();
        (call.options.seed, call.options.temperature) = (None, Some(0.5));
        assert_eq!(text(&events(&backend, call).await), "hello");
    }
    for got in server.requests() {
        assert_eq!(got.path, "/model/openai.gpt-oss-20b-1%3A0/converse");
        assert_eq!(got.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    }
    let error = builder("bedrock/invoke/m", &variables).build().unwrap_err().to_string();
    assert!(error.contains("leave `invoke/` out"), "{error}");
    let error = builder("bedrock/m", &variables).region("evil.example/").build().unwrap_err().to_string();
    assert!(error.contains("`region` is part of an address"), "{error}");
    let evil = "https://bedrock-runtime.eu-west-1.amazonaws.com.evil.example";
    let error = builder("bedrock/m", &variables).base_url(evil).build().unwrap_err().to_string();
    assert!(error.contains("only looks like bedrock-runtime.eu-west-1.amazonaws.com"), "{error}");
}

#[cfg(feature = "vertex")]
#[tokio::test]
async fn vertex_has_project_and_location_in_the_address() {
    let server = mellea_http::testing::Server::start().await.unwrap();
    server.handle(|_| {
        mellea_http::testing::Reply::json(
            200,
            &serde_json::json!({
                "candidates": [{ "content": { "role": "model", "parts": [{ "text": "hello" }] }, "finishReason": "STOP" }],
            }),
        )
    });
    for model in ["vertex_ai/gemini-x", "vertex_ai_beta/gemini-x"] {
        let backend = builder(model, &[("VERTEXAI_PROJECT", "p1")]).option("vertex_location", "europe-west4");
        let backend = backend.base_url(server.url()).api_key(KEY).build().unwrap();
        assert_eq!((backend.provider(), backend.model()), ("vertex_ai", "gemini-x"));
        let mut call = request();
        call.options.temperature = Some(0.5);
        assert_eq!(text(&events(&backend, call).await), "hello");
    }
    for got in server.requests() {
        let path = "/projects/p1/locations/europe-west4/publishers/google/models/gemini-x:generateContent";
        assert!(got.path.ends_with(path), "{}", got.path);
        assert_eq!(got.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    }
}

#[cfg(feature = "cohere")]
#[tokio::test]
async fn cohere_is_called_by_its_own_wire() {
    let server = mellea_http::testing::Server::start().await.unwrap();
    server.handle(|_| {
        mellea_http::testing::Reply::json(200, &serde_json::json!({
            "id": "c", "finish_reason": "COMPLETE", "message": { "role": "assistant", "content": [{ "type": "text", "text": "hello" }] },
        }))
    });
    for model in ["cohere/command-x", "cohere_chat/command-x"] {
        let backend = builder(model, &[("CO_API_KEY", KEY)]).base_url(server.url()).build().unwrap();
        assert_eq!((backend.provider(), backend.model()), ("cohere", "command-x"));
        let mut call = request();
        call.options.temperature = Some(0.5);
        assert_eq!(text(&events(&backend, call).await), "hello");
    }
    for got in server.requests() {
        assert_eq!((got.path.as_str(), got.header("authorization")), ("/v2/chat", Some(format!("Bearer {KEY}").as_str())));
    }
}

#[cfg(feature = "ollama")]
#[tokio::test]
async fn ollama_is_called_by_its_own_wire_and_takes_the_window() {
    let server = mellea_http::testing::Server::start().await.unwrap();
    server.handle(|_| {
        let answer = serde_json::json!({ "model": "m", "message": { "role": "assistant", "content": "hello" }, "done": true, "done_reason": "stop" });
        mellea_http::testing::Reply::ndjson([answer])
    });
    let url = server.url();
    for model in ["ollama_chat/granite4:micro", "ollama/granite4:micro"] {
        let backend = builder(model, &[("OLLAMA_API_BASE", &url)]).build().unwrap();
        assert_eq!((backend.provider(), backend.model()), ("ollama", "granite4:micro"));
        let mut call = request();
        call.options.context_window = Some(4096);
        assert_eq!(text(&events(&backend, call).await), "hello");
    }
    for got in server.requests() {
        assert_eq!((got.path.as_str(), &got.json()["options"]["num_ctx"]), ("/api/chat", &serde_json::json!(4096)));
    }
    let identifier = LiteLlm::new(mellea_core::model::IBM_GRANITE_4_1_3B).unwrap();
    assert_eq!((identifier.provider(), identifier.model()), ("ollama", "granite4.1:3b"));
    assert_eq!(identifier.default_options().get(ModelOption::Temperature), None);
}

#[cfg(feature = "watsonx")]
#[tokio::test]
async fn watsonx_is_called_by_its_own_wire() {
    let server = mellea_http::testing::Server::start().await.unwrap();
    server.handle(|_| {
        mellea_http::testing::Reply::json(
            200,
            &serde_json::json!({
                "choices": [{ "index": 0, "message": { "role": "assistant", "content": "hello" }, "finish_reason": "stop" }],
            }),
        )
    });
    let url = server.url();
    let variables = [("WATSONX_URL", url.as_str()), ("WATSONX_TOKEN", KEY), ("WX_PROJECT_ID", "p1")];
    let backend = builder("watsonx/ibm/granite", &variables).build().unwrap();
    assert_eq!((backend.provider(), backend.model()), ("watsonx", "ibm/granite"));
    assert_eq!(text(&events(&backend, request()).await), "hello");
    let got = &server.requests()[0];
    assert_eq!((got.path.as_str(), got.header("authorization")), ("/ml/v1/text/chat", Some(format!("Bearer {KEY}").as_str())));
    assert_eq!(got.json()["project_id"], "p1");
}

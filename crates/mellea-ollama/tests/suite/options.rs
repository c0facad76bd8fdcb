//! The contract: every option is in the request, or in a warning.

use mellea_core::{Backend, ModelOption, ModelOptions, OptionValue, Session, Thinking, Tools, tool::tool_fn};
use mellea_http::testing::Server;
use serde_json::{Value, json};

use crate::{answer, backend, body, builder};

fn value(option: ModelOption) -> OptionValue {
    match option {
        ModelOption::Temperature => 0.125.into(),
        ModelOption::MaxNewTokens => 77.into(),
        ModelOption::Seed => 4711.into(),
        ModelOption::SystemPrompt => "You are brief.".into(),
        ModelOption::Thinking => Thinking::Medium.into(),
        ModelOption::Stream => true.into(),
        ModelOption::StreamTimeout | ModelOption::Timeout => 17.5.into(),
        ModelOption::Tools => Tools::new().with(tool_fn("now", "Tells the time.", |(): ()| Ok("noon"))).into(),
        ModelOption::ToolChoice => "required".into(),
        ModelOption::ContextWindow => 5555.into(),
        ModelOption::StopSequences => ["HALT"].into(),
        ModelOption::Logits | ModelOption::RawLogits => true.into(),
        other => panic!("{other:?} needs a value here"),
    }
}

#[tokio::test]
async fn every_option_is_in_the_request_or_in_a_warning() {
    for option in ModelOption::ALL {
        let server = Server::start().await.unwrap();
        server.on("POST /api/chat").reply(answer(&["Hello"]));
        let session = Session::new(backend(&server));
        let output = session.chat("hi").option(option, value(option)).await.unwrap();
        let body = body(&server);
        let found = |path: &str, expected: Value| assert_eq!(body.pointer(path), Some(&expected), "{option:?}: {body}");
        let warned = |name: &str| {
            let warnings = output.warnings();
            assert!(warnings.iter().any(|w| w.to_string().contains(name)), "{option:?}: {warnings:?}");
        };
        match option {
            ModelOption::Temperature => found("/options/temperature", json!(0.125)),
            ModelOption::MaxNewTokens => found("/options/num_predict", json!(77)),
            ModelOption::Seed => found("/options/seed", json!(4711)),
            ModelOption::SystemPrompt => found("/messages/0", json!({"role": "system", "content": "You are brief."})),
            ModelOption::Thinking => found("/think", json!("medium")),
            ModelOption::Stream => found("/stream", json!(true)),
            // They never leave this machine; what the first does is tested with the failures.
            ModelOption::StreamTimeout | ModelOption::Timeout => {}
            ModelOption::Tools => found("/tools/0/function/name", json!("now")),
            ModelOption::ContextWindow => found("/options/num_ctx", json!(5555)),
            ModelOption::StopSequences => found("/options/stop", json!(["HALT"])),
            other => warned(other.name()),
        }
    }
}

#[tokio::test]
async fn a_misspelt_option_is_sent_with_a_warning() {
    let server = Server::start().await.unwrap();
    server.on("POST /api/chat").reply(answer(&["Hello"]));
    let session = Session::new(backend(&server));
    let output = session.chat("hi").option("num_predit", 5).option("top_k", 3).await.unwrap();
    assert_eq!(body(&server)["options"], json!({"num_predit": 5, "top_k": 3}));
    assert!(matches!(output.warnings(), [warning] if warning.to_string().contains("`num_predit`")), "{:?}", output.warnings());
}

#[tokio::test]
async fn later_layers_win_and_within_one_the_common_name_does() {
    let server = Server::start().await.unwrap();
    server.on("POST /api/chat").reply(answer(&["Hello"]));
    let of_backend = ModelOptions::new().with(ModelOption::MaxNewTokens, 100).with("top_k", 1).with("min_p", 0.1);
    let backend = builder(&server).options(&of_backend).option("min_p", 0.2).build().unwrap();
    assert_eq!(backend.default_options().extra()["min_p"], 0.2);
    let session = Session::new(backend);
    session.chat("hi").option("num_predict", 50).option("top_k", 2).await.unwrap();
    assert_eq!(body(&server)["options"], json!({"num_predict": 50, "top_k": 2, "min_p": 0.2}));
    let output = session.chat("hi").option("num_predict", 50).option(ModelOption::MaxNewTokens, 7).await.unwrap();
    assert_eq!(body(&server)["options"]["num_predict"], 7);
    assert_eq!(output.warnings().len(), 1);
}

#[tokio::test]
async fn thinking_with_a_format_is_a_warning() {
    let server = Server::start().await.unwrap();
    server.on("POST /api/chat").reply(answer(&["{\"result\": 7}"]));
    let session = Session::new(backend(&server));
    let output = session.instruct("A number.").format::<u8>().option(ModelOption::Thinking, true).await.unwrap();
    assert_eq!(*output, 7);
    assert!(output.warnings().iter().any(|w| w.to_string().contains("thinking")), "{:?}", output.warnings());
    let strict = Session::builder(self::backend(&server)).strict().build();
    assert!(strict.instruct("A number.").format::<u8>().option(ModelOption::Thinking, true).await.is_err());
}

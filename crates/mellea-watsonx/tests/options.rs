//! Every option is on the wire, or is told not to be.
#![cfg(test)]

use std::collections::BTreeMap;

use futures_util::StreamExt;
use mellea_core::{Backend, ChatRequest, Message, ModelOption, ModelOptions, OptionValue, RawRequest, Tools, tool::tool_fn};
use mellea_http::testing::{Recorded, Reply, Server};
use mellea_watsonx::WatsonX;
use serde_json::{Value, json};

/// A value for the option, and what is then sent where: nothing stands for a warning.
fn chat(option: ModelOption) -> (Value, Option<(&'static str, Value)>) {
    match option {
        ModelOption::Temperature => (json!(0.25), Some(("/temperature", json!(0.25)))),
        ModelOption::MaxNewTokens => (json!(17), Some(("/max_completion_tokens", json!(17)))),
        ModelOption::Seed => (json!(99), Some(("/seed", json!(99)))),
        ModelOption::SystemPrompt => {
            (json!("Be brief."), Some(("/messages/0", json!({ "role": "system", "content": "Be brief." }))))
        }
        ModelOption::ToolChoice => (json!("required"), Some(("/tool_choice_option", json!("required")))),
        ModelOption::StopSequences => (json!(["END"]), Some(("/stop", json!(["END"])))),
        ModelOption::Tools => (Value::Null, Some(("/tools/0/function/name", json!("now")))),
        // All three change how the call is made and not what its body is.
        ModelOption::Stream => (json!(true), Some(("", Value::Null))),
        ModelOption::StreamTimeout | ModelOption::Timeout => (json!(5), Some(("", Value::Null))),
        ModelOption::Thinking => (json!("high"), None),
        ModelOption::ContextWindow => (json!(4096), None),
        ModelOption::Logits | ModelOption::RawLogits => (json!(true), None),
        other => panic!("{other:?} is new: say what becomes of it"),
    }
}

fn tools() -> Tools {
    let now = |_: BTreeMap<String, String>| Ok::<_, mellea_core::ToolError>("noon");
    Tools::new().with(tool_fn("now", "Tells the time.", now))
}

async fn backend() -> (Server, WatsonX) {
    let server = Server::start().await.unwrap();
    server.handle(|request: &Recorded| match request.path.as_str() {
        "/ml/v1/text/generation" => Reply::json(200, &json!({ "results": [{ "generated_text": "x" }] })),
        _ => Reply::json(200, &json!({ "choices": [{ "message": { "content": "Hi" }, "finish_reason": "stop" }] })),
    });
    let backend = WatsonX::builder().url(server.url()).token("t").project_id("p").build().unwrap();
    (server, backend)
}

#[tokio::test]
async fn every_option_of_a_chat_is_sent_or_told() {
    let (server, backend) = backend().await;
    for option in ModelOption::ALL {
        let (value, sent) = chat(option);
        let value = if option == ModelOption::Tools { OptionValue::Tools(tools()) } else { OptionValue::Json(value) };
        let mut options = ModelOptions::new().with(option, value);
        if option == ModelOption::ToolChoice {
            options.set(ModelOption::Tools, tools());
        }
        let resolved = ModelOptions::resolve([&options], backend.synonyms()).unwrap();
        // As a session does it.
        let system = resolved.system_prompt.map(Message::system);
        let messages: mellea_core::Messages = system.into_iter().chain([Message::user("Hi")]).collect();
        let request = ChatRequest::new(messages).tools(resolved.tools.specs().cloned().collect()).options(resolved.options);
        let warnings = backend.unsupported(&request);
        let events: Vec<_> = backend.chat(request).await.unwrap().collect().await;
        assert!(events.iter().all(Result::is_ok));
        let last = server.requests().pop().unwrap();
        match sent {
            Some(("", _)) => {
                assert_eq!(last.path.ends_with("chat_stream"), option == ModelOption::Stream);
                assert!(warnings.is_empty());
            }
            Some((place, value)) => {
                assert_eq!(last.json().pointer(place), Some(&value), "{option:?}");
                assert!(warnings.is_empty(), "{option:?}: {warnings:?}");
            }
            None => assert!(warnings.iter().any(|w| w.to_string().contains(&format!("`{}`", option.name()))), "{option:?}"),
        }
    }
}

#[tokio::test]
async fn every_option_of_a_completion_is_sent_or_told() {
    let (server, backend) = backend().await;
    for option in ModelOption::ALL {
        let place = match option {
            ModelOption::Temperature => Some("/parameters/temperature"),
            ModelOption::MaxNewTokens => Some("/parameters/max_new_tokens"),
            ModelOption::Seed => Some("/parameters/random_seed"),
            ModelOption::StopSequences => Some("/parameters/stop_sequences"),
            ModelOption::ToolChoice | ModelOption::Thinking | ModelOption::ContextWindow => None,
            ModelOption::Logits | ModelOption::RawLogits | ModelOption::Stream => None,
            // These are no part of a raw request, or change nothing of it.
            _ => continue,
        };
        let value = chat(option).0;
        let mut request = RawRequest::new("text");
        request.options = ModelOptions::resolve([&ModelOptions::new().with(option, value.clone())], &[]).unwrap().options;
        let output = backend.complete(vec![request]).await.remove(0).unwrap();
        match place {
            Some(place) => {
                assert_eq!(server.requests().pop().unwrap().json().pointer(place), Some(&value), "{option:?}");
                assert!(output.warnings.is_empty(), "{option:?}: {:?}", output.warnings);
            }
            None => {
                assert!(output.warnings.iter().any(|w| w.to_string().contains(&format!("`{}`", option.name()))), "{option:?}")
            }
        }
    }
}

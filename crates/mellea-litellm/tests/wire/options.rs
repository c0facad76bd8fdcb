//! Every option is in the request or in a warning, whichever provider is asked.

use mellea_core::{Backend, ChatRequest, Message, ModelOption, ModelOptions, Thinking, ToolChoice, ToolSpec, Tools};
use mellea_litellm::{Form, Kind, LiteLlm, supported_providers};
use serde_json::{Value, json};

use crate::support::{events, http, server};

/// A value for each option; none for those that are no part of a request to a provider.
fn value(option: ModelOption) -> Option<mellea_core::OptionValue> {
    Some(match option {
        ModelOption::Temperature => 0.5.into(),
        ModelOption::MaxNewTokens => 9.into(),
        ModelOption::Seed => 7.into(),
        ModelOption::Thinking => Thinking::High.into(),
        ModelOption::ToolChoice => ToolChoice::Required.into(),
        ModelOption::ContextWindow => 4096.into(),
        ModelOption::StopSequences => ["END"].into(),
        ModelOption::Logits | ModelOption::RawLogits => true.into(),
        // The session makes a message of the first, tools of the second; the others are no field of a provider's.
        _ => return None,
    })
}

#[tokio::test]
async fn every_option_is_sent_or_warned_of_by_every_row() {
    let (server, http) = (server().await, http());
    let rows = supported_providers().filter(|row| matches!(row.kind, Kind::Openai | Kind::Template) && row.alias_of.is_none());
    let none: [(&str, &str); 0] = [];
    for row in rows {
        let model = if row.form == Form::RagFlow { "chat/1/m" } else { "m" };
        let builder =
            LiteLlm::builder().model(format!("{}/{model}", row.name)).base_url(server.url()).variables(none).http(http.clone());
        let backend = builder.build().unwrap();
        let plain = sent(&server, &backend, ModelOptions::new()).await.0;
        for option in ModelOption::ALL {
            let Some(value) = value(option) else { continue };
            let (body, warnings) = sent(&server, &backend, ModelOptions::new().with(option, value)).await;
            assert!(body != plain || !warnings.is_empty(), "{} {option:?}: {body}", row.name);
        }
    }
}

/// The body and the warnings of a request with these options.
async fn sent(server: &mellea_http::testing::Server, backend: &LiteLlm, options: ModelOptions) -> (Value, Vec<String>) {
    let resolved = ModelOptions::resolve([&options], backend.synonyms()).unwrap();
    let tool = ToolSpec::new("now", "Tells the time.", json!({ "type": "object", "properties": {} }));
    let request = ChatRequest::new(vec![Message::user("hi")]).options(resolved.options).tools(vec![tool]);
    let warnings = backend.unsupported(&request).iter().map(ToString::to_string).collect();
    events(backend, request).await;
    (crate::support::body(server), warnings)
}

#[test]
fn options_of_the_builder_are_the_backends() {
    let backend = LiteLlm::builder().model("groq/m").api_key("k").option(ModelOption::Temperature, 0.5).option("top_p", 0.1);
    let backend = backend.option("num_retries", 0).option(ModelOption::Tools, Tools::default()).build().unwrap();
    let defaults = backend.default_options();
    assert_eq!(defaults.get(ModelOption::Temperature), Some(&json!(0.5)));
    assert_eq!(Value::from(defaults.extra().clone()), json!({ "top_p": 0.1 }));
    assert!(defaults.tools().is_some());
}

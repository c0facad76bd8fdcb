//! Every option is on the wire, or a warning says that it is not.

use mellea_core::{ModelOption, ModelOptions, Thinking, ToolChoice, ToolSpec};

use super::*;

/// Sets one option to a value of its own, and says what of it must be found in the body.
fn set(option: ModelOption, to: &mut ChatRequest) -> Option<&'static str> {
    let options = &mut to.options;
    match option {
        ModelOption::Temperature => options.temperature = Some(0.375),
        ModelOption::MaxNewTokens => options.max_new_tokens = Some(4711),
        ModelOption::Seed => options.seed = Some(4712),
        ModelOption::SystemPrompt => to.messages.insert(0, Message::system("4713")),
        ModelOption::Thinking => options.thinking = Some(Thinking::High),
        ModelOption::Stream => options.stream = true,
        ModelOption::Tools => to.tools = vec![ToolSpec::without_parameters("4714", "")],
        ModelOption::ToolChoice => {
            to.tools = vec![ToolSpec::without_parameters("f", "")];
            options.tool_choice = Some(ToolChoice::Required);
        }
        ModelOption::ContextWindow => options.context_window = Some(4715),
        ModelOption::StopSequences => options.stop_sequences = vec!["4716".to_owned()],
        ModelOption::Logits => options.logits = true,
        ModelOption::RawLogits => options.raw_logits = true,
        // These are limits of this side; the first has a test of its own in `streams`.
        ModelOption::StreamTimeout | ModelOption::Timeout => return None,
        other => panic!("{other:?} is new: where does it go?"),
    }
    Some(match option {
        ModelOption::Temperature => "0.375",
        ModelOption::MaxNewTokens => "4711",
        ModelOption::Seed => "4712",
        ModelOption::SystemPrompt => "4713",
        ModelOption::Thinking => "high",
        ModelOption::Stream => "\"stream\":true",
        ModelOption::Tools => "4714",
        ModelOption::ToolChoice => "\"tool_choice\":\"required\"",
        ModelOption::ContextWindow => "4715",
        ModelOption::StopSequences => "4716",
        _ => "no such text",
    })
}

#[tokio::test]
async fn each_option_is_on_the_wire_or_in_a_warning() {
    for (dialect, responses) in [
        (Dialect::GENERIC, false),
        (Dialect::OPENAI, false),
        (Dialect::OPENAI, true),
        (Dialect::VLLM, false),
        (Dialect::OLLAMA, false),
        (Dialect::DEEPSEEK, false),
        (Dialect::OPENROUTER, false),
        (Dialect::GENERIC.drop(&["seed", "stop", "temperature", "max_tokens", "tool_choice", "reasoning_effort"]), false),
    ] {
        let server = Server::start().await.unwrap();
        server.on("/v1/chat/completions").reply(said("ok"));
        server.on("/v1/responses").reply(Reply::json(200, &json!({"status": "completed", "output": []})));
        let builder = at(&server, dialect);
        let backend = if responses { builder.responses() } else { builder }.build().unwrap();
        for option in ModelOption::ALL {
            let mut request = hi();
            let Some(found) = set(option, &mut request) else { continue };
            let warned = !backend.unsupported(&request).is_empty();
            ask(&backend, request).await;
            let body = server.requests().pop().unwrap().text();
            let there = body.contains(found);
            let thinks_on = option == ModelOption::Thinking && body.contains("enabled");
            assert!(there != warned || thinks_on, "{} {option:?}: there {there}, warned {warned}: {body}", dialect.name);
        }
    }
}

#[tokio::test]
async fn native_names_follow_the_rules_of_layers() {
    let server = Server::start().await.unwrap();
    let backend = at(&server, Dialect::GENERIC).option(ModelOption::MaxNewTokens, 100).build().unwrap();
    let call = ModelOptions::new().with("max_completion_tokens", 50).with("stop", "x").with("top_p", 0.5);
    let resolved = ModelOptions::resolve([&backend.default_options(), &call], backend.synonyms()).unwrap().options;
    assert_eq!((resolved.max_new_tokens, resolved.stop_sequences), (Some(50), vec!["x".to_owned()]));
    assert_eq!(resolved.extra.len(), 1);
}

#[tokio::test]
async fn thinking_by_server() {
    let fields = |body: &Value| {
        let names = ["reasoning_effort", "chat_template_kwargs", "reasoning", "thinking"];
        let set = names.into_iter().filter_map(|name| Some((name.to_owned(), body.get(name)?.clone())));
        Value::Object(set.collect())
    };
    for (dialect, thinking, expected) in [
        (Dialect::OPENAI, Thinking::On, json!({"reasoning_effort": "medium"})),
        (Dialect::OPENAI, Thinking::Off, json!({"reasoning_effort": "none"})),
        (Dialect::OPENAI, Thinking::Low, json!({"reasoning_effort": "low"})),
        (Dialect::VLLM, Thinking::On, json!({"chat_template_kwargs": {"enable_thinking": true}})),
        (Dialect::VLLM, Thinking::Off, json!({"chat_template_kwargs": {"enable_thinking": false}})),
        (
            Dialect::GENERIC,
            Thinking::On,
            json!({"reasoning_effort": "medium", "chat_template_kwargs": {"enable_thinking": true}}),
        ),
        (
            Dialect::GENERIC,
            Thinking::Off,
            json!({"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": false}}),
        ),
        (Dialect::GENERIC, Thinking::High, json!({"reasoning_effort": "high"})),
        (Dialect::OPENROUTER, Thinking::High, json!({"reasoning": {"effort": "high"}})),
        (Dialect::OPENROUTER, Thinking::Off, json!({"reasoning": {"enabled": false}})),
        (Dialect::DEEPSEEK, Thinking::On, json!({"thinking": {"type": "enabled"}})),
    ] {
        let (body, _) = sent(dialect, hi().options(options(|o| o.thinking = Some(thinking)))).await;
        assert_eq!(fields(&body), expected, "{} {thinking:?}", dialect.name);
    }
    // A word that the common option does not have, in the server's own name.
    let extra = json!({"reasoning_effort": "minimal"}).as_object().unwrap().clone();
    let request = hi().options(options(|o| {
        o.thinking = Some(Thinking::On);
        o.extra = extra;
    }));
    let (body, _) = sent(Dialect::GENERIC, request.clone()).await;
    assert_eq!(fields(&body), json!({"reasoning_effort": "minimal"}));
    let server = Server::start().await.unwrap();
    let warnings = at(&server, Dialect::GENERIC).build().unwrap().unsupported(&request);
    assert!(matches!(warnings.as_slice(), [Warning::ConflictingOption { .. }]), "{warnings:?}");
}

#[tokio::test]
async fn a_choice_of_tools_without_tools_is_left_out_and_named() {
    let request = hi().options(options(|o| o.tool_choice = Some(ToolChoice::Required)));
    let (body, _) = sent(Dialect::GENERIC, request.clone()).await;
    assert_eq!(body.get("tool_choice"), None);
    let server = Server::start().await.unwrap();
    let warnings = at(&server, Dialect::GENERIC).build().unwrap().unsupported(&request);
    assert_eq!(warnings, [other("`tool_choice` without tools means nothing; it was left out")]);
}

#[tokio::test]
async fn tools_with_a_schema_are_both_sent_and_named_where_they_exclude_each_other() {
    let schema = mellea_core::Schema::from_value(json!({"type": "object", "properties": {}})).unwrap();
    let request = hi().tools(vec![ToolSpec::without_parameters("f", "")]).format(mellea_core::Format::JsonSchema(schema));
    let (body, _) = sent(Dialect::VLLM, request.clone()).await;
    assert!(body.get("tools").is_some() && body.get("response_format").is_some());
    let server = Server::start().await.unwrap();
    assert_eq!(at(&server, Dialect::VLLM).build().unwrap().unsupported(&request).len(), 1);
}

//! Requests as they stand on the wire.

use insta::assert_json_snapshot;
use mellea_core::{Audio, Content, ErrorKind, Format, Image, Role, Schema, Thinking, ToolChoice, ToolSpec};
use mellea_openai::{AuthHeader, ContentForm, Guidance, SchemaPolicy, SystemRole, ThinkingField};

use super::*;

const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mP8/x8AAwMCAO+ip1sAAAAASUVORK5CYII=";

fn add() -> ToolSpec {
    let number = json!({"type": "number"});
    ToolSpec::new("add", "Adds.", json!({"type": "object", "properties": {"a": number, "b": number}, "required": ["a", "b"]}))
}

/// Nested, with an optional part and a list.
fn order() -> Schema {
    let line =
        json!({"type": "object", "properties": {"sku": {"type": "string"}, "note": {"type": "string"}}, "required": ["sku"]});
    Schema::from_value(json!({
        "title": "Order",
        "type": "object",
        "properties": {"id": {"type": "integer", "minimum": 1}, "lines": {"type": "array", "items": line}},
        "required": ["id", "lines"],
    }))
    .unwrap()
}

fn all_options() -> RequestOptions {
    options(|o| {
        o.temperature = Some(0.5);
        o.max_new_tokens = Some(100);
        o.seed = Some(7);
        o.thinking = Some(Thinking::High);
        o.tool_choice = Some(ToolChoice::Tool("add".to_owned()));
        o.stop_sequences = vec!["END".to_owned()];
        o.stream = true;
    })
}

async fn full(dialect: Dialect) -> Value {
    let request = ChatRequest::new(vec![Message::system("be brief"), Message::user("hi")]).tools(vec![add()]);
    sent(dialect, request.options(all_options())).await.0
}

#[tokio::test]
async fn a_plain_request_has_nothing_to_spare() {
    let (body, request) = sent(Dialect::OPENAI, hi()).await;
    assert_eq!(body, json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}));
    assert_eq!(request.header("authorization"), Some("Bearer sk-canary"));
    assert_eq!(request.header("openai-organization"), None, "this is not OpenAI's host");
}

#[tokio::test]
async fn every_option_in_every_dialect() {
    for dialect in [
        Dialect::GENERIC,
        Dialect::OPENAI,
        Dialect::VLLM,
        Dialect::OLLAMA,
        Dialect::DEEPSEEK,
        Dialect::OPENROUTER,
        Dialect::LLAMA_CPP,
        Dialect::GROQ,
    ] {
        let name = if dialect == Dialect::GENERIC { "generic" } else { dialect.name };
        let name = if dialect == Dialect::OPENAI { "platform" } else { name };
        assert_json_snapshot!(format!("options_{name}"), full(dialect).await);
    }
}

#[tokio::test]
async fn a_dialects_facts_shape_the_body() {
    let dialect = Dialect::GENERIC
        .rename(&[("seed", "random_seed")])
        .drop(&["stop", "top_k"])
        .max_temperature(Some(0.4))
        .content(ContentForm::Parts)
        .system_role(SystemRole::Developer)
        .stream_usage(false)
        .thinking(ThinkingField::None)
        .extra_body(r#"{"safe": true}"#)
        .auth(AuthHeader::Header("x-key"))
        .query(&[("v", "1")]);
    let mut given = all_options();
    given.extra = json!({"top_k": 3, "top_p": 0.9}).as_object().unwrap().clone();
    let request = ChatRequest::new(vec![Message::system("be brief"), Message::user("hi")]).tools(vec![add()]).options(given);
    let (body, recorded) = sent(dialect, request.clone()).await;
    assert_json_snapshot!("facts", body);
    assert_eq!((recorded.header("x-key"), recorded.header("authorization")), (Some("sk-canary"), None));
    assert_eq!(recorded.query, "v=1");
    let server = Server::start().await.unwrap();
    let warnings = at(&server, dialect).build().unwrap().unsupported(&request);
    let shown: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "the temperature was lowered from 0.5 to 0.4, the most that openai takes",
            "openai has no option `stop_sequences`; it was left out",
            "openai has no option `thinking`; it was left out",
            "openai has no option `top_k`; it was left out",
        ]
    );
}

#[tokio::test]
async fn azure_has_the_deployment_in_the_path() {
    let server = Server::start().await.unwrap();
    server.on("/openai/deployments/my%2Fgpt%204/chat/completions").reply(said("ok"));
    let azure = || OpenAi::builder().dialect(Dialect::AZURE).base_url(server.url()).model("my/gpt 4").api_key("k");
    ask(&azure().build().unwrap(), hi()).await;
    ask(&azure().query("api-version", "2025-04-01-preview").build().unwrap(), hi()).await;
    let requests = server.requests();
    assert_eq!((requests[0].query.as_str(), requests[0].header("api-key")), ("api-version=2024-10-21", Some("k")));
    assert_eq!(requests[1].query, "api-version=2025-04-01-preview");
}

#[tokio::test]
async fn schemas_by_policy() {
    for (name, policy) in [
        ("strict", SchemaPolicy::Strict),
        ("plain", SchemaPolicy::Plain),
        ("json_object", SchemaPolicy::JsonObject),
        ("forced_tool", SchemaPolicy::ForcedTool),
        ("none", SchemaPolicy::None),
    ] {
        let request = hi().format(Format::JsonSchema(order()));
        assert_json_snapshot!(format!("schema_{name}"), sent(Dialect::GENERIC.schema(policy), request.clone()).await.0);
        let server = Server::start().await.unwrap();
        let backend = at(&server, Dialect::GENERIC.schema(policy)).build().unwrap();
        let unconstrained = backend.unsupported(&request).iter().any(|w| matches!(w, Warning::Unconstrained { .. }));
        assert_eq!(unconstrained, !backend.capabilities().json_schema, "{name}: what is not enforced is said");
    }
}

#[tokio::test]
async fn a_schema_without_a_strict_form_goes_plain_and_says_so() {
    let map = Schema::from_value(json!({"type": "object", "additionalProperties": {"type": "integer"}})).unwrap();
    let request = hi().format(Format::JsonSchema(map));
    let (body, _) = sent(Dialect::OPENAI, request.clone()).await;
    assert_eq!(body["response_format"]["json_schema"]["strict"], false);
    assert_eq!(body["response_format"]["json_schema"]["schema"]["additionalProperties"]["type"], "integer");
    let server = Server::start().await.unwrap();
    let warnings = at(&server, Dialect::OPENAI).build().unwrap().unsupported(&request);
    assert!(matches!(warnings.as_slice(), [Warning::Unconstrained { .. }]), "{warnings:?}");
}

#[tokio::test]
async fn regular_expressions_are_guided_or_named() {
    let request = hi().format(Format::Regex("[a-z]+".to_owned()));
    let (new, _) = sent(Dialect::VLLM, request.clone()).await;
    assert_eq!(new["structured_outputs"], json!({"regex": "[a-z]+"}));
    let (old, _) = sent(Dialect::VLLM.guidance(Guidance::Guided), request.clone()).await;
    assert_eq!(old["guided_regex"], "[a-z]+");
    let server = Server::start().await.unwrap();
    let warnings = at(&server, Dialect::GENERIC).build().unwrap().unsupported(&request);
    assert!(matches!(warnings.as_slice(), [Warning::Unconstrained { .. }]), "{warnings:?}");
}

#[tokio::test]
async fn images_and_audio_are_parts() {
    let message = Message::user("look")
        .content(Image::from_base64(PIXEL).unwrap())
        .content(Image::from_url("https://example.org/a.png").unwrap())
        .content(Audio::from_bytes(b"abc", "audio/mpeg").unwrap());
    assert_json_snapshot!("media", sent(Dialect::OPENAI, ChatRequest::new(vec![message])).await.0);
}

#[tokio::test]
async fn what_a_server_cannot_take_is_refused_before_it_is_asked() {
    let server = Server::start().await.unwrap();
    let pixel = || Content::from(Image::from_base64(PIXEL).unwrap());
    let link = || Content::from(Image::from_url("https://example.org/a.png").unwrap());
    let sound = || Content::from(Audio::from_bytes(b"abc", "wav").unwrap());
    let far_sound = || Content::from(Audio::from_url("https://example.org/a.wav", "wav").unwrap());
    for (dialect, role, content, word) in [
        (Dialect::DEEPSEEK, Role::User, pixel(), "image"),
        (Dialect::OLLAMA, Role::User, link(), "fetches no images"),
        (Dialect::GROQ, Role::User, sound(), "audio"),
        (Dialect::OPENAI, Role::User, far_sound(), "address"),
        (Dialect::OPENAI, Role::Tool, pixel(), "text only"),
        (Dialect::GENERIC.content(ContentForm::Text), Role::User, pixel(), "text only"),
    ] {
        let backend = at(&server, dialect).build().unwrap();
        let error = fails(&backend, ChatRequest::new(vec![Message::new(role, "x").content(content)])).await;
        assert!(matches!(error.kind(), ErrorKind::InvalidContent { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(error.model(), Some("m"));
    }
    assert_eq!(server.count(), 0);
}

fn tool_turn() -> ChatRequest {
    let first = ToolCall::with_id("call_1", "add", json!({"a": 1, "b": 2}));
    let second = ToolCall::with_id("call_2", "add", json!("{\"a\": 1"));
    let mut turn = Message::assistant("");
    turn.tool_calls = vec![first.clone(), second.clone()];
    turn.thinking = Some("I must add.".to_owned());
    turn.replay = Some(json!({"openai": {"reasoning": "reasoning"}}).into());
    let answers = [Message::tool(&first, "3"), Message::tool(&second, "error: the arguments are no JSON")];
    ChatRequest::new([vec![Message::user("1+2?"), turn], answers.to_vec()].concat()).tools(vec![add()])
}

#[tokio::test]
async fn a_turn_with_tools_goes_back_as_it_came() {
    assert_json_snapshot!("tool_turn", sent(Dialect::GENERIC, tool_turn()).await.0["messages"]);
}

#[tokio::test]
async fn reasoning_goes_back_in_the_field_it_came_in() {
    let field = |body: &Value| {
        let turn = body["messages"][1].as_object().unwrap();
        ["reasoning", "reasoning_content"].into_iter().filter(|f| turn.contains_key(*f)).collect::<Vec<_>>().join(",")
    };
    let with = |replay: Option<Value>| {
        let mut request = tool_turn();
        request.messages[1].replay = replay.map(Into::into);
        request
    };
    let used = |field: &str| Some(json!({"openai": {"reasoning": field}}));
    for (dialect, replay, expected) in [
        (Dialect::GENERIC, used("reasoning"), "reasoning"),
        (Dialect::OLLAMA, used("reasoning_content"), "reasoning_content"),
        (Dialect::GENERIC, None, "reasoning_content"),
        (Dialect::VLLM, None, "reasoning"),
        (Dialect::GENERIC, used("role"), "reasoning_content"),
        (Dialect::OPENAI, used("reasoning"), ""),
    ] {
        assert_eq!(field(&sent(dialect, with(replay.clone())).await.0), expected, "{} {replay:?}", dialect.name);
    }
}

#[tokio::test]
async fn details_and_signatures_go_back_as_they_came() {
    let details = json!([{"type": "reasoning.encrypted", "data": "xyz"}]);
    let signature = json!({"google": {"thought_signature": "sig"}});
    let mut request = tool_turn();
    request.messages[1].replay =
        Some(json!({"openai": {"reasoning_details": details, "extra_content": {"call_1": signature}}}).into());
    let (body, _) = sent(Dialect::OPENROUTER, request.clone()).await;
    let turn = &body["messages"][1];
    assert_eq!((&turn["reasoning_details"], &turn["tool_calls"][0]["extra_content"]), (&details, &signature));
    assert_eq!(turn["tool_calls"][1].get("extra_content"), None);
    let (body, _) = sent(Dialect::OPENAI, request).await;
    assert!(!body.to_string().contains("xyz") && !body.to_string().contains("sig"), "{body}");
}

#[tokio::test]
async fn the_callers_own_fields_pass_and_win() {
    let given = options(|o| {
        o.stream = true;
        o.thinking = Some(Thinking::On);
        o.extra = json!({
            "prompt_cache_key": "k", "logprobs": true, "top_logprobs": 2, "top_k": 5,
            "stream_options": {"include_usage": false},
            "response_format": {"type": "json_object"},
            "chat_template_kwargs": {"mine": 1},
            "tools": [{"type": "web_search"}],
            "extra_headers": {"x-a": "b"},
            "extra_body": {"chat_template_kwargs": {"late": 2}, "top_k": 6},
        })
        .as_object()
        .unwrap()
        .clone();
    });
    let request = hi().format(Format::JsonSchema(order())).tools(vec![add()]).options(given);
    let (body, recorded) = sent(Dialect::VLLM, request).await;
    assert_json_snapshot!("passed", body);
    assert_eq!(recorded.header("x-a"), Some("b"));
}

#[tokio::test]
async fn the_same_options_give_the_same_bytes() {
    let one = sent(Dialect::GENERIC, tool_turn().options(all_options())).await.1.body;
    let two = sent(Dialect::GENERIC, tool_turn().options(all_options())).await.1.body;
    assert_eq!(one, two);
}

#[tokio::test]
async fn options_that_cannot_be_are_refused_before_anything_is_sent() {
    let server = Server::start().await.unwrap();
    let backend = at(&server, Dialect::GENERIC).build().unwrap();
    for extra in
        [json!({"n": 2}), json!({"best_of": 3}), json!({"messages": []}), json!({"model": "x"}), json!({"timeout": "soon"})]
    {
        let request = hi().options(options(|o| o.extra = extra.as_object().unwrap().clone()));
        let error = fails(&backend, request).await;
        assert!(matches!(error.kind(), ErrorKind::InvalidOption { .. }), "{extra}: {error}");
        assert_eq!(error.provider(), Some("openai"));
    }
    assert_eq!(server.count(), 0);
    let one = hi().options(options(|o| o.extra = json!({"n": 1}).as_object().unwrap().clone()));
    server.on("/v1/chat/completions").reply(said("ok"));
    assert_eq!(ask(&backend, one).await.text, "ok");
}

#[tokio::test]
async fn text_marked_as_cached_is_marked_where_the_service_takes_it() {
    let request = || ChatRequest::new(vec![Message::user(Content::cached("long")).content("short")]);
    let (plain, _) = sent(Dialect::OPENAI, request()).await;
    assert_eq!(plain["messages"][0]["content"], "long\nshort");
    let (marked, _) = sent(Dialect::OPENROUTER, request()).await;
    assert_eq!(marked["messages"][0]["content"][0]["cache_control"]["type"], "ephemeral");
}

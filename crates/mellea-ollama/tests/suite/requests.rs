//! What goes over the wire, to the byte.

use insta::assert_json_snapshot;
use mellea_core::{
    Audio, Backend, ChatRequest, ErrorKind, Format, Image, Message, ModelOption, ModelOptions, RequestOptions, Schema, Thinking,
    ToolCall, ToolChoice, ToolSpec, Warning,
};
use mellea_http::testing::{Reply, Server};
use serde_json::{Value, json};

use crate::{MODEL, answer, backend, body, builder, events, hi, refusal};

const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=";

async fn server() -> Server {
    let server = Server::start().await.unwrap();
    server.on("POST /api/chat").reply(answer(&["Hello"]));
    server
}

/// The body that a request becomes.
async fn sent(request: ChatRequest) -> Value {
    let server = server().await;
    events(&backend(&server), request).await;
    body(&server)
}

fn options(set: &ModelOptions) -> RequestOptions {
    ModelOptions::resolve([set], backend_synonyms()).unwrap().options
}

fn backend_synonyms() -> &'static [(&'static str, ModelOption)] {
    mellea_ollama::Ollama::new(MODEL).unwrap().synonyms()
}

fn nested() -> ToolSpec {
    let parameters = json!({
        "type": "object",
        "properties": {
            "place": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
                "required": ["city"], "additionalProperties": false},
            "days": {"type": "array", "items": {"enum": ["sat", "sun"]}, "minItems": 1},
            "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
        },
        "required": ["place"],
    });
    ToolSpec::new("weather", "Tells the weather.", parameters)
}

#[tokio::test]
async fn a_minimal_chat() {
    let body = sent(hi()).await;
    assert_eq!(
        body.to_string(),
        r#"{"model":"granite4.1:3b","messages":[{"role":"user","content":"hi"}],"stream":true,"options":{},"truncate":false}"#
    );
}

#[tokio::test]
async fn every_option_has_its_place() {
    let set = ModelOptions::new()
        .with(ModelOption::Temperature, 0.5)
        .with(ModelOption::MaxNewTokens, 7)
        .with(ModelOption::Seed, u64::MAX)
        .with(ModelOption::Thinking, Thinking::High)
        .with(ModelOption::ContextWindow, 4096)
        .with(ModelOption::StopSequences, ["\n", "END"])
        .with("top_k", 40)
        .with("min_p", None::<f64>)
        .with("keep_alive", "10m")
        .with("shift", false)
        .with("top_logprobs", 2)
        .with("extra_body", json!({"_debug_render_only": true}));
    assert_json_snapshot!(sent(hi().options(options(&set))).await);
}

#[tokio::test]
async fn native_names_are_understood() {
    let set = ModelOptions::new()
        .with("num_predict", 5)
        .with("num_ctx", 2048)
        .with("think", false)
        .with("stop", "X")
        .with("seed", 3)
        .with("temperature", 0)
        .with("tool_choice", "auto");
    let body = sent(hi().options(options(&set))).await;
    assert_eq!(body["options"], json!({"num_ctx": 2048, "num_predict": 5, "temperature": 0.0, "seed": 3, "stop": ["X"]}));
    assert_eq!(body["think"], false);
    assert!(body.get("tool_choice").is_none());
}

#[tokio::test]
async fn thinking_is_left_out_unless_it_is_asked_for() {
    for (thinking, sent_as) in [(Thinking::On, json!(true)), (Thinking::Off, json!(false)), (Thinking::Low, json!("low"))] {
        let body = sent(hi().options(options(&ModelOptions::new().with(ModelOption::Thinking, thinking)))).await;
        assert_eq!(body["think"], sent_as);
    }
}

#[tokio::test]
async fn a_whole_conversation_with_tools_and_images_is_replayed() {
    let calls = vec![
        ToolCall::with_id("a", "weather", json!({"place": {"city": "Paris"}})),
        ToolCall::with_id("b", "weather", json!("no JSON")),
    ];
    let mut called = Message::assistant("");
    called.thinking = Some("Both cities.".to_owned());
    called.tool_calls.clone_from(&calls);
    let mut plain = Message::assistant("Warm.");
    plain.thinking = Some("Never shown again.".to_owned());
    let messages = vec![
        Message::system("Be brief."),
        Message::user("What is this?").content(Image::from_base64(PIXEL).unwrap()).content("And the weather there?"),
        called,
        Message::tool(&calls[0], "warm"),
        Message::tool(&calls[1], "error: arguments are no JSON"),
        plain,
        Message::user("Thanks."),
    ];
    assert_json_snapshot!(sent(ChatRequest::new(messages).tools(vec![nested()])).await);
}

#[tokio::test]
async fn an_image_as_a_data_uri_goes_without_its_prefix() {
    let image = Image::from_base64(&format!("data:image/png;base64,{PIXEL}")).unwrap();
    let body = sent(ChatRequest::new(vec![Message::user("What is this?").content(image)])).await;
    assert_eq!(body["messages"][0]["images"], json!([PIXEL]));
}

#[tokio::test]
async fn a_format_is_the_schema_itself_and_keeps_tools_out() {
    let schema = Schema::from_value(json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "required": ["a"],
        "$defs": {"A": {"type": "object", "properties": {"b": {"type": "integer"}}}}}))
    .unwrap();
    let request = hi().format(Format::JsonSchema(schema.clone())).tools(vec![nested()]);
    let server = server().await;
    let backend = backend(&server);
    let warnings = backend.unsupported(&request);
    assert!(matches!(&warnings[..], [Warning::Other { message }] if message.contains("tools were left out")), "{warnings:?}");
    events(&backend, request).await;
    let body = body(&server);
    assert_eq!(&body["format"], schema.plain());
    assert!(body.get("tools").is_none() && !body["format"].to_string().contains("$ref"), "{body}");
}

#[tokio::test]
async fn json_of_any_form_can_be_asked_for_and_a_schema_wins() {
    let any = options(&ModelOptions::new().with("format", "json"));
    assert_eq!(sent(hi().options(any.clone())).await["format"], "json");
    let schema = Schema::from_value(json!({"type": "object", "properties": {}})).unwrap();
    let request = hi().options(any).format(Format::JsonSchema(schema));
    let warnings = backend(&server().await).unsupported(&request);
    assert!(matches!(&warnings[..], [Warning::ConflictingOption { dropped, .. }] if dropped == "format"), "{warnings:?}");
    assert!(sent(request).await["format"].is_object());
}

#[tokio::test]
async fn what_the_wire_cannot_carry_is_refused_before_anything_is_sent() {
    let server = server().await;
    let with = |content: mellea_core::Content| ChatRequest::new(vec![Message::user("Look.").content(content)]);
    for (request, word) in [
        (with(Audio::from_bytes(b"x", "wav").unwrap().into()), "audio"),
        (with(Image::from_url("https://example.org/a.png").unwrap().into()), "address"),
    ] {
        let error = refusal(&backend(&server), request).await;
        assert!(matches!(error.kind(), ErrorKind::Unsupported { reason, .. } if reason.contains(word)), "{error}");
        assert_eq!((error.provider(), error.model()), (Some("ollama"), Some(MODEL)));
    }
    assert!(matches!(refusal(&backend(&server), ChatRequest::default()).await.kind(), ErrorKind::EmptyPrompt));
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn no_choice_of_tools_leaves_them_out_and_a_forced_one_is_a_warning() {
    let choose = |choice| {
        let mut request = hi().tools(vec![nested()]);
        request.options.tool_choice = Some(choice);
        request
    };
    assert!(sent(choose(ToolChoice::None)).await.get("tools").is_none());
    for choice in [ToolChoice::Required, ToolChoice::Tool("weather".to_owned())] {
        let request = choose(choice);
        let warnings = backend(&server().await).unsupported(&request);
        assert!(matches!(&warnings[..], [Warning::UnsupportedOption { option, .. }] if option == "tool_choice"), "{warnings:?}");
        assert_eq!(sent(request).await["tools"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn headers_keys_and_a_path_go_along() {
    let server = Server::start().await.unwrap();
    server.on("POST /below/api/chat").reply(answer(&["Hello"]));
    let backend = builder(&server).host(format!("{}/below/", server.url())).header("x-team", "7").keep_alive(-1).build().unwrap();
    let set = ModelOptions::new().with("extra_headers", json!({"x-call": "1"}));
    events(&backend, hi().options(options(&set))).await;
    let request = &server.requests()[0];
    assert_eq!(request.header("authorization"), Some("Bearer not-a-key"));
    assert_eq!((request.header("x-team"), request.header("x-call")), (Some("7"), Some("1")));
    assert_eq!(request.json()["keep_alive"], -1);
}

#[tokio::test]
async fn the_same_options_give_the_same_body_twice() {
    let request = || {
        let set = ModelOptions::new().with("top_k", 1).with("top_p", 0.5).with("repeat_penalty", 1.1).with("num_predict", 3);
        hi().options(options(&set)).tools(vec![nested(), ToolSpec::without_parameters("now", "Tells the time.")])
    };
    let server = server().await;
    events(&backend(&server), request()).await;
    events(&backend(&server), request()).await;
    let requests = server.requests();
    assert_eq!(requests[0].body, requests[1].body);
}

#[tokio::test]
async fn one_connection_serves_one_call_after_the_other() {
    let server = server().await;
    let backend = backend(&server);
    for _ in 0..5 {
        events(&backend, hi()).await;
    }
    assert_eq!((server.count(), server.connections()), (5, 1));
}

#[tokio::test]
async fn a_body_that_never_ends_does_not_hold_a_finished_answer() {
    let server = Server::start().await.unwrap();
    let lines = [crate::piece("Hello"), crate::end()].map(|line| mellea_http::testing::Step::send(format!("{line}\n")));
    let steps = lines.into_iter().chain([mellea_http::testing::Step::Hang]);
    server.on("POST /api/chat").reply(Reply::stream("application/x-ndjson", steps));
    assert_eq!(crate::text(&events(&backend(&server), hi()).await), "Hello");
}

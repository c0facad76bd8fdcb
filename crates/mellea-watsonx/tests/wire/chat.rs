//! Chats: the body that is sent, and the answer as a whole.

use insta::assert_json_snapshot;
use mellea_core::{
    Audio, Content, ErrorKind, FinishReason, Format, Image, ModelOption, Role, Schema, Thinking, ToolCall, ToolChoice, ToolSpec,
    Usage, Warning,
};

use super::*;

async fn sent(
    make: impl Fn(&WatsonX) -> ChatRequest,
    change: impl Fn(WatsonXBuilder) -> WatsonXBuilder,
) -> (Recorded, Vec<Warning>) {
    let server = Server::start().await.unwrap();
    server.handle(|_| Reply::json(200, &answer("Hi")));
    let backend = change(builder(&server)).build().unwrap();
    let request = make(&backend);
    let warnings = backend.unsupported(&request);
    all(&backend, request).await.unwrap();
    (server.requests().remove(0), warnings)
}

async fn body(make: impl Fn(&WatsonX) -> ChatRequest) -> Value {
    sent(make, |builder| builder).await.0.json()
}

fn add() -> ToolSpec {
    let number = json!({ "type": "integer" });
    let parameters = json!({ "type": "object", "properties": { "a": number, "b": number }, "required": ["a", "b"] });
    ToolSpec::new("add", "Adds two numbers.", parameters)
}

fn person() -> Schema {
    Schema::from_value(json!({
        "title": "Person",
        "type": "object",
        "properties": { "name": { "type": "string" }, "age": { "type": "integer" } },
        "required": ["name"],
    }))
    .unwrap()
}

fn with(options: ModelOptions) -> impl Fn(&WatsonX) -> ChatRequest {
    move |backend| ask("Hi").options(resolved(backend, &options))
}

#[tokio::test]
async fn a_plain_chat_has_model_project_and_version() {
    let (request, warnings) = sent(|_| ask("Hi"), |builder| builder.header("x-mine", "1")).await;
    assert_eq!((request.path.as_str(), request.query.as_str()), ("/ml/v1/text/chat", "version=2025-02-11"));
    assert_eq!(request.header("x-mine"), Some("1"));
    assert!(warnings.is_empty());
    assert_json_snapshot!(request.json());
}

#[tokio::test]
async fn space_version_and_deployment_have_their_places() {
    let space = || WatsonX::builder().token("t").model("m");
    let server = Server::start().await.unwrap();
    server.handle(|_| Reply::json(200, &answer("Hi")));
    let backend = space().url(server.url()).space_id("s1").version("2025-12-31").build().unwrap();
    all(&backend, ask("Hi")).await.unwrap();
    let backend = space().url(server.url()).deployment_id("d-1").build().unwrap();
    all(&backend, ask("Hi")).await.unwrap();
    all(&backend, streamed(ask("Hi"))).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests[0].query, "version=2025-12-31");
    assert_eq!(
        requests[0].json(),
        json!({ "model_id": "m", "space_id": "s1", "messages": [{ "role": "user", "content": "Hi" }] })
    );
    assert_eq!(requests[1].path, "/ml/v1/deployments/d-1/text/chat");
    assert_eq!(requests[2].path, "/ml/v1/deployments/d-1/text/chat_stream");
    assert_eq!(requests[1].json(), json!({ "messages": [{ "role": "user", "content": "Hi" }] }));
}

#[tokio::test]
async fn options_have_their_names_on_the_wire() {
    let options = ModelOptions::new()
        .with(ModelOption::Temperature, 0.5)
        .with(ModelOption::MaxNewTokens, 64)
        .with(ModelOption::Seed, 7)
        .with(ModelOption::StopSequences, ["END"])
        .with("top_p", 0.9)
        .with("reasoning_effort", "low")
        .with("chat_template_kwargs", json!({ "thinking": true }))
        .with("extra_body", json!({ "chat_template_kwargs": { "x": 1 }, "anything": [1] }));
    assert_json_snapshot!(body(with(options)).await);
}

#[tokio::test]
async fn native_names_and_layers_follow_the_precedence() {
    let seed = |layer: ModelOptions, call: ModelOptions| async move {
        let (request, _) = sent(with(call), |builder| builder.options(&layer)).await;
        (request.json()["max_completion_tokens"].clone(), request.json()["seed"].clone())
    };
    let new = ModelOptions::new;
    let constructor = new().with(ModelOption::MaxNewTokens, 100).with("random_seed", 1);
    assert_eq!(seed(constructor.clone(), new()).await, (json!(100), json!(1)));
    assert_eq!(seed(constructor.clone(), new().with("max_tokens", 50)).await.0, json!(50));
    assert_eq!(seed(constructor, new().with("max_new_tokens", 5).with(ModelOption::MaxNewTokens, 7)).await.0, json!(7));
}

#[tokio::test]
async fn the_choice_of_tools_is_honoured() {
    let chosen = |choice: Option<ToolChoice>| async move {
        let body = body(|_| {
            let mut request = ask("1 + 2?").tools(vec![add()]);
            request.options.tool_choice = choice.clone();
            request
        })
        .await;
        assert_eq!(body["tools"].as_array().map(Vec::len), Some(1));
        (body["tool_choice_option"].clone(), body["tool_choice"].clone())
    };
    assert_eq!(chosen(None).await, (json!("auto"), Value::Null));
    assert_eq!(chosen(Some(ToolChoice::Auto)).await, (json!("auto"), Value::Null));
    assert_eq!(chosen(Some(ToolChoice::None)).await, (json!("none"), Value::Null));
    assert_eq!(chosen(Some(ToolChoice::Required)).await, (json!("required"), Value::Null));
    let named = json!({ "type": "function", "function": { "name": "add" } });
    assert_eq!(chosen(Some(ToolChoice::Tool("add".into()))).await, (Value::Null, named));
}

#[tokio::test]
async fn a_conversation_with_tools_is_replayed_in_full() {
    let call = ToolCall::with_id("call-7", "add", json!({ "a": 1, "b": 2 }));
    let odd = ToolCall::with_id("call-8", "add", json!("{broken"));
    let mut turn = Message::assistant("");
    turn.thinking = Some("I should add.".into());
    turn.tool_calls = vec![call.clone(), odd.clone()];
    let messages = vec![
        Message::system("Be brief."),
        Message::user("1 + 2?"),
        turn,
        Message::tool(&call, "3"),
        Message::tool(&odd, "the arguments are no JSON"),
        Message::assistant("3"),
        Message::new(Role::User, "Thanks").content("And 2 + 3?"),
    ];
    let request = ChatRequest::new(messages).tools(vec![add()]);
    assert_json_snapshot!(body(|_| request.clone()).await);
}

#[tokio::test]
async fn a_schema_is_sent_strict_together_with_the_tools() {
    let format = || ask("Who?").format(Format::JsonSchema(person()));
    let (request, warnings) = sent(|_| format().tools(vec![add()]), |builder| builder).await;
    assert!(warnings.is_empty());
    assert_json_snapshot!(request.json());
    assert_eq!(body(|_| ask("Who?").format(Format::Regex("[a-z]+".into()))).await["guided_regex"], "[a-z]+");
}

#[tokio::test]
async fn a_schema_without_a_strict_form_is_sent_plain_and_told() {
    let map = Schema::from_value(json!({ "type": "object", "additionalProperties": { "type": "integer" } })).unwrap();
    let (request, warnings) = sent(|_| ask("Who?").format(Format::JsonSchema(map.clone())), |builder| builder).await;
    let format = &request.json()["response_format"]["json_schema"];
    assert_eq!((&format["strict"], &format["schema"]["type"]), (&json!(false), &json!("object")));
    assert!(matches!(warnings.as_slice(), [Warning::Unconstrained { .. }]), "{warnings:?}");
}

#[tokio::test]
async fn a_response_format_of_the_caller_is_kept() {
    let options = ModelOptions::new().with("response_format", json!({ "type": "json_object" }));
    let make = |backend: &WatsonX| ask("Who?").options(resolved(backend, &options)).format(Format::JsonSchema(person()));
    let (request, warnings) = sent(make, |builder| builder).await;
    assert_eq!(request.json()["response_format"], json!({ "type": "json_object" }));
    assert!(matches!(warnings.as_slice(), [Warning::Unconstrained { .. }]), "{warnings:?}");
}

#[tokio::test]
async fn what_cannot_be_honoured_is_told() {
    let options = ModelOptions::new()
        .with(ModelOption::Thinking, Thinking::High)
        .with(ModelOption::ContextWindow, 4096)
        .with(ModelOption::Logits, true)
        .with(ModelOption::RawLogits, true)
        .with(ModelOption::ToolChoice, "required")
        .with("n", 2)
        .with("top_k", 5)
        .with("messages", json!([]))
        .with("nothing", None::<f64>);
    let (request, warnings) = sent(with(options), |builder| builder).await;
    let words: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    for word in ["thinking", "context_window", "`logits`", "raw_logits", "tool_choice", "`n` answers", "top_k", "messages"] {
        assert_eq!(words.iter().filter(|words| words.contains(word)).count(), 1, "{word}: {words:?}");
    }
    assert_eq!(words.len(), 8);
    let body = request.json();
    assert_eq!((&body["top_k"], &body["messages"][0]["content"]), (&json!(5), &json!("Hi")));
    assert!(body.get("nothing").is_none() && body.get("tool_choice_option").is_none());
}

#[tokio::test]
async fn media_are_refused_before_anything_is_sent() {
    let server = Server::start().await.unwrap();
    let backend = builder(&server).build().unwrap();
    let image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mP8/x8AAwMCAO+ip1sAAAAASUVORK5CYII=";
    let audio = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";
    let media: [Content; 4] = [
        Image::from_base64(image).unwrap().into(),
        Image::from_url("https://example.com/a.png").unwrap().into(),
        Audio::from_base64(audio, Some("wav")).unwrap().into(),
        Audio::from_url("https://example.com/a.wav", "wav").unwrap().into(),
    ];
    for content in media {
        let request = ChatRequest::new(vec![Message::user("What is this?").content(content)]);
        let error = all(&backend, request).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unsupported { .. }), "{error}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_whole_answer_becomes_events() {
    let server = Server::start().await.unwrap();
    let mut body = answer("");
    body["choices"][0]["message"] = json!({
        "role": "assistant",
        "content": null,
        "reasoning_content": "I should add.",
        "tool_calls": [{ "id": "c1", "type": "function", "function": { "name": "add", "arguments": "{\"a\": 1, \"b\": 2}" } }],
    });
    body["choices"][0]["finish_reason"] = json!("tool_calls");
    server.on(CHAT).reply(Reply::json(200, &body));
    let backend = builder(&server).build().unwrap();
    let expected = [
        Event::ResponseId("chatcmpl-1".into()),
        Event::Model("ibm/granite-4-h-small".into()),
        Event::Thinking("I should add.".into()),
        Event::Usage(Usage::new(9, 2)),
        Event::ToolCall(ToolCall::with_id("c1", "add", json!({ "a": 1, "b": 2 }))),
        Event::Finish(FinishReason::ToolCalls),
    ];
    assert_eq!(all(&backend, ask("1 + 2?")).await.unwrap(), expected);
}

#[tokio::test]
async fn the_limits_of_one_call_are_its_own() {
    let server = Server::start().await.unwrap();
    server.on(CHAT).replies([Reply::json(200, &answer("Hi")), Reply::status(200).hang()]);
    let backend = builder(&server).build().unwrap();
    let headers = ModelOptions::new().with("extra_headers", json!({ "x-call": "7" }));
    all(&backend, with(headers)(&backend)).await.unwrap();
    assert_eq!(server.requests()[0].header("x-call"), Some("7"));
    let slow = ModelOptions::new().with("timeout", 0.5);
    let error = all(&backend, with(slow)(&backend)).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(server.requests()[1].json().get("timeout").is_none());
}

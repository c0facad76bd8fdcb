//! What a refusal teaches: one more request for the call, and none for the next.

use mellea_core::{ErrorKind, Format, Schema};

use super::*;

const PATH: &str = "POST /v1/chat/completions";

fn refused(message: &str) -> Reply {
    Reply::json(400, &json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}}))
}

fn limited() -> ChatRequest {
    hi().options(options(|o| o.max_new_tokens = Some(9)))
}

fn typed() -> ChatRequest {
    let schema = json!({"title": "T", "type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a"]});
    hi().format(Format::JsonSchema(Schema::from_value(schema).unwrap()))
}

#[tokio::test]
async fn the_field_of_the_limit_is_swapped_once_and_for_good() {
    for (dialect, first, then) in
        [(Dialect::GENERIC, "max_tokens", "max_completion_tokens"), (Dialect::OPENAI, "max_completion_tokens", "max_tokens")]
    {
        let server = Server::start().await.unwrap();
        let message = format!("Unsupported parameter: '{first}' is not supported with this model.");
        server.on(PATH).reply(refused(&message)).reply(said("ok"));
        let backend = at(&server, dialect).build().unwrap();
        let answer = ask(&backend, limited()).await;
        assert_eq!((answer.text.as_str(), answer.warnings.len()), ("ok", 1), "{answer:?}");
        let again = ask(&backend.clone(), limited()).await;
        assert_eq!(again.warnings, []);
        let bodies: Vec<Value> = server.requests().iter().map(Recorded::json).collect();
        assert_eq!(bodies.len(), 3);
        assert_eq!((&bodies[0][first], &bodies[1][then], &bodies[2][then]), (&json!(9), &json!(9), &json!(9)));
        assert_eq!(bodies[1].get(first), None);
    }
}

#[tokio::test]
async fn a_second_refusal_is_the_answer() {
    let server = Server::start().await.unwrap();
    server.on(PATH).reply(refused("Unsupported parameter: max_tokens and max_completion_tokens"));
    let backend = at(&server, Dialect::GENERIC).build().unwrap();
    let error = fails(&backend, limited()).await;
    assert_eq!((error.status(), server.count()), (Some(400), 2));
    assert!(backend.max_requests() >= 2);
    fails(&backend, limited()).await;
    let fields: Vec<bool> = server.requests().iter().map(|r| r.json().get("max_tokens").is_some()).collect();
    assert_eq!(fields, [true, false, true, false], "what was wrong is not remembered");
}

#[tokio::test]
async fn two_lessons_take_two_calls() {
    let server = Server::start().await.unwrap();
    server.handle(|request| match request.json() {
        body if body.get("max_tokens").is_some() => refused("Unsupported parameter: 'max_tokens'"),
        body if body.get("temperature").is_some() => refused("Unsupported value: 'temperature'"),
        _ => said("ok"),
    });
    let backend = at(&server, Dialect::GENERIC).build().unwrap();
    let request = || hi().options(options(|o| (o.max_new_tokens, o.temperature) = (Some(9), Some(0.5))));
    fails(&backend, request()).await;
    assert_eq!(server.count(), 2);
    assert_eq!(ask(&backend, request()).await.text, "ok");
    assert_eq!(ask(&backend, request()).await.text, "ok");
    assert_eq!(server.count(), 5);
}

#[tokio::test]
async fn streams_do_without_figures_where_those_cannot_be_asked_for() {
    let server = Server::start().await.unwrap();
    let good = Reply::sse([piece("ok"), stop(), DONE.to_owned()]);
    server.on(PATH).reply(refused("Unrecognized request argument supplied: stream_options")).reply(good);
    let backend = at(&server, Dialect::GENERIC).build().unwrap();
    assert_eq!(ask(&backend, streamed(hi())).await.text, "ok");
    let bodies: Vec<Value> = server.requests().iter().map(Recorded::json).collect();
    assert_eq!(bodies[0]["stream_options"], json!({"include_usage": true}));
    assert_eq!(bodies[1].get("stream_options"), None);
}

#[tokio::test]
async fn a_temperature_that_is_not_wanted_is_left_out_and_named_from_then_on() {
    let server = Server::start().await.unwrap();
    let message =
        "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.";
    server.on(PATH).reply(refused(message)).reply(said("ok"));
    let backend = at(&server, Dialect::OPENAI).build().unwrap();
    let request = || hi().options(options(|o| o.temperature = Some(0.2)));
    assert_eq!(backend.unsupported(&request()), []);
    assert_eq!(ask(&backend, request()).await.warnings.len(), 1);
    let named = Warning::UnsupportedOption { option: "temperature".to_owned(), provider: "openai".to_owned() };
    assert_eq!(backend.unsupported(&request()), [named]);
    assert_eq!(server.requests()[1].json().get("temperature"), None);
    // Without the option there is nothing to learn from the same words.
    let server = Server::start().await.unwrap();
    server.on(PATH).reply(refused(message));
    fails(&at(&server, Dialect::OPENAI).build().unwrap(), hi()).await;
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn schemas_go_from_plain_to_strict_and_from_strict_to_loose() {
    let format = |request: &Recorded| request.json()["response_format"]["json_schema"].clone();
    let server = Server::start().await.unwrap();
    let open = "Invalid schema for response_format 'T': In context=(), 'additionalProperties' is required to be supplied and to be false.";
    server.on(PATH).reply(refused(open)).reply(said("{}"));
    let backend = at(&server, Dialect::VLLM).build().unwrap();
    assert_eq!(ask(&backend, typed()).await.warnings.len(), 1);
    let requests = server.requests();
    assert_eq!(format(&requests[0])["schema"]["required"], json!(["a"]));
    assert_eq!(format(&requests[1])["schema"]["required"], json!(["a", "b"]));
    assert_eq!(format(&requests[1])["schema"]["additionalProperties"], false);

    let server = Server::start().await.unwrap();
    server.on(PATH).reply(refused("Invalid schema for response_format 'T': 'minimum' is not permitted.")).reply(said("{}"));
    let backend = at(&server, Dialect::OPENAI).build().unwrap();
    ask(&backend, typed()).await;
    assert_eq!(format(&server.requests()[1])["strict"], false);
    assert!(matches!(backend.unsupported(&typed()).as_slice(), [Warning::Unconstrained { .. }]));
}

#[tokio::test]
async fn a_server_without_schemas_is_asked_for_any_object() {
    let server = Server::start().await.unwrap();
    server.on(PATH).reply(refused("This model does not support response format `json_schema`.")).reply(said("{}"));
    let backend = at(&server, Dialect::GENERIC).build().unwrap();
    assert!(backend.capabilities().json_schema);
    ask(&backend, typed()).await;
    let body = server.requests()[1].json();
    assert_eq!(body["response_format"], json!({"type": "json_object"}));
    assert!(body["messages"][0]["content"].as_str().unwrap().contains("JSON"), "{body}");
    assert!(!backend.capabilities().json_schema);
}

#[tokio::test]
async fn calls_side_by_side_learn_the_same() {
    let server = Server::start().await.unwrap();
    server.handle(|request| match request.json().get("max_tokens") {
        Some(_) => refused("Unsupported parameter: 'max_tokens'"),
        None => said("ok"),
    });
    let backend = at(&server, Dialect::GENERIC).build().unwrap();
    let answers = futures_util::future::join_all((0..8).map(|_| ask(&backend, limited()))).await;
    assert!(answers.iter().all(|answer| answer.text == "ok"));
    assert!(server.count() <= 16, "{}", server.count());
}

#[tokio::test]
async fn a_value_that_is_wrong_teaches_nothing() {
    let server = Server::start().await.unwrap();
    server.on(PATH).reply(refused("max_tokens is too large: 9. This model has 4 tokens"));
    let backend = at(&server, Dialect::GENERIC).build().unwrap();
    let error = fails(&backend, limited()).await;
    assert!(matches!(error.kind(), ErrorKind::Provider(_)), "{error:?}");
    assert_eq!(server.count(), 1);
}

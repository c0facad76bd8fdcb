//! Raw completions.

use mellea_core::{ErrorKind, Format, RawRequest, Schema, Thinking};
use mellea_openai::Guidance;

use super::*;

const PATH: &str = "POST /v1/completions";

fn prompts(texts: &[&str]) -> Vec<RawRequest> {
    let given = options(|o| {
        o.max_new_tokens = Some(5);
        o.seed = Some(1);
        o.stop_sequences = vec![".".to_owned()];
    });
    texts.iter().map(|text| RawRequest::new(*text).options(given.clone())).collect()
}

fn choices(all: &Value) -> Reply {
    Reply::json(200, &json!({"id": "r", "model": "m-1", "choices": all, "usage": {"prompt_tokens": 4, "completion_tokens": 6}}))
}

#[tokio::test]
async fn one_request_for_prompts_that_are_alike() {
    let server = Server::start().await.unwrap();
    let shuffled =
        json!([{"index": 1, "text": "B", "finish_reason": "length"}, {"index": 0, "text": "A", "finish_reason": "stop"}]);
    server.on(PATH).reply(choices(&shuffled));
    let backend = at(&server, Dialect::GENERIC).build().unwrap();
    let results = backend.complete(prompts(&["a", "b"])).await;
    let outputs: Vec<ModelOutput> = results.into_iter().map(Result::unwrap).collect();
    assert_eq!((outputs[0].text.as_str(), outputs[1].text.as_str()), ("A", "B"));
    assert_eq!((&outputs[1].finish, outputs[1].usage), (&FinishReason::Length, Usage::default()), "usage is of both together");
    assert_eq!((outputs[0].provider.as_str(), outputs[0].model.as_str()), ("openai", "m-1"));
    let body = server.requests()[0].json();
    assert_eq!(body, json!({"model": "m", "prompt": ["a", "b"], "max_tokens": 5, "seed": 1, "stop": ["."]}));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn one_prompt_is_a_text_and_has_its_usage() {
    let server = Server::start().await.unwrap();
    server.on(PATH).reply(choices(&json!([{"index": 0, "text": "A", "logprobs": {"tokens": ["A"], "token_logprobs": [-0.5]}}])));
    let backend = at(&server, Dialect::GENERIC).build().unwrap();
    let output = backend.complete(prompts(&["a"])).await.remove(0).unwrap();
    assert_eq!((output.usage, output.logprobs.len()), (Usage::new(4, 6), 1));
    assert_eq!(server.requests()[0].json()["prompt"], "a");
}

#[tokio::test]
async fn a_missing_answer_leaves_the_others() {
    let server = Server::start().await.unwrap();
    server.on(PATH).reply(choices(&json!([{"index": 1, "text": "B"}])));
    let backend = at(&server, Dialect::GENERIC).build().unwrap();
    let results = backend.complete(prompts(&["a", "b"])).await;
    assert!(matches!(results[0].as_ref().unwrap_err().kind(), ErrorKind::MalformedResponse { .. }), "{results:?}");
    assert_eq!(results[1].as_ref().unwrap().text, "B");
}

#[tokio::test]
async fn a_server_that_takes_one_prompt_gets_one_and_it_is_remembered() {
    let server = Server::start().await.unwrap();
    let words = "json: cannot unmarshal array into Go struct field CompletionRequest.prompt of type string";
    server.handle(move |request| match request.json()["prompt"].as_str() {
        None => Reply::json(400, &json!({"error": {"message": words, "type": "invalid_request_error"}})),
        Some("bad") => Reply::json(400, &json!({"error": {"message": "not this one"}})),
        Some(text) => choices(&json!([{"index": 0, "text": text.to_uppercase()}])),
    });
    let backend = at(&server, Dialect::GENERIC).build().unwrap();
    let results = texts(backend.complete(prompts(&["a", "bad", "c"])).await);
    assert_eq!((results[0].as_deref(), results[2].as_deref()), (Ok("A"), Ok("C")));
    assert!(results[1].as_ref().unwrap_err().contains("not this one"), "{results:?}");
    assert_eq!(server.count(), 4);
    backend.complete(prompts(&["a", "b"])).await;
    assert_eq!(server.count(), 6, "the list is not tried again");
}

#[tokio::test]
async fn other_refusals_are_those_of_all_prompts() {
    let server = Server::start().await.unwrap();
    let said = json!({"error": {"message": "the prompt is not allowed here", "type": "invalid_request_error"}});
    server.on(PATH).reply(Reply::json(400, &said));
    let backend = at(&server, Dialect::GENERIC).build().unwrap();
    let results = backend.complete(prompts(&["a", "b"])).await;
    assert!(results.iter().all(|r| r.as_ref().unwrap_err().status() == Some(400)));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn prompts_that_differ_go_one_by_one_and_eight_at_once() {
    let server = Server::start().await.unwrap();
    server.handle(|request| choices(&json!([{"text": request.json()["prompt"]}])).delay(std::time::Duration::from_millis(2)));
    let backend = at(&server, Dialect::GENERIC).build().unwrap();
    let mut requests = prompts(&vec!["x"; 30]);
    for (i, request) in requests.iter_mut().enumerate() {
        request.prompt = format!("p{i}");
        request.options.seed = Some(i as u64);
    }
    let results = texts(backend.complete(requests).await);
    assert!(results.iter().enumerate().all(|(i, text)| text.as_deref() == Ok(&format!("p{i}"))), "{results:?}");
    assert_eq!(server.count(), 30);
    assert!(server.max_in_flight() <= 8, "{}", server.max_in_flight());
}

#[tokio::test]
async fn forms_are_guided_where_the_server_can() {
    let schema = Schema::from_value(json!({"type": "object", "properties": {"a": {"type": "string"}}})).unwrap();
    for (dialect, field) in [
        (Dialect::VLLM, Some("structured_outputs")),
        (Dialect::VLLM.guidance(Guidance::Guided), Some("guided_json")),
        (Dialect::GENERIC, None),
    ] {
        let server = Server::start().await.unwrap();
        server.on(PATH).reply(choices(&json!([{"text": "{}"}])));
        let backend = at(&server, dialect).build().unwrap();
        let request = RawRequest::new("a").format(Format::JsonSchema(schema.clone()));
        let output = backend.complete(vec![request]).await.remove(0).unwrap();
        let body = server.requests()[0].json();
        match field {
            Some("structured_outputs") => assert_eq!(&body["structured_outputs"]["json"], schema.plain()),
            Some(field) => assert_eq!(&body[field], schema.plain()),
            None => assert!(matches!(output.warnings.as_slice(), [Warning::Unconstrained { .. }]), "{output:?}"),
        }
    }
}

#[tokio::test]
async fn what_raw_completions_lack_is_named() {
    let server = Server::start().await.unwrap();
    server.on(PATH).reply(choices(&json!([{"text": "A"}])));
    let backend = at(&server, Dialect::GENERIC).build().unwrap();
    let given = options(|o| {
        o.thinking = Some(Thinking::On);
        o.tool_choice = Some(mellea_core::ToolChoice::Required);
        o.context_window = Some(9);
        o.logits = true;
    });
    let output = backend.complete(vec![RawRequest::new("a").options(given)]).await.remove(0).unwrap();
    assert_eq!(output.warnings.len(), 4, "{:?}", output.warnings);
    assert_eq!(server.requests()[0].json(), json!({"model": "m", "prompt": "a"}));
}

#[tokio::test]
async fn a_service_without_raw_completions_says_so() {
    let server = Server::start().await.unwrap();
    let backend = at(&server, Dialect::GROQ).build().unwrap();
    assert!(!backend.capabilities().raw);
    let results = backend.complete(prompts(&["a", "b"])).await;
    assert!(results.iter().all(|r| matches!(r.as_ref().unwrap_err().kind(), ErrorKind::Unsupported { .. })));
    assert!(backend.complete(Vec::new()).await.is_empty());
    assert_eq!(server.count(), 0);
}

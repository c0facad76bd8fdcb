//! Texts continued without a chat template.

use mellea_core::{Backend, ErrorKind, FinishReason, Format, RawRequest, Schema, Usage, Warning};
use mellea_http::testing::{Gate, Recorded, Reply, Server, Step};
use serde_json::{Value, json};

use crate::{MODEL, backend, builder};

fn lines(texts: &[&str]) -> Vec<Value> {
    let pieces = texts.iter().map(|text| json!({"model": MODEL, "response": text, "done": false}));
    let end =
        json!({"model": MODEL, "response": "", "done": true, "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 2});
    pieces.chain([end]).collect()
}

fn echo(request: &Recorded) -> Reply {
    Reply::ndjson(lines(&["after ", request.json()["prompt"].as_str().unwrap()]))
}

fn prompts(n: usize) -> Vec<RawRequest> {
    (0..n).map(|i| RawRequest::new(format!("prompt {i}"))).collect()
}

#[tokio::test]
async fn a_raw_request_has_no_template() {
    let server = Server::start().await.unwrap();
    server.handle(echo);
    let mut request = RawRequest::new("Once upon");
    request.options.max_new_tokens = Some(9);
    request.options.thinking = Some(mellea_core::Thinking::Off);
    request.options.extra.insert("keep_alive".to_owned(), json!("1m"));
    let output = backend(&server).complete(vec![request]).await.remove(0).unwrap();
    assert_eq!(
        server.requests()[0].text(),
        r#"{"model":"granite4.1:3b","prompt":"Once upon","raw":true,"stream":true,"think":false,"options":{"num_predict":9},"keep_alive":"1m","truncate":false}"#
    );
    assert_eq!((output.text.as_str(), &output.finish), ("after Once upon", &FinishReason::Stop));
    assert_eq!((output.usage, output.provider.as_str(), output.model.as_str()), (Usage::new(5, 2), "ollama", MODEL));
    assert!(output.time_to_first_token.is_some() && output.raw.is_some() && output.warnings.is_empty());
}

#[tokio::test]
async fn a_format_is_sent_and_what_cannot_be_honoured_is_named() {
    let server = Server::start().await.unwrap();
    server.handle(echo);
    let schema = Schema::from_value(json!({"type": "object", "properties": {"a": {"type": "integer"}}})).unwrap();
    let mut odd = RawRequest::new("x").format(Format::Regex("[a-z]+".to_owned()));
    odd.options.logits = true;
    odd.options.extra.insert("num_predit".to_owned(), json!(3));
    let formatted = RawRequest::new("x").format(Format::JsonSchema(schema.clone()));
    let outputs = backend(&server).complete(vec![formatted, odd]).await;
    assert_eq!(&server.requests()[0].json()["format"], schema.plain());
    let warnings = &outputs[1].as_ref().unwrap().warnings;
    assert!(
        matches!(&warnings[..], [Warning::UnsupportedOption { .. }, Warning::Unconstrained { .. }, Warning::Other { .. }]),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn no_more_run_at_once_than_may_and_the_order_is_kept() {
    let server = Server::start().await.unwrap();
    let gate = Gate::new();
    let held = gate.clone();
    server.handle(move |request| {
        let first = format!("{}\n", json!({"response": request.json()["prompt"]}));
        let last = format!("{}\n", json!({"done": true}));
        Reply::stream("application/x-ndjson", [Step::send(first), Step::Gate(held.clone()), Step::send(last)])
    });
    let backend = builder(&server).raw_concurrency(3).build().unwrap();
    let call = tokio::spawn(async move { backend.complete(prompts(10)).await });
    let soon = std::time::Duration::from_secs(10);
    assert!(server.wait_until(|server| server.in_flight() == 3, soon).await);
    gate.open();
    let texts: Vec<String> = call.await.unwrap().into_iter().map(|output| output.unwrap().text).collect();
    assert_eq!(texts, (0..10).map(|i| format!("prompt {i}")).collect::<Vec<_>>());
    assert_eq!((server.count(), server.max_in_flight()), (10, 3));
}

#[tokio::test]
async fn one_failure_leaves_the_others_alone() {
    let server = Server::start().await.unwrap();
    server.handle(|request| match request.json()["prompt"].as_str() {
        Some("prompt 3") => Reply::json(500, &json!({"error": "out of luck"})),
        Some("prompt 4") => Reply::ndjson([json!({"done": true, "done_reason": "stop"})]),
        Some("prompt 5") => Reply::ndjson([json!({"response": "half"}), json!({"error": "broken"})]),
        Some("prompt 6") => Reply::ndjson([json!({"thinking": "hm"}), json!({"done": true})]),
        Some("prompt 7") => Reply::ndjson([json!({"done": true, "done_reason": "length", "eval_count": 1})]),
        _ => echo(request),
    });
    let outputs = backend(&server).complete(prompts(10)).await;
    assert_eq!(outputs.len(), 10);
    for (i, output) in outputs.iter().enumerate() {
        let kind = output.as_ref().map_err(mellea_core::Error::kind);
        match i {
            3 => assert!(matches!(kind, Err(ErrorKind::Provider(_))), "{kind:?}"),
            4 => assert!(matches!(kind, Err(ErrorKind::EmptyResponse)), "{kind:?}"),
            5 => {
                let error = output.as_ref().unwrap_err();
                assert_eq!(error.partial().unwrap().text, "half");
                assert_eq!((error.provider(), error.model()), (Some("ollama"), Some(MODEL)));
            }
            6 => assert_eq!(kind.unwrap().thinking.as_deref(), Some("hm")),
            7 => assert!(matches!(kind, Err(ErrorKind::Truncated { .. })), "{kind:?}"),
            _ => assert_eq!(kind.unwrap().text, format!("after prompt {i}")),
        }
    }
}

#[tokio::test]
async fn a_model_that_is_only_loaded_is_asked_once_more() {
    let server = Server::start().await.unwrap();
    let load = json!({"model": MODEL, "response": "", "done": true, "done_reason": "load"});
    server.on("POST /api/generate").reply(Reply::ndjson([load])).reply(Reply::ndjson(lines(&["Hello"])));
    let outputs = backend(&server).complete(prompts(1)).await;
    assert_eq!((outputs[0].as_ref().unwrap().text.as_str(), server.count()), ("Hello", 2));
}

#[tokio::test]
async fn an_empty_prompt_and_an_empty_batch_send_nothing() {
    let server = Server::start().await.unwrap();
    assert!(backend(&server).complete(Vec::new()).await.is_empty());
    let outputs = backend(&server).complete(vec![RawRequest::default()]).await;
    assert!(matches!(outputs[0].as_ref().unwrap_err().kind(), ErrorKind::EmptyPrompt));
    assert_eq!(server.count(), 0);
}

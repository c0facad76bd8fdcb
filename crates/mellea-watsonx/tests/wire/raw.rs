//! Raw completions: one request each, so many at once, each with its own end.

use insta::assert_json_snapshot;
use mellea_core::{ErrorKind, FinishReason, Format, ModelOption, RawRequest, Usage, Warning};
use mellea_http::testing::{Gate, Step};

use super::*;

fn result(text: &str, stop: &str) -> Value {
    let result = json!({ "generated_text": text, "generated_token_count": 3, "input_token_count": 5, "stop_reason": stop });
    json!({ "model_id": "ibm/granite-4-h-small", "created_at": "2026-08-20T10:00:00.000Z", "results": [result] })
}

/// Continues each prompt with its last word.
fn echo(request: &Recorded) -> Reply {
    let body = request.json();
    let word = body["input"].as_str().unwrap_or_default().split(' ').next_back().unwrap_or_default().to_owned();
    match word.as_str() {
        "bad" => refusal(400, "invalid_request_entity", "bad"),
        word => Reply::json(200, &result(word, "eos_token")),
    }
}

#[tokio::test]
async fn each_prompt_has_its_request_and_its_result() {
    let server = Server::start().await.unwrap();
    server.handle(echo);
    let backend = builder(&server).build().unwrap();
    let prompts = ["say one", "say bad", "say three", ""];
    let outputs = backend.complete(prompts.map(RawRequest::new).to_vec()).await;
    assert_eq!(outputs.len(), 4);
    let texts: Vec<_> = outputs.iter().map(|output| output.as_ref().map(|output| output.text.as_str()).ok()).collect();
    assert_eq!(texts, [Some("one"), None, Some("three"), None]);
    let first = outputs[0].as_ref().unwrap();
    assert_eq!((first.usage, &first.finish, first.provider.as_str()), (Usage::new(5, 3), &FinishReason::Stop, "watsonx"));
    assert_eq!(first.model, "ibm/granite-4-h-small");
    assert_eq!(outputs[1].as_ref().unwrap_err().status(), Some(400));
    assert!(matches!(outputs[3].as_ref().unwrap_err().kind(), ErrorKind::EmptyPrompt));
    assert_eq!(requests_to(&server, "/ml/v1/text/generation").len(), 3);
    assert!(backend.complete(Vec::new()).await.is_empty());
}

#[tokio::test]
async fn eight_run_at_once_unless_told_otherwise() {
    for (set, expected) in [(None, 8), (Some(3), 3)] {
        let server = Server::start().await.unwrap();
        let gate = Gate::new();
        let body = result("x", "eos_token").to_string();
        server.on(GENERATION).reply(Reply::stream("application/json", [Step::Gate(gate.clone()), Step::send(body)]));
        let backend = match set {
            Some(calls) => builder(&server).raw_concurrency(calls),
            None => builder(&server),
        };
        let backend = backend.build().unwrap();
        let batch = backend.complete((0..20).map(|i| RawRequest::new(format!("prompt {i}"))).collect());
        let opens = async {
            assert!(server.wait_until(|server| server.in_flight() == expected, Duration::from_secs(30)).await);
            gate.open();
        };
        let (outputs, ()) = tokio::join!(batch, opens);
        assert!(outputs.iter().all(Result::is_ok));
        assert_eq!((server.count(), server.max_in_flight()), (20, expected));
    }
}

#[tokio::test]
async fn options_have_the_names_of_the_generation() {
    let server = Server::start().await.unwrap();
    server.handle(echo);
    let backend = builder(&server).build().unwrap();
    let options = ModelOptions::new()
        .with(ModelOption::Temperature, 0.7)
        .with(ModelOption::MaxNewTokens, 64)
        .with(ModelOption::Seed, 7)
        .with(ModelOption::StopSequences, ["END", "\n\n"])
        .with("top_k", 50)
        .with("truncate_input_tokens", 100)
        .with("moderations", json!({ "hap": { "input": { "enabled": true } } }));
    let mut request = RawRequest::new("say hi");
    request.options = resolved(&backend, &options);
    let output = backend.complete(vec![request]).await.remove(0).unwrap();
    assert_eq!(output.warnings, []);
    assert_json_snapshot!(server.requests()[0].json());

    let mut greedy = RawRequest::new("say hi");
    greedy.options =
        resolved(&backend, &ModelOptions::new().with(ModelOption::Temperature, 0).with("include_stop_sequence", true));
    backend.complete(vec![greedy]).await.remove(0).unwrap();
    let parameters = &server.requests()[1].json()["parameters"];
    assert_eq!(parameters, &json!({ "decoding_method": "greedy", "include_stop_sequence": true }));
}

#[tokio::test]
async fn what_a_generation_lacks_is_told_with_the_result() {
    let server = Server::start().await.unwrap();
    server.handle(echo);
    let backend = builder(&server).build().unwrap();
    let options = ModelOptions::new()
        .with(ModelOption::Thinking, true)
        .with(ModelOption::ContextWindow, 10)
        .with(ModelOption::ToolChoice, "auto")
        .with(ModelOption::RawLogits, true)
        .with("frequency_penalty", 1);
    let mut request = RawRequest::new("say hi").format(Format::Regex("[a-z]+".into()));
    request.options = resolved(&backend, &options);
    let warnings = backend.complete(vec![request]).await.remove(0).unwrap().warnings;
    let words: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    for word in ["thinking", "context_window", "tool_choice", "raw_logits", "frequency_penalty", "not enforced"] {
        assert_eq!(words.iter().filter(|words| words.contains(word)).count(), 1, "{word}: {words:?}");
    }
    assert!(warnings.iter().any(|warning| matches!(warning, Warning::Unconstrained { .. })));
}

#[tokio::test]
async fn every_reason_to_stop_has_its_meaning() {
    let server = Server::start().await.unwrap();
    let reasons = [
        ("eos_token", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("token_limit", FinishReason::Length),
        ("not_finished", FinishReason::Other("not_finished".into())),
        ("time_limit", FinishReason::Other("time_limit".into())),
    ];
    server.on(GENERATION).replies(reasons.iter().map(|(reason, _)| Reply::json(200, &result("x", reason))));
    server.on(GENERATION).reply(Reply::json(200, &result("so far", "error")));
    let backend = builder(&server).build().unwrap();
    let one = || async { backend.complete(vec![RawRequest::new("p")]).await.remove(0) };
    for (reason, finish) in reasons {
        assert_eq!(one().await.unwrap().finish, finish, "{reason}");
    }
    let error = one().await.unwrap_err();
    assert_eq!(error.partial().unwrap().text, "so far");
}

#[tokio::test]
async fn odd_results_are_results_or_malformed() {
    let server = Server::start().await.unwrap();
    let backend = builder(&server).build().unwrap();
    let odd = [
        (r#"{"results":[{}]}"#, true),
        (r#"{"results":[{"generated_text":null,"input_token_count":"x","stop_reason":{}}],"model_id":7}"#, true),
        (r#"{"results":[7,{"generated_text":"x"}],"system":{"warnings":[{"message":"m"}]}}"#, true),
        (r#"{"results":[]}"#, false),
        (r#"{"results":{}}"#, false),
        ("[]", false),
        ("no JSON", false),
        ("", false),
        (r#"{"errors":[{"message":"inside"}]}"#, false),
    ];
    server.on(GENERATION).replies(odd.iter().map(|(body, _)| Reply::text(200, body, "application/json")));
    for (body, fine) in odd {
        let result = backend.complete(vec![RawRequest::new("p")]).await.remove(0);
        assert_eq!(result.is_ok(), fine, "{body}: {result:?}");
    }
    assert_eq!(server.count(), odd.len());
}

#[tokio::test]
async fn a_deployment_continues_text_too() {
    let server = Server::start().await.unwrap();
    server.handle(echo);
    let backend = WatsonX::builder().url(server.url()).token("t").deployment_id("d").build().unwrap();
    backend.complete(vec![RawRequest::new("say hi")]).await.remove(0).unwrap();
    let request = server.requests().remove(0);
    assert_eq!((request.path.as_str(), request.json()), ("/ml/v1/deployments/d/text/generation", json!({ "input": "say hi" })));
}

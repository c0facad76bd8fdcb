//! What services say, and what it is taken for.

use reqwest::header::HeaderValue;
use serde_json::json;

use super::*;

fn place() -> Place {
    let mut redactor = Redactor::default();
    redactor.add("canary".to_owned());
    let url = url::Url::parse("https://user:canary@h.example/v1/chat?key=canary").unwrap();
    Place::new(&Arc::new(Service::new("p".to_owned(), redactor)), Some("m".to_owned()), url)
}

fn refusal(status: u16, body: &str) -> Error {
    place().refusal(Some(status), &HeaderMap::new(), body.as_bytes())
}

#[test]
fn the_message_and_the_code_are_found_in_every_form() {
    for (body, message, code) in [
        (r#"{"error":{"message":"a","type":"t","code":"c"}}"#, "a", Some("c")),
        (r#"{"error":{"message":"a","type":"t","code":null}}"#, "a", Some("t")),
        (r#"{"error":{"message":"a","code":400,"status":"INVALID_ARGUMENT"}}"#, "a", Some("INVALID_ARGUMENT")),
        (r#"[{"error":{"message":"a","code":400,"status":"INVALID_ARGUMENT"}}]"#, "a", Some("INVALID_ARGUMENT")),
        (r#"{"type":"error","error":{"type":"invalid_request_error","message":"a"}}"#, "a", Some("invalid_request_error")),
        (r#"{"error":"a"}"#, "a", None),
        (r#"{"message":"a"}"#, "a", None),
        (r#"{"Message":"a","__type":"ValidationException"}"#, "a", Some("ValidationException")),
        (r#"{"errors":[{"code":"c","message":"a"}],"trace":"x","status_code":400}"#, "a", Some("c")),
        (r#"{"errorCode":"BXNIM0415E","errorMessage":"a"}"#, "a", Some("BXNIM0415E")),
        (r#"{"detail":"a"}"#, "a", None),
        (r#"{"detail":[{"loc":["body","x"],"msg":"b"}]}"#, r#"[{"loc":["body","x"],"msg":"b"}]"#, None),
        ("plain\n text ", "plain text", None),
        ("<html><head><TITLE> Bad Gateway </TITLE></head></html>", "an HTML page: Bad Gateway", None),
        ("<!doctype html><p>x", "an HTML page", None),
        ("", "Bad Request", None),
        ("{}", "Bad Request", None),
        ("null", "Bad Request", None),
        ("[]", "Bad Request", None),
        (r#"{"error":null}"#, "Bad Request", None),
    ] {
        let error = refusal(400, body);
        let said = error.response().unwrap();
        assert_eq!((said.message.as_str(), said.code.as_deref()), (message, code), "{body}");
        assert_eq!(said.status, Some(400));
    }
}

#[test]
fn an_overflow_is_known_in_every_wording() {
    let unknown = (None, None);
    for (status, message, numbers) in [
        (
            400,
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens. Please reduce",
            (Some(9001), Some(8192)),
        ),
        (
            400,
            "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the messages, 1000 in the completion).",
            (Some(5000), Some(4096)),
        ),
        (
            400,
            "This endpoint's maximum context length is 32768 tokens. However, you requested about 40000 tokens",
            (Some(40000), Some(32768)),
        ),
        (400, "Your input exceeds the context window of this model. Please adjust your input and try again.", unknown),
        (400, "prompt is too long: 210000 tokens > 200000 maximum", (Some(210_000), Some(200_000))),
        (
            400,
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length",
            (Some(190_000), Some(200_000)),
        ),
        (
            400,
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            (Some(1_200_000), Some(1_048_576)),
        ),
        (400, "Input is too long for requested model.", unknown),
        (400, "The decoder prompt (length 5000) is longer than the maximum model length of 4096.", (Some(5000), Some(4096))),
        (
            422,
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 100 `max_new_tokens`",
            (Some(5000), Some(4096)),
        ),
        (422, "Input validation error: `inputs` must have less than 1024 tokens. Given: 1500", (Some(1500), Some(1024))),
        (400, "Please reduce the length of the messages or completion.", unknown),
        (
            400,
            "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            (Some(40000), Some(32768)),
        ),
        (400, "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292.", (None, Some(4081))),
        (
            400,
            "the number of input tokens 5000 cannot exceed the total tokens limit 4096 for this model",
            (Some(5000), Some(4096)),
        ),
        (
            400,
            "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
            (Some(537_812), Some(131_072)),
        ),
        (400, "Requested tokens (1500) exceed context window of 1024", (Some(1500), Some(1024))),
        (500, "the request exceeds the available context size, try increasing it", unknown),
        (
            400,
            "request (3000 tokens) exceeds the available context size (2048 tokens), try increasing it",
            (Some(3000), Some(2048)),
        ),
        (
            400,
            "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens",
            (Some(5000), Some(4096)),
        ),
        (400, "prompt too long; exceeded max context length by 12 tokens", unknown),
        (413, "context window exceeds limit (2013)", unknown),
        (500, "prompt is longer than the context length", unknown),
        (
            400,
            "This model's maximum context length is 8,192 tokens. However, you requested 9,001 tokens",
            (Some(9001), Some(8192)),
        ),
        (400, "The prompt has 0 tokens of at most 4096: the answer takes all of the window", (None, Some(4096))),
        (400, "The input (5000 tokens) exceeds the model's maximum context length (4096 tokens).", (Some(5000), Some(4096))),
        (400, "Invalid request: Your request exceeded model token limit: 8192 (requested: 9001)", (Some(9001), Some(8192))),
        (400, "Range of input length should be [1, 30720]", (None, Some(30_720))),
        (400, "prompt token count of 70000 exceeds the limit of 64000", (Some(70_000), Some(64_000))),
        (413, "Request body too large for gpt-4o model. Max size: 8000 tokens.", (None, Some(8000))),
        (400, "Prompt exceeds max length", unknown),
        (400, "The number of tokens to keep from the initial prompt is greater than the context length.", unknown),
    ] {
        let error = refusal(status, &json!({"error": {"message": message}}).to_string());
        match error.kind() {
            ErrorKind::ContextWindowExceeded { prompt, limit } => assert_eq!((*prompt, *limit), numbers, "{message}"),
            other => panic!("{message}: {other:?}"),
        }
        assert_eq!(error.status(), Some(status), "the answer is kept");
        assert!(!error.is_retryable());
    }
    let numbered = refusal(
        400,
        r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error","n_prompt_tokens":31,"n_ctx":16}}"#,
    );
    assert!(matches!(numbered.kind(), ErrorKind::ContextWindowExceeded { prompt: Some(31), limit: Some(16) }), "{numbered:?}");
}

#[test]
fn quota_is_no_rate_limit() {
    for body in [
        r#"{"error":{"message":"You exceeded your current quota, please check your plan","code":"insufficient_quota"}}"#,
        r#"{"errors":[{"code":"token_quota_reached","message":"x"}]}"#,
        r#"{"error":{"message":"Your credit balance is too low to access the API"}}"#,
        r#"{"error":{"message":"Insufficient Balance"}}"#,
    ] {
        let error = refusal(429, body);
        assert!(
            matches!(error.kind(), ErrorKind::QuotaExhausted(_)) && !error.is_retryable() && !error.is_rate_limited(),
            "{error:?}"
        );
    }
    assert!(matches!(refusal(402, "pay").kind(), ErrorKind::QuotaExhausted(_)));
    let minute = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current quota",
        "details": [{"@type": "x"}, {"retryDelay": "13.5s"}]}});
    let error = refusal(429, &minute.to_string());
    assert!(error.is_rate_limited() && error.is_retryable(), "{error:?}");
    assert_eq!(error.retry_after(), Some(Duration::from_millis(13_500)));
}

#[test]
fn an_unknown_model_is_named_and_a_wrong_address_is_not_taken_for_one() {
    for (status, body) in [
        (404, r#"{"error":{"message":"The model `m` does not exist","code":"model_not_found"}}"#),
        (404, r#"{"error":"model 'm' not found, try pulling it first"}"#),
        (400, r#"{"errors":[{"code":"model_not_supported","message":"Model 'm' is not supported"}]}"#),
        (400, r#"{"error":{"message":"invalid model ID"}}"#),
        (404, r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment does not exist."}}"#),
    ] {
        assert!(matches!(refusal(status, body).kind(), ErrorKind::ModelNotFound(name) if name == "m"), "{body}");
    }
    for (status, body) in [
        (404, "404 page not found"),
        (400, r#"{"error":{"message":"this model does not support tools"}}"#),
        (400, r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model."}}"#),
        (403, r#"{"error":{"message":"no access to model m: not found"}}"#),
    ] {
        assert!(matches!(refusal(status, body).kind(), ErrorKind::Provider(_)), "{body}");
    }
    assert!(refusal(404, "404 page not found").hint().unwrap().contains("https://h.example/v1/chat"));
}

#[test]
fn an_error_within_a_success_has_the_status_that_its_code_means() {
    for (value, status, retryable) in [
        (json!({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}), Some(529), true),
        (json!({"error": {"type": "rate_limit_error", "message": "x"}}), Some(429), true),
        (json!({"error": {"type": "server_error", "message": "x"}}), Some(500), true),
        (json!({"error": {"code": 502, "message": "x"}}), Some(502), true),
        (json!({"error": {"code": "503", "message": "x"}}), Some(503), true),
        (json!({"error": {"type": "invalid_request_error", "message": "x"}}), Some(400), false),
        (json!({"error": {"message": "x", "type": "authentication_error"}}), Some(401), false),
        (json!({"error": "x"}), None, false),
    ] {
        let error = place().refused(&value);
        assert_eq!((error.status(), error.is_retryable()), (status, retryable), "{value}");
    }
}

#[test]
fn an_error_keeps_what_helps_and_no_secret() {
    let mut headers = HeaderMap::new();
    headers.insert("x-request-id", HeaderValue::from_static("req-1"));
    headers.insert("retry-after", HeaderValue::from_static("7"));
    let body = format!(
        r#"{{"error":{{"message":"the key canary is no key, nor is sk-abcdefghij","code":"canary"}},"request_id":"canary","x":"{}"}}"#,
        "canary ".repeat(1000)
    );
    let error = place().refusal(Some(429), &headers, body.as_bytes());
    let said = error.response().unwrap();
    assert_eq!((said.request_id.as_deref(), said.retry_after), (Some("req-1"), Some(Duration::from_secs(7))));
    assert!(said.body.as_ref().unwrap().len() <= MAX_ERROR_BODY);
    assert_eq!((error.provider(), error.model()), (Some("p"), Some("m")));
    let shown = format!("{error} {error:?} {error:#?} {:?}", place());
    assert!(!shown.contains("canary") && !shown.contains("sk-abc"), "{shown}");
}

#[test]
fn no_part_of_a_secret_is_left_where_a_text_is_cut() {
    let long = format!("{}canary", "x".repeat(497));
    for body in [json!({ "message": long }), json!({"message": "m", "code": long}), json!({"message": "m", "trace": long})] {
        let error = refusal(400, &body.to_string());
        let said = error.response().unwrap();
        let texts = [Some(&said.message), said.code.as_ref(), said.request_id.as_ref()];
        assert!(texts.into_iter().flatten().all(|text| !text.contains("can")), "{said:?}");
    }
}

#[test]
fn a_path_shows_no_secret() {
    let body = br#"{"canary": [1, }"#;
    let error = serde_path_to_error::deserialize::<_, Value>(&mut serde_json::Deserializer::from_slice(body)).unwrap_err();
    assert!(error.path().to_string().contains("canary"), "{error}");
    assert!(!format!("{:?}", place().json(&error, body, false)).contains("canary"));
}

#[test]
fn json_that_does_not_fit_is_told_with_its_path() {
    #[derive(Debug, serde::Deserialize)]
    struct Body {
        #[expect(dead_code, reason = "only its type matters")]
        choices: Vec<std::collections::BTreeMap<String, u8>>,
    }
    let body = br#"{"choices": [{"a": 1}, {"b": "x"}]}"#;
    let error = serde_path_to_error::deserialize::<_, Body>(&mut serde_json::Deserializer::from_slice(body)).unwrap_err();
    let error = place().json(&error, body, false);
    assert!(matches!(error.kind(), ErrorKind::MalformedResponse { path, .. } if path == "choices[1].b"), "{error}");
    assert!(error.response().unwrap().body.as_ref().unwrap().contains("choices"));
}

#[test]
fn an_error_within_an_error_is_the_inner_one() {
    let inner = r#"{"error":{"code":500,"message":"image input is not supported - hint: if this is unexpected, you may need to provide the mmproj","type":"server_error"}}"#;
    let error = refusal(500, &json!({ "error": inner }).to_string());
    assert!(matches!(error.kind(), ErrorKind::Unsupported { feature, .. } if feature == "images"), "{error:?}");
    let full = r#"litellm.BadRequestError: OpenAIException - {"error":{"message":"request (9000 tokens) exceeds the available context size (4096 tokens)"}}"#;
    let error = refusal(400, &json!({"error": {"message": full}}).to_string());
    assert!(matches!(error.kind(), ErrorKind::ContextWindowExceeded { prompt: Some(9000), limit: Some(4096) }), "{error:?}");
    let plain = refusal(400, &json!({"error": {"message": "use {\"a\": 1} here"}}).to_string());
    assert!(plain.to_string().contains("use {"), "{plain}");
}

#[test]
fn a_dead_runner_is_a_server_fault_without_the_old_log() {
    let said = "llama-server process no longer running: unknown error: task id = 1, error: request (15008 tokens) exceeds the available context size (1024 tokens)";
    for said in [said, "model runner has unexpectedly stopped, this may be due to resource limitations"] {
        let error = refusal(500, &json!({ "error": said }).to_string());
        assert!(error.is_retryable() && !error.to_string().contains("15008"), "{error}");
    }
}

//! Reading what a service says when it refuses, in whichever of the many forms.

use std::time::Duration;

use mellea_core::redact::Redactor;
use mellea_core::{Error, ErrorKind, ProviderError};
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::{excerpt, overflow};
use crate::retry::retry_after;

/// Headers in which services give the id of a request.
const REQUEST_IDS: [&str; 9] = [
    "x-request-id",
    "request-id",
    "x-amzn-requestid",
    "apim-request-id",
    "x-ms-request-id",
    "x-global-transaction-id",
    "x-goog-request-id",
    "x-litellm-call-id",
    "cf-ray",
];

/// Codes and words of a service that has not been paid.
const QUOTA: [&str; 12] = [
    "insufficient_quota",
    "billing_hard_limit",
    "billing_not_active",
    "token_quota_reached",
    "consumption_limit_reached",
    "credit balance",
    "insufficient balance",
    "insufficient credit",
    "insufficient_balance",
    "insufficient funds",
    "out of credits",
    "exceeded your current quota",
];

/// Names that services give to what a status means.
const STATUS_OF: [(&str, u16); 24] = [
    ("rate_limit", 429),
    ("ratelimit", 429),
    ("too_many_requests", 429),
    ("throttling", 429),
    ("resource_exhausted", 429),
    ("modelnotready", 429),
    ("overloaded", 529),
    ("service_unavailable", 503),
    ("serviceunavailable", 503),
    ("unavailable", 503),
    ("server_busy", 503),
    ("bad_gateway", 502),
    ("server_error", 500),
    ("internal", 500),
    ("api_error", 500),
    ("modelerror", 424),
    ("timeout", 408),
    ("authentication", 401),
    ("unauthorized", 401),
    ("permission", 403),
    ("accessdenied", 403),
    ("not_found", 404),
    ("invalid_request", 400),
    ("validation", 400),
];

/// The most characters of a message.
const MAX_CHARS: usize = 500;

/// Reads a refusal: JSON in the forms that services use, HTML, or plain text.
pub(super) fn read(status: Option<u16>, headers: &HeaderMap, body: &[u8], redactor: &Redactor) -> ProviderError {
    let mut said = match serde_json::from_slice::<Value>(body) {
        Ok(value) => of_json(&value),
        Err(_) => ProviderError::new(of_text(body)),
    };
    if said.message.is_empty() {
        said.message = status.and_then(reason_phrase).unwrap_or("the service gave no reason").to_owned();
    }
    said.message = clean(&said.message, redactor);
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    said.code = said.code.or_else(|| header("x-amzn-errortype").and_then(|kind| kind.split(':').next()).map(str::to_owned));
    said.code = said.code.map(|code| clean(&code, redactor));
    said.status = status.or(said.status).or_else(|| meant_status(said.code.as_deref()));
    let id = REQUEST_IDS.into_iter().find_map(header).map(str::to_owned).or(said.request_id);
    said.request_id = id.map(|id| clean(&id, redactor));
    said.retry_after = retry_after(headers, std::time::SystemTime::now()).or(said.retry_after);
    said.body = (!body.is_empty()).then(|| excerpt(body, redactor));
    said
}

fn of_json(value: &Value) -> ProviderError {
    let said = of_object(value);
    // Servers in front of others put the whole error of those into their message.
    match nested(&said.message) {
        Some(inner) => {
            let mut inner = of_object(&inner);
            inner.code = inner.code.or(said.code);
            inner.status = inner.status.or(said.status);
            inner.request_id = inner.request_id.or(said.request_id);
            inner.retry_after = inner.retry_after.or(said.retry_after);
            inner
        }
        None => said,
    }
}

/// The error within a message, at most a few levels down.
fn nested(message: &str) -> Option<Value> {
    let mut found: Option<Value> = None;
    let mut text = message.to_owned();
    for _ in 0..4 {
        let Some(at) = text.find('{') else { break };
        let mut values = serde_json::Deserializer::from_str(text.get(at..).unwrap_or_default()).into_iter::<Value>();
        let Some(Ok(value)) = values.next() else { break };
        let inner = value.get("error").unwrap_or(&value);
        let Some(words) = inner.get("message").or_else(|| inner.as_str().map(|_| inner)).and_then(Value::as_str) else { break };
        text = words.to_owned();
        found = Some(value);
    }
    found
}

fn of_object(value: &Value) -> ProviderError {
    let value = match value {
        // Gemini's streams have the error in an array.
        Value::Array(items) => items.first().unwrap_or(value),
        one => one,
    };
    let inner = value.get("error").filter(|e| !e.is_null()).or_else(|| value.get("errors")?.get(0)).unwrap_or(value);
    let text = |names: &[&str]| names.iter().find_map(|name| inner.get(*name).or_else(|| value.get(*name))?.as_str());
    let mut said = match inner {
        Value::String(message) => ProviderError::new(message.as_str()),
        _ => ProviderError::new(
            text(&["message", "errorMessage", "Message", "detail", "error_description", "msg"]).unwrap_or_default(),
        ),
    };
    if said.message.is_empty()
        && let Some(detail) = value.get("detail").filter(|d| !d.is_null())
    {
        // FastAPI lists what it does not like about a request.
        said.message = detail.to_string();
    }
    let code = inner.get("code").filter(|c| !c.is_null());
    let word = code.and_then(Value::as_str).filter(|c| c.parse::<u16>().is_err());
    // Gemini's `status` is a word; elsewhere `type` is the next best.
    let word = word.or_else(|| inner.get("status")?.as_str()).or_else(|| text(&["type", "errorCode", "__type"]));
    said.code = word.filter(|w| *w != "error").map(str::to_owned);
    let number = |v: &Value| v.as_u64().or_else(|| v.as_str()?.parse().ok());
    let status = code.and_then(number).or_else(|| {
        inner.get("status").or_else(|| inner.get("status_code")).or_else(|| value.get("status_code")).and_then(number)
    });
    said.status = status.and_then(|s| u16::try_from(s).ok()).filter(|s| (400..600).contains(s));
    said.request_id = value.get("request_id").or_else(|| value.get("trace")).and_then(Value::as_str).map(str::to_owned);
    said.retry_after = retry_delay(inner);
    said
}

/// Gemini's `details[].retryDelay`, such as `"13s"`.
fn retry_delay(error: &Value) -> Option<Duration> {
    let details = error.get("details")?.as_array()?;
    let delay = details.iter().find_map(|detail| detail.get("retryDelay")?.as_str())?;
    Duration::try_from_secs_f64(delay.strip_suffix('s')?.parse().ok()?).ok()
}

/// Plain text, or the title of an HTML page.
fn of_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..body.len().min(64 << 10)).unwrap_or_default());
    let text = text.trim();
    if !text.starts_with('<') {
        return text.to_owned();
    }
    let lower = text.to_ascii_lowercase();
    let title = ["title", "h1"].into_iter().find_map(|tag| {
        let start = lower.find(&format!("<{tag}>"))? + tag.len() + 2;
        let end = lower.get(start..)?.find('<')? + start;
        Some(text.get(start..end)?.trim()).filter(|title| !title.is_empty())
    });
    title.map_or_else(|| "an HTML page".to_owned(), |title| format!("an HTML page: {title}"))
}

/// The first 500 characters on one line, without secrets; the body has the rest.
fn clean(text: &str, redactor: &Redactor) -> String {
    // Secrets first: a secret that the limit cuts in two would not be found.
    shortened(&redactor.text(&shortened(text, 8 * MAX_CHARS)), MAX_CHARS)
}

/// One line of at most so many characters.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

fn reason_phrase(status: u16) -> Option<&'static str> {
    reqwest::StatusCode::from_u16(status).ok()?.canonical_reason()
}

fn meant_status(code: Option<&str>) -> Option<u16> {
    let code = code?.to_ascii_lowercase();
    STATUS_OF.into_iter().find(|(name, _)| code.contains(name)).map(|(_, status)| status)
}

/// The error that a refusal is, and what the user can do.
pub(super) fn classify(said: ProviderError, model: Option<&str>, address: &str) -> (Error, Option<String>) {
    let code = said.code.clone().unwrap_or_default().to_ascii_lowercase();
    let words = format!("{code} {}", said.message.to_ascii_lowercase());
    // Gemini says "quota" for limits by the minute, and then says when to come back.
    let unpaid = said.status == Some(402) || (said.retry_after.is_none() && QUOTA.iter().any(|q| words.contains(q)));
    if unpaid {
        return (ErrorKind::QuotaExhausted(said).into(), Some("check the plan and the billing of the account".to_owned()));
    }
    if is_answer_fault(&code, &words) {
        let message = format!("the service could not read what the model wrote: {}", said.message);
        return (Error::new(ErrorKind::Parse(message)).with_response(said), None);
    }
    if is_dead_runner(&said.message) {
        let mut said = said;
        said.status = said.status.filter(|status| *status >= 500).or(Some(500));
        // What follows may be an old line of the log, of another request.
        if let Some((own, _)) = said.message.split_once(": ") {
            said.message = own.to_owned();
        }
        let hint = "the model's process on the server died: it may lack memory, or crash on this request; see the server's log";
        return (ErrorKind::Provider(said).into(), Some(hint.to_owned()));
    }
    if let Some(feature) = missing_feature(&words) {
        let by = model.unwrap_or_default();
        return (Error::new(ErrorKind::unsupported(feature, by, said.message.clone())).with_response(said), None);
    }
    if let Some((prompt, limit)) = overflow::find(&said) {
        let hint = "shorten the conversation or the documents, or use a model with a larger window".to_owned();
        return (Error::new(ErrorKind::ContextWindowExceeded { prompt, limit }).with_response(said), Some(hint));
    }
    if is_unknown_model(&said, &code, &words) {
        let name = model.unwrap_or("the model").to_owned();
        return (Error::new(ErrorKind::ModelNotFound(name)).with_response(said), None);
    }
    let hint = match said.status {
        Some(401) => Some("the key is missing, wrong or expired".to_owned()),
        Some(403) => Some("this key may not use this model or service".to_owned()),
        Some(404) => Some(format!("nothing is at {address}: check the base address")),
        Some(405) => Some(format!("{address} does not take this kind of request: check the base address")),
        Some(413) => Some("the request is too large: shorten the conversation, or send smaller images".to_owned()),
        Some(300..=399) => Some("the address redirects elsewhere, and keys are not sent there: use the final address".to_owned()),
        _ => None,
    };
    (ErrorKind::Provider(said).into(), hint)
}

/// Whether a server says that the process which runs the model has died.
pub(crate) fn is_dead_runner(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["process no longer running", "runner has unexpectedly stopped", "runner process has terminated", "runner process no longer"]
        .iter()
        .any(|words| message.contains(words))
}

/// Whether a server on llama.cpp's grammar does not take a schema.
pub(super) fn is_refused_schema(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["invalid json schema in format", "json schema error at", "failed to parse grammar", "json schema conversion failed"]
        .iter()
        .any(|words| message.contains(words))
}

/// What a model cannot take, as llama.cpp's server says it.
fn missing_feature(words: &str) -> Option<&'static str> {
    let missing = words.contains("is not supported") && words.contains("mmproj");
    match () {
        () if missing && words.contains("image") => Some("images"),
        () if missing && words.contains("audio") => Some("audio"),
        () => None,
    }
}

/// Whether a service refuses because what the model wrote was broken: then another attempt may do better, and it need not
/// be the same request.
fn is_answer_fault(code: &str, words: &str) -> bool {
    let codes = ["tool_use_failed", "json_validate_failed", "output_parse_failed"];
    let sentences = [
        "error parsing tool call",
        "failed to parse tool call",
        "parse tool call arguments",
        "failed to generate json",
        "failed to validate json",
        "failed to call a function",
        "model produced output that does not match",
        "failed to parse input at pos",
        "invalid tool call arguments",
    ];
    codes.contains(&code) || sentences.iter().any(|sentence| words.contains(sentence))
}

fn is_unknown_model(said: &ProviderError, code: &str, words: &str) -> bool {
    if ["model_not_found", "model_not_supported", "model_not_available", "modelnotfound", "unknown_model", "deploymentnotfound"]
        .contains(&code)
    {
        return true;
    }
    let speaks_of_it = words.contains("model") || words.contains("deployment");
    let missing = [
        "not found",
        "does not exist",
        "not exist",
        "no such model",
        "unknown model",
        "is not supported",
        "invalid model",
        "not a valid model",
    ];
    speaks_of_it
        && match said.status {
            Some(404) => true,
            Some(400 | 422) => {
                missing.iter().any(|m| words.contains(m)) && !words.contains("parameter") && !words.contains("does not support")
            }
            _ => false,
        }
}

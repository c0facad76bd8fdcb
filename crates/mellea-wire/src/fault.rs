//! Why an answer cannot be read on.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value, json};

/// Why something that a service sent is not an answer, or not the rest of one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// The service sent an error: the whole object, such as `{"error": …}`.
    Refused(Value),
    /// It is not what the interface promises.
    Malformed {
        /// Where, in the form `choices[0].message`; empty for the whole.
        path: Cow<'static, str>,
        /// What is wrong.
        reason: String,
    },
    /// A piece is not readable. Others may still be.
    Unreadable {
        /// What is wrong.
        reason: String,
        /// Whether the piece ends too early.
        cut: bool,
    },
    /// The answer ended too soon.
    Interrupted,
    /// The service says that what the model wrote was broken; another attempt may do better.
    Broken(String),
    /// The service ended an answer in which the model said the same over and over.
    Repeating(String),
    /// The model read only the last part of the prompt.
    PromptTruncated {
        /// An estimate of the prompt's tokens.
        prompt: u64,
        /// The tokens that were read.
        read: u64,
    },
}

impl Fault {
    /// Not what the interface promises: where, and why.
    pub fn malformed(path: impl Into<Cow<'static, str>>, reason: impl Into<String>) -> Self {
        Self::Malformed { path: path.into(), reason: reason.into() }
    }

    /// A piece that is not JSON, with its beginning.
    #[must_use]
    pub fn unreadable(error: &serde_json::Error, text: &str) -> Self {
        let excerpt: String = text.chars().take(300).collect();
        Self::Unreadable { reason: format!("{error} in `{excerpt}`"), cut: error.is_eof() }
    }

    /// What an event of the name `error` says, whatever its form.
    #[must_use]
    pub fn of_error_event(data: &str) -> Self {
        let value = serde_json::from_str(data).unwrap_or_else(|_| Value::String(data.to_owned()));
        Self::Refused(match value {
            bare @ Value::String(_) => json!({ "error": bare }),
            object => error_in(&object, &[]).unwrap_or_else(|| json!({ "error": object })),
        })
    }

    /// The service says by this word that the model's run failed.
    #[must_use]
    pub fn failed(word: &str) -> Self {
        let message = format!("the service ended the answer with `{word}`");
        Self::Refused(json!({ "error": { "message": message, "type": word, "code": 502 } }))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(value) => write!(f, "the service refused: {value}"),
            Self::Malformed { path, reason } if path.is_empty() => f.write_str(reason),
            Self::Malformed { path, reason } => write!(f, "{reason} at {path}"),
            Self::Unreadable { reason, .. } | Self::Broken(reason) | Self::Repeating(reason) => f.write_str(reason),
            Self::Interrupted => f.write_str("the answer ended before it was complete"),
            Self::PromptTruncated { prompt, read } => write!(f, "the prompt has about {prompt} tokens, and {read} were read"),
        }
    }
}

impl std::error::Error for Fault {}

/// The error that an object with a status of success is or holds, as `{"error": …}`; `None` for an answer.
///
/// Services say it in many ways: `error`, `errors`, `base_resp` with a status that is not zero, `success: false`,
/// `object: "error"`, or a bare `code`, `message`, `msg` or `detail` where no answer stands. `answers` names the fields
/// that only an answer has: beside one of them, bare words are not an error.
#[must_use]
pub fn error_in(value: &Value, answers: &[&str]) -> Option<Value> {
    let fields = match value {
        Value::Object(fields) => fields,
        // Gemini's streams have the error in an array.
        Value::Array(items) => return items.first().filter(|item| item.is_object()).and_then(|item| error_in(item, answers)),
        _ => return None,
    };
    let said = |name: &str| fields.get(name).filter(|value| says_something(value));
    if let Some(error) = said("error") {
        return Some(with_error(fields, error.clone()));
    }
    if said("errors").is_some() {
        return Some(value.clone());
    }
    if let Some(Value::Object(base)) = fields.get("base_resp")
        && let Some(code) = base.get("status_code").filter(|code| !is_good(code))
    {
        let message = base.get("status_msg").and_then(Value::as_str).unwrap_or("the service gave no reason");
        return Some(json!({ "error": { "message": message, "code": code, "type": meaning(message) } }));
    }
    let answered = answers.iter().any(|name| said(name).is_some());
    let failed = fields.get("success") == Some(&Value::Bool(false))
        || fields.get("object").and_then(Value::as_str) == Some("error")
        || fields.get("type").and_then(Value::as_str) == Some("error");
    if answered && !failed {
        return None;
    }
    let words = ["message", "msg", "detail", "error_msg", "status_msg", "errorMessage"].iter().find_map(|name| said(name));
    let code = ["code", "error_code", "status", "status_code", "errorCode"].iter().find_map(|name| fields.get(*name));
    if !failed && (words.is_none() || code.is_none_or(is_good) && said("detail").is_none()) {
        return None;
    }
    let message = match words {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "the service gave no reason".to_owned(),
    };
    Some(json!({ "error": { "message": message, "code": code, "type": meaning(&message) } }))
}

/// A word for the kind of an error that has only a message and a number of the service's own.
fn meaning(message: &str) -> Option<&'static str> {
    let message = message.to_lowercase();
    let kinds = [
        ("rate limit", "rate_limit"),
        ("too many requests", "rate_limit"),
        ("login", "authentication"),
        ("api key", "authentication"),
        ("api-key", "authentication"),
        ("apikey", "authentication"),
        ("token is unusable", "authentication"),
        ("unauthorized", "authentication"),
        ("overloaded", "overloaded"),
        ("busy", "overloaded"),
    ];
    kinds.into_iter().find(|(words, _)| message.contains(words)).map(|(_, kind)| kind)
}

/// The error, with what stands beside it and belongs to it.
fn with_error(fields: &Map<String, Value>, error: Value) -> Value {
    let mut all = Map::from_iter([("error".to_owned(), error)]);
    for name in ["message", "code", "detail", "trace", "request_id", "status_code", "type"] {
        if let Some(value) = fields.get(name).filter(|value| says_something(value)) {
            all.insert(name.to_owned(), value.clone());
        }
    }
    Value::Object(all)
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::Number(_) => true,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// Whether a code stands for success.
fn is_good(code: &Value) -> bool {
    match code {
        Value::Null => true,
        Value::Number(number) => matches!(number.as_u64(), Some(0 | 200..=299)),
        Value::String(text) => {
            matches!(
                text.to_ascii_lowercase().as_str(),
                "" | "0" | "200" | "ok" | "success" | "succeeded" | "completed" | "in_progress"
            )
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_found_in_all_their_forms() {
        for (body, words) in [
            (json!({"error": {"message": "full", "code": 400}}), "full"),
            (json!({"error": "it broke"}), "it broke"),
            (json!({"choices": null, "base_resp": {"status_code": 1004, "status_msg": "login fail"}}), "login fail"),
            (json!({"success": false, "message": "no"}), "no"),
            (json!({"success": false, "choices": [{}], "msg": "not today"}), "not today"),
            (json!({"code": 1261, "msg": "Prompt exceeds max length", "success": false}), "Prompt exceeds max length"),
            (json!({"code": "InvalidParameter", "message": "bad"}), "bad"),
            (json!({"detail": "Not authenticated"}), "Not authenticated"),
            (json!({"detail": [{"loc": ["body"], "msg": "field required"}]}), "field required"),
            (json!({"object": "error", "message": "oom", "code": 500}), "oom"),
            (json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}), "busy"),
            (json!([{"error": {"message": "quota"}}]), "quota"),
            (json!({"errors": [{"code": "x", "message": "y"}]}), "y"),
        ] {
            let found = error_in(&body, &["choices"]).unwrap_or_else(|| panic!("{body}"));
            assert!(found.to_string().contains(words), "{found}");
        }
    }

    #[test]
    fn an_answer_is_not_an_error() {
        for body in [
            json!({"choices": [{"message": {"content": "Hi"}}], "error": null, "base_resp": {"status_code": 0}}),
            json!({"choices": [{}], "code": 200, "msg": "ok", "success": true}),
            json!({"choices": [{}], "message": "in time", "code": "x"}),
            json!({"choices": [], "usage": {"prompt_tokens": 3}}),
            json!({"id": "x", "object": "chat.completion.chunk"}),
            json!({"error": {}, "choices": [{}]}),
            json!({"error": false, "choices": [{}]}),
            json!({"status": "completed", "message": "done", "code": 0}),
            json!(17),
        ] {
            assert_eq!(error_in(&body, &["choices"]), None, "{body}");
        }
    }
}

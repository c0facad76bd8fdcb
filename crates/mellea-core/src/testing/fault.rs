//! Errors in a form that can be stored and made into an error of the same kind again.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, ErrorKind, ProviderError, TimeoutPhase};
use crate::options::ModelOption;
use crate::redact::{REDACTED, Redactor};

/// A recorded error: its kind's name, its text, and what it takes to make it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Fault {
    kind: String,
    text: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    details: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Fault {
    /// An error without its secrets. Its cause and its partial answer are left out: the first is
    /// nothing that could be stored, the second is in the events before it.
    pub(super) fn record(error: &Error, redactor: &Redactor) -> Self {
        let clean = |text: &str| redactor.text(text).into_owned();
        let kind = cleaned(error.kind(), redactor);
        let mut details = details(&kind);
        redactor.json(&mut details);
        Self {
            kind: kind.name().to_owned(),
            text: clean(&kind.to_string()),
            details,
            provider: error.provider().map(str::to_owned),
            model: error.model().map(str::to_owned),
            hint: error.hint().map(clean),
        }
    }

    /// The error again: of the same kind where the kind can be stored, else an
    /// [`ErrorKind::Backend`] with the same text.
    pub(super) fn replay(&self) -> Error {
        let mut error = Error::new(self.to_kind());
        if let (Some(provider), Some(model)) = (&self.provider, &self.model) {
            error = error.at(provider, model);
        }
        if let Some(hint) = &self.hint {
            error = error.with_hint(hint.clone());
        }
        error
    }

    fn to_kind(&self) -> ErrorKind {
        let text = |name: &str| self.details.get(name).and_then(Value::as_str).map(str::to_owned);
        let word = |name: &str| text(name).unwrap_or_default();
        let number = |name: &str| self.details.get(name).and_then(Value::as_u64);
        let count = |name: &str| number(name).unwrap_or_default();
        let all = || self.text.clone();
        match self.kind.as_str() {
            "empty_prompt" => ErrorKind::EmptyPrompt,
            "empty_response" => ErrorKind::EmptyResponse,
            "cancelled" => ErrorKind::Cancelled,
            "stream_interrupted" => ErrorKind::StreamInterrupted,
            "conflict" => ErrorKind::Conflict,
            "unsupported" => ErrorKind::unsupported(word("feature"), word("by"), all()),
            "config" => ErrorKind::config(word("setting"), all()),
            "connection" => ErrorKind::connection(word("address"), all()),
            "testing" => ErrorKind::Testing(all()),
            "busy" => ErrorKind::Busy(word("message")),
            "degenerate" => ErrorKind::Degenerate(word("message")),
            "parse" => ErrorKind::Parse(word("message")),
            "model_not_found" => ErrorKind::ModelNotFound(word("message")),
            "model_file" => ErrorKind::ModelFile { file: word("file"), reason: word("reason") },
            "tool" => ErrorKind::Tool { tool: word("tool"), reason: word("reason") },
            "invalid_option" => {
                ErrorKind::InvalidOption { option: word("option"), value: word("value"), expected: word("expected") }
            }
            "schema_unsupported" => ErrorKind::SchemaUnsupported { keyword: word("keyword"), path: word("path") },
            "schema_mismatch" => ErrorKind::SchemaMismatch {
                faults: self.details.get("faults").and_then(|faults| Vec::deserialize(faults).ok()).unwrap_or_default(),
                more: count("more").try_into().unwrap_or(usize::MAX),
            },
            "truncated" => ErrorKind::Truncated { limit: number("limit"), produced: count("produced") },
            "context_window_exceeded" => ErrorKind::ContextWindowExceeded { prompt: number("prompt"), limit: number("limit") },
            "prompt_truncated" => ErrorKind::PromptTruncated { prompt: count("prompt"), read: count("read") },
            "malformed_response" => ErrorKind::MalformedResponse { path: word("path"), reason: word("reason") },
            "timeout" => ErrorKind::Timeout { phase: phase(&word("phase")), limit: Duration::from_millis(count("limit_ms")) },
            "provider" => ErrorKind::Provider(self.said()),
            "quota_exhausted" => ErrorKind::QuotaExhausted(self.said()),
            _ => ErrorKind::Backend(all()),
        }
    }

    /// What the service said.
    fn said(&self) -> ProviderError {
        let text = |name: &str| self.details.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| self.details.get(name).and_then(Value::as_u64);
        ProviderError {
            status: number("status").and_then(|status| status.try_into().ok()),
            code: text("code"),
            message: text("message").unwrap_or_default(),
            request_id: text("request_id"),
            retry_after: number("retry_after_ms").map(Duration::from_millis),
            body: text("body"),
        }
    }
}

/// A refused value is shown as options are: only of those that may be shown.
fn cleaned<'k>(kind: &'k ErrorKind, redactor: &Redactor) -> Cow<'k, ErrorKind> {
    match kind {
        ErrorKind::InvalidOption { option, expected, .. } if !is_common(option) && !redactor.shows(option) => {
            let (option, expected) = (option.clone(), expected.clone());
            Cow::Owned(ErrorKind::InvalidOption { option, value: REDACTED.to_owned(), expected })
        }
        kind => Cow::Borrowed(kind),
    }
}

fn is_common(option: &str) -> bool {
    ModelOption::ALL.iter().any(|known| known.name() == option)
}

fn details(kind: &ErrorKind) -> Value {
    match kind {
        ErrorKind::Busy(message)
        | ErrorKind::Degenerate(message)
        | ErrorKind::Parse(message)
        | ErrorKind::ModelNotFound(message) => json!({ "message": message }),
        ErrorKind::Unsupported { feature, by, .. } => json!({ "feature": feature, "by": by }),
        ErrorKind::Config { setting, .. } => json!({ "setting": setting }),
        ErrorKind::Connection { address, .. } => json!({ "address": address }),
        ErrorKind::ModelFile { file, reason } => json!({ "file": file, "reason": reason }),
        ErrorKind::Tool { tool, reason } => json!({ "tool": tool, "reason": reason }),
        ErrorKind::InvalidOption { option, value, expected } => {
            json!({ "option": option, "value": value, "expected": expected })
        }
        ErrorKind::SchemaUnsupported { keyword, path } => json!({ "keyword": keyword, "path": path }),
        ErrorKind::SchemaMismatch { faults, more } => json!({ "faults": faults, "more": more }),
        ErrorKind::Truncated { limit, produced } => json!({ "limit": limit, "produced": produced }),
        ErrorKind::ContextWindowExceeded { prompt, limit } => json!({ "prompt": prompt, "limit": limit }),
        ErrorKind::PromptTruncated { prompt, read } => json!({ "prompt": prompt, "read": read }),
        ErrorKind::MalformedResponse { path, reason } => json!({ "path": path, "reason": reason }),
        ErrorKind::Timeout { phase, limit } => json!({ "phase": format!("{phase:?}"), "limit_ms": millis(*limit) }),
        ErrorKind::Provider(error) | ErrorKind::QuotaExhausted(error) => json!({
            "status": error.status,
            "code": error.code,
            "message": error.message,
            "request_id": error.request_id,
            "retry_after_ms": error.retry_after.map(millis),
            "body": error.body,
        }),
        _ => Value::Null,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn phase(name: &str) -> TimeoutPhase {
    match name {
        "Connect" => TimeoutPhase::Connect,
        "FirstToken" => TimeoutPhase::FirstToken,
        "NextToken" => TimeoutPhase::NextToken,
        "Tool" => TimeoutPhase::Tool,
        _ => TimeoutPhase::Total,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replayed_error_is_like_the_recorded_one() {
        let mut refused = ProviderError::new("slow down");
        (refused.status, refused.retry_after) = (Some(429), Some(Duration::from_millis(1500)));
        for kind in [
            ErrorKind::EmptyPrompt,
            ErrorKind::EmptyResponse,
            ErrorKind::Cancelled,
            ErrorKind::StreamInterrupted,
            ErrorKind::Conflict,
            ErrorKind::unsupported("images", "p", "no images"),
            ErrorKind::config("model", "no model"),
            ErrorKind::connection("a.example", "refused"),
            ErrorKind::Testing("no".into()),
            ErrorKind::Busy("full".into()),
            ErrorKind::Degenerate("spaces".into()),
            ErrorKind::Parse("no JSON".into()),
            ErrorKind::ModelNotFound("m".into()),
            ErrorKind::ModelFile { file: "a".into(), reason: "b".into() },
            ErrorKind::Tool { tool: "a".into(), reason: "b".into() },
            ErrorKind::InvalidOption { option: "top_k".into(), value: "b".into(), expected: "c".into() },
            ErrorKind::SchemaUnsupported { keyword: "a".into(), path: "b".into() },
            ErrorKind::SchemaMismatch { faults: vec![crate::schema::Mismatch::new("/a", "b", "c")], more: 2 },
            ErrorKind::Truncated { limit: Some(5), produced: 5 },
            ErrorKind::Truncated { limit: None, produced: 5 },
            ErrorKind::ContextWindowExceeded { prompt: Some(9), limit: Some(8) },
            ErrorKind::ContextWindowExceeded { prompt: None, limit: None },
            ErrorKind::PromptTruncated { prompt: 9, read: 8 },
            ErrorKind::MalformedResponse { path: "a[0]".into(), reason: "b".into() },
            ErrorKind::QuotaExhausted(refused.clone()),
            ErrorKind::Timeout { phase: TimeoutPhase::NextToken, limit: Duration::from_secs(3) },
            ErrorKind::Timeout { phase: TimeoutPhase::Connect, limit: Duration::from_secs(3) },
            ErrorKind::Provider(refused),
            ErrorKind::Backend("odd".into()),
        ] {
            let error = Error::new(kind).at("p", "m").with_hint("wait");
            let stored = serde_json::to_string(&Fault::record(&error, &Redactor::default())).unwrap();
            let again = serde_json::from_str::<Fault>(&stored).unwrap().replay();
            assert_eq!(format!("{again:?}"), format!("{error:?}"));
        }
    }

    #[test]
    fn an_error_that_cannot_be_stored_keeps_its_text() {
        let error = Error::new(ErrorKind::PreconditionFailed(vec!["a".into(), "b".into()]));
        let again = Fault::record(&error, &Redactor::default()).replay();
        assert_eq!(again.to_string(), error.to_string());
    }

    #[test]
    fn a_refused_value_stays_only_where_options_are_shown() {
        for (option, stays) in [("seed", true), ("top_p", true), ("connection_string", false)] {
            let kind = ErrorKind::InvalidOption { option: option.into(), value: "canary".into(), expected: "a number".into() };
            let stored = serde_json::to_string(&Fault::record(&kind.into(), &Redactor::default())).unwrap();
            assert_eq!(stored.contains("canary"), stays, "{stored}");
        }
    }

    #[test]
    fn secrets_do_not_stay_in_errors() {
        let mut refused = ProviderError::new("invalid key sk-canary-123456");
        refused.body = Some("{\"error\": \"sk-canary-123456\"}".into());
        let error = Error::new(ErrorKind::Provider(refused)).with_hint("drop sk-canary-123456");
        let stored = serde_json::to_string(&Fault::record(&error, &Redactor::default())).unwrap();
        assert!(!stored.contains("canary"), "{stored}");
    }
}

//! An error as a report: what logs, dashboards and bug reports need of it, and no secrets.

use std::error::Error as StdError;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::Error;
use crate::output::{FinishReason, ModelOutput, Usage};
use crate::redact::Redactor;
use crate::text::{bounded, short_line};

/// The most bytes of a partial answer that a report holds.
const PARTIAL: usize = 4 << 10;

/// The most bytes of one line of a report.
const LINE: usize = 2 << 10;

/// The most causes that a report lists.
const CAUSES: usize = 16;

#[derive(Serialize)]
struct Report<'a> {
    kind: &'static str,
    message: String,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<Partial<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
}

#[derive(Serialize)]
struct Partial<'a> {
    text: String,
    finish: &'a FinishReason,
    usage: Usage,
}

impl<'a> Partial<'a> {
    fn new(output: &'a ModelOutput, redactor: &Redactor) -> Self {
        let text = redactor.text(&bounded(&output.text, PARTIAL)).into_owned();
        Self { text, finish: &output.finish, usage: output.usage }
    }
}

impl Serialize for Error {
    /// Writes a report: `kind` is the [name](super::ErrorKind::name), `message` the kind's sentence,
    /// `causes` the chain of sources. `provider`, `model`, `attempt`, `hint`, `status`, `code`,
    /// `request_id`, `retry_after` (in seconds), `partial` and `attempts` stand where they are known.
    /// Everything is bounded, and what looks like a secret is blanked.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let redactor = Redactor::default();
        let line = |text: &str| redactor.text(&short_line(text, LINE)).into_owned();
        let said = self.response();
        let attempts = self.record().map(|record| {
            let mut report = record.report();
            redactor.json(&mut report);
            report
        });
        let report = Report {
            kind: self.kind().name(),
            message: line(&self.kind().to_string()),
            retryable: self.is_retryable(),
            provider: self.provider().map(line),
            model: self.model().map(line),
            attempt: self.attempt(),
            hint: self.hint().map(line),
            status: self.status(),
            code: said.and_then(|said| said.code.as_deref()).map(line),
            request_id: self.request_id().map(line),
            retry_after: self.retry_after().map(|time| time.as_secs_f64()),
            partial: self.partial().map(|output| Partial::new(output, &redactor)),
            attempts,
            causes: causes(self).iter().map(|cause| line(cause)).collect(),
        };
        report.serialize(serializer)
    }
}

/// What the error comes from, the nearest first.
fn causes(error: &Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let (Some(cause), true) = (next, causes.len() < CAUSES) {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes
}

//! What a check found.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::Judgement;
use crate::error::Error;
use crate::text::short_line;

/// How a check came out. Everything but [`Pass`](Self::Pass) counts as not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It holds.
    Pass,
    /// It does not hold.
    Fail,
    /// It could not be decided, as when a judge gives no verdict.
    Undecided,
    /// The check itself failed: its code panicked or gave an error, or the judge could not be reached.
    /// [`ValidationResult::error`] says why.
    Error,
    /// It was not judged, because a check in code had refused the answer already.
    Skipped,
}

/// How one check came out, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ValidationResult {
    /// How it came out.
    pub outcome: Outcome,
    /// Why. Of a failure, it is what the model reads when it tries again, on one line and bounded in
    /// length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How well, from 0 to 1, where the validator can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// The judge's call, if a model judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Arc<Judgement>>,
    /// What kept the check from being made, or a judge's answer from being read. It is serialised as
    /// its message, and not read back.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none", serialize_with = "message")]
    pub error: Option<Error>,
}

fn message<S: Serializer>(error: &Option<Error>, serializer: S) -> Result<S::Ok, S::Error> {
    error.as_ref().map(ToString::to_string).serialize(serializer)
}

impl PartialEq for ValidationResult {
    /// Errors are compared by their messages.
    fn eq(&self, other: &Self) -> bool {
        let message = |result: &Self| result.error.as_ref().map(ToString::to_string);
        (self.outcome, &self.reason, self.score, &self.judgement) == (other.outcome, &other.reason, other.score, &other.judgement)
            && message(self) == message(other)
    }
}

impl ValidationResult {
    const fn new(outcome: Outcome) -> Self {
        Self { outcome, reason: None, score: None, judgement: None, error: None }
    }

    /// It holds.
    #[must_use]
    pub const fn pass() -> Self {
        Self::new(Outcome::Pass)
    }

    /// It does not hold.
    pub fn fail(reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::new(Outcome::Fail) }
    }

    /// It does not hold, as the requirement's own words say.
    pub(super) const fn refused() -> Self {
        Self::new(Outcome::Fail)
    }

    /// It could not be decided.
    pub fn undecided(reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::new(Outcome::Undecided) }
    }

    /// A judge's answer could not be read.
    pub(super) fn unread(error: Error) -> Self {
        Self { error: Some(error), ..Self::new(Outcome::Undecided) }
    }

    /// The check could not be made.
    #[must_use]
    pub fn error(error: Error) -> Self {
        Self { error: Some(error), ..Self::new(Outcome::Error) }
    }

    /// A check in code has refused the answer, so that there was nothing left to judge.
    pub(super) fn skipped() -> Self {
        Self { reason: Some("not judged: a check in code failed".to_owned()), ..Self::new(Outcome::Skipped) }
    }

    /// With a reason.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// With a score from 0 to 1.
    #[must_use]
    pub const fn score(mut self, score: f64) -> Self {
        self.score = Some(score);
        self
    }

    /// Whether it holds.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.outcome == Outcome::Pass
    }

    /// Why it came out so, on one line: the reason, or what kept the check from being made.
    #[must_use]
    pub fn why(&self) -> Option<Cow<'_, str>> {
        match (&self.reason, &self.error) {
            (Some(reason), _) => Some(short_line(reason, 500)),
            (None, Some(error)) => Some(Cow::Owned(short_line(&error.to_string(), 500).into_owned())),
            (None, None) => None,
        }
    }
}

/// A requirement and how its check came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Verdict {
    /// The requirement's description, with its variables filled in.
    pub requirement: String,
    /// How the check came out.
    pub result: ValidationResult,
}

impl Verdict {
    /// Whether the requirement is met.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.result.passed()
    }

    /// What to tell the model when it tries again: the reason of a failure or, without one and where
    /// nothing was decided, the requirement itself. `None` if the requirement is met or was not looked
    /// at.
    #[must_use]
    pub fn complaint(&self) -> Option<&str> {
        let reason = self.result.reason.as_deref().filter(|reason| !reason.trim().is_empty());
        match self.result.outcome {
            Outcome::Pass | Outcome::Skipped => None,
            Outcome::Fail if reason.is_some() => reason,
            _ if self.requirement.trim().is_empty() => Some("a requirement is not met"),
            _ => Some(&self.requirement),
        }
    }
}

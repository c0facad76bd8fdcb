//! Requirements: what must hold for an answer, and who checks it.

mod judge;
mod validator;

use std::sync::Arc;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

pub(crate) use judge::Judge;
pub use judge::Judgement;
pub use validator::{Candidate, IntoValidation, Validator};

use crate::backend::Backend;
use crate::error::{ErrorKind, Result};
use crate::stream_check::StreamCheck;

/// Something that must hold for an answer.
///
/// The description tells the model what is expected; a validator checks it. Without a validator the
/// model itself judges the answer against the description. A [`check`]ed requirement is kept out of
/// the prompt.
///
/// ```
/// use mellea_core::{check, req};
///
/// let salutation = req("The email should have a salutation.");
/// let lower_case = req("Use only lower-case letters.").validate(|text| text == text.to_lowercase());
/// let short = check("At most 50 words.").validate(|text| match text.split_whitespace().count() {
///     n if n <= 50 => Ok(()),
///     n => Err(format!("The text has {n} words, 50 are allowed.")),
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Requirement {
    description: String,
    check_only: bool,
    validator: Option<Arc<dyn Validator>>,
    judge: Option<Arc<dyn Backend>>,
    stream_check: Option<MakeCheck>,
}

#[derive(Clone)]
struct MakeCheck(Arc<dyn Fn() -> Box<dyn StreamCheck> + Send + Sync>);

impl std::fmt::Debug for MakeCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StreamCheck")
    }
}

/// A requirement that is stated in the prompt.
pub fn req(description: impl Into<String>) -> Requirement {
    Requirement { description: description.into(), check_only: false, validator: None, judge: None, stream_check: None }
}

/// A requirement that is checked, but kept out of the prompt: to mention some things is to suggest
/// them.
pub fn check(description: impl Into<String>) -> Requirement {
    Requirement { check_only: true, ..req(description) }
}

impl Requirement {
    /// What must hold, in words.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Whether it is kept out of the prompt.
    #[must_use]
    pub fn is_check_only(&self) -> bool {
        self.check_only
    }

    /// Whether the model has to judge it.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.validator.is_none() && (self.stream_check.is_none() || self.judge.is_some())
    }

    /// Checked by a function of the text. It gives a `bool`, a `(bool, reason)`, a
    /// `Result<(), reason>` or a [`ValidationResult`]. The reason is what the model reads when it
    /// tries again.
    #[must_use]
    pub fn validate<V: IntoValidation>(self, check: impl Fn(&str) -> V + Send + Sync + 'static) -> Self {
        self.validator(validator::text(check))
    }

    /// Checked by an asynchronous function of the text.
    #[must_use]
    pub fn validate_async<F, Fut>(self, check: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoValidation> + Send + 'static,
    {
        self.validator(validator::asynchronous(check))
    }

    /// Checked by a function of the typed value. `T` must be the type that the call gives; for
    /// another type the check fails and says so.
    #[must_use]
    pub fn validate_value<T: 'static, V: IntoValidation>(self, check: impl Fn(&T) -> V + Send + Sync + 'static) -> Self {
        self.validator(validator::value(check))
    }

    /// Checked by a function of the answer in its context.
    #[must_use]
    pub fn validate_with<V: IntoValidation>(self, check: impl Fn(&Candidate<'_>) -> V + Send + Sync + 'static) -> Self {
        self.validator(validator::candidate(check))
    }

    /// Checked by a validator.
    #[must_use]
    pub fn validator(mut self, validator: impl Validator) -> Self {
        self.validator = Some(Arc::new(validator));
        self
    }

    /// Checked while the answer arrives as well, by a check that this makes anew for each attempt. If it has no
    /// validator, the stream check decides alone and no model judges.
    #[must_use]
    pub fn stream_check<C: StreamCheck + 'static>(mut self, make: impl Fn() -> C + Send + Sync + 'static) -> Self {
        self.stream_check = Some(MakeCheck(Arc::new(move || Box::new(make()))));
        self
    }

    /// A check for one answer while it arrives.
    pub(crate) fn new_stream_check(&self) -> Option<Box<dyn StreamCheck>> {
        self.stream_check.as_ref().map(|make| (make.0)())
    }

    /// Judged by another model than the one that answers.
    #[must_use]
    pub fn judged_by(mut self, judge: impl Backend) -> Self {
        self.judge = Some(Arc::new(judge));
        self
    }

    /// # Errors
    /// [`ErrorKind::EmptyRequirement`] if there is nothing to check.
    pub(crate) fn ensure(&self) -> Result<()> {
        if self.is_judged() && self.description.trim().is_empty() {
            return Err(ErrorKind::EmptyRequirement.into());
        }
        Ok(())
    }

    async fn check(&self, candidate: &Candidate<'_>, judge: &Judge) -> Result<ValidationResult> {
        match &self.validator {
            // It held while the answer arrived, or there would be no answer.
            None if self.stream_check.is_some() && self.judge.is_none() => Ok(ValidationResult::pass()),
            Some(validator) => validator::run(&**validator, &self.description, candidate).await,
            None => judge.judge(self.judge.as_ref(), &self.description, candidate).await,
        }
    }
}

/// Checks all requirements concurrently; results come in the order of the requirements.
pub(crate) async fn check_all(requirements: &[Requirement], candidate: &Candidate<'_>, judge: &Judge) -> Vec<Verdict> {
    join_all(requirements.iter().map(|requirement| async {
        let result = requirement.check(candidate, judge).await.unwrap_or_else(|e| ValidationResult { error: Some(e), ..ValidationResult::undecided("x") });
        Verdict { requirement: requirement.description.clone(), result }
    }))
    .await
}

impl From<&str> for Requirement {
    fn from(description: &str) -> Self {
        req(description)
    }
}

impl From<String> for Requirement {
    fn from(description: String) -> Self {
        req(description)
    }
}

impl From<&Self> for Requirement {
    fn from(requirement: &Self) -> Self {
        requirement.clone()
    }
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    Pass,
    /// It does not hold.
    Fail,
    /// It could not be decided; counts as not met.
    Undecided,
}

/// How one check came out, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ValidationResult {
    /// How it came out.
    pub outcome: Outcome,
    /// Why. This is what the model reads when it tries again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How well, from 0 to 1, where the validator can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// The judge's call, if a model judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Arc<Judgement>>,
    /// STUB
    #[serde(skip)]
    pub error: Option<crate::Error>,
}

impl ValidationResult {
    /// It holds.
    #[must_use]
    pub const fn pass() -> Self {
        Self { outcome: Outcome::Pass, reason: None, score: None, judgement: None, error: None }
    }

    /// It does not hold.
    pub fn fail(reason: impl Into<String>) -> Self {
        Self { outcome: Outcome::Fail, reason: Some(reason.into()), ..Self::pass() }
    }

    /// It could not be decided.
    pub fn undecided(reason: impl Into<String>) -> Self {
        Self { outcome: Outcome::Undecided, reason: Some(reason.into()), ..Self::pass() }
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
}

/// A requirement and how its check came out.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Verdict {
    /// The requirement's description.
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

    /// Why it is not met: the check's reason or, without one, the requirement itself.
    #[must_use]
    pub fn complaint(&self) -> &str {
        match self.result.reason.as_deref() {
            Some(reason) if !reason.trim().is_empty() => reason,
            _ if self.requirement.trim().is_empty() => "a requirement is not met",
            _ => &self.requirement,
        }
    }
}

#[cfg(test)]
mod tests;

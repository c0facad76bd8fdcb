//! Validators: code that checks an answer.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;

use async_trait::async_trait;
use futures_util::FutureExt;

use super::{Outcome, ValidationResult};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::generate;
use crate::output::ModelOutput;

/// An answer that is being checked.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    pub(crate) output: &'a ModelOutput,
    pub(crate) value: Option<&'a (dyn Any + Send + Sync)>,
    pub(crate) context: &'a Context,
}

impl<'a> Candidate<'a> {
    /// The answer's text.
    #[must_use]
    pub fn text(&self) -> &'a str {
        &self.output.text
    }

    /// The answer with its metadata and tool calls.
    #[must_use]
    pub fn output(&self) -> &'a ModelOutput {
        self.output
    }

    /// The typed value, if the call gives one of this type.
    #[must_use]
    pub fn value<T: 'static>(&self) -> Option<&'a T> {
        self.value?.downcast_ref()
    }

    /// The conversation, ending with what was asked and this answer.
    #[must_use]
    pub fn context(&self) -> &'a Context {
        self.context
    }
}

impl fmt::Debug for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate").field("output", self.output).finish_non_exhaustive()
    }
}

/// Code that checks an answer. For closures see [`Requirement`](crate::Requirement).
#[async_trait]
pub trait Validator: Send + Sync + 'static {
    /// Checks the answer.
    ///
    /// # Errors
    /// If the check itself fails; that ends the call. A refused answer is no error.
    async fn validate(&self, candidate: &Candidate<'_>) -> Result<ValidationResult>;
}

impl fmt::Debug for dyn Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Validator")
    }
}

/// What a validating closure may give back.
pub trait IntoValidation {
    /// As a result.
    fn into_validation(self) -> ValidationResult;
}

impl IntoValidation for ValidationResult {
    fn into_validation(self) -> ValidationResult {
        self
    }
}

impl IntoValidation for bool {
    fn into_validation(self) -> ValidationResult {
        let outcome = if self { Outcome::Pass } else { Outcome::Fail };
        ValidationResult { outcome, ..ValidationResult::pass() }
    }
}

impl<S: Into<String>> IntoValidation for (bool, S) {
    fn into_validation(self) -> ValidationResult {
        self.0.into_validation().reason(self.1)
    }
}

impl<S: Into<String>> IntoValidation for Result<(), S> {
    fn into_validation(self) -> ValidationResult {
        match self {
            Ok(()) => ValidationResult::pass(),
            Err(reason) => ValidationResult::fail(reason),
        }
    }
}

/// A validator made of a synchronous function of the candidate.
struct Checked<F>(F);

#[async_trait]
impl<F: Fn(&Candidate<'_>) -> ValidationResult + Send + Sync + 'static> Validator for Checked<F> {
    async fn validate(&self, candidate: &Candidate<'_>) -> Result<ValidationResult> {
        Ok((self.0)(candidate))
    }
}

pub(super) fn candidate<V: IntoValidation>(check: impl Fn(&Candidate<'_>) -> V + Send + Sync + 'static) -> impl Validator {
    Checked(move |candidate: &Candidate<'_>| check(candidate).into_validation())
}

pub(super) fn text<V: IntoValidation>(check: impl Fn(&str) -> V + Send + Sync + 'static) -> impl Validator {
    candidate(move |candidate: &Candidate<'_>| check(candidate.text()))
}

pub(super) fn value<T: 'static, V: IntoValidation>(check: impl Fn(&T) -> V + Send + Sync + 'static) -> impl Validator {
    candidate(move |candidate: &Candidate<'_>| match candidate.value::<T>() {
        Some(value) => check(value).into_validation(),
        None => ValidationResult::undecided(format!("the answer is no {}", std::any::type_name::<T>())),
    })
}

struct Asynchronous<F>(F);

#[async_trait]
impl<F, Fut> Validator for Asynchronous<F>
where
    F: Fn(String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoValidation> + Send + 'static,
{
    async fn validate(&self, candidate: &Candidate<'_>) -> Result<ValidationResult> {
        Ok((self.0)(candidate.text().to_owned()).await.into_validation())
    }
}

pub(super) fn asynchronous<F, Fut>(check: F) -> impl Validator
where
    F: Fn(String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoValidation> + Send + 'static,
{
    Asynchronous(check)
}

/// Runs a validator; a panic in it becomes an error.
pub(super) async fn run(validator: &dyn Validator, description: &str, candidate: &Candidate<'_>) -> Result<ValidationResult> {
    match AssertUnwindSafe(validator.validate(candidate)).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => {
            let reason = generate::panic_text(&*panic);
            Err(Error::from(ErrorKind::Validator { requirement: description.to_owned(), reason }))
        }
    }
}

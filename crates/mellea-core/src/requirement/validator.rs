//! Validators: code that checks an answer.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;

use super::ValidationResult;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::generate;
use crate::output::ModelOutput;

/// An answer that is being checked.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    output: &'a ModelOutput,
    value: Option<&'a (dyn Any + Send + Sync)>,
    context: &'a Context,
    task: Option<&'a str>,
}

impl<'a> Candidate<'a> {
    /// An answer in its context, which ends with what was asked and this answer.
    #[must_use]
    pub fn new(output: &'a ModelOutput, context: &'a Context) -> Self {
        Self { output, value: None, context, task: None }
    }

    /// With the typed value that was made of it.
    #[must_use]
    pub fn with_value(mut self, value: &'a (dyn Any + Send + Sync)) -> Self {
        self.value = Some(value);
        self
    }

    /// With what was asked, in words.
    #[must_use]
    pub fn with_task(mut self, task: &'a str) -> Self {
        self.task = Some(task);
        self
    }

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

    /// What was asked, in words: by default the last message before the answer.
    #[must_use]
    pub fn task(&self) -> Option<Cow<'a, str>> {
        match self.task {
            Some(task) => Some(Cow::Borrowed(task)),
            None => self.context.last_turn().and_then(|turn| turn.input).map(|message| message.text()),
        }
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a validator",
    label = "does not implement `Validator`",
    note = "for a closure use `Requirement::validate` (of the text), `validate_value` (of the typed value) or `validate_with` (of the whole candidate)"
)]
pub trait Validator: Send + Sync + 'static {
    /// Checks the answer.
    ///
    /// # Errors
    /// If the check itself fails; the requirement then counts as not met, with the outcome
    /// [`Error`](crate::Outcome::Error). A refused answer is not an error.
    async fn validate(&self, candidate: &Candidate<'_>) -> Result<ValidationResult>;
}

impl fmt::Debug for dyn Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Validator")
    }
}

/// What a validating closure may give back.
///
/// - `bool`: whether the requirement is met.
/// - `(bool, reason)`: with a reason, for which the answer is refused. If it is not refused, the reason
///   does not count; to say why an answer is good, give a [`ValidationResult`].
/// - `Result<(), reason>`: met, or why not.
/// - [`ValidationResult`]: everything else, such as a score.
/// - `Result<bool, Error>` and `Result<ValidationResult, Error>`: for a check that can itself fail, which
///   is the outcome [`Error`](crate::Outcome::Error).
#[diagnostic::on_unimplemented(
    message = "a validator cannot give back `{Self}`",
    label = "not a verdict",
    note = "it gives a `bool`, a `(bool, reason)`, a `Result<(), reason>` or a `ValidationResult`; the reason is a text",
    note = "if the check is asynchronous use `validate_async` or `validate_value_async`"
)]
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
        if self { ValidationResult::pass() } else { ValidationResult::refused() }
    }
}

impl<S: Into<String>> IntoValidation for (bool, S) {
    fn into_validation(self) -> ValidationResult {
        if self.0 { ValidationResult::pass() } else { ValidationResult::fail(self.1) }
    }
}

impl IntoValidation for Result<bool, Error> {
    fn into_validation(self) -> ValidationResult {
        self.map(IntoValidation::into_validation).unwrap_or_else(ValidationResult::error)
    }
}

impl IntoValidation for Result<ValidationResult, Error> {
    fn into_validation(self) -> ValidationResult {
        self.unwrap_or_else(ValidationResult::error)
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

/// A validator made of a slow function of the text.
struct Blocking<F>(Arc<F>);

#[async_trait]
impl<F, V> Validator for Blocking<F>
where
    F: Fn(&str) -> V + Send + Sync + 'static,
    V: IntoValidation,
{
    async fn validate(&self, candidate: &Candidate<'_>) -> Result<ValidationResult> {
        let (check, text) = (Arc::clone(&self.0), candidate.text().to_owned());
        Ok(aside(move || check(&text).into_validation()).await)
    }
}

pub(super) fn blocking<V: IntoValidation>(check: impl Fn(&str) -> V + Send + Sync + 'static) -> impl Validator {
    Blocking(Arc::new(check))
}

/// Runs slow work on a thread of its own, where there is a runtime to do so. Its panic goes on here.
pub(super) async fn aside(work: impl FnOnce() -> ValidationResult + Send + 'static) -> ValidationResult {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return work() };
    match runtime.spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => ValidationResult::error(ErrorKind::Cancelled.into()),
        },
    }
}

/// What a panic of a check says.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    generate::panic_text(panic)
}

/// Runs a validator; a panic in it, and its error, become a result.
pub(super) async fn run(validator: &dyn Validator, description: &str, candidate: &Candidate<'_>) -> ValidationResult {
    // In a block of its own, since a validator written by hand may panic before it gives a future.
    let checked = AssertUnwindSafe(async { validator.validate(candidate).await }).catch_unwind().await;
    let mut result = match checked {
        Ok(result) => result.unwrap_or_else(ValidationResult::error),
        Err(panic) => ValidationResult::error(failed(description, panic_text(&*panic))),
    };
    // A validator's failure is told from a judge's, whatever kind of error it had itself.
    result.error = result.error.map(|error| match error.kind() {
        ErrorKind::Validator { requirement, reason } if requirement.is_empty() => failed(description, reason.clone()),
        ErrorKind::Validator { .. } => error,
        kind => failed(description, kind.to_string()).with_source(error),
    });
    result
}

/// The error of a check that could not be made.
pub(super) fn failed(requirement: &str, reason: impl Into<String>) -> Error {
    ErrorKind::Validator { requirement: requirement.to_owned(), reason: reason.into() }.into()
}

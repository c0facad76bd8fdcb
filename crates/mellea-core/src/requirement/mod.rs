//! Requirements: what must hold for an answer, and who checks it.

mod check;
mod judge;
mod result;
mod typed;
mod validator;

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

pub(crate) use check::{check_all, verdict_of_nothing};
pub(crate) use judge::Judge;
pub use judge::Judgement;
pub use result::{Outcome, ValidationResult, Verdict};
pub use typed::{IntoRequirement, ValueRequirement, ensure};
pub use validator::{Candidate, IntoValidation, Validator};

use crate::backend::Backend;
use crate::component::{Arg, Statement};
use crate::error::{ErrorKind, Result};
use crate::stream_check::StreamCheck;

/// Something that must hold for an answer.
///
/// The description tells the model what is expected; a validator checks it. Without a validator the
/// model itself judges the answer against the description. A [`check`]ed requirement is kept out of
/// the prompt.
///
/// A validator of the text is right for any call. One of the typed value makes a [`ValueRequirement`],
/// which only a call that gives this type accepts.
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
///
/// # How requirements are checked
///
/// Checks in code run first and side by side. Only if all of them passed are the judged requirements
/// put to the judge, side by side as well; otherwise they are [skipped](Outcome::Skipped), since the
/// answer is refused anyway and a judge costs a call.
///
/// A validator that panics or fails is not the end of the call: its requirement counts as not met and
/// is marked as an [error](Outcome::Error).
///
/// # Templates
///
/// In a call that has variables the description is a template, as the instruction is: `{{name}}` stands
/// for a value, in the prompt and for the judge. A description that was read or retrieved must not be
/// one: say so with [`literal`](Self::literal).
#[derive(Clone, Debug)]
pub struct Requirement {
    description: Arc<str>,
    literal: bool,
    check_only: bool,
    validator: Option<Arc<dyn Validator>>,
    judge: Option<Arc<dyn Backend>>,
    value_type: Option<ValueType>,
    stream_check: Option<MakeCheck>,
}

/// Makes a stream check for one answer.
#[derive(Clone)]
struct MakeCheck(Arc<dyn Fn() -> Box<dyn StreamCheck> + Send + Sync>);

impl fmt::Debug for MakeCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamCheck")
    }
}

/// The type of value that a validator needs, and its name.
#[derive(Clone, Copy, Debug)]
struct ValueType {
    id: TypeId,
    name: &'static str,
}

/// A requirement that is stated in the prompt.
pub fn req(description: impl Into<String>) -> Requirement {
    Requirement {
        description: description.into().into(),
        literal: false,
        check_only: false,
        validator: None,
        judge: None,
        value_type: None,
        stream_check: None,
    }
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
        self.validator.is_none() && !self.held_in_stream()
    }

    /// Takes the description literally: it is never read as a template. For descriptions that are
    /// not part of the program, such as those from a database or a model.
    #[must_use]
    pub fn literal(mut self) -> Self {
        self.literal = true;
        self
    }

    /// Checked by a function of the text. It gives a `bool`, a `(bool, reason)`, a
    /// `Result<(), reason>` or a [`ValidationResult`]. The reason says why the answer is refused, and
    /// is what the model reads when it tries again.
    ///
    /// The function must be quick: it runs on the runtime's own thread. For slow ones see
    /// [`validate_blocking`](Self::validate_blocking).
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

    /// Checked by a slow function of the text, such as one that runs a compiler or reads files. It runs
    /// on a thread where it holds up nothing else.
    ///
    /// A call that is dropped or runs out of time does not wait for it, but cannot stop it either.
    #[must_use]
    pub fn validate_blocking<V: IntoValidation>(self, check: impl Fn(&str) -> V + Send + Sync + 'static) -> Self {
        self.validator(validator::blocking(check))
    }

    /// Checked by a function of the answer in its context.
    #[must_use]
    pub fn validate_with<V: IntoValidation>(self, check: impl Fn(&Candidate<'_>) -> V + Send + Sync + 'static) -> Self {
        self.validator(validator::candidate(check))
    }

    /// Checked by a function of the typed value. Only calls that give this type accept it.
    ///
    /// ```
    /// use mellea_core::check;
    ///
    /// let even = check("The number is even.").validate_value(|n: &u32| n % 2 == 0);
    /// assert!(even.check_value(&4).passed());
    /// ```
    #[must_use]
    pub fn validate_value<T, V>(self, check: impl Fn(&T) -> V + Send + Sync + 'static) -> ValueRequirement<T>
    where
        T: Send + Sync + 'static,
        V: IntoValidation,
    {
        ValueRequirement::immediate(self, check)
    }

    /// Checked by an asynchronous function of a copy of the typed value.
    #[must_use]
    pub fn validate_value_async<T, F, Fut>(self, check: F) -> ValueRequirement<T>
    where
        T: Clone + Send + Sync + 'static,
        F: Fn(T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoValidation> + Send + 'static,
    {
        ValueRequirement::asynchronous(self, check)
    }

    /// Checked by a slow function of a copy of the typed value, as
    /// [`validate_blocking`](Self::validate_blocking) does with the text.
    #[must_use]
    pub fn validate_value_blocking<T, V>(self, check: impl Fn(&T) -> V + Send + Sync + 'static) -> ValueRequirement<T>
    where
        T: Clone + Send + Sync + 'static,
        V: IntoValidation,
    {
        ValueRequirement::blocking(self, check)
    }

    /// Checked by a validator.
    #[must_use]
    pub fn validator(mut self, validator: impl Validator) -> Self {
        self.validator = Some(Arc::new(validator));
        self
    }

    /// Checked while the answer arrives as well, by a check that this makes anew for each attempt. A
    /// requirement with a stream check and no validator is not judged: the check decides alone.
    #[must_use]
    pub fn stream_check<C: StreamCheck + 'static>(mut self, make: impl Fn() -> C + Send + Sync + 'static) -> Self {
        self.stream_check = Some(MakeCheck(Arc::new(move || Box::new(make()))));
        self
    }

    /// A check for one answer while it arrives.
    pub(crate) fn new_stream_check(&self) -> Option<Box<dyn StreamCheck>> {
        self.stream_check.as_ref().map(|make| (make.0)())
    }

    /// Whether it was checked, and held, when an answer has arrived in full.
    fn held_in_stream(&self) -> bool {
        self.stream_check.is_some() && self.validator.is_none() && self.judge.is_none()
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

    /// Whether code checks it on a typed value.
    pub(crate) fn is_typed(&self) -> bool {
        self.value_type.is_some()
    }

    /// Why it cannot be checked by a call that gives a `T`, if so.
    pub(crate) fn misfit<T: 'static>(&self) -> Option<String> {
        let needed = self.value_type.filter(|needed| needed.id != TypeId::of::<T>())?;
        let given = std::any::type_name::<T>();
        Some(format!("`{}` checks a value of type `{}`, and the call gives `{given}`", self.description, needed.name))
    }

    /// The requirement on its way into a prompt.
    pub(crate) fn statement(&self) -> Statement {
        let text = self.description.to_string();
        Statement { text: if self.literal { Arg::Text(text) } else { Arg::Template(text) }, shown: !self.check_only }
    }

    /// The same requirement with these words.
    pub(crate) fn filled(&self, description: String) -> Self {
        if *description == *self.description {
            return self.clone();
        }
        Self { description: description.into(), literal: true, ..self.clone() }
    }
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

#[cfg(test)]
mod tests;

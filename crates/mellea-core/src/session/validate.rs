//! The calls that check requirements: against a text, or against a typed value.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use super::Session;
use super::act::{Call, CallFuture};
use crate::context::Context;
use crate::error::Result;
use crate::output::ModelOutput;
use crate::requirement::{
    Candidate, IntoRequirement, Judge, Requirement, ValueRequirement, Verdict, check_all, verdict_of_nothing,
};

/// A call that checks requirements, see [`Session::validate`].
///
/// All of them are checked: a check in code that fails does not keep the others from being judged.
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is awaited"]
pub struct Validate {
    call: Call,
    requirements: Vec<Requirement>,
    output: Option<Arc<ModelOutput>>,
}

impl Validate {
    /// Checks this text instead of the session's last answer.
    pub fn text(self, text: impl Into<String>) -> Self {
        self.output(ModelOutput::new(text))
    }

    /// Checks this output instead of the session's last answer.
    pub fn output(mut self, output: impl Into<Arc<ModelOutput>>) -> Self {
        self.output = Some(output.into());
        self
    }

    /// Checks this value as well, for requirements that come after: see [`ValidateValue::require`].
    pub fn value<T: Send + Sync + 'static>(self, value: &T) -> ValidateValue<'_, T> {
        ValidateValue { call: self.call, requirements: self.requirements, output: self.output, value: Held::Borrowed(value) }
    }
}

impl IntoFuture for Validate {
    /// One verdict for each requirement, in their order.
    type Output = Result<Vec<Verdict>>;
    type IntoFuture = CallFuture<Vec<Verdict>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            self.requirements.iter().try_for_each(Requirement::ensure)?;
            let context = self.call.session.context();
            let Some(output) = self.output.or_else(|| context.last_output().cloned()).filter(|output| !output.is_empty()) else {
                return Ok(self.requirements.iter().map(verdict_of_nothing).collect());
            };
            let plan = self.call.plan()?;
            let judge = Judge { always: true, ..plan.judge() };
            Ok(check_all(&self.requirements, &Candidate::new(&output, &context), &judge).await)
        })
    }
}

/// A call that checks requirements on a typed value, and waits to be given one.
#[must_use = "a call does nothing until it has a value and is awaited"]
pub struct ValidateTyped<T> {
    call: Call,
    requirements: Vec<Requirement>,
    value: PhantomData<fn(&T)>,
}

impl<T: Send + Sync + 'static> ValidateTyped<T> {
    /// Checks this value.
    pub fn value(self, value: &T) -> ValidateValue<'_, T> {
        self.held(Held::Borrowed(value))
    }

    /// Checks this value, which the call then holds on to: for calls that outlive where they are made,
    /// as tasks and blocking ones do.
    pub fn shared(self, value: impl Into<Arc<T>>) -> ValidateValue<'static, T> {
        self.held(Held::Shared(value.into()))
    }

    fn held(self, value: Held<'_, T>) -> ValidateValue<'_, T> {
        ValidateValue { call: self.call, requirements: self.requirements, output: None, value }
    }
}

/// A call that checks requirements on a typed value, see [`Session::validate`].
///
/// Requirements on the text, and those that a model judges, need a [`text`](Self::text) as well;
/// without one they are not met.
#[must_use = "a call does nothing until it is awaited"]
pub struct ValidateValue<'a, T> {
    call: Call,
    requirements: Vec<Requirement>,
    output: Option<Arc<ModelOutput>>,
    value: Held<'a, T>,
}

enum Held<'a, T> {
    Borrowed(&'a T),
    Shared(Arc<T>),
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Borrowed(value) => value,
            Self::Shared(value) => value,
        }
    }
}

impl<T: Send + Sync + 'static> ValidateValue<'_, T> {
    /// With another requirement.
    pub fn require(mut self, requirement: impl IntoRequirement<T>) -> Self {
        self.requirements.push(requirement.into_requirement());
        self
    }

    /// With the text that the value was made of.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.output = Some(Arc::new(ModelOutput::new(text)));
        self
    }

    async fn verdicts(self) -> Result<Vec<Verdict>> {
        self.requirements.iter().try_for_each(Requirement::ensure)?;
        let plan = self.call.plan()?;
        let judge = Judge { always: true, ..plan.judge() };
        let context = Context::default();
        let has_text = self.output.is_some();
        let output = self.output.unwrap_or_default();
        let candidate = Candidate::new(&output, &context).with_value(&*self.value);
        let (ready, left): (Vec<_>, Vec<_>) =
            self.requirements.iter().cloned().partition(|requirement| has_text || requirement.is_typed());
        let (mut ready, mut left) =
            (check_all(&ready, &candidate, &judge).await.into_iter(), left.iter().map(verdict_of_nothing));
        let all = self.requirements.iter();
        Ok(all.filter_map(|r| if has_text || r.is_typed() { ready.next() } else { left.next() }).collect())
    }
}

impl<'a, T: Send + Sync + 'static> IntoFuture for ValidateValue<'a, T> {
    /// One verdict for each requirement, in their order.
    type Output = Result<Vec<Verdict>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Vec<Verdict>>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.verdicts())
    }
}

/// What [`Session::validate`] takes: texts and [`Requirement`]s, which are checked against an answer,
/// or [`ValueRequirement`]s, which are checked against a value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be validated",
    label = "not a requirement",
    note = "`Session::validate` takes texts, `Requirement`s or `ValueRequirement`s, one kind at a time"
)]
pub trait Validatable: Sized {
    /// The call that checks it.
    type Call;

    /// The call for these requirements.
    #[doc(hidden)]
    fn call(session: Session, requirements: impl IntoIterator<Item = Self>) -> Self::Call;
}

macro_rules! of_texts {
    ($($type:ty),*) => {$(
        impl Validatable for $type {
            type Call = Validate;

            fn call(session: Session, requirements: impl IntoIterator<Item = Self>) -> Validate {
                let requirements = requirements.into_iter().map(Requirement::from).collect();
                Validate { call: Call::new(session), requirements, output: None }
            }
        }
    )*};
}

of_texts!(&str, String, Requirement, &Requirement);

macro_rules! of_values {
    ($($type:ty),*) => {$(
        impl<T> Validatable for $type {
            type Call = ValidateTyped<T>;

            fn call(session: Session, requirements: impl IntoIterator<Item = Self>) -> ValidateTyped<T> {
                let requirements = requirements.into_iter().map(IntoRequirement::<T>::into_requirement).collect();
                ValidateTyped { call: Call::new(session), requirements, value: PhantomData }
            }
        }
    )*};
}

of_values!(ValueRequirement<T>, &ValueRequirement<T>);

impl<T> fmt::Debug for ValidateTyped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidateTyped").field("requirements", &self.requirements).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for ValidateValue<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidateValue").field("requirements", &self.requirements).finish_non_exhaustive()
    }
}

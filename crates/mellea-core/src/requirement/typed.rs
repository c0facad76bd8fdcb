//! Requirements on typed values, which the compiler keeps away from calls that give another type.

use std::any::TypeId;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::validator::{self, IntoValidation};
use super::{Candidate, Requirement, ValidationResult, Validator, ValueType, req};
use crate::error::Result;

/// A requirement that code checks on the typed value of a call: one that gives a `T`.
///
/// [`ensure`] makes one, and so do [`Requirement::validate_value`] and its siblings. It can be checked
/// without any call, too.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use mellea_core::{Session, ensure, testing::ScriptedBackend};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct User { name: String, age: u8 }
///
/// let adult = ensure("The user is of age.", |u: &User| u.age >= 18);
/// assert!(!adult.check_value(&User { name: "Bo".into(), age: 4 }).passed());
///
/// let m = Session::new(ScriptedBackend::new([r#"{"name":"Alice","age":31}"#]));
/// let user = m.instruct("Who is it?").format::<User>().require(&adult).await?;
/// assert_eq!(user.name, "Alice");
/// # Ok::<(), mellea_core::Error>(()) }).unwrap();
/// ```
///
/// A call that gives another type does not compile:
///
/// ```compile_fail,E0277
/// # use mellea_core::{Session, ensure, testing::ScriptedBackend};
/// # let m = Session::new(ScriptedBackend::empty());
/// let even = ensure("It is even.", |n: &u32| n % 2 == 0);
/// let call = m.instruct("Write a poem.").require(even); // gives a `String`
/// ```
pub struct ValueRequirement<T> {
    requirement: Requirement,
    check: Check<T>,
}

type Now<T> = Arc<dyn Fn(&T) -> ValidationResult + Send + Sync>;
type Later<T> = Arc<dyn Fn(&T) -> BoxFuture<'static, ValidationResult> + Send + Sync>;

/// How a value is checked: at once, over time, or on another thread where there is one.
enum Check<T> {
    Now(Now<T>),
    Later(Later<T>),
    Blocking(Now<T>, Later<T>),
}

impl<T> Clone for Check<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Now(now) => Self::Now(Arc::clone(now)),
            Self::Later(later) => Self::Later(Arc::clone(later)),
            Self::Blocking(now, later) => Self::Blocking(Arc::clone(now), Arc::clone(later)),
        }
    }
}

/// A requirement on the typed value of a call, stated in the prompt.
///
/// For one that is kept out of the prompt, or whose check is slow or asynchronous, see
/// [`Requirement::validate_value`] and its siblings.
pub fn ensure<T, V>(description: impl Into<String>, check: impl Fn(&T) -> V + Send + Sync + 'static) -> ValueRequirement<T>
where
    T: Send + Sync + 'static,
    V: IntoValidation,
{
    req(description).validate_value(check)
}

impl<T: Send + Sync + 'static> ValueRequirement<T> {
    pub(super) fn immediate<V: IntoValidation>(of: Requirement, check: impl Fn(&T) -> V + Send + Sync + 'static) -> Self {
        Self::new(of, Check::Now(Arc::new(move |value| check(value).into_validation())))
    }

    pub(super) fn asynchronous<F, Fut>(of: Requirement, check: F) -> Self
    where
        T: Clone,
        F: Fn(T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoValidation> + Send + 'static,
    {
        let later = move |value: &T| check(value.clone()).map(IntoValidation::into_validation).boxed();
        Self::new(of, Check::Later(Arc::new(later)))
    }

    pub(super) fn blocking<V: IntoValidation>(of: Requirement, check: impl Fn(&T) -> V + Send + Sync + 'static) -> Self
    where
        T: Clone,
    {
        let now: Now<T> = Arc::new(move |value| check(value).into_validation());
        let check = Arc::clone(&now);
        let later = move |value: &T| {
            let (check, value) = (Arc::clone(&check), value.clone());
            validator::aside(move || check(&value)).boxed()
        };
        Self::new(of, Check::Blocking(now, Arc::new(later)))
    }

    fn new(mut requirement: Requirement, check: Check<T>) -> Self {
        requirement.value_type = Some(ValueType { id: TypeId::of::<T>(), name: std::any::type_name::<T>() });
        requirement.validator = Some(Arc::new(OfValue(check.clone())));
        Self { requirement, check }
    }

    /// Checks a value, here and now. A panic of the check is a result, see
    /// [`Outcome::Error`](super::Outcome::Error).
    ///
    /// A check that is asynchronous must have finished by the first time it waits; use
    /// [`check_value_async`](Self::check_value_async) for those that have not.
    #[must_use]
    pub fn check_value(&self, value: &T) -> ValidationResult {
        let checked = catch_unwind(AssertUnwindSafe(|| match &self.check {
            Check::Now(now) | Check::Blocking(now, _) => now(value),
            Check::Later(later) => later(value).now_or_never().unwrap_or_else(|| {
                ValidationResult::error(validator::failed(
                    self.description(),
                    "it is asynchronous; check the value with `check_value_async`",
                ))
            }),
        }));
        checked.unwrap_or_else(|panic| {
            ValidationResult::error(validator::failed(self.description(), validator::panic_text(&*panic)))
        })
    }

    /// Checks a value. A panic of the check is a result, see [`Outcome::Error`](super::Outcome::Error).
    pub async fn check_value_async(&self, value: &T) -> ValidationResult {
        match AssertUnwindSafe(async { self.check.run(value).await }).catch_unwind().await {
            Ok(result) => result,
            Err(panic) => ValidationResult::error(validator::failed(self.description(), validator::panic_text(&*panic))),
        }
    }
}

impl<T> ValueRequirement<T> {
    /// What must hold, in words.
    #[must_use]
    pub fn description(&self) -> &str {
        self.requirement.description()
    }

    /// Whether it is kept out of the prompt.
    #[must_use]
    pub fn is_check_only(&self) -> bool {
        self.requirement.is_check_only()
    }

    /// Takes the description literally, see [`Requirement::literal`].
    #[must_use]
    pub fn literal(mut self) -> Self {
        self.requirement = self.requirement.literal();
        self
    }

    /// A requirement that any call accepts. In a call that gives another type the check fails with an
    /// [error](super::Outcome::Error).
    #[must_use]
    pub fn untyped(self) -> Requirement {
        self.requirement
    }
}

impl<T> Clone for ValueRequirement<T> {
    fn clone(&self) -> Self {
        Self { requirement: self.requirement.clone(), check: self.check.clone() }
    }
}

impl<T> fmt::Debug for ValueRequirement<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = std::any::type_name::<T>();
        f.debug_struct("ValueRequirement").field("requirement", &self.requirement).field("value", &value).finish()
    }
}

impl<T> Check<T> {
    fn run(&self, value: &T) -> BoxFuture<'static, ValidationResult> {
        match self {
            Self::Now(now) => std::future::ready(now(value)).boxed(),
            Self::Later(later) | Self::Blocking(_, later) => later(value),
        }
    }
}

/// A check of a value as a validator of answers.
struct OfValue<T>(Check<T>);

#[async_trait]
impl<T: Send + Sync + 'static> Validator for OfValue<T> {
    async fn validate(&self, candidate: &Candidate<'_>) -> Result<ValidationResult> {
        let Some(value) = candidate.value::<T>() else {
            let reason = format!("there is no value of type `{}` to check", std::any::type_name::<T>());
            return Err(validator::failed("", reason));
        };
        match &self.0 {
            Check::Now(now) => Ok(now(value)),
            Check::Later(later) | Check::Blocking(_, later) => Ok(later(value).await),
        }
    }
}

/// What a call that gives a `T` takes as a requirement: a text, a [`Requirement`], or a
/// [`ValueRequirement`] for this very type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a requirement for a call that gives `{T}`",
    label = "not a requirement on `{T}`",
    note = "a call takes texts, `Requirement`s, and `ValueRequirement<{T}>`s, as `ensure(\"…\", |value: &{T}| …)` makes them",
    note = "give the call its type with `.format::<…>()` first, and its typed requirements after that"
)]
pub trait IntoRequirement<T: ?Sized> {
    /// As a requirement.
    fn into_requirement(self) -> Requirement;
}

macro_rules! for_any_value {
    ($($type:ty),*) => {$(
        impl<T: ?Sized> IntoRequirement<T> for $type {
            fn into_requirement(self) -> Requirement {
                self.into()
            }
        }
    )*};
}

for_any_value!(&str, String, Requirement, &Requirement);

impl<T: ?Sized> IntoRequirement<T> for &String {
    fn into_requirement(self) -> Requirement {
        req(self.as_str())
    }
}

impl<T> IntoRequirement<T> for ValueRequirement<T> {
    fn into_requirement(self) -> Requirement {
        self.requirement
    }
}

impl<T> IntoRequirement<T> for &ValueRequirement<T> {
    fn into_requirement(self) -> Requirement {
        self.requirement.clone()
    }
}

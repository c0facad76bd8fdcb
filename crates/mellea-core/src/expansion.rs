//! What the macros' expansions call, so that they go by types rather than by the names of types.
//!
//! A macro sees a type's name alone, and `Result` or `String` may be anything in the program that it
//! expands in. Method calls go by the type.

use std::cell::Cell;
use std::fmt::{self, Display};
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::session::{Generative, Instruct};
use crate::tool::ToolError;

/// What a tool's function returned, for `(&&&&Returned::new(…)).__mellea_value()`: the more references
/// a trait is implemented for, the earlier it is tried.
pub struct Returned<T>(Cell<Option<T>>);

impl<T> fmt::Debug for Returned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Returned").finish_non_exhaustive()
    }
}

impl<T> Returned<T> {
    /// What was returned.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(Cell::new(Some(value)))
    }

    fn take(&self) -> Result<T, ToolError> {
        self.0.take().ok_or_else(|| ToolError::new("the result is used up"))
    }
}

/// A `Result` whose error is one of a tool's, or becomes one.
pub trait ReturnedError {
    /// The result for the model.
    ///
    /// # Errors
    /// The function's, and if the result cannot be JSON.
    fn __mellea_value(&self) -> Result<Value, ToolError>;
}

impl<T: Serialize, E: Into<ToolError>> ReturnedError for &&&Returned<Result<T, E>> {
    fn __mellea_value(&self) -> Result<Value, ToolError> {
        Ok(serde_json::to_value(self.take()?.map_err(Into::into)?)?)
    }
}

/// A `Result` whose error is only a text.
pub trait ReturnedText {
    /// The result for the model.
    ///
    /// # Errors
    /// The function's, and if the result cannot be JSON.
    fn __mellea_value(&self) -> Result<Value, ToolError>;
}

impl<T: Serialize, E: Display> ReturnedText for &&Returned<Result<T, E>> {
    fn __mellea_value(&self) -> Result<Value, ToolError> {
        ReturnedResult::__mellea_value(*self)
    }
}

/// Any other `Result`: the compiler says what it lacks, and the model never reads an error as a value.
pub trait ReturnedResult {
    /// What it holds if the function worked.
    type Value;
    /// What it holds if not.
    type Error;

    /// The result for the model.
    ///
    /// # Errors
    /// The function's, and if the result cannot be JSON.
    fn __mellea_value(&self) -> Result<Value, ToolError>
    where
        Self::Value: Serialize,
        Self::Error: Display;
}

impl<T, E> ReturnedResult for &Returned<Result<T, E>> {
    type Value = T;
    type Error = E;

    fn __mellea_value(&self) -> Result<Value, ToolError>
    where
        T: Serialize,
        E: Display,
    {
        // The alternate form has the causes that some errors keep to themselves otherwise.
        Ok(serde_json::to_value(self.take()?.map_err(|error| ToolError::new(format!("{error:#}")))?)?)
    }
}

/// A value that cannot fail.
pub trait ReturnedValue {
    /// The value's type.
    type Value;

    /// The result for the model.
    ///
    /// # Errors
    /// If it cannot be JSON.
    fn __mellea_value(&self) -> Result<Value, ToolError>
    where
        Self::Value: Serialize;
}

impl<T> ReturnedValue for Returned<T> {
    type Value = T;

    fn __mellea_value(&self) -> Result<Value, ToolError>
    where
        T: Serialize,
    {
        Ok(serde_json::to_value(self.take()?)?)
    }
}

/// The type of a generative function's answer.
#[derive(Debug)]
pub struct Answer<T>(PhantomData<fn() -> T>);

impl<T> Answer<T> {
    /// A stand-in for the type.
    #[expect(clippy::new_without_default, reason = "only expansions make one")]
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl Answer<String> {
    /// A call whose answer is text.
    pub fn __mellea_call(self, call: Instruct) -> Generative<String> {
        call.bare()
    }
}

/// An answer with a schema.
pub trait TypedAnswer {
    /// The answer's type.
    type Value;

    /// A call whose answer has this type.
    fn __mellea_call(self, call: Instruct) -> Generative<Self::Value>
    where
        Self::Value: DeserializeOwned + JsonSchema + Send + Sync + 'static;
}

impl<T> TypedAnswer for Answer<T> {
    type Value = T;

    fn __mellea_call(self, call: Instruct) -> Generative<T>
    where
        T: DeserializeOwned + JsonSchema + Send + Sync + 'static,
    {
        call.format::<T>().bare()
    }
}

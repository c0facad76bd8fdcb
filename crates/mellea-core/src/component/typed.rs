//! Any component whose answer is given a type.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::{Answer, Component, Refusal, Representation};
use crate::backend::Format;
use crate::error::Result;
use crate::schema::Schema;

/// A component whose answer is read as `T` instead of its own output. Calls make one with
/// [`format`](crate::Act::format).
pub struct Typed<C, T> {
    inner: Arc<C>,
    schema: Result<Schema>,
    value: PhantomData<fn() -> T>,
}

impl<C, T: DeserializeOwned + JsonSchema + 'static> Typed<C, T> {
    /// Asks what `inner` asks, for an answer of type `T`. If the type cannot be checked, the call says so.
    pub fn new(inner: impl Into<Arc<C>>) -> Self {
        Self { inner: inner.into(), schema: Schema::of::<T>().map_err(Into::into), value: PhantomData }
    }
}

impl<C: Component, T: DeserializeOwned + Send + Sync + 'static> Component for Typed<C, T> {
    type Output = T;

    fn representation(&self) -> Result<Representation> {
        Ok(self.inner.representation()?.answer_type(self.schema.clone()?.hint()))
    }

    fn format(&self) -> Option<Format> {
        self.schema.as_ref().ok().cloned().map(Format::JsonSchema)
    }

    fn read(&self, answer: &Answer<'_>) -> Result<T> {
        answer.value()
    }

    fn repair(&self, refusal: Refusal) -> Result<Representation> {
        Ok(self.inner.repair(refusal)?.answer_type(self.schema.clone()?.hint()))
    }
}

impl<C: fmt::Debug, T> fmt::Debug for Typed<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Typed").field("inner", &self.inner).finish_non_exhaustive()
    }
}

//! Questions about an object, and changes to it.

use std::fmt;
use std::sync::Arc;

use super::Component;
use super::Representation;
use crate::error::{ErrorKind, Result};
use crate::output::ModelOutput;
use crate::tool::Tools;

/// An object that a model can be asked about, or asked to change.
///
/// Texts are such objects. For your own types say what a model should read and, for
/// [`transform`](crate::Session::transform), which of the object's operations it may call.
pub trait Queryable: fmt::Debug + Send + Sync + 'static {
    /// What a model reads of it.
    fn content(&self) -> String;

    /// Operations on the object that a model may call. None by default.
    fn tools(&self) -> Tools {
        Tools::default()
    }
}

impl Queryable for String {
    fn content(&self) -> String {
        self.clone()
    }
}

impl Queryable for &'static str {
    fn content(&self) -> String {
        (*self).to_owned()
    }
}

impl<T: Queryable + ?Sized> Queryable for Arc<T> {
    fn content(&self) -> String {
        (**self).content()
    }

    fn tools(&self) -> Tools {
        (**self).tools()
    }
}

/// A question about an object.
#[derive(Clone, Debug)]
pub struct Query {
    object: Arc<dyn Queryable>,
    query: String,
}

impl Query {
    /// Asks this about the object.
    pub fn new(object: impl Queryable, query: impl Into<String>) -> Self {
        Self { object: Arc::new(object), query: query.into() }
    }
}

impl Component for Query {
    type Output = String;

    fn representation(&self) -> Result<Representation> {
        if self.query.trim().is_empty() {
            return Err(ErrorKind::EmptyPrompt.into());
        }
        Ok(Representation::template("query").arg("object", self.object.content()).arg("query", &self.query))
    }

    fn parse(&self, output: &ModelOutput) -> Result<String> {
        Ok(output.text.clone())
    }
}

/// A change to an object, by a new text or by one of the object's own operations.
#[derive(Clone, Debug)]
pub struct Transform {
    object: Arc<dyn Queryable>,
    transformation: String,
}

impl Transform {
    /// Asks for this change of the object.
    pub fn new(object: impl Queryable, transformation: impl Into<String>) -> Self {
        Self { object: Arc::new(object), transformation: transformation.into() }
    }
}

impl Component for Transform {
    type Output = String;

    fn representation(&self) -> Result<Representation> {
        if self.transformation.trim().is_empty() {
            return Err(ErrorKind::EmptyPrompt.into());
        }
        Ok(Representation::template("transform")
            .arg("object", self.object.content())
            .arg("transformation", &self.transformation)
            .tools(self.object.tools()))
    }

    fn parse(&self, output: &ModelOutput) -> Result<String> {
        Ok(output.text.clone())
    }
}

//! Components: typed pieces of a prompt that know how to read the model's answer.

mod document;
mod instruction;
mod query;
mod refusal;
mod representation;
mod simple;
mod stable;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

pub use document::Document;
pub use instruction::Instruction;
pub use query::{Query, Queryable, Transform};
pub use refusal::Refusal;
pub use representation::{Arg, Part, Representation};
pub(crate) use representation::{Body, Statement};
pub use simple::SimpleComponent;
pub(crate) use stable::{json_line, sorted, stable_json};

use crate::backend::Format;
use crate::error::Result;
use crate::message::Message;
use crate::output::ModelOutput;

/// A typed piece of a prompt.
///
/// It says how it is represented to a model ([`representation`](Self::representation), in which other
/// components and [`Thunk`](crate::Thunk)s may be parts) and how its value is made out of the answer
/// ([`parse`](Self::parse)).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use mellea_core::{Component, ErrorKind, ModelOutput, Representation, Result, Session, testing::ScriptedBackend};
///
/// #[derive(Debug)]
/// struct Count(&'static str);
///
/// impl Component for Count {
///     type Output = u32;
///     fn representation(&self) -> Result<Representation> {
///         Ok(Representation::text(format!("How many {} are there? Answer with a number.", self.0)))
///     }
///     fn parse(&self, output: &ModelOutput) -> Result<u32> {
///         output.text.trim().parse().map_err(|_| ErrorKind::Parse("no number".into()).into())
///     }
/// }
///
/// let m = Session::new(ScriptedBackend::new(["7"]));
/// assert_eq!(*m.act(Count("wonders")).await?, 7);
/// # Ok::<(), mellea_core::Error>(()) }).unwrap();
/// ```
pub trait Component: fmt::Debug + Send + Sync + 'static {
    /// What an answer is read as.
    type Output: Send + Sync + 'static;

    /// What it says about itself.
    ///
    /// # Errors
    /// If it has nothing to say, or is not what it should be.
    fn representation(&self) -> Result<Representation>;

    /// The form that the answer must have, if any.
    fn format(&self) -> Option<Format> {
        None
    }

    /// Makes the value out of the answer.
    ///
    /// # Errors
    /// If the answer is not what it should be; a sampling strategy then tries again.
    fn parse(&self, output: &ModelOutput) -> Result<Self::Output>;
}

/// A [`Component`] of which only the representation matters, for use as a part of others.
///
/// It is implemented for every component.
pub trait DynComponent: fmt::Debug + Send + Sync + 'static {
    /// See [`Component::representation`].
    ///
    /// # Errors
    /// Those of [`Component::representation`].
    fn representation(&self) -> Result<Representation>;

    /// See [`Component::format`].
    fn format(&self) -> Option<Format>;

    /// See [`Component::parse`]; the value's type is [`Component::Output`].
    ///
    /// # Errors
    /// Those of [`Component::parse`].
    fn parse_any(&self, output: &ModelOutput) -> Result<Arc<dyn Any + Send + Sync>>;
}

impl<C: Component> DynComponent for C {
    fn representation(&self) -> Result<Representation> {
        Component::representation(self)
    }

    fn format(&self) -> Option<Format> {
        Component::format(self)
    }

    fn parse_any(&self, output: &ModelOutput) -> Result<Arc<dyn Any + Send + Sync>> {
        Ok(Arc::new(self.parse(output)?))
    }
}

impl Component for String {
    type Output = Self;

    fn representation(&self) -> Result<Representation> {
        Ok(Representation::text(self.clone()))
    }

    fn parse(&self, output: &ModelOutput) -> Result<Self> {
        Ok(output.text.clone())
    }
}

impl Component for &'static str {
    type Output = String;

    fn representation(&self) -> Result<Representation> {
        Ok(Representation::text(*self))
    }

    fn parse(&self, output: &ModelOutput) -> Result<String> {
        Ok(output.text.clone())
    }
}

impl Component for Message {
    type Output = Self;

    fn representation(&self) -> Result<Representation> {
        Ok(Representation::messages([self.clone()]))
    }

    /// The answer as an assistant's message.
    fn parse(&self, output: &ModelOutput) -> Result<Self> {
        Ok(Self { thinking: output.thinking.clone(), ..Self::from(output) })
    }
}

/// Nothing new: the model goes on from the end of the context, such as the results of its tool calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resume;

impl Component for Resume {
    type Output = Message;

    fn representation(&self) -> Result<Representation> {
        Ok(Representation::messages([]))
    }

    fn parse(&self, output: &ModelOutput) -> Result<Message> {
        Ok(Message { thinking: output.thinking.clone(), ..Message::from(output) })
    }
}

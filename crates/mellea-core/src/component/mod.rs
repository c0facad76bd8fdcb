//! Components: typed pieces of a prompt that know how to read the model's answer.

mod answer;
mod document;
mod instruction;
mod query;
mod refusal;
mod representation;
mod simple;
mod stable;
mod typed;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

pub use answer::Answer;
pub use instruction::Instruction;
pub use query::{Query, Queryable, Transform};
pub use refusal::Refusal;
pub use representation::{Arg, Part, PendingText, Representation};
pub(crate) use representation::{Body, Statement};
pub use simple::SimpleComponent;
pub(crate) use stable::{json_line, sorted, stable_json};
pub use typed::Typed;

pub use crate::message::Document;

use crate::backend::Format;
use crate::error::Result;
use crate::message::Message;

/// A typed piece of a prompt.
///
/// It says how it is represented to a model ([`representation`](Self::representation), in which other
/// components and [`Thunk`](crate::Thunk)s may be parts), how its value is made out of the answer
/// ([`read`](Self::read)), and how it asks again when an answer was refused ([`repair`](Self::repair)).
///
/// A component does no I/O and runs no loop, so it can be tested by itself; the session does the rest.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use mellea_core::{Answer, Component, ErrorKind, Representation, Result, Session, testing::ScriptedBackend};
///
/// #[derive(Debug)]
/// struct Count(&'static str);
///
/// impl Component for Count {
///     type Output = u32;
///     fn representation(&self) -> Result<Representation> {
///         Ok(Representation::text(format!("How many {} are there? Answer with a number.", self.0)))
///     }
///     fn read(&self, answer: &Answer<'_>) -> Result<u32> {
///         answer.text().trim().parse().map_err(|_| ErrorKind::Parse("not a number".into()).into())
///     }
/// }
///
/// let m = Session::new(ScriptedBackend::new(["seven", "7"]));
/// assert_eq!(*m.act(Count("wonders")).await?, 7);
/// # Ok::<(), mellea_core::Error>(()) }).unwrap();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be put to a model",
    label = "not a `Component`",
    note = "implement `Component` to say what a model reads of it and how its answer is read"
)]
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

    /// Makes the value out of the answer. It is called once for each answer.
    ///
    /// # Errors
    /// If the answer is not what it should be; a sampling strategy then tries again.
    fn read(&self, answer: &Answer<'_>) -> Result<Self::Output>;

    /// What it says after an answer was refused. By default it says the same and adds what was wrong, by the
    /// template `repair`.
    ///
    /// # Errors
    /// As [`representation`](Self::representation).
    fn repair(&self, refusal: Refusal) -> Result<Representation> {
        Ok(self.representation()?.repair(refusal))
    }
}

/// A [`Component`] whose output type is erased, so that components of different types fit one list: the form
/// in which they are parts of others and in which the sampling loop runs them.
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

    /// See [`Component::read`]; the value's type is [`Component::Output`].
    ///
    /// # Errors
    /// Those of [`Component::read`].
    fn read_any(&self, answer: &Answer<'_>) -> Result<Arc<dyn Any + Send + Sync>>;

    /// See [`Component::repair`].
    ///
    /// # Errors
    /// Those of [`Component::repair`].
    fn repair(&self, refusal: Refusal) -> Result<Representation>;
}

impl<C: Component> DynComponent for C {
    fn representation(&self) -> Result<Representation> {
        Component::representation(self)
    }

    fn format(&self) -> Option<Format> {
        Component::format(self)
    }

    fn read_any(&self, answer: &Answer<'_>) -> Result<Arc<dyn Any + Send + Sync>> {
        Ok(Arc::new(self.read(answer)?))
    }

    fn repair(&self, refusal: Refusal) -> Result<Representation> {
        Component::repair(self, refusal)
    }
}

impl Component for String {
    type Output = Self;

    fn representation(&self) -> Result<Representation> {
        Ok(Representation::text(self.clone()))
    }

    fn read(&self, answer: &Answer<'_>) -> Result<Self> {
        Ok(answer.text().to_owned())
    }
}

impl Component for &'static str {
    type Output = String;

    fn representation(&self) -> Result<Representation> {
        Ok(Representation::text(*self))
    }

    fn read(&self, answer: &Answer<'_>) -> Result<String> {
        Ok(answer.text().to_owned())
    }
}

impl Component for Message {
    type Output = Self;

    fn representation(&self) -> Result<Representation> {
        Ok(Representation::messages([self.clone()]))
    }

    /// The answer as an assistant's message.
    fn read(&self, answer: &Answer<'_>) -> Result<Self> {
        Ok(said(answer))
    }
}

/// What the model said, with its reasoning.
fn said(answer: &Answer<'_>) -> Message {
    let output = answer.output();
    Message { thinking: output.thinking.clone(), ..Message::from(output) }
}

/// Nothing new: the model goes on from the end of the context, such as the results of its tool calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resume;

impl Component for Resume {
    type Output = Message;

    fn representation(&self) -> Result<Representation> {
        Ok(Representation::messages([]))
    }

    fn read(&self, answer: &Answer<'_>) -> Result<Message> {
        Ok(said(answer))
    }
}

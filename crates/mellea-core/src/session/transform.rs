//! The call that changes an object.

use std::future::IntoFuture;

use super::act::CallFuture;
use super::{Act, Session};
use crate::component::{Queryable, Transform};
use crate::error::Result;
use crate::sampling::Output;
use crate::tool::ToolResult;

/// What a [`Session::transform`] came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Transformed {
    /// The model wrote the changed object.
    Text(Output),
    /// The model called operations of the object; these are their results. A failed one is marked as
    /// such, see [`ToolOutcome`](crate::ToolOutcome).
    Tools(Vec<ToolResult>),
}

/// A call that changes an object, see [`Session::transform`].
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is awaited"]
pub struct TransformCall {
    session: Session,
    act: Act<Transform>,
}

impl TransformCall {
    pub(super) fn new(session: Session, object: impl Queryable, transformation: String) -> Self {
        // The object's operations are its caller's to see, so the model's calls of them are handed back.
        let act = session.act(Transform::new(object, transformation)).tool_rounds(0);
        Self { session, act }
    }

    /// Changes how the model is asked: options, requirements, strategy.
    pub fn with(mut self, change: impl FnOnce(Act<Transform>) -> Act<Transform>) -> Self {
        self.act = change(self.act);
        self
    }
}

impl IntoFuture for TransformCall {
    type Output = Result<Transformed>;
    type IntoFuture = CallFuture<Transformed>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let output = self.act.await?;
            if output.output().tool_calls.is_empty() {
                return Ok(Transformed::Text(output));
            }
            Ok(Transformed::Tools(self.session.call_tools(&output).await?))
        })
    }
}

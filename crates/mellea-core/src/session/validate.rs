//! The call that checks requirements against an output.

use std::future::IntoFuture;
use std::sync::Arc;

use super::Session;
use super::act::{Call, CallFuture};
use crate::error::Result;
use crate::output::ModelOutput;
use crate::requirement::{Candidate, Requirement, ValidationResult, Verdict, check_all};

/// A call that checks requirements, see [`Session::validate`].
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is awaited"]
pub struct Validate {
    call: Call,
    requirements: Vec<Requirement>,
    output: Option<Arc<ModelOutput>>,
}

impl Validate {
    pub(super) fn new(session: Session, requirements: Vec<Requirement>) -> Self {
        Self { call: Call::new(session), requirements, output: None }
    }

    /// Checks this text instead of the session's last answer.
    pub fn text(self, text: impl Into<String>) -> Self {
        self.output(ModelOutput::new(text))
    }

    /// Checks this output instead of the session's last answer.
    pub fn output(mut self, output: impl Into<Arc<ModelOutput>>) -> Self {
        self.output = Some(output.into());
        self
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
                let nothing = |r: &Requirement| Verdict {
                    requirement: r.description().to_owned(),
                    result: ValidationResult::fail("there is no answer to check"),
                };
                return Ok(self.requirements.iter().map(nothing).collect());
            };
            let candidate = Candidate { output: &output, value: None, context: &context };
            Ok(check_all(&self.requirements, &candidate, &self.call.plan()?.judge()).await)
        })
    }
}

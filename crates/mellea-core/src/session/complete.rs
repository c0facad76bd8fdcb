//! The call that continues texts as they stand.

use std::future::IntoFuture;

use super::Session;
use super::act::{Call, CallFuture};
use crate::backend::{Format, RawRequest, guard};
use crate::error::{Error, ErrorKind, Result};
use crate::options::{ModelOptions, OptionKey, OptionValue};
use crate::output::ModelOutput;

/// A call that continues texts without a chat template, see [`Session::complete`].
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is awaited"]
pub struct Complete {
    call: Call,
    prompts: Vec<String>,
    format: Option<Format>,
}

impl Complete {
    pub(super) fn new(session: Session, prompts: Vec<String>) -> Self {
        Self { call: Call::new(session), prompts, format: None }
    }

    /// With an option for this call.
    pub fn option(mut self, key: impl Into<OptionKey>, value: impl Into<OptionValue>) -> Self {
        self.call.set_option(key.into(), value.into());
        self
    }

    /// With options for this call.
    pub fn options(mut self, options: &ModelOptions) -> Self {
        self.call.set_options(options);
        self
    }

    /// With a form that each continuation must have.
    pub fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }
}

impl IntoFuture for Complete {
    /// One result for each text, in order; a failure of one leaves the others alone.
    type Output = Result<Vec<Result<ModelOutput>>>;
    type IntoFuture = CallFuture<Vec<Result<ModelOutput>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            self.format.as_ref().map_or(Ok(()), Format::ensure)?;
            let plan = self.call.plan()?;
            guard::check(&*plan.backend)?;
            let place = |error: Error| error.at(plan.backend.provider(), plan.backend.model());
            // Empty prompts never reach the backend, and keep their place among the results.
            let asked: Vec<bool> = self.prompts.iter().map(|prompt| !prompt.trim().is_empty()).collect();
            let requests = self.prompts.into_iter().filter(|prompt| !prompt.trim().is_empty()).map(|prompt| {
                let request = RawRequest::new(prompt).options(plan.resolved.options.clone());
                RawRequest { format: self.format.clone(), ..request }
            });
            let mut outputs = plan.backend.complete(requests.collect()).await.into_iter();
            let mut next = || match outputs.next() {
                Some(output) => output.map_err(place),
                None => Err(place(ErrorKind::StreamInterrupted.into())),
            };
            Ok(asked.into_iter().map(|asked| if asked { next() } else { Err(place(ErrorKind::EmptyPrompt.into())) }).collect())
        })
    }
}

//! What a call gives: a checked value, or all attempts with their verdicts.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::Attempt;
use crate::error::{Error, ErrorKind, Result};
use crate::output::{ModelOutput, Usage, Warning};
use crate::tool::Tools;

/// A checked answer: the typed value, and how it came to be.
///
/// It dereferences to the value, and displays as the value does.
#[derive(Clone, Debug)]
pub struct Output<T = String> {
    value: T,
    output: Arc<ModelOutput>,
    attempts: Arc<[Attempt]>,
    tools: Tools,
}

impl<T> Output<T> {
    pub(crate) fn new(value: T, output: Arc<ModelOutput>, attempts: Arc<[Attempt]>, tools: Tools) -> Self {
        Self { value, output, attempts, tools }
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The value alone.
    #[must_use]
    pub fn into_value(self) -> T {
        self.value
    }

    /// The answer it was made of, with its metadata and tool calls.
    #[must_use]
    pub fn output(&self) -> &Arc<ModelOutput> {
        &self.output
    }

    /// All attempts, the last of which succeeded. Empty for a streamed answer.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// What was asked for and not honoured.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.output.warnings
    }

    /// The tokens of all attempts, judges included.
    #[must_use]
    pub fn usage(&self) -> Usage {
        if self.attempts.is_empty() { self.output.usage } else { self.attempts.iter().map(Attempt::usage).sum() }
    }

    /// The tools that the model could call.
    #[must_use]
    pub fn tools(&self) -> &Tools {
        &self.tools
    }
}

impl<T> Deref for Output<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Display> fmt::Display for Output<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// Why sampling stopped.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StopReason {
    /// An attempt succeeded.
    Success,
    /// All attempts were made.
    Attempts,
    /// The token budget is spent.
    Tokens,
    /// The time is over.
    Deadline,
    /// The strategy gave up.
    Strategy,
    /// A call failed for another reason than its answer; attempts before it are on record.
    Error(Error),
}

/// All attempts of a call, and the chosen one.
///
/// Running out of attempts is no error here: look at [`success`](Self::success), or turn it into one
/// with [`into_result`](Self::into_result). Without a success the chosen attempt is the one that met
/// the most requirements, the latest of them if there are several, unless the strategy
/// [chooses](crate::SamplingStrategy::choose) otherwise.
#[derive(Clone, Debug)]
pub struct SamplingResult<T = String> {
    pub(crate) value: Option<T>,
    pub(crate) attempts: Arc<[Attempt]>,
    pub(crate) chosen: usize,
    pub(crate) stopped: StopReason,
    pub(crate) tools: Tools,
}

impl<T> SamplingResult<T> {
    /// Whether the chosen attempt met all requirements.
    #[must_use]
    pub fn success(&self) -> bool {
        matches!(self.stopped, StopReason::Success)
    }

    /// The chosen attempt's value, if its answer could be read; it is only as good as its verdicts.
    #[must_use]
    pub fn value(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// All attempts, in the order in which they ended.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The chosen attempt.
    #[must_use]
    pub fn chosen(&self) -> Option<&Attempt> {
        self.attempts.get(self.chosen)
    }

    /// Why sampling stopped.
    #[must_use]
    pub fn stopped(&self) -> &StopReason {
        &self.stopped
    }

    /// The tokens of all attempts, judges included.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.attempts.iter().map(Attempt::usage).sum()
    }

    /// The value, or an error if no attempt succeeded.
    ///
    /// # Errors
    /// All with the attempts: [`ErrorKind::RequirementsNotMet`]; the fault of the chosen answer, such as
    /// [`ErrorKind::SchemaMismatch`]; or the error that stopped sampling.
    pub fn into_result(self) -> Result<Output<T>> {
        let chosen = self.attempts.get(self.chosen);
        let output = chosen.and_then(|attempt| attempt.output.clone());
        match (self.stopped, self.value, output) {
            (StopReason::Success, Some(value), Some(output)) => Ok(Output::new(value, output, self.attempts, self.tools)),
            (StopReason::Error(error), ..) => Err(error.with_attempts(self.attempts)),
            (_, _, output) => {
                let error = match chosen.and_then(|attempt| attempt.fault.clone()) {
                    Some(fault) => fault.in_attempt(chosen.map_or(1, |attempt| attempt.number)),
                    None => {
                        let unmet = chosen.map(Attempt::complaints).unwrap_or_default();
                        ErrorKind::RequirementsNotMet { attempts: self.attempts.len(), unmet }.into()
                    }
                };
                let error: Error = error.with_attempts(Arc::clone(&self.attempts));
                let error = match &output {
                    Some(output) => error.at(&output.provider, &output.model).with_partial(Arc::clone(output)),
                    None => error,
                };
                Err(error)
            }
        }
    }
}

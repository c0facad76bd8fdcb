//! What a call gives: a checked value, or all attempts with their verdicts.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::Attempt;
use crate::error::{Error, ErrorKind, Result};
use crate::generate::AnyValue;
use crate::output::{ModelOutput, Usage, Warning};
use crate::thunk::Computed;
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

    /// All attempts, in the order in which they ended; one of them gave the value.
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

/// What a handle on an answer keeps of the call beside its value.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    attempts: Arc<[Attempt]>,
    tools: Tools,
}

impl Recorded {
    /// An output in parts.
    pub(crate) fn of<T>(output: Output<T>) -> (T, Arc<ModelOutput>, Self) {
        let Output { value, output, attempts, tools } = output;
        (value, output, Self { attempts, tools })
    }

    /// The output again.
    pub(crate) fn output<T>(value: T, output: Arc<ModelOutput>, record: Option<&AnyValue>) -> Output<T> {
        let record = record.and_then(|record| record.downcast_ref::<Self>());
        let (attempts, tools) = record.map(|r| (Arc::clone(&r.attempts), r.tools.clone())).unwrap_or_default();
        Output { value, output, attempts, tools }
    }
}

impl<T> Computed<T> {
    /// All attempts, in the order in which they ended. Empty for an answer that was not asked for, such as
    /// [`Thunk::ready`](crate::Thunk::ready).
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        self.record().and_then(|record| record.downcast_ref::<Recorded>()).map_or(&[], |record| &record.attempts)
    }
}

/// Why sampling stopped.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StopReason {
    /// The strategy had enough: by default, an attempt succeeded.
    Success,
    /// All attempts were made.
    Attempts,
    /// The token budget is spent.
    Tokens,
    /// The time is over.
    Deadline,
    /// The strategy gave up.
    Strategy,
    /// An attempt failed for another reason than its answer; its error is also the attempt's fault.
    Error(Error),
}

/// All attempts of a call, and the chosen one.
///
/// Running out of attempts is not an error here: look at [`success`](Self::success), or turn it into one
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
    /// The same with another value.
    pub(crate) fn with_value<U>(self, value: Option<U>) -> SamplingResult<U> {
        let Self { value: _, attempts, chosen, stopped, tools } = self;
        SamplingResult { value, attempts, chosen, stopped, tools }
    }

    /// Whether the chosen attempt met all requirements.
    #[must_use]
    pub fn success(&self) -> bool {
        self.value.is_some() && self.chosen().is_some_and(Attempt::succeeded)
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
        let success = self.success();
        let Self { value, attempts, chosen, stopped, tools } = self;
        let found = attempts.get(chosen);
        let output = found.and_then(|attempt| attempt.output.clone());
        if let (true, Some(value), Some(output)) = (success, value, &output) {
            return Ok(Output { value, output: Arc::clone(output), attempts, tools });
        }
        let error = match (stopped, found.and_then(|attempt| attempt.fault.clone())) {
            (StopReason::Error(error), _) | (_, Some(error)) => error,
            (_, None) => {
                let unmet = found.map(Attempt::complaints).unwrap_or_default();
                ErrorKind::RequirementsNotMet { attempts: attempts.len(), unmet }.into()
            }
        };
        let error = match &output {
            Some(output) => error.at(&output.provider, &output.model).with_partial(Arc::clone(output)),
            None => error,
        };
        Err(error.with_attempts(attempts))
    }
}

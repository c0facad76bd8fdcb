//! The strategies of the library: try again, repair, or talk it over.

use std::time::Duration;

use super::{Budget, Next, Progress, SamplingStrategy};

macro_rules! budgeted {
    ($name:ident) => {
        impl $name {
            /// At most this many attempts in total, the first included. Zero counts as one.
            #[must_use]
            pub fn new(attempts: usize) -> Self {
                Self(Budget::attempts(attempts))
            }

            /// Spends at most this many tokens, judges included, as far as they are known.
            #[must_use]
            pub fn token_budget(mut self, tokens: u64) -> Self {
                self.0.tokens = Some(tokens);
                self
            }

            /// Takes at most this long.
            #[must_use]
            pub fn deadline(mut self, time: Duration) -> Self {
                self.0.deadline = Some(time);
                self
            }
        }

        impl Default for $name {
            /// Two attempts.
            fn default() -> Self {
                Self::new(2)
            }
        }
    };
}

/// Tries again with the same prompt and another seed.
///
/// The attempts are independent, so several can run at once. At temperature 0 they are all equal,
/// which makes [`RepairTemplate`] the better choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejectionSampling(Budget);

budgeted!(RejectionSampling);

impl RejectionSampling {
    /// Runs this many attempts at the same time; as one ends, the next begins.
    #[must_use]
    pub fn concurrency(mut self, attempts: usize) -> Self {
        self.0 = self.0.concurrency(attempts);
        self
    }
}

impl SamplingStrategy for RejectionSampling {
    fn budget(&self) -> Budget {
        self.0
    }

    fn next(&self, _: &Progress<'_>) -> Next {
        Next::again()
    }
}

/// Tries again and says in the prompt why the last answer was refused. The default.
///
/// Only the last answer's faults are named, so prompts do not grow from attempt to attempt. The answer itself is not
/// shown: small models write what they read once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepairTemplate(Budget);

budgeted!(RepairTemplate);

impl SamplingStrategy for RepairTemplate {
    fn budget(&self) -> Budget {
        self.0
    }

    fn next(&self, so_far: &Progress<'_>) -> Next {
        so_far.last().map_or_else(Next::again, |last| Next::repair(last.complaints()))
    }
}

/// Shows the model its last answer and says, as another turn, why it was refused.
///
/// The turns between serve this call only: the session's context gets the question and the final
/// answer.
///
/// A small model repeats what it reads. So an answer that was cut, or that did not have its type, is not shown, and of
/// three attempts or more the last leaves the conversation: both are asked as [`RepairTemplate`] asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultiTurn(Budget);

budgeted!(MultiTurn);

impl SamplingStrategy for MultiTurn {
    fn budget(&self) -> Budget {
        self.0
    }

    fn next(&self, so_far: &Progress<'_>) -> Next {
        let attempts = self.0.attempts.get();
        let is_last = attempts > 2 && so_far.started() + 1 >= attempts;
        match so_far.last() {
            None => Next::again(),
            Some(last) if is_last => Next::repair(last.complaints()),
            Some(last) => Next::converse(last.complaints()),
        }
    }
}

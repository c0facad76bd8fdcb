//! Sampling: how often to try, what to change from one attempt to the next, and which to take.
//!
//! A [`SamplingStrategy`] only decides; the loop, its concurrency, its budgets and its records are
//! shared by all.

mod attempt;
mod lanes;
mod next;
mod plan;
mod read;
mod result;
mod run;
mod strategies;
mod turn;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

pub use attempt::{Attempt, ToolRound};
pub use next::Next;
pub(crate) use plan::{First, Plan};
pub use read::CutPolicy;
pub(crate) use result::Recorded;
pub use result::{Output, SamplingResult, StopReason};
pub(crate) use run::{Clock, Sampled, sample};
pub use strategies::{MultiTurn, RejectionSampling, RepairTemplate};
pub use turn::DEFAULT_TOOL_ROUNDS;

use crate::error::Error;

/// Decides how often to try, what to change, when it is enough, and which attempt to take.
///
/// Strategies hold no state and do no work: the same attempts always give the same decision, so one strategy
/// can serve many calls at once and be tested with a list of attempts. The loop asks [`next`](Self::next)
/// whenever there is room for an attempt, [`enough`](Self::enough) whenever one has ended, and
/// [`choose`](Self::choose) at the end.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use mellea_core::{Attempt, Budget, Next, Progress, SamplingStrategy, Session, testing::ScriptedBackend};
///
/// /// Makes five attempts at once and takes the answer that most of them gave.
/// #[derive(Debug)]
/// struct Majority;
///
/// impl SamplingStrategy for Majority {
///     fn budget(&self) -> Budget {
///         Budget::attempts(5).concurrency(5)
///     }
///
///     fn next(&self, _: &Progress<'_>) -> Next {
///         Next::again()
///     }
///
///     fn enough(&self, _: &[Attempt]) -> bool {
///         false
///     }
///
///     fn choose(&self, attempts: &[Attempt]) -> usize {
///         let votes = |i: &usize| attempts.iter().filter(|a| a.succeeded() && a.text() == attempts[*i].text()).count();
///         (0..attempts.len()).rev().max_by_key(votes).unwrap_or(0)
///     }
/// }
///
/// let m = Session::new(ScriptedBackend::new(["41", "42", "42", "43", "42"]));
/// assert_eq!(*m.instruct("What is 6 times 7?").strategy(Majority).await?, "42");
/// # Ok::<(), mellea_core::Error>(()) }).unwrap();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a sampling strategy",
    label = "not a `SamplingStrategy`",
    note = "the library has `RejectionSampling`, `RepairTemplate` and `MultiTurn`; implement the trait for one of your own"
)]
pub trait SamplingStrategy: fmt::Debug + Send + Sync + 'static {
    /// How much it may spend.
    fn budget(&self) -> Budget;

    /// The next attempt. It is asked before the first as well, and while others are under way if its budget
    /// allows several at once.
    fn next(&self, so_far: &Progress<'_>) -> Next;

    /// Whether these attempts are enough, so that those under way are cancelled. By default as soon as one has
    /// succeeded.
    fn enough(&self, attempts: &[Attempt]) -> bool {
        attempts.iter().any(Attempt::succeeded)
    }

    /// Which attempt to take, of all that ended. By default the first that succeeded; if none did, the one
    /// that met the most requirements, the latest of them if there are several.
    fn choose(&self, attempts: &[Attempt]) -> usize {
        let success = attempts.iter().position(Attempt::succeeded);
        success.unwrap_or_else(|| (0..attempts.len()).max_by_key(|&i| attempts.get(i).map(Attempt::merit)).unwrap_or_default())
    }

    /// Whether to go on after an error that another answer cannot mend, such as a refused connection. The
    /// attempt is on record with the error as its fault. By default no new attempt begins; strategies that
    /// ask several backends say yes.
    fn survives(&self, _error: &Error) -> bool {
        false
    }
}

impl<S: SamplingStrategy + ?Sized> SamplingStrategy for Arc<S> {
    fn budget(&self) -> Budget {
        (**self).budget()
    }

    fn next(&self, so_far: &Progress<'_>) -> Next {
        (**self).next(so_far)
    }

    fn enough(&self, attempts: &[Attempt]) -> bool {
        (**self).enough(attempts)
    }

    fn choose(&self, attempts: &[Attempt]) -> usize {
        (**self).choose(attempts)
    }

    fn survives(&self, error: &Error) -> bool {
        (**self).survives(error)
    }
}

/// How far a call has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    attempts: &'a [Attempt],
    started: usize,
}

impl<'a> Progress<'a> {
    /// These attempts have ended, of so many that have begun. For tests of strategies.
    #[must_use]
    pub const fn new(attempts: &'a [Attempt], started: usize) -> Self {
        Self { attempts, started }
    }

    /// The attempts that have ended, in the order in which they did.
    #[must_use]
    pub const fn attempts(&self) -> &'a [Attempt] {
        self.attempts
    }

    /// The attempt that ended last.
    #[must_use]
    pub const fn last(&self) -> Option<&'a Attempt> {
        self.attempts.last()
    }

    /// How many attempts have begun, those that have ended included.
    #[must_use]
    pub const fn started(&self) -> usize {
        self.started
    }
}

/// How much a strategy may spend on one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// Attempts in total, the first included.
    pub attempts: NonZeroUsize,
    /// Attempts at the same time; as one ends, the next begins. A streamed call makes one at a time.
    pub concurrency: NonZeroUsize,
    /// Tokens of all calls together, judges and tool rounds included. Checked between attempts; usage that a
    /// provider does not report does not count.
    pub tokens: Option<u64>,
    /// Time for the whole call: answers on their way that its prompt waits for, tools and judges included.
    pub deadline: Option<Duration>,
}

impl Budget {
    /// This many attempts, one after the other. Zero counts as one.
    #[must_use]
    pub fn attempts(attempts: usize) -> Self {
        Self {
            attempts: NonZeroUsize::new(attempts).unwrap_or(NonZeroUsize::MIN),
            concurrency: NonZeroUsize::MIN,
            tokens: None,
            deadline: None,
        }
    }

    /// This many attempts at the same time. Zero counts as one.
    #[must_use]
    pub fn concurrency(mut self, attempts: usize) -> Self {
        self.concurrency = NonZeroUsize::new(attempts).unwrap_or(NonZeroUsize::MIN);
        self
    }

    /// At most this many tokens.
    #[must_use]
    pub const fn tokens(mut self, tokens: u64) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// At most this long.
    #[must_use]
    pub const fn deadline(mut self, time: Duration) -> Self {
        self.deadline = Some(time);
        self
    }
}

/// The seed of an attempt, counted from 0: the first uses the call's seed, later ones derive theirs
/// from it by SplitMix64, so that a repeated run makes the same attempts and attempts differ.
#[must_use]
pub fn attempt_seed(seed: u64, attempt: usize) -> u64 {
    if attempt == 0 {
        return seed;
    }
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(attempt as u64));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    // Many providers take seeds of 32 bits only.
    (z ^ (z >> 31)) & 0x7fff_ffff
}

#[cfg(test)]
mod tests;

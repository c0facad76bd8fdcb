//! Sampling: how often to try, what to change from one attempt to the next, and which to take.
//!
//! A [`SamplingStrategy`] only decides; the loop, its concurrency, its budgets and its records are
//! shared by all.

mod attempt;
mod result;
mod run;
mod strategies;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

pub use attempt::Attempt;
pub use result::{Output, SamplingResult, StopReason};
pub(crate) use run::{First, Plan, read, sample};
pub use strategies::{MultiTurn, RejectionSampling, RepairTemplate};

/// Decides how often to try and what to change.
///
/// Strategies hold no state: the same attempts always give the same decision, so one strategy can
/// serve many calls at once.
pub trait SamplingStrategy: fmt::Debug + Send + Sync + 'static {
    /// How much it may spend.
    fn budget(&self) -> Budget;

    /// What to do after these attempts, none of which succeeded. Called before the first as well,
    /// with no attempts.
    fn next(&self, attempts: &[Attempt]) -> Next;

    /// Which attempt to take when none succeeded: by default the one that met the most requirements,
    /// the latest of them if there are several.
    fn choose(&self, attempts: &[Attempt]) -> usize {
        (0..attempts.len()).max_by_key(|&i| attempts.get(i).map(Attempt::merit)).unwrap_or_default()
    }
}

impl<S: SamplingStrategy + ?Sized> SamplingStrategy for Arc<S> {
    fn budget(&self) -> Budget {
        (**self).budget()
    }

    fn next(&self, attempts: &[Attempt]) -> Next {
        (**self).next(attempts)
    }

    fn choose(&self, attempts: &[Attempt]) -> usize {
        (**self).choose(attempts)
    }
}

/// What a strategy does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask the same again, with another seed.
    Again,
    /// Ask again and say in the prompt why the last answer was refused.
    Repair(Vec<String>),
    /// Show the model its last answer and say why it was refused, as another turn.
    Converse(Vec<String>),
    /// Stop.
    Stop,
}

/// How much a strategy may spend on one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// Attempts in total, the first included.
    pub attempts: NonZeroUsize,
    /// Attempts at the same time. The first success cancels the others.
    pub concurrency: NonZeroUsize,
    /// Tokens of all calls together, judges included. Checked between attempts; usage that a provider
    /// does not report does not count.
    pub tokens: Option<u64>,
    /// Time for the whole call.
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

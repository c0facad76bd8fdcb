//! The loop: attempts until the strategy has enough or a budget is spent.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use super::lanes::Running;
use super::next::{Kind, Step};
use super::turn::{Lane, Turn};
use super::{Attempt, Budget, First, Plan, Progress, StopReason};
use crate::component::DynComponent;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result, TimeoutPhase};
use crate::generate::{self, AnyValue, Delta, Shared};
use crate::message::Message;
use crate::telemetry;
use crate::tool::Tools;

/// What the loop found.
pub(crate) struct Sampled {
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) chosen: usize,
    pub(crate) value: Option<AnyValue>,
    pub(crate) stopped: StopReason,
    /// What was asked, without repairs, and what the tools of the chosen attempt said.
    pub(crate) asked: Vec<Arc<Message>>,
    pub(crate) tools: Tools,
}

/// The time of a whole call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Option<(Instant, Duration)>);

impl Clock {
    /// Starts now. A deadline beyond what clocks can tell is none.
    pub(crate) fn start(budget: &Budget) -> Self {
        Self(budget.deadline.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit))))
    }

    /// Waits for a future, and not beyond the deadline.
    pub(crate) async fn within<T>(&self, future: impl Future<Output = T>) -> Result<T> {
        match self.0 {
            None => Ok(future.await),
            Some((at, limit)) => Box::pin(timeout_at(at, future)).await.map_err(|_| late(limit)),
        }
    }
}

fn late(limit: Duration) -> Error {
    Error::from(ErrorKind::Timeout { phase: TimeoutPhase::Total, limit }).with_hint("the strategy's `deadline` sets this limit")
}

/// The attempts that have ended, with their values.
struct Ended {
    attempts: Vec<Attempt>,
    values: Vec<Option<AnyValue>>,
    /// The first error that another answer cannot mend.
    failure: Option<Error>,
}

/// Runs a call to its end.
///
/// # Errors
/// What keeps the first attempt from being made, or ends all attempts for another reason than their answers.
/// With attempts before it, such an error is on record as [`StopReason::Error`].
pub(crate) async fn sample(
    plan: &Plan,
    context: &Context,
    action: &dyn DynComponent,
    first: First,
    clock: Clock,
    pieces: Option<&Shared>,
) -> Result<Sampled> {
    let mut budget = plan.strategy.budget();
    if pieces.is_some() {
        budget = budget.concurrency(1);
    }
    let turn = Turn { plan, first: &first, context, action, pieces };
    // Most calls need one attempt.
    let mut ended = Ended { attempts: Vec::with_capacity(1), values: Vec::with_capacity(1), failure: None };
    let mut lanes: Vec<Arc<Lane>> = Vec::with_capacity(1);
    let mut running = Running::new(budget.concurrency);
    let mut started = 0;
    let stopped = loop {
        let full = loop {
            if running.len() >= budget.concurrency.get() {
                break None;
            }
            let step = match next(plan, &budget, &ended, started) {
                Ok(step) => step,
                Err(reason) => break Some(reason),
            };
            // Most attempts ask what the first asked. Others are boxed, as what is large and rare should be.
            let prepared = match plan.same_again(step, &first, &ended.attempts) {
                Ok(prepared) => Ok(prepared),
                Err(step) => {
                    let prepare = Box::pin(plan.prepare(*step, &first, context, action, &ended.attempts));
                    clock.within(prepare).await.and_then(std::convert::identity)
                }
            };
            match prepared {
                Ok(prepared) => {
                    started += 1;
                    if let (Some(pieces), Some(last)) = (pieces, ended.attempts.last()) {
                        pieces.push(Delta::Restarted { attempt: started, reasons: last.complaints() });
                    }
                    let (lane, number) = (Arc::new(Lane::default()), started);
                    lanes.push(Arc::clone(&lane));
                    let turn = &turn;
                    let attempt = async move { turn.make(number, prepared, &lane).await };
                    running.push(attempt.instrument(telemetry::attempt_span(number)));
                }
                Err(error) => {
                    ended.failure.get_or_insert(error);
                }
            }
        };
        match (clock.within(running.next()).await, full) {
            (Err(error), _) => {
                // Dropped first: what there is of the answers under way is kept then.
                drop(running);
                let finished = !ended.attempts.is_empty();
                let cut = lanes.iter().filter_map(|lane| lane.cut_off(error.clone()));
                for attempt in cut {
                    ended.attempts.push(attempt);
                    ended.values.push(None);
                }
                if !finished {
                    return Err(recorded(error, &ended.attempts));
                }
                break StopReason::Deadline;
            }
            (Ok(Some((attempt, value))), _) => {
                let failure = attempt.failure().map(|error| error.in_attempt(attempt.number));
                ended.attempts.push(attempt);
                ended.values.push(value);
                let broken = |error| recorded(error, &ended.attempts);
                if let Some(error) = failure
                    && !guarded(|| plan.strategy.survives(&error)).map_err(broken)?
                {
                    ended.failure.get_or_insert(error);
                }
                if guarded(|| plan.strategy.enough(&ended.attempts)).map_err(broken)? {
                    break StopReason::Success;
                }
            }
            (Ok(None), full) => break full.unwrap_or(StopReason::Strategy),
        }
    };
    let Ended { attempts, values, .. } = ended;
    if attempts.iter().all(|attempt| attempt.failure().is_some()) {
        let error = match stopped {
            StopReason::Error(error) => error,
            _ => attempts.last().and_then(Attempt::failure).unwrap_or_else(|| ErrorKind::Cancelled.into()),
        };
        return Err(recorded(error, &attempts));
    }
    let chosen = guarded(|| plan.strategy.choose(&attempts)).map_err(|error| recorded(error, &attempts))?;
    let chosen = chosen.min(attempts.len().saturating_sub(1));
    let found = attempts.get(chosen);
    let stopped = match stopped {
        StopReason::Success if !found.is_some_and(Attempt::succeeded) => StopReason::Strategy,
        stopped => stopped,
    };
    let transcript = found.map(Attempt::transcript).unwrap_or_default().into_iter().map(Arc::new);
    let asked = first.asked.iter().cloned().chain(transcript).collect();
    let value = values.into_iter().nth(chosen).flatten();
    Ok(Sampled { attempts, chosen, value, stopped, asked, tools: first.tools.clone() })
}

/// What the strategy wants next (nothing: the same again), or why there is no further attempt.
fn next(plan: &Plan, budget: &Budget, ended: &Ended, started: usize) -> Result<Option<Box<Step>>, StopReason> {
    if let Some(error) = &ended.failure {
        return Err(StopReason::Error(error.clone()));
    }
    if started >= budget.attempts.get() {
        return Err(StopReason::Attempts);
    }
    let spent: u64 = ended.attempts.iter().filter_map(|attempt| attempt.usage().total_tokens()).sum();
    if started > 0 && budget.tokens.is_some_and(|limit| spent >= limit) {
        return Err(StopReason::Tokens);
    }
    let next = guarded(|| plan.strategy.next(&Progress::new(&ended.attempts, started))).map_err(StopReason::Error)?;
    match next.0 {
        Kind::Step(step) => Ok(Some(step)),
        Kind::Again => Ok(None),
        // A call that makes no attempt at all has no result: the first is always made.
        Kind::Stop if started == 0 => Ok(None),
        Kind::Stop => Err(StopReason::Strategy),
    }
}

/// Asks a strategy; a panic in it is an error of the call.
fn guarded<T>(ask: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(ask)).map_err(|panic| ErrorKind::Strategy(generate::panic_text(&*panic)).into())
}

/// An error of a call, with what was paid for.
pub(crate) fn recorded(error: Error, attempts: &[Attempt]) -> Error {
    let partial = attempts.iter().rev().find_map(|attempt| attempt.output.clone());
    let error = match (error.partial(), partial) {
        (None, Some(partial)) => error.with_partial(partial),
        _ => error,
    };
    error.with_attempts(attempts.into())
}

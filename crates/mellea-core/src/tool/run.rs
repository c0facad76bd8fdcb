//! Calls carried out: checked, approved, limited in time, and never the end of the program.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt, stream};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::set::Entry;
use super::{Tool, ToolCall, ToolError, ToolEvent, ToolOutcome, ToolPolicy, ToolResult, ToolVerdict, Tools, plain};

/// Who is told about calls that start and end.
type Listener<'a> = Mutex<&'a mut (dyn FnMut(ToolEvent) + Send)>;

impl Tools {
    /// Carries out one call.
    ///
    /// The arguments are checked, then the policy is asked, then the tool runs. On a Tokio runtime it
    /// runs as a task of its own, limited in time, and dropping the returned future cancels it.
    /// Elsewhere it runs in place, without a limit.
    pub async fn run(&self, call: &ToolCall, policy: &ToolPolicy) -> ToolResult {
        self.run_told(call, policy, None).await
    }

    /// Carries out calls; the results are in the order of the calls.
    ///
    /// The outcome is that of calls made one after the other. Calls of tools
    /// [without effects](Tool::has_effects) run side by side, at most
    /// [`parallelism`](ToolPolicy::parallelism) of them. A call of a tool with effects starts when all
    /// calls before it have ended, and those after it start when it has ended. Once such a call has
    /// run out of time nobody knows what it did or still does, so the later calls with effects are
    /// denied. Calls beyond [`max_calls`](ToolPolicy::max_calls) are denied.
    pub async fn run_all(&self, calls: &[ToolCall], policy: &ToolPolicy) -> Vec<ToolResult> {
        self.run_in_order(calls, policy, None).await
    }

    /// Carries out calls as [`run_all`](Self::run_all) does, and tells `on` about each as it starts
    /// and ends. `on` runs between the calls' steps and should return at once.
    pub async fn run_all_with(
        &self,
        calls: &[ToolCall],
        policy: &ToolPolicy,
        mut on: impl FnMut(ToolEvent) + Send,
    ) -> Vec<ToolResult> {
        self.run_in_order(calls, policy, Some(&Mutex::new(&mut on))).await
    }

    async fn run_in_order(&self, calls: &[ToolCall], policy: &ToolPolicy, on: Option<&Listener<'_>>) -> Vec<ToolResult> {
        let (taken, refused) = calls.split_at(policy.max_calls.min(calls.len()));
        let mut results = Vec::with_capacity(calls.len());
        let mut lost: Option<&str> = None;
        let mut rest = taken;
        while let Some(first) = rest.first() {
            let alone = self.has_effects(first);
            let count = if alone { 1 } else { rest.iter().take_while(|call| !self.has_effects(call)).count() };
            let (now, later) = rest.split_at(count);
            rest = later;
            if let Some(name) = lost.filter(|_| alone) {
                let reason = format!("`{}` before it did not finish in time", plain::name(name));
                results.push(denied(first, reason, policy, on));
                continue;
            }
            self.run_side_by_side(now, policy, on, &mut results).await;
            if alone && matches!(results.last(), Some(ToolResult { outcome: ToolOutcome::Timeout { .. }, .. })) {
                lost = Some(&first.name);
            }
        }
        let reason = || format!("only {} calls are carried out in one turn", policy.max_calls);
        results.extend(refused.iter().map(|call| denied(call, reason(), policy, on)));
        results
    }

    async fn run_side_by_side(
        &self,
        calls: &[ToolCall],
        policy: &ToolPolicy,
        on: Option<&Listener<'_>>,
        results: &mut Vec<ToolResult>,
    ) {
        let numbered = calls.iter().enumerate();
        let running: Vec<_> = numbered.map(|(at, call)| async move { (at, self.run_told(call, policy, on).await) }).collect();
        // Not `buffered`: there a slow first call would keep finished ones in its queue.
        let running = stream::iter(running).buffer_unordered(policy.parallelism.get());
        let mut ended: Vec<(usize, ToolResult)> = running.collect().await;
        ended.sort_by_key(|(at, _)| *at);
        results.extend(ended.into_iter().map(|(_, result)| result));
    }

    async fn run_told(&self, call: &ToolCall, policy: &ToolPolicy, on: Option<&Listener<'_>>) -> ToolResult {
        let start = Instant::now();
        tell(on, || ToolEvent::Started { call: call.clone() });
        // A tool's own description, limits and checks are a user's code as well.
        let outcome = AssertUnwindSafe(self.outcome(call, policy)).catch_unwind().await;
        let outcome = outcome.unwrap_or_else(|panic| ToolOutcome::Panicked { message: panic_text(panic.as_ref()) });
        tracing::debug!(tool = plain::name(&call.name), ok = outcome.is_ok(), "tool call finished");
        let result = ToolResult::new(call.clone(), outcome, start.elapsed()).with_text_limit(policy.result_limit);
        tell(on, || ToolEvent::Ended { result: result.clone() });
        result
    }

    async fn outcome(&self, call: &ToolCall, policy: &ToolPolicy) -> ToolOutcome {
        let Some(entry) = self.entry(&call.name) else {
            let available = self.names().map(str::to_owned).collect();
            return ToolOutcome::UnknownTool { name: plain::name(&call.name), available };
        };
        let mut call = call.clone();
        match entry.check(std::mem::take(&mut call.arguments), policy.arguments) {
            Ok(arguments) => call.arguments = arguments,
            Err(outcome) => return outcome,
        }
        let verdict = policy.guarded(&call);
        if let Err(outcome) = settle(entry, &mut call, verdict, policy) {
            return outcome;
        }
        let verdict = policy.approved(&call).await;
        if let Err(outcome) = settle(entry, &mut call, verdict, policy) {
            return outcome;
        }
        let tool = Arc::clone(&entry.tool);
        let limit = tool.timeout().unwrap_or(policy.timeout);
        carry_out(tool, call.arguments, limit).await
    }

    fn has_effects(&self, call: &ToolCall) -> bool {
        self.entry(&call.name).is_some_and(|entry| entry.effects)
    }
}

/// Does what a verdict says.
fn settle(entry: &Entry, call: &mut ToolCall, verdict: ToolVerdict, policy: &ToolPolicy) -> Result<(), ToolOutcome> {
    match verdict {
        ToolVerdict::Allow => {}
        ToolVerdict::AllowWith(arguments) => {
            call.arguments = entry.check(arguments, policy.arguments).map_err(|outcome| ToolOutcome::Denied {
                reason: format!("the arguments that it was allowed with do not fit: {}", outcome.reason()),
            })?;
        }
        ToolVerdict::Deny(reason) => return Err(ToolOutcome::Denied { reason }),
    }
    Ok(())
}

fn denied(call: &ToolCall, reason: String, policy: &ToolPolicy, on: Option<&Listener<'_>>) -> ToolResult {
    tell(on, || ToolEvent::Started { call: call.clone() });
    let outcome = ToolOutcome::Denied { reason };
    let result = ToolResult::new(call.clone(), outcome, Duration::ZERO).with_text_limit(policy.result_limit);
    tell(on, || ToolEvent::Ended { result: result.clone() });
    result
}

fn tell(on: Option<&Listener<'_>>, event: impl FnOnce() -> ToolEvent) {
    if let Some(on) = on {
        let mut on = on.lock().unwrap_or_else(PoisonError::into_inner);
        on(event());
    }
}

/// A task that ends with its handle.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn carry_out(tool: Arc<dyn Tool>, arguments: Value, limit: Duration) -> ToolOutcome {
    let work = async move { tool.call(arguments).await };
    let work = AssertUnwindSafe(work).catch_unwind();
    let Ok(runtime) = Handle::try_current() else {
        return finished(work.await);
    };
    let mut task = Task(runtime.spawn(work.in_current_span()));
    // A runtime without timers panics here; that is an outcome too.
    let limited = async { tokio::time::timeout(limit, &mut task.0).await };
    match AssertUnwindSafe(limited).catch_unwind().await {
        Ok(Ok(Ok(result))) => finished(result),
        Ok(Ok(Err(_))) => ToolOutcome::Failed { message: "the tool was cancelled".to_owned() },
        Ok(Err(_)) => ToolOutcome::Timeout { limit },
        Err(panic) => ToolOutcome::Panicked { message: panic_text(panic.as_ref()) },
    }
}

fn finished(result: Result<Result<Value, ToolError>, Box<dyn Any + Send>>) -> ToolOutcome {
    match result {
        Ok(Ok(value)) => ToolOutcome::Ok(value),
        Ok(Err(error)) if error.is_invalid_arguments() => {
            ToolOutcome::InvalidArguments { errors: Vec::new(), message: error.to_string() }
        }
        Ok(Err(error)) => ToolOutcome::Failed { message: error.to_string() },
        Err(panic) => ToolOutcome::Panicked { message: panic_text(panic.as_ref()) },
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a message".to_owned())
}

//! Calls carried out: checked, limited in time, side by side, and never the end of the program.

use std::any::Any;
use std::fmt;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt, stream};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::{ArgumentPolicy, Tool, ToolCall, ToolError, ToolOutcome, ToolResult, Tools, check_arguments};

type Guard = dyn Fn(&ToolCall) -> ToolVerdict + Send + Sync;

/// Whether a call may be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolVerdict {
    /// It may.
    Allow,
    /// It may not, for this reason, which the model reads.
    Deny(String),
}

/// How calls are carried out.
#[derive(Clone)]
#[non_exhaustive]
pub struct ToolPolicy {
    /// How long a call may take if the tool itself says nothing; 30 seconds by default.
    pub timeout: Duration,
    /// How many calls run at the same time; 8 by default.
    pub parallelism: NonZeroUsize,
    /// How exactly the arguments must fit; lenient by default.
    pub arguments: ArgumentPolicy,
    guard: Option<Arc<Guard>>,
}

impl Default for ToolPolicy {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            parallelism: NonZeroUsize::MIN.saturating_add(7),
            arguments: ArgumentPolicy::default(),
            guard: None,
        }
    }
}

impl ToolPolicy {
    /// Sets how long a call may take if the tool itself says nothing.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many calls run at the same time.
    #[must_use]
    pub fn with_parallelism(mut self, parallelism: NonZeroUsize) -> Self {
        self.parallelism = parallelism;
        self
    }

    /// Sets how exactly the arguments must fit.
    #[must_use]
    pub fn with_arguments(mut self, arguments: ArgumentPolicy) -> Self {
        self.arguments = arguments;
        self
    }

    /// Asks `guard` before each call; it sees the arguments as the tool will. A guard that panics
    /// denies.
    #[must_use]
    pub fn with_guard(mut self, guard: impl Fn(&ToolCall) -> ToolVerdict + Send + Sync + 'static) -> Self {
        self.guard = Some(Arc::new(guard));
        self
    }

    fn verdict(&self, call: &ToolCall) -> ToolVerdict {
        let Some(guard) = &self.guard else {
            return ToolVerdict::Allow;
        };
        std::panic::catch_unwind(AssertUnwindSafe(|| guard(call)))
            .unwrap_or_else(|_| ToolVerdict::Deny("the check of the call failed".to_owned()))
    }
}

impl fmt::Debug for ToolPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolPolicy")
            .field("timeout", &self.timeout)
            .field("parallelism", &self.parallelism)
            .field("arguments", &self.arguments)
            .field("guard", &self.guard.is_some())
            .finish()
    }
}

impl Tools {
    /// Carries out one call.
    ///
    /// On a Tokio runtime the tool runs as a task of its own. It is limited in time, and dropping
    /// the returned future cancels it. Elsewhere it runs in place, without a limit.
    pub async fn run(&self, call: &ToolCall, policy: &ToolPolicy) -> ToolResult {
        let start = Instant::now();
        let outcome = self.outcome(call, policy).await;
        tracing::debug!(tool = call.name, ok = outcome.is_ok(), "tool call finished");
        ToolResult { call: call.clone(), outcome, elapsed: start.elapsed() }
    }

    /// Carries out calls side by side; the results are in the order of the calls.
    pub async fn run_all(&self, calls: &[ToolCall], policy: &ToolPolicy) -> Vec<ToolResult> {
        let numbered = calls.iter().enumerate();
        let running: Vec<_> = numbered.map(|(at, call)| async move { (at, self.run(call, policy).await) }).collect();
        // Not `buffered`: there a slow first call would keep finished ones in its queue.
        let running = stream::iter(running).buffer_unordered(policy.parallelism.get());
        let mut results: Vec<(usize, ToolResult)> = running.collect().await;
        results.sort_by_key(|(at, _)| *at);
        results.into_iter().map(|(_, result)| result).collect()
    }

    pub(crate) async fn run_all_with(&self, calls: &[ToolCall], policy: &ToolPolicy, tell: impl Fn(ToolEvent)) -> Vec<ToolResult> {
        calls.iter().for_each(|c| tell(ToolEvent::Started(c.clone())));
        let r = self.run_all(calls, policy).await;
        r.iter().for_each(|c| tell(ToolEvent::Ended(c.clone())));
        r
    }

    async fn outcome(&self, call: &ToolCall, policy: &ToolPolicy) -> ToolOutcome {
        let Some(entry) = self.entry(&call.name) else {
            let available = self.names().map(str::to_owned).collect();
            return ToolOutcome::UnknownTool { name: call.name.clone(), available };
        };
        let mut call = call.clone();
        if let Some(schema) = &entry.schema {
            let checked = check_arguments(schema, call.arguments, policy.arguments);
            if !checked.errors.is_empty() {
                let lines: Vec<String> = checked.errors.iter().map(ToString::to_string).collect();
                let message = lines.join("; ");
                return ToolOutcome::InvalidArguments { errors: checked.errors, message };
            }
            call.arguments = checked.value;
        }
        if let ToolVerdict::Deny(reason) = policy.verdict(&call) {
            return ToolOutcome::Denied { reason };
        }
        let tool = Arc::clone(&entry.tool);
        let limit = tool.timeout().unwrap_or(policy.timeout);
        carry_out(tool, call.arguments, limit).await
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

pub(crate) enum ToolEvent { Started(ToolCall), Ended(ToolResult) }

//! Which calls are carried out, and within which limits.

use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::outcome::DEFAULT_TEXT_LIMIT;
use super::{ArgumentPolicy, ToolCall};

type Guard = dyn Fn(&ToolCall) -> ToolVerdict + Send + Sync;
type Approval = dyn Fn(ToolCall) -> BoxFuture<'static, ToolVerdict> + Send + Sync;

/// Whether a call may be carried out.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ToolVerdict {
    /// It may.
    Allow,
    /// It may with these arguments instead. They are checked like the model's; if they do not fit,
    /// the call is denied.
    AllowWith(Value),
    /// It may not, for this reason, which the model reads.
    Deny(String),
}

/// How calls are carried out.
#[derive(Clone)]
#[non_exhaustive]
pub struct ToolPolicy {
    /// How long a call may take if the tool itself says nothing; 30 seconds by default. Waiting for
    /// an approval does not count.
    pub timeout: Duration,
    /// How many calls run at the same time; 8 by default.
    pub parallelism: NonZeroUsize,
    /// How many calls of one turn are carried out, the others are denied; 128 by default.
    pub max_calls: usize,
    /// How exactly the arguments must fit; lenient by default.
    pub arguments: ArgumentPolicy,
    /// How many bytes of a result the model reads; 64 KiB by default. The program gets all of it.
    pub result_limit: usize,
    guard: Option<Arc<Guard>>,
    approval: Option<Arc<Approval>>,
}

impl Default for ToolPolicy {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            parallelism: NonZeroUsize::MIN.saturating_add(7),
            max_calls: 128,
            arguments: ArgumentPolicy::default(),
            result_limit: DEFAULT_TEXT_LIMIT,
            guard: None,
            approval: None,
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

    /// Sets how many calls of one turn are carried out; the others are denied.
    #[must_use]
    pub fn with_max_calls(mut self, calls: usize) -> Self {
        self.max_calls = calls;
        self
    }

    /// Sets how exactly the arguments must fit.
    #[must_use]
    pub fn with_arguments(mut self, arguments: ArgumentPolicy) -> Self {
        self.arguments = arguments;
        self
    }

    /// Sets how many bytes of a result the model reads.
    #[must_use]
    pub fn with_result_limit(mut self, bytes: usize) -> Self {
        self.result_limit = bytes;
        self
    }

    /// Asks `guard` before each call; it sees the arguments as the tool will. It takes the place of
    /// an earlier guard. A guard that panics denies.
    #[must_use]
    pub fn with_guard(mut self, guard: impl Fn(&ToolCall) -> ToolVerdict + Send + Sync + 'static) -> Self {
        self.guard = Some(Arc::new(guard));
        self
    }

    /// Waits for an approval before each call that the guard lets through, for example a person's.
    /// It sees the arguments as the tool will, and takes the place of an earlier approval. One that
    /// panics denies. No time limit applies to it, other than that of whoever waits for the calls.
    ///
    /// ```
    /// use mellea_core::tool::{ToolPolicy, ToolVerdict};
    ///
    /// let (questions, _answers) = tokio::sync::mpsc::channel(1);
    /// let policy = ToolPolicy::default().with_approval(move |call| {
    ///     let questions = questions.clone();
    ///     async move {
    ///         let (reply, verdict) = tokio::sync::oneshot::channel();
    ///         let asked = questions.send((call, reply)).await.is_ok();
    ///         match verdict.await {
    ///             Ok(verdict) if asked => verdict,
    ///             _ => ToolVerdict::Deny("nobody is there to approve it".to_owned()),
    ///         }
    ///     }
    /// });
    /// # let _: (ToolPolicy, tokio::sync::mpsc::Receiver<(mellea_core::ToolCall, tokio::sync::oneshot::Sender<ToolVerdict>)>) = (policy, _answers);
    /// ```
    #[must_use]
    pub fn with_approval<F, Fut>(mut self, approval: F) -> Self
    where
        F: Fn(ToolCall) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ToolVerdict> + Send + 'static,
    {
        self.approval = Some(Arc::new(move |call| approval(call).boxed()));
        self
    }

    pub(super) fn guarded(&self, call: &ToolCall) -> ToolVerdict {
        let Some(guard) = &self.guard else {
            return ToolVerdict::Allow;
        };
        std::panic::catch_unwind(AssertUnwindSafe(|| guard(call))).unwrap_or_else(|_| broken())
    }

    pub(super) async fn approved(&self, call: &ToolCall) -> ToolVerdict {
        let Some(approval) = &self.approval else {
            return ToolVerdict::Allow;
        };
        let asked = async { approval(call.clone()).await };
        AssertUnwindSafe(asked).catch_unwind().await.unwrap_or_else(|_| broken())
    }
}

fn broken() -> ToolVerdict {
    ToolVerdict::Deny("the check of the call failed".to_owned())
}

impl fmt::Debug for ToolPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolPolicy")
            .field("timeout", &self.timeout)
            .field("parallelism", &self.parallelism)
            .field("max_calls", &self.max_calls)
            .field("arguments", &self.arguments)
            .field("result_limit", &self.result_limit)
            .field("guard", &self.guard.is_some())
            .field("approval", &self.approval.is_some())
            .finish()
    }
}

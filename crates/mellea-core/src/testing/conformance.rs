//! The rules of [`Backend`], as checks that any backend can be put through.
//!
//! [`backend_conformance!`](crate::backend_conformance) makes a test of each. What a backend cannot
//! do, as it says itself in its [`Capabilities`](crate::Capabilities), is not checked but reported.
//!
//! A backend that leaves out half of a request still answers. So the fixture shows what the backend
//! sends, with [`Fixture::wire`], and the rules look for each part of a request there: every message,
//! image, option and tool must be on the wire, or in a warning that names it, or be refused. A
//! warning that comes with every request names nothing. A backend without a wire says so, with
//! [`Fixture::no_wire`].
//!
//! ```
//! use mellea_core::{backend_conformance, testing::{conformance::Fixture, schema_backend}};
//!
//! async fn fixture() -> Fixture {
//!     let backend = schema_backend(1);
//!     let sent = backend.clone();
//!     Fixture::new(backend)
//!         .prompt("Say something.")
//!         .wire(move || sent.requests().iter().map(|request| serde_json::to_string(request).unwrap()).collect())
//! }
//!
//! backend_conformance!(scripted, fixture());
//! # fn main() {}
//! ```

mod cases;
mod thread;
mod wire;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use crate::backend::Backend;
use crate::schema::Schema;
use crate::tool::ToolSpec;

/// A backend to be checked, and what the checks need to know of it.
#[derive(Clone)]
#[must_use]
pub struct Fixture {
    backend: Arc<dyn Backend>,
    prompt: String,
    long_prompt: String,
    tool: Option<(String, ToolSpec)>,
    json: Option<(String, Schema)>,
    raw_prompts: Vec<String>,
    secret: Option<String>,
    in_flight: Option<Arc<dyn Fn() -> usize + Send + Sync>>,
    wire: Wire,
    no_usage: Option<String>,
    limit: Duration,
}

/// What can be seen of a backend's wire.
#[derive(Clone)]
enum Wire {
    /// The fixture does not say.
    Unsaid,
    /// There is none, for this reason.
    None(String),
    /// The bodies of all requests so far.
    Shown(Arc<dyn Fn() -> Vec<String> + Send + Sync>),
}

impl Fixture {
    /// Checks this backend.
    pub fn new(backend: impl Backend) -> Self {
        Self {
            backend: Arc::new(backend),
            prompt: "Say hello in five words.".to_owned(),
            long_prompt: "Count from one to one hundred in words.".to_owned(),
            tool: None,
            json: None,
            raw_prompts: Vec::new(),
            secret: None,
            in_flight: None,
            wire: Wire::Unsaid,
            no_usage: None,
            limit: Duration::from_secs(120),
        }
    }

    /// Asks this where any answer of at least two words will do.
    pub fn prompt(mut self, prompt: impl Into<String>) -> Self {
        self.prompt = prompt.into();
        self
    }

    /// Asks this where the answer must be long: where it is cut short, or given up halfway.
    pub fn long_prompt(mut self, prompt: impl Into<String>) -> Self {
        self.long_prompt = prompt.into();
        self
    }

    /// Asks this where the model is to call a tool.
    pub fn tool(mut self, prompt: impl Into<String>, tool: ToolSpec) -> Self {
        self.tool = Some((prompt.into(), tool));
        self
    }

    /// Asks this where the answer must be JSON of this schema; by default for a description of a city.
    pub fn json(mut self, prompt: impl Into<String>, schema: Schema) -> Self {
        self.json = Some((prompt.into(), schema));
        self
    }

    /// Continues these texts, which must not all be continued alike; by default the prompt with numbers.
    pub fn raw_prompts<P: Into<String>>(mut self, prompts: impl IntoIterator<Item = P>) -> Self {
        self.raw_prompts = prompts.into_iter().map(Into::into).collect();
        self
    }

    /// Says which secret the backend was given, so that no output may contain it.
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    /// Says how to see how many generations run at the other end.
    pub fn in_flight(mut self, count: impl Fn() -> usize + Send + Sync + 'static) -> Self {
        self.in_flight = Some(Arc::new(count));
        self
    }

    /// Shows the bodies of all requests that the backend has sent so far, in order: with a simulated
    /// server, what the server got. JSON is read as such; other text is searched literally.
    pub fn wire(mut self, sent: impl Fn() -> Vec<String> + Send + Sync + 'static) -> Self {
        self.wire = Wire::Shown(Arc::new(sent));
        self
    }

    /// Says why there is no wire to look at, as for a model inside the process. What only a wire can
    /// show is then not checked; that messages count shows in the answer or its usage.
    pub fn no_wire(mut self, reason: impl Into<String>) -> Self {
        self.wire = Wire::None(reason.into());
        self
    }

    /// Says why answers have no usage, as where the service reports none.
    pub fn no_usage(mut self, reason: impl Into<String>) -> Self {
        self.no_usage = Some(reason.into());
        self
    }

    /// Gives each check this much time; two minutes otherwise.
    pub fn limit(mut self, time: Duration) -> Self {
        self.limit = time;
        self
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture").field("backend", &self.backend).finish_non_exhaustive()
    }
}

/// One of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Case {
    /// Provider and model have names.
    Names,
    /// A stream has text, exactly one finish, and after it nothing but usage.
    Events,
    /// Streamed and unstreamed answers are equal at temperature 0.
    Streaming,
    /// Dropping the stream stops the generation.
    DropStream,
    /// Dropping the call before it is answered stops the generation.
    DropCall,
    /// A request without messages is refused, and the error says by whom.
    Empty,
    /// No secret is shown by `Debug` or by an error.
    Secrets,
    /// What the backend cannot do it names, or refuses.
    Unsupported,
    /// Stop sequences are honoured or named.
    StopSequences,
    /// A limit of one token is honoured or named.
    OneToken,
    /// Answers fit the schema that was asked for.
    JsonSchema,
    /// Tools are called with arguments that fit.
    Tools,
    /// Calls side by side give what they give alone.
    Concurrency,
    /// Raw completions come one for each request, in order.
    Raw,
    /// Every message of the conversation is sent, whole and in order: its blocks of text, the tools
    /// that were called and what they gave.
    History,
    /// System messages are sent, wherever they stand, or named.
    SystemPrompt,
    /// Images and audio are sent, or named.
    Media,
    /// The common options are sent, or named.
    Options,
    /// Whether tools may or must be called is sent, or named.
    ToolChoice,
    /// A provider's own option is sent, or named.
    OwnOptions,
    /// Answers say how many tokens they took.
    Usage,
    /// A call leaves its thread to others while it waits.
    Yields,
}

impl Case {
    /// All rules.
    pub const ALL: [Self; 22] = [
        Self::Names,
        Self::Events,
        Self::Streaming,
        Self::DropStream,
        Self::DropCall,
        Self::Empty,
        Self::Secrets,
        Self::Unsupported,
        Self::StopSequences,
        Self::OneToken,
        Self::JsonSchema,
        Self::Tools,
        Self::Concurrency,
        Self::Raw,
        Self::History,
        Self::SystemPrompt,
        Self::Media,
        Self::Options,
        Self::ToolChoice,
        Self::OwnOptions,
        Self::Usage,
        Self::Yields,
    ];
}

/// How a check came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The rule is kept.
    Passed,
    /// The rule cannot be checked on this backend, for this reason.
    NotApplicable(String),
    /// The rule is broken, in this way.
    Failed(String),
}

/// Checks one rule.
pub async fn check(case: Case, fixture: &Fixture) -> Outcome {
    if let Some(reason) = not_applicable(case, fixture) {
        return Outcome::NotApplicable(reason.into_owned());
    }
    let checked = AssertUnwindSafe(cases::check(case, fixture)).catch_unwind();
    match tokio::time::timeout(fixture.limit, checked).await {
        Ok(Ok(Ok(()))) => Outcome::Passed,
        Ok(Ok(Err(fault))) => Outcome::Failed(fault),
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Outcome::Failed(format!("it panicked: {text}"))
        }
        Err(_) => Outcome::Failed(format!("it took longer than {:?}", fixture.limit)),
    }
}

/// Why a rule cannot be checked on this backend, if it cannot.
fn not_applicable(case: Case, fixture: &Fixture) -> Option<Cow<'static, str>> {
    let can = fixture.backend.capabilities();
    let unless = |applies: bool, reason: &'static str| if applies { None } else { Some(reason.into()) };
    let no_wire = || if let Wire::None(reason) = &fixture.wire { Some(reason.clone().into()) } else { None };
    match case {
        Case::DropStream | Case::DropCall => {
            unless(fixture.in_flight.is_some(), "the fixture does not say how many generations run (`in_flight`)")
        }
        Case::Secrets => unless(fixture.secret.is_some(), "the fixture names no `secret`"),
        Case::JsonSchema => unless(can.json_schema, "`capabilities().json_schema` is false"),
        Case::Tools if can.tools => unless(fixture.tool.is_some(), "the fixture has no `tool`"),
        Case::Tools => Some("`capabilities().tools` is false".into()),
        Case::Media if !can.images && !can.audio => Some("`capabilities()` has neither images nor audio".into()),
        Case::ToolChoice if !can.tools => Some("`capabilities().tools` is false".into()),
        Case::Media | Case::Options | Case::ToolChoice | Case::OwnOptions => no_wire(),
        Case::Usage => fixture.no_usage.clone().map(Cow::Owned),
        _ => None,
    }
}

/// Checks one rule in a test of its own, see [`backend_conformance!`](crate::backend_conformance).
///
/// # Panics
/// If the rule is broken.
#[doc(hidden)]
#[track_caller]
pub fn run(suite: &str, case: Case, fixture: impl Future<Output = Fixture>) {
    let outcome = block_on(async { check(case, &fixture.await).await });
    assert!(!matches!(outcome, Ok(Outcome::Failed(_)) | Err(_)), "{suite} breaks the rule {case:?}: {outcome:?}");
}

/// Reports which rules apply, see [`backend_conformance!`](crate::backend_conformance).
///
/// # Panics
/// If the suite has not a test for each rule.
#[doc(hidden)]
#[track_caller]
pub fn report(suite: &str, tested: &[Case], fixture: impl Future<Output = Fixture>) {
    assert_eq!(tested, Case::ALL, "the suite must test every rule");
    let left_out = block_on(async {
        let fixture = fixture.await;
        Case::ALL.into_iter().filter_map(|case| Some((case, not_applicable(case, &fixture)?))).collect::<Vec<_>>()
    });
    let Ok(left_out) = left_out else { return };
    // Written directly: what is printed by a passing test is not shown.
    let mut out = std::io::stderr().lock();
    let _ = writeln!(out, "conformance of {suite}: {} of {} rules apply", Case::ALL.len() - left_out.len(), Case::ALL.len());
    for (case, reason) in left_out {
        let _ = writeln!(out, "conformance of {suite}: {case:?} is not checked: {reason}");
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> std::io::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future))
}

/// Makes a test of every rule of [`Backend`](crate::Backend) for one backend.
///
/// It takes a name for the module of the tests, and a future that gives a
/// [`Fixture`](crate::testing::conformance::Fixture). Each test makes its own fixture, on a runtime
/// of its own. The test `report` writes to standard error how many rules apply, and why others do
/// not. See [`conformance`](crate::testing::conformance).
#[macro_export]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
macro_rules! backend_conformance {
    ($suite:ident, $fixture:expr) => {
        $crate::backend_conformance! {
            @tests $suite, $fixture;
            names: Names, events: Events, streaming: Streaming, drop_stream: DropStream, drop_call: DropCall,
            empty: Empty, secrets: Secrets, unsupported: Unsupported, stop_sequences: StopSequences,
            one_token: OneToken, json_schema: JsonSchema, tools: Tools, concurrency: Concurrency, raw: Raw,
            history: History, system_prompt: SystemPrompt, media: Media, options: Options, tool_choice: ToolChoice,
            own_options: OwnOptions, usage: Usage, yields: Yields
        }
    };
    (@tests $suite:ident, $fixture:expr; $($name:ident: $case:ident),*) => {
        #[cfg(test)]
        mod $suite {
            #[allow(unused_imports, reason = "the fixture may need nothing of the module around")]
            use super::*;
            use $crate::testing::conformance::{Case, report as report_cases, run};

            $(
                #[test]
                fn $name() {
                    run(stringify!($suite), Case::$case, $fixture);
                }
            )*

            #[test]
            fn report() {
                report_cases(stringify!($suite), &[$(Case::$case),*], $fixture);
            }
        }
    };
}

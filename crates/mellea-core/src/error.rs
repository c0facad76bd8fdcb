//! The one error type of the core: what failed, where, and what to do about it.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::output::ModelOutput;
use crate::sampling::Attempt;

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What failed, where, and what to do about it.
///
/// An error is one pointer wide and clones cheaply: every handle on the same failed generation
/// reports the same error. [`kind`](Self::kind) says what happened, [`provider`](Self::provider),
/// [`model`](Self::model) and [`attempt`](Self::attempt) where, [`hint`](Self::hint) what to do.
/// Text that arrived before a failure is kept in [`partial`](Self::partial).
///
/// `Display` is one line. The underlying cause, if any, is [`source`](StdError::source).
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    provider: Option<String>,
    model: Option<String>,
    attempt: Option<usize>,
    hint: Option<Cow<'static, str>>,
    partial: Option<Arc<ModelOutput>>,
    response: Option<Arc<ProviderError>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What kind of failure an [`Error`] is.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    // What the caller gave.
    /// The request holds no text, image or audio for the model to work on.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// A requirement has neither a description nor a validator.
    #[error("a requirement has neither a description nor a validator")]
    EmptyRequirement,
    /// Requirements were given to a call that has nothing to check them.
    #[error("requirements cannot be checked by this call: {}", .0.join("; "))]
    UncheckedRequirements(Vec<String>),
    /// An option has a value outside of what it allows.
    #[error("option `{option}` cannot be {value}: {expected}")]
    InvalidOption {
        /// The option's name.
        option: String,
        /// The value that was given.
        value: String,
        /// What the option allows.
        expected: String,
    },
    /// The backend cannot honour something that was asked for, and strict options are on.
    #[error("{0}")]
    Unsupported(String),
    /// An image, audio block or document is not what it claims to be.
    #[error("invalid {what}: {reason}")]
    InvalidContent {
        /// Which kind of content.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A prompt template does not parse or render.
    #[error("template `{template}` failed: {reason}")]
    Template {
        /// The template's name.
        template: String,
        /// What went wrong.
        reason: String,
    },
    /// A template uses a variable that was not given.
    #[error("template `{template}` uses `{variable}`, which was not given")]
    UndefinedVariable {
        /// The template's name.
        template: String,
        /// The missing variable.
        variable: String,
    },
    /// A variable was given that no template uses.
    #[error("variable `{0}` is not used by the description, a requirement, an example or the context")]
    UnusedVariable(String),
    /// The answer's type has a schema that cannot be enforced.
    #[error("the schema cannot be enforced: `{keyword}` at {path} is not supported")]
    SchemaUnsupported {
        /// The JSON Schema keyword.
        keyword: String,
        /// Where it stands, as a JSON pointer.
        path: String,
    },
    /// A session, backend or model was set up with settings that cannot work.
    #[error("{0}")]
    Config(String),
    /// A backend was named that this program does not have.
    #[error("no backend named `{name}` in this program (it has: {available})")]
    UnknownBackend {
        /// The name asked for.
        name: String,
        /// The names that would work.
        available: String,
    },
    /// A precondition of a generative function does not hold; the model was not called.
    #[error("precondition failed: {}", .0.join("; "))]
    PreconditionFailed(Vec<String>),

    // What the model gave.
    /// The model finished without text and without a tool call.
    #[error("the model gave an empty answer")]
    EmptyResponse,
    /// The answer was cut at the token limit.
    #[error("the answer was cut after {produced} tokens{}", .limit.map(|l| format!(" (limit {l})")).unwrap_or_default())]
    Truncated {
        /// The limit on new tokens, if known.
        limit: Option<u64>,
        /// How many tokens were produced.
        produced: u64,
    },
    /// The answer does not fit the schema asked for.
    #[error("{}", crate::schema::Mismatches::new(.faults.clone(), *.more).complaint())]
    SchemaMismatch {
        /// Every place that does not fit, up to 16.
        faults: Vec<crate::schema::Mismatch>,
        /// How many more there are.
        more: usize,
    },
    /// A component could not make its value out of the answer.
    #[error("the answer could not be parsed: {0}")]
    Parse(String),
    /// The model produced endless white space where JSON was due.
    #[error("the model degenerated: {0}")]
    Degenerate(String),
    /// No attempt met all requirements within the budget.
    #[error("none of {} attempts met all requirements: {}", .attempts.len(), .attempts.get(*.chosen).map(|a| a.complaints().join("; ")).unwrap_or_default())]
    RequirementsNotMet {
        /// All attempts.
        attempts: Arc<[Attempt]>,
        /// Which of them came closest.
        chosen: usize,
    },
    /// A validator panicked or failed for a reason of its own.
    #[error("the validator of `{requirement}` failed: {reason}")]
    Validator {
        /// The requirement's description.
        requirement: String,
        /// What happened.
        reason: String,
    },
    /// A tool could not be found, called or finished.
    #[error("tool `{tool}`: {reason}")]
    Tool {
        /// The tool's name.
        tool: String,
        /// What happened.
        reason: String,
    },

    // What happened on the way.
    /// The prompt does not fit into the model's window.
    #[error("the prompt does not fit into the model's window{}", numbers(*.prompt, *.limit))]
    ContextWindowExceeded {
        /// Tokens of the prompt, if known.
        prompt: Option<u64>,
        /// Tokens that fit, if known.
        limit: Option<u64>,
    },
    /// The service read only a part of the prompt, and answered that part.
    #[error("the service read {read} tokens of a prompt of about {prompt}")]
    PromptTruncated {
        /// An estimate of the prompt's tokens.
        prompt: u64,
        /// The tokens that the service says it read.
        read: u64,
    },
    /// The session's history changed while the call was running.
    #[error("the session's history moved on while this call was running")]
    Conflict,
    /// Something took longer than it may.
    #[error("timed out after {limit:?} waiting for {phase}")]
    Timeout {
        /// What was waited for.
        phase: TimeoutPhase,
        /// The limit.
        limit: Duration,
    },
    /// The generation was cancelled.
    #[error("the generation was cancelled")]
    Cancelled,
    /// The stream ended before the model had finished.
    #[error("the stream ended before the answer was complete")]
    StreamInterrupted,
    /// The service or engine has no room for another request now.
    #[error("busy: {0}")]
    Busy(String),
    /// The model does not exist where it was looked for.
    #[error("model `{0}` was not found")]
    ModelNotFound(String),
    /// A file of a model is missing, damaged or of a kind that is not supported.
    #[error("{file}: {reason}")]
    ModelFile {
        /// The file's name.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A service answered with an error.
    #[error("{0}")]
    Provider(ProviderError),
    /// A service refuses because what was paid for is used up. Waiting does not help.
    #[error("{0}")]
    QuotaExhausted(ProviderError),
    /// A service answered with something that is not what its interface promises.
    #[error("the response is malformed{}: {reason}", place(.path))]
    MalformedResponse {
        /// Where in the JSON, in the form `choices[0].message`; empty for the whole.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A service could not be reached.
    #[error("{0}")]
    Connection(String),
    /// A real call was made although [`forbid_real_calls`](crate::testing::forbid_real_calls) is on, or a
    /// scripted backend has no answer for the request.
    #[error("{0}")]
    Testing(String),
    /// An operation needs a runtime that is not there, or must not run inside one.
    #[error("{0}")]
    Runtime(&'static str),
    /// The backend failed in a way of its own.
    #[error("{0}")]
    Backend(String),
}

/// What a [`Timeout`](ErrorKind::Timeout) was waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeoutPhase {
    /// The connection.
    Connect,
    /// The first piece of the answer.
    FirstToken,
    /// The next piece of the answer.
    NextToken,
    /// The whole call.
    Total,
    /// A tool.
    Tool,
}

impl fmt::Display for TimeoutPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the connection",
            Self::FirstToken => "the first token",
            Self::NextToken => "the next token",
            Self::Total => "the whole call",
            Self::Tool => "the tool",
        })
    }
}

/// What a service said when it refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderError {
    /// HTTP status.
    pub status: Option<u16>,
    /// The provider's own code or type.
    pub code: Option<String>,
    /// The provider's message.
    pub message: String,
    /// The provider's id of the request.
    pub request_id: Option<String>,
    /// How long the provider asks to wait.
    pub retry_after: Option<Duration>,
    /// The first 2 KiB of the body, without secrets.
    pub body: Option<String>,
}

impl ProviderError {
    /// An error with a message and nothing else yet.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(status) = self.status {
            write!(f, "status {status}: ")?;
        }
        f.write_str(one_line(&self.message).as_ref())?;
        if let Some(code) = &self.code {
            write!(f, " ({code})")?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " [request {id}]")?;
        }
        Ok(())
    }
}

fn numbers(prompt: Option<u64>, limit: Option<u64>) -> String {
    match (prompt, limit) {
        (Some(prompt), Some(limit)) => format!(": it has {prompt} tokens of at most {limit}"),
        (Some(prompt), None) => format!(": it has {prompt} tokens"),
        (None, Some(limit)) => format!(" of {limit} tokens"),
        (None, None) => String::new(),
    }
}

/// Where in the answer; nothing for the whole of it.
fn place(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" at {path}") }
}

fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(['\n', '\r']) { Cow::Owned(text.replace(['\n', '\r'], " ")) } else { Cow::Borrowed(text) }
}

impl Error {
    /// An error of this kind.
    #[must_use]
    pub fn new(kind: ErrorKind) -> Self {
        Self(Arc::new(Inner {
            kind,
            provider: None,
            model: None,
            attempt: None,
            hint: None,
            partial: None,
            response: None,
            source: None,
        }))
    }

    fn edit(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Adds where it happened, unless that is known already; an empty name says nothing.
    #[must_use]
    pub fn at(self, provider: &str, model: &str) -> Self {
        let known = |old: Option<String>, new: &str| old.or_else(|| (!new.is_empty()).then(|| new.to_owned()));
        self.edit(|e| {
            e.provider = known(e.provider.take(), provider);
            e.model = known(e.model.take(), model);
        })
    }

    /// Adds in which attempt it happened (counted from 1).
    #[must_use]
    pub fn in_attempt(self, attempt: usize) -> Self {
        self.edit(|e| e.attempt = Some(attempt))
    }

    /// Adds what the user can do.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.edit(|e| e.hint = Some(hint.into()))
    }

    /// Adds the underlying cause.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.edit(|e| e.source = Some(Arc::from(source.into())))
    }

    /// Adds what had arrived before the failure.
    #[must_use]
    pub fn with_partial(self, partial: Arc<ModelOutput>) -> Self {
        self.edit(|e| e.partial = Some(partial))
    }

    /// Adds what a service said, to an error of a kind that does not hold it.
    #[must_use]
    pub fn with_response(self, response: ProviderError) -> Self {
        self.edit(|e| e.response = Some(Arc::new(response)))
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The provider that was asked.
    #[must_use]
    pub fn provider(&self) -> Option<&str> {
        self.0.provider.as_deref()
    }

    /// The model that was asked.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.0.model.as_deref()
    }

    /// The attempt in which it happened, counted from 1.
    #[must_use]
    pub fn attempt(&self) -> Option<usize> {
        self.0.attempt
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// What had arrived before the failure, or the finished answer of a
    /// [`Conflict`](ErrorKind::Conflict).
    #[must_use]
    pub fn partial(&self) -> Option<&Arc<ModelOutput>> {
        self.0.partial.as_ref()
    }

    /// What the service said, if one answered.
    #[must_use]
    pub fn response(&self) -> Option<&ProviderError> {
        match &self.0.kind {
            ErrorKind::Provider(p) | ErrorKind::QuotaExhausted(p) => Some(p),
            _ => self.0.response.as_deref(),
        }
    }

    /// The HTTP status, if a service answered with one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.response()?.status
    }

    /// How long the service asks to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.response()?.retry_after
    }

    /// The provider's id of the request.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.response()?.request_id.as_deref()
    }

    /// Whether a limit of time was reached.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Timeout { .. })
    }

    /// Whether the service asks to slow down.
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        matches!(&self.0.kind, ErrorKind::Provider(p) if p.status == Some(429))
    }

    /// Whether the same call may succeed later: busy, rate-limited, unreachable or timed out.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match &self.0.kind {
            ErrorKind::Timeout { .. } | ErrorKind::Busy(_) | ErrorKind::Connection(_) | ErrorKind::StreamInterrupted => true,
            ErrorKind::Provider(p) => {
                matches!(p.status, Some(408 | 409 | 425 | 429 | 500 | 502..=504 | 520..=524 | 529))
            }
            _ => false,
        }
    }

    /// Whether the failure lies in what the model answered, so that another attempt may mend it.
    #[must_use]
    pub fn is_answer_fault(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::EmptyResponse
                | ErrorKind::Truncated { .. }
                | ErrorKind::SchemaMismatch { .. }
                | ErrorKind::Parse(_)
                | ErrorKind::Degenerate(_)
        )
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, provider, model, attempt, hint, .. } = &*self.0;
        match (provider, model) {
            (Some(p), Some(m)) => write!(f, "{p}/{m}: ")?,
            (Some(p), None) => write!(f, "{p}: ")?,
            _ => {}
        }
        if let Some(attempt) = attempt {
            write!(f, "attempt {attempt}: ")?;
        }
        f.write_str(&one_line(&kind.to_string()))?;
        if let Some(hint) = hint {
            write!(f, "; {}", one_line(hint))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind);
        for (name, value) in [("provider", &self.0.provider), ("model", &self.0.model)] {
            if let Some(value) = value {
                out.field(name, value);
            }
        }
        if let Some(attempt) = self.0.attempt {
            out.field("attempt", &attempt);
        }
        if let Some(hint) = &self.0.hint {
            out.field("hint", hint);
        }
        if let Some(response) = &self.0.response {
            out.field("response", response);
        }
        if let Some(source) = &self.0.source {
            out.field("source", source);
        }
        out.finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|e| e as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_pointer_wide_and_shared_between_threads() {
        fn shared<T: Send + Sync + Clone + 'static>() {}
        shared::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn display_is_one_line_that_says_what_where_and_what_to_do() {
        let error = Error::new(ErrorKind::Provider(ProviderError::new("over\ncapacity")))
            .at("ollama", "granite4.1:3b")
            .in_attempt(2)
            .with_hint("start it with `ollama serve`");
        assert_eq!(error.to_string(), "ollama/granite4.1:3b: attempt 2: over capacity; start it with `ollama serve`");
    }

    #[test]
    fn the_first_place_wins() {
        let error = Error::from(ErrorKind::EmptyPrompt).at("a", "b").at("c", "d");
        assert_eq!((error.provider(), error.model()), (Some("a"), Some("b")));
    }

    #[test]
    fn the_cause_is_the_source() {
        let error = Error::new(ErrorKind::Parse("no".into())).with_source(std::fmt::Error);
        assert!(error.source().is_some());
        assert!(error.is_answer_fault() && !error.is_retryable());
    }
}

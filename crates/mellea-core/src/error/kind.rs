//! The kinds of failure, their names and their sentences.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::time::Duration;

use super::ProviderError;
use mellea_schema::{Mismatch, Mismatches};

use crate::output::Warning;
use crate::text::short_line;

/// The most bytes of an error's sentence that `Display` shows.
const SHOWN: usize = 8 << 10;

/// What kind of failure an [`Error`](super::Error) is.
///
/// `Display` is one line of bounded length, whatever the parts hold. [`name`](Self::name) is stable.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    // What the caller gave.
    /// The request holds no text, image or audio for the model to work on.
    EmptyPrompt,
    /// A requirement has neither a description nor a validator.
    EmptyRequirement,
    /// Requirements were given to a call that has nothing to check them.
    UncheckedRequirements(Vec<String>),
    /// An option has a value that it does not allow.
    InvalidOption {
        /// The option's name.
        option: String,
        /// The value that was given.
        value: String,
        /// What the option allows.
        expected: String,
    },
    /// The backend cannot honour something that was asked for, and strict options are on.
    ///
    /// [`ErrorKind::unsupported`] makes it.
    Unsupported {
        /// What was asked for: an option's name, or words such as `audio`.
        feature: Cow<'static, str>,
        /// Who cannot: a provider's or a model's name. Empty if nobody in particular.
        by: String,
        /// What cannot be done and why, as a whole sentence.
        reason: String,
    },
    /// An image, audio block or document is not what it claims to be.
    InvalidContent {
        /// Which kind of content.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A prompt template does not parse or render.
    Template {
        /// The template's name.
        template: String,
        /// What went wrong.
        reason: String,
    },
    /// A template uses a variable that was not given.
    UndefinedVariable {
        /// The template's name.
        template: String,
        /// The missing variable.
        variable: String,
    },
    /// A variable was given that no template uses.
    UnusedVariable(String),
    /// The answer's type has a schema that cannot be enforced.
    SchemaUnsupported {
        /// The JSON Schema keyword.
        keyword: String,
        /// Where it stands, as a JSON pointer.
        path: String,
    },
    /// A session, backend or model was set up with settings that cannot work.
    ///
    /// [`ErrorKind::config`] makes it.
    Config {
        /// The setting's name, such as `model`, `api_key` or `base_url`.
        setting: Cow<'static, str>,
        /// What is wrong with it, as a whole sentence.
        reason: String,
    },
    /// A backend was named that this program does not have.
    UnknownBackend {
        /// The name asked for.
        name: String,
        /// The names that would work.
        available: String,
    },
    /// A precondition of a generative function does not hold; the model was not called.
    PreconditionFailed(Vec<String>),

    // What the model gave.
    /// The model finished without text and without a tool call.
    EmptyResponse,
    /// The answer was cut at the token limit.
    Truncated {
        /// The limit on new tokens, if known.
        limit: Option<u64>,
        /// How many tokens were produced.
        produced: u64,
    },
    /// The answer does not fit the schema asked for.
    SchemaMismatch {
        /// Every place that does not fit, up to 16.
        faults: Vec<Mismatch>,
        /// How many more there are.
        more: usize,
    },
    /// A component could not make its value out of the answer.
    Parse(String),
    /// The model produced endless white space where JSON was due.
    Degenerate(String),
    /// A provider's filter cut the answer or left nothing of it.
    ContentFiltered,
    /// A check ended the answer while it arrived.
    StreamCheck {
        /// The requirement's description.
        check: String,
        /// Why it refused the answer.
        reason: String,
    },
    /// The model still called tools when it had to answer.
    ToolRounds {
        /// How often tools ran before.
        limit: usize,
    },
    /// No attempt met all requirements within the budget.
    RequirementsNotMet {
        /// How many attempts were made; [`Error::attempts`](super::Error::attempts) has them all.
        attempts: usize,
        /// What the attempt that came closest was refused for, one reason each.
        unmet: Vec<String>,
    },
    /// A validator panicked or failed for a reason of its own.
    Validator {
        /// The requirement's description.
        requirement: String,
        /// What happened.
        reason: String,
    },
    /// A sampling strategy panicked.
    Strategy(String),
    /// A tool could not be found, called or finished.
    Tool {
        /// The tool's name.
        tool: String,
        /// What happened.
        reason: String,
    },

    // What happened on the way.
    /// The prompt does not fit into the model's window.
    ContextWindowExceeded {
        /// Tokens of the prompt, if known.
        prompt: Option<u64>,
        /// Tokens that fit, if known.
        limit: Option<u64>,
    },
    /// The service read only a part of the prompt, and answered that part.
    PromptTruncated {
        /// An estimate of the prompt's tokens.
        prompt: u64,
        /// The tokens that the service says it read.
        read: u64,
    },
    /// The session's history changed while the call was running.
    Conflict,
    /// Something took longer than it may.
    Timeout {
        /// What was waited for.
        phase: TimeoutPhase,
        /// The limit.
        limit: Duration,
    },
    /// The generation was cancelled.
    Cancelled,
    /// The stream ended before the model had finished.
    StreamInterrupted,
    /// The service or engine has no room for another request now.
    Busy(String),
    /// The model does not exist where it was looked for.
    ModelNotFound(String),
    /// A file of a model is missing, damaged or of a kind that is not supported.
    ModelFile {
        /// The file's name.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A service answered with an error.
    Provider(ProviderError),
    /// A service refuses because what was paid for is used up. Waiting does not help.
    QuotaExhausted(ProviderError),
    /// A service answered with something that is not what its interface promises.
    MalformedResponse {
        /// Where in the JSON, in the form `choices[0].message`; empty for the whole.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A service could not be reached.
    ///
    /// [`ErrorKind::connection`] makes it.
    Connection {
        /// Where it was looked for, without anything secret. Empty if unknown.
        address: String,
        /// What happened, as a whole sentence.
        reason: String,
    },
    /// A real call was made although [`forbid_real_calls`](crate::testing::forbid_real_calls) is on, or a
    /// scripted backend has no answer for the request.
    Testing(String),
    /// An operation needs a runtime that is not there, or must not run inside one.
    Runtime(&'static str),
    /// The backend failed in a way of its own.
    Backend(String),
}

impl ErrorKind {
    /// A [`Config`](Self::Config): which setting cannot work, and why, as a whole sentence.
    pub fn config(setting: impl Into<Cow<'static, str>>, reason: impl Into<String>) -> Self {
        Self::Config { setting: setting.into(), reason: reason.into() }
    }

    /// An [`Unsupported`](Self::Unsupported): what was asked for, who cannot do it (empty for nobody
    /// in particular), and why, as a whole sentence.
    pub fn unsupported(feature: impl Into<Cow<'static, str>>, by: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Unsupported { feature: feature.into(), by: by.into(), reason: reason.into() }
    }

    /// A [`Connection`](Self::Connection): the address (empty if unknown), and what happened, as a
    /// whole sentence.
    pub fn connection(address: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Connection { address: address.into(), reason: reason.into() }
    }

    /// The kind's name, such as `schema_mismatch`: the variant in snake case.
    ///
    /// Names are stable: reports, traces and metrics may rely on them.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::EmptyPrompt => "empty_prompt",
            Self::EmptyRequirement => "empty_requirement",
            Self::UncheckedRequirements(_) => "unchecked_requirements",
            Self::InvalidOption { .. } => "invalid_option",
            Self::Unsupported { .. } => "unsupported",
            Self::InvalidContent { .. } => "invalid_content",
            Self::Template { .. } => "template",
            Self::UndefinedVariable { .. } => "undefined_variable",
            Self::UnusedVariable(_) => "unused_variable",
            Self::SchemaUnsupported { .. } => "schema_unsupported",
            Self::Config { .. } => "config",
            Self::UnknownBackend { .. } => "unknown_backend",
            Self::PreconditionFailed(_) => "precondition_failed",
            Self::EmptyResponse => "empty_response",
            Self::Truncated { .. } => "truncated",
            Self::SchemaMismatch { .. } => "schema_mismatch",
            Self::Parse(_) => "parse",
            Self::Degenerate(_) => "degenerate",
            Self::ContentFiltered => "content_filtered",
            Self::StreamCheck { .. } => "stream_check",
            Self::ToolRounds { .. } => "tool_rounds",
            Self::RequirementsNotMet { .. } => "requirements_not_met",
            Self::Validator { .. } => "validator",
            Self::Strategy(_) => "strategy",
            Self::Tool { .. } => "tool",
            Self::ContextWindowExceeded { .. } => "context_window_exceeded",
            Self::PromptTruncated { .. } => "prompt_truncated",
            Self::Conflict => "conflict",
            Self::Timeout { .. } => "timeout",
            Self::Cancelled => "cancelled",
            Self::StreamInterrupted => "stream_interrupted",
            Self::Busy(_) => "busy",
            Self::ModelNotFound(_) => "model_not_found",
            Self::ModelFile { .. } => "model_file",
            Self::Provider(_) => "provider",
            Self::QuotaExhausted(_) => "quota_exhausted",
            Self::MalformedResponse { .. } => "malformed_response",
            Self::Connection { .. } => "connection",
            Self::Testing(_) => "testing",
            Self::Runtime(_) => "runtime",
            Self::Backend(_) => "backend",
        }
    }

    /// The sentence, as long as its parts make it and with whatever they hold.
    fn sentence(&self) -> Cow<'_, str> {
        let text = match self {
            Self::EmptyPrompt => return "the prompt is empty".into(),
            Self::EmptyRequirement => return "a requirement has neither a description nor a validator".into(),
            Self::EmptyResponse => return "the model gave an empty answer".into(),
            Self::ContentFiltered => return "a filter of the provider cut the answer".into(),
            Self::Conflict => return "the session's history moved on while this call was running".into(),
            Self::Cancelled => return "the generation was cancelled".into(),
            Self::StreamInterrupted => return "the stream ended before the answer was complete".into(),
            Self::Runtime(reason) => return (*reason).into(),
            Self::Config { reason, .. }
            | Self::Unsupported { reason, .. }
            | Self::Connection { reason, .. }
            | Self::Testing(reason)
            | Self::Backend(reason) => return reason.into(),
            Self::Provider(said) | Self::QuotaExhausted(said) => said.to_string(),
            Self::UncheckedRequirements(all) => format!("requirements cannot be checked by this call: {}", all.join("; ")),
            Self::InvalidOption { option, value, expected } => format!("option `{option}` cannot be {value}: {expected}"),
            Self::InvalidContent { what, reason } => format!("invalid {what}: {reason}"),
            Self::Template { template, reason } => format!("template `{template}` failed: {reason}"),
            Self::UndefinedVariable { template, variable } => {
                format!("template `{template}` uses `{variable}`, which was not given")
            }
            Self::UnusedVariable(name) => {
                format!("variable `{name}` is not used by the description, a requirement, an example or the context")
            }
            Self::SchemaUnsupported { keyword, path } => {
                format!("the schema cannot be enforced: `{keyword}` at {path} is not supported")
            }
            Self::UnknownBackend { name, available } => {
                format!("no backend named `{name}` in this program (it has: {available})")
            }
            Self::PreconditionFailed(all) => format!("precondition failed: {}", all.join("; ")),
            Self::Truncated { limit, produced } => {
                let limit = limit.map(|limit| format!(" (limit {limit})")).unwrap_or_default();
                format!("the answer was cut after {produced} tokens{limit}")
            }
            Self::SchemaMismatch { faults, more } => Mismatches::new(faults.clone(), *more).complaint(),
            Self::Parse(reason) => format!("the answer could not be parsed: {reason}"),
            Self::Degenerate(reason) => format!("the model degenerated: {reason}"),
            Self::RequirementsNotMet { attempts, unmet } => {
                let mut text = format!("none of {attempts} attempts met all requirements");
                for (i, reason) in unmet.iter().enumerate() {
                    let _ = write!(text, "{}{reason}", if i == 0 { ": " } else { "; " });
                }
                text
            }
            Self::StreamCheck { check, reason } if check.is_empty() => format!("the answer was stopped: {reason}"),
            Self::StreamCheck { check, reason } => format!("the answer was stopped by the check `{check}`: {reason}"),
            Self::ToolRounds { limit } => format!("the model still called tools after {limit} rounds of them"),
            Self::Strategy(reason) => format!("the sampling strategy failed: {reason}"),
            Self::Validator { requirement, reason } => format!("the validator of `{requirement}` failed: {reason}"),
            Self::Tool { tool, reason } => format!("tool `{}`: {reason}", short_line(tool, 256)),
            Self::ContextWindowExceeded { prompt, limit } => {
                format!("the prompt does not fit into the model's window{}", numbers(*prompt, *limit))
            }
            Self::PromptTruncated { prompt, read } => {
                format!("the service read {read} tokens of a prompt of about {prompt}")
            }
            Self::Timeout { phase, limit } => format!("timed out after {limit:?} waiting for {phase}"),
            Self::Busy(reason) => format!("busy: {reason}"),
            Self::ModelNotFound(model) => format!("model `{model}` was not found"),
            Self::ModelFile { file, reason } => format!("{file}: {reason}"),
            Self::MalformedResponse { path, reason } => format!("the response is malformed{}: {reason}", place(path)),
        };
        Cow::Owned(text)
    }
}

impl From<&Warning> for ErrorKind {
    /// The [`Unsupported`](Self::Unsupported) that a strict session makes of a warning.
    fn from(warning: &Warning) -> Self {
        let (feature, by) = match warning {
            Warning::UnsupportedOption { option, provider } => (Cow::Owned(option.clone()), provider.as_str()),
            Warning::ConflictingOption { dropped, .. } => (Cow::Owned(dropped.clone()), ""),
            Warning::Unconstrained { .. } | Warning::LenientJson { .. } => (Cow::Borrowed("format"), ""),
            Warning::Cut { .. } => (Cow::Borrowed("max_new_tokens"), ""),
            Warning::Other { .. } | Warning::Note { .. } => (Cow::Borrowed("request"), ""),
        };
        Self::unsupported(feature, by, warning.to_string())
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&short_line(&self.sentence(), SHOWN))
    }
}

impl StdError for ErrorKind {}

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

//! One error type for everything that can go wrong between a model's name and its last token.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync>;

/// Why loading a model or generating with it failed.
///
/// One pointer wide; [`kind`](Self::kind) tells the cases apart, `source()` keeps the cause.
pub struct Error {
    kind: Box<ErrorKind>,
}

/// The cases of [`Error`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A request holds no text.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// Neither the hub nor the cache knows this model, revision or file.
    #[error(
        "{id} (revision {revision}) has no {what} on the hub or in {}: check the name and the revision, \
         or set a token if the repository is private",
        cache.display()
    )]
    NotFound {
        /// The repository asked for.
        id: String,
        /// The branch, tag or commit asked for.
        revision: String,
        /// The cache directory that was searched.
        cache: PathBuf,
        /// The file that is missing, or `repository`.
        what: String,
    },
    /// The hub refused access.
    #[error(
        "the hub refused {id} (revision {revision}) with status {status}: the repository may be gated, private or \
         renamed; accept its terms on its page and set HF_TOKEN to a token that may read it \
         (nothing was found in {})",
        cache.display()
    )]
    Refused {
        /// The repository asked for.
        id: String,
        /// The branch, tag or commit asked for.
        revision: String,
        /// The cache directory that was searched.
        cache: PathBuf,
        /// The HTTP status, 401 or 403.
        status: u16,
    },
    /// The files are not in the cache and the network must not be used.
    #[error(
        "{what} of {id} (revision {revision}) is not in {} and {reason}: fetch the model once with the network on",
        cache.display()
    )]
    Offline {
        /// The repository asked for.
        id: String,
        /// The branch, tag or commit asked for.
        revision: String,
        /// The cache directory that was searched.
        cache: PathBuf,
        /// The file that is missing.
        what: String,
        /// Why the network is not used.
        reason: &'static str,
    },
    /// The hub could not be reached, or broke off.
    #[error(
        "could not fetch {what} of {id} (revision {revision}) from {endpoint}: {detail}; \
         files that are already there stay in {}",
        cache.display()
    )]
    Network {
        /// The repository asked for.
        id: String,
        /// The branch, tag or commit asked for.
        revision: String,
        /// The cache directory.
        cache: PathBuf,
        /// The hub's address, without user information.
        endpoint: String,
        /// The file being fetched.
        what: String,
        /// What the client said.
        detail: String,
    },
    /// A file could not be read.
    #[error("could not read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A model lacks a file that it needs.
    #[error("{model} has no {file}: {hint}")]
    MissingFile {
        /// The model or its directory.
        model: String,
        /// The file's name.
        file: String,
        /// What to do.
        hint: &'static str,
    },
    /// A file of the model is not what its name says.
    #[error("{file} is malformed: {detail}")]
    Malformed {
        /// The file's name.
        file: String,
        /// What is wrong, where.
        detail: String,
    },
    /// The architecture is not implemented.
    #[error("architecture {found} is not supported; supported are {}", supported.join(", "))]
    UnsupportedArchitecture {
        /// What `config.json` names.
        found: String,
        /// What this crate implements.
        supported: &'static [&'static str],
    },
    /// The architecture is implemented, but not with this setting.
    #[error("config.json: {field} = {found} is not supported ({expected})")]
    UnsupportedConfig {
        /// The setting.
        field: &'static str,
        /// Its value.
        found: String,
        /// What would be.
        expected: &'static str,
    },
    /// A tensor is missing or has another shape than the configuration says.
    #[error("tensor {tensor} in {file}: expected {expected}, found {found}")]
    Tensor {
        /// The file, or the set of files.
        file: String,
        /// The tensor's name.
        tensor: String,
        /// What the configuration asks for.
        expected: String,
        /// What the file holds.
        found: String,
    },
    /// The tokenizer failed on a text.
    #[error("the tokenizer failed: {detail}")]
    Tokenizer {
        /// What it said.
        detail: String,
    },
    /// The chat template failed or refused the conversation.
    #[error("the chat template failed: {detail}")]
    Template {
        /// What it said.
        detail: String,
    },
    /// A chat was requested of a model without a chat template.
    #[error("{model} has no chat template: use raw generation, or give a template to the builder")]
    NoTemplate {
        /// The model.
        model: String,
    },
    /// The request asks for something a local model cannot do.
    #[error("{what} is not supported by the local backend: {hint}")]
    Unsupported {
        /// What was asked for.
        what: String,
        /// What to do instead.
        hint: String,
    },
    /// An option has a value outside its range.
    #[error("option {option} = {found} is out of range ({expected})")]
    Option {
        /// The option.
        option: &'static str,
        /// Its value.
        found: String,
        /// The range.
        expected: &'static str,
    },
    /// The prompt leaves no room for an answer.
    #[error("the prompt has {prompt} tokens, the context holds {limit}: shorten the conversation")]
    ContextOverflow {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens the model can attend to.
        limit: usize,
    },
    /// A schema or a regular expression could not be turned into a constraint.
    #[error("cannot constrain the output: {detail}")]
    Grammar {
        /// What is wrong, with the keyword.
        detail: String,
    },
    /// The engine's queue is full.
    #[error("the engine is busy: {capacity} requests are waiting; try again later")]
    Busy {
        /// The queue's bound.
        capacity: usize,
    },
    /// The engine's thread has ended.
    #[error("the engine has stopped: load the model again")]
    Stopped,
    /// The arithmetic failed.
    #[error("the computation failed")]
    Compute {
        /// The cause.
        source: Source,
    },
}

impl Error {
    /// The case, with its data.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Whether the same request may succeed later without a change.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(*self.kind, ErrorKind::Busy { .. } | ErrorKind::Network { .. })
    }

    pub(crate) fn malformed(file: impl Into<String>, detail: impl fmt::Display) -> Self {
        ErrorKind::Malformed { file: file.into(), detail: one_line(&detail.to_string()) }.into()
    }

    pub(crate) fn grammar(detail: impl fmt::Display) -> Self {
        ErrorKind::Grammar { detail: one_line(&detail.to_string()) }.into()
    }

    pub(crate) fn template(detail: impl fmt::Display) -> Self {
        ErrorKind::Template { detail: one_line(&detail.to_string()) }.into()
    }

    pub(crate) fn tokenizer(detail: impl fmt::Display) -> Self {
        ErrorKind::Tokenizer { detail: one_line(&detail.to_string()) }.into()
    }
}

/// Causes come from many libraries, some with line breaks or long excerpts: one short line is kept.
fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    mellea_core::text::short_line(&line, 400).into_owned()
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self { kind: Box::new(kind) }
    }
}

impl From<candle_core::Error> for Error {
    fn from(source: candle_core::Error) -> Self {
        ErrorKind::Compute { source: Box::new(source) }.into()
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.kind, f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.kind, f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.kind.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer_and_crosses_threads() {
        fn crosses<T: Send + Sync + 'static>() {}
        crosses::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn foreign_texts_become_one_short_line() {
        let error = Error::grammar(format!("first\n  second {}", "x".repeat(900)));
        let text = error.to_string();
        assert!(!text.contains('\n'));
        assert!(text.len() < 500, "{text}");
    }
}

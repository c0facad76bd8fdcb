//! This crate's errors as core's.

use mellea_core::ErrorKind as Core;

use crate::error::{Error, ErrorKind};

impl From<Error> for mellea_core::Error {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        let kind = match error.kind() {
            ErrorKind::NotFound { id, .. } | ErrorKind::Refused { id, .. } | ErrorKind::Offline { id, .. } => {
                return Self::new(Core::ModelNotFound(id.clone())).with_hint(text).with_source(error);
            }
            ErrorKind::EmptyPrompt => Core::EmptyPrompt,
            ErrorKind::Network { endpoint, .. } => Core::connection(endpoint.clone(), text),
            ErrorKind::Io { path, source } => Core::ModelFile { file: path.display().to_string(), reason: source.to_string() },
            ErrorKind::MissingFile { file, .. } | ErrorKind::Malformed { file, .. } | ErrorKind::Tensor { file, .. } => {
                Core::ModelFile { file: file.clone(), reason: text }
            }
            ErrorKind::UnsupportedArchitecture { .. } | ErrorKind::UnsupportedConfig { .. } => {
                Core::ModelFile { file: "config.json".to_owned(), reason: text }
            }
            ErrorKind::Template { detail } => Core::Template { template: "chat template".to_owned(), reason: detail.clone() },
            ErrorKind::NoTemplate { model } => Core::unsupported("chat", model.clone(), text),
            ErrorKind::Unsupported { what, .. } => Core::unsupported(what.clone(), "hf", text),
            ErrorKind::Grammar { .. } => Core::unsupported("format", "hf", text),
            ErrorKind::Option { option, found, expected } => {
                Core::InvalidOption { option: (*option).to_owned(), value: found.clone(), expected: (*expected).to_owned() }
            }
            ErrorKind::ContextOverflow { prompt, limit } => {
                Core::ContextWindowExceeded { prompt: Some(*prompt as u64), limit: Some(*limit as u64) }
            }
            ErrorKind::Busy { capacity } => Core::Busy(format!("{capacity} requests are waiting for the engine")),
            ErrorKind::Tokenizer { .. } | ErrorKind::Stopped | ErrorKind::Compute { .. } => Core::Backend(text),
        };
        Self::new(kind).with_source(error)
    }
}

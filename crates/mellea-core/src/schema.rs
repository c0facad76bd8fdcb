//! The type of an answer as a JSON schema: told to the model, enforced, read back.
//!
//! The schemas themselves are a crate of their own, `mellea-schema`; this module is where the core names
//! it, and where its errors become the core's.

use std::sync::Arc;

pub use mellea_schema::{
    Arguments, Dialect, Found, JsonValues, LeftOut, MAX_DEPTH, Mismatch, Mismatches, NotStrict, Parsed, Pattern, Reading, Schema,
    SchemaError, Shape, Strict, Unchecked, Wire, json_values, value_as,
};

use crate::error::{Error, ErrorKind, Result};
use crate::output::ModelOutput;

impl From<SchemaError> for ErrorKind {
    fn from(error: SchemaError) -> Self {
        match error {
            SchemaError::Unsupported(unchecked) => Self::SchemaUnsupported { keyword: unchecked.keyword, path: unchecked.path },
            SchemaError::Mismatch(Mismatches { faults, more, .. }) => Self::SchemaMismatch { faults, more },
            SchemaError::Ambiguous { first, last } => {
                Self::Parse(format!("it holds different values that fit its type: {first} and {last}"))
            }
            SchemaError::Broken(error) => Self::Parse(format!("its JSON is broken: {error}")),
            SchemaError::NoJson => Self::Parse("it holds no JSON".to_owned()),
            SchemaError::Refused(error) => Self::Parse(error.to_string()),
            other => Self::Parse(other.to_string()),
        }
    }
}

impl From<SchemaError> for Error {
    fn from(error: SchemaError) -> Self {
        match error {
            SchemaError::Unsupported(Unchecked { keyword, path, reason, .. }) => {
                let error = Self::new(ErrorKind::SchemaUnsupported { keyword, path });
                match reason {
                    Some(reason) => error.with_hint(reason),
                    None => error,
                }
            }
            SchemaError::Broken(source) => {
                Self::new(ErrorKind::Parse(format!("its JSON is broken: {source}"))).with_source(source)
            }
            SchemaError::Refused(source) => Self::new(ErrorKind::Parse(source.to_string())).with_source(source),
            other => Self::new(other.into()),
        }
    }
}

/// Reads an answer's value once. An error keeps the answer as its [`partial`](Error::partial) output.
pub(crate) fn read_answer(schema: &Schema, output: &Arc<ModelOutput>, reading: Reading) -> Result<Parsed> {
    schema.parse_with(&output.text, reading).map_err(|error| Error::from(error).with_partial(Arc::clone(output)))
}

//! What an error carries of the work before it, without knowing what that is.

use std::any::Any;
use std::fmt;

use serde_json::Value;

/// A record of work that was done, and paid for, before a call failed.
///
/// The error type stands below the parts that know what an attempt is, so it holds the record
/// without looking inside: [`Error::attempts`](super::Error::attempts) knows its type again.
pub(crate) trait Record: Any + fmt::Debug + Send + Sync {
    /// The record's part of an error's report.
    fn report(&self) -> Value;
}

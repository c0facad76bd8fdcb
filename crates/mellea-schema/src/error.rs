//! What can be wrong with a schema, with a value, and with the text of an answer.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many mismatches are kept; the rest are counted.
pub(crate) const MAX_FAULTS: usize = 16;

/// How many of them stand in the one line of a message.
const TOLD: usize = 3;

/// One place where a value does not fit its schema.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mismatch {
    /// Where, as a JSON pointer; empty for the whole value.
    pub path: String,
    /// What the schema asks for.
    pub expected: String,
    /// What the value holds.
    pub found: String,
}

impl Mismatch {
    /// A mismatch at a place.
    pub fn new(path: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { path: path.into(), expected: expected.into(), found: found.into() }
    }
}

impl fmt::Display for Mismatch {
    /// `at /age: expected integer, found "x"`; without a place if it is the whole value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "at {}: ", self.path)?;
        }
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

/// Every place where a value does not fit, up to 16 of them, and the number of the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mismatches {
    /// The first 16, in the order of the schema.
    pub faults: Vec<Mismatch>,
    /// How many more there are.
    pub more: usize,
}

impl Mismatches {
    /// These mismatches; those beyond the first 16 are only counted.
    #[must_use]
    pub fn new(mut faults: Vec<Mismatch>, more: usize) -> Self {
        let more = more.saturating_add(faults.len().saturating_sub(MAX_FAULTS));
        faults.truncate(MAX_FAULTS);
        Self { faults, more }
    }

    /// One line that says of an answer that it does not fit, and names the first few places.
    #[must_use]
    pub fn complaint(&self) -> String {
        let whole = self.faults.first().is_none_or(|fault| fault.path.is_empty());
        format!("the answer does not fit its type{}{self}", if whole { ": " } else { " " })
    }

    pub(crate) fn push(&mut self, fault: Mismatch) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        } else {
            self.more += 1;
        }
    }
}

impl fmt::Display for Mismatches {
    /// One line that names the first few.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().take(TOLD).enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            fault.fmt(f)?;
        }
        match self.faults.len().saturating_sub(TOLD) + self.more {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl From<Mismatch> for Mismatches {
    fn from(fault: Mismatch) -> Self {
        Self { faults: vec![fault], more: 0 }
    }
}

/// A keyword of a schema that is not checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unchecked {
    /// The JSON Schema keyword.
    pub keyword: String,
    /// The schema that has it, as a JSON pointer into the whole schema.
    pub path: String,
    /// Why it is not checked, if that is not plain from its name.
    pub reason: Option<String>,
}

impl Unchecked {
    pub(crate) fn new(keyword: &str, path: &str, reason: Option<&str>) -> Self {
        let cut = |text: &str| text.chars().take(200).collect::<String>();
        Self { keyword: cut(keyword), path: cut(path), reason: reason.map(str::to_owned) }
    }
}

impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.keyword)?;
        if !self.path.is_empty() {
            write!(f, " at {}", self.path)?;
        }
        match &self.reason {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}

/// Why a schema or an answer was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The schema says something that cannot be checked.
    #[error("the schema cannot be enforced: {0} is not supported")]
    Unsupported(Unchecked),
    /// The value does not fit the schema.
    #[error("{}", .0.complaint())]
    Mismatch(Mismatches),
    /// The answer holds several different values that fit, and nothing says which one counts.
    #[error("the answer holds different values that fit its type: {first} and {last}")]
    Ambiguous {
        /// An earlier value, shortened.
        first: String,
        /// The last one, shortened.
        last: String,
    },
    /// The answer holds JSON that breaks off or is malformed.
    #[error("the answer's JSON is broken: {0}")]
    Broken(#[source] serde_json::Error),
    /// The answer holds no JSON.
    #[error("the answer holds no JSON")]
    NoJson,
    /// The value fits the schema, but the Rust type refuses it.
    #[error("the answer's type refuses its value: {0}")]
    Refused(#[source] serde_json::Error),
}

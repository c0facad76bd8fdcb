//! What the fuzz targets can reach; it exists only under `--cfg fuzzing`.

use mellea_core::{Error, ModelOutput, Result};
use serde_json::{Map, Value};

use crate::dialect::Dialect;
use crate::learned::{Memory, refuses_lists};
use crate::wire::Completion;
use crate::{complete, models};

/// The outputs of a raw completion, one for each prompt.
#[must_use]
pub fn outputs(completion: Completion, prompts: usize) -> Vec<Result<ModelOutput>> {
    complete::pair(completion.choices.unwrap_or_default(), prompts, &ModelOutput::default())
}

/// The names in a list of models.
#[must_use]
pub fn names(body: &Value) -> Option<Vec<String>> {
    models::names(body)
}

/// Whether a refusal teaches anything about a request with these fields.
#[must_use]
pub fn teaches(dialect: &Dialect, sent: &Map<String, Value>, error: &Error) -> bool {
    Memory::learn(Memory::default().now(), dialect, sent, error).is_some() || refuses_lists(error)
}

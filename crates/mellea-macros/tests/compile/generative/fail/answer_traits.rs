//! The type of the answer must be read from JSON and have a schema.

use mellea::prelude::*;

struct Plain;

#[derive(serde::Serialize)]
struct Written;

/// With a type that is neither `Deserialize` nor `JsonSchema`.
#[generative]
async fn plain(text: &str) -> Plain;

/// With an input that is not `Serialize`.
#[generative]
async fn input(first: Written, second: Plain) -> String;

fn main() {}

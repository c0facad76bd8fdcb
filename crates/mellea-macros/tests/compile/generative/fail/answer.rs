//! The type of the answer must be one that a model can give.

use mellea::prelude::*;

/// Without an answer.
#[generative]
async fn nothing(text: &str);

/// With an empty answer.
#[generative]
async fn unit(text: &str) -> ();

/// With a result.
#[generative]
async fn result(text: &str) -> mellea::Result<String>;

/// With a borrowed answer.
#[generative]
async fn borrowed(text: &str) -> &str;

/// With a hidden type.
#[generative]
async fn hidden(text: &str) -> impl Clone;

/// With a type that cannot be read.
#[generative]
async fn inferred(text: &str) -> _;

fn main() {}

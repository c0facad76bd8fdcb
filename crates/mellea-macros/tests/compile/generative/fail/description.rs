//! A function must say what it does.

use mellea::prelude::*;

#[generative]
async fn undocumented(text: &str) -> String;

/// With a body.
#[generative]
async fn with_a_body(text: &str) -> String {
    text.to_owned()
}

/// No function.
#[generative]
struct Thing;

fn main() {}

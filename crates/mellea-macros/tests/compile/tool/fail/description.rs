//! A tool must say what it does, and do it.

use mellea::prelude::*;

#[tool]
fn undocumented(city: String) -> String {
    city
}

/// Without a body.
#[tool]
fn without_a_body(city: String) -> String;

/// No function.
#[tool]
enum Thing {}

fn main() {}

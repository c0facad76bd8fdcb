//! Arguments must be known and spelt as documented.

use mellea::prelude::*;

/// Unknown and misspelt.
#[tool(title = "x", name("y"), timeout)]
fn misspelt() {}

/// Twice.
#[tool(name = "a", name = "b")]
fn twice(#[tool(default = 1, default = 2)] a: u8) -> u8 {
    a
}

/// Names that providers refuse.
#[tool(name = "get weather")]
fn spaced() {}

/// Names that providers refuse.
#[tool]
fn größe() {}

/// On parameters.
#[tool]
fn parameters(#[tool(min = 1)] a: u8, #[tool(default("x"))] b: String, #[tool] c: u8) {}

fn main() {}

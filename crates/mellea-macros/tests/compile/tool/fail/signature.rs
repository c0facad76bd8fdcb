//! A signature must be plain, and its parameters values.

use mellea::prelude::*;

/// Everything at once.
#[tool]
const unsafe extern "C" fn everything<'a, T>(&self, (a, b): (u8, u8), c: &'a str, d: impl Clone, #[cfg(test)] e: Option<T>) {}

fn main() {}

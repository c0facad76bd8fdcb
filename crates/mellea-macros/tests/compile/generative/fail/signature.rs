//! A signature must be plain.

use mellea::prelude::*;

/// Everything at once.
#[generative]
const unsafe extern "C" fn everything<T, const N: usize>(self, (a, b): (u8, u8), mut c: T, #[cfg(test)] d: u8) -> String
where
    T: Clone;

/// With a described parameter.
#[generative]
async fn described(
    /// The text.
    text: &str,
) -> String;

fn main() {}

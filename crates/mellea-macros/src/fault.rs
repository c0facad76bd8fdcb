//! Mistakes in a macro's input, gathered so that all of them are reported at once.

use std::fmt::Display;

use quote::ToTokens;
use syn::{Error, Result};

/// The mistakes found so far.
#[derive(Default)]
pub(crate) struct Faults(Option<Error>);

impl Faults {
    /// Adds a mistake at these tokens.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.add(Error::new_spanned(tokens, message));
    }

    /// Adds a mistake.
    pub(crate) fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            none => *none = Some(error),
        }
    }

    /// The value, or its default and one mistake more.
    pub(crate) fn or_default<T: Default>(&mut self, result: Result<T>) -> T {
        result.unwrap_or_else(|error| {
            self.add(error);
            T::default()
        })
    }

    /// The value, if there were no mistakes.
    pub(crate) fn finish<T>(self, value: impl FnOnce() -> T) -> Result<T> {
        self.0.map_or_else(|| Ok(value()), Err)
    }
}

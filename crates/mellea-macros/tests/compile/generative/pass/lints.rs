//! Expansions are silent under strict lints, and need nothing to be imported.

#![deny(warnings, missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

/// A type with a name that expansions use, too.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
pub struct Session {
    /// A name.
    pub name: String,
}

/// Functions.
#[no_implicit_prelude]
pub mod functions {
    use super::Session;

    /// Read the session.
    #[::mellea::generative]
    pub async fn read(session: &str, call: u8, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) -> Session;

    /// Repeat the text.
    #[::mellea::generative(require("Be exact."), option("seed", 1))]
    pub fn repeat<'a>(text: &'a str) -> ::std::string::String;

    #[doc = ::std::include_str!("../../../../Cargo.toml")]
    #[::mellea::generative]
    #[cfg(not(windows))]
    pub async fn from_a_file() -> ::std::vec::Vec<u8>;
}

fn main() {}

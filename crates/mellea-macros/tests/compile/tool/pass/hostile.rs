//! Expansions do not care for what else goes by the names that they use.

#![deny(warnings)]
#![allow(dead_code)]

/// Every name of the prelude means something else here.
mod hostile {
    pub struct Box;
    pub struct Option;
    pub struct Vec;
    pub struct String;
    pub struct Arc;
    pub struct OnceLock;
    pub struct Session;
    pub struct Tool;
    pub struct FunctionTool;
    pub struct ToolError;
    pub struct Value;
    pub struct Ok;
    pub struct Err;
    pub struct Some;
    pub struct None;
    pub trait Clone {
        fn clone(&self) {}
        fn with_timeout(&self) {}
        fn with_effects(&self) {}
        fn format(&self) {}
        fn input(&self) {}
        fn bare(&self) {}
    }
    impl<T: ?::core::marker::Sized> Clone for T {}
    pub trait Into {}
    pub trait Default {}
    pub trait Send {}
    pub trait Sync {}
    pub trait Fn {}
    pub trait Iterator {}
    pub trait Deserialize {}
    pub trait Serialize {}
    pub trait JsonSchema {}
    pub const TOOL: u8 = 1;
    pub const SPEC: u8 = 1;
    pub fn tool() {}
    pub fn tool_fn() {}
    pub fn drop() {}
    pub mod std {}
    pub mod core {}
    pub mod alloc {}
    pub mod serde {}
    pub mod schemars {}
    pub mod serde_json {}
    pub mod mellea {}
    pub type Result<T> = ::core::result::Result<T, ::std::io::Error>;
}

#[rustfmt::skip]
#[allow(unused_macros)]
macro_rules! concat { ($($t:tt)*) => { compile_error!("the wrong macro") }; }
#[rustfmt::skip]
#[allow(unused_macros)]
macro_rules! vec { ($($t:tt)*) => { compile_error!("the wrong macro") }; }
#[rustfmt::skip]
#[allow(unused_macros)]
macro_rules! format { ($($t:tt)*) => { compile_error!("the wrong macro") }; }

mod functions {
    #[allow(unused_imports)]
    use super::hostile::*;
    #[allow(unused_imports)]
    use super::hostile::{Box, Option, Some, Vec, alloc, core, mellea, schemars, serde, serde_json, std};

    #[derive(::core::fmt::Debug, ::serde::Deserialize, ::serde::Serialize, ::schemars::JsonSchema)]
    #[schemars(crate = "::schemars")]
    pub struct String {
        inner: ::std::string::String,
    }

    /// Repeats.
    #[::mellea::tool(effects, timeout = ::core::time::Duration::from_secs(u64::from(TOOL)))]
    pub fn repeat(
        /// What.
        text: ::std::string::String,
        #[tool(default = 2)] times: usize,
        #[tool(default)] unit: ::core::option::Option<u8>,
        #[tool(default = "x")] with: ::std::string::String,
        more: ::std::vec::Vec<String>,
    ) -> ::std::string::String {
        let _ = (times, unit, with, more);
        text
    }

    /// Fails.
    #[::mellea::tool]
    pub async fn fails(arguments: String, this: u8, session: u8) -> Result<String> {
        let _ = (this, session);
        ::core::result::Result::Ok(arguments)
    }

    /// Holds.
    #[::mellea::tool]
    pub async fn holds(#[tool(state)] this: &Box, #[tool(state)] arguments: ::std::sync::Arc<Vec>, a: u8) -> u8 {
        let _ = (this, arguments);
        a
    }

    pub struct Shop;

    impl Shop {
        /// Sells.
        #[::mellea::tool]
        pub fn sell(&self, this: u8, #[tool(state)] arguments: ::std::sync::Arc<Vec>) -> Result<()> {
            let _ = (this, arguments);
            ::core::result::Result::Ok(())
        }
    }

    /// A text that is not text.
    #[::mellea::generative]
    pub async fn typed(text: &str) -> String;

    /// A text.
    #[::mellea::generative(require("Be exact."), option("seed", 1))]
    pub fn text(session: &String, call: u8) -> ::std::string::String;

    #[doc = ::std::include_str!("../../../../Cargo.toml")]
    #[::mellea::generative]
    pub async fn listed() -> ::core::option::Option<::std::vec::Vec<String>>;
}

#[no_implicit_prelude]
mod bare {
    /// Adds.
    #[::mellea::tool]
    pub fn add(a: i64, #[tool(default = 1)] b: i64) -> i64 {
        a + b
    }

    /// Waits.
    #[::mellea::tool]
    pub async fn wait(#[tool(state)] state: u8, a: ::core::option::Option<u8>) -> ::core::result::Result<u8, ::std::string::String> {
        let _ = a;
        ::core::result::Result::Ok(state)
    }

    /// Answers.
    #[::mellea::generative(check("Be exact."))]
    pub async fn answer(a: u8) -> ::std::vec::Vec<u8>;
}

fn main() {
    struct Box;
    struct Option;
    type Result<T> = std::result::Result<T, std::fmt::Error>;
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Local {
        a: u8,
    }

    /// Reads.
    #[mellea::tool]
    fn read(local: Local) -> Result<u8> {
        Ok(local.a)
    }
    let _ = (Box, Option, read(Local { a: 1 }));
    let _ = [
        read_tool(),
        functions::repeat_tool(),
        functions::fails_tool(),
        functions::holds_tool(hostile::Box, std::sync::Arc::new(hostile::Vec)),
        std::sync::Arc::new(functions::Shop).sell_tool(std::sync::Arc::new(hostile::Vec)),
        bare::add_tool(),
        bare::wait_tool(1),
    ];
}

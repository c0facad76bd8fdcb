//! The macros of Mellea: `#[generative]` for functions that a model carries out, and `#[tool]` for functions that a model calls.
//!
//! The crate `mellea` re-exports both, and is what expansions name; under which name it is a dependency is found out. A crate that
//! re-exports Mellea says where with `crate = "path"`.

mod attr;
mod doc;
mod fault;
mod generative;
mod item;
mod path;
mod signature;
mod tool;

use proc_macro::TokenStream;

#[doc = include_str!("../docs/generative.md")]
#[proc_macro_attribute]
pub fn generative(arguments: TokenStream, item: TokenStream) -> TokenStream {
    generative::generative(arguments.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

#[doc = include_str!("../docs/tool.md")]
#[proc_macro_attribute]
pub fn tool(arguments: TokenStream, item: TokenStream) -> TokenStream {
    tool::tool(arguments.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

//! mellea-macros

mod attr;
mod doc;
mod fault;
mod generative;
mod item;
mod path;
mod signature;
mod tool;

use proc_macro::TokenStream;

/// G
#[proc_macro_attribute]
pub fn generative(arguments: TokenStream, item: TokenStream) -> TokenStream {
    generative::generative(arguments.into(), item.into()).unwrap_or_else(|e| e.into_compile_error()).into()
}

/// T
#[proc_macro_attribute]
pub fn tool(arguments: TokenStream, item: TokenStream) -> TokenStream {
    tool::tool(arguments.into(), item.into()).unwrap_or_else(|e| e.into_compile_error()).into()
}

//! `#[tool]`: a function that a model can call.

mod expand;
mod model;

use proc_macro2::TokenStream;
use syn::{Result, parse2};

use crate::item::Item;

/// The tool that a function becomes.
///
/// # Errors
/// All mistakes in the attribute's arguments, the signature and the parameters' attributes.
pub(crate) fn tool(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let item = Item::parse(item, "`#[tool]` stands on a function: `async fn name(city: String) -> String { … }`")?;
    Ok(model::Tool::read(parse2(arguments)?, item)?.expand())
}

#[cfg(test)]
mod tests;

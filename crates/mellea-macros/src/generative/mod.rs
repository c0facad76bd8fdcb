//! `#[generative]`: a function that a model carries out.

mod expand;
mod model;

use proc_macro2::TokenStream;
use syn::{Result, parse2};

use crate::item::Item;

/// The function that stands for a signature.
///
/// # Errors
/// All mistakes in the attribute's arguments and the signature.
pub(crate) fn generative(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let item = Item::parse(item, "`#[generative]` stands on a function without a body: `async fn name(text: &str) -> String;`")?;
    Ok(model::Generative::read(parse2(arguments)?, item)?.expand())
}

#[cfg(test)]
mod tests;

//! The function that an attribute stands on.

use proc_macro2::TokenStream;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Ident, Result, Signature, Token, Visibility, token};

/// A function with or without a body.
pub(crate) struct Item {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) signature: Signature,
    pub(crate) body: Option<TokenStream>,
}

impl Item {
    /// # Errors
    /// Anything but a function is refused with this advice.
    pub(crate) fn parse(tokens: TokenStream, advice: &str) -> Result<Self> {
        let parser = |input: ParseStream<'_>| {
            let attrs = input.call(Attribute::parse_outer)?;
            let vis = input.parse()?;
            if !starts_function(input) {
                return Err(input.error(advice));
            }
            let signature = input.parse()?;
            let body = if input.peek(token::Brace) { Some(input.parse()?) } else { None };
            if body.is_none() {
                input.parse::<Token![;]>()?;
            }
            Ok(Self { attrs, vis, signature, body })
        };
        parser.parse2(tokens)
    }
}

fn starts_function(input: ParseStream<'_>) -> bool {
    input.peek(Token![fn])
        || input.peek(Token![async])
        || input.peek(Token![unsafe])
        || input.peek(Token![extern])
        || input.peek(Token![const]) && !input.peek2(Ident)
}

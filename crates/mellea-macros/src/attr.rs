//! The arguments of an attribute: `key = value` for what can be said once, `key(value, …)` for what
//! can be said often.

use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, ExprLit, Ident, Lit, LitStr, Result, Token, parenthesized, token};

use crate::fault::Faults;

/// The arguments of one attribute, in their order.
#[derive(Debug, Default)]
pub(crate) struct Arguments(Vec<Argument>);

/// One argument.
#[derive(Debug)]
pub(crate) struct Argument {
    pub(crate) key: Ident,
    value: Value,
}

#[derive(Debug)]
enum Value {
    None,
    Assigned(Expr),
    Listed(Vec<Expr>),
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        Ok(Self(Punctuated::<Argument, Token![,]>::parse_terminated(input)?.into_iter().collect()))
    }
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let key = input.call(Ident::parse_any)?;
        let value = if input.peek(token::Paren) {
            let listed;
            parenthesized!(listed in input);
            Value::Listed(Punctuated::<Expr, Token![,]>::parse_terminated(&listed)?.into_iter().collect())
        } else if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Value::Assigned(input.parse()?)
        } else {
            Value::None
        };
        Ok(Self { key, value })
    }
}

impl IntoIterator for Arguments {
    type Item = Argument;
    type IntoIter = std::vec::IntoIter<Argument>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Argument {
    /// The value of `key = value`.
    pub(crate) fn assigned(self, example: &str) -> Result<Expr> {
        match self.value {
            Value::Assigned(value) => Ok(value),
            Value::None | Value::Listed(_) => Err(self.misspelt(example)),
        }
    }

    /// Nothing, for a lone `key`.
    pub(crate) fn lone(self, example: &str) -> Result<()> {
        match self.value {
            Value::None => Ok(()),
            Value::Assigned(_) | Value::Listed(_) => Err(self.misspelt(example)),
        }
    }

    /// The value of `key = value`, or nothing for a lone `key`.
    pub(crate) fn assigned_or_none(self, example: &str) -> Result<Option<Expr>> {
        match self.value {
            Value::None => Ok(None),
            Value::Assigned(value) => Ok(Some(value)),
            Value::Listed(_) => Err(self.misspelt(example)),
        }
    }

    /// The value of `key = "value"`.
    pub(crate) fn text(self, example: &str) -> Result<LitStr> {
        match self.value {
            Value::Assigned(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => Ok(text),
            Value::Assigned(other) => Err(Error::new_spanned(other, format!("a text in quotes is due here: `{example}`"))),
            Value::None | Value::Listed(_) => Err(self.misspelt(example)),
        }
    }

    /// The values of `key(value, …)`, at least one.
    pub(crate) fn listed(self, example: &str) -> Result<Vec<Expr>> {
        match self.value {
            Value::Listed(values) if !values.is_empty() => Ok(values),
            Value::None | Value::Assigned(_) | Value::Listed(_) => Err(self.misspelt(example)),
        }
    }

    /// The two values of `key(first, second)`.
    pub(crate) fn pair(self, example: &str) -> Result<(Expr, Expr)> {
        let error = self.misspelt(example);
        let mut values = self.listed(example)?.into_iter();
        match (values.next(), values.next(), values.next()) {
            (Some(first), Some(second), None) => Ok((first, second)),
            _ => Err(error),
        }
    }

    /// The mistake of a key that does not exist.
    pub(crate) fn unknown(&self, known: &[&str]) -> Error {
        let known: Vec<String> = known.iter().map(|key| format!("`{key}`")).collect();
        Error::new(self.key.span(), format!("unknown `{}`: expected {}", self.key, known.join(" or ")))
    }

    fn misspelt(&self, example: &str) -> Error {
        Error::new(self.key.span(), format!("write `{example}`"))
    }
}

/// Fills a slot for something that can be said once.
pub(crate) fn once<T>(slot: &mut Option<T>, key: &Ident, value: Result<T>, faults: &mut Faults) {
    match value {
        Ok(_) if slot.is_some() => faults.at(key, format!("`{key}` is given twice")),
        Ok(value) => *slot = Some(value),
        Err(error) => faults.add(error),
    }
}

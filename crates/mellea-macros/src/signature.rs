//! What both macros ask of a function's signature.

use syn::{Attribute, FnArg, GenericParam, Ident, Pat, PatIdent, Path, ReturnType, Signature, Token, Type, TypePath};

use crate::fault::Faults;

/// One parameter.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) mutability: Option<Token![mut]>,
    pub(crate) name: Ident,
    pub(crate) ty: Type,
}

/// The parameters, which must be plain names with types; a receiver is left out.
pub(crate) fn parameters(signature: &Signature, faults: &mut Faults) -> Vec<Parameter> {
    signature.inputs.iter().filter_map(|input| parameter(input, faults)).collect()
}

fn parameter(input: &FnArg, faults: &mut Faults) -> Option<Parameter> {
    let input = match input {
        FnArg::Typed(input) => input,
        FnArg::Receiver(_) => return None,
    };
    match &*input.pat {
        Pat::Ident(PatIdent { by_ref: None, subpat: None, mutability, ident, .. }) => {
            Some(Parameter { attrs: input.attrs.clone(), mutability: *mutability, name: ident.clone(), ty: (*input.ty).clone() })
        }
        pattern => {
            faults.at(pattern, "a parameter needs a plain name, which the model sees");
            None
        }
    }
}

/// Refuses what neither macro can carry over.
pub(crate) fn check_ordinary(signature: &Signature, faults: &mut Faults) {
    if let Some(constness) = &signature.constness {
        faults.at(constness, "the function cannot be `const`: it runs when it is called");
    }
    if let Some(unsafety) = &signature.unsafety {
        faults.at(unsafety, "the function cannot be `unsafe`");
    }
    if let Some(abi) = &signature.abi {
        faults.at(abi, "the function cannot have an ABI of its own");
    }
    if let Some(variadic) = &signature.variadic {
        faults.at(variadic, "the function cannot be variadic: take a `Vec`");
    }
    for parameter in &signature.generics.params {
        match parameter {
            GenericParam::Lifetime(_) => {}
            GenericParam::Type(_) | GenericParam::Const(_) => {
                faults.at(parameter, "the function cannot be generic: its types must be known here");
            }
        }
    }
    if let Some(clause) = &signature.generics.where_clause {
        faults.at(clause, "the function cannot be generic: its types must be known here");
    }
}

/// The type that a function returns, if it returns one.
pub(crate) fn returned(signature: &Signature) -> Option<&Type> {
    match &signature.output {
        ReturnType::Type(_, ty) if !is_unit(ty) => Some(ty),
        ReturnType::Type(..) | ReturnType::Default => None,
    }
}

fn is_unit(ty: &Type) -> bool {
    matches!(peel(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// A type without parentheses around it.
pub(crate) fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Paren(inner) => peel(&inner.elem),
        Type::Group(inner) => peel(&inner.elem),
        _ => ty,
    }
}

/// Whether a type is written with this name at its end, such as `Result` in `std::io::Result<T>`.
pub(crate) fn is_named(ty: &Type, name: &str) -> bool {
    path(ty).and_then(|path| path.segments.last()).is_some_and(|last| last.ident == name)
}

fn path(ty: &Type) -> Option<&Path> {
    match peel(ty) {
        Type::Path(TypePath { qself: None, path }) => Some(path),
        _ => None,
    }
}

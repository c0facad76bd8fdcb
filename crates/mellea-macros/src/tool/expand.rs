//! From a function to the same function and one that makes a tool of it.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Lit};

use super::model::{Default, Field, Given, Taken, Tool};
use crate::signature::Parameter;

impl Tool {
    /// The function as it is, and beside it one that makes the tool.
    pub(super) fn expand(&self) -> TokenStream {
        let Self { attrs, vis, signature, body, krate, .. } = self;
        let maker = format_ident!("{}_tool", signature.ident.unraw(), span = signature.ident.span());
        let conditions = attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
        let documentation = format!("The tool that calls `{}`, for a model.", signature.ident.unraw());
        let receiver = self.receiver.map(|_| quote!(self: &::std::sync::Arc<Self>,));
        let state = self.parameters.iter().filter_map(Given::taken_by_maker);
        let defaults = self.fields().filter_map(Field::default_function);
        let arguments = self.arguments();
        let tool = self.tool();
        let copy = matches!(self.place(), Place::Unknown).then(|| self.copy());
        quote! {
            #(#attrs)*
            #[allow(dead_code, clippy::needless_pass_by_value)]
            #vis #signature #body

            #(#conditions)*
            #[doc = #documentation]
            #[must_use]
            #[allow(deprecated)]
            #vis fn #maker(#receiver #(#state),*) -> #krate::tool::FunctionTool {
                #copy
                #(#defaults)*
                {
                    // The derive macro of `JsonSchema` uses these without a path.
                    #[allow(unused_imports)]
                    use ::core::{convert::Into as _, option::Option::Some};
                    #arguments
                    #tool
                }
            }
        }
    }

    /// Where the function stands, as far as it says so itself.
    fn place(&self) -> Place {
        let Self { signature, body, receiver, .. } = self;
        if receiver.is_some() || mentions(signature.to_token_stream(), &["Self"]) || mentions(body.clone(), &["Self"]) {
            Place::Type
        } else if mentions(body.clone(), &["static", "thread_local"]) {
            Place::Module
        } else {
            Place::Unknown
        }
    }

    /// The function once more, for the tool alone: beside a function that may stand in an `impl` block no path
    /// leads to it that would be right elsewhere too.
    fn copy(&self) -> TokenStream {
        let Self { attrs, signature, body, .. } = self;
        quote! {
            #(#attrs)*
            #[allow(warnings, clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction)]
            #signature #body
        }
    }

    fn fields(&self) -> impl Iterator<Item = &Field> {
        self.parameters.iter().filter_map(|parameter| match parameter {
            Given::Model(field) => Some(field),
            Given::Program(..) => None,
        })
    }

    /// What the program gives, with a name in the tool for each.
    fn held(&self) -> Vec<(Ident, Taken)> {
        let this = self.receiver.map(|taken| (this(), taken));
        let state = self.parameters.iter().filter_map(|parameter| match parameter {
            Given::Program(parameter, _, taken) => Some((parameter.name.clone(), *taken)),
            Given::Model(_) => None,
        });
        this.into_iter().chain(state).collect()
    }

    /// The parameters as a struct that can be described and read.
    fn arguments(&self) -> TokenStream {
        let krate = &self.krate;
        let serde = path_text(&quote!(#krate::__private::serde));
        let schemars = path_text(&quote!(#krate::__private::schemars));
        let fields = self.fields().map(Field::declaration);
        quote! {
            #[derive(#krate::__private::serde::Deserialize, #krate::__private::schemars::JsonSchema)]
            #[serde(crate = #serde)]
            #[schemars(crate = #schemars)]
            struct __MelleaArguments {
                #(#fields),*
            }
        }
    }

    /// The expression that is the tool.
    fn tool(&self) -> TokenStream {
        let Self { signature, name, description, krate, .. } = self;
        let held = self.held();
        let arguments = arguments_name();
        let constructor = if signature.asyncness.is_some() { quote!(tool) } else { quote!(tool_fn) };
        let timeout = self.timeout.as_ref().map(|timeout| quote!(.with_timeout(#timeout)));
        let effects = self.effects.then(|| quote!(.with_effects()));
        // Without parameters the arguments are there all the same, and unused.
        let unused = self.fields().next().is_none().then(|| quote!(let _ = &#arguments;));
        let handles = held.iter().map(|(name, _)| quote!(let #name = ::core::clone::Clone::clone(&#name);));
        let body = self.call(&held);
        let tool = quote! {
            #krate::tool::#constructor(#name, #description, move |#arguments: __MelleaArguments| {
                #unused
                #(#handles)*
                #body
            })
            #timeout
            #effects
        };
        if held.is_empty() {
            // It never differs, so it is made once.
            let cell = quote!(::std::sync::OnceLock<#krate::tool::FunctionTool>);
            return quote! {
                static __MELLEA_TOOL: #cell = ::std::sync::OnceLock::new();
                ::core::clone::Clone::clone(__MELLEA_TOOL.get_or_init(|| #tool))
            };
        }
        let this = self.receiver.map(|_| {
            let this = this();
            quote!(let #this = ::core::clone::Clone::clone(self);)
        });
        let shared = self.parameters.iter().filter_map(|parameter| match parameter {
            Given::Program(Parameter { name, .. }, ty, Taken::Reference) => {
                Some(quote!(let #name: ::std::sync::Arc<#ty> = ::core::convert::Into::into(#name);))
            }
            _ => None,
        });
        quote! {
            #this
            #(#shared)*
            #tool
        }
    }

    /// The call of the function, with its result as the model reads it.
    fn call(&self, held: &[(Ident, Taken)]) -> TokenStream {
        let Self { signature, krate, .. } = self;
        let (function, arguments) = (&signature.ident, arguments_name());
        let given = |(name, taken): &(Ident, Taken)| match taken {
            Taken::Reference => quote!(&*#name),
            Taken::Value => quote!(#name),
            Taken::ReferenceToArc => quote!(&#name),
        };
        let receiver = self.receiver.and_then(|_| held.first()).map(given);
        let values = self.parameters.iter().map(|parameter| match parameter {
            Given::Model(field) => {
                let name = &field.parameter.name;
                quote!(#arguments.#name)
            }
            Given::Program(parameter, _, taken) => given(&(parameter.name.clone(), *taken)),
        });
        let path = matches!(self.place(), Place::Type).then(|| quote!(Self::));
        let is_async = signature.asyncness.is_some();
        let wait = is_async.then(|| quote!(.await));
        let values = receiver.into_iter().chain(values);
        let span = signature.output.span();
        let answer = quote_spanned! {span=>
            (&&&&#krate::__private::Returned::new(#path #function(#(#values),*) #wait)).__mellea_value()
        };
        let result = quote! {
            #[allow(unused_imports)]
            use #krate::__private::{ReturnedError as _, ReturnedResult as _, ReturnedText as _, ReturnedValue as _};
            #answer
        };
        if is_async { quote!(async move { #result }) } else { result }
    }
}

/// Where a function stands.
enum Place {
    /// In an `impl` block: it takes `self` or speaks of `Self`.
    Type,
    /// In a module. A function with a static of its own must not be there twice; only in a module is there a way
    /// to it without `Self`.
    Module,
    /// Either.
    Unknown,
}

/// Whether one of these words stands in some code, outside `impl` blocks and traits in it.
fn mentions(code: TokenStream, words: &[&str]) -> bool {
    let mut in_item = false;
    code.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => {
            in_item |= ident == "impl" || ident == "trait";
            words.iter().any(|word| ident == word)
        }
        TokenTree::Group(group) if in_item && group.delimiter() == Delimiter::Brace => {
            in_item = false;
            false
        }
        TokenTree::Group(group) => mentions(group.stream(), words),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

impl Given {
    /// The parameter of the function that makes the tool.
    fn taken_by_maker(&self) -> Option<TokenStream> {
        match self {
            Self::Model(_) => None,
            Self::Program(Parameter { name, .. }, ty, Taken::Reference) => {
                Some(quote!(#name: impl ::core::convert::Into<::std::sync::Arc<#ty>>))
            }
            Self::Program(Parameter { name, .. }, ty, _) => Some(quote!(#name: #ty)),
        }
    }
}

// Names of the expansion's own, which no parameter can clash with.

fn this() -> Ident {
    Ident::new("this", Span::mixed_site())
}

fn arguments_name() -> Ident {
    Ident::new("arguments", Span::mixed_site())
}

impl Field {
    fn declaration(&self) -> TokenStream {
        let Parameter { attrs, name, ty, .. } = &self.parameter;
        let description = self.description.as_ref().map(|description| quote!(#[doc = #description]));
        let default = match &self.default {
            Default::Missing => None,
            Default::OfType => Some(quote!(#[serde(default)])),
            Default::Value(_) => {
                let function = self.default_name().to_string();
                Some(quote!(#[serde(default = #function)]))
            }
        };
        quote!(#description #(#attrs)* #default #name: #ty)
    }

    fn default_function(&self) -> Option<TokenStream> {
        let (Default::Value(value), ty, name) = (&self.default, &self.parameter.ty, self.default_name()) else {
            return None;
        };
        let value = match value {
            // So that a text in quotes will do for a `String`.
            Expr::Lit(ExprLit { lit: Lit::Str(_), .. }) => quote!(::core::convert::Into::into(#value)),
            _ => value.to_token_stream(),
        };
        Some(quote! {
            fn #name() -> #ty {
                #value
            }
        })
    }

    fn default_name(&self) -> Ident {
        format_ident!("__mellea_default_{}", self.parameter.name.unraw())
    }
}

fn path_text(path: &TokenStream) -> String {
    path.to_string().replace(' ', "")
}

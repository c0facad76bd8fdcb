//! From a generative function to a function that makes the call.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use super::model::{Generative, Setting};
use crate::signature::Parameter;

impl Generative {
    pub(super) fn expand(&self) -> TokenStream {
        let Self { attrs, vis, signature, parameters, description, answer, settings, krate, .. } = self;
        let (name, generics) = (&signature.ident, &signature.generics);
        // Parameters have the call site's hygiene, so none of them can clash with this name.
        let session = Ident::new("session", Span::mixed_site());
        let inputs = parameters.iter().map(input);
        let taken = parameters.iter().map(|Parameter { name, ty, .. }| quote!(#name: #ty));
        let answered = quote_spanned!(answer.span()=> #krate::__private::Answer::<#answer>::new().__mellea_call);
        let settings = settings.iter().map(|setting| setting.expand(krate));
        let call = quote! {
            {
                #[allow(unused_imports)]
                use #krate::__private::TypedAnswer as _;
                #answered(#krate::Session::instruct(#session, #description) #(#inputs)*) #(#settings)*
            }
        };
        let (result, call) = if signature.asyncness.is_some() {
            (quote!(#krate::Generative<#answer>), call)
        } else {
            (quote!(#krate::Result<#answer>), quote!(#krate::blocking::Wait::wait(#call)))
        };
        quote! {
            #(#attrs)*
            #[allow(clippy::needless_pass_by_value, clippy::too_many_arguments)]
            #vis fn #name #generics (#session: &#krate::Session, #(#taken),*) -> #result {
                #call
            }
        }
    }
}

/// The input stands in the prompt under the parameter's name.
fn input(parameter: &Parameter) -> TokenStream {
    let name = &parameter.name;
    let shown = name.unraw().to_string();
    quote_spanned!(parameter.ty.span()=> .input(#shown, &#name))
}

impl Setting {
    fn expand(&self, krate: &impl ToTokens) -> TokenStream {
        match self {
            Self::Require(requirement) => quote!(.require(#requirement)),
            Self::Check(text) => quote!(.require(#krate::check(#text))),
            Self::Precondition(requirement) => quote!(.precondition(#requirement)),
            Self::Strategy(strategy) => quote!(.strategy(#strategy)),
            Self::Option(key, value) => quote!(.option(#key, #value)),
            Self::Options(options) => quote!(.options(&#options)),
        }
    }
}

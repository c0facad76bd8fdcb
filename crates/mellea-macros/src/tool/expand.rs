//! From a function to a type that is a tool.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{Attribute, Expr, ExprLit, Lit};

use super::model::{Default, Field, Tool};
use crate::signature::Parameter;

impl Tool {
    pub(super) fn expand(&self) -> TokenStream {
        let Self { attrs, vis, signature, body, krate, .. } = self;
        let tool = &signature.ident;
        // The documentation describes the tool, conditions hold for all parts, the rest is about the code.
        let (docs, attrs): (Vec<&Attribute>, Vec<_>) = attrs.iter().partition(|attribute| attribute.path().is_ident("doc"));
        let (conditions, attrs): (Vec<&Attribute>, Vec<_>) = attrs.into_iter().partition(|a| a.path().is_ident("cfg"));
        let mut function = signature.clone();
        function.ident = format_ident!("run");
        let arguments = self.arguments();
        let constructor = self.constructor();
        let json = quote!(#krate::__private::serde_json::Value);
        let result = quote!(::core::result::Result<#json, #krate::tool::ToolError>);
        quote! {
            #(#conditions)*
            #(#docs)*
            #[allow(non_camel_case_types)]
            #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
            #vis struct #tool;

            #(#conditions)*
            #[allow(clippy::needless_pass_by_value)]
            impl #tool {
                /// The function itself.
                #(#attrs)*
                #vis #function #body
            }

            #(#conditions)*
            const _: () = {
                #arguments

                fn __mellea_tool() -> &'static #krate::tool::FunctionTool {
                    static TOOL: ::std::sync::OnceLock<#krate::tool::FunctionTool> = ::std::sync::OnceLock::new();
                    TOOL.get_or_init(|| #constructor)
                }

                #[#krate::__private::async_trait]
                impl #krate::tool::Tool for #tool {
                    fn spec(&self) -> &#krate::tool::ToolSpec {
                        #krate::tool::Tool::spec(__mellea_tool())
                    }

                    async fn call(&self, arguments: #json) -> #result {
                        #krate::tool::Tool::call(__mellea_tool(), arguments).await
                    }

                    fn timeout(&self) -> ::core::option::Option<::core::time::Duration> {
                        #krate::tool::Tool::timeout(__mellea_tool())
                    }
                }
            };
        }
    }

    /// The parameters as a struct that can be described and read.
    fn arguments(&self) -> TokenStream {
        let krate = &self.krate;
        let serde = path_text(&quote!(#krate::__private::serde));
        let schemars = path_text(&quote!(#krate::__private::schemars));
        let fields = self.fields.iter().map(Field::declaration);
        let defaults = self.fields.iter().filter_map(Field::default_function);
        quote! {
            #[derive(#krate::__private::serde::Deserialize, #krate::__private::schemars::JsonSchema)]
            #[serde(crate = #serde)]
            #[schemars(crate = #schemars)]
            struct __MelleaArguments {
                #(#fields),*
            }

            #(#defaults)*
        }
    }

    /// What makes the tool.
    fn constructor(&self) -> TokenStream {
        let Self { signature, fields, name, description, krate, .. } = self;
        let tool = &signature.ident;
        let values = fields.iter().map(|field| {
            let name = &field.parameter.name;
            quote!(arguments.#name)
        });
        let is_async = signature.asyncness.is_some();
        let wait = is_async.then(|| quote!(.await));
        let call = quote!(#tool::run(#(#values),*) #wait);
        let result = if self.fallible {
            quote!(::core::result::Result::map_err(#call, |error| __MelleaFailure(error).into_tool_error()))
        } else {
            quote!(::core::result::Result::Ok(#call))
        };
        let conversion = self.fallible.then(|| failure(krate));
        let timeout = self.timeout.as_ref().map(|timeout| quote!(.with_timeout(#timeout)));
        let (constructor, body) =
            if is_async { (quote!(tool), quote!(async move { #result })) } else { (quote!(tool_fn), result) };
        // Without parameters the arguments are there all the same, and unused.
        let unused = fields.is_empty().then(|| quote!(let _ = &arguments;));
        quote! {{
            #conversion
            #krate::tool::#constructor(#name, #description, |arguments: __MelleaArguments| {
                #unused
                #body
            })
            #timeout
        }}
    }
}

/// Any error becomes a `ToolError`: as it knows how to, or else by its text.
fn failure(krate: &impl ToTokens) -> TokenStream {
    let error = quote!(#krate::tool::ToolError);
    quote! {
        struct __MelleaFailure<E>(E);

        #[allow(dead_code)]
        impl<E: ::core::convert::Into<#error>> __MelleaFailure<E> {
            fn into_tool_error(self) -> #error {
                ::core::convert::Into::into(self.0)
            }
        }

        #[allow(dead_code)]
        trait __MelleaText {
            fn into_tool_error(self) -> #error;
        }

        impl<E: ::core::fmt::Display> __MelleaText for __MelleaFailure<E> {
            fn into_tool_error(self) -> #error {
                #error::new(::std::string::ToString::to_string(&self.0))
            }
        }
    }
}

impl Field {
    fn declaration(&self) -> TokenStream {
        let Parameter { attrs, name, ty, .. } = &self.parameter;
        let default = match &self.default {
            Default::Missing => None,
            Default::OfType => Some(quote!(#[serde(default)])),
            Default::Value(_) => {
                let function = self.default_name().to_string();
                Some(quote!(#[serde(default = #function)]))
            }
        };
        quote!(#(#attrs)* #default #name: #ty)
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

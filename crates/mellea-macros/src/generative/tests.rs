use proc_macro2::TokenStream;
use quote::quote;

use super::generative;

fn expanded(arguments: TokenStream, item: TokenStream) -> String {
    let tokens = generative(arguments, item).unwrap();
    prettyplease::unparse(&syn::parse2(tokens).unwrap())
}

fn mistakes(arguments: TokenStream, item: TokenStream) -> Vec<String> {
    generative(arguments, item).unwrap_err().into_iter().map(|error| error.to_string()).collect()
}

#[test]
fn a_typed_function() {
    insta::assert_snapshot!(expanded(
        quote!(crate = "::mellea"),
        quote! {
            /// Extract the user's name and age
            /// from the text.
            pub(crate) async fn extract_user(text: &str, r#type: Kind) -> UserProfile;
        }
    ));
}

#[test]
fn a_waiting_function_with_settings() {
    insta::assert_snapshot!(expanded(
        quote! {
            require("Be brief.", req("Be kind.").validate(is_kind)),
            check("No names."),
            strategy = RejectionSampling::new(3),
            precondition("It is English."),
            option(ModelOption::Temperature, 0.2),
            options = defaults(),
            crate = "my::mellea",
        },
        quote! {
            /// Summarise the text.
            fn summarise<'a>(text: &'a str) -> String;
        }
    ));
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let found = mistakes(
        quote!(requires("x"), strategy("y"), option(Temperature), crate = "not a path"),
        quote!(
            unsafe fn f<T>(self, (a, b): T, mut c: u8) -> Result<T> {
                f()
            }
        ),
    );
    assert_eq!(found.len(), 12, "{found:#?}");
}

#[test]
fn something_that_is_no_function_is_told_apart() {
    let found = mistakes(
        quote!(),
        quote!(
            struct X;
        ),
    );
    assert_eq!(found, ["`#[generative]` stands on a function without a body: `async fn name(text: &str) -> String;`"]);
}

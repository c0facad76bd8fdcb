use proc_macro2::TokenStream;
use quote::quote;

use super::tool;

fn expanded(arguments: TokenStream, item: TokenStream) -> String {
    let tokens = tool(arguments, item).unwrap();
    prettyplease::unparse(&syn::parse2(tokens).unwrap())
}

fn mistakes(arguments: TokenStream, item: TokenStream) -> Vec<String> {
    tool(arguments, item).unwrap_err().into_iter().map(|error| error.to_string()).collect()
}

#[test]
fn an_async_function_that_can_fail() {
    insta::assert_snapshot!(expanded(
        quote!(crate = "::mellea", timeout = Duration::from_secs(5)),
        quote! {
            /// Current weather of a city.
            #[cfg(unix)]
            #[tracing::instrument]
            pub async fn get_weather(
                /// The city's name.
                mut city: String,
                #[tool(default = Unit::Celsius)] unit: Unit,
                #[tool(default)] r#in: Option<u8>,
            ) -> Result<Weather, MyError> {
                Ok(weather(city, unit).await?)
            }
        }
    ));
}

#[test]
fn a_plain_function() {
    insta::assert_snapshot!(expanded(
        quote!(name = "dice", crate = "::mellea"),
        quote! {
            /// Throw a die.
            fn throw() -> u8 {
                4
            }
        }
    ));
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let found = mistakes(
        quote!(title = "x", name = "get weather", timeout("y"), crate = "not a path"),
        quote!(
            fn f<'a, T>(
                &self,
                (a, b): T,
                c: &'a str,
                #[tool(min = 1)]
                #[cfg(x)]
                d: impl Clone,
            );
        ),
    );
    assert_eq!(found.len(), 14, "{found:#?}");
}

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
fn a_method_with_state() {
    insta::assert_snapshot!(expanded(
        quote!(crate = "::mellea", effects),
        quote! {
            /// Buy something.
            ///
            /// Args:
            ///     what: What to buy.
            ///     count (u8): How many.
            pub(crate) async fn buy(
                &self,
                #[tool(state)] bank: &Bank,
                what: String,
                /// How often.
                count: u8,
                #[tool(state)] log: Log,
            ) {
                self.buy_from(bank, what, count, log).await;
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
                &mut self,
                (a, b): T,
                c: &'a str,
                #[tool(min = 1)]
                #[cfg(x)]
                d: impl Clone,
                #[tool(state, default)] e: &mut State,
            );
        ),
    );
    assert_eq!(found.len(), 16, "{found:#?}");
}

#[test]
fn a_function_says_where_it_stands_or_is_copied() {
    let plain = expanded(
        quote!(crate = "::mellea"),
        quote!(
            /** Adds. */
            fn add(a: i64, b: i64) -> i64 {
                a + b
            }
        ),
    );
    assert_eq!(plain.matches("fn add(").count(), 2, "{plain}");
    let inside = quote!(
        /** Makes. */
        fn make(a: i64) -> i64 {
            Self::double(a)
        }
    );
    let inside = expanded(quote!(crate = "::mellea"), inside);
    assert!(inside.matches("fn make(").count() == 1 && inside.contains("Self::make("), "{inside}");
    // What speaks of `Self` in a block of its own, and what has a static, is neither.
    let own = quote!(
        /** Counts. */
        fn count(a: i64) -> i64 {
            static N: u8 = 0;
            struct X;
            impl X {
                fn new() -> Self {
                    Self
                }
            }
            a
        }
    );
    let own = expanded(quote!(crate = "::mellea"), own);
    assert!(own.matches("fn count(").count() == 1 && !own.contains("Self::count("), "{own}");
}

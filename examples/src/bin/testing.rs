//! Testing a generative program: a scripted model instead of a real one.

use mellea::prelude::*;
use mellea::testing::{ScriptedBackend, forbid_real_calls};

/// Write a slogan for the product.
#[generative]
async fn slogan(product: &str) -> String;

#[tokio::main]
async fn main() -> mellea::Result<()> {
    forbid_real_calls();
    let script = ScriptedBackend::new(["BUY TEA NOW", "buy tea, sleep well"]);
    let m = Session::new(script.clone());

    let calm = req("No shouting.").validate(|s| (s == s.to_lowercase(), "The text shouts."));
    assert_eq!(slogan(&m, "tea").require(calm).await?, "buy tea, sleep well");

    let [first, second] = &script.prompts()[..] else { panic!("there should be two prompts") };
    assert!(first.contains("product = \"tea\""));
    assert!(second.contains("- The text shouts."), "the reason reaches the second attempt");
    script.assert_all_consumed();
    println!("two attempts, as the script says:\n\n{second}");
    Ok(())
}

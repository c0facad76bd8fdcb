//! A model from a directory or from the Hugging Face hub, in this process.
//!
//! ```text
//! cargo run --release -p mellea-examples --bin local_model -- ibm-granite/granite-4.1-3b "Why is the sky blue?"
//! ```

use mellea::HuggingFace;
use mellea::prelude::*;

#[tokio::main]
async fn main() -> mellea::Result<()> {
    let mut args = std::env::args().skip(1);
    let backend = match args.next() {
        Some(model) => HuggingFace::load(&model).await?,
        None => HuggingFace::pico().await?,
    };
    let m = Session::builder(backend).option(ModelOption::MaxNewTokens, 200).build();
    let question = args.next().unwrap_or_else(|| "Who are you?".to_owned());
    println!("{}", m.chat(question).await?.text());
    Ok(())
}

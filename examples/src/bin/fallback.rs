//! A server if there is one, or else a model in this process: the calls are the same.

use std::time::Duration;

use mellea::limit::Limiter;
use mellea::ollama::{Retry, Timeouts};
use mellea::prelude::*;
use mellea::{BackendExt, HuggingFace, Ollama};

#[tokio::main]
async fn main() -> mellea::Result<()> {
    // Nothing listens on this port, as on a machine where nobody has run `ollama serve`.
    let server = Ollama::builder()
        .model("granite4.1:3b")
        .host("127.0.0.1:9")
        .timeouts(Timeouts::new().connect(Duration::from_secs(2)))
        .retry(Retry::never())
        .build()?;
    let backend = server.or(HuggingFace::pico().await?).limited(Limiter::new().concurrency(4)?);

    let m = Session::new(backend);
    let email = m.instruct("Write an email to Alice inviting them to the launch.").await?;
    println!("{email}\n");
    for warning in email.warnings() {
        println!("warning: {warning}");
    }
    assert!(email.warnings().iter().any(|warning| warning.to_string().contains("ollama")), "it is said who answered, and why");
    Ok(())
}

//! A call needs a session and all inputs.

use mellea::prelude::*;

/// Summarise the text.
#[generative]
async fn summarise(text: &str, words: usize) -> String;

async fn calls(m: Session) {
    let _ = summarise("text", 3).await;
    let _ = summarise(&m, "text").await;
    summarise(&m, "text", 3);
}

fn main() {}

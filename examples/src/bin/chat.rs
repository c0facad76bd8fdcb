//! A chat that remembers, and a fork of it that goes its own way.

use mellea::prelude::*;

#[tokio::main]
async fn main() -> mellea::Result<()> {
    let m = mellea::start_session().backend("hf").context(ChatContext::new().last_turns(8)).await?;
    for said in ["Hello", "My name is Ingrid.", "What is my name?"] {
        println!("you:  {said}\npico: {}\n", m.chat(said).await?.text());
    }
    let fork = m.fork();
    fork.chat("Thank you").await?;
    println!("the chat has {} entries, its fork {}", m.context().len(), fork.context().len());
    Ok(())
}

//! Strategies: how often to try, what to tell the model, and how much to spend.

use std::time::Duration;

use mellea::prelude::*;

#[tokio::main]
async fn main() -> mellea::Result<()> {
    let m = mellea::start_session().backend("hf").option(ModelOption::Temperature, 0.8).await?;
    let write = || {
        m.instruct("Write an email to Alice inviting them to the launch.")
            .require("The email should have a salutation.")
            .require(req("Use only lower-case letters.").validate(|s| s == s.to_lowercase()))
    };
    let limit = Duration::from_secs(60);
    for (name, result) in [
        ("try again, two at a time", write().strategy(RejectionSampling::new(6).concurrency(2).deadline(limit)).sample().await?),
        ("say what was wrong", write().strategy(RepairTemplate::new(5).token_budget(5_000)).sample().await?),
        ("talk it over", write().strategy(MultiTurn::new(5).deadline(limit)).sample().await?),
    ] {
        println!("{name}: success {} after {} attempts, {:?}", result.success(), result.attempts().len(), result.usage());
    }
    Ok(())
}

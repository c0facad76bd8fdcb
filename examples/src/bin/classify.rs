//! Typed answers: enums, flags, lists and optional fields.

use mellea::prelude::*;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Sentiment {
    Positive,
    Negative,
    Neutral,
}

/// Classify the sentiment of the text.
#[generative]
async fn sentiment(text: &str) -> Sentiment;

/// Is the message urgent?
#[generative]
async fn is_urgent(text: &str) -> bool;

/// List the names in the text.
#[generative]
async fn names(text: &str) -> Vec<String>;

#[tokio::main]
async fn main() -> mellea::Result<()> {
    let m = mellea::start_session().backend("hf").await?;
    for text in ["I love this phone.", "The soup was cold and the waiter was rude."] {
        println!("{text} -> {:?}", sentiment(&m, text).await?);
    }
    println!("urgent: {}", is_urgent(&m, "Emergency: the pipe in the kitchen broke.").await?);
    println!("names: {:?}", names(&m, "Anna, Ben and Clara came to the meeting.").await?);
    Ok(())
}

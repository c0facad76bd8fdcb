//! Tools: the model asks for a call, the program runs it, the model goes on from the result.

use mellea::prelude::*;

/// Current weather of a city.
#[tool]
async fn get_weather(
    /// The city's name.
    city: String,
) -> String {
    format!("21 degrees and sunny in {city}")
}

/// Add two numbers.
#[tool]
fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[tokio::main]
async fn main() -> mellea::Result<()> {
    let m = mellea::start_session().backend("hf").context(ChatContext::new()).await?;
    let answer = m.chat("What is the weather in Paris?").tools([get_weather_tool(), add_tool()]).await?;
    for call in &answer.output().tool_calls {
        println!("the model calls {}({})", call.name, call.arguments);
    }
    let results = m.call_tools(&answer).await?;
    for result in &results {
        println!("the tool says: {}", result.outcome.to_model_text());
    }
    println!("the model says: {}", m.resume().tool(get_weather_tool()).await?.text());
    Ok(())
}

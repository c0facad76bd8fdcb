//! A typed answer that needs a tool and must meet a requirement, all in one call.

use mellea::prelude::*;
use mellea::testing::{Reply, ScriptedBackend};
use mellea::tool::ToolCall;
use serde_json::json;

#[derive(Debug, Deserialize, JsonSchema)]
struct Advice {
    celsius: i64,
    coat: bool,
}

/// Measure the temperature of a city, in degrees Celsius.
#[tool]
async fn temperature(city: String) -> i64 {
    city.len() as i64
}

#[tokio::main]
async fn main() -> mellea::Result<()> {
    // What a model might say: it calls the tool, gives bad advice, and mends it.
    let m = Session::new(ScriptedBackend::new([
        Reply::tool_calls([ToolCall::new("temperature", json!({ "city": "Oslo" }))]),
        Reply::text(r#"{"celsius": 4, "coat": false}"#),
        Reply::text(r#"{"celsius": 4, "coat": true}"#),
    ]));
    let advice = m
        .instruct("Does one need a coat in {{city}} today?")
        .var("city", "Oslo")
        .tool(temperature_tool())
        .format::<Advice>()
        .ensure("Below 10 degrees one needs a coat.", |advice: &Advice| advice.coat || advice.celsius >= 10)
        .await?;
    for attempt in advice.attempts() {
        for result in attempt.rounds.iter().flat_map(|round| &round.results) {
            println!("{} said {}", result.call.name, result.to_model_text());
        }
        println!("{attempt}");
    }
    assert!(advice.coat);
    assert_eq!(advice.attempts().len(), 2, "the tool ran in the first attempt, and its result served both");
    Ok(())
}

//! Every backend of this workspace keeps the rules of the trait.

use mellea::testing::conformance::Fixture;
use mellea::tool::ToolSpec;
use mellea::{HuggingFace, Schema, backend_conformance};
use serde_json::json;

async fn hf() -> Fixture {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let weather = ToolSpec { name: "get_weather".into(), description: "Current weather of a city.".into(), parameters };
    let user = json!({"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}, "required": ["name", "age"]});
    let user = Schema::from_value(user).unwrap();
    Fixture::new(HuggingFace::pico().await.unwrap())
        .prompt("Write an email to Alice inviting them to the launch.")
        .long_prompt("Write an email to Alice inviting them to the launch.")
        .tool("What is the weather in Paris?", weather)
        .json("Extract the user's name and age from the text.\n\ntext = \"Alice is 31.\"\n\nAnswer with JSON: {\"name\": string, \"age\": integer}", user)
        .no_wire("the model runs in this process")
        .raw_prompts(["Write an email to Bob", "What is 2 + 3?", "{\"name\":"])
}

backend_conformance!(hf_on_pico, hf());

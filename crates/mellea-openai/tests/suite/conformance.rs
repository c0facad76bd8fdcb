//! The rules of a backend, over a simulated server.

use std::sync::Arc;

use mellea_core::ToolSpec;
use mellea_core::backend_conformance;
use mellea_core::testing::conformance::Fixture;

use super::{Dialect, Recorded, at, json, simulator};

async fn fixture(dialect: Dialect, responses: bool) -> Fixture {
    let server = Arc::new(simulator::start().await);
    let builder = at(&server, dialect);
    let backend = if responses { builder.responses() } else { builder }.build().unwrap();
    let parameters = json!({
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
        "required": ["city", "days"],
        "additionalProperties": false,
    });
    let weather = ToolSpec::new("weather", "Tells the weather.", parameters);
    let wire = Arc::clone(&server);
    Fixture::new(backend)
        .prompt("Say some words.")
        .long_prompt("Count the words.")
        .tool("What is the weather?", weather)
        .secret("sk-canary")
        .wire(move || wire.requests().iter().map(Recorded::text).collect())
        .in_flight(move || server.in_flight())
        .limit(std::time::Duration::from_secs(30))
}

backend_conformance!(generic, fixture(Dialect::GENERIC, false));
backend_conformance!(vllm, fixture(Dialect::VLLM, false));
backend_conformance!(platform, fixture(Dialect::OPENAI, false));
backend_conformance!(responses_api, fixture(Dialect::OPENAI, true));

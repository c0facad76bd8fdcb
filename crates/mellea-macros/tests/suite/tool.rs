//! `#[tool]` and what the model and the program see of it.

use std::fmt;
use std::time::Duration;

use mellea::prelude::*;
use mellea::testing::{Reply, ScriptedBackend};
use mellea::tool::{Tool, ToolCall, ToolError, ToolOutcome, ToolPolicy, Tools};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Unit {
    Celsius,
    Fahrenheit,
}

#[derive(Debug, PartialEq, Serialize)]
struct Weather {
    city: String,
    degrees: f64,
    unit: Unit,
}

#[derive(Debug)]
struct UnknownCity(String);

impl fmt::Display for UnknownCity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no city {}", self.0)
    }
}

impl std::error::Error for UnknownCity {}

/// Current weather
/// of a city.
#[tool(timeout = Duration::from_secs(5))]
async fn get_weather(
    /// The city's name.
    city: String,
    /// Celsius or Fahrenheit.
    #[tool(default = Unit::Celsius)]
    unit: Unit,
    /// Days from now.
    #[schemars(range(max = 9))]
    days: Option<u8>,
    #[tool(default)] detailed: bool,
    #[tool(default = "en")] language: String,
    tags: Vec<String>,
) -> Result<Weather, UnknownCity> {
    if city == "Nowhere" {
        return Err(UnknownCity(city));
    }
    tokio::task::yield_now().await;
    assert!(!detailed && language == "en" && tags.is_empty());
    Ok(Weather { city, degrees: 20.5 + f64::from(days.unwrap_or(0)), unit })
}

/// Add two numbers.
#[tool(name = "plus")]
fn add(a: i64, b: i64) -> i64 {
    a + b
}

mod failing {
    use super::{ToolError, tool};

    /// Fails with a text.
    #[tool]
    pub(super) fn text() -> Result<(), String> {
        Err("a text".to_owned())
    }

    /// Fails with any error.
    #[tool]
    pub(super) async fn boxed() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Err("boxed".into())
    }

    /// Fails with the error of tools.
    #[tool]
    pub(super) fn own() -> Result<u8, ToolError> {
        Err(ToolError::invalid_arguments("try another"))
    }

    /// Never ends.
    #[tool(timeout = std::time::Duration::from_millis(1))]
    pub(super) async fn endless() {
        std::future::pending().await
    }
}

async fn run(tool: impl Tool + 'static, arguments: Value) -> ToolOutcome {
    let name = tool.spec().name.clone();
    let tools = Tools::from_iter([tool]);
    tools.run(&ToolCall::new(name, arguments), &ToolPolicy::default()).await.outcome
}

#[test]
fn the_description_has_all_that_the_function_says() {
    insta::assert_json_snapshot!(get_weather.spec());
    assert_eq!(get_weather.timeout(), Some(Duration::from_secs(5)));
    assert_eq!(add.spec().name, "plus");
    assert_eq!(add.timeout(), None);
}

#[tokio::test]
async fn arguments_are_read_and_defaults_filled_in() {
    let outcome = run(get_weather, json!({"city": "Paris", "tags": []})).await;
    assert_eq!(outcome.value(), Some(&json!({"city": "Paris", "degrees": 20.5, "unit": "celsius"})));
    let outcome = run(get_weather, json!({"city": "Paris", "tags": [], "unit": "fahrenheit", "days": "2"})).await;
    assert_eq!(outcome.value(), Some(&json!({"city": "Paris", "degrees": 22.5, "unit": "fahrenheit"})));
    assert_eq!(run(add, json!({"a": 1, "b": 2})).await.value(), Some(&json!(3)));
}

#[tokio::test]
async fn arguments_that_do_not_fit_never_reach_the_function() {
    let outcome = run(add, json!({"a": "many", "b": 2})).await;
    assert!(matches!(outcome, ToolOutcome::InvalidArguments { .. }), "{outcome:?}");
    let outcome = run(get_weather, json!({"city": "Paris", "tags": [], "unit": "kelvin"})).await;
    assert!(matches!(outcome, ToolOutcome::InvalidArguments { .. }), "{outcome:?}");
}

#[tokio::test]
async fn errors_of_every_kind_tell_the_model_what_happened() {
    let outcome = run(get_weather, json!({"city": "Nowhere", "tags": []})).await;
    assert!(outcome.to_model_text().contains("there is no city Nowhere"), "{outcome:?}");
    assert!(run(failing::text, json!({})).await.to_model_text().contains("a text"));
    assert!(run(failing::boxed, json!({})).await.to_model_text().contains("boxed"));
    assert!(failing::own.call(json!({})).await.unwrap_err().is_invalid_arguments());
    let source = get_weather.call(json!({"city": "Nowhere", "tags": []})).await.unwrap_err();
    assert!(source.source().is_some_and(|source| source.is::<UnknownCity>()));
}

#[tokio::test]
async fn a_tool_has_its_own_time_limit() {
    let outcome = run(failing::endless, json!({})).await;
    assert!(matches!(outcome, ToolOutcome::Timeout { .. }), "{outcome:?}");
}

#[tokio::test]
async fn the_function_can_still_be_called() {
    assert_eq!(add::run(1, 2), 3);
    let weather = get_weather::run("Rome".into(), Unit::Celsius, None, false, "en".into(), vec![]).await.unwrap();
    assert_eq!(weather, Weather { city: "Rome".into(), degrees: 20.5, unit: Unit::Celsius });
}

#[tokio::test]
async fn a_session_gives_tools_to_the_model_and_runs_its_calls() {
    let call = ToolCall::new("plus", json!({"a": 20, "b": 22}));
    let backend = ScriptedBackend::new([Reply::tool_calls([call])]);
    let m = Session::new(backend.clone());
    let answer = m.instruct("What is 20 + 22?").tool(get_weather).tool(add).await.unwrap();
    let results = m.call_tools(&answer).await.unwrap();
    assert_eq!(results[0].outcome.value(), Some(&json!(42)));
    let names: Vec<_> = backend.requests()[0].tools.iter().map(|tool| tool.name.clone()).collect();
    assert_eq!(names, ["get_weather", "plus"]);
}

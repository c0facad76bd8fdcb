//! `#[tool]` and what the model and the program see of it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
    insta::assert_json_snapshot!(get_weather_tool().spec());
    assert_eq!(get_weather_tool().timeout(), Some(Duration::from_secs(5)));
    assert_eq!(add_tool().spec().name, "plus");
    assert_eq!(add_tool().timeout(), None);
}

#[tokio::test]
async fn arguments_are_read_and_defaults_filled_in() {
    let outcome = run(get_weather_tool(), json!({"city": "Paris", "tags": []})).await;
    assert_eq!(outcome.value(), Some(&json!({"city": "Paris", "degrees": 20.5, "unit": "celsius"})));
    let outcome = run(get_weather_tool(), json!({"city": "Paris", "tags": [], "unit": "fahrenheit", "days": "2"})).await;
    assert_eq!(outcome.value(), Some(&json!({"city": "Paris", "degrees": 22.5, "unit": "fahrenheit"})));
    assert_eq!(run(add_tool(), json!({"a": 1, "b": 2})).await.value(), Some(&json!(3)));
}

#[tokio::test]
async fn arguments_that_do_not_fit_never_reach_the_function() {
    let outcome = run(add_tool(), json!({"a": "many", "b": 2})).await;
    assert!(matches!(outcome, ToolOutcome::InvalidArguments { .. }), "{outcome:?}");
    let outcome = run(get_weather_tool(), json!({"city": "Paris", "tags": [], "unit": "kelvin"})).await;
    assert!(matches!(outcome, ToolOutcome::InvalidArguments { .. }), "{outcome:?}");
}

#[tokio::test]
async fn errors_of_every_kind_tell_the_model_what_happened() {
    let outcome = run(get_weather_tool(), json!({"city": "Nowhere", "tags": []})).await;
    assert!(outcome.to_model_text().contains("there is no city Nowhere"), "{outcome:?}");
    assert!(run(failing::text_tool(), json!({})).await.to_model_text().contains("a text"));
    assert!(run(failing::boxed_tool(), json!({})).await.to_model_text().contains("boxed"));
    assert!(failing::own_tool().call(json!({})).await.unwrap_err().is_invalid_arguments());
    let source = get_weather_tool().call(json!({"city": "Nowhere", "tags": []})).await.unwrap_err();
    assert!(source.source().is_some_and(|source| source.is::<UnknownCity>()));
}

#[tokio::test]
async fn a_tool_has_its_own_time_limit() {
    let outcome = run(failing::endless_tool(), json!({})).await;
    assert!(matches!(outcome, ToolOutcome::Timeout { .. }), "{outcome:?}");
}

#[tokio::test]
async fn the_function_can_still_be_called() {
    assert_eq!(add(1, 2), 3);
    let weather = get_weather("Rome".into(), Unit::Celsius, None, false, "en".into(), vec![]).await.unwrap();
    assert_eq!(weather, Weather { city: "Rome".into(), degrees: 20.5, unit: Unit::Celsius });
}

/// Counts what is asked of it.
struct Catalogue {
    titles: Vec<&'static str>,
    asked: Mutex<Vec<String>>,
}

impl Catalogue {
    /// Search the catalogue.
    ///
    /// Finds books only.
    ///
    /// Args:
    ///     query: Words of the title,
    ///         in any order.
    ///     limit: At most so many.
    #[tool]
    async fn search(&self, query: String, #[tool(default = 10)] limit: usize) -> Vec<&'static str> {
        tokio::task::yield_now().await;
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(query.clone());
        self.titles.iter().copied().filter(|title| title.contains(&query)).take(limit).collect()
    }

    /// Count the books.
    #[tool(name = "count-books")]
    fn count(self: Arc<Self>) -> usize {
        self.titles.len()
    }

    /// How often it was asked.
    #[tool]
    fn asked(self: &Arc<Self>) -> Result<usize, String> {
        Ok(self.asked.lock().map_err(|_| "broken")?.len())
    }
}

#[tokio::test]
async fn methods_are_tools_that_share_their_object() {
    let catalogue = Arc::new(Catalogue { titles: vec!["Emma", "Ulysses"], asked: Mutex::default() });
    assert_eq!(catalogue.search("m".into(), 1).await, ["Emma"], "the method is still there");
    let outcome = run(catalogue.search_tool(), json!({"query": "ss"})).await;
    assert_eq!(outcome.value(), Some(&json!(["Ulysses"])));
    assert_eq!(run(catalogue.count_tool(), json!({})).await.value(), Some(&json!(2)));
    assert_eq!(run(catalogue.asked_tool(), json!({})).await.value(), Some(&json!(2)));
    assert_eq!(*catalogue.asked.lock().unwrap(), ["m", "ss"]);
    insta::assert_json_snapshot!(catalogue.search_tool().spec());
}

/// Look a word up.
#[tool]
async fn look_up(
    #[tool(state)] words: &HashMap<String, String>,
    word: String,
    #[tool(state)] times: Arc<AtomicUsize>,
) -> Option<String> {
    times.fetch_add(1, Ordering::Relaxed);
    words.get(&word).cloned()
}

#[tokio::test]
async fn a_function_gets_its_state_from_the_program() {
    let words = Arc::new(HashMap::from([("Haus".to_owned(), "house".to_owned())]));
    let times = Arc::new(AtomicUsize::new(0));
    let tool = look_up_tool(Arc::clone(&words), Arc::clone(&times));
    assert_eq!(tool.spec().parameters["properties"].as_object().unwrap().len(), 1);
    assert_eq!(run(tool, json!({"word": "Haus"})).await.value(), Some(&json!("house")));
    let moved = look_up_tool(HashMap::new(), Arc::clone(&times));
    assert_eq!(run(moved, json!({"word": "Haus"})).await.value(), Some(&json!(null)));
    assert_eq!(look_up(&words, "Haus".into(), Arc::clone(&times)).await.as_deref(), Some("house"));
    assert_eq!(times.load(Ordering::Relaxed), 3);
}

/// Transfer money.
#[tool(effects, timeout = Duration::from_secs(9))]
fn transfer(amount: u32) -> u32 {
    amount
}

#[test]
fn a_tool_says_that_it_has_effects() {
    assert!(transfer_tool().has_effects() && !add_tool().has_effects());
    assert_eq!(transfer_tool().timeout(), Some(Duration::from_secs(9)));
}

type Outcome = Result<u8, String>;

/// Goes by an alias.
#[tool]
fn aliased(fail: bool) -> Outcome {
    if fail { Err("as asked".to_owned()) } else { Ok(1) }
}

#[tokio::test]
async fn a_result_under_another_name_is_a_result() {
    assert_eq!(run(aliased_tool(), json!({"fail": false})).await.value(), Some(&json!(1)));
    assert!(matches!(run(aliased_tool(), json!({"fail": true})).await, ToolOutcome::Failed { message } if message == "as asked"));
}

/// Orders plates.
#[tool]
fn order(
    #[serde(alias = "n")]
    #[schemars(range(max = 9))]
    plates: Option<u32>,
) -> u32 {
    plates.unwrap_or(1)
}

#[tokio::test]
async fn an_alias_passes_no_check() {
    assert!(matches!(run(order_tool(), json!({"n": 200})).await, ToolOutcome::InvalidArguments { .. }));
    assert!(matches!(run(order_tool(), json!({"plates": 200})).await, ToolOutcome::InvalidArguments { .. }));
    assert_eq!(run(order_tool(), json!({"plates": 2, "unknown": 3})).await.value(), Some(&json!(2)));
}

#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Shape {
    /// A circle.
    Circle {
        radius: u8,
    },
    Point,
}

/// Draws shapes.
#[tool]
fn draw(shape: Shape, unit: Unit) -> String {
    format!("{shape:?} {unit:?}")
}

#[tokio::test]
async fn enums_are_arguments() {
    let circle = json!({"shape": {"kind": "circle", "radius": 3}, "unit": "celsius"});
    assert_eq!(run(draw_tool(), circle).await.value(), Some(&json!("Circle { radius: 3 } Celsius")));
    let point = json!({"shape": {"kind": "point"}, "unit": "fahrenheit"});
    assert_eq!(run(draw_tool(), point).await.value(), Some(&json!("Point Fahrenheit")));
    let wrong = json!({"shape": {"kind": "circle"}, "unit": "kelvin"});
    assert!(matches!(run(draw_tool(), wrong).await, ToolOutcome::InvalidArguments { .. }));
}

/** Block comments
    are read, too.

    Args:
        a: First.
          Really.
*/
#[tool]
fn block_comment(a: u8) -> u8 {
    a
}

/// Converts lengths.
///
/// # Arguments
///
/// * `length` - How long,
///   in metres.
/// * `unit` - Feet or yards.
#[tool]
fn convert(length: f64, #[tool(default = "feet")] unit: String) -> f64 {
    if unit == "feet" { length * 3.28 } else { length * 1.09 }
}

#[test]
fn doc_comments_are_read_in_every_style() {
    insta::assert_json_snapshot!([block_comment_tool().spec(), convert_tool().spec()]);
}

#[tokio::test]
async fn a_session_gives_tools_to_the_model_and_runs_its_calls() {
    let call = ToolCall::new("plus", json!({"a": 20, "b": 22}));
    let backend = ScriptedBackend::new([Reply::tool_calls([call])]);
    let m = Session::new(backend.clone());
    let answer = m.instruct("What is 20 + 22?").tools([get_weather_tool(), add_tool()]).await.unwrap();
    let results = m.call_tools(&answer).await.unwrap();
    assert_eq!(results[0].outcome.value(), Some(&json!(42)));
    let names: Vec<_> = backend.requests()[0].tools.iter().map(|tool| tool.name.clone()).collect();
    assert_eq!(names, ["get_weather", "plus"]);
}

struct Bank;

impl Bank {
    const RATE: f64 = 0.05;

    /// Adds two amounts.
    #[tool]
    pub(crate) fn sum(a: f64, b: f64) -> f64 {
        a + b
    }

    /// The interest of a year.
    #[tool]
    async fn interest(amount: f64, #[tool(state)] taxed: bool) -> f64 {
        let full = amount * Self::RATE;
        if taxed { full / 2.0 } else { full }
    }

    /// Who runs it.
    #[tool(name = "owner")]
    fn owner() -> Result<String, std::fmt::Error> {
        Ok("nobody".to_owned())
    }
}

#[tokio::test]
async fn an_associated_function_is_a_tool() {
    let tools = Tools::from([Bank::sum_tool(), Bank::interest_tool(true), Bank::owner_tool()]);
    let run = async |name: &str, arguments: Value| {
        let outcome = tools.run(&ToolCall::new(name, arguments), &ToolPolicy::default()).await.outcome;
        outcome.value().cloned().unwrap_or_default()
    };
    assert_eq!(run("sum", json!({"a": 1.5, "b": 2})).await, json!(3.5));
    assert_eq!(run("interest", json!({"amount": 100})).await, json!(2.5));
    assert_eq!(run("owner", json!({})).await, json!("nobody"));
    assert!((Bank::sum(1.0, 2.0) - 3.0).abs() < 1e-9, "the function stays what it was");
    assert!((Bank::interest(100.0, false).await - 5.0).abs() < 1e-9);
}

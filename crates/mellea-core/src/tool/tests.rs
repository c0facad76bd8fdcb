//! Calls that go well, and every way in which they do not.

mod approval;
mod arguments;
mod bounds;
mod order;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::schema::Schema;

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema and that it can be read matter")]
struct Trip {
    /// Where to.
    city: String,
    days: u8,
    /// In euros.
    budget: Option<f64>,
    #[serde(default)]
    direct: bool,
    class: Option<Class>,
    #[serde(default)]
    stops: Vec<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Class {
    First,
    Second,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Pair {
    a: i64,
    b: i64,
}

fn add() -> FunctionTool {
    tool_fn("add", "Add two numbers.", |pair: Pair| Ok(pair.a + pair.b))
}

fn tools() -> Tools {
    let odd = [
        add(),
        tool("hang", "Never ends.", |(): ()| std::future::pending::<Result<(), ToolError>>())
            .with_timeout(Duration::from_millis(20)),
        tool("panic", "Breaks.", |(): ()| async { panic!("no {}", "way") as Result<(), _> }),
        tool_fn("panic_fn", "Breaks.", |(): ()| -> Result<(), _> { panic!("never") }),
        tool("fail", "Fails.", |(): ()| async { Ok(std::fs::read_to_string("/no/such/file")?) }),
        tool_fn("shout", "Shouts.", |text: String| Ok(text.to_uppercase())),
    ];
    odd.into_iter().collect()
}

fn call(name: &str, arguments: Value) -> ToolCall {
    ToolCall::new(name, arguments)
}

#[test]
fn a_tool_is_described_in_full() {
    let trip = tool_fn("book", "Book a trip.", |trip: Trip| Ok(trip.city));
    insta::assert_snapshot!(serde_json::to_string_pretty(&trip.spec().to_openai()).unwrap());
    let nothing = tool("now", "The time.", |(): ()| async { Ok(0) });
    assert_eq!(nothing.spec().parameters, json!({"type": "object", "properties": {}}));
    assert_eq!(*nothing.spec(), ToolSpec::without_parameters("now", "The time."));
}

#[tokio::test]
async fn every_outcome_has_its_kind_and_its_text() {
    let (tools, policy) = (tools(), ToolPolicy::default());
    let calls = [
        call("add", json!({"a": 2, "b": "3"})),
        call("add", json!({"a": "two"})),
        call("add", json!("a: 2")),
        call("nix", json!({})),
        call("hang", json!({})),
        call("panic", Value::Null),
        call("panic_fn", json!("{}")),
        call("fail", json!({})),
        call("shout", json!({"value": "hi"})),
        call("add", json!({"a": 1, "b": 1})),
    ];
    let results = tools.run_all(&calls, &policy).await;
    let texts: Vec<String> = results
        .iter()
        .map(|r| {
            let kind = serde_json::to_value(&r.outcome).unwrap()["kind"].clone();
            format!("{} {kind} {}", r.call.name, r.outcome.to_model_text())
        })
        .collect();
    insta::assert_snapshot!(texts.join("\n"));
    assert!(results.iter().zip(&calls).all(|(result, call)| result.call == *call));
    assert!(matches!(&results[5].outcome, ToolOutcome::Panicked { message } if message == "no way"));
    assert!(matches!(&results[6].outcome, ToolOutcome::Panicked { message } if message == "never"));
    let stored = serde_json::to_string(&results).unwrap();
    assert_eq!(serde_json::from_str::<Vec<ToolResult>>(&stored).unwrap(), results);
    let mut results = results.into_iter();
    assert_eq!(results.next().unwrap().into_result().unwrap(), 5);
    assert!(results.nth(3).unwrap().into_result().unwrap_err().is_timeout());
}

#[tokio::test(start_paused = true)]
async fn a_hung_tool_holds_up_nobody_and_no_more_run_than_may() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (n, m) = (Arc::clone(&now), Arc::clone(&most));
    let mut tools = tools();
    let count = move |(): ()| {
        let (n, m) = (Arc::clone(&n), Arc::clone(&m));
        async move {
            m.fetch_max(n.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            n.fetch_sub(1, Ordering::SeqCst);
            Ok("done")
        }
    };
    tools.try_insert(tool("count", "Counts.", count)).unwrap();
    let mut calls = vec![call("hang", json!({}))];
    calls.resize_with(20, || call("count", json!({})));
    let policy = ToolPolicy::default().with_parallelism(NonZeroUsize::new(3).unwrap());
    let results = tools.run_all(&calls, &policy).await;
    assert!(matches!(results[0].outcome, ToolOutcome::Timeout { .. }));
    assert!(results[1..].iter().all(|r| r.outcome.is_ok()));
    assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
}

#[tokio::test]
async fn a_dropped_call_is_cancelled() {
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&dropped);
    let slow = tool("slow", "Slow.", move |(): ()| {
        let guard = Dropped(Arc::clone(&flag));
        async move {
            let _guard = guard;
            std::future::pending::<Result<(), ToolError>>().await
        }
    });
    let tools = Tools::from_iter([slow]);
    let (slow, policy) = (call("slow", json!({})), ToolPolicy::default());
    let run = tools.run(&slow, &policy);
    assert!(tokio::time::timeout(Duration::from_millis(10), run).await.is_err());
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_guard_decides_on_mended_arguments() {
    let policy = ToolPolicy::default().with_guard(|call| match call.arguments["a"].as_i64() {
        Some(a) if a > 9 => ToolVerdict::Deny("too big".to_owned()),
        Some(_) => ToolVerdict::Allow,
        None => panic!("no number"),
    });
    let denied = tools().run(&call("add", json!({"a": "10", "b": 1})), &policy).await;
    assert_eq!(denied.outcome.to_model_text(), "error: the call was not allowed: too big");
    assert!(tools().run(&call("add", json!({"a": 9, "b": 1})), &policy).await.outcome.is_ok());
    let broken = tools().run(&call("hang", json!({})), &policy).await;
    assert!(matches!(broken.outcome, ToolOutcome::Denied { .. }));
}

#[test]
fn without_a_runtime_tools_run_in_place() {
    let run = tools();
    let call = call("add", json!({"a": 1, "b": 2}));
    let policy = ToolPolicy::default();
    let result = futures_util::FutureExt::now_or_never(run.run(&call, &policy)).unwrap();
    assert_eq!(result.outcome.value(), Some(&json!(3)));
}

#[test]
fn a_name_stands_once() {
    let mut tools = Tools::new();
    tools.try_insert(add()).unwrap();
    let error = tools.try_insert(Box::new(add())).unwrap_err();
    assert_eq!(error.to_string(), "there are two tools named `add`");
    tools.try_insert(tool_fn("", "", |(): ()| Ok(()))).unwrap_err();
    let later = tool_fn("add", "Later.", |(): ()| Ok(()));
    let tools = Tools::from_iter([add(), tool_fn("b", "", |(): ()| Ok(())), later]);
    assert_eq!(format!("{tools:?}"), r#"["add", "b"]"#);
    assert_eq!(tools.specs().next().unwrap().description, "Later.");
    assert!(!tools.is_empty() && tools.len() == 2 && tools.get("c").is_none());
}

fn checked(arguments: Value, policy: ArgumentPolicy) -> (Value, Vec<String>) {
    let schema = Schema::of::<Trip>().unwrap();
    let checked = check_arguments(&schema, arguments, policy);
    (checked.value, checked.errors.iter().map(ToString::to_string).collect())
}

#[test]
fn slips_are_mended_field_by_field() {
    let given = json!({"city": "  Paris ", "days": "3.0", "budget": " 2.5", "direct": "Yes",
        "class": "First ", "stops": ["1", 2.0], "extra": "not kept "});
    let (value, errors) = checked(given, ArgumentPolicy::Lenient);
    assert_eq!(errors, [""; 0]);
    let mended = json!({"city": "Paris", "days": 3, "budget": 2.5, "direct": true,
        "class": "first", "stops": [1, 2]});
    assert_eq!(value.to_string(), mended.to_string());
    serde_json::from_value::<Trip>(value).unwrap();

    let (value, errors) = checked(json!({"city": 4, "days": 3.5, "stops": "[1]"}), ArgumentPolicy::Lenient);
    assert_eq!(value["city"], "4");
    assert_eq!(errors, ["/days: expected integer, found 3.5", "/stops: expected integer[], found \"[1]\""]);
    assert_eq!(checked(json!({"city": true}), ArgumentPolicy::Lenient).1.len(), 2);
}

#[test]
fn absent_stays_absent_and_null_may_mean_it() {
    let (value, errors) = checked(json!({"city": "x", "days": 1, "budget": null, "direct": null}), ArgumentPolicy::Lenient);
    assert_eq!((value.to_string(), errors.len()), (json!({"city": "x", "days": 1, "budget": null}).to_string(), 0));
    assert_eq!(checked(json!({"city": "x"}), ArgumentPolicy::Lenient).1, ["/days: expected integer, found nothing"]);
}

#[test]
fn strict_mends_nothing_and_refuses_what_is_unknown() {
    let (value, errors) = checked(json!({"city": " x", "days": "3", "extra": 1}), ArgumentPolicy::Strict);
    assert_eq!(value["city"], " x");
    assert_eq!(errors, ["/days: expected integer, found \"3\"", "/extra: expected no such argument, found 1"]);
}

#[tokio::test]
async fn no_rule_is_passed_by() {
    #[derive(Deserialize, JsonSchema)]
    struct Transfer {
        #[serde(default, alias = "sum")]
        #[schemars(range(max = 100))]
        amount: u32,
    }
    let reached = tool_fn("pay", "Pays.", |transfer: Transfer| Ok(transfer.amount));
    let direction = tool_fn("turn", "Turns.", |class: Class| Ok(matches!(class, Class::First)));
    #[derive(Deserialize, JsonSchema)]
    #[serde(tag = "kind")]
    enum Shape {
        Circle { radius: u32 },
        Square { side: u32 },
    }
    let area = tool_fn("area", "Measures.", |shape: Shape| {
        Ok(match shape {
            Shape::Circle { radius } => 3 * radius * radius,
            Shape::Square { side } => side * side,
        })
    });
    let tools = Tools::from_iter([reached, direction, area]);
    let policy = ToolPolicy::default();
    let strict = ToolPolicy::default().with_arguments(ArgumentPolicy::Strict);
    let run = |name: &'static str, arguments: Value| {
        let (tools, policy) = (tools.clone(), policy.clone());
        async move { tools.run(&call(name, arguments), &policy).await.outcome.to_model_text() }
    };
    assert_eq!(run("pay", json!({"amount": 7})).await, "7");
    assert!(run("pay", json!({"sum": 1_000_000})).await.contains("no such argument"));
    assert!(run("pay", json!({"amount": 1_000_000})).await.contains("at most 100"));
    assert!(!tools.run(&call("pay", json!({"sum": 7})), &strict).await.outcome.is_ok());
    assert_eq!(run("turn", json!({"value": "FIRST"})).await, "true");
    assert!(run("turn", json!({"value": "third"})).await.starts_with("error"));
    assert_eq!(run("area", json!({"value": {"kind": "Circle", "radius": "2"}})).await, "12");
    assert!(run("area", json!({"value": {"kind": "Square", "radius": 2}})).await.contains("/value/side"));
}

#[test]
fn a_rule_that_cannot_be_checked_switches_nothing_off() {
    let parameters = json!({"type": "object", "properties": {
        "amount": {"type": "integer", "maximum": 100}, "code": {"type": "string", "pattern": "^(?!x)"}}});
    let (schema, _) = Schema::from_value_partial(parameters).unwrap();
    let check = |given: Value, policy| {
        let checked = check_arguments(&schema, given, policy);
        checked.errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let attack = json!({"amount": "1000000; DROP TABLE"});
    assert_eq!(check(attack, ArgumentPolicy::Lenient), ["/amount: expected integer, found \"1000000; DROP TABLE\""]);
    assert_eq!(check(json!({"amount": 1, "code": "y"}), ArgumentPolicy::Lenient), [""; 0]);
    let denied = check(json!({"amount": 1, "code": "y"}), ArgumentPolicy::Strict);
    assert!(matches!(&denied[..], [only] if only.contains("`pattern` at /properties/code")), "{denied:?}");
}

#[test]
fn what_has_no_type_is_never_touched() {
    let schema = Schema::from_value(json!({"type": "object",
        "properties": {"list": {"type": "array"}, "any": {}, "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}}))
    .unwrap();
    let given = json!({"list": [1, " 2 "], "any": " 3 ", "either": " 4 "});
    let checked = check_arguments(&schema, given.clone(), ArgumentPolicy::Lenient);
    assert_eq!((checked.value, checked.errors.len()), (given, 0));
}

#[test]
fn ids_are_unique_and_arguments_take_both_encodings() {
    let (a, b) = (call("x", json!("{\"q\": 1}")), call("x", json!("not json")));
    assert_ne!(a.id, b.id);
    assert!(a.id.starts_with("call_"));
    assert_eq!((&a.arguments, &b.arguments), (&json!({"q": 1}), &json!("not json")));
    assert_eq!(call("x", json!("")).arguments, json!({}));
}

#[test]
fn calls_are_found_at_any_depth_unchanged() {
    let text = r#"First {"note": {"x": 1}, "calls": [{"n": 0}, {"name": "a", "arguments": {"s": "two  spaces\n"}}]}
        then {"function": {"name": "b", "arguments": "{\"k\": [1]}"}, "id": "call_x"} {not json}
        ```{"name": "c", "args": {}}``` {"name": "d", "parameters": {"name": "no", "args": {}}} {"name": "e", "args": 3}"#;
    let calls = calls_in_text(text);
    let found: Vec<(&str, &Value)> = calls.iter().map(|c| (c.name.as_str(), &c.arguments)).collect();
    assert_eq!(
        found,
        [
            ("a", &json!({"s": "two  spaces\n"})),
            ("b", &json!({"k": [1]})),
            ("c", &json!({})),
            ("d", &json!({"name": "no", "args": {}})),
        ]
    );
}

proptest! {
    #[test]
    fn no_text_and_no_arguments_make_it_panic(text in "[{}\\[\\]\":,a-z0-9 \\\\]{0,80}") {
        let _ = calls_in_text(&text);
        let (value, errors) = checked(Value::from(text.as_str()), ArgumentPolicy::Lenient);
        prop_assert!(!errors.is_empty() || value.is_object());
        let (_, errors) = checked(json!({"city": text, "days": 1}), ArgumentPolicy::Lenient);
        prop_assert!(errors.is_empty());
    }
}

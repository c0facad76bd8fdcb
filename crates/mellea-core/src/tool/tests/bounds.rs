//! What a model is told is bounded, whatever tools and models come up with.

use super::*;
use crate::message::Message;

fn result(outcome: ToolOutcome) -> ToolResult {
    ToolResult::new(call("x", json!({})), outcome, Duration::ZERO)
}

#[tokio::test]
async fn a_huge_result_is_cut_for_the_model_alone() {
    let long = tool("long", "Long.", |(): ()| async { Ok("é".repeat(5_000_000)) });
    let list = tool("list", "Long.", |(): ()| async { Ok(vec!["ab"; 1_000_000]) });
    let tools = Tools::from([long, list]);
    let calls = [call("long", json!({})), call("list", json!({}))];
    let results = tools.run_all(&calls, &ToolPolicy::default()).await;
    let text = results[0].to_model_text();
    assert!(text.len() < 64 * 1024 + 64 && text.ends_with("é… [cut, 10000000 bytes in all]"));
    assert_eq!(results[0].outcome.value().unwrap().as_str().unwrap().len(), 10_000_000, "the program has all of it");
    let text = results[1].to_model_text();
    assert!(text.len() < 64 * 1024 + 64 && text.starts_with(r#"["ab","ab""#) && text.ends_with("… [cut, 5000001 bytes in all]"));

    let small = tools.run_all(&calls, &ToolPolicy::default().with_result_limit(3)).await;
    assert_eq!(small[0].to_model_text(), "é… [cut, 10000000 bytes in all]");
    assert_eq!(Message::from(&small[1]).text(), "[\"a… [cut, 5000001 bytes in all]");
    let stored = serde_json::to_string(&small[1]).unwrap();
    assert_eq!(serde_json::from_str::<ToolResult>(&stored).unwrap().to_model_text(), small[1].to_model_text());
    assert_eq!(result(ToolOutcome::Ok(json!({"a": "\u{1b}é"}))).to_model_text(), r#"{"a":"\u001bé"}"#);
}

#[tokio::test]
async fn no_failure_is_long_or_has_controls() {
    let long = "no \u{1b}[2J\n\u{202e}way ".repeat(300_000);
    let names: Vec<String> = (0..5_000).map(|n| format!("tool_{n}\n")).collect();
    let unknown = tools().run(&call(&long, json!({})), &ToolPolicy::default()).await;
    assert!(matches!(&unknown.outcome, ToolOutcome::UnknownTool { name, .. } if name.chars().count() <= 65));
    assert!(unknown.to_model_text().len() < 400, "{}", unknown.to_model_text().len());
    let error = unknown.into_result().unwrap_err().to_string();
    assert!(error.len() < 600 && !error.contains('\n'));
    let broken = tools().run(&call("add", json!({"a": long, "b": long})), &ToolPolicy::default()).await;
    let errors = vec![super::ArgumentError { path: long.clone(), expected: long.clone(), found: long.clone() }];
    let outcomes = [
        broken.outcome,
        ToolOutcome::InvalidArguments { errors, message: long.clone() },
        ToolOutcome::UnknownTool { name: long.clone(), available: names },
        ToolOutcome::Timeout { limit: Duration::MAX },
        ToolOutcome::Denied { reason: long.clone() },
        ToolOutcome::Panicked { message: long.clone() },
        ToolOutcome::Failed { message: long },
    ];
    for outcome in outcomes {
        let text = outcome.to_model_text();
        assert!(text.len() <= 4 * 1024 + 16 && text.starts_with("error: "), "{}", text.len());
        assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text}");
        assert!(!result(outcome).into_result().unwrap_err().to_string().chars().any(char::is_control));
    }
}

#[tokio::test]
async fn a_turn_has_so_many_calls_and_no_more() {
    let calls: Vec<ToolCall> = (0..1_000).map(|a| call("add", json!({"a": a, "b": 0}))).collect();
    let results = tools().run_all(&calls, &ToolPolicy::default().with_max_calls(3)).await;
    assert_eq!(results.len(), 1_000);
    for (at, result) in results.iter().enumerate() {
        assert_eq!(result.call, calls[at]);
        assert_eq!(result.outcome.is_ok(), at < 3);
    }
    assert_eq!(results[3].outcome.reason(), "the call was not allowed: only 3 calls are carried out in one turn");
    let all = tools().run_all(&calls, &ToolPolicy::default()).await;
    assert_eq!(all.iter().filter(|result| result.outcome.is_ok()).count(), 128);
}

#[derive(Debug)]
struct Odd(ToolSpec);

#[async_trait]
impl Tool for Odd {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    async fn call(&self, _: Value) -> Result<Value, ToolError> {
        Ok(Value::Null)
    }

    fn timeout(&self) -> Option<Duration> {
        panic!("no limit")
    }
}

#[tokio::test]
async fn a_tool_that_breaks_outside_of_its_call_is_an_outcome() {
    let tools = Tools::new().with(Odd(ToolSpec::without_parameters("odd", "")));
    let result = tools.run(&call("odd", json!({})), &ToolPolicy::default()).await;
    assert!(matches!(result.outcome, ToolOutcome::Panicked { message } if message == "no limit"));
}

proptest! {
    #[test]
    fn a_cut_text_is_the_start_of_the_whole(text in any::<String>(), limit in 0_usize..40, json in any::<bool>()) {
        let value = if json { json!([text]) } else { json!(text) };
        let whole = ToolOutcome::Ok(value.clone()).to_model_text_within(usize::MAX);
        let cut = ToolOutcome::Ok(value).to_model_text_within(limit);
        if whole.len() <= limit {
            prop_assert_eq!(cut, whole);
        } else {
            let note = format!("… [cut, {} bytes in all]", whole.len());
            let start = cut.strip_suffix(&note).unwrap();
            prop_assert!(whole.starts_with(start) && start.len() <= limit && start.len() + 4 > limit);
        }
    }
}

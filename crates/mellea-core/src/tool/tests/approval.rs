//! Calls that wait for somebody's word.

use std::sync::Mutex;

use super::*;

async fn outcome(policy: &ToolPolicy, arguments: Value) -> ToolOutcome {
    tools().run(&call("add", arguments), policy).await.outcome
}

#[tokio::test(start_paused = true)]
async fn an_approval_may_take_its_time_and_sees_what_the_tool_will() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let policy = ToolPolicy::default().with_timeout(Duration::from_secs(1)).with_approval(move |call| {
        log.lock().unwrap().push(call.arguments);
        async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            ToolVerdict::Allow
        }
    });
    assert_eq!(outcome(&policy, json!({"a": "1", "b": 2})).await.value(), Some(&json!(3)));
    assert!(matches!(outcome(&policy, json!({"a": "x", "b": 2})).await, ToolOutcome::InvalidArguments { .. }));
    assert_eq!(*seen.lock().unwrap(), [json!({"a": 1, "b": 2})], "what does not fit is not asked about");
}

#[tokio::test]
async fn an_async_closure_approves() {
    let policy = ToolPolicy::default().with_approval(async |call: ToolCall| match call.arguments["a"].as_i64() {
        Some(1) => ToolVerdict::Allow,
        Some(2) => ToolVerdict::AllowWith(json!({"a": "20", "b": 1})),
        Some(3) => ToolVerdict::AllowWith(json!({"a": "many", "b": 1})),
        Some(4) => ToolVerdict::Deny("not\nfour".to_owned()),
        _ => panic!("no idea"),
    });
    let with = |a: i64| json!({"a": a, "b": 1});
    assert_eq!(outcome(&policy, with(1)).await.value(), Some(&json!(2)));
    assert_eq!(outcome(&policy, with(2)).await.value(), Some(&json!(21)), "changed arguments are mended too");
    let unfit = outcome(&policy, with(3)).await;
    assert!(matches!(unfit, ToolOutcome::Denied { .. }));
    assert!(unfit.reason().contains("/a: expected integer, found \"many\""), "{unfit:?}");
    assert_eq!(outcome(&policy, with(4)).await.to_model_text(), "error: the call was not allowed: not four");
    assert!(matches!(outcome(&policy, with(5)).await, ToolOutcome::Denied { .. }), "a panic denies");
}

#[tokio::test]
async fn the_guard_comes_first_and_may_change_arguments_too() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let policy = ToolPolicy::default()
        .with_guard(|call| match call.arguments["a"].as_i64() {
            Some(0) => ToolVerdict::Deny("zero".to_owned()),
            _ => ToolVerdict::AllowWith(json!({"a": 5, "b": 5})),
        })
        .with_approval(move |call| {
            count.fetch_add(1, Ordering::SeqCst);
            assert_eq!(call.arguments, json!({"a": 5, "b": 5}));
            std::future::ready(ToolVerdict::Allow)
        });
    assert!(matches!(outcome(&policy, json!({"a": 0, "b": 1})).await, ToolOutcome::Denied { .. }));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert_eq!(outcome(&policy, json!({"a": 1, "b": 1})).await.value(), Some(&json!(10)));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_approval_that_panics_at_once_denies() {
    let policy = ToolPolicy::default().with_approval(|_| -> std::future::Ready<ToolVerdict> { panic!("at once") });
    assert!(matches!(outcome(&policy, json!({"a": 1, "b": 1})).await, ToolOutcome::Denied { .. }));
}

//! In which order calls run, and what is told about them.

use std::sync::Mutex;

use super::*;

/// What a call does: how long it takes, whether it has effects, whether it ends in time.
#[derive(Clone, Copy, Debug)]
struct Step {
    millis: u64,
    effects: bool,
    hangs: bool,
}

#[derive(Debug, PartialEq)]
enum Mark {
    Start(usize),
    End(usize),
}

/// One tool for each step, all of which write down when they run.
fn scene(steps: &[Step]) -> (Tools, Vec<ToolCall>, Arc<Mutex<Vec<Mark>>>) {
    let marks = Arc::new(Mutex::new(Vec::new()));
    let mut tools = Tools::new();
    for (at, step) in steps.iter().copied().enumerate() {
        let marks = Arc::clone(&marks);
        let one = tool(format!("t{at}"), "", move |(): ()| {
            let marks = Arc::clone(&marks);
            async move {
                marks.lock().unwrap().push(Mark::Start(at));
                tokio::time::sleep(Duration::from_millis(step.millis)).await;
                if step.hangs {
                    std::future::pending::<()>().await;
                }
                marks.lock().unwrap().push(Mark::End(at));
                Ok(at)
            }
        });
        tools = tools.with(if step.effects { one.with_effects() } else { one });
    }
    let calls = (0..steps.len()).map(|at| call(&format!("t{at}"), json!({}))).collect();
    (tools, calls, marks)
}

fn paused<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(work)
}

fn step() -> impl Strategy<Value = Step> {
    (0_u64..50, any::<bool>(), proptest::bool::weighted(0.1)).prop_map(|(millis, effects, hangs)| Step { millis, effects, hangs })
}

proptest! {
    #[test]
    fn calls_with_effects_stand_alone_and_in_order(steps in prop::collection::vec(step(), 0..16), parallel in 1_usize..5) {
        let (tools, calls, marks) = scene(&steps);
        let policy = ToolPolicy::default()
            .with_timeout(Duration::from_secs(1))
            .with_parallelism(NonZeroUsize::new(parallel).unwrap());
        let mut events = Vec::new();
        let results = paused(tools.run_all_with(&calls, &policy, |event| events.push(event)));

        let lost = steps.iter().position(|step| step.effects && step.hangs);
        prop_assert_eq!(results.len(), calls.len());
        for (at, (result, step)) in results.iter().zip(&steps).enumerate() {
            prop_assert_eq!(&result.call, &calls[at]);
            let denied = step.effects && lost.is_some_and(|lost| at > lost);
            match &result.outcome {
                ToolOutcome::Denied { .. } => prop_assert!(denied),
                ToolOutcome::Timeout { .. } => prop_assert!(step.hangs && !denied),
                outcome => prop_assert!(outcome.is_ok() && !denied && !step.hangs),
            }
        }
        // A call that starts is beside no call with effects, and behind all before one.
        let marks = marks.lock().unwrap();
        let started = |at: usize| marks.iter().position(|mark| *mark == Mark::Start(at));
        let ended = |at: usize| marks.iter().position(|mark| *mark == Mark::End(at));
        for (at, step) in steps.iter().enumerate().filter(|(_, step)| step.effects) {
            let Some(start) = started(at) else { continue };
            prop_assert!((0..at).all(|before| steps[before].hangs || ended(before).is_none_or(|end| end < start)));
            prop_assert!((0..at).all(|before| started(before).is_none_or(|other| other < start)));
            let end = if step.hangs { start } else { ended(at).unwrap() };
            prop_assert!((at + 1..steps.len()).all(|after| started(after).is_none_or(|other| other > end)));
        }
        // Every call is told of twice, in the order of its life, and no more run than may.
        let mut open = Vec::new();
        for event in &events {
            match event {
                ToolEvent::Started { call } => open.push(call.id.clone()),
                ToolEvent::Ended { result } => {
                    let at = open.iter().position(|id| *id == result.call.id);
                    prop_assert!(at.is_some(), "it ended before it started");
                    open.remove(at.unwrap());
                    prop_assert!(results.contains(result));
                }
            }
            prop_assert!(open.len() <= parallel);
        }
        prop_assert!(open.is_empty() && events.len() == 2 * calls.len());
    }
}

#[test]
fn calls_without_effects_run_side_by_side() {
    let quick = Step { millis: 100, effects: false, hangs: false };
    let (tools, calls, _) = scene(&[quick; 8]);
    let took = paused(async {
        let start = tokio::time::Instant::now();
        assert!(tools.run_all(&calls, &ToolPolicy::default()).await.iter().all(|result| result.outcome.is_ok()));
        start.elapsed()
    });
    assert!(took < Duration::from_millis(200), "{took:?}");
}

#[test]
fn refused_calls_are_told_of_too() {
    let (tools, _, _) = scene(&[]);
    let tools = tools.with(add());
    let calls = [call("nix", json!({})), call("add", json!({})), call("add", json!({"a": 1, "b": 1}))];
    let mut told = Vec::new();
    let results = paused(tools.run_all_with(&calls, &ToolPolicy::default().with_max_calls(2), |event| {
        told.push((event.call().name.clone(), matches!(event, ToolEvent::Ended { .. })));
    }));
    assert_eq!(told.len(), 6);
    assert!(results.iter().all(|result| !result.outcome.is_ok()));
}

#[tokio::test]
async fn a_shared_set_of_tools_goes_wherever_tools_go() {
    let tools = Tools::from([add()]).with(Box::new(add().with_name("plus")) as Box<dyn Tool>);
    let again: Tools = tools.clone().into_iter().chain(Tools::from([add().with_name("sum")])).collect();
    assert_eq!(again.names().collect::<Vec<_>>(), ["add", "plus", "sum"]);
    assert_eq!((&again).into_iter().len(), 3);
    assert!(!again.get("plus").unwrap().has_effects());
}

//! Strategies that a program writes for itself, by the public API alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use mellea_core::testing::{Reply, ScriptedBackend};
use mellea_core::{
    Attempt, Backend, Budget, ChatContext, Delta, Error, ErrorKind, FinishReason, Message, ModelOption, Next, Progress, Role,
    SamplingStrategy, Session, StopReason, ValidationResult, check, req,
};

/// Makes many attempts and takes an answer that most of them gave.
#[derive(Debug)]
struct MajorityVote(usize);

impl SamplingStrategy for MajorityVote {
    fn budget(&self) -> Budget {
        Budget::attempts(self.0).concurrency(self.0)
    }

    fn next(&self, _: &Progress<'_>) -> Next {
        Next::again()
    }

    fn enough(&self, attempts: &[Attempt]) -> bool {
        let mut votes = BTreeMap::<&str, usize>::new();
        attempts.iter().filter(|a| a.succeeded()).for_each(|a| *votes.entry(a.text()).or_default() += 1);
        votes.values().any(|n| *n > self.0 / 2)
    }

    fn choose(&self, attempts: &[Attempt]) -> usize {
        let votes = |i: &usize| attempts.iter().filter(|a| a.succeeded() && a.text() == attempts[*i].text()).count();
        (0..attempts.len()).rev().max_by_key(votes).unwrap_or(0)
    }
}

#[tokio::test]
async fn majority_voting_chooses_among_successes_and_stops_when_it_is_decided() {
    let m = Session::new(ScriptedBackend::new(["41", "no idea", "42", "43", "42"]));
    let number = req("A number.").validate(|t| t.parse::<u32>().is_ok());
    let result = m.instruct("6 times 7?").require(number).strategy(MajorityVote(5)).sample().await.unwrap();
    assert!(result.success());
    assert_eq!((result.value().map(String::as_str), result.attempts().len()), (Some("42"), 5));
    assert!(matches!(result.stopped(), StopReason::Attempts));

    let m = Session::new(ScriptedBackend::new(["42", "42", "42", "43", "44"]));
    let result = m.instruct("6 times 7?").strategy(MajorityVote(5)).sample().await.unwrap();
    assert_eq!(result.attempts().len(), 3, "three of five decide");
    assert!(matches!(result.stopped(), StopReason::Success));
    assert_eq!(*result.into_result().unwrap(), "42");
}

/// Makes all attempts and takes the one with the best score.
#[derive(Debug)]
struct BestOf(usize);

fn score(attempt: &Attempt) -> f64 {
    let scores = attempt.verdicts.iter().filter_map(|verdict| verdict.result.score);
    if attempt.succeeded() { scores.sum() } else { f64::NEG_INFINITY }
}

impl SamplingStrategy for BestOf {
    fn budget(&self) -> Budget {
        Budget::attempts(self.0)
    }

    fn next(&self, _: &Progress<'_>) -> Next {
        Next::again()
    }

    fn enough(&self, _: &[Attempt]) -> bool {
        false
    }

    fn choose(&self, attempts: &[Attempt]) -> usize {
        (0..attempts.len()).max_by(|a, b| score(&attempts[*a]).total_cmp(&score(&attempts[*b]))).unwrap_or(0)
    }
}

#[tokio::test]
async fn best_of_n_takes_the_best_score_and_its_value_goes_into_the_history() {
    let m = Session::builder(ScriptedBackend::new(["good morning", "hello", "good morning to you all"]))
        .context(ChatContext::new())
        .build();
    let brief = check("Brief.").validate(|t| ValidationResult::pass().score(1.0 / t.len() as f64));
    let answer = m.instruct("Greet.").require(brief).strategy(BestOf(3)).await.unwrap();
    assert_eq!((&**answer, answer.attempts().len()), ("hello", 3));
    assert_eq!(m.context().view().last().unwrap().text(), "hello");
}

/// Asks a small model first and a large one when the small one fails, for whatever reason.
#[derive(Debug)]
struct Escalate<B>(B);

impl<B: Backend + Clone> SamplingStrategy for Escalate<B> {
    fn budget(&self) -> Budget {
        Budget::attempts(3)
    }

    fn next(&self, so_far: &Progress<'_>) -> Next {
        match so_far.last() {
            None => Next::again(),
            Some(last) if last.failure().is_some() => Next::again().backend(self.0.clone()),
            Some(last) => Next::repair(last.complaints()).backend(self.0.clone()).option(ModelOption::Temperature, 0.1),
        }
    }

    fn survives(&self, _: &Error) -> bool {
        true
    }
}

#[tokio::test]
async fn a_call_escalates_to_a_second_backend() {
    let large = ScriptedBackend::new(["fine"]);
    let m = Session::builder(ScriptedBackend::new(["FINE"])).option("api_key", "secret of the first").build();
    let lower = req("Lower case.").validate(|t| t == t.to_lowercase());
    let answer = m.instruct("Write.").require(lower.clone()).strategy(Escalate(large.clone())).await.unwrap();
    assert_eq!(*answer, "fine");
    let asked = &large.requests()[0];
    assert_eq!(asked.options.temperature, Some(0.1));
    assert!(asked.messages.last().unwrap().text().contains("- Lower case."), "the repair goes along");

    let large = ScriptedBackend::new(["fine"]);
    let down = Reply::refuse(ErrorKind::Busy("down".into()));
    let m = Session::new(ScriptedBackend::new([down]));
    let result = m.instruct("Write.").require(lower).strategy(Escalate(large)).sample().await.unwrap();
    assert!(result.success());
    assert!(result.attempts()[0].failure().is_some_and(|error| error.is_retryable()), "the failure is on record");
}

/// Lets the model think for so many tokens, and then makes it answer.
#[derive(Debug)]
struct BudgetForcing {
    think: u64,
    answer: u64,
}

impl SamplingStrategy for BudgetForcing {
    fn budget(&self) -> Budget {
        Budget::attempts(2)
    }

    fn next(&self, so_far: &Progress<'_>) -> Next {
        match so_far.last() {
            None => Next::again().option(ModelOption::MaxNewTokens, self.think),
            Some(cut) => {
                let thought = cut.output.as_ref().and_then(|output| output.thinking.clone()).unwrap_or_default();
                Next::again()
                    .followed_by([Message::assistant(thought), Message::user("Now give the final answer alone.")])
                    .option(ModelOption::MaxNewTokens, self.answer)
                    .option(ModelOption::Thinking, false)
            }
        }
    }
}

#[tokio::test]
async fn budget_forcing_makes_a_model_that_thinks_too_long_answer() {
    let thinking = Reply::text("").thinking("Let me see, 6 times 7 is").finish(FinishReason::Length);
    let backend = ScriptedBackend::new([thinking, Reply::text("42")]);
    let m = Session::new(backend.clone());
    let answer = m.instruct("6 times 7?").strategy(BudgetForcing { think: 100, answer: 10 }).await.unwrap();
    assert_eq!(*answer, "42");
    let [first, second] = &backend.requests()[..] else { panic!("two requests") };
    assert_eq!((first.options.max_new_tokens, second.options.max_new_tokens), (Some(100), Some(10)));
    let roles: Vec<Role> = second.messages.iter().map(|m| m.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::User]);
    assert_eq!(second.messages[1].text(), "Let me see, 6 times 7 is");
}

#[derive(Debug)]
struct Steps(fn(&Progress<'_>) -> Next);

impl SamplingStrategy for Steps {
    fn budget(&self) -> Budget {
        Budget::attempts(2)
    }

    fn next(&self, so_far: &Progress<'_>) -> Next {
        (self.0)(so_far)
    }
}

#[tokio::test]
async fn a_step_changes_all_that_it_may() {
    let backend = ScriptedBackend::new(["A", "b"]);
    let m = Session::builder(backend.clone()).option(ModelOption::SystemPrompt, "Be kind.").build();
    let changed = Steps(|so_far| match so_far.started() {
        0 => Next::again(),
        _ => Next::again().system_prompt("Be brief.").question(["Another question."]).format(None),
    });
    let lower = req("Lower case.").validate(|t| t == t.to_lowercase());
    m.instruct("Write.").require(lower).strategy(changed).await.unwrap();
    let texts = |i: usize| backend.requests()[i].messages.iter().map(|m| m.text().into_owned()).collect::<Vec<_>>();
    assert_eq!(texts(1), ["Be brief.", "Another question."]);
    assert_eq!(texts(0)[0], "Be kind.", "a change holds for its attempt alone");
}

#[tokio::test]
async fn a_strategy_that_panics_is_an_error_of_the_call() {
    let m = Session::new(ScriptedBackend::new(["A", "b"]));
    let broken = Steps(|so_far| match so_far.started() {
        0 => Next::again(),
        _ => panic!("no further"),
    });
    let lower = req("Lower case.").validate(|t| t == t.to_lowercase());
    let error = m.instruct("Write.").require(lower).strategy(broken).await.unwrap_err();
    assert!(error.to_string().contains("no further"), "{error}");
    assert_eq!(error.attempts().len(), 1);
}

/// Answers at different speeds, and counts how many are under way.
fn uneven(most: &Arc<AtomicUsize>) -> ScriptedBackend {
    let (most, count) = (Arc::clone(most), AtomicUsize::new(0));
    ScriptedBackend::empty().answer_with(move |_| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        most.fetch_max(n + 1, Ordering::SeqCst);
        let time = if n == 0 { 100 } else { 10 };
        Some(Reply::text(format!("{n}")).latency(Duration::from_secs(time)))
    })
}

#[derive(Debug)]
struct All {
    attempts: usize,
    lanes: usize,
}

impl SamplingStrategy for All {
    fn budget(&self) -> Budget {
        Budget::attempts(self.attempts).concurrency(self.lanes)
    }

    fn next(&self, _: &Progress<'_>) -> Next {
        Next::again()
    }

    fn enough(&self, _: &[Attempt]) -> bool {
        false
    }
}

#[tokio::test(start_paused = true)]
async fn a_lane_is_refilled_as_it_ends() {
    let started = Arc::new(AtomicUsize::new(0));
    let m = Session::builder(uneven(&started)).option(ModelOption::StreamTimeout, None::<f64>).build();
    let begin = tokio::time::Instant::now();
    let result = m.instruct("Go.").strategy(All { attempts: 9, lanes: 2 }).sample().await.unwrap();
    assert_eq!(result.attempts().len(), 9);
    // Eight short ones go through one lane while the long one holds the other: waves would take 140 s.
    assert_eq!(begin.elapsed(), Duration::from_secs(100));
    assert_eq!(result.attempts().last().unwrap().text(), "0");
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_fails_does_not_fail_the_call_while_another_can_succeed() {
    let down = || Reply::refuse(ErrorKind::Busy("down".into()));
    let m = Session::new(ScriptedBackend::new([down(), Reply::text("fine").latency(Duration::from_secs(1)), down()]));
    let result = m.instruct("Go.").strategy(mellea_core::RejectionSampling::new(3).concurrency(3)).sample().await.unwrap();
    assert!(result.success());
    assert_eq!(result.attempts().len(), 3);
    let error = Session::new(ScriptedBackend::new([down(), down(), down()]))
        .instruct("Go.")
        .strategy(mellea_core::RejectionSampling::new(3).concurrency(3))
        .await
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Busy(_)), "{error}");
    assert_eq!(error.attempts().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_covers_variables_and_judges_and_keeps_the_answers() {
    let strategy = || mellea_core::RepairTemplate::new(3).deadline(Duration::from_secs(10));
    let slow = Session::new(ScriptedBackend::new([Reply::stall("never")])).instruct("Go.").start().await.unwrap();
    let m = Session::new(ScriptedBackend::new(["fine", "later"]));
    let error = m.instruct("Use {{x}}.").var("x", &slow).strategy(strategy()).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");

    let judge = ScriptedBackend::new([Reply::stall("{")]);
    let m = Session::builder(ScriptedBackend::new(["fine"])).judge(judge).build();
    let error = m.instruct("Go.").require("It is good.").strategy(strategy()).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(error.attempts().len(), 1);
    assert_eq!(error.partial().unwrap().text, "fine");

    let m = Session::new(ScriptedBackend::new([Reply::stall("half an answ")]));
    let error = m.instruct("Go.").strategy(strategy()).await.unwrap_err();
    assert_eq!(error.attempts()[0].text(), "half an answ");
}

#[tokio::test]
async fn a_deadline_beyond_all_clocks_is_none() {
    let m = Session::new(ScriptedBackend::new(["fine"]));
    let strategy = mellea_core::RepairTemplate::new(3).deadline(Duration::MAX);
    assert_eq!(*m.instruct("Go.").strategy(strategy).await.unwrap(), "fine");
}

/// Gives up with a panic at one of the questions that it is asked.
#[derive(Debug)]
struct Panics(&'static str);

impl SamplingStrategy for Panics {
    fn budget(&self) -> Budget {
        Budget::attempts(2)
    }

    fn next(&self, so_far: &Progress<'_>) -> Next {
        assert!(self.0 != "next" || so_far.started() == 0, "no idea");
        Next::again()
    }

    fn enough(&self, attempts: &[Attempt]) -> bool {
        assert!(self.0 != "enough", "no idea");
        attempts.iter().any(Attempt::succeeded)
    }

    fn choose(&self, _: &[Attempt]) -> usize {
        assert!(self.0 != "choose", "no idea");
        0
    }

    fn survives(&self, _: &Error) -> bool {
        assert!(self.0 != "survives", "no idea");
        true
    }
}

#[tokio::test]
async fn attempts_stay_on_the_error_of_a_strategy_that_panics() {
    let lower = || req("Lower case.").validate(|t| t == t.to_lowercase());
    for (place, replies, attempts) in [
        ("next", vec![Reply::text("LOUD"), Reply::text("quiet")], 1),
        ("enough", vec![Reply::text("LOUD"), Reply::text("quiet")], 1),
        ("choose", vec![Reply::text("LOUD"), Reply::text("quiet")], 2),
        ("survives", vec![Reply::cut("half", ErrorKind::StreamInterrupted), Reply::text("quiet")], 1),
    ] {
        let m = Session::new(ScriptedBackend::new(replies));
        let found = m.instruct("Write.").require(lower()).strategy(Panics(place)).sample().await;
        // What ends a call after some attempts may be on record instead.
        let (error, made) = match found {
            Err(error) => {
                let made = error.attempts().to_vec();
                assert!(error.partial().is_some(), "{place}: {error}");
                (error, made)
            }
            Ok(result) => match result.stopped().clone() {
                StopReason::Error(error) => (error, result.attempts().to_vec()),
                other => panic!("{place}: {other:?}"),
            },
        };
        assert!(matches!(error.kind(), ErrorKind::Strategy(reason) if reason.contains("no idea")), "{place}: {error}");
        assert_eq!(made.len(), attempts, "{place}");
        assert!(!made[0].text().is_empty(), "{place}");
    }
}

/// Asks with more warmth after each failure.
#[derive(Debug)]
struct Warmer;

impl SamplingStrategy for Warmer {
    fn budget(&self) -> Budget {
        Budget::attempts(3)
    }

    fn next(&self, so_far: &Progress<'_>) -> Next {
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        Next::again().option(ModelOption::Temperature, so_far.started() as f64 / 4.0)
    }
}

#[tokio::test]
async fn a_step_that_changes_options_keeps_streaming() {
    let backend = ScriptedBackend::new(["LOUD", "quiet"]);
    let m = Session::builder(backend.clone()).option(ModelOption::Seed, 7).build();
    let lower = req("Lower case.").validate(|t| t == t.to_lowercase());
    let mut stream = m.instruct("Write.").require(lower).strategy(Warmer).stream().await.unwrap();
    let deltas: Vec<Delta> = (&mut stream).map(Result::unwrap).collect().await;
    assert_eq!((deltas.len(), deltas.last()), (3, Some(&Delta::Text("quiet".into()))), "{deltas:?}");
    assert_eq!(*stream.finish().await.unwrap(), "quiet");
    let asked: Vec<_> = backend.requests().iter().map(|r| (r.options.stream, r.options.temperature)).collect();
    assert_eq!(asked, [(true, Some(0.0)), (true, Some(0.25))]);
    // What is not streamed does not begin to.
    let backend = ScriptedBackend::new(["quiet"]);
    Session::new(backend.clone()).instruct("Write.").strategy(Warmer).await.unwrap();
    assert!(!backend.requests()[0].options.stream);
}

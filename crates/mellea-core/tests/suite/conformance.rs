//! The conformance checks pass where the rules are kept, and fail for each that is broken.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mellea_core::testing::conformance::{Case, Fixture, Outcome, check};
use mellea_core::testing::{Reply, ScriptedBackend, sample_value};
use mellea_core::{
    ChatRequest, Error, ErrorKind, Event, FinishReason, Format, ToolCall, ToolSpec, Usage, Warning, backend_conformance,
};
use serde_json::json;

use crate::fake::{Breaks, Fake};

fn adder() -> ToolSpec {
    ToolSpec {
        name: "add".to_owned(),
        description: "Adds one.".to_owned(),
        parameters: json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}),
    }
}

/// A scripted backend that answers by a function.
async fn scripted() -> Fixture {
    let backend = ScriptedBackend::empty()
        .unsupported(Warning::Other { message: "not looked at: stop_sequences, max_new_tokens, logits".to_owned() })
        .answer_with(|request: &ChatRequest| {
            let Some(prompt) = request.messages.last().map(|m| m.text().into_owned()) else {
                return Some(Reply::refuse(Error::from(ErrorKind::EmptyPrompt).at("scripted", "script")));
            };
            if let Some(Format::JsonSchema(schema)) = &request.format {
                let value = sample_value(schema, 1).unwrap();
                return Some(Reply::text(schema.wrap(value).to_string()));
            }
            if !request.tools.is_empty() {
                let call = ToolCall { id: "call-1".to_owned(), name: "add".to_owned(), arguments: json!({"a": 1}) };
                return Some(Reply::tool_calls([call]));
            }
            let words = format!("hello {prompt}");
            Some(Reply::text(words).chunks(3).usage(Usage::new(3, 4)))
        });
    let sent = backend.clone();
    Fixture::new(backend).tool("Add one to one.", adder()).wire(move || {
        let raw = sent.raw_requests().into_iter().map(|request| json!(request).to_string());
        sent.requests().into_iter().map(|request| json!(request).to_string()).chain(raw).collect()
    })
}

async fn fake_that(breaks: Breaks) -> Fixture {
    let fake = Fake::new(breaks);
    let running = fake.running();
    let sent = fake.clone();
    // One that never answers needs no time to be found out.
    let limit = if breaks == Breaks::NeverAnswers { 100 } else { 3000 };
    Fixture::new(fake.clone())
        .wire(move || sent.sent())
        .tool("Add one to one.", adder())
        .secret(fake.secret.clone())
        .in_flight(move || running.load(Ordering::SeqCst))
        .limit(Duration::from_millis(limit))
}

backend_conformance!(a_scripted_backend, scripted());
backend_conformance!(a_backend_that_keeps_all_rules, fake_that(Breaks::Nothing));

/// The rules that need an answer.
#[rustfmt::skip]
const ANSWERING: &[Case] = &[
    Case::Events, Case::Streaming, Case::Unsupported, Case::StopSequences, Case::OneToken, Case::JsonSchema, Case::Tools,
    Case::Concurrency, Case::History, Case::SystemPrompt, Case::Media, Case::Options, Case::ToolChoice, Case::OwnOptions,
    Case::Usage, Case::Yields,
];

/// Each fault, and the rules that it breaks.
const FAULTS: &[(Breaks, &[Case])] = &[
    (Breaks::NamelessModel, &[Case::Names]),
    (Breaks::TwoFinishes, &[Case::Events]),
    (Breaks::NoFinish, &[Case::Events, Case::OneToken, Case::JsonSchema]),
    (Breaks::TextAfterFinish, &[Case::Events, Case::StopSequences, Case::JsonSchema]),
    (Breaks::OtherWhenStreamed, &[Case::Streaming, Case::JsonSchema]),
    (Breaks::RunsOnAfterStream, &[Case::DropStream]),
    (Breaks::RunsOnAfterCall, &[Case::DropStream, Case::DropCall]),
    (Breaks::AnswersEmpty, &[Case::Empty]),
    (Breaks::PlacelessError, &[Case::Empty]),
    (Breaks::ShowsSecret, &[Case::Secrets]),
    (Breaks::SilentAboutTools, &[Case::Unsupported]),
    (Breaks::SilentAboutLogits, &[Case::Unsupported]),
    (Breaks::IgnoresStops, &[Case::StopSequences]),
    (Breaks::IgnoresLimit, &[Case::OneToken]),
    (Breaks::CountsTooMuch, &[Case::OneToken]),
    (Breaks::ProseAroundJson, &[Case::JsonSchema]),
    (Breaks::WrongJson, &[Case::JsonSchema]),
    (Breaks::UnfitArguments, &[Case::Tools]),
    (Breaks::SameCallIds, &[Case::Tools]),
    (Breaks::MixesCalls, &[Case::Concurrency]),
    (Breaks::SwapsCompletions, &[Case::Raw]),
    (Breaks::TooFewCompletions, &[Case::Raw]),
    (Breaks::IgnoresHistory, &[Case::History, Case::SystemPrompt]),
    (Breaks::IgnoresSystem, &[Case::SystemPrompt]),
    (Breaks::IgnoresLaterSystem, &[Case::SystemPrompt]),
    (Breaks::ReordersMessages, &[Case::History]),
    (Breaks::SendsOneBlock, &[Case::History, Case::Media]),
    (Breaks::CutsMessages, &[Case::History, Case::Media]),
    (Breaks::SpoilsText, &[Case::History]),
    (Breaks::SwallowsToolCalls, &[Case::History]),
    (Breaks::SwallowsToolResults, &[Case::History]),
    (Breaks::DropsImages, &[Case::Media]),
    (Breaks::DropsAudio, &[Case::Media]),
    (Breaks::DropsToolDescriptions, &[Case::Tools]),
    (Breaks::IgnoresTemperature, &[Case::Options]),
    (Breaks::IgnoresSeed, &[Case::Options]),
    (Breaks::SendsItsOwnSeed, &[Case::Options]),
    (Breaks::IgnoresWindow, &[Case::Options]),
    (Breaks::IgnoresStopsOnTheWire, &[Case::Options]),
    (Breaks::IgnoresThinking, &[Case::Options]),
    (Breaks::AlwaysThinks, &[Case::Options]),
    (Breaks::IgnoresToolChoice, &[Case::ToolChoice]),
    (Breaks::IgnoresToolChoiceNone, &[Case::ToolChoice]),
    (Breaks::IgnoresOwnOptions, &[Case::OwnOptions]),
    (Breaks::WarnsAboutEverything, &[Case::Unsupported, Case::Options]),
    (Breaks::IgnoresRawOptions, &[Case::Options]),
    (Breaks::NeverSendsUsage, &[Case::Usage]),
    (Breaks::SendsNoUsageInStreams, &[Case::Streaming, Case::Usage]),
    (Breaks::CountsNothing, &[Case::Usage]),
    (Breaks::BlocksInCall, &[Case::Yields]),
    (Breaks::BlocksInStream, &[Case::Yields]),
    (Breaks::NeverAnswers, &[Case::DropStream, Case::Empty, Case::Secrets]),
    (Breaks::PanicsInCall, &[Case::DropStream, Case::Empty, Case::Secrets]),
    (Breaks::PanicsInStream, &[]),
];

#[tokio::test]
async fn each_check_fails_for_a_backend_that_breaks_its_rule() {
    let mut wrong = Vec::new();
    let mut caught = 0;
    for &(breaks, rules) in FAULTS.iter().chain(&[(Breaks::Nothing, &[][..])]) {
        let mut failed = Vec::new();
        for case in Case::ALL {
            if let Outcome::Failed(fault) = check(case, &fake_that(breaks).await).await {
                println!("{breaks:?} is caught by {case:?}: {fault}");
                failed.push(case);
            }
        }
        caught += usize::from(breaks != Breaks::Nothing && !failed.is_empty());
        // Who does not answer breaks every rule that needs an answer.
        let answers = !matches!(breaks, Breaks::NeverAnswers | Breaks::PanicsInCall | Breaks::PanicsInStream);
        let expected: Vec<Case> =
            Case::ALL.into_iter().filter(|case| rules.contains(case) || (!answers && ANSWERING.contains(case))).collect();
        if failed != expected {
            wrong.push(format!("{breaks:?} breaks {failed:?}, not {expected:?}"));
        }
    }
    println!("conformance: {caught} of {} faults are caught", FAULTS.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn what_cannot_be_checked_is_said() {
    let fixture = Fixture::new(ScriptedBackend::new([Reply::events([Event::Finish(FinishReason::Stop)])]));
    assert!(matches!(check(Case::DropStream, &fixture).await, Outcome::NotApplicable(reason) if reason.contains("in_flight")));
    assert!(matches!(check(Case::Secrets, &fixture).await, Outcome::NotApplicable(reason) if reason.contains("secret")));
}

#[tokio::test]
async fn what_is_sent_must_be_shown_or_declared() {
    let plain = || Fixture::new(Fake::new(Breaks::Nothing)).tool("Add one to one.", adder());
    let rules = [Case::History, Case::SystemPrompt, Case::Media, Case::Options, Case::ToolChoice, Case::OwnOptions];
    for case in rules {
        let outcome = check(case, &plain()).await;
        assert!(matches!(&outcome, Outcome::Failed(fault) if fault.contains("no_wire")), "{case:?}: {outcome:?}");
    }
    for case in [Case::Media, Case::Options, Case::ToolChoice, Case::OwnOptions] {
        let outcome = check(case, &plain().no_wire("in the process")).await;
        assert_eq!(outcome, Outcome::NotApplicable("in the process".to_owned()), "{case:?}");
    }
    let silent = || Fixture::new(Fake::new(Breaks::NeverSendsUsage));
    assert!(matches!(check(Case::Usage, &silent()).await, Outcome::Failed(fault) if fault.contains("no_usage")));
    assert_eq!(check(Case::Usage, &silent().no_usage("none")).await, Outcome::NotApplicable("none".to_owned()));
}

/// Without a wire the answer and its usage must show that messages count.
#[tokio::test]
async fn without_a_wire_ignored_messages_show_in_the_answer() {
    let counting = |all: bool, system: bool| {
        let backend = ScriptedBackend::empty().answer_with(move |request: &ChatRequest| {
            let counts = |message: &&mellea_core::Message| system || message.role != mellea_core::Role::System;
            let skipped = if all { 0 } else { request.messages.len() - 1 };
            let words = request.messages.iter().skip(skipped).filter(|message| counts(&&**message));
            let words = words.map(|message| message.text().split_whitespace().count() as u64).sum();
            Some(Reply::text("always the same").usage(Usage::new(words, 3)))
        });
        Fixture::new(backend).no_wire("in the process")
    };
    for (fixture, history, system) in
        [(counting(true, true), true, true), (counting(false, true), false, false), (counting(true, false), true, false)]
    {
        assert_eq!(check(Case::History, &fixture).await == Outcome::Passed, history);
        assert_eq!(check(Case::SystemPrompt, &fixture).await == Outcome::Passed, system);
    }
}

/// A call that never gives its thread back is caught all the same.
#[test]
fn a_call_that_never_lets_go_of_its_thread_is_caught() {
    let parked = ScriptedBackend::empty().answer_with(|_| {
        loop {
            std::thread::park();
        }
    });
    let fixture = Fixture::new(parked).limit(Duration::from_millis(300));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(check(Case::Yields, &fixture));
    assert!(matches!(&outcome, Outcome::Failed(fault) if fault.contains("does not end")), "{outcome:?}");
}

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
        .unsupported(Warning::Other { message: "options are not looked at".to_owned() })
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
    Fixture::new(backend).tool("Add one to one.", adder())
}

async fn fake_that(breaks: Breaks) -> Fixture {
    let fake = Fake::new(breaks);
    let running = fake.running();
    Fixture::new(fake.clone())
        .tool("Add one to one.", adder())
        .secret(fake.secret.clone())
        .in_flight(move || running.load(Ordering::SeqCst))
        .limit(Duration::from_millis(400))
}

backend_conformance!(a_scripted_backend, scripted());
backend_conformance!(a_backend_that_keeps_all_rules, fake_that(Breaks::Nothing));

#[tokio::test]
async fn each_check_fails_for_a_backend_that_breaks_its_rule() {
    let mut wrong = Vec::new();
    for (breaks, rules) in [
        (Breaks::NamelessModel, &[Case::Names][..]),
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
        (Breaks::Nothing, &[]),
    ] {
        let mut failed = Vec::new();
        for case in Case::ALL {
            if let Outcome::Failed(_) = check(case, &fake_that(breaks).await).await {
                failed.push(case);
            }
        }
        if failed != rules {
            wrong.push(format!("{breaks:?} breaks {failed:?}, not {rules:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn what_cannot_be_checked_is_said() {
    let fixture = Fixture::new(ScriptedBackend::new([Reply::events([Event::Finish(FinishReason::Stop)])]));
    assert!(matches!(check(Case::DropStream, &fixture).await, Outcome::NotApplicable(reason) if reason.contains("in_flight")));
    assert!(matches!(check(Case::Secrets, &fixture).await, Outcome::NotApplicable(reason) if reason.contains("secret")));
}

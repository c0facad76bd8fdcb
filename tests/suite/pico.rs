//! Generative programs on the real model, from end to end.

use std::sync::Arc;

use mellea::prelude::*;
use mellea::sampling::StopReason;
use mellea::{Backend, HuggingFace};

async fn session() -> Session {
    Session::new(HuggingFace::pico().await.unwrap())
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
struct UserProfile {
    name: String,
    age: u8,
}

/// Extract the user's name and age from the text.
#[generative]
async fn extract_user(text: &str) -> UserProfile;

#[tokio::test]
async fn a_record_is_read_out_of_a_text() {
    let m = session().await;
    let user = extract_user(&m, "User log 42: Alice is 31 years old.").option(ModelOption::Temperature, 0.0).await.unwrap();
    assert_eq!(user, UserProfile { name: "Alice".into(), age: 31 });
}

#[tokio::test]
async fn an_email_is_repaired_until_it_meets_its_requirements() {
    let m = session().await;
    let mut repaired = 0;
    // About one first attempt in four fails, so that the loop has something to repair before long.
    for seed in 0..60_u64 {
        if repaired > 2 {
            break;
        }
        let result = m
            .instruct("Write an email to {{name}} inviting them to the launch.")
            .var("name", "Alice")
            .require("The email should have a salutation.")
            .require(req("Use only lower-case letters.").validate(|s| s == s.to_lowercase()))
            .require(check("Do not mention competitors."))
            .strategy(RepairTemplate::new(5))
            .option(ModelOption::Temperature, 0.8)
            .option(ModelOption::Seed, seed)
            .sample()
            .await
            .unwrap();
        if result.success() {
            assert!(matches!(result.stopped(), StopReason::Success));
            let text = result.value().unwrap();
            assert_eq!(*text, text.to_lowercase());
            repaired += usize::from(result.attempts().len() > 1);
        } else {
            assert_eq!(result.attempts().len(), 5, "only an empty budget ends the loop");
        }
        for attempt in result.attempts() {
            assert_eq!(attempt.verdicts.len(), 3);
            let in_code = &attempt.verdicts[1];
            assert_eq!(attempt.verdicts[0].result.judgement.is_some(), in_code.passed(), "what code refuses is not judged");
            assert!(in_code.result.judgement.is_none());
        }
    }
    assert!(repaired > 2, "among sixty e-mails there are some to repair");
}

#[tokio::test]
async fn a_seeded_program_repeats_itself() {
    let run = || async {
        let m = session().await;
        let call = m
            .instruct("Write an email to Bob inviting them to the launch.")
            .require("The email should have a salutation.")
            .option(ModelOption::Seed, 11_u64)
            .option(ModelOption::Temperature, 0.8);
        let result = call.sample().await.unwrap();
        result.attempts().iter().map(|a| ((*a.request).clone(), a.text().to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(run().await, run().await);
}

#[tokio::test]
async fn eight_calls_at_once_answer_as_they_do_alone() {
    let backend: Arc<dyn Backend> = Arc::new(HuggingFace::pico().await.unwrap());
    let m = Session::new(Arc::clone(&backend));
    let texts: Vec<String> = (0..8).map(|i| format!("User log {i}: Name{i} is {} years old.", 20 + i)).collect();
    let call = |text: &str| extract_user(&m, text).option(ModelOption::Temperature, 0.0).sample();
    let mut alone = Vec::new();
    for text in &texts {
        alone.push(call(text).await.unwrap().attempts()[0].text().to_owned());
    }
    let together = futures_util::future::join_all(texts.iter().map(|text| call(text))).await;
    let together: Vec<String> = together.into_iter().map(|r| r.unwrap().attempts()[0].text().to_owned()).collect();
    assert_eq!(together, alone);
}

#[tokio::test]
async fn usage_and_finish_are_known() {
    let answer = session().await.instruct("Who are you?").await.unwrap();
    let output = answer.output();
    assert!(output.usage.prompt_tokens.unwrap() > 0 && output.usage.completion_tokens.unwrap() > 0);
    assert!(output.time_to_first_token.unwrap() <= output.latency);
}

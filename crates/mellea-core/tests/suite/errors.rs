//! An error keeps what was paid for.

use mellea_core::testing::{Reply, ScriptedBackend};
use mellea_core::{Error, ErrorKind, Image, Session, check};
use serde_json::{Value, json};

/// The error of a call whose answers must be in lower case.
async fn failed(replies: impl IntoIterator<Item = Reply>) -> Error {
    let m = Session::new(ScriptedBackend::new(replies));
    let lower = check("lower case").validate(|text| text == text.to_lowercase());
    m.instruct("Write.").require(lower).await.unwrap_err()
}

fn report(error: &Error) -> Value {
    serde_json::to_value(error).unwrap()
}

#[tokio::test]
async fn unmet_requirements_give_every_attempt_and_the_best_answer() {
    let error = failed([Reply::text("ONE"), Reply::text("TWO")]).await;
    let ErrorKind::RequirementsNotMet { attempts: 2, unmet } = error.kind() else { panic!("{error:?}") };
    assert_eq!(unmet, &["lower case"]);
    let texts: Vec<&str> = error.attempts().iter().map(mellea_core::Attempt::text).collect();
    assert_eq!(texts, ["ONE", "TWO"]);
    assert_eq!(error.partial().unwrap().text, "TWO");
    let report = report(&error);
    assert_eq!(report["kind"], "requirements_not_met");
    assert_eq!(report["attempts"][1]["text"], "TWO");
    assert_eq!(report["attempts"][1]["complaints"], json!(["lower case"]));
    assert_eq!(report["partial"]["text"], "TWO");
}

#[tokio::test]
async fn a_transport_failure_keeps_the_attempt_before_it() {
    let error = failed([Reply::text("ONE"), Reply::refuse(ErrorKind::connection("a.example", "refused"))]).await;
    assert!(matches!(error.kind(), ErrorKind::Connection { address, .. } if address == "a.example"), "{error:?}");
    assert_eq!(error.attempts().len(), 2);
    assert_eq!(error.attempts()[0].text(), "ONE");
    assert_eq!(report(&error)["attempts"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_answer_that_does_not_fit_keeps_its_attempts() {
    let m = Session::new(ScriptedBackend::new([Reply::text("no number"), Reply::text("none either")]));
    let error = m.instruct("A number.").format::<u8>().await.unwrap_err();
    assert!(error.is_answer_fault(), "{error:?}");
    assert!(!error.attempts().is_empty());
    assert_eq!(error.attempts().len(), report(&error)["attempts"].as_array().unwrap().len());
}

#[test]
fn an_error_of_no_attempt_has_none_and_content_converts() {
    let read = || -> mellea_core::Result<Image> { Ok(Image::from_base64("bm8=")?) };
    let error = read().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidContent { what: "image", .. }), "{error:?}");
    assert!(error.attempts().is_empty() && report(&error).get("attempts").is_none());
}

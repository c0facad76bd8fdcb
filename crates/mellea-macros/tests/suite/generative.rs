//! `#[generative]` on a scripted backend.

use std::collections::BTreeMap;

use mellea::blocking::Wait;
use mellea::prelude::*;
use mellea::testing::{Reply, ScriptedBackend};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
struct UserProfile {
    name: String,
    /// In years.
    age: u8,
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Mood {
    Positive,
    Negative,
}

fn scripted<R: Into<Reply>>(replies: impl IntoIterator<Item = R>) -> (Session, ScriptedBackend) {
    let backend = ScriptedBackend::new(replies);
    (Session::new(backend.clone()), backend)
}

fn prompts(backend: &ScriptedBackend) -> Vec<String> {
    backend.requests().iter().filter_map(|r| Some(r.messages.last()?.text().into_owned())).collect()
}

/// Extract the user's name and age
/// from the text.
#[generative]
async fn extract_user(text: &str) -> UserProfile;

#[tokio::test]
async fn the_answer_is_the_bare_value() {
    let (m, backend) = scripted([r#"{"name":"Alice","age":31}"#]);
    let user = extract_user(&m, "User log 42: Alice is 31 years old.").await.unwrap();
    assert_eq!(user, UserProfile { name: "Alice".into(), age: 31 });
    insta::assert_snapshot!(prompts(&backend).join("\n----\n"));
}

mod kinds {
    use super::{Mood, UserProfile, generative};

    /// Name the mood of the text.
    #[generative]
    pub(super) async fn mood(text: &str) -> Mood;

    /// List the users in the text.
    #[generative]
    pub(super) async fn users(text: String) -> Vec<UserProfile>;

    /// Find the user in the text, if there is one.
    #[generative]
    pub(crate) async fn user(text: &str) -> Option<UserProfile>;

    /// Count the words.
    #[generative]
    pub async fn count(text: &str) -> u32;

    /// Is the text a question?
    #[generative]
    pub async fn is_question(text: &str) -> bool;

    /// Translate the text.
    #[generative]
    pub async fn translate(text: &str, r#into: &str) -> std::string::String;

    /// Say hello.
    #[generative]
    pub async fn hello() -> String;
}

#[tokio::test]
async fn any_type_can_be_asked_for() {
    let replies = [
        r#"{"result":"positive"}"#,
        r#"{"result":[{"name":"Alice","age":31},{"name":"Bob","age":7}]}"#,
        r#"{"result":null}"#,
        r#"{"result":3}"#,
        r#"{"result":true}"#,
        "Hallo",
        "Hello!",
    ];
    let (m, backend) = scripted(replies);
    assert_eq!(kinds::mood(&m, "Great!").await.unwrap(), Mood::Positive);
    assert_eq!(kinds::users(&m, "Alice (31) and Bob (7)".to_owned()).await.unwrap().len(), 2);
    assert_eq!(kinds::user(&m, "nobody").await.unwrap(), None);
    assert_eq!(kinds::count(&m, "one two three").await.unwrap(), 3);
    assert!(kinds::is_question(&m, "Who?").await.unwrap());
    assert_eq!(kinds::translate(&m, "hello", "German").await.unwrap(), "Hallo");
    assert_eq!(kinds::hello(&m).await.unwrap(), "Hello!");
    insta::assert_snapshot!(prompts(&backend).join("\n----\n"));
}

/// Describe the users.
///
/// - one line each
/// - no ages
#[generative]
async fn describe(users: &[UserProfile], limits: BTreeMap<String, u32>, session: Option<u8>, krate: (i32, f64)) -> String;

#[tokio::test]
async fn inputs_of_any_type_stand_in_the_prompt_as_json() {
    let (m, backend) = scripted(["ok"]);
    let users = [UserProfile { name: "Al \"the\" man {{x}}".into(), age: 1 }];
    describe(&m, &users, BTreeMap::from([("lines".into(), 2)]), None, (-1, 0.5)).await.unwrap();
    insta::assert_snapshot!(prompts(&backend).join("\n----\n"));
}

#[tokio::test]
async fn a_call_takes_requirements_and_settings() {
    let (m, backend) = scripted([r#"{"name":"Alice","age":0}"#, r#"{"name":"Alice","age":31}"#]);
    let user = extract_user(&m, "Alice is 31.")
        .require(req("The age is not zero.").validate_value(|u: &UserProfile| u.age > 0))
        .strategy(RejectionSampling::new(3))
        .option(ModelOption::Seed, 7)
        .await
        .unwrap();
    assert_eq!(user.age, 31);
    let requests = backend.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[0].options.seed == Some(7));
}

/// Summarise the text.
#[generative(
    require("Be brief.", req(format!("Use at most {words} words.")).validate(move |s| s.split(' ').count() <= words)),
    check("Do not say fish."),
    precondition(req("The text is not empty.").validate(|inputs| !inputs.contains("\"\""))),
    strategy = RejectionSampling::new(2),
    option(ModelOption::Temperature, 0.25),
    options = ModelOptions::new().with(ModelOption::Seed, 3),
)]
async fn summarise(text: &str, words: usize) -> String;

#[tokio::test]
async fn an_attribute_sets_what_holds_for_every_call() {
    let yes = r#"{"reason":"So it is.","verdict":"yes"}"#;
    let backend = ScriptedBackend::new(["one two three", "one two"]).when("Does the text meet the requirement?", yes);
    let m = Session::new(backend.clone());
    assert_eq!(summarise(&m, "1 2 3", 2).await.unwrap(), "one two");
    let asked: Vec<_> = backend.requests().into_iter().filter(|r| !r.messages[0].text().contains("meet the req")).collect();
    assert_eq!(asked.len(), 2, "the first answer was too long");
    assert_eq!((asked[0].options.temperature, asked[0].options.seed), (Some(0.25), Some(3)));
    insta::assert_snapshot!(asked[0].messages[0].text());
}

#[tokio::test]
async fn a_failed_precondition_costs_no_model_call() {
    let (m, backend) = scripted::<&str>([]);
    let error = summarise(&m, "", 2).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::PreconditionFailed(failed) if failed.len() == 1), "{error}");
    assert!(backend.requests().is_empty());
}

#[tokio::test]
async fn an_answer_that_does_not_fit_its_type_is_asked_for_again() {
    let (m, backend) = scripted([r#"{"name":"Alice"}"#, r#"{"name":"Alice","age":31}"#]);
    assert_eq!(extract_user(&m, "Alice is 31.").await.unwrap().age, 31);
    assert_eq!(backend.requests().len(), 2);
}

#[tokio::test]
async fn all_attempts_can_be_had() {
    let (m, _) = scripted([r#"{"name":"Alice","age":31}"#]);
    let sampled = extract_user(&m, "Alice is 31.").sample().await.unwrap();
    assert_eq!(sampled.attempts().len(), 1);
}

#[tokio::test]
async fn a_call_owns_all_it_needs() {
    let (m, _) = scripted(["Hello!", "Hello!"]);
    let calls = {
        let text = "short-lived".to_owned();
        [kinds::translate(&m, &text, "en"), kinds::translate(&m, &text, "de")]
    };
    for call in calls {
        assert_eq!(tokio::spawn(call.into_future()).await.unwrap().unwrap(), "Hello!");
    }
}

/// Count the words.
#[generative]
fn count_and_wait(text: &str) -> u32;

#[test]
fn a_function_without_async_waits() {
    let (m, _) = scripted([r#"{"result":3}"#]);
    assert_eq!(count_and_wait(&m, "one two three").unwrap(), 3);
}

#[test]
fn an_async_function_can_be_waited_for() {
    let (m, _) = scripted([r#"{"result":3}"#]);
    assert_eq!(kinds::count(&m, "one two three").wait().unwrap(), 3);
}

#[tokio::test]
async fn a_function_can_be_declared_anywhere() {
    struct Namespace;
    impl Namespace {
        /// Say hello.
        #[generative]
        async fn hello(name: &str) -> String;
    }
    #[doc = concat!("Say ", "goodbye", ".")]
    #[generative]
    async fn goodbye() -> String;

    let (m, backend) = scripted(["Hello!", "Bye!"]);
    assert_eq!(Namespace::hello(&m, "Al").await.unwrap(), "Hello!");
    assert_eq!(goodbye(&m).await.unwrap(), "Bye!");
    assert_eq!(prompts(&backend), ["Say hello.\n\nname = \"Al\"", "Say goodbye."]);
}

/// Answer with {"mood": "…"}, and keep {{braces}} as they are.
///
/// Args:
///     text: What was
///         said.
///
/// Returns:
///     The mood.
#[generative(precondition(req("There is a text.").validate(|inputs| inputs.contains("hm"))))]
async fn documented(
    text: &str,
    /// By whom.
    speaker: &str,
) -> String;

#[tokio::test]
async fn sections_and_braces_reach_the_model() {
    let (m, backend) = scripted(["fine"]);
    documented(&m, "{{hm}}", "Al").await.unwrap();
    insta::assert_snapshot!(prompts(&backend).join("\n----\n"));
    assert!(documented(&m, "", "Al").await.is_err());
}

type Text = String;

/// Say hello.
#[generative]
async fn aliased() -> Text;

#[tokio::test]
async fn text_under_another_name_is_text() {
    let (m, backend) = scripted(["Hello!"]);
    assert_eq!(aliased(&m).await.unwrap(), "Hello!");
    assert_eq!(prompts(&backend), ["Say hello."]);
}

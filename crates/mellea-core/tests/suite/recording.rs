//! No secret of a header or of a provider's own option gets into a cassette's file, wherever it stands.

use futures_util::StreamExt;
use mellea_core::testing::{Recorder, Replayer, Reply, ScriptedBackend};
use mellea_core::{
    Backend, ChatRequest, Error, ErrorKind, Event, Message, ModelOption, ModelOptions, ProviderError, RawRequest, RequestOptions,
    Session, Warning,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Not of the shape of a key: it must be hidden for where it stands.
const CANARY: &str = "canary-3c1f";

/// Options of a text that anybody may read; all others are unknown, or not for texts.
const READABLE: [&str; 16] = [
    "decoding_method",
    "keep_alive",
    "modalities",
    "model",
    "reasoning_effort",
    "reasoning_format",
    "safety_mode",
    "service_tier",
    "stop",
    "stop_sequences",
    "structured_output",
    "think",
    "thinking",
    "tool_choice",
    "truncation",
    "verbosity",
];

/// Headers of which the same is true.
const READABLE_HEADERS: [&str; 8] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "anthropic-beta",
    "anthropic-version",
    "content-type",
    "openai-beta",
    "user-agent",
];

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "Ocp-Apim-Subscription-Key",
        "jwt",
        "pin",
        "connection_string",
        "api_key",
        "X-Goog-Api-Key",
        "temperature",
        "top_p",
        "seed",
        "x",
        "credentials",
        "aws_session",
        "sas",
        "extra_body",
        "options",
        "extra_headers",
        "headers",
        "guided_json",
    ]);
    prop_oneof![3 => known.prop_map(str::to_owned), 1 => "[A-Za-z][A-Za-z0-9_-]{0,12}"]
}

/// JSON in which every text is a secret.
fn secret() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(CANARY)),
        Just(json!(format!("Bearer {CANARY}"))),
        Just(json!(format!("Server=x;Password={CANARY};"))),
        Just(json!([CANARY, 1])),
        Just(json!(true)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::vec((name(), inner), 0..3).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Leaves out texts of those options that are for texts.
fn unreadable(options: Map<String, Value>, readable: &[&str]) -> Map<String, Value> {
    let keep = |name: &str| !readable.iter().any(|readable| readable.eq_ignore_ascii_case(name));
    let inside = |(name, value): (String, Value)| {
        let lower = name.to_ascii_lowercase();
        let readable = if lower.ends_with("headers") { &READABLE_HEADERS[..] } else { &READABLE[..] };
        let value = match value {
            Value::Object(inner) => Value::Object(unreadable(inner, readable)),
            other => other,
        };
        (name, value)
    };
    options.into_iter().filter(|(name, _)| keep(name)).map(inside).collect()
}

fn options() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec((name(), secret()), 1..5).prop_map(|pairs| unreadable(pairs.into_iter().collect(), &READABLE))
}

/// Says again what it was sent, as services do.
fn echoing(options: &Map<String, Value>) -> ScriptedBackend {
    let echo = Value::Object(options.clone()).to_string();
    let mut refused = ProviderError::new(format!("bad request: {echo}"));
    (refused.status, refused.body) = (Some(400), Some(echo.clone()));
    let raw = json!({"request": options, "headers": {"x-any": CANARY}});
    ScriptedBackend::new([
        Reply::text("fine").event_before_finish(Event::Raw(raw)),
        Reply::refuse(Error::from(ErrorKind::Provider(refused.clone())).at("scripted", "script").with_hint(echo.clone())),
        Reply::text("fine").event_before_finish(Event::Warning(Warning::Other { message: echo })),
        Reply::refuse(ErrorKind::Provider(refused)),
    ])
    .default_options(options.iter().map(|(name, value)| (name.as_str(), value.clone())).collect())
}

async fn record(options: &Map<String, Value>) -> String {
    let recorder = Recorder::new(echoing(options));
    let mut all = RequestOptions::default();
    all.extra = options.clone();
    let request = |text: &str| ChatRequest::new(vec![Message::user(text)]).options(all.clone());
    for text in ["one", "two", "three"] {
        if let Ok(events) = recorder.chat(request(text)).await {
            events.collect::<Vec<_>>().await;
        }
    }
    let raw = || RawRequest::new("four").options(all.clone());
    recorder.complete(vec![raw()]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cassette.json");
    recorder.save(&path).unwrap();

    // What is blanked on both sides still matches, and common options still tell calls apart.
    let replayer = Replayer::load(&path).unwrap();
    assert!(replayer.chat(request("one")).await.is_ok());
    assert!(replayer.chat(request("two")).await.unwrap_err().status() == Some(400));
    let mut other = request("three");
    other.options.seed = Some(1);
    assert!(replayer.chat(other).await.is_err());
    assert!(replayer.chat(request("three")).await.is_ok());
    assert!(replayer.complete(vec![raw()]).await.remove(0).unwrap_err().status() == Some(400));
    replayer.assert_all_consumed();
    // Everything that shows: the file, what a replayer says, and `Debug`.
    let model_options: ModelOptions = options.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let debug = format!("{all:?} {model_options:?} {:?} {:?} {replayer:?}", request("one"), recorder.cassette().unwrap());
    std::fs::read_to_string(path).unwrap() + &debug
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_planted_secret_is_never_shown(options in options()) {
        let shown = runtime().block_on(record(&options));
        prop_assert!(!shown.contains("canary"), "{options:?}");
    }
}

#[test]
fn twelve_secrets_of_twelve_names_stay_out() {
    let names = [
        "Ocp-Apim-Subscription-Key",
        "jwt",
        "pin",
        "connection_string",
        "api_key",
        "session",
        "X-Vault",
        "passphrase",
        "otp",
        "client_cert",
        "license",
        "webhook",
    ];
    let mut options: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), json!(CANARY))).collect();
    options.insert("extra_headers".to_owned(), names.iter().map(|name| ((*name).to_owned(), json!(CANARY))).collect());
    let shown = runtime().block_on(record(&options));
    let leaks = names.iter().filter(|name| shown.contains(&format!("{name}\": \"{CANARY}"))).count();
    println!("planted secrets in the file: {leaks} of {}", 2 * names.len());
    assert!(!shown.contains("canary"), "{shown}");
}

#[tokio::test]
async fn a_pin_of_digits_stays_out_and_harmless_options_stay() {
    let options = json!({"pin": 48151623, "top_p": 0.9, "guided_choice": ["a"], "extra_headers": {"X-Team": "blue"}});
    let (options, allowing) =
        (options.as_object().unwrap(), |recorder: Recorder<ScriptedBackend>| recorder.allow("guided_choice").allow("x-team"));
    let mut request = ChatRequest::new(vec![Message::user("one")]);
    request.options.extra = options.clone();
    let recorder = allowing(Recorder::new(ScriptedBackend::new(["x"])));
    recorder.chat(request.clone()).await.unwrap().collect::<Vec<_>>().await;
    let cassette = recorder.cassette().unwrap();
    let text = cassette.to_json().unwrap();
    assert!(!text.contains("48151623"), "{text}");
    assert!(text.contains("0.9") && text.contains("blue") && text.contains("guided_choice"), "{text}");
    assert!(Replayer::new(cassette.clone()).chat(request.clone()).await.is_err(), "the replayer must be told as well");
    assert!(Replayer::new(cassette).allow("guided_choice").allow("x-team").chat(request).await.is_ok());
}

#[tokio::test]
async fn names_of_common_options_among_the_defaults_keep_their_values() {
    let defaults = ModelOptions::new().with(ModelOption::Temperature, 0.5).with("num_predict", 7).with("secret", CANARY);
    let recorder = Recorder::new(ScriptedBackend::new(["x"]).default_options(defaults));
    Session::new(recorder.clone()).chat("Hello").await.unwrap();
    let m = Session::new(Replayer::new(recorder.cassette().unwrap()));
    assert_eq!(m.chat("Hello").await.unwrap().text(), "x");
}

#[tokio::test]
async fn a_recording_that_is_too_large_fails_as_a_whole() {
    let recorder = Recorder::new(ScriptedBackend::empty().answer_with(|_| Some(Reply::text("x".repeat(1000)).chunks(1))));
    let small = recorder.clone().max_bytes(100_000);
    let m = Session::new(small.clone());
    for _ in 0..3 {
        assert_eq!(m.chat("Hello").await.unwrap().text().len(), 1000, "calls go through");
    }
    let error = small.cassette().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Testing(_)) && error.to_string().contains("larger than 100000"), "{error}");
    assert!(m.chat("Hello").await.is_ok());
    assert!(small.save(tempfile::tempdir().unwrap().path().join("c.json")).is_err());
}

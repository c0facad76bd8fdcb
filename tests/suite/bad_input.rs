//! Bad input is a typed error that names its cause; nothing panics, nothing is lost from the context.

use std::path::Path;

use mellea::prelude::*;
use mellea::{ErrorKind, HuggingFace};

async fn chat() -> Session {
    let m = Session::builder(HuggingFace::pico().await.unwrap()).context(ChatContext::new()).build();
    m.chat("Hello").await.unwrap();
    m
}

/// The call fails as it should, and the conversation is what it was.
async fn fails<T>(m: &Session, call: impl Future<Output = mellea::Result<T>>, expected: impl Fn(&ErrorKind) -> bool) {
    let before = m.context();
    let error = call.await.err().expect("the call should fail");
    assert!(expected(error.kind()), "{error:?}");
    assert_eq!(m.context(), before);
    assert!(!error.to_string().contains('\n'), "{error}");
}

#[tokio::test]
async fn what_the_caller_gives() {
    let m = chat().await;
    fails(&m, m.instruct(" \n ").into_future(), |k| matches!(k, ErrorKind::EmptyPrompt)).await;
    fails(&m, m.instruct("{{a}}").var("b", "x").into_future(), |k| matches!(k, ErrorKind::UndefinedVariable { .. })).await;
    fails(&m, m.instruct("Go.").require(" ").into_future(), |k| matches!(k, ErrorKind::EmptyRequirement)).await;
    for (option, value) in [(ModelOption::Temperature, -1), (ModelOption::MaxNewTokens, 0), (ModelOption::Seed, -5)] {
        let call = m.instruct("Go.").option(option, value);
        fails(&m, call.into_future(), |k| matches!(k, ErrorKind::InvalidOption { .. })).await;
    }
}

#[tokio::test]
async fn forms_that_cannot_be_enforced() {
    let m = chat().await;
    for regex in ["(", "(?=look)ahead"] {
        let call = m.instruct("Go.").matching(regex);
        fails(&m, call.into_future(), |k| {
            matches!(k, ErrorKind::SchemaUnsupported { .. } | ErrorKind::Unsupported { .. } | ErrorKind::InvalidOption { .. })
        })
        .await;
    }
}

#[tokio::test]
async fn texts_longer_than_the_window() {
    let m = chat().await;
    for bytes in [20_000, 100 << 20] {
        let text = "word ".repeat(bytes / 5);
        fails(&m, m.instruct(text).into_future(), |k| matches!(k, ErrorKind::ContextWindowExceeded { limit: Some(1024), .. }))
            .await;
    }
}

/// pico's files in a directory, with one of them changed.
fn model_with(name: &str, change: impl Fn(Vec<u8>) -> Option<Vec<u8>>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let model = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/mellea-pico/model"));
    for file in std::fs::read_dir(model).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let file_name = path.file_name().unwrap().to_str().unwrap();
        let bytes = if file_name == name { change(bytes) } else { Some(bytes) };
        if let Some(bytes) = bytes {
            std::fs::write(dir.path().join(file_name), bytes).unwrap();
        }
    }
    dir
}

async fn load_error(dir: &tempfile::TempDir) -> Error {
    HuggingFace::load(dir.path().to_str().unwrap()).await.expect_err("the model should not load").into()
}

#[tokio::test]
async fn models_that_are_damaged() {
    for (name, words) in
        [("model.safetensors", ["model.safetensors"]), ("tokenizer.json", ["tokenizer.json"]), ("config.json", ["config.json"])]
    {
        let missing = load_error(&model_with(name, |_| None)).await;
        let truncated = load_error(&model_with(name, |mut bytes| {
            Some({
                bytes.truncate(bytes.len() / 2);
                bytes
            })
        }))
        .await;
        let garbage = load_error(&model_with(name, |_| Some(vec![0xff, 0xfe, 0x00, 0x80]))).await;
        for error in [missing, truncated, garbage] {
            assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
        }
    }
}

#[tokio::test]
async fn architectures_that_are_not_supported() {
    let dir = model_with("config.json", |bytes| {
        Some(String::from_utf8(bytes).unwrap().replace("GraniteForCausalLM", "MambaForCausalLM").into_bytes())
    });
    let error = load_error(&dir).await.to_string();
    assert!(
        error.contains("MambaForCausalLM") && error.contains("GraniteForCausalLM"),
        "it names what was found and what would do: {error}"
    );
}

#[tokio::test]
async fn names_that_lead_nowhere() {
    let error = HuggingFace::builder("no-such-org/no-such-model").offline(true).build().await.unwrap_err();
    assert!(error.to_string().contains("no-such-org/no-such-model"), "{error}");
}

//! Real services, asked for a few words. `cargo xtask integration live` runs it; each service needs
//! the variable that names its model, and its key where the backend reads it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of this is tests")]

use mellea_core::{Backend, ModelOption, Session};

/// What any model can do: some words, streamed and not, and a typed answer.
async fn check(backend: impl Backend) {
    let m = Session::builder(backend).option(ModelOption::MaxNewTokens, 500).build();
    let answer = m.chat("Say hello in five words.").await.unwrap();
    assert!(!answer.output().text.trim().is_empty());
    assert!(answer.output().usage.prompt_tokens.is_some(), "{:?}", answer.output());
    let streamed = m.chat("Say hello in five words.").stream().await.unwrap().finish().await.unwrap();
    assert!(!streamed.output().text.trim().is_empty());
    let number = m.instruct("What is two plus three?").format::<u32>().await.unwrap();
    assert_eq!(*number, 5);
}

fn model(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} names no model"))
}

mod ollama {
    #[tokio::test]
    async fn answers() {
        super::check(mellea_ollama::Ollama::new(super::model("MELLEA_LIVE_OLLAMA")).unwrap()).await;
    }
}

mod openai {
    #[tokio::test]
    async fn answers() {
        super::check(mellea_openai::OpenAi::new(super::model("MELLEA_LIVE_OPENAI")).unwrap()).await;
    }
}

mod litellm {
    #[tokio::test]
    async fn answers() {
        super::check(mellea_litellm::LiteLlm::new(super::model("MELLEA_LIVE_LITELLM")).unwrap()).await;
    }
}

mod watsonx {
    #[tokio::test]
    async fn answers() {
        super::check(mellea_watsonx::WatsonX::new(super::model("MELLEA_LIVE_WATSONX")).unwrap()).await;
    }
}

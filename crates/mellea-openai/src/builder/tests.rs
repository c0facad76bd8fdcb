//! Which key goes where, and what a set-up without one says.

use mellea_core::ErrorKind;

use super::*;

type Env = &'static [(&'static str, &'static str)];

fn build(builder: OpenAiBuilder, env: Env) -> Result<OpenAi> {
    builder.model("m").build_with(&|name| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
}

/// The key that an address would get from this environment.
fn key(url: Option<&str>, dialect: Option<Dialect>, env: Env) -> Option<String> {
    let env = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Address::find(url, dialect, &env).unwrap().key(&env, false).map(|key| key.expose().to_owned())
}

const ALL: Env = &[
    ("OPENAI_API_KEY", "openai"),
    ("GROQ_API_KEY", "groq"),
    ("DEEPSEEK_API_KEY", "deepseek"),
    ("OPENROUTER_API_KEY", "openrouter"),
    ("NVIDIA_NIM_API_KEY", "nim"),
    ("AZURE_API_KEY", "azure"),
    ("VLLM_API_KEY", "vllm"),
];

#[test]
fn every_key_goes_to_its_vendor_and_to_no_other() {
    for (url, dialect, expected) in [
        (None, None, Some("openai")),
        (Some("https://api.openai.com/v1"), None, Some("openai")),
        (Some("https://api.groq.com/openai/v1"), None, Some("groq")),
        (None, Some(Dialect::GROQ), Some("groq")),
        (Some("https://api.deepseek.com"), None, Some("deepseek")),
        (Some("https://openrouter.ai/api/v1"), None, Some("openrouter")),
        (Some("https://integrate.api.nvidia.com/v1"), None, Some("nim")),
        (Some("https://x.openai.azure.com"), None, Some("azure")),
        // A server of one's own, named by the caller.
        (Some("https://llm.example.com/v1"), None, Some("openai")),
        (Some("http://localhost:8000/v1"), None, Some("openai")),
        (Some("http://localhost:8000/v1"), Some(Dialect::VLLM), Some("vllm")),
        (Some("https://gateway.example.com"), Some(Dialect::GROQ), Some("groq")),
        // A usual address that nobody named.
        (None, Some(Dialect::LM_STUDIO), None),
        // Another vendor's.
        (Some("https://api.mistral.ai/v1"), None, None),
        (Some("https://api.groq.com/openai/v1"), Some(Dialect::OPENAI), None),
        (Some("https://api.openai.com/v1"), Some(Dialect::GROQ), None),
        // Look-alikes are servers of one's own: the caller named them, and no vendor's own key goes there.
        (Some("https://api.groq.com.example/v1"), None, Some("openai")),
    ] {
        assert_eq!(key(url, dialect, ALL).as_deref(), expected, "{url:?} {:?}", dialect.map(|d| d.name));
    }
}

#[test]
fn the_address_is_the_argument_then_the_environment_then_the_usual() {
    let base = |builder, env| build(builder, env).unwrap().0.client.base().to_string();
    let own: Env = &[("OPENAI_BASE_URL", "http://localhost:9/x"), ("OPENAI_API_KEY", "k")];
    assert_eq!(base(OpenAi::builder(), own), "http://localhost:9/x");
    assert_eq!(base(OpenAi::builder().base_url("http://localhost:8"), own), "http://localhost:8/v1");
    assert_eq!(base(OpenAi::builder().base_url("http://localhost:8/v1/"), own), "http://localhost:8/v1");
    assert_eq!(base(OpenAi::builder(), &[("OPENAI_API_KEY", "k")]), "https://api.openai.com/v1");
    assert_eq!(base(OpenAi::builder().dialect(Dialect::GROQ).api_key("k"), own), "https://api.groq.com/openai/v1");
    let azure = OpenAi::builder().base_url("https://x.openai.azure.com").api_key("k");
    assert_eq!(base(azure, &[]), "https://x.openai.azure.com");
    let newer = OpenAi::builder().dialect(Dialect::AZURE).base_url("https://x.openai.azure.com/openai/v1").api_key("k");
    assert_eq!(*build(newer, &[]).unwrap().dialect(), Dialect::AZURE_V1);
}

#[test]
fn a_hosted_service_without_a_key_names_the_variables() {
    for (builder, words) in [
        (OpenAi::builder(), ["api.openai.com", "OPENAI_API_KEY"]),
        (OpenAi::builder().dialect(Dialect::NIM), ["NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY"]),
        (OpenAi::builder().base_url("https://x.openai.azure.com"), ["AZURE_OPENAI_API_KEY", "AZURE_API_KEY"]),
        (OpenAi::builder().base_url("https://api.mistral.ai/v1"), ["api.mistral.ai", "`api_key`"]),
    ] {
        let error = build(builder, &[]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Config { .. }), "{error}");
        assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
        assert_eq!(error.model(), Some("m"));
    }
    let mistral = build(OpenAi::builder().base_url("https://api.mistral.ai/v1"), &[("OPENAI_API_KEY", "k")]).unwrap_err();
    assert!(!mistral.to_string().contains("OPENAI_API_KEY"), "{mistral}");
}

#[test]
fn this_machine_and_a_server_of_ones_own_need_no_key() {
    for url in ["http://localhost:1234/v1", "http://127.0.0.1:8000", "http://[::1]:8080/v1", "https://llm.example.com/v1"] {
        build(OpenAi::builder().base_url(url), &[]).unwrap();
    }
    let keyless = OpenAi::builder().base_url("https://api.groq.com/openai/v1").keyless();
    build(keyless, ALL).unwrap();
    let clear = build(OpenAi::builder().base_url("http://llm.example.com/v1"), ALL).unwrap_err();
    assert!(clear.to_string().contains("in the clear"), "{clear}");
}

#[tokio::test]
async fn organisation_and_project_are_told_to_openai_only() {
    let proxy = mellea_http::testing::Server::start().await.unwrap();
    let env: Env = &[("OPENAI_ORG_ID", "org"), ("OPENAI_PROJECT_ID", "from-env"), ("OPENAI_API_KEY", "k")];
    for (url, told) in [("http://api.openai.com/v1", Some("org")), ("http://llm.example.com/v1", None)] {
        let builder = OpenAi::builder().base_url(url).proxy(proxy.url()).insecure().project("mine");
        // The scripted proxy refuses; what it was sent counts.
        build(builder, env).unwrap().models().await.unwrap_err();
        let request = proxy.requests().pop().unwrap();
        assert!(request.path.starts_with(url), "{}", request.path);
        assert_eq!(request.header("openai-organization"), told);
        assert_eq!(request.header("openai-project"), told.map(|_| "mine"));
    }
}

#[test]
fn models_need_a_name() {
    use mellea_core::model::{DEEPSEEK_R1_8B, MISTRALAI_DEVSTRAL_2_123B, OPENAI_GPT_5_1};
    let named = |model: ModelRef| OpenAi::builder().base_url("http://localhost:1/v1").model(model).build_with(&|_| None);
    assert_eq!(named(OPENAI_GPT_5_1.into()).unwrap().0.model, "gpt-5.1");
    assert_eq!(named(DEEPSEEK_R1_8B.into()).unwrap().0.model, "deepseek-ai/DeepSeek-R1-Distill-Llama-8B");
    let ollama = OpenAi::builder().dialect(Dialect::OLLAMA).model(DEEPSEEK_R1_8B).build_with(&|_| None).unwrap();
    assert_eq!((ollama.0.model.as_str(), ollama.0.context_window), ("deepseek-r1:8b", Some(131_072)));
    for bad in [named(MISTRALAI_DEVSTRAL_2_123B.into()), named("  ".into()), OpenAi::builder().build_with(&|_| None)] {
        assert!(matches!(bad.unwrap_err().kind(), ErrorKind::Config { .. }));
    }
}

#[test]
fn a_dialects_own_fields_must_be_an_object() {
    let build = |text| OpenAi::builder().dialect(Dialect::VLLM.extra_body(text)).model("m").build_with(&|_| None);
    assert!(build(r#"{"a": 1}"#).is_ok());
    assert!(build("[1]").unwrap_err().to_string().contains("extra_body"));
}

#[test]
fn keys_are_not_shown() {
    let builder = || OpenAi::builder().base_url("http://u:canary@localhost:1/v1?k=canary").api_key("canary").model("m");
    let builder_shown = format!("{:?} {:#?}", builder(), builder());
    let backend = builder().header("x-key", "canary").build_with(&|_| None).unwrap();
    assert!(!format!("{builder_shown} {backend:?} {backend:#?}").contains("canary"));
}

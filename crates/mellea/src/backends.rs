//! Backends by name, each behind the cargo feature of its name.

#![allow(dead_code, unused_imports, unused_macros, reason = "what of this is used depends on the features")]

use std::fmt;
use std::sync::Arc;

use mellea_core::{Backend, Error, ErrorKind, ModelRef, Result, model};

/// The backends, with the feature of each and whether this program has it.
const KNOWN: [(&str, bool); 5] = [
    ("ollama", cfg!(feature = "ollama")),
    ("openai", cfg!(feature = "openai")),
    ("litellm", cfg!(feature = "litellm")),
    ("watsonx", cfg!(feature = "watsonx")),
    ("hf", cfg!(feature = "hf")),
];

/// Which backend is wanted, and its settings.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) model: Option<ModelRef>,
    pub(crate) base_url: Option<String>,
    pub(crate) api_key: Option<String>,
}

impl Wanted {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), model: None, base_url: None, api_key: None }
    }

    fn model_or(&self, default: mellea_core::ModelIdentifier) -> ModelRef {
        self.model.clone().unwrap_or_else(|| default.into())
    }
}

impl fmt::Debug for Wanted {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wanted").field("name", &self.name).field("model", &self.model).finish_non_exhaustive()
    }
}

/// The backend of this name.
pub(crate) async fn make(wanted: &Wanted) -> Result<Arc<dyn Backend>> {
    match wanted.name.as_str() {
        "ollama" => ollama(wanted).await,
        "openai" => openai(wanted),
        "litellm" => litellm(wanted),
        "watsonx" => watsonx(wanted),
        "hf" | "huggingface" => hf(wanted).await,
        name => {
            let names: Vec<&str> = KNOWN.iter().map(|(name, _)| *name).collect();
            Err(Error::from(unknown(name)).with_hint(format!("the names are {}", names.join(", "))))
        }
    }
}

fn unknown(name: &str) -> ErrorKind {
    let have: Vec<&str> = KNOWN.iter().filter(|(_, have)| *have).map(|(name, _)| *name).collect();
    let available = if have.is_empty() { "none; each is a cargo feature".to_owned() } else { have.join(", ") };
    ErrorKind::UnknownBackend { name: name.to_owned(), available }
}

fn missing(name: &str) -> Result<Arc<dyn Backend>> {
    Err(Error::from(unknown(name)).with_hint(format!("enable the cargo feature `{name}` of `mellea`")))
}

/// Applies each setting that is present.
macro_rules! settings {
    ($builder:expr, $wanted:expr, $address:ident) => {{
        let mut builder = $builder;
        if let Some(address) = &$wanted.base_url {
            builder = builder.$address(address);
        }
        if let Some(key) = &$wanted.api_key {
            builder = builder.api_key(key.as_str());
        }
        builder
    }};
}

#[cfg(feature = "ollama")]
async fn ollama(wanted: &Wanted) -> Result<Arc<dyn Backend>> {
    let builder = mellea_ollama::Ollama::builder().model(wanted.model_or(model::IBM_GRANITE_4_1_3B)).progress_bar();
    Ok(Arc::new(settings!(builder, wanted, host).connect().await?))
}

#[cfg(not(feature = "ollama"))]
async fn ollama(_: &Wanted) -> Result<Arc<dyn Backend>> {
    missing("ollama")
}

#[cfg(feature = "openai")]
fn openai(wanted: &Wanted) -> Result<Arc<dyn Backend>> {
    let Some(model) = wanted.model.clone() else {
        let error = Error::config("model", "the backend `openai` wants the name of a model");
        return Err(error.with_hint("add `.model(\"…\")`; there is no default, because it may cost money"));
    };
    Ok(Arc::new(settings!(mellea_openai::OpenAi::builder().model(model), wanted, base_url).build()?))
}

#[cfg(not(feature = "openai"))]
fn openai(_: &Wanted) -> Result<Arc<dyn Backend>> {
    missing("openai")
}

#[cfg(feature = "litellm")]
fn litellm(wanted: &Wanted) -> Result<Arc<dyn Backend>> {
    let builder = mellea_litellm::LiteLlm::builder().model(wanted.model_or(model::IBM_GRANITE_4_1_3B));
    Ok(Arc::new(settings!(builder, wanted, base_url).build()?))
}

#[cfg(not(feature = "litellm"))]
fn litellm(_: &Wanted) -> Result<Arc<dyn Backend>> {
    missing("litellm")
}

#[cfg(feature = "watsonx")]
fn watsonx(wanted: &Wanted) -> Result<Arc<dyn Backend>> {
    let builder = mellea_watsonx::WatsonX::builder().model(wanted.model_or(model::IBM_GRANITE_4_HYBRID_SMALL));
    Ok(Arc::new(settings!(builder, wanted, url).build()?))
}

#[cfg(not(feature = "watsonx"))]
fn watsonx(_: &Wanted) -> Result<Arc<dyn Backend>> {
    missing("watsonx")
}

#[cfg(feature = "hf")]
async fn hf(wanted: &Wanted) -> Result<Arc<dyn Backend>> {
    if wanted.base_url.is_some() || wanted.api_key.is_some() {
        let error = Error::config("base_url", "a model in this process has neither address nor key");
        return Err(error.with_hint("`HF_ENDPOINT` and `HF_TOKEN` say where models are downloaded from"));
    }
    #[cfg(feature = "pico")]
    if wanted.model.is_none() {
        return Ok(Arc::new(mellea_hf::HuggingFace::pico().await?));
    }
    let model = wanted.model_or(model::IBM_GRANITE_4_1_3B);
    let name = model.name_for("hf").ok_or_else(|| Error::config("model", "this model has no name on the Hugging Face hub"))?;
    Ok(Arc::new(mellea_hf::HuggingFace::load(name.as_ref()).await?))
}

#[cfg(not(feature = "hf"))]
async fn hf(_: &Wanted) -> Result<Arc<dyn Backend>> {
    missing("hf")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fails(wanted: Wanted) -> Error {
        make(&wanted).await.map(|backend| format!("{backend:?}")).unwrap_err()
    }

    #[tokio::test]
    async fn a_wrong_name_lists_the_right_ones() {
        let error = fails(Wanted::new("ollma")).await;
        assert!(error.to_string().contains("ollama, openai, litellm, watsonx, hf"), "{error}");
    }

    #[tokio::test]
    async fn a_missing_feature_is_named() {
        for (name, _) in KNOWN.iter().filter(|(_, have)| !have) {
            let error = fails(Wanted::new(name)).await;
            assert!(matches!(error.kind(), ErrorKind::UnknownBackend { .. }), "{error}");
            assert!(error.hint().unwrap().contains(&format!("`{name}`")), "{error}");
        }
    }

    #[cfg(feature = "openai")]
    #[tokio::test]
    async fn a_service_that_costs_money_has_no_default_model() {
        assert!(fails(Wanted::new("openai")).await.hint().unwrap().contains(".model("));
    }

    #[cfg(feature = "ollama")]
    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_with_the_command_that_starts_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = fails(Wanted { base_url: Some(address.clone()), ..Wanted::new("ollama") }).await;
        assert!(matches!(error.kind(), ErrorKind::Connection { reason, .. } if reason.contains(&address)), "{error}");
        assert!(error.hint().unwrap().contains("ollama serve"), "{error}");
    }

    #[test]
    fn the_key_is_not_shown() {
        let wanted = Wanted { api_key: Some("canary".to_owned()), ..Wanted::new("openai") };
        assert!(!format!("{wanted:?}").contains("canary"));
    }
}

//! Ollama by its own interface, served by a crate of its own.

use std::sync::Arc;

use mellea_core::{Backend, Result};

use crate::registry::Provider;
use crate::settings::Settings;

/// Ollama, by its own interface. What is not set it finds itself in `OLLAMA_HOST` and `OLLAMA_API_KEY`.
pub(crate) fn backend(settings: Settings, provider: &Provider, model: &str) -> Result<Arc<dyn Backend>> {
    let env = |names: &[&str]| names.iter().find_map(|name| settings.env.get(name));
    let base = settings.env.first(&provider.base_env).map(|(_, base)| base).or_else(|| env(&["OLLAMA_HOST"]));
    let base = settings.base_url.clone().or_else(|| Some(base?.expose().to_owned()));
    let key = settings.credential.as_ref().map(|given| given.secret().clone()).or_else(|| env(&["OLLAMA_API_KEY"]));
    let mut ollama = mellea_ollama::Ollama::builder().model(model).options(&settings.options);
    if let Some(base) = base {
        ollama = ollama.base_url(base);
    }
    if let Some(key) = key {
        ollama = ollama.api_key(key);
    }
    Ok(Arc::new(ollama.settings(settings.client).build()?))
}

//! Providers that another crate of Mellea serves: Ollama and watsonx.ai.

use std::sync::Arc;

use mellea_core::{Backend, Result};

use crate::builder::LiteLlmBuilder;
use crate::registry::Provider;
#[cfg(feature = "watsonx")]
use crate::{env::Env, keys::Credential};

/// Ollama, by its own interface. What is not set it finds itself in `OLLAMA_HOST` and `OLLAMA_API_KEY`.
#[cfg(feature = "ollama")]
pub(crate) fn ollama(builder: LiteLlmBuilder, provider: &Provider, model: &str) -> Result<Arc<dyn Backend>> {
    let env = |names: &[&str]| names.iter().find_map(|name| builder.env.get(name));
    let base = builder.env.first(&provider.base_env).map(|(_, base)| base).or_else(|| env(&["OLLAMA_HOST"]));
    let base = builder.base_url.clone().or_else(|| Some(base?.expose().to_owned()));
    let key = builder.credential.as_ref().map(|given| given.secret().clone()).or_else(|| env(&["OLLAMA_API_KEY"]));
    let mut ollama = mellea_ollama::Ollama::builder().model(model).options(&builder.options);
    if let Some(base) = base {
        ollama = ollama.base_url(base);
    }
    if let Some(key) = key {
        ollama = ollama.api_key(key);
    }
    Ok(Arc::new(ollama.settings(builder.settings).build()?))
}

/// watsonx.ai. What is not set it finds itself in its variables, whichever way they are spelt.
#[cfg(feature = "watsonx")]
pub(crate) fn watsonx(builder: LiteLlmBuilder, provider: &Provider, model: &str) -> Result<Arc<dyn Backend>> {
    // It knows the process's environment itself, and in which order its many variables count.
    let env = |names: &[String]| match builder.env {
        Env::Process => None,
        Env::Given(_) => builder.env.first(names).map(|(_, value)| value),
    };
    let var = |name: &str| {
        let given = builder.vars.get(name).cloned();
        given.or_else(|| Some(env(&provider.vars.get(name)?.env)?.expose().to_owned()))
    };
    let mut watsonx = mellea_watsonx::WatsonX::builder().model(model).options(&builder.options);
    if let Some(region) = var("region") {
        watsonx = watsonx.region(region);
    }
    let base = builder.base_url.clone().or_else(|| Some(env(&provider.base_env)?.expose().to_owned()));
    if let Some(base) = base {
        watsonx = watsonx.base_url(base);
    }
    if let Some(project) = var("project") {
        watsonx = watsonx.project_id(project);
    }
    if let Some(space) = var("space") {
        watsonx = watsonx.space_id(space);
    }
    if let Some(version) = var("api_version") {
        watsonx = watsonx.version(version);
    }
    let found = env(&provider.token_env).map(Credential::Token).or_else(|| Some(Credential::Key(env(&provider.key_env)?)));
    watsonx = match builder.credential.clone().or(found) {
        Some(Credential::Key(key)) => watsonx.api_key(key),
        Some(Credential::Token(token)) => watsonx.token(token),
        None => watsonx,
    };
    Ok(Arc::new(watsonx.settings(builder.settings).build()?))
}

//! watsonx.ai, served by a crate of its own.

use std::sync::Arc;

use mellea_core::{Backend, Result};

use crate::env::Env;
use crate::keys::Credential;
use crate::registry::Provider;
use crate::settings::Settings;

/// watsonx.ai. What is not set it finds itself in its variables, whichever way they are spelt.
pub(crate) fn backend(settings: Settings, provider: &Provider, model: &str) -> Result<Arc<dyn Backend>> {
    // It knows the process's environment itself, and in which order its many variables count.
    let env = |names: &[String]| match settings.env {
        Env::Process => None,
        Env::Given(_) => settings.env.first(names).map(|(_, value)| value),
    };
    let var = |name: &str| {
        let given = settings.variables.get(name).cloned();
        given.or_else(|| Some(env(&provider.vars.get(name)?.env)?.expose().to_owned()))
    };
    let mut watsonx = mellea_watsonx::WatsonX::builder().model(model).options(&settings.options);
    if let Some(region) = var("region") {
        watsonx = watsonx.region(region);
    }
    let base = settings.base_url.clone().or_else(|| Some(env(&provider.base_env)?.expose().to_owned()));
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
    watsonx = match settings.credential.clone().or(found) {
        Some(Credential::Key(key)) => watsonx.api_key(key),
        Some(Credential::Token(token)) => watsonx.token(token),
        None => watsonx,
    };
    Ok(Arc::new(watsonx.settings(settings.client).build()?))
}

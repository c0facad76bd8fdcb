//! Providers with a wire of their own: which backend serves them, and with which settings.

use std::sync::Arc;

use mellea_core::{Backend, Error, Result};

use crate::keys::{self, Credential};
use crate::native;
use crate::registry::{Provider, Registry};
use crate::settings::Settings;
use crate::template;

/// The backend of a native provider for this model.
pub(crate) fn backend(settings: Settings, registry: &Registry, provider: &Provider, model: &str) -> Result<Arc<dyn Backend>> {
    let settings = of_family(settings, registry, provider, model)?;
    match provider.name.as_str() {
        #[cfg(feature = "anthropic")]
        "anthropic" => native::anthropic(settings),
        #[cfg(feature = "gemini")]
        "gemini" => native::gemini(settings),
        #[cfg(feature = "vertex")]
        "vertex_ai" => native::vertex(settings),
        #[cfg(feature = "bedrock")]
        "bedrock" => native::bedrock(bedrock(settings)?),
        #[cfg(feature = "cohere")]
        "cohere" => native::cohere(settings),
        name => Err(Error::config("model", format!("`{name}` was built without its family"))),
    }
}

/// The settings as a family has them.
fn of_family(given: Settings, registry: &Registry, provider: &Provider, model: &str) -> Result<native::Settings> {
    let vars = given.vars();
    let elsewhere = given.base_url.is_some() || given.env.first(&provider.base_env).is_some();
    // Without an address of the user's, the family knows its own, and the keys of its row go there.
    let (base_url, credential) = if elsewhere || (provider.base_url.is_some() && provider.vars.is_empty()) {
        let address = keys::address(provider, given.base_url.as_deref(), &vars)?;
        let credential = given.credential_for(provider, registry, &address)?;
        (elsewhere.then(|| address.url.as_url().as_str().trim_end_matches('/').to_owned()), credential)
    } else {
        let found = given.env.first(&provider.key_env).map(|(_, key)| Credential::Key(key));
        (None, given.credential.clone().or(found))
    };
    let mut settings = native::Settings::new(&provider.name, model);
    settings.api_key = credential.map(|credential| credential.secret().clone());
    settings.base_url = base_url;
    // Both become parts of an address.
    settings.region = region(&given, provider, model).map(|region| template::safe("region", &region)).transpose()?;
    settings.project = vars.find(provider, "project").map(|project| template::safe("project", &project)).transpose()?;
    settings.api_version = vars.find(provider, "api_version");
    settings.options = given.options;
    settings.client = given.client;
    Ok(settings)
}

/// The given region, or the environment's; an ARN of Bedrock has its own.
fn region(settings: &Settings, provider: &Provider, model: &str) -> Option<String> {
    let vars = settings.vars();
    match settings.variables.get("region") {
        None if model.contains("arn:") => None,
        given => given.cloned().or_else(|| vars.find(provider, "region")),
    }
}

/// Without LiteLLM's choice of interface before the model: there is one here.
#[cfg(feature = "bedrock")]
fn bedrock(mut settings: native::Settings) -> Result<native::Settings> {
    if let Some(model) = settings.model.strip_prefix("converse/") {
        settings.model = model.to_owned();
    } else if settings.model.starts_with("invoke/") {
        let message = "Bedrock is called by its Converse interface here: leave `invoke/` out";
        return Err(Error::config("model", message));
    }
    Ok(settings)
}

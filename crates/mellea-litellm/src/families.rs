//! Providers with a wire of their own: which backend serves them, and with which settings.

use std::sync::Arc;

use mellea_core::{Backend, Error, Result};

use crate::builder::LiteLlmBuilder;
use crate::keys::{self, Credential, Vars};
use crate::native::{self, Settings};
use crate::registry::{Provider, Registry};
use crate::template;

/// The backend of a native provider for this model.
pub(crate) fn backend(
    builder: LiteLlmBuilder,
    registry: &Registry,
    provider: &Provider,
    model: &str,
) -> Result<Arc<dyn Backend>> {
    let settings = settings(builder, registry, provider, model)?;
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

fn settings(builder: LiteLlmBuilder, registry: &Registry, provider: &Provider, model: &str) -> Result<Settings> {
    let vars = Vars { given: &builder.vars, env: &builder.env };
    let elsewhere = builder.base_url.is_some() || builder.env.first(&provider.base_env).is_some();
    // Without an address of the user's, the family knows its own, and the keys of its row go there.
    let (base_url, credential) = if elsewhere || (provider.base_url.is_some() && provider.vars.is_empty()) {
        let address = keys::address(provider, builder.base_url.as_deref(), &vars)?;
        let credential = builder.credential_for(provider, registry, &address)?;
        (elsewhere.then(|| address.url.as_url().as_str().trim_end_matches('/').to_owned()), credential)
    } else {
        let found = builder.env.first(&provider.key_env).map(|(_, key)| Credential::Key(key));
        (None, builder.credential.clone().or(found))
    };
    let mut settings = Settings::new(&provider.name, model);
    settings.api_key = credential.map(|credential| credential.secret().clone());
    settings.base_url = base_url;
    // Both become parts of an address.
    settings.region = region(&builder, provider, model).map(|region| template::safe("region", &region)).transpose()?;
    settings.project = vars.find(provider, "project").map(|project| template::safe("project", &project)).transpose()?;
    settings.api_version = vars.find(provider, "api_version");
    settings.options = builder.options;
    settings.client = builder.settings;
    Ok(settings)
}

/// The given region, or the environment's; an ARN of Bedrock has its own.
fn region(builder: &LiteLlmBuilder, provider: &Provider, model: &str) -> Option<String> {
    let vars = Vars { given: &builder.vars, env: &builder.env };
    match builder.vars.get("region") {
        None if model.contains("arn:") => None,
        given => given.cloned().or_else(|| vars.find(provider, "region")),
    }
}

/// Without LiteLLM's choice of interface before the model: there is one here.
#[cfg(feature = "bedrock")]
fn bedrock(mut settings: Settings) -> Result<Settings> {
    if let Some(model) = settings.model.strip_prefix("converse/") {
        settings.model = model.to_owned();
    } else if settings.model.starts_with("invoke/") {
        let message = "Bedrock is called by its Converse interface here: leave `invoke/` out";
        return Err(Error::config("model", message));
    }
    Ok(settings)
}

//! Setting up a [`LiteLlm`].

use std::fmt;
use std::sync::Arc;

use mellea_core::{Backend, Error, ErrorKind, ModelOptions, ModelRef, OptionKey, OptionValue, Result};
use mellea_http::{ClientSettings, Secret, client_setters};

use crate::backend::LiteLlm;
use crate::env::Env;
use crate::keys::{self, Credential};
use crate::litellm_options::LiteLlmOptions;
use crate::registry::{Kind, Registry};
use crate::route::{self, Route};
use crate::settings::Settings;
use crate::{exchange, form, openai};

/// Sets up a [`LiteLlm`]; nothing is sent before the first call.
///
/// ```
/// use mellea_litellm::LiteLlm;
///
/// let backend = LiteLlm::builder()
///     .model("litellm_proxy/my-alias")
///     .base_url("http://localhost:4000")
///     .api_key("sk-1234")
///     .build()?;
/// assert!(!format!("{backend:?}").contains("sk-1234"));
/// # Ok::<(), mellea_core::Error>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "a backend is made by `build`"]
pub struct LiteLlmBuilder {
    model: Option<ModelRef>,
    registry: Option<Registry>,
    given: Settings,
    /// Those of the client, where the setters that all builders share put them.
    settings: ClientSettings,
}

impl LiteLlmBuilder {
    /// The model: `provider/model`, or a [`ModelIdentifier`](mellea_core::model::ModelIdentifier),
    /// which means the model at Ollama, or at Bedrock if Ollama does not have it.
    pub fn model(mut self, model: impl Into<ModelRef>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Looks providers up here instead of in [`Registry::builtin`].
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// The key. Default: the provider's environment variables.
    pub fn api_key(mut self, key: impl Into<Secret>) -> Self {
        self.given.credential = Some(Credential::Key(key.into()));
        self
    }

    /// A token instead of a key: it is sent as `Authorization: Bearer` even where keys have a header of
    /// their own. An example is an Entra token for Azure.
    pub fn token(mut self, token: impl Into<Secret>) -> Self {
        self.given.credential = Some(Credential::Token(token.into()));
        self
    }

    /// The address of the service, instead of the environment's and the provider's own. What the
    /// environment holds as a key is not sent to an address that only looks like the provider's, or is
    /// another provider's; what [`api_key`](Self::api_key) gives goes wherever this says.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.given.base_url = Some(url.into());
        self
    }

    /// A part of the provider's address, such as `account_id` for Cloudflare.
    pub fn var(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.given.variables.insert(name.into(), value.into());
        self
    }

    /// The region (Bedrock) or location (Vertex AI).
    pub fn region(self, region: impl Into<String>) -> Self {
        self.var("region", region)
    }

    /// The project (Vertex AI, watsonx.ai).
    pub fn project(self, project: impl Into<String>) -> Self {
        self.var("project", project)
    }

    /// The version of the API (Azure): `v1` for the one without deployments in the address.
    pub fn api_version(self, version: impl Into<String>) -> Self {
        self.var("api_version", version)
    }

    /// Reads these variables instead of the process's environment, for keys that are kept elsewhere.
    pub fn variables<K: Into<String>, V: Into<Secret>>(mut self, variables: impl IntoIterator<Item = (K, V)>) -> Self {
        self.given.env = Env::Given(Arc::new(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect()));
        self
    }

    /// Sets an option for every request; a session or a call may override it.
    ///
    /// LiteLLM's own settings are accepted here as well: `api_base` (takes precedence over [`base_url`](Self::base_url)),
    /// `api_key`, `api_version`, `num_retries`, `aws_region_name`, `vertex_location`,
    /// `vertex_project`; `drop_params` is what happens anyway, with a warning for each.
    pub fn option(mut self, key: impl Into<OptionKey>, value: impl Into<OptionValue>) -> Self {
        self.given.options.set(key, value);
        self
    }

    /// Sets options for every request, added to those already set.
    pub fn options(mut self, options: &ModelOptions) -> Self {
        self.given.options = self.given.options.merged(options);
        self
    }

    client_setters!();

    /// Builds the backend. Nothing is sent.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a model whose provider is not known or cannot be called,
    /// for a missing address or key, and for a key that must not go to the address.
    pub fn build(mut self) -> Result<LiteLlm> {
        let model = self.model.take().ok_or_else(|| ErrorKind::config("model", "no model is named: `model` is missing"))?;
        let name = route::name(&model)?;
        let mut settings = self.given;
        settings.client = self.settings;
        LiteLlmOptions::take(&mut settings.options)?.apply(&mut settings);
        let registry = self.registry.take().unwrap_or_else(Registry::builtin);
        let route = route::route(&registry, &name)?;
        let inner = inner(settings, &registry, route).map_err(|e: Error| e.at(&route.provider.name, route.model))?;
        Ok(LiteLlm::of(inner, name))
    }
}

/// The backend that the route leads to.
fn inner(settings: Settings, registry: &Registry, Route { provider, model, .. }: Route<'_, '_>) -> Result<Arc<dyn Backend>> {
    crate::registry::check(provider)?;
    if provider.kind == Kind::Native {
        return crate::native_provider::backend(settings, registry, provider, model);
    }
    let vars = settings.vars();
    let address = keys::address(provider, settings.base_url.as_deref(), &vars)?;
    let given = settings.credential.is_some() || settings.env.first(&provider.key_env).is_some();
    let given = given || settings.env.first(&provider.token_env).is_some();
    let origin = address.url.as_url().origin().ascii_serialization();
    let exchange = if given { None } else { exchange::find(provider, &origin, &vars, &settings.client)? };
    let credential = match exchange {
        Some(_) => None,
        None => settings.credential_for(provider, registry, &address)?,
    };
    let shape = form::shape(provider, model, address, credential, &vars)?;
    openai::backend(settings, provider, shape, exchange)
}

impl fmt::Debug for LiteLlmBuilder {
    /// Leaves out keys and what may contain one: headers and the query of the address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = self.given.base_url.as_deref().map(mellea_http::BaseUrl::parse).and_then(Result::ok);
        f.debug_struct("LiteLlmBuilder")
            .field("model", &self.model)
            .field("base_url", &base)
            .field("credential", &self.given.credential)
            .field("options", &self.given.options)
            .finish_non_exhaustive()
    }
}

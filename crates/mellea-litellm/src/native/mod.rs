//! Providers that speak a wire of their own: one folder each, one constructor each.
//!
//! The constructors are called by the routing; they do no I/O. Each takes [`Settings`] and reads
//! from the environment only what its own documentation says.

#![cfg_attr(
    not(all(feature = "anthropic", feature = "gemini", feature = "bedrock", feature = "cohere")),
    allow(dead_code, unused_imports, reason = "no family uses all of what they share")
)]

#[cfg(feature = "anthropic")]
mod anthropic;
mod backend;
#[cfg(feature = "bedrock")]
mod bedrock;
mod block_text;
#[cfg(any(feature = "anthropic", feature = "bedrock"))]
mod claude;
#[cfg(feature = "cohere")]
mod cohere;
mod foreign;
#[cfg(fuzzing)]
pub mod fuzzing;
#[cfg(feature = "gemini")]
mod gemini;
mod options;
#[cfg(any(test, fuzzing))]
mod replay;
mod schema;
mod sse;
mod turns;
#[cfg(feature = "vertex")]
mod vertex;

#[cfg(test)]
#[allow(dead_code, reason = "not every family uses all of it")]
mod testing;

use std::sync::Arc;

use mellea_core::{Backend, Error, ModelOptions, Result};
use mellea_http::{Client, ClientBuilder, ClientSettings, Secret};

/// The settings of a native backend. The model has no prefix.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// The provider's name in errors and outputs, such as `anthropic`.
    pub(crate) provider: String,
    /// The model as the provider names it.
    pub(crate) model: String,
    /// The key; whose absence is an error where the family needs one and says so.
    pub(crate) api_key: Option<Secret>,
    /// The address of the service, instead of the family's own.
    pub(crate) base_url: Option<String>,
    /// Options that every request has unless the call says otherwise.
    pub(crate) options: ModelOptions,
    /// The settings of its client.
    pub(crate) client: ClientSettings,
    /// The region (Bedrock) or location (Vertex AI), instead of those of the environment.
    pub(crate) region: Option<String>,
    /// The project (Vertex AI), instead of that of the environment.
    pub(crate) project: Option<String>,
    /// The version of the interface, instead of the family's own.
    pub(crate) api_version: Option<String>,
}

impl Settings {
    /// Settings for a model of a provider, with defaults for all else.
    pub(crate) fn new(provider: impl Into<String>, model: impl Into<String>) -> Self {
        Self { provider: provider.into(), model: model.into(), ..Self::default() }
    }
}

impl Settings {
    /// The client of the service at `base_url`, or at the family's own address.
    fn client(&self, base: &str) -> ClientBuilder {
        let base = self.base_url.as_deref().unwrap_or(base);
        Client::builder(self.provider.as_str(), base).settings(self.client.clone())
    }

    /// An error of what was set.
    fn config(&self, setting: &'static str, message: impl Into<String>) -> Error {
        Error::config(setting, message).at(&self.provider, &self.model)
    }

    /// The key, or an error that says where it was looked for.
    fn key(&self, variables: &str) -> Result<Secret> {
        let key = self.api_key.clone().filter(|key| !key.is_empty());
        key.ok_or_else(|| {
            self.config("api_key", format!("there is no key for {}", self.provider))
                .with_hint(format!("give one with `api_key`, or set {variables}"))
        })
    }
}

/// Claude, over Anthropic's Messages API. It needs a key.
#[cfg(feature = "anthropic")]
pub(crate) fn anthropic(settings: Settings) -> Result<Arc<dyn Backend>> {
    anthropic::backend(settings)
}

/// Gemini, over Google's Gemini API. It needs a key.
#[cfg(feature = "gemini")]
pub(crate) fn gemini(settings: Settings) -> Result<Arc<dyn Backend>> {
    gemini::backend(settings)
}

/// Models on Amazon Bedrock, over the Converse API.
///
/// The credentials are the key, or those of the environment: `AWS_BEARER_TOKEN_BEDROCK`, or with the
/// feature `bedrock-sigv4` `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`. The
/// region is that of the settings, of the model's ARN, or of `AWS_REGION_NAME`, `AWS_DEFAULT_REGION` or
/// `AWS_REGION`.
#[cfg(feature = "bedrock")]
pub(crate) fn bedrock(settings: Settings) -> Result<Arc<dyn Backend>> {
    bedrock::backend(settings)
}

/// Models on Google's Vertex AI: Gemini and Claude in their own forms, others in OpenAI's.
///
/// A key is an access token; without one, Google's application default credentials are used. The
/// project is that of the settings, of `VERTEXAI_PROJECT`, `GOOGLE_CLOUD_PROJECT` or
/// `ANTHROPIC_VERTEX_PROJECT_ID`; the location that of the settings, of `VERTEXAI_LOCATION`,
/// `GOOGLE_CLOUD_LOCATION` or `CLOUD_ML_REGION`, or `us-central1`.
#[cfg(feature = "vertex")]
pub(crate) fn vertex(settings: Settings) -> Result<Arc<dyn Backend>> {
    vertex::backend(settings)
}

/// Cohere, over version 2 of its chat API. It needs a key.
#[cfg(feature = "cohere")]
pub(crate) fn cohere(settings: Settings) -> Result<Arc<dyn Backend>> {
    cohere::backend(settings)
}

//! Native providers: which part of this crate, or which other crate, serves them.

use std::sync::Arc;

use mellea_core::{Backend, Error, Result};

use crate::registry::{Provider, Registry};
use crate::settings::Settings;

/// The backend of a native provider for this model.
#[cfg_attr(
    not(any(feature = "anthropic", feature = "gemini", feature = "vertex", feature = "bedrock", feature = "cohere")),
    allow(clippy::needless_pass_by_value, unused_variables, reason = "there is no family to pass them to")
)]
pub(crate) fn backend(settings: Settings, registry: &Registry, provider: &Provider, model: &str) -> Result<Arc<dyn Backend>> {
    match provider.name.as_str() {
        #[cfg(feature = "ollama")]
        "ollama_chat" => crate::ollama::backend(settings, provider, model),
        #[cfg(feature = "watsonx")]
        "watsonx" => crate::watsonx::backend(settings, provider, model),
        #[cfg(any(feature = "anthropic", feature = "gemini", feature = "vertex", feature = "bedrock", feature = "cohere"))]
        "anthropic" | "gemini" | "vertex_ai" | "bedrock" | "cohere" => {
            crate::families::backend(settings, registry, provider, model)
        }
        name => {
            let message = format!("`{name}` is not a provider whose own wire this program speaks");
            Err(Error::config("model", message))
        }
    }
}

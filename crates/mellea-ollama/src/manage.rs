//! The models of a server: those it has, those it runs, one in detail.

use std::time::Duration;

use mellea_core::{Error, ErrorKind, Result};
use mellea_http::CallOptions;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::backend::{Known, Ollama};
use crate::pull::Pull;
use crate::wire::{LocalModel, ModelInfo, Models, RunningModel, Version};

/// The default context window, unless the model's own is smaller.
pub(crate) const DEFAULT_WINDOW: u64 = 8192;

impl Ollama {
    /// The models that the server has.
    ///
    /// # Errors
    /// If the server cannot be reached, or refuses.
    pub async fn models(&self) -> Result<Vec<LocalModel>> {
        self.get::<Models<LocalModel>>("api/tags", None).await.map(|list| list.models)
    }

    /// The models that the server has loaded.
    ///
    /// # Errors
    /// If the server cannot be reached, or refuses.
    pub async fn running(&self) -> Result<Vec<RunningModel>> {
        self.get::<Models<RunningModel>>("api/ps", None).await.map(|list| list.models)
    }

    pub(crate) async fn running_once(&self, limit: Duration) -> Result<Vec<RunningModel>> {
        self.get::<Models<RunningModel>>("api/ps", Some(limit)).await.map(|list| list.models)
    }

    /// What the server knows of the model: what it can do, its window, its template.
    ///
    /// # Errors
    /// [`ErrorKind::ModelNotFound`] if the server does not have it; if the server cannot be reached.
    pub async fn show(&self) -> Result<ModelInfo> {
        let model = &self.settings().model;
        let request = self.client().post("api/show").model(model).json(&json!({ "model": model }))?;
        let response = self.client().send(request).await.map_err(|e| self.explain(e))?;
        response.json().await.map_err(|e| self.explain(e))
    }

    /// The server's version, such as `0.12.6`.
    ///
    /// # Errors
    /// If the server cannot be reached, or is not Ollama.
    pub async fn version(&self) -> Result<String> {
        let version = self.get::<Version>("api/version", None).await?.version;
        if version.is_empty() {
            let model = &self.settings().model;
            let error = ErrorKind::MalformedResponse { path: "version".to_owned(), reason: "it is missing".to_owned() };
            let hint = format!("is {} a server of Ollama?", self.client().base());
            return Err(Error::from(error).at("ollama", model).with_hint(hint));
        }
        Ok(version)
    }

    /// Contacts the server, looks at the model, and pulls it if the policy says so.
    pub(crate) async fn examine(&self) -> Result<Known> {
        let version = self.version().await?;
        if too_old(&version) {
            let error = Error::config("server", format!("ollama {version} is too old: it enforces no JSON schemas"));
            return Err(error.at("ollama", &self.settings().model).with_hint("update it to 0.5 or later"));
        }
        if self.settings().pull == Pull::Always {
            self.pull().await?;
        }
        let info = match self.show().await {
            Err(error) if self.settings().pull == Pull::IfMissing && matches!(error.kind(), ErrorKind::ModelNotFound(_)) => {
                self.pull().await?;
                self.show().await?
            }
            info => info?,
        };
        tracing::debug!(target: "mellea::ollama", version, capabilities = ?info.capabilities, "connected");
        Ok(Known { info })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, limit: Option<Duration>) -> Result<T> {
        let mut request = self.client().get(path).model(&self.settings().model);
        if let Some(limit) = limit {
            let mut call = CallOptions::default();
            call.timeout = Some(limit);
            request = request.options(call).once();
        }
        let response = self.client().send(request).await.map_err(|e| self.explain(e))?;
        response.json().await.map_err(|e| self.explain(e))
    }
}

/// Whether two names are of the same model: without a tag it is `latest`.
pub(crate) fn same_model(one: &str, other: &str) -> bool {
    let full = |name: &str| {
        let tagged = name.rsplit('/').next().is_some_and(|last| last.contains(':'));
        let name = name.to_ascii_lowercase();
        let name = name.strip_prefix("registry.ollama.ai/").unwrap_or(&name);
        let name = name.strip_prefix("library/").unwrap_or(name).to_owned();
        if tagged { name } else { format!("{name}:latest") }
    };
    full(one) == full(other)
}

/// Whether a version has no structured outputs. `0.0.0` is what builds from source say.
fn too_old(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split(['.', '-']).map(str::parse::<u32>);
    matches!((numbers.next(), numbers.next()), (Some(Ok(0)), Some(Ok(1..=4))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_with_and_without_what_is_understood() {
        assert!(same_model("llama3", "llama3:latest"));
        assert!(same_model("granite4.1:3b", "Granite4.1:3B"));
        assert!(same_model("registry.ollama.ai/library/llama3", "llama3"));
        assert!(same_model("localhost:5000/me/m", "localhost:5000/me/m:latest"));
        for (one, other) in [("llama3", "llama3.2:1b"), ("llama3", "llama3:8b"), ("me/llama3", "llama3")] {
            assert!(!same_model(one, other), "{one} {other}");
        }
    }

    #[test]
    fn only_versions_without_structured_outputs_are_too_old() {
        for (version, old) in [("0.4.7", true), ("0.1.48", true), ("0.5.0", false), ("0.12.6", false), ("0.0.0", false)] {
            assert_eq!(too_old(version), old, "{version}");
        }
        assert!(!too_old("1.0") && !too_old("nightly") && !too_old("v0.30.5-rc1") && too_old("0.3.12-rc1"));
    }
}

//! Models on Google's Vertex AI, with Google's tokens: Gemini and Claude each in their own form, all
//! others in OpenAI's.
//!
//! Facts: the clients of `google-genai` 3.4.0 and `anthropic` 2.12.0 (PyPI), and Google's documentation.

mod token;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use mellea_core::{Backend, Result};
use mellea_openai::{Dialect, OpenAi, ThinkingField, TokenField};

use super::Settings;
use super::anthropic::{Host, Messages, VERTEX_VERSION};
use super::backend::Native;
use super::gemini::Contents;

use token::{AccessToken, GoogleToken, TokenAuth, TokenSource};

/// The variables that name a project and a location, the first that is set counts.
const PROJECTS: [&str; 3] = ["VERTEXAI_PROJECT", "GOOGLE_CLOUD_PROJECT", "ANTHROPIC_VERTEX_PROJECT_ID"];
const LOCATIONS: [&str; 3] = ["VERTEXAI_LOCATION", "GOOGLE_CLOUD_LOCATION", "CLOUD_ML_REGION"];

/// Where models are if nobody says.
const DEFAULT_LOCATION: &str = "us-central1";

/// Makes a backend; what is not in the settings is that of the environment. A key in the settings is an
/// access token.
pub(super) fn backend(settings: Settings) -> Result<Arc<dyn Backend>> {
    let source: Arc<dyn TokenSource> = match settings.api_key.clone().filter(|key| !key.is_empty()) {
        Some(token) => Arc::new(AccessToken(token)),
        None => Arc::new(GoogleToken::default()),
    };
    backend_in(settings, &|name| std::env::var(name).ok(), source)
}

/// The same in this environment, with tokens from this source.
fn backend_in(
    settings: Settings,
    env: &dyn Fn(&str) -> Option<String>,
    source: Arc<dyn TokenSource>,
) -> Result<Arc<dyn Backend>> {
    let place = Place::find(&settings, env)?;
    let model = settings.model.clone();
    let (publisher, name) = match model.split_once('/') {
        Some((publisher, name)) => (publisher, name),
        None if model.contains("claude") => ("anthropic", model.as_str()),
        // An endpoint of one's own.
        None if model.bytes().all(|b| b.is_ascii_digit()) => ("", model.as_str()),
        None => ("google", model.as_str()),
    };
    let version = match publisher {
        // Tools with JSON schemas are not in `v1` everywhere.
        "google" => "v1beta1",
        "anthropic" => "v1",
        _ => return compatible(settings, &place, env, source),
    };
    let path = format!("projects/{}/locations/{}/publishers/{publisher}/models/{name}", place.project, place.location);
    let mut builder = settings.client(&place.address()).default_path(version).auth(TokenAuth(source));
    if let Some(project) = quota_project(env) {
        builder = builder.header("x-goog-user-project", project);
    }
    let client = builder.build()?;
    let provider = settings.provider.clone();
    if publisher == "anthropic" {
        let version = settings.api_version.clone().unwrap_or_else(|| VERTEX_VERSION.to_owned());
        Ok(Native::shared(Messages { provider, model: name.to_owned(), version, host: Host::Vertex(path) }, client, settings))
    } else {
        Ok(Native::shared(Contents { provider, model: name.to_owned(), path }, client, settings))
    }
}

/// The project that pays, if that is another one.
fn quota_project(env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    env("GOOGLE_CLOUD_QUOTA_PROJECT").map(|project| project.trim().to_owned()).filter(|project| !project.is_empty())
}

/// OpenAI's wire as Vertex AI speaks it. Nothing of it is read from variables but what is here.
const COMPATIBLE: Dialect = Dialect::GENERIC
    .name("vertex_ai")
    .base_variables(&[])
    .key_variables(&[])
    .needs_key(false)
    .completions_path("")
    .token_field(TokenField::MaxTokens)
    .thinking(ThinkingField::ReasoningEffort);

/// A backend for a model from another publisher, or for your own endpoint, which is a number.
fn compatible(
    settings: Settings,
    place: &Place,
    env: &dyn Fn(&str) -> Option<String>,
    source: Arc<dyn TokenSource>,
) -> Result<Arc<dyn Backend>> {
    let endpoint = if settings.model.contains('/') { "openapi" } else { settings.model.as_str() };
    let base = mellea_http::BaseUrl::parse(settings.base_url.as_deref().unwrap_or(&place.address()))?;
    let base = base.or_path(settings.api_version.as_deref().unwrap_or("v1"));
    let path = format!("projects/{}/locations/{}/endpoints/{endpoint}", place.project, place.location);
    let mut builder = OpenAi::builder()
        .dialect(COMPATIBLE)
        .model(settings.model.as_str())
        .base_url(base.join(&path, &[]).as_str())
        .auth(TokenAuth(source))
        .options(&settings.options);
    let quota = quota_project(env).map(|project| ("x-goog-user-project".to_owned(), project));
    if let Some((name, value)) = quota {
        builder = builder.header(name, value);
    }
    Ok(Arc::new(builder.settings(settings.client).build()?))
}

/// A project, and where its models are.
#[derive(Debug)]
struct Place {
    project: String,
    location: String,
}

impl Place {
    fn find(settings: &Settings, env: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &&str| env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        let project = given(&settings.project).or_else(|| PROJECTS.iter().find_map(set)).ok_or_else(|| {
            settings.config("project", "there is no Google Cloud project").with_hint(format!("set {}", PROJECTS.join(", or ")))
        })?;
        let location = given(&settings.region).or_else(|| LOCATIONS.iter().find_map(set));
        let location = location.unwrap_or_else(|| DEFAULT_LOCATION.to_owned());
        for part in [&project, &location] {
            // They become parts of an address to which a token goes.
            if !part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':')) {
                return Err(settings.config("project", format!("`{part}` is no project or location of Google Cloud")));
            }
        }
        Ok(Self { project, location })
    }

    fn address(&self) -> String {
        match self.location.as_str() {
            "global" => "https://aiplatform.googleapis.com".to_owned(),
            region @ ("us" | "eu") => format!("https://aiplatform.{region}.rep.googleapis.com"),
            region => format!("https://{region}-aiplatform.googleapis.com"),
        }
    }
}

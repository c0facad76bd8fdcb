//! Gemini over Google's Gemini API, and in the form that Vertex AI accepts.
//!
//! Facts: types and converters of `google-genai` 3.4.0 (PyPI), checked against Google's documentation
//! of thought signatures, structured output and thinking.

mod request;
mod stream;
mod wire;

#[cfg(test)]
pub(super) mod tests;

use std::sync::Arc;

use mellea_core::{Backend, Capabilities, ChatRequest, Error, ErrorKind, ModelOption, Result};
use mellea_http::auth::KeyHeader;
use mellea_http::{Client, Request, SseFramer};
use serde_json::{Map, Value};

use super::Settings;
use super::backend::{Native, Plan, Wire};

use stream::ContentDecoder;

/// The version of the interface.
const VERSION: &str = "v1beta";

/// Makes a backend. The address may come with or without a version.
pub(super) fn backend(settings: Settings) -> Result<Arc<dyn Backend>> {
    let key = settings.key("GEMINI_API_KEY or GOOGLE_API_KEY")?;
    let version = settings.api_version.as_deref().unwrap_or(VERSION).to_owned();
    let builder = settings.client("https://generativelanguage.googleapis.com").default_path(version);
    let client = builder.auth(KeyHeader::new("x-goog-api-key", key)?).build()?;
    let name = settings.model.strip_prefix("models/").unwrap_or(&settings.model);
    let path = if name.contains('/') { name.to_owned() } else { format!("models/{name}") };
    let wire = Contents { provider: settings.provider.clone(), model: settings.model.clone(), path };
    Ok(Native::shared(wire, client, settings))
}

/// The wire of `generateContent`.
#[derive(Clone, Debug)]
pub(super) struct Contents {
    pub(super) provider: String,
    pub(super) model: String,
    /// Where the model is, below the address.
    pub(super) path: String,
}

impl Wire for Contents {
    type Framer = SseFramer;
    type Decoder = ContentDecoder;

    fn capabilities(&self) -> Capabilities {
        let mut can = Capabilities::default();
        (can.tools, can.images, can.audio, can.json_schema) = (true, true, true, true);
        can
    }

    fn synonyms(&self) -> &'static [(&'static str, ModelOption)] {
        &[
            ("max_output_tokens", ModelOption::MaxNewTokens),
            ("maxOutputTokens", ModelOption::MaxNewTokens),
            ("max_tokens", ModelOption::MaxNewTokens),
            ("max_completion_tokens", ModelOption::MaxNewTokens),
            ("stop_sequences", ModelOption::StopSequences),
            ("stopSequences", ModelOption::StopSequences),
            ("stop", ModelOption::StopSequences),
            ("system", ModelOption::SystemPrompt),
            ("reasoning_effort", ModelOption::Thinking),
        ]
    }

    fn plan(&self, request: &ChatRequest, extra: Map<String, Value>) -> Result<Plan> {
        request::plan(self, request, extra)
    }

    fn fill(&self, request: &ChatRequest, plan: &mut Plan) -> Result<()> {
        request::fill(self, request, plan)
    }

    fn call(&self, client: &Client, stream: bool) -> Request {
        if stream {
            client.post(format!("{}:streamGenerateContent", self.path)).query("alt", "sse")
        } else {
            client.post(format!("{}:generateContent", self.path))
        }
    }

    fn explain(&self, error: Error) -> Error {
        // A wrong key is answered with 400 here.
        match error.kind() {
            ErrorKind::Provider(said) if said.status == Some(400) && said.message.contains("API key") => {
                error.with_hint("the key is missing, wrong or expired")
            }
            _ => error,
        }
    }
}

/// The version in names such as `gemini-2.5-flash` and `gemini-3-pro-preview`; names without one, such
/// as `gemini-flash-latest`, are those of recent models.
fn version(model: &str) -> (u32, u32) {
    const RECENT: (u32, u32) = (3, 0);
    let Some((_, rest)) = model.rsplit_once("gemini-") else { return RECENT };
    let number = rest.split('-').next().unwrap_or_default();
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    match (major.parse(), minor.parse()) {
        (Ok(major), Ok(minor)) => (major, minor),
        _ => RECENT,
    }
}

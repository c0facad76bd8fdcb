//! Claude over Anthropic's Messages API, and in the form that Vertex AI accepts.
//!
//! Facts: types of `anthropic` 2.12.0 (PyPI), checked against Anthropic's and Google's documentation.

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
use super::claude;

pub(super) use stream::MessageDecoder;

/// The version of the interface.
const VERSION: &str = "2023-06-01";

/// The version in the body of Vertex AI.
#[cfg(feature = "vertex")]
pub(super) const VERTEX_VERSION: &str = "vertex-2023-10-16";

/// From this version on, no model takes `temperature`, `top_p` and `top_k`.
const WITHOUT_SAMPLING: &str = "2026-10-21";

/// Makes a backend. The address may come with or without `/v1`.
pub(super) fn backend(settings: Settings) -> Result<Arc<dyn Backend>> {
    let key = settings.key("ANTHROPIC_API_KEY")?;
    let version = settings.api_version.clone().unwrap_or_else(|| VERSION.to_owned());
    let builder = settings.client("https://api.anthropic.com/v1").default_path("v1");
    let client = builder.header("anthropic-version", version.as_str()).auth(KeyHeader::new("x-api-key", key)?).build()?;
    let wire = Messages { provider: settings.provider.clone(), model: settings.model.clone(), version, host: Host::Anthropic };
    Ok(Native::shared(wire, client, settings))
}

/// Who serves the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Anthropic,
    /// The model is in the path, which this is, and the version in the body.
    #[cfg(feature = "vertex")]
    Vertex(String),
}

/// The Messages wire.
#[derive(Clone, Debug)]
pub(super) struct Messages {
    pub(super) provider: String,
    pub(super) model: String,
    /// The version of the interface.
    pub(super) version: String,
    pub(super) host: Host,
}

impl Messages {
    fn facts(&self) -> claude::Facts {
        let facts = claude::facts(&self.model);
        // Dates; Vertex AI puts its name before them.
        let dated = self.version.starts_with(|c: char| c.is_ascii_digit());
        let sampling = facts.sampling && !(dated && self.version.as_str() >= WITHOUT_SAMPLING);
        claude::Facts { sampling, ..facts }
    }
}

impl Wire for Messages {
    type Framer = SseFramer;
    type Decoder = MessageDecoder;

    const FITS_CALLS: bool = true;

    fn capabilities(&self) -> Capabilities {
        let mut can = Capabilities::default();
        can.json_schema = self.facts().schemas;
        can.tools_with_format = can.json_schema;
        (can.tools, can.images) = (true, true);
        can
    }

    fn synonyms(&self) -> &'static [(&'static str, ModelOption)] {
        &[
            ("max_tokens", ModelOption::MaxNewTokens),
            ("max_completion_tokens", ModelOption::MaxNewTokens),
            ("stop_sequences", ModelOption::StopSequences),
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

    #[cfg_attr(not(feature = "vertex"), expect(unused_variables, reason = "only Vertex AI has two addresses"))]
    fn call(&self, client: &Client, stream: bool) -> Request {
        match &self.host {
            Host::Anthropic => client.post("messages"),
            #[cfg(feature = "vertex")]
            Host::Vertex(path) => client.post(format!("{path}:{}", if stream { "streamRawPredict" } else { "rawPredict" })),
        }
    }

    fn explain(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::ModelNotFound(_) if self.host == Host::Anthropic => {
                error.with_hint("https://api.anthropic.com/v1/models lists the models of a key")
            }
            _ => error,
        }
    }
}

//! Models on Amazon Bedrock, over the Converse API.
//!
//! Facts: the service model of `bedrock-runtime` in botocore 1.44.5 (PyPI), checked against AWS's
//! documentation.

mod credentials;
mod frames;
mod request;
#[cfg(feature = "bedrock-sigv4")]
mod sigv4;
mod stream;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use mellea_core::{Backend, Capabilities, ChatRequest, Error, ErrorKind, ModelOption, Result};
use mellea_http::{Client, Request};
use serde_json::{Map, Value};

use super::Settings;
use super::backend::{Native, Plan, Wire};
use super::claude;

use credentials::Credentials;
use frames::EventFramer;
use stream::ConverseDecoder;

/// Makes a backend; region and credentials not in the settings are those of the environment.
pub(super) fn backend(settings: Settings) -> Result<Arc<dyn Backend>> {
    backend_in(settings, &|name| std::env::var(name).ok())
}

/// The same in this environment.
fn backend_in(mut settings: Settings, env: &dyn Fn(&str) -> Option<String>) -> Result<Arc<dyn Backend>> {
    if let Some(model) = settings.model.strip_prefix("converse/") {
        settings.model = model.to_owned();
    }
    let region = credentials::region(&settings, env);
    let credentials = credentials::find(&settings, env)?;
    let base = match (&settings.base_url, &region) {
        (Some(base), _) => base.clone(),
        (None, Some(region)) => {
            let end = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            format!("https://bedrock-runtime.{region}.{end}")
        }
        (None, None) => return Err(credentials::no_region(&settings)),
    };
    let builder = settings.client(&base);
    let builder = match credentials {
        Credentials::Bearer(key) => builder.key(key),
        #[cfg(feature = "bedrock-sigv4")]
        Credentials::Keys(keys) => {
            let region = region.clone().ok_or_else(|| credentials::no_region(&settings))?;
            builder.auth(sigv4::SigV4::new(keys, region))
        }
    };
    let wire = Converse { provider: settings.provider.clone(), model: settings.model.clone() };
    Ok(Native::shared(wire, builder.build()?, settings))
}

/// The Converse wire.
#[derive(Clone, Debug)]
pub(super) struct Converse {
    provider: String,
    model: String,
}

/// Makers whose models enforce JSON schemas, besides Anthropic.
const SCHEMA_MAKERS: [&str; 11] = [
    "openai.",
    "qwen.",
    "deepseek.v3",
    "google.gemma",
    "nvidia.",
    "minimax.",
    "moonshot",
    "mistral.mistral-large-3",
    "mistral.ministral",
    "mistral.magistral",
    "mistral.voxtral",
];

impl Converse {
    fn is_claude(&self) -> bool {
        self.model.contains("claude")
    }

    /// Whether the model enforces JSON schemas, as far as its name tells.
    fn has_schemas(&self) -> bool {
        if self.is_claude() {
            return claude::facts(&self.model).schemas;
        }
        SCHEMA_MAKERS.iter().any(|maker| self.model.contains(maker))
    }
}

impl Wire for Converse {
    type Framer = EventFramer;
    type Decoder = ConverseDecoder;

    const FITS_CALLS: bool = true;

    fn capabilities(&self) -> Capabilities {
        let mut can = Capabilities::default();
        can.json_schema = self.has_schemas();
        (can.tools, can.images, can.audio) = (true, true, true);
        can
    }

    fn synonyms(&self) -> &'static [(&'static str, ModelOption)] {
        &[
            ("maxTokens", ModelOption::MaxNewTokens),
            ("max_tokens", ModelOption::MaxNewTokens),
            ("max_completion_tokens", ModelOption::MaxNewTokens),
            ("stopSequences", ModelOption::StopSequences),
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

    fn call(&self, client: &Client, stream: bool) -> Request {
        let operation = if stream { "converse-stream" } else { "converse" };
        client.post(format!("model/{}/{operation}", encoded(&self.model)))
    }

    fn explain(&self, error: Error) -> Error {
        let ErrorKind::Provider(said) = error.kind() else { return error };
        if said.message.contains("model identifier is invalid") {
            let found = Error::new(ErrorKind::ModelNotFound(self.model.clone())).with_response(said.clone());
            return found
                .at(error.provider().unwrap_or_default(), &self.model)
                .with_hint("`aws bedrock list-foundation-models` lists the models of a region");
        }
        if said.message.contains("on-demand throughput") {
            return error.with_hint("name an inference profile, such as `us.` or `global.` before the model");
        }
        match said.status {
            Some(403) => error.with_hint("ask for access to the model in the Bedrock console of this region, and check the key"),
            _ => error,
        }
    }
}

/// A model's id or ARN as one segment of a path.
fn encoded(model: &str) -> String {
    let mut out = String::with_capacity(model.len() + 8);
    for byte in model.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

//! Cohere, over version 2 of its chat API.
//!
//! Facts: types of `cohere` 7.3.1 (PyPI), checked against Cohere's documentation.

mod request;
mod stream;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use mellea_core::{Backend, Capabilities, ChatRequest, ModelOption, Result};
use mellea_http::{Client, Request, SseFramer};
use serde_json::{Map, Value};

use super::Settings;
use super::backend::{Native, Plan, Wire};

use stream::ChatDecoder;

/// Makes a backend. The address may come with or without `/v2`.
pub(super) fn backend(settings: Settings) -> Result<Arc<dyn Backend>> {
    let key = settings.key("COHERE_API_KEY or CO_API_KEY")?;
    let version = settings.api_version.as_deref().unwrap_or("v2").to_owned();
    let client = settings.client("https://api.cohere.com").default_path(version).key(key).build()?;
    let wire = Chat { provider: settings.provider.clone(), model: settings.model.clone() };
    Ok(Native::shared(wire, client, settings))
}

/// The chat wire.
#[derive(Clone, Debug)]
pub(super) struct Chat {
    provider: String,
    model: String,
}

impl Wire for Chat {
    type Framer = SseFramer;
    type Decoder = ChatDecoder;

    fn capabilities(&self) -> Capabilities {
        let mut can = Capabilities::default();
        (can.tools, can.images, can.json_schema) = (true, true, true);
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

    fn call(&self, client: &Client, _stream: bool) -> Request {
        client.post("chat")
    }
}

//! Only for the benchmarks.

use mellea_core::ChatRequest;

use crate::backend::OpenAi;

/// The bytes of a request's body; empty if the request is refused.
#[must_use]
pub fn body(backend: &OpenAi, request: &ChatRequest) -> Vec<u8> {
    let prepared = backend.prepare(backend.0.memory.now(), request);
    prepared.ok().and_then(|prepared| serde_json::to_vec(&prepared.body).ok()).unwrap_or_default()
}

//! What makes two requests the same.

use std::sync::Arc;

use serde::Serialize;

use crate::backend::{Backend, ChatRequest, RawRequest};
use crate::options::RequestOptions;

/// The request as text, in full: no two different requests have the same key. `None` if it cannot
/// be written, which then is not kept.
pub(super) fn of_chat(backend: &impl Backend, request: &ChatRequest) -> Option<Arc<str>> {
    let ChatRequest { messages, tools, format, options } = request;
    key(&("chat", backend.provider(), backend.model(), messages, tools, format, answer_options(options)))
}

/// As [`of_chat`].
pub(super) fn of_raw(backend: &impl Backend, request: &RawRequest) -> Option<Arc<str>> {
    let RawRequest { prompt, format, options } = request;
    key(&("raw", backend.provider(), backend.model(), prompt, format, answer_options(options)))
}

/// The options without those that change how an answer comes and not what it is, and without the
/// order of a backend's own.
fn answer_options(options: &RequestOptions) -> RequestOptions {
    let mut options = RequestOptions { stream: false, stream_timeout: None, timeout: None, ..options.clone() };
    options.extra.sort_keys();
    options
}

fn key(parts: &impl Serialize) -> Option<Arc<str>> {
    serde_json::to_string(parts).ok().map(Arc::from)
}

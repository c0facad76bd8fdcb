//! What backends made of several others have in common.

use std::sync::Arc;

use futures_util::StreamExt;

use super::{Backend, Capabilities, Event, EventStream};
use crate::error::{Error, ErrorKind, Result};
use crate::output::ModelOutput;

/// What all of them can do.
pub(super) fn common<'b>(backends: impl Iterator<Item = &'b Arc<dyn Backend>>) -> Capabilities {
    let common = |a: Capabilities, b: Capabilities| Capabilities {
        context_window: match (a.context_window, b.context_window) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        },
        json_schema: a.json_schema && b.json_schema,
        regex: a.regex && b.regex,
        tools: a.tools && b.tools,
        tools_with_format: a.tools_with_format && b.tools_with_format,
        images: a.images && b.images,
        audio: a.audio && b.audio,
        raw: a.raw && b.raw,
    };
    backends.map(|backend| backend.capabilities()).reduce(common).unwrap_or_default()
}

/// The events of one of them: with some before them, and errors that say whose they are.
pub(super) fn answer_of(backend: &Arc<dyn Backend>, before: Vec<Event>, events: EventStream) -> EventStream {
    let backend = Arc::clone(backend);
    let events = events.map(move |event| event.map_err(|error| place(&*backend, error)));
    EventStream::new(futures_util::stream::iter(before.into_iter().map(Ok)).chain(events))
}

/// The completion of one of them, saying whose it is.
pub(super) fn completion_of(backend: &dyn Backend, output: Option<Result<ModelOutput>>) -> Result<ModelOutput> {
    let output = output.unwrap_or_else(|| Err(ErrorKind::StreamInterrupted.into()));
    let mut output = output.map_err(|error| place(backend, error))?;
    for (name, of) in [(&mut output.provider, backend.provider()), (&mut output.model, backend.model())] {
        if name.is_empty() {
            of.clone_into(name);
        }
    }
    Ok(output)
}

pub(super) fn place(backend: &dyn Backend, error: Error) -> Error {
    error.at(backend.provider(), backend.model())
}

/// A script under another name.
#[cfg(test)]
#[derive(Clone, Debug)]
pub(super) struct Named(pub(super) &'static str, pub(super) crate::testing::ScriptedBackend);

#[cfg(test)]
#[async_trait::async_trait]
impl Backend for Named {
    fn provider(&self) -> &'static str {
        "named"
    }

    fn model(&self) -> &str {
        self.0
    }

    fn capabilities(&self) -> Capabilities {
        Backend::capabilities(&self.1)
    }

    fn unsupported(&self, request: &super::ChatRequest) -> Vec<crate::output::Warning> {
        Backend::unsupported(&self.1, request)
    }

    async fn chat(&self, request: super::ChatRequest) -> Result<EventStream> {
        self.1.chat(request).await
    }

    async fn complete(&self, requests: Vec<super::RawRequest>) -> Vec<Result<ModelOutput>> {
        let named = |output: ModelOutput| ModelOutput { provider: String::new(), model: String::new(), ..output };
        self.1.complete(requests).await.into_iter().map(|result| result.map(named)).collect()
    }
}

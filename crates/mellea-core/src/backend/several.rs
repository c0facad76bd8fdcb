//! What backends made of several others have in common.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;

use super::{Backend, Capabilities, Event, EventStream};
use crate::error::{Error, ErrorKind, Result};
use crate::options::RequestOptions;
use crate::output::{ModelOutput, Warning};
use crate::redact;

/// The names of a provider's own options that all backends get.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared(BTreeSet<String>);

impl Shared {
    pub(super) fn add<S: Into<String>>(&mut self, names: impl IntoIterator<Item = S>) {
        self.0.extend(names.into_iter().map(Into::into));
    }

    /// Makes the options of a call, which were made for the first backend, those that another one
    /// gets. The warning names those left out.
    ///
    /// The common options mean the same everywhere and go along. A provider's own
    /// ([`extra`](RequestOptions::extra)) may be credentials, whatever their names, so they stay with
    /// the provider that they were given for. A backend of the same provider's name may be another
    /// account on another host: it gets them too, apart from headers and what is a secret by its name.
    /// Shared options go to all. The other backend's own defaults take the place of the first's.
    pub(super) fn adapt(
        &self,
        first: &Arc<dyn Backend>,
        other: &Arc<dyn Backend>,
        options: &mut RequestOptions,
    ) -> Option<Warning> {
        if Arc::ptr_eq(first, other) {
            return None;
        }
        let all = std::mem::take(&mut options.extra);
        let same = first.provider() == other.provider();
        let defaults = if all.is_empty() { Default::default() } else { first.default_options() };
        let mut left = Vec::new();
        for (name, value) in all {
            if self.0.contains(&name) || (same && !redact::holds_secret(&name, &value)) {
                options.extra.insert(name, value);
            } else if !value.is_null() && defaults.extra().get(&name) != Some(&value) {
                left.push(format!("`{name}`"));
            }
        }
        let synonyms = other.synonyms();
        for (name, value) in other.default_options().extra() {
            if !options.extra.contains_key(name) && !synonyms.iter().any(|(synonym, _)| synonym == name) {
                options.extra.insert(name.clone(), value.clone());
            }
        }
        (!left.is_empty()).then(|| Warning::Other {
            message: format!(
                "not sent to {}/{}, as given for {}: {} (`share_options` sends them along)",
                other.provider(),
                other.model(),
                first.provider(),
                left.join(", "),
            ),
        })
    }
}

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

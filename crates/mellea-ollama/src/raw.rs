//! Raw completion: texts continued without a chat template, several at once.

use futures_util::future::BoxFuture;
use futures_util::stream::{StreamExt, iter};
use mellea_core::{Error, ErrorKind, FinishReason, ModelOutput, RawRequest, Result};
use mellea_wire::{Rules, Tags};
use tokio::time::Instant;

use crate::backend::Ollama;
use crate::stream::output as output_of;
use crate::{options, request};

impl Ollama {
    pub(crate) async fn complete_all(&self, requests: Vec<RawRequest>) -> Vec<Result<ModelOutput>> {
        let calls: Vec<BoxFuture<'_, _>> =
            requests.into_iter().map(|request| Box::pin(self.complete_one(request)) as BoxFuture<'_, _>).collect();
        iter(calls).buffered(self.settings().raw_concurrency).collect().await
    }

    async fn complete_one(&self, request: RawRequest) -> Result<ModelOutput> {
        let settings = self.settings();
        let place = |error: Error| error.at("ollama", &settings.model);
        if request.prompt.is_empty() {
            return Err(place(ErrorKind::EmptyPrompt.into()));
        }
        let started = Instant::now();
        let prepared = request::raw(self.client(), settings, &request, self.dialect()).map_err(place)?;
        let mut rules = Rules::new();
        // A raw completion is what the model writes, as it is.
        rules.tags = Tags::none();
        let events = self.start(prepared, &rules).await?;
        let mut output = ModelOutput::default();
        output.provider = "ollama".to_owned();
        output.model.clone_from(&settings.model);
        output.warnings = options::common(&request.options, request.format.as_ref());
        let output = output_of(events, output, started).await.map_err(place)?;
        if !output.text.is_empty() || output.thinking.is_some() {
            return Ok(output);
        }
        let error = match output.finish {
            FinishReason::Length => Error::from(ErrorKind::Truncated {
                limit: request.options.max_new_tokens,
                produced: output.usage.completion_tokens.unwrap_or_default(),
            }),
            _ => Error::from(ErrorKind::EmptyResponse),
        };
        Err(place(error).with_partial(std::sync::Arc::new(output)))
    }
}

//! Raw completions: many prompts in one request where the server takes that, one by one where not.

use std::time::Instant;

use futures_util::{StreamExt, stream};
use mellea_core::{Error, ErrorKind, ModelOutput, RawRequest, Result};
use mellea_wire::Finish;
use serde_json::Value;

use crate::backend::OpenAi;
use crate::learned::{Learned, refuses_lists};
use crate::request;
use crate::wire::{AnswerContent, Choice, Completion};

/// Requests in progress at once.
const AT_ONCE: usize = 8;

impl OpenAi {
    /// One result for each request, in order.
    pub(crate) async fn complete_all(&self, requests: Vec<RawRequest>) -> Vec<Result<ModelOutput>> {
        if !self.0.dialect.has_completions() {
            let message = format!("{} has no raw completions", self.0.dialect.name);
            return requests
                .iter()
                .map(|_| Err(self.place(Error::unsupported("raw completion", self.0.dialect.name, message.clone()))))
                .collect();
        }
        let one_by_one = !self.0.dialect.prompt_lists || self.0.memory.now().has(Learned::ONE_PROMPT);
        let alike = requests.windows(2).all(|pair| match pair {
            [a, b] => a.options == b.options && a.format == b.format,
            _ => true,
        });
        if requests.len() > 1 && alike && !one_by_one {
            match self.together(&requests).await {
                Ok(results) => return results,
                Err(error) if refuses_lists(&error) => self.0.memory.remember(Learned::ONE_PROMPT),
                Err(error) => return requests.iter().map(|_| Err(error.clone())).collect(),
            }
        }
        let alone = |request: RawRequest| async move {
            let mut results = self.together(std::slice::from_ref(&request)).await?;
            results.pop().unwrap_or_else(|| Err(self.place(malformed("there is no answer"))))
        };
        stream::iter(requests).map(alone).buffered(AT_ONCE).collect().await
    }

    /// One request for prompts that have the same options.
    async fn together(&self, requests: &[RawRequest]) -> Result<Vec<Result<ModelOutput>>> {
        let Some(first) = requests.first() else { return Ok(Vec::new()) };
        let start = Instant::now();
        let prompt = match requests {
            [only] => Value::from(only.prompt.as_str()),
            many => many.iter().map(|request| request.prompt.as_str()).collect(),
        };
        let target = self.target(self.0.memory.now());
        let prepared = request::raw(&target, prompt, first).map_err(|error| self.place(error))?;
        let request = self.post(self.0.dialect.completions_path, &prepared.body)?.options(prepared.call);
        let read = |response: mellea_http::Response| async move {
            let place = response.place().clone();
            let mut completion: Completion = response.json().await?;
            match completion.take_error() {
                Some(error) => Err(place.refused(&error)),
                None => Ok(completion),
            }
        };
        let mut completion = Box::pin(self.0.client.open(request, read)).await.map_err(|error| self.explained(error))?;
        let usage = completion.take_usage().filter(|_| requests.len() == 1).unwrap_or_default();
        let mut common = ModelOutput::default();
        common.provider = self.0.dialect.name.to_owned();
        common.model = completion.model.take().filter(|model| !model.is_empty()).unwrap_or_else(|| self.0.model.clone());
        common.response_id = completion.id.take();
        common.warnings = prepared.warnings;
        common.usage = usage;
        common.latency = start.elapsed();
        let results = pair(completion.choices.unwrap_or_default(), requests.len(), &common);
        Ok(results.into_iter().map(|result| result.map_err(|error| self.place(error))).collect())
    }
}

fn malformed(reason: &str) -> Error {
    ErrorKind::MalformedResponse { path: "choices".to_owned(), reason: reason.to_owned() }.into()
}

/// Brings answers to their prompts: by index, and by position only if there is one for each and none has an index.
pub(crate) fn pair(choices: Vec<Choice>, prompts: usize, common: &ModelOutput) -> Vec<Result<ModelOutput>> {
    let numbered = choices.iter().any(|choice| choice.index.is_some());
    let mut slots: Vec<Result<ModelOutput>> = Vec::with_capacity(prompts);
    slots.resize_with(prompts, || Err(malformed("there is no answer to this prompt")));
    if !numbered && choices.len() != prompts {
        return slots;
    }
    let mut filled = vec![false; prompts];
    for (position, choice) in choices.into_iter().enumerate() {
        let index = choice.index.map_or(position, |index| usize::try_from(index).unwrap_or(usize::MAX));
        let (Some(slot), Some(filled)) = (slots.get_mut(index), filled.get_mut(index)) else { continue };
        *slot = if std::mem::replace(filled, true) {
            Err(malformed("there are two answers to this prompt"))
        } else {
            Ok(output(choice, common.clone()))
        };
    }
    slots
}

fn output(choice: Choice, mut output: ModelOutput) -> ModelOutput {
    let message = choice.message.and_then(|message| match message.content? {
        AnswerContent::Text(text) => Some(text),
        AnswerContent::Parts(parts) => Some(parts.into_iter().filter_map(|part| part.text).collect()),
    });
    output.text = choice.text.or(message).unwrap_or_default();
    let word = choice.finish_reason.unwrap_or_default();
    output.finish = Finish::of(&word).reason(&word, false);
    output.logprobs = choice.logprobs.map(|logprobs| logprobs.tokens()).unwrap_or_default();
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paired(json: &str, prompts: usize) -> Vec<Option<String>> {
        let completion: Completion = serde_json::from_str(json).unwrap();
        let results = pair(completion.choices.unwrap_or_default(), prompts, &ModelOutput::default());
        results.into_iter().map(|result| result.ok().map(|output| output.text)).collect()
    }

    #[test]
    fn answers_find_their_prompts() {
        let some = |text: &str| Some(text.to_owned());
        let shuffled = r#"{"choices":[{"index":1,"text":"b"},{"index":0,"text":"a"}]}"#;
        assert_eq!(paired(shuffled, 2), [some("a"), some("b")]);
        assert_eq!(paired(r#"{"choices":[{"text":"a"},{"text":"b"}]}"#, 2), [some("a"), some("b")]);
        assert_eq!(paired(r#"{"choices":[{"text":"a"}]}"#, 2), [None, None], "whose is it?");
        assert_eq!(paired(r#"{"choices":[{"index":1,"text":"b"}]}"#, 2), [None, some("b")]);
        assert_eq!(paired(r#"{"choices":[{"index":0,"text":"a"},{"index":0,"text":"b"}]}"#, 2), [None, None]);
        assert_eq!(paired(r#"{"choices":[{"index":7,"text":"a"}]}"#, 1), [None]);
        assert_eq!(paired(r#"{"choices":null}"#, 1), [None]);
    }
}

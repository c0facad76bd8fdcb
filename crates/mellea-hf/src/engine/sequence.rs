//! One request at work: its own cache, sampler, constraint and text, moved on one step at a time.

use std::time::Instant;

use candle_core::Tensor;
use tokio::sync::mpsc;

use super::{Engine, Finish, KeepLogits, Request, Stats, Update};
use crate::detokenize::StreamDecoder;
use crate::error::{Error, Result};
use crate::grammar::GrammarState;
use crate::model::{KvCache, Positions, Row};
use crate::output::{OutputParser, OutputRules};
use crate::sampler::Sampler;
use crate::tokenizer::TextTokenizer;

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Continue,
    Done,
    Cancelled,
}

pub(super) struct Sequence {
    updates: mpsc::UnboundedSender<Result<Update>>,
    since: Instant,
    prompt: Vec<u32>,
    generated: Vec<u32>,
    /// How many tokens of prompt and answer together the cache holds is its length.
    cache: KvCache,
    cached_tokens: usize,
    max_new_tokens: usize,
    first_token: Option<Instant>,
    sampler: Sampler,
    grammar: Option<GrammarState>,
    decoder: StreamDecoder,
    output: OutputParser,
    keep_logits: KeepLogits,
}

impl Sequence {
    pub(super) fn new(
        request: Request,
        updates: mpsc::UnboundedSender<Result<Update>>,
        since: Instant,
        grammar: Option<GrammarState>,
        cache: KvCache,
        engine: &Engine,
    ) -> Self {
        let room = engine.decoder.config().max_positions.saturating_sub(request.prompt.len());
        let shown = shown_tokens(&engine.tokenizer, &request.output);
        Self {
            updates,
            since,
            generated: Vec::new(),
            cached_tokens: cache.len(),
            cache,
            max_new_tokens: request.max_new_tokens.min(room),
            first_token: None,
            sampler: Sampler::new(request.sampling),
            grammar,
            decoder: StreamDecoder::new(&engine.tokenizer, shown),
            output: OutputParser::new(request.output),
            keep_logits: request.keep_logits,
            prompt: request.prompt,
        }
    }

    /// A chunk of the prompt, or one token of the answer.
    pub(super) fn step(&mut self, engine: &Engine) -> Result<Step> {
        if self.updates.is_closed() {
            return Ok(Step::Cancelled);
        }
        if self.generated.len() >= self.max_new_tokens {
            return self.finish(engine, Finish::Length);
        }
        let done = self.cache.len();
        let logits = match self.prompt.get(done..) {
            Some(rest) if !rest.is_empty() => {
                let chunk = rest.get(..engine.options.chunk.max(1)).unwrap_or(rest);
                let last = chunk.len() == rest.len();
                let logits = forward(engine, chunk, &mut self.cache)?;
                if !last {
                    return Ok(Step::Continue);
                }
                logits
            }
            _ => {
                let newest = self.generated.last().map(std::slice::from_ref);
                forward(engine, newest.unwrap_or_default(), &mut self.cache)?
            }
        };
        let token = self.choose(engine, logits)?;
        self.first_token.get_or_insert_with(Instant::now);
        self.take(engine, token)
    }

    fn choose(&mut self, engine: &Engine, mut logits: Vec<f32>) -> Result<u32> {
        if self.keep_logits == KeepLogits::Raw {
            drop(self.updates.send(Ok(Update::Logits(logits.clone()))));
        }
        let grammar = &mut self.grammar;
        let token = self.sampler.next(&mut logits, &self.prompt, &self.generated, |logits| {
            forbid(&engine.padding, logits);
            grammar.as_mut().map_or(Ok(()), |grammar| grammar.mask(logits))
        })?;
        if self.keep_logits == KeepLogits::Processed {
            drop(self.updates.send(Ok(Update::Logits(logits))));
        }
        Ok(token)
    }

    fn take(&mut self, engine: &Engine, token: u32) -> Result<Step> {
        self.generated.push(token);
        if engine.eos.contains(&token) {
            return self.finish(engine, Finish::Stop);
        }
        let text = self.decoder.push(&engine.tokenizer, token)?;
        for piece in self.output.push(&text) {
            drop(self.updates.send(Ok(Update::Piece(piece))));
        }
        if self.output.stopped() {
            return self.finish(engine, Finish::Stop);
        }
        if let Some(grammar) = &mut self.grammar {
            grammar.accept(token)?;
            if grammar.is_complete() {
                return self.finish(engine, Finish::Stop);
            }
        }
        Ok(Step::Continue)
    }

    fn finish(&mut self, engine: &Engine, reason: Finish) -> Result<Step> {
        let rest = self.decoder.finish(&engine.tokenizer)?;
        let mut pieces = self.output.push(&rest);
        pieces.extend(self.output.finish());
        for piece in pieces {
            drop(self.updates.send(Ok(Update::Piece(piece))));
        }
        let stats = Stats {
            prompt_tokens: self.prompt.len(),
            cached_tokens: self.cached_tokens,
            completion_tokens: self.generated.len(),
            time_to_first_token: self.first_token.map(|first| first.duration_since(self.since)),
        };
        tracing::debug!(
            prompt = stats.prompt_tokens,
            cached = stats.cached_tokens,
            completion = stats.completion_tokens,
            first_token_ms = stats.time_to_first_token.map(|time| time.as_millis() as u64),
            "generation finished"
        );
        drop(self.updates.send(Ok(Update::Finished { reason, stats })));
        Ok(Step::Done)
    }

    /// Ends the request with an error.
    pub(super) fn fail(self, error: Error) {
        drop(self.updates.send(Err(error)));
    }

    /// The tokens that the cache stands for, and the cache.
    pub(super) fn into_cache(mut self) -> (Vec<u32>, KvCache) {
        self.prompt.extend(&self.generated);
        self.prompt.truncate(self.cache.len());
        (self.prompt, self.cache)
    }
}

fn forward(engine: &Engine, tokens: &[u32], cache: &mut KvCache) -> Result<Vec<f32>> {
    let rows = engine.decoder.forward(&mut [Row { tokens, cache }], Positions::Last)?;
    let row: Option<&Tensor> = rows.first();
    Ok(row.map(|row| row.flatten_all()?.to_vec1::<f32>()).transpose()?.unwrap_or_default())
}

/// Rows that fill the matrix up behind the vocabulary are no tokens.
fn forbid(tokens: &[u32], logits: &mut [f32]) {
    for token in tokens {
        if let Some(logit) = logits.get_mut(*token as usize) {
            *logit = f32::NEG_INFINITY;
        }
    }
}

/// Markers that are special tokens must reach the parsers.
fn shown_tokens(tokenizer: &TextTokenizer, rules: &OutputRules) -> Vec<u32> {
    let mut markers = Vec::new();
    if rules.thinks {
        markers.extend(["<think>", "</think>"]);
    }
    if let Some((open, close)) = rules.tools.map(crate::output::ToolFormat::markers) {
        markers.push(open);
        markers.extend(close);
    }
    let is_marker = |text: &str| markers.contains(&text) || rules.stop.iter().any(|stop| stop.contains(text));
    tokenizer.control().iter().filter(|token| is_marker(&token.spelling)).map(|token| token.id).collect()
}

//! The engine: one thread owns the model and serves many requests in turn, a step of each at a time.

mod prefix;
mod sequence;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::error::{Error, ErrorKind, Result};
use crate::grammar::{Constraint, GrammarFactory};
use crate::model::Decoder;
use crate::output::{OutputRules, Piece};
use crate::sampler::Sampling;
use crate::tokenizer::TextTokenizer;
use prefix::PrefixStore;
use sequence::{Sequence, Step};

/// Everything that one answer needs.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) prompt: Vec<u32>,
    pub(crate) sampling: Sampling,
    /// The most tokens to generate; the context may end the answer earlier.
    pub(crate) max_new_tokens: usize,
    pub(crate) constraint: Option<Constraint>,
    pub(crate) output: OutputRules,
    pub(crate) keep_logits: KeepLogits,
}

/// Whether the scores of each generated token are reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum KeepLogits {
    #[default]
    None,
    /// As the model gave them.
    Raw,
    /// After penalties, constraint and sampling's filters.
    Processed,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// An end token, a stop sequence or a complete constraint.
    Stop,
    /// The bound on new tokens, or the end of the context.
    Length,
}

/// What one answer took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stats {
    pub(crate) prompt_tokens: usize,
    /// Tokens of the prompt whose computation was saved by an earlier request.
    pub(crate) cached_tokens: usize,
    pub(crate) completion_tokens: usize,
    pub(crate) time_to_first_token: Option<Duration>,
}

/// A step in the life of one answer.
#[derive(Debug)]
pub(crate) enum Update {
    Piece(Piece),
    /// The scores that the next token was chosen by.
    Logits(Vec<f32>),
    /// The last one of an answer that did not fail.
    Finished { reason: Finish, stats: Stats },
}

/// How much an engine takes on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EngineOptions {
    /// Requests that may wait; one more is refused.
    pub(crate) queue: usize,
    /// Requests served in turn.
    pub(crate) active: usize,
    /// Bytes of keys and values kept for later requests; zero keeps none.
    pub(crate) prefix_bytes: usize,
    /// Tokens of a prompt that are computed in one step.
    pub(crate) chunk: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { queue: 64, active: 8, prefix_bytes: 256 << 20, chunk: 256 }
    }
}

/// What the engine's thread owns or shares.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) decoder: Decoder,
    pub(crate) tokenizer: Arc<TextTokenizer>,
    /// Tokens that end an answer.
    pub(crate) eos: Vec<u32>,
    /// Rows of the vocabulary that are no tokens.
    pub(crate) padding: Vec<u32>,
    pub(crate) options: EngineOptions,
}

impl Engine {
    pub(crate) fn new(
        decoder: Decoder,
        tokenizer: Arc<TextTokenizer>,
        eos: Vec<u32>,
        options: EngineOptions,
    ) -> Self {
        let rows = u32::try_from(decoder.config().vocab).unwrap_or(u32::MAX);
        let padding = (0..rows).filter(|id| !tokenizer.knows(*id)).collect();
        Self { decoder, tokenizer, eos, padding, options }
    }
}

struct Job {
    request: Request,
    updates: mpsc::UnboundedSender<Result<Update>>,
    since: std::time::Instant,
}

/// The way to the engine; the last handle's drop ends the thread when its work is done.
#[derive(Debug, Clone)]
pub(crate) struct EngineHandle {
    jobs: SyncSender<Job>,
    capacity: usize,
}

impl EngineHandle {
    /// Starts the thread; with a pool, the arithmetic uses its threads and no others.
    pub(crate) fn start(engine: Engine, pool: Option<rayon::ThreadPool>) -> Result<Self> {
        let capacity = engine.options.queue;
        let (jobs, queue) = sync_channel(capacity);
        thread::Builder::new()
            .name("mellea-hf".to_owned())
            .spawn(move || match pool {
                Some(pool) => pool.install(move || serve(&engine, &queue)),
                None => serve(&engine, &queue),
            })
            .map_err(|source| ErrorKind::Compute { source: Box::new(source) })?;
        Ok(Self { jobs, capacity })
    }

    /// Hands a request over; its updates come through the receiver, whose drop cancels it within one token.
    pub(crate) fn submit(&self, request: Request) -> Result<mpsc::UnboundedReceiver<Result<Update>>> {
        // The bound of this channel is the request's own bound on tokens; waiting here would stall the others.
        let (updates, receiver) = mpsc::unbounded_channel();
        match self.jobs.try_send(Job { request, updates, since: std::time::Instant::now() }) {
            Ok(()) => Ok(receiver),
            Err(TrySendError::Full(_)) => Err(ErrorKind::Busy { capacity: self.capacity }.into()),
            Err(TrySendError::Disconnected(_)) => Err(ErrorKind::Stopped.into()),
        }
    }
}

fn serve(engine: &Engine, queue: &Receiver<Job>) {
    let mut grammars: Option<GrammarFactory> = None;
    let mut prefixes = PrefixStore::new(engine.options.prefix_bytes);
    let mut active: VecDeque<Sequence> = VecDeque::new();
    loop {
        while active.len() < engine.options.active.max(1) {
            let job = if active.is_empty() {
                match queue.recv() {
                    Ok(job) => job,
                    Err(_) => return,
                }
            } else {
                match queue.try_recv() {
                    Ok(job) => job,
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            };
            let updates = job.updates.clone();
            match contained(|| admit(engine, job, &mut grammars, &prefixes)) {
                Ok(sequence) => active.extend(sequence),
                Err(error) => drop(updates.send(Err(error))),
            }
        }
        // One step of the first, which then goes to the end of the line.
        let Some(mut sequence) = active.pop_front() else { continue };
        match contained(|| sequence.step(engine)) {
            Ok(Step::Continue) => active.push_back(sequence),
            Ok(Step::Done) => {
                let (tokens, cache) = sequence.into_cache();
                prefixes.insert(tokens, cache);
            }
            Ok(Step::Cancelled) => tracing::debug!("generation cancelled"),
            Err(error) => sequence.fail(error),
        }
    }
}

fn admit(
    engine: &Engine,
    job: Job,
    grammars: &mut Option<GrammarFactory>,
    prefixes: &PrefixStore,
) -> Result<Option<Sequence>> {
    if job.updates.is_closed() {
        return Ok(None);
    }
    let grammar = match &job.request.constraint {
        None => None,
        Some(constraint) => {
            let factory = match grammars {
                Some(factory) => factory,
                None => {
                    let vocab = engine.decoder.config().vocab;
                    grammars.insert(GrammarFactory::new(&engine.tokenizer, vocab, &engine.eos)?)
                }
            };
            Some(factory.compile(constraint)?)
        }
    };
    // The last token of the prompt is always computed: its logits are what the answer begins with.
    let reusable = job.request.prompt.split_last().map_or(&[][..], |(_, before)| before);
    let cache = match prefixes.find(reusable)? {
        Some(cache) => cache,
        None => engine.decoder.new_cache(),
    };
    Ok(Some(Sequence::new(job.request, job.updates, job.since, grammar, cache, engine)))
}

/// A panic in a library fails one request and leaves the engine at work.
fn contained<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let text = text.unwrap_or_else(|| "a library panicked".to_owned());
        Err(Error::from(ErrorKind::Compute { source: text.into() }))
    })
}

#[cfg(test)]
mod tests;

//! One attempt: the model is asked, its tools run, until it answers; the answer is read and checked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::plan::Prepared;
use super::read::read;
use super::{Attempt, First, Plan, ToolRound, attempt_seed};
use crate::backend::{ChatRequest, Format};
use crate::component::DynComponent;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::generate::{self, AnyValue, Delta, Keep, Shared, Watch};
use crate::options::ToolChoice;
use crate::output::{ModelOutput, Usage};
use crate::requirement::{Candidate, check_all};
use crate::stream_check::StreamChecks;
use crate::tool::ToolEvent;

/// How often an attempt runs the tools that the model calls before it must answer, unless
/// [`tool_rounds`](crate::Instruct::tool_rounds) says otherwise.
pub const DEFAULT_TOOL_ROUNDS: usize = 10;

/// What there is of an attempt while it runs, so that nothing is lost if it is dropped.
#[derive(Default)]
pub(super) struct Lane {
    record: Mutex<Option<Attempt>>,
    keep: Keep,
}

impl Lane {
    fn record(&self) -> MutexGuard<'_, Option<Attempt>> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The attempt as far as it came, if there is anything of it, with this as its fault.
    pub(super) fn cut_off(&self, error: Error) -> Option<Attempt> {
        let mut attempt = self.record().take()?;
        if let Some(partial) = self.keep.take() {
            attempt.output = Some(partial);
        }
        if attempt.output.is_none() && attempt.rounds.is_empty() {
            return None;
        }
        attempt.fault = Some(error.in_attempt(attempt.number));
        Some(attempt)
    }
}

/// Everything that one attempt works with.
pub(super) struct Turn<'a> {
    pub(super) plan: &'a Plan,
    pub(super) first: &'a First,
    pub(super) context: &'a Context,
    pub(super) action: &'a dyn DynComponent,
    pub(super) pieces: Option<&'a Shared>,
}

impl Turn<'_> {
    /// Makes an attempt. Whatever goes wrong is on its record.
    pub(super) async fn make(&self, number: usize, prepared: Prepared, lane: &Lane) -> (Attempt, Option<AnyValue>) {
        let start = Instant::now();
        let Prepared { backend, mut request, warnings, carried } = prepared;
        if let Some(seed) = request.options.seed.map(|seed| attempt_seed(seed, number - 1)) {
            Arc::make_mut(&mut request).options.seed = Some(seed);
        }
        let attempt = Attempt::new(number, Arc::clone(&request), carried);
        *lane.record() = Some(attempt);
        let result = Box::pin(self.answer(&*backend, &request, warnings, lane)).await;
        let attempt = lane.record().take();
        let mut attempt = attempt.unwrap_or_else(|| Attempt::new(number, request, Vec::new()));
        let value = match result {
            Ok(value) => Some(value),
            Err(error) => {
                if attempt.output.is_none() {
                    attempt.output = error.partial().cloned();
                }
                attempt.fault = Some(error.at(backend.provider(), backend.model()).in_attempt(number));
                None
            }
        };
        attempt.latency = start.elapsed();
        (attempt, value)
    }

    async fn answer(
        &self,
        backend: &dyn crate::Backend,
        request: &Arc<ChatRequest>,
        warnings: Vec<crate::Warning>,
        lane: &Lane,
    ) -> Result<AnyValue> {
        let format = self.first.request.format.as_ref();
        let limit = self.plan.rounds(format, &self.first.tools);
        // Where a forced form keeps a model from calling tools, it is asked freely while it may call them.
        let free = limit > 0 && request.format.is_some() && !backend.capabilities().tools_with_format;
        let mut asked = Arc::clone(request);
        if free {
            Arc::make_mut(&mut asked).format = None;
        }
        let mut rounds = 0;
        let (output, value) = loop {
            let last = limit > 0 && rounds == limit;
            if last {
                Arc::make_mut(&mut asked).options.tool_choice = Some(ToolChoice::None);
            }
            let output = self.generate(backend, &asked, &warnings, lane)?.await?;
            if limit > 0 && !output.tool_calls.is_empty() {
                if last {
                    return Err(Error::from(ErrorKind::ToolRounds { limit }).with_partial(output));
                }
                let round = self.run_tools(output).await;
                Arc::make_mut(&mut asked).messages.extend(round.messages());
                if let Some(attempt) = lane.record().as_mut() {
                    attempt.rounds.push(round);
                }
                rounds += 1;
                continue;
            }
            let (output, value) = self.read(format, request, output);
            match value {
                Err(error) if free && asked.format.is_none() && error.is_answer_fault() => {
                    self.spend(lane, output.usage);
                    self.restart(lane, &error);
                    let again = Arc::make_mut(&mut asked);
                    again.format.clone_from(&request.format);
                    again.tools.clear();
                    again.options.tool_choice = None;
                    let output = self.generate(backend, &asked, &warnings, lane)?.await?;
                    break self.read(format, request, output);
                }
                value => break (output, value),
            }
        };
        if let Some(attempt) = lane.record().as_mut() {
            attempt.output = Some(Arc::clone(&output));
        }
        let value = value?;
        if self.plan.strict
            && let Some(warning) = output.warnings.iter().find(|warning| warning.is_unhonoured())
        {
            return Err(generate::refused(warning).with_partial(Arc::clone(&output)));
        }
        self.check(&output, &value, lane).await;
        Ok(value)
    }

    /// One request to the model.
    fn generate<'g>(
        &'g self,
        backend: &'g dyn crate::Backend,
        request: &ChatRequest,
        warnings: &[crate::Warning],
        lane: &'g Lane,
    ) -> Result<generate::Generating<'g>> {
        let mut known = self.plan.warnings(backend, request)?;
        known.extend_from_slice(warnings);
        let mut checks = StreamChecks::default();
        for requirement in &self.plan.requirements {
            if let Some(check) = requirement.new_stream_check() {
                checks.add(requirement.description(), check);
            }
        }
        let watch = Watch { pieces: self.pieces, keep: Some(&lane.keep) };
        generate::run(backend, request.clone(), known, checks, watch)
    }

    async fn run_tools(&self, output: Arc<ModelOutput>) -> ToolRound {
        let policy = &self.plan.tool_policy;
        let tell = |event: ToolEvent| {
            if let Some(pieces) = self.pieces {
                pieces.push(match event {
                    ToolEvent::Started { call } => Delta::ToolStarted(call),
                    ToolEvent::Ended { result } => Delta::ToolEnded(result),
                });
            }
        };
        let results = self.first.tools.run_all_with(&output.tool_calls, policy, tell).await;
        ToolRound { output, results }
    }

    fn read(
        &self,
        format: Option<&Format>,
        request: &ChatRequest,
        output: Arc<ModelOutput>,
    ) -> (Arc<ModelOutput>, Result<AnyValue>) {
        read(self.action, format, request.options.max_new_tokens, self.plan.refuses_cut(format), self.plan.reading, output)
    }

    /// Tells who watches that the free answer is void.
    fn restart(&self, lane: &Lane, error: &Error) {
        if let (Some(pieces), Some(attempt)) = (self.pieces, lane.record().as_ref()) {
            pieces.push(Delta::Restarted { attempt: attempt.number, reasons: vec![error.kind().to_string()] });
        }
    }

    fn spend(&self, lane: &Lane, usage: Usage) {
        if let Some(attempt) = lane.record().as_mut() {
            attempt.spent = attempt.spent + usage;
        }
    }

    async fn check(&self, output: &Arc<ModelOutput>, value: &AnyValue, lane: &Lane) {
        if self.plan.requirements.is_empty() {
            return;
        }
        let transcript = lane.record().as_ref().map(Attempt::transcript).unwrap_or_default();
        let asked = self.first.asked.iter().cloned().chain(transcript.into_iter().map(Arc::new));
        let context = self.context.add_turn(asked, Arc::clone(output));
        // The last message of the context is a tool's where tools ran; the task is what was asked.
        let task = self.first.asked.last().map(|message| message.text()).unwrap_or_default();
        let candidate = Candidate::new(output, &context).with_value(&**value).with_task(&task);
        let verdicts = Box::pin(check_all(&self.first.requirements, &candidate, &self.plan.judge())).await;
        if let Some(attempt) = lane.record().as_mut() {
            attempt.verdicts = verdicts;
        }
    }
}

//! The loop: generate, check, and go on until something succeeds or a budget is spent.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tracing::Instrument;

use super::{Attempt, Next, SamplingStrategy, StopReason, attempt_seed};
use crate::backend::{Backend, ChatRequest, Format};
use crate::component::DynComponent;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result, TimeoutPhase};
use crate::generate;
use crate::message::Message;
use crate::options::Resolved;
use crate::output::{FinishReason, ModelOutput, Warning};
use crate::prompt::{self, Arg, Prompts, Representation};
use crate::requirement::{Candidate, Judge, Requirement, check_all};
use crate::schema::{Reading, read_answer};
use crate::telemetry;
use crate::tool::Tools;

/// A typed value, before its type is known again.
pub(crate) type AnyValue = Arc<dyn Any + Send + Sync>;

/// All that a call needs beside its action and its context.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) judge: Arc<dyn Backend>,
    pub(crate) prompts: Prompts,
    pub(crate) resolved: Resolved,
    pub(crate) strict: bool,
    pub(crate) requirements: Vec<Requirement>,
    pub(crate) strategy: Arc<dyn SamplingStrategy>,
}

/// What the loop found.
pub(crate) struct Sampled {
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) chosen: usize,
    pub(crate) value: Option<AnyValue>,
    pub(crate) stopped: StopReason,
    /// What was asked, without repairs.
    pub(crate) asked: Vec<Message>,
    pub(crate) tools: Tools,
}

/// A first attempt, ready to be made.
pub(crate) struct First {
    pub(crate) request: Arc<ChatRequest>,
    /// The action's own messages.
    pub(crate) asked: Vec<Message>,
    /// The tools of the call and of the action.
    pub(crate) tools: Tools,
}

impl Plan {
    /// The messages that a representation comes to.
    async fn render(&self, representation: Representation) -> Result<Vec<Message>> {
        prompt::render(&self.prompts, self.backend.model(), representation).await
    }

    /// The complete request for these messages at the end of the context.
    fn request(&self, context: &Context, format: Option<Format>, tools: &Tools, asked: &[Message]) -> ChatRequest {
        let mut messages = context.view();
        if let Some(system) = &self.resolved.system_prompt {
            messages.insert(0, Message::system(system.as_str()));
        }
        messages.extend_from_slice(asked);
        let mut request =
            ChatRequest::new(messages).tools(tools.specs().cloned().collect()).options(self.resolved.options.clone());
        request.format = format;
        request
    }

    /// The first attempt.
    pub(crate) async fn first(&self, context: &Context, action: &dyn DynComponent) -> Result<First> {
        for requirement in &self.requirements {
            requirement.ensure()?;
        }
        let representation = action.representation()?;
        let tools = self.resolved.tools.clone().merged(&representation.tools);
        let asked = self.render(representation).await?;
        let request = Arc::new(self.request(context, action.format(), &tools, &asked));
        Ok(First { request, asked, tools })
    }

    pub(crate) fn judge(&self) -> Judge {
        Judge {
            backend: Arc::clone(&self.judge),
            prompts: self.prompts.clone(),
            seed: self.resolved.options.seed,
            context_window: self.resolved.options.context_window,
            strict: self.strict,
        }
    }

    /// The warnings known before a request is sent.
    pub(crate) fn warnings(&self, request: &ChatRequest) -> Result<Vec<Warning>> {
        let mut warnings = self.resolved.warnings.clone();
        warnings.extend(generate::check(&*self.backend, request, self.strict)?);
        Ok(warnings)
    }

    /// The request of the next attempt: the first one again, or with a word on what to repair.
    async fn prepare(
        &self,
        next: Next,
        first: &First,
        context: &Context,
        action: &dyn DynComponent,
        attempts: &[Attempt],
    ) -> Result<Arc<ChatRequest>> {
        let asked = match next {
            Next::Again | Next::Stop => return Ok(Arc::clone(&first.request)),
            Next::Repair(reasons) if action.representation()?.is_template("instruction") => {
                let repair = Arg::List(reasons.iter().map(Arg::from).collect());
                self.render(action.representation()?.arg("repair", repair)).await?
            }
            Next::Repair(reasons) | Next::Converse(reasons) => {
                let mut asked = first.asked.clone();
                for (i, attempt) in attempts.iter().enumerate() {
                    let reasons = if i + 1 == attempts.len() { reasons.clone() } else { attempt.complaints() };
                    let text = self.prompts.render("repair", None, self.backend.model(), minijinja::context! { reasons })?;
                    if let Some(output) = attempt.output.as_ref().filter(|output| !output.is_empty()) {
                        asked.push(Message::from(&**output));
                        asked.extend(unanswered(output));
                    }
                    asked.push(Message::user(text));
                }
                asked
            }
        };
        Ok(Arc::new(self.request(context, first.request.format.clone(), &first.tools, &asked)))
    }

    /// One attempt from request to verdicts. An error is one that another attempt cannot mend.
    async fn attempt(
        &self,
        number: usize,
        mut request: Arc<ChatRequest>,
        context: &Context,
        asked: &[Message],
        action: &dyn DynComponent,
    ) -> Result<(Attempt, Option<AnyValue>)> {
        let start = Instant::now();
        if let Some(seed) = request.options.seed.map(|seed| attempt_seed(seed, number - 1)) {
            Arc::make_mut(&mut request).options.seed = Some(seed);
        }
        let warnings = self.warnings(&request)?;
        let mut attempt = Attempt {
            number,
            request: Arc::clone(&request),
            output: None,
            fault: None,
            verdicts: Vec::new(),
            latency: start.elapsed(),
        };
        let output = match generate::alone(&*self.backend, (*request).clone(), warnings).await {
            Ok(output) => output,
            Err(error) if error.is_answer_fault() => {
                attempt.output = error.partial().cloned();
                attempt.fault = Some(error);
                attempt.latency = start.elapsed();
                return Ok((attempt, None));
            }
            Err(error) => return Err(error.in_attempt(number)),
        };
        let (output, value) = match read(action, request.format.as_ref(), request.options.max_new_tokens, output) {
            (output, Ok(value)) => (output, value),
            (output, Err(error)) if error.is_answer_fault() => {
                attempt.fault = Some(error.at(self.backend.provider(), self.backend.model()));
                attempt.output = Some(output);
                attempt.latency = start.elapsed();
                return Ok((attempt, None));
            }
            (_, Err(error)) => return Err(error.in_attempt(number)),
        };
        if !self.requirements.is_empty() {
            let context = context.add_turn(asked.iter().cloned(), Arc::clone(&output));
            let candidate = Candidate { output: &output, value: Some(&*value), context: &context };
            let judge = self.judge();
            let checked = Box::pin(check_all(&self.requirements, &candidate, &judge)).await;
            attempt.verdicts = checked.map_err(|e| e.in_attempt(number))?;
        }
        attempt.output = Some(output);
        attempt.latency = start.elapsed();
        Ok((attempt, Some(value)))
    }
}

/// Tool calls of a refused answer must be answered before the conversation can go on.
fn unanswered(output: &ModelOutput) -> impl Iterator<Item = Message> {
    output.tool_calls.iter().map(|call| Message::tool(call, "not called: the answer was refused"))
}

/// Reads the typed value of an answer. Truncation is seen before parsing; JSON that had to be dug out
/// of other text is noted as a warning.
pub(crate) fn read(
    action: &dyn DynComponent,
    format: Option<&Format>,
    limit: Option<u64>,
    mut output: Arc<ModelOutput>,
) -> (Arc<ModelOutput>, Result<AnyValue>) {
    if let Some(Format::JsonSchema(schema)) = format {
        if output.finish == FinishReason::Length {
            let error = Error::from(generate::truncated(&output, limit));
            return (output, Err(error));
        }
        match read_answer(schema, &output, Reading::Lenient) {
            Ok(parsed) => {
                if let Some(reason) = parsed.lenient {
                    Arc::make_mut(&mut output).warnings.push(Warning::LenientJson { reason });
                }
            }
            Err(error) => return (output, Err(error)),
        }
    }
    let value = action.parse_any(&output);
    (output, value)
}

/// Runs a call to its end: attempts until one succeeds or a budget is spent.
///
/// # Errors
/// What keeps the first attempt from being made, or ends it for another reason than its answer. Later
/// such errors are on record as [`StopReason::Error`].
pub(crate) async fn sample(plan: &Plan, context: &Context, action: &dyn DynComponent) -> Result<Sampled> {
    let first = plan.first(context, action).await?;
    let budget = plan.strategy.budget();
    let deadline = budget.deadline.map(|time| (time, tokio::time::Instant::now() + time));
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut values: Vec<Option<AnyValue>> = Vec::new();
    let mut started = 0;
    let stopped = 'all: loop {
        if started >= budget.attempts.get() {
            break StopReason::Attempts;
        }
        let spent: u64 = attempts.iter().filter_map(|attempt| attempt.usage().total_tokens()).sum();
        if budget.tokens.is_some_and(|limit| spent >= limit) && started > 0 {
            break StopReason::Tokens;
        }
        let next = plan.strategy.next(&attempts);
        if next == Next::Stop && started > 0 {
            break StopReason::Strategy;
        }
        let request = Box::pin(plan.prepare(next, &first, context, action, &attempts)).await?;
        let wave = budget.concurrency.get().min(budget.attempts.get() - started);
        // A success or an error ends the wave; what is still running is dropped, and so cancelled.
        let mut running: FuturesUnordered<_> = (started + 1..=started + wave)
            .map(|number| {
                plan.attempt(number, Arc::clone(&request), context, &first.asked, action)
                    .instrument(telemetry::attempt_span(number))
            })
            .collect();
        started += wave;
        loop {
            let ended = match deadline {
                None => running.next().await,
                Some((limit, at)) => match tokio::time::timeout_at(at, running.next()).await {
                    Ok(ended) => ended,
                    Err(_) if attempts.is_empty() => {
                        return Err(ErrorKind::Timeout { phase: TimeoutPhase::Total, limit }.into());
                    }
                    Err(_) => break 'all StopReason::Deadline,
                },
            };
            match ended {
                None => break,
                Some(Ok((attempt, value))) => {
                    let success = attempt.succeeded();
                    attempts.push(attempt);
                    values.push(value);
                    if success {
                        break 'all StopReason::Success;
                    }
                }
                Some(Err(error)) if attempts.is_empty() => return Err(error),
                Some(Err(error)) => break 'all StopReason::Error(error),
            }
        }
    };
    let chosen = match stopped {
        StopReason::Success => attempts.len() - 1,
        _ => plan.strategy.choose(&attempts).min(attempts.len().saturating_sub(1)),
    };
    let value = values.into_iter().nth(chosen).flatten();
    Ok(Sampled { attempts, chosen, value, stopped, asked: first.asked, tools: first.tools })
}

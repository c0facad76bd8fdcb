//! What a call is made of, and the requests of its attempts.

use std::sync::Arc;

use super::next::{Ask, Step};
use super::turn::DEFAULT_TOOL_ROUNDS;
use super::{Attempt, CutPolicy, SamplingStrategy};
use crate::backend::{Backend, ChatRequest, Format};
use crate::component::{DynComponent, Refusal, Representation};
use crate::context::Context;
use crate::error::{ErrorKind, Result};
use crate::generate;
use crate::message::Message;
use crate::options::{ModelOptions, Resolved};
use crate::output::Warning;
use crate::prompt::{self, Prompts, Rendered, Rendering};
use crate::requirement::{Judge, Requirement};
use crate::schema::Reading;
use crate::tool::{ToolPolicy, Tools};

/// All that a call needs beside its action and its context.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) judge: Option<Arc<dyn Backend>>,
    pub(crate) prompts: Prompts,
    /// The options of the session and of the call, if there are any.
    pub(crate) layers: Option<Box<[ModelOptions; 2]>>,
    /// The layers, merged for the call's backend.
    pub(crate) resolved: Resolved,
    pub(crate) strict: bool,
    pub(crate) requirements: Vec<Requirement>,
    pub(crate) strategy: Arc<dyn SamplingStrategy>,
    pub(crate) tool_policy: ToolPolicy,
    pub(crate) tool_rounds: Option<usize>,
    pub(crate) cut: CutPolicy,
    pub(crate) reading: Reading,
}

/// What a call asks, rendered once.
pub(crate) struct First {
    pub(crate) request: Arc<ChatRequest>,
    /// The action's own messages.
    pub(crate) asked: Vec<Arc<Message>>,
    /// The tools of the call and of the action.
    pub(crate) tools: Tools,
    /// The requirements of the call, with its variables filled in.
    pub(crate) requirements: Vec<Requirement>,
}

/// One attempt, ready to be made.
pub(super) struct Prepared {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) request: Arc<ChatRequest>,
    /// What was known before the request is sent.
    pub(super) warnings: Vec<Warning>,
    /// Tool rounds of earlier attempts that it goes on from.
    pub(super) carried: Vec<super::ToolRound>,
}

impl Plan {
    /// What a representation gives, with the requirements of the call in it.
    fn render(&self, representation: Representation) -> Rendering<'_> {
        let representation = representation.state(self.requirements.iter().map(Requirement::statement));
        prompt::render(&self.prompts, self.backend.model(), representation)
    }

    /// The complete request for these messages at the end of the context.
    fn request(
        &self,
        resolved: &Resolved,
        context: &Context,
        format: Option<Format>,
        tools: &Tools,
        asked: impl IntoIterator<Item = Arc<Message>>,
    ) -> Result<ChatRequest> {
        let mut messages = context.view_with(asked)?;
        if let Some(system) = &resolved.system_prompt {
            messages.insert(0, Message::system(system.as_str()));
        }
        let mut request = ChatRequest::new(messages).tools(tools.specs().cloned().collect()).options(resolved.options.clone());
        request.format = format;
        Ok(request)
    }

    /// What the call asks, before any attempt.
    pub(crate) async fn first(&self, context: &Context, action: &dyn DynComponent) -> Result<First> {
        self.requirements.iter().try_for_each(Requirement::ensure)?;
        // Only the rendering waits; the rest stays outside the future, which keeps it small.
        let (tools, rendering) = self.begin(action)?;
        let rendered = match rendering {
            Rendering::Done(rendered) => rendered?,
            Rendering::Waiting(rendering) => rendering.await?,
        };
        self.asked(context, action, tools, rendered)
    }

    fn begin(&self, action: &dyn DynComponent) -> Result<(Tools, Rendering<'_>)> {
        let representation = action.representation()?;
        let tools = self.resolved.tools.clone().merged(&representation.tools);
        tools.ensure()?;
        Ok((tools, self.render(representation)))
    }

    fn asked(&self, context: &Context, action: &dyn DynComponent, tools: Tools, rendered: Rendered) -> Result<First> {
        let format = action.format();
        format.as_ref().map_or(Ok(()), Format::ensure)?;
        let Rendered { messages, requirements } = rendered;
        let requirements = self.requirements.iter().zip(requirements).map(|(r, text)| r.filled(text)).collect();
        let asked: Vec<Arc<Message>> = messages.into_iter().map(Arc::new).collect();
        let request = Arc::new(self.request(&self.resolved, context, format, &tools, asked.iter().cloned())?);
        Ok(First { request, asked, tools, requirements })
    }

    /// # Errors
    /// If the backend would not be asked, or only with a warning in a strict session.
    pub(crate) fn check(&self, first: &First) -> Result<()> {
        self.warnings(&*self.backend, &first.request).map(drop)
    }

    pub(crate) fn judge(&self) -> Judge<'_> {
        Judge {
            backend: self.judge.as_ref().unwrap_or(&self.backend),
            answers: self.judge.is_none(),
            prompts: &self.prompts,
            options: &self.resolved.options,
            strict: self.strict,
            always: false,
        }
    }

    /// How often an attempt runs tools before it must answer; 0 hands calls back.
    pub(super) fn rounds(&self, format: Option<&Format>, tools: &Tools) -> usize {
        match self.tool_rounds {
            _ if tools.is_empty() => 0,
            Some(rounds) => rounds,
            None if format.is_some() || !self.requirements.is_empty() => DEFAULT_TOOL_ROUNDS,
            None => 0,
        }
    }

    /// Whether an answer that was cut is refused.
    pub(super) fn refuses_cut(&self, format: Option<&Format>) -> bool {
        match self.cut {
            CutPolicy::Auto => format.is_some() || !self.requirements.is_empty(),
            CutPolicy::Accept => false,
            CutPolicy::Refuse => true,
        }
    }

    /// The first request once more, if the step changes nothing and no tools have run.
    ///
    /// # Errors
    /// The step, if there is more to it.
    pub(super) fn same_again(&self, step: Option<Box<Step>>, first: &First, attempts: &[Attempt]) -> Result<Prepared, Box<Step>> {
        if let Some(step) = step {
            return Err(step);
        }
        if attempts.iter().any(Attempt::ran_tools) {
            return Err(Box::default());
        }
        let (backend, request) = (Arc::clone(&self.backend), Arc::clone(&first.request));
        Ok(Prepared { backend, request, warnings: Vec::new(), carried: Vec::new() })
    }

    /// The next attempt, as the strategy wants it.
    pub(super) async fn prepare(
        &self,
        step: Step,
        first: &First,
        context: &Context,
        action: &dyn DynComponent,
        attempts: &[Attempt],
    ) -> Result<Prepared> {
        let Step { ask, options, system_prompt, format, backend, question, more } = step;
        let carried = attempts.iter().rev().map(Attempt::all_rounds).find(|rounds| !rounds.is_empty()).unwrap_or_default();
        let backend = backend.unwrap_or_else(|| Arc::clone(&self.backend));
        // A model that reads a malformed answer of its own writes it once more.
        let ask = match ask {
            Ask::Converse(reasons) if attempts.last().is_some_and(Attempt::is_malformed) => Ask::Repair(reasons),
            ask => ask,
        };
        let same_settings = options.is_empty() && system_prompt.is_none() && Arc::ptr_eq(&backend, &self.backend);
        let mut warnings = Vec::new();
        let mut resolved = match same_settings {
            true => self.resolved.clone(),
            false => self.resolve(&*backend, &options, &mut warnings)?,
        };
        if system_prompt.is_some() {
            resolved.system_prompt = system_prompt;
        }
        let transcript = || carried.iter().flat_map(super::ToolRound::messages).map(Arc::new);
        let mut asked: Vec<Arc<Message>> = match (question, ask) {
            (Some(question), _) => question.into_iter().map(Arc::new).chain(transcript()).collect(),
            (None, Ask::Again) => first.asked.iter().cloned().chain(transcript()).collect(),
            (None, Ask::Repair(reasons)) if carried.is_empty() => {
                let repaired = self.render(action.repair(refusal(reasons, attempts.last()))?).done().await?;
                repaired.messages.into_iter().map(Arc::new).collect()
            }
            // What the tools said stands between the question and the repair, and no user follows a tool without an
            // answer between them: some providers refuse that.
            (None, Ask::Repair(reasons)) => {
                let last = attempts.last();
                let answer = last.and_then(answered).map(Arc::new);
                let told = Arc::new(self.told(reasons, last, first)?);
                first.asked.iter().cloned().chain(transcript()).chain(answer).chain([told]).collect()
            }
            (None, Ask::Converse(reasons)) => self.conversation(reasons, first, attempts)?,
        };
        asked.extend(more.into_iter().map(Arc::new));
        let format = format.unwrap_or_else(|| first.request.format.clone());
        let request = Arc::new(self.request(&resolved, context, format, &first.tools, asked)?);
        Ok(Prepared { backend, request, warnings, carried })
    }

    /// The options of a step on its backend.
    fn resolve(&self, backend: &dyn Backend, step: &ModelOptions, warnings: &mut Vec<Warning>) -> Result<Resolved> {
        let mut layers = self.layers.as_deref().cloned().unwrap_or_default();
        if backend.provider() != self.backend.provider() {
            for layer in &mut layers {
                // Credentials and the like, in one provider's own words, are not another's business.
                warnings.extend(
                    layer
                        .take_extra()
                        .into_iter()
                        .map(|(option, _)| Warning::UnsupportedOption { option, provider: backend.provider().to_owned() }),
                );
            }
        }
        let [session, call] = &layers;
        let all = [&backend.default_options(), session, call, step];
        let mut resolved =
            ModelOptions::resolve(all, backend.synonyms()).map_err(|e| e.at(backend.provider(), backend.model()))?;
        resolved.tools = self.resolved.tools.clone();
        // That somebody watches is not an option of the layers.
        resolved.options.stream |= self.resolved.options.stream;
        Ok(resolved)
    }

    /// The question, each answer so far, and why it was refused.
    fn conversation(&self, reasons: Vec<String>, first: &First, attempts: &[Attempt]) -> Result<Vec<Arc<Message>>> {
        let mut asked = first.asked.clone();
        let mut last_reasons = Some(reasons);
        for (i, attempt) in attempts.iter().enumerate().filter(|(_, attempt)| !attempt.is_malformed()) {
            asked.extend(attempt.rounds.iter().flat_map(super::ToolRound::messages).map(Arc::new));
            asked.extend(answered(attempt).map(Arc::new));
            let own = (i + 1 == attempts.len()).then(|| last_reasons.take()).flatten();
            asked.push(Arc::new(self.told(own.unwrap_or_else(|| attempt.complaints()), Some(attempt), first)?));
        }
        Ok(asked)
    }

    /// Why an answer was refused, as a turn that follows it.
    fn told(&self, reasons: Vec<String>, attempt: Option<&Attempt>, first: &First) -> Result<Message> {
        let mut refusal = refusal(reasons, attempt);
        refusal.answer = None;
        let hint = match &first.request.format {
            Some(Format::JsonSchema(schema)) => Some(schema.hint()),
            _ => None,
        };
        Ok(Message::user(prompt::refusal(&self.prompts, self.backend.model(), &refusal, hint)?))
    }

    /// The warnings known before a request is sent.
    pub(super) fn warnings(&self, backend: &dyn Backend, request: &ChatRequest) -> Result<Vec<Warning>> {
        let mut warnings = self.resolved.warnings.clone();
        warnings.extend(generate::check(backend, request, self.strict)?);
        Ok(warnings)
    }
}

fn refusal(reasons: Vec<String>, attempt: Option<&Attempt>) -> Refusal {
    let limit = attempt.and_then(|attempt| attempt.fault.as_ref()).and_then(|fault| match fault.kind() {
        ErrorKind::Truncated { limit, .. } => *limit,
        _ => None,
    });
    let mut refusal = Refusal::new(reasons);
    refusal.limit = limit;
    refusal.malformed = attempt.is_some_and(Attempt::is_malformed);
    let text = attempt.map(Attempt::text).filter(|text| !text.trim().is_empty() && !refusal.malformed);
    refusal.answer = text.map(str::to_owned);
    refusal
}

/// An answer as a turn of the conversation. Its tool calls are answered where the request is made.
fn answered(attempt: &Attempt) -> Option<Message> {
    attempt.output.as_deref().filter(|output| !output.is_empty()).map(Message::from)
}

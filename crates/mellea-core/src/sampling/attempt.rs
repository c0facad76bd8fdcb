//! The record of one attempt.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::backend::ChatRequest;
use crate::error::{Error, ErrorKind, Record};
use crate::message::Message;
use crate::output::{ModelOutput, Usage};
use crate::requirement::{Outcome, Verdict};
use crate::schema::{Mismatch, Mismatches};
use crate::text::{bounded, one_line, short_line};
use crate::tool::ToolResult;

/// One turn of tools within an attempt: what the model called, and what came of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ToolRound {
    /// The answer that called them.
    pub output: Arc<ModelOutput>,
    /// The results, in the order of the calls.
    pub results: Vec<ToolResult>,
}

impl ToolRound {
    /// The round as a conversation has it: the model's calls, then each result.
    pub fn messages(&self) -> impl Iterator<Item = Message> + use<> {
        let results: Vec<Message> = self.results.iter().map(Message::from).collect();
        std::iter::once(Message::from(&*self.output)).chain(results)
    }
}

/// One attempt: what was asked, what came back, and what the checks said.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// Which attempt it is, counted from 1 in the order in which they begin.
    pub number: usize,
    /// The request exactly as it was sent. Where tools ran, the first one.
    pub request: Arc<ChatRequest>,
    /// The tools that ran before the answer, a round for each time the model called some.
    pub rounds: Vec<ToolRound>,
    /// The answer. If the attempt has a [`fault`](Self::fault), what there was of it.
    pub output: Option<Arc<ModelOutput>>,
    /// What went wrong before any requirement could be checked: the answer was empty, cut off, or did not fit
    /// its type, or the call itself failed.
    pub fault: Option<Error>,
    /// Each requirement's verdict, in the order of the requirements.
    pub verdicts: Vec<Verdict>,
    /// From sending the request to the last verdict.
    pub latency: Duration,
    /// The tool rounds of earlier attempts that it went on from.
    pub(super) carried: Vec<ToolRound>,
    /// What answers cost that are not on record otherwise.
    pub(super) spent: Usage,
}

impl Attempt {
    /// An attempt that has just begun.
    pub(super) fn new(number: usize, request: Arc<ChatRequest>, carried: Vec<ToolRound>) -> Self {
        Self {
            number,
            request,
            rounds: Vec::new(),
            output: None,
            fault: None,
            verdicts: Vec::new(),
            latency: Duration::ZERO,
            carried,
            spent: Usage::default(),
        }
    }

    /// All tool rounds that its answer rests on, those of earlier attempts first.
    pub(super) fn all_rounds(&self) -> Vec<ToolRound> {
        self.carried.iter().chain(&self.rounds).cloned().collect()
    }

    /// Whether its answer rests on tools that ran.
    pub(super) fn ran_tools(&self) -> bool {
        !(self.carried.is_empty() && self.rounds.is_empty())
    }

    /// The messages of [`all_rounds`](Self::all_rounds).
    pub(super) fn transcript(&self) -> Vec<Message> {
        self.carried.iter().chain(&self.rounds).flat_map(ToolRound::messages).collect()
    }

    /// The error that another answer cannot mend, if that is how it ended: a call that failed, or a check that
    /// did.
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        let fault = self.fault.as_ref().filter(|fault| !fault.is_answer_fault());
        // A judge that cannot be reached says nothing about the answer; a validator that fails does.
        let lost = |verdict: &Verdict| {
            let error = verdict.result.error.as_ref().filter(|_| verdict.result.outcome == Outcome::Error)?;
            (!matches!(error.kind(), ErrorKind::Validator { .. })).then(|| error.clone())
        };
        fault.cloned().or_else(|| self.verdicts.iter().find_map(lost))
    }

    /// Whether the answer is whole and meets all requirements.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.fault.is_none() && self.verdicts.iter().all(Verdict::passed)
    }

    /// Whether the answer was cut, or did not have the type that was asked for.
    pub(super) fn is_malformed(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| !matches!(fault.kind(), ErrorKind::StreamCheck { .. }))
    }

    /// The answer's text; empty if there is none.
    #[must_use]
    pub fn text(&self) -> &str {
        self.output.as_ref().map_or("", |output| &output.text)
    }

    /// Why the answer was refused, one reason each.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        match &self.fault {
            Some(fault) => match fault.kind() {
                ErrorKind::SchemaMismatch { faults, more } => {
                    let more = (*more > 0).then(|| format!("{more} more places do not fit"));
                    let one = |fault: &Mismatch| Mismatches::new(vec![fault.clone()], 0).complaint();
                    faults.iter().map(one).chain(more).collect()
                }
                ErrorKind::StreamCheck { reason, .. } => vec![reason.clone()],
                kind => vec![kind.to_string()],
            },
            None => self.verdicts.iter().filter_map(Verdict::complaint).map(str::to_owned).collect(),
        }
    }

    /// The tokens of the attempt, tool rounds and judges included.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let rounds = self.rounds.iter().map(|round| round.output.usage);
        let own = self.output.iter().map(|output| output.usage);
        let judges = self.verdicts.iter().filter_map(|v| v.result.judgement.as_ref()).map(|j| j.output.usage);
        rounds.chain(own).chain(judges).chain([self.spent]).sum()
    }

    /// How good it is among failures: whole before faulty, then by requirements met, then later.
    pub(super) fn merit(&self) -> (bool, usize, usize) {
        (self.fault.is_none(), self.verdicts.iter().filter(|v| v.passed()).count(), self.number)
    }
}

/// The most bytes of one reason, and of a whole answer, in a trace.
const SHOWN: usize = 1 << 10;
const MAX_SHOWN: usize = 64 << 10;

/// The attempts as an [`Error`] carries them.
#[derive(Debug)]
struct Attempts(Arc<[Attempt]>);

/// The most bytes of one text in an error's report.
const REPORTED: usize = 1 << 10;

/// The most attempts in an error's report.
const MAX_REPORTED: usize = 32;

impl Record for Attempts {
    /// Each attempt's answer, and what it was refused for; texts are bounded.
    fn report(&self) -> Value {
        let attempt = |attempt: &Attempt| {
            json!({
                "number": attempt.number,
                "text": bounded(attempt.text(), REPORTED),
                "complaints": attempt.complaints().iter().map(|text| short_line(text, REPORTED)).collect::<Vec<_>>(),
                "tokens": attempt.usage().total_tokens(),
                "latency": attempt.latency.as_secs_f64(),
            })
        };
        self.0.iter().take(MAX_REPORTED).map(attempt).collect()
    }
}

impl Error {
    /// Adds the attempts that were made before the failure.
    #[must_use]
    pub fn with_attempts(self, attempts: Arc<[Attempt]>) -> Self {
        if attempts.is_empty() { self } else { self.with_record(Arc::new(Attempts(attempts))) }
    }

    /// The attempts that were made before the failure, in the order in which they ended.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        let record = self.record().and_then(|record| (record as &dyn Any).downcast_ref::<Attempts>());
        record.map_or(&[], |attempts| &attempts.0)
    }
}

impl fmt::Display for Attempt {
    /// A readable trace: tools, the answer, and each requirement with its verdict and reason. Each stands on
    /// lines of its own; what a model or a service wrote cannot forge one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt {} ({} ms", self.number, self.latency.as_millis())?;
        if let Some(tokens) = self.usage().total_tokens() {
            write!(f, ", {tokens} tokens")?;
        }
        f.write_str(")")?;
        for result in self.rounds.iter().flat_map(|round| &round.results) {
            let (name, said) = (short_line(&result.call.name, SHOWN), result.outcome.to_model_text());
            write!(f, "\n  → {name}: {}", short_line(&said, SHOWN))?;
        }
        for line in bounded(self.text(), MAX_SHOWN).lines() {
            write!(f, "\n  | {}", one_line(line))?;
        }
        if let Some(fault) = &self.fault {
            write!(f, "\n  ✗ {}", fault.kind())?;
        }
        for verdict in &self.verdicts {
            let sign = match verdict.result.outcome {
                Outcome::Pass => "✓",
                Outcome::Fail => "✗",
                Outcome::Undecided => "?",
                Outcome::Error => "!",
                Outcome::Skipped => "–",
            };
            write!(f, "\n  {sign} {}", short_line(&verdict.requirement, SHOWN))?;
            if let Some(reason) = verdict.result.why() {
                write!(f, " ({})", short_line(&reason, SHOWN))?;
            }
        }
        Ok(())
    }
}

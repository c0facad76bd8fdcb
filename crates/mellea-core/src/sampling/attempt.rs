//! The record of one attempt.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::ChatRequest;
use crate::error::Error;
use crate::output::{ModelOutput, Usage};
use crate::requirement::{Outcome, Verdict};

/// One attempt: what was asked, what came back, and what the checks said.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// Which attempt it is, counted from 1.
    pub number: usize,
    /// The request exactly as it was sent.
    pub request: Arc<ChatRequest>,
    /// The answer. If the attempt has a [`fault`](Self::fault), what there was of it.
    pub output: Option<Arc<ModelOutput>>,
    /// What was wrong with the answer before any requirement could be checked: it was empty, cut off,
    /// or did not fit its type.
    pub fault: Option<Error>,
    /// Each requirement's verdict, in the order of the requirements.
    pub verdicts: Vec<Verdict>,
    /// From sending the request to the last verdict.
    pub latency: Duration,
}

impl Attempt {
    /// Whether the answer is whole and meets all requirements.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.fault.is_none() && self.verdicts.iter().all(Verdict::passed)
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
            Some(fault) => vec![fault.kind().to_string()],
            None => self.verdicts.iter().filter_map(Verdict::complaint).map(str::to_owned).collect(),
        }
    }

    /// The tokens of the attempt, judges included.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let own = self.output.iter().map(|output| output.usage);
        let judges = self.verdicts.iter().filter_map(|v| v.result.judgement.as_ref()).map(|j| j.output.usage);
        own.chain(judges).sum()
    }

    /// How good it is among failures: whole before faulty, then by requirements met, then later.
    pub(super) fn merit(&self) -> (bool, usize, usize) {
        (self.fault.is_none(), self.verdicts.iter().filter(|v| v.passed()).count(), self.number)
    }
}

impl fmt::Display for Attempt {
    /// A readable trace: the answer, and each requirement with its verdict and reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt {} ({} ms", self.number, self.latency.as_millis())?;
        if let Some(tokens) = self.usage().total_tokens() {
            write!(f, ", {tokens} tokens")?;
        }
        f.write_str(")")?;
        for line in self.text().lines() {
            write!(f, "\n  | {line}")?;
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
            write!(f, "\n  {sign} {}", verdict.requirement)?;
            if let Some(reason) = verdict.result.why() {
                write!(f, " ({reason})")?;
            }
        }
        Ok(())
    }
}

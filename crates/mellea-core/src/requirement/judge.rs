//! The judge: a model that says whether an answer meets a requirement.

use std::collections::hash_map::{DefaultHasher, RandomState};
use std::fmt::Write;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Candidate, Outcome, ValidationResult};
use crate::backend::{Backend, ChatRequest, Format};
use crate::error::Result;
use crate::generate;
use crate::message::Message;
use crate::options::RequestOptions;
use crate::output::ModelOutput;
use crate::prompt::Prompts;
use crate::schema::Schema;

/// A judge's call: what was asked, and what it answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Judgement {
    /// The request.
    pub request: ChatRequest,
    /// The answer, or what there was of it.
    pub output: Arc<ModelOutput>,
}

/// A judge's answer: the reason comes first, so that the verdict can follow from it.
#[derive(Deserialize, JsonSchema)]
struct Answer {
    reason: String,
    verdict: YesNo,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum YesNo {
    Yes,
    No,
}

/// Who judges, and how it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) prompts: Prompts,
    pub(crate) seed: Option<u64>,
    pub(crate) context_window: Option<u64>,
    pub(crate) strict: bool,
}

impl Judge {
    /// Asks whether the candidate meets the requirement.
    ///
    /// The judge works at temperature 0 and may answer only with a reason and yes or no. The judged
    /// text stands between two fence lines that it cannot contain, and the question comes after it.
    /// An answer that cannot be read leaves the question undecided; only a failing call is an error.
    pub(super) async fn judge(
        &self,
        other: Option<&Arc<dyn Backend>>,
        requirement: &str,
        candidate: &Candidate<'_>,
    ) -> Result<ValidationResult> {
        let backend = other.unwrap_or(&self.backend);
        let schema = Schema::of::<Answer>()?;
        let text = judged_text(candidate.output);
        let task = candidate.context.last_turn().and_then(|turn| turn.input).map(|m| m.text().into_owned());
        let prompt = self.prompts.render(
            "judge",
            None,
            backend.model(),
            minijinja::context! {
                fence => fence(&text, requirement, self.seed),
                answer_type => schema.hint(),
                text, requirement, task,
            },
        )?;
        let options = RequestOptions {
            temperature: Some(0.0),
            seed: self.seed,
            // A server that loads a model for a window would load it again for another.
            context_window: self.context_window.filter(|_| other.is_none()),
            ..RequestOptions::default()
        };
        let request = ChatRequest::new(vec![Message::user(prompt)]).format(Format::JsonSchema(schema.clone())).options(options);
        let warnings = generate::check(&**backend, &request, self.strict)?;
        let output = match generate::alone(&**backend, request.clone(), warnings).await {
            Ok(output) => output,
            Err(error) if error.is_answer_fault() => {
                let output = error.partial().cloned().unwrap_or_default();
                let result = ValidationResult::undecided(format!("the judge could not decide: {error}"));
                return Ok(ValidationResult { judgement: Some(Arc::new(Judgement { request, output })), ..result });
            }
            Err(error) => return Err(error),
        };
        let result = match schema.read::<Answer>(&output.text) {
            Ok((Answer { reason, verdict: YesNo::Yes }, _)) => ValidationResult::pass().reason(reason),
            Ok((Answer { reason, verdict: YesNo::No }, _)) => {
                ValidationResult { outcome: Outcome::Fail, ..ValidationResult::pass() }.reason(reason)
            }
            Err(error) => ValidationResult::undecided(format!("the judge's answer cannot be read: {error}")),
        };
        Ok(ValidationResult { judgement: Some(Arc::new(Judgement { request, output })), ..result })
    }
}

/// What a judge reads of an answer: its text, and its tool calls if it has any.
fn judged_text(output: &ModelOutput) -> String {
    let mut text = output.text.clone();
    for call in &output.tool_calls {
        let _ = write!(text, "{}calls {}({})", if text.is_empty() { "" } else { "\n" }, call.name, call.arguments);
    }
    text
}

/// A line that the text does not contain: random, or derived from the seed so that a seeded program
/// repeats itself exactly.
pub(crate) fn fence(text: &str, requirement: &str, seed: Option<u64>) -> String {
    let mut salt = 0_u64;
    loop {
        let bits = match seed {
            Some(seed) => {
                let mut hasher = DefaultHasher::new();
                (seed, salt, text, requirement).hash(&mut hasher);
                hasher.finish()
            }
            None => RandomState::new().hash_one((salt, text.len())),
        };
        let fence = format!("fence-{:012x}", bits & 0xffff_ffff_ffff);
        if !text.contains(&fence) && !requirement.contains(&fence) {
            return fence;
        }
        salt += 1;
    }
}

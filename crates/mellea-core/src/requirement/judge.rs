//! The judge: a model that says whether an answer meets a requirement.

use std::collections::hash_map::{DefaultHasher, RandomState};
use std::fmt::Write;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Candidate, ValidationResult};
use crate::backend::{Backend, ChatRequest, Format};
use crate::error::{Error, ErrorKind, Result};
use crate::generate;
use crate::message::Message;
use crate::options::{ModelOptions, RequestOptions};
use crate::output::{ModelOutput, Warning};
use crate::prompt::Prompts;
use crate::schema::Schema;
use crate::text::{bounded, short_line};

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
#[derive(Debug, Deserialize, JsonSchema)]
struct Answer {
    reason: String,
    verdict: YesNo,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum YesNo {
    #[serde(alias = "Yes", alias = "YES")]
    Yes,
    #[serde(alias = "No", alias = "NO")]
    No,
}

/// The form of a judge's answer, and the words for it.
fn form() -> Result<&'static (Schema, String)> {
    static FORM: LazyLock<Result<(Schema, String)>> = LazyLock::new(|| {
        let schema = Schema::of::<Answer>()?;
        let hint = schema.hint().to_owned();
        Ok((schema, hint))
    });
    FORM.as_ref().map_err(Error::clone)
}

/// The most bytes of the task that a judge gets to read.
const MAX_TASK: usize = 8000;

/// The most bytes of a judge's reason that are kept; its whole answer is in the [`Judgement`].
const MAX_REASON: usize = 500;

/// Who judges, and how it is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judge<'a> {
    /// Who judges, unless a requirement names another.
    pub(crate) backend: &'a Arc<dyn Backend>,
    /// Whether it is the backend that answers, too.
    pub(crate) answers: bool,
    pub(crate) prompts: &'a Prompts,
    /// The options of the call.
    pub(crate) options: &'a RequestOptions,
    pub(crate) strict: bool,
    /// Whether to judge even if a check in code has refused the answer already.
    pub(crate) always: bool,
}

impl Judge<'_> {
    /// Asks whether the candidate meets the requirement.
    ///
    /// The judge works at temperature 0 and may answer only with a reason and yes or no. The judged
    /// text stands between two fence lines that it cannot contain, and the question comes after it.
    /// An answer that cannot be read leaves the question undecided; a call that fails is an error of
    /// this requirement.
    pub(super) async fn judge(
        &self,
        other: Option<&Arc<dyn Backend>>,
        requirement: &str,
        candidate: &Candidate<'_>,
    ) -> ValidationResult {
        let backend = other.unwrap_or(self.backend);
        let answers = self.answers && other.is_none();
        let asked = self.request(&**backend, answers, requirement, candidate).and_then(|(request, mut warnings)| {
            warnings.extend(generate::check(&**backend, &request, self.strict)?);
            Ok((request, warnings))
        });
        let (request, warnings) = match asked {
            Ok(asked) => asked,
            Err(error) => return ValidationResult::error(error),
        };
        let (result, output) = match generate::alone(&**backend, request.clone(), warnings).await {
            Ok(output) => (verdict(&output), output),
            Err(error) => {
                let output = error.partial().cloned();
                let undecided = error.is_answer_fault();
                let result = if undecided { ValidationResult::unread(error) } else { ValidationResult::error(error) };
                match output {
                    None if !undecided => return result,
                    output => (result, output.unwrap_or_default()),
                }
            }
        };
        ValidationResult { judgement: Some(Arc::new(Judgement { request, output })), ..result }
    }

    /// The request to a judge, and what of its settings does not count.
    fn request(
        &self,
        backend: &dyn Backend,
        answers: bool,
        requirement: &str,
        candidate: &Candidate<'_>,
    ) -> Result<(ChatRequest, Vec<Warning>)> {
        let (schema, answer_type) = form()?;
        let text = judged_text(candidate.output());
        let task = candidate.task();
        let task = task.as_deref().map(str::trim).filter(|task| !task.is_empty()).map(|task| bounded(task, MAX_TASK));
        let prompt = self.prompts.render(
            "judge",
            None,
            backend.model(),
            minijinja::context! {
                fence => fence(&[&text, requirement, task.as_deref().unwrap_or_default()], self.options.seed),
                answer_type, text, requirement, task,
            },
        )?;
        let resolved = ModelOptions::resolve([&backend.default_options()], backend.synonyms())
            .map_err(|e| e.at(backend.provider(), backend.model()))?;
        let mut messages: Vec<Message> = resolved.system_prompt.map(Message::system).into_iter().collect();
        messages.push(Message::user(prompt));
        let options = self.settings(resolved.options, answers);
        Ok((ChatRequest::new(messages).format(Format::JsonSchema(schema.clone())).options(options), resolved.warnings))
    }

    /// The backend's own defaults with the call's seed and limits of time. The model that answers also
    /// reasons and has its window as in the call: a server that loads a model for a window would load
    /// it again for another. Its temperature is for answers; a judge of its own may have one.
    fn settings(&self, defaults: RequestOptions, answers: bool) -> RequestOptions {
        let call = self.options;
        let mut options = RequestOptions {
            temperature: defaults.temperature.filter(|_| !answers).or(Some(0.0)),
            seed: call.seed,
            stream_timeout: call.stream_timeout,
            timeout: call.timeout,
            tool_choice: None,
            ..defaults
        };
        if answers {
            options.context_window = call.context_window;
            options.thinking = call.thinking;
        }
        options
    }
}

/// What a judge's answer says.
fn verdict(output: &ModelOutput) -> ValidationResult {
    match read(&output.text) {
        Ok(Answer { reason, verdict: YesNo::Yes }) => ValidationResult::pass().reason(short_line(&reason, MAX_REASON)),
        Ok(Answer { reason, verdict: YesNo::No }) => ValidationResult::fail(short_line(&reason, MAX_REASON)),
        Err(error) => {
            let reason = format!("the judge's answer is not a verdict and nothing else: {error}");
            let error = Error::from(ErrorKind::Parse(reason)).with_source(error).at(&output.provider, &output.model);
            ValidationResult::unread(error)
        }
    }
}

/// Reads a judge's answer: JSON of its form, alone or in one code fence, perhaps after reasoning.
/// Anything else could be a verdict that is only quoted, or one of several, and is not looked for.
fn read(text: &str) -> Result<Answer, serde_json::Error> {
    let first = match serde_json::from_str(plain(text)) {
        Ok(answer) => return Ok(answer),
        Err(error) => error,
    };
    match text.rsplit_once("</think>") {
        Some((_, after)) => serde_json::from_str(plain(after)),
        None => Err(first),
    }
}

/// A text without white space, a byte order mark and a code fence around it.
fn plain(text: &str) -> &str {
    let text = text.trim().trim_start_matches('\u{feff}').trim();
    let fenced = text.strip_prefix("```").and_then(|text| text.strip_suffix("```"));
    let Some(fenced) = fenced.filter(|fenced| !fenced.contains("```")) else { return text };
    fenced.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).trim()
}

/// What a judge reads of an answer: its text, and its tool calls if it has any.
fn judged_text(output: &ModelOutput) -> String {
    let mut text = output.text.clone();
    for call in &output.tool_calls {
        let _ = write!(text, "{}calls {}({})", if text.is_empty() { "" } else { "\n" }, call.name, call.arguments);
    }
    text
}

/// A line that none of the texts contains: random, or derived from the seed so that a seeded program
/// repeats itself exactly.
pub(crate) fn fence(texts: &[&str], seed: Option<u64>) -> String {
    let mut salt = 0_u64;
    loop {
        let bits = match seed {
            Some(seed) => {
                let mut hasher = DefaultHasher::new();
                (seed, salt, texts).hash(&mut hasher);
                hasher.finish()
            }
            None => RandomState::new().hash_one(salt),
        };
        let fence = format!("fence-{:012x}", bits & 0xffff_ffff_ffff);
        if !texts.iter().any(|text| text.contains(&fence)) {
            return fence;
        }
        salt += 1;
    }
}

//! The feedback that a model reads when its answer was refused.

use minijinja::context;

use super::Prompts;
use crate::component::Refusal;
use crate::error::Result;
use crate::text::{bounded, short_line};

/// The most reasons in one prompt.
const MAX_REASONS: usize = 20;

/// The most bytes of one reason.
const MAX_REASON: usize = 500;

/// The most bytes of the refused answer that are shown.
const MAX_ANSWER: usize = 4000;

/// The words of a refusal: each reason once and on one line, and everything bounded in length, since
/// reasons may quote the answer, and judges and validators may write what they like.
///
/// # Errors
/// [`ErrorKind::Template`](crate::ErrorKind::Template) if a replaced template does not render.
pub(crate) fn refusal(prompts: &Prompts, model: &str, refusal: &Refusal, answer_type: Option<&str>) -> Result<String> {
    let mut reasons: Vec<String> = Vec::new();
    let mut more = 0_usize;
    for reason in &refusal.reasons {
        let reason = short_line(reason.trim(), MAX_REASON).into_owned();
        if reason.is_empty() || reasons.contains(&reason) {
            continue;
        }
        if reasons.len() == MAX_REASONS {
            more += 1;
        } else {
            reasons.push(reason);
        }
    }
    let answer = refusal.answer.as_deref().map(str::trim).filter(|answer| !answer.is_empty());
    let answer = answer.map(|answer| bounded(answer, MAX_ANSWER));
    // A token is about three quarters of an English word, and less of most other texts.
    let words = refusal.limit.map(|limit| (limit / 2).max(1));
    let limit = refusal.limit;
    let malformed = refusal.malformed;
    prompts.render("repair", None, model, context! { reasons, more, answer, limit, words, malformed, answer_type })
}

//! Checking all requirements of an answer: code first, then judges.

use futures_util::future::join_all;

use super::{Candidate, Judge, Requirement, ValidationResult, Verdict, validator};

/// Checks all requirements, those in code side by side and then those that are judged. Results come in
/// the order of the requirements, and there is one for each: a check that fails is a result.
pub(crate) async fn check_all(requirements: &[Requirement], candidate: &Candidate<'_>, judge: &Judge<'_>) -> Vec<Verdict> {
    let in_code: Vec<Option<ValidationResult>> = join_all(requirements.iter().map(|requirement| async {
        let validator = requirement.validator.as_deref()?;
        Some(validator::run(validator, &requirement.description, candidate).await)
    }))
    .await;
    let verdict = |requirement: &Requirement, result| Verdict { requirement: requirement.description.to_string(), result };
    if in_code.iter().all(Option::is_some) {
        return requirements.iter().zip(in_code.into_iter().flatten()).map(|(r, result)| verdict(r, result)).collect();
    }
    let refused = in_code.iter().flatten().any(|result| !result.passed());
    join_all(requirements.iter().zip(in_code).map(|(requirement, result)| async {
        let result = match result {
            Some(result) => result,
            None if requirement.held_in_stream() => ValidationResult::pass(),
            None if refused && !judge.always => ValidationResult::skipped(),
            None => Box::pin(judge.judge(requirement.judge.as_ref(), &requirement.description, candidate)).await,
        };
        verdict(requirement, result)
    }))
    .await
}

/// The verdict on a requirement when no answer exists.
pub(crate) fn verdict_of_nothing(requirement: &Requirement) -> Verdict {
    Verdict { requirement: requirement.description.to_string(), result: ValidationResult::fail("there is no answer to check") }
}

//! Why an answer was refused, for a model that tries again.

/// Feedback for a model on its last answer: everything wrong with it, and what helps to do better.
///
/// It is plain data. A component puts it into its prompt with
/// [`Representation::repair`](super::Representation::repair); the words are in the template `repair`,
/// where reasons become one line each and everything is bounded in length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// What was wrong, one reason each.
    pub reasons: Vec<String>,
    /// The refused answer, if it had its type and the model does not see it anyway. The library's own words do not
    /// show it, since small models copy it; a template of your own can.
    pub answer: Option<String>,
    /// How many tokens an answer may have, if the last one was cut there.
    pub limit: Option<u64>,
    /// Whether the answer did not have the type that was asked for, rather than missing what was required of it.
    pub malformed: bool,
}

impl Refusal {
    /// A refusal for these reasons.
    pub fn new(reasons: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { reasons: reasons.into_iter().map(Into::into).collect(), answer: None, limit: None, malformed: false }
    }

    /// With the refused answer.
    #[must_use]
    pub fn answer(mut self, answer: impl Into<String>) -> Self {
        self.answer = Some(answer.into());
        self
    }

    /// With the number of tokens after which the answer was cut.
    #[must_use]
    pub fn limit(mut self, tokens: u64) -> Self {
        self.limit = Some(tokens);
        self
    }

    /// Of an answer that did not have its type.
    #[must_use]
    pub fn malformed(mut self) -> Self {
        self.malformed = true;
        self
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reasons.is_empty() && self.limit.is_none()
    }
}

//! A service, as its errors name it, and what none of them may show.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mellea_core::redact::Redactor;
use reqwest::header::HeaderValue;

/// Anything shorter is not treated as a secret: people give local servers keys such as `x`, and without that letter no
/// error could be read.
pub(crate) const MIN_SECRET: usize = 4;

/// How many changing credentials are kept: those of calls that may still be in progress.
const MAX_RENEWED: usize = 16;

/// A service, as its errors name it, and what none of them may show.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) provider: String,
    redactor: Redactor,
    /// Credentials that were not known when the client was made, the latest last.
    renewed: Mutex<VecDeque<HeaderValue>>,
}

impl Service {
    pub(crate) fn new(provider: String, redactor: Redactor) -> Self {
        Self { provider, redactor, renewed: Mutex::default() }
    }

    fn renewed(&self) -> MutexGuard<'_, VecDeque<HeaderValue>> {
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a credential out of errors from now on.
    pub(crate) fn hide(&self, credential: &HeaderValue) {
        let mut renewed = self.renewed();
        if renewed.back() == Some(credential) {
            return;
        }
        renewed.retain(|known| known != credential);
        renewed.push_back(credential.clone());
        if renewed.len() > MAX_RENEWED {
            renewed.pop_front();
        }
    }

    /// What takes the secrets out of a text.
    pub(crate) fn redactor(&self) -> Cow<'_, Redactor> {
        let renewed = self.renewed();
        if renewed.is_empty() {
            return Cow::Borrowed(&self.redactor);
        }
        let mut redactor = self.redactor.clone();
        for text in renewed.iter().filter_map(|value| value.to_str().ok()) {
            let secret = text.strip_prefix("Bearer ").unwrap_or(text);
            if secret.len() >= MIN_SECRET {
                redactor.add(secret.to_owned());
            }
        }
        Cow::Owned(redactor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_that_change_are_hidden_and_few_are_kept() {
        let service = Service::new("p".to_owned(), Redactor::default());
        let said = |text: &str| service.redactor().text(text).into_owned();
        assert_eq!(said("canary0 and others"), "canary0 and others");
        for i in 0..20 {
            service.hide(&HeaderValue::try_from(format!("Bearer canary{i}")).unwrap());
        }
        service.hide(&HeaderValue::from_static("x"));
        assert_eq!(said("you sent canary19, Bearer it was"), "you sent [redacted], Bearer it was");
        assert_eq!(service.renewed().len(), MAX_RENEWED);
    }
}

//! Tells a model that is still loading from a server that has stalled.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use mellea_core::{ErrorKind, Result, TimeoutPhase};
use mellea_http::CallOptions;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::backend::Ollama;
use crate::manage::same_model;

/// The longest wait for the server to say what it is doing.
const ASK: Duration = Duration::from_secs(2);

impl Ollama {
    /// Waits for the first piece of an answer. Shortly before the time is up, asks the server
    /// what it is doing, so that the error can say so.
    pub(crate) async fn watched<T>(&self, call: &CallOptions, work: impl Future<Output = Result<T>>) -> Result<T> {
        let own = self.client().timeouts().first_byte;
        let limit = match call.silence {
            Some(silence) => silence.map(|silence| own.map_or(silence, |own| own.min(silence))),
            None => own,
        };
        // A little early: whoever called has the same limit, and knows less.
        let early = |limit: Duration| limit.saturating_sub((limit / 20).min(Duration::from_millis(50)));
        let end = limit.and_then(|limit| Some((Instant::now().checked_add(early(limit))?, limit)));
        let Some((end, limit)) = end else { return work.await };
        let silent = async {
            sleep_until(end - (limit / 4).min(ASK)).await;
            let doing = timeout_at(end, Box::pin(self.doing())).await.unwrap_or_else(|_| self.unresponsive());
            sleep_until(end).await;
            doing
        };
        match select(pin!(work), pin!(silent)).await {
            Either::Left((done, _)) => done,
            Either::Right((doing, _)) => {
                let timeout = ErrorKind::Timeout { phase: TimeoutPhase::FirstToken, limit };
                Err(mellea_core::Error::from(timeout).at("ollama", self.settings().model.as_str()).with_hint(doing))
            }
        }
    }

    /// What the server does while it is silent.
    async fn doing(&self) -> String {
        let model = &self.settings().model;
        let Ok(running) = self.running_once(ASK).await else { return self.unresponsive() };
        match running.iter().find(|one| same_model(&one.name, model)) {
            Some(one) if one.context_length != Some(0) => format!(
                "`{model}` is loaded: the server reads a long prompt, works for others, or has stalled; \
                 `ModelOption::StreamTimeout` and `Timeouts::first_byte` set this limit"
            ),
            _ => format!(
                "`{model}` was still being loaded: raise `ModelOption::StreamTimeout` and `Timeouts::first_byte`, \
                 or load it before with `ollama run {model} \"\"`"
            ),
        }
    }

    fn unresponsive(&self) -> String {
        format!("the server at {} answers nothing at all: it has stalled; restart `ollama serve`", self.client().base())
    }
}

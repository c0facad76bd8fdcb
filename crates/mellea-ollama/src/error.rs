//! What the user can do about a failure.

use mellea_core::{Error, ErrorKind, TimeoutPhase};
use mellea_http::{BaseUrl, reqwest};
use serde_json::Value;

/// Adds the command to run, and names the failures of this server by their kind.
pub(crate) fn explain(error: Error, model: &str, base: &BaseUrl) -> Error {
    let error = reclassify(error, model);
    let words = error.response().map(|said| said.message.to_lowercase()).unwrap_or_default();
    match error.kind() {
        ErrorKind::Connection { .. } if is_connect(&error) => unreachable(error, base),
        ErrorKind::Timeout { phase: TimeoutPhase::Connect, .. } => unreachable(error, base),
        ErrorKind::Timeout { phase: TimeoutPhase::NextToken, .. } => error.with_hint(
            "the server has stalled in the middle of an answer; `ModelOption::StreamTimeout` and `Timeouts::idle` set this limit",
        ),
        ErrorKind::ModelNotFound(_) => {
            let hint = format!("get it with `ollama pull {model}`, or build the backend with `Pull::IfMissing` and `connect`");
            error.with_hint(hint)
        }
        ErrorKind::ContextWindowExceeded { .. } => error
            .with_hint("shorten the conversation, or raise `context_window` (`num_ctx`) as far as the model and the memory go"),
        ErrorKind::PromptTruncated { .. } => {
            error.with_hint("raise `context_window` (`num_ctx`), or shorten the prompt; `Truncation::Warn` lets it pass")
        }
        ErrorKind::Unsupported { .. } => error.with_hint(format!("`ollama show {model}` lists what the model can do")),
        ErrorKind::Provider(said) => match said.status {
            Some(401) => {
                let body: Option<Value> = said.body.as_deref().and_then(|body| serde_json::from_str(body).ok());
                let address = body.as_ref().and_then(|b| b.get("signin_url")?.as_str());
                let hint = match address {
                    Some(address) => format!("sign in with `ollama signin`, or at {address}"),
                    None => "sign in with `ollama signin`, or set OLLAMA_API_KEY".to_owned(),
                };
                error.with_hint(hint)
            }
            Some(503) if words.contains("busy") || words.contains("pending") || words.contains("queue") => {
                error.with_hint("the server's queue is full: send less at once, or raise OLLAMA_MAX_QUEUE where it runs")
            }
            _ if words.contains("unexpected eof") => {
                error.with_hint("the model's process died in the middle of the answer; see the server's log")
            }
            _ if words.contains("system memory") => error.with_hint(
                "use a smaller model or a smaller `context_window`, or free memory: `ollama ps`, `ollama stop <model>`",
            ),
            _ => error,
        },
        _ => error,
    }
}

/// A refusal in words that only this server has.
fn reclassify(error: Error, model: &str) -> Error {
    let ErrorKind::Provider(said) = error.kind() else { return error };
    let kind = if said.message.contains("longer than the context length") {
        ErrorKind::ContextWindowExceeded { prompt: None, limit: None }
    } else if said.message.contains("does not support") {
        let feature = said.message.rsplit("does not support ").next().unwrap_or_default().to_owned();
        ErrorKind::unsupported(feature, model, said.message.clone())
    } else {
        return error;
    };
    Error::from(kind).at("ollama", model).with_response(said.clone())
}

fn unreachable(error: Error, base: &BaseUrl) -> Error {
    error.with_hint(format!(
        "nothing answers at {base}: start the server with `ollama serve`, or say where it is with OLLAMA_HOST"
    ))
}

/// Whether no connection came to be, as opposed to one that was lost.
fn is_connect(error: &Error) -> bool {
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        if source.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect) {
            return true;
        }
        next = source.source();
    }
    false
}

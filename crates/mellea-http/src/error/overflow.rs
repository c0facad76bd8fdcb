//! Recognising that a prompt was too long, in the words of each service.

use std::sync::OnceLock;

use mellea_core::ProviderError;
use regex_lite::Regex;

/// Codes that say it by themselves.
const CODES: [&str; 4] =
    ["context_length_exceeded", "exceed_context_size", "model_context_window_exceeded", "context_window_exceeded"];

/// The wordings, with the numbers where they are given: `p` the prompt's tokens, `l` the limit.
const WORDINGS: [&str; 18] = [
    // OpenAI, DeepSeek, OpenRouter, vLLM.
    r"maximum context length is (?P<l>\d+) tokens.*?(?:requested|resulted in|contains at least)(?: about)? (?P<p>\d+)",
    r"maximum context length (?:is|of) (?P<l>\d+)",
    r"input exceeds the context window",
    // Anthropic.
    r"prompt is too long: (?P<p>\d+) tokens > (?P<l>\d+)",
    r"exceed context limit: (?P<p>\d+) \+ \d+ > (?P<l>\d+)",
    // Gemini.
    r"input token count \(?(?P<p>\d+)\)? exceeds the maximum number of tokens allowed \(?(?P<l>\d+)",
    // Bedrock.
    r"input is too long for requested model",
    // vLLM's engine.
    r"prompt \(length (?P<p>\d+)\) is longer than the maximum model length of (?P<l>\d+)",
    // TGI and Together.
    r"`inputs`(?: tokens \+ `max_new_tokens`)? must (?:be <=|have less than) (?P<l>\d+)(?: tokens)?\. given: (?P<p>\d+)",
    r"`inputs` tokens \+ `max_new_tokens` must be <= (?P<l>\d+)",
    // Mistral.
    r"prompt contains (?P<p>\d+) tokens.*?(?P<l>\d+) maximum context length",
    // Cohere.
    r"too many tokens: .*?cannot exceed (?P<l>\d+)",
    // watsonx.
    r"number of input tokens (?P<p>\d+) cannot exceed the total tokens limit (?P<l>\d+)",
    // xAI.
    r"maximum prompt length is (?P<l>\d+) but the request contains (?P<p>\d+)",
    // llama.cpp and its Python server.
    r"requested tokens \((?P<p>\d+)\) exceed context window of (?P<l>\d+)",
    r"request \(?(?P<p>\d+)? ?(?:tokens\))? ?exceeds the available context size(?: \((?P<l>\d+))?",
    // LM Studio.
    r"first (?P<p>\d+) tokens when context.*?context length of only (?P<l>\d+)",
    // Ollama, Groq, MiniMax and others.
    r"(?:exceed(?:s|ed)?(?: the| its| max| maximum)* context|context window exceeds|prompt is longer than the context|context (?:length|size|window) (?:was |is )?exceeded|prompt (?:is )?too long|reduce the length of (?:the messages|your prompt|your input))",
];

/// The prompt's tokens and the limit, where known, if that is what the service says.
pub(super) fn find(said: &ProviderError) -> Option<(Option<u64>, Option<u64>)> {
    if said.status.is_some_and(|s| matches!(s, 401 | 403 | 404 | 429)) {
        return None;
    }
    let message = said.message.to_lowercase();
    let number = |digits: &str| digits.parse().ok();
    for wording in wordings() {
        if let Some(found) = wording.captures(&message) {
            let group = |name| found.name(name).and_then(|m| number(m.as_str()));
            let (prompt, limit) = (group("p"), group("l"));
            return Some((prompt.or_else(|| field(said, "n_prompt_tokens")), limit.or_else(|| field(said, "n_ctx"))));
        }
    }
    let code = said.code.as_deref().unwrap_or_default().to_ascii_lowercase();
    CODES.iter().any(|known| code.contains(known)).then(|| (field(said, "n_prompt_tokens"), field(said, "n_ctx")))
}

/// A number that llama.cpp's server gives along with the message.
fn field(said: &ProviderError, name: &str) -> Option<u64> {
    let body: serde_json::Value = serde_json::from_str(said.body.as_deref()?).ok()?;
    body.get("error").unwrap_or(&body).get(name)?.as_u64()
}

fn wordings() -> &'static [Regex] {
    static COMPILED: OnceLock<Vec<Regex>> = OnceLock::new();
    COMPILED.get_or_init(|| WORDINGS.iter().filter_map(|wording| Regex::new(wording).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wording_compiles() {
        assert_eq!(wordings().len(), WORDINGS.len());
    }
}

//! Recognising that a prompt was too long, in the words of each service.

use std::sync::OnceLock;

use mellea_core::ProviderError;
use regex_lite::Regex;

/// Codes that say it by themselves.
const CODES: [&str; 4] =
    ["context_length_exceeded", "exceed_context_size", "model_context_window_exceeded", "context_window_exceeded"];

/// The wordings, with the numbers where they are given: `p` the prompt's tokens, `l` the limit.
const WORDINGS: [&str; 25] = [
    // vLLM, where the answer's limit takes all of the window: the figure beside it is what is left.
    r"maximum context length is (?P<l>\d+) tokens\. however, you requested (?P<p>\d+) tokens",
    r"(?:prompt|input) (?:has|contains|is) (?P<p>\d+) (?:input )?tokens.*?(?:at most|maximum(?: of)?|limit(?: of| is)?|only) (?P<l>\d+)",
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
    // SGLang.
    r"(?:requested token count|input length|input) (?:\((?P<p>\d+) tokens\)|of (?P<q>\d+) tokens) exceeds the model's maximum context length (?:of |\()?(?P<l>\d+)",
    r"is longer than the model's context length \(?(?P<l>\d+)",
    // Kimi.
    r"exceeded model token limit:? (?P<l>\d+)(?: \(requested: (?P<p>\d+)\))?",
    // Qwen.
    r"range of input length should be \[\d+, (?P<l>\d+)\]",
    // GitHub's models and Copilot.
    r"(?:prompt token count of (?P<p>\d+) exceeds the limit of (?P<l>\d+)|request body too large for .*? model\. max size: (?P<m>\d+) tokens)",
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
    r"(?:exceed(?:s|ed)?(?: the| its| max| maximum)* context|context window exceeds|prompt is longer than the context|context (?:length|size|window) (?:was |is )?exceeded|prompt (?:is |exceeds max length|is )?too long|prompt exceeds max(?:imum)? length|input (?:is )?too long|greater than the context length|larger than the context (?:window|size|length)|reduce the length of (?:the messages|your prompt|your input))",
];

/// The prompt's tokens and the limit, where known, if that is what the service says.
pub(super) fn find(said: &ProviderError) -> Option<(Option<u64>, Option<u64>)> {
    if said.status.is_some_and(|s| matches!(s, 401 | 403 | 404 | 429)) {
        return None;
    }
    let message = plain_numbers(&said.message.to_lowercase());
    let number = |digits: &str| digits.parse().ok();
    for wording in wordings() {
        if let Some(found) = wording.captures(&message) {
            let group = |name| found.name(name).and_then(|m| number(m.as_str()));
            let (prompt, limit) = (group("p").or_else(|| group("q")), group("l").or_else(|| group("m")));
            // A count of nothing is what is left, and not the prompt.
            let prompt = prompt.filter(|prompt| *prompt > 0);
            return Some((prompt.or_else(|| field(said, "n_prompt_tokens")), limit.or_else(|| field(said, "n_ctx"))));
        }
    }
    let code = said.code.as_deref().unwrap_or_default().to_ascii_lowercase();
    CODES.iter().any(|known| code.contains(known)).then(|| (field(said, "n_prompt_tokens"), field(said, "n_ctx")))
}

/// The text with its numbers written without separators: `8,192` is `8192`.
fn plain_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    for (at, c) in text.char_indices() {
        let after: Vec<char> = text.get(at + c.len_utf8()..).unwrap_or_default().chars().take(4).collect();
        let group = after.len() >= 3 && after.iter().take(3).all(char::is_ascii_digit) && !digit(after.get(3).copied());
        if !(matches!(c, ',' | '_') && digit(out.chars().next_back()) && group) {
            out.push(c);
        }
    }
    out
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

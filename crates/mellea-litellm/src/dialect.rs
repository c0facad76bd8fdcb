//! dialects

pub(crate) fn is_known(name: &str) -> bool {
    ["openai", "azure", "vllm", "ollama", "lm_studio", "llama_cpp", "groq", "deepseek", "openrouter", "nim", "generic"]
        .contains(&name)
}

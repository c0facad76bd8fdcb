//! The servers that are known, and how an address tells which one it is.

use mellea_http::BaseUrl;

use super::{AuthHeader, CallIds, ContentForm, Dialect, Guidance, SchemaPolicy, SystemRole, ThinkingField, TokenField};

/// Hosts of vendors that have no dialect here: a key for OpenAI is not theirs.
const OTHER_VENDORS: [&str; 24] = [
    "api.anthropic.com",
    ".googleapis.com",
    ".amazonaws.com",
    "api.mistral.ai",
    "codestral.mistral.ai",
    "api.cohere.com",
    "api.cohere.ai",
    "api.x.ai",
    "api.together.xyz",
    "api.together.ai",
    "api.fireworks.ai",
    "api.perplexity.ai",
    "api.cerebras.ai",
    "api.sambanova.ai",
    "api.moonshot.ai",
    "api.moonshot.cn",
    "api.minimax.io",
    "api.z.ai",
    ".aliyuncs.com",
    ".bigmodel.cn",
    "router.huggingface.co",
    "models.github.ai",
    ".ml.cloud.ibm.com",
    "api.deepinfra.com",
];

/// Dialects that an address can identify.
const BY_HOST: [Dialect; 6] =
    [Dialect::OPENAI, Dialect::AZURE, Dialect::GROQ, Dialect::DEEPSEEK, Dialect::OPENROUTER, Dialect::NIM];

impl Dialect {
    /// A server of which nothing is known except that it speaks OpenAI's API: what most servers accept. What
    /// it refuses with a clear message is changed once, and the backend remembers it.
    pub const GENERIC: Self = Self {
        name: "openai",
        base_url: "",
        base_variables: &["OPENAI_BASE_URL"],
        hosts: &[],
        key_variables: &["OPENAI_API_KEY"],
        needs_key: false,
        auth: AuthHeader::Bearer,
        chat_path: "chat/completions",
        completions_path: "completions",
        responses_path: "responses",
        models_path: "models",
        query: &[],
        // A server that wants the other field says so; one that ignores the newer field does not.
        token_field: TokenField::MaxTokens,
        thinking: ThinkingField::Both,
        schema: SchemaPolicy::Strict,
        guidance: Guidance::None,
        tools_with_schema: true,
        content: ContentForm::Auto,
        system_role: SystemRole::System,
        stream_usage: true,
        reasoning_field: "reasoning_content",
        reasoning_details: false,
        inline_thinking: true,
        says_finish: true,
        drop: &[],
        rename: &[],
        max_temperature: None,
        extra_body: "",
        tools: true,
        images: true,
        image_urls: true,
        audio: true,
        prompt_lists: true,
        cache_control: false,
        call_ids: CallIds::Any,
    };

    /// OpenAI's own platform.
    pub const OPENAI: Self = Self {
        base_url: "https://api.openai.com/v1",
        hosts: &["api.openai.com", ".api.openai.com"],
        needs_key: true,
        token_field: TokenField::MaxCompletionTokens,
        thinking: ThinkingField::ReasoningEffort,
        reasoning_field: "",
        inline_thinking: false,
        call_ids: CallIds::Short,
        ..Self::GENERIC
    };

    /// Azure OpenAI over its deployment paths: the model's name is the deployment's. The base address is
    /// that of the resource; for an address that ends in `/openai/v1` see [`AZURE_V1`](Self::AZURE_V1).
    pub const AZURE: Self = Self {
        name: "azure",
        base_url: "",
        base_variables: &["AZURE_OPENAI_ENDPOINT", "AZURE_API_BASE"],
        hosts: &[".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"],
        key_variables: &["AZURE_OPENAI_API_KEY", "AZURE_API_KEY"],
        auth: AuthHeader::Header("api-key"),
        chat_path: "openai/deployments/{model}/chat/completions",
        completions_path: "openai/deployments/{model}/completions",
        responses_path: "openai/responses",
        models_path: "openai/models",
        query: &[("api-version", "2024-10-21")],
        ..Self::OPENAI
    };

    /// Azure OpenAI over its newer API, which is OpenAI's: the base address ends in `/openai/v1`.
    pub const AZURE_V1: Self = Self {
        chat_path: "chat/completions",
        completions_path: "completions",
        responses_path: "responses",
        models_path: "models",
        query: &[],
        ..Self::AZURE
    };

    /// vLLM, which guides generation itself; since 0.12 with `structured_outputs`. For older versions add
    /// `.guidance(Guidance::Guided)`.
    pub const VLLM: Self = Self {
        name: "vllm",
        base_url: "http://localhost:8000/v1",
        key_variables: &["VLLM_API_KEY", "OPENAI_API_KEY"],
        thinking: ThinkingField::TemplateKwargs,
        schema: SchemaPolicy::Plain,
        guidance: Guidance::StructuredOutputs,
        tools_with_schema: false,
        reasoning_field: "reasoning",
        ..Self::GENERIC
    };

    /// Ollama's `/v1`. The crate `mellea-ollama` speaks Ollama's own API, which can do more: a window for the
    /// context, keeping models loaded, and no `tool_choice` here.
    pub const OLLAMA: Self = Self {
        name: "ollama",
        base_url: "http://localhost:11434/v1",
        thinking: ThinkingField::ReasoningEffort,
        schema: SchemaPolicy::Grammar,
        tools_with_schema: false,
        reasoning_field: "reasoning",
        drop: &["tool_choice"],
        image_urls: false,
        audio: false,
        prompt_lists: false,
        ..Self::GENERIC
    };

    /// LM Studio's server.
    pub const LM_STUDIO: Self = Self {
        name: "lm_studio",
        base_url: "http://localhost:1234/v1",
        schema: SchemaPolicy::Grammar,
        tools_with_schema: false,
        image_urls: false,
        audio: false,
        prompt_lists: false,
        ..Self::GENERIC
    };

    /// llama.cpp's server.
    pub const LLAMA_CPP: Self = Self {
        name: "llama_cpp",
        base_url: "http://localhost:8080/v1",
        thinking: ThinkingField::TemplateKwargs,
        schema: SchemaPolicy::Grammar,
        tools_with_schema: false,
        ..Self::GENERIC
    };

    /// Groq.
    pub const GROQ: Self = Self {
        name: "groq",
        base_url: "https://api.groq.com/openai/v1",
        base_variables: &["GROQ_API_BASE"],
        hosts: &["api.groq.com"],
        key_variables: &["GROQ_API_KEY"],
        needs_key: true,
        completions_path: "",
        token_field: TokenField::MaxCompletionTokens,
        thinking: ThinkingField::ReasoningEffort,
        tools_with_schema: false,
        reasoning_field: "reasoning",
        audio: false,
        ..Self::GENERIC
    };

    /// DeepSeek's own service: JSON objects, but no schemas.
    pub const DEEPSEEK: Self = Self {
        name: "deepseek",
        base_url: "https://api.deepseek.com/v1",
        base_variables: &["DEEPSEEK_API_BASE"],
        hosts: &["api.deepseek.com"],
        key_variables: &["DEEPSEEK_API_KEY"],
        needs_key: true,
        completions_path: "",
        thinking: ThinkingField::ThinkingObject,
        schema: SchemaPolicy::JsonObject,
        drop: &["seed"],
        images: false,
        audio: false,
        ..Self::GENERIC
    };

    /// OpenRouter.
    pub const OPENROUTER: Self = Self {
        name: "openrouter",
        base_url: "https://openrouter.ai/api/v1",
        base_variables: &["OPENROUTER_API_BASE"],
        hosts: &["openrouter.ai"],
        key_variables: &["OPENROUTER_API_KEY"],
        needs_key: true,
        thinking: ThinkingField::ReasoningObject,
        reasoning_field: "reasoning",
        reasoning_details: true,
        cache_control: true,
        prompt_lists: false,
        ..Self::GENERIC
    };

    /// NVIDIA's hosted NIM; your own NIM is at another address with the same dialect.
    pub const NIM: Self = Self {
        name: "nvidia_nim",
        base_url: "https://integrate.api.nvidia.com/v1",
        base_variables: &["NVIDIA_NIM_API_BASE"],
        hosts: &["integrate.api.nvidia.com"],
        key_variables: &["NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY"],
        needs_key: true,
        thinking: ThinkingField::TemplateKwargs,
        tools_with_schema: false,
        audio: false,
        ..Self::GENERIC
    };

    /// The dialect of the server at this address: by the host, and on this machine by the usual ports of
    /// Ollama (11434) and LM Studio (1234). [`GENERIC`](Self::GENERIC) if neither tells.
    #[must_use]
    pub fn of_url(url: &str) -> Self {
        let Ok(base) = BaseUrl::parse(url) else { return Self::GENERIC };
        if base.is_local() {
            return match base.as_url().port() {
                Some(11434) => Self::OLLAMA,
                Some(1234) => Self::LM_STUDIO,
                _ => Self::GENERIC,
            };
        }
        let found = BY_HOST.into_iter().find(|dialect| dialect.is_host(base.host()));
        match found {
            Some(azure) if azure.name == Self::AZURE.name && base.as_url().path().contains("/openai/v1") => Self::AZURE_V1,
            Some(dialect) => dialect,
            // Nothing else is special about it.
            None if is_at(base.host(), ".mistral.ai") => Self::GENERIC.call_ids(CallIds::Nine),
            None => Self::GENERIC,
        }
    }
}

/// Whether a host is one that a table names.
pub(super) fn is_at(host: &str, known: &str) -> bool {
    let host = host.trim_end_matches('.');
    if known.starts_with('.') { host.len() > known.len() && host.ends_with(known) } else { host == known }
}

/// Whether a host belongs to a vendor, so that only that vendor's keys may go there unasked.
pub(super) fn is_vendor(host: &str) -> bool {
    BY_HOST.iter().any(|dialect| dialect.is_host(host)) || OTHER_VENDORS.iter().any(|known| is_at(host, known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_tells_the_dialect() {
        for (url, dialect) in [
            ("https://api.openai.com/v1", Dialect::OPENAI),
            ("https://eu.api.openai.com/v1", Dialect::OPENAI),
            ("https://x.openai.azure.com", Dialect::AZURE),
            ("https://x.openai.azure.com/openai/v1/", Dialect::AZURE_V1),
            ("https://api.groq.com/openai/v1", Dialect::GROQ),
            ("https://api.deepseek.com", Dialect::DEEPSEEK),
            ("https://openrouter.ai/api/v1", Dialect::OPENROUTER),
            ("https://integrate.api.nvidia.com/v1", Dialect::NIM),
            ("localhost:11434", Dialect::OLLAMA),
            ("http://127.0.0.1:1234/v1", Dialect::LM_STUDIO),
            ("http://localhost:8000/v1", Dialect::GENERIC),
            ("https://api.openai.com.evil.example/v1", Dialect::GENERIC),
            ("https://evil.example/api.openai.com", Dialect::GENERIC),
            ("https://notapi.groq.com.example", Dialect::GENERIC),
            ("https://ollama.example.com:11434", Dialect::GENERIC),
            ("no address at all: §", Dialect::GENERIC),
        ] {
            assert_eq!(Dialect::of_url(url), dialect, "{url}");
        }
    }

    #[test]
    fn vendors_are_known_by_their_hosts() {
        for host in ["api.mistral.ai", "us-east-1.bedrock.amazonaws.com", "api.groq.com", "generativelanguage.googleapis.com"] {
            assert!(is_vendor(host), "{host}");
        }
        for host in ["localhost", "llm.example.com", "api.mistral.ai.example.com", "googleapis.com.example"] {
            assert!(!is_vendor(host), "{host}");
        }
    }

    #[test]
    fn every_usual_address_leads_back_to_its_dialect() {
        for dialect in BY_HOST.into_iter().chain([Dialect::OLLAMA, Dialect::LM_STUDIO]) {
            if !dialect.base_url.is_empty() {
                assert_eq!(Dialect::of_url(dialect.base_url), dialect);
            }
        }
    }
}

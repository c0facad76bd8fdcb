//! The options and headers whose values may be shown.

/// What an option of a known name holds. A value of another kind is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number, or several.
    Number,
    /// A word of the provider's, a text that is part of the answer's form, or a number.
    Text,
    /// More options.
    Options,
    /// Headers.
    Headers,
}

const NUMBERS: [&str; 48] = [
    "best_of",
    "candidate_count",
    "context_window",
    "decoding_steps",
    "dry_multiplier",
    "frequency_penalty",
    "length_penalty",
    "logprobs",
    "max_completion_tokens",
    "max_new_tokens",
    "max_output_tokens",
    "max_tokens",
    "max_tool_calls",
    "maxtokens",
    "min_new_tokens",
    "min_p",
    "min_tokens",
    "mirostat",
    "mirostat_eta",
    "mirostat_tau",
    "n",
    "num_batch",
    "num_beams",
    "num_ctx",
    "num_gpu",
    "num_keep",
    "num_predict",
    "num_thread",
    "p",
    "k",
    "presence_penalty",
    "priority",
    "prompt_logprobs",
    "random_seed",
    "repeat_last_n",
    "repeat_penalty",
    "repetition_penalty",
    "seed",
    "stream_timeout",
    "temperature",
    "tfs_z",
    "time_limit",
    "timeout",
    "top_a",
    "top_k",
    "top_logprobs",
    "top_p",
    "typical_p",
];

const TEXTS: [&str; 16] = [
    "decoding_method",
    "keep_alive",
    "modalities",
    "model",
    "reasoning_effort",
    "reasoning_format",
    "safety_mode",
    "service_tier",
    "stop",
    "stop_sequences",
    "structured_output",
    "think",
    "thinking",
    "tool_choice",
    "truncation",
    "verbosity",
];

const OPTIONS: [&str; 8] = [
    "chat_template_kwargs",
    "extra_body",
    "generation_config",
    "options",
    "parameters",
    "reasoning",
    "stream_options",
    "thinking_config",
];

const HEADERS: [&str; 5] = ["default_headers", "extra_headers", "headers", "http_headers", "request_headers"];

const HEADER_TEXTS: [&str; 8] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "anthropic-beta",
    "anthropic-version",
    "content-type",
    "openai-beta",
    "user-agent",
];

/// What an option of this name holds, if it is known.
pub(super) fn option(name: &str) -> Option<Kind> {
    let among = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    [(&NUMBERS[..], Kind::Number), (&TEXTS[..], Kind::Text), (&OPTIONS[..], Kind::Options), (&HEADERS[..], Kind::Headers)]
        .into_iter()
        .find_map(|(names, kind)| among(names).then_some(kind))
}

/// What a header of this name holds, if it is known.
pub(super) fn header(name: &str) -> Option<Kind> {
    HEADER_TEXTS.iter().any(|known| known.eq_ignore_ascii_case(name)).then_some(Kind::Text)
}

//! Spans and their fields, named after OpenTelemetry's conventions for generative AI.
//!
//! Content of prompts and answers is never recorded. The names are those of
//! <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>.

use std::sync::Arc;

use tracing::{Span, field};

use crate::backend::{Backend, ChatRequest};
use crate::error::Error;
use crate::output::{FinishReason, ModelOutput};

/// The span of one model call.
pub(crate) fn chat_span(backend: &dyn Backend, request: &ChatRequest) -> Span {
    let options = &request.options;
    tracing::info_span!(
        target: "mellea",
        "chat",
        "gen_ai.operation.name" = "chat",
        "gen_ai.provider.name" = backend.provider(),
        "gen_ai.request.model" = backend.model(),
        "gen_ai.request.temperature" = options.temperature,
        "gen_ai.request.max_tokens" = options.max_new_tokens,
        "gen_ai.request.seed" = options.seed,
        "gen_ai.response.model" = field::Empty,
        "gen_ai.response.id" = field::Empty,
        "gen_ai.response.finish_reasons" = field::Empty,
        "gen_ai.usage.input_tokens" = field::Empty,
        "gen_ai.usage.output_tokens" = field::Empty,
        "mellea.time_to_first_token_ms" = field::Empty,
        "error.type" = field::Empty,
    )
}

/// Records how a model call ended in the current span.
pub(crate) fn record_result(result: &Result<Arc<ModelOutput>, Error>) {
    let span = Span::current();
    match result {
        Ok(output) => {
            span.record("gen_ai.response.model", output.model.as_str());
            if let Some(id) = &output.response_id {
                span.record("gen_ai.response.id", id.as_str());
            }
            let reason = match &output.finish {
                FinishReason::Stop => "stop",
                FinishReason::Length => "length",
                FinishReason::ToolCalls => "tool_calls",
                FinishReason::ContentFilter => "content_filter",
                FinishReason::Other(_) => "other",
            };
            span.record("gen_ai.response.finish_reasons", reason);
            if let Some(n) = output.usage.prompt_tokens {
                span.record("gen_ai.usage.input_tokens", n);
            }
            if let Some(n) = output.usage.completion_tokens {
                span.record("gen_ai.usage.output_tokens", n);
            }
            if let Some(time) = output.time_to_first_token {
                span.record("mellea.time_to_first_token_ms", time.as_secs_f64() * 1e3);
            }
            for warning in &output.warnings {
                tracing::warn!(target: "mellea::options", %warning);
            }
        }
        Err(error) => {
            span.record("error.type", error.kind().name());
        }
    }
}

/// The span of one attempt of a sampling strategy.
pub(crate) fn attempt_span(number: usize) -> Span {
    tracing::info_span!(target: "mellea", "attempt", "mellea.attempt" = number)
}

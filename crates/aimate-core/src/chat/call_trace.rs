//! One call of a model as spans and metrics show it, by the names of OpenTelemetry's
//! semantic conventions for generative AI.

use tokio::time::Instant;
use tracing::Span;
use tracing::field::Empty;

use crate::metrics;
use crate::provider::{Endpoint, FinishReason};
use crate::usage::{TokenUsage, UsageOutcome};

/// A call of a model that has begun.
pub(crate) struct CallTrace {
    span: Span,
    provider: String,
    started: Instant,
    has_begun: bool,
}

impl CallTrace {
    /// A chat with `model`, from now on.
    pub(crate) fn chat(endpoint: &Endpoint, model: &str) -> Self {
        Self::new("chat", endpoint, model)
    }

    /// Embedding with `model`, from now on.
    pub(crate) fn embeddings(endpoint: &Endpoint, model: &str) -> Self {
        Self::new("embeddings", endpoint, model)
    }

    fn new(operation: &'static str, endpoint: &Endpoint, model: &str) -> Self {
        let provider = endpoint.provider.as_str();
        let span = tracing::info_span!(
            "model_call",
            "otel.kind" = "client",
            "gen_ai.operation.name" = operation,
            "gen_ai.provider.name" = provider,
            "gen_ai.request.model" = model,
            "gen_ai.response.finish_reasons" = Empty,
            "gen_ai.usage.input_tokens" = Empty,
            "gen_ai.usage.output_tokens" = Empty,
            "aimate.first_token_ms" = Empty,
            "aimate.outcome" = Empty,
        );
        Self { span, provider: provider.to_owned(), started: Instant::now(), has_begun: false }
    }

    /// The call's span, for what is done in it.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Content came; counts the first time.
    pub(crate) fn content(&mut self) {
        if !std::mem::replace(&mut self.has_begun, true) {
            let time = self.started.elapsed();
            self.span.record("aimate.first_token_ms", u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
            metrics::first_token(&self.provider, time);
        }
    }

    /// The model gave a reason to stop.
    pub(crate) fn stopped(&self, reason: &FinishReason) {
        self.span.record("gen_ai.response.finish_reasons", reason.as_str());
    }

    /// The call is over.
    pub(crate) fn end(&self, outcome: UsageOutcome, usage: &TokenUsage) {
        self.span.record("gen_ai.usage.input_tokens", usage.input_tokens);
        self.span.record("gen_ai.usage.output_tokens", usage.output_tokens);
        self.span.record("aimate.outcome", outcome.as_str());
        metrics::model_called(&self.provider, outcome, usage, self.started.elapsed());
    }
}

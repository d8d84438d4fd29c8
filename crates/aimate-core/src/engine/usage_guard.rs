//! The usage of a call that belongs to no run: recorded when the call is over,
//! however it ended.

use aimate_text::tokens::estimate;

use super::Engine;
use crate::chat::call_trace::CallTrace;
use crate::error::Result;
use crate::id::UsageId;
use crate::price::Pricing;
use crate::provider::ProviderEvent;
use crate::scope::Scope;
use crate::usage::{TokenUsage, UsageOutcome, UsageRecord};

/// Counts what a call uses and records it when dropped. Until something else is
/// observed, the call counts as cancelled.
pub(super) struct UsageGuard {
    engine: Engine,
    /// The record's, under which a budget may have something set aside for the call.
    id: UsageId,
    scope: Scope,
    pub(super) model: String,
    /// What the application wants the call summed by.
    pub(super) tags: Vec<String>,
    pricing: Pricing,
    /// Tokens of the prompt as aiMate counts them.
    pub(super) prompt_tokens: u64,
    answer_tokens: u64,
    /// What the provider says.
    pub(super) reported: Option<TokenUsage>,
    pub(super) outcome: UsageOutcome,
    trace: CallTrace,
}

impl Engine {
    /// A guard for one call of `model`.
    pub(super) fn usage_guard(
        &self,
        scope: &Scope,
        id: UsageId,
        model: String,
        pricing: Pricing,
        trace: CallTrace,
    ) -> UsageGuard {
        UsageGuard {
            engine: self.clone(),
            id,
            scope: *scope,
            model,
            tags: Vec::new(),
            pricing,
            prompt_tokens: 0,
            answer_tokens: 0,
            reported: None,
            outcome: UsageOutcome::Cancelled,
            trace,
        }
    }
}

impl UsageGuard {
    /// The span of the call.
    pub(super) fn span(&self) -> tracing::Span {
        self.trace.span()
    }

    /// Notes an item of the answer's stream, or its end.
    pub(super) fn observe(&mut self, item: Option<&Result<ProviderEvent>>) {
        if let Some(Ok(event)) = item {
            match event {
                ProviderEvent::Text(_) | ProviderEvent::Reasoning(_) | ProviderEvent::ToolCall(_) => {
                    self.trace.content();
                }
                ProviderEvent::Finish(reason) => self.trace.stopped(reason),
                _ => {}
            }
        }
        match item {
            Some(Ok(ProviderEvent::Text(text) | ProviderEvent::Reasoning(text))) => {
                self.answer_tokens += u64::from(estimate(text));
            }
            Some(Ok(ProviderEvent::ToolCall(call))) => {
                self.answer_tokens += u64::from(estimate(&call.arguments_json()));
            }
            Some(Ok(ProviderEvent::Usage(usage))) => self.reported = Some(*usage),
            Some(Ok(ProviderEvent::Finish(_))) => self.outcome = UsageOutcome::Completed,
            Some(Err(_)) => self.outcome = UsageOutcome::Failed,
            None if self.outcome == UsageOutcome::Cancelled => {
                self.outcome = UsageOutcome::Interrupted;
            }
            _ => {}
        }
    }

    /// What was used so far: as the provider says, else as aiMate counts.
    pub(super) fn usage(&self) -> TokenUsage {
        let counted = TokenUsage {
            input_tokens: self.prompt_tokens,
            output_tokens: self.answer_tokens,
            estimated: true,
            ..TokenUsage::default()
        };
        let mut usage = self.reported.map_or(counted, |reported| reported.bounded(&counted));
        usage.cost = self.pricing.cost(&usage);
        usage
    }
}

impl Drop for UsageGuard {
    fn drop(&mut self) {
        let inner = &self.engine.inner;
        let usage = self.usage();
        self.trace.end(self.outcome, &usage);
        inner.usage_recorder.record(
            self.scope,
            UsageRecord {
                id: self.id,
                run_id: None,
                conversation_id: None,
                model: std::mem::take(&mut self.model),
                tags: std::mem::take(&mut self.tags),
                workspace_id: None,
                outcome: self.outcome,
                usage,
                created_at: inner.sources.now(),
            },
        );
    }
}

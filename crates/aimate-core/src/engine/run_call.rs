//! The call of a model that a run makes, when it begins and when it goes on.

use aimate_text::tokens::Tokenizer;

use super::Engine;
use super::budget_hold::{BudgetHold, NewHold, Output};
use super::resolve::ResolvedModel;
use crate::budget::Amount;
use crate::chat::accounting::Accounting;
use crate::chat::context::message_tokens;
use crate::chat::model_call::ModelCall;
use crate::chat::tool_loop::ParkedTurn;
use crate::error::Result;
use crate::message::{Citation, Part};
use crate::provider::{ChatMessage, ChatRequest, ToolSpec};
use crate::run::Run;
use crate::scope::Scope;
use crate::usage::TokenUsage;

/// Times that something may be set aside for the model calls of one attempt of a run.
const STEPS_OF_ATTEMPT: u32 = 100_000;

/// What a run asks its model.
pub(super) struct RunQuestion<'a> {
    pub(super) run: &'a Run,
    pub(super) target: ResolvedModel,
    pub(super) turn: &'a ParkedTurn,
    /// The prompt.
    pub(super) messages: Vec<ChatMessage>,
    /// Its tokens, without those of the answer so far.
    pub(super) prompt_tokens: u64,
    pub(super) tokenizer: Tokenizer,
    pub(super) tools: Vec<ToolSpec>,
    pub(super) passages: Vec<Citation>,
    /// The answer so far, and what it has used.
    pub(super) so_far: (&'a [Part], TokenUsage),
}

impl Engine {
    /// The call that asks this, with what is set aside for it.
    ///
    /// # Errors
    /// `NotFound` without the model's provider; `RateLimited` if a budget is used up.
    pub(super) async fn run_call(
        &self,
        scope: &Scope,
        question: RunQuestion<'_>,
    ) -> Result<(ModelCall, Accounting, Option<BudgetHold>)> {
        let RunQuestion { run, target, turn, messages, prompt_tokens, tokenizer, tools, passages, so_far } =
            question;
        let inner = &self.inner;
        let endpoint = self.endpoint(scope, &target.connection).await?;
        let provider = inner.providers.get(&endpoint.provider)?.provider.clone();
        let request = ChatRequest {
            model: target.model_id.clone(),
            messages,
            tools,
            tool_choice: turn.tool_choice.clone(),
            parallel_tool_calls: turn.parallel_tool_calls,
            tools_by_prompt: target.has_tools_by_prompt(),
            response_format: turn.response_format.clone(),
            passages,
            sampling: turn.sampling.clone(),
            context_window: target.window(),
            stream: turn.stream,
            limits: inner.answer_limits,
            max_tokens_field: None,
            extra: turn.extra.clone(),
        };
        let (answer, used) = so_far;
        let own = if answer.is_empty() { 0 } else { u64::from(message_tokens(tokenizer, answer)) };
        // One price for the whole of a run, however long it waited.
        let pricing = target.pricing(run.created_at);
        let accounting = Accounting { pricing, tokenizer, prompt_tokens: prompt_tokens + own };
        let hold = NewHold {
            call: run.id.0.into(),
            target: &target,
            pricing,
            workspace: run.workspace_id,
            tags: &run.tags,
            prompt_tokens: accounting.prompt_tokens,
            output: Output::of(&request),
            spent: Amount::of(&used),
            steps_before: run.attempt.saturating_sub(1).saturating_mul(STEPS_OF_ATTEMPT),
        };
        let hold = self.hold_budget(scope, hold).await?;
        let sees_pictures = target.sees_pictures();
        let explain = Box::new(move |error| target.explain(error));
        let call = ModelCall {
            provider,
            endpoint,
            request,
            explain,
            meter: None,
            tokenizer,
            prompt_tokens,
            sees_pictures,
            own_messages: 0,
            truncation: turn.truncation,
        };
        Ok((call, accounting, hold))
    }
}

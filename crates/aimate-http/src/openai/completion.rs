//! A whole answer, collected from a model's events or from a stored message.

use aimate_core::chat::event::Finished;
use aimate_core::engine::CompletionStream;
use aimate_core::message::{Citation, Part, ToolCall};
use aimate_core::provider::{FinishReason, ProviderEvent};
use aimate_core::usage::TokenUsage;
use aimate_core::{Error, WarningCode};
use futures_util::StreamExt;
use serde_json::{Map, Value};

use crate::error::Result;

/// A whole answer, as `chat.completion` has it.
#[derive(Default)]
pub(crate) struct ChatCompletion {
    pub(super) text: String,
    pub(super) reasoning: String,
    pub(super) reasoning_details: Option<Value>,
    pub(super) calls: Vec<ToolCall>,
    pub(super) finish_reason: Option<FinishReason>,
    pub(super) usage: TokenUsage,
    pub(super) citations: Vec<Citation>,
    /// What else the provider sent, under its own names.
    pub(super) extra: Map<String, Value>,
}

impl ChatCompletion {
    /// Collects a stream.
    ///
    /// # Errors
    /// The error of the stream, unless the model had finished before it;
    /// `Upstream` if the stream ends before the model has finished.
    pub(crate) async fn collect(mut stream: CompletionStream) -> Result<Self> {
        let mut all = Self { citations: stream.passages().to_vec(), ..Self::default() };
        while let Some(event) = stream.next().await {
            match event {
                Ok(ProviderEvent::Text(text)) if all.text.is_empty() => all.text = text,
                Ok(ProviderEvent::Text(text)) => all.text.push_str(&text),
                Ok(ProviderEvent::Reasoning(text)) => all.reasoning.push_str(&text),
                Ok(ProviderEvent::ReasoningDetails(details)) => all.reasoning_details = Some(details),
                Ok(ProviderEvent::TextWasReasoning) => {
                    let text = std::mem::take(&mut all.text);
                    all.reasoning.push_str(&text);
                }
                Ok(ProviderEvent::Extra(fields)) => all.extra.extend(fields),
                // Those that are made here are none of the client's.
                Ok(ProviderEvent::ToolCall(call)) if call.is_made_here => {}
                Ok(ProviderEvent::ToolReturned(_)) => {}
                Ok(ProviderEvent::ToolCall(call)) => all.calls.push(call),
                Ok(ProviderEvent::Warning { code, detail }) => log_warning(&code, &detail),
                Ok(ProviderEvent::Finish(reason)) => all.finish_reason = Some(reason),
                Ok(ProviderEvent::Usage(_)) => {}
                // The answer is whole: what fails now is the usage at most.
                Err(_) if all.finish_reason.is_some() => break,
                Err(error) => return Err(error.into()),
            }
        }
        if all.finish_reason.is_none() {
            return Err(incomplete_answer().into());
        }
        all.usage = stream.usage();
        Ok(all)
    }
}

impl From<Finished> for ChatCompletion {
    fn from(finished: Finished) -> Self {
        let mut all =
            Self { finish_reason: Some(finished.finish_reason), usage: finished.usage, ..Self::default() };
        for part in finished.message.content {
            match part {
                Part::Text { text } => all.text.push_str(&text),
                Part::Reasoning { text, details } => {
                    all.reasoning.push_str(&text);
                    all.reasoning_details = details.or(all.reasoning_details);
                }
                Part::ToolCall(call) if call.is_made_here => {}
                Part::ToolCall(call) => all.calls.push(call),
                Part::Citation(citation) => all.citations.push(citation),
                Part::Extra { fields } => all.extra.extend(fields),
                _ => {}
            }
        }
        all
    }
}

/// The error of a stream that ends before the model has finished.
pub(super) fn incomplete_answer() -> Error {
    Error::upstream("the model server closed the stream before the answer was complete")
}

/// Logs a provider's warning: OpenAI's format has no place for one.
pub(super) fn log_warning(code: &WarningCode, detail: &str) {
    tracing::warn!(%code, detail, "the model server sent a warning");
}

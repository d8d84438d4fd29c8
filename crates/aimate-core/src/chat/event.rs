//! The events of a run, the same in Rust, over SSE and in Python.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::ErrorKind;
use crate::id::{ConversationId, MessageId, RunId};
use crate::message::{Citation, Message, Part, ToolCall, ToolResult};
use crate::provider::FinishReason;
use crate::tool::{Elicitation, ToolProgress};
use crate::usage::TokenUsage;
use crate::warning::WarningCode;

/// One event of a run. `started` is first; exactly one of `finished` and
/// `error` is last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ChatEvent {
    /// The turn is stored and the model is asked.
    Started(Box<Started>),
    /// Passages were found for the question.
    Retrieved {
        /// The passages.
        citations: Vec<Citation>,
    },
    /// More reasoning.
    Reasoning {
        /// The piece.
        text: String,
    },
    /// More of the answer.
    Text {
        /// The piece.
        text: String,
    },
    /// All text so far was reasoning: the model's server told it too late. The
    /// stored answer has it so.
    TextWasReasoning,
    /// What else there is of the answer, under the provider's names: pictures,
    /// sounds, the sources of a search.
    Extra {
        /// The fields as the provider sent them.
        #[cfg_attr(feature = "openapi", schema(value_type = Object))]
        fields: serde_json::Map<String, Value>,
    },
    /// The model called a tool.
    ToolCalled {
        /// The whole call.
        call: Box<ToolCall>,
    },
    /// A tool call waits for a person.
    ApprovalRequired {
        /// The whole call.
        call: Box<ToolCall>,
    },
    /// A tool is so far.
    ToolProgress {
        /// The call's id.
        id: String,
        /// How far it is.
        #[serde(flatten)]
        progress: Box<ToolProgress>,
    },
    /// A tool asks the person something and waits for the answer.
    InputRequired {
        /// The call's id.
        id: String,
        /// What it asks.
        #[serde(flatten)]
        question: Box<Elicitation>,
    },
    /// A tool answered.
    ToolReturned(Box<ToolResult>),
    /// Something the caller should know; the run goes on.
    Warning {
        /// What it is about.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        code: WarningCode,
        /// A sentence.
        detail: String,
    },
    /// The run is over and the answer stored.
    Finished(Box<Finished>),
    /// The run is over and did not succeed; the partial answer is stored.
    Error {
        /// What kind of failure it is.
        code: ErrorKind,
        /// A sentence.
        detail: String,
        /// Whether the same turn may succeed later.
        retryable: bool,
    },
}

/// Events with their sequence numbers.
pub type NumberedEvents = Vec<(u64, Arc<ChatEvent>)>;

/// The content of [`ChatEvent::Started`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Started {
    /// The run, to attach to or cancel.
    pub run_id: RunId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The message that is answered.
    pub user_message_id: Option<MessageId>,
    /// The answer's message.
    pub message_id: MessageId,
    /// The model, as `CONNECTION/MODEL`.
    pub model: String,
}

/// The content of [`ChatEvent::Finished`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finished {
    /// The answer as it is stored.
    pub message: Message,
    /// Why the model stopped; `cancelled` if somebody stopped it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub finish_reason: FinishReason,
    /// What the answer used.
    pub usage: TokenUsage,
}

impl ChatEvent {
    /// The name of its type, as in `event:` lines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started(_) => "started",
            Self::Retrieved { .. } => "retrieved",
            Self::Reasoning { .. } => "reasoning",
            Self::Text { .. } => "text",
            Self::TextWasReasoning => "text_was_reasoning",
            Self::Extra { .. } => "extra",
            Self::ToolCalled { .. } => "tool_called",
            Self::ApprovalRequired { .. } => "approval_required",
            Self::ToolProgress { .. } => "tool_progress",
            Self::InputRequired { .. } => "input_required",
            Self::ToolReturned(_) => "tool_returned",
            Self::Warning { .. } => "warning",
            Self::Finished(_) => "finished",
            Self::Error { .. } => "error",
        }
    }

    /// About the bytes that it takes: of its texts, and what surrounds them.
    pub(crate) fn bytes(&self) -> usize {
        const FIELDS: usize = 64;
        FIELDS
            + match self {
                Self::Text { text } | Self::Reasoning { text } => text.len(),
                Self::Retrieved { citations } => citations.iter().map(|one| FIELDS + one.text.len()).sum(),
                Self::ToolCalled { call } | Self::ApprovalRequired { call } => call.arguments_json().len(),
                Self::ToolReturned(result) => result.size(),
                Self::ToolProgress { progress, .. } => progress.message.as_ref().map_or(0, String::len),
                Self::InputRequired { question, .. } => {
                    question.message.len()
                        + question.schema.as_ref().map_or(0, |schema| schema.to_string().len())
                }
                Self::Warning { detail, .. } | Self::Error { detail, .. } => detail.len(),
                Self::Started(_) => FIELDS,
                Self::TextWasReasoning => 0,
                Self::Extra { fields } => fields.values().map(|value| value.to_string().len()).sum(),
                Self::Finished(finished) => finished.message.content.iter().map(Part::bytes).sum(),
            }
    }

    /// Bytes of the piece of an answer that it brings.
    pub(crate) fn text_bytes(&self) -> usize {
        if let Self::Text { text } | Self::Reasoning { text } = self { text.len() } else { 0 }
    }

    /// Whether it is the last event of its run.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Finished(_) | Self::Error { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_a_newer_version_is_read_and_handed_on() {
        for text in ["quote_not_found", "of_a_newer_version"] {
            let json = serde_json::json!({"type": "warning", "code": text, "detail": "d"});
            let event: ChatEvent = serde_json::from_value(json.clone()).unwrap();
            let ChatEvent::Warning { code, .. } = &event else { panic!("{event:?}") };
            assert_eq!(matches!(code, WarningCode::Other(_)), text == "of_a_newer_version");
            assert_eq!(serde_json::to_value(&event).unwrap(), json);
        }
    }
}

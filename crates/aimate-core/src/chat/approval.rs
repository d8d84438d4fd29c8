//! What a person says of calls of tools, and what becomes of an answer until they do.

use serde::{Deserialize, Serialize};

use crate::id::MessageId;
use crate::message::ToolCall;

/// What a person said of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct CallDecision {
    /// Whether it may be made.
    pub approve: bool,
    /// Why; the model is told where it may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl CallDecision {
    /// The call may be made.
    pub fn approve() -> Self {
        Self { approve: true, reason: None }
    }

    /// The call may not be made; the model is told why.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self { approve: false, reason: Some(reason.into()) }
    }
}

/// What becomes of an answer whose model calls a tool that needs a person's approval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnApproval {
    /// Its run waits, and goes on once a person has decided
    /// ([`Runs::decide`](crate::engine::Runs::decide)).
    #[default]
    Wait,
    /// It ends with the call, which is not made ([`ToolCall::approval`](crate::message::ToolCall::approval)). A later turn
    /// says what a person decided ([`Turn::decided`](crate::chat::Turn::decided)).
    End,
}

/// What a person decided of a call with which an earlier answer ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DecidedCall {
    /// The call.
    pub asked: AskedCall,
    /// What they said.
    pub decision: CallDecision,
    /// The caller's own name of what the person was asked; it stands at the call that is made.
    pub request: String,
}

/// A call that a person was asked of.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AskedCall {
    /// An answer of the branch ended with it.
    Answer {
        /// The answer's message.
        message: MessageId,
        /// The call's id.
        call: String,
    },
    /// The caller has it, of an answer that is not stored, and has shown the person what it says. It
    /// is made by the tool that has its name now.
    Brought(Box<ToolCall>),
}

//! How calls stand that need a person's approval.

use serde::{Deserialize, Serialize};

use super::ToolCall;

/// How a call stands that needs a person's approval, for which its answer does not wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallApproval {
    /// Its answer ended with it, and it was not made: a person is asked.
    Asked {
        /// What tells the tool as it was then from others of its name.
        tool: String,
    },
    /// A person was asked of it at the end of an earlier answer, and said what this one does.
    Given {
        /// The name of what they were asked, as the caller of the turn gave it.
        request: String,
        /// Whether it may be made.
        approve: bool,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

impl ToolCall {
    /// What tells the tool that a person is asked of, where the answer ended with the call.
    pub(crate) fn asked_of(&self) -> Option<&str> {
        match &self.approval {
            Some(CallApproval::Asked { tool }) => Some(tool),
            _ => None,
        }
    }

    /// Whether its answer ended with it, so that a person is asked whether it may be made.
    pub fn is_asked(&self) -> bool {
        matches!(self.approval, Some(CallApproval::Asked { .. }))
    }
}

//! The kinds of items, and their ids.

use aimate_core::MessageId;

use crate::openai::item::{item_id, prefix};

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ItemKind {
    Message,
    Reasoning,
    FunctionCall,
    McpCall,
    Approval,
    ListTools,
    WebSearch,
    FileSearch,
}

impl ItemKind {
    /// The id of the item at a place of a message.
    pub(super) fn id(self, message: MessageId, place: u32) -> String {
        let prefix = match self {
            Self::Message => prefix::MESSAGE,
            Self::Reasoning => prefix::REASONING,
            Self::FunctionCall => prefix::CALL,
            Self::McpCall => prefix::MCP_CALL,
            Self::Approval => prefix::APPROVAL,
            Self::ListTools => "mcpl_",
            Self::WebSearch => prefix::WEB_SEARCH,
            Self::FileSearch => "fs_",
        };
        item_id(prefix, message, place)
    }
}

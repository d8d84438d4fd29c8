//! Results of tools that are kept whole, to be paged through.

use async_trait::async_trait;

use crate::error::Result;
use crate::id::{ConversationId, ToolOutputId};
use crate::scope::Scope;

/// A result that is kept whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptOutput {
    /// Its id.
    pub id: ToolOutputId,
    /// The conversation, with which it goes.
    pub conversation_id: ConversationId,
    /// Its text.
    pub text: String,
}

/// A piece of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputPiece {
    /// The text from the byte that was asked for, or from the beginning of its character.
    pub text: String,
    /// The byte at which `text` begins.
    pub offset: u64,
    /// Bytes of the whole.
    pub total: u64,
}

/// Where results of tools are kept whole. A foreign or unknown id, or one of another
/// conversation, is `NotFound`.
#[async_trait]
pub trait ToolOutputStore: Send + Sync {
    /// Keeps a result. `NotFound` without its conversation, or where the user may not change
    /// it.
    async fn keep(&self, scope: &Scope, output: &KeptOutput) -> Result<()>;
    /// At least one and at most about `limit` bytes from byte `offset` on, at most 64 KiB;
    /// empty behind the end. At the cost of what is returned.
    async fn read(
        &self,
        scope: &Scope,
        conversation: ConversationId,
        id: ToolOutputId,
        offset: u64,
        limit: usize,
    ) -> Result<OutputPiece>;
}

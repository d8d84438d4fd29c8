//! How single messages of a conversation are added and taken out.

use async_trait::async_trait;

use super::Message;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{ConversationId, MessageId};
use crate::scope::Scope;

/// What changes a conversation message by message, beside the turns of
/// [`RunStore`](crate::run::RunStore). Every method sees the conversations of the scope's user;
/// a foreign or unknown id is `NotFound`. The path statistics of all messages below stay right.
#[async_trait]
pub trait MessageStore: Send + Sync {
    /// The ids of the messages from the root to `leaf` (the active leaf if `None`), the root
    /// first; empty for a conversation without messages. Costs the length of the path, in ids
    /// alone.
    async fn path(
        &self,
        scope: &Scope,
        id: ConversationId,
        leaf: Option<MessageId>,
    ) -> Result<Vec<MessageId>>;
    /// Those of these messages that are in conversations of the user, in no order; others are left
    /// out.
    async fn find(&self, scope: &Scope, ids: &[MessageId]) -> Result<Vec<Message>>;
    /// Adds finished messages under their parents and makes the last one the active leaf, all or
    /// none, as [`ConversationStore::append`](crate::conversation::ConversationStore::append)
    /// does; `Conflict` if `leaf` is not the active leaf any more.
    async fn extend(
        &self,
        scope: &Scope,
        id: ConversationId,
        leaf: Option<MessageId>,
        messages: &[Message],
        now: Timestamp,
    ) -> Result<()>;
    /// Takes a message out: its children follow its parent then, and so does the active leaf if
    /// it was the message. The run that wrote it goes with it. `Conflict` while it is being
    /// written, and nothing changes then.
    async fn remove(
        &self,
        scope: &Scope,
        id: ConversationId,
        message: MessageId,
        now: Timestamp,
    ) -> Result<()>;
    /// Puts an empty text in the place of these parts of a message, by their index in its content,
    /// so that the others keep theirs; the message costs `tokens` less then. `NotFound` if one
    /// of them is not there, or is an empty text already; `Conflict` while the message is being
    /// written; nothing changes then.
    async fn blank(
        &self,
        scope: &Scope,
        id: ConversationId,
        message: MessageId,
        parts: &[u32],
        tokens: u32,
    ) -> Result<()>;
}

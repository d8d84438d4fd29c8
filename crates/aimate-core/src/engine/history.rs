//! What a model reads of a stored branch, for calls that are not stored.

use super::Conversations;
use super::turn_prompt::budget;
use crate::chat::Truncation;
use crate::chat::context::{MAX_MESSAGES, readable, too_long};
use crate::error::Result;
use crate::id::{ConversationId, MessageId};
use crate::message::{Message, MessageRole, MessageStatus};

impl Conversations {
    /// The newest messages up to `leaf`, or to the end of the open branch, that `model` can read
    /// together, oldest first, with `max_tokens` of its window kept for the answer; without what
    /// is for another provider alone. Costs what is read, however long the branch is.
    ///
    /// # Errors
    /// `NotFound`; `ContextOverflow` if there are more and `truncation` is `Disabled`.
    pub async fn readable(
        &self,
        id: ConversationId,
        leaf: Option<MessageId>,
        model: &str,
        max_tokens: Option<u32>,
        truncation: Truncation,
    ) -> Result<Vec<Message>> {
        self.engine.admit(&self.scope).await?;
        let target = self.engine.resolve_model(&self.scope, Some(model)).await?;
        let budget = budget(target.window(), max_tokens);
        let conversations = &self.engine.inner.stores.conversations;
        let window = conversations.window(&self.scope, id, leaf, budget.prompt(), MAX_MESSAGES).await?;
        let mut messages = window.messages;
        if messages.first().is_some_and(|first| first.parent_id.is_some()) {
            let path = messages.last().map(|last| last.path_stats).unwrap_or_default();
            if truncation == Truncation::Disabled && path.path_tokens > budget.prompt() {
                return Err(too_long(path.path_tokens, path.depth.into(), budget));
            }
            let opens = |message: &Message| matches!(message.role, MessageRole::User | MessageRole::System);
            let first = messages.iter().position(opens).unwrap_or(messages.len());
            messages.drain(..first);
        }
        messages.retain(|message| message.status != MessageStatus::Streaming);
        for message in &mut messages {
            readable(message, &target.connection.name);
        }
        Ok(messages)
    }
}

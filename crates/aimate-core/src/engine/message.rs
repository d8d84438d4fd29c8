//! Messages that callers add to a conversation and take out of it, without a turn.

use aimate_text::tokens::{MESSAGE_OVERHEAD, Tokenizer};

use super::{Conversations, Engine};
use crate::chat::InputMessage;
use crate::chat::context::message_tokens;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ConversationId, MessageId};
use crate::message::{Message, MessageStatus, Part, PathStats};

/// How often messages are added again after others were in between.
const TRIES: u32 = 8;
/// Messages that are found at once, at most.
const MAX_FOUND: usize = 100;

impl Conversations {
    /// Stores messages at the end of the open branch, in one commit, and returns them as they
    /// are stored, in their order. Nobody answers them. They may be of any role: what was said
    /// elsewhere can be brought here, with the calls of tools and their results.
    ///
    /// # Errors
    /// `NotFound`; `Invalid`, naming the message; `TooLarge`; `Conflict` while the last answer
    /// of the branch is being written.
    pub async fn append(&self, id: ConversationId, messages: Vec<InputMessage>) -> Result<Vec<Message>> {
        self.engine.admit(&self.scope).await?;
        let messages = InputMessage::validated_all(messages)?;
        let counted = self.engine.counted(Tokenizer::Estimate, messages).await?;
        let stores = &self.engine.inner.stores;
        for _ in 0..TRIES {
            let window = stores.conversations.window(&self.scope, id, None, 0, 1).await?;
            let leaf = window.messages.last();
            if leaf.is_some_and(|leaf| leaf.status == MessageStatus::Streaming) {
                return Err(being_written());
            }
            let new = self.engine.added(id, leaf, counted.clone());
            let now = self.engine.inner.sources.now();
            match stores.messages.extend(&self.scope, id, leaf.map(|leaf| leaf.id), &new, now).await {
                Ok(()) => return Ok(new),
                // Others added some: these come after them.
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::unavailable("the conversation changes at this moment; try again"))
    }

    /// The ids of the messages from the first to `leaf`, or to the end of the open branch. Costs
    /// the length of the branch, in ids alone.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn path(&self, id: ConversationId, leaf: Option<MessageId>) -> Result<Vec<MessageId>> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.messages.path(&self.scope, id, leaf).await
    }

    /// Those of these messages, 100 at most, that the user may see in any conversation, in no
    /// order; others are left out.
    ///
    /// # Errors
    /// `Invalid` for more.
    pub async fn find_messages(&self, ids: &[MessageId]) -> Result<Vec<Message>> {
        self.engine.admit(&self.scope).await?;
        if ids.len() > MAX_FOUND {
            return Err(Error::field("ids", format!("has {} ids; the most is {MAX_FOUND}", ids.len())));
        }
        self.engine.inner.stores.messages.find(&self.scope, ids).await
    }

    /// Takes a message out of the conversation: what followed it follows the message before it
    /// then, also if it was the last one. The run that wrote it goes with it.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` while it is being written.
    pub async fn remove_message(&self, id: ConversationId, message: MessageId) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        inner.stores.messages.remove(&self.scope, id, message, inner.sources.now()).await
    }

    /// Takes parts out of a message, by their index in its content. An empty text stays in the
    /// place of each, so that the index of the others stays what it is; where nothing else is
    /// left, the message is [removed](Self::remove_message).
    ///
    /// # Errors
    /// `NotFound` for a message or part that is not there; `Conflict` while the message is being
    /// written.
    pub async fn remove_parts(&self, id: ConversationId, message: MessageId, parts: &[u32]) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        let stored = inner.stores.conversations.message(&self.scope, id, message).await?;
        let is_taken = |n: usize| parts.iter().any(|part| *part as usize == n);
        let (mut taken, mut is_empty) = (Vec::new(), true);
        for (n, part) in stored.content.into_iter().enumerate() {
            if is_taken(n) {
                taken.push(part);
            } else {
                is_empty &= is_unsaid(&part);
            }
        }
        if taken.len() < parts.len() || taken.iter().any(is_blank) {
            return Err(Error::not_found("the message has no such part"));
        }
        if is_empty {
            return self.remove_message(id, message).await;
        }
        // It was counted by the model's own tokenizer.
        let most = stored.path_stats.tokens;
        let tokens = message_tokens(Tokenizer::Estimate, &taken).saturating_sub(MESSAGE_OVERHEAD).min(most);
        inner.stores.messages.blank(&self.scope, id, message, parts, tokens).await
    }
}

/// Whether it is what stays of a part that was taken out.
fn is_blank(part: &Part) -> bool {
    matches!(part, Part::Text { text } if text.is_empty())
}

/// Whether it says nothing without other parts.
fn is_unsaid(part: &Part) -> bool {
    match part {
        Part::Text { text } => text.is_empty(),
        Part::Citation(_) | Part::Extra { .. } => true,
        _ => false,
    }
}

fn being_written() -> Error {
    Error::conflict("the last answer is still being written; wait for it or cancel its run")
}

impl Engine {
    /// Messages with what each costs, in tokens.
    pub(super) async fn counted(
        &self,
        tokenizer: Tokenizer,
        messages: Vec<InputMessage>,
    ) -> Result<Vec<(u32, InputMessage)>> {
        let mut counted = Vec::with_capacity(messages.len());
        for (n, InputMessage { role, content, metadata }) in messages.into_iter().enumerate() {
            // Thousands of short ones take as long as a long one.
            if n > 0 {
                tokio::task::yield_now().await;
            }
            let (tokens, content) = self.count(tokenizer, content).await?;
            counted.push((tokens, InputMessage { role, content, metadata }));
        }
        Ok(counted)
    }

    /// Messages that follow `leaf`, each the one before.
    pub(super) fn added(
        &self,
        id: ConversationId,
        leaf: Option<&Message>,
        counted: Vec<(u32, InputMessage)>,
    ) -> Vec<Message> {
        let mut parent = leaf.map(|leaf| (leaf.id, leaf.path_stats));
        let mut new = Vec::with_capacity(counted.len());
        for (tokens, input) in counted {
            let path_stats = parent.map_or_else(PathStats::default, |(_, stats)| stats).child(tokens);
            let message = Message {
                id: self.inner.sources.id(),
                conversation_id: id,
                parent_id: parent.map(|(id, _)| id),
                role: input.role,
                content: input.content,
                status: MessageStatus::Complete,
                model: None,
                usage: None,
                cost: None,
                metadata: input.metadata,
                created_at: self.inner.sources.now(),
                path_stats,
            };
            parent = Some((message.id, message.path_stats));
            new.push(message);
        }
        new
    }
}

//! Sharing conversations by links.

use super::Engine;
use crate::audit::{AuditEvent, action};
use crate::conversation::Conversation;
use crate::error::{Error, Result};
use crate::id::{ConversationId, MessageId, ShareId};
use crate::message::MessageStatus;
use crate::page::{Page, PageRequest};
use crate::scope::Scope;
use crate::share::{
    CreatedShare, MAX_SHARED_BYTES, MAX_SHARED_MESSAGES, NewShare, Share, SharedConversation, SharedMessage,
    new_token, token_hash,
};

/// The links of a scope's conversations; see [`Engine::shares`].
#[derive(Clone, Debug)]
pub struct Shares {
    engine: Engine,
    scope: Scope,
}

impl Engine {
    /// The links by which `scope`'s user shares conversations.
    pub fn shares(&self, scope: &Scope) -> Shares {
        Shares { engine: self.clone(), scope: *scope }
    }

    /// What the link with this secret shows. For anybody: the secret is all that is asked
    /// for.
    ///
    /// # Errors
    /// `NotFound` if there is no such link, or not any more; what the store says.
    pub async fn shared(&self, token: &str) -> Result<SharedConversation> {
        let gone = || Error::not_found("nothing is shared by this link, or not any more");
        let hash = token_hash(token).ok_or_else(gone)?;
        self.inner.stores.shares.find(&hash, self.inner.sources.now()).await?.ok_or_else(gone)
    }
}

impl Shares {
    /// Shares a branch of a conversation by a link, as it is now: what is said, its
    /// pictures, the titles of its sources and what is quoted of them; and of nothing else.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` to a viewer of its workspace; `Invalid` for an end that is
    /// past or too far, or a branch in which nothing was said; `Conflict` while its answer
    /// is being written, or if the conversation has [`MAX_SHARES`](crate::share::MAX_SHARES)
    /// links; `TooLarge`.
    pub async fn create(&self, conversation: ConversationId, new: NewShare) -> Result<CreatedShare> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        let now = inner.sources.now();
        let expires_at = new.end(now)?;
        let stored = inner.stores.conversations.get(&self.scope, conversation).await?;
        let (leaf, messages) = self.branch(&stored, &new).await?;
        let shown = SharedConversation {
            title: stored.title,
            system_prompt: stored.system_prompt.filter(|_| new.include_system_prompt),
            messages,
            shared_at: now,
            expires_at,
        };
        let share = Share {
            id: inner.sources.id(),
            conversation_id: conversation,
            message_id: leaf,
            user_id: self.scope.user,
            title: shown.title.clone(),
            message_count: u32::try_from(shown.messages.len()).unwrap_or(u32::MAX),
            has_system_prompt: shown.system_prompt.is_some(),
            created_at: now,
            expires_at,
        };
        let (token, hash) = new_token()?;
        inner.stores.shares.create(&self.scope, &share, &hash, &shown).await?;
        let event = AuditEvent::new(action::SHARE_CREATED).target("share", share.id);
        let event = event.detail("conversation", conversation.to_string());
        self.engine.audit_of(&self.scope, event.detail("expires_at", expires_at.to_string())).await;
        Ok(CreatedShare { share, token })
    }

    /// The last message of the branch, and what of it is shared, oldest first.
    async fn branch(
        &self,
        conversation: &Conversation,
        new: &NewShare,
    ) -> Result<(MessageId, Vec<SharedMessage>)> {
        let conversations = &self.engine.inner.stores.conversations;
        let mut page = PageRequest::first(PageRequest::MAX_LIMIT);
        // Newest first, until it is whole.
        let (mut leaf, mut shown, mut read, mut bytes) = (None, Vec::new(), 0, 0);
        loop {
            let found = conversations.messages(&self.scope, conversation.id, new.message_id, page).await?;
            for message in found.data.into_iter().rev().map(|listed| listed.message) {
                if message.status == MessageStatus::Streaming {
                    return Err(Error::conflict(
                        "the answer is still being written; wait for it or cancel its run",
                    ));
                }
                leaf.get_or_insert(message.id);
                read += 1;
                let Some(message) = SharedMessage::of(&message, new.include_system_prompt) else { continue };
                bytes += size(&message)?;
                shown.push(message);
            }
            if read > MAX_SHARED_MESSAGES || bytes > MAX_SHARED_BYTES {
                return Err(Error::too_large(format!(
                    "the branch has more than {MAX_SHARED_MESSAGES} messages or {} MiB, the most that a link \
                     shows; share one that ends earlier",
                    MAX_SHARED_BYTES >> 20
                )));
            }
            match found.next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        shown.reverse();
        match leaf {
            Some(leaf) if !shown.is_empty() => Ok((leaf, shown)),
            _ => Err(Error::invalid("nothing was said in the conversation, so there is nothing to share")),
        }
    }

    /// The links of a conversation, newest first.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` to a viewer of its workspace.
    pub async fn list(&self, conversation: ConversationId, page: PageRequest) -> Result<Page<Share>> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.shares.list(&self.scope, conversation, page).await
    }

    /// Revokes a link: it opens nothing any more, and what it showed is deleted.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` to a viewer of the conversation's workspace.
    pub async fn revoke(&self, id: ShareId) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        let conversation = self.engine.inner.stores.shares.delete(&self.scope, id).await?;
        let event = AuditEvent::new(action::SHARE_REVOKED).target("share", id);
        self.engine.audit_of(&self.scope, event.detail("conversation", conversation.to_string())).await;
        Ok(())
    }
}

/// Bytes of a message as JSON.
fn size(message: &SharedMessage) -> Result<usize> {
    let json = serde_json::to_vec(message);
    json.map(|json| json.len())
        .map_err(|error| Error::internal("a message could not be serialized").with_source(error))
}

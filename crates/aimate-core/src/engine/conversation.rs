//! Managing a user's conversations.

use std::collections::HashSet;

use super::Engine;
use crate::conversation::{
    Conversation, ConversationChange, ConversationFilter, ConversationHit, ConversationSearch, DEFAULT_TITLE,
    ListedMessage, NewConversation,
};
use crate::error::{Error, Result};
use crate::id::{ConversationId, MessageId};
use crate::message::{Message, MessageRole, MessageStatus, Part, normalize_content};
use crate::page::{Page, PageRequest};
use crate::scope::Scope;

/// The conversations of a scope; see [`Engine::conversations`].
#[derive(Clone, Debug)]
pub struct Conversations {
    pub(super) engine: Engine,
    pub(super) scope: Scope,
}

impl Engine {
    /// The conversations of `scope`'s user.
    pub fn conversations(&self, scope: &Scope) -> Conversations {
        Conversations { engine: self.clone(), scope: *scope }
    }

    /// A conversation that is not stored yet.
    pub(super) fn new_conversation(&self, new: NewConversation) -> Conversation {
        let now = self.inner.sources.now();
        Conversation {
            id: self.inner.sources.id(),
            workspace_id: new.workspace_id,
            title: new.title.unwrap_or_else(|| DEFAULT_TITLE.to_owned()),
            system_prompt: new.system_prompt.filter(|text| !text.trim().is_empty()),
            is_pinned: new.is_pinned,
            is_archived: false,
            is_hidden: false,
            tags: new.tags,
            metadata: new.metadata,
            active_leaf_id: None,
            message_count: 0,
            created_at: now,
            updated_at: now,
        }
    }
}

impl Conversations {
    /// Stores a new, empty conversation.
    ///
    /// # Errors
    /// `Invalid`, naming the field; `NotFound` if the workspace is not the user's.
    pub async fn create(&self, new: NewConversation) -> Result<Conversation> {
        self.engine.admit(&self.scope).await?;
        new.check()?;
        let conversation = self.engine.new_conversation(new);
        self.engine.inner.stores.conversations.create(&self.scope, &conversation).await?;
        Ok(conversation)
    }

    /// One conversation.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, id: ConversationId) -> Result<Conversation> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.conversations.get(&self.scope, id).await
    }

    /// The user's conversations, last changed first.
    ///
    /// # Errors
    /// What the store says.
    pub async fn list(&self, filter: &ConversationFilter, page: PageRequest) -> Result<Page<Conversation>> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.conversations.list(&self.scope, filter, page).await
    }

    /// The user's conversations, and those of their workspaces, in which every word of the
    /// search occurs: in the title, or in what anybody or the model says in any message of
    /// any branch. The newest message that fits best comes first. Each hit shows where the
    /// words stand. A page may have fewer hits than asked for, and a next one.
    ///
    /// # Errors
    /// `Invalid` if the query is empty or too long.
    pub async fn search(
        &self,
        search: &ConversationSearch,
        page: PageRequest,
    ) -> Result<Page<ConversationHit>> {
        self.engine.admit(&self.scope).await?;
        search.check()?;
        let words = search.words();
        if words.words().is_empty() {
            return Ok(Page::default());
        }
        let found = self.engine.inner.stores.conversations.search(&self.scope, search, page).await?;
        Ok(found.map(|found| ConversationHit::new(found, &words)))
    }

    /// Changes a conversation.
    ///
    /// # Errors
    /// `Invalid`; `NotFound` if it, the workspace or the leaf is not there.
    pub async fn update(&self, id: ConversationId, change: ConversationChange) -> Result<Conversation> {
        self.engine.admit(&self.scope).await?;
        change.check()?;
        let inner = &self.engine.inner;
        inner.stores.conversations.update(&self.scope, id, &change).await
    }

    /// Deletes a conversation with its messages; stops its running answers.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete(&self, id: ConversationId) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        inner.stores.conversations.delete(&self.scope, id).await?;
        inner.cancel_all_of(id);
        Ok(())
    }

    /// One message.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn message(&self, id: ConversationId, message: MessageId) -> Result<Message> {
        self.engine.admit(&self.scope).await?;
        let mut message = self.engine.inner.stores.conversations.message(&self.scope, id, message).await?;
        self.mark_stale([&mut message]).await?;
        Ok(message)
    }

    /// The newest page of the branch that ends at `leaf` (the open branch if
    /// `None`), oldest message first; the next page is older.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn messages(
        &self,
        id: ConversationId,
        leaf: Option<MessageId>,
        page: PageRequest,
    ) -> Result<Page<ListedMessage>> {
        self.engine.admit(&self.scope).await?;
        let mut page = self.engine.inner.stores.conversations.messages(&self.scope, id, leaf, page).await?;
        self.mark_stale(page.data.iter_mut().map(|listed| &mut listed.message)).await?;
        Ok(page)
    }

    /// The last message of the newest branch through `message`, for
    /// [`messages`](Self::messages): from it on always the child that came last.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn newest_leaf(&self, id: ConversationId, message: MessageId) -> Result<MessageId> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.conversations.newest_leaf(&self.scope, id, message).await
    }

    /// Marks citations whose passage does not stand in its document any more.
    async fn mark_stale<'m>(&self, messages: impl IntoIterator<Item = &'m mut Message>) -> Result<()> {
        let parts = messages.into_iter().flat_map(|message| &mut message.content);
        let citations =
            parts.filter_map(|part| if let Part::Citation(one) = part { Some(one) } else { None });
        let citations: Vec<_> = citations.collect();
        // What comes from a source of the application's own is its to tell.
        let mut chunks: Vec<_> = citations.iter().filter_map(|one| one.chunk_id).collect();
        chunks.sort_unstable();
        chunks.dedup();
        if chunks.is_empty() {
            return Ok(());
        }
        let there = self.engine.inner.stores.index.passages(&self.scope, &chunks).await?;
        let there: HashSet<_> = there.into_iter().map(|passage| passage.chunk.id).collect();
        for one in citations {
            one.is_stale = one.chunk_id.is_some_and(|chunk| !there.contains(&chunk));
        }
        Ok(())
    }

    /// Stores another wording of an answer beside it and opens that branch.
    /// (Another wording of a question is a [`Turn`](crate::chat::Turn) of its
    /// own, since it wants another answer; see [`Engine::edit`].)
    ///
    /// # Errors
    /// `Invalid` if it is more than text, `TooLarge`, `NotFound`; `Conflict` while the answer is being
    /// written.
    pub async fn edit_answer(
        &self,
        id: ConversationId,
        message: MessageId,
        mut content: Vec<Part>,
    ) -> Result<Message> {
        self.engine.admit(&self.scope).await?;
        normalize_content("content", &mut content)?;
        if let Some(n) = content.iter().position(|part| !matches!(part, Part::Text { .. })) {
            return Err(Error::field(
                format!("content[{n}]"),
                "is no text; another wording of an answer is text alone",
            ));
        }
        let inner = &self.engine.inner;
        let window = inner.stores.conversations.window(&self.scope, id, Some(message), 0, 2).await?;
        let edited = window.messages.last().ok_or_else(|| Error::missing("message", message))?;
        if edited.status == MessageStatus::Streaming {
            return Err(Error::conflict("the answer is still being written; wait for it or cancel its run"));
        }
        if edited.role != MessageRole::Assistant {
            return Err(Error::invalid("only an answer is edited in place; a question starts a turn"));
        }
        let (tokens, content) = self.engine.count(aimate_text::tokens::Tokenizer::Estimate, content).await?;
        let now = inner.sources.now();
        let sibling = Message {
            id: inner.sources.id(),
            content,
            status: MessageStatus::Complete,
            usage: None,
            cost: None,
            created_at: now,
            path_stats: edited.path_stats.with_tokens(tokens),
            ..edited.clone()
        };
        inner.stores.conversations.append(&self.scope, id, std::slice::from_ref(&sibling), now).await?;
        Ok(sibling)
    }

    /// Copies the branch up to `message` into a new conversation.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` while the message is being written.
    pub async fn fork(&self, id: ConversationId, message: MessageId) -> Result<Conversation> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        let stored = self.get(id).await?;
        if self.message(id, message).await?.status == MessageStatus::Streaming {
            return Err(Error::conflict("the answer is still being written; wait for it or cancel its run"));
        }
        let now = inner.sources.now();
        let into = Conversation {
            id: inner.sources.id(),
            is_pinned: false,
            is_archived: false,
            is_hidden: false,
            active_leaf_id: None,
            message_count: 0,
            created_at: now,
            updated_at: now,
            ..stored
        };
        inner.stores.conversations.fork(&self.scope, id, message, &into, inner.sources.ids.as_ref()).await
    }
}

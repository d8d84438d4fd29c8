//! Conversations.

mod append;
mod fork;
mod search;

use aimate_core::conversation::{
    Conversation, ConversationChange, ConversationFilter, ConversationSearch, ConversationStore,
    FoundConversation, ListedMessage, Window,
};
use aimate_core::message::Message;
use aimate_core::workspace::WorkspaceRole;
use aimate_core::{
    ConversationId, Cursor, Error, ErrorKind, Ids, MessageId, Page, PageRequest, Result, Scope, Timestamp,
};
use async_trait::async_trait;

use crate::SqlStore;
use crate::database::{DbError, Row, Sql, Statement, each};
use crate::message::message;
use crate::message_index::{NewTexts, request};
use crate::page::{before, or_not_found, rows_of};
use crate::value::{contains, count, json, maybe_json, maybe_text, text};
use crate::workspace::too_little;

/// In no workspace, or in one that the user may add to.
const CREATE: Sql = Sql::Same(
    "INSERT INTO conversations (tenant_id, user_id, id, workspace_id, title, title_folded, system_prompt, \
     is_pinned, is_archived, tags, metadata, active_leaf_id, message_count, created_at, updated_at, is_hidden) \
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16 \
     WHERE (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = $4) <> 'viewer' OR $4 IS NULL",
);
const GET: Sql = Sql::Same(
    "SELECT id, workspace_id, title, system_prompt, is_pinned, is_archived, is_hidden, tags, metadata, active_leaf_id, \
     message_count, created_at, updated_at \
     FROM conversations WHERE tenant_id = $1 AND id = $3 \
     AND (conversations.workspace_id IS NULL AND conversations.user_id = $2 OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = conversations.workspace_id) IS NOT NULL)",
);
/// Those that were changed before the cursor `$3`, `$4`. Conditions that are
/// NULL are not asked for; no index serves them, so one statement does for all. Who made
/// something in a workspace is in it (see `workspace/hand_over.rs`), but for what they added
/// at the moment when they were put out.
const LIST: Sql = Sql::Each {
    sqlite: "SELECT id, workspace_id, title, system_prompt, is_pinned, is_archived, is_hidden, tags, metadata, \
        active_leaf_id, message_count, created_at, updated_at FROM conversations \
        WHERE tenant_id = $1 AND user_id = $2 AND is_hidden = $10 AND (updated_at, id) < ($3, $4) \
        AND (workspace_id IS NULL OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 \
            AND a.user_id = $2 AND a.workspace_id = conversations.workspace_id) IS NOT NULL) \
        AND ($5 IS NULL OR is_archived = $5) AND ($6 IS NULL OR is_pinned = $6) \
        AND ($7 IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) t WHERE t.value = $7)) \
        AND ($8 IS NULL OR title_folded LIKE $8 ESCAPE '\\') \
        ORDER BY updated_at DESC, id DESC LIMIT $9",
    postgres: "SELECT id, workspace_id, title, system_prompt, is_pinned, is_archived, is_hidden, tags, metadata, \
        active_leaf_id, message_count, created_at, updated_at FROM conversations \
        WHERE tenant_id = $1 AND user_id = $2 AND is_hidden = $10 AND (updated_at, id) < ($3, $4) \
        AND (workspace_id IS NULL OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 \
            AND a.user_id = $2 AND a.workspace_id = conversations.workspace_id) IS NOT NULL) \
        AND ($5::boolean IS NULL OR is_archived = $5) AND ($6::boolean IS NULL OR is_pinned = $6) \
        AND ($7::text IS NULL OR EXISTS (SELECT 1 FROM jsonb_array_elements_text(tags) AS t (value) \
            WHERE t.value = $7)) \
        AND ($8::text IS NULL OR title_folded LIKE $8 ESCAPE '\\') \
        ORDER BY updated_at DESC, id DESC LIMIT $9",
};
/// All of workspace `$11`, which has an index of its own, if the user is in it.
const LIST_OF_WORKSPACE: Sql = Sql::Each {
    sqlite: "SELECT id, workspace_id, title, system_prompt, is_pinned, is_archived, is_hidden, tags, metadata, \
        active_leaf_id, message_count, created_at, updated_at FROM conversations \
        WHERE tenant_id = $1 AND workspace_id = $11 AND is_hidden = $10 AND (updated_at, id) < ($3, $4) \
        AND (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 \
            AND a.workspace_id = $11) IS NOT NULL \
        AND ($5 IS NULL OR is_archived = $5) AND ($6 IS NULL OR is_pinned = $6) \
        AND ($7 IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) t WHERE t.value = $7)) \
        AND ($8 IS NULL OR title_folded LIKE $8 ESCAPE '\\') \
        ORDER BY updated_at DESC, id DESC LIMIT $9",
    postgres: "SELECT id, workspace_id, title, system_prompt, is_pinned, is_archived, is_hidden, tags, metadata, \
        active_leaf_id, message_count, created_at, updated_at FROM conversations \
        WHERE tenant_id = $1 AND workspace_id = $11 AND is_hidden = $10 AND (updated_at, id) < ($3, $4) \
        AND (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 \
            AND a.workspace_id = $11) IS NOT NULL \
        AND ($5::boolean IS NULL OR is_archived = $5) AND ($6::boolean IS NULL OR is_pinned = $6) \
        AND ($7::text IS NULL OR EXISTS (SELECT 1 FROM jsonb_array_elements_text(tags) AS t (value) \
            WHERE t.value = $7)) \
        AND ($8::text IS NULL OR title_folded LIKE $8 ESCAPE '\\') \
        ORDER BY updated_at DESC, id DESC LIMIT $9",
};
/// Who made it puts it into a workspace where they may add to, or takes it out again;
/// out of it an owner of the workspace does so too.
const UPDATE: Sql = Sql::Same(
    "UPDATE conversations SET title = COALESCE($4, title), title_folded = COALESCE($5, title_folded), \
     workspace_id = CASE WHEN $6 THEN $7 ELSE workspace_id END, is_pinned = COALESCE($8, is_pinned), \
     is_archived = COALESCE($9, is_archived), tags = COALESCE($10, tags), \
     metadata = COALESCE($11, metadata), active_leaf_id = COALESCE($12, active_leaf_id), \
     system_prompt = NULLIF(COALESCE($13, system_prompt), '') \
     WHERE tenant_id = $1 AND id = $3 AND (EXISTS (SELECT 1 FROM messages m \
        WHERE m.tenant_id = $1 AND m.conversation_id = $3 AND m.id = $12) OR $12 IS NULL) \
     AND (conversations.workspace_id IS NULL AND conversations.user_id = $2 OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = conversations.workspace_id) <> 'viewer') \
     AND ((SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 \
        AND a.workspace_id = $7) <> 'viewer' OR $7 IS NULL) \
     AND (NOT $6 OR user_id = $2 OR $7 IS NULL AND (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = conversations.workspace_id) = 'owner') \
     RETURNING id, workspace_id, title, system_prompt, is_pinned, is_archived, is_hidden, tags, metadata, \
     active_leaf_id, message_count, created_at, updated_at",
);
const DELETE: Sql = Sql::Same(
    "DELETE FROM conversations WHERE tenant_id = $1 AND id = $3 \
     AND (conversations.workspace_id IS NULL AND conversations.user_id = $2 OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = conversations.workspace_id) <> 'viewer')",
);
const MESSAGE: Sql = Sql::Same(
    "SELECT m.id, m.conversation_id, m.parent_id, m.role, m.content, m.status, m.model, m.usage, m.cost, \
     m.metadata, m.depth, m.tokens, m.path_tokens, m.created_at \
     FROM conversations c JOIN messages m ON m.tenant_id = c.tenant_id AND m.conversation_id = c.id \
     WHERE c.tenant_id = $1 AND c.id = $3 AND m.id = $4 \
     AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL)",
);

/// The conversation of a row.
pub(crate) fn conversation(row: &Row) -> Result<Conversation> {
    Ok(Conversation {
        id: row.get("id")?,
        workspace_id: row.maybe("workspace_id")?,
        title: row.get("title")?,
        system_prompt: row.maybe("system_prompt")?,
        is_pinned: row.get("is_pinned")?,
        is_archived: row.get("is_archived")?,
        is_hidden: row.get("is_hidden")?,
        tags: row.json("tags")?,
        metadata: row.json("metadata")?,
        active_leaf_id: row.maybe("active_leaf_id")?,
        message_count: row.get("message_count")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// The statement that stores a conversation.
pub(crate) fn create(scope: &Scope, conversation: &Conversation) -> Result<Statement> {
    Ok(CREATE
        .scoped(scope)
        .bind(conversation.id)
        .bind(conversation.workspace_id)
        .bind(text(&conversation.title))
        .bind(text(&conversation.title).to_lowercase())
        .bind(maybe_text(conversation.system_prompt.as_ref()))
        .bind(conversation.is_pinned)
        .bind(conversation.is_archived)
        .bind(json(&conversation.tags)?)
        .bind(json(&conversation.metadata)?)
        .bind(conversation.active_leaf_id)
        .bind(count(conversation.message_count))
        .bind(conversation.created_at)
        .bind(conversation.updated_at)
        .bind(conversation.is_hidden)
        .expect_touched(1))
}

#[async_trait]
impl ConversationStore for SqlStore {
    async fn create(&self, scope: &Scope, conversation: &Conversation) -> Result<()> {
        let empty = Conversation { active_leaf_id: None, message_count: 0, ..conversation.clone() };
        let title = NewTexts::of(empty.id, []).titled(Some(&empty.title)).analyzed(self).await?;
        let statements = [create(scope, &empty)?].into_iter().chain(title.statement(scope.tenant));
        match self.database.transaction_of(statements.collect()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.not_created(scope, conversation, error).await),
        }
    }

    async fn get(&self, scope: &Scope, id: ConversationId) -> Result<Conversation> {
        let row = self.database.read_first(GET.scoped(scope).bind(id)).await?;
        conversation(&or_not_found(row, || Error::missing("conversation", id))?)
    }

    async fn list(
        &self,
        scope: &Scope,
        filter: &ConversationFilter,
        page: PageRequest,
    ) -> Result<Page<Conversation>> {
        let sql = if filter.workspace_id.is_some() { LIST_OF_WORKSPACE } else { LIST };
        let mut list = sql
            .scoped(scope)
            .bind(page.after.map_or(i64::MAX, |cursor| cursor.at.0))
            .bind(before(page))
            .bind(filter.is_archived)
            .bind(filter.is_pinned)
            .bind(maybe_text(filter.tag.as_ref()))
            .bind(filter.query.as_ref().map(|query| contains(query)))
            .bind(rows_of(page))
            .bind(filter.is_hidden);
        if let Some(workspace) = filter.workspace_id {
            list = list.bind(workspace);
        }
        let rows = each(&self.database.read(list).await?, conversation)?;
        Ok(Page::of(rows, page.limit, |row| Cursor { at: row.updated_at, id: row.id.0 }))
    }

    async fn search(
        &self,
        scope: &Scope,
        search: &ConversationSearch,
        page: PageRequest,
    ) -> Result<Page<FoundConversation>> {
        self.search_conversations(scope, search, page).await
    }

    async fn update(
        &self,
        scope: &Scope,
        id: ConversationId,
        change: &ConversationChange,
    ) -> Result<Conversation> {
        let workspace = change.workspace_id.flatten();
        let update = UPDATE
            .scoped(scope)
            .bind(id)
            .bind(maybe_text(change.title.as_ref()))
            .bind(change.title.as_ref().map(|title| text(title).to_lowercase()))
            .bind(change.workspace_id.is_some())
            .bind(workspace)
            .bind(change.is_pinned)
            .bind(change.is_archived)
            .bind(maybe_json(change.tags.as_ref())?)
            .bind(maybe_json(change.metadata.as_ref())?)
            .bind(change.active_leaf_id)
            .bind(maybe_text(change.system_prompt.as_ref()))
            .expect_returned();
        let title = NewTexts::of(id, []).titled(change.title.as_deref()).analyzed(self).await?;
        let title = title.statement(scope.tenant);
        // Of where it is now and of where it will be.
        let moves = change.workspace_id.is_some().then(|| request(scope.tenant, id, true));
        let statements = moves.clone().into_iter().chain([update]).chain(moves).chain(title).collect();
        match self.database.transaction_of(statements).await {
            Ok(outcomes) => {
                if change.workspace_id.is_some() {
                    self.index_at_once(scope.tenant, id).await;
                }
                let mut rows = outcomes.into_iter().flat_map(|outcome| outcome.rows);
                conversation(&or_not_found(rows.next(), || Error::missing("conversation", id))?)
            }
            Err(DbError::RowCount { .. }) => Err(self.not_changed(scope, id, change).await),
            Err(error) => Err(error.into()),
        }
    }

    async fn delete(&self, scope: &Scope, id: ConversationId) -> Result<()> {
        // What it leaves in the index goes soon after.
        let index = request(scope.tenant, id, true);
        match self
            .database
            .transaction([index, DELETE.scoped(scope).bind(id).expect_touched(1).uses_reserve()])
            .await
        {
            Ok(_) => Ok(()),
            Err(DbError::RowCount { .. }) => Err(self.not_their_conversation(scope, id).await),
            Err(error) => Err(error.into()),
        }
    }

    async fn message(&self, scope: &Scope, id: ConversationId, wanted: MessageId) -> Result<Message> {
        let row = self.database.read_first(MESSAGE.scoped(scope).bind(id).bind(wanted)).await?;
        message(&or_not_found(row, || Error::missing("message", wanted))?)
    }

    async fn messages(
        &self,
        scope: &Scope,
        id: ConversationId,
        leaf: Option<MessageId>,
        page: PageRequest,
    ) -> Result<Page<ListedMessage>> {
        self.read_page(scope, id, leaf, page).await
    }

    async fn newest_leaf(&self, scope: &Scope, id: ConversationId, message: MessageId) -> Result<MessageId> {
        self.read_newest_leaf(scope, id, message).await
    }

    async fn append(
        &self,
        scope: &Scope,
        id: ConversationId,
        messages: &[Message],
        now: Timestamp,
    ) -> Result<()> {
        self.append_messages(scope, id, None, messages, now).await
    }

    async fn window(
        &self,
        scope: &Scope,
        id: ConversationId,
        leaf: Option<MessageId>,
        tokens: u64,
        max: u32,
    ) -> Result<Window> {
        self.read_window(scope, id, leaf, tokens, max).await
    }

    async fn fork(
        &self,
        scope: &Scope,
        id: ConversationId,
        leaf: MessageId,
        into: &Conversation,
        ids: &dyn Ids,
    ) -> Result<Conversation> {
        self.fork_path(scope, id, leaf, into, ids).await
    }
}

impl SqlStore {
    /// `NotFound` if the conversation is not there.
    pub(crate) async fn check_conversation(&self, scope: &Scope, id: ConversationId) -> Result<()> {
        ConversationStore::get(self, scope, id).await.map(drop)
    }

    /// Why a conversation was not written to: `NotFound` to who does not see it,
    /// `Forbidden` to viewers of its workspace.
    pub(crate) async fn not_their_conversation(&self, scope: &Scope, id: ConversationId) -> Error {
        match ConversationStore::get(self, scope, id).await {
            Ok(Conversation { workspace_id: Some(workspace), .. }) => {
                match self.workspace_role(scope, workspace).await {
                    Ok(Some(role)) if role < WorkspaceRole::Editor => too_little(role, WorkspaceRole::Editor),
                    Ok(_) => changed_meanwhile(),
                    Err(error) => error,
                }
            }
            Ok(_) => changed_meanwhile(),
            Err(error) => error,
        }
    }

    /// Why a change of a conversation was refused.
    async fn not_changed(&self, scope: &Scope, id: ConversationId, change: &ConversationChange) -> Error {
        let refused = self.not_their_conversation(scope, id).await;
        if refused.kind() != ErrorKind::Unavailable {
            return refused;
        }
        if let Some(Some(into)) = change.workspace_id {
            match self.workspace_role(scope, into).await {
                Ok(None) => return Error::missing("workspace", into),
                Ok(Some(WorkspaceRole::Viewer)) => {
                    return too_little(WorkspaceRole::Viewer, WorkspaceRole::Editor);
                }
                Ok(_) => {}
                Err(error) => return error,
            }
        }
        if let Some(leaf) = change.active_leaf_id
            && let Err(missing) = ConversationStore::message(self, scope, id, leaf).await
        {
            return missing;
        }
        if change.workspace_id.is_some() {
            return Error::forbidden(
                "only who made the conversation puts it into a workspace; they or an owner take it out again",
            );
        }
        refused
    }

    /// Why a new conversation was not stored.
    pub(crate) async fn not_created(&self, scope: &Scope, new: &Conversation, error: DbError) -> Error {
        match (error, new.workspace_id) {
            (DbError::RowCount { .. }, Some(workspace)) => {
                self.not_their_workspace(scope, workspace, WorkspaceRole::Editor).await
            }
            (error, _) => error.on_foreign_key(|| Error::missing("user", scope.user)).into(),
        }
    }
}

fn changed_meanwhile() -> Error {
    Error::unavailable("the conversation changed at the same moment; try again")
}

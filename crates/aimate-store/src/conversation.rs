//! Conversations.

mod grow;

use aimate_core::conversation::{
    Conversation, ConversationChange, ConversationFilter, ConversationStore, ListedMessage, Window,
};
use aimate_core::message::Message;
use aimate_core::{
    ConversationId, Cursor, Error, ErrorKind, Ids, MessageId, Page, PageRequest, Result, Scope, Timestamp,
};
use async_trait::async_trait;
use sqlx::QueryBuilder;

use crate::error::explain;
use crate::message::{columns, message};
use crate::row::Columns;
use crate::statement::{built, found, rows_of, scoped};
use crate::value::{contains, count, json, maybe_json, maybe_text, text};
use crate::{Database, SqlStore};

/// The columns of a conversation, each after `$prefix`, which is a table's name
/// or nothing.
macro_rules! prefixed {
    ($prefix:literal) => {
        concat!(
            $prefix,
            "id, ",
            $prefix,
            "workspace_id, ",
            $prefix,
            "title, ",
            $prefix,
            "system_prompt, ",
            $prefix,
            "is_pinned, ",
            $prefix,
            "is_archived, ",
            $prefix,
            "tags, ",
            $prefix,
            "metadata, ",
            $prefix,
            "active_leaf_id, ",
            $prefix,
            "message_count, ",
            $prefix,
            "created_at, ",
            $prefix,
            "updated_at"
        )
    };
}
pub(crate) use prefixed;

const CREATE: &str = "INSERT INTO conversations (tenant_id, user_id, id, workspace_id, title, title_folded, \
    system_prompt, is_pinned, is_archived, tags, metadata, active_leaf_id, message_count, created_at, updated_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
const GET: &str = concat!(
    "SELECT ",
    prefixed!(""),
    " FROM conversations WHERE tenant_id = $1 AND user_id = $2 AND id = $3"
);
const UPDATE: &str = concat!(
    "UPDATE conversations SET title = COALESCE($4, title), title_folded = COALESCE($5, title_folded), \
     workspace_id = CASE WHEN $6 THEN $7 ELSE workspace_id END, is_pinned = COALESCE($8, is_pinned), \
     is_archived = COALESCE($9, is_archived), tags = COALESCE($10, tags), \
     metadata = COALESCE($11, metadata), active_leaf_id = COALESCE($12, active_leaf_id), updated_at = $13, \
     system_prompt = NULLIF(COALESCE($14, system_prompt), '') WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND ($12 IS NULL OR EXISTS (SELECT 1 \
     FROM messages m WHERE m.tenant_id = $1 AND m.conversation_id = $3 AND m.id = $12)) RETURNING ",
    prefixed!("")
);
const DELETE: &str = "DELETE FROM conversations WHERE tenant_id = $1 AND user_id = $2 AND id = $3";
const MESSAGE: &str = concat!(
    "SELECT ",
    columns!("m."),
    " FROM conversations c JOIN messages m ON m.tenant_id = c.tenant_id AND m.conversation_id = c.id \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3 AND m.id = $4"
);

/// The conversation of a row.
pub(crate) fn conversation(row: &impl Columns) -> Result<Conversation> {
    Ok(Conversation {
        id: row.get("id")?,
        workspace_id: row.maybe("workspace_id")?,
        title: row.get("title")?,
        system_prompt: row.maybe("system_prompt")?,
        is_pinned: row.get("is_pinned")?,
        is_archived: row.get("is_archived")?,
        tags: row.json("tags")?,
        metadata: row.json("metadata")?,
        active_leaf_id: row.maybe("active_leaf_id")?,
        message_count: row.get("message_count")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// The statement that stores `$conversation`, in the driver's types.
macro_rules! create {
    ($scope:expr, $conversation:expr) => {{
        let conversation: &Conversation = $conversation;
        scoped(CREATE, $scope)
            .bind(conversation.id.0)
            .bind(conversation.workspace_id.map(|id| id.0))
            .bind(text(&conversation.title))
            .bind(text(&conversation.title).to_lowercase())
            .bind(maybe_text(conversation.system_prompt.as_ref()))
            .bind(conversation.is_pinned)
            .bind(conversation.is_archived)
            .bind(json(&conversation.tags)?)
            .bind(json(&conversation.metadata)?)
            .bind(conversation.active_leaf_id.map(|id| id.0))
            .bind(count(conversation.message_count))
            .bind(conversation.created_at.0)
            .bind(conversation.updated_at.0)
    }};
}
use create;

/// The statement that lists conversations, with the conditions that are asked
/// for alone, so that each finds its index.
macro_rules! list {
    ($scope:expr, $filter:expr, $page:expr, $has_tag:expr) => {{
        let (scope, filter, page) = ($scope, $filter, $page);
        let mut query =
            QueryBuilder::new(concat!("SELECT ", prefixed!(""), " FROM conversations WHERE tenant_id = "));
        query.push_bind(scope.tenant.0).push(" AND user_id = ").push_bind(scope.user.0);
        if let Some(workspace) = filter.workspace_id {
            query.push(" AND workspace_id = ").push_bind(workspace.0);
        }
        if let Some(cursor) = page.after {
            query.push(" AND (updated_at, id) < (").push_bind(cursor.at.0);
            query.push(", ").push_bind(cursor.id).push(")");
        }
        if let Some(is_archived) = filter.is_archived {
            query.push(" AND is_archived = ").push_bind(is_archived);
        }
        if let Some(is_pinned) = filter.is_pinned {
            query.push(" AND is_pinned = ").push_bind(is_pinned);
        }
        if let Some(tag) = &filter.tag {
            query.push(" AND ").push($has_tag).push_bind(text(tag)).push(")");
        }
        if let Some(title) = &filter.query {
            query.push(" AND title_folded LIKE ").push_bind(contains(title)).push(" ESCAPE '\\'");
        }
        query.push(" ORDER BY updated_at DESC, id DESC LIMIT ").push_bind(rows_of(page));
        query
    }};
}

/// What a foreign key refuses about a conversation.
pub(crate) fn refused(error: Error, scope: &Scope, conversation: &Conversation) -> Error {
    explain(error, ErrorKind::NotFound, || match conversation.workspace_id {
        Some(id) => Error::missing("workspace", id),
        None => Error::missing("user", scope.user),
    })
}

#[async_trait]
impl ConversationStore for SqlStore {
    async fn create(&self, scope: &Scope, conversation: &Conversation) -> Result<()> {
        let empty = Conversation { active_leaf_id: None, message_count: 0, ..conversation.clone() };
        on!(self, |db| db.execute(create!(scope, &empty)).await)
            .map(drop)
            .map_err(|error| refused(error, scope, conversation))
    }

    async fn get(&self, scope: &Scope, id: ConversationId) -> Result<Conversation> {
        on!(self, |db| {
            let row = db.read_first(scoped(GET, scope).bind(id.0)).await?;
            conversation(&found(row, || Error::missing("conversation", id))?)
        })
    }

    async fn list(
        &self,
        scope: &Scope,
        filter: &ConversationFilter,
        page: PageRequest,
    ) -> Result<Page<Conversation>> {
        let has_tag = match &self.database {
            Database::Sqlite(_) => "EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ",
            Database::Postgres(_) => {
                "EXISTS (SELECT 1 FROM jsonb_array_elements_text(tags) AS t (value) WHERE value = "
            }
        };
        let rows: Vec<Conversation> = on!(self, |db| {
            let query = list!(scope, filter, page, has_tag);
            db.read(built(query)).await?.iter().map(conversation).collect::<Result<_>>()?
        });
        Ok(Page::of(rows, page.limit, |row| Cursor { at: row.updated_at, id: row.id.0 }))
    }

    async fn update(
        &self,
        scope: &Scope,
        id: ConversationId,
        change: &ConversationChange,
        now: Timestamp,
    ) -> Result<Conversation> {
        let tags = maybe_json(change.tags.as_ref())?;
        let metadata = maybe_json(change.metadata.as_ref())?;
        let folded = change.title.as_ref().map(|title| text(title).to_lowercase());
        let workspace = change.workspace_id.flatten();
        let updated: Option<Conversation> = on!(self, |db| {
            let query = scoped(UPDATE, scope)
                .bind(id.0)
                .bind(maybe_text(change.title.as_ref()))
                .bind(folded)
                .bind(change.workspace_id.is_some())
                .bind(workspace.map(|id| id.0))
                .bind(change.is_pinned)
                .bind(change.is_archived)
                .bind(tags)
                .bind(metadata)
                .bind(change.active_leaf_id.map(|id| id.0))
                .bind(now.0)
                .bind(maybe_text(change.system_prompt.as_ref()));
            let rows = db.write(query).await.map_err(|error| {
                explain(error, ErrorKind::NotFound, || match workspace {
                    Some(id) => Error::missing("workspace", id),
                    None => Error::missing("conversation", id),
                })
            })?;
            rows.first().map(conversation).transpose()?
        });
        match (updated, change.active_leaf_id) {
            (Some(conversation), _) => Ok(conversation),
            (None, Some(leaf)) => {
                self.check_conversation(scope, id).await?;
                Err(Error::missing("message", leaf))
            }
            (None, None) => Err(Error::missing("conversation", id)),
        }
    }

    async fn delete(&self, scope: &Scope, id: ConversationId) -> Result<()> {
        let deleted = on!(self, |db| db.execute(scoped(DELETE, scope).bind(id.0)).await?);
        found((deleted > 0).then_some(()), || Error::missing("conversation", id))
    }

    async fn message(&self, scope: &Scope, id: ConversationId, wanted: MessageId) -> Result<Message> {
        on!(self, |db| {
            let row = db.read_first(scoped(MESSAGE, scope).bind(id.0).bind(wanted.0)).await?;
            message(&found(row, || Error::missing("message", wanted))?)
        })
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

    async fn append(
        &self,
        scope: &Scope,
        id: ConversationId,
        messages: &[Message],
        now: Timestamp,
    ) -> Result<()> {
        self.append_messages(scope, id, messages, now).await
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
}

//! Walking from a message to its root, as far as is asked for and no further.

use std::collections::HashMap;

use aimate_core::conversation::{ListedMessage, Window};
use aimate_core::message::Message;
use aimate_core::prompt::Prompt;
use aimate_core::{ConversationId, Cursor, Error, MessageId, Page, PageRequest, Result, Scope, Timestamp};
use sqlx::query;
use uuid::Uuid;

use crate::conversation::{conversation, prefixed};
use crate::message::{columns, hex_list, message};
use crate::row::Columns;
use crate::statement::{found, scoped};
use crate::value::count;
use crate::{Database, SqlStore};

/// From message `$4` (the active leaf if NULL) of conversation `$3` upwards:
/// at most `$5` messages, as long as their tokens stay within `$6`; the leaf
/// always comes. Oldest first. `$parent` joins the parent of `path` as `m`.
macro_rules! path {
    ($columns:expr, $parent:expr) => {
        concat!(
            "WITH RECURSIVE path AS (SELECT ",
            $columns,
            ", 1 AS n, m.tokens AS total \
             FROM conversations c JOIN messages m ON m.tenant_id = c.tenant_id \
             AND m.conversation_id = c.id AND m.id = COALESCE($4, c.active_leaf_id) \
             WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3 \
             UNION ALL SELECT ",
            $columns,
            ", path.n + 1, path.total + m.tokens FROM path ",
            $parent,
            " WHERE path.n < $5 AND path.total + m.tokens <= $6) SELECT * FROM path ORDER BY n DESC"
        )
    };
}

/// LATERAL and LIMIT keep PostgreSQL's planner from reading the whole
/// conversation into a hash table, which it finds cheaper where most
/// conversations are short.
macro_rules! postgres_parent {
    () => {
        "CROSS JOIN LATERAL (SELECT * FROM messages p WHERE p.tenant_id = $1 \
         AND p.conversation_id = $3 AND p.id = path.parent_id LIMIT 1) m"
    };
}

macro_rules! sqlite_parent {
    () => {
        "JOIN messages m ON m.tenant_id = $1 AND m.conversation_id = $3 AND m.id = path.parent_id"
    };
}

const POSTGRES_PATH: &str = path!(columns!("m."), postgres_parent!());
const SQLITE_PATH: &str = path!(columns!("m."), sqlite_parent!());
const POSTGRES_PATH_IDS: &str = path!("m.id, m.parent_id", postgres_parent!());
const SQLITE_PATH_IDS: &str = path!("m.id, m.parent_id", sqlite_parent!());

/// The conversation with its workspace's active prompts, a row for each; one
/// row without a prompt if there is none.
macro_rules! with_prompts {
    () => {
        concat!(
            "SELECT ",
            prefixed!("c."),
            ", p.id AS prompt_id, p.title AS prompt_title, p.content AS prompt_content, \
             p.created_at AS prompt_created_at, p.updated_at AS prompt_updated_at \
             FROM conversations c LEFT JOIN prompts p ON p.tenant_id = c.tenant_id \
             AND p.user_id = c.user_id AND p.workspace_id = c.workspace_id AND p.is_active \
             WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3 ORDER BY p.id"
        )
    };
}

const POSTGRES_HEAD: &str = with_prompts!();
/// Both parts of a window in one text, for one hop to sqlx's thread and back.
const SQLITE_WINDOW: &str = concat!(with_prompts!(), "; ", path!(columns!("m."), sqlite_parent!()));

/// The ids of all children of the messages in `$3`, which `$parents` joins as
/// `m`, and of all roots if `$4`.
macro_rules! children {
    ($parents:expr) => {
        concat!(
            "SELECT m.parent_id, m.id FROM ",
            $parents,
            " UNION ALL SELECT parent_id, id FROM messages \
             WHERE $4 AND tenant_id = $1 AND conversation_id = $2 AND parent_id IS NULL ORDER BY 2"
        )
    };
}

const POSTGRES_CHILDREN: &str = children!(
    "unnest($3::uuid[]) AS parents (id) CROSS JOIN LATERAL (SELECT c.parent_id, c.id FROM messages c \
     WHERE c.tenant_id = $1 AND c.conversation_id = $2 AND c.parent_id = parents.id OFFSET 0) m"
);
/// CROSS JOIN keeps SQLite's planner from beginning with the messages.
const SQLITE_CHILDREN: &str = children!(
    "json_each($3) parents CROSS JOIN messages m \
     ON m.tenant_id = $1 AND m.conversation_id = $2 AND m.parent_id = unhex(parents.value)"
);

fn prompt(row: &impl Columns) -> Result<Option<Prompt>> {
    let Some(id) = row.maybe("prompt_id")? else { return Ok(None) };
    Ok(Some(Prompt {
        id,
        workspace_id: row.maybe("workspace_id")?,
        title: row.get("prompt_title")?,
        content: row.get("prompt_content")?,
        is_active: true,
        created_at: row.get("prompt_created_at")?,
        updated_at: row.get("prompt_updated_at")?,
    }))
}

fn window(id: ConversationId, head: &[impl Columns], path: &[impl Columns]) -> Result<Window> {
    Ok(Window {
        conversation: conversation(found(head.first(), || Error::missing("conversation", id))?)?,
        prompts: head.iter().filter_map(|row| prompt(row).transpose()).collect::<Result<_>>()?,
        messages: path.iter().map(message).collect::<Result<_>>()?,
    })
}

impl SqlStore {
    /// See [`ConversationStore::window`](aimate_core::conversation::ConversationStore::window).
    pub(crate) async fn read_window(
        &self,
        scope: &Scope,
        id: ConversationId,
        leaf: Option<MessageId>,
        tokens: u64,
        max: u32,
    ) -> Result<Window> {
        macro_rules! bind {
            ($path:expr) => {
                scoped($path, scope)
                    .bind(id.0)
                    .bind(leaf.map(|leaf| leaf.0))
                    .bind(i64::from(max.max(1)))
                    .bind(count(tokens))
            };
        }
        let window = match &self.database {
            Database::Sqlite(db) => {
                let rows = db.read(bind!(SQLITE_WINDOW)).await?;
                let (head, path) = rows.split_at(rows.partition_point(|row| row.has("prompt_id")));
                window(id, head, path)?
            }
            Database::Postgres(db) => {
                let head = scoped(POSTGRES_HEAD, scope).bind(id.0);
                let [head, path] = db.read_each([head, bind!(POSTGRES_PATH)]).await?;
                window(id, &head, &path)?
            }
        };
        match leaf {
            Some(leaf) if window.messages.is_empty() => Err(Error::missing("message", leaf)),
            _ => Ok(window),
        }
    }

    /// See [`ConversationStore::messages`](aimate_core::conversation::ConversationStore::messages).
    pub(crate) async fn read_page(
        &self,
        scope: &Scope,
        id: ConversationId,
        leaf: Option<MessageId>,
        page: PageRequest,
    ) -> Result<Page<ListedMessage>> {
        let cursor = page.after.map(|cursor| MessageId(cursor.id));
        let from = cursor.or(leaf);
        // One more tells that there is a next page; and the walk of a later
        // page begins at the oldest message of the page before.
        let max = i64::from(page.limit) + 1 + i64::from(cursor.is_some());
        let mut messages = self.read_path(scope, id, from, max).await?;
        if messages.is_empty() {
            self.check_conversation(scope, id).await?;
            return match from {
                Some(message) => Err(Error::missing("message", message)),
                None => Ok(Page::default()),
            };
        }
        if cursor.is_some() {
            messages.pop();
        }
        let has_next = messages.len() > page.limit as usize;
        if has_next {
            messages.remove(0);
        }
        let oldest = messages.first().map(|message| Cursor { at: Timestamp(0), id: message.id.0 });
        let siblings = self.read_siblings(scope, id, &messages).await?;
        let listed = |message: Message| {
            let sibling_ids = siblings.get(&message.parent_id).cloned().unwrap_or_default();
            ListedMessage { message, sibling_ids }
        };
        Ok(Page { data: messages.into_iter().map(listed).collect(), next: oldest.filter(|_| has_next) })
    }

    async fn read_path(
        &self,
        scope: &Scope,
        id: ConversationId,
        from: Option<MessageId>,
        max: i64,
    ) -> Result<Vec<Message>> {
        macro_rules! read {
            ($db:expr, $path:expr) => {{
                let query =
                    scoped($path, scope).bind(id.0).bind(from.map(|from| from.0)).bind(max).bind(i64::MAX);
                $db.read(query).await?.iter().map(message).collect()
            }};
        }
        match &self.database {
            Database::Sqlite(db) => read!(db, SQLITE_PATH),
            Database::Postgres(db) => read!(db, POSTGRES_PATH),
        }
    }

    /// The ids on the path to `leaf`, the root first.
    pub(crate) async fn read_path_ids(
        &self,
        scope: &Scope,
        id: ConversationId,
        leaf: MessageId,
    ) -> Result<Vec<Uuid>> {
        macro_rules! read {
            ($db:expr, $path:expr) => {{
                let query = scoped($path, scope).bind(id.0).bind(leaf.0).bind(i64::MAX).bind(i64::MAX);
                $db.read(query).await?.iter().map(|row| row.get("id")).collect()
            }};
        }
        match &self.database {
            Database::Sqlite(db) => read!(db, SQLITE_PATH_IDS),
            Database::Postgres(db) => read!(db, POSTGRES_PATH_IDS),
        }
    }

    /// The children of the parents of `messages`, by parent.
    async fn read_siblings(
        &self,
        scope: &Scope,
        id: ConversationId,
        messages: &[Message],
    ) -> Result<HashMap<Option<MessageId>, Vec<MessageId>>> {
        let parents: Vec<Uuid> = messages.iter().filter_map(|m| m.parent_id.map(|id| id.0)).collect();
        let has_root = parents.len() < messages.len();
        macro_rules! read {
            ($db:expr, $children:expr, $ids:expr) => {{
                let query = query($children).bind(scope.tenant.0).bind(id.0).bind($ids).bind(has_root);
                let mut siblings = HashMap::<_, Vec<_>>::new();
                for row in &$db.read(query).await? {
                    siblings.entry(row.maybe("parent_id")?).or_default().push(row.get("id")?);
                }
                Ok(siblings)
            }};
        }
        match &self.database {
            Database::Sqlite(db) => read!(db, SQLITE_CHILDREN, hex_list(parents)),
            Database::Postgres(db) => read!(db, POSTGRES_CHILDREN, parents),
        }
    }
}

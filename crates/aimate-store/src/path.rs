//! Walking from a message to its root, as far as is asked for and no further.

use std::collections::HashMap;

use aimate_core::conversation::{ListedMessage, Window};
use aimate_core::message::{Message, MessageRole};
use aimate_core::prompt::Prompt;
use aimate_core::{
    ConversationId, Cursor, Error, MessageId, Page, PageRequest, Result, RunId, Scope, Timestamp,
};
use uuid::Uuid;

use crate::SqlStore;
use crate::conversation::conversation;
use crate::database::{Row, Sql, each};
use crate::message::message;
use crate::page::or_not_found;
use crate::value::count;

/// From message `$4` (the active leaf if NULL) of conversation `$3` upwards:
/// at most `$5` messages, as long as their tokens stay within `$6`; the leaf
/// always comes. Oldest first.
///
/// LATERAL and LIMIT keep PostgreSQL's planner from reading the whole
/// conversation into a hash table, which it finds cheaper where most
/// conversations are short.
const PATH: Sql = Sql::Each {
    sqlite: "WITH RECURSIVE path AS ( \
            SELECT m.id, m.conversation_id, m.parent_id, m.role, m.content, m.status, m.model, m.usage, m.cost, \
            m.metadata, m.depth, m.tokens, m.path_tokens, m.created_at, 1 AS n, m.tokens AS total \
            FROM conversations c JOIN messages m ON m.tenant_id = c.tenant_id AND m.conversation_id = c.id \
            AND m.id = COALESCE($4, c.active_leaf_id) \
            WHERE c.tenant_id = $1 AND c.id = $3 \
            AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
                WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
            UNION ALL \
            SELECT m.id, m.conversation_id, m.parent_id, m.role, m.content, m.status, m.model, m.usage, m.cost, \
            m.metadata, m.depth, m.tokens, m.path_tokens, m.created_at, path.n + 1, path.total + m.tokens \
            FROM path JOIN messages m \
            ON m.tenant_id = $1 AND m.conversation_id = $3 AND m.id = path.parent_id \
            WHERE path.n < $5 AND path.total + m.tokens <= $6) \
        SELECT * FROM path ORDER BY n DESC",
    postgres: "WITH RECURSIVE path AS ( \
            SELECT m.id, m.conversation_id, m.parent_id, m.role, m.content, m.status, m.model, m.usage, m.cost, \
            m.metadata, m.depth, m.tokens, m.path_tokens, m.created_at, 1 AS n, m.tokens AS total \
            FROM conversations c JOIN messages m ON m.tenant_id = c.tenant_id AND m.conversation_id = c.id \
            AND m.id = COALESCE($4, c.active_leaf_id) \
            WHERE c.tenant_id = $1 AND c.id = $3 \
            AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
                WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
            UNION ALL \
            SELECT m.id, m.conversation_id, m.parent_id, m.role, m.content, m.status, m.model, m.usage, m.cost, \
            m.metadata, m.depth, m.tokens, m.path_tokens, m.created_at, path.n + 1, path.total + m.tokens \
            FROM path CROSS JOIN LATERAL (SELECT * FROM messages p WHERE p.tenant_id = $1 \
                AND p.conversation_id = $3 AND p.id = path.parent_id LIMIT 1) m \
            WHERE path.n < $5 AND path.total + m.tokens <= $6) \
        SELECT * FROM path ORDER BY n DESC",
};

/// The ids of all messages from `$4` to the root, the root first. CROSS JOIN
/// keeps SQLite's planner from beginning with the messages.
const PATH_IDS: Sql = Sql::Each {
    sqlite: "WITH RECURSIVE path AS ( \
            SELECT m.id, m.parent_id, 1 AS n \
            FROM conversations c JOIN messages m ON m.tenant_id = c.tenant_id AND m.conversation_id = c.id \
            AND m.id = $4 \
            WHERE c.tenant_id = $1 AND c.id = $3 \
            AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
                WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
            UNION ALL \
            SELECT m.id, m.parent_id, path.n + 1 FROM path CROSS JOIN messages m \
            ON m.tenant_id = $1 AND m.conversation_id = $3 AND m.id = path.parent_id) \
        SELECT id FROM path ORDER BY n DESC",
    postgres: "WITH RECURSIVE path AS ( \
            SELECT m.id, m.parent_id, 1 AS n \
            FROM conversations c JOIN messages m ON m.tenant_id = c.tenant_id AND m.conversation_id = c.id \
            AND m.id = $4 \
            WHERE c.tenant_id = $1 AND c.id = $3 \
            AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
                WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
            UNION ALL \
            SELECT m.id, m.parent_id, path.n + 1 FROM path CROSS JOIN LATERAL (SELECT p.id, p.parent_id \
                FROM messages p WHERE p.tenant_id = $1 AND p.conversation_id = $3 \
                AND p.id = path.parent_id LIMIT 1) m) \
        SELECT id FROM path ORDER BY n DESC",
};

/// The bytes of the content of at most `$5` messages from `$4` (the active leaf if
/// NULL) to the root, the newest first; see [`PATH_IDS`] for the joins.
const PATH_SIZES: Sql = Sql::Each {
    sqlite: "WITH RECURSIVE path AS ( \
            SELECT m.parent_id, octet_length(m.content) AS bytes, 1 AS n \
            FROM conversations c JOIN messages m ON m.tenant_id = c.tenant_id AND m.conversation_id = c.id \
            AND m.id = COALESCE($4, c.active_leaf_id) \
            WHERE c.tenant_id = $1 AND c.id = $3 \
            AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
                WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
            UNION ALL \
            SELECT m.parent_id, octet_length(m.content), path.n + 1 FROM path CROSS JOIN messages m \
            ON m.tenant_id = $1 AND m.conversation_id = $3 AND m.id = path.parent_id \
            WHERE path.n < $5) \
        SELECT bytes FROM path ORDER BY n",
    postgres: "WITH RECURSIVE path AS ( \
            SELECT m.parent_id, octet_length(m.content::text) AS bytes, 1 AS n \
            FROM conversations c JOIN messages m ON m.tenant_id = c.tenant_id AND m.conversation_id = c.id \
            AND m.id = COALESCE($4, c.active_leaf_id) \
            WHERE c.tenant_id = $1 AND c.id = $3 \
            AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
                WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
            UNION ALL \
            SELECT m.parent_id, octet_length(m.content::text), path.n + 1 FROM path CROSS JOIN LATERAL ( \
                SELECT p.parent_id, p.content FROM messages p WHERE p.tenant_id = $1 \
                AND p.conversation_id = $3 AND p.id = path.parent_id LIMIT 1) m \
            WHERE path.n < $5) \
        SELECT bytes::bigint AS bytes FROM path ORDER BY n",
};

/// Bytes of content after which a page of messages ends, although it may have more
/// of them.
const PAGE_BYTES: u64 = 4 * 1024 * 1024;

/// The conversation with its workspace's active prompts, a row for each; one
/// row without a prompt if there is none. For who may write to it.
const HEAD: Sql = Sql::Same(
    "SELECT c.id, c.workspace_id, c.title, c.system_prompt, c.is_pinned, c.is_archived, c.is_hidden, c.tags, c.metadata, \
     c.active_leaf_id, c.message_count, c.created_at, c.updated_at, \
     p.id AS prompt_id, p.title AS prompt_title, p.content AS prompt_content, \
     p.created_at AS prompt_created_at, p.updated_at AS prompt_updated_at \
     FROM conversations c LEFT JOIN prompts p ON p.tenant_id = c.tenant_id \
     AND p.workspace_id = c.workspace_id AND p.is_active \
     WHERE c.tenant_id = $1 AND c.id = $3 \
     AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) <> 'viewer') ORDER BY p.id",
);

/// The ids of all children of the messages in `$3`, and of all roots if `$4`.
///
/// CROSS JOIN keeps SQLite's planner from beginning with the messages, OFFSET
/// PostgreSQL's.
const CHILDREN: Sql = Sql::Each {
    sqlite: "SELECT m.parent_id, m.id FROM json_each($3) parents CROSS JOIN messages m \
            ON m.tenant_id = $1 AND m.conversation_id = $2 AND m.parent_id = unhex(parents.value) \
        UNION ALL \
        SELECT parent_id, id FROM messages \
            WHERE $4 AND tenant_id = $1 AND conversation_id = $2 AND parent_id IS NULL ORDER BY 2",
    postgres: "SELECT m.parent_id, m.id FROM unnest($3::uuid[]) AS parents (id) CROSS JOIN LATERAL ( \
            SELECT c.parent_id, c.id FROM messages c \
            WHERE c.tenant_id = $1 AND c.conversation_id = $2 AND c.parent_id = parents.id OFFSET 0) m \
        UNION ALL \
        SELECT parent_id, id FROM messages \
            WHERE $4 AND tenant_id = $1 AND conversation_id = $2 AND parent_id IS NULL ORDER BY 2",
};

/// The runs that wrote the messages in `$3`.
const RUNS: Sql = Sql::Each {
    sqlite: "SELECT r.message_id, r.id FROM json_each($3) answers CROSS JOIN runs r \
        ON r.tenant_id = $1 AND r.conversation_id = $2 AND r.message_id = unhex(answers.value)",
    postgres: "SELECT r.message_id, r.id FROM unnest($3::uuid[]) AS answers (id) CROSS JOIN LATERAL ( \
        SELECT w.message_id, w.id FROM runs w \
        WHERE w.tenant_id = $1 AND w.conversation_id = $2 AND w.message_id = answers.id OFFSET 0) r",
};

/// From message `$4` of conversation `$3` downwards, to the child with the greatest id each
/// time: the last one. The plus keeps SQLite's planner from looking for it in the order of ids.
const NEWEST_LEAF: Sql = Sql::Each {
    sqlite: "WITH RECURSIVE path AS ( \
            SELECT m.id, 1 AS n FROM conversations c JOIN messages m \
            ON m.tenant_id = c.tenant_id AND m.conversation_id = c.id AND m.id = $4 \
            WHERE c.tenant_id = $1 AND c.id = $3 \
            AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
                WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
            UNION ALL \
            SELECT (SELECT max(+m.id) FROM messages m WHERE m.tenant_id = $1 AND m.conversation_id = $3 \
                AND m.parent_id = path.id), path.n + 1 FROM path WHERE path.id IS NOT NULL) \
        SELECT id FROM path WHERE id IS NOT NULL ORDER BY n DESC LIMIT 1",
    postgres: "WITH RECURSIVE path AS ( \
            SELECT m.id, 1 AS n FROM conversations c JOIN messages m \
            ON m.tenant_id = c.tenant_id AND m.conversation_id = c.id AND m.id = $4 \
            WHERE c.tenant_id = $1 AND c.id = $3 \
            AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
                WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
            UNION ALL \
            SELECT m.id, path.n + 1 FROM path CROSS JOIN LATERAL (SELECT p.id FROM messages p \
                WHERE p.tenant_id = $1 AND p.conversation_id = $3 AND p.parent_id = path.id \
                ORDER BY p.id DESC LIMIT 1) m) \
        SELECT id FROM path ORDER BY n DESC LIMIT 1",
};

fn prompt(row: &Row) -> Result<Option<Prompt>> {
    let Some(id) = row.maybe("prompt_id")? else { return Ok(None) };
    Ok(Some(Prompt {
        id,
        workspace_id: row.maybe("workspace_id")?,
        title: row.get("prompt_title")?,
        content: row.get("prompt_content")?,
        is_active: true,
        is_shared: false,
        created_at: row.get("prompt_created_at")?,
        updated_at: row.get("prompt_updated_at")?,
    }))
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
        let path = PATH.scoped(scope).bind(id).bind(leaf).bind(max.max(1)).bind(count(tokens));
        let [head, path] = self.database.read_each([HEAD.scoped(scope).bind(id), path]).await?;
        let Some(first) = head.first() else { return Err(self.not_their_conversation(scope, id).await) };
        let window = Window {
            conversation: conversation(first)?,
            prompts: head.iter().filter_map(|row| prompt(row).transpose()).collect::<Result<_>>()?,
            messages: each(&path, message)?,
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
        let walked = u32::from(cursor.is_some());
        let limit = self.page_limit(scope, id, from, page.limit, walked).await?;
        let max = i64::from(limit) + 1 + i64::from(walked);
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
        let has_next = messages.len() > limit as usize;
        if has_next {
            messages.remove(0);
        }
        let oldest = messages.first().map(|message| Cursor { at: Timestamp(0), id: message.id.0 });
        let (siblings, runs) = self.read_around(scope, id, &messages).await?;
        let listed = |message: Message| {
            let sibling_ids = siblings.get(&message.parent_id).cloned().unwrap_or_default();
            let run_id = runs.get(&message.id).copied();
            ListedMessage { message, sibling_ids, run_id }
        };
        Ok(Page { data: messages.into_iter().map(listed).collect(), next: oldest.filter(|_| has_next) })
    }

    /// How many messages from `from` upwards, but for the first `walked` of them, a
    /// page has: at most `limit`, and no more once they have [`PAGE_BYTES`].
    async fn page_limit(
        &self,
        scope: &Scope,
        id: ConversationId,
        from: Option<MessageId>,
        limit: u32,
        walked: u32,
    ) -> Result<u32> {
        let sizes = PATH_SIZES.scoped(scope).bind(id).bind(from).bind(i64::from(limit) + i64::from(walked));
        let sizes: Vec<u64> = each(&self.database.read(sizes).await?, |row| row.get("bytes"))?;
        let mut bytes: u64 = 0;
        let fitting = sizes.iter().skip(walked as usize).take_while(|size| {
            bytes = bytes.saturating_add(**size);
            bytes <= PAGE_BYTES
        });
        Ok(u32::try_from(fitting.count()).unwrap_or(limit).clamp(1, limit.max(1)))
    }

    async fn read_path(
        &self,
        scope: &Scope,
        id: ConversationId,
        from: Option<MessageId>,
        max: i64,
    ) -> Result<Vec<Message>> {
        let path = PATH.scoped(scope).bind(id).bind(from).bind(max).bind(i64::MAX);
        each(&self.database.read(path).await?, message)
    }

    /// The ids on the path to `leaf`, the root first.
    pub(crate) async fn read_path_ids(
        &self,
        scope: &Scope,
        id: ConversationId,
        leaf: MessageId,
    ) -> Result<Vec<Uuid>> {
        each(&self.database.read(PATH_IDS.scoped(scope).bind(id).bind(leaf)).await?, |row| row.get("id"))
    }

    /// See [`ConversationStore::newest_leaf`](aimate_core::conversation::ConversationStore::newest_leaf).
    pub(crate) async fn read_newest_leaf(
        &self,
        scope: &Scope,
        id: ConversationId,
        from: MessageId,
    ) -> Result<MessageId> {
        let found = self.database.read_first(NEWEST_LEAF.scoped(scope).bind(id).bind(from)).await?;
        or_not_found(found, || Error::missing("message", from))?.get("id")
    }

    /// The children of the parents of `messages`, by parent, and the runs of `messages`.
    async fn read_around(
        &self,
        scope: &Scope,
        id: ConversationId,
        messages: &[Message],
    ) -> Result<(HashMap<Option<MessageId>, Vec<MessageId>>, HashMap<MessageId, RunId>)> {
        let parents: Vec<Uuid> = messages.iter().filter_map(|m| m.parent_id.map(|id| id.0)).collect();
        let has_root = parents.len() < messages.len();
        let children = CHILDREN.bind(scope.tenant).bind(id).bind(parents).bind(has_root);
        let answers = messages.iter().filter(|message| message.role == MessageRole::Assistant);
        let answers: Vec<Uuid> = answers.map(|message| message.id.0).collect();
        let runs = RUNS.bind(scope.tenant).bind(id).bind(answers);
        let [children, runs] = self.database.read_each([children, runs]).await?;
        let mut siblings = HashMap::<_, Vec<_>>::new();
        for row in &children {
            siblings.entry(row.maybe("parent_id")?).or_default().push(row.get("id")?);
        }
        let runs = runs.iter().map(|row| Ok((row.get("message_id")?, row.get("id")?)));
        Ok((siblings, runs.collect::<Result<_>>()?))
    }
}

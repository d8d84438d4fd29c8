//! Messages one by one: adding them at the end, and taking them out.

use aimate_core::conversation::ConversationStore;
use aimate_core::message::{Message, MessageStatus, MessageStore};
use aimate_core::{ConversationId, Error, ErrorKind, MessageId, Result, Scope, Timestamp};
use async_trait::async_trait;
use uuid::Uuid;

use crate::SqlStore;
use crate::database::{DbError, Sql, Statement, each};
use crate::message::message;
use crate::message_index::request;

/// Locks the conversation of message `$4`, which is not being written, if the user may write to
/// it; the leaf goes to the message's parent where it was the message, and there are `$6`
/// messages fewer.
const BEGIN: Sql = Sql::Same(
    "UPDATE conversations SET updated_at = $5, message_count = message_count - $6, \
     active_leaf_id = CASE WHEN $6 = 1 AND active_leaf_id = $4 THEN (SELECT m.parent_id FROM messages m \
        WHERE m.tenant_id = $1 AND m.conversation_id = $3 AND m.id = $4) ELSE active_leaf_id END \
     WHERE tenant_id = $1 AND id = $3 AND EXISTS (SELECT 1 FROM messages m WHERE m.tenant_id = $1 \
        AND m.conversation_id = $3 AND m.id = $4 AND m.status <> 'streaming') \
     AND (conversations.workspace_id IS NULL AND conversations.user_id = $2 OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = conversations.workspace_id) <> 'viewer')",
);
/// All messages below `$3` are `$4` steps nearer to the root, by `$5` tokens, or by those of the
/// message.
const BELOW: Sql = Sql::Each {
    sqlite: "WITH RECURSIVE below AS ( \
            SELECT m.id FROM messages m WHERE m.tenant_id = $1 AND m.conversation_id = $2 AND m.parent_id = $3 \
            UNION ALL \
            SELECT m.id FROM below CROSS JOIN messages m \
            ON m.tenant_id = $1 AND m.conversation_id = $2 AND m.parent_id = below.id) \
        UPDATE messages SET depth = depth - $4, path_tokens = max(0, path_tokens - COALESCE($5, \
            (SELECT g.tokens FROM messages g WHERE g.tenant_id = $1 AND g.conversation_id = $2 AND g.id = $3))) \
        WHERE tenant_id = $1 AND conversation_id = $2 AND id IN (SELECT id FROM below)",
    postgres: "WITH RECURSIVE below AS ( \
            SELECT m.id FROM messages m WHERE m.tenant_id = $1 AND m.conversation_id = $2 AND m.parent_id = $3 \
            UNION ALL \
            SELECT m.id FROM below CROSS JOIN LATERAL (SELECT c.id FROM messages c WHERE c.tenant_id = $1 \
                AND c.conversation_id = $2 AND c.parent_id = below.id OFFSET 0) m) \
        UPDATE messages SET depth = depth - $4, path_tokens = GREATEST(0, path_tokens - COALESCE($5, \
            (SELECT g.tokens FROM messages g WHERE g.tenant_id = $1 AND g.conversation_id = $2 AND g.id = $3))) \
        WHERE tenant_id = $1 AND conversation_id = $2 AND id = ANY(ARRAY(SELECT id FROM below))",
};
const HAND_ON: Sql = Sql::Same(
    "UPDATE messages SET parent_id = (SELECT g.parent_id FROM messages g \
        WHERE g.tenant_id = $1 AND g.conversation_id = $2 AND g.id = $3) \
     WHERE tenant_id = $1 AND conversation_id = $2 AND parent_id = $3",
);
/// What answered the message answers the one before. Looked up by its answers, whose
/// parents are still as they were.
const HAND_ON_RUNS: Sql = Sql::Same(
    "UPDATE runs SET user_message_id = (SELECT g.parent_id FROM messages g \
        WHERE g.tenant_id = $1 AND g.conversation_id = $2 AND g.id = $3) \
     WHERE tenant_id = $1 AND conversation_id = $2 AND user_message_id = $3 \
        AND message_id IN (SELECT a.id FROM messages a \
            WHERE a.tenant_id = $1 AND a.conversation_id = $2 AND a.parent_id = $3)",
);
const DELETE_RUN: Sql =
    Sql::Same("DELETE FROM runs WHERE tenant_id = $1 AND conversation_id = $2 AND message_id = $3");
const DELETE: Sql =
    Sql::Same("DELETE FROM messages WHERE tenant_id = $1 AND conversation_id = $2 AND id = $3");
/// Part `$4` of a message, if it is there and says something.
const BLANK: Sql = Sql::Each {
    sqlite: "UPDATE messages SET content = json_set(content, '$[' || $4 || ']', json('{\"type\":\"text\",\"text\":\"\"}')) \
        WHERE tenant_id = $1 AND conversation_id = $2 AND id = $3 \
        AND json_extract(content, '$[' || $4 || '].type') IS NOT NULL \
        AND COALESCE(json_extract(content, '$[' || $4 || '].text'), '?') <> ''",
    postgres: "UPDATE messages SET content = jsonb_set(content, ARRAY[$4::bigint::text], '{\"type\":\"text\",\"text\":\"\"}') \
        WHERE tenant_id = $1 AND conversation_id = $2 AND id = $3 \
        AND content -> $4::bigint::integer ->> 'type' IS NOT NULL \
        AND COALESCE(content -> $4::bigint::integer ->> 'text', '?') <> ''",
};
const LIGHTER: Sql = Sql::Each {
    sqlite: "UPDATE messages SET tokens = max(0, tokens - $4), path_tokens = max(0, path_tokens - $4) \
        WHERE tenant_id = $1 AND conversation_id = $2 AND id = $3",
    postgres: "UPDATE messages SET tokens = GREATEST(0, tokens - $4), path_tokens = GREATEST(0, path_tokens - $4) \
        WHERE tenant_id = $1 AND conversation_id = $2 AND id = $3",
};

/// CROSS JOIN keeps SQLite's planner from beginning with the messages, OFFSET PostgreSQL's.
const FIND: Sql = Sql::Each {
    sqlite: "SELECT m.id, m.conversation_id, m.parent_id, m.role, m.content, m.status, m.model, m.usage, m.cost, \
        m.metadata, m.depth, m.tokens, m.path_tokens, m.created_at \
        FROM json_each($3) ids CROSS JOIN messages m ON m.tenant_id = $1 AND m.id = unhex(ids.value) \
        CROSS JOIN conversations c ON c.tenant_id = $1 AND c.id = m.conversation_id \
        WHERE c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
            WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL",
    postgres: "SELECT m.id, m.conversation_id, m.parent_id, m.role, m.content, m.status, m.model, m.usage, m.cost, \
        m.metadata, m.depth, m.tokens, m.path_tokens, m.created_at \
        FROM unnest($3::uuid[]) AS ids (id) CROSS JOIN LATERAL (SELECT * FROM messages p \
            WHERE p.tenant_id = $1 AND p.id = ids.id OFFSET 0) m \
        JOIN conversations c ON c.tenant_id = $1 AND c.id = m.conversation_id \
        WHERE c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
            WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL",
};

#[async_trait]
impl MessageStore for SqlStore {
    async fn path(
        &self,
        scope: &Scope,
        id: ConversationId,
        leaf: Option<MessageId>,
    ) -> Result<Vec<MessageId>> {
        let leaf = match leaf {
            Some(leaf) => leaf,
            None => match ConversationStore::get(self, scope, id).await?.active_leaf_id {
                Some(leaf) => leaf,
                None => return Ok(Vec::new()),
            },
        };
        let ids = self.read_path_ids(scope, id, leaf).await?;
        if ids.is_empty() {
            return Err(Error::missing("message", leaf));
        }
        Ok(ids.into_iter().map(MessageId).collect())
    }

    async fn find(&self, scope: &Scope, ids: &[MessageId]) -> Result<Vec<Message>> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        each(&self.database.read(FIND.scoped(scope).bind(ids)).await?, message)
    }

    async fn extend(
        &self,
        scope: &Scope,
        id: ConversationId,
        leaf: Option<MessageId>,
        messages: &[Message],
        now: Timestamp,
    ) -> Result<()> {
        self.append_messages(scope, id, Some(leaf), messages, now).await
    }

    async fn remove(
        &self,
        scope: &Scope,
        id: ConversationId,
        message: MessageId,
        now: Timestamp,
    ) -> Result<()> {
        let of = |sql: Sql| sql.bind(scope.tenant).bind(id).bind(message);
        let begin = BEGIN.scoped(scope).bind(id).bind(message).bind(now).bind(1_i64).expect_touched(1);
        let statements = vec![
            begin,
            of(BELOW).bind(1_i64).bind(None::<i64>),
            of(HAND_ON_RUNS),
            of(HAND_ON),
            of(DELETE_RUN),
            of(DELETE).expect_touched(1).uses_reserve(),
            request(scope.tenant, id, true),
        ];
        self.change_message(scope, id, message, statements).await
    }

    async fn blank(
        &self,
        scope: &Scope,
        id: ConversationId,
        message: MessageId,
        parts: &[u32],
        tokens: u32,
    ) -> Result<()> {
        let of = |sql: Sql| sql.bind(scope.tenant).bind(id).bind(message);
        let now = ConversationStore::get(self, scope, id).await?.updated_at;
        let begin =
            BEGIN.scoped(scope).bind(id).bind(message).bind(now).bind(0_i64).expect_touched(1).uses_reserve();
        let blanks = parts.iter().map(|part| of(BLANK).bind(*part).expect_touched(1));
        let after = [
            of(BELOW).bind(0_i64).bind(i64::from(tokens)),
            of(LIGHTER).bind(tokens),
            request(scope.tenant, id, true),
        ];
        let statements = [begin].into_iter().chain(blanks).chain(after).collect();
        self.change_message(scope, id, message, statements).await
    }
}

impl SqlStore {
    async fn change_message(
        &self,
        scope: &Scope,
        id: ConversationId,
        message: MessageId,
        statements: Vec<Statement>,
    ) -> Result<()> {
        match self.database.transaction_of(statements).await {
            Ok(_) => {
                self.index_at_once(scope.tenant, id).await;
                Ok(())
            }
            // Somebody answered the message at the same moment.
            Err(DbError::ForeignKey(_)) => {
                Err(Error::conflict("the conversation went on at the same moment"))
            }
            Err(DbError::RowCount { .. }) => Err(self.not_changed_message(scope, id, message).await),
            Err(error) => Err(error.into()),
        }
    }

    async fn not_changed_message(&self, scope: &Scope, id: ConversationId, message: MessageId) -> Error {
        let refused = self.not_their_conversation(scope, id).await;
        if refused.kind() != ErrorKind::Unavailable {
            return refused;
        }
        match ConversationStore::message(self, scope, id, message).await {
            Ok(found) if found.status == MessageStatus::Streaming => {
                Error::conflict("the answer is still being written; wait for it or cancel its run")
            }
            Ok(_) => Error::not_found("the message has no such part any more"),
            Err(missing) => missing,
        }
    }
}

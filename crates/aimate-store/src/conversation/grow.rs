//! Adding messages to a conversation, and copying a path into a new one.

use aimate_core::conversation::{Conversation, ConversationStore};
use aimate_core::message::Message;
use aimate_core::{ConversationId, Error, ErrorKind, Ids, MessageId, Result, Scope, Timestamp};
use sqlx::{QueryBuilder, query};
use uuid::Uuid;

use super::{CREATE, create, refused};
use crate::message::{bind, insert, push};
use crate::statement::{built, found, scoped};
use crate::value::{count, json, maybe_text, text};
use crate::{Database, SqlStore};

/// Stores `$4` to `$16` and points the conversation at `$17`, at time `$18`.
const POSTGRES_APPEND: &str = concat!(
    "WITH touched AS (UPDATE conversations SET active_leaf_id = $17, updated_at = $18, \
     message_count = message_count + cardinality($4::uuid[]) \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 RETURNING id), said AS (",
    insert!("WHERE EXISTS (SELECT 1 FROM touched)"),
    ") SELECT id FROM touched"
);

/// Copies the messages of conversation `$2` that `$from` names as `old`, as
/// `new` under `parent`, into conversation `$3`. A copy has no run, so it is
/// not being written.
macro_rules! copy {
    ($from:literal) => {
        concat!(
            "INSERT INTO messages (tenant_id, conversation_id, id, parent_id, role, content, status, model, \
             usage, cost, metadata, depth, tokens, path_tokens, created_at) \
             SELECT m.tenant_id, $3, t.new, t.parent, m.role, m.content, \
             CASE m.status WHEN 'streaming' THEN 'interrupted' ELSE m.status END, m.model, m.usage, m.cost, \
             m.metadata, m.depth, m.tokens, m.path_tokens, m.created_at FROM ",
            $from,
            " JOIN messages m ON m.id = t.old WHERE m.tenant_id = $1 AND m.conversation_id = $2"
        )
    };
}

const POSTGRES_COPY: &str = copy!("unnest($4::uuid[], $5::uuid[], $6::uuid[]) AS t (old, new, parent)");
/// CROSS JOIN keeps SQLite's planner from beginning with the messages.
const SQLITE_COPY: &str = copy!(
    "(SELECT unhex(value ->> 0) AS old, unhex(value ->> 1) AS new, unhex(value ->> 2) AS parent \
     FROM json_each($4)) t CROSS"
);

impl SqlStore {
    /// See [`ConversationStore::append`].
    pub(super) async fn append_messages(
        &self,
        scope: &Scope,
        id: ConversationId,
        messages: &[Message],
        now: Timestamp,
    ) -> Result<()> {
        let Some(leaf) = messages.last() else {
            return self.check_conversation(scope, id).await;
        };
        let rows: Vec<&Message> = messages.iter().collect();
        let stored = match &self.database {
            Database::Sqlite(db) => {
                let mut query = QueryBuilder::new("");
                push(&mut query, scope.tenant, id, &rows)?;
                query.push("UPDATE conversations SET active_leaf_id = ").push_bind(leaf.id.0);
                query.push(", updated_at = ").push_bind(now.0);
                query.push(", message_count = message_count + ").push_bind(count(rows.len()));
                query.push(" WHERE tenant_id = ").push_bind(scope.tenant.0);
                query.push(" AND user_id = ").push_bind(scope.user.0).push(" AND id = ").push_bind(id.0);
                let expected = rows.len() as u64 + 1;
                let stored = db.unit(built(query), expected).await;
                stored.and_then(|stored| found(stored.then_some(()), || Error::missing("conversation", id)))
            }
            Database::Postgres(db) => {
                let query = bind(scoped(POSTGRES_APPEND, scope).bind(id.0), &rows)?;
                let touched = db.write(query.bind(leaf.id.0).bind(now.0)).await;
                touched.and_then(|rows| found(rows.first().map(drop), || Error::missing("conversation", id)))
            }
        };
        match stored {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(self.missing_parent(scope, id, messages, error).await)
            }
            stored => stored,
        }
    }

    /// See [`ConversationStore::fork`].
    pub(super) async fn fork_path(
        &self,
        scope: &Scope,
        id: ConversationId,
        leaf: MessageId,
        into: &Conversation,
        ids: &dyn Ids,
    ) -> Result<Conversation> {
        let old = self.read_path_ids(scope, id, leaf).await?;
        if old.is_empty() {
            self.check_conversation(scope, id).await?;
            return Err(Error::missing("message", leaf));
        }
        let new: Vec<Uuid> = old.iter().map(|_| ids.next()).collect();
        let parents: Vec<Option<Uuid>> =
            std::iter::once(None).chain(new.iter().copied().map(Some)).take(new.len()).collect();
        let copied = old.len() as u64;
        let forked = Conversation {
            active_leaf_id: new.last().copied().map(MessageId),
            message_count: copied,
            ..into.clone()
        };
        // The source may have been deleted since its path was read.
        let check = move |touched: &[u64]| {
            found((touched == [1, copied]).then_some(()), || Error::missing("conversation", id))
        };
        let stored = match &self.database {
            Database::Sqlite(db) => {
                let triples: Vec<_> = old
                    .iter()
                    .zip(new.iter().zip(&parents))
                    .map(|(old, (new, parent))| (old.simple(), new.simple(), parent.map(Uuid::simple)))
                    .collect();
                let copy = query(SQLITE_COPY)
                    .bind(scope.tenant.0)
                    .bind(id.0)
                    .bind(into.id.0)
                    .bind(serde_json::to_string(&triples).unwrap_or_default());
                db.all(vec![create!(scope, &forked), copy], check).await
            }
            Database::Postgres(db) => {
                let copy = query(POSTGRES_COPY)
                    .bind(scope.tenant.0)
                    .bind(id.0)
                    .bind(into.id.0)
                    .bind(old)
                    .bind(new)
                    .bind(parents);
                db.all(vec![create!(scope, &forked), copy], check).await
            }
        };
        stored.map_err(|error| match std::error::Error::source(&error) {
            Some(_) => refused(error, scope, into),
            None => error,
        })?;
        Ok(forked)
    }

    /// Which of the things that `messages` need is not there, after a write
    /// said that one is not.
    pub(crate) async fn missing_parent(
        &self,
        scope: &Scope,
        id: ConversationId,
        messages: &[Message],
        error: Error,
    ) -> Error {
        if let Err(missing) = self.check_conversation(scope, id).await {
            return missing;
        }
        let new = |id: &MessageId| messages.iter().any(|message| message.id == *id);
        for parent in messages.iter().filter_map(|message| message.parent_id).filter(|id| !new(id)) {
            if let Err(missing) = ConversationStore::message(self, scope, id, parent).await {
                return missing;
            }
        }
        error
    }
}

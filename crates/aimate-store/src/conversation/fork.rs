//! Copying a path of messages into a new conversation.

use aimate_core::conversation::Conversation;
use aimate_core::{ConversationId, Error, Ids, MessageId, Result, Scope};
use uuid::Uuid;

use super::create;
use crate::database::{Array, DbError, Sql};
use crate::message_index::request;
use crate::value::json;
use crate::{Kind, SqlStore};

/// Copies the messages of conversation `$2` that are named as `old`, as `new`
/// under `parent`, into conversation `$3`. A copy has no run, so it is not being
/// written.
const POSTGRES_COPY: Sql = Sql::Postgres(
    "INSERT INTO messages (tenant_id, conversation_id, id, parent_id, role, content, status, model, usage, cost, \
     metadata, depth, tokens, path_tokens, created_at) \
     SELECT m.tenant_id, $3, t.new, t.parent, m.role, m.content, \
     CASE m.status WHEN 'streaming' THEN 'interrupted' ELSE m.status END, m.model, m.usage, m.cost, \
     m.metadata, m.depth, m.tokens, m.path_tokens, m.created_at \
     FROM unnest($4::uuid[], $5::uuid[], $6::uuid[]) AS t (old, new, parent) \
     JOIN messages m ON m.id = t.old WHERE m.tenant_id = $1 AND m.conversation_id = $2",
);
/// The same with the three ids of each message in the JSON of `$4`. CROSS JOIN
/// keeps SQLite's planner from beginning with the messages.
const SQLITE_COPY: Sql = Sql::Sqlite(
    "INSERT INTO messages (tenant_id, conversation_id, id, parent_id, role, content, status, model, usage, cost, \
     metadata, depth, tokens, path_tokens, created_at) \
     SELECT m.tenant_id, $3, t.new, t.parent, m.role, m.content, \
     CASE m.status WHEN 'streaming' THEN 'interrupted' ELSE m.status END, m.model, m.usage, m.cost, \
     m.metadata, m.depth, m.tokens, m.path_tokens, m.created_at \
     FROM (SELECT unhex(value ->> 0) AS old, unhex(value ->> 1) AS new, unhex(value ->> 2) AS parent \
        FROM json_each($4)) t \
     CROSS JOIN messages m ON m.id = t.old WHERE m.tenant_id = $1 AND m.conversation_id = $2",
);

impl SqlStore {
    /// See [`ConversationStore::fork`](aimate_core::conversation::ConversationStore::fork).
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
        let parents = std::iter::once(None).chain(new.iter().copied().map(Some));
        let forked = Conversation {
            active_leaf_id: new.last().copied().map(MessageId),
            message_count: old.len() as u64,
            ..into.clone()
        };
        let copied = old.len();
        let copy = match self.kind() {
            Kind::Sqlite => {
                let triples = old.iter().zip(new.iter().zip(parents));
                let triples = triples.map(|(old, (new, parent))| {
                    [Some(*old), Some(*new), parent].map(|id| id.map(Uuid::simple))
                });
                SQLITE_COPY
                    .bind(scope.tenant)
                    .bind(id)
                    .bind(into.id)
                    .bind(json(&triples.collect::<Vec<_>>())?)
            }
            Kind::Postgres => {
                let parents = Array::uuids(parents.take(new.len()));
                POSTGRES_COPY
                    .bind(scope.tenant)
                    .bind(id)
                    .bind(into.id)
                    .bind(old)
                    .bind(new.clone())
                    .bind(parents)
            }
        };
        // What the copies are found by is made of their rows, which are not here.
        let index = request(scope.tenant, into.id, false).expect_touched(1);
        let statements = [create(scope, &forked)?, copy.expect_touched(copied), index];
        match self.database.transaction(statements).await {
            Ok(_) => {
                self.index_at_once(scope.tenant, into.id).await;
                Ok(forked)
            }
            Err(error @ DbError::RowCount { .. }) => {
                // The source may have been deleted since its path was read.
                self.check_conversation(scope, id).await?;
                Err(self.not_created(scope, into, error).await)
            }
            Err(error) => Err(self.not_created(scope, into, error).await),
        }
    }
}

//! Adding messages to a conversation.

use aimate_core::conversation::ConversationStore;
use aimate_core::message::Message;
use aimate_core::{ConversationId, Error, ErrorKind, MessageId, Result, Scope, Timestamp};

use crate::database::{DbError, Sql};
use crate::message::{bind_arrays, sqlite_insert};
use crate::message_index::NewTexts;
use crate::value::count;
use crate::{Kind, SqlStore};

/// Points the conversation at message `$4`, at time `$5`, and stores the messages
/// `$6` to `$18`, with what they are found by (`$19` to `$22`); returns a row if the
/// conversation is there and, where `$23` asks for it, its active leaf is `$24`.
const POSTGRES_APPEND: Sql = Sql::Postgres(
    "WITH touched AS ( \
        UPDATE conversations SET active_leaf_id = $4, updated_at = $5, \
        message_count = message_count + cardinality($6::uuid[]) \
        WHERE tenant_id = $1 AND id = $3 \
        AND (conversations.workspace_id IS NULL AND conversations.user_id = $2 OR (SELECT a.role FROM workspace_access a \
            WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = conversations.workspace_id) <> 'viewer') \
        AND (NOT $23 OR active_leaf_id IS NOT DISTINCT FROM $24) \
        RETURNING id, is_hidden, COALESCE(workspace_id, user_id) AS owner_id), \
     said AS ( \
        INSERT INTO messages (tenant_id, conversation_id, id, parent_id, role, content, status, model, usage, \
        cost, metadata, depth, tokens, path_tokens, created_at) \
        SELECT $1, $3, m.* FROM unnest($6::uuid[], $7::uuid[], $8::text[], $9::jsonb[], $10::text[], \
        $11::text[], $12::jsonb[], $13::bigint[], $14::jsonb[], $15::bigint[], $16::bigint[], $17::bigint[], \
        $18::bigint[]) AS m WHERE EXISTS (SELECT 1 FROM touched)), \
     indexed AS ( \
        INSERT INTO message_segments (tenant_id, id, owner_id, conversation_id, message_count, header, block) \
        SELECT $1, $19, t.owner_id, $3, $20, $21, $22 FROM touched t WHERE $19::uuid IS NOT NULL AND NOT t.is_hidden) \
     SELECT id FROM touched",
);
const SQLITE_TOUCH: Sql = Sql::Sqlite(
    "UPDATE conversations SET active_leaf_id = $4, updated_at = $5, message_count = message_count + $6 \
     WHERE tenant_id = $1 AND id = $3 \
     AND (conversations.workspace_id IS NULL AND conversations.user_id = $2 OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = conversations.workspace_id) <> 'viewer') \
     AND (NOT $7 OR active_leaf_id IS NOT DISTINCT FROM $8)",
);

impl SqlStore {
    /// See [`ConversationStore::append`] and
    /// [`MessageStore::extend`](aimate_core::message::MessageStore::extend), for which there is an
    /// `expected` leaf.
    pub(crate) async fn append_messages(
        &self,
        scope: &Scope,
        id: ConversationId,
        expected: Option<Option<MessageId>>,
        messages: &[Message],
        now: Timestamp,
    ) -> Result<()> {
        let Some(leaf) = messages.last() else {
            return self.check_conversation(scope, id).await;
        };
        let written = NewTexts::of(id, messages).analyzed(self).await?;
        let messages: Vec<&Message> = messages.iter().collect();
        let statements = match self.kind() {
            Kind::Sqlite => {
                let inserts = messages.iter().map(|message| sqlite_insert(scope.tenant, id, message));
                let touch = SQLITE_TOUCH.scoped(scope).bind(id).bind(leaf.id).bind(now);
                let touch = touch.bind(count(messages.len())).bind(expected.is_some());
                let touch = touch.bind(expected.flatten()).expect_touched(1);
                let indexed = written.statement(scope.tenant).map(Ok);
                inserts.chain([Ok(touch)]).chain(indexed).collect::<Result<_>>()?
            }
            Kind::Postgres => {
                let touch = POSTGRES_APPEND.scoped(scope).bind(id).bind(leaf.id).bind(now);
                let append = written.bind(bind_arrays(touch, &messages)?).bind(expected.is_some());
                vec![append.bind(expected.flatten()).expect_returned()]
            }
        };
        match self.database.transaction_of(statements).await {
            Ok(_) => {
                written.ask_for_merging(self, scope.tenant).await;
                Ok(())
            }
            Err(error @ DbError::ForeignKey(_)) => {
                Err(self.missing_parent(scope, id, &messages, error).await)
            }
            Err(DbError::RowCount { .. }) => Err(self.not_appended(scope, id, expected).await),
            Err(error) => Err(error.into()),
        }
    }

    /// Why messages were not added.
    async fn not_appended(
        &self,
        scope: &Scope,
        id: ConversationId,
        expected: Option<Option<MessageId>>,
    ) -> Error {
        let refused = self.not_their_conversation(scope, id).await;
        if expected.is_some() && refused.kind() == ErrorKind::Unavailable {
            return Error::conflict("the conversation went on at the same moment; read it again");
        }
        refused
    }

    /// Which of the things that `messages` need is not there, after a write
    /// said that one is not.
    pub(crate) async fn missing_parent(
        &self,
        scope: &Scope,
        id: ConversationId,
        messages: &[&Message],
        error: DbError,
    ) -> Error {
        if let Err(missing) = self.check_conversation(scope, id).await {
            return missing;
        }
        let is_new = |id| messages.iter().any(|message| message.id == id);
        for parent in messages.iter().filter_map(|message| message.parent_id).filter(|id| !is_new(*id)) {
            if let Err(missing) = ConversationStore::message(self, scope, id, parent).await {
                return missing;
            }
        }
        error.into()
    }
}

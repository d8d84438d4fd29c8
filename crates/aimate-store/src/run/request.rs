//! What runs keep for their callers.

use aimate_core::run::{Run, RunRequestStore};
use aimate_core::{ConversationId, Error, Result, RunId, Scope, Timestamp};
use async_trait::async_trait;
use serde_json::Value;

use super::run;
use crate::database::{DbError, Sql};
use crate::page::or_not_found;
use crate::worker::by_tenant;
use crate::{Kind, SqlStore};

const GET: Sql = Sql::Same(
    "SELECT r.id, r.conversation_id, r.user_message_id, r.message_id, r.status, r.model, r.error, \
     r.finish_reason, r.usage, r.context, r.worker_id, r.attempt, r.client_id, r.client_hash, r.tags, r.workspace_id, \
     r.created_at, r.finished_at, r.request \
     FROM runs r JOIN conversations c ON c.tenant_id = r.tenant_id AND c.id = r.conversation_id \
     WHERE r.tenant_id = $1 AND r.id = $3 AND r.request IS NOT NULL \
     AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL)",
);
/// Of a run whose conversation the user may write to.
const FORGET: Sql = Sql::Same(
    "UPDATE runs SET request = NULL WHERE tenant_id = $1 AND id = $3 AND request IS NOT NULL \
     AND EXISTS (SELECT 1 FROM conversations c WHERE c.tenant_id = $1 AND c.id = runs.conversation_id \
        AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
            WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) <> 'viewer'))",
);
/// One run of a conversation after the other, so that the last one sees that it is the last. Only
/// of a conversation that the user sees: nobody waits for a stranger.
const LOCK: Sql = Sql::Postgres(
    "SELECT c.id FROM runs r JOIN conversations c ON c.tenant_id = r.tenant_id AND c.id = r.conversation_id \
     WHERE r.tenant_id = $1 AND r.id = $3 AND (c.workspace_id IS NULL AND c.user_id = $2 \
        OR (SELECT a.role FROM workspace_access a \
            WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) <> 'viewer') \
     FOR UPDATE OF c",
);
/// The hidden conversation of run `$2` if no run of it keeps anything any more.
const DELETE_EMPTY: Sql = Sql::Same(
    "DELETE FROM conversations WHERE tenant_id = $1 AND is_hidden = true \
     AND id = (SELECT r.conversation_id FROM runs r WHERE r.tenant_id = $1 AND r.id = $2) \
     AND NOT EXISTS (SELECT 1 FROM runs o WHERE o.tenant_id = $1 AND o.conversation_id = conversations.id \
        AND o.request IS NOT NULL) RETURNING id",
);
const SQLITE_CLEAR: Sql = Sql::Sqlite(
    "DELETE FROM conversations WHERE (tenant_id, id) IN ( \
        SELECT c.tenant_id, c.id FROM conversations c WHERE c.is_hidden = true AND c.updated_at < $1 \
        AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.tenant_id = c.tenant_id AND r.conversation_id = c.id \
            AND r.finished_at IS NULL AND r.status <> 'waiting') ORDER BY c.updated_at LIMIT $2)",
);
const POSTGRES_OLD: Sql = Sql::Postgres(
    "SELECT c.tenant_id, c.id FROM conversations c WHERE c.is_hidden = true AND c.updated_at < $1 \
     AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.tenant_id = c.tenant_id AND r.conversation_id = c.id \
        AND r.finished_at IS NULL AND r.status <> 'waiting') ORDER BY c.updated_at LIMIT $2",
);
/// Deletes those of the conversations `$2` that are still so. What somebody goes on with just now
/// is passed over: the array is made once.
const POSTGRES_CLEAR: Sql = Sql::Postgres(
    "DELETE FROM conversations WHERE tenant_id = $1 AND id = ANY(ARRAY(SELECT c.id FROM conversations c \
        WHERE c.tenant_id = $1 AND c.id = ANY($2) AND c.is_hidden = true \
        AND c.updated_at < $3 AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.tenant_id = $1 \
            AND r.conversation_id = c.id AND r.finished_at IS NULL AND r.status <> 'waiting') \
        FOR UPDATE OF c SKIP LOCKED))",
);

#[async_trait]
impl RunRequestStore for SqlStore {
    async fn get(&self, scope: &Scope, id: RunId) -> Result<(Run, Value)> {
        let row = self.database.read_first(GET.scoped(scope).bind(id)).await?;
        let row = or_not_found(row, || Error::missing("run", id))?;
        Ok((run(&row)?, row.json("request")?))
    }

    async fn forget(&self, scope: &Scope, id: RunId) -> Result<Option<ConversationId>> {
        let statements = [
            LOCK.scoped(scope).bind(id),
            FORGET.scoped(scope).bind(id).expect_touched(1).uses_reserve(),
            DELETE_EMPTY.bind(scope.tenant).bind(id),
        ];
        match self.database.transaction(statements).await {
            Ok(outcomes) => {
                outcomes.last().and_then(|last| last.rows.first()).map(|row| row.get("id")).transpose()
            }
            Err(DbError::RowCount { .. }) => Err(Error::missing("run", id)),
            Err(error) => Err(error.into()),
        }
    }

    async fn clear(&self, before: Timestamp, limit: u32) -> Result<u64> {
        if self.kind() == Kind::Sqlite {
            return Ok(self.database.execute(SQLITE_CLEAR.bind(before).bind(limit).uses_reserve()).await?);
        }
        let mut cleared = 0;
        for of in by_tenant(&self.database.read(POSTGRES_OLD.bind(before).bind(limit)).await?)? {
            let clear = POSTGRES_CLEAR.bind(of.tenant).bind(of.ids).bind(before);
            cleared += self.database.execute(clear).await?;
        }
        Ok(cleared)
    }
}

//! Forgetting what a run keeps for its caller.

use aimate_core::{ConversationId, Error, Result, RunId, Scope};

use crate::SqlStore;
use crate::database::{DbError, Sql};

/// Of a run whose conversation the user may write to.
const FORGET: Sql = Sql::Same(
    "UPDATE runs SET request = NULL WHERE tenant_id = $1 AND id = $3 AND request IS NOT NULL \
     AND EXISTS (SELECT 1 FROM conversations c WHERE c.tenant_id = $1 AND c.id = runs.conversation_id \
        AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
            WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) <> 'viewer'))",
);
/// One run of a conversation after the other, so that the last one sees that it is the last.
const LOCK: Sql = Sql::Postgres(
    "SELECT c.id FROM runs r JOIN conversations c ON c.tenant_id = r.tenant_id AND c.id = r.conversation_id \
     WHERE r.tenant_id = $1 AND r.id = $2 FOR UPDATE OF c",
);
/// The hidden conversation of run `$2` if no run of it keeps anything any more.
const DELETE_EMPTY: Sql = Sql::Same(
    "DELETE FROM conversations WHERE tenant_id = $1 AND is_hidden = true \
     AND id = (SELECT r.conversation_id FROM runs r WHERE r.tenant_id = $1 AND r.id = $2) \
     AND NOT EXISTS (SELECT 1 FROM runs o WHERE o.tenant_id = $1 AND o.conversation_id = conversations.id \
        AND o.request IS NOT NULL) RETURNING id",
);

impl SqlStore {
    /// See [`RunStore::forget`](aimate_core::run::RunStore::forget).
    pub(super) async fn forget_run(&self, scope: &Scope, id: RunId) -> Result<Option<ConversationId>> {
        let statements = [
            LOCK.bind(scope.tenant).bind(id),
            FORGET.scoped(scope).bind(id).expect_touched(1),
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
}

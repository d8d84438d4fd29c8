//! Shares.

use aimate_core::conversation::ConversationStore;
use aimate_core::share::{MAX_SHARES, Share, ShareStore, SharedConversation};
use aimate_core::workspace::WorkspaceRole;
use aimate_core::{
    ConversationId, Error, ErrorKind, Page, PageRequest, Result, Scope, ShareId, Timestamp, UserId,
};
use async_trait::async_trait;

use crate::SqlStore;
use crate::database::{DbError, Row, Sql, each};
use crate::page::{before, or_not_found, page_by_id, rows_of};
use crate::value::{count, json, text};
use crate::workspace::too_little;

/// Those of a conversation that have ended.
const DELETE_ENDED: Sql =
    Sql::Same("DELETE FROM shares WHERE tenant_id = $1 AND conversation_id = $2 AND expires_at <= $3");
/// One new link of a conversation after the other, so that each counts those before it.
const LOCK: Sql =
    Sql::Postgres("SELECT id FROM conversations WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE");
/// Of a conversation that the user may write to, and not one more than `$13`.
const CREATE: Sql = Sql::Same(
    "INSERT INTO shares (tenant_id, user_id, id, conversation_id, message_id, title, message_count, \
     has_system_prompt, secret_hash, shown, created_at, expires_at) \
     SELECT $1, $2, $3, c.id, $5, $6, $7, $8, $9, $10, $11, $12 FROM conversations c \
     WHERE c.tenant_id = $1 AND c.id = $4 AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) <> 'viewer') \
     AND (SELECT count(*) FROM shares s WHERE s.tenant_id = $1 AND s.conversation_id = $4) < $13",
);
const LIST: Sql = Sql::Same(
    "SELECT id, user_id, conversation_id, message_id, title, message_count, has_system_prompt, created_at, \
     expires_at FROM shares WHERE tenant_id = $1 AND conversation_id = $3 AND id < $4 \
     AND (SELECT c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) <> 'viewer' \
        FROM conversations c WHERE c.tenant_id = $1 AND c.id = $3) ORDER BY id DESC LIMIT $5",
);
const DELETE: Sql = Sql::Same(
    "DELETE FROM shares WHERE tenant_id = $1 AND id = $3 \
     AND (SELECT c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) <> 'viewer' \
        FROM conversations c WHERE c.tenant_id = $1 AND c.id = shares.conversation_id) RETURNING conversation_id",
);
/// For who sees the conversation and may not write to it.
const CONVERSATION: Sql = Sql::Same("SELECT conversation_id FROM shares WHERE tenant_id = $1 AND id = $2");
/// Over all tenants: the secret leads to its own.
const FIND: Sql = Sql::Same(
    "SELECT s.shown FROM shares s JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id \
     LEFT JOIN tenants t ON t.tenant_id = s.tenant_id WHERE s.secret_hash = $1 AND s.expires_at > $2 \
     AND u.is_active AND t.is_active IS NOT FALSE AND NOT EXISTS (SELECT 1 FROM deletions d \
        WHERE d.tenant_id = s.tenant_id AND d.user_id IN (s.user_id, $3) AND d.finished_at IS NULL) LIMIT 1",
);
/// Of all tenants.
const CLEAR: Sql = Sql::Same("DELETE FROM shares WHERE expires_at <= $1");

fn share(row: &Row) -> Result<Share> {
    Ok(Share {
        id: row.get("id")?,
        conversation_id: row.get("conversation_id")?,
        message_id: row.get("message_id")?,
        user_id: row.get("user_id")?,
        title: row.get("title")?,
        message_count: row.get("message_count")?,
        has_system_prompt: row.get("has_system_prompt")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
    })
}

#[async_trait]
impl ShareStore for SqlStore {
    async fn create(
        &self,
        scope: &Scope,
        share: &Share,
        secret_hash: &[u8],
        shown: &SharedConversation,
    ) -> Result<()> {
        let conversation = share.conversation_id;
        let lock = LOCK.bind(scope.tenant).bind(conversation);
        let delete_ended = DELETE_ENDED.bind(scope.tenant).bind(conversation).bind(share.created_at);
        let create = CREATE
            .scoped(scope)
            .bind(share.id)
            .bind(conversation)
            .bind(share.message_id)
            .bind(text(&share.title))
            .bind(count(share.message_count))
            .bind(share.has_system_prompt)
            .bind(secret_hash)
            .bind(json(shown)?)
            .bind(share.created_at)
            .bind(share.expires_at)
            .bind(i64::from(MAX_SHARES))
            .expect_touched(1);
        match self.database.transaction([lock, delete_ended, create]).await {
            Ok(_) => Ok(()),
            Err(DbError::RowCount { .. }) => {
                self.check_shares(scope, conversation).await?;
                Err(Error::conflict(format!(
                    "the conversation has {MAX_SHARES} links, the most; revoke one of them"
                )))
            }
            Err(error) => Err(error.on_foreign_key(|| Error::missing("user", scope.user)).into()),
        }
    }

    async fn list(
        &self,
        scope: &Scope,
        conversation: ConversationId,
        page: PageRequest,
    ) -> Result<Page<Share>> {
        let list = LIST.scoped(scope).bind(conversation).bind(before(page)).bind(rows_of(page));
        let shares = each(&self.database.read(list).await?, share)?;
        if shares.is_empty() {
            self.check_shares(scope, conversation).await?;
        }
        Ok(page_by_id(shares, page, |share| share.id.0))
    }

    async fn delete(&self, scope: &Scope, id: ShareId) -> Result<ConversationId> {
        let deleted = self.database.write(DELETE.scoped(scope).bind(id).uses_reserve()).await?;
        if let Some(row) = deleted.first() {
            return row.get("conversation_id");
        }
        let missing = || Error::missing("share", id);
        let row = self.database.read_first(CONVERSATION.bind(scope.tenant).bind(id)).await?;
        let conversation = or_not_found(row, missing)?.get("conversation_id")?;
        match self.check_shares(scope, conversation).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            // Somebody else revoked it at the same moment.
            _ => Err(missing()),
        }
    }

    async fn find(&self, secret_hash: &[u8], now: Timestamp) -> Result<Option<SharedConversation>> {
        let row = self.database.read_first(FIND.bind(secret_hash).bind(now).bind(UserId::SHARED)).await?;
        row.map(|row| row.json("shown")).transpose()
    }

    async fn clear(&self, now: Timestamp) -> Result<()> {
        self.database.execute(CLEAR.bind(now)).await?;
        Ok(())
    }
}

impl SqlStore {
    /// Fails unless the user may share a conversation: `NotFound` if they do not see it,
    /// `Forbidden` if they are a viewer of its workspace.
    async fn check_shares(&self, scope: &Scope, id: ConversationId) -> Result<()> {
        let conversation = ConversationStore::get(self, scope, id).await?;
        let Some(workspace) = conversation.workspace_id else { return Ok(()) };
        match self.workspace_role(scope, workspace).await? {
            Some(role) if role < WorkspaceRole::Editor => Err(too_little(role, WorkspaceRole::Editor)),
            _ => Ok(()),
        }
    }
}

//! Connections.

use aimate_core::connection::{Connection, ConnectionStore};
use aimate_core::workspace::WorkspaceRole;
use aimate_core::{ConnectionId, Error, ErrorKind, Page, PageRequest, Result, Role, Scope, UserId};
use async_trait::async_trait;

use crate::SqlStore;
use crate::database::{DbError, Row, Sql, Statement, each};
use crate::page::{or_not_found, page_by_id, rows_of};
use crate::secret::sealed;
use crate::user::{being_deleted, tenant_lock};
use crate::value::{json, maybe_text, text};

/// Owned by `$2`: nobody if it is shared. In no workspace, or in one that the user owns.
const CREATE: Sql = Sql::Same(
    "INSERT INTO connections (tenant_id, user_id, id, name, provider, url, key_hint, sealed_key, is_enabled, \
     settings, status, models_fetched_at, stale_since, created_at, updated_at, key_id, workspace_id) \
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17 \
     WHERE (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = $17) = 'owner' OR $17 IS NULL",
);
/// The same for a shared one: not in a tenant that is gone or being deleted, whose next
/// one would inherit it.
const CREATE_SHARED: Sql = Sql::Same(
    "INSERT INTO connections (tenant_id, user_id, id, name, provider, url, key_hint, sealed_key, is_enabled, \
     settings, status, models_fetched_at, stale_since, created_at, updated_at, key_id) \
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16 FROM tenants t \
     WHERE t.tenant_id = $1 AND NOT EXISTS (SELECT 1 FROM deletions d WHERE d.tenant_id = $1 \
     AND d.user_id = $17 AND d.finished_at IS NULL)",
);
const GET: Sql = Sql::Same(
    "SELECT id, user_id, name, provider, url, key_hint, sealed_key, is_enabled, settings, status, \
     models_fetched_at, stale_since, created_at, updated_at, key_id, workspace_id FROM connections \
     WHERE tenant_id = $1 AND id = $3 AND (user_id IS NULL OR workspace_id IS NULL AND user_id = $2 OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = connections.workspace_id) <> 'viewer')",
);
/// The user's own, those of their workspaces and the shared ones, each by its index: with
/// OR, SQLite reads those of all users. CROSS JOIN and `OFFSET 0` keep the planners to this
/// order, however many workspaces others have.
const LIST: Sql = Sql::Each {
    sqlite: "SELECT id, user_id, name, provider, url, key_hint, sealed_key, is_enabled, settings, status, \
        models_fetched_at, stale_since, created_at, updated_at, key_id, workspace_id FROM connections \
        WHERE tenant_id = $1 AND user_id = $2 AND workspace_id IS NULL \
        UNION ALL \
        SELECT id, user_id, name, provider, url, key_hint, sealed_key, is_enabled, settings, status, \
        models_fetched_at, stale_since, created_at, updated_at, key_id, workspace_id FROM connections \
        WHERE tenant_id = $1 AND user_id IS NULL \
        UNION ALL \
        SELECT c.id, c.user_id, c.name, c.provider, c.url, c.key_hint, c.sealed_key, c.is_enabled, c.settings, \
        c.status, c.models_fetched_at, c.stale_since, c.created_at, c.updated_at, c.key_id, c.workspace_id \
        FROM workspace_access a CROSS JOIN connections c \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.role <> 'viewer' AND c.tenant_id = $1 \
        AND c.workspace_id = a.workspace_id \
        ORDER BY name, id LIMIT $3",
    postgres: "SELECT id, user_id, name, provider, url, key_hint, sealed_key, is_enabled, settings, status, \
        models_fetched_at, stale_since, created_at, updated_at, key_id, workspace_id FROM connections \
        WHERE tenant_id = $1 AND user_id = $2 AND workspace_id IS NULL \
        UNION ALL \
        SELECT id, user_id, name, provider, url, key_hint, sealed_key, is_enabled, settings, status, \
        models_fetched_at, stale_since, created_at, updated_at, key_id, workspace_id FROM connections \
        WHERE tenant_id = $1 AND user_id IS NULL \
        UNION ALL \
        SELECT c.id, c.user_id, c.name, c.provider, c.url, c.key_hint, c.sealed_key, c.is_enabled, c.settings, \
        c.status, c.models_fetched_at, c.stale_since, c.created_at, c.updated_at, c.key_id, c.workspace_id \
        FROM workspace_access a CROSS JOIN LATERAL ( \
            SELECT o.id, o.user_id, o.name, o.provider, o.url, o.key_hint, o.sealed_key, o.is_enabled, o.settings, \
            o.status, o.models_fetched_at, o.stale_since, o.created_at, o.updated_at, o.key_id, o.workspace_id \
            FROM connections o WHERE o.tenant_id = $1 AND o.workspace_id = a.workspace_id OFFSET 0) c \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.role <> 'viewer' \
        ORDER BY name, id LIMIT $3",
};
/// The same after connection `$4`.
const LIST_AFTER: Sql = Sql::Each {
    sqlite: "SELECT id, user_id, name, provider, url, key_hint, sealed_key, is_enabled, settings, status, \
        models_fetched_at, stale_since, created_at, updated_at, key_id, workspace_id FROM connections \
        WHERE tenant_id = $1 AND user_id = $2 AND workspace_id IS NULL \
        AND (name, id) > (SELECT o.name, o.id FROM connections o WHERE o.tenant_id = $1 AND o.id = $4) \
        UNION ALL \
        SELECT id, user_id, name, provider, url, key_hint, sealed_key, is_enabled, settings, status, \
        models_fetched_at, stale_since, created_at, updated_at, key_id, workspace_id FROM connections \
        WHERE tenant_id = $1 AND user_id IS NULL \
        AND (name, id) > (SELECT o.name, o.id FROM connections o WHERE o.tenant_id = $1 AND o.id = $4) \
        UNION ALL \
        SELECT c.id, c.user_id, c.name, c.provider, c.url, c.key_hint, c.sealed_key, c.is_enabled, c.settings, \
        c.status, c.models_fetched_at, c.stale_since, c.created_at, c.updated_at, c.key_id, c.workspace_id \
        FROM workspace_access a CROSS JOIN connections c \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.role <> 'viewer' AND c.tenant_id = $1 \
        AND c.workspace_id = a.workspace_id \
        AND (c.name, c.id) > (SELECT o.name, o.id FROM connections o WHERE o.tenant_id = $1 AND o.id = $4) \
        ORDER BY name, id LIMIT $3",
    postgres: "SELECT id, user_id, name, provider, url, key_hint, sealed_key, is_enabled, settings, status, \
        models_fetched_at, stale_since, created_at, updated_at, key_id, workspace_id FROM connections \
        WHERE tenant_id = $1 AND user_id = $2 AND workspace_id IS NULL \
        AND (name, id) > (SELECT o.name, o.id FROM connections o WHERE o.tenant_id = $1 AND o.id = $4) \
        UNION ALL \
        SELECT id, user_id, name, provider, url, key_hint, sealed_key, is_enabled, settings, status, \
        models_fetched_at, stale_since, created_at, updated_at, key_id, workspace_id FROM connections \
        WHERE tenant_id = $1 AND user_id IS NULL \
        AND (name, id) > (SELECT o.name, o.id FROM connections o WHERE o.tenant_id = $1 AND o.id = $4) \
        UNION ALL \
        SELECT c.id, c.user_id, c.name, c.provider, c.url, c.key_hint, c.sealed_key, c.is_enabled, c.settings, \
        c.status, c.models_fetched_at, c.stale_since, c.created_at, c.updated_at, c.key_id, c.workspace_id \
        FROM workspace_access a CROSS JOIN LATERAL ( \
            SELECT o.id, o.user_id, o.name, o.provider, o.url, o.key_hint, o.sealed_key, o.is_enabled, o.settings, \
            o.status, o.models_fetched_at, o.stale_since, o.created_at, o.updated_at, o.key_id, o.workspace_id \
            FROM connections o WHERE o.tenant_id = $1 AND o.workspace_id = a.workspace_id OFFSET 0) c \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.role <> 'viewer' \
        AND (c.name, c.id) > (SELECT o.name, o.id FROM connections o WHERE o.tenant_id = $1 AND o.id = $4) \
        ORDER BY name, id LIMIT $3",
};
/// `$4` says that the user is an admin, who may change shared ones and what else they see, `$19` that the sealed key
/// stays: it may have been resealed since it was read.
const UPDATE: Sql = Sql::Same(
    "UPDATE connections SET name = $6, provider = $7, url = $8, key_hint = $9, \
     sealed_key = CASE WHEN $19 THEN sealed_key ELSE $10 END, key_id = CASE WHEN $19 THEN key_id ELSE $18 END, \
     is_enabled = $11, settings = $12, status = $13, models_fetched_at = $14, stale_since = $15, \
     created_at = $16, updated_at = $17 \
     WHERE tenant_id = $1 AND id = $3 AND updated_at = $5 AND (workspace_id IS NULL AND user_id = $2 OR $4 AND user_id IS NULL OR (SELECT a.role = 'owner' \
        OR $4 AND a.role <> 'viewer' FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 \
        AND a.workspace_id = connections.workspace_id))",
);
const DELETE: Sql = Sql::Same(
    "DELETE FROM connections WHERE tenant_id = $1 AND id = $3 AND (workspace_id IS NULL AND user_id = $2 OR $4 AND user_id IS NULL OR (SELECT a.role = 'owner' \
        OR $4 AND a.role <> 'viewer' FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 \
        AND a.workspace_id = connections.workspace_id))",
);
const MAY_CHANGE: Sql = Sql::Same(
    "SELECT id FROM connections WHERE tenant_id = $1 AND id = $3 AND (workspace_id IS NULL AND user_id = $2 OR $4 AND user_id IS NULL OR (SELECT a.role = 'owner' \
        OR $4 AND a.role <> 'viewer' FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 \
        AND a.workspace_id = connections.workspace_id))",
);

fn connection(row: &Row) -> Result<Connection> {
    let sealed_key = sealed(row, "sealed_key")?;
    Ok(Connection {
        id: row.get("id")?,
        name: row.get("name")?,
        provider: row.name("provider")?,
        url: row.maybe("url")?,
        has_key: sealed_key.is_some(),
        key_hint: row.maybe("key_hint")?,
        sealed_key,
        is_enabled: row.get("is_enabled")?,
        is_shared: row.maybe::<UserId>("user_id")?.is_none(),
        workspace_id: row.maybe("workspace_id")?,
        settings: row.json("settings")?,
        status: row.name("status")?,
        models_fetched_at: row.maybe("models_fetched_at")?,
        stale_since: row.maybe("stale_since")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// Binds what a connection can be given.
fn bind(statement: Statement, connection: &Connection) -> Result<Statement> {
    Ok(statement
        .bind(text(&connection.name))
        .bind(connection.provider.as_str())
        .bind(maybe_text(connection.url.as_ref()))
        .bind(maybe_text(connection.key_hint.as_ref()))
        .bind(connection.sealed_key.as_ref().map(|sealed| sealed.bytes.as_slice()))
        .bind(connection.is_enabled)
        .bind(json(&connection.settings)?)
        .bind(connection.status.as_str())
        .bind(connection.models_fetched_at)
        .bind(connection.stale_since)
        .bind(connection.created_at)
        .bind(connection.updated_at)
        .bind(connection.sealed_key.as_ref().map(|sealed| sealed.key_id)))
}

fn is_admin(scope: &Scope) -> bool {
    scope.role == Role::Admin
}

fn name_taken(connection: &Connection) -> Error {
    Error::conflict(format!(
        "there is a connection with the name `{}` already; choose another",
        connection.name
    ))
}

#[async_trait]
impl ConnectionStore for SqlStore {
    async fn create(&self, scope: &Scope, connection: &Connection) -> Result<()> {
        if connection.is_shared && !is_admin(scope) {
            return Err(Error::forbidden("only an admin shares a connection with all users"));
        }
        let owner = (!connection.is_shared).then_some(scope.user);
        let sql = if connection.is_shared { CREATE_SHARED } else { CREATE };
        let create = bind(sql.bind(scope.tenant).bind(owner).bind(connection.id), connection)?;
        let statements = match connection.is_shared {
            true => vec![tenant_lock(scope), create.bind(UserId::SHARED).expect_touched(1)],
            false => vec![create.bind(connection.workspace_id).expect_touched(1)],
        };
        match (self.database.transaction_of(statements).await, connection.workspace_id) {
            (Ok(_), _) => Ok(()),
            (Err(DbError::RowCount { .. }), Some(workspace)) => {
                Err(self.not_their_workspace(scope, workspace, WorkspaceRole::Owner).await)
            }
            (Err(error), _) => Err(error
                .on_unique(|| name_taken(connection))
                .on_foreign_key(|| Error::missing("user", scope.user))
                .on_row_count(being_deleted)
                .into()),
        }
    }

    async fn get(&self, scope: &Scope, id: ConnectionId) -> Result<Connection> {
        let row = self.database.read_first(GET.scoped(scope).bind(id)).await?;
        connection(&or_not_found(row, || Error::missing("connection", id))?)
    }

    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<Connection>> {
        let list = match page.after {
            None => LIST.scoped(scope).bind(rows_of(page)),
            Some(cursor) => {
                self.check_cursor(scope, cursor.id.into()).await?;
                LIST_AFTER.scoped(scope).bind(rows_of(page)).bind(cursor.id)
            }
        };
        let connections = each(&self.database.read(list).await?, connection)?;
        Ok(page_by_id(connections, page, |connection| connection.id.0))
    }

    async fn update(&self, scope: &Scope, read: &Connection, connection: &Connection) -> Result<()> {
        let id = connection.id;
        let update = UPDATE.scoped(scope).bind(id).bind(is_admin(scope)).bind(read.updated_at);
        let keeps_key = read.sealed_key == connection.sealed_key;
        let updated = self.database.execute(bind(update, connection)?.bind(keeps_key)).await;
        if updated.map_err(|error| error.on_unique(|| name_taken(connection)))? > 0 {
            return Ok(());
        }
        let may_change = MAY_CHANGE.scoped(scope).bind(id).bind(is_admin(scope));
        Err(match self.database.read_first(may_change).await? {
            Some(_) => Error::conflict("the connection has changed since it was read; read it again"),
            None => self.not_their_connection(scope, id).await,
        })
    }

    async fn delete(&self, scope: &Scope, id: ConnectionId) -> Result<()> {
        let deleted = self.database.execute(DELETE.scoped(scope).bind(id).bind(is_admin(scope))).await?;
        if deleted > 0 { Ok(()) } else { Err(self.not_their_connection(scope, id).await) }
    }
}

impl SqlStore {
    /// Why a connection was not changed: `Forbidden` to editors of its workspace.
    async fn not_their_connection(&self, scope: &Scope, id: ConnectionId) -> Error {
        match ConnectionStore::get(self, scope, id).await {
            Ok(Connection { workspace_id: Some(workspace), .. }) => {
                self.not_their_workspace(scope, workspace, WorkspaceRole::Owner).await
            }
            Ok(_) => Error::missing("connection", id),
            Err(error) => error,
        }
    }

    /// Refuses a cursor whose connection is gone: where the next page begins is
    /// read from it.
    async fn check_cursor(&self, scope: &Scope, id: ConnectionId) -> Result<()> {
        match ConnectionStore::get(self, scope, id).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let gone = "belongs to a connection that is gone; begin at the first page";
                Err(Error::field("cursor", gone).with_source(error))
            }
            found => found.map(drop),
        }
    }
}

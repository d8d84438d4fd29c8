//! Tool servers, and what they list.

mod grant;

use aimate_core::tool::{
    MAX_TOOL_SERVERS, ServerTools, ToolGrant, ToolObservation, ToolPins, ToolServer, ToolServerStatus,
    ToolServerStore,
};
use aimate_core::workspace::WorkspaceRole;
use aimate_core::{Error, ErrorKind, Page, PageRequest, Result, Role, Scope, ToolServerId, UserId};
use async_trait::async_trait;

use crate::SqlStore;
use crate::database::{DbError, Row, Sql, Statement, each};
use crate::page::{or_not_found, page_by_id, rows_of};
use crate::secret::sealed;
use crate::user::being_deleted;
use crate::value::{count, json, maybe_text, text};

/// Owned by `$2`, who made less than `$17`. In no workspace, or in one that the user owns. `$15` is an
/// empty list, `$16` an empty object.
const CREATE: Sql = Sql::Same(
    "INSERT INTO tool_servers (tenant_id, user_id, id, name, url, auth_type, sealed_auth, is_enabled, \
     is_configured, status, created_at, updated_at, key_id, workspace_id, listing, problems, pins, \
     tool_count, revision) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15, \
     $16, 0, 0 WHERE (SELECT count(*) FROM tool_servers o WHERE o.tenant_id = $1 AND o.user_id = $2) < \
     $17 AND ((SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND \
     a.workspace_id = $14) = 'owner' OR $14 IS NULL)",
);
/// The same for a shared one: not in a tenant that is gone or being deleted, whose next
/// one would inherit it. `$14` is who stands for the tenant.
const CREATE_SHARED: Sql = Sql::Same(
    "INSERT INTO tool_servers (tenant_id, user_id, id, name, url, auth_type, sealed_auth, is_enabled, \
     is_configured, status, created_at, updated_at, key_id, workspace_id, listing, problems, pins, \
     tool_count, revision) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, NULL, $15, $15, \
     $16, 0, 0 FROM tenants t WHERE t.tenant_id = $1 AND (SELECT count(*) FROM tool_servers o WHERE \
     o.tenant_id = $1 AND o.user_id IS NULL) < $17 AND NOT EXISTS (SELECT 1 FROM deletions d WHERE \
     d.tenant_id = $1 AND d.user_id = $14 AND d.finished_at IS NULL)",
);
const GET: Sql = Sql::Same(
    "SELECT id, user_id, name, url, auth_type, sealed_auth, is_enabled, is_configured, status, error, \
     server_info, tool_count, tools_fetched_at, tools_expire_at, stale_since, created_at, updated_at, \
     key_id, workspace_id FROM tool_servers WHERE tenant_id = $1 AND id = $3 AND (user_id IS NULL OR \
     workspace_id IS NULL AND user_id = $2 OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = \
     $1 AND a.user_id = $2 AND a.workspace_id = tool_servers.workspace_id) <> 'viewer')",
);
/// The user's own, those of their workspaces and the shared ones, each by its index: with
/// OR, SQLite reads those of all users. CROSS JOIN and `OFFSET 0` keep the planners to this
/// order, however many workspaces others have.
const LIST: Sql = Sql::Each {
    sqlite: "SELECT id, user_id, name, url, auth_type, sealed_auth, is_enabled, is_configured, status, \
        error, server_info, tool_count, tools_fetched_at, tools_expire_at, stale_since, created_at, \
        updated_at, key_id, workspace_id FROM tool_servers WHERE tenant_id = $1 AND user_id = $2 AND \
        workspace_id IS NULL \
        UNION ALL SELECT id, user_id, name, url, auth_type, sealed_auth, is_enabled, is_configured, \
        status, error, server_info, tool_count, tools_fetched_at, tools_expire_at, stale_since, \
        created_at, updated_at, key_id, workspace_id FROM tool_servers WHERE tenant_id = $1 AND user_id \
        IS NULL \
        UNION ALL SELECT s.id, s.user_id, s.name, s.url, s.auth_type, s.sealed_auth, s.is_enabled, \
        s.is_configured, s.status, s.error, s.server_info, s.tool_count, s.tools_fetched_at, \
        s.tools_expire_at, s.stale_since, s.created_at, s.updated_at, s.key_id, s.workspace_id FROM \
        workspace_access a CROSS JOIN tool_servers s WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.role \
        <> 'viewer' AND s.tenant_id = $1 AND s.workspace_id = a.workspace_id ORDER BY name, id LIMIT $3",
    postgres: "SELECT id, user_id, name, url, auth_type, sealed_auth, is_enabled, is_configured, status, \
        error, server_info, tool_count, tools_fetched_at, tools_expire_at, stale_since, created_at, \
        updated_at, key_id, workspace_id FROM tool_servers WHERE tenant_id = $1 AND user_id = $2 AND \
        workspace_id IS NULL \
        UNION ALL SELECT id, user_id, name, url, auth_type, sealed_auth, is_enabled, is_configured, \
        status, error, server_info, tool_count, tools_fetched_at, tools_expire_at, stale_since, \
        created_at, updated_at, key_id, workspace_id FROM tool_servers WHERE tenant_id = $1 AND user_id \
        IS NULL \
        UNION ALL SELECT s.id, s.user_id, s.name, s.url, s.auth_type, s.sealed_auth, s.is_enabled, \
        s.is_configured, s.status, s.error, s.server_info, s.tool_count, s.tools_fetched_at, \
        s.tools_expire_at, s.stale_since, s.created_at, s.updated_at, s.key_id, s.workspace_id FROM \
        workspace_access a CROSS JOIN LATERAL ( SELECT o.id, o.user_id, o.name, o.url, o.auth_type, \
        o.sealed_auth, o.is_enabled, o.is_configured, o.status, o.error, o.server_info, o.tool_count, \
        o.tools_fetched_at, o.tools_expire_at, o.stale_since, o.created_at, o.updated_at, o.key_id, \
        o.workspace_id FROM tool_servers o WHERE o.tenant_id = $1 AND o.workspace_id = a.workspace_id \
        OFFSET 0) s WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.role <> 'viewer' ORDER BY name, id \
        LIMIT $3",
};
/// The same after server `$4`.
const LIST_AFTER: Sql = Sql::Each {
    sqlite: "SELECT id, user_id, name, url, auth_type, sealed_auth, is_enabled, is_configured, status, \
        error, server_info, tool_count, tools_fetched_at, tools_expire_at, stale_since, created_at, \
        updated_at, key_id, workspace_id FROM tool_servers WHERE tenant_id = $1 AND user_id = $2 AND \
        workspace_id IS NULL AND (name, id) > (SELECT o.name, o.id FROM tool_servers o WHERE o.tenant_id \
        = $1 AND o.id = $4) \
        UNION ALL SELECT id, user_id, name, url, auth_type, sealed_auth, is_enabled, is_configured, \
        status, error, server_info, tool_count, tools_fetched_at, tools_expire_at, stale_since, \
        created_at, updated_at, key_id, workspace_id FROM tool_servers WHERE tenant_id = $1 AND user_id \
        IS NULL AND (name, id) > (SELECT o.name, o.id FROM tool_servers o WHERE o.tenant_id = $1 AND o.id \
        = $4) \
        UNION ALL SELECT s.id, s.user_id, s.name, s.url, s.auth_type, s.sealed_auth, s.is_enabled, \
        s.is_configured, s.status, s.error, s.server_info, s.tool_count, s.tools_fetched_at, \
        s.tools_expire_at, s.stale_since, s.created_at, s.updated_at, s.key_id, s.workspace_id FROM \
        workspace_access a CROSS JOIN tool_servers s WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.role \
        <> 'viewer' AND s.tenant_id = $1 AND s.workspace_id = a.workspace_id AND (s.name, s.id) > (SELECT \
        o.name, o.id FROM tool_servers o WHERE o.tenant_id = $1 AND o.id = $4) ORDER BY name, id LIMIT $3",
    postgres: "SELECT id, user_id, name, url, auth_type, sealed_auth, is_enabled, is_configured, status, \
        error, server_info, tool_count, tools_fetched_at, tools_expire_at, stale_since, created_at, \
        updated_at, key_id, workspace_id FROM tool_servers WHERE tenant_id = $1 AND user_id = $2 AND \
        workspace_id IS NULL AND (name, id) > (SELECT o.name, o.id FROM tool_servers o WHERE o.tenant_id \
        = $1 AND o.id = $4) \
        UNION ALL SELECT id, user_id, name, url, auth_type, sealed_auth, is_enabled, is_configured, \
        status, error, server_info, tool_count, tools_fetched_at, tools_expire_at, stale_since, \
        created_at, updated_at, key_id, workspace_id FROM tool_servers WHERE tenant_id = $1 AND user_id \
        IS NULL AND (name, id) > (SELECT o.name, o.id FROM tool_servers o WHERE o.tenant_id = $1 AND o.id \
        = $4) \
        UNION ALL SELECT s.id, s.user_id, s.name, s.url, s.auth_type, s.sealed_auth, s.is_enabled, \
        s.is_configured, s.status, s.error, s.server_info, s.tool_count, s.tools_fetched_at, \
        s.tools_expire_at, s.stale_since, s.created_at, s.updated_at, s.key_id, s.workspace_id FROM \
        workspace_access a CROSS JOIN LATERAL ( SELECT o.id, o.user_id, o.name, o.url, o.auth_type, \
        o.sealed_auth, o.is_enabled, o.is_configured, o.status, o.error, o.server_info, o.tool_count, \
        o.tools_fetched_at, o.tools_expire_at, o.stale_since, o.created_at, o.updated_at, o.key_id, \
        o.workspace_id FROM tool_servers o WHERE o.tenant_id = $1 AND o.workspace_id = a.workspace_id \
        OFFSET 0) s WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.role <> 'viewer' AND (s.name, s.id) > \
        (SELECT o.name, o.id FROM tool_servers o WHERE o.tenant_id = $1 AND o.id = $4) ORDER BY name, id \
        LIMIT $3",
};
/// `$4` says that the user is an admin, who may change shared ones, `$13` that the sealed
/// authorization stays: it may have been resealed since it was read. `$14` forgets how the last
/// contact went, `$15` the tools and what was approved of them.
const UPDATE: Sql = Sql::Same(
    "UPDATE tool_servers SET name = $6, url = $7, auth_type = $8, sealed_auth = CASE WHEN $13 THEN \
     sealed_auth ELSE $9 END, key_id = CASE WHEN $13 THEN key_id ELSE $12 END, is_enabled = $10, \
     updated_at = $11, status = CASE WHEN $14 THEN 'unknown' ELSE status END, error = CASE WHEN $14 THEN \
     NULL ELSE error END, stale_since = CASE WHEN $14 THEN NULL ELSE stale_since END, server_info = CASE \
     WHEN $15 THEN NULL ELSE server_info END, listing = CASE WHEN $15 THEN $16 ELSE listing END, problems \
     = CASE WHEN $15 THEN $16 ELSE problems END, pins = CASE WHEN $15 THEN $17 ELSE pins END, tool_count \
     = CASE WHEN $15 THEN 0 ELSE tool_count END, revision = revision + 1, tools_fetched_at = CASE WHEN \
     $15 THEN NULL ELSE tools_fetched_at END, tools_expire_at = CASE WHEN $15 THEN NULL ELSE \
     tools_expire_at END WHERE tenant_id = $1 AND id = $3 AND updated_at = $5 AND (workspace_id IS NULL \
     AND user_id = $2 OR $4 AND user_id IS NULL OR (SELECT a.role FROM workspace_access a WHERE \
     a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = tool_servers.workspace_id) = 'owner')",
);
/// Those of a server whose tools an update forgot just now.
const FORGET_GRANTS: Sql = Sql::Same(
    "DELETE FROM tool_grants WHERE tenant_id = $1 AND server_id = $2 AND (SELECT s.tools_fetched_at IS \
     NULL AND s.updated_at = $3 FROM tool_servers s WHERE s.tenant_id = $1 AND s.id = $2)",
);
const DELETE: Sql = Sql::Same(
    "DELETE FROM tool_servers WHERE tenant_id = $1 AND id = $3 AND (workspace_id IS NULL AND user_id = $2 \
     OR $4 AND user_id IS NULL OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 AND \
     a.user_id = $2 AND a.workspace_id = tool_servers.workspace_id) = 'owner')",
);
const MAY_CHANGE: Sql = Sql::Same(
    "SELECT id FROM tool_servers WHERE tenant_id = $1 AND id = $3 AND (workspace_id IS NULL AND user_id = \
     $2 OR $4 AND user_id IS NULL OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 AND \
     a.user_id = $2 AND a.workspace_id = tool_servers.workspace_id) = 'owner')",
);
const TOOLS: Sql = Sql::Same(
    "SELECT listing, problems, pins, revision FROM tool_servers WHERE tenant_id = $1 AND id = $3 AND \
     (user_id IS NULL OR workspace_id IS NULL AND user_id = $2 OR (SELECT a.role FROM workspace_access a \
     WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = tool_servers.workspace_id) <> \
     'viewer')",
);
/// The first list is approved by whoever added the server.
const OBSERVE: Sql = Sql::Same(
    "UPDATE tool_servers SET status = 'ok', error = NULL, stale_since = NULL, server_info = $5, listing = \
     $6, problems = $7, tool_count = $8, tools_fetched_at = $9, tools_expire_at = $10, pins = CASE WHEN \
     tools_fetched_at IS NULL THEN $11 ELSE pins END, revision = revision + 1 WHERE tenant_id = $1 AND id \
     = $3 AND updated_at = $4 AND (user_id IS NULL OR workspace_id IS NULL AND user_id = $2 OR (SELECT \
     a.role FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = \
     tool_servers.workspace_id) <> 'viewer')",
);
const OBSERVE_FAILURE: Sql = Sql::Same(
    "UPDATE tool_servers SET status = $5, error = $6, stale_since = COALESCE(stale_since, $7) WHERE \
     tenant_id = $1 AND id = $3 AND updated_at = $4 AND (user_id IS NULL OR workspace_id IS NULL AND \
     user_id = $2 OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND \
     a.workspace_id = tool_servers.workspace_id) <> 'viewer')",
);
const PIN: Sql = Sql::Same(
    "UPDATE tool_servers SET pins = $6, revision = revision + 1 WHERE tenant_id = $1 AND id = $3 AND \
     revision = $5 AND (workspace_id IS NULL AND user_id = $2 OR $4 AND user_id IS NULL OR (SELECT a.role \
     FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = \
     tool_servers.workspace_id) = 'owner')",
);
/// How many there are of an owner: those that the user made, or (no user) the shared ones.
const COUNT: Sql =
    Sql::Same("SELECT count(*) AS servers FROM tool_servers WHERE tenant_id = $1 AND user_id = $2");
const COUNT_SHARED: Sql =
    Sql::Same("SELECT count(*) AS servers FROM tool_servers WHERE tenant_id = $1 AND user_id IS NULL");
/// Two at once count one after the other.
const LOCK_USER: Sql =
    Sql::Postgres("SELECT id FROM users WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE");
const LOCK_TENANT: Sql =
    Sql::Postgres("SELECT tenant_id FROM tenants WHERE tenant_id = $1 FOR NO KEY UPDATE");

fn server(row: &Row) -> Result<ToolServer> {
    let sealed_auth = sealed(row, "sealed_auth")?;
    Ok(ToolServer {
        id: row.get("id")?,
        name: row.get("name")?,
        url: row.maybe("url")?,
        auth_type: row.name("auth_type")?,
        has_auth: sealed_auth.is_some(),
        sealed_auth,
        is_enabled: row.get("is_enabled")?,
        is_shared: row.maybe::<UserId>("user_id")?.is_none(),
        is_configured: row.get("is_configured")?,
        workspace_id: row.maybe("workspace_id")?,
        status: row.name("status")?,
        error: row.maybe("error")?,
        server: row.maybe_json("server_info")?,
        tool_count: row.get("tool_count")?,
        tools_fetched_at: row.maybe("tools_fetched_at")?,
        tools_expire_at: row.maybe("tools_expire_at")?,
        stale_since: row.maybe("stale_since")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn is_admin(scope: &Scope) -> bool {
    scope.role == Role::Admin
}

fn name_taken(server: &ToolServer) -> Error {
    Error::conflict(format!("there is a tool server with the name `{}` already; choose another", server.name))
}

/// A statement that makes a server, up to who it is for.
fn creation(sql: Sql, scope: &Scope, server: &ToolServer) -> Statement {
    sql.bind(scope.tenant)
        .bind((!server.is_shared).then_some(scope.user))
        .bind(server.id)
        .bind(text(&server.name))
        .bind(maybe_text(server.url.as_ref()))
        .bind(server.auth_type.as_str())
        .bind(server.sealed_auth.as_ref().map(|sealed| sealed.bytes.as_slice()))
        .bind(server.is_enabled)
        .bind(server.is_configured)
        .bind(server.status.as_str())
        .bind(server.created_at)
        .bind(server.updated_at)
        .bind(server.sealed_auth.as_ref().map(|sealed| sealed.key_id))
}

#[async_trait]
impl ToolServerStore for SqlStore {
    async fn create(&self, scope: &Scope, server: &ToolServer) -> Result<()> {
        if server.is_shared && !is_admin(scope) {
            return Err(Error::forbidden("only an admin shares a tool server with all users"));
        }
        let none = ServerTools::default();
        let (sql, lock) = match server.is_shared {
            true => (CREATE_SHARED, LOCK_TENANT.bind(scope.tenant).expect_returned()),
            false => (CREATE, LOCK_USER.scoped(scope)),
        };
        let create = creation(sql, scope, server);
        let create = match server.is_shared {
            true => create.bind(UserId::SHARED),
            false => create.bind(server.workspace_id),
        };
        let create =
            create.bind(json(&none.tools)?).bind(json(&none.pins)?).bind(i64::from(MAX_TOOL_SERVERS));
        match self.database.transaction_of(vec![lock, create.expect_touched(1)]).await {
            Ok(_) => Ok(()),
            Err(DbError::RowCount { .. }) => Err(self.why_not_created(scope, server).await?),
            Err(error) => Err(error
                .on_unique(|| name_taken(server))
                .on_foreign_key(|| Error::missing("user", scope.user))
                .into()),
        }
    }

    async fn get(&self, scope: &Scope, id: ToolServerId) -> Result<ToolServer> {
        let row = self.database.read_first(GET.scoped(scope).bind(id)).await?;
        server(&or_not_found(row, || missing(id))?)
    }

    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<ToolServer>> {
        let list = match page.after {
            None => LIST.scoped(scope).bind(rows_of(page)),
            Some(cursor) => {
                self.check_tool_cursor(scope, cursor.id.into()).await?;
                LIST_AFTER.scoped(scope).bind(rows_of(page)).bind(cursor.id)
            }
        };
        let servers = each(&self.database.read(list).await?, server)?;
        Ok(page_by_id(servers, page, |server| server.id.0))
    }

    async fn update(&self, scope: &Scope, read: &ToolServer, next: &ToolServer) -> Result<()> {
        let (id, forgets) = (next.id, next.tools_fetched_at.is_none());
        let none = ServerTools::default();
        let update = UPDATE
            .scoped(scope)
            .bind(id)
            .bind(is_admin(scope))
            .bind(read.updated_at)
            .bind(text(&next.name))
            .bind(maybe_text(next.url.as_ref()))
            .bind(next.auth_type.as_str())
            .bind(next.sealed_auth.as_ref().map(|sealed| sealed.bytes.as_slice()))
            .bind(next.is_enabled)
            .bind(next.updated_at)
            .bind(next.sealed_auth.as_ref().map(|sealed| sealed.key_id))
            .bind(read.sealed_auth == next.sealed_auth)
            .bind(next.status == ToolServerStatus::Unknown)
            .bind(forgets)
            .bind(json(&none.tools)?)
            .bind(json(&none.pins)?)
            .expect_touched(1);
        let mut statements = vec![update];
        if forgets {
            statements.push(FORGET_GRANTS.bind(scope.tenant).bind(id).bind(next.updated_at));
        }
        match self.database.transaction_of(statements).await {
            Ok(_) => Ok(()),
            Err(DbError::RowCount { .. }) => Err(self.why_not_changed(scope, id).await?),
            Err(error) => Err(error.on_unique(|| name_taken(next)).into()),
        }
    }

    async fn delete(&self, scope: &Scope, id: ToolServerId) -> Result<()> {
        let deleted = self.database.execute(DELETE.scoped(scope).bind(id).bind(is_admin(scope))).await?;
        if deleted > 0 { Ok(()) } else { Err(self.not_their_server(scope, id).await) }
    }

    async fn tools(&self, scope: &Scope, id: ToolServerId) -> Result<ServerTools> {
        let row = self.database.read_first(TOOLS.scoped(scope).bind(id)).await?;
        let row = or_not_found(row, || missing(id))?;
        let mut tools = ServerTools::default();
        tools.tools = row.json("listing")?;
        tools.problems = row.json("problems")?;
        tools.pins = row.json("pins")?;
        tools.revision = row.get("revision")?;
        Ok(tools)
    }

    async fn observe(&self, scope: &Scope, read: &ToolServer, seen: &ToolObservation) -> Result<()> {
        let observe = match &seen.outcome {
            Ok(listed) => OBSERVE
                .scoped(scope)
                .bind(read.id)
                .bind(read.updated_at)
                .bind(json(&listed.server)?)
                .bind(json(&listed.tools)?)
                .bind(json(&listed.problems)?)
                .bind(count(listed.tools.len()))
                .bind(seen.now)
                .bind(listed.expire_at)
                .bind(json(&listed.first_pins)?),
            Err((status, error)) => OBSERVE_FAILURE
                .scoped(scope)
                .bind(read.id)
                .bind(read.updated_at)
                .bind(status.as_str())
                .bind(text(error))
                .bind(seen.now),
        };
        if self.database.execute(observe).await? > 0 {
            return Ok(());
        }
        ToolServerStore::get(self, scope, read.id).await?;
        Err(Error::conflict("the tool server has changed since it was asked"))
    }

    async fn pin(&self, scope: &Scope, id: ToolServerId, read: &ServerTools, pins: &ToolPins) -> Result<()> {
        let pin =
            PIN.scoped(scope).bind(id).bind(is_admin(scope)).bind(count(read.revision)).bind(json(pins)?);
        if self.database.execute(pin).await? > 0 {
            return Ok(());
        }
        Err(self.why_not_changed(scope, id).await?)
    }

    async fn grants(&self, scope: &Scope, server: ToolServerId) -> Result<Vec<ToolGrant>> {
        self.grants_of(scope, server).await
    }

    async fn put_grant(&self, scope: &Scope, grant: &ToolGrant) -> Result<()> {
        self.store_grant(scope, grant).await
    }

    async fn delete_grants(&self, scope: &Scope, server: ToolServerId, issuer: Option<&str>) -> Result<()> {
        self.forget_grants(scope, server, issuer).await
    }
}

fn missing(id: ToolServerId) -> Error {
    Error::missing("tool server", id)
}

impl SqlStore {
    /// Why a server was not made: there are too many, or it is not for this workspace.
    async fn why_not_created(&self, scope: &Scope, server: &ToolServer) -> Result<Error> {
        let counted = match server.is_shared {
            true => COUNT_SHARED.bind(scope.tenant),
            false => COUNT.scoped(scope),
        };
        let row = self.database.read_first(counted).await?;
        let servers: u64 = row.as_ref().map_or(Ok(0), |row| row.get("servers"))?;
        if servers >= u64::from(MAX_TOOL_SERVERS) {
            let most = format!("there are {servers} tool servers already; the most is {MAX_TOOL_SERVERS}");
            return Ok(Error::conflict(most));
        }
        Ok(match server.workspace_id {
            Some(workspace) => self.not_their_workspace(scope, workspace, WorkspaceRole::Owner).await,
            None => being_deleted(),
        })
    }

    /// Why a server, or what of it was approved, was not changed.
    async fn why_not_changed(&self, scope: &Scope, id: ToolServerId) -> Result<Error> {
        let may_change = MAY_CHANGE.scoped(scope).bind(id).bind(is_admin(scope));
        Ok(match self.database.read_first(may_change).await? {
            Some(_) => Error::conflict("the tool server has changed since it was read; read it again"),
            None => self.not_their_server(scope, id).await,
        })
    }

    /// Why a server was not changed: `Forbidden` to editors of its workspace.
    async fn not_their_server(&self, scope: &Scope, id: ToolServerId) -> Error {
        match ToolServerStore::get(self, scope, id).await {
            Ok(ToolServer { workspace_id: Some(workspace), .. }) => {
                self.not_their_workspace(scope, workspace, WorkspaceRole::Owner).await
            }
            Ok(_) => missing(id),
            Err(error) => error,
        }
    }

    /// Refuses a cursor whose server is gone: where the next page begins is read from it.
    async fn check_tool_cursor(&self, scope: &Scope, id: ToolServerId) -> Result<()> {
        match ToolServerStore::get(self, scope, id).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let gone = "belongs to a tool server that is gone; begin at the first page";
                Err(Error::field("cursor", gone).with_source(error))
            }
            found => found.map(drop),
        }
    }
}

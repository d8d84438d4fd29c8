//! Workspaces.

pub(crate) mod hand_over;
mod member;

use aimate_core::budget::BudgetSubject;
use aimate_core::workspace::{
    NewWorkspaceMember, Workspace, WorkspaceChange, WorkspaceMember, WorkspaceRole, WorkspaceStore,
};
use aimate_core::{Error, MemberId, Page, PageRequest, Result, Scope, Timestamp, WorkspaceId};
use async_trait::async_trait;

pub(crate) use self::member::{grant_user, lock, lock_tenant, stop_runs};
use crate::SqlStore;
use crate::budget;
use crate::database::{DbError, Row, Sql, each};
use crate::message_index::{self, of_workspace_users};
use crate::page::{before, or_not_found, page_by_id, rows_of};
use crate::value::{json, maybe_json, maybe_text, text};

const CREATE: Sql = Sql::Same(
    "INSERT INTO workspaces (tenant_id, user_id, id, name, description, is_archived, metadata, created_at, \
     updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);
/// Who makes a workspace is its first owner.
const FIRST_MEMBER: Sql = Sql::Same(
    "INSERT INTO workspace_members (tenant_id, member_id, workspace_id, created_at, kind, role) \
     VALUES ($1, $2, $3, $4, 'user', 'owner')",
);
const FIRST_ACCESS: Sql = Sql::Same(
    "INSERT INTO workspace_access (tenant_id, user_id, workspace_id, role) VALUES ($1, $2, $3, 'owner')",
);
const GET: Sql = Sql::Same(
    "SELECT w.id, w.name, w.description, w.is_archived, w.metadata, w.created_at, w.updated_at, a.role, \
     (SELECT count(*) FROM conversations c WHERE c.tenant_id = $1 AND c.workspace_id = w.id AND c.is_hidden = false) \
     AS conversation_count \
     FROM workspace_access a JOIN workspaces w ON w.tenant_id = a.tenant_id AND w.id = a.workspace_id \
     WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = $3",
);
const LIST: Sql = Sql::Same(
    "SELECT w.id, w.name, w.description, w.is_archived, w.metadata, w.created_at, w.updated_at, a.role, \
     (SELECT count(*) FROM conversations c WHERE c.tenant_id = $1 AND c.workspace_id = w.id AND c.is_hidden = false) \
     AS conversation_count \
     FROM workspace_access a JOIN workspaces w ON w.tenant_id = a.tenant_id AND w.id = a.workspace_id \
     WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id < $3 \
     ORDER BY a.workspace_id DESC LIMIT $4",
);
const UPDATE: Sql = Sql::Same(
    "UPDATE workspaces SET name = COALESCE($4, name), description = COALESCE($5, description), \
     is_archived = COALESCE($6, is_archived), metadata = COALESCE($7, metadata), updated_at = $8 \
     WHERE tenant_id = $1 AND id = $3 AND (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = $3) = 'owner' \
     RETURNING id, name, description, is_archived, metadata, created_at, updated_at, 'owner' AS role, \
     (SELECT count(*) FROM conversations c WHERE c.tenant_id = $1 AND c.workspace_id = workspaces.id AND c.is_hidden = false) \
     AS conversation_count",
);
const LEAVE: Sql = Sql::Same(
    "UPDATE conversations SET workspace_id = NULL WHERE tenant_id = $1 AND workspace_id = $3 \
     AND (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = $3) = 'owner'",
);
/// One whose name its maker has already gets its id for a second name.
const LEAVE_COLLECTIONS: Sql = Sql::Each {
    sqlite: "UPDATE collections SET workspace_id = NULL, name = CASE WHEN EXISTS (SELECT 1 FROM collections o \
        WHERE o.tenant_id = $1 AND o.user_id = collections.user_id AND o.name = collections.name \
        AND o.workspace_id IS NULL) THEN name || ' (' || lower(hex(id)) || ')' ELSE name END \
        WHERE tenant_id = $1 AND workspace_id = $3 AND (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = $3) = 'owner'",
    postgres: "UPDATE collections SET workspace_id = NULL, name = CASE WHEN EXISTS (SELECT 1 FROM collections o \
        WHERE o.tenant_id = $1 AND o.user_id = collections.user_id AND o.name = collections.name \
        AND o.workspace_id IS NULL) THEN name || ' (' || replace(id::text, '-', '') || ')' ELSE name END \
        WHERE tenant_id = $1 AND workspace_id = $3 AND (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = $3) = 'owner'",
};
const DELETE: Sql = Sql::Same(
    "DELETE FROM workspaces WHERE tenant_id = $1 AND id = $3 AND (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = $3) = 'owner'",
);
const ROLE: Sql = Sql::Same(
    "SELECT role FROM workspace_access WHERE tenant_id = $1 AND user_id = $2 AND workspace_id = $3",
);

fn workspace(row: &Row) -> Result<Workspace> {
    Ok(Workspace {
        id: row.get("id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        role: row.name("role")?,
        is_archived: row.get("is_archived")?,
        metadata: row.json("metadata")?,
        conversation_count: row.get("conversation_count")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

#[async_trait]
impl WorkspaceStore for SqlStore {
    async fn create(&self, scope: &Scope, workspace: &Workspace) -> Result<()> {
        let create = CREATE
            .scoped(scope)
            .bind(workspace.id)
            .bind(text(&workspace.name))
            .bind(text(&workspace.description))
            .bind(workspace.is_archived)
            .bind(json(&workspace.metadata)?)
            .bind(workspace.created_at)
            .bind(workspace.updated_at);
        let missing = || Error::missing("user", scope.user);
        let member = FIRST_MEMBER.scoped(scope).bind(workspace.id).bind(workspace.created_at);
        let access = FIRST_ACCESS.scoped(scope).bind(workspace.id);
        let stored = self.database.transaction([lock(scope), create, member, access]).await;
        stored.map_err(|error| error.on_foreign_key(missing))?;
        Ok(())
    }

    async fn get(&self, scope: &Scope, id: WorkspaceId) -> Result<Workspace> {
        let row = self.database.read_first(GET.scoped(scope).bind(id)).await?;
        workspace(&or_not_found(row, || Error::missing("workspace", id))?)
    }

    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<Workspace>> {
        let list = LIST.scoped(scope).bind(before(page)).bind(rows_of(page));
        let workspaces = each(&self.database.read(list).await?, workspace)?;
        Ok(page_by_id(workspaces, page, |workspace| workspace.id.0))
    }

    async fn update(
        &self,
        scope: &Scope,
        id: WorkspaceId,
        change: &WorkspaceChange,
        now: Timestamp,
    ) -> Result<Workspace> {
        let update = UPDATE
            .scoped(scope)
            .bind(id)
            .bind(maybe_text(change.name.as_ref()))
            .bind(maybe_text(change.description.as_ref()))
            .bind(change.is_archived)
            .bind(maybe_json(change.metadata.as_ref())?)
            .bind(now);
        let rows = self.database.write(update).await?;
        match rows.first() {
            Some(row) => workspace(row),
            None => Err(self.not_their_workspace(scope, id, WorkspaceRole::Owner).await),
        }
    }

    async fn delete(&self, scope: &Scope, id: WorkspaceId) -> Result<()> {
        let [leave, leave_collections] = [LEAVE, LEAVE_COLLECTIONS].map(|sql| sql.scoped(scope).bind(id));
        let delete = DELETE.scoped(scope).bind(id).expect_touched(1).uses_reserve();
        // The key is violated by a conversation that came into the workspace
        // between the two statements.
        let changed = || Error::unavailable("the workspace changed at the same moment; try again");
        let budgets = budget::deletion(scope.tenant, &BudgetSubject::Workspace(id));
        // Their makers find them from now on, and nobody by the workspace.
        let index = of_workspace_users(scope.tenant, id.0);
        let [segments, jobs] = message_index::deletion(scope.tenant, id.0);
        let statements = [lock(scope), index, leave, leave_collections, segments, jobs, delete, budgets];
        match self.database.transaction(statements).await {
            Ok(_) => Ok(()),
            Err(DbError::RowCount { .. }) => {
                Err(self.not_their_workspace(scope, id, WorkspaceRole::Owner).await)
            }
            Err(error) => Err(error.on_foreign_key(changed).into()),
        }
    }

    async fn members(
        &self,
        scope: &Scope,
        id: WorkspaceId,
        page: PageRequest,
    ) -> Result<Page<WorkspaceMember>> {
        self.list_members(scope, id, page).await
    }

    async fn put_member(
        &self,
        scope: &Scope,
        id: WorkspaceId,
        member: &NewWorkspaceMember,
        now: Timestamp,
    ) -> Result<WorkspaceMember> {
        self.store_member(scope, id, member, now).await
    }

    async fn remove_member(&self, scope: &Scope, id: WorkspaceId, member: MemberId) -> Result<()> {
        self.delete_member(scope, id, member).await
    }
}

impl SqlStore {
    /// What the scope's user may do in a workspace; `None` if they are not in it.
    pub(crate) async fn workspace_role(
        &self,
        scope: &Scope,
        id: WorkspaceId,
    ) -> Result<Option<WorkspaceRole>> {
        let row = self.database.read_first(ROLE.scoped(scope).bind(id)).await?;
        row.map(|row| row.name("role")).transpose()
    }

    /// Why nothing was done in a workspace, which takes `least`: `NotFound` to who is not
    /// in it, `Forbidden` to others.
    pub(crate) async fn not_their_workspace(
        &self,
        scope: &Scope,
        id: WorkspaceId,
        least: WorkspaceRole,
    ) -> Error {
        match self.workspace_role(scope, id).await {
            Ok(None) => Error::missing("workspace", id),
            Ok(Some(role)) => too_little(role, least),
            Err(error) => error,
        }
    }
}

/// What a member is told whose role is too low.
pub(crate) fn too_little(role: WorkspaceRole, least: WorkspaceRole) -> Error {
    Error::forbidden(format!(
        "this takes the role {least} in the workspace, and yours is {role}; one of its owners can change that"
    ))
}

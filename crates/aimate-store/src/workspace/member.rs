//! Who is in a workspace, and what each user may do there because of it.

use aimate_core::workspace::{MemberKind, NewWorkspaceMember, WorkspaceMember, WorkspaceRole};
use aimate_core::{
    Error, MemberId, Page, PageRequest, Result, Role, Scope, TenantId, Timestamp, UserId, WorkspaceId,
};

use super::{hand_over, too_little};
use crate::SqlStore;
use crate::database::{DbError, Row, Sql, Statement, each};
use crate::page::{after, or_not_found, page_by_id, rows_of};

/// Members and groups of a tenant are changed by one commit at a time: what a user may do
/// follows from several rows, and two commits that do not see each other's would both
/// write what is not true. Read as a statement of its own, so that those after it see
/// what the former commit wrote.
const LOCK: Sql = Sql::Postgres("SELECT tenant_id FROM tenants WHERE tenant_id = $1 FOR NO KEY UPDATE");

const LIST: Sql = Sql::Same(
    "SELECT m.member_id, m.kind, m.role, m.created_at, COALESCE(u.name, g.name, '') AS name \
     FROM workspace_members m \
     LEFT JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.member_id AND m.kind = 'user' \
     LEFT JOIN groups g ON g.tenant_id = m.tenant_id AND g.id = m.member_id AND m.kind = 'group' \
     WHERE m.tenant_id = $1 AND m.workspace_id = $3 AND m.member_id > $4 \
     AND (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = $3) IS NOT NULL \
     ORDER BY m.member_id LIMIT $5",
);
const FIND: Sql = Sql::Same(
    "SELECT m.member_id, m.kind, m.role, m.created_at, COALESCE(u.name, g.name, '') AS name \
     FROM workspace_members m \
     LEFT JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.member_id AND m.kind = 'user' \
     LEFT JOIN groups g ON g.tenant_id = m.tenant_id AND g.id = m.member_id AND m.kind = 'group' \
     WHERE m.tenant_id = $1 AND m.workspace_id = $3 AND m.member_id = $4 \
     AND (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = $3) IS NOT NULL",
);
/// A person of the tenant who is not being deleted. The last owner stays one.
const PUT_USER: Sql = Sql::Same(
    "INSERT INTO workspace_members (tenant_id, workspace_id, member_id, kind, role, created_at) \
     SELECT $1, $3, u.id, 'user', $5, $6 FROM users u WHERE u.tenant_id = $1 AND u.id = $4 AND u.id <> $7 \
     AND NOT EXISTS (SELECT 1 FROM deletions d WHERE d.tenant_id = $1 AND d.user_id IN ($4, $7) \
        AND d.finished_at IS NULL) \
     AND (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = $3) = 'owner' \
     ON CONFLICT (tenant_id, workspace_id, member_id) DO UPDATE SET role = excluded.role \
     WHERE excluded.role = 'owner' OR workspace_members.role <> 'owner' \
     OR EXISTS (SELECT 1 FROM workspace_members o WHERE o.tenant_id = $1 AND o.workspace_id = $3 \
        AND o.kind = 'user' AND o.role = 'owner' AND o.member_id <> $4)",
);
/// A group that the user sees: any if `$7`, who is an admin.
const PUT_GROUP: Sql = Sql::Same(
    "INSERT INTO workspace_members (tenant_id, workspace_id, member_id, kind, role, created_at) \
     SELECT $1, $3, g.id, 'group', $5, $6 FROM groups g WHERE g.tenant_id = $1 AND g.id = $4 \
     AND ($7 OR EXISTS (SELECT 1 FROM group_members i \
        WHERE i.tenant_id = $1 AND i.group_id = $4 AND i.user_id = $2)) \
     AND (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = $3) = 'owner' \
     ON CONFLICT (tenant_id, workspace_id, member_id) DO UPDATE SET role = excluded.role",
);
/// By an owner, or of oneself. The last owner stays.
const REMOVE: Sql = Sql::Same(
    "DELETE FROM workspace_members WHERE tenant_id = $1 AND workspace_id = $3 AND member_id = $4 \
     AND (member_id = $2 OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = $3) = 'owner') \
     AND (kind = 'group' OR role <> 'owner' OR EXISTS (SELECT 1 FROM workspace_members o \
        WHERE o.tenant_id = $1 AND o.workspace_id = $3 AND o.kind = 'user' AND o.role = 'owner' \
        AND o.member_id <> $4))",
);

/// What follows from the members of workspace `$2`: first nothing, then for each user the
/// highest role. CROSS JOIN keeps SQLite's planner to this order.
const FORGET_OF_WORKSPACE: Sql =
    Sql::Same("DELETE FROM workspace_access WHERE tenant_id = $1 AND workspace_id = $2");
const GRANT_OF_WORKSPACE: Sql = Sql::Same(
    "INSERT INTO workspace_access (tenant_id, user_id, workspace_id, role) \
     SELECT $1, e.user_id, $2, CASE max(e.rank) WHEN 3 THEN 'owner' WHEN 2 THEN 'editor' ELSE 'viewer' END \
     FROM (SELECT m.member_id AS user_id, \
            CASE m.role WHEN 'owner' THEN 3 WHEN 'editor' THEN 2 ELSE 1 END AS rank \
            FROM workspace_members m WHERE m.tenant_id = $1 AND m.workspace_id = $2 AND m.kind = 'user' \
        UNION ALL \
        SELECT i.user_id, CASE m.role WHEN 'owner' THEN 3 WHEN 'editor' THEN 2 ELSE 1 END AS rank \
            FROM workspace_members m CROSS JOIN group_members i WHERE m.tenant_id = $1 \
            AND m.workspace_id = $2 AND m.kind = 'group' AND i.tenant_id = $1 AND i.group_id = m.member_id) e \
     GROUP BY e.user_id",
);
/// The same of user `$2`.
const FORGET_OF_USER: Sql = Sql::Same("DELETE FROM workspace_access WHERE tenant_id = $1 AND user_id = $2");
const GRANT_OF_USER: Sql = Sql::Same(
    "INSERT INTO workspace_access (tenant_id, user_id, workspace_id, role) \
     SELECT $1, $2, e.workspace_id, \
     CASE max(e.rank) WHEN 3 THEN 'owner' WHEN 2 THEN 'editor' ELSE 'viewer' END \
     FROM (SELECT m.workspace_id, CASE m.role WHEN 'owner' THEN 3 WHEN 'editor' THEN 2 ELSE 1 END AS rank \
            FROM workspace_members m WHERE m.tenant_id = $1 AND m.member_id = $2 AND m.kind = 'user' \
        UNION ALL \
        SELECT m.workspace_id, CASE m.role WHEN 'owner' THEN 3 WHEN 'editor' THEN 2 ELSE 1 END AS rank \
            FROM group_members i CROSS JOIN workspace_members m WHERE i.tenant_id = $1 \
            AND i.user_id = $2 AND m.tenant_id = $1 AND m.member_id = i.group_id AND m.kind = 'group') e \
     GROUP BY e.workspace_id",
);
/// Answers in the workspaces of a tenant whose askers may not ask there any more.
const STOP_RUNS: Sql = Sql::Same(
    "UPDATE runs SET is_cancel_requested = true WHERE tenant_id = $1 AND finished_at IS NULL \
     AND (SELECT c.workspace_id IS NOT NULL AND COALESCE((SELECT a.role FROM workspace_access a \
            WHERE a.tenant_id = $1 AND a.user_id = runs.user_id AND a.workspace_id = c.workspace_id), 'viewer') \
            = 'viewer' \
        FROM conversations c WHERE c.tenant_id = $1 AND c.id = runs.conversation_id)",
);

fn member(row: &Row) -> Result<WorkspaceMember> {
    Ok(WorkspaceMember {
        id: row.get("member_id")?,
        kind: row.name("kind")?,
        name: row.get("name")?,
        role: row.name("role")?,
        created_at: row.get("created_at")?,
    })
}

/// Begins a transaction that changes who is in what; see [`LOCK`].
pub(crate) fn lock(scope: &Scope) -> Statement {
    lock_tenant(scope.tenant)
}

/// The same for who has no scope. It comes before all other locks.
pub(crate) fn lock_tenant(tenant: TenantId) -> Statement {
    LOCK.bind(tenant)
}

/// Writes anew what a user may do in all workspaces.
pub(crate) fn grant_user(scope: &Scope, user: UserId) -> [Statement; 3] {
    [
        FORGET_OF_USER.bind(scope.tenant).bind(user),
        GRANT_OF_USER.bind(scope.tenant).bind(user),
        stop_runs(scope),
    ]
}

/// Asks the answers to stop whose askers may not ask for them any more.
pub(crate) fn stop_runs(scope: &Scope) -> Statement {
    STOP_RUNS.bind(scope.tenant)
}

fn grant_workspace(scope: &Scope, workspace: WorkspaceId) -> Vec<Statement> {
    let mut statements = vec![
        FORGET_OF_WORKSPACE.bind(scope.tenant).bind(workspace),
        GRANT_OF_WORKSPACE.bind(scope.tenant).bind(workspace),
        stop_runs(scope),
    ];
    statements.extend(hand_over::of_workspace(scope, workspace));
    statements
}

impl SqlStore {
    /// See [`WorkspaceStore::members`](aimate_core::workspace::WorkspaceStore::members).
    pub(super) async fn list_members(
        &self,
        scope: &Scope,
        id: WorkspaceId,
        page: PageRequest,
    ) -> Result<Page<WorkspaceMember>> {
        let list = LIST.scoped(scope).bind(id).bind(after(page)).bind(rows_of(page));
        let members = each(&self.database.read(list).await?, member)?;
        // A workspace has an owner: without members it is not seen.
        if members.is_empty() && self.workspace_role(scope, id).await?.is_none() {
            return Err(Error::missing("workspace", id));
        }
        Ok(page_by_id(members, page, |member| member.id.0))
    }

    /// See [`WorkspaceStore::put_member`](aimate_core::workspace::WorkspaceStore::put_member).
    pub(super) async fn store_member(
        &self,
        scope: &Scope,
        id: WorkspaceId,
        new: &NewWorkspaceMember,
        now: Timestamp,
    ) -> Result<WorkspaceMember> {
        let put = match new.kind {
            MemberKind::User => PUT_USER,
            MemberKind::Group => PUT_GROUP,
        };
        let put = put.scoped(scope).bind(id).bind(new.id).bind(new.role.as_str()).bind(now);
        let put = match new.kind {
            MemberKind::User => put.bind(UserId::SHARED),
            MemberKind::Group => put.bind(scope.role == Role::Admin),
        };
        let changes = [lock(scope), put.expect_touched(1)].into_iter().chain(grant_workspace(scope, id));
        match self.database.transaction_of(changes.collect()).await {
            Ok(_) => self.find_member(scope, id, new.id).await,
            Err(DbError::RowCount { .. }) => Err(self.not_put(scope, id, new).await),
            Err(error) => Err(error.on_foreign_key(|| Error::missing("user", new.id)).into()),
        }
    }

    async fn not_put(&self, scope: &Scope, id: WorkspaceId, new: &NewWorkspaceMember) -> Error {
        match self.workspace_role(scope, id).await {
            Ok(None) => Error::missing("workspace", id),
            Ok(Some(WorkspaceRole::Owner)) => match self.find_member(scope, id, new.id).await {
                Ok(_) => last_owner(),
                Err(_) => Error::missing(new.kind.as_str(), new.id),
            },
            Ok(Some(role)) => too_little(role, WorkspaceRole::Owner),
            Err(error) => error,
        }
    }

    async fn find_member(&self, scope: &Scope, id: WorkspaceId, who: MemberId) -> Result<WorkspaceMember> {
        let row = self.database.read_first(FIND.scoped(scope).bind(id).bind(who)).await?;
        member(&or_not_found(row, || Error::missing("member", who))?)
    }

    /// See [`WorkspaceStore::remove_member`](aimate_core::workspace::WorkspaceStore::remove_member).
    pub(super) async fn delete_member(&self, scope: &Scope, id: WorkspaceId, who: MemberId) -> Result<()> {
        let remove = REMOVE.scoped(scope).bind(id).bind(who).expect_touched(1);
        let changes = [lock(scope), remove].into_iter().chain(grant_workspace(scope, id));
        match self.database.transaction_of(changes.collect()).await {
            Ok(_) => Ok(()),
            Err(DbError::RowCount { .. }) => Err(self.not_removed(scope, id, who).await),
            Err(error) => Err(error.into()),
        }
    }

    async fn not_removed(&self, scope: &Scope, id: WorkspaceId, who: MemberId) -> Error {
        let role = match self.workspace_role(scope, id).await {
            Ok(None) => return Error::missing("workspace", id),
            Ok(Some(role)) => role,
            Err(error) => return error,
        };
        match self.find_member(scope, id, who).await {
            Ok(_) if role < WorkspaceRole::Owner && who != scope.user.into() => {
                too_little(role, WorkspaceRole::Owner)
            }
            Ok(_) => last_owner(),
            Err(error) => error,
        }
    }
}

fn last_owner() -> Error {
    Error::conflict("this is the last owner of the workspace; make somebody else an owner first")
}

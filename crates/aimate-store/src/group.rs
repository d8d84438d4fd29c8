//! Groups.

use aimate_core::budget::BudgetSubject;
use aimate_core::group::{Group, GroupChange, GroupMember, GroupStore};
use aimate_core::{Error, GroupId, Page, PageRequest, Result, Role, Scope, Timestamp, UserId};
use async_trait::async_trait;

use crate::SqlStore;
use crate::budget;
use crate::database::{DbError, Row, Sql, Statement, each};
use crate::page::{after, before, or_not_found, page_by_id, rows_of};
use crate::value::{maybe_text, text};
use crate::workspace::{grant_user, hand_over, lock, stop_runs};

const CREATE: Sql = Sql::Same(
    "INSERT INTO groups (tenant_id, id, name, description, created_at, updated_at) \
     SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT 1 FROM deletions d \
     WHERE d.tenant_id = $1 AND d.user_id = $7 AND d.finished_at IS NULL)",
);
/// Any if `$4`, who is an admin, or else one that the user is in.
const GET: Sql = Sql::Same(
    "SELECT g.id, g.name, g.description, g.created_at, g.updated_at, \
     (SELECT count(*) FROM group_members i WHERE i.tenant_id = $1 AND i.group_id = g.id) AS member_count \
     FROM groups g WHERE g.tenant_id = $1 AND g.id = $3 AND ($4 OR EXISTS (SELECT 1 FROM group_members i \
        WHERE i.tenant_id = $1 AND i.group_id = $3 AND i.user_id = $2))",
);
const LIST: Sql = Sql::Same(
    "SELECT g.id, g.name, g.description, g.created_at, g.updated_at, \
     (SELECT count(*) FROM group_members i WHERE i.tenant_id = $1 AND i.group_id = g.id) AS member_count \
     FROM groups g WHERE g.tenant_id = $1 AND g.id < $2 ORDER BY g.id DESC LIMIT $3",
);
/// Those of a user.
const LIST_OWN: Sql = Sql::Same(
    "SELECT g.id, g.name, g.description, g.created_at, g.updated_at, \
     (SELECT count(*) FROM group_members i WHERE i.tenant_id = $1 AND i.group_id = g.id) AS member_count \
     FROM group_members o JOIN groups g ON g.tenant_id = o.tenant_id AND g.id = o.group_id \
     WHERE o.tenant_id = $1 AND o.user_id = $2 AND o.group_id < $3 ORDER BY o.group_id DESC LIMIT $4",
);
const UPDATE: Sql = Sql::Same(
    "UPDATE groups SET name = COALESCE($3, name), description = COALESCE($4, description), updated_at = $5 \
     WHERE tenant_id = $1 AND id = $2 RETURNING id, name, description, created_at, updated_at, \
     (SELECT count(*) FROM group_members i WHERE i.tenant_id = $1 AND i.group_id = groups.id) AS member_count",
);
const MEMBERS: Sql = Sql::Same(
    "SELECT i.user_id, i.created_at, u.name FROM group_members i \
     JOIN users u ON u.tenant_id = i.tenant_id AND u.id = i.user_id \
     WHERE i.tenant_id = $1 AND i.group_id = $2 AND i.user_id > $3 ORDER BY i.user_id LIMIT $4",
);
/// A person of the tenant who is not being deleted.
const ADD: Sql = Sql::Same(
    "INSERT INTO group_members (tenant_id, group_id, user_id, created_at) \
     SELECT $1, g.id, u.id, $4 FROM groups g JOIN users u ON u.tenant_id = g.tenant_id \
     WHERE g.tenant_id = $1 AND g.id = $2 AND u.id = $3 AND u.id <> $5 \
     AND NOT EXISTS (SELECT 1 FROM deletions d WHERE d.tenant_id = $1 AND d.user_id IN ($3, $5) \
        AND d.finished_at IS NULL) \
     ON CONFLICT (tenant_id, group_id, user_id) DO NOTHING",
);
const IS_IN: Sql =
    Sql::Same("SELECT user_id FROM group_members WHERE tenant_id = $1 AND group_id = $2 AND user_id = $3");
const REMOVE: Sql =
    Sql::Same("DELETE FROM group_members WHERE tenant_id = $1 AND group_id = $2 AND user_id = $3");

/// What its users may do in the workspaces of group `$2`: first nothing, then what they
/// may without it. CROSS JOIN keeps SQLite's planner to this order.
const FORGET: Sql = Sql::Same(
    "DELETE FROM workspace_access WHERE tenant_id = $1 \
     AND user_id IN (SELECT i.user_id FROM group_members i WHERE i.tenant_id = $1 AND i.group_id = $2) \
     AND workspace_id IN (SELECT m.workspace_id FROM workspace_members m \
        WHERE m.tenant_id = $1 AND m.member_id = $2)",
);
const GRANT: Sql = Sql::Same(
    "INSERT INTO workspace_access (tenant_id, user_id, workspace_id, role) \
     SELECT $1, e.user_id, e.workspace_id, \
     CASE max(e.rank) WHEN 3 THEN 'owner' WHEN 2 THEN 'editor' ELSE 'viewer' END \
     FROM (SELECT i.user_id, m.workspace_id, \
            CASE m.role WHEN 'owner' THEN 3 WHEN 'editor' THEN 2 ELSE 1 END AS rank \
            FROM workspace_members s CROSS JOIN group_members i CROSS JOIN workspace_members m \
            WHERE s.tenant_id = $1 AND s.member_id = $2 AND i.tenant_id = $1 AND i.group_id = $2 \
            AND m.tenant_id = $1 AND m.workspace_id = s.workspace_id AND m.member_id = i.user_id \
        UNION ALL \
        SELECT i.user_id, m.workspace_id, \
            CASE m.role WHEN 'owner' THEN 3 WHEN 'editor' THEN 2 ELSE 1 END AS rank \
            FROM workspace_members s CROSS JOIN group_members i CROSS JOIN group_members o \
            CROSS JOIN workspace_members m WHERE s.tenant_id = $1 AND s.member_id = $2 \
            AND i.tenant_id = $1 AND i.group_id = $2 AND o.tenant_id = $1 AND o.user_id = i.user_id \
            AND o.group_id <> $2 AND m.tenant_id = $1 AND m.workspace_id = s.workspace_id \
            AND m.member_id = o.group_id) e \
     GROUP BY e.user_id, e.workspace_id",
);
const LEAVE: Sql = Sql::Same("DELETE FROM workspace_members WHERE tenant_id = $1 AND member_id = $2");
const DELETE: Sql = Sql::Same("DELETE FROM groups WHERE tenant_id = $1 AND id = $2");

fn group(row: &Row) -> Result<Group> {
    Ok(Group {
        id: row.get("id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        member_count: row.get("member_count")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn group_member(row: &Row) -> Result<GroupMember> {
    Ok(GroupMember {
        user_id: row.get("user_id")?,
        name: row.get("name")?,
        created_at: row.get("created_at")?,
    })
}

fn is_admin(scope: &Scope) -> bool {
    scope.role == Role::Admin
}

fn name_taken() -> Error {
    Error::conflict("there is a group with this id or name already; choose another")
}

fn of(scope: &Scope, sql: Sql, id: GroupId) -> Statement {
    sql.bind(scope.tenant).bind(id)
}

#[async_trait]
impl GroupStore for SqlStore {
    async fn create(&self, scope: &Scope, group: &Group) -> Result<()> {
        if !is_admin(scope) {
            return Err(admins_only());
        }
        let create = of(scope, CREATE, group.id)
            .bind(text(&group.name))
            .bind(text(&group.description))
            .bind(group.created_at)
            .bind(group.updated_at)
            .bind(UserId::SHARED)
            .expect_touched(1);
        self.database
            .transaction([lock(scope).expect_returned(), create])
            .await
            .map_err(|error| error.on_unique(name_taken).on_row_count(crate::user::being_deleted))?;
        Ok(())
    }

    async fn get(&self, scope: &Scope, id: GroupId) -> Result<Group> {
        let row = self.database.read_first(GET.scoped(scope).bind(id).bind(is_admin(scope))).await?;
        group(&or_not_found(row, || Error::missing("group", id))?)
    }

    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<Group>> {
        let list = if is_admin(scope) { LIST.bind(scope.tenant) } else { LIST_OWN.scoped(scope) };
        let list = list.bind(before(page)).bind(rows_of(page));
        let groups = each(&self.database.read(list).await?, group)?;
        Ok(page_by_id(groups, page, |group| group.id.0))
    }

    async fn update(
        &self,
        scope: &Scope,
        id: GroupId,
        change: &GroupChange,
        now: Timestamp,
    ) -> Result<Group> {
        self.check_manages(scope, id).await?;
        let update = of(scope, UPDATE, id)
            .bind(maybe_text(change.name.as_ref()))
            .bind(maybe_text(change.description.as_ref()))
            .bind(now);
        let rows = self.database.write(update).await.map_err(|error| error.on_unique(name_taken))?;
        group(or_not_found(rows.first(), || Error::missing("group", id))?)
    }

    async fn delete(&self, scope: &Scope, id: GroupId) -> Result<()> {
        self.check_manages(scope, id).await?;
        let mut changes = vec![lock(scope), of(scope, FORGET, id), of(scope, GRANT, id)];
        changes.extend(hand_over::of_group(scope, id.0));
        let delete = of(scope, DELETE, id).expect_touched(1);
        let budgets = budget::deletion(scope.tenant, &BudgetSubject::Group(id));
        changes.extend([of(scope, LEAVE, id), budgets, delete, stop_runs(scope)]);
        let missing = || Error::missing("group", id);
        self.database.transaction_of(changes).await.map_err(|error| error.on_row_count(missing))?;
        Ok(())
    }

    async fn members(&self, scope: &Scope, id: GroupId, page: PageRequest) -> Result<Page<GroupMember>> {
        GroupStore::get(self, scope, id).await?;
        let list = of(scope, MEMBERS, id).bind(after(page)).bind(rows_of(page));
        let members = each(&self.database.read(list).await?, group_member)?;
        Ok(page_by_id(members, page, |member| member.user_id.0))
    }

    async fn add_member(&self, scope: &Scope, id: GroupId, user: UserId, now: Timestamp) -> Result<()> {
        self.check_manages(scope, id).await?;
        let add = of(scope, ADD, id).bind(user).bind(now).bind(UserId::SHARED);
        let is_in = of(scope, IS_IN, id).bind(user).expect_returned();
        let changes = [lock(scope), add, is_in].into_iter().chain(grant_user(scope, user));
        match self.database.transaction_of(changes.collect()).await {
            Ok(_) => Ok(()),
            Err(DbError::RowCount { .. }) => Err(Error::missing("user", user)),
            Err(error) => Err(error.on_foreign_key(|| Error::missing("group", id)).into()),
        }
    }

    async fn remove_member(&self, scope: &Scope, id: GroupId, user: UserId) -> Result<()> {
        self.check_manages(scope, id).await?;
        let remove = of(scope, REMOVE, id).bind(user).expect_touched(1);
        let changes = [lock(scope), remove].into_iter().chain(grant_user(scope, user));
        let changes = changes.chain(hand_over::of_group(scope, id.0));
        match self.database.transaction_of(changes.collect()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.on_row_count(|| Error::missing("member", user)).into()),
        }
    }
}

impl SqlStore {
    /// `NotFound` to who does not see the group, `Forbidden` to who is no admin.
    async fn check_manages(&self, scope: &Scope, id: GroupId) -> Result<()> {
        GroupStore::get(self, scope, id).await?;
        if is_admin(scope) { Ok(()) } else { Err(admins_only()) }
    }
}

fn admins_only() -> Error {
    Error::forbidden("only an admin of the tenant makes and changes groups")
}

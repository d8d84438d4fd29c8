//! Users.

use aimate_core::budget::BudgetSubject;
use aimate_core::user::{EnsuredUser, Standing, User, UserChange, UserStore};
use aimate_core::{Error, Page, PageRequest, Result, Scope, TenantId, Timestamp, UserId};
use async_trait::async_trait;

use crate::SqlStore;
use crate::budget;
use crate::database::{Row, Sql, Statement, each};
use crate::page::{after, or_not_found, page_by_id, rows_of, touched_or_not_found};
use crate::value::{json, maybe_json, maybe_text, text};
use crate::workspace::{hand_over, lock_tenant};

/// A tenant has a row from its first user on.
const CREATE_TENANT: Sql = Sql::Same(
    "INSERT INTO tenants (tenant_id, key, name, is_active, created_at, updated_at) \
     VALUES ($1, $2, $3, true, $4, $4) ON CONFLICT (tenant_id) DO NOTHING",
);
/// Whoever begins to delete the tenant waits for this transaction, or it for them. Whoever
/// changes its members or its name does not.
const LOCK_TENANT: Sql = Sql::Postgres("SELECT tenant_id FROM tenants WHERE tenant_id = $1 FOR KEY SHARE");
/// Nobody, while the user `$2` or the tenant is being deleted.
const CREATE: Sql = Sql::Same(
    "INSERT INTO users (tenant_id, id, key, email, name, role, is_active, settings, created_at, updated_at) \
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 WHERE NOT EXISTS (SELECT 1 FROM deletions d \
     WHERE d.tenant_id = $1 AND d.user_id IN ($2, $11) AND d.finished_at IS NULL)",
);
/// The same, or another name `$8` and role `$9` for one who is there.
const ENSURE: Sql = Sql::Each {
    sqlite: "INSERT INTO users (tenant_id, id, key, name, role, is_active, settings, created_at, updated_at) \
        SELECT $1, $2, $3, $4, $5, true, '{}', $6, $6 WHERE NOT EXISTS (SELECT 1 FROM deletions d \
        WHERE d.tenant_id = $1 AND d.user_id IN ($2, $7) AND d.finished_at IS NULL) \
        ON CONFLICT (tenant_id, id) DO UPDATE SET name = COALESCE($8, users.name), \
        role = COALESCE($9, users.role), updated_at = excluded.updated_at \
        RETURNING name, role, is_active, false AS is_being_deleted, \
        (SELECT t.is_active FROM tenants t WHERE t.tenant_id = $1) IS NOT FALSE AS tenant_is_active",
    postgres: "INSERT INTO users (tenant_id, id, key, name, role, is_active, settings, created_at, updated_at) \
        SELECT $1, $2, $3, $4, $5, true, '{}'::jsonb, $6, $6 WHERE NOT EXISTS (SELECT 1 FROM deletions d \
        WHERE d.tenant_id = $1 AND d.user_id IN ($2, $7) AND d.finished_at IS NULL) \
        ON CONFLICT (tenant_id, id) DO UPDATE SET name = COALESCE($8, users.name), \
        role = COALESCE($9, users.role), updated_at = excluded.updated_at \
        RETURNING name, role, is_active, false AS is_being_deleted, \
        (SELECT t.is_active FROM tenants t WHERE t.tenant_id = $1) IS NOT FALSE AS tenant_is_active",
};
const STANDING: Sql = Sql::Same(
    "SELECT u.name, u.role, u.is_active, t.is_active IS NOT FALSE AS tenant_is_active, \
     EXISTS (SELECT 1 FROM deletions d WHERE d.tenant_id = $1 AND d.user_id IN ($2, $3) \
     AND d.finished_at IS NULL) AS is_being_deleted \
     FROM users u LEFT JOIN tenants t ON t.tenant_id = u.tenant_id WHERE u.tenant_id = $1 AND u.id = $2",
);
const GET: Sql = Sql::Same(
    "SELECT id, key, email, name, role, is_active, settings, created_at, updated_at \
     FROM users WHERE tenant_id = $1 AND id = $2",
);
const LIST: Sql = Sql::Same(
    "SELECT id, key, email, name, role, is_active, settings, created_at, updated_at \
     FROM users WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3",
);
const UPDATE: Sql = Sql::Same(
    "UPDATE users SET name = COALESCE($3, name), role = COALESCE($4, role), \
     is_active = COALESCE($5, is_active), settings = COALESCE($6, settings), updated_at = $7 \
     WHERE tenant_id = $1 AND id = $2 \
     RETURNING id, key, email, name, role, is_active, settings, created_at, updated_at",
);
/// The running answers of a user who may not act.
const CANCEL_RUNS: Sql = Sql::Same(
    "UPDATE runs SET is_cancel_requested = true WHERE tenant_id = $1 AND user_id = $2 \
     AND finished_at IS NULL \
     AND EXISTS (SELECT 1 FROM users u WHERE u.tenant_id = $1 AND u.id = $2 AND NOT u.is_active)",
);
/// Nobody adds a document of the user's meanwhile, whose bytes nobody would know of.
const LOCK: Sql = Sql::Postgres("SELECT id FROM users WHERE tenant_id = $1 AND id = $2 FOR UPDATE");
/// The bytes of what goes with the user.
const LOOSEN: Sql = Sql::Same(
    "INSERT INTO loose_blobs (tenant_id, id) SELECT tenant_id, blob_id FROM documents \
     WHERE tenant_id = $1 AND user_id = $2 AND file_id IS NULL \
     ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL",
);
/// Files that others' documents read: they stay with them.
const HAND_OVER_FILES: Sql = Sql::Same(
    "UPDATE files SET user_id = (SELECT d.user_id FROM documents d WHERE d.tenant_id = $1 \
        AND d.file_id = files.id AND d.user_id <> $2 ORDER BY d.user_id DESC LIMIT 1) \
     WHERE tenant_id = $1 AND user_id = $2 AND EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = $1 \
        AND d.file_id = files.id AND d.user_id <> $2)",
);
const LOOSEN_FILES: Sql = Sql::Same(
    "INSERT INTO loose_blobs (tenant_id, id) SELECT tenant_id, blob_id FROM files \
     WHERE tenant_id = $1 AND user_id = $2 ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL",
);
const LOOSEN_PARTS: Sql = Sql::Same(
    "INSERT INTO loose_blobs (tenant_id, id) SELECT tenant_id, blob_id FROM upload_parts \
     WHERE tenant_id = $1 AND user_id = $2 ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL",
);
const DELETE: Sql = Sql::Same("DELETE FROM users WHERE tenant_id = $1 AND id = $2");
const DELETE_LIMITS: Sql = Sql::Same("DELETE FROM rate_limits WHERE tenant_id = $1 AND user_id = $2");

pub(crate) fn user(row: &Row) -> Result<User> {
    Ok(User {
        id: row.get("id")?,
        key: row.maybe("key")?,
        email: row.maybe("email")?,
        name: row.get("name")?,
        role: row.name("role")?,
        is_active: row.get("is_active")?,
        settings: row.json("settings")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// The user who stands for the tenant itself: what is shared hangs on their row, and
/// goes with the tenant alone.
const CREATE_SHARED: Sql = Sql::Each {
    sqlite: "INSERT INTO users (tenant_id, id, name, role, is_active, settings, created_at, updated_at) \
        SELECT $1, $2, '', 'user', false, '{}', $3, $3 FROM tenants t WHERE t.tenant_id = $1 \
        AND NOT EXISTS (SELECT 1 FROM deletions d WHERE d.tenant_id = $1 AND d.user_id = $2 \
        AND d.finished_at IS NULL) ON CONFLICT (tenant_id, id) DO NOTHING",
    postgres: "INSERT INTO users (tenant_id, id, name, role, is_active, settings, created_at, updated_at) \
        SELECT $1, $2, '', 'user', false, '{}'::jsonb, $3::bigint, $3 FROM tenants t WHERE t.tenant_id = $1 \
        AND NOT EXISTS (SELECT 1 FROM deletions d WHERE d.tenant_id = $1 AND d.user_id = $2 \
        AND d.finished_at IS NULL) ON CONFLICT (tenant_id, id) DO NOTHING",
};

/// Makes the row that shared things hang on, if the scope is theirs; not in a tenant
/// that is gone or being deleted, whose next one would inherit it.
pub(crate) fn create_shared(scope: &Scope, now: Timestamp) -> Vec<Statement> {
    if scope.user != UserId::SHARED {
        return Vec::new();
    }
    vec![tenant_lock(scope), CREATE_SHARED.scoped(scope).bind(now)]
}

/// Keeps the scope's tenant where it is until the transaction is over.
pub(crate) fn tenant_lock(scope: &Scope) -> Statement {
    LOCK_TENANT.bind(scope.tenant).expect_returned()
}

/// Makes a row of the tenant if it has none yet.
pub(crate) fn tenant_creation(tenant: TenantId, now: Timestamp) -> Statement {
    CREATE_TENANT.bind(tenant).bind(None::<&str>).bind("").bind(now)
}

/// Whose rows a scope sees: the user's own, and those that the tenant shares.
pub(crate) fn owners(scope: &Scope) -> [Scope; 2] {
    [*scope, scope.shared()]
}

/// `NotFound` for the user who stands for the tenant: nobody sees them.
fn check_person(id: UserId) -> Result<()> {
    if id == UserId::SHARED { Err(Error::missing("user", id)) } else { Ok(()) }
}

/// The statements that delete a user with all that is theirs, in one commit.
/// What they made in a workspace that has another owner stays there.
pub(crate) fn deletion(tenant: TenantId, id: UserId) -> Vec<Statement> {
    let of = |sql: Sql| sql.bind(tenant).bind(id);
    let mut statements = vec![lock_tenant(tenant), of(LOCK)];
    statements.extend(hand_over::of_deleted(tenant, id));
    let budgets = budget::deletion(tenant, &BudgetSubject::User(id));
    let of_workspaces = budget::deletion_of_workspaces(tenant, id);
    statements.extend([of(LOOSEN), of(HAND_OVER_FILES), of(LOOSEN_FILES), of(LOOSEN_PARTS)]);
    statements.extend([budgets, of_workspaces, of(DELETE_LIMITS), of(DELETE)]);
    statements
}

fn standing(row: &Row) -> Result<Standing> {
    Ok(Standing {
        name: row.get("name")?,
        role: row.name("role")?,
        is_active: row.get("is_active")?,
        tenant_is_active: row.get("tenant_is_active")?,
        is_being_deleted: row.get("is_being_deleted")?,
    })
}

pub(crate) fn being_deleted() -> Error {
    Error::conflict("the user, or the whole tenant, is being deleted; try again when that is over")
}

#[async_trait]
impl UserStore for SqlStore {
    async fn create(&self, scope: &Scope, user: &User) -> Result<()> {
        let create_tenant = tenant_creation(scope.tenant, user.created_at);
        let create = CREATE
            .bind(scope.tenant)
            .bind(user.id)
            .bind(maybe_text(user.key.as_ref()))
            .bind(maybe_text(user.email.as_ref()))
            .bind(text(&user.name))
            .bind(user.role.as_str())
            .bind(user.is_active)
            .bind(json(&user.settings)?)
            .bind(user.created_at)
            .bind(user.updated_at)
            .bind(UserId::SHARED)
            .expect_touched(1)
            .uses_reserve();
        let taken = || Error::conflict("there is a user with this id or e-mail address already");
        self.database
            .transaction([create_tenant, tenant_lock(scope), create])
            .await
            .map_err(|error| error.on_unique(taken).on_row_count(being_deleted))?;
        Ok(())
    }

    async fn ensure(&self, scope: &Scope, ensured: &EnsuredUser, now: Timestamp) -> Result<Standing> {
        let create_tenant = CREATE_TENANT
            .bind(scope.tenant)
            .bind(ensured.tenant_key.as_str())
            .bind(ensured.tenant_key.as_str())
            .bind(now);
        let ensure = ENSURE
            .scoped(scope)
            .bind(ensured.user_key.as_str())
            .bind(text(ensured.name.as_ref().unwrap_or(&ensured.user_key)))
            .bind(ensured.role.unwrap_or_default().as_str())
            .bind(now)
            .bind(UserId::SHARED)
            .bind(maybe_text(ensured.name.as_ref()))
            .bind(ensured.role.map(|role| role.as_str()))
            .expect_returned()
            .uses_reserve();
        let [_, _, ensured] = self
            .database
            .transaction([create_tenant, tenant_lock(scope), ensure])
            .await
            .map_err(|error| error.on_row_count(being_deleted))?;
        standing(or_not_found(ensured.rows.first(), being_deleted)?)
    }

    async fn standing(&self, scope: &Scope) -> Result<Option<Standing>> {
        if scope.user == UserId::SHARED {
            return Ok(None);
        }
        let row = self.database.read_first(STANDING.scoped(scope).bind(UserId::SHARED)).await?;
        row.as_ref().map(standing).transpose()
    }

    async fn get(&self, scope: &Scope, id: UserId) -> Result<User> {
        check_person(id)?;
        let row = self.database.read_first(GET.bind(scope.tenant).bind(id)).await?;
        user(&or_not_found(row, || Error::missing("user", id))?)
    }

    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<User>> {
        let list = LIST.bind(scope.tenant).bind(after(page)).bind(rows_of(page));
        let users = each(&self.database.read(list).await?, user)?;
        Ok(page_by_id(users, page, |user| user.id.0))
    }

    async fn update(&self, scope: &Scope, id: UserId, change: &UserChange, now: Timestamp) -> Result<User> {
        check_person(id)?;
        let update = UPDATE
            .bind(scope.tenant)
            .bind(id)
            .bind(maybe_text(change.name.as_ref()))
            .bind(change.role.map(|role| role.as_str()))
            .bind(change.is_active)
            .bind(maybe_json(change.settings.as_ref())?)
            .bind(now);
        let cancel_runs = CANCEL_RUNS.bind(scope.tenant).bind(id);
        let [updated, _] = self.database.transaction([update, cancel_runs]).await?;
        user(or_not_found(updated.rows.first(), || Error::missing("user", id))?)
    }

    async fn delete(&self, scope: &Scope, id: UserId) -> Result<()> {
        check_person(id)?;
        let outcomes = self.database.transaction_of(deletion(scope.tenant, id)).await?;
        let deleted = outcomes.last().map_or(0, |deleted| deleted.touched);
        touched_or_not_found(deleted, || Error::missing("user", id))
    }
}

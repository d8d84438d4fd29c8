//! Users.

use aimate_core::user::{User, UserChange, UserStore};
use aimate_core::{Error, Page, PageRequest, Result, Scope, Timestamp, UserId};
use async_trait::async_trait;

use crate::SqlStore;
use crate::database::{Row, Sql, each};
use crate::page::{after, or_not_found, page_by_id, rows_of, touched_or_not_found};
use crate::value::{json, maybe_json, maybe_text, text};

const CREATE: Sql = Sql::Same(
    "INSERT INTO users (tenant_id, id, email, name, role, is_active, settings, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);
const GET: Sql = Sql::Same(
    "SELECT id, email, name, role, is_active, settings, created_at, updated_at \
     FROM users WHERE tenant_id = $1 AND id = $2",
);
const LIST: Sql = Sql::Same(
    "SELECT id, email, name, role, is_active, settings, created_at, updated_at \
     FROM users WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3",
);
const UPDATE: Sql = Sql::Same(
    "UPDATE users SET name = COALESCE($3, name), role = COALESCE($4, role), \
     is_active = COALESCE($5, is_active), settings = COALESCE($6, settings), updated_at = $7 \
     WHERE tenant_id = $1 AND id = $2 \
     RETURNING id, email, name, role, is_active, settings, created_at, updated_at",
);
/// Nobody adds a document of the user's meanwhile, whose bytes nobody would know of.
const LOCK: Sql = Sql::Postgres("SELECT id FROM users WHERE tenant_id = $1 AND id = $2 FOR UPDATE");
/// The bytes of what goes with the user.
const LOOSEN: Sql = Sql::Same(
    "INSERT INTO loose_blobs (tenant_id, id) SELECT tenant_id, blob_id FROM documents \
     WHERE tenant_id = $1 AND user_id = $2 ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL",
);
const DELETE: Sql = Sql::Same("DELETE FROM users WHERE tenant_id = $1 AND id = $2");

fn user(row: &Row) -> Result<User> {
    Ok(User {
        id: row.get("id")?,
        email: row.maybe("email")?,
        name: row.get("name")?,
        role: row.name("role")?,
        is_active: row.get("is_active")?,
        settings: row.json("settings")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

#[async_trait]
impl UserStore for SqlStore {
    async fn create(&self, scope: &Scope, user: &User) -> Result<()> {
        let create = CREATE
            .bind(scope.tenant)
            .bind(user.id)
            .bind(maybe_text(user.email.as_ref()))
            .bind(text(&user.name))
            .bind(user.role.as_str())
            .bind(user.is_active)
            .bind(json(&user.settings)?)
            .bind(user.created_at)
            .bind(user.updated_at);
        let taken = || Error::conflict("there is a user with this e-mail address already");
        self.database.execute(create).await.map_err(|error| error.on_unique(taken))?;
        Ok(())
    }

    async fn get(&self, scope: &Scope, id: UserId) -> Result<User> {
        let row = self.database.read_first(GET.bind(scope.tenant).bind(id)).await?;
        user(&or_not_found(row, || Error::missing("user", id))?)
    }

    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<User>> {
        let list = LIST.bind(scope.tenant).bind(after(page)).bind(rows_of(page));
        let users = each(&self.database.read(list).await?, user)?;
        Ok(page_by_id(users, page, |user| user.id.0))
    }

    async fn update(&self, scope: &Scope, id: UserId, change: &UserChange, now: Timestamp) -> Result<User> {
        let update = UPDATE
            .bind(scope.tenant)
            .bind(id)
            .bind(maybe_text(change.name.as_ref()))
            .bind(change.role.map(|role| role.as_str()))
            .bind(change.is_active)
            .bind(maybe_json(change.settings.as_ref())?)
            .bind(now);
        let rows = self.database.write(update).await?;
        user(or_not_found(rows.first(), || Error::missing("user", id))?)
    }

    async fn delete(&self, scope: &Scope, id: UserId) -> Result<()> {
        let [_, _, deleted] = self
            .database
            .transaction([LOCK, LOOSEN, DELETE].map(|statement| statement.bind(scope.tenant).bind(id)))
            .await?;
        touched_or_not_found(deleted.touched, || Error::missing("user", id))
    }
}

//! Users.

use aimate_core::user::{User, UserChange, UserStore};
use aimate_core::{Error, ErrorKind, Page, PageRequest, Result, Scope, Timestamp, UserId};
use async_trait::async_trait;
use sqlx::query;

use crate::SqlStore;
use crate::error::explain;
use crate::row::Columns;
use crate::statement::{after, found, page_by_id, rows_of};
use crate::value::{json, maybe_json, maybe_text, text};

macro_rules! columns {
    () => {
        "id, email, name, role, is_active, settings, created_at, updated_at"
    };
}

const CREATE: &str =
    concat!("INSERT INTO users (tenant_id, ", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
const GET: &str = concat!("SELECT ", columns!(), " FROM users WHERE tenant_id = $1 AND id = $2");
const LIST: &str =
    concat!("SELECT ", columns!(), " FROM users WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3");
const UPDATE: &str = concat!(
    "UPDATE users SET name = COALESCE($3, name), role = COALESCE($4, role), \
     is_active = COALESCE($5, is_active), settings = COALESCE($6, settings), updated_at = $7 \
     WHERE tenant_id = $1 AND id = $2 RETURNING ",
    columns!()
);
const DELETE: &str = "DELETE FROM users WHERE tenant_id = $1 AND id = $2";

fn user(row: &impl Columns) -> Result<User> {
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
        let settings = json(&user.settings)?;
        on!(self, |db| {
            let query = query(CREATE)
                .bind(scope.tenant.0)
                .bind(user.id.0)
                .bind(maybe_text(user.email.as_ref()))
                .bind(text(&user.name))
                .bind(user.role.as_str())
                .bind(user.is_active)
                .bind(settings)
                .bind(user.created_at.0)
                .bind(user.updated_at.0);
            db.execute(query).await
        })
        .map(drop)
        .map_err(|error| {
            explain(error, ErrorKind::Conflict, || {
                Error::conflict("there is a user with this e-mail address already")
            })
        })
    }

    async fn get(&self, scope: &Scope, id: UserId) -> Result<User> {
        on!(self, |db| {
            let row = db.read_first(query(GET).bind(scope.tenant.0).bind(id.0)).await?;
            user(&found(row, || Error::missing("user", id))?)
        })
    }

    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<User>> {
        let rows: Vec<User> = on!(self, |db| {
            let rows =
                db.read(query(LIST).bind(scope.tenant.0).bind(after(page)).bind(rows_of(page))).await?;
            rows.iter().map(user).collect::<Result<_>>()?
        });
        Ok(page_by_id(rows, page, |user| user.id.0))
    }

    async fn update(&self, scope: &Scope, id: UserId, change: &UserChange, now: Timestamp) -> Result<User> {
        let settings = maybe_json(change.settings.as_ref())?;
        on!(self, |db| {
            let query = query(UPDATE)
                .bind(scope.tenant.0)
                .bind(id.0)
                .bind(maybe_text(change.name.as_ref()))
                .bind(change.role.map(|role| role.as_str()))
                .bind(change.is_active)
                .bind(settings)
                .bind(now.0);
            let rows = db.write(query).await?;
            user(found(rows.first(), || Error::missing("user", id))?)
        })
    }

    async fn delete(&self, scope: &Scope, id: UserId) -> Result<()> {
        let deleted = on!(self, |db| { db.execute(query(DELETE).bind(scope.tenant.0).bind(id.0)).await? });
        found((deleted > 0).then_some(()), || Error::missing("user", id))
    }
}

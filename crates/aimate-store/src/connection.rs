//! Connections.

use aimate_core::connection::{Connection, ConnectionStore};
use aimate_core::{ConnectionId, Error, ErrorKind, Page, PageRequest, Result, Role, Scope, Timestamp};
use async_trait::async_trait;
use sqlx::query;

use crate::SqlStore;
use crate::error::explain;
use crate::row::Columns;
use crate::statement::{found, page_by_id, rows_of, scoped};
use crate::value::{json, maybe_text, text};

macro_rules! columns {
    () => {
        "id, user_id, name, provider, url, key_hint, sealed_key, is_enabled, settings, status, \
         models_fetched_at, stale_since, created_at, updated_at"
    };
}

/// What user `$2` sees.
macro_rules! visible {
    () => {
        "tenant_id = $1 AND (user_id = $2 OR user_id IS NULL)"
    };
}
pub(crate) use visible;

/// Connection `$3`, if user `$2` may change it; `$4` says that they are an
/// admin.
macro_rules! own {
    () => {
        "tenant_id = $1 AND id = $3 AND (user_id = $2 OR ($4 AND user_id IS NULL))"
    };
}

/// Owned by `$2`: nobody if it is shared.
const CREATE: &str = "INSERT INTO connections (tenant_id, user_id, id, name, provider, url, key_hint, \
    sealed_key, is_enabled, settings, status, models_fetched_at, stale_since, created_at, updated_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
const GET: &str = concat!("SELECT ", columns!(), " FROM connections WHERE ", visible!(), " AND id = $3");
const LIST: &str =
    concat!("SELECT ", columns!(), " FROM connections WHERE ", visible!(), " ORDER BY name, id LIMIT $3");
const LIST_AFTER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM connections WHERE ",
    visible!(),
    " AND (name, id) > (SELECT c.name, c.id FROM connections c WHERE c.tenant_id = $1 AND c.id = $4) \
     ORDER BY name, id LIMIT $3"
);
const UPDATE: &str = concat!(
    "UPDATE connections SET name = $6, provider = $7, url = $8, key_hint = $9, sealed_key = $10, \
     is_enabled = $11, settings = $12, status = $13, models_fetched_at = $14, stale_since = $15, \
     created_at = $16, updated_at = $17 WHERE ",
    own!(),
    " AND updated_at = $5"
);
const DELETE: &str = concat!("DELETE FROM connections WHERE ", own!());
const IS_OWN: &str = concat!("SELECT id FROM connections WHERE ", own!());

fn connection(row: &impl Columns) -> Result<Connection> {
    let sealed_key: Option<Vec<u8>> = row.maybe("sealed_key")?;
    Ok(Connection {
        id: row.get("id")?,
        name: row.get("name")?,
        provider: row.name("provider")?,
        url: row.maybe("url")?,
        has_key: sealed_key.is_some(),
        key_hint: row.maybe("key_hint")?,
        sealed_key,
        is_enabled: row.get("is_enabled")?,
        is_shared: row.maybe::<aimate_core::UserId>("user_id")?.is_none(),
        settings: row.json("settings")?,
        status: row.name("status")?,
        models_fetched_at: row.maybe("models_fetched_at")?,
        stale_since: row.maybe("stale_since")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// Binds what a connection can be given, in the driver's types.
macro_rules! bind {
    ($query:expr, $connection:expr) => {
        $query
            .bind(text(&$connection.name))
            .bind($connection.provider.as_str())
            .bind(maybe_text($connection.url.as_ref()))
            .bind(maybe_text($connection.key_hint.as_ref()))
            .bind($connection.sealed_key.as_deref())
            .bind($connection.is_enabled)
            .bind(json(&$connection.settings)?)
            .bind($connection.status.as_str())
            .bind($connection.models_fetched_at.map(|at| at.0))
            .bind($connection.stale_since.map(|at| at.0))
            .bind($connection.created_at.0)
            .bind($connection.updated_at.0)
    };
}

fn is_admin(scope: &Scope) -> bool {
    scope.role == Role::Admin
}

fn taken(error: Error, connection: &Connection) -> Error {
    explain(error, ErrorKind::Conflict, || {
        Error::conflict(format!(
            "there is a connection with the name `{}` already; choose another",
            connection.name
        ))
    })
}

#[async_trait]
impl ConnectionStore for SqlStore {
    async fn create(&self, scope: &Scope, connection: &Connection) -> Result<()> {
        if connection.is_shared && !is_admin(scope) {
            return Err(Error::forbidden("only an admin shares a connection with all users"));
        }
        let owner = (!connection.is_shared).then_some(scope.user);
        on!(self, |db| {
            let query =
                query(CREATE).bind(scope.tenant.0).bind(owner.map(|user| user.0)).bind(connection.id.0);
            db.execute(bind!(query, connection)).await
        })
        .map(drop)
        .map_err(|error| taken(error, connection))
        .map_err(|error| explain(error, ErrorKind::NotFound, || Error::missing("user", scope.user)))
    }

    async fn get(&self, scope: &Scope, id: ConnectionId) -> Result<Connection> {
        on!(self, |db| {
            let row = db.read_first(scoped(GET, scope).bind(id.0)).await?;
            connection(&found(row, || Error::missing("connection", id))?)
        })
    }

    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<Connection>> {
        if let Some(cursor) = page.after {
            // Without the row that the page before ended with, where the next
            // one begins is not known.
            let gone = |error| {
                explain(error, ErrorKind::NotFound, || {
                    Error::field("cursor", "belongs to a connection that is gone; begin at the first page")
                })
            };
            ConnectionStore::get(self, scope, ConnectionId(cursor.id)).await.map_err(gone)?;
        }
        let rows: Vec<Connection> = on!(self, |db| {
            let query = match page.after {
                None => scoped(LIST, scope).bind(rows_of(page)),
                Some(cursor) => scoped(LIST_AFTER, scope).bind(rows_of(page)).bind(cursor.id),
            };
            db.read(query).await?.iter().map(connection).collect::<Result<_>>()?
        });
        Ok(page_by_id(rows, page, |connection| connection.id.0))
    }

    async fn update(&self, scope: &Scope, connection: &Connection, read_at: Timestamp) -> Result<()> {
        let id = connection.id;
        let updated = on!(self, |db| {
            let query = scoped(UPDATE, scope).bind(id.0).bind(is_admin(scope)).bind(read_at.0);
            db.execute(bind!(query, connection)).await.map_err(|error| taken(error, connection))?
        });
        if updated > 0 {
            return Ok(());
        }
        let is_own = on!(self, |db| {
            db.read_first(scoped(IS_OWN, scope).bind(id.0).bind(is_admin(scope))).await?.is_some()
        });
        Err(match is_own {
            true => Error::conflict("the connection has changed since it was read; read it again"),
            false => Error::missing("connection", id),
        })
    }

    async fn delete(&self, scope: &Scope, id: ConnectionId) -> Result<()> {
        let deleted =
            on!(self, |db| { db.execute(scoped(DELETE, scope).bind(id.0).bind(is_admin(scope))).await? });
        found((deleted > 0).then_some(()), || Error::missing("connection", id))
    }
}

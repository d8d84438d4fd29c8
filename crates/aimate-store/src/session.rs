//! Sessions.

use aimate_core::session::{Session, SessionStore};
use aimate_core::{Error, ErrorKind, Page, PageRequest, Result, Scope, SessionId, Timestamp};
use async_trait::async_trait;

use crate::SqlStore;
use crate::error::explain;
use crate::row::Columns;
use crate::statement::{before, found, page_by_id, rows_of, scoped};
use crate::value::maybe_text;

macro_rules! columns {
    () => {
        "id, token_hash, ip, user_agent, created_at, last_activity_at, expires_at"
    };
}

const CREATE: &str = concat!(
    "INSERT INTO sessions (tenant_id, user_id, ",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
);
const GET: &str =
    concat!("SELECT ", columns!(), " FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND id = $3");
const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND id < $3 ORDER BY id DESC LIMIT $4"
);
const TOUCH: &str = "UPDATE sessions SET last_activity_at = $4 \
    WHERE tenant_id = $1 AND user_id = $2 AND id = $3";
const DELETE: &str = "DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND id = $3";

fn session(row: &impl Columns) -> Result<Session> {
    Ok(Session {
        id: row.get("id")?,
        token_hash: row.get("token_hash")?,
        ip: row.maybe("ip")?,
        user_agent: row.maybe("user_agent")?,
        created_at: row.get("created_at")?,
        last_activity_at: row.get("last_activity_at")?,
        expires_at: row.get("expires_at")?,
    })
}

#[async_trait]
impl SessionStore for SqlStore {
    async fn create(&self, scope: &Scope, session: &Session) -> Result<()> {
        on!(self, |db| {
            let query = scoped(CREATE, scope)
                .bind(session.id.0)
                .bind(session.token_hash.as_slice())
                .bind(maybe_text(session.ip.as_ref()))
                .bind(maybe_text(session.user_agent.as_ref()))
                .bind(session.created_at.0)
                .bind(session.last_activity_at.0)
                .bind(session.expires_at.0);
            db.execute(query).await
        })
        .map(drop)
        .map_err(|error| explain(error, ErrorKind::NotFound, || Error::missing("user", scope.user)))
    }

    async fn get(&self, scope: &Scope, id: SessionId) -> Result<Session> {
        on!(self, |db| {
            let row = db.read_first(scoped(GET, scope).bind(id.0)).await?;
            session(&found(row, || Error::missing("session", id))?)
        })
    }

    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<Session>> {
        let rows: Vec<Session> = on!(self, |db| {
            let rows = db.read(scoped(LIST, scope).bind(before(page)).bind(rows_of(page))).await?;
            rows.iter().map(session).collect::<Result<_>>()?
        });
        Ok(page_by_id(rows, page, |session| session.id.0))
    }

    async fn touch(&self, scope: &Scope, id: SessionId, now: Timestamp) -> Result<()> {
        let touched = on!(self, |db| db.execute(scoped(TOUCH, scope).bind(id.0).bind(now.0)).await?);
        found((touched > 0).then_some(()), || Error::missing("session", id))
    }

    async fn delete(&self, scope: &Scope, id: SessionId) -> Result<()> {
        let deleted = on!(self, |db| db.execute(scoped(DELETE, scope).bind(id.0)).await?);
        found((deleted > 0).then_some(()), || Error::missing("session", id))
    }
}

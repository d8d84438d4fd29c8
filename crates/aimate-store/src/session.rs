//! Sessions.

use aimate_core::session::{Session, SessionStore};
use aimate_core::{Error, Page, PageRequest, Result, Scope, SessionId, Timestamp};
use async_trait::async_trait;

use crate::SqlStore;
use crate::database::{Row, Sql, each};
use crate::page::{before, or_not_found, page_by_id, rows_of, touched_or_not_found};
use crate::value::maybe_text;

const CREATE: Sql = Sql::Same(
    "INSERT INTO sessions (tenant_id, user_id, id, token_hash, ip, user_agent, created_at, \
     last_activity_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);
const GET: Sql = Sql::Same(
    "SELECT id, token_hash, ip, user_agent, created_at, last_activity_at, expires_at \
     FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND id = $3",
);
const LIST: Sql = Sql::Same(
    "SELECT id, token_hash, ip, user_agent, created_at, last_activity_at, expires_at \
     FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND id < $3 ORDER BY id DESC LIMIT $4",
);
const TOUCH: Sql =
    Sql::Same("UPDATE sessions SET last_activity_at = $4 WHERE tenant_id = $1 AND user_id = $2 AND id = $3");
const DELETE: Sql = Sql::Same("DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND id = $3");

fn session(row: &Row) -> Result<Session> {
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
        let create = CREATE
            .scoped(scope)
            .bind(session.id)
            .bind(session.token_hash.as_slice())
            .bind(maybe_text(session.ip.as_ref()))
            .bind(maybe_text(session.user_agent.as_ref()))
            .bind(session.created_at)
            .bind(session.last_activity_at)
            .bind(session.expires_at);
        let missing = || Error::missing("user", scope.user);
        self.database.execute(create).await.map_err(|error| error.on_foreign_key(missing))?;
        Ok(())
    }

    async fn get(&self, scope: &Scope, id: SessionId) -> Result<Session> {
        let row = self.database.read_first(GET.scoped(scope).bind(id)).await?;
        session(&or_not_found(row, || Error::missing("session", id))?)
    }

    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<Session>> {
        let list = LIST.scoped(scope).bind(before(page)).bind(rows_of(page));
        let sessions = each(&self.database.read(list).await?, session)?;
        Ok(page_by_id(sessions, page, |session| session.id.0))
    }

    async fn touch(&self, scope: &Scope, id: SessionId, now: Timestamp) -> Result<()> {
        let touched = self.database.execute(TOUCH.scoped(scope).bind(id).bind(now)).await?;
        touched_or_not_found(touched, || Error::missing("session", id))
    }

    async fn delete(&self, scope: &Scope, id: SessionId) -> Result<()> {
        let deleted = self.database.execute(DELETE.scoped(scope).bind(id)).await?;
        touched_or_not_found(deleted, || Error::missing("session", id))
    }
}

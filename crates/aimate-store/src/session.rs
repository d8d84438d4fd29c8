//! Sessions.

use std::time::Duration;

use aimate_core::session::{MAX_SESSIONS, Renewal, Renewed, Session, SessionStore};
use aimate_core::{Error, Page, PageRequest, Result, Scope, SessionId, Timestamp};
use async_trait::async_trait;
use uuid::Uuid;

use crate::SqlStore;
use crate::database::{Row, Sql, each};
use crate::page::{before, or_not_found, page_by_id, rows_of, touched_or_not_found};
use crate::value::maybe_text;

const DELETE_EXPIRED: Sql =
    Sql::Same("DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND expires_at <= $3");
/// The newest `$3` and older ones.
const DELETE_OLDEST: Sql = Sql::Same(
    "DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND id <= (SELECT s.id FROM sessions s \
     WHERE s.tenant_id = $1 AND s.user_id = $2 ORDER BY s.id DESC LIMIT 1 OFFSET $3)",
);
const CREATE: Sql = Sql::Same(
    "INSERT INTO sessions (tenant_id, user_id, id, family_hash, token_hash, ip, user_agent, created_at, \
     renewed_at, last_activity_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
);
const GET: Sql = Sql::Same(
    "SELECT id, family_hash, token_hash, ip, user_agent, created_at, renewed_at, last_activity_at, expires_at \
     FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND id = $3",
);
const LIST: Sql = Sql::Same(
    "SELECT id, family_hash, token_hash, ip, user_agent, created_at, renewed_at, last_activity_at, expires_at \
     FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND id < $3 AND expires_at > $4 ORDER BY id DESC LIMIT $5",
);
/// For `$10` from now on, but no longer than `$11` since it was made.
const RENEW: Sql = Sql::Same(
    "UPDATE sessions SET token_hash = $6, ip = $7, user_agent = $8, renewed_at = $9, last_activity_at = $9, \
     expires_at = CASE WHEN created_at + $11 < $9 + $10 THEN created_at + $11 ELSE $9 + $10 END \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND family_hash = $4 AND token_hash = $5 \
     AND expires_at > $9 \
     RETURNING id, family_hash, token_hash, ip, user_agent, created_at, renewed_at, last_activity_at, expires_at",
);
/// One that was renewed just now was not by an old token.
const END_REUSED: Sql = Sql::Same(
    "DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND family_hash = $4 \
     AND token_hash <> $5 AND renewed_at <= $6",
);
/// One that was renewed after `$6`, by another token than `$5`.
const JUST_RENEWED: Sql = Sql::Same(
    "SELECT id FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND family_hash = $4 \
     AND token_hash <> $5 AND renewed_at > $6 AND renewed_at > created_at AND expires_at > $7",
);
const TOUCH: Sql =
    Sql::Same("UPDATE sessions SET last_activity_at = $4 WHERE tenant_id = $1 AND user_id = $2 AND id = $3");
const DELETE: Sql = Sql::Same("DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND id = $3");
pub(crate) const DELETE_ALL: Sql =
    Sql::Same("DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND id <> $3");

fn session(row: &Row) -> Result<Session> {
    Ok(Session {
        id: row.get("id")?,
        family_hash: row.get("family_hash")?,
        token_hash: row.get("token_hash")?,
        ip: row.maybe("ip")?,
        user_agent: row.maybe("user_agent")?,
        created_at: row.get("created_at")?,
        renewed_at: row.get("renewed_at")?,
        last_activity_at: row.get("last_activity_at")?,
        expires_at: row.get("expires_at")?,
    })
}

/// The id of what is kept; no session has the one that stands for none.
pub(crate) fn kept(keep: Option<SessionId>) -> Uuid {
    keep.map_or(Uuid::nil(), SessionId::uuid)
}

fn micros(duration: Duration) -> i64 {
    duration.as_micros().try_into().unwrap_or(i64::MAX / 4)
}

#[async_trait]
impl SessionStore for SqlStore {
    async fn create(&self, scope: &Scope, session: &Session) -> Result<()> {
        let create = CREATE
            .scoped(scope)
            .bind(session.id)
            .bind(session.family_hash.as_slice())
            .bind(session.token_hash.as_slice())
            .bind(maybe_text(session.ip.as_ref()))
            .bind(maybe_text(session.user_agent.as_ref()))
            .bind(session.created_at)
            .bind(session.renewed_at)
            .bind(session.last_activity_at)
            .bind(session.expires_at)
            .uses_reserve();
        let missing = || Error::missing("user", scope.user);
        let statements = [
            DELETE_EXPIRED.scoped(scope).bind(session.created_at),
            DELETE_OLDEST.scoped(scope).bind(i64::from(MAX_SESSIONS) - 1),
            create,
        ];
        self.database.transaction(statements).await.map_err(|error| error.on_foreign_key(missing))?;
        Ok(())
    }

    async fn get(&self, scope: &Scope, id: SessionId) -> Result<Session> {
        let row = self.database.read_first(GET.scoped(scope).bind(id)).await?;
        session(&or_not_found(row, || Error::missing("session", id))?)
    }

    async fn list(&self, scope: &Scope, now: Timestamp, page: PageRequest) -> Result<Page<Session>> {
        let list = LIST.scoped(scope).bind(before(page)).bind(now).bind(rows_of(page));
        let sessions = each(&self.database.read(list).await?, session)?;
        Ok(page_by_id(sessions, page, |session| session.id.0))
    }

    async fn renew(&self, scope: &Scope, renewal: &Renewal) -> Result<Renewed> {
        let of = |sql: Sql| {
            sql.scoped(scope)
                .bind(renewal.id)
                .bind(renewal.family_hash.as_slice())
                .bind(renewal.token_hash.as_slice())
        };
        let renew = of(RENEW)
            .bind(renewal.next_hash.as_slice())
            .bind(maybe_text(renewal.ip.as_ref()))
            .bind(maybe_text(renewal.user_agent.as_ref()))
            .bind(renewal.now)
            .bind(micros(renewal.lifetime))
            .bind(micros(renewal.max_age))
            .uses_reserve();
        let a_moment_ago = renewal.now.minus(renewal.grace);
        let end_reused = of(END_REUSED).bind(a_moment_ago);
        let just_renewed = of(JUST_RENEWED).bind(a_moment_ago).bind(renewal.now);
        let [renewed, ended, recent] = self.database.transaction([renew, end_reused, just_renewed]).await?;
        Ok(match renewed.rows.first() {
            Some(row) => Renewed::Session(Box::new(session(row)?)),
            None if ended.touched > 0 => Renewed::Reused,
            None if !recent.rows.is_empty() => Renewed::JustRenewed,
            None => Renewed::Refused,
        })
    }

    async fn touch(&self, scope: &Scope, id: SessionId, now: Timestamp) -> Result<()> {
        let touched = self.database.execute(TOUCH.scoped(scope).bind(id).bind(now)).await?;
        touched_or_not_found(touched, || Error::missing("session", id))
    }

    async fn delete(&self, scope: &Scope, id: SessionId) -> Result<()> {
        let deleted = self.database.execute(DELETE.scoped(scope).bind(id).uses_reserve()).await?;
        touched_or_not_found(deleted, || Error::missing("session", id))
    }

    async fn delete_all(&self, scope: &Scope, keep: Option<SessionId>) -> Result<u64> {
        Ok(self.database.execute(DELETE_ALL.scoped(scope).bind(kept(keep)).uses_reserve()).await?)
    }
}

//! Workers on PostgreSQL: each holds an advisory lock in a session of its own,
//! which the server frees at once when the process dies.

use std::sync::Arc;
use std::time::Duration;

use aimate_core::{Result, WorkerId};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::Kind;
use crate::database::postgres::{Postgres, run, run_secured};
use crate::database::{DbError, Row, Sql, Statement};

/// How long a beat may take before its session counts as lost.
const BEAT_TIMEOUT: Duration = Duration::from_secs(5);

/// A worker whose session was cut takes its lock again when it next beats. It is
/// given the time for that before its work is taken away.
const GRACE: Duration = Duration::from_secs(1);

const LOCK: Sql = Sql::Postgres("SELECT pg_try_advisory_lock($1)");

/// Says that worker `$1` lives, by the server's clock, and returns its runs that are
/// to stop. The row
/// says since when the session has its lock: 0 if it has not, as behind a
/// proxy that gives each statement another session.
const BEAT: Sql = Sql::Postgres(
    "WITH alive AS (INSERT INTO workers (id, lock_key, session_at, beat_at) \
        SELECT $1, $2, CASE WHEN EXISTS (SELECT 1 FROM pg_locks l WHERE l.locktype = 'advisory' \
            AND l.granted AND l.pid = pg_backend_pid() AND l.objsubid = 1 \
            AND ((l.classid::bigint << 32) | l.objid::bigint) = $2) \
            THEN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint ELSE 0 END, \
            (extract(epoch FROM clock_timestamp()) * 1000000)::bigint \
        ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at, session_at = excluded.session_at) \
     SELECT id FROM runs WHERE worker_id = $1 AND finished_at IS NULL AND is_cancel_requested",
);

/// The workers with work in flight whose lock is free. Where the server was
/// restarted since a worker last beat, that says nothing: the worker lost its
/// session, and maybe nothing else.
const EXPIRED_CANDIDATES: Sql = Sql::Postgres(
    "SELECT w.id FROM workers w WHERE w.id <> $1 \
     AND w.session_at > (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint \
     AND (EXISTS (SELECT 1 FROM runs r WHERE r.finished_at IS NULL AND r.worker_id = w.id) \
        OR EXISTS (SELECT 1 FROM documents d WHERE d.status = 'processing' AND d.worker_id = w.id) \
        OR EXISTS (SELECT 1 FROM spaces s WHERE s.status = 'building' AND s.worker_id = w.id) \
        OR EXISTS (SELECT 1 FROM deletions x WHERE x.finished_at IS NULL AND x.worker_id = w.id) \
        OR EXISTS (SELECT 1 FROM loose_blobs l WHERE l.worker_id = w.id)) \
     AND NOT EXISTS (SELECT 1 FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted \
        AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) \
        AND l.objsubid = 1 AND ((l.classid::bigint << 32) | l.objid::bigint) = w.lock_key)",
);

/// The lock that stands for `worker`: the random half of its id.
fn lock_key(worker: WorkerId) -> i64 {
    worker.0.as_u64_pair().1.cast_signed()
}

impl Postgres {
    /// Renews the worker's lease; returns its runs that are to stop. A session
    /// that is lost is replaced, and with it the lock.
    pub(super) async fn beat(&self, worker: WorkerId) -> Result<Vec<Row>> {
        self.gate.check()?;
        let (pool, locks) = (self.pool.clone(), Arc::clone(&self.workers.0));
        let statement = BEAT.bind(worker).bind(lock_key(worker)).named(&self.names, Kind::Postgres);
        let is_row_secure = self.is_row_secure;
        let rows = self.tasks.run(async move {
            let mut locks = locks.lock().await;
            let mut beaten = match locks.remove(&worker) {
                Some(session) => beat(session, &statement, is_row_secure).await,
                None => Err(sqlx::Error::WorkerCrashed.into()),
            };
            if beaten.as_ref().is_err_and(DbError::is_lost) {
                let mut session = pool.open().await?;
                run(&mut session, &LOCK.bind(lock_key(worker))).await?;
                beaten = beat(session, &statement, is_row_secure).await;
            }
            let (session, rows) = beaten?;
            locks.insert(worker, session);
            Ok::<_, DbError>(rows)
        });
        Ok(rows.await?)
    }

    /// The other workers with work in flight whose process seems to have ended.
    pub(super) async fn unlocked_workers(&self, worker: WorkerId) -> Result<Vec<Uuid>> {
        let mut dead = self.expired_candidates(worker).await?;
        if !dead.is_empty() {
            tokio::time::sleep(GRACE).await;
            let still = self.expired_candidates(worker).await?;
            dead.retain(|candidate| still.contains(candidate));
        }
        Ok(dead)
    }

    async fn expired_candidates(&self, worker: WorkerId) -> Result<Vec<Uuid>> {
        let outcomes = self.read_all(vec![EXPIRED_CANDIDATES.bind(worker)]).await?;
        outcomes.iter().flat_map(|outcome| &outcome.rows).map(|row| row.get("id")).collect()
    }

    pub(super) async fn unlock_worker(&self, worker: WorkerId) {
        let session = self.workers.0.lock().await.remove(&worker);
        if let Some(session) = session {
            // The lock goes with the session, however that ends.
            let _ = session.close().await;
        }
    }
}

/// Gives the session back if it is still of use.
async fn beat(
    mut session: PgConnection,
    statement: &Statement,
    is_row_secure: bool,
) -> Result<(PgConnection, Vec<Row>), DbError> {
    let beaten = async {
        if !is_row_secure {
            return Ok(run(&mut session, statement).await?.rows);
        }
        // For the transaction alone: a proxy may give the session to others.
        let mut transaction = session.begin().await?;
        let outcomes = run_secured(&mut transaction, [statement.clone()].into()).await?;
        transaction.commit().await?;
        Ok::<_, DbError>(outcomes.into_iter().next().map(|outcome| outcome.rows).unwrap_or_default())
    };
    match tokio::time::timeout(BEAT_TIMEOUT, beaten).await {
        Ok(rows) => {
            let rows = rows?;
            Ok((session, rows))
        }
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()).into()),
    }
}

//! Workers on PostgreSQL: each holds an advisory lock in a session of its own,
//! which the server frees at once when the process dies.

use std::sync::Arc;
use std::time::Duration;

use aimate_core::run::AbandonedRun;
use aimate_core::{Result, RunId, Timestamp, WorkerId};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection as _, query};
use uuid::Uuid;

use super::{abandoned, claim};
use crate::error::{failure, is_lost};
use crate::postgres::{PgQuery, Postgres};
use crate::row::Columns as _;

/// How long a beat may take before its session counts as lost.
const PATIENCE: Duration = Duration::from_secs(5);

const LOCK: &str = "SELECT pg_try_advisory_lock($1)";

/// Says that worker `$1` lives, and returns its runs that are to stop. The row
/// says since when the session has its lock: 0 if it has not, as behind a
/// proxy that gives each statement another session.
const BEAT: &str = "WITH alive AS (INSERT INTO workers (id, lock_key, session_at, beat_at) \
    SELECT $1, $2, CASE WHEN EXISTS (SELECT 1 FROM pg_locks l WHERE l.locktype = 'advisory' \
        AND l.granted AND l.pid = pg_backend_pid() AND l.objsubid = 1 \
        AND ((l.classid::bigint << 32) | l.objid::bigint) = $2) \
        THEN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint ELSE 0 END, $3 \
    ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at, session_at = excluded.session_at) \
    SELECT id FROM runs WHERE worker_id = $1 AND finished_at IS NULL AND is_cancel_requested";

/// The workers with work in flight whose lock is free. Where the server was
/// restarted since a worker last beat, that says nothing: the worker lost its
/// session, and maybe nothing else.
const SUSPECTS: &str = "SELECT w.id FROM workers w WHERE w.id <> $1 \
    AND w.session_at > (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint \
    AND (EXISTS (SELECT 1 FROM runs r WHERE r.finished_at IS NULL AND r.worker_id = w.id) \
        OR EXISTS (SELECT 1 FROM documents d WHERE d.status = 'processing' AND d.worker_id = w.id) \
        OR EXISTS (SELECT 1 FROM spaces s WHERE s.status = 'building' AND s.worker_id = w.id)) \
    AND NOT EXISTS (SELECT 1 FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted \
        AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) \
        AND l.objsubid = 1 AND ((l.classid::bigint << 32) | l.objid::bigint) = w.lock_key)";

/// A worker whose session was cut takes its lock again when it next beats.
/// Before its runs are taken away it is given the time for that.
const BENEFIT_OF_THE_DOUBT: Duration = Duration::from_secs(1);

/// Removes the workers that have not beaten since `$2`, and those in `$3`.
const BURY: &str = "DELETE FROM workers WHERE id <> $1 AND (beat_at < $2 OR id = ANY($3))";
const CLAIM: &str = claim!("FOR UPDATE SKIP LOCKED");
const LEAVE: &str = "DELETE FROM workers WHERE id = $1";

/// The lock that stands for `worker`: the random half of its id.
fn lock_key(worker: WorkerId) -> i64 {
    worker.0.as_u64_pair().1.cast_signed()
}

impl Postgres {
    pub(super) async fn join(&self, worker: WorkerId, now: Timestamp) -> Result<()> {
        self.beat(worker, now).await.map(drop)
    }

    pub(super) async fn beat(&self, worker: WorkerId, now: Timestamp) -> Result<Vec<RunId>> {
        let (pool, watchers) = (self.pool.clone(), Arc::clone(&self.workers.0));
        self.tasks
            .run(async move {
                let mut watchers = watchers.lock().await;
                let mut rows = match watchers.remove(&worker) {
                    Some(session) => beat(session, worker, now).await,
                    None => Err(sqlx::Error::WorkerCrashed),
                };
                if rows.as_ref().is_err_and(is_lost) {
                    let mut session = pool.open().await.map_err(failure)?;
                    let locked = query(LOCK).bind(lock_key(worker)).execute(&mut session).await;
                    locked.map_err(failure)?;
                    rows = beat(session, worker, now).await;
                }
                let (session, rows) = rows.map_err(failure)?;
                watchers.insert(worker, session);
                rows.iter().map(|row| row.get("id")).collect()
            })
            .await
    }

    pub(super) async fn take_abandoned(
        &self,
        worker: WorkerId,
        dead_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<AbandonedRun>> {
        let claim = query(CLAIM).bind(worker.0).bind(i64::from(limit));
        self.take_over(worker, dead_before, claim).await?.iter().map(abandoned).collect()
    }

    /// Removes the workers that are dead and runs `claim`, which gives work of
    /// workers that are not there to `worker`; returns its rows.
    pub(crate) async fn take_over(
        &self,
        worker: WorkerId,
        dead_before: Timestamp,
        claim: PgQuery,
    ) -> Result<Vec<PgRow>> {
        let mut dead = self.suspects(worker).await?;
        if !dead.is_empty() {
            tokio::time::sleep(BENEFIT_OF_THE_DOUBT).await;
            let still = self.suspects(worker).await?;
            dead.retain(|suspect| still.contains(suspect));
        }
        self.transaction(move |connection| {
            Box::pin(async move {
                let bury: PgQuery = query(BURY).bind(worker.0).bind(dead_before.0).bind(dead);
                bury.execute(&mut *connection).await.map_err(failure)?;
                claim.fetch_all(connection).await.map_err(failure)
            })
        })
        .await
    }

    async fn suspects(&self, worker: WorkerId) -> Result<Vec<Uuid>> {
        let rows = self.read(query(SUSPECTS).bind(worker.0)).await?;
        rows.iter().map(|row| row.get("id")).collect()
    }

    pub(super) async fn leave(&self, worker: WorkerId) -> Result<()> {
        self.execute(query(LEAVE).bind(worker.0)).await?;
        let session = self.workers.0.lock().await.remove(&worker);
        if let Some(session) = session {
            // The lock goes with the session, however that ends.
            let _ = session.close().await;
        }
        Ok(())
    }
}

/// Gives the session back if it is still of use.
async fn beat(
    mut session: PgConnection,
    worker: WorkerId,
    now: Timestamp,
) -> sqlx::Result<(PgConnection, Vec<PgRow>)> {
    let query: PgQuery = query(BEAT).bind(worker.0).bind(lock_key(worker)).bind(now.0);
    match tokio::time::timeout(PATIENCE, query.fetch_all(&mut session)).await {
        Ok(rows) => Ok((session, rows?)),
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

//! Workers on PostgreSQL: each holds an advisory lock in a session of its own,
//! which the server frees at once when the process dies.

use std::sync::Arc;
use std::time::Duration;

use aimate_core::{Result, WorkerId};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::Kind;
use crate::database::postgres::{Postgres, run};
use crate::database::{DbError, Sql, Statement};

/// How long a beat may take before its session counts as lost.
const BEAT_TIMEOUT: Duration = Duration::from_secs(5);

/// A worker whose session was cut takes its lock again when it next beats. It is
/// given the time for that before its work is taken away.
const GRACE: Duration = Duration::from_secs(1);

const LOCK: Sql = Sql::Postgres("SELECT pg_try_advisory_lock($1)");

/// Says that worker `$1` lives, by the server's clock. The row says since when the session has
/// its lock: 0 if it has not, as behind a pooler, where no session is a process's own.
const BEAT: Sql = Sql::Postgres(
    "INSERT INTO workers (id, lock_key, session_at, beat_at) \
        SELECT $1, $2, CASE WHEN EXISTS (SELECT 1 FROM pg_locks l WHERE l.locktype = 'advisory' \
            AND l.granted AND l.pid = pg_backend_pid() AND l.objsubid = 1 \
            AND ((l.classid::bigint << 32) | l.objid::bigint) = $2) \
            THEN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint ELSE 0 END, \
            (extract(epoch FROM clock_timestamp()) * 1000000)::bigint \
        ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at, session_at = excluded.session_at",
);

/// The workers whose lock is free. Where the server was restarted since a worker last beat, that
/// says nothing: the worker lost its session, and maybe nothing else.
const UNLOCKED: Sql = Sql::Postgres(
    "SELECT w.id FROM workers w WHERE w.id <> $1 \
     AND w.session_at > (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint \
     AND NOT EXISTS (SELECT 1 FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted \
        AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) \
        AND l.objsubid = 1 AND ((l.classid::bigint << 32) | l.objid::bigint) = w.lock_key)",
);
/// Those of workers `$1` that have work in flight.
const AT_WORK: Sql = Sql::Postgres(
    "SELECT worker_id AS id FROM runs WHERE finished_at IS NULL AND worker_id = ANY($1) \
     UNION SELECT worker_id FROM documents WHERE status = 'processing' AND worker_id = ANY($1) \
     UNION SELECT worker_id FROM spaces WHERE status = 'building' AND worker_id = ANY($1) \
     UNION SELECT worker_id FROM deletions WHERE finished_at IS NULL AND worker_id = ANY($1) \
     UNION SELECT worker_id FROM loose_blobs WHERE worker_id = ANY($1)",
);

/// The lock that stands for `worker`: the random half of its id.
fn lock_key(worker: WorkerId) -> i64 {
    worker.0.as_u64_pair().1.cast_signed()
}

impl Postgres {
    /// Renews the worker's lease. A session that is lost is replaced, and with it the lock.
    pub(super) async fn beat(&self, worker: WorkerId) -> Result<()> {
        self.gate.check()?;
        let statement = BEAT.bind(worker).bind(lock_key(worker));
        let Some(direct) = self.direct.clone() else {
            self.store(vec![statement]).await?;
            return Ok(());
        };
        let locks = Arc::clone(&self.workers.0);
        let by_the_pool = statement.clone();
        let statement = statement.named(&self.names, Kind::Postgres);
        let beaten = self.tasks.run(async move {
            let mut locks = locks.lock().await;
            let mut beaten = match locks.remove(&worker) {
                Some(session) => beat(session, &statement).await,
                None => Err(sqlx::Error::WorkerCrashed.into()),
            };
            if beaten.as_ref().is_err_and(DbError::is_lost) {
                let mut session = direct.open().await?;
                run(&mut session, &LOCK.bind(lock_key(worker))).await?;
                beaten = beat(session, &statement).await;
            }
            locks.insert(worker, beaten?);
            Ok::<_, DbError>(())
        });
        match beaten.await {
            // The lease is what counts then, as if there were no direct address.
            Err(error) if self.pool.options().is_pooled => {
                tracing::warn!(
                    ?error,
                    "the server itself is not reached (`DATABASE_DIRECT_URL`); the pooler is asked"
                );
                self.store(vec![by_the_pool]).await?;
                Ok(())
            }
            beaten => Ok(beaten?),
        }
    }

    /// The other workers with work in flight whose process seems to have ended.
    pub(super) async fn unlocked_workers(&self, worker: WorkerId) -> Result<Vec<Uuid>> {
        let unlocked = self.ids(UNLOCKED.bind(worker)).await?;
        if unlocked.is_empty() {
            return Ok(unlocked);
        }
        let mut dead = self.ids(AT_WORK.bind(unlocked)).await?;
        if !dead.is_empty() {
            tokio::time::sleep(GRACE).await;
            let still = self.ids(UNLOCKED.bind(worker)).await?;
            dead.retain(|candidate| still.contains(candidate));
        }
        Ok(dead)
    }

    /// The one column of a statement's rows.
    async fn ids(&self, statement: Statement) -> Result<Vec<Uuid>> {
        let outcomes = self.read_all(vec![statement]).await?;
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
async fn beat(mut session: PgConnection, statement: &Statement) -> Result<PgConnection, DbError> {
    match tokio::time::timeout(BEAT_TIMEOUT, run(&mut session, statement)).await {
        Ok(beaten) => beaten.map(|_| session),
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()).into()),
    }
}

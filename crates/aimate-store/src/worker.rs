//! Workers: which processes live, and whose runs nobody writes any more.
//!
//! A worker holds a lease, which it renews by a beat, and a lock that ends with
//! its process. The lock shows a crash at once where it can be seen; the lease
//! is for what it cannot show, as a machine that is cut off. Work whose worker is
//! not in the table any more is anybody's: whoever takes it over raises its
//! attempt, and the attempt is in the condition of every later update, so that a
//! worker that was given up too early changes nothing any more (fencing).

mod claim;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aimate_core::run::{AbandonedRun, ToolAnswer, WorkerStore};
use aimate_core::{Result, RunId, Scope, Timestamp, UserId, WorkerId};
use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::database::{Database, Row, Sql, each};
use crate::run::run;
use crate::{Kind, SqlStore};

pub(crate) use claim::{Claimable, by_tenant};

/// What shows others that the workers of this process live: each lock ends with
/// the process.
pub(crate) struct LivenessLocks<T>(Arc<Mutex<HashMap<WorkerId, T>>>);

impl<T> Default for LivenessLocks<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> LivenessLocks<T> {
    pub(crate) async fn clear(&self) {
        self.0.lock().await.clear();
    }
}

/// Unfinished runs of workers that are not in `$1`.
const ABANDONED: Sql = Sql::Each {
    sqlite: "SELECT r.tenant_id, r.id, r.worker_id FROM runs r WHERE r.finished_at IS NULL AND r.status <> 'waiting' \
        AND r.worker_id NOT IN (SELECT unhex(value) FROM json_each($1)) ORDER BY r.tenant_id, r.worker_id, r.id LIMIT $2",
    postgres: "SELECT r.tenant_id, r.id, r.worker_id FROM runs r WHERE r.finished_at IS NULL AND r.status <> 'waiting' \
        AND r.worker_id <> ALL($1) ORDER BY r.tenant_id, r.worker_id, r.id LIMIT $2",
};
/// Runs of worker `$1` itself that were begun before `$3` and are not in `$4`.
const UNHELD: Sql = Sql::Each {
    sqlite: "SELECT r.tenant_id, r.id FROM runs r WHERE r.finished_at IS NULL AND r.status <> 'waiting' \
        AND r.worker_id = $1 AND COALESCE(r.resumed_at, r.created_at) < $3 \
        AND r.id NOT IN (SELECT unhex(value) FROM json_each($4)) LIMIT $2",
    postgres: "SELECT r.tenant_id, r.id FROM runs r WHERE r.finished_at IS NULL AND r.status <> 'waiting' \
        AND r.worker_id = $1 AND COALESCE(r.resumed_at, r.created_at) < $3 AND r.id <> ALL($4) LIMIT $2",
};
/// Gives those of the runs `$3` that one of the workers `$4` still has to worker `$1`, with the
/// role of their users.
const CLAIM: Sql = Sql::Each {
    sqlite: "UPDATE runs SET worker_id = $1, attempt = attempt + 1 WHERE tenant_id = $2 AND id IN ( \
            SELECT r.id FROM runs r WHERE r.tenant_id = $2 AND r.id IN (SELECT unhex(value) FROM json_each($3)) \
            AND r.finished_at IS NULL AND r.status <> 'waiting' \
            AND r.worker_id IN (SELECT unhex(value) FROM json_each($4)) LIMIT $5) \
        RETURNING tenant_id, user_id, id, conversation_id, user_message_id, message_id, status, model, error, \
        finish_reason, usage, context, worker_id, attempt, client_id, client_hash, tags, workspace_id, created_at, finished_at, \
        (SELECT u.role FROM users u WHERE u.tenant_id = $2 AND u.id = runs.user_id) AS role",
    postgres: "UPDATE runs SET worker_id = $1, attempt = attempt + 1 WHERE tenant_id = $2 AND id = ANY(ARRAY( \
            SELECT r.id FROM runs r WHERE r.tenant_id = $2 AND r.id = ANY($3) \
            AND r.finished_at IS NULL AND r.status <> 'waiting' AND r.worker_id = ANY($4) \
            LIMIT $5 FOR UPDATE SKIP LOCKED)) \
        RETURNING tenant_id, user_id, id, conversation_id, user_message_id, message_id, status, model, error, \
        finish_reason, usage, context, worker_id, attempt, client_id, client_hash, tags, workspace_id, created_at, finished_at, \
        (SELECT u.role FROM users u WHERE u.tenant_id = $2 AND u.id = runs.user_id) AS role",
};
/// Runs that wait, and that somebody asked to stop.
const CANCELLED: Sql = Sql::Same(
    "SELECT r.tenant_id, r.id FROM runs r WHERE r.finished_at IS NULL AND r.status = 'waiting' \
     AND r.is_cancel_requested LIMIT $1",
);
/// Gives those of the runs `$3` that are still so to worker `$1`.
const CLAIM_CANCELLED: Sql = Sql::Each {
    sqlite: "UPDATE runs SET worker_id = $1, attempt = attempt + 1, status = 'running' WHERE tenant_id = $2 AND id IN ( \
            SELECT r.id FROM runs r WHERE r.tenant_id = $2 AND r.id IN (SELECT unhex(value) FROM json_each($3)) \
            AND r.finished_at IS NULL AND r.status = 'waiting' AND r.is_cancel_requested LIMIT $4) \
        RETURNING tenant_id, user_id, id, conversation_id, user_message_id, message_id, status, model, error, \
        finish_reason, usage, context, worker_id, attempt, client_id, client_hash, tags, workspace_id, created_at, finished_at, \
        parked, (SELECT u.role FROM users u WHERE u.tenant_id = $2 AND u.id = runs.user_id) AS role",
    postgres: "UPDATE runs SET worker_id = $1, attempt = attempt + 1, status = 'running' WHERE tenant_id = $2 \
        AND id = ANY(ARRAY(SELECT r.id FROM runs r WHERE r.tenant_id = $2 AND r.id = ANY($3) \
            AND r.finished_at IS NULL AND r.status = 'waiting' AND r.is_cancel_requested LIMIT $4 FOR UPDATE SKIP LOCKED)) \
        RETURNING tenant_id, user_id, id, conversation_id, user_message_id, message_id, status, model, error, \
        finish_reason, usage, context, worker_id, attempt, client_id, client_hash, tags, workspace_id, created_at, finished_at, \
        parked, (SELECT u.role FROM users u WHERE u.tenant_id = $2 AND u.id = runs.user_id) AS role",
};
/// The runs of worker `$1` that are to stop.
const CANCEL_REQUESTED: Sql =
    Sql::Same("SELECT id FROM runs WHERE worker_id = $1 AND finished_at IS NULL AND is_cancel_requested");
const CANCEL_OF_INACTIVE: Sql = Sql::Same(
    "UPDATE runs SET is_cancel_requested = true \
     WHERE worker_id = $1 AND finished_at IS NULL AND status <> 'waiting' AND NOT is_cancel_requested AND ( \
        NOT EXISTS (SELECT 1 FROM users u \
            WHERE u.tenant_id = runs.tenant_id AND u.id = runs.user_id AND u.is_active) \
        OR EXISTS (SELECT 1 FROM tenants t WHERE t.tenant_id = runs.tenant_id AND NOT t.is_active) \
        OR EXISTS (SELECT 1 FROM deletions d \
            WHERE d.tenant_id = runs.tenant_id AND d.user_id IN (runs.user_id, $2) AND d.finished_at IS NULL))",
);
const LEAVE: Sql = Sql::Same("DELETE FROM workers WHERE id = $1");

/// Of runs there are many more than of events that are kept: SQLite begins with these.
const CLEAR_LOGS: Sql = Sql::Same(
    "DELETE FROM run_events WHERE (tenant_id, run_id, first_seq) IN ( \
        SELECT e.tenant_id, e.run_id, e.first_seq FROM run_events e CROSS JOIN runs r \
        WHERE r.tenant_id = e.tenant_id AND r.id = e.run_id AND r.finished_at < $1 LIMIT $2)",
);
/// Rows that one statement of [`CLEAR_LOGS`] deletes: other writers wait
/// meanwhile.
const MAX_CLEARED: u32 = 1000;

const PING: Sql = Sql::Each {
    sqlite: "SELECT 0 AS is_standby",
    postgres: "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS is_standby",
};
/// The user whose work a claimed row is.
pub(crate) fn owner(row: &Row) -> Result<Scope> {
    Ok(Scope { tenant: row.get("tenant_id")?, user: row.get("user_id")?, role: row.name("role")? })
}

fn abandoned(row: &Row) -> Result<AbandonedRun> {
    Ok(AbandonedRun { scope: owner(row)?, run: run(row)? })
}

#[async_trait]
impl WorkerStore for SqlStore {
    async fn join(&self, worker: WorkerId, now: Timestamp) -> Result<()> {
        match &self.database {
            #[cfg(feature = "sqlite")]
            Database::Sqlite(db) => {
                db.lock_worker(worker).await;
                db.begin_beating(worker, now).await
            }
            #[cfg(feature = "postgres")]
            // The first beat takes the lock.
            Database::Postgres(db) => db.beat(worker).await,
        }
    }

    async fn beat(&self, worker: WorkerId, now: Timestamp) -> Result<Vec<RunId>> {
        match &self.database {
            #[cfg(feature = "sqlite")]
            Database::Sqlite(db) => db.beat(worker, now).await?,
            #[cfg(feature = "postgres")]
            Database::Postgres(db) => db.beat(worker).await?,
        }
        // After it: the lease is renewed even if a node of a cluster is away.
        let requested = self.database.read(CANCEL_REQUESTED.bind(worker)).await?;
        each(&requested, |row| row.get("id"))
    }

    async fn take_abandoned(
        &self,
        worker: WorkerId,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<AbandonedRun>> {
        let look = |there: Vec<Uuid>| {
            let known: Vec<Uuid> = there.into_iter().chain([worker.0]).collect();
            ABANDONED.bind(known).bind(limit)
        };
        let claimable = self.claimable(worker, now, lease, look).await?;
        self.claim_runs(worker, claimable, limit).await
    }

    async fn take_unheld(
        &self,
        worker: WorkerId,
        begun_before: Timestamp,
        held: &[RunId],
        limit: u32,
    ) -> Result<Vec<AbandonedRun>> {
        let held: Vec<Uuid> = held.iter().map(|id| id.0).collect();
        let look = UNHELD.bind(worker).bind(limit).bind(begun_before).bind(held);
        let mut claimable = by_tenant(&self.database.read(look).await?)?;
        claimable.iter_mut().for_each(|of| of.gone.push(worker.0));
        self.claim_runs(worker, claimable, limit).await
    }

    async fn take_cancelled(&self, worker: WorkerId, limit: u32) -> Result<Vec<(AbandonedRun, Value)>> {
        let claimable = by_tenant(&self.database.read(CANCELLED.bind(limit)).await?)?;
        let claim =
            |of: Claimable, left: u32| CLAIM_CANCELLED.bind(worker).bind(of.tenant).bind(of.ids).bind(left);
        let rows = self.claim(claimable, limit, claim).await?;
        each(&rows, |row| Ok((abandoned(row)?, row.maybe_json("parked")?.unwrap_or_default())))
    }

    async fn take_answers(&self, worker: WorkerId) -> Result<Vec<(RunId, Vec<ToolAnswer>)>> {
        self.take_tool_answers(worker).await
    }

    async fn cancel_of_inactive(&self, worker: WorkerId) -> Result<()> {
        self.database.execute(CANCEL_OF_INACTIVE.bind(worker).bind(UserId::SHARED)).await?;
        Ok(())
    }

    async fn leave(&self, worker: WorkerId) -> Result<()> {
        self.database.execute(LEAVE.bind(worker)).await?;
        match &self.database {
            #[cfg(feature = "sqlite")]
            Database::Sqlite(db) => {
                db.unlock_worker(worker).await;
                db.leave_whole().await;
            }
            #[cfg(feature = "postgres")]
            Database::Postgres(db) => db.unlock_worker(worker).await,
        }
        Ok(())
    }

    async fn clear_logs(&self, before: Timestamp) -> Result<()> {
        while self.database.execute(CLEAR_LOGS.bind(before).bind(MAX_CLEARED).uses_reserve()).await?
            >= MAX_CLEARED.into()
        {}
        Ok(())
    }

    async fn index_messages(&self) -> Result<u64> {
        self.do_index_jobs().await
    }

    fn database_work(&self) -> usize {
        self.database.load().count()
    }

    async fn ping(&self) -> Result<()> {
        // Of SQLite through the connection that writes, which looks at the file too:
        // that it can be read says little.
        let rows = match self.kind() {
            Kind::Sqlite => self.database.write(PING.unbound()).await?,
            Kind::Postgres => self.database.read(PING.unbound()).await?,
        };
        match rows.first().map(|row| row.get("is_standby")).transpose()? {
            Some(true) => Err(aimate_core::Error::unavailable(
                "the database server can only be read at this moment; is it a standby?",
            )),
            _ => Ok(()),
        }
    }
}

impl SqlStore {
    async fn claim_runs(
        &self,
        worker: WorkerId,
        claimable: Vec<Claimable>,
        limit: u32,
    ) -> Result<Vec<AbandonedRun>> {
        let claim = |of: Claimable, left: u32| {
            CLAIM.bind(worker).bind(of.tenant).bind(of.ids).bind(of.gone).bind(left)
        };
        each(&self.claim(claimable, limit, claim).await?, abandoned)
    }
}

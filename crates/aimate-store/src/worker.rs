//! Workers: which processes live, and whose runs nobody writes any more.

mod postgres;
mod sqlite;

use std::collections::HashMap;
use std::sync::Arc;

use aimate_core::run::{AbandonedRun, WorkerStore};
use aimate_core::{Result, RunId, Scope, Timestamp, WorkerId};
use async_trait::async_trait;
use sqlx::query;
use tokio::sync::Mutex;

use crate::row::Columns;
use crate::run::run;
use crate::{Database, SqlStore};

/// What shows that the workers of this process live: it ends with the process,
/// and others see that it did.
pub(crate) struct Watchers<T>(Arc<Mutex<HashMap<WorkerId, T>>>);

impl<T> Default for Watchers<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Watchers<T> {
    pub(crate) async fn clear(&self) {
        self.0.lock().await.clear();
    }
}

/// Work of `$table`'s row that no worker does any more; `$1` asks. Who finds the
/// row changed under the lock must look for its worker again: PostgreSQL does so
/// for a scalar subquery, but not for `NOT EXISTS`, of which it makes an
/// anti-join.
macro_rules! is_free {
    ($table:literal) => {
        concat!(
            "(",
            $table,
            ".worker_id <> $1 AND (SELECT w.id FROM workers w WHERE w.id = ",
            $table,
            ".worker_id) IS NULL)"
        )
    };
}
pub(crate) use is_free;

/// Gives at most `$2` unfinished runs of workers that are not there any more to
/// worker `$1`, with the role of their users.
macro_rules! claim {
    ($lock:literal) => {
        concat!(
            "UPDATE runs SET worker_id = $1, attempt = attempt + 1 WHERE (tenant_id, id) IN ( \
                SELECT r.tenant_id, r.id FROM runs r WHERE r.finished_at IS NULL AND ",
            $crate::worker::is_free!("r"),
            " ORDER BY r.tenant_id, r.worker_id, r.id LIMIT $2 ", $lock, ") \
             RETURNING tenant_id, user_id, ", $crate::run::columns!(), ", \
             (SELECT u.role FROM users u WHERE u.tenant_id = runs.tenant_id AND u.id = runs.user_id) AS role"
        )
    };
}
use claim;

const REQUESTED: &str =
    "SELECT id FROM runs WHERE worker_id = $1 AND finished_at IS NULL AND is_cancel_requested";
const CLEAR_LOGS: &str = "DELETE FROM run_events WHERE (tenant_id, run_id, first_seq) IN ( \
    SELECT e.tenant_id, e.run_id, e.first_seq FROM run_events e JOIN runs r \
    ON r.tenant_id = e.tenant_id AND r.id = e.run_id WHERE r.finished_at < $1 LIMIT $2)";
/// Rows that one statement of [`CLEAR_LOGS`] deletes, so that others get a turn.
const CLEAR_STEP: i64 = 1000;

fn abandoned(row: &impl Columns) -> Result<AbandonedRun> {
    let scope = Scope { tenant: row.get("tenant_id")?, user: row.get("user_id")?, role: row.name("role")? };
    Ok(AbandonedRun { scope, run: run(row)? })
}

#[async_trait]
impl WorkerStore for SqlStore {
    async fn join(&self, worker: WorkerId, now: Timestamp) -> Result<()> {
        on!(self, |db| db.join(worker, now).await)
    }

    async fn beat(&self, worker: WorkerId, now: Timestamp) -> Result<Vec<RunId>> {
        on!(self, |db| db.beat(worker, now).await)
    }

    async fn take_abandoned(
        &self,
        worker: WorkerId,
        dead_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<AbandonedRun>> {
        on!(self, |db| db.take_abandoned(worker, dead_before, limit).await)
    }

    async fn leave(&self, worker: WorkerId) -> Result<()> {
        on!(self, |db| db.leave(worker).await)
    }

    async fn clear_logs(&self, before: Timestamp) -> Result<()> {
        loop {
            let deleted =
                on!(self, |db| { db.execute(query(CLEAR_LOGS).bind(before.0).bind(CLEAR_STEP)).await? });
            if deleted < CLEAR_STEP.unsigned_abs() {
                return Ok(());
            }
        }
    }

    async fn ping(&self) -> Result<()> {
        match &self.database {
            // Through the connection that writes: reading alone says little.
            Database::Sqlite(db) => db.write(query("SELECT 1")).await.map(drop),
            Database::Postgres(db) => db.read(query("SELECT 1")).await.map(drop),
        }
    }
}

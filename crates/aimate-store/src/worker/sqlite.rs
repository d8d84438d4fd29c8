//! Workers on SQLite: each holds a lock on a file of its own beside the
//! database, which the system frees at once when the process dies.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;

use aimate_core::run::AbandonedRun;
use aimate_core::{Result, RunId, Timestamp, WorkerId};
use sqlx::query;
use sqlx::sqlite::SqliteRow;

use super::{REQUESTED, abandoned, claim};
use crate::error::failure;
use crate::message::hex_list;
use crate::row::Columns as _;
use crate::sqlite::{Sqlite, SqliteQuery};

const BEAT: &str = "INSERT INTO workers (id, beat_at) VALUES ($1, $2) \
    ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at";
const OTHERS: &str = "SELECT id FROM workers WHERE id <> $1";

/// Removes the workers that have not beaten since `$2`, and those in `$3`,
/// whose locks are free.
const BURY: &str = "DELETE FROM workers WHERE id <> $1 \
    AND (beat_at < $2 OR id IN (SELECT unhex(value) FROM json_each($3))) RETURNING id";
const CLAIM: &str = claim!("");
const LEAVE: &str = "DELETE FROM workers WHERE id = $1";

impl Sqlite {
    pub(super) async fn join(&self, worker: WorkerId, now: Timestamp) -> Result<()> {
        if let Some(lock) = self.lock(worker) {
            self.workers.0.lock().await.insert(worker, lock);
        }
        self.execute(query(BEAT).bind(worker.0).bind(now.0)).await.map(drop)
    }

    pub(super) async fn beat(&self, worker: WorkerId, now: Timestamp) -> Result<Vec<RunId>> {
        self.execute(query(BEAT).bind(worker.0).bind(now.0)).await?;
        let rows = self.read(query(REQUESTED).bind(worker.0)).await?;
        rows.iter().map(|row| row.get("id")).collect()
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
        claim: SqliteQuery,
    ) -> Result<Vec<SqliteRow>> {
        let others = self.read(query(OTHERS).bind(worker.0)).await?;
        let others: Vec<WorkerId> = others.iter().map(|row| row.get("id")).collect::<Result<_>>()?;
        let dead = hex_list(others.into_iter().filter(|other| self.is_dead(*other)).map(|dead| dead.0));
        let (buried, rows) = self
            .transaction(move |connection| {
                Box::pin(async move {
                    let bury: SqliteQuery = query(BURY).bind(worker.0).bind(dead_before.0).bind(dead);
                    let buried = bury.fetch_all(&mut *connection).await.map_err(failure)?;
                    let rows = claim.fetch_all(connection).await.map_err(failure)?;
                    Ok((buried, rows))
                })
            })
            .await?;
        for row in &buried {
            self.remove_lock(row.get("id")?);
        }
        Ok(rows)
    }

    pub(super) async fn leave(&self, worker: WorkerId) -> Result<()> {
        self.execute(query(LEAVE).bind(worker.0)).await?;
        if self.workers.0.lock().await.remove(&worker).is_some() {
            self.remove_lock(worker);
        }
        Ok(())
    }

    fn lock_path(&self, worker: WorkerId) -> Option<PathBuf> {
        let mut folder = self.path()?.as_os_str().to_owned();
        folder.push("-workers");
        Some(PathBuf::from(folder).join(format!("{worker}.lock")))
    }

    /// The worker's locked file; `None` where files cannot be locked, and beats
    /// alone must tell.
    fn lock(&self, worker: WorkerId) -> Option<File> {
        let path = self.lock_path(worker)?;
        std::fs::create_dir_all(path.parent()?).ok()?;
        let file = OpenOptions::new().create(true).append(true).open(&path).ok()?;
        if file.try_lock().is_err() {
            self.remove_lock(worker);
            return None;
        }
        Some(file)
    }

    /// Whether the worker had locked its file and holds the lock no more.
    fn is_dead(&self, worker: WorkerId) -> bool {
        self.lock_path(worker)
            .and_then(|path| OpenOptions::new().append(true).open(path).ok())
            .is_some_and(|file| file.try_lock().is_ok())
    }

    fn remove_lock(&self, worker: WorkerId) {
        if let Some(path) = self.lock_path(worker)
            && let Err(error) = std::fs::remove_file(path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, %worker, "a worker's lock file could not be removed");
        }
    }
}

//! Workers on SQLite: each holds a lock on a file of its own beside the
//! database, which the system frees at once when the process dies.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;

use aimate_core::{Result, Timestamp, WorkerId};
use uuid::Uuid;

use crate::database::sqlite::Sqlite;
use crate::database::{Sql, Statement};

const BEAT: Sql = Sql::Sqlite(
    "INSERT INTO workers (id, beat_at) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at",
);
const OTHERS: Sql = Sql::Sqlite("SELECT id FROM workers WHERE id <> $1");

impl Sqlite {
    /// Renews the worker's lease.
    pub(super) async fn beat(&self, worker: WorkerId, now: Timestamp) -> Result<()> {
        self.write_beat(BEAT.bind(worker).bind(now)).await
    }

    /// The first beat: without it, nobody could delete anything on a full disk.
    pub(super) async fn begin_beating(&self, worker: WorkerId, now: Timestamp) -> Result<()> {
        self.write_beat(BEAT.bind(worker).bind(now).uses_reserve()).await
    }

    async fn write_beat(&self, beat: Statement) -> Result<()> {
        self.gate.check()?;
        self.store(vec![beat]).await?;
        Ok(())
    }

    /// The other workers whose process has ended.
    pub(super) async fn unlocked_workers(&self, worker: WorkerId) -> Result<Vec<Uuid>> {
        let outcomes = self.read_all(vec![OTHERS.bind(worker)]).await?;
        let rows = outcomes.iter().flat_map(|outcome| &outcome.rows);
        let mut others: Vec<WorkerId> = rows.map(|row| row.get("id")).collect::<Result<_>>()?;
        others.retain(|other| self.is_unlocked(*other));
        Ok(others.into_iter().map(WorkerId::uuid).collect())
    }

    /// Locks the worker's file, as long as this process lives. Where files cannot
    /// be locked, the lease alone shows whether it does.
    pub(crate) async fn lock_worker(&self, worker: WorkerId) {
        if let Some(lock) = self.lock(worker) {
            self.workers.0.lock().await.insert(worker, lock);
        }
    }

    pub(crate) async fn unlock_worker(&self, worker: WorkerId) {
        if self.workers.0.lock().await.remove(&worker).is_some() {
            self.remove_lock(worker);
        }
    }

    fn lock_path(&self, worker: WorkerId) -> Option<PathBuf> {
        let mut folder = self.path()?.as_os_str().to_owned();
        folder.push("-workers");
        Some(PathBuf::from(folder).join(format!("{worker}.lock")))
    }

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
    fn is_unlocked(&self, worker: WorkerId) -> bool {
        self.lock_path(worker)
            .and_then(|path| OpenOptions::new().append(true).open(path).ok())
            .is_some_and(|file| file.try_lock().is_ok())
    }

    /// Removes the file of a worker that is gone.
    pub(super) fn remove_lock(&self, worker: WorkerId) {
        if let Some(path) = self.lock_path(worker)
            && let Err(error) = std::fs::remove_file(path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, %worker, "a worker's lock file could not be removed");
        }
    }
}

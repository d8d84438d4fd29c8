//! Running statements on SQLite: one connection writes, a few read.

mod job;
mod reserve;
mod statement_batch;
mod watched_file;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use aimate_core::Result;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection};

use super::error::failure;
use super::pool::{Pool, Poolable};
use super::task::Tasks;
use super::{DbError, Load, Names, Outcome, SchemaGate, Statement};
use crate::Kind;
use crate::worker::LivenessLocks;
use reserve::DiskReserve;
pub(crate) use reserve::reserve_of;
use statement_batch::StatementBatch;
use watched_file::WatchedFile;
use writer::Writer;

impl Poolable for SqliteConnection {
    type Options = SqliteConnectOptions;
    const DATABASE: Kind = Kind::Sqlite;

    async fn open(options: &SqliteConnectOptions) -> sqlx::Result<Self> {
        options.connect().await
    }

    async fn ping(&mut self) -> sqlx::Result<()> {
        Connection::ping(self).await
    }

    async fn close(self) -> sqlx::Result<()> {
        Connection::close(self).await
    }
}

/// Rows that sqlx's thread reads before it waits for who takes them: each wait is
/// two changes of thread.
const ROWS_AHEAD: usize = 1024;

/// Pages that the connection that writes keeps, in KiB (16 MiB; a minus sign is
/// what says that it is KiB).
const WRITER_CACHE: &str = "-16384";

/// Pages of the write-ahead log before they are moved into the database: 16 MiB
/// of 4 KiB each.
const CHECKPOINT_EVERY: &str = "4000";

/// How long one that leaves waits for those who read or write.
const LEAVING: Duration = Duration::from_secs(1);

/// A SQLite database.
pub(crate) struct Sqlite {
    writer: Writer,
    /// `None` in memory, where one connection is all there is.
    readers: Option<Pool<SqliteConnection>>,
    file: Option<WatchedFile>,
    path: Option<PathBuf>,
    timeout: Duration,
    tasks: Tasks,
    pub(crate) workers: LivenessLocks<std::fs::File>,
    pub(crate) names: Names,
    pub(crate) gate: SchemaGate,
    pub(crate) load: Load,
}

/// How the connection that writes is opened.
pub(crate) fn writer_options(path: Option<&Path>, timeout: Duration) -> SqliteConnectOptions {
    let options = common_options(path, timeout).create_if_missing(true);
    match path {
        Some(_) => options
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("cache_size", WRITER_CACHE)
            .pragma("wal_autocheckpoint", CHECKPOINT_EVERY),
        None => options,
    }
}

fn reader_options(path: &Path, timeout: Duration) -> SqliteConnectOptions {
    common_options(Some(path), timeout).pragma("query_only", "ON")
}

fn common_options(path: Option<&Path>, timeout: Duration) -> SqliteConnectOptions {
    let options = match path {
        Some(path) => SqliteConnectOptions::new().filename(path),
        None => SqliteConnectOptions::new().in_memory(true),
    };
    options.foreign_keys(true).busy_timeout(timeout).statement_cache_capacity(256).row_buffer_size(ROWS_AHEAD)
}

impl Sqlite {
    /// Around the open connection that writes.
    pub(crate) fn new(
        writer: SqliteConnection,
        path: Option<PathBuf>,
        readers: u32,
        timeout: Duration,
        names: Names,
        reserve: u64,
    ) -> Self {
        let tasks = Tasks::default();
        let file = path.as_deref().map(WatchedFile::new);
        let reserve = path.as_deref().and_then(|path| DiskReserve::beside(path, reserve));
        let reopen = path.as_deref().map(|path| writer_options(Some(path), timeout));
        Self {
            writer: Writer::start(&tasks, writer, file.clone(), reserve, reopen, timeout, !names.are_plain()),
            readers: path.as_deref().map(|path| Pool::new(reader_options(path, timeout), readers, timeout)),
            file,
            path,
            timeout,
            tasks,
            workers: LivenessLocks::default(),
            names,
            gate: SchemaGate::default(),
            load: Load::default(),
        }
    }

    /// The database's file; `None` in memory.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// That the database's file is the one that was opened.
    pub(crate) fn check_file(&self) -> Result<()> {
        self.file.as_ref().map_or(Ok(()), WatchedFile::check)
    }

    /// How to open another connection that writes; `None` in memory, where
    /// another connection is another database.
    pub(crate) fn reopen_options(&self) -> Option<SqliteConnectOptions> {
        self.path().map(|path| writer_options(Some(path), self.timeout))
    }

    /// Connections that read at this moment.
    pub(crate) fn in_use(&self) -> usize {
        self.readers.as_ref().map_or(0, Pool::in_use)
    }

    /// Runs statements that only read.
    pub(crate) async fn read_all(&self, statements: Vec<Statement>) -> Result<Vec<Outcome>> {
        let Some(readers) = &self.readers else {
            return Ok(self.store(statements).await?);
        };
        self.check_file()?;
        let statements = self.named(statements);
        let permit = readers.permit().await?;
        self.tasks
            .run(async move {
                let mut connection = permit.connection().await.map_err(failure)?;
                let result = match StatementBatch::new(("", 0), statements) {
                    Ok(text) => text.run(&mut connection).await,
                    Err(error) => Err(error),
                };
                connection.release(result.as_ref().is_err_and(DbError::is_lost));
                Ok(result?)
            })
            .await
    }

    /// Runs statements as one unit.
    pub(crate) async fn store(&self, statements: Vec<Statement>) -> Result<Vec<Outcome>, DbError> {
        self.writer.submit(self.named(statements)).await
    }

    fn named(&self, statements: Vec<Statement>) -> Vec<Statement> {
        if self.names.are_plain() {
            return statements;
        }
        statements.into_iter().map(|statement| statement.named(&self.names, Kind::Sqlite)).collect()
    }

    /// Leaves all in the database's file, if nobody reads at this moment. On a connection
    /// of its own: among the writes of others it would find the database busy with them,
    /// and take them along.
    pub(crate) async fn leave_whole(&self) {
        let Some(options) = self.reopen_options() else { return };
        let options = options.create_if_missing(false).busy_timeout(LEAVING);
        let work = async {
            let mut connection = options.connect().await?;
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await?;
            Connection::close(connection).await
        };
        if let Err(error) = work.await {
            tracing::debug!(%error, "a checkpoint failed; the next process makes it");
        }
    }

    /// The writer is closed last: it leaves one whole file, if no other process has
    /// it open.
    pub(crate) async fn close(&self) {
        if let Some(readers) = &self.readers {
            readers.close().await;
        }
        self.writer.close();
        self.tasks.close().await;
        self.workers.clear().await;
    }
}

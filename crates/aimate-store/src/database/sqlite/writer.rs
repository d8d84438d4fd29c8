//! The one connection that writes, and the queue before it.
//!
//! SQLite has one writer at a time. If every caller had its own connection, they
//! would wait for the file's lock by polling, and each would wait for the disk by
//! itself. Here whatever waits in the queue when a transaction ends goes into the
//! next one together, so that sixteen callers wait for the disk once. Nobody waits
//! for company: a job that comes alone is committed alone. A job that fails is
//! undone by itself, back to its savepoint; one statement needs none, because
//! SQLite undoes a failed statement.

use std::time::{Duration, Instant};

use aimate_core::Error;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use sqlx::{query, query_scalar};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::job::{End, Job, Opening};
use super::reserve::DiskReserve;
use super::watched_file::WatchedFile;
use crate::database::task::Tasks;
use crate::database::{DbError, Outcome, Statement};

/// Jobs in one transaction at most, so that the first does not wait long
/// for its acknowledgement.
const BATCH: usize = 64;
/// How long nothing is written until the log is moved into the database's file: a
/// copy of that file alone then has everything.
const IDLE: Duration = Duration::from_secs(1);
/// How long at most the file is left to others after a transaction, where an
/// application writes it too: as long as the transaction had it. SQLite's others do not
/// queue for the file but look again now and then, and never find it free under a writer
/// that goes on at once.
const LEFT_TO_OTHERS: Duration = Duration::from_millis(20);
/// Pages of the file that deletions have freed, 4 MiB as SQLite makes them, with which others write again
/// although the disk is full.
const FREE_PAGES: i64 = 1_024;
/// What is told while the room that is kept for deletions is theirs alone.
const DISK_IS_FULL: &str =
    "the disk of the database is full, but for what deletions need; make room and try again";
/// Jobs that wait at most; then callers wait for a place.
const QUEUE: usize = 1024;

/// The queue's entrance.
pub(super) struct Writer {
    queue: mpsc::Sender<Job>,
    closing: CancellationToken,
    timeout: Duration,
}

impl Writer {
    /// Starts the task that owns `connection`, and opens it anew with `reopen`
    /// if it breaks.
    pub(super) fn start(
        tasks: &Tasks,
        connection: SqliteConnection,
        file: Option<WatchedFile>,
        reserve: Option<DiskReserve>,
        reopen: Option<SqliteConnectOptions>,
        timeout: Duration,
        is_shared: bool,
    ) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let closing = CancellationToken::new();
        tasks.start(serve(connection, file, reserve, reopen, jobs, closing.clone(), is_shared));
        Self { queue, closing, timeout }
    }

    /// Runs statements as one unit and returns what came of them once they are
    /// committed.
    pub(super) async fn submit(&self, statements: Vec<Statement>) -> Result<Vec<Outcome>, DbError> {
        let (reply, result) = oneshot::channel();
        match self.queue.send_timeout(Job::new(statements, reply), self.timeout).await {
            Ok(()) => result.await.unwrap_or_else(|_| Err(closed())),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                Err(Error::unavailable("too many writes wait for the database; try again").into())
            }
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(closed()),
        }
    }

    /// Ends the task once what is queued is done.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }
}

fn closed() -> DbError {
    Error::unavailable("the store is closed").into()
}

async fn serve(
    mut connection: SqliteConnection,
    file: Option<WatchedFile>,
    mut reserve: Option<DiskReserve>,
    reopen: Option<SqliteConnectOptions>,
    mut jobs: mpsc::Receiver<Job>,
    closing: CancellationToken,
    is_shared: bool,
) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut is_checkpointed = true;
    loop {
        tokio::select! {
            biased;
            count = jobs.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    break;
                }
                let start = Instant::now();
                refuse_what_fills(&mut connection, reserve.as_mut(), &mut batch).await;
                if batch.is_empty() {
                    continue;
                }
                let files = (file.as_ref(), reserve.as_mut());
                let lost = run_on(&mut connection, files, reopen.as_ref(), &mut batch).await.err();
                batch.drain(..).for_each(|job| job.reply(lost.as_ref()));
                is_checkpointed = file.is_none();
                if let Some(reserve) = &mut reserve {
                    reserve.keep(false).await;
                }
                if is_shared {
                    tokio::time::sleep(start.elapsed().min(LEFT_TO_OTHERS)).await;
                }
            }
            () = closing.cancelled(), if !jobs.is_closed() => jobs.close(),
            () = tokio::time::sleep(IDLE), if !is_checkpointed => {
                // Without waiting for readers. What a reader is in the way of stays
                // in the log until the next time.
                let checkpoint = query("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut connection).await;
                if let Err(error) = checkpoint {
                    tracing::debug!(%error, "a checkpoint failed; it is made again later");
                }
                is_checkpointed = true;
                if let Some(reserve) = &mut reserve {
                    reserve.keep(true).await;
                }
            }
        }
    }
    if file.is_some()
        && let Err(error) = query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await
    {
        tracing::debug!(%error, "another process holds up the last checkpoint, and makes it later");
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the database was not closed cleanly");
    }
}

/// While the room for deletions is in use: takes the jobs out of `batch` that the
/// database's file would have to grow for.
async fn refuse_what_fills(
    connection: &mut SqliteConnection,
    reserve: Option<&mut DiskReserve>,
    batch: &mut Vec<Job>,
) {
    let Some(reserve) = reserve.filter(|reserve| reserve.is_given_up()) else { return };
    reserve.keep(true).await;
    if !reserve.is_given_up() {
        return;
    }
    let free = query_scalar::<_, i64>("PRAGMA freelist_count").fetch_one(connection).await;
    if free.is_ok_and(|free| free < FREE_PAGES) {
        let full = Error::unavailable(DISK_IS_FULL);
        batch.extract_if(.., |job| !job.uses_reserve()).for_each(|job| job.reply(Some(&full)));
    }
}

/// Runs `batch` and commits it, into the file that is the database's. On a full disk,
/// what may use the room that is kept for it runs once more. An error means that nothing
/// of it may count as stored.
async fn run_on(
    connection: &mut SqliteConnection,
    (file, reserve): (Option<&WatchedFile>, Option<&mut DiskReserve>),
    reopen: Option<&SqliteConnectOptions>,
    batch: &mut [Job],
) -> Result<(), Error> {
    let check = || file.map_or(Ok(()), WatchedFile::check);
    check()?;
    let mut ran = run(connection, batch).await;
    if let Err(lost) = &ran
        && lost.is_disk_full
        && batch.iter().any(Job::uses_reserve)
        // There may be room for them alone, too.
        && (reserve.is_some_and(DiskReserve::give_up) || !batch.iter().all(Job::uses_reserve))
    {
        batch.sort_by_key(|job| !job.uses_reserve());
        let first_other = batch.partition_point(Job::uses_reserve);
        batch.iter_mut().for_each(|job| job.begin_again(&lost.error));
        ran = run(connection, batch.split_at_mut(first_other).0).await;
    }
    match ran {
        // Looked at once more, before anybody is told that something is stored.
        Ok(()) => check().inspect_err(|_| batch.iter_mut().for_each(Job::forget)),
        Err(lost) => {
            if connection.ping().await.is_err()
                && check().is_ok()
                && let Some(options) = reopen
                && let Ok(opened) = options.connect().await
            {
                *connection = opened;
            }
            Err(lost.error)
        }
    }
}

/// Why nothing of a batch is stored.
struct Lost {
    error: Error,
    is_disk_full: bool,
}

impl From<DbError> for Lost {
    fn from(error: DbError) -> Self {
        Self { is_disk_full: error.is_disk_full(), error: error.into() }
    }
}

impl From<sqlx::Error> for Lost {
    fn from(error: sqlx::Error) -> Self {
        DbError::from(error).into()
    }
}

impl From<&Job> for Lost {
    fn from(broken: &Job) -> Self {
        Self { is_disk_full: broken.found_disk_full(), error: broken.trouble() }
    }
}

/// Runs `batch` and commits it. An error means that nothing of it is stored.
async fn run(connection: &mut SqliteConnection, batch: &mut [Job]) -> Result<(), Lost> {
    if let [job] = batch
        && job.is_one_statement()
    {
        return match job.run(connection, Opening::None).await {
            End::Broken => Err((&*job).into()),
            End::Done | End::Refused => Ok(()),
        };
    }
    let result = run_in_transaction(connection, batch).await;
    if result.is_err() {
        // After some failures SQLite has rolled back already.
        let _ = query("ROLLBACK").execute(connection).await;
    }
    result
}

async fn run_in_transaction(connection: &mut SqliteConnection, batch: &mut [Job]) -> Result<(), Lost> {
    let alone = batch.len() == 1;
    let (mut begun, mut saved) = (false, false);
    for job in batch {
        let saves = !alone && !job.is_one_statement();
        // The savepoint of the job before stays open until here, and what
        // opens a job goes to the connection's thread together with it.
        let opening = match (begun, saves, saved) {
            (false, false, _) => Opening::Begin,
            (false, true, _) => Opening::BeginAndSave,
            (true, true, false) => Opening::Save,
            (true, true, true) => Opening::SaveNext,
            (true, false, _) => Opening::None,
        };
        begun = true;
        saved |= saves;
        match job.run(connection, opening).await {
            End::Refused if saves => {
                query("ROLLBACK TO job").execute(&mut *connection).await?;
            }
            End::Refused if alone => {
                query("ROLLBACK").execute(&mut *connection).await?;
                return Ok(());
            }
            End::Broken => return Err((&*job).into()),
            End::Done | End::Refused => {}
        }
    }
    query("COMMIT").execute(connection).await?;
    Ok(())
}

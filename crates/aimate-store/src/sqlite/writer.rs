//! The one connection that writes, and the queue before it.
//!
//! Whatever waits in the queue when a transaction ends goes into the next one
//! together: a commit waits for the disk, and so sixteen callers wait for it
//! once instead of sixteen times. Nobody waits for company: an operation that
//! comes alone is committed alone.

use std::time::Duration;

use aimate_core::Error;
use sqlx::query;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::operation::{Job, Opening, Operation, Outcome, Step};
use crate::database::DbError;
use crate::task::Tasks;

/// Operations in one transaction at most, so that the first does not wait long
/// for its acknowledgement.
const BATCH: usize = 64;
/// Operations that wait at most; then callers wait for a place.
const QUEUE: usize = 1024;

/// The queue's entrance.
pub(super) struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
    closing: CancellationToken,
    timeout: Duration,
}

impl Writer {
    /// Starts the task that owns `connection`, and opens it anew with `reopen`
    /// if it breaks.
    pub(super) fn start(
        tasks: &Tasks,
        connection: SqliteConnection,
        reopen: Option<SqliteConnectOptions>,
        timeout: Duration,
    ) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let closing = CancellationToken::new();
        tasks.start(serve(connection, reopen, jobs, closing.clone()));
        Self { queue, closing, timeout }
    }

    /// Does `step` and returns its result once it is committed.
    pub(super) async fn submit<S: Step>(&self, step: S) -> Result<S::Output, DbError> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Operation::new(step, reply));
        match self.queue.send_timeout(job, self.timeout).await {
            Ok(()) => answer.await.unwrap_or_else(|_| Err(closed())),
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
    reopen: Option<SqliteConnectOptions>,
    mut jobs: mpsc::Receiver<Box<dyn Job>>,
    closing: CancellationToken,
) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            biased;
            count = jobs.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    break;
                }
                let lost = run(&mut connection, &mut batch).await.err();
                if lost.is_some() && connection.ping().await.is_err()
                    && let Some(options) = &reopen
                    && let Ok(opened) = options.connect().await
                {
                    connection = opened;
                }
                let lost = lost.map(|error| error.to_string());
                batch.drain(..).for_each(|job| job.reply(lost.as_deref()));
            }
            () = closing.cancelled(), if !jobs.is_closed() => jobs.close(),
        }
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the database was not closed cleanly");
    }
}

/// Runs `batch` and commits it. An error means that nothing of it is stored.
async fn run(connection: &mut SqliteConnection, batch: &mut [Box<dyn Job>]) -> sqlx::Result<()> {
    if let [job] = batch
        && job.is_one_statement()
    {
        return match job.run(connection, Opening::None).await {
            Outcome::Broken => Err(broken()),
            Outcome::Done | Outcome::Refused => Ok(()),
        };
    }
    let result = run_in_transaction(connection, batch).await;
    if result.is_err() {
        // After some failures SQLite has rolled back already.
        let _ = query("ROLLBACK").execute(connection).await;
    }
    result
}

async fn run_in_transaction(
    connection: &mut SqliteConnection,
    batch: &mut [Box<dyn Job>],
) -> sqlx::Result<()> {
    let alone = batch.len() == 1;
    let (mut begun, mut saved) = (false, false);
    for job in batch {
        let saves = !alone && !job.is_one_statement();
        // The savepoint of the operation before stays open until here, and what
        // opens an operation goes to the connection's thread together with it.
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
            Outcome::Refused if saves => {
                query("ROLLBACK TO unit").execute(&mut *connection).await?;
            }
            Outcome::Refused if alone => {
                query("ROLLBACK").execute(&mut *connection).await?;
                return Ok(());
            }
            Outcome::Broken => return Err(broken()),
            Outcome::Done | Outcome::Refused => {}
        }
    }
    query("COMMIT").execute(connection).await?;
    Ok(())
}

fn broken() -> sqlx::Error {
    sqlx::Error::Protocol("an operation of the same transaction failed".into())
}

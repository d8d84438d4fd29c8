//! The one connection that writes, and the queue before it.
//!
//! Whatever waits in the queue when a transaction ends goes into the next one
//! together: a commit waits for the disk, and so sixteen callers wait for it
//! once instead of sixteen times. Nobody waits for company: an operation that
//! comes alone is committed alone.

use std::time::Duration;

use aimate_core::{Error, ErrorKind, Result};
use futures_util::future::BoxFuture;
use sqlx::query;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

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

    /// Runs one statement, which is a unit by itself.
    pub(super) async fn one<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.submit(true, work).await
    }

    /// Runs several statements as one unit.
    pub(super) async fn several<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.submit(false, work).await
    }

    /// Ends the task once what is queued is done.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    async fn submit<T, F>(&self, is_one_statement: bool, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Operation { is_one_statement, work: Some(work), result: None, reply });
        match self.queue.send_timeout(job, self.timeout).await {
            Ok(()) => {}
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                return Err(Error::unavailable("too many writes wait for the database; try again"));
            }
            Err(mpsc::error::SendTimeoutError::Closed(_)) => return Err(closed()),
        }
        answer.await.unwrap_or_else(|_| Err(closed()))
    }
}

fn closed() -> Error {
    Error::unavailable("the store is closed")
}

/// What a queued operation looks like to the task.
trait Job: Send {
    /// Whether a failure of it undoes itself, without a savepoint.
    fn is_one_statement(&self) -> bool;
    /// Does the work and keeps the result.
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, Outcome>;
    /// Tells the caller: the result, or that it was `lost` with its transaction.
    fn reply(self: Box<Self>, lost: Option<&str>);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    /// It failed by itself; the others in its transaction may go on.
    Refused,
    /// The database failed; the transaction cannot be trusted.
    Broken,
}

struct Operation<F, T> {
    is_one_statement: bool,
    work: Option<F>,
    result: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<F, T> Job for Operation<F, T>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send,
{
    fn is_one_statement(&self) -> bool {
        self.is_one_statement
    }

    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, Outcome> {
        Box::pin(async {
            let Some(work) = self.work.take() else { return Outcome::Done };
            let result = work(connection).await;
            let outcome = match result.as_ref().map_err(Error::kind) {
                Ok(_) => Outcome::Done,
                Err(ErrorKind::Unavailable) => Outcome::Broken,
                Err(_) => Outcome::Refused,
            };
            self.result = Some(result);
            outcome
        })
    }

    fn reply(self: Box<Self>, lost: Option<&str>) {
        let result = match (self.result, lost) {
            (Some(Err(error)), _) => Err(error),
            (Some(result), None) => result,
            (_, lost) => Err(Error::unavailable("the write was not stored; try again")
                .with_source(lost.unwrap_or("it was not run").to_owned())),
        };
        // A caller that stopped waiting does not want to know.
        let _ = self.reply.send(result);
    }
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
        return match job.run(connection).await {
            Outcome::Broken => Err(broken()),
            Outcome::Done | Outcome::Refused => Ok(()),
        };
    }
    query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
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
    let mut saved = false;
    for job in batch {
        let saves = !alone && !job.is_one_statement();
        if saves {
            // The savepoint of the operation before stays open until here: one
            // hop to the connection's thread instead of two.
            let next = if saved { "RELEASE unit; SAVEPOINT unit" } else { "SAVEPOINT unit" };
            query(next).execute(&mut *connection).await?;
            saved = true;
        }
        match job.run(connection).await {
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

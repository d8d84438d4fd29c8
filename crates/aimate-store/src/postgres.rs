//! Running statements on PostgreSQL.

use std::time::Duration;

use aimate_core::Result;
use futures_util::future::BoxFuture;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{Execute as _, SqlStr, query, query_with};

use crate::error::{failure, is_lost};
use crate::pool::{Pool, Settings};
use crate::task::Tasks;
use crate::worker::Watchers;

/// A statement with its values.
pub(crate) type PgQuery = Query<'static, sqlx::Postgres, PgArguments>;

impl Settings for PgConnection {
    /// One plan for each statement, whatever its values: the planner would take
    /// a tenant that came after the last ANALYZE for one without rows, and any
    /// index for as good as the right one. It is also what the tests look at.
    async fn settle_in(&mut self) -> sqlx::Result<()> {
        query("SET plan_cache_mode = force_generic_plan").persistent(false).execute(self).await.map(drop)
    }
}

/// A PostgreSQL server.
pub(crate) struct Postgres {
    pub(crate) pool: Pool<PgConnection>,
    pub(crate) tasks: Tasks,
    pub(crate) workers: Watchers<PgConnection>,
    /// How long work on a session may take: a server behind a cut link does not
    /// even refuse.
    deadline: Duration,
}

impl Postgres {
    pub(crate) fn new(pool: Pool<PgConnection>, deadline: Duration) -> Self {
        Self { pool, tasks: Tasks::default(), workers: Watchers::default(), deadline }
    }

    /// The rows of a statement that only reads.
    pub(crate) async fn read(&self, query: PgQuery) -> Result<Vec<PgRow>> {
        let [rows] = self.read_each([query]).await?;
        Ok(rows)
    }

    /// The first row of a statement that only reads.
    pub(crate) async fn read_first(&self, query: PgQuery) -> Result<Option<PgRow>> {
        Ok(self.read(query).await?.into_iter().next())
    }

    /// The rows of each of several statements that only read. If the session
    /// turns out to be lost (the server was restarted), once more on a new one.
    pub(crate) async fn read_each<const N: usize>(&self, queries: [PgQuery; N]) -> Result<[Vec<PgRow>; N]> {
        let statements = queries.map(Statement::of);
        match self.read_once(statements.clone()).await? {
            Err(error) if is_lost(&error) => self.read_once(statements).await?.map_err(failure),
            result => result.map_err(failure),
        }
    }

    async fn read_once<const N: usize>(
        &self,
        statements: [Statement; N],
    ) -> Result<sqlx::Result<[Vec<PgRow>; N]>> {
        self.work(move |connection| {
            Box::pin(async move {
                let mut results = [const { Vec::new() }; N];
                for (rows, statement) in results.iter_mut().zip(statements) {
                    *rows = query_with(statement.text, statement.values).fetch_all(&mut *connection).await?;
                }
                Ok(results)
            })
        })
        .await
    }

    /// Runs one statement that writes; returns the rows it returns.
    pub(crate) async fn write(&self, query: PgQuery) -> Result<Vec<PgRow>> {
        self.work(|connection| Box::pin(query.fetch_all(connection))).await?.map_err(failure)
    }

    /// Runs one statement that writes; returns how many rows it touched.
    pub(crate) async fn execute(&self, query: PgQuery) -> Result<u64> {
        let done = self.work(|connection| Box::pin(query.execute(connection))).await?.map_err(failure)?;
        Ok(done.rows_affected())
    }

    /// Runs `work` in one transaction, which is committed if it succeeds.
    pub(crate) async fn transaction<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.work(|connection| {
            Box::pin(async {
                query("BEGIN").execute(&mut *connection).await?;
                let result = work(&mut *connection).await;
                let end = query(if result.is_ok() { "COMMIT" } else { "ROLLBACK" });
                match end.execute(connection).await {
                    Ok(_) => Ok(result),
                    // The session may still be in the transaction: it counts as
                    // lost, so that nobody else gets into it.
                    Err(error) => Err(sqlx::Error::Protocol(format!("a transaction did not end: {error}"))),
                }
            })
        })
        .await?
        .map_err(failure)?
    }

    /// Runs `queries` in one transaction, which is committed if `check` accepts
    /// how many rows each touched.
    pub(crate) async fn all(
        &self,
        queries: Vec<PgQuery>,
        check: impl FnOnce(&[u64]) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        self.transaction(|connection| {
            Box::pin(async {
                let mut touched = Vec::with_capacity(queries.len());
                for query in queries {
                    let done = query.execute(&mut *connection).await.map_err(failure)?;
                    touched.push(done.rows_affected());
                }
                check(&touched)
            })
        })
        .await
    }

    /// Runs `work` on a session, which is kept only if the work has ended and
    /// did not lose it.
    async fn work<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>> + Send + 'static,
    ) -> Result<sqlx::Result<T>> {
        let turn = self.pool.turn().await?;
        let deadline = self.deadline;
        self.tasks
            .run(async move {
                let mut session = match turn.session().await {
                    Ok(session) => session,
                    Err(error) => return Ok(Err(error)),
                };
                let late = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
                let result = tokio::time::timeout(deadline, work(&mut session)).await.unwrap_or_else(late);
                Ok(session.settle(result))
            })
            .await
    }

    pub(crate) async fn close(&self) {
        self.tasks.close().await;
        self.workers.clear().await;
        self.pool.close().await;
    }
}

/// A statement that can be run again.
#[derive(Clone)]
struct Statement {
    text: SqlStr,
    values: PgArguments,
}

impl Statement {
    fn of(mut query: PgQuery) -> Self {
        // Invariant: the store binds no value that cannot be encoded.
        let values = query.take_arguments().ok().flatten().unwrap_or_default();
        Self { text: query.sql(), values }
    }
}

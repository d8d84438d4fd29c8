//! Running statements on PostgreSQL.

use aimate_core::Result;
use futures_util::future::BoxFuture;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{Execute as _, query, query_with};

use crate::error::{failure, is_lost};
use crate::pool::Pool;
use crate::task::Tasks;
use crate::worker::Watchers;

/// A statement with its values.
pub(crate) type PgQuery = Query<'static, sqlx::Postgres, PgArguments>;

/// A PostgreSQL server.
pub(crate) struct Postgres {
    pub(crate) pool: Pool<PgConnection>,
    pub(crate) tasks: Tasks,
    pub(crate) workers: Watchers<PgConnection>,
}

impl Postgres {
    pub(crate) fn new(pool: Pool<PgConnection>) -> Self {
        Self { pool, tasks: Tasks::default(), workers: Watchers::default() }
    }

    /// The rows of a statement that only reads. If the session turns out to be
    /// lost (the server was restarted), once more on a new one.
    pub(crate) async fn read(&self, mut query: PgQuery) -> Result<Vec<PgRow>> {
        let values =
            query.take_arguments().map_err(|error| failure(sqlx::Error::Encode(error)))?.unwrap_or_default();
        let text = query.sql();
        match self.rows(query_with(text.clone(), values.clone())).await? {
            Err(error) if is_lost(&error) => self.rows(query_with(text, values)).await?.map_err(failure),
            result => result.map_err(failure),
        }
    }

    /// The first row of a statement that only reads.
    pub(crate) async fn read_first(&self, query: PgQuery) -> Result<Option<PgRow>> {
        Ok(self.read(query).await?.into_iter().next())
    }

    /// The rows of two statements that only read.
    pub(crate) async fn read_both(
        &self,
        first: PgQuery,
        second: PgQuery,
    ) -> Result<(Vec<PgRow>, Vec<PgRow>)> {
        Ok((self.read(first).await?, self.read(second).await?))
    }

    /// Runs one statement that writes; returns the rows it returns.
    pub(crate) async fn write(&self, query: PgQuery) -> Result<Vec<PgRow>> {
        self.rows(query).await?.map_err(failure)
    }

    /// Runs one statement that writes; returns how many rows it touched.
    pub(crate) async fn execute(&self, query: PgQuery) -> Result<u64> {
        let turn = self.pool.turn().await?;
        self.tasks
            .run(async move {
                let mut session = turn.session().await.map_err(failure)?;
                let result = query.execute(&mut *session).await;
                session.settle(result).map(|done| done.rows_affected()).map_err(failure)
            })
            .await
    }

    /// Runs `work` in one transaction, which is committed if it succeeds.
    pub(crate) async fn transaction<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    ) -> Result<T> {
        let turn = self.pool.turn().await?;
        self.tasks
            .run(async move {
                let mut session = turn.session().await.map_err(failure)?;
                if let Err(error) = query("BEGIN").execute(&mut *session).await {
                    return Err(session.discard(error));
                }
                let result = work(&mut session).await;
                let end = query(if result.is_ok() { "COMMIT" } else { "ROLLBACK" });
                match end.execute(&mut *session).await {
                    Ok(done) => session.settle(Ok(done)).map_err(failure).and(result),
                    Err(error) => result.and(Err(session.discard(error))),
                }
            })
            .await
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

    async fn rows(&self, query: PgQuery) -> Result<sqlx::Result<Vec<PgRow>>> {
        let turn = self.pool.turn().await?;
        self.tasks
            .run(async move {
                let mut session = match turn.session().await {
                    Ok(session) => session,
                    Err(error) => return Ok(Err(error)),
                };
                let result = query.fetch_all(&mut *session).await;
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

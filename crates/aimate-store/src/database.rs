//! Running statements on whichever database it is.
//!
//! A noun's file has its statements as [`Sql`] constants, binds their values and
//! reads the rows that come back. Which driver runs them is decided here.

mod error;
mod gate;
mod load;
mod names;
mod pool;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
mod row;
#[cfg(feature = "postgres")]
pub(crate) mod row_security;
mod sql;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;
mod statement;
mod task;
mod value;

use std::time::Instant;

use aimate_core::{Error, Result};
use tracing::Instrument as _;

use crate::{Kind, metrics};
#[cfg(feature = "postgres")]
use postgres::Postgres;
#[cfg(feature = "sqlite")]
use sqlite::Sqlite;

#[cfg(feature = "sqlite")]
pub(crate) use error::is_disk_full;
pub(crate) use error::{DbError, failure};
pub(crate) use gate::SchemaGate;
pub(crate) use load::Load;
pub(crate) use names::{Names, check_schema, made_by};
#[cfg(feature = "postgres")]
pub(crate) use pool::Pool;
pub(crate) use row::{Row, each};
pub(crate) use sql::Sql;
pub(crate) use statement::{Builder, DialectText, Expected, Outcome, Statement};
pub(crate) use value::{Array, Bind, Value, hex};

/// The database of a store.
pub(crate) enum Database {
    #[cfg(feature = "sqlite")]
    Sqlite(Sqlite),
    #[cfg(feature = "postgres")]
    Postgres(Postgres),
}

impl Database {
    /// Which one it is.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Kind::Sqlite,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Kind::Postgres,
        }
    }

    /// The rows of a statement that only reads.
    pub(crate) async fn read(&self, statement: Statement) -> Result<Vec<Row>> {
        let [rows] = self.read_each([statement]).await?;
        Ok(rows)
    }

    /// The first row of a statement that only reads.
    pub(crate) async fn read_first(&self, statement: Statement) -> Result<Option<Row>> {
        Ok(self.read(statement).await?.into_iter().next())
    }

    /// The rows of each of several statements that only read. They run one after
    /// the other on one connection, not in one snapshot. If the connection turns
    /// out to be lost, they run once more on another.
    pub(crate) async fn read_each<const N: usize>(
        &self,
        statements: [Statement; N],
    ) -> Result<[Vec<Row>; N]> {
        self.gate().check()?;
        let outcomes = self.measured("read", N, self.read_all(statements.into())).await?;
        array(outcomes.into_iter().map(|outcome| outcome.rows))
    }

    /// Runs one statement that writes; returns the rows that it returns.
    pub(crate) async fn write(&self, statement: Statement) -> Result<Vec<Row>, DbError> {
        let [outcome] = self.transaction([statement]).await?;
        Ok(outcome.rows)
    }

    /// Runs one statement that writes; returns how many rows it touched.
    pub(crate) async fn execute(&self, statement: Statement) -> Result<u64, DbError> {
        let [outcome] = self.transaction([statement]).await?;
        Ok(outcome.touched)
    }

    /// Runs statements one after the other as one unit: all of it is stored if
    /// each succeeds and does what is expected of it, and nothing otherwise.
    pub(crate) async fn transaction<const N: usize>(
        &self,
        statements: [Statement; N],
    ) -> Result<[Outcome; N], DbError> {
        Ok(array(self.transaction_of(statements.into()).await?.into_iter())?)
    }

    /// [`Database::transaction`] of as many statements as there are.
    pub(crate) async fn transaction_of(&self, statements: Vec<Statement>) -> Result<Vec<Outcome>, DbError> {
        self.gate().check()?;
        let stored = self.measured("write", statements.len(), async {
            match self {
                #[cfg(feature = "sqlite")]
                Self::Sqlite(db) => db.store(statements).await,
                #[cfg(feature = "postgres")]
                Self::Postgres(db) => db.store(statements).await,
            }
        });
        stored.await
    }

    /// The rows of a statement about the database itself, which needs no table.
    pub(crate) async fn look(&self, statement: Statement) -> Result<Vec<Row>> {
        let outcomes = self.read_all(vec![statement]).await?;
        Ok(outcomes.into_iter().flat_map(|outcome| outcome.rows).collect())
    }

    async fn read_all(&self, statements: Vec<Statement>) -> Result<Vec<Outcome>> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(db) => db.read_all(statements).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(db) => db.read_all(statements).await,
        }
    }

    fn gate(&self) -> &SchemaGate {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(db) => &db.gate,
            #[cfg(feature = "postgres")]
            Self::Postgres(db) => &db.gate,
        }
    }

    /// What waits for it or is under way.
    pub(crate) fn load(&self) -> &Load {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(db) => &db.load,
            #[cfg(feature = "postgres")]
            Self::Postgres(db) => &db.load,
        }
    }

    /// Runs `unit` in a span of its own and measures it.
    async fn measured<T, E>(
        &self,
        work: &'static str,
        statements: usize,
        unit: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let _unit = self.load().begin();
        let start = Instant::now();
        let outcome = unit.instrument(tracing::debug_span!("database", work, statements)).await;
        metrics::worked(self.kind(), work, start.elapsed());
        outcome
    }
}

impl Database {
    /// Connections in use at this moment, but for SQLite's writer.
    pub(crate) fn in_use(&self) -> usize {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(db) => db.in_use(),
            #[cfg(feature = "postgres")]
            Self::Postgres(db) => db.pool.in_use(),
        }
    }

    /// Lets running work end, then closes every connection.
    pub(crate) async fn close(&self) {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(db) => db.close().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(db) => db.close().await,
        }
    }
}

fn array<T, const N: usize>(items: impl Iterator<Item = T>) -> Result<[T; N]> {
    let items: Vec<T> = items.collect();
    // Invariant: the drivers return one outcome for each statement.
    items.try_into().map_err(|_| Error::internal("a statement came back without its outcome"))
}

#[cfg(test)]
mod tests;

//! What waits in the writer's queue.

use aimate_core::{Error, ErrorKind, Result};
use futures_util::TryStreamExt as _;
use futures_util::future::BoxFuture;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Either, Execute as _, Executor as _, SqlStr, query_with};
use tokio::sync::oneshot;

use super::SqliteQuery;
use crate::error::failure;

/// What comes before an operation in its transaction.
#[derive(Clone, Copy)]
pub(super) enum Opening {
    None,
    Begin,
    BeginAndSave,
    Save,
    SaveNext,
}

impl Opening {
    /// The statements, and how many they are.
    fn statements(self) -> (&'static str, usize) {
        match self {
            Self::None => ("", 0),
            Self::Begin => ("BEGIN IMMEDIATE; ", 1),
            Self::BeginAndSave => ("BEGIN IMMEDIATE; SAVEPOINT unit; ", 2),
            Self::Save => ("SAVEPOINT unit; ", 1),
            Self::SaveNext => ("RELEASE unit; SAVEPOINT unit; ", 2),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// It failed by itself; the others in its transaction may go on.
    Refused,
    /// The database failed; the transaction cannot be trusted.
    Broken,
}

/// The work of an operation.
pub(super) trait Step: Send + 'static {
    type Output: Send + 'static;

    /// Whether a failure of it undoes itself, without a savepoint.
    fn is_one_statement(&self) -> bool;

    /// Does `opening` and the work.
    fn run(self, connection: &mut SqliteConnection, opening: Opening) -> BoxFuture<'_, Result<Self::Output>>;
}

/// One text of statements.
pub(super) struct Text {
    text: SqlStr,
    values: SqliteArguments,
    /// How many rows they must touch together, if they are several.
    expected: Option<u64>,
}

impl Text {
    /// One statement.
    pub(super) fn one(query: SqliteQuery) -> Self {
        Self::of(query, None)
    }

    /// Several statements, refused with [`ErrorKind::Unsupported`] (a kind that
    /// no failure of the database has) unless they touch `expected` rows.
    pub(super) fn several(query: SqliteQuery, expected: u64) -> Self {
        Self::of(query, Some(expected))
    }

    fn of(mut query: SqliteQuery, expected: Option<u64>) -> Self {
        // Invariant: the store binds no value that cannot be encoded.
        let values = query.take_arguments().ok().flatten().unwrap_or_default();
        Self { text: query.sql(), values, expected }
    }

    #[expect(clippy::disallowed_methods, reason = "both parts are the store's own text; values are bound")]
    fn after(self, opening: &'static str) -> SqliteQuery {
        let text = match opening {
            "" => self.text,
            opening => {
                sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(format!("{opening}{}", self.text.as_str())))
            }
        };
        query_with(text, self.values)
    }
}

impl Step for Text {
    /// The rows that were returned, and how many were touched.
    type Output = (Vec<SqliteRow>, u64);

    fn is_one_statement(&self) -> bool {
        self.expected.is_none()
    }

    fn run(self, connection: &mut SqliteConnection, opening: Opening) -> BoxFuture<'_, Result<Self::Output>> {
        Box::pin(async move {
            let (opening, mut skip) = opening.statements();
            let expected = self.expected;
            let (mut rows, mut touched) = (Vec::new(), 0);
            let mut results = connection.fetch_many(self.after(opening));
            while let Some(result) = results.try_next().await.map_err(failure)? {
                match result {
                    Either::Right(row) => rows.push(row),
                    // A statement that touches nothing reports what the one
                    // before it did.
                    Either::Left(_) if skip > 0 => skip -= 1,
                    Either::Left(done) => touched += done.rows_affected(),
                }
            }
            match expected {
                Some(expected) if expected != touched => {
                    Err(Error::unsupported("other rows were touched than expected"))
                }
                _ => Ok((rows, touched)),
            }
        })
    }
}

/// Work of several steps, each of which needs the result of the one before.
pub(super) struct Work<T>(Box<Steps<T>>);

type Steps<T> = dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send;

impl<T> Work<T> {
    pub(super) fn new(
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    ) -> Self {
        Self(Box::new(work))
    }
}

impl<T: Send + 'static> Step for Work<T> {
    type Output = T;

    fn is_one_statement(&self) -> bool {
        false
    }

    fn run(self, connection: &mut SqliteConnection, opening: Opening) -> BoxFuture<'_, Result<T>> {
        Box::pin(async move {
            let (opening, _) = opening.statements();
            if !opening.is_empty() {
                sqlx::query(opening).execute(&mut *connection).await.map_err(failure)?;
            }
            self.0(connection).await
        })
    }
}

/// What a queued operation looks like to the writer.
pub(super) trait Job: Send {
    /// See [`Step::is_one_statement`].
    fn is_one_statement(&self) -> bool;
    /// Does the work and keeps the result.
    fn run<'c>(
        &'c mut self,
        connection: &'c mut SqliteConnection,
        opening: Opening,
    ) -> BoxFuture<'c, Outcome>;
    /// Tells the caller: the result, or that it was `lost` with its transaction.
    fn reply(self: Box<Self>, lost: Option<&str>);
}

/// A step and the caller who waits for it.
pub(super) struct Operation<S: Step> {
    step: Option<S>,
    result: Option<Result<S::Output>>,
    reply: oneshot::Sender<Result<S::Output>>,
}

impl<S: Step> Operation<S> {
    pub(super) fn new(step: S, reply: oneshot::Sender<Result<S::Output>>) -> Self {
        Self { step: Some(step), result: None, reply }
    }
}

impl<S: Step> Job for Operation<S> {
    fn is_one_statement(&self) -> bool {
        self.step.as_ref().is_some_and(Step::is_one_statement)
    }

    fn run<'c>(
        &'c mut self,
        connection: &'c mut SqliteConnection,
        opening: Opening,
    ) -> BoxFuture<'c, Outcome> {
        Box::pin(async move {
            let Some(step) = self.step.take() else { return Outcome::Done };
            let result = step.run(connection, opening).await;
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

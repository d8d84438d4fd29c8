//! What waits in the writer's queue.

use aimate_core::{Error, Result};
use futures_util::TryStreamExt as _;
use futures_util::future::BoxFuture;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Either, Execute as _, Executor as _, SqlStr, query_with};
use tokio::sync::oneshot;

use super::SqliteQuery;
use super::text::Text;
use crate::database::{DbError, Expected, Outcome as Done, Statement};

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
    /// The statements in one text, and how many they are.
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
    fn run(
        self,
        connection: &mut SqliteConnection,
        opening: Opening,
    ) -> BoxFuture<'_, Result<Self::Output, DbError>>;
}

/// Statements of one text at most. A text is prepared once if it comes again, and
/// of more statements there are too many combinations.
const MAX_JOINED: usize = 8;

/// Statements that are stored together or not at all.
pub(super) struct Unit(pub(super) Vec<Statement>);

impl Step for Unit {
    type Output = Vec<Done>;

    fn is_one_statement(&self) -> bool {
        matches!(&*self.0, [one] if !matches!(one.expected, Expected::Touched(_)))
    }

    fn run(
        self,
        connection: &mut SqliteConnection,
        opening: Opening,
    ) -> BoxFuture<'_, Result<Self::Output, DbError>> {
        Box::pin(async move {
            if self.0.len() <= MAX_JOINED {
                return Text::new(opening.statements(), self.0)?.run(connection).await;
            }
            Text::new(opening.statements(), Vec::new())?.run(connection).await?;
            let mut outcomes = Vec::with_capacity(self.0.len());
            for statement in self.0 {
                outcomes.extend(Text::new(("", 0), vec![statement])?.run(connection).await?);
            }
            Ok(outcomes)
        })
    }
}

/// A statement of sqlx's.
pub(super) struct One {
    text: SqlStr,
    values: SqliteArguments,
}

impl One {
    pub(super) fn new(mut query: SqliteQuery) -> Self {
        // Invariant: the store binds no value that cannot be encoded.
        let values = query.take_arguments().ok().flatten().unwrap_or_default();
        Self { text: query.sql(), values }
    }
}

impl Step for One {
    /// The rows that were returned, and how many were touched.
    type Output = (Vec<SqliteRow>, u64);

    fn is_one_statement(&self) -> bool {
        true
    }

    fn run(
        self,
        connection: &mut SqliteConnection,
        opening: Opening,
    ) -> BoxFuture<'_, Result<Self::Output, DbError>> {
        Box::pin(async move {
            Text::new(opening.statements(), Vec::new())?.run(connection).await?;
            let (mut rows, mut touched) = (Vec::new(), 0);
            let mut results = connection.fetch_many(query_with(self.text, self.values));
            while let Some(result) = results.try_next().await? {
                match result {
                    Either::Right(row) => rows.push(row),
                    Either::Left(done) => touched += done.rows_affected(),
                }
            }
            Ok((rows, touched))
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

    fn run(self, connection: &mut SqliteConnection, opening: Opening) -> BoxFuture<'_, Result<T, DbError>> {
        Box::pin(async move {
            Text::new(opening.statements(), Vec::new())?.run(connection).await?;
            Ok(self.0(connection).await?)
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
    result: Option<Result<S::Output, DbError>>,
    reply: oneshot::Sender<Result<S::Output, DbError>>,
}

impl<S: Step> Operation<S> {
    pub(super) fn new(step: S, reply: oneshot::Sender<Result<S::Output, DbError>>) -> Self {
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
            let outcome = match &result {
                Ok(_) => Outcome::Done,
                Err(error) if error.is_unavailable() => Outcome::Broken,
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
                .with_source(lost.unwrap_or("it was not run").to_owned())
                .into()),
        };
        // A caller that stopped waiting does not want to know.
        let _ = self.reply.send(result);
    }
}

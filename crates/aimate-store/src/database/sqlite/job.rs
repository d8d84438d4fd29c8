//! What waits in the writer's queue.

use aimate_core::Error;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::oneshot;

use super::statement_batch::StatementBatch;
use crate::database::{DbError, Expected, Outcome, Statement};

/// Statements of one text at most. A text that comes again is prepared already;
/// of more statements there are too many combinations for that.
const MAX_JOINED: usize = 8;

/// What comes before a job in its transaction. It goes to the connection's thread
/// in one text with the job's own statements.
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
            Self::BeginAndSave => ("BEGIN IMMEDIATE; SAVEPOINT job; ", 2),
            Self::Save => ("SAVEPOINT job; ", 1),
            Self::SaveNext => ("RELEASE job; SAVEPOINT job; ", 2),
        }
    }
}

/// How a job ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Done,
    /// It failed by itself; the others in its transaction may go on.
    Refused,
    /// The database failed; the transaction cannot be trusted.
    Broken,
}

/// Statements that are stored together or not at all, and the caller who waits
/// for that.
pub(super) struct Job {
    statements: Vec<Statement>,
    /// The same, if it may use the room that is kept for a full disk, and be run once more.
    again: Option<Vec<Statement>>,
    result: Option<Result<Vec<Outcome>, DbError>>,
    reply: oneshot::Sender<Result<Vec<Outcome>, DbError>>,
}

impl Job {
    pub(super) fn new(
        statements: Vec<Statement>,
        reply: oneshot::Sender<Result<Vec<Outcome>, DbError>>,
    ) -> Self {
        let uses_reserve = statements.iter().any(|statement| statement.uses_reserve);
        Self { again: uses_reserve.then(|| statements.clone()), statements, result: None, reply }
    }

    /// Whether it may use the room that is kept for a full disk.
    pub(super) fn uses_reserve(&self) -> bool {
        self.again.is_some()
    }

    /// Has it run once more, if it may use that room; else it fails as `lost` says.
    pub(super) fn begin_again(&mut self, lost: &Error) {
        match self.again.take() {
            Some(statements) => (self.statements, self.result) = (statements, None),
            None if matches!(self.result, Some(Err(_))) => {}
            None => self.result = Some(Err(same(lost).into())),
        }
    }

    /// Whether it found the disk full.
    pub(super) fn found_disk_full(&self) -> bool {
        matches!(&self.result, Some(Err(error)) if error.is_disk_full())
    }

    /// Whether a failure of it undoes itself, without a savepoint.
    pub(super) fn is_one_statement(&self) -> bool {
        matches!(&*self.statements, [one] if !matches!(one.expected, Expected::Touched(_)))
    }

    /// Runs the statements and keeps the result.
    pub(super) async fn run(&mut self, connection: &mut SqliteConnection, opening: Opening) -> End {
        let statements = std::mem::take(&mut self.statements);
        let result = run(statements, connection, opening).await;
        let end = match &result {
            Ok(_) => End::Done,
            Err(error) if error.is_unavailable() => End::Broken,
            Err(_) => End::Refused,
        };
        self.result = Some(result);
        end
    }

    /// Takes back its result: it may not be stored.
    pub(super) fn forget(&mut self) {
        self.result = None;
    }

    /// Why the database failed while it ran, in words for those whose writes went
    /// with it.
    pub(super) fn trouble(&self) -> Error {
        match &self.result {
            Some(Err(error)) => error.trouble(),
            _ => Error::unavailable("the write was not stored; try again"),
        }
    }

    /// Tells the caller: the result, or why it was `lost` with its transaction.
    pub(super) fn reply(self, lost: Option<&Error>) {
        let result = match (self.result, lost) {
            (Some(Err(error)), _) => Err(error),
            (Some(result), None) => result,
            (_, Some(lost)) => Err(same(lost).into()),
            (None, None) => Err(Error::unavailable("the write was not stored; try again").into()),
        };
        // A caller that stopped waiting does not want to know.
        let _ = self.reply.send(result);
    }
}

/// The same error for another caller.
fn same(lost: &Error) -> Error {
    let cause = std::error::Error::source(lost).unwrap_or(lost).to_string();
    Error::new(lost.kind(), lost.message().to_owned()).with_source(cause)
}

async fn run(
    statements: Vec<Statement>,
    connection: &mut SqliteConnection,
    opening: Opening,
) -> Result<Vec<Outcome>, DbError> {
    if statements.len() <= MAX_JOINED {
        return StatementBatch::new(opening.statements(), statements)?.run(connection).await;
    }
    StatementBatch::new(opening.statements(), Vec::new())?.run(connection).await?;
    let mut outcomes = Vec::with_capacity(statements.len());
    for statement in statements {
        outcomes.extend(StatementBatch::new(("", 0), vec![statement])?.run(connection).await?);
    }
    Ok(outcomes)
}

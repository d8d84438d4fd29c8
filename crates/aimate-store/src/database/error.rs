//! Why a statement was not stored.

use aimate_core::{Error, ErrorKind};

use crate::error::{failure, is_lost, kind};

/// Why a statement or a transaction was not stored. Nothing of it is.
#[derive(Debug)]
pub(crate) enum DbError {
    /// A statement touched or returned another number of rows than it had to.
    RowCount { expected: u64, got: u64 },
    /// Something that it refers to is not there.
    ForeignKey(sqlx::Error),
    /// Something with this key is there already.
    Unique(sqlx::Error),
    /// The database failed otherwise.
    Db(sqlx::Error),
    /// Anything else, in words for the caller.
    Other(Error),
}

impl DbError {
    /// Whether the connection is lost, so that a new one may succeed at once.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, Self::Db(error) if is_lost(error))
    }

    /// Whether the database itself is in trouble, and not the statement wrong.
    pub(crate) fn is_unavailable(&self) -> bool {
        match self {
            Self::Db(error) => kind(error) == ErrorKind::Unavailable,
            Self::Other(error) => error.kind() == ErrorKind::Unavailable,
            Self::RowCount { .. } | Self::ForeignKey(_) | Self::Unique(_) => false,
        }
    }

    /// Says what a violated foreign key means here.
    pub(crate) fn on_foreign_key(self, missing: impl FnOnce() -> Error) -> Self {
        match self {
            Self::ForeignKey(error) => Self::Other(missing().with_source(error)),
            other => other,
        }
    }

    /// Says what a violated unique key means here.
    pub(crate) fn on_unique(self, taken: impl FnOnce() -> Error) -> Self {
        match self {
            Self::Unique(error) => Self::Other(taken().with_source(error)),
            other => other,
        }
    }

    /// Says what another number of rows means here.
    pub(crate) fn on_row_count(self, changed: impl FnOnce() -> Error) -> Self {
        match self {
            Self::RowCount { .. } => Self::Other(changed()),
            other => other,
        }
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error().map(sqlx::error::DatabaseError::kind) {
            Some(sqlx::error::ErrorKind::UniqueViolation) => Self::Unique(error),
            Some(sqlx::error::ErrorKind::ForeignKeyViolation) => Self::ForeignKey(error),
            _ => Self::Db(error),
        }
    }
}

impl From<Error> for DbError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        match error {
            DbError::RowCount { expected, got } => {
                Self::unavailable("what this depends on changed at the same moment; try again")
                    .with_source(format!("{got} rows instead of {expected}"))
            }
            DbError::ForeignKey(error) | DbError::Unique(error) | DbError::Db(error) => failure(error),
            DbError::Other(error) => error,
        }
    }
}

//! What the databases' failures mean: one place for both.

use aimate_core::{Error, ErrorKind};
use sqlx::error::DatabaseError;

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

    /// Whether SQLite found the disk full: FULL, and IOERR_SHMSIZE and IOERR_WRITE, which it says
    /// of a file of its own that cannot grow, and of a quota.
    #[cfg(feature = "sqlite")]
    pub(crate) fn is_disk_full(&self) -> bool {
        matches!(self, Self::Db(error) if is_disk_full(error))
    }

    /// What keeps the database from its work, in words for every caller.
    #[cfg(feature = "sqlite")]
    pub(crate) fn trouble(&self) -> Error {
        match self {
            Self::Db(error) => Error::unavailable(trouble(error)).with_source(error.to_string()),
            Self::Other(error) => Error::unavailable(error.message().to_owned()),
            Self::RowCount { .. } | Self::ForeignKey(_) | Self::Unique(_) => {
                Error::unavailable("the write was not stored; try again")
            }
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
        match error.as_database_error().map(DatabaseError::kind) {
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

/// What `error` means; its own text goes to the source alone.
pub(crate) fn failure(error: sqlx::Error) -> Error {
    let kind = kind(&error);
    let message = match kind {
        ErrorKind::Conflict => "something with this id or name is already there",
        ErrorKind::NotFound => "something that this refers to is not there",
        ErrorKind::Invalid => "a value is not one that the database can keep",
        ErrorKind::Unavailable => trouble(&error),
        _ => "the database could not do this",
    };
    Error::new(kind, message).with_source(error)
}

/// What keeps the database from its work at this moment.
fn trouble(error: &sqlx::Error) -> &'static str {
    // What the server says before it cuts a connection tells more than the cut.
    let code = error.as_database_error().and_then(DatabaseError::code).unwrap_or_default();
    match &*code {
        "53300" => {
            return "the database server has no connection left; raise its `max_connections`, or lower \
                    DATABASE_POOL_SIZE";
        }
        "25006" => return "the database server can only be read at this moment; is it a standby?",
        "26000" | "42P05" => {
            return "a proxy before the database server loses prepared statements: pgbouncer needs version 1.21 \
                    or newer with `max_prepared_statements`, or `pool_mode = session`";
        }
        _ => {}
    }
    if is_lost(error) {
        // A commit may have been stored before its answer was lost.
        return "the database cannot be reached, or broke off: a write that was under way may or may not be \
                stored; try again";
    }
    match code.parse::<u32>() {
        // SQLSTATE `disk_full`; SQLite's FULL, which has no extended codes.
        Ok(53_100 | 13) => "the disk of the database is full; make room and try again",
        // SQLite's IOERR and its extended codes; SQLSTATEs are greater.
        Ok(code) if code < 10_000 && code & 0xff == 10 => {
            "the disk of the database failed; look at its machine's log and try again"
        }
        // SQLite's READONLY, CORRUPT, CANTOPEN and NOTADB.
        Ok(code) if code < 10_000 && code & 0xff == 8 => {
            "the database's file can only be read; check its owner, its folder and its disk"
        }
        Ok(code) if code < 10_000 && matches!(code & 0xff, 11 | 26) => {
            "the database's file is damaged: bring back a backup (`aimate restore`); `aimate doctor` says what else is"
        }
        Ok(code) if code < 10_000 && code & 0xff == 14 => {
            "a file of the database cannot be opened; check its folder, its disk and the limit of open files"
        }
        _ => "the database is busy; try again",
    }
}

/// See [`DbError::is_disk_full`].
#[cfg(feature = "sqlite")]
pub(crate) fn is_disk_full(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    matches!(code.as_deref(), Some("13" | "4874" | "778"))
}

/// Whether the connection is lost, so that a new one may succeed at once.
pub(crate) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => {
            true
        }
        #[cfg(feature = "postgres")]
        sqlx::Error::Database(database) => {
            use sqlx::postgres::{PgDatabaseError, PgSeverity};
            // The server ends the session after a fatal error: it shuts down,
            // crashed or starts (57P01 to 57P03), the session was idle in its
            // transaction for too long (25P03) and others. 08: connection
            // exceptions. 26000, 42P05: another session than the one that prepared.
            database.try_downcast_ref::<PgDatabaseError>().is_some_and(|error| {
                matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)
                    || error.code().starts_with("08")
                    || matches!(error.code(), "57P01" | "57P02" | "57P03" | "26000" | "42P05")
            })
        }
        _ => false,
    }
}

fn kind(error: &sqlx::Error) -> ErrorKind {
    let sqlx::Error::Database(database) = error else {
        return match error {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => ErrorKind::Unavailable,
            error if is_lost(error) => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        };
    };
    match database.kind() {
        sqlx::error::ErrorKind::UniqueViolation => ErrorKind::Conflict,
        sqlx::error::ErrorKind::ForeignKeyViolation => ErrorKind::NotFound,
        _ => other_kind(&**database),
    }
}

fn other_kind(error: &dyn DatabaseError) -> ErrorKind {
    #[cfg(feature = "postgres")]
    if let Some(error) = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
        use sqlx::postgres::PgSeverity;
        let is_fatal = matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic);
        return if is_fatal { ErrorKind::Unavailable } else { postgres_kind(error.code()) };
    }
    #[cfg(feature = "sqlite")]
    if let Some(error) = error.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
        return sqlite_kind(error.code().and_then(|code| code.parse().ok()).unwrap_or_default());
    }
    ErrorKind::Internal
}

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
#[cfg(feature = "postgres")]
fn postgres_kind(code: &str) -> ErrorKind {
    match code {
        // A NUL in text or JSON, or text that is not UTF-8.
        "22021" | "22P05" => ErrorKind::Invalid,
        // Serialization failure, deadlock, lock or statement timeout, a server
        // that has become read-only.
        "40001" | "40P01" | "55P03" | "57014" | "25006" => ErrorKind::Unavailable,
        // A transaction that was idle or took too long; a proxy that gives each
        // statement another session.
        "25P03" | "25P04" | "26000" | "42P05" => ErrorKind::Unavailable,
        // Connection lost, resources used up, the server shuts down.
        code if code.starts_with("08") || code.starts_with("53") || code.starts_with("57P") => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Internal,
    }
}

/// By extended result code: <https://www.sqlite.org/rescode.html>.
#[cfg(feature = "sqlite")]
fn sqlite_kind(code: u32) -> ErrorKind {
    match code & 0xff {
        // BUSY, LOCKED, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, NOTADB.
        5 | 6 | 8 | 10 | 11 | 13 | 14 | 26 => ErrorKind::Unavailable,
        // TOOBIG.
        18 => ErrorKind::TooLarge,
        _ => ErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_retryable() {
        #[cfg(feature = "postgres")]
        for code in ["08006", "53300", "57P01", "40P01"] {
            assert_eq!(postgres_kind(code), ErrorKind::Unavailable, "{code}");
            assert_eq!(postgres_kind("42601"), ErrorKind::Internal);
        }
        #[cfg(feature = "sqlite")]
        for code in [5, 517, 261, 13, 266] {
            assert_eq!(sqlite_kind(code), ErrorKind::Unavailable, "{code}");
            assert_eq!(sqlite_kind(1), ErrorKind::Internal);
        }
    }

    #[test]
    fn database_text_stays_in_the_source() {
        let error = failure(sqlx::Error::Protocol("secret detail".into()));
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(!error.to_string().contains("secret"));
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("secret"));
    }
}

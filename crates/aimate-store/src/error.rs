//! What the databases' failures mean to a caller: one place for both.

use aimate_core::{Error, ErrorKind};

/// What `error` means; its own text goes to the source alone.
pub(crate) fn failure(error: sqlx::Error) -> Error {
    let kind = kind(&error);
    let message = match kind {
        ErrorKind::Conflict => "something with this id or name is already there",
        ErrorKind::NotFound => "something that this refers to is not there",
        ErrorKind::Invalid => "a value is not one that the database can keep",
        ErrorKind::Unavailable => "the database cannot be reached or is busy; try again",
        _ => "the database could not do this",
    };
    Error::new(kind, message).with_source(error)
}

/// `error`, said better by `other` if it is of `kind`.
pub(crate) fn explain(error: Error, kind: ErrorKind, other: impl FnOnce() -> Error) -> Error {
    if error.kind() == kind { other().with_source(error) } else { error }
}

/// Whether the session is lost, so that a new one may succeed at once.
pub(crate) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => {
            true
        }
        sqlx::Error::Database(database) => {
            // 08: connection exceptions; 57P01 to 57P03: the server shuts down,
            // crashed or starts.
            database.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some_and(|error| {
                error.code().starts_with("08") || matches!(error.code(), "57P01" | "57P02" | "57P03")
            })
        }
        _ => false,
    }
}

pub(crate) fn kind(error: &sqlx::Error) -> ErrorKind {
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
        _ => match database.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
            Some(error) => postgres_kind(error.code()),
            None => sqlite_kind(database.code().and_then(|code| code.parse().ok()).unwrap_or_default()),
        },
    }
}

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn postgres_kind(code: &str) -> ErrorKind {
    match code {
        // A NUL in text or JSON, or text that is not UTF-8.
        "22021" | "22P05" => ErrorKind::Invalid,
        // Serialization failure, deadlock, lock or statement timeout, a server
        // that has become read-only.
        "40001" | "40P01" | "55P03" | "57014" | "25006" => ErrorKind::Unavailable,
        // Connection lost, resources used up, the server shuts down.
        code if code.starts_with("08") || code.starts_with("53") || code.starts_with("57P") => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Internal,
    }
}

/// By extended result code: <https://www.sqlite.org/rescode.html>.
fn sqlite_kind(code: u32) -> ErrorKind {
    match code & 0xff {
        // BUSY, LOCKED, IOERR, FULL, CANTOPEN.
        5 | 6 | 10 | 13 | 14 => ErrorKind::Unavailable,
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
        for code in ["08006", "53300", "57P01", "40P01"] {
            assert_eq!(postgres_kind(code), ErrorKind::Unavailable, "{code}");
        }
        for code in [5, 517, 261, 13, 266] {
            assert_eq!(sqlite_kind(code), ErrorKind::Unavailable, "{code}");
        }
        assert_eq!(postgres_kind("42601"), ErrorKind::Internal);
        assert_eq!(sqlite_kind(1), ErrorKind::Internal);
    }

    #[test]
    fn database_text_stays_in_the_source() {
        let error = failure(sqlx::Error::Protocol("secret detail".into()));
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(!error.to_string().contains("secret"));
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("secret"));
    }
}

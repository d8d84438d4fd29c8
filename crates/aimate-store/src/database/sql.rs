//! The text of a statement, for each database.

use aimate_core::Scope;

use super::{Bind, Statement};
use crate::Kind;

/// What a statement's text is.
///
/// Each is a constant beside the code that runs it, and its text is one literal:
/// searching the sources for a table's name finds every statement on it, whole.
/// `tests/statements.rs` prepares all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sql {
    /// The same text on both databases.
    Same(&'static str),
    /// One text for each.
    Each { sqlite: &'static str, postgres: &'static str },
    /// PostgreSQL needs no such statement: a transaction passes it over.
    Sqlite(&'static str),
    /// SQLite needs no such statement: a transaction passes it over.
    Postgres(&'static str),
    /// PostgreSQL's `COPY … FROM STDIN (FORMAT binary)`, whose one value is the
    /// rows.
    Copy(&'static str),
}

impl Sql {
    /// The text on a database; `None` if it needs none there.
    pub(crate) fn text(self, kind: Kind) -> Option<&'static str> {
        match (self, kind) {
            (Self::Same(text), _)
            | (Self::Each { sqlite: text, .. } | Self::Sqlite(text), Kind::Sqlite)
            | (Self::Each { postgres: text, .. } | Self::Postgres(text) | Self::Copy(text), Kind::Postgres) => {
                Some(text)
            }
            (Self::Sqlite(_), Kind::Postgres) | (Self::Postgres(_) | Self::Copy(_), Kind::Sqlite) => None,
        }
    }

    /// The statement whose `$1` and `$2` are the scope's tenant and user.
    pub(crate) fn scoped(self, scope: &Scope) -> Statement {
        self.bind(scope.tenant).bind(scope.user)
    }

    /// The statement whose `$1` is `value`.
    pub(crate) fn bind(self, value: impl Bind) -> Statement {
        self.unbound().bind(value)
    }

    /// The statement without a value yet.
    pub(crate) fn unbound(self) -> Statement {
        Statement::new(self)
    }
}

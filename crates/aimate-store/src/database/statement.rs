//! A statement with its values.

use std::sync::Arc;

use aimate_core::TenantId;

use super::{Bind, DbError, Names, Row, Sql, Value};
use crate::Kind;

/// A statement with its values, in the order of `$1`, `$2` and so on.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    text: Text,
    pub(crate) values: Vec<Value>,
    pub(crate) expected: Expected,
    /// Whose rows it is about: of the first tenant that is bound; of none, if it is the
    /// process's or the operator's.
    pub(crate) tenant: Option<TenantId>,
    /// Whether its transaction may use the room that is kept for a full disk.
    pub(crate) uses_reserve: bool,
}

#[derive(Clone, Debug)]
enum Text {
    Literal(Sql),
    Built(Arc<str>),
    /// A `COPY` under other names.
    BuiltCopy(Arc<str>),
}

/// A statement's text on one database.
#[derive(Clone, Debug)]
pub(crate) enum DialectText {
    Literal(&'static str),
    /// PostgreSQL's `COPY … FROM STDIN (FORMAT binary)`.
    Copy(&'static str),
    Built(Arc<str>),
    BuiltCopy(Arc<str>),
}

/// What has to come of a statement, so that its transaction is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Anything,
    Touched(u64),
    Returned,
}

impl Statement {
    pub(super) fn new(sql: Sql) -> Self {
        Self {
            text: Text::Literal(sql),
            values: Vec::new(),
            expected: Expected::Anything,
            tenant: None,
            uses_reserve: false,
        }
    }

    /// The text on a database; `None` if it needs none there.
    pub(crate) fn text(&self, kind: Kind) -> Option<DialectText> {
        match &self.text {
            Text::Built(text) => Some(DialectText::Built(Arc::clone(text))),
            Text::BuiltCopy(text) => Some(DialectText::BuiltCopy(Arc::clone(text))),
            Text::Literal(sql @ Sql::Copy(_)) => sql.text(kind).map(DialectText::Copy),
            Text::Literal(sql) => sql.text(kind).map(DialectText::Literal),
        }
    }

    /// The statement with `names` for the tables of one database.
    pub(crate) fn named(mut self, names: &Names, kind: Kind) -> Self {
        if names.are_plain() {
            return self;
        }
        let text = match &self.text {
            Text::Built(text) => Some(Text::Built(names.rewrite(text).into())),
            Text::BuiltCopy(_) => None,
            Text::Literal(sql) => sql.text(kind).and_then(|text| names.literal(text)).map(|text| match sql {
                Sql::Copy(_) => Text::BuiltCopy(text),
                _ => Text::Built(text),
            }),
        };
        // What has no text on this database is passed over there.
        if let Some(text) = text {
            self.text = text;
        }
        self
    }

    /// Gives the next parameter its value.
    pub(crate) fn bind(mut self, value: impl Bind) -> Self {
        self.tenant = self.tenant.or_else(|| value.tenant());
        self.values.push(value.into_value());
        self
    }

    /// Says of its transaction that it deletes what somebody wants to have gone, or that nobody
    /// gets to that without it: on a full disk, SQLite has [room](super::sqlite) for it yet.
    pub(crate) fn uses_reserve(mut self) -> Self {
        self.uses_reserve = true;
        self
    }

    /// Undoes the transaction unless the statement touches exactly `rows`.
    pub(crate) fn expect_touched(mut self, rows: usize) -> Self {
        self.expected = Expected::Touched(rows as u64);
        self
    }

    /// Undoes the transaction unless the statement returns a row. One that writes
    /// must be made so that it writes nothing when it returns none: as the only
    /// statement, it then needs no transaction around it, which saves two round
    /// trips.
    pub(crate) fn expect_returned(mut self) -> Self {
        self.expected = Expected::Returned;
        self
    }
}

/// A statement whose text is put together, for the one that needs it: a filter on
/// documents is a tree that the user gives. Everything else is a literal.
pub(crate) struct Builder {
    text: String,
    values: Vec<Value>,
    tenant: Option<TenantId>,
}

impl Builder {
    /// Begins with `text`.
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text: text.to_owned(), values: Vec::new(), tenant: None }
    }

    /// Appends a piece of SQL: never what a user wrote.
    pub(crate) fn push(&mut self, text: &'static str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends a parameter with its value.
    pub(crate) fn bind(&mut self, value: impl Bind) -> &mut Self {
        self.tenant = self.tenant.or_else(|| value.tenant());
        self.values.push(value.into_value());
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
        self
    }

    /// The statement.
    pub(crate) fn build(self) -> Statement {
        Statement {
            text: Text::Built(self.text.into()),
            values: self.values,
            expected: Expected::Anything,
            tenant: self.tenant,
            uses_reserve: false,
        }
    }
}

/// What came of a statement.
#[derive(Default)]
pub(crate) struct Outcome {
    /// The rows it returned.
    pub(crate) rows: Vec<Row>,
    /// How many rows it inserted, updated or deleted.
    pub(crate) touched: u64,
}

impl Expected {
    pub(crate) fn check(self, outcome: &Outcome) -> Result<(), DbError> {
        let (expected, got) = match self {
            Self::Anything => return Ok(()),
            Self::Touched(rows) => (rows, outcome.touched),
            Self::Returned => (1, outcome.rows.len() as u64),
        };
        if expected == got { Ok(()) } else { Err(DbError::RowCount { expected, got }) }
    }
}

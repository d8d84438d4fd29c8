//! Transactions of several statements that are the same on both databases but
//! for a few words.

use aimate_core::{Result, Scope};
use uuid::Uuid;

use crate::SqlStore;
use crate::database::{self, DbError, Sql, Statement, hex_list};
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;

/// One statement as each database says it; empty where it needs none.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

impl Pair {
    /// A statement that both databases say alike.
    pub(super) const fn same(text: &'static str) -> Self {
        Self { sqlite: text, postgres: text }
    }
}

/// The [`Pair`] of a macro that takes the database's name and gives the text.
macro_rules! pair {
    ($text:ident) => {
        $crate::knowledge::step::Pair { sqlite: $text!(sqlite), postgres: $text!(postgres) }
    };
}

/// Being one of the ids that are bound as `$n`.
macro_rules! among {
    (sqlite, $n:literal) => {
        concat!("IN (SELECT unhex(value) FROM json_each(", $n, "))")
    };
    (postgres, $n:literal) => {
        concat!("= ANY(", $n, ")")
    };
}

/// A table `r` with a column `value` out of the JSON array that is bound as `$n`.
macro_rules! rows {
    (sqlite, $n:literal) => {
        concat!("json_each(", $n, ") r")
    };
    (postgres, $n:literal) => {
        concat!("jsonb_array_elements(", $n, "::jsonb) AS r (value)")
    };
}

/// A part of a row of [`rows!`].
macro_rules! part {
    (sqlite, $n:literal, uuid) => {
        concat!("unhex(r.value ->> ", $n, ")")
    };
    (sqlite, $n:literal, $type:ident) => {
        concat!("(r.value ->> ", $n, ")")
    };
    (postgres, $n:literal, $type:ident) => {
        concat!("(r.value ->> ", $n, ")::", stringify!($type))
    };
}

/// That somebody works on a row of `documents` which is named by its id. Said so
/// that PostgreSQL does not look for it among all that wait.
macro_rules! is_processing {
    () => {
        "documents.status || '' = 'processing'"
    };
}

/// That a row of `documents` which is named by its id is of collection `$3`;
/// said so that PostgreSQL does not look for it among all of the collection.
macro_rules! is_of_collection {
    () => {
        "documents.collection_id IS NOT DISTINCT FROM $3"
    };
}

pub(super) use {among, is_of_collection, is_processing, pair, part, rows};

/// What a database takes where the other takes something else.
pub(super) trait Dialect {
    /// A list of ids, for [`among!`].
    type Ids;
    /// The text of a statement.
    fn text(&self, pair: Pair) -> &'static str;
    /// `ids` as a value.
    fn ids(&self, ids: &[Uuid]) -> Self::Ids;
}

impl Dialect for Sqlite {
    type Ids = String;
    fn text(&self, pair: Pair) -> &'static str {
        pair.sqlite
    }
    fn ids(&self, ids: &[Uuid]) -> String {
        hex_list(ids.iter().copied())
    }
}

impl Dialect for Postgres {
    type Ids = Vec<Uuid>;
    fn text(&self, pair: Pair) -> &'static str {
        pair.postgres
    }
    fn ids(&self, ids: &[Uuid]) -> Vec<Uuid> {
        ids.to_vec()
    }
}

/// One statement of a transaction: `$1` and `$2` are the scope's.
pub(super) struct Step(Statement);

/// One value of each of many rows, which only PostgreSQL takes.
pub(super) enum Array {
    Ints(Vec<i64>),
    MaybeInts(Vec<Option<i64>>),
    Reals(Vec<f32>),
    Texts(Vec<String>),
}

impl Step {
    /// `text` with the scope's values.
    pub(super) fn new(text: Pair, scope: &Scope) -> Self {
        let sql = match (text.sqlite, text.postgres) {
            ("", postgres) => Sql::Postgres(postgres),
            (sqlite, "") => Sql::Sqlite(sqlite),
            (sqlite, postgres) => Sql::Each { sqlite, postgres },
        };
        Self(sql.scoped(scope))
    }

    /// PostgreSQL's `COPY … FROM STDIN` with its rows.
    pub(super) fn copy(text: &'static str, _: &Scope, rows: Vec<u8>) -> Self {
        Self(Sql::Copy(text).bind(rows))
    }

    pub(super) fn id(self, id: Uuid) -> Self {
        Self(self.0.bind(id))
    }

    pub(super) fn maybe_id(self, id: Option<Uuid>) -> Self {
        Self(self.0.bind(id))
    }

    pub(super) fn ids(self, ids: Vec<Uuid>) -> Self {
        Self(self.0.bind(ids))
    }

    pub(super) fn int(self, value: i64) -> Self {
        Self(self.0.bind(value))
    }

    pub(super) fn maybe_int(self, value: Option<i64>) -> Self {
        Self(self.0.bind(value))
    }

    pub(super) fn text(self, value: String) -> Self {
        Self(self.0.bind(value))
    }

    pub(super) fn bytes(self, value: Vec<u8>) -> Self {
        Self(self.0.bind(value))
    }

    pub(super) fn array(self, array: Array) -> Self {
        Self(self.0.bind(match array {
            Array::Ints(values) => database::Array::ints(values),
            Array::MaybeInts(values) => database::Array::ints(values),
            Array::Reals(values) => database::Array::Reals(values),
            Array::Texts(values) => database::Array::texts(values),
        }))
    }

    /// Undoes the transaction unless the statement touches so many rows.
    pub(super) fn expect(self, rows: usize) -> Self {
        Self(self.0.expect_touched(rows))
    }
}

/// Runs `steps` in one transaction; returns whether it was stored, which it is
/// if each touched the rows that were expected of it.
pub(super) async fn run(store: &SqlStore, steps: Vec<Step>) -> Result<bool> {
    match store.database.transaction_of(steps.into_iter().map(|step| step.0).collect()).await {
        Ok(_) => Ok(true),
        Err(DbError::RowCount { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// [`run`] for what was made of rows that were read before: `false` too if one
/// of them went away, or somebody stored the same, so that it can be made anew.
pub(super) async fn run_if_unchanged(store: &SqlStore, steps: Vec<Step>) -> Result<bool> {
    match store.database.transaction_of(steps.into_iter().map(|step| step.0).collect()).await {
        Ok(_) => Ok(true),
        Err(DbError::RowCount { .. } | DbError::ForeignKey(_) | DbError::Unique(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

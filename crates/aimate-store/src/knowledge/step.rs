//! Transactions of several statements that are the same on both databases but
//! for a few words.

use aimate_core::{Error, ErrorKind, Result, Scope};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use crate::error::failure;
use crate::message::hex_list;
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;
use crate::statement::scoped;
use crate::{Database, SqlStore};

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
pub(super) struct Step {
    text: Pair,
    scope: Scope,
    values: Vec<Value>,
    /// Rows it must touch, else nothing of the transaction is stored.
    expected: Option<u64>,
}

enum Value {
    Id(Uuid),
    MaybeId(Option<Uuid>),
    Ids(Vec<Uuid>),
    Int(i64),
    MaybeInt(Option<i64>),
    Text(String),
    Bytes(Vec<u8>),
    Array(Array),
}

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
        Self { text, scope: *scope, values: Vec::new(), expected: None }
    }

    /// PostgreSQL's `COPY … FROM STDIN` with its rows.
    pub(super) fn copy(text: &'static str, scope: &Scope, rows: Vec<u8>) -> Self {
        Self::new(Pair { sqlite: "", postgres: text }, scope).bytes(rows)
    }

    pub(super) fn id(self, id: Uuid) -> Self {
        self.with(Value::Id(id))
    }

    pub(super) fn maybe_id(self, id: Option<Uuid>) -> Self {
        self.with(Value::MaybeId(id))
    }

    pub(super) fn ids(self, ids: Vec<Uuid>) -> Self {
        self.with(Value::Ids(ids))
    }

    pub(super) fn int(self, value: i64) -> Self {
        self.with(Value::Int(value))
    }

    pub(super) fn maybe_int(self, value: Option<i64>) -> Self {
        self.with(Value::MaybeInt(value))
    }

    pub(super) fn text(self, value: String) -> Self {
        self.with(Value::Text(value))
    }

    pub(super) fn bytes(self, value: Vec<u8>) -> Self {
        self.with(Value::Bytes(value))
    }

    pub(super) fn array(self, array: Array) -> Self {
        self.with(Value::Array(array))
    }

    /// Undoes the transaction unless the statement touches so many rows.
    pub(super) fn expect(mut self, rows: usize) -> Self {
        self.expected = Some(rows as u64);
        self
    }

    fn with(mut self, value: Value) -> Self {
        self.values.push(value);
        self
    }

    async fn on_sqlite(self, connection: &mut SqliteConnection) -> Result<()> {
        if self.text.sqlite.is_empty() {
            return Ok(());
        }
        let mut query = scoped(self.text.sqlite, &self.scope);
        for value in self.values {
            query = match value {
                Value::Id(id) => query.bind(id),
                Value::MaybeId(id) => query.bind(id),
                Value::Ids(ids) => query.bind(hex_list(ids)),
                Value::Int(value) => query.bind(value),
                Value::MaybeInt(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Bytes(value) => query.bind(value),
                Value::Array(_) => return Err(Error::internal("SQLite takes no arrays")),
            };
        }
        let done = query.execute(connection).await.map_err(failure)?;
        check(self.expected, done.rows_affected())
    }

    async fn on_postgres(mut self, connection: &mut PgConnection) -> Result<()> {
        let text = self.text.postgres;
        if text.is_empty() {
            return Ok(());
        }
        if text.starts_with("COPY") {
            let Some(Value::Bytes(rows)) = self.values.pop() else { return Ok(()) };
            let mut copy = connection.copy_in_raw(text).await.map_err(failure)?;
            copy.send(rows).await.map_err(failure)?;
            let copied = copy.finish().await.map_err(failure)?;
            return check(self.expected, copied);
        }
        let mut query = scoped(text, &self.scope);
        for value in self.values {
            query = match value {
                Value::Id(id) => query.bind(id),
                Value::MaybeId(id) => query.bind(id),
                Value::Ids(ids) => query.bind(ids),
                Value::Int(value) => query.bind(value),
                Value::MaybeInt(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Bytes(value) => query.bind(value),
                Value::Array(Array::Ints(values)) => query.bind(values),
                Value::Array(Array::MaybeInts(values)) => query.bind(values),
                Value::Array(Array::Reals(values)) => query.bind(values),
                Value::Array(Array::Texts(values)) => query.bind(values),
            };
        }
        let done = query.execute(connection).await.map_err(failure)?;
        check(self.expected, done.rows_affected())
    }
}

fn check(expected: Option<u64>, touched: u64) -> Result<()> {
    match expected {
        // A kind that no failure of the database has.
        Some(expected) if expected != touched => {
            Err(Error::unsupported("other rows were touched than expected"))
        }
        _ => Ok(()),
    }
}

/// Runs `steps` in one transaction; returns whether it was stored, which it is
/// if each touched the rows that were expected of it.
pub(super) async fn run(store: &SqlStore, steps: Vec<Step>) -> Result<bool> {
    let done = match &store.database {
        Database::Sqlite(db) => {
            db.transaction(|connection| {
                Box::pin(async {
                    for step in steps {
                        step.on_sqlite(&mut *connection).await?;
                    }
                    Ok(())
                })
            })
            .await
        }
        Database::Postgres(db) => {
            db.transaction(|connection| {
                Box::pin(async {
                    for step in steps {
                        step.on_postgres(&mut *connection).await?;
                    }
                    Ok(())
                })
            })
            .await
        }
    };
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(false),
        Err(error) => Err(error),
    }
}

/// [`run`] for what was made of rows that were read before: `false` too if one
/// of them went away, or somebody stored the same, so that it can be made anew.
pub(super) async fn run_if_unchanged(store: &SqlStore, steps: Vec<Step>) -> Result<bool> {
    match run(store, steps).await {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Conflict) => Ok(false),
        done => done,
    }
}

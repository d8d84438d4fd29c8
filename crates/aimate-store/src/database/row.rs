//! A row of either database.

use aimate_core::{Error, Result};
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::row::{Cell, Columns};

/// A row of either database.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! either {
    ($row:expr, $read:ident($($argument:expr)?)) => {
        match $row {
            Row::Sqlite(row) => Columns::$read(row, $($argument)?),
            Row::Postgres(row) => Columns::$read(row, $($argument)?),
        }
    };
}

impl Columns for Row {
    fn uuid(&self, column: &str) -> sqlx::Result<Option<Uuid>> {
        either!(self, uuid(column))
    }
    fn int(&self, column: &str) -> sqlx::Result<Option<i64>> {
        either!(self, int(column))
    }
    fn real(&self, column: &str) -> sqlx::Result<Option<f64>> {
        either!(self, real(column))
    }
    fn flag(&self, column: &str) -> sqlx::Result<Option<bool>> {
        either!(self, flag(column))
    }
    fn text(&self, column: &str) -> sqlx::Result<Option<String>> {
        either!(self, text(column))
    }
    fn bytes(&self, column: &str) -> sqlx::Result<Option<Vec<u8>>> {
        either!(self, bytes(column))
    }
    fn has(&self, column: &str) -> bool {
        either!(self, has(column))
    }
    fn json_value<T: DeserializeOwned>(&self, column: &str) -> sqlx::Result<Option<T>> {
        either!(self, json_value(column))
    }
}

impl Row {
    /// The column's value.
    pub(crate) fn get<T: Cell>(&self, column: &str) -> Result<T> {
        Columns::get(self, column)
    }

    /// The column's value, `None` if it is NULL.
    pub(crate) fn maybe<T: Cell>(&self, column: &str) -> Result<Option<T>> {
        Columns::maybe(self, column)
    }

    /// The column's JSON as a `T`.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T> {
        Columns::json(self, column)
    }

    /// The column's JSON as a `T`, `None` if it is NULL.
    pub(crate) fn maybe_json<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>> {
        Columns::maybe_json(self, column)
    }

    /// The column's text as the enum it names.
    pub(crate) fn name<T: std::str::FromStr<Err = Error>>(&self, column: &str) -> Result<T> {
        Columns::name(self, column)
    }
}

/// What `read` makes of each row.
pub(crate) fn each<T>(rows: &[Row], read: impl Fn(&Row) -> Result<T>) -> Result<Vec<T>> {
    rows.iter().map(read).collect()
}

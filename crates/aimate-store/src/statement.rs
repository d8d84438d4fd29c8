//! Putting statements together.

use aimate_core::{Cursor, Error, Page, PageRequest, Result, Scope, Timestamp};
use sqlx::query::Query;
use sqlx::{Database, Encode, Execute as _, IntoArguments, QueryBuilder, Type, query, query_with};
use uuid::Uuid;

/// A statement whose first two values are the scope's: `$1` the tenant, `$2`
/// the user.
pub(crate) fn scoped<DB>(sql: &'static str, scope: &Scope) -> Query<'static, DB, DB::Arguments>
where
    DB: Database,
    Uuid: for<'q> Encode<'q, DB> + Type<DB>,
{
    query(sql).bind(scope.tenant.0).bind(scope.user.0)
}

/// The statement out of `builder`, free of its lifetime.
pub(crate) fn built<DB>(mut builder: QueryBuilder<DB>) -> Query<'static, DB, DB::Arguments>
where
    DB: Database,
    DB::Arguments: IntoArguments<DB>,
{
    // Invariant: a builder holds its values until it is built, and they are
    // encoded already.
    let values = builder.build().take_arguments().ok().flatten().unwrap_or_default();
    query_with(builder.into_sql(), values)
}

/// How many rows to fetch for a page: one more tells that there is a next page.
pub(crate) fn rows_of(page: PageRequest) -> i64 {
    i64::from(page.limit) + 1
}

/// Ids of an ascending list are greater than this.
pub(crate) fn after(page: PageRequest) -> Uuid {
    page.after.map_or(Uuid::nil(), |cursor| cursor.id)
}

/// Ids of a descending list are less than this.
pub(crate) fn before(page: PageRequest) -> Uuid {
    page.after.map_or(Uuid::max(), |cursor| cursor.id)
}

/// The page out of rows that are listed by id alone.
pub(crate) fn page_by_id<T>(rows: Vec<T>, page: PageRequest, id: impl Fn(&T) -> Uuid) -> Page<T> {
    Page::of(rows, page.limit, |row| Cursor { at: Timestamp(0), id: id(row) })
}

/// Turns "no row" into `missing`.
pub(crate) fn found<T>(row: Option<T>, missing: impl FnOnce() -> Error) -> Result<T> {
    row.ok_or_else(missing)
}

//! Putting statements together.

use aimate_core::Scope;
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

pub(crate) use crate::page::{before, or_not_found as found, page_by_id, rows_of};

//! Filters on documents, as conditions of SQL. Their meaning is
//! [`Filter::matches`]; only operators and names of columns become text, keys
//! and values are bound.

mod postgres;
mod sqlite;

use std::collections::HashSet;

use aimate_core::knowledge::{Filter, FilterField};
use aimate_core::{CollectionId, DocumentId, Result, Scope};
use serde_json::Value;
use sqlx::{Database, Encode, QueryBuilder, Type};
use uuid::Uuid;

use crate::SqlStore;
use crate::row::Columns as _;
use crate::statement::built;
use crate::value::text;

/// The documents of `collections` that pass `filter`, among those with findable
/// chunks.
pub(super) async fn allowed(
    store: &SqlStore,
    scope: &Scope,
    collections: &[CollectionId],
    filter: &Filter,
) -> Result<HashSet<DocumentId>> {
    on!(store, |db| {
        let rows = db.read(built(statement(scope, collections, filter)?)).await?;
        rows.iter().map(|row| row.get("id")).collect()
    })
}

fn statement<DB: Dialect>(
    scope: &Scope,
    collections: &[CollectionId],
    filter: &Filter,
) -> Result<QueryBuilder<DB>>
where
    Uuid: for<'q> Encode<'q, DB> + Type<DB>,
{
    let mut query = QueryBuilder::new("SELECT d.id FROM documents d WHERE d.tenant_id = ");
    query.push_bind(scope.tenant.0).push(" AND d.user_id = ").push_bind(scope.user.0);
    query.push(" AND d.segment_id IS NOT NULL AND d.collection_id ");
    DB::among(&mut query, collections.iter().map(|id| id.0));
    query.push(" AND ");
    condition(filter, &mut query)?;
    Ok(query)
}

/// Appends `filter` as a condition on the row `d` of `documents`, which is true
/// or false, never NULL.
pub(super) fn condition<DB: Dialect>(filter: &Filter, query: &mut QueryBuilder<DB>) -> Result<()> {
    match filter {
        Filter::And(all) => several(all, "TRUE", " AND ", query)?,
        Filter::Or(any) => several(any, "FALSE", " OR ", query)?,
        Filter::Not(one) => {
            query.push("NOT (");
            condition(one, query)?;
            query.push(")");
        }
        Filter::Eq { field, value } => {
            DB::one_of(query, &Filter::field(field)?, &Values::of(std::slice::from_ref(value)));
        }
        Filter::In { field, values } => DB::one_of(query, &Filter::field(field)?, &Values::of(values)),
        Filter::Range { field, gt, gte, lt, lte } => {
            let field = Filter::field(field)?;
            query.push("(");
            DB::exists(query, &field);
            for (operator, bound) in [(">", gt), (">=", gte), ("<", lt), ("<=", lte)] {
                if let Some(bound) = bound {
                    query.push(" AND ");
                    DB::compare(query, &field, operator, bound);
                }
            }
            query.push(")");
        }
        Filter::Contains { field, value } => DB::contains(query, &Filter::field(field)?, value),
        Filter::Exists { field } => DB::exists(query, &Filter::field(field)?),
    }
    Ok(())
}

fn several<DB: Dialect>(
    filters: &[Filter],
    none: &str,
    between: &str,
    query: &mut QueryBuilder<DB>,
) -> Result<()> {
    if filters.is_empty() {
        query.push(none);
        return Ok(());
    }
    for (n, filter) in filters.iter().enumerate() {
        query.push(if n == 0 { "(" } else { between });
        condition(filter, query)?;
    }
    query.push(")");
    Ok(())
}

/// How a database says the conditions on one field, each true or false, never
/// NULL.
pub(super) trait Dialect: Database {
    /// `IN` these ids.
    fn among(query: &mut QueryBuilder<Self>, ids: impl Iterator<Item = Uuid>);
    /// The field is one of `values`.
    fn one_of(query: &mut QueryBuilder<Self>, field: &FilterField<'_>, values: &Values);
    /// The field is of the type of `bound` and on this side of it.
    fn compare(
        query: &mut QueryBuilder<Self>,
        field: &FilterField<'_>,
        operator: &'static str,
        bound: &Value,
    );
    /// The field is a list that has `value`, or a string with it inside.
    fn contains(query: &mut QueryBuilder<Self>, field: &FilterField<'_>, value: &Value);
    /// The field is there and not null.
    fn exists(query: &mut QueryBuilder<Self>, field: &FilterField<'_>);
}

/// The values of a condition by type; others equal nothing.
#[derive(Default)]
pub(super) struct Values {
    strings: Vec<String>,
    numbers: Vec<f64>,
    flags: Vec<bool>,
}

impl Values {
    fn of(values: &[Value]) -> Self {
        let mut all = Self::default();
        for value in values {
            match value {
                Value::String(string) => all.strings.push(text(string).into_owned()),
                Value::Number(number) => all.numbers.extend(number.as_f64()),
                Value::Bool(flag) => all.flags.push(*flag),
                Value::Null | Value::Array(_) | Value::Object(_) => {}
            }
        }
        all
    }
}

/// The column of a document that a field names; its id is not text.
fn own_column(name: &str) -> Option<&'static str> {
    match name {
        "name" => Some("d.name"),
        "title" => Some("d.title"),
        "source" => Some("d.source"),
        "media_type" => Some("d.media_type"),
        _ => None,
    }
}

//! Filters on documents, as conditions of SQL. Their meaning is
//! [`Filter::matches`]; only operators and names of columns become text, keys
//! and values are bound.

mod dialect;
mod postgres;
mod sqlite;

use std::collections::HashSet;

use aimate_core::knowledge::Filter;
use aimate_core::{CollectionId, DocumentId, Result, Scope, UserId};

use crate::database::{Builder, Statement};
use crate::{Kind, SqlStore};
use dialect::{Dialect, Values};
use postgres::PostgresDialect;
use sqlite::SqliteDialect;

/// The documents of `collections` that pass `filter`, among those with findable
/// chunks.
pub(super) async fn allowed(
    store: &SqlStore,
    scope: &Scope,
    collections: &[CollectionId],
    filter: &Filter,
) -> Result<HashSet<DocumentId>> {
    let statement = match store.database.kind() {
        Kind::Sqlite => statement::<SqliteDialect>(scope, collections, filter)?,
        Kind::Postgres => statement::<PostgresDialect>(scope, collections, filter)?,
    };
    store.database.read(statement).await?.iter().map(|row| row.get("id")).collect()
}

fn statement<D: Dialect>(scope: &Scope, collections: &[CollectionId], filter: &Filter) -> Result<Statement> {
    let mut query = Builder::new("SELECT d.id FROM documents d WHERE d.tenant_id = ");
    query.bind(scope.tenant).push(" AND (d.user_id IN (").bind(scope.user);
    query.push(", ").bind(UserId::SHARED);
    // Or of a workspace that the user is in.
    query.push(") OR (SELECT a.role FROM collections c CROSS JOIN workspace_access a WHERE c.tenant_id = ");
    query.bind(scope.tenant).push(" AND c.id = d.collection_id AND a.tenant_id = ").bind(scope.tenant);
    query.push(" AND a.user_id = ").bind(scope.user);
    query.push(" AND a.workspace_id = c.workspace_id) IS NOT NULL)");
    query.push(" AND d.segment_id IS NOT NULL AND d.collection_id ");
    D::among(&mut query, collections.iter().map(|id| id.0).collect());
    query.push(" AND ");
    condition::<D>(filter, &mut query)?;
    Ok(query.build())
}

/// Appends `filter` as a condition on the row `d` of `documents`. It is true or
/// false, never NULL: `NOT` of NULL would be NULL and let nothing through.
fn condition<D: Dialect>(filter: &Filter, query: &mut Builder) -> Result<()> {
    match filter {
        Filter::And(all) => several::<D>(all, "TRUE", " AND ", query)?,
        Filter::Or(any) => several::<D>(any, "FALSE", " OR ", query)?,
        Filter::Not(one) => {
            query.push("NOT (");
            condition::<D>(one, query)?;
            query.push(")");
        }
        Filter::Eq { field, value } => {
            D::one_of(query, &Filter::field(field)?, &Values::of(std::slice::from_ref(value)));
        }
        Filter::In { field, values } => D::one_of(query, &Filter::field(field)?, &Values::of(values)),
        Filter::Range { field, gt, gte, lt, lte } => {
            let field = Filter::field(field)?;
            query.push("(");
            D::exists(query, &field);
            for (operator, bound) in [(">", gt), (">=", gte), ("<", lt), ("<=", lte)] {
                if let Some(bound) = bound {
                    query.push(" AND ");
                    D::compare(query, &field, operator, bound);
                }
            }
            query.push(")");
        }
        Filter::Contains { field, value } => D::contains(query, &Filter::field(field)?, value),
        Filter::Exists { field } => D::exists(query, &Filter::field(field)?),
    }
    Ok(())
}

fn several<D: Dialect>(
    filters: &[Filter],
    none: &'static str,
    between: &'static str,
    query: &mut Builder,
) -> Result<()> {
    if filters.is_empty() {
        query.push(none);
        return Ok(());
    }
    for (n, filter) in filters.iter().enumerate() {
        query.push(if n == 0 { "(" } else { between });
        condition::<D>(filter, query)?;
    }
    query.push(")");
    Ok(())
}

//! Filters on documents. Their meaning is [`Filter::matches`].
//!
//! A search takes them as [conditions](condition) on the attributes of segments. What these
//! do not tell is asked of the database, as a condition of SQL: documents that have changed
//! since their segment was written, and texts that are too long to be attributes. Only
//! operators and names of columns become text there, keys and values are bound.

mod condition;
mod dialect;
mod postgres;
mod sqlite;

use std::collections::{HashMap, HashSet};

use aimate_core::knowledge::{Filter, SearchScope};
use aimate_core::{DocumentId, Result, Scope, UserId};
use uuid::Uuid;

use crate::database::{Builder, Sql, Statement};
use crate::{Kind, SqlStore};
use dialect::{Dialect, Values};
use postgres::PostgresDialect;
use sqlite::SqliteDialect;

pub(super) use condition::{BlocksByTerm, Condition, SegmentAttributes};

/// One row if a document of the collections has changed since its segment was written.
const ANY_CHANGED: Sql = Sql::Each {
    sqlite: "SELECT id FROM documents WHERE tenant_id = $1 AND collection_id IN (SELECT unhex(value) FROM \
        json_each($2)) AND segment_id IS NOT NULL AND attributes_version <> indexed_version LIMIT 1",
    postgres: "SELECT id FROM documents WHERE tenant_id = $1 AND collection_id = ANY($2) \
        AND segment_id IS NOT NULL AND attributes_version <> indexed_version LIMIT 1",
};

/// Documents whose segment does not tell whether they pass a filter: they have changed since
/// it was written.
#[derive(Default)]
pub(super) struct ChangedDocuments {
    /// Whether each passes.
    pub(super) passes: HashMap<Uuid, bool>,
    /// Where they were when this was asked.
    pub(super) segments: HashSet<Uuid>,
}

/// The changed documents of the target's collections. To be asked before segments are
/// listed: one that is written anew meanwhile has the same to say.
pub(super) async fn changed(
    store: &SqlStore,
    scope: &Scope,
    target: &SearchScope,
    filter: &Filter,
) -> Result<ChangedDocuments> {
    let collections: Vec<Uuid> = target.collections.iter().map(|id| id.0).collect();
    let mut changed = ChangedDocuments::default();
    let any = store.database.read_first(ANY_CHANGED.bind(scope.tenant).bind(collections)).await?;
    if any.is_none() {
        return Ok(changed);
    }
    let statement = match store.database.kind() {
        Kind::Sqlite => of_changed::<SqliteDialect>(scope, target, filter)?,
        Kind::Postgres => of_changed::<PostgresDialect>(scope, target, filter)?,
    };
    for row in &store.database.read(statement).await? {
        changed.passes.insert(row.get("id")?, row.get("passes")?);
        changed.segments.insert(row.get("segment_id")?);
    }
    Ok(changed)
}

/// The documents of the target's collections that pass `filter`, among those with findable
/// chunks.
pub(super) async fn passing(
    store: &SqlStore,
    scope: &Scope,
    target: &SearchScope,
    filter: &Filter,
) -> Result<HashSet<DocumentId>> {
    let statement = match store.database.kind() {
        Kind::Sqlite => of_all::<SqliteDialect>(scope, target, filter)?,
        Kind::Postgres => of_all::<PostgresDialect>(scope, target, filter)?,
    };
    store.database.read(statement).await?.iter().map(|row| row.get("id")).collect()
}

fn of_all<D: Dialect>(scope: &Scope, target: &SearchScope, filter: &Filter) -> Result<Statement> {
    let mut query = Builder::new("SELECT d.id FROM documents d WHERE ");
    findable::<D>(scope, target, &mut query);
    query.push(" AND ");
    condition::<D>(filter, &mut query)?;
    Ok(query.build())
}

fn of_changed<D: Dialect>(scope: &Scope, target: &SearchScope, filter: &Filter) -> Result<Statement> {
    let mut query = Builder::new("SELECT d.id, d.segment_id, ");
    condition::<D>(filter, &mut query)?;
    query.push(" AS passes FROM documents d WHERE ");
    findable::<D>(scope, target, &mut query);
    query.push(" AND d.attributes_version <> d.indexed_version");
    Ok(query.build())
}

/// Appends that the row `d` of `documents` is in a collection of the target that is the
/// user's, shared, or of a workspace that the user is in.
fn findable<D: Dialect>(scope: &Scope, target: &SearchScope, query: &mut Builder) {
    query.push("d.tenant_id = ").bind(scope.tenant).push(" AND (d.user_id IN (").bind(scope.user);
    query.push(", ").bind(UserId::SHARED);
    query.push(") OR (SELECT a.role FROM collections c CROSS JOIN workspace_access a WHERE c.tenant_id = ");
    query.bind(scope.tenant).push(" AND c.id = d.collection_id AND a.tenant_id = ").bind(scope.tenant);
    query.push(" AND a.user_id = ").bind(scope.user);
    query.push(" AND a.workspace_id = c.workspace_id) IS NOT NULL)");
    query.push(" AND d.segment_id IS NOT NULL AND d.collection_id ");
    D::among(query, target.collections.iter().map(|id| id.0).collect());
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

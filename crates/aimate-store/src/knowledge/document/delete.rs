//! Deleting documents with all that hangs on them: chunks, vectors, and what the
//! index has of them.

use std::collections::HashMap;

use aimate_core::knowledge::Blob;
use aimate_core::{CollectionId, DocumentId, Result, Scope};
use uuid::Uuid;

use crate::SqlStore;
use crate::database::{Row, Sql, Statement, each};
use crate::knowledge::contention::{MAX_ATTEMPTS, contention_error, is_stored};
use crate::knowledge::index::{IndexChange, Leaving, active_space};
use crate::knowledge::rows::blob;

const FIND: Sql = Sql::Each {
    sqlite: "SELECT id, collection_id, segment_id, blob_id FROM documents \
        WHERE tenant_id = $1 AND user_id = $2 AND id IN (SELECT unhex(value) FROM json_each($3))",
    postgres: "SELECT id, collection_id, segment_id, blob_id FROM documents \
        WHERE tenant_id = $1 AND user_id = $2 AND id = ANY($3)",
};
/// The bytes of what [`DELETE`] deletes; PostgreSQL does both in one statement, since
/// another upload may come in between two.
const LOOSEN: Sql = Sql::Sqlite(
    "INSERT INTO loose_blobs (tenant_id, id) SELECT tenant_id, blob_id FROM documents \
     WHERE tenant_id = $1 AND user_id = $2 AND id IN (SELECT unhex(value) FROM json_each($3)) \
     AND (segment_id IS NULL OR segment_id IN (SELECT unhex(value) FROM json_each($4))) \
     ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL",
);
/// A document that came into the index, or into another segment, since it was
/// looked at is not deleted: that segment would keep its chunks.
const DELETE: Sql = Sql::Each {
    sqlite: "DELETE FROM documents WHERE tenant_id = $1 AND user_id = $2 \
        AND id IN (SELECT unhex(value) FROM json_each($3)) \
        AND (segment_id IS NULL OR segment_id IN (SELECT unhex(value) FROM json_each($4)))",
    postgres: "WITH gone AS (DELETE FROM documents WHERE tenant_id = $1 AND user_id = $2 AND id = ANY($3) \
            AND (segment_id IS NULL OR segment_id = ANY($4)) RETURNING tenant_id, blob_id) \
        INSERT INTO loose_blobs (tenant_id, id) SELECT tenant_id, blob_id FROM gone \
        ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL",
};

/// See [`DocumentStore::delete`](aimate_core::knowledge::DocumentStore::delete).
pub(super) async fn delete(store: &SqlStore, scope: &Scope, ids: &[DocumentId]) -> Result<Vec<Blob>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let mut writing = None;
    for _ in 0..MAX_ATTEMPTS {
        let rows = store.database.read(FIND.scoped(scope).bind(ids.clone())).await?;
        let found = each(&rows, |row| IndexedDocument::of(scope, row))?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        if writing.is_none() && found.iter().any(|document| document.segment.is_some()) {
            // Only who rewrites a segment has to wait for other writers; and what was
            // read before the wait may no longer be true.
            writing = Some(store.index.lock_writers(found.iter().map(|one| one.collection)).await);
            continue;
        }
        if let Some(statements) = deletion(store, scope, &found).await?
            && is_stored(store.database.transaction_of(statements).await)?
        {
            return Ok(found.into_iter().map(|document| document.blob).collect());
        }
    }
    Err(contention_error())
}

/// A document with its place in the index.
struct IndexedDocument {
    id: DocumentId,
    collection: CollectionId,
    segment: Option<Uuid>,
    blob: Blob,
}

impl IndexedDocument {
    fn of(scope: &Scope, row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            collection: row.get("collection_id")?,
            segment: row.maybe("segment_id")?,
            blob: blob(scope.tenant, row)?,
        })
    }
}

/// The statements that delete the documents; `None` if a segment is not there any
/// more.
async fn deletion(
    store: &SqlStore,
    scope: &Scope,
    documents: &[IndexedDocument],
) -> Result<Option<Vec<Statement>>> {
    let mut leaving: HashMap<CollectionId, Leaving> = HashMap::new();
    for document in documents {
        let segments = leaving.entry(document.collection).or_default();
        if let Some(segment) = document.segment {
            segments.entry(segment).or_default().insert(document.id.0);
        }
    }
    let mut changes = Vec::with_capacity(leaving.len());
    for (collection, leaving) in leaving {
        let active = active_space(store, scope, collection).await?;
        let change = IndexChange::without(store, scope, collection, active, leaving).await?;
        let Some(change) = change else { return Ok(None) };
        changes.push(change);
    }
    // Each locks its collection: in one order, so that two deletions cannot deadlock.
    changes.sort_by_key(|change| change.collection);
    let removed: Vec<Uuid> = changes.iter().flat_map(|change| change.removed.iter().copied()).collect();
    let ids: Vec<Uuid> = documents.iter().map(|document| document.id.0).collect();
    let mut statements: Vec<Statement> =
        changes.iter().flat_map(|change| change.remove_statements(scope)).collect();
    statements.push(LOOSEN.scoped(scope).bind(ids.clone()).bind(removed.clone()));
    statements.push(DELETE.scoped(scope).bind(ids).bind(removed).expect_touched(documents.len()));
    for change in changes {
        statements.extend(change.add_statements(scope)?);
    }
    Ok(Some(statements))
}

//! Work on documents before they are published, and work that ends without it.

use std::collections::HashSet;

use aimate_core::knowledge::{Fence, Finish, SpaceVectors};
use aimate_core::{CollectionId, DocumentId, Error, Result, Scope, Timestamp};
use serde::Serialize;

use super::chunk_rows::DELETE_STRAY_VECTORS;
use super::fences::FencedDocuments;
use crate::SqlStore;
use crate::database::{DbError, Sql, each};
use crate::knowledge::contention::{MAX_ATTEMPTS, contention_error, is_stored_if_unchanged};
use crate::knowledge::ownership::{check_collection, check_document};
use crate::value::json;

/// Each `[document, attempt, progress]` of the array `$4`. SQLite goes through a collection for a key
/// that is told by a row of values alone, and by keys for a list of them. Progress resets the retry
/// counter: a document that comes on is not what crashes its worker.
const MARK_PROGRESS: Sql = Sql::Each {
    sqlite: "UPDATE documents SET tries = 0, progress = (r.value ->> 2) FROM json_each($4) r \
        WHERE documents.tenant_id = $1 AND documents.user_id = $2 \
        AND documents.collection_id IS NOT DISTINCT FROM $3 AND documents.id = unhex(r.value ->> 0) \
        AND documents.id IN (SELECT unhex(value ->> 0) FROM json_each($4)) \
        AND documents.attempt = (r.value ->> 1) AND documents.status || '' = 'processing' RETURNING id",
    postgres: "UPDATE documents SET tries = 0, progress = (r.value ->> 2)::float8 \
        FROM jsonb_array_elements($4::jsonb) AS r (value) \
        WHERE documents.tenant_id = $1 AND documents.user_id = $2 \
        AND documents.collection_id IS NOT DISTINCT FROM $3 AND documents.id = (r.value ->> 0)::uuid \
        AND documents.attempt = (r.value ->> 1)::bigint AND documents.status || '' = 'processing' \
        RETURNING documents.id",
};
/// The retry counter stays.
const MARK_READING: Sql = Sql::Same(
    "UPDATE documents SET progress = $5 \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND attempt = $4 AND status || '' = 'processing' RETURNING id",
);
const FAIL: Sql = Sql::Same(
    "UPDATE documents SET status = 'failed', error = $5, worker_id = NULL, updated_at = $6 \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND attempt = $4 AND status || '' = 'processing'",
);
const RETRY: Sql = Sql::Same(
    "UPDATE documents SET status = 'pending', error = $5, not_before = $7, tries = $8, worker_id = NULL, \
     updated_at = $6 \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND attempt = $4 AND status || '' = 'processing'",
);

/// A row of [`MARK_PROGRESS`].
fn progress_row((fence, progress): &(Fence, f32)) -> impl Serialize + use<> {
    (fence.document.0.simple(), fence.attempt, *progress)
}

/// See [`IngestStore::mark_reading`](aimate_core::knowledge::IngestStore::mark_reading).
pub(super) async fn mark_reading(
    store: &SqlStore,
    scope: &Scope,
    fence: Fence,
    progress: f32,
) -> Result<bool> {
    let mark = MARK_READING.scoped(scope).bind(fence.document).bind(fence.attempt).bind(f64::from(progress));
    if store.database.write(mark).await?.is_empty() {
        check_document(store, scope, fence.document).await?;
        return Ok(false);
    }
    Ok(true)
}

/// See [`IngestStore::mark_progress`](aimate_core::knowledge::IngestStore::mark_progress).
pub(super) async fn mark(
    store: &SqlStore,
    scope: &Scope,
    collection: CollectionId,
    documents: &[(Fence, f32)],
) -> Result<Vec<DocumentId>> {
    let rows: Vec<_> = documents.iter().map(progress_row).collect();
    let mark = MARK_PROGRESS.scoped(scope).bind(collection).bind(json(&rows)?);
    let marked = each(&store.database.write(mark).await?, |row| row.get("id"))?;
    if marked.is_empty() {
        check_collection(store, scope, collection).await?;
    }
    Ok(marked)
}

/// See [`IngestStore::store_vectors`](aimate_core::knowledge::IngestStore::store_vectors).
pub(super) async fn store_vectors(
    store: &SqlStore,
    scope: &Scope,
    collection: CollectionId,
    documents: &[(Fence, f32)],
    vectors: &[SpaceVectors],
) -> Result<Vec<DocumentId>> {
    let named: HashSet<DocumentId> = documents.iter().map(|(fence, _)| fence.document).collect();
    if vectors.iter().flat_map(|vectors| &vectors.vectors).any(|(_, document, _)| !named.contains(document)) {
        return Err(Error::invalid("a vector comes without the fence of its document"));
    }
    let fences: Vec<Fence> = documents.iter().map(|(fence, _)| *fence).collect();
    for attempt in 0..MAX_ATTEMPTS {
        let fenced = FencedDocuments::read(store, scope, collection, &fences).await?;
        // After a failed transaction the vectors may be there: somebody stored the same.
        let may_exist = attempt > 0 || !fenced.is_first_attempt();
        let vectors = fenced.store_vectors(store.database.kind(), scope, vectors, may_exist)?;
        let holds = documents.iter().filter(|(fence, _)| fenced.fences.contains_key(fence));
        let rows: Vec<_> = holds.map(progress_row).collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        // First: it locks the documents and checks their fences before anything large
        // is written.
        let mark = MARK_PROGRESS.scoped(scope).bind(collection).bind(json(&rows)?);
        let mut statements = vec![mark.expect_touched(rows.len())];
        statements.extend(vectors);
        if is_stored_if_unchanged(store.database.transaction_of(statements).await)? {
            return Ok(fenced.fences.into_keys().map(|fence| fence.document).collect());
        }
    }
    Err(contention_error())
}

/// See [`IngestStore::finish`](aimate_core::knowledge::IngestStore::finish).
pub(super) async fn finish(
    store: &SqlStore,
    scope: &Scope,
    fence: Fence,
    finish: &Finish,
    now: Timestamp,
) -> Result<()> {
    let bound = |sql: Sql, error| {
        let statement = sql.scoped(scope).bind(fence.document).bind(fence.attempt);
        Ok::<_, Error>(statement.bind(json(error)?).bind(now))
    };
    let statements = match finish {
        Finish::Failed(error) => {
            let delete_vectors = DELETE_STRAY_VECTORS.bind(scope.tenant).bind(vec![fence.document.0]);
            vec![bound(FAIL, error)?.expect_touched(1), delete_vectors]
        }
        Finish::Retry { not_before, error, tries } => {
            vec![bound(RETRY, error)?.bind(*not_before).bind(*tries).expect_touched(1)]
        }
    };
    match store.database.transaction_of(statements).await {
        Ok(_) => Ok(()),
        Err(DbError::RowCount { .. }) => {
            check_document(store, scope, fence.document).await?;
            Err(Error::conflict(format!(
                "attempt {} at this document is over: another one took its place",
                fence.attempt
            )))
        }
        Err(error) => Err(error.into()),
    }
}

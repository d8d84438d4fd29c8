//! Documents and their chunks.

pub(crate) mod delete;
pub(crate) mod quota;

use std::collections::HashMap;

use aimate_core::knowledge::{
    Blob, Chunk, Document, DocumentError, DocumentFilter, DocumentMove, DocumentStore, StorageAmount,
    StorageQuotas, StorageUse,
};
use aimate_core::{
    BlobId, CollectionId, DocumentId, Error, Page, PageRequest, Result, Scope, Timestamp, UserId, WorkerId,
};
use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::rows::{chunk, document};
use super::{loose, ownership};
use crate::database::{Array, DbError, Sql, Statement, each};
use crate::page::{before, merged_page, or_not_found, page_by_id, rows_of};
use crate::user::owners;
use crate::value::{count, json, text};
use crate::{Kind, SqlStore};

/// Into a collection of the user's, or into none; and only if its upload was not given
/// up. One of the same source is replaced in its place: what is findable of it stays,
/// and its title with it, until its new version is published. What was attached from a file is the
/// document's own from then on: the bytes before were the file's.
const ADD: Sql = Sql::Same(
    "INSERT INTO documents (tenant_id, user_id, collection_id, id, name, title, source, source_hash, \
     media_type, size, content_hash, blob_id, metadata, created_at, updated_at, status, progress, chunk_count, \
     warnings, attempt, tries, not_before) \
     SELECT c.tenant_id, c.user_id, c.id, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 'pending', 0, 0, \
     '[]', 0, 0, 0 FROM collections c WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3 \
     AND NOT EXISTS (SELECT 1 FROM loose_blobs l WHERE l.tenant_id = $1 AND l.id = $12) \
     ON CONFLICT (tenant_id, collection_id, source_hash) WHERE source_hash IS NOT NULL DO UPDATE SET \
     name = excluded.name, media_type = excluded.media_type, size = excluded.size, \
     title = CASE WHEN documents.segment_id IS NULL THEN excluded.title ELSE documents.title END, \
     content_hash = excluded.content_hash, blob_id = excluded.blob_id, \
     former_blob_id = CASE WHEN documents.file_id IS NULL THEN documents.blob_id END, file_id = NULL, \
     batch_id = NULL, max_chunk_tokens = NULL, chunk_overlap_tokens = NULL, \
     metadata = excluded.metadata, attributes_version = documents.attributes_version + 1, status = 'pending', \
     error = NULL, progress = 0, \
     attempt = documents.attempt + 1, tries = 0, worker_id = NULL, not_before = 0, \
     updated_at = excluded.updated_at \
     RETURNING former_blob_id, id, collection_id, name, title, source, media_type, size, content_hash, blob_id, \
     status, error, progress, chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, \
     created_at, updated_at",
);
/// Of the user, of the tenant (whose user is `$4`), or of a workspace that the user is in.
const GET: Sql = Sql::Same(
    "SELECT id, collection_id, name, title, source, media_type, size, content_hash, blob_id, status, error, progress, \
     chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, \
     created_at, updated_at FROM documents \
     WHERE tenant_id = $1 AND id = $3 AND (SELECT c.workspace_id IS NULL AND c.user_id IN ($2, $4) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) \
        IS NOT NULL FROM collections c WHERE c.tenant_id = $1 AND c.id = documents.collection_id)",
);
const GET_MANY: Sql = Sql::Each {
    sqlite: "SELECT id, collection_id, name, title, source, media_type, size, content_hash, blob_id, status, error, \
        progress, chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, \
     created_at, updated_at FROM documents \
        WHERE tenant_id = $1 AND id IN (SELECT unhex(value) FROM json_each($3)) \
        AND (SELECT c.workspace_id IS NULL AND c.user_id IN ($2, $4) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) \
        IS NOT NULL FROM collections c WHERE c.tenant_id = $1 AND c.id = documents.collection_id)",
    postgres: "SELECT id, collection_id, name, title, source, media_type, size, content_hash, blob_id, status, error, \
        progress, chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, \
     created_at, updated_at FROM documents \
        WHERE tenant_id = $1 AND id = ANY($3) AND (SELECT c.workspace_id IS NULL AND c.user_id IN ($2, $4) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) \
        IS NOT NULL FROM collections c WHERE c.tenant_id = $1 AND c.id = documents.collection_id)",
};
/// By the hash, which has an index: a source may be longer than an index takes.
const GET_BY_SOURCE: Sql = Sql::Same(
    "SELECT id, collection_id, name, title, source, media_type, size, content_hash, blob_id, status, error, progress, \
     chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, \
     created_at, updated_at FROM documents \
     WHERE tenant_id = $1 AND collection_id = $3 AND source_hash = $4 \
     AND (SELECT c.workspace_id IS NULL AND c.user_id IN ($2, $5) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) \
        IS NOT NULL FROM collections c WHERE c.tenant_id = $1 AND c.id = $3)",
);
const LIST: Sql = Sql::Same(
    "SELECT id, collection_id, name, title, source, media_type, size, content_hash, blob_id, status, error, progress, \
     chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, \
     created_at, updated_at FROM documents \
     WHERE tenant_id = $1 AND user_id = $2 AND id < $3 AND status = COALESCE($5, status) \
     AND (SELECT c.workspace_id IS NULL OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 \
        AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL FROM collections c \
        WHERE c.tenant_id = $1 AND c.id = documents.collection_id) \
     AND (CAST($6 AS text) IS NULL OR substr(source, 1, length(CAST($6 AS text))) = CAST($6 AS text)) \
     ORDER BY id DESC LIMIT $4",
);
/// Apart from [`LIST`], so that each walks the index that it needs.
const LIST_OF_COLLECTION: Sql = Sql::Same(
    "SELECT id, collection_id, name, title, source, media_type, size, content_hash, blob_id, status, error, progress, \
     chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, \
     created_at, updated_at FROM documents \
     WHERE tenant_id = $1 AND collection_id = $7 AND id < $3 \
     AND (SELECT c.workspace_id IS NULL AND c.user_id IN ($2, $8) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) \
        IS NOT NULL FROM collections c WHERE c.tenant_id = $1 AND c.id = $7) \
     AND status = COALESCE($5, status) \
     AND (CAST($6 AS text) IS NULL OR substr(source, 1, length(CAST($6 AS text))) = CAST($6 AS text)) \
     ORDER BY id DESC LIMIT $4",
);

/// Documents that are renamed may take each other's source, which is unique: all
/// give theirs up first.
const GIVE_UP_SOURCES: Sql = Sql::Each {
    sqlite: "UPDATE documents SET source_hash = NULL WHERE tenant_id = $1 AND user_id = $2 \
        AND id IN (SELECT unhex(value) FROM json_each($3))",
    postgres: "UPDATE documents SET source_hash = NULL WHERE tenant_id = $1 AND user_id = $2 AND id = ANY($3)",
};
const RENAME: Sql = Sql::Each {
    sqlite: "UPDATE documents SET name = m.name, source = m.source, source_hash = m.source_hash, \
        title = CASE WHEN documents.segment_id IS NULL THEN m.name ELSE documents.title END, \
        attributes_version = documents.attributes_version + 1, updated_at = $3 \
        FROM (SELECT unhex(value ->> 0) AS id, value ->> 1 AS name, value ->> 2 AS source, \
        value ->> 3 AS source_hash FROM json_each($4)) AS m \
        WHERE documents.tenant_id = $1 AND documents.user_id = $2 AND documents.id = m.id \
        AND documents.id IN (SELECT unhex(value ->> 0) FROM json_each($4))",
    postgres: "UPDATE documents SET name = m.name, source = m.source, source_hash = m.source_hash, \
        title = CASE WHEN documents.segment_id IS NULL THEN m.name ELSE documents.title END, \
        attributes_version = documents.attributes_version + 1, updated_at = $3 \
        FROM unnest($4::uuid[], $5::text[], $6::text[], $7::text[]) AS m (id, name, source, source_hash) \
        WHERE documents.tenant_id = $1 AND documents.user_id = $2 AND documents.id = m.id",
};

const CANCEL: Sql = Sql::Same(
    "UPDATE documents SET status = 'failed', error = $4, attempt = attempt + 1, worker_id = NULL, \
     updated_at = $5 WHERE tenant_id = $1 AND user_id = $2 AND id = $3 \
     AND status IN ('pending', 'processing') \
     RETURNING id, collection_id, name, title, source, media_type, size, content_hash, blob_id, status, error, \
     progress, chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, \
     created_at, updated_at",
);
const RETRY: Sql = Sql::Same(
    "UPDATE documents SET status = 'pending', error = NULL, progress = 0, attempt = attempt + 1, tries = 0, \
     worker_id = NULL, not_before = 0, updated_at = $4 WHERE tenant_id = $1 AND user_id = $2 AND id = $3 \
     AND status = 'failed' \
     RETURNING id, collection_id, name, title, source, media_type, size, content_hash, blob_id, status, error, \
     progress, chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, \
     created_at, updated_at",
);
/// Those of a version that was not published.
const DELETE_VECTORS: Sql = Sql::Same(
    "DELETE FROM vectors WHERE tenant_id = $1 AND document_id = $2 AND NOT EXISTS \
     (SELECT 1 FROM chunks c WHERE c.tenant_id = $1 AND c.id = vectors.chunk_id)",
);
const CHUNKS: Sql = Sql::Same(
    "SELECT id, document_id, position, content, headings, page, starts_at, ends_at FROM chunks \
     WHERE tenant_id = $1 AND document_id = $3 AND position >= $4 AND EXISTS (SELECT 1 FROM documents d \
     WHERE d.tenant_id = $1 AND d.id = $3 AND (SELECT c.workspace_id IS NULL AND c.user_id IN ($2, $6) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) \
        IS NOT NULL FROM collections c WHERE c.tenant_id = $1 AND c.id = d.collection_id)) \
     ORDER BY position LIMIT $5",
);

#[async_trait]
impl DocumentStore for SqlStore {
    async fn begin_upload(
        &self,
        scope: &Scope,
        collection: CollectionId,
        blob: BlobId,
        worker: WorkerId,
    ) -> Result<()> {
        loose::begin(self, scope, collection, blob, worker).await
    }

    async fn give_up_upload(&self, scope: &Scope, blob: BlobId) -> Result<()> {
        loose::give_up(self, scope, blob).await
    }

    async fn add(
        &self,
        scope: &Scope,
        document: &Document,
        quotas: &StorageQuotas,
    ) -> Result<(Document, Option<Blob>)> {
        add(self, scope, document, &quotas.of_owner(scope)).await
    }

    async fn storage(&self, scope: &Scope, quotas: &StorageQuotas) -> Result<StorageUse> {
        quota::storage(self, scope, &quotas.of_owner(scope)).await
    }

    async fn get(&self, scope: &Scope, id: DocumentId) -> Result<Document> {
        get(self, scope, id).await
    }

    async fn get_many(&self, scope: &Scope, ids: &[DocumentId]) -> Result<Vec<Document>> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        each(&self.database.read(GET_MANY.scoped(scope).bind(ids).bind(UserId::SHARED)).await?, document)
    }

    async fn get_by_source(
        &self,
        scope: &Scope,
        collection: CollectionId,
        source: &str,
    ) -> Result<Option<Document>> {
        let hash = source_hash(&text(source));
        let by_source = GET_BY_SOURCE.scoped(scope).bind(collection).bind(hash.as_str());
        let row = self.database.read_first(by_source.bind(UserId::SHARED)).await?;
        row.as_ref().map(document).transpose()
    }

    async fn list(
        &self,
        scope: &Scope,
        filter: &DocumentFilter,
        page: PageRequest,
    ) -> Result<Page<Document>> {
        let list = |owner: &Scope| {
            let list = if filter.collection.is_some() { LIST_OF_COLLECTION } else { LIST };
            let list = list
                .scoped(owner)
                .bind(before(page))
                .bind(rows_of(page))
                .bind(filter.status.map(|status| status.as_str()))
                .bind(filter.source_prefix.as_ref().map(|prefix| text(prefix)));
            match filter.collection {
                Some(collection) => list.bind(collection).bind(UserId::SHARED),
                None => list,
            }
        };
        if filter.collection.is_some() {
            let documents = each(&self.database.read(list(scope)).await?, document)?;
            return Ok(page_by_id(documents, page, |document| document.id.0));
        }
        Ok(merged_page(all(self, scope, list).await?, page, true, |document| document.id.0))
    }

    async fn rename(&self, scope: &Scope, moves: &[DocumentMove], now: Timestamp) -> Result<()> {
        rename(self, scope, moves, now).await
    }

    async fn delete(&self, scope: &Scope, ids: &[DocumentId]) -> Result<Vec<Blob>> {
        delete::delete(self, scope, ids).await
    }

    async fn cancel(
        &self,
        scope: &Scope,
        id: DocumentId,
        reason: &DocumentError,
        now: Timestamp,
    ) -> Result<Document> {
        cancel(self, scope, id, reason, now).await
    }

    async fn chunks(&self, scope: &Scope, id: DocumentId, from: u32, limit: u32) -> Result<Vec<Chunk>> {
        let chunks = CHUNKS.scoped(scope).bind(id).bind(from).bind(limit).bind(UserId::SHARED);
        let chunks = each(&self.database.read(chunks).await?, chunk)?;
        if chunks.is_empty() {
            get(self, scope, id).await?;
        }
        Ok(chunks)
    }
}

/// What stands for a source in an index.
fn source_hash(source: &str) -> String {
    format!("{:x}", Sha256::digest(source))
}

async fn add(
    store: &SqlStore,
    scope: &Scope,
    new: &Document,
    quotas: &StorageQuotas,
) -> Result<(Document, Option<Blob>)> {
    let source = new.source.as_ref().map(|source| text(source).into_owned());
    let hash = source.as_deref().map(source_hash);
    let blob = Blob { tenant: scope.tenant, id: new.blob_id };
    let mut statements: Vec<Statement> = quota::before(scope, quotas).into_iter().collect();
    statements.push(loose::end_upload(blob));
    let place = statements.len();
    let add = ADD
        .scoped(scope)
        .bind(new.collection_id)
        .bind(new.id)
        .bind(text(&new.name))
        .bind(text(&new.title))
        .bind(source)
        .bind(hash.clone())
        .bind(text(&new.media_type))
        .bind(count(new.size))
        .bind(text(&new.content_hash))
        .bind(new.blob_id)
        .bind(json(&new.metadata)?)
        .bind(new.created_at)
        .bind(new.updated_at);
    statements.push(add.expect_returned());
    // Only one of the same source can be replaced.
    statements.extend(hash.map(|hash| loose::replaced(scope, new.collection_id, hash)));
    statements.extend(quota::after(scope, quotas));
    match store.database.transaction_of(statements).await {
        Ok(outcomes) => {
            let row = outcomes.get(place).and_then(|added| added.rows.first());
            let row = or_not_found(row, || Error::missing("collection", new.collection_id))?;
            let document = document(row)?;
            let former = row.maybe("former_blob_id")?.filter(|former| *former != document.blob_id);
            Ok((document, former.map(|id| Blob { tenant: scope.tenant, id })))
        }
        // One of its conditions does not hold.
        Err(DbError::RowCount { .. }) => {
            ownership::check_collection(store, scope, new.collection_id).await?;
            let stored = quota::storage(store, scope, quotas).await?;
            let more = StorageAmount::one(new.size);
            if quota::exceeds(quotas, &stored, more) {
                return Err(quotas.refusal(&stored, more));
            }
            Err(Error::unavailable(
                "this process counted as gone while the document was uploaded, and its bytes were dropped; add \
                 it again",
            ))
        }
        Err(error) => Err(error.into()),
    }
}

async fn get(store: &SqlStore, scope: &Scope, id: DocumentId) -> Result<Document> {
    let row = store.database.read_first(GET.scoped(scope).bind(id).bind(UserId::SHARED)).await?;
    document(&or_not_found(row, || Error::missing("document", id))?)
}

/// The documents that the user owns, and then those of shared collections.
async fn all(
    store: &SqlStore,
    scope: &Scope,
    statement: impl Fn(&Scope) -> Statement,
) -> Result<Vec<Document>> {
    let [mut mine, shared] = store.database.read_each(owners(scope).map(|owner| statement(&owner))).await?;
    mine.extend(shared);
    each(&mine, document)
}

async fn rename(store: &SqlStore, scope: &Scope, moves: &[DocumentMove], now: Timestamp) -> Result<()> {
    // Of two moves of one document, the last counts.
    let moves: HashMap<DocumentId, (String, String)> = moves
        .iter()
        .map(|moved| (moved.id, (text(&moved.name).into_owned(), text(&moved.source).into_owned())))
        .collect();
    if moves.is_empty() {
        return Ok(());
    }
    let expected = moves.len();
    let ids: Vec<Uuid> = moves.keys().map(|id| id.0).collect();
    let hashes: Vec<String> = moves.values().map(|(_, source)| source_hash(source)).collect();
    let (names, sources): (Vec<String>, Vec<String>) = moves.into_values().unzip();
    let give_up = GIVE_UP_SOURCES.scoped(scope).bind(ids.clone());
    let rename = RENAME.scoped(scope).bind(now);
    let rename = match store.database.kind() {
        Kind::Sqlite => {
            let rows = ids.iter().zip(&names).zip(&sources).zip(&hashes);
            let rows: Vec<_> = rows
                .map(|(((id, name), source), hash)| (id.simple().to_string(), name, source, hash))
                .collect();
            rename.bind(json(&rows)?)
        }
        Kind::Postgres => rename
            .bind(Array::uuids(ids))
            .bind(Array::texts(names))
            .bind(Array::texts(sources))
            .bind(Array::texts(hashes)),
    };
    let missing = || Error::not_found("one of the documents to move is not there");
    let renamed = store.database.transaction([give_up, rename.expect_touched(expected)]).await;
    renamed.map_err(|error| error.on_row_count(missing))?;
    Ok(())
}

/// See [`IngestStore::retry`](aimate_core::knowledge::IngestStore::retry).
pub(super) async fn retry(
    store: &SqlStore,
    scope: &Scope,
    id: DocumentId,
    now: Timestamp,
) -> Result<Document> {
    let retried = store.database.write(RETRY.scoped(scope).bind(id).bind(now)).await?;
    if let Some(row) = retried.first() {
        return document(row);
    }
    // It has not failed, or is not the user's.
    ownership::check_document(store, scope, id).await?;
    get(store, scope, id).await
}

async fn cancel(
    store: &SqlStore,
    scope: &Scope,
    id: DocumentId,
    reason: &DocumentError,
    now: Timestamp,
) -> Result<Document> {
    let cancel = CANCEL.scoped(scope).bind(id).bind(json(reason)?).bind(now).expect_returned();
    let delete_vectors = DELETE_VECTORS.bind(scope.tenant).bind(id);
    match store.database.transaction([cancel, delete_vectors]).await {
        Ok([cancelled, _]) => {
            document(or_not_found(cancelled.rows.first(), || Error::missing("document", id))?)
        }
        // It was over already, or is not the user's.
        Err(DbError::RowCount { .. }) => {
            ownership::check_document(store, scope, id).await?;
            get(store, scope, id).await
        }
        Err(error) => Err(error.into()),
    }
}

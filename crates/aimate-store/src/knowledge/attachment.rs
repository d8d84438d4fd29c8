//! Files attached to collections.

use std::collections::HashMap;

use aimate_core::knowledge::{
    AttachmentCounts, AttachmentFilter, AttachmentStatus, AttachmentStore, Attachments, Document,
    DocumentError, FileBatch, StorageAmount,
};
use aimate_core::{
    CollectionId, DocumentId, Error, FileBatchId, FileId, IdRange, Result, Scope, Slice, Timestamp, UserId,
};
use async_trait::async_trait;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::document::quota;
use super::ownership;
use super::rows::document;
use crate::SqlStore;
use crate::database::{DbError, Row, Sql, Statement, each};
use crate::page::or_not_found;
use crate::value::json;

/// A file of user `$5` into a collection of the scope's. Nobody deletes the file meanwhile.
const ATTACH: Sql = Sql::Each {
    sqlite: "INSERT INTO documents (tenant_id, user_id, collection_id, id, name, title, media_type, size, \
        content_hash, blob_id, file_id, batch_id, max_chunk_tokens, chunk_overlap_tokens, metadata, created_at, \
        updated_at, status, progress, chunk_count, warnings, attempt, tries, not_before) \
        SELECT c.tenant_id, c.user_id, c.id, $4, f.name, f.name, f.media_type, f.size, f.content_hash, f.blob_id, \
        f.id, $7, $8, $9, $10, $11, $11, 'pending', 0, 0, '[]', 0, 0, 0 FROM collections c CROSS JOIN files f \
        WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3 AND f.tenant_id = $1 AND f.user_id = $5 \
        AND f.id = $6 AND (f.expires_at IS NULL OR f.expires_at > $11) \
        ON CONFLICT (tenant_id, collection_id, (COALESCE(file_id, id))) DO UPDATE SET metadata = excluded.metadata, \
        attributes_version = documents.attributes_version + 1, \
        batch_id = excluded.batch_id, max_chunk_tokens = excluded.max_chunk_tokens, \
        chunk_overlap_tokens = excluded.chunk_overlap_tokens, status = 'pending', error = NULL, progress = 0, \
        attempt = documents.attempt + 1, tries = 0, worker_id = NULL, not_before = 0, \
        updated_at = excluded.updated_at \
        RETURNING id, collection_id, name, title, source, media_type, size, content_hash, blob_id, status, error, \
        progress, chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, created_at, \
        updated_at",
    postgres: "INSERT INTO documents (tenant_id, user_id, collection_id, id, name, title, media_type, size, \
        content_hash, blob_id, file_id, batch_id, max_chunk_tokens, chunk_overlap_tokens, metadata, created_at, \
        updated_at, status, progress, chunk_count, warnings, attempt, tries, not_before) \
        SELECT c.tenant_id, c.user_id, c.id, $4, f.name, f.name, f.media_type, f.size, f.content_hash, f.blob_id, \
        f.id, $7, $8, $9, $10, $11, $11, 'pending', 0, 0, '[]', 0, 0, 0 FROM collections c CROSS JOIN files f \
        WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3 AND f.tenant_id = $1 AND f.user_id = $5 \
        AND f.id = $6 AND (f.expires_at IS NULL OR f.expires_at > $11) FOR SHARE OF f \
        ON CONFLICT (tenant_id, collection_id, (COALESCE(file_id, id))) DO UPDATE SET metadata = excluded.metadata, \
        attributes_version = documents.attributes_version + 1, \
        batch_id = excluded.batch_id, max_chunk_tokens = excluded.max_chunk_tokens, \
        chunk_overlap_tokens = excluded.chunk_overlap_tokens, status = 'pending', error = NULL, progress = 0, \
        attempt = documents.attempt + 1, tries = 0, worker_id = NULL, not_before = 0, \
        updated_at = excluded.updated_at \
        RETURNING id, collection_id, name, title, source, media_type, size, content_hash, blob_id, status, error, \
        progress, chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, created_at, \
        updated_at",
};
/// All of them before the collection, as who deletes a file does it.
const LOCK_FILES: Sql = Sql::Postgres(
    "SELECT id FROM files WHERE tenant_id = $1 AND user_id = $2 AND id = ANY($3) ORDER BY id FOR SHARE",
);
const CREATE_BATCH: Sql = Sql::Same(
    "INSERT INTO file_batches (tenant_id, id, collection_id, is_cancelled, created_at) \
     SELECT c.tenant_id, $4, c.id, false, $5 FROM collections c \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3",
);

const GET: Sql = Sql::Same(
    "SELECT id, collection_id, name, title, source, media_type, size, content_hash, blob_id, status, error, \
     progress, chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, created_at, \
     updated_at FROM documents WHERE tenant_id = $1 AND collection_id = $4 AND COALESCE(file_id, id) = $5 \
     AND (SELECT c.workspace_id IS NULL AND c.user_id IN ($2, $3) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) \
        IS NOT NULL FROM collections c WHERE c.tenant_id = $1 AND c.id = $4) \
     AND (SELECT f.expires_at FROM files f WHERE f.tenant_id = $1 AND f.id = documents.file_id \
        AND f.expires_at <= $6) IS NULL",
);
const GET_MANY: Sql = Sql::Each {
    sqlite: "SELECT id, collection_id, name, title, source, media_type, size, content_hash, blob_id, status, error, \
        progress, chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, created_at, \
        updated_at FROM documents WHERE tenant_id = $1 AND id IN (SELECT unhex(value) FROM json_each($4)) \
        AND (SELECT c.workspace_id IS NULL AND c.user_id IN ($2, $3) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) \
        IS NOT NULL FROM collections c WHERE c.tenant_id = $1 AND c.id = documents.collection_id) \
        AND (SELECT f.expires_at FROM files f WHERE f.tenant_id = $1 AND f.id = documents.file_id \
        AND f.expires_at <= $5) IS NULL",
    postgres: "SELECT id, collection_id, name, title, source, media_type, size, content_hash, blob_id, status, error, \
        progress, chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, created_at, \
        updated_at FROM documents WHERE tenant_id = $1 AND id = ANY($4) \
        AND (SELECT c.workspace_id IS NULL AND c.user_id IN ($2, $3) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) \
        IS NOT NULL FROM collections c WHERE c.tenant_id = $1 AND c.id = documents.collection_id) \
        AND (SELECT f.expires_at FROM files f WHERE f.tenant_id = $1 AND f.id = documents.file_id \
        AND f.expires_at <= $5) IS NULL",
};
/// By key, upwards.
const LIST_UP: Sql = Sql::Same(
    "SELECT id, collection_id, name, title, source, media_type, size, content_hash, blob_id, status, error, \
     progress, chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, created_at, \
     updated_at FROM documents WHERE tenant_id = $1 AND collection_id = $4 AND COALESCE(file_id, id) > $5 \
     AND COALESCE(file_id, id) < $6 \
     AND (SELECT c.workspace_id IS NULL AND c.user_id IN ($2, $3) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) \
        IS NOT NULL FROM collections c WHERE c.tenant_id = $1 AND c.id = $4) \
     AND (SELECT f.expires_at FROM files f WHERE f.tenant_id = $1 AND f.id = documents.file_id \
        AND f.expires_at <= $8) IS NULL \
     AND (CAST($9 AS text) IS NULL OR CAST($9 AS text) = CASE status WHEN 'ready' THEN 'completed' \
        WHEN 'failed' THEN CASE error ->> 'code' WHEN 'cancelled' THEN 'cancelled' ELSE 'failed' END \
        ELSE 'in_progress' END) \
     ORDER BY COALESCE(file_id, id) LIMIT $7",
);
/// The same downwards.
const LIST_DOWN: Sql = Sql::Same(
    "SELECT id, collection_id, name, title, source, media_type, size, content_hash, blob_id, status, error, \
     progress, chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, created_at, \
     updated_at FROM documents WHERE tenant_id = $1 AND collection_id = $4 AND COALESCE(file_id, id) > $5 \
     AND COALESCE(file_id, id) < $6 \
     AND (SELECT c.workspace_id IS NULL AND c.user_id IN ($2, $3) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) \
        IS NOT NULL FROM collections c WHERE c.tenant_id = $1 AND c.id = $4) \
     AND (SELECT f.expires_at FROM files f WHERE f.tenant_id = $1 AND f.id = documents.file_id \
        AND f.expires_at <= $8) IS NULL \
     AND (CAST($9 AS text) IS NULL OR CAST($9 AS text) = CASE status WHEN 'ready' THEN 'completed' \
        WHEN 'failed' THEN CASE error ->> 'code' WHEN 'cancelled' THEN 'cancelled' ELSE 'failed' END \
        ELSE 'in_progress' END) \
     ORDER BY COALESCE(file_id, id) DESC LIMIT $7",
);
/// Of batch `$10`, apart from [`LIST_UP`], so that each walks the index that it needs.
const LIST_UP_OF_BATCH: Sql = Sql::Same(
    "SELECT id, collection_id, name, title, source, media_type, size, content_hash, blob_id, status, error, \
     progress, chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, created_at, \
     updated_at FROM documents WHERE tenant_id = $1 AND batch_id = $10 AND COALESCE(file_id, id) > $5 \
     AND COALESCE(file_id, id) < $6 \
     AND (SELECT b.collection_id FROM file_batches b WHERE b.tenant_id = $1 AND b.id = $10) = $4 \
     AND (SELECT c.workspace_id IS NULL AND c.user_id IN ($2, $3) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) \
        IS NOT NULL FROM collections c WHERE c.tenant_id = $1 AND c.id = $4) \
     AND (SELECT f.expires_at FROM files f WHERE f.tenant_id = $1 AND f.id = documents.file_id \
        AND f.expires_at <= $8) IS NULL \
     AND (CAST($9 AS text) IS NULL OR CAST($9 AS text) = CASE status WHEN 'ready' THEN 'completed' \
        WHEN 'failed' THEN CASE error ->> 'code' WHEN 'cancelled' THEN 'cancelled' ELSE 'failed' END \
        ELSE 'in_progress' END) \
     ORDER BY COALESCE(file_id, id) LIMIT $7",
);
/// The same downwards.
const LIST_DOWN_OF_BATCH: Sql = Sql::Same(
    "SELECT id, collection_id, name, title, source, media_type, size, content_hash, blob_id, status, error, \
     progress, chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, created_at, \
     updated_at FROM documents WHERE tenant_id = $1 AND batch_id = $10 AND COALESCE(file_id, id) > $5 \
     AND COALESCE(file_id, id) < $6 \
     AND (SELECT b.collection_id FROM file_batches b WHERE b.tenant_id = $1 AND b.id = $10) = $4 \
     AND (SELECT c.workspace_id IS NULL AND c.user_id IN ($2, $3) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) \
        IS NOT NULL FROM collections c WHERE c.tenant_id = $1 AND c.id = $4) \
     AND (SELECT f.expires_at FROM files f WHERE f.tenant_id = $1 AND f.id = documents.file_id \
        AND f.expires_at <= $8) IS NULL \
     AND (CAST($9 AS text) IS NULL OR CAST($9 AS text) = CASE status WHEN 'ready' THEN 'completed' \
        WHEN 'failed' THEN CASE error ->> 'code' WHEN 'cancelled' THEN 'cancelled' ELSE 'failed' END \
        ELSE 'in_progress' END) \
     ORDER BY COALESCE(file_id, id) DESC LIMIT $7",
);
const SET_METADATA: Sql = Sql::Same(
    "UPDATE documents SET metadata = $4, attributes_version = attributes_version + 1, updated_at = $5 \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 \
     RETURNING id, collection_id, name, title, source, media_type, size, content_hash, blob_id, status, error, \
     progress, chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, created_at, \
     updated_at",
);

const BATCH: Sql = Sql::Same(
    "SELECT b.id, b.collection_id, b.is_cancelled, b.created_at FROM file_batches b \
     WHERE b.tenant_id = $1 AND b.id = $5 AND b.collection_id = $4 \
     AND (SELECT c.workspace_id IS NULL AND c.user_id IN ($2, $3) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) \
        IS NOT NULL FROM collections c WHERE c.tenant_id = $1 AND c.id = $4)",
);
/// In progress, completed, failed (with what was cancelled, which is `cancelled`), and bytes.
const COUNTS_OF_BATCH: Sql = Sql::Each {
    sqlite: "SELECT json_array(COALESCE(sum(CASE WHEN d.status IN ('pending', 'processing') THEN 1 ELSE 0 END), 0), \
        COALESCE(sum(CASE WHEN d.status = 'ready' THEN 1 ELSE 0 END), 0), \
        COALESCE(sum(CASE WHEN d.status = 'failed' THEN 1 ELSE 0 END), 0), \
        COALESCE(sum(CASE WHEN d.chunk_count > 0 THEN d.size ELSE 0 END), 0)) AS counts, \
        COALESCE(sum(CASE WHEN d.status = 'failed' AND d.error ->> 'code' = 'cancelled' THEN 1 ELSE 0 END), 0) \
        AS cancelled FROM documents d WHERE d.tenant_id = $1 AND d.batch_id = $2",
    postgres: "SELECT jsonb_build_array(COALESCE(sum(CASE WHEN d.status IN ('pending', 'processing') THEN 1 ELSE 0 END), 0), \
        COALESCE(sum(CASE WHEN d.status = 'ready' THEN 1 ELSE 0 END), 0), \
        COALESCE(sum(CASE WHEN d.status = 'failed' THEN 1 ELSE 0 END), 0), \
        COALESCE(sum(CASE WHEN d.chunk_count > 0 THEN d.size ELSE 0 END), 0)) AS counts, \
        COALESCE(sum(CASE WHEN d.status = 'failed' AND d.error ->> 'code' = 'cancelled' THEN 1 ELSE 0 END), 0) \
        AS cancelled FROM documents d WHERE d.tenant_id = $1 AND d.batch_id = $2",
};
/// The same of collections, from indexes alone.
const COUNTS: Sql = Sql::Each {
    sqlite: "SELECT c.id, (SELECT json_array(COALESCE(sum(CASE WHEN d.status IN ('pending', 'processing') THEN 1 ELSE 0 END), 0), \
        COALESCE(sum(CASE WHEN d.status = 'ready' THEN 1 ELSE 0 END), 0), \
        COALESCE(sum(CASE WHEN d.status = 'failed' THEN 1 ELSE 0 END), 0), \
        COALESCE(sum(CASE WHEN d.chunk_count > 0 THEN d.size ELSE 0 END), 0)) \
        FROM documents d WHERE d.tenant_id = $1 AND d.collection_id = c.id) AS counts, \
        (SELECT count(*) FROM documents d WHERE d.tenant_id = $1 AND d.collection_id = c.id AND d.status = 'failed' \
        AND d.error ->> 'code' = 'cancelled') AS cancelled FROM collections c \
        WHERE c.tenant_id = $1 AND c.id IN (SELECT unhex(value) FROM json_each($4)) AND (c.workspace_id IS NULL AND c.user_id IN ($2, $3) OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL)",
    postgres: "SELECT c.id, (SELECT jsonb_build_array(COALESCE(sum(CASE WHEN d.status IN ('pending', 'processing') THEN 1 ELSE 0 END), 0), \
        COALESCE(sum(CASE WHEN d.status = 'ready' THEN 1 ELSE 0 END), 0), \
        COALESCE(sum(CASE WHEN d.status = 'failed' THEN 1 ELSE 0 END), 0), \
        COALESCE(sum(CASE WHEN d.chunk_count > 0 THEN d.size ELSE 0 END), 0)) \
        FROM documents d WHERE d.tenant_id = $1 AND d.collection_id = c.id) AS counts, \
        (SELECT count(*) FROM documents d WHERE d.tenant_id = $1 AND d.collection_id = c.id AND d.status = 'failed' \
        AND d.error ->> 'code' = 'cancelled') AS cancelled FROM collections c \
        WHERE c.tenant_id = $1 AND c.id = ANY($4) AND (c.workspace_id IS NULL AND c.user_id IN ($2, $3) OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL)",
};
/// Only while something of it is open: what is over stays what it is.
const CANCEL_BATCH: Sql = Sql::Same(
    "UPDATE file_batches SET is_cancelled = true WHERE tenant_id = $1 AND id = $4 AND collection_id = $3 \
     AND (SELECT c.user_id FROM collections c WHERE c.tenant_id = $1 AND c.id = $3) = $2 \
     AND EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = $1 AND d.batch_id = $4 \
        AND d.status IN ('pending', 'processing'))",
);
/// What has not begun; it has no vectors yet but those of a version before.
const CANCEL_WAITING: Sql = Sql::Same(
    "UPDATE documents SET status = 'failed', error = $4, attempt = attempt + 1, worker_id = NULL, \
     updated_at = $5 WHERE tenant_id = $1 AND user_id = $2 AND batch_id = $3 AND status = 'pending'",
);

#[async_trait]
impl AttachmentStore for SqlStore {
    async fn attach(&self, scope: &Scope, attachments: &Attachments) -> Result<Vec<Document>> {
        attach(self, scope, attachments).await
    }

    async fn get(
        &self,
        scope: &Scope,
        collection: CollectionId,
        key: FileId,
        now: Timestamp,
    ) -> Result<Document> {
        let get = GET.scoped(scope).bind(UserId::SHARED).bind(collection).bind(key).bind(now);
        let row = self.database.read_first(get).await?;
        document(&or_not_found(row, || Error::missing("file", key))?)
    }

    async fn get_many(&self, scope: &Scope, ids: &[DocumentId], now: Timestamp) -> Result<Vec<Document>> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let get = GET_MANY.scoped(scope).bind(UserId::SHARED).bind(ids).bind(now);
        each(&self.database.read(get).await?, document)
    }

    async fn list(
        &self,
        scope: &Scope,
        collection: CollectionId,
        filter: AttachmentFilter,
        range: IdRange,
        now: Timestamp,
    ) -> Result<Slice<Document>> {
        let (low, high) = range.bounds();
        let list = match (filter.batch, range.reads_descending()) {
            (None, false) => LIST_UP,
            (None, true) => LIST_DOWN,
            (Some(_), false) => LIST_UP_OF_BATCH,
            (Some(_), true) => LIST_DOWN_OF_BATCH,
        };
        let list = list.scoped(scope).bind(UserId::SHARED).bind(collection).bind(low).bind(high);
        let list = list.bind(i64::from(range.limit) + 1).bind(now);
        let list = list.bind(filter.status.map(AttachmentStatus::as_str));
        let list = match filter.batch {
            Some(batch) => list.bind(batch),
            None => list,
        };
        Ok(range.slice(each(&self.database.read(list).await?, document)?))
    }

    async fn set_metadata(
        &self,
        scope: &Scope,
        id: DocumentId,
        metadata: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Document> {
        let set = SET_METADATA.scoped(scope).bind(id).bind(json(metadata)?).bind(now);
        let rows = self.database.write(set).await?;
        document(or_not_found(rows.first(), || Error::missing("document", id))?)
    }

    async fn batch(&self, scope: &Scope, collection: CollectionId, id: FileBatchId) -> Result<FileBatch> {
        batch(self, scope, collection, id).await
    }

    async fn cancel_batch(
        &self,
        scope: &Scope,
        collection: CollectionId,
        id: FileBatchId,
        reason: &DocumentError,
        now: Timestamp,
    ) -> Result<FileBatch> {
        ownership::check_collection(self, scope, collection).await?;
        let cancel = CANCEL_BATCH.scoped(scope).bind(collection).bind(id);
        let documents = CANCEL_WAITING.scoped(scope).bind(id).bind(json(reason)?).bind(now);
        self.database.transaction([cancel, documents]).await?;
        batch(self, scope, collection, id).await
    }

    async fn counts(&self, scope: &Scope, collections: &[CollectionId]) -> Result<Vec<AttachmentCounts>> {
        let ids: Vec<Uuid> = collections.iter().map(|id| id.0).collect();
        let rows = self.database.read(COUNTS.scoped(scope).bind(UserId::SHARED).bind(ids)).await?;
        let mut of: HashMap<CollectionId, AttachmentCounts> = HashMap::new();
        for row in &rows {
            of.insert(row.get("id")?, counts(row)?);
        }
        Ok(collections.iter().map(|id| of.get(id).copied().unwrap_or_default()).collect())
    }
}

async fn attach(store: &SqlStore, scope: &Scope, attachments: &Attachments) -> Result<Vec<Document>> {
    let Attachments { collection, file_owner, batch, files, quotas, now } = attachments;
    let quotas = quotas.of_owner(scope);
    let mut statements: Vec<Statement> = quota::before(scope, &quotas).into_iter().collect();
    let ids: Vec<Uuid> = files.iter().map(|(_, new)| new.file.0).collect();
    statements.push(LOCK_FILES.bind(scope.tenant).bind(*file_owner).bind(ids));
    if let Some(batch) = batch {
        let create = CREATE_BATCH.scoped(scope).bind(*collection).bind(*batch).bind(*now);
        statements.push(create.expect_touched(1));
    }
    let first = statements.len();
    for (id, new) in files {
        let attach = ATTACH
            .scoped(scope)
            .bind(*collection)
            .bind(*id)
            .bind(*file_owner)
            .bind(new.file)
            .bind(*batch)
            .bind(new.chunking.max_tokens)
            .bind(new.chunking.overlap)
            .bind(json(&new.metadata)?)
            .bind(*now);
        statements.push(attach.expect_returned());
    }
    statements.extend(quota::after(scope, &quotas));
    match store.database.transaction_of(statements).await {
        Ok(outcomes) => {
            let attached = outcomes.iter().skip(first).take(files.len());
            attached.filter_map(|attached| attached.rows.first()).map(document).collect()
        }
        Err(DbError::RowCount { .. }) => {
            ownership::check_collection(store, scope, *collection).await?;
            let stored = quota::storage(store, scope, &quotas).await?;
            // The bytes are the files'.
            let more = StorageAmount { documents: files.len() as u64, bytes: 0 };
            if quota::exceeds(&quotas, &stored, more) {
                return Err(quotas.refusal(&stored, more));
            }
            Err(Error::not_found("one of the files is not there"))
        }
        Err(error) => Err(error.into()),
    }
}

async fn batch(
    store: &SqlStore,
    scope: &Scope,
    collection: CollectionId,
    id: FileBatchId,
) -> Result<FileBatch> {
    let batch = BATCH.scoped(scope).bind(UserId::SHARED).bind(collection).bind(id);
    let of_batch = COUNTS_OF_BATCH.bind(scope.tenant).bind(id);
    let [batch, counted] = store.database.read_each([batch, of_batch]).await?;
    let row = or_not_found(batch.first(), || Error::missing("file batch", id))?;
    Ok(FileBatch {
        id,
        collection: row.get("collection_id")?,
        is_cancelled: row.get("is_cancelled")?,
        counts: counted.first().map(counts).transpose()?.unwrap_or_default(),
        created_at: row.get("created_at")?,
    })
}

/// What a row counts.
fn counts(row: &Row) -> Result<AttachmentCounts> {
    let [in_progress, completed, failed, bytes] = row.json::<[u64; 4]>("counts")?;
    let cancelled: u64 = row.get("cancelled")?;
    Ok(AttachmentCounts {
        in_progress,
        completed,
        failed: failed.saturating_sub(cancelled),
        cancelled,
        bytes,
    })
}

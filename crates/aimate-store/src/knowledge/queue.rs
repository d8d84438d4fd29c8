//! The queue of documents that wait to be read, and of spaces that are built.

mod orphan;

use aimate_core::knowledge::{Blob, ClaimedDocument, EmbeddingSpace};
use aimate_core::{Result, Scope, SpaceId, TenantId, Timestamp, WorkerId};
use sqlx::query;

use super::document::document;
use super::space::{space, space_columns};
use crate::SqlStore;
use crate::database::{Database, Row, Sql, each};
use crate::row::Columns as _;
use crate::value::json;
use crate::worker::owner;

pub(super) use orphan::orphans;

/// Gives at most `$3` documents that are due at `$2` to worker `$1`.
const CLAIM: Sql = Sql::Each {
    sqlite: "UPDATE documents SET status = 'processing', worker_id = $1, attempt = attempt + 1, \
        tries = tries + 1, updated_at = $2 WHERE (tenant_id, id) IN ( \
            SELECT d.tenant_id, d.id FROM documents d WHERE d.status IN ('pending', 'processing') \
            AND CASE d.status WHEN 'pending' THEN d.not_before <= $2 ELSE d.worker_id <> $1 \
                AND (SELECT w.id FROM workers w WHERE w.id = d.worker_id) IS NULL END \
            ORDER BY d.id LIMIT $3) \
        RETURNING tenant_id, user_id, attempt, tries, id, collection_id, name, title, source, media_type, size, \
        content_hash, status, error, progress, chunk_count, warnings, metadata, created_at, updated_at, \
        (SELECT u.role FROM users u WHERE u.tenant_id = documents.tenant_id AND u.id = documents.user_id) AS role",
    postgres: "UPDATE documents SET status = 'processing', worker_id = $1, attempt = attempt + 1, \
        tries = tries + 1, updated_at = $2 WHERE (tenant_id, id) IN ( \
            SELECT d.tenant_id, d.id FROM documents d WHERE d.status IN ('pending', 'processing') \
            AND CASE d.status WHEN 'pending' THEN d.not_before <= $2 ELSE d.worker_id <> $1 \
                AND (SELECT w.id FROM workers w WHERE w.id = d.worker_id) IS NULL END \
            ORDER BY d.id LIMIT $3 FOR UPDATE SKIP LOCKED) \
        RETURNING tenant_id, user_id, attempt, tries, id, collection_id, name, title, source, media_type, size, \
        content_hash, status, error, progress, chunk_count, warnings, metadata, created_at, updated_at, \
        (SELECT u.role FROM users u WHERE u.tenant_id = documents.tenant_id AND u.id = documents.user_id) AS role",
};
/// Gives a space that is to be built to worker `$1`.
const CLAIM_SPACE: Sql = Sql::Each {
    sqlite: "UPDATE spaces SET worker_id = $1 WHERE (tenant_id, id) IN ( \
            SELECT b.tenant_id, b.id FROM spaces b WHERE b.status = 'building' \
            AND (b.worker_id IS NULL OR (b.worker_id <> $1 \
                AND (SELECT w.id FROM workers w WHERE w.id = b.worker_id) IS NULL)) \
            ORDER BY b.id LIMIT 1) RETURNING tenant_id, id",
    postgres: "UPDATE spaces SET worker_id = $1 WHERE (tenant_id, id) IN ( \
            SELECT b.tenant_id, b.id FROM spaces b WHERE b.status = 'building' \
            AND (b.worker_id IS NULL OR (b.worker_id <> $1 \
                AND (SELECT w.id FROM workers w WHERE w.id = b.worker_id) IS NULL)) \
            ORDER BY b.id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING tenant_id, id",
};
const CLAIMED_SPACE: &str = concat!(
    "SELECT c.tenant_id, c.user_id, u.role, ",
    space_columns!(),
    " FROM spaces s CROSS JOIN collections c CROSS JOIN users u WHERE s.tenant_id = $1 AND s.id = $2 \
     AND c.tenant_id = $1 AND c.id = s.collection_id AND u.tenant_id = $1 AND u.id = c.user_id"
);
/// Fences off what the worker may still be doing.
const RELEASE: &str = "UPDATE documents SET status = 'pending', worker_id = NULL, attempt = attempt + 1, \
    tries = tries - 1 WHERE worker_id = $1 AND status = 'processing'";

macro_rules! unneeded {
    ($from:literal) => {
        concat!(
            "SELECT b.place FROM ",
            $from,
            " WHERE NOT EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = b.tenant_id \
             AND d.id = b.document_id AND d.content_hash = b.hash)"
        )
    };
}
const POSTGRES_UNNEEDED: &str = unneeded!(
    "unnest($1::uuid[], $2::uuid[], $3::text[]) WITH ORDINALITY AS b (tenant_id, document_id, hash, place)"
);
const SQLITE_UNNEEDED: &str = unneeded!(
    "(SELECT unhex(value ->> 0) AS tenant_id, unhex(value ->> 1) AS document_id, value ->> 2 AS hash, \
     key + 1 AS place FROM json_each($1)) AS b"
);
/// Blobs of one statement of [`unreferenced_blobs`].
const STEP: usize = 10_000;

fn claimed(row: &Row) -> Result<ClaimedDocument> {
    Ok(ClaimedDocument {
        scope: owner(row)?,
        document: document(row)?,
        attempt: row.get("attempt")?,
        tries: row.get("tries")?,
    })
}

/// See [`IngestQueue::claim_documents`](aimate_core::knowledge::IngestQueue::claim_documents).
pub(super) async fn claim_documents(
    store: &SqlStore,
    worker: WorkerId,
    now: Timestamp,
    dead_before: Timestamp,
    limit: u32,
) -> Result<Vec<ClaimedDocument>> {
    let claim = CLAIM.bind(worker).bind(now).bind(limit);
    let mut documents = each(&store.take_over(worker, dead_before, claim).await?, claimed)?;
    documents.sort_by_key(|claimed| claimed.document.id);
    Ok(documents)
}

/// See [`IngestQueue::release_documents`](aimate_core::knowledge::IngestQueue::release_documents).
pub(super) async fn release_documents(store: &SqlStore, worker: WorkerId) -> Result<()> {
    on!(store, |db| db.execute(query(RELEASE).bind(worker.0)).await).map(drop)
}

/// See [`IngestQueue::claim_space`](aimate_core::knowledge::IngestQueue::claim_space).
pub(super) async fn claim_space(
    store: &SqlStore,
    worker: WorkerId,
    dead_before: Timestamp,
) -> Result<Option<(Scope, EmbeddingSpace)>> {
    let rows = store.take_over(worker, dead_before, CLAIM_SPACE.bind(worker)).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (tenant, id) = (row.get::<TenantId>("tenant_id")?, row.get::<SpaceId>("id")?);
    let row = store.database.read_first(Sql::Same(CLAIMED_SPACE).bind(tenant).bind(id)).await?;
    row.as_ref().map(|row| Ok((owner(row)?, space(row)?))).transpose()
}

/// See [`MaintenanceStore::unreferenced_blobs`](aimate_core::knowledge::MaintenanceStore::unreferenced_blobs).
pub(super) async fn unreferenced_blobs(store: &SqlStore, blobs: &[Blob]) -> Result<Vec<Blob>> {
    let mut unneeded = Vec::new();
    for blobs in blobs.chunks(STEP) {
        let mut places: Vec<u64> = match &store.database {
            Database::Sqlite(db) => {
                let rows: Vec<_> = blobs
                    .iter()
                    .map(|b| (b.tenant.0.simple().to_string(), b.document.0.simple().to_string(), &b.hash))
                    .collect();
                let rows = db.read(query(SQLITE_UNNEEDED).bind(json(&rows)?)).await?;
                rows.iter().map(|row| row.get("place")).collect::<Result<_>>()?
            }
            Database::Postgres(db) => {
                let unneeded = query(POSTGRES_UNNEEDED)
                    .bind(blobs.iter().map(|blob| blob.tenant.0).collect::<Vec<_>>())
                    .bind(blobs.iter().map(|blob| blob.document.0).collect::<Vec<_>>())
                    .bind(blobs.iter().map(|blob| blob.hash.clone()).collect::<Vec<_>>());
                db.read(unneeded).await?.iter().map(|row| row.get("place")).collect::<Result<_>>()?
            }
        };
        places.sort_unstable();
        let places = places.into_iter().filter_map(|place| usize::try_from(place).ok()?.checked_sub(1));
        unneeded.extend(places.filter_map(|place| blobs.get(place).cloned()));
    }
    Ok(unneeded)
}

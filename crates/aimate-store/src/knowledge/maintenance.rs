//! Maintenance: what is in the knowledge tables though nothing refers to it, or does
//! not fit together.

use aimate_core::Result;
use aimate_core::knowledge::{Blob, MaintenanceStore, ReferencedBlob};
use async_trait::async_trait;
use uuid::Uuid;

use super::loose::ids_of;
use super::rows::blob;
use crate::database::{Array, Sql, each};
use crate::value::json;
use crate::{Kind, SqlStore};

/// Blobs of one statement.
const AT_ONCE: usize = 10_000;

/// The places, from 1, of those of the blobs given that no document, no file and no part of an upload refers to, and
/// that are on no list.
const UNREFERENCED: Sql = Sql::Each {
    sqlite: "SELECT b.place FROM (SELECT unhex(value ->> 0) AS tenant_id, unhex(value ->> 1) AS id, \
        key + 1 AS place FROM json_each($1)) AS b \
        WHERE NOT EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = b.tenant_id AND d.blob_id = b.id) \
        AND NOT EXISTS (SELECT 1 FROM files f WHERE f.tenant_id = b.tenant_id AND f.blob_id = b.id) \
        AND NOT EXISTS (SELECT 1 FROM upload_parts p WHERE p.tenant_id = b.tenant_id AND p.blob_id = b.id) \
        AND NOT EXISTS (SELECT 1 FROM loose_blobs l WHERE l.tenant_id = b.tenant_id AND l.id = b.id)",
    postgres: "SELECT b.place FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS b (tenant_id, id, place) \
        WHERE NOT EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = b.tenant_id AND d.blob_id = b.id) \
        AND NOT EXISTS (SELECT 1 FROM files f WHERE f.tenant_id = b.tenant_id AND f.blob_id = b.id) \
        AND NOT EXISTS (SELECT 1 FROM upload_parts p WHERE p.tenant_id = b.tenant_id AND p.blob_id = b.id) \
        AND NOT EXISTS (SELECT 1 FROM loose_blobs l WHERE l.tenant_id = b.tenant_id AND l.id = b.id)",
};
/// Of documents that have bytes of their own, and of files.
const REFERENCED: Sql = Sql::Same(
    "SELECT tenant_id, id, blob_id, name, size, content_hash FROM documents \
     WHERE (tenant_id, blob_id) > ($1, $2) AND file_id IS NULL UNION ALL \
     SELECT tenant_id, id, blob_id, name, size, content_hash FROM files \
     WHERE (tenant_id, blob_id) > ($1, $2) ORDER BY tenant_id, blob_id LIMIT $3",
);

/// Once in the life of a process, over all segments, which are few beside documents.
pub(super) const REQUEUE_OUTDATED: Sql = Sql::Same(
    "UPDATE documents SET status = 'pending', worker_id = NULL, attempt = attempt + 1, tries = 0, \
     not_before = 0 WHERE status = 'ready' AND (tenant_id, segment_id) IN \
     (SELECT tenant_id, id FROM segments WHERE analysis <> $1)",
);

/// One thing that can be wrong.
struct Check {
    /// What it is, after how many.
    found: &'static str,
    count: Sql,
    /// What becomes of it, and how.
    repaired: &'static str,
    repair: Sql,
}

/// In the order in which they are repaired: one may bring another to light.
const CHECKS: [Check; 8] = [
    Check {
        found: "documents were attached from a file that is not there",
        count: Sql::Same(
            "SELECT count(*) AS orphans FROM documents AS o WHERE o.file_id IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM files f WHERE f.tenant_id = o.tenant_id AND f.id = o.file_id)",
        ),
        repaired: "their bytes are looked for as their own from now on",
        repair: Sql::Same(
            "UPDATE documents AS o SET file_id = NULL WHERE o.file_id IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM files f WHERE f.tenant_id = o.tenant_id AND f.id = o.file_id)",
        ),
    },
    Check {
        found: "vectors belong to no chunk and to no document that is being read",
        count: Sql::Same(
            "SELECT count(*) AS orphans FROM vectors AS o WHERE \
             NOT EXISTS (SELECT 1 FROM chunks c WHERE c.tenant_id = o.tenant_id AND c.id = o.chunk_id) \
             AND NOT EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = o.tenant_id AND d.id = o.document_id \
             AND d.status IN ('pending', 'processing'))",
        ),
        repaired: "deleted",
        repair: Sql::Same(
            "DELETE FROM vectors AS o WHERE \
             NOT EXISTS (SELECT 1 FROM chunks c WHERE c.tenant_id = o.tenant_id AND c.id = o.chunk_id) \
             AND NOT EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = o.tenant_id AND d.id = o.document_id \
             AND d.status IN ('pending', 'processing'))",
        ),
    },
    Check {
        found: "parts of an index belong to no document",
        count: Sql::Same(
            "SELECT count(*) AS orphans FROM segments AS o WHERE \
             NOT EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = o.tenant_id AND d.segment_id = o.id)",
        ),
        repaired: "deleted",
        repair: Sql::Same(
            "DELETE FROM segments AS o WHERE \
             NOT EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = o.tenant_id AND d.segment_id = o.id)",
        ),
    },
    Check {
        found: "chunks belong to a document that is in no index",
        count: Sql::Same(
            "SELECT count(*) AS orphans FROM chunks AS o WHERE \
             EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = o.tenant_id AND d.id = o.document_id \
             AND d.segment_id IS NULL)",
        ),
        repaired: "deleted",
        repair: Sql::Same(
            "DELETE FROM chunks AS o WHERE \
             EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = o.tenant_id AND d.id = o.document_id \
             AND d.segment_id IS NULL)",
        ),
    },
    Check {
        found: "documents are in a part of an index that is not there",
        count: Sql::Same(
            "SELECT count(*) AS orphans FROM documents AS o WHERE \
             o.segment_id IS NOT NULL AND o.status IN ('ready', 'failed') AND NOT EXISTS (SELECT 1 FROM segments s \
             WHERE s.tenant_id = o.tenant_id AND s.id = o.segment_id)",
        ),
        repaired: "to be read again",
        repair: Sql::Same(
            "UPDATE documents AS o SET status = 'pending', attempt = attempt + 1, tries = 0, worker_id = NULL, \
             not_before = 0 WHERE \
             o.segment_id IS NOT NULL AND o.status IN ('ready', 'failed') AND NOT EXISTS (SELECT 1 FROM segments s \
             WHERE s.tenant_id = o.tenant_id AND s.id = o.segment_id)",
        ),
    },
    Check {
        found: "documents have another number of chunks than they say",
        count: Sql::Same(
            "SELECT count(*) AS orphans FROM documents AS o WHERE \
             o.status IN ('ready', 'failed') AND o.chunk_count <> (SELECT count(*) FROM chunks c \
             WHERE c.tenant_id = o.tenant_id AND c.document_id = o.id)",
        ),
        repaired: "to be read again",
        repair: Sql::Same(
            "UPDATE documents AS o SET status = 'pending', attempt = attempt + 1, tries = 0, worker_id = NULL, \
             not_before = 0 WHERE \
             o.status IN ('ready', 'failed') AND o.chunk_count <> (SELECT count(*) FROM chunks c \
             WHERE c.tenant_id = o.tenant_id AND c.document_id = o.id)",
        ),
    },
    Check {
        found: "documents have chunks without a vector in their collection's active space",
        count: Sql::Same(
            "SELECT count(*) AS orphans FROM documents AS o WHERE \
             o.segment_id IS NOT NULL AND o.status IN ('ready', 'failed') AND EXISTS (SELECT 1 FROM spaces s \
             JOIN chunks c ON c.tenant_id = s.tenant_id AND c.document_id = o.id \
             WHERE s.tenant_id = o.tenant_id AND s.collection_id = o.collection_id AND s.status = 'active' \
             AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.tenant_id = c.tenant_id AND v.space_id = s.id \
             AND v.chunk_id = c.id))",
        ),
        repaired: "to be read again",
        repair: Sql::Same(
            "UPDATE documents AS o SET status = 'pending', attempt = attempt + 1, tries = 0, worker_id = NULL, \
             not_before = 0 WHERE \
             o.segment_id IS NOT NULL AND o.status IN ('ready', 'failed') AND EXISTS (SELECT 1 FROM spaces s \
             JOIN chunks c ON c.tenant_id = s.tenant_id AND c.document_id = o.id \
             WHERE s.tenant_id = o.tenant_id AND s.collection_id = o.collection_id AND s.status = 'active' \
             AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.tenant_id = c.tenant_id AND v.space_id = s.id \
             AND v.chunk_id = c.id))",
        ),
    },
    Check {
        found: "documents are in a part of an index without codes in their collection's active space",
        count: Sql::Same(
            "SELECT count(*) AS orphans FROM documents AS o WHERE \
             o.segment_id IS NOT NULL AND o.status IN ('ready', 'failed') AND EXISTS (SELECT 1 FROM spaces s \
             WHERE s.tenant_id = o.tenant_id AND s.collection_id = o.collection_id AND s.status = 'active' \
             AND NOT EXISTS (SELECT 1 FROM segment_codes k WHERE k.tenant_id = o.tenant_id \
             AND k.segment_id = o.segment_id AND k.space_id = s.id))",
        ),
        repaired: "to be read again",
        repair: Sql::Same(
            "UPDATE documents AS o SET status = 'pending', attempt = attempt + 1, tries = 0, worker_id = NULL, \
             not_before = 0 WHERE \
             o.segment_id IS NOT NULL AND o.status IN ('ready', 'failed') AND EXISTS (SELECT 1 FROM spaces s \
             WHERE s.tenant_id = o.tenant_id AND s.collection_id = o.collection_id AND s.status = 'active' \
             AND NOT EXISTS (SELECT 1 FROM segment_codes k WHERE k.tenant_id = o.tenant_id \
             AND k.segment_id = o.segment_id AND k.space_id = s.id))",
        ),
    },
];

#[async_trait]
impl MaintenanceStore for SqlStore {
    async fn unreferenced_blobs(&self, blobs: &[Blob]) -> Result<Vec<Blob>> {
        let mut unreferenced = Vec::new();
        for blobs in blobs.chunks(AT_ONCE) {
            let statement = match self.database.kind() {
                Kind::Sqlite => UNREFERENCED.bind(json(&ids_of(blobs))?),
                Kind::Postgres => UNREFERENCED
                    .bind(Array::uuids(blobs.iter().map(|blob| blob.tenant.0)))
                    .bind(Array::uuids(blobs.iter().map(|blob| blob.id.0))),
            };
            let mut places: Vec<u64> = each(&self.database.read(statement).await?, |row| row.get("place"))?;
            places.sort_unstable();
            let places = places.into_iter().filter_map(|place| usize::try_from(place).ok()?.checked_sub(1));
            unreferenced.extend(places.filter_map(|place| blobs.get(place).copied()));
        }
        Ok(unreferenced)
    }

    async fn referenced_blobs(&self, after: Option<Blob>, limit: u32) -> Result<Vec<ReferencedBlob>> {
        let (tenant, id) = after.map_or((Uuid::nil(), Uuid::nil()), |blob| (blob.tenant.0, blob.id.0));
        let rows = self.database.read(REFERENCED.bind(tenant).bind(id).bind(limit)).await?;
        each(&rows, |row| {
            Ok(ReferencedBlob {
                blob: blob(row.get("tenant_id")?, row)?,
                document: row.get("id")?,
                name: row.get("name")?,
                size: row.get("size")?,
                hash: row.get("content_hash")?,
            })
        })
    }

    async fn orphans(&self, repair: bool) -> Result<Vec<String>> {
        let mut sentences = Vec::new();
        for check in &CHECKS {
            let count = if repair {
                self.database.execute(check.repair.unbound()).await?
            } else {
                let row = self.database.read_first(check.count.unbound()).await?;
                row.map(|row| row.get("orphans")).transpose()?.unwrap_or(0)
            };
            match (count, repair) {
                (0, _) => {}
                (count, true) => sentences.push(format!("{count} {}: {}", check.found, check.repaired)),
                (count, false) => sentences.push(format!("{count} {}", check.found)),
            }
        }
        Ok(sentences)
    }
}

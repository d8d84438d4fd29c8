//! Collections with their documents and their index: some segments and documents at
//! a time. A search that reads a segment meanwhile begins anew without it.

use super::Going;
use crate::database::{Sql, Statement};

/// The postings of a segment, which may be many.
const BLOCKS: Sql = Sql::Each {
    sqlite: "DELETE FROM segment_blocks WHERE rowid IN (SELECT k.rowid FROM (SELECT g.rowid AS place, g.id FROM \
        collections c CROSS JOIN segments g WHERE c.tenant_id = $1 AND c.user_id = $2 AND g.tenant_id = $1 AND \
        g.collection_id = c.id ORDER BY c.id, g.id LIMIT 10) b CROSS JOIN segment_blocks k WHERE k.tenant_id = \
        $1 AND k.segment_id = b.id LIMIT 200)",
    postgres: "WITH gone AS (DELETE FROM segment_blocks WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT k.ctid FROM \
        (SELECT g.ctid AS place, g.id FROM collections c CROSS JOIN segments g WHERE c.tenant_id = $1 AND \
        c.user_id = $2 AND g.tenant_id = $1 AND g.collection_id = c.id ORDER BY c.id, g.id LIMIT 10) b CROSS \
        JOIN segment_blocks k WHERE k.tenant_id = $1 AND k.segment_id = b.id LIMIT 200)) RETURNING 1) UPDATE \
        deletions SET counts = jsonb_set(counts, '{segment_blocks}', to_jsonb(COALESCE((counts ->> \
        'segment_blocks')::bigint, 0) + (SELECT count(*) FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
/// Their codes, one of each space, go with them.
const SEGMENTS: Sql = Sql::Each {
    sqlite: "DELETE FROM segments WHERE rowid IN (SELECT b.place FROM (SELECT g.rowid AS place, g.id FROM collections \
        c CROSS JOIN segments g WHERE c.tenant_id = $1 AND c.user_id = $2 AND g.tenant_id = $1 AND \
        g.collection_id = c.id ORDER BY c.id, g.id LIMIT 10) b WHERE NOT EXISTS (SELECT 1 FROM segment_blocks k \
        WHERE k.tenant_id = $1 AND k.segment_id = b.id))",
    postgres: "WITH gone AS (DELETE FROM segments WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT b.place FROM (SELECT \
        g.ctid AS place, g.id FROM collections c CROSS JOIN segments g WHERE c.tenant_id = $1 AND c.user_id = $2 \
        AND g.tenant_id = $1 AND g.collection_id = c.id ORDER BY c.id, g.id LIMIT 10) b WHERE NOT EXISTS (SELECT \
        1 FROM segment_blocks k WHERE k.tenant_id = $1 AND k.segment_id = b.id))) RETURNING 1) UPDATE deletions \
        SET counts = jsonb_set(counts, '{segments}', to_jsonb(COALESCE((counts ->> 'segments')::bigint, 0) + \
        (SELECT count(*) FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
const VECTORS: Sql = Sql::Each {
    sqlite: "DELETE FROM vectors WHERE rowid IN (SELECT v.rowid FROM (SELECT d.rowid AS place, d.id FROM documents d \
        WHERE d.tenant_id = $1 AND d.user_id = $2 ORDER BY d.id LIMIT 50) b CROSS JOIN vectors v WHERE \
        v.tenant_id = $1 AND v.document_id = b.id LIMIT 300)",
    postgres: "WITH gone AS (DELETE FROM vectors WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT v.ctid FROM (SELECT \
        d.ctid AS place, d.id FROM documents d WHERE d.tenant_id = $1 AND d.user_id = $2 ORDER BY d.id LIMIT 50) \
        b CROSS JOIN vectors v WHERE v.tenant_id = $1 AND v.document_id = b.id LIMIT 300)) RETURNING 1) UPDATE \
        deletions SET counts = jsonb_set(counts, '{vectors}', to_jsonb(COALESCE((counts ->> 'vectors')::bigint, \
        0) + (SELECT count(*) FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
const CHUNKS: Sql = Sql::Each {
    sqlite: "DELETE FROM chunks WHERE rowid IN (SELECT k.rowid FROM (SELECT d.rowid AS place, d.id FROM documents d \
        WHERE d.tenant_id = $1 AND d.user_id = $2 ORDER BY d.id LIMIT 50) b CROSS JOIN chunks k WHERE \
        k.tenant_id = $1 AND k.document_id = b.id LIMIT 300)",
    postgres: "WITH gone AS (DELETE FROM chunks WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT k.ctid FROM (SELECT \
        d.ctid AS place, d.id FROM documents d WHERE d.tenant_id = $1 AND d.user_id = $2 ORDER BY d.id LIMIT 50) \
        b CROSS JOIN chunks k WHERE k.tenant_id = $1 AND k.document_id = b.id LIMIT 300)) RETURNING 1) UPDATE \
        deletions SET counts = jsonb_set(counts, '{chunks}', to_jsonb(COALESCE((counts ->> 'chunks')::bigint, 0) \
        + (SELECT count(*) FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};
/// The bytes of what [`DOCUMENTS`] deletes; PostgreSQL does all of it in one statement.
const LOOSEN: Sql = Sql::Sqlite(
    "INSERT INTO loose_blobs (tenant_id, id) SELECT tenant_id, blob_id FROM documents WHERE tenant_id = $1 \
     AND $3 IS NOT NULL AND file_id IS NULL AND rowid IN (SELECT b.place FROM (SELECT d.rowid AS place, d.id FROM documents d \
     WHERE d.tenant_id = $1 AND d.user_id = $2 ORDER BY d.id LIMIT 50) b WHERE NOT EXISTS (SELECT 1 FROM \
     vectors v WHERE v.tenant_id = $1 AND v.document_id = b.id) AND NOT EXISTS (SELECT 1 FROM chunks k WHERE \
     k.tenant_id = $1 AND k.document_id = b.id)) ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL",
);
const COUNT_BYTES: Sql = Sql::Sqlite(
    "UPDATE deletions SET counts = json_set(counts, '$.bytes', COALESCE(counts ->> 'bytes', 0) + (SELECT \
     COALESCE(sum(size), 0) FROM documents WHERE file_id IS NULL AND rowid IN (SELECT b.place FROM (SELECT d.rowid AS place, d.id \
     FROM documents d WHERE d.tenant_id = $1 AND d.user_id = $2 ORDER BY d.id LIMIT 50) b WHERE NOT EXISTS \
     (SELECT 1 FROM vectors v WHERE v.tenant_id = $1 AND v.document_id = b.id) AND NOT EXISTS (SELECT 1 FROM \
     chunks k WHERE k.tenant_id = $1 AND k.document_id = b.id)))) WHERE tenant_id = $1 AND user_id = $3",
);
const DOCUMENTS: Sql = Sql::Each {
    sqlite: "DELETE FROM documents WHERE rowid IN (SELECT b.place FROM (SELECT d.rowid AS place, d.id FROM documents \
        d WHERE d.tenant_id = $1 AND d.user_id = $2 ORDER BY d.id LIMIT 50) b WHERE NOT EXISTS (SELECT 1 FROM \
        vectors v WHERE v.tenant_id = $1 AND v.document_id = b.id) AND NOT EXISTS (SELECT 1 FROM chunks k WHERE \
        k.tenant_id = $1 AND k.document_id = b.id))",
    postgres: "WITH gone AS (DELETE FROM documents WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT b.place FROM \
        (SELECT d.ctid AS place, d.id FROM documents d WHERE d.tenant_id = $1 AND d.user_id = $2 ORDER BY d.id \
        LIMIT 50) b WHERE NOT EXISTS (SELECT 1 FROM vectors v WHERE v.tenant_id = $1 AND v.document_id = b.id) \
        AND NOT EXISTS (SELECT 1 FROM chunks k WHERE k.tenant_id = $1 AND k.document_id = b.id))) RETURNING \
        tenant_id, blob_id, size, file_id), loose AS (INSERT INTO loose_blobs (tenant_id, id) \
        SELECT tenant_id, blob_id FROM gone WHERE file_id IS NULL ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL) UPDATE deletions SET counts = \
        jsonb_set(jsonb_set(counts, '{documents}', to_jsonb(COALESCE((counts ->> 'documents')::bigint, 0) + \
        (SELECT count(*) FROM gone))), '{bytes}', to_jsonb(COALESCE((counts ->> 'bytes')::bigint, 0) + (SELECT \
        COALESCE(sum(size), 0)::bigint FROM gone WHERE file_id IS NULL))) WHERE tenant_id = $1 AND user_id = $3",
};
/// Nobody adds a document meanwhile, whose bytes nobody would know of.
const LOCK_COLLECTIONS: Sql = Sql::Postgres(
    "SELECT id FROM collections WHERE tenant_id = $1 AND user_id = $2 AND $3::uuid IS NOT NULL ORDER BY id \
     LIMIT 50 FOR UPDATE",
);
/// Their spaces, which are empty now, go with them.
const COLLECTIONS: Sql = Sql::Each {
    sqlite: "DELETE FROM collections WHERE rowid IN (SELECT b.place FROM (SELECT c.rowid AS place, c.id FROM \
        collections c WHERE c.tenant_id = $1 AND c.user_id = $2 ORDER BY c.id LIMIT 50) b WHERE NOT EXISTS \
        (SELECT 1 FROM documents d WHERE d.tenant_id = $1 AND d.collection_id = b.id) AND NOT EXISTS (SELECT 1 \
        FROM segments g WHERE g.tenant_id = $1 AND g.collection_id = b.id))",
    postgres: "WITH gone AS (DELETE FROM collections WHERE tenant_id = $1 AND ctid = ANY(ARRAY(SELECT b.place FROM \
        (SELECT c.ctid AS place, c.id FROM collections c WHERE c.tenant_id = $1 AND c.user_id = $2 ORDER BY c.id \
        LIMIT 50) b WHERE NOT EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = $1 AND d.collection_id = \
        b.id) AND NOT EXISTS (SELECT 1 FROM segments g WHERE g.tenant_id = $1 AND g.collection_id = b.id))) \
        RETURNING 1) UPDATE deletions SET counts = jsonb_set(counts, '{collections}', to_jsonb(COALESCE((counts \
        ->> 'collections')::bigint, 0) + (SELECT count(*) FROM gone))) WHERE tenant_id = $1 AND user_id = $3",
};

pub(super) fn statements(going: &Going<'_>) -> Vec<Statement> {
    // First, as whoever writes the index does it.
    let mut statements = vec![going.uncounted(LOCK_COLLECTIONS)];
    for (sql, noun) in
        [(BLOCKS, "segment_blocks"), (SEGMENTS, "segments"), (VECTORS, "vectors"), (CHUNKS, "chunks")]
    {
        statements.extend(going.counted(sql, noun));
    }
    statements.extend([going.uncounted(LOOSEN), going.uncounted(COUNT_BYTES)]);
    statements.extend(going.counted(DOCUMENTS, "documents"));
    statements.extend(going.counted(COLLECTIONS, "collections"));
    statements
}

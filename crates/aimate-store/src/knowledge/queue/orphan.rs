//! What is in the knowledge tables though nothing refers to it, or does not fit
//! together.

use aimate_core::Result;
use sqlx::query;

use crate::SqlStore;
use crate::row::Columns as _;

/// One thing that can be wrong.
struct Check {
    /// What it is, after how many.
    found: &'static str,
    count: &'static str,
    /// What becomes of it, and how.
    repaired: &'static str,
    repair: &'static str,
}

/// Counts the rows of `$table` for which `$wrong`, and does `$repair` to them.
macro_rules! check {
    ($found:literal, $table:literal, $wrong:literal, delete) => {
        Check {
            found: $found,
            count: concat!("SELECT count(*) AS orphans FROM ", $table, " AS o WHERE ", $wrong),
            repaired: "deleted",
            repair: concat!("DELETE FROM ", $table, " AS o WHERE ", $wrong),
        }
    };
    ($found:literal, $table:literal, $wrong:literal, read_again) => {
        Check {
            found: $found,
            count: concat!("SELECT count(*) AS orphans FROM ", $table, " AS o WHERE ", $wrong),
            repaired: "to be read again",
            repair: concat!(
                "UPDATE ",
                $table,
                " AS o SET status = 'pending', attempt = attempt + 1, tries = 0, worker_id = NULL, not_before = 0 \
                 WHERE ",
                $wrong
            ),
        }
    };
}

/// In the order in which they are repaired: one may bring another to light.
const CHECKS: [Check; 7] = [
    check!(
        "vectors belong to no chunk and to no document that is being read",
        "vectors",
        "NOT EXISTS (SELECT 1 FROM chunks c WHERE c.tenant_id = o.tenant_id AND c.id = o.chunk_id) \
         AND NOT EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = o.tenant_id AND d.id = o.document_id \
         AND d.status IN ('pending', 'processing'))",
        delete
    ),
    check!(
        "parts of an index belong to no document",
        "segments",
        "NOT EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = o.tenant_id AND d.segment_id = o.id)",
        delete
    ),
    check!(
        "chunks belong to a document that is in no index",
        "chunks",
        "EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = o.tenant_id AND d.id = o.document_id \
         AND d.segment_id IS NULL)",
        delete
    ),
    check!(
        "documents are in a part of an index that is not there",
        "documents",
        "o.segment_id IS NOT NULL AND o.status IN ('ready', 'failed') AND NOT EXISTS (SELECT 1 FROM segments s \
         WHERE s.tenant_id = o.tenant_id AND s.id = o.segment_id)",
        read_again
    ),
    check!(
        "documents have another number of chunks than they say",
        "documents",
        "o.status IN ('ready', 'failed') AND o.chunk_count <> (SELECT count(*) FROM chunks c \
         WHERE c.tenant_id = o.tenant_id AND c.document_id = o.id)",
        read_again
    ),
    check!(
        "documents have chunks without a vector in their collection's active space",
        "documents",
        "o.segment_id IS NOT NULL AND o.status IN ('ready', 'failed') AND EXISTS (SELECT 1 FROM spaces s \
         JOIN chunks c ON c.tenant_id = s.tenant_id AND c.document_id = o.id \
         WHERE s.tenant_id = o.tenant_id AND s.collection_id = o.collection_id AND s.status = 'active' \
         AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.tenant_id = c.tenant_id AND v.space_id = s.id \
         AND v.chunk_id = c.id))",
        read_again
    ),
    check!(
        "documents are in a part of an index without codes in their collection's active space",
        "documents",
        "o.segment_id IS NOT NULL AND o.status IN ('ready', 'failed') AND EXISTS (SELECT 1 FROM spaces s \
         WHERE s.tenant_id = o.tenant_id AND s.collection_id = o.collection_id AND s.status = 'active' \
         AND NOT EXISTS (SELECT 1 FROM segment_codes k WHERE k.tenant_id = o.tenant_id \
         AND k.segment_id = o.segment_id AND k.space_id = s.id))",
        read_again
    ),
];

/// See [`MaintenanceStore::orphans`](aimate_core::knowledge::MaintenanceStore::orphans).
pub(in crate::knowledge) async fn orphans(store: &SqlStore, repair: bool) -> Result<Vec<String>> {
    let mut sentences = Vec::new();
    for check in &CHECKS {
        let count: u64 = on!(store, |db| match repair {
            true => db.execute(query(check.repair)).await?,
            false => {
                let row = db.read_first(query(check.count)).await?;
                row.map(|row| row.get("orphans")).transpose()?.unwrap_or(0)
            }
        });
        match (count, repair) {
            (0, _) => {}
            (count, true) => sentences.push(format!("{count} {}: {}", check.found, check.repaired)),
            (count, false) => sentences.push(format!("{count} {}", check.found)),
        }
    }
    Ok(sentences)
}

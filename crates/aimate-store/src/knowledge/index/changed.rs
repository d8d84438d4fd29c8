//! Documents that have other values to be filtered by than their segment has.
//!
//! A change of them (other metadata, another name) touches the document's row alone, and
//! searches ask the database of such documents. When they are many in a segment, it is
//! written anew with their values.

use std::collections::HashMap;

use aimate_core::{CollectionId, Result, Scope};
use aimate_index::segment::attributes::Attributes;
use uuid::Uuid;

use crate::SqlStore;
use crate::database::Sql;
use crate::knowledge::attributes;

/// So many in a segment slow a search down. A fraction of it would do for a small one.
const MANY: u64 = 256;
/// A segment is written anew if one of so many of its chunks would be of a changed document.
const FRACTION: u64 = 16;
/// Rows that are read at once.
const AT_ONCE: u32 = 1_000;
/// Bytes of metadata after which no more documents are read: the others stay as they are.
const MAX_BYTES: usize = 64 << 20;

const COUNTS: Sql = Sql::Same(
    "SELECT segment_id, count(*) AS document_count FROM documents WHERE tenant_id = $1 AND collection_id = $2 \
     AND segment_id IS NOT NULL AND attributes_version <> indexed_version GROUP BY segment_id",
);
const OF_SEGMENT: Sql = Sql::Same(
    "SELECT id, attributes_version, name, title, source, media_type, CAST(metadata AS text) AS metadata \
     FROM documents WHERE tenant_id = $1 AND collection_id = $2 AND segment_id = $3 AND segment_id IS NOT NULL \
     AND attributes_version <> indexed_version AND id > $4 ORDER BY id LIMIT $5",
);

/// The attributes of changed documents as they are now.
#[derive(Default)]
pub(super) struct NewAttributes {
    pub(super) attributes: HashMap<Uuid, Attributes>,
    /// The version of each: `id.version`.
    pub(super) versions: Vec<String>,
}

/// A segment of those given, each with its number of chunks, of which many documents have
/// changed.
pub(super) async fn outdated(
    store: &SqlStore,
    scope: &Scope,
    collection: CollectionId,
    segments: &[(u64, Uuid)],
) -> Result<Option<Uuid>> {
    for row in &store.database.read(COUNTS.bind(scope.tenant).bind(collection)).await? {
        let (segment, changed): (Uuid, u64) = (row.get("segment_id")?, row.get("document_count")?);
        let size = segments.iter().find(|(_, id)| *id == segment).map(|(chunks, _)| *chunks);
        if size.is_some_and(|chunks| changed >= MANY || changed * FRACTION >= chunks) {
            return Ok(Some(segment));
        }
    }
    Ok(None)
}

/// The changed documents of segments. A document that changes again keeps another version
/// than is stored with its segment, and so counts as changed.
pub(super) async fn of_segments(
    store: &SqlStore,
    scope: &Scope,
    collection: CollectionId,
    segments: &[Uuid],
) -> Result<NewAttributes> {
    let mut changed = NewAttributes::default();
    let mut bytes = 0;
    for segment in segments {
        let mut after = Uuid::nil();
        while bytes < MAX_BYTES {
            let page = OF_SEGMENT.bind(scope.tenant).bind(collection).bind(*segment).bind(after);
            let rows = store.database.read(page.bind(AT_ONCE)).await?;
            for row in &rows {
                after = row.get("id")?;
                let version: i64 = row.get("attributes_version")?;
                bytes += row.get::<String>("metadata")?.len();
                changed.attributes.insert(after, attributes::of_row(row)?);
                changed.versions.push(format!("{}.{version}", after.simple()));
            }
            if rows.len() < AT_ONCE as usize {
                break;
            }
        }
    }
    Ok(changed)
}

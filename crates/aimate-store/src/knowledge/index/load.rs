//! Reading whole segments, to write others out of them.

use std::collections::HashMap;

use aimate_core::{CollectionId, Result, Scope};
use aimate_index::segment::TermBlock;
use aimate_index::{Segment, SegmentHeader};
use uuid::Uuid;

use super::segment_reader::{EncodedHeader, encoded_headers};
use crate::SqlStore;
use crate::database::Sql;

const BLOCKS: Sql = Sql::Each {
    sqlite: "SELECT segment_id, first_term, block FROM segment_blocks WHERE tenant_id = $1 \
        AND segment_id IN (SELECT unhex(value) FROM json_each($2)) ORDER BY segment_id, first_term",
    postgres: "SELECT segment_id, first_term, block FROM segment_blocks \
        WHERE tenant_id = $1 AND segment_id = ANY($2) ORDER BY segment_id, first_term",
};
const CODES: Sql = Sql::Each {
    sqlite: "SELECT segment_id, space_id, codes FROM segment_codes WHERE tenant_id = $1 \
        AND segment_id IN (SELECT unhex(value) FROM json_each($2))",
    postgres: "SELECT segment_id, space_id, codes FROM segment_codes \
        WHERE tenant_id = $1 AND segment_id = ANY($2)",
};
const ACTIVE_SPACE: Sql = Sql::Same(
    "SELECT s.id FROM spaces s JOIN collections c ON c.tenant_id = s.tenant_id AND c.id = s.collection_id \
     WHERE s.tenant_id = $1 AND c.user_id = $2 AND s.collection_id = $3 AND s.status = 'active'",
);

/// A segment out of the database.
pub(in crate::knowledge) struct LoadedSegment {
    pub(in crate::knowledge) id: Uuid,
    /// The version of the analysis that made its terms.
    pub(in crate::knowledge) analysis: u32,
    pub(in crate::knowledge) segment: Segment,
}

/// Reads whole segments, in the order of `ids`; `None` if one is not there any
/// more.
pub(in crate::knowledge) async fn load(
    store: &SqlStore,
    scope: &Scope,
    ids: &[Uuid],
) -> Result<Option<Vec<LoadedSegment>>> {
    if ids.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let mut blocks: HashMap<Uuid, Vec<TermBlock>> = HashMap::new();
    for row in &store.database.read(BLOCKS.bind(scope.tenant).bind(ids.to_vec())).await? {
        let block = TermBlock { first_term: row.get("first_term")?, bytes: row.get("block")? };
        blocks.entry(row.get("segment_id")?).or_default().push(block);
    }
    let mut codes: HashMap<Uuid, HashMap<Uuid, Vec<u8>>> = HashMap::new();
    for row in &store.database.read(CODES.bind(scope.tenant).bind(ids.to_vec())).await? {
        codes.entry(row.get("segment_id")?).or_default().insert(row.get("space_id")?, row.get("codes")?);
    }
    // Last: a segment goes as a whole, so one whose header is there now had all its
    // parts before.
    let mut headers = encoded_headers(store, scope, ids.to_vec()).await?;
    let loaded = ids.iter().map(|id| {
        let EncodedHeader { analysis, bytes } = headers.remove(id)?;
        Some(LoadedSegment {
            id: *id,
            analysis,
            segment: Segment {
                header: bytes,
                blocks: blocks.remove(id).unwrap_or_default(),
                codes: codes.remove(id).unwrap_or_default(),
            },
        })
    });
    Ok(loaded.collect())
}

/// The chunks of a segment in order; `None` if it is not there any more.
pub(in crate::knowledge) async fn chunks(
    store: &SqlStore,
    scope: &Scope,
    segment: Uuid,
) -> Result<Option<Vec<Uuid>>> {
    let header = encoded_headers(store, scope, vec![segment]).await?.remove(&segment);
    header.map(|header| Ok(SegmentHeader::decode(&header.bytes)?.chunks)).transpose()
}

/// The space of the collection that is active.
pub(in crate::knowledge) async fn active_space(
    store: &SqlStore,
    scope: &Scope,
    collection: CollectionId,
) -> Result<Option<Uuid>> {
    let row = store.database.read_first(ACTIVE_SPACE.scoped(scope).bind(collection)).await?;
    row.map(|row| row.get("id")).transpose()
}

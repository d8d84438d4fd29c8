//! A change of a collection's index: segments that go, and those that come.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aimate_core::{CollectionId, Result, Scope};
use aimate_index::segment::TermBlock;
use aimate_index::segment::attributes::Attributes;
use aimate_index::{IndexedChunk, Segment, SegmentHeader, analysis};
use uuid::Uuid;

use super::changed::NewAttributes;
use super::load::{LoadedSegment, load};
use crate::SqlStore;
use crate::database::{Sql, Statement, hex};
use crate::knowledge::blocking::compute;
use crate::value::{JsonText, count, json};

/// Before all else: while the index changes, nobody deletes the collection or
/// makes another space active, both of which lock its row first too. SQLite has
/// one writer, so there everything waits anyway.
const LOCK: Sql =
    Sql::Postgres("SELECT id FROM collections WHERE tenant_id = $1 AND user_id = $2 AND id = $3 FOR SHARE");
const REMOVE: Sql = Sql::Each {
    sqlite: "DELETE FROM segments WHERE tenant_id = $1 AND collection_id = $2 \
        AND id IN (SELECT unhex(value) FROM json_each($3))",
    postgres: "DELETE FROM segments WHERE tenant_id = $1 AND collection_id = $2 AND id = ANY($3)",
};
/// If `$5` is still the active space, in which the segment has codes: a segment
/// without codes in it would hide its chunks from every search by vector.
const ADD: Sql = Sql::Same(
    "INSERT INTO segments (tenant_id, id, collection_id, analysis, chunk_count, total_length, header) \
     SELECT c.tenant_id, $4, c.id, $6, $7, $8, $9 FROM collections c \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3 AND (SELECT s.id FROM spaces s \
     WHERE s.tenant_id = $1 AND s.collection_id = $3 AND s.status = 'active') IS NOT DISTINCT FROM $5",
);
const MOVE_DOCUMENTS: Sql = Sql::Each {
    sqlite: "UPDATE documents SET segment_id = $2 WHERE tenant_id = $1 \
        AND segment_id IN (SELECT unhex(value) FROM json_each($3))",
    postgres: "UPDATE documents SET segment_id = $2 WHERE tenant_id = $1 AND segment_id = ANY($3)",
};
/// The blocks stand one after the other in `$4`; `$3` has a row for each: its first
/// term, where it starts (from 1), its length. As rows of their own, a segment's
/// blocks would be hundreds of parameters.
const ADD_BLOCKS: Sql = Sql::Each {
    sqlite: "INSERT INTO segment_blocks (tenant_id, segment_id, first_term, block) \
        SELECT $1, $2, unhex(r.value ->> 0), substr($4, r.value ->> 1, r.value ->> 2) FROM json_each($3) r",
    postgres: "INSERT INTO segment_blocks (tenant_id, segment_id, first_term, block) \
        SELECT $1, $2, decode(r.value ->> 0, 'hex'), \
        substring($4::bytea FROM (r.value ->> 1)::int FOR (r.value ->> 2)::int) \
        FROM jsonb_array_elements($3::jsonb) AS r (value)",
};
/// Each document of the array `$3` (`id.version of its attributes`) that is in the segment. One that
/// has changed again since gets a version that it has no more.
const SET_INDEXED: Sql = Sql::Each {
    sqlite: "UPDATE documents SET indexed_version = CASE WHEN lower(hex(id)) || '.' || attributes_version \
        IN (SELECT value FROM json_each($3)) THEN attributes_version ELSE 0 END WHERE tenant_id = $1 \
        AND id IN (SELECT unhex(substr(value, 1, 32)) FROM json_each($3)) AND +segment_id = $2",
    postgres: "UPDATE documents SET indexed_version = split_part(r.value, '.', 2)::bigint \
        FROM jsonb_array_elements_text($3::jsonb) AS r (value) WHERE documents.tenant_id = $1 \
        AND documents.segment_id = $2 AND documents.id = split_part(r.value, '.', 1)::uuid",
};
const ADD_CODES: Sql =
    Sql::Same("INSERT INTO segment_codes (tenant_id, segment_id, space_id, codes) VALUES ($1, $2, $3, $4)");
const DOCUMENTS_OF: Sql = Sql::Each {
    sqlite: "SELECT segment_id, count(*) AS document_count FROM documents WHERE tenant_id = $1 \
        AND segment_id IN (SELECT unhex(value) FROM json_each($2)) GROUP BY segment_id",
    postgres: "SELECT segment_id, count(*) AS document_count FROM documents \
        WHERE tenant_id = $1 AND segment_id = ANY($2) GROUP BY segment_id",
};

/// What becomes of a collection's index, computed from what was read of it. Its
/// statements touch the expected rows only if that is still true.
pub(in crate::knowledge) struct IndexChange {
    pub(in crate::knowledge) collection: CollectionId,
    /// The space that was active when it was made.
    active_space: Option<Uuid>,
    pub(in crate::knowledge) removed: Vec<Uuid>,
    pub(in crate::knowledge) added: Vec<NewSegment>,
}

/// The documents that leave each segment.
pub(in crate::knowledge) type Leaving = HashMap<Uuid, HashSet<Uuid>>;

impl IndexChange {
    /// One that changes nothing yet.
    pub(in crate::knowledge) fn new(collection: CollectionId, active_space: Option<Uuid>) -> Self {
        Self { collection, active_space, removed: Vec::new(), added: Vec::new() }
    }

    /// The change that takes documents out of their segments: each is removed, and
    /// a new one added in its place unless nothing is left. `None` if a segment is
    /// not there any more.
    pub(in crate::knowledge) async fn without(
        store: &SqlStore,
        scope: &Scope,
        collection: CollectionId,
        active_space: Option<Uuid>,
        leaving: Leaving,
    ) -> Result<Option<Self>> {
        let mut change = Self::new(collection, active_space);
        if leaving.is_empty() {
            return Ok(Some(change));
        }
        change.removed = leaving.keys().copied().collect();
        // A segment that all documents leave need not be read.
        let rows = store.database.read(DOCUMENTS_OF.bind(scope.tenant).bind(change.removed.clone())).await?;
        let counts = rows.iter().map(|row| Ok((row.get("segment_id")?, row.get("document_count")?)));
        let counts: HashMap<Uuid, u64> = counts.collect::<Result<_>>()?;
        let stays = |id: &Uuid| {
            counts.get(id).copied().unwrap_or(0) > leaving.get(id).map_or(0, |leaving| leaving.len() as u64)
        };
        let rest: Vec<Uuid> = change.removed.iter().copied().filter(stays).collect();
        let Some(loaded) = load(store, scope, &rest).await? else { return Ok(None) };
        let ids = Arc::clone(&store.ids);
        change.added = compute(move || {
            let shrink =
                |old: &LoadedSegment| NewSegment::without(ids.next(), old, leaving.get(&old.id)?).transpose();
            loaded.iter().filter_map(shrink).collect()
        })
        .await?;
        Ok(Some(change))
    }

    /// The first half: the collection is locked, and the old segments go.
    pub(in crate::knowledge) fn remove_statements(&self, scope: &Scope) -> Vec<Statement> {
        let mut statements = vec![LOCK.scoped(scope).bind(self.collection).expect_returned()];
        if !self.removed.is_empty() {
            let remove = REMOVE.bind(scope.tenant).bind(self.collection).bind(self.removed.clone());
            statements.push(remove.expect_touched(self.removed.len()));
        }
        statements
    }

    /// The second half: the new segments come, and documents go where they are now.
    /// What happens to documents stands between the halves, as long as they are in
    /// the old ones.
    pub(in crate::knowledge) fn add_statements(self, scope: &Scope) -> Result<Vec<Statement>> {
        let mut statements = Vec::new();
        for added in self.added {
            statements.push(
                ADD.scoped(scope)
                    .bind(self.collection)
                    .bind(added.id)
                    .bind(self.active_space)
                    .bind(added.analysis)
                    .bind(count(added.chunks))
                    .bind(count(added.length))
                    .bind(added.segment.header)
                    .expect_touched(1),
            );
            if !added.replaced.is_empty() {
                statements.push(MOVE_DOCUMENTS.bind(scope.tenant).bind(added.id).bind(added.replaced));
            }
            if !added.indexed.is_empty() {
                statements.push(SET_INDEXED.bind(scope.tenant).bind(added.id).bind(json(&added.indexed)?));
            }
            statements.push(add_blocks(scope, added.id, &added.segment.blocks)?);
            for (space, codes) in added.segment.codes {
                statements.push(ADD_CODES.bind(scope.tenant).bind(added.id).bind(space).bind(codes));
            }
        }
        Ok(statements)
    }
}

fn add_blocks(scope: &Scope, segment: Uuid, blocks: &[TermBlock]) -> Result<Statement> {
    let (places, bytes) = packed(blocks)?;
    Ok(ADD_BLOCKS.bind(scope.tenant).bind(segment).bind(places).bind(bytes))
}

/// Blocks as two parameters: a JSON array of `[first term, start, length]`, the start counted
/// from 1 as SQL does, and the bytes of all of them.
pub(crate) fn packed(blocks: &[TermBlock]) -> Result<(JsonText, Vec<u8>)> {
    let mut bytes = Vec::with_capacity(blocks.iter().map(|block| block.bytes.len()).sum());
    let mut places = Vec::with_capacity(blocks.len());
    for block in blocks {
        places.push((hex(&block.first_term), bytes.len() + 1, block.bytes.len()));
        bytes.extend_from_slice(&block.bytes);
    }
    Ok((json(&places)?, bytes))
}

/// A segment that comes into the index.
pub(in crate::knowledge) struct NewSegment {
    pub(in crate::knowledge) id: Uuid,
    /// Segments whose documents are in this one now.
    replaced: Vec<Uuid>,
    /// Documents whose attributes it has anew: `id.version of these`.
    indexed: Vec<String>,
    /// The version of the analysis that made its terms.
    analysis: u32,
    chunks: u64,
    /// Terms of all chunks together.
    length: u64,
    segment: Segment,
}

impl NewSegment {
    /// A segment of new chunks, with codes by space in the order of the chunks.
    pub(in crate::knowledge) fn build(
        id: Uuid,
        chunks: &[IndexedChunk],
        codes: HashMap<Uuid, Vec<u8>>,
        attributes: &HashMap<Uuid, Attributes>,
    ) -> Result<Self> {
        let segment = Segment::build(chunks, codes).with_attributes(attributes)?;
        Self::of(id, Vec::new(), analysis::VERSION, segment)
    }

    /// Several segments in one, all of the analysis of today, or a single one anew, with
    /// the attributes of those of its documents that have changed.
    pub(super) fn merged(id: Uuid, old: Vec<LoadedSegment>, changed: NewAttributes) -> Result<Self> {
        let (replaced, mut segments): (Vec<Uuid>, Vec<Segment>) =
            old.into_iter().map(|old| (old.id, old.segment)).unzip();
        let merged = match segments.pop() {
            Some(only) if segments.is_empty() => only,
            last => {
                segments.extend(last);
                Segment::merge(&segments)?
            }
        };
        let segment = merged.with_attributes(&changed.attributes)?;
        Ok(Self { indexed: changed.versions, ..Self::of(id, replaced, analysis::VERSION, segment)? })
    }

    /// A segment without those of its documents that leave it; `None` if nothing
    /// is left.
    fn without(id: Uuid, old: &LoadedSegment, leaving: &HashSet<Uuid>) -> Result<Option<Self>> {
        let left = old.segment.without(leaving)?;
        left.map(|segment| Self::of(id, vec![old.id], old.analysis, segment)).transpose()
    }

    fn of(id: Uuid, replaced: Vec<Uuid>, analysis: u32, segment: Segment) -> Result<Self> {
        let header = SegmentHeader::decode(&segment.header)?;
        let (chunks, length) = (u64::from(header.chunk_count()), header.total_length);
        Ok(Self { id, replaced, indexed: Vec::new(), analysis, chunks, length, segment })
    }
}

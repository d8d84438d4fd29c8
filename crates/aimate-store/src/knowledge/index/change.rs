//! A change of a collection's index: segments that go, and those that come.

use std::collections::{HashMap, HashSet};

use aimate_core::{CollectionId, Ids as _, RandomIds, Result, Scope};
use aimate_index::segment::TermBlock;
use aimate_index::{IndexedChunk, Segment, SegmentHeader, analysis};
use uuid::Uuid;

use super::Loaded;
use crate::knowledge::step::{Pair, Step, among, pair};
use crate::value::count;

/// The active space stays what it is until the end, and so does the collection.
const LOCK: Pair = Pair {
    sqlite: "",
    postgres: "SELECT id FROM collections WHERE tenant_id = $1 AND user_id = $2 AND id = $3 FOR SHARE",
};
macro_rules! remove {
    ($database:ident) => {
        concat!(
            "DELETE FROM segments WHERE tenant_id = $1 AND collection_id = $3 AND id ",
            among!($database, "$4")
        )
    };
}
const REMOVE: Pair = pair!(remove);
/// If `$5` is the active space, in which the segment has codes.
const ADD: Pair = Pair::same(
    "INSERT INTO segments (tenant_id, id, collection_id, analysis, chunk_count, total_length, header) \
     SELECT c.tenant_id, $4, c.id, $6, $7, $8, $9 FROM collections c \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3 AND (SELECT s.id FROM spaces s \
     WHERE s.tenant_id = $1 AND s.collection_id = $3 AND s.status = 'active') IS NOT DISTINCT FROM $5",
);
macro_rules! move_documents {
    ($database:ident) => {
        concat!(
            "UPDATE documents SET segment_id = $3 WHERE tenant_id = $1 AND segment_id ",
            among!($database, "$4")
        )
    };
}
const MOVE: Pair = pair!(move_documents);
/// The blocks stand one after the other in `$5`.
const ADD_BLOCKS: Pair = Pair {
    sqlite: "INSERT INTO segment_blocks (tenant_id, segment_id, first_term, block) \
        SELECT $1, $3, unhex(r.value ->> 0), substr($5, r.value ->> 1, r.value ->> 2) FROM json_each($4) r",
    postgres: "INSERT INTO segment_blocks (tenant_id, segment_id, first_term, block) \
        SELECT $1, $3, decode(r.value ->> 0, 'hex'), \
        substring($5::bytea FROM (r.value ->> 1)::int FOR (r.value ->> 2)::int) \
        FROM jsonb_array_elements($4::jsonb) AS r (value)",
};
const ADD_CODES: Pair =
    Pair::same("INSERT INTO segment_codes (tenant_id, segment_id, space_id, codes) VALUES ($1, $3, $4, $5)");

/// What becomes of a collection's index.
pub(in crate::knowledge) struct Change {
    pub(in crate::knowledge) collection: CollectionId,
    /// The space that was active when it was made.
    active: Option<Uuid>,
    pub(in crate::knowledge) removed: Vec<Uuid>,
    pub(in crate::knowledge) added: Vec<Added>,
}

impl Change {
    /// One that changes nothing yet.
    pub(in crate::knowledge) fn new(collection: CollectionId, active: Option<Uuid>) -> Self {
        Self { collection, active, removed: Vec::new(), added: Vec::new() }
    }

    /// The first half: the old segments go.
    pub(in crate::knowledge) fn take_out(&self, scope: &Scope) -> Vec<Step> {
        let mut steps = vec![Step::new(LOCK, scope).id(self.collection.0).expect(1)];
        if !self.removed.is_empty() {
            let remove = Step::new(REMOVE, scope).id(self.collection.0).ids(self.removed.clone());
            steps.push(remove.expect(self.removed.len()));
        }
        steps
    }

    /// The second half: the new ones come, and documents go where they are now.
    pub(in crate::knowledge) fn put_in(self, scope: &Scope) -> Vec<Step> {
        let mut steps = Vec::new();
        for added in self.added {
            let segment = Step::new(ADD, scope)
                .id(self.collection.0)
                .id(added.id)
                .maybe_id(self.active)
                .int(i64::from(analysis::VERSION))
                .int(count(added.chunks))
                .int(count(added.length))
                .bytes(added.segment.header)
                .expect(1);
            steps.push(segment);
            if !added.from.is_empty() {
                steps.push(Step::new(MOVE, scope).id(added.id).ids(added.from));
            }
            steps.push(blocks(scope, added.id, &added.segment.blocks));
            for (space, codes) in added.segment.codes {
                steps.push(Step::new(ADD_CODES, scope).id(added.id).id(space).bytes(codes));
            }
        }
        steps
    }
}

fn blocks(scope: &Scope, segment: Uuid, blocks: &[TermBlock]) -> Step {
    let mut bytes = Vec::with_capacity(blocks.iter().map(|block| block.bytes.len()).sum());
    let mut rows = Vec::with_capacity(blocks.len());
    for TermBlock { first_term, bytes: block } in blocks {
        let term: String = first_term.iter().map(|byte| format!("{byte:02x}")).collect();
        rows.push(format!("[\"{term}\",{},{}]", bytes.len() + 1, block.len()));
        bytes.extend_from_slice(block);
    }
    Step::new(ADD_BLOCKS, scope).id(segment).text(format!("[{}]", rows.join(","))).bytes(bytes)
}

/// A segment that comes into the index.
pub(in crate::knowledge) struct Added {
    pub(in crate::knowledge) id: Uuid,
    /// Segments whose documents are in this one now.
    from: Vec<Uuid>,
    chunks: u64,
    /// Terms of all chunks together.
    length: u64,
    segment: Segment,
}

impl Added {
    /// A segment of new chunks, with codes by space in the order of the chunks.
    pub(in crate::knowledge) fn new(chunks: &[IndexedChunk], codes: HashMap<Uuid, Vec<u8>>) -> Result<Self> {
        Self::of(Vec::new(), Segment::build(chunks, codes))
    }

    /// Several segments in one.
    pub(super) fn merged(parts: Vec<Loaded>) -> Result<Self> {
        let (from, segments): (Vec<Uuid>, Vec<Segment>) =
            parts.into_iter().map(|part| (part.id, part.segment)).unzip();
        Self::of(from, Segment::merge(&segments)?)
    }

    /// A segment without those of its documents that leave it; `None` if nothing
    /// is left.
    pub(super) fn without(part: &Loaded, leaving: &HashSet<Uuid>) -> Result<Option<Self>> {
        let left = part.segment.without(leaving)?;
        left.map(|segment| Self::of(vec![part.id], segment)).transpose()
    }

    fn of(from: Vec<Uuid>, segment: Segment) -> Result<Self> {
        let header = SegmentHeader::decode(&segment.header)?;
        let (chunks, length) = (u64::from(header.chunk_count()), header.total_length);
        Ok(Self { id: RandomIds.next(), from, chunks, length, segment })
    }
}

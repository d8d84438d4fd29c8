//! Replacing segments: each change is computed from what was read, and stored only if
//! that is still there.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aimate_core::{Result, TenantId};
use aimate_index::merge_policy::LogMergePolicy;
use aimate_index::segment::TermBlock;
use aimate_index::{IndexedChunk, Segment, SegmentHeader};
use uuid::Uuid;

use crate::SqlStore;
use crate::database::{Sql, Statement, each};
use crate::knowledge::{compute, is_stored, packed};

/// Messages of a merged segment at most: it is rewritten whole when something is taken
/// out of it.
const MAX_MESSAGES: u64 = 8_192;

const SIZES: Sql =
    Sql::Same("SELECT id, message_count FROM message_segments WHERE tenant_id = $1 AND owner_id = $2");
const HEADERS: Sql =
    Sql::Same("SELECT id, header FROM message_segments WHERE tenant_id = $1 AND owner_id = $2");
const LOAD: Sql = Sql::Each {
    sqlite: "SELECT id, header, block FROM message_segments WHERE tenant_id = $1 \
        AND id IN (SELECT unhex(value) FROM json_each($2))",
    postgres: "SELECT id, header, block FROM message_segments WHERE tenant_id = $1 AND id = ANY($2)",
};
const BLOCKS: Sql = Sql::Each {
    sqlite: "SELECT segment_id, first_term, block FROM message_segment_blocks WHERE tenant_id = $1 \
        AND segment_id IN (SELECT unhex(value) FROM json_each($2)) ORDER BY segment_id, first_term",
    postgres: "SELECT segment_id, first_term, block FROM message_segment_blocks \
        WHERE tenant_id = $1 AND segment_id = ANY($2) ORDER BY segment_id, first_term",
};
const REMOVE: Sql = Sql::Each {
    sqlite: "DELETE FROM message_segments WHERE tenant_id = $1 AND owner_id = $2 \
        AND id IN (SELECT unhex(value) FROM json_each($3))",
    postgres: "DELETE FROM message_segments WHERE tenant_id = $1 AND owner_id = $2 AND id = ANY($3)",
};
const ADD: Sql = Sql::Same(
    "INSERT INTO message_segments (tenant_id, id, owner_id, message_count, header) VALUES ($1, $2, $3, $4, $5)",
);
/// The blocks stand one after the other in `$4`; `$3` has a row for each: its first
/// term, where it starts (from 1), its length.
const ADD_BLOCKS: Sql = Sql::Each {
    sqlite: "INSERT INTO message_segment_blocks (tenant_id, segment_id, first_term, block) \
        SELECT $1, $2, unhex(r.value ->> 0), substr($4, r.value ->> 1, r.value ->> 2) FROM json_each($3) r",
    postgres: "INSERT INTO message_segment_blocks (tenant_id, segment_id, first_term, block) \
        SELECT $1, $2, decode(r.value ->> 0, 'hex'), \
        substring($4::bytea FROM (r.value ->> 1)::int FOR (r.value ->> 2)::int) \
        FROM jsonb_array_elements($3::jsonb) AS r (value)",
};

/// Whose index it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) tenant: TenantId,
    /// A workspace or a user.
    pub(super) id: Uuid,
}

/// The statements that take conversations out of an owner's index; `None` if a segment
/// is not there any more.
pub(super) async fn without(
    store: &SqlStore,
    owner: Owner,
    conversations: HashSet<Uuid>,
) -> Result<Option<Vec<Statement>>> {
    let rows = store.database.read(HEADERS.bind(owner.tenant).bind(owner.id)).await?;
    let mut having = Vec::new();
    for row in &rows {
        let header: Vec<u8> = row.get("header")?;
        let header = SegmentHeader::decode(&header)?;
        if header.documents.iter().any(|document| conversations.contains(document)) {
            having.push(row.get("id")?);
        }
    }
    drop(rows);
    let mut statements = Vec::new();
    for id in having {
        // One at a time is held in memory.
        let Some(loaded) = load(store, owner.tenant, vec![id]).await? else { return Ok(None) };
        statements.push(remove(owner, vec![id]));
        let gone = conversations.clone();
        let rest = compute(move || {
            let rest = loaded.iter().map(|old| Ok(old.without(&gone)?));
            rest.collect::<Result<Vec<Option<Segment>>>>()
        });
        for segment in rest.await?.into_iter().flatten() {
            statements.extend(add(owner, store.ids.next(), segment)?);
        }
    }
    Ok(Some(statements))
}

/// The statements that add messages to an owner's index.
pub(super) async fn added(
    store: &SqlStore,
    owner: Owner,
    chunks: impl FnOnce() -> Vec<IndexedChunk> + Send + 'static,
) -> Result<Vec<Statement>> {
    let build = || {
        let chunks: Vec<IndexedChunk> =
            chunks().into_iter().filter(|chunk| !chunk.terms.counts.is_empty()).collect();
        Ok((!chunks.is_empty()).then(|| Segment::build(&chunks, HashMap::new())))
    };
    match compute(build).await? {
        Some(segment) => add(owner, store.ids.next(), segment),
        None => Ok(Vec::new()),
    }
}

/// Merges small segments of an owner, once; whether there were some.
pub(super) async fn merge(store: &SqlStore, owner: Owner) -> Result<bool> {
    let rows = store.database.read(SIZES.bind(owner.tenant).bind(owner.id)).await?;
    let sizes = each(&rows, |row| Ok((row.get::<u64>("message_count")?, row.get::<Uuid>("id")?)))?;
    let policy = LogMergePolicy { max_chunks: MAX_MESSAGES, ..LogMergePolicy::default() };
    let candidates = policy.candidates(sizes);
    if candidates.is_empty() {
        return Ok(false);
    }
    let Some(old) = load(store, owner.tenant, candidates.clone()).await? else { return Ok(false) };
    let ids = Arc::clone(&store.ids);
    let merged = compute(move || Ok((ids.next(), Segment::merge(&old)?)));
    let (id, segment) = merged.await?;
    let mut statements = vec![remove(owner, candidates)];
    statements.extend(add(owner, id, segment)?);
    is_stored(store.database.transaction_of(statements).await)
}

fn remove(owner: Owner, ids: Vec<Uuid>) -> Statement {
    let removed = ids.len();
    REMOVE.bind(owner.tenant).bind(owner.id).bind(ids).expect_touched(removed)
}

fn add(owner: Owner, id: Uuid, segment: Segment) -> Result<Vec<Statement>> {
    let messages = SegmentHeader::decode(&segment.header)?.chunk_count();
    let add = ADD.bind(owner.tenant).bind(id).bind(owner.id).bind(messages).bind(segment.header);
    let (places, bytes) = packed(&segment.blocks)?;
    let blocks = ADD_BLOCKS.bind(owner.tenant).bind(id).bind(places).bind(bytes);
    Ok(vec![add.expect_touched(1), blocks.expect_touched(segment.blocks.len())])
}

/// Reads whole segments, in the order of `ids`; `None` if one is not there any more.
async fn load(store: &SqlStore, tenant: TenantId, ids: Vec<Uuid>) -> Result<Option<Vec<Segment>>> {
    let mut blocks: HashMap<Uuid, Vec<TermBlock>> = HashMap::new();
    for row in &store.database.read(BLOCKS.bind(tenant).bind(ids.clone())).await? {
        let block = TermBlock { first_term: row.get("first_term")?, bytes: row.get("block")? };
        blocks.entry(row.get("segment_id")?).or_default().push(block);
    }
    // Last: a segment goes as a whole, so one that is there now had all its blocks before.
    let mut found: HashMap<Uuid, Segment> = HashMap::new();
    for row in &store.database.read(LOAD.bind(tenant).bind(ids.clone())).await? {
        let id = row.get("id")?;
        let blocks = match row.maybe::<Vec<u8>>("block")? {
            Some(block) => vec![TermBlock::of(block)?],
            None => blocks.remove(&id).unwrap_or_default(),
        };
        found.insert(id, Segment { header: row.get("header")?, blocks, codes: HashMap::new() });
    }
    Ok(ids.iter().map(|id| found.remove(id)).collect())
}

//! Reading segments: all statements that read what a segment holds.
//!
//! A search lists the segments first and then reads blocks of them, without a
//! transaction around both: each function gives `None` if a segment was replaced
//! in between, and the search begins anew with the list as it is now.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aimate_core::knowledge::SearchScope;
use aimate_core::{CollectionId, Error, Result, Scope, SpaceId, UserId};
use aimate_index::quantize::CodeBlocks;
use aimate_index::{SegmentHeader, analysis};
use uuid::Uuid;

use super::cache::{BlockKind, CacheKey, CachedBlock};
use crate::SqlStore;
use crate::database::{Row, Sql, each, hex};
use crate::knowledge::blocking::compute;
use crate::value::{count, json};

/// `OFFSET 0` keeps PostgreSQL's planner to this order: it knows nothing of how few
/// collections are asked for.
const LIST: Sql = Sql::Each {
    sqlite: "SELECT g.id, g.chunk_count, g.total_length FROM collections c \
        JOIN segments g ON g.tenant_id = c.tenant_id AND g.collection_id = c.id \
        WHERE c.tenant_id = $1 AND c.id IN (SELECT unhex(value) FROM json_each($3)) \
        AND (c.workspace_id IS NULL AND c.user_id IN ($2, $4) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL)",
    postgres: "SELECT g.id, g.chunk_count, g.total_length FROM collections c CROSS JOIN LATERAL ( \
            SELECT s.id, s.chunk_count, s.total_length FROM segments s \
            WHERE s.tenant_id = $1 AND s.collection_id = c.id OFFSET 0) g \
        WHERE c.tenant_id = $1 AND c.id = ANY($3) \
        AND (c.workspace_id IS NULL AND c.user_id IN ($2, $4) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL)",
};
const LIST_OF_SPACES: Sql = Sql::Each {
    sqlite: "SELECT g.id, g.chunk_count, g.total_length, s.id AS space_id, EXISTS (SELECT 1 \
        FROM segment_codes x WHERE x.tenant_id = $1 AND x.segment_id = g.id AND x.space_id = s.id) \
        AS has_codes FROM spaces s \
        JOIN collections c ON c.tenant_id = s.tenant_id AND c.id = s.collection_id \
        JOIN segments g ON g.tenant_id = c.tenant_id AND g.collection_id = c.id \
        WHERE s.tenant_id = $1 AND c.id IN (SELECT unhex(value) FROM json_each($3)) \
        AND (c.workspace_id IS NULL AND c.user_id IN ($2, $6) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
        AND s.id IN (SELECT unhex(value) FROM json_each($4)) AND s.dimensions = $5",
    postgres: "SELECT g.id, g.chunk_count, g.total_length, s.id AS space_id, EXISTS (SELECT 1 \
        FROM segment_codes x WHERE x.tenant_id = $1 AND x.segment_id = g.id AND x.space_id = s.id) \
        AS has_codes FROM spaces s \
        JOIN collections c ON c.tenant_id = s.tenant_id AND c.id = s.collection_id \
        JOIN segments g ON g.tenant_id = c.tenant_id AND g.collection_id = c.id \
        WHERE s.tenant_id = $1 AND c.id = ANY($3) \
        AND (c.workspace_id IS NULL AND c.user_id IN ($2, $6) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) AND s.id = ANY($4) \
        AND s.dimensions = $5",
};
/// One row without a segment if the collection has none.
const SIZES: Sql = Sql::Same(
    "SELECT c.id AS collection_id, g.id, g.chunk_count FROM collections c \
     LEFT JOIN segments g ON g.tenant_id = c.tenant_id AND g.collection_id = c.id AND g.analysis = $4 \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3",
);
const HEADERS: Sql = Sql::Each {
    sqlite: "SELECT id, analysis, header FROM segments \
        WHERE tenant_id = $1 AND id IN (SELECT unhex(value) FROM json_each($2))",
    postgres: "SELECT id, analysis, header FROM segments WHERE tenant_id = $1 AND id = ANY($2)",
};
/// One row without a term for a segment without terms.
const FIRST_TERMS: Sql = Sql::Each {
    sqlite: "SELECT g.id, b.first_term FROM segments g \
        LEFT JOIN segment_blocks b ON b.tenant_id = g.tenant_id AND b.segment_id = g.id \
        WHERE g.tenant_id = $1 AND g.id IN (SELECT unhex(value) FROM json_each($2)) \
        ORDER BY g.id, b.first_term",
    postgres: "SELECT g.id, b.first_term FROM segments g \
        LEFT JOIN segment_blocks b ON b.tenant_id = g.tenant_id AND b.segment_id = g.id \
        WHERE g.tenant_id = $1 AND g.id = ANY($2) ORDER BY g.id, b.first_term",
};
/// Each `[segment, first term]` of the array `$2`. `OFFSET 0` keeps PostgreSQL from
/// joining the other way round: it looks each block up by its key.
const BLOCKS: Sql = Sql::Each {
    sqlite: "SELECT b.segment_id, b.first_term, b.block FROM json_each($2) r CROSS JOIN segment_blocks b \
        ON b.tenant_id = $1 AND b.segment_id = unhex(r.value ->> 0) AND b.first_term = unhex(r.value ->> 1)",
    postgres: "SELECT b.segment_id, b.first_term, b.block FROM jsonb_array_elements($2::jsonb) AS r (value) \
        CROSS JOIN LATERAL (SELECT * FROM segment_blocks s WHERE s.tenant_id = $1 \
        AND s.segment_id = (r.value ->> 0)::uuid AND s.first_term = decode(r.value ->> 1, 'hex') OFFSET 0) b",
};
const CODES: Sql = Sql::Each {
    sqlite: "SELECT segment_id, codes FROM segment_codes WHERE tenant_id = $1 \
        AND segment_id IN (SELECT unhex(value) FROM json_each($2)) AND space_id = $3",
    postgres: "SELECT segment_id, codes FROM segment_codes \
        WHERE tenant_id = $1 AND segment_id = ANY($2) AND space_id = $3",
};

/// A segment that a search looks into.
#[derive(Clone, Copy)]
pub(in crate::knowledge) struct ListedSegment {
    pub(in crate::knowledge) id: Uuid,
    pub(in crate::knowledge) chunks: u64,
    /// Terms of all its chunks together.
    pub(in crate::knowledge) length: u64,
}

impl ListedSegment {
    fn of(row: &Row) -> Result<Self> {
        Ok(Self { id: row.get("id")?, chunks: row.get("chunk_count")?, length: row.get("total_length")? })
    }
}

/// The segments of the target's collections, as far as they are the user's or shared.
pub(in crate::knowledge) async fn list(
    store: &SqlStore,
    scope: &Scope,
    target: &SearchScope,
) -> Result<Vec<ListedSegment>> {
    let rows = store.database.read(LIST.scoped(scope).bind(collections(target)).bind(UserId::SHARED)).await?;
    each(&rows, ListedSegment::of)
}

/// The segments of those of the target's collections that the spaces are of, with
/// the space; `None` if the segment has no codes there.
pub(in crate::knowledge) async fn list_of_spaces(
    store: &SqlStore,
    scope: &Scope,
    target: &SearchScope,
    spaces: &[SpaceId],
    dimensions: usize,
) -> Result<Vec<(ListedSegment, Option<Uuid>)>> {
    let spaces: Vec<Uuid> = spaces.iter().map(|space| space.0).collect();
    let list = LIST_OF_SPACES
        .scoped(scope)
        .bind(collections(target))
        .bind(spaces)
        .bind(count(dimensions))
        .bind(UserId::SHARED);
    each(&store.database.read(list).await?, |row| {
        let space = row.get::<bool>("has_codes")?.then(|| row.get("space_id"));
        Ok((ListedSegment::of(row)?, space.transpose()?))
    })
}

fn collections(target: &SearchScope) -> Vec<Uuid> {
    target.collections.iter().map(|collection| collection.0).collect()
}

/// How many chunks each segment of the collection has whose terms are of this
/// version of the analysis: others are not merged with it.
pub(in crate::knowledge) async fn sizes(
    store: &SqlStore,
    scope: &Scope,
    collection: CollectionId,
) -> Result<Vec<(u64, Uuid)>> {
    let rows = store.database.read(SIZES.scoped(scope).bind(collection).bind(analysis::VERSION)).await?;
    if rows.is_empty() {
        return Err(Error::missing("collection", collection));
    }
    let sizes = rows.iter().map(|row| match row.maybe("id")? {
        Some(id) => Ok(Some((row.get("chunk_count")?, id))),
        None => Ok(None),
    });
    sizes.filter_map(Result::transpose).collect()
}

/// A header as it is stored, and the version of the analysis of its segment.
pub(in crate::knowledge) struct EncodedHeader {
    pub(in crate::knowledge) analysis: u32,
    pub(in crate::knowledge) bytes: Vec<u8>,
}

/// The encoded headers of those of the segments that are there, past the cache.
pub(in crate::knowledge) async fn encoded_headers(
    store: &SqlStore,
    scope: &Scope,
    segments: Vec<Uuid>,
) -> Result<HashMap<Uuid, EncodedHeader>> {
    let rows = store.database.read(HEADERS.bind(scope.tenant).bind(segments)).await?;
    let header = |row: &Row| {
        let header = EncodedHeader { analysis: row.get("analysis")?, bytes: row.get("header")? };
        Ok((row.get("id")?, header))
    };
    rows.iter().map(header).collect()
}

/// A block: its segment and which of its blocks.
type BlockId = (Uuid, BlockKind);

/// The headers of segments.
pub(in crate::knowledge) async fn headers(
    store: &SqlStore,
    scope: &Scope,
    segments: &[Uuid],
) -> Result<Option<HashMap<Uuid, Arc<SegmentHeader>>>> {
    let blocks = read(store, scope, ids(segments, &BlockKind::Header), async |missing| {
        let headers = encoded_headers(store, scope, segments_of(missing)).await?;
        let decoded = headers.into_iter().map(|(segment, header)| {
            let header = Arc::new(SegmentHeader::decode(&header.bytes)?);
            Ok(((segment, BlockKind::Header), CachedBlock::Header(header)))
        });
        decoded.collect()
    });
    let Some(blocks) = blocks.await? else { return Ok(None) };
    let headers = blocks.into_iter().filter_map(|((segment, _), block)| match block {
        CachedBlock::Header(header) => Some((segment, header)),
        _ => None,
    });
    Ok(Some(headers.collect()))
}

/// The first terms of a segment's term blocks, in order.
pub(in crate::knowledge) type FirstTerms = Arc<[Arc<[u8]>]>;

/// The first terms of the term blocks of segments.
pub(in crate::knowledge) async fn first_terms(
    store: &SqlStore,
    scope: &Scope,
    segments: &[Uuid],
) -> Result<Option<HashMap<Uuid, FirstTerms>>> {
    let blocks = read(store, scope, ids(segments, &BlockKind::FirstTerms), async |missing| {
        let rows = store.database.read(FIRST_TERMS.bind(scope.tenant).bind(segments_of(missing))).await?;
        let mut terms: HashMap<Uuid, Vec<Arc<[u8]>>> = HashMap::with_capacity(missing.len());
        for row in &rows {
            let term: Option<Vec<u8>> = row.maybe("first_term")?;
            terms.entry(row.get("id")?).or_default().extend(term.map(Arc::from));
        }
        let blocks = terms
            .into_iter()
            .map(|(id, terms)| ((id, BlockKind::FirstTerms), CachedBlock::FirstTerms(terms.into())));
        Ok(blocks.collect())
    });
    let Some(blocks) = blocks.await? else { return Ok(None) };
    let terms = blocks.into_iter().filter_map(|((segment, _), block)| match block {
        CachedBlock::FirstTerms(terms) => Some((segment, terms)),
        _ => None,
    });
    Ok(Some(terms.collect()))
}

/// A term block: its segment and its first term.
pub(in crate::knowledge) type TermBlockId = (Uuid, Arc<[u8]>);

/// Term blocks.
pub(in crate::knowledge) async fn term_blocks(
    store: &SqlStore,
    scope: &Scope,
    blocks: &[TermBlockId],
) -> Result<Option<HashMap<TermBlockId, Arc<[u8]>>>> {
    let ids = blocks.iter().map(|(segment, term)| (*segment, BlockKind::Terms(term.clone()))).collect();
    let blocks = read(store, scope, ids, async |missing| {
        let wanted: Vec<(String, String)> = missing.iter().filter_map(hex_block).collect();
        let rows = store.database.read(BLOCKS.bind(scope.tenant).bind(json(&wanted)?)).await?;
        each(&rows, |row| {
            let term: Vec<u8> = row.get("first_term")?;
            let block: Vec<u8> = row.get("block")?;
            Ok(((row.get("segment_id")?, BlockKind::Terms(term.into())), CachedBlock::Bytes(block.into())))
        })
    });
    let Some(blocks) = blocks.await? else { return Ok(None) };
    let blocks = blocks.into_iter().filter_map(|((segment, kind), block)| match (kind, block) {
        (BlockKind::Terms(term), CachedBlock::Bytes(block)) => Some(((segment, term), block)),
        _ => None,
    });
    Ok(Some(blocks.collect()))
}

fn hex_block((segment, kind): &BlockId) -> Option<(String, String)> {
    let BlockKind::Terms(term) = kind else { return None };
    Some((segment.simple().to_string(), hex(term)))
}

/// The codes of segments in a space, of `code_length` bytes each, laid out to be scanned.
pub(in crate::knowledge) async fn codes(
    store: &SqlStore,
    scope: &Scope,
    space: Uuid,
    segments: &[Uuid],
    code_length: usize,
) -> Result<Option<BTreeMap<Uuid, Arc<CodeBlocks>>>> {
    let blocks = read(store, scope, ids(segments, &BlockKind::Codes(space)), async |missing| {
        let codes = CODES.bind(scope.tenant).bind(segments_of(missing)).bind(space);
        let rows = store.database.read(codes).await?;
        compute(move || {
            each(&rows, |row| {
                let codes: Vec<u8> = row.get("codes")?;
                let codes = Arc::new(CodeBlocks::of(&codes, code_length)?);
                Ok(((row.get("segment_id")?, BlockKind::Codes(space)), CachedBlock::Codes(codes)))
            })
        })
        .await
    });
    let Some(blocks) = blocks.await? else { return Ok(None) };
    let codes = blocks.into_iter().filter_map(|((segment, _), block)| match block {
        CachedBlock::Codes(codes) => Some((segment, codes)),
        _ => None,
    });
    Ok(Some(codes.collect()))
}

fn ids(segments: &[Uuid], kind: &BlockKind) -> Vec<BlockId> {
    segments.iter().map(|segment| (*segment, kind.clone())).collect()
}

fn segments_of(ids: &[BlockId]) -> Vec<Uuid> {
    ids.iter().map(|(segment, _)| *segment).collect()
}

/// Reads blocks out of the cache, and what is missing there out of the database
/// into the cache; `None` if the database has one no more.
async fn read(
    store: &SqlStore,
    scope: &Scope,
    mut missing: Vec<BlockId>,
    load: impl AsyncFnOnce(&[BlockId]) -> Result<Vec<(BlockId, CachedBlock)>>,
) -> Result<Option<HashMap<BlockId, CachedBlock>>> {
    let key = |(segment, block): &BlockId| CacheKey {
        tenant: scope.tenant,
        segment: *segment,
        block: block.clone(),
    };
    let mut blocks = HashMap::with_capacity(missing.len());
    let look = |missing: &mut Vec<BlockId>, blocks: &mut HashMap<BlockId, CachedBlock>| {
        missing.retain(|id| match store.index.get(&key(id)) {
            Some(block) => {
                blocks.insert(id.clone(), block);
                false
            }
            None => true,
        });
    };
    look(&mut missing, &mut blocks);
    let Some((first, _)) = missing.first() else { return Ok(Some(blocks)) };
    let _reading = store.index.lock_reader(*first).await;
    // Somebody may have read the same blocks while this waited.
    look(&mut missing, &mut blocks);
    if missing.is_empty() {
        return Ok(Some(blocks));
    }
    for (id, block) in load(&missing).await? {
        store.index.insert(key(&id), block.clone());
        blocks.insert(id, block);
    }
    Ok(missing.iter().all(|id| blocks.contains_key(id)).then_some(blocks))
}

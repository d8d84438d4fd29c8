//! Reading the parts of segments that a search needs, through the cache.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aimate_core::knowledge::SearchScope;
use aimate_core::{Result, Scope, SpaceId};
use aimate_index::SegmentHeader;
use uuid::Uuid;

use crate::SqlStore;
use crate::knowledge::index::{Key, Name, Part};
use crate::knowledge::step::{Dialect as _, Pair, among, pair};
use crate::row::Columns;
use crate::statement::scoped;
use crate::value::count;

macro_rules! segments {
    ($database:ident) => {
        concat!(
            "SELECT g.id, g.chunk_count, g.total_length FROM collections c JOIN segments g \
             ON g.tenant_id = c.tenant_id AND g.collection_id = c.id \
             WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id ",
            among!($database, "$3")
        )
    };
}
const SEGMENTS: Pair = pair!(segments);
macro_rules! segments_of_spaces {
    ($database:ident) => {
        concat!(
            "SELECT g.id, g.chunk_count, g.total_length, s.id AS space_id, EXISTS (SELECT 1 \
             FROM segment_codes x WHERE x.tenant_id = $1 AND x.segment_id = g.id AND x.space_id = s.id) \
             AS has_codes FROM spaces s JOIN collections c \
             ON c.tenant_id = s.tenant_id AND c.id = s.collection_id \
             JOIN segments g ON g.tenant_id = c.tenant_id AND g.collection_id = c.id \
             WHERE s.tenant_id = $1 AND c.user_id = $2 AND c.id ",
            among!($database, "$3"),
            " AND s.id ",
            among!($database, "$4"),
            " AND s.dimensions = $5"
        )
    };
}
const SEGMENTS_OF_SPACES: Pair = pair!(segments_of_spaces);

macro_rules! headers {
    ($database:ident) => {
        concat!("SELECT id, header FROM segments WHERE tenant_id = $1 AND id ", among!($database, "$3"))
    };
}
const HEADERS: Pair = pair!(headers);
/// One row without a term for a segment without terms.
macro_rules! first_terms {
    ($database:ident) => {
        concat!(
            "SELECT g.id, b.first_term FROM segments g LEFT JOIN segment_blocks b \
             ON b.tenant_id = g.tenant_id AND b.segment_id = g.id WHERE g.tenant_id = $1 AND g.id ",
            among!($database, "$3"),
            " ORDER BY g.id, b.first_term"
        )
    };
}
const FIRST_TERMS: Pair = pair!(first_terms);
const BLOCKS: Pair = Pair {
    sqlite: "SELECT b.segment_id, b.first_term, b.block FROM json_each($3) r CROSS JOIN segment_blocks b \
        ON b.tenant_id = $1 AND b.segment_id = unhex(r.value ->> 0) AND b.first_term = unhex(r.value ->> 1)",
    postgres: "SELECT b.segment_id, b.first_term, b.block FROM jsonb_array_elements($3::jsonb) AS r (value) \
        CROSS JOIN LATERAL (SELECT * FROM segment_blocks s WHERE s.tenant_id = $1 \
        AND s.segment_id = (r.value ->> 0)::uuid AND s.first_term = decode(r.value ->> 1, 'hex') OFFSET 0) b",
};
macro_rules! codes {
    ($database:ident) => {
        concat!(
            "SELECT segment_id, codes FROM segment_codes WHERE tenant_id = $1 AND segment_id ",
            among!($database, "$3"),
            " AND space_id = $4"
        )
    };
}
const CODES: Pair = pair!(codes);

/// A segment that a search looks into.
#[derive(Clone, Copy)]
pub(super) struct Listed {
    pub(super) id: Uuid,
    pub(super) chunks: u64,
    /// Terms of all its chunks together.
    pub(super) length: u64,
}

impl Listed {
    fn of(row: &impl Columns) -> Result<Self> {
        Ok(Self { id: row.get("id")?, chunks: row.get("chunk_count")?, length: row.get("total_length")? })
    }
}

/// The segments of the target's collections, as far as they are the user's.
pub(super) async fn segments(store: &SqlStore, scope: &Scope, target: &SearchScope) -> Result<Vec<Listed>> {
    let collections = collections(target);
    on!(store, |db| {
        let rows = db.read(scoped(db.text(SEGMENTS), scope).bind(db.ids(&collections))).await?;
        rows.iter().map(Listed::of).collect()
    })
}

/// The segments of those of the target's collections that the spaces are of,
/// with the space; `None` if it has no codes there.
pub(super) async fn segments_of_spaces(
    store: &SqlStore,
    scope: &Scope,
    target: &SearchScope,
    spaces: &[SpaceId],
    dimensions: usize,
) -> Result<Vec<(Listed, Option<Uuid>)>> {
    let collections = collections(target);
    let spaces: Vec<Uuid> = spaces.iter().map(|space| space.0).collect();
    on!(store, |db| {
        let query = scoped(db.text(SEGMENTS_OF_SPACES), scope)
            .bind(db.ids(&collections))
            .bind(db.ids(&spaces))
            .bind(count(dimensions));
        let rows = db.read(query).await?;
        let listed = rows.iter().map(|row| {
            let space = row.get::<bool>("has_codes")?.then(|| row.get("space_id"));
            Ok((Listed::of(row)?, space.transpose()?))
        });
        listed.collect()
    })
}

fn collections(target: &SearchScope) -> Vec<Uuid> {
    target.collections.iter().map(|collection| collection.0).collect()
}

/// A part of a segment.
type Id = (Uuid, Name);

/// The headers of segments; `None` if one is not there any more.
pub(super) async fn headers(
    store: &SqlStore,
    scope: &Scope,
    segments: &[Uuid],
) -> Result<Option<HashMap<Uuid, Arc<SegmentHeader>>>> {
    let parts = read(store, scope, named(segments, &Name::Header), async |ids| {
        on!(store, |db| {
            let rows = db.read(scoped(db.text(HEADERS), scope).bind(db.ids(&segments_of(ids)))).await?;
            let parts = rows.iter().map(|row| {
                let header = SegmentHeader::decode(&row.get::<Vec<u8>>("header")?)?;
                Ok(((row.get("id")?, Name::Header), Part::Header(Arc::new(header))))
            });
            parts.collect()
        })
    });
    let Some(parts) = parts.await? else { return Ok(None) };
    let headers = parts.into_iter().filter_map(|((segment, _), part)| match part {
        Part::Header(header) => Some((segment, header)),
        _ => None,
    });
    Ok(Some(headers.collect()))
}

/// The first terms of a segment's blocks, in order.
pub(super) type FirstTerms = Arc<[Arc<[u8]>]>;

/// The first terms of the blocks of segments; `None` if a segment is not there
/// any more.
pub(super) async fn first_terms(
    store: &SqlStore,
    scope: &Scope,
    segments: &[Uuid],
) -> Result<Option<HashMap<Uuid, FirstTerms>>> {
    let parts = read(store, scope, named(segments, &Name::Terms), async |ids| {
        let mut terms: HashMap<Uuid, Vec<Arc<[u8]>>> = HashMap::with_capacity(ids.len());
        on!(store, |db| {
            for row in &db.read(scoped(db.text(FIRST_TERMS), scope).bind(db.ids(&segments_of(ids)))).await? {
                let term: Option<Vec<u8>> = row.maybe("first_term")?;
                terms.entry(row.get("id")?).or_default().extend(term.map(Arc::from));
            }
        });
        Ok(terms.into_iter().map(|(id, terms)| ((id, Name::Terms), Part::Terms(terms.into()))).collect())
    });
    let Some(parts) = parts.await? else { return Ok(None) };
    let terms = parts.into_iter().filter_map(|((segment, _), part)| match part {
        Part::Terms(terms) => Some((segment, terms)),
        _ => None,
    });
    Ok(Some(terms.collect()))
}

/// A block: its segment and its first term.
pub(super) type BlockId = (Uuid, Arc<[u8]>);

/// Blocks; `None` if one is not there any more.
pub(super) async fn blocks(
    store: &SqlStore,
    scope: &Scope,
    blocks: &[BlockId],
) -> Result<Option<HashMap<BlockId, Arc<[u8]>>>> {
    let ids = blocks.iter().map(|(segment, term)| (*segment, Name::Block(term.clone()))).collect();
    let parts = read(store, scope, ids, async |ids| {
        let wanted: Vec<String> = ids.iter().filter_map(block_row).collect();
        let wanted = format!("[{}]", wanted.join(","));
        on!(store, |db| {
            let rows = db.read(scoped(db.text(BLOCKS), scope).bind(wanted)).await?;
            let parts = rows.iter().map(|row| {
                let term: Vec<u8> = row.get("first_term")?;
                let block: Vec<u8> = row.get("block")?;
                Ok(((row.get("segment_id")?, Name::Block(term.into())), Part::Bytes(block.into())))
            });
            parts.collect()
        })
    });
    let Some(parts) = parts.await? else { return Ok(None) };
    let blocks = parts.into_iter().filter_map(|((segment, name), part)| match (name, part) {
        (Name::Block(term), Part::Bytes(block)) => Some(((segment, term), block)),
        _ => None,
    });
    Ok(Some(blocks.collect()))
}

fn block_row((segment, name): &Id) -> Option<String> {
    let Name::Block(term) = name else { return None };
    let term: String = term.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("[\"{}\",\"{term}\"]", segment.simple()))
}

/// The codes of segments in a space; `None` if those of one are not there any
/// more.
pub(super) async fn codes(
    store: &SqlStore,
    scope: &Scope,
    space: Uuid,
    segments: &[Uuid],
) -> Result<Option<BTreeMap<Uuid, Arc<[u8]>>>> {
    let parts = read(store, scope, named(segments, &Name::Codes(space)), async |ids| {
        on!(store, |db| {
            let query = scoped(db.text(CODES), scope).bind(db.ids(&segments_of(ids))).bind(space);
            let rows = db.read(query).await?;
            let parts = rows.iter().map(|row| {
                let codes: Vec<u8> = row.get("codes")?;
                Ok(((row.get("segment_id")?, Name::Codes(space)), Part::Bytes(codes.into())))
            });
            parts.collect()
        })
    });
    let Some(parts) = parts.await? else { return Ok(None) };
    let codes = parts.into_iter().filter_map(|((segment, _), part)| match part {
        Part::Bytes(codes) => Some((segment, codes)),
        _ => None,
    });
    Ok(Some(codes.collect()))
}

fn named(segments: &[Uuid], name: &Name) -> Vec<Id> {
    segments.iter().map(|segment| (*segment, name.clone())).collect()
}

fn segments_of(ids: &[Id]) -> Vec<Uuid> {
    ids.iter().map(|(segment, _)| *segment).collect()
}

/// Parts out of the cache, or out of the database into the cache; `None` if the
/// database has one no more.
async fn read(
    store: &SqlStore,
    scope: &Scope,
    mut missing: Vec<Id>,
    load: impl AsyncFnOnce(&[Id]) -> Result<Vec<(Id, Part)>>,
) -> Result<Option<HashMap<Id, Part>>> {
    let key = |(segment, name): &Id| Key { tenant: scope.tenant, segment: *segment, name: name.clone() };
    let mut parts = HashMap::with_capacity(missing.len());
    let look = |missing: &mut Vec<Id>, parts: &mut HashMap<Id, Part>| {
        missing.retain(|id| match store.index.get(&key(id)) {
            Some(part) => {
                parts.insert(id.clone(), part);
                false
            }
            None => true,
        });
    };
    look(&mut missing, &mut parts);
    let Some((first, _)) = missing.first() else { return Ok(Some(parts)) };
    let _reading = store.index.reading(*first).await;
    look(&mut missing, &mut parts);
    if missing.is_empty() {
        return Ok(Some(parts));
    }
    for (id, part) in load(&missing).await? {
        store.index.insert(key(&id), part.clone());
        parts.insert(id, part);
    }
    Ok(missing.iter().all(|id| parts.contains_key(id)).then_some(parts))
}

//! The index: its segments in the database, and how they are replaced.
//!
//! A segment never changes. Whoever changes a collection's index reads segments,
//! makes new ones of them without holding anything up, and then puts these in
//! their place in one short transaction, which is stored only if all of the old
//! ones are still there.

mod cache;
mod change;
mod merge;

use std::collections::{HashMap, HashSet};

use aimate_core::knowledge::Blob;
use aimate_core::{CollectionId, DocumentId, Result, Scope};
use aimate_index::segment::TermBlock;
use aimate_index::{Segment, SegmentHeader};
use uuid::Uuid;

use super::step::{Dialect as _, Pair, Step, among, pair, run};
use super::{TRIES, again, compute};
use crate::SqlStore;
use crate::row::Columns;
use crate::statement::scoped;

pub(crate) use cache::Cache;
pub(super) use cache::{Key, Name, Part};
pub(super) use change::{Added, Change};
pub(super) use merge::merge;

macro_rules! headers {
    ($database:ident) => {
        concat!("SELECT id, header FROM segments WHERE tenant_id = $1 AND id ", among!($database, "$3"))
    };
}
const HEADERS: Pair = pair!(headers);
macro_rules! blocks {
    ($database:ident) => {
        concat!(
            "SELECT segment_id, first_term, block FROM segment_blocks WHERE tenant_id = $1 AND segment_id ",
            among!($database, "$3"),
            " ORDER BY segment_id, first_term"
        )
    };
}
const BLOCKS: Pair = pair!(blocks);
macro_rules! codes {
    ($database:ident) => {
        concat!(
            "SELECT segment_id, space_id, codes FROM segment_codes WHERE tenant_id = $1 AND segment_id ",
            among!($database, "$3")
        )
    };
}
const CODES: Pair = pair!(codes);

const ACTIVE: &str = "SELECT s.id FROM spaces s JOIN collections c \
    ON c.tenant_id = s.tenant_id AND c.id = s.collection_id WHERE s.tenant_id = $1 AND c.user_id = $2 \
    AND s.collection_id = $3 AND s.status = 'active'";

macro_rules! documents {
    ($database:ident) => {
        concat!(
            "SELECT id, collection_id, segment_id, content_hash FROM documents \
             WHERE tenant_id = $1 AND user_id = $2 AND id ",
            among!($database, "$3")
        )
    };
}
const DOCUMENTS: Pair = pair!(documents);
macro_rules! counts {
    ($database:ident) => {
        concat!(
            "SELECT segment_id, count(*) AS documents FROM documents WHERE tenant_id = $1 AND segment_id ",
            among!($database, "$3"),
            " GROUP BY segment_id"
        )
    };
}
const COUNTS: Pair = pair!(counts);
/// A document that came into the index, or into another segment, since it was
/// looked at is not deleted.
macro_rules! delete {
    ($database:ident) => {
        concat!(
            "DELETE FROM documents WHERE tenant_id = $1 AND user_id = $2 AND id ",
            among!($database, "$3"),
            " AND (segment_id IS NULL OR segment_id ",
            among!($database, "$4"),
            ")"
        )
    };
}
const DELETE: Pair = pair!(delete);

/// A segment out of the database.
pub(super) struct Loaded {
    pub(super) id: Uuid,
    pub(super) segment: Segment,
}

/// Reads whole segments, in the order of `ids`; `None` if one is not there any
/// more.
pub(super) async fn load(store: &SqlStore, scope: &Scope, ids: &[Uuid]) -> Result<Option<Vec<Loaded>>> {
    if ids.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let mut blocks: HashMap<Uuid, Vec<_>> = HashMap::new();
    let mut codes: HashMap<Uuid, HashMap<Uuid, Vec<u8>>> = HashMap::new();
    let mut headers: HashMap<Uuid, Vec<u8>> = HashMap::new();
    on!(store, |db| {
        for row in &db.read(scoped(db.text(BLOCKS), scope).bind(db.ids(ids))).await? {
            let block = TermBlock { first_term: row.get("first_term")?, bytes: row.get("block")? };
            blocks.entry(row.get("segment_id")?).or_default().push(block);
        }
        for row in &db.read(scoped(db.text(CODES), scope).bind(db.ids(ids))).await? {
            codes.entry(row.get("segment_id")?).or_default().insert(row.get("space_id")?, row.get("codes")?);
        }
        // Last: what has a header now had all its parts before.
        for row in &db.read(scoped(db.text(HEADERS), scope).bind(db.ids(ids))).await? {
            headers.insert(row.get("id")?, row.get("header")?);
        }
    });
    let loaded = ids.iter().map(|id| {
        Some(Loaded {
            id: *id,
            segment: Segment {
                header: headers.remove(id)?,
                blocks: blocks.remove(id).unwrap_or_default(),
                codes: codes.remove(id).unwrap_or_default(),
            },
        })
    });
    Ok(loaded.collect())
}

/// The space of the collection that is active.
pub(super) async fn active(
    store: &SqlStore,
    scope: &Scope,
    collection: CollectionId,
) -> Result<Option<Uuid>> {
    on!(store, |db| {
        let row = db.read_first(scoped(ACTIVE, scope).bind(collection.0)).await?;
        row.map(|row| row.get("id")).transpose()
    })
}

/// The change that takes documents out of their segments; `None` if a segment
/// is not there any more.
pub(super) async fn without(
    store: &SqlStore,
    scope: &Scope,
    collection: CollectionId,
    active: Option<Uuid>,
    leaving: HashMap<Uuid, HashSet<Uuid>>,
) -> Result<Option<Change>> {
    let mut change = Change::new(collection, active);
    if leaving.is_empty() {
        return Ok(Some(change));
    }
    change.removed = leaving.keys().copied().collect();
    let counts: HashMap<Uuid, u64> = on!(store, |db| {
        let rows = db.read(scoped(db.text(COUNTS), scope).bind(db.ids(&change.removed))).await?;
        let counts = rows.iter().map(|row| Ok((row.get("segment_id")?, row.get("documents")?)));
        counts.collect::<Result<_>>()?
    });
    let stays = |id: &Uuid| {
        counts.get(id).copied().unwrap_or(0) > leaving.get(id).map_or(0, |leaving| leaving.len() as u64)
    };
    let rest: Vec<Uuid> = change.removed.iter().copied().filter(stays).collect();
    let Some(loaded) = load(store, scope, &rest).await? else { return Ok(None) };
    change.added = compute(move || {
        let shrink = |part: &Loaded| match leaving.get(&part.id) {
            Some(leaving) => Added::without(part, leaving).transpose(),
            None => None,
        };
        loaded.iter().filter_map(shrink).collect()
    })
    .await?;
    Ok(Some(change))
}

/// Deletes the scope's documents among `ids` with everything that hangs on them
/// (chunks, vectors, entries of the index), in one commit. Returns their blobs,
/// for the caller to delete; ids that are not there are passed over.
pub(super) async fn delete_documents(
    store: &SqlStore,
    scope: &Scope,
    ids: &[DocumentId],
) -> Result<Vec<Blob>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let mut replacing = None;
    for _ in 0..TRIES {
        let found: Vec<Found> = on!(store, |db| {
            let rows = db.read(scoped(db.text(DOCUMENTS), scope).bind(db.ids(&ids))).await?;
            rows.iter().map(|row| Found::of(scope, row)).collect::<Result<_>>()?
        });
        if found.is_empty() {
            return Ok(Vec::new());
        }
        if replacing.is_none() && found.iter().any(|found| found.segment.is_some()) {
            // What was found may be another thing after the wait.
            replacing = Some(store.index.replacing(found.iter().map(|found| found.collection)).await);
            continue;
        }
        if let Some(steps) = deletion(store, scope, &found).await?
            && run(store, steps).await?
        {
            return Ok(found.into_iter().map(|found| found.blob).collect());
        }
    }
    Err(again())
}

/// A document that is to be deleted.
struct Found {
    collection: CollectionId,
    segment: Option<Uuid>,
    blob: Blob,
}

impl Found {
    fn of(scope: &Scope, row: &impl Columns) -> Result<Self> {
        Ok(Self {
            collection: row.get("collection_id")?,
            segment: row.maybe("segment_id")?,
            blob: super::document::blob(scope.tenant, row)?,
        })
    }
}

async fn deletion(store: &SqlStore, scope: &Scope, found: &[Found]) -> Result<Option<Vec<Step>>> {
    let mut leaving: HashMap<CollectionId, HashMap<Uuid, HashSet<Uuid>>> = HashMap::new();
    for document in found {
        let segments = leaving.entry(document.collection).or_default();
        if let Some(segment) = document.segment {
            segments.entry(segment).or_default().insert(document.blob.document.0);
        }
    }
    let mut changes = Vec::with_capacity(leaving.len());
    for (collection, leaving) in leaving {
        let active = active(store, scope, collection).await?;
        let Some(change) = without(store, scope, collection, active, leaving).await? else { return Ok(None) };
        changes.push(change);
    }
    // In one order, so that two deletions do not wait for each other.
    changes.sort_by_key(|change| change.collection);
    let removed = changes.iter().flat_map(|change| change.removed.iter().copied()).collect();
    let documents = found.iter().map(|found| found.blob.document.0).collect();
    let mut steps: Vec<Step> = changes.iter().flat_map(|change| change.take_out(scope)).collect();
    steps.push(Step::new(DELETE, scope).ids(documents).ids(removed).expect(found.len()));
    for change in changes {
        steps.extend(change.put_in(scope));
    }
    Ok(Some(steps))
}

/// The chunks of a segment in order; `None` if it is not there any more.
pub(super) async fn chunks(store: &SqlStore, scope: &Scope, id: Uuid) -> Result<Option<Vec<Uuid>>> {
    let header: Option<Vec<u8>> = on!(store, |db| {
        let row = db.read_first(scoped(db.text(HEADERS), scope).bind(db.ids(&[id]))).await?;
        row.map(|row| row.get("header")).transpose()?
    });
    header.map(|header| Ok(SegmentHeader::decode(&header)?.chunks)).transpose()
}

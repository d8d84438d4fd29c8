//! Finding chunks, by their words and by their vectors.

mod parts;
mod text;
mod vector;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aimate_core::knowledge::{Passage, ScoredChunk, SearchScope};
use aimate_core::{ChunkId, DocumentId, Result, Scope, SpaceId};
use aimate_index::{DocIdSet, SegmentHeader};
use uuid::Uuid;

use super::step::{Dialect as _, Pair, among, pair};
use super::{document, filter, vector as vectors_of};
use crate::SqlStore;
use crate::row::Columns;
use crate::statement::scoped;

pub(super) use text::text;
pub(super) use vector::vector;

/// The chunk `k` and what is shown of its document `d`.
macro_rules! passage_columns {
    () => {
        "k.id, k.document_id, k.position, k.content, k.headings, k.page, k.starts_at, k.ends_at, \
         d.collection_id, d.title, d.name"
    };
}
pub(super) use passage_columns;

macro_rules! passages {
    ($database:ident) => {
        concat!(
            "SELECT ",
            passage_columns!(),
            " FROM chunks k JOIN documents d ON d.tenant_id = k.tenant_id AND d.id = k.document_id \
             WHERE k.tenant_id = $1 AND d.user_id = $2 AND d.segment_id IS NOT NULL AND k.id ",
            among!($database, "$3")
        )
    };
}
const PASSAGES: Pair = pair!(passages);

/// The passage of a row.
pub(super) fn passage(row: &impl Columns) -> Result<Passage> {
    Ok(Passage {
        chunk: document::chunk(row)?,
        collection: row.get("collection_id")?,
        title: row.get("title")?,
        name: row.get("name")?,
    })
}

/// See [`SearchIndex::passages`](aimate_core::knowledge::SearchIndex::passages).
pub(super) async fn passages(store: &SqlStore, scope: &Scope, chunks: &[ChunkId]) -> Result<Vec<Passage>> {
    on!(store, |db| {
        let rows = db.read(scoped(db.text(PASSAGES), scope).bind(db.ids(&uuids(chunks)))).await?;
        rows.iter().map(passage).collect()
    })
}

/// See [`SearchIndex::cosines`](aimate_core::knowledge::SearchIndex::cosines).
pub(super) async fn cosines(
    store: &SqlStore,
    scope: &Scope,
    spaces: &[SpaceId],
    query: &[f32],
    chunks: &[ChunkId],
) -> Result<Vec<ScoredChunk>> {
    let spaces: Vec<Uuid> = spaces.iter().map(|space| space.0).collect();
    let mut scored = vectors_of::cosines(store, scope, &spaces, query, &uuids(chunks)).await?;
    rank(&mut scored, usize::MAX);
    Ok(scored)
}

/// See [`SearchIndex::vectors`](aimate_core::knowledge::SearchIndex::vectors).
pub(super) async fn vectors(
    store: &SqlStore,
    scope: &Scope,
    spaces: &[SpaceId],
    chunks: &[ChunkId],
) -> Result<Vec<(ChunkId, Vec<f32>)>> {
    let spaces: Vec<Uuid> = spaces.iter().map(|space| space.0).collect();
    vectors_of::load(store, scope, &spaces, &uuids(chunks)).await
}

fn uuids(chunks: &[ChunkId]) -> Vec<Uuid> {
    chunks.iter().map(|chunk| chunk.0).collect()
}

/// The documents that pass the target's filter; `None` if it has none.
async fn allowed(
    store: &SqlStore,
    scope: &Scope,
    target: &SearchScope,
) -> Result<Option<HashSet<DocumentId>>> {
    match &target.filter {
        Some(filter) => filter::allowed(store, scope, &target.collections, filter).await.map(Some),
        None => Ok(None),
    }
}

/// Puts the best first, equal ones by id, each chunk once, at most `limit`.
fn rank(scored: &mut Vec<ScoredChunk>, limit: usize) {
    scored.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk)));
    let mut seen = HashSet::with_capacity(scored.len());
    scored.retain(|one| seen.insert(one.chunk));
    scored.truncate(limit);
}

/// Which chunks of segments pass a filter.
#[derive(Default)]
struct Allowed {
    /// All of a segment's if it is not in here.
    docs: HashMap<Uuid, DocIdSet>,
    /// Chunks that do not pass.
    filtered: u64,
}

impl Allowed {
    fn of(headers: &HashMap<Uuid, Arc<SegmentHeader>>, passing: Option<&HashSet<DocumentId>>) -> Self {
        let mut allowed = Self::default();
        let Some(passing) = passing else { return allowed };
        for (segment, header) in headers {
            let docs = header.docs_of(|document| passing.contains(&DocumentId(document)));
            allowed.filtered += u64::from(header.chunk_count()).saturating_sub(docs.len());
            allowed.docs.insert(*segment, docs);
        }
        allowed
    }
}

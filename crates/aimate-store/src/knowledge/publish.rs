//! Making documents findable, and the work that comes before it.

mod rows;

use std::collections::{HashMap, HashSet};

use aimate_core::knowledge::{
    DocumentError, Fence, Finish, NewChunk, Publication, PublishedDocument, SpaceStatus, SpaceVectors,
};
use aimate_core::{ChunkId, CollectionId, DocumentId, Error, Result, Scope, SpaceId, Timestamp};
use aimate_index::{IndexedChunk, quantize};
use uuid::Uuid;

use super::index::{self, Added};
use super::step::{
    Dialect as _, Pair, Step, among, is_of_collection, is_processing, pair, part, rows, run, run_if_unchanged,
};
use super::vector::{self, NewVector};
use super::{TRIES, again, compute};
use crate::row::Columns;
use crate::statement::{found, scoped};
use crate::value::json;
use crate::{Database, Kind, SqlStore};

pub(super) use index::merge;

/// Those of the documents `$4` that somebody works on.
macro_rules! held {
    ($database:ident) => {
        concat!(
            "SELECT id, attempt, segment_id FROM documents WHERE tenant_id = $1 AND user_id = $2 AND ",
            is_of_collection!(),
            " AND ",
            is_processing!(),
            " AND id ",
            among!($database, "$4")
        )
    };
}
const HELD: Pair = pair!(held);
/// One row without a space if the collection has none.
const SPACES: &str = "SELECT c.id AS collection_id, s.id, s.dimensions, s.status FROM collections c \
    LEFT JOIN spaces s ON s.tenant_id = c.tenant_id AND s.collection_id = c.id \
    WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3";
const KNOWN: &str = "SELECT id FROM documents WHERE tenant_id = $1 AND user_id = $2 AND id = $3";
macro_rules! fenced {
    () => {
        concat!(" WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND attempt = $4 AND ", is_processing!())
    };
}
/// Who comes on is not what crashes a worker.
macro_rules! progress {
    ($database:ident) => {
        concat!(
            "UPDATE documents SET tries = 0, progress = ",
            part!($database, "2", float8),
            " FROM ",
            rows::of_fences!($database)
        )
    };
}
const PROGRESS: Pair = pair!(progress);
const SQLITE_MARK_PROGRESS: &str = "UPDATE documents SET tries = 0, progress = (r.value ->> 2) \
    FROM json_each($4) r WHERE documents.tenant_id = $1 AND documents.user_id = $2 \
    AND documents.collection_id IS NOT DISTINCT FROM $3 AND documents.id = unhex(r.value ->> 0) \
    AND documents.attempt = (r.value ->> 1) AND documents.status || '' = 'processing' RETURNING id";
const POSTGRES_MARK_PROGRESS: &str = "UPDATE documents SET tries = 0, progress = (r.value ->> 2)::float8 \
    FROM jsonb_array_elements($4::jsonb) AS r (value) WHERE documents.tenant_id = $1 \
    AND documents.user_id = $2 AND documents.collection_id IS NOT DISTINCT FROM $3 \
    AND documents.id = (r.value ->> 0)::uuid AND documents.attempt = (r.value ->> 1)::bigint \
    AND documents.status || '' = 'processing' RETURNING documents.id";
const FAIL: Pair = Pair {
    sqlite: concat!(
        "UPDATE documents SET status = 'failed', error = $5, worker_id = NULL, updated_at = $6",
        fenced!()
    ),
    postgres: concat!(
        "UPDATE documents SET status = 'failed', error = $5::jsonb, worker_id = NULL, updated_at = $6",
        fenced!()
    ),
};
const RETRY: Pair = Pair {
    sqlite: concat!(
        "UPDATE documents SET status = 'pending', error = $5, not_before = $7, tries = $8, worker_id = NULL, \
         updated_at = $6",
        fenced!()
    ),
    postgres: concat!(
        "UPDATE documents SET status = 'pending', error = $5::jsonb, not_before = $7, tries = $8, \
         worker_id = NULL, updated_at = $6",
        fenced!()
    ),
};

/// See [`IngestStore::embedded`](aimate_core::knowledge::IngestStore::embedded).
pub(super) async fn embedded(
    store: &SqlStore,
    scope: &Scope,
    space: SpaceId,
    chunks: &[ChunkId],
) -> Result<Vec<ChunkId>> {
    let chunks: Vec<Uuid> = chunks.iter().map(|chunk| chunk.0).collect();
    let present = vector::present(store, scope, space, &chunks).await?;
    if present.is_empty() {
        super::space::check(store, scope, space).await?;
    }
    Ok(present)
}

/// See [`IngestStore::mark_progress`](aimate_core::knowledge::IngestStore::mark_progress).
pub(super) async fn mark_progress(
    store: &SqlStore,
    scope: &Scope,
    collection: CollectionId,
    documents: &[(Fence, f32)],
) -> Result<Vec<DocumentId>> {
    let rows: Vec<_> = documents
        .iter()
        .map(|(fence, progress)| (fence.document.0.simple(), fence.attempt, progress))
        .collect();
    let rows = json(&rows)?;
    let marked: Vec<DocumentId> = match &store.database {
        Database::Sqlite(db) => {
            let rows = db.write(scoped(SQLITE_MARK_PROGRESS, scope).bind(collection.0).bind(rows)).await?;
            rows.iter().map(|row| row.get("id")).collect::<Result<_>>()?
        }
        Database::Postgres(db) => {
            let rows = db.write(scoped(POSTGRES_MARK_PROGRESS, scope).bind(collection.0).bind(rows)).await?;
            rows.iter().map(|row| row.get("id")).collect::<Result<_>>()?
        }
    };
    if marked.is_empty() {
        super::space::check_collection(store, scope, collection).await?;
    }
    Ok(marked)
}

/// See [`IngestStore::store_vectors`](aimate_core::knowledge::IngestStore::store_vectors).
pub(super) async fn store_vectors(
    store: &SqlStore,
    scope: &Scope,
    collection: CollectionId,
    documents: &[(Fence, f32)],
    vectors: &[SpaceVectors],
) -> Result<Vec<DocumentId>> {
    let named: HashSet<DocumentId> = documents.iter().map(|(fence, _)| fence.document).collect();
    if vectors.iter().flat_map(|vectors| &vectors.vectors).any(|(_, document, _)| !named.contains(document)) {
        return Err(Error::invalid("a vector comes without the fence of its document"));
    }
    let fences: Vec<Fence> = documents.iter().map(|(fence, _)| *fence).collect();
    for attempt in 0..TRIES {
        let held = Held::read(store, scope, collection, &fences).await?;
        let is_there = attempt > 0 || !held.is_first();
        let stored = held.vectors(store.kind(), scope, vectors, is_there)?;
        let holds = documents.iter().filter(|(fence, _)| held.fences.contains_key(fence));
        let rows: Vec<_> =
            holds.map(|(fence, progress)| (fence.document.0.simple(), fence.attempt, progress)).collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let progressed = Step::new(PROGRESS, scope).id(collection.0);
        let mut steps = vec![progressed.text(json(&rows)?.0.get().to_owned()).expect(rows.len())];
        steps.extend(stored);
        if run_if_unchanged(store, steps).await? {
            return Ok(held.fences.into_keys().map(|fence| fence.document).collect());
        }
    }
    Err(again())
}

/// See [`IngestStore::finish`](aimate_core::knowledge::IngestStore::finish).
pub(super) async fn finish(
    store: &SqlStore,
    scope: &Scope,
    fence: Fence,
    finish: &Finish,
    now: Timestamp,
) -> Result<()> {
    let ended = |text, error: &DocumentError| -> Result<Step> {
        let error = json(error)?.0.get().to_owned();
        let step = Step::new(text, scope).id(fence.document.0).int(i64::from(fence.attempt));
        Ok(step.text(error).int(now.0).expect(1))
    };
    let steps = match finish {
        Finish::Failed(error) => {
            vec![ended(FAIL, error)?, Step::new(rows::PRUNE, scope).ids(vec![fence.document.0])]
        }
        Finish::Retry { not_before, error, tries } => {
            vec![ended(RETRY, error)?.int(not_before.0).int(i64::from(*tries))]
        }
    };
    fenced(store, scope, fence, steps).await
}

/// Runs steps the first of which holds the fence.
async fn fenced(store: &SqlStore, scope: &Scope, fence: Fence, steps: Vec<Step>) -> Result<()> {
    if run(store, steps).await? {
        return Ok(());
    }
    check_document(store, scope, fence.document).await?;
    Err(Error::conflict(format!(
        "attempt {} at this document is over: another one took its place",
        fence.attempt
    )))
}

async fn check_document(store: &SqlStore, scope: &Scope, id: DocumentId) -> Result<()> {
    on!(store, |db| {
        let row = db.read_first(scoped(KNOWN, scope).bind(id.0)).await?;
        found(row.map(drop), || Error::missing("document", id))
    })
}

/// A space of the collection.
struct Known {
    id: SpaceId,
    dimensions: usize,
    status: SpaceStatus,
}

impl Known {
    fn of(row: &impl Columns) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            dimensions: row.get::<u32>("dimensions")? as usize,
            status: row.name("status")?,
        })
    }
}

/// What the database says to work on documents of a collection.
struct Held {
    /// The fences that hold, with the segment that the document's old version is
    /// found in.
    fences: HashMap<Fence, Option<Uuid>>,
    spaces: Vec<Known>,
}

impl Held {
    async fn read(
        store: &SqlStore,
        scope: &Scope,
        collection: CollectionId,
        fences: &[Fence],
    ) -> Result<Self> {
        let ids: Vec<Uuid> = fences.iter().map(|fence| fence.document.0).collect();
        on!(store, |db| {
            let rows = db.read(scoped(SPACES, scope).bind(collection.0)).await?;
            found(rows.first(), || Error::missing("collection", collection))?;
            let is_there = |row: &&_| Columns::uuid(*row, "id").is_ok_and(|id| id.is_some());
            let spaces = rows.iter().filter(is_there).map(Known::of).collect::<Result<_>>()?;
            let rows = db.read(scoped(db.text(HELD), scope).bind(collection.0).bind(db.ids(&ids))).await?;
            let held = rows.iter().map(|row| {
                let fence = Fence { document: row.get("id")?, attempt: row.get("attempt")? };
                Ok((fence, row.maybe("segment_id")?))
            });
            let mut held = held.collect::<Result<HashMap<_, _>>>()?;
            held.retain(|fence, _| fences.contains(fence));
            Ok(Self { fences: held, spaces })
        })
    }

    /// Whether nobody ever worked on these documents before: nothing of them is
    /// stored but themselves.
    fn is_first(&self) -> bool {
        self.fences.keys().all(|fence| fence.attempt == 1)
    }

    /// Storing those of the vectors whose document's fence holds; in place of
    /// what is there, unless nothing `is_there`.
    fn vectors(
        &self,
        kind: Kind,
        scope: &Scope,
        vectors: &[SpaceVectors],
        is_there: bool,
    ) -> Result<Vec<Step>> {
        let documents: HashSet<DocumentId> = self.fences.keys().map(|fence| fence.document).collect();
        let mut steps = Vec::new();
        for vectors in vectors {
            let known = self.spaces.iter().find(|known| known.id == vectors.space);
            let known = found(known, || Error::missing("embedding space", vectors.space))?;
            vector::check(vectors, known.dimensions)?;
            let rows: Vec<&NewVector> =
                vectors.vectors.iter().filter(|(_, document, _)| documents.contains(document)).collect();
            steps.extend(vector::store(kind, scope, known.id, known.dimensions, &rows, is_there)?);
        }
        Ok(steps)
    }
}

/// See [`IngestStore::publish`](aimate_core::knowledge::IngestStore::publish).
pub(super) async fn publish(
    store: &SqlStore,
    scope: &Scope,
    publication: &Publication,
) -> Result<Vec<DocumentId>> {
    let strays = |document: &PublishedDocument| {
        document.chunks.iter().any(|new| new.chunk.document_id != document.fence.document)
    };
    if publication.documents.iter().any(strays) {
        return Err(Error::invalid("a document is published with the chunk of another one"));
    }
    let mut replacing = None;
    for attempt in 0..TRIES {
        let Some(work) = Work::read(store, scope, publication).await? else { return Ok(Vec::new()) };
        if replacing.is_none() && !work.leaving.is_empty() {
            // What was read may be another thing after the wait.
            replacing = Some(store.index.replacing(std::iter::once(publication.collection)).await);
            continue;
        }
        let published = work.documents.iter().map(|document| document.fence.document).collect();
        let is_there = attempt > 0 || !work.held.is_first();
        let Some(steps) = work.steps(store, scope, is_there).await? else { continue };
        if run_if_unchanged(store, steps).await? {
            return Ok(published);
        }
    }
    Err(again())
}

/// A publication with what the database says to it.
struct Work<'a> {
    publication: &'a Publication,
    /// Those whose fence holds.
    documents: Vec<&'a PublishedDocument>,
    /// Where their old versions are found.
    leaving: HashMap<Uuid, HashSet<Uuid>>,
    held: Held,
}

impl<'a> Work<'a> {
    /// `None` if no fence holds.
    async fn read(store: &SqlStore, scope: &Scope, publication: &'a Publication) -> Result<Option<Self>> {
        let fences: Vec<Fence> = publication.documents.iter().map(|document| document.fence).collect();
        let held = Held::read(store, scope, publication.collection, &fences).await?;
        let holds = publication.documents.iter().filter(|one| held.fences.contains_key(&one.fence));
        let documents: Vec<_> = holds.collect();
        let mut leaving: HashMap<Uuid, HashSet<Uuid>> = HashMap::new();
        for (fence, segment) in &held.fences {
            if let Some(segment) = segment {
                leaving.entry(*segment).or_default().insert(fence.document.0);
            }
        }
        Ok((!documents.is_empty()).then_some(Self { publication, documents, leaving, held }))
    }

    /// What has to be done; `None` if the index changed meanwhile.
    async fn steps(self, store: &SqlStore, scope: &Scope, is_there: bool) -> Result<Option<Vec<Step>>> {
        let active = self.held.spaces.iter().find(|space| space.status == SpaceStatus::Active);
        let active = active.map(|space| space.id.0);
        let codes = self.codes(store, scope).await?;
        let stored = self.held.vectors(store.kind(), scope, &self.publication.vectors, is_there)?;
        let collection = self.publication.collection;
        let change = index::without(store, scope, collection, active, self.leaving).await?;
        let Some(mut change) = change else { return Ok(None) };

        let chunks: Vec<_> = self.documents.iter().flat_map(|document| &document.chunks).collect();
        let mut segment = None;
        if !chunks.is_empty() {
            let of = |new: &&NewChunk| IndexedChunk {
                id: new.chunk.id.0,
                document: new.chunk.document_id.0,
                terms: new.terms.clone(),
            };
            let parts: Vec<IndexedChunk> = chunks.iter().map(of).collect();
            let added = compute(move || Added::new(&parts, codes)).await?;
            segment = Some(added.id);
            change.added.push(added);
        }
        let ids: Vec<Uuid> = self.documents.iter().map(|document| document.fence.document.0).collect();
        let mut steps = change.take_out(scope);
        steps.push(rows::ready(scope, self.publication, &self.documents, segment)?);
        steps.extend(change.put_in(scope));
        if is_there {
            steps.push(Step::new(rows::CLEAR, scope).ids(ids.clone()));
        }
        steps.extend(rows::chunks(store.kind(), scope, &chunks)?);
        steps.extend(stored);
        if is_there {
            steps.push(Step::new(rows::PRUNE, scope).ids(ids));
        }
        Ok(Some(steps))
    }

    /// The codes of all chunks, in order, in each space that has or is about to
    /// have them.
    async fn codes(&self, store: &SqlStore, scope: &Scope) -> Result<HashMap<Uuid, Vec<u8>>> {
        let chunks = || self.documents.iter().flat_map(|document| &document.chunks).map(|new| new.chunk.id);
        let mut codes = HashMap::new();
        for space in &self.held.spaces {
            if !matches!(space.status, SpaceStatus::Active | SpaceStatus::Building) {
                continue;
            }
            let mut given: HashMap<ChunkId, &[f32]> = HashMap::new();
            for vectors in self.publication.vectors.iter().filter(|vectors| vectors.space == space.id) {
                vector::check(vectors, space.dimensions)?;
                given.extend(vectors.vectors.iter().map(|(chunk, _, vector)| (*chunk, vector.as_slice())));
            }
            let absent: Vec<Uuid> =
                chunks().filter(|chunk| !given.contains_key(chunk)).map(|chunk| chunk.0).collect();
            let stored: HashMap<ChunkId, Vec<f32>> = match absent.is_empty() {
                true => HashMap::new(),
                false => vector::load(store, scope, &[space.id.0], &absent).await?.into_iter().collect(),
            };
            given.extend(stored.iter().map(|(chunk, vector)| (*chunk, vector.as_slice())));
            match coded(chunks(), &given) {
                Some(all) => drop(codes.insert(space.id.0, all)),
                None if space.status == SpaceStatus::Active => {
                    let message = "a chunk has no vector in the collection's active embedding space yet; \
                                   embed it, then try again";
                    return Err(Error::unavailable(message));
                }
                None => {}
            }
        }
        Ok(codes)
    }
}

fn coded(chunks: impl Iterator<Item = ChunkId>, vectors: &HashMap<ChunkId, &[f32]>) -> Option<Vec<u8>> {
    let mut codes = Vec::new();
    for chunk in chunks {
        quantize::encode(vectors.get(&chunk)?, &mut codes);
    }
    Some(codes)
}

//! Publication: documents become findable as a whole, in one commit.
//!
//! Everything that takes time is done before the transaction and without a lock:
//! reading the segments that the old versions are in, writing them anew without
//! these, building the segment of the new chunks. The transaction then checks that
//! all of it is still true. If not, nothing is stored and the work begins anew; the
//! worst that a slow publication costs is its own repetition.

use std::collections::HashMap;
use std::sync::Arc;

use aimate_core::knowledge::{Fence, NewChunk, Publication, PublishedDocument, SpaceStatus};
use aimate_core::{ChunkId, DocumentId, Error, Result, Scope};
use aimate_index::segment::attributes::Attributes;
use aimate_index::{IndexedChunk, quantize};
use serde_json::json;
use uuid::Uuid;

use super::chunk_rows::{self, DELETE_CHUNKS, DELETE_STRAY_VECTORS};
use super::fences::FencedDocuments;
use crate::SqlStore;
use crate::database::{Sql, Statement};
use crate::knowledge::attributes::AttributeSubject;
use crate::knowledge::blocking::compute;
use crate::knowledge::contention::{MAX_ATTEMPTS, contention_error, is_stored_if_unchanged};
use crate::knowledge::index::{IndexChange, Leaving, NewSegment};
use crate::knowledge::ownership::SpaceRow;
use crate::knowledge::vector;
use crate::value;

/// Each document of the array `$4` (`[id, attempt, title, media type, warnings, number
/// of chunks, version of the attributes]`) becomes ready, if its fence holds; its chunks are in the segment `$5`.
const MARK_READY: Sql = Sql::Each {
    sqlite: "UPDATE documents SET status = 'ready', error = NULL, progress = 1, worker_id = NULL, \
        title = r.value ->> 2, media_type = r.value ->> 3, warnings = r.value -> 4, \
        chunk_count = (r.value ->> 5), indexed_version = (r.value ->> 6), \
        segment_id = CASE WHEN (r.value ->> 5) = 0 THEN NULL ELSE $5 END, updated_at = $6 \
        FROM json_each($4) r WHERE documents.tenant_id = $1 AND documents.user_id = $2 \
        AND documents.collection_id IS NOT DISTINCT FROM $3 AND documents.id = unhex(r.value ->> 0) \
        AND documents.id IN (SELECT unhex(value ->> 0) FROM json_each($4)) \
        AND documents.attempt = (r.value ->> 1) AND documents.attributes_version = (r.value ->> 6) \
        AND documents.status || '' = 'processing'",
    postgres: "UPDATE documents SET status = 'ready', error = NULL, progress = 1, worker_id = NULL, \
        title = r.value ->> 2, media_type = r.value ->> 3, warnings = r.value -> 4, \
        chunk_count = (r.value ->> 5)::bigint, indexed_version = (r.value ->> 6)::bigint, \
        segment_id = CASE WHEN (r.value ->> 5)::bigint = 0 THEN NULL ELSE $5::uuid END, updated_at = $6 \
        FROM jsonb_array_elements($4::jsonb) AS r (value) \
        WHERE documents.tenant_id = $1 AND documents.user_id = $2 \
        AND documents.collection_id IS NOT DISTINCT FROM $3 AND documents.id = (r.value ->> 0)::uuid \
        AND documents.attempt = (r.value ->> 1)::bigint AND documents.attributes_version = (r.value ->> 6)::bigint \
        AND documents.status || '' = 'processing'",
};

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
    let mut writing = None;
    for attempt in 0..MAX_ATTEMPTS {
        let Some(plan) = PublishPlan::read(store, scope, publication).await? else { return Ok(Vec::new()) };
        if writing.is_none() && !plan.leaving.is_empty() {
            // New documents only add a segment, so publishing them needs no turn. Who
            // replaces old versions rewrites segments and waits for other writers in
            // this process; what was read before the wait may no longer be true.
            writing = Some(store.index.lock_writers(std::iter::once(publication.collection)).await);
            continue;
        }
        let published = plan.documents.iter().map(|document| document.fence.document).collect();
        // After a failed transaction, rows may be there even at the first attempt:
        // somebody stored the same.
        let may_exist = attempt > 0 || !plan.fenced.is_first_attempt();
        let Some(statements) = plan.statements(store, scope, may_exist).await? else { continue };
        if is_stored_if_unchanged(store.database.transaction_of(statements).await)? {
            return Ok(published);
        }
    }
    Err(contention_error())
}

/// A publication with what the database has of its documents.
struct PublishPlan<'a> {
    publication: &'a Publication,
    /// Those whose fence holds.
    documents: Vec<&'a PublishedDocument>,
    /// Where their old versions are found.
    leaving: Leaving,
    fenced: FencedDocuments,
}

impl<'a> PublishPlan<'a> {
    /// `None` if no fence holds.
    async fn read(store: &SqlStore, scope: &Scope, publication: &'a Publication) -> Result<Option<Self>> {
        let fences: Vec<Fence> = publication.documents.iter().map(|document| document.fence).collect();
        let fenced = FencedDocuments::read(store, scope, publication.collection, &fences).await?;
        let holds = publication.documents.iter().filter(|one| fenced.fences.contains_key(&one.fence));
        let documents: Vec<_> = holds.collect();
        let mut leaving = Leaving::new();
        for (fence, fenced) in &fenced.fences {
            if let Some(segment) = fenced.segment {
                leaving.entry(segment).or_default().insert(fence.document.0);
            }
        }
        Ok((!documents.is_empty()).then_some(Self { publication, documents, leaving, fenced }))
    }

    /// The transaction that publishes; `None` if a segment was replaced meanwhile.
    async fn statements(
        self,
        store: &SqlStore,
        scope: &Scope,
        may_exist: bool,
    ) -> Result<Option<Vec<Statement>>> {
        let kind = store.database.kind();
        let active = self.fenced.spaces.iter().find(|space| space.status == SpaceStatus::Active);
        let active = active.map(|space| space.id.0);
        let codes = self.codes(store, scope).await?;
        let vectors = self.fenced.store_vectors(kind, scope, &self.publication.vectors, may_exist)?;
        let chunks: Vec<&NewChunk> = self.documents.iter().flat_map(|document| &document.chunks).collect();
        let attributes = self.attributes()?;
        let segment = new_segment(store, &chunks, codes, attributes).await?;
        let ready = self.mark_ready(scope, segment.as_ref().map(|segment| segment.id))?;
        let ids: Vec<Uuid> = self.documents.iter().map(|document| document.fence.document.0).collect();
        let collection = self.publication.collection;
        let change = IndexChange::without(store, scope, collection, active, self.leaving).await?;
        let Some(mut change) = change else { return Ok(None) };
        change.added.extend(segment);

        // The collection's lock and the checks come first, so that a transaction that
        // fails does so before much was written.
        let mut statements = change.remove_statements(scope);
        // Before the rest of the old segments' documents are moved to the new ones:
        // the published ones must have left the old segments by then.
        statements.push(ready);
        statements.extend(change.add_statements(scope)?);
        if may_exist {
            statements.push(DELETE_CHUNKS.bind(scope.tenant).bind(ids.clone()));
        }
        statements.extend(chunk_rows::add(kind, scope, &chunks)?);
        statements.extend(vectors);
        if may_exist {
            // Last: only now the chunks are those that vectors are kept for.
            statements.push(DELETE_STRAY_VECTORS.bind(scope.tenant).bind(ids));
        }
        Ok(Some(statements))
    }

    /// Checks every fence in the transaction: if one does not hold any more, the
    /// statement touches too few rows, and nothing is stored.
    fn mark_ready(&self, scope: &Scope, segment: Option<Uuid>) -> Result<Statement> {
        let row = |document: &&PublishedDocument| {
            json!([
                document.fence.document.0.simple().to_string(),
                document.fence.attempt,
                document.title,
                document.media_type,
                document.warnings,
                document.chunks.len(),
                self.fenced.fences.get(&document.fence).map(|fenced| fenced.version),
            ])
        };
        let rows: Vec<_> = self.documents.iter().map(row).collect();
        Ok(MARK_READY
            .scoped(scope)
            .bind(self.publication.collection)
            .bind(value::json(&rows)?)
            .bind(segment)
            .bind(self.publication.now)
            .expect_touched(self.documents.len()))
    }

    /// What the documents are filtered by from now on.
    fn attributes(&self) -> Result<HashMap<Uuid, Attributes>> {
        let of = |document: &&PublishedDocument| {
            let fenced = self.fenced.fences.get(&document.fence)?;
            let subject = AttributeSubject {
                name: &fenced.name,
                title: &value::text(&document.title),
                source: fenced.source.as_deref(),
                media_type: &value::text(&document.media_type),
                metadata: &fenced.metadata,
            };
            Some(subject.attributes().map(|attributes| (document.fence.document.0, attributes)))
        };
        self.documents.iter().filter_map(of).collect()
    }

    /// The codes of all chunks, in order, in each space that searches use or are
    /// about to use.
    async fn codes(&self, store: &SqlStore, scope: &Scope) -> Result<HashMap<Uuid, Vec<u8>>> {
        let mut codes = HashMap::new();
        for space in &self.fenced.spaces {
            let is_active = space.status == SpaceStatus::Active;
            if !is_active && space.status != SpaceStatus::Building {
                continue;
            }
            match self.codes_in(store, scope, space).await? {
                Some(all) => drop(codes.insert(space.id.0, all)),
                None if is_active => {
                    let message = "a chunk has no vector in the collection's active embedding space yet; \
                                   embed it, then try again";
                    return Err(Error::unavailable(message));
                }
                // Who builds the space finds the segment without codes and fills it.
                None => {}
            }
        }
        Ok(codes)
    }

    /// The codes of all chunks in one space, of vectors that come with the
    /// publication or were stored before; `None` if a chunk has none.
    async fn codes_in(&self, store: &SqlStore, scope: &Scope, space: &SpaceRow) -> Result<Option<Vec<u8>>> {
        let chunks = || self.documents.iter().flat_map(|document| &document.chunks).map(|new| new.chunk.id);
        let mut given: HashMap<ChunkId, &[f32]> = HashMap::new();
        for vectors in self.publication.vectors.iter().filter(|vectors| vectors.space == space.id) {
            vector::check(vectors, space.dimensions)?;
            given.extend(vectors.vectors.iter().map(|(chunk, _, vector)| (*chunk, vector.as_slice())));
        }
        let absent: Vec<Uuid> =
            chunks().filter(|chunk| !given.contains_key(chunk)).map(|chunk| chunk.0).collect();
        let stored: HashMap<ChunkId, Vec<f32>> = match absent.is_empty() {
            true => HashMap::new(),
            false => vector::load(store, scope, vec![space.id.0], absent).await?.into_iter().collect(),
        };
        given.extend(stored.iter().map(|(chunk, vector)| (*chunk, vector.as_slice())));
        let mut codes = Vec::new();
        for chunk in chunks() {
            let Some(vector) = given.get(&chunk) else { return Ok(None) };
            quantize::encode(vector, &mut codes);
        }
        Ok(Some(codes))
    }
}

/// The segment of the new chunks; `None` if there are none.
async fn new_segment(
    store: &SqlStore,
    chunks: &[&NewChunk],
    codes: HashMap<Uuid, Vec<u8>>,
    attributes: HashMap<Uuid, Attributes>,
) -> Result<Option<NewSegment>> {
    if chunks.is_empty() {
        return Ok(None);
    }
    let indexed = |new: &&NewChunk| IndexedChunk {
        id: new.chunk.id.0,
        document: new.chunk.document_id.0,
        terms: new.terms.clone(),
    };
    let chunks: Vec<IndexedChunk> = chunks.iter().map(indexed).collect();
    let ids = Arc::clone(&store.ids);
    compute(move || NewSegment::build(ids.next(), &chunks, codes, &attributes)).await.map(Some)
}

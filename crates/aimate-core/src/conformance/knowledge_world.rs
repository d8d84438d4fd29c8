//! What the cases of knowledge are played with: a collection of the world's
//! user, documents that are added, claimed and published, and vectors whose
//! cosines are exact in half precision.

use std::collections::HashMap;
use std::time::Duration;

use aimate_index::analysis::analyze;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::world::{World, at, id};
use crate::id::{ChunkId, CollectionId, DocumentId, SpaceId, WorkerId};
use crate::knowledge::{
    Blob, Chunk, Chunking, ClaimedDocument, Collection, Document, DocumentStatus, EmbeddingModel,
    EmbeddingSpace, Fence, NewChunk, Publication, PublishedDocument, SearchScope, SpaceStatus, SpaceVectors,
    StorageQuotas,
};
use crate::{Result, Scope, Stores};

/// No worker of a case is late.
pub const LONG: Duration = Duration::from_secs(1_000_000_000);

/// Numbers of a vector.
pub const DIMENSIONS: u32 = 4;

/// Vectors of length 1 whose cosines with [`EAST`] are 1, 0.5, 0 and -1.
pub const EAST: [f32; 4] = [1.0, 0.0, 0.0, 0.0];
pub const NORTH_EAST: [f32; 4] = [0.5, 0.5, 0.5, 0.5];
pub const NORTH: [f32; 4] = [0.0, 1.0, 0.0, 0.0];
pub const WEST: [f32; 4] = [-1.0, 0.0, 0.0, 0.0];

/// A collection with text search alone.
pub fn collection(name: &str) -> Collection {
    Collection {
        workspace_id: None,
        id: id(),
        name: name.into(),
        description: "what is in it".into(),
        chunking: Chunking { size: 500, overlap: 50 },
        space: None,
        metadata: Map::from_iter([("n".into(), Value::from(1))]),
        label: None,
        expires_after_days: None,
        last_active_at: at(0),
        is_shared: false,
        document_count: 0,
        chunk_count: 0,
        created_at: at(0),
        updated_at: at(0),
    }
}

/// A space of a model of this name.
pub fn space(collection: CollectionId, model: &str, status: SpaceStatus) -> EmbeddingSpace {
    EmbeddingSpace {
        id: id(),
        collection_id: collection,
        model: EmbeddingModel { name: model.into(), dimensions: DIMENSIONS, version: "1".into() },
        status,
        chunk_count: 0,
        error: None,
        created_at: at(0),
    }
}

/// A document that waits.
pub fn document(collection: CollectionId, name: &str) -> Document {
    Document {
        id: id(),
        collection_id: collection,
        name: name.into(),
        title: name.into(),
        source: None,
        media_type: "text/plain".into(),
        size: 5,
        content_hash: hash(name),
        blob_id: id(),
        status: DocumentStatus::Pending,
        error: None,
        progress: 0.0,
        chunk_count: 0,
        warnings: Vec::new(),
        metadata: Map::new(),
        file_id: None,
        token_chunking: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

/// SHA-256 of `text`.
pub fn hash(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}

/// The chunks of a document that has these texts.
pub fn chunks(document: DocumentId, texts: &[&str]) -> Vec<NewChunk> {
    let mut seen: HashMap<&str, u32> = HashMap::new();
    let mut start = 0;
    let mut chunks = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let nth = seen.entry(text).or_default();
        let id = Chunk::id_of(document, text, *nth);
        *nth += 1;
        let end = start + text.chars().count() as u64;
        chunks.push(NewChunk {
            chunk: Chunk {
                id,
                document_id: document,
                index: u32::try_from(index).unwrap(),
                text: (*text).to_owned(),
                headings: vec!["Überschrift".into(), "b".into()],
                page: (index > 0).then_some(2),
                start,
                end,
            },
            terms: analyze(text),
        });
        start = end;
    }
    chunks
}

/// The id of the chunk with this text.
pub fn chunk_id(document: DocumentId, text: &str) -> ChunkId {
    Chunk::id_of(document, text, 0)
}

/// A collection of `world.me` and short ways to findable documents.
/// Adds a document whose bytes came to `worker`; into a collection that is not there none do.
pub async fn uploaded(
    stores: &Stores,
    worker: WorkerId,
    scope: &Scope,
    document: &Document,
    quotas: &StorageQuotas,
) -> Result<(Document, Option<Blob>)> {
    let (collection, blob) = (document.collection_id, document.blob_id);
    let _ = stores.documents.begin_upload(scope, collection, blob, worker).await;
    stores.documents.add(scope, document, quotas).await
}

pub struct Fixture<'s> {
    pub world: World<'s>,
    pub stores: &'s Stores,
    pub me: Scope,
    pub collection: CollectionId,
    /// The active space, if it has one.
    pub space: Option<SpaceId>,
}

impl<'s> Fixture<'s> {
    /// With text search alone.
    pub async fn new(stores: &'s Stores) -> Self {
        Self::with(stores, false).await
    }

    /// With an active space.
    pub async fn with_space(stores: &'s Stores) -> Self {
        Self::with(stores, true).await
    }

    async fn with(stores: &'s Stores, has_space: bool) -> Self {
        let world = World::new(stores).await;
        let mut collection = collection("shelf");
        collection.space = has_space.then(|| space(collection.id, "local/a", SpaceStatus::Active));
        stores.collections.create(&world.me, &collection).await.unwrap();
        let space = collection.space.map(|space| space.id);
        Self { stores, me: world.me, world, collection: collection.id, space }
    }

    /// Adds a document of this name.
    pub async fn add(&self, name: &str) -> Document {
        self.add_this(&document(self.collection, name)).await
    }

    pub async fn add_this(&self, document: &Document) -> Document {
        self.uploaded(&self.me, document, &StorageQuotas::default()).await.unwrap().0
    }

    /// Adds a document whose bytes came.
    pub async fn uploaded(
        &self,
        scope: &Scope,
        document: &Document,
        quotas: &StorageQuotas,
    ) -> Result<(Document, Option<Blob>)> {
        uploaded(self.stores, self.world.worker, scope, document, quotas).await
    }

    pub async fn get(&self, id: DocumentId) -> Document {
        self.stores.documents.get(&self.me, id).await.unwrap()
    }

    /// All that waits, for the world's worker.
    pub async fn claim(&self) -> Vec<ClaimedDocument> {
        self.stores.queue.claim_documents(self.world.worker, at(10), LONG, 100).await.unwrap()
    }

    /// Claims all that waits; the fence of this document.
    pub async fn fence(&self, document: DocumentId) -> Fence {
        let claimed = self.claim().await;
        let claimed = claimed.iter().find(|claimed| claimed.document.id == document).unwrap();
        Fence { document, attempt: claimed.attempt }
    }

    /// A document that becomes findable with these texts, each in the direction
    /// of [`EAST`].
    pub fn published(&self, fence: Fence, texts: &[&str]) -> PublishedDocument {
        PublishedDocument {
            fence,
            title: "title".into(),
            media_type: "text/markdown".into(),
            warnings: vec!["guessed".into()],
            chunks: chunks(fence.document, texts),
        }
    }

    pub fn publication(&self, documents: Vec<PublishedDocument>) -> Publication {
        let of = |document: &PublishedDocument| {
            let id = document.fence.document;
            document.chunks.iter().map(|new| (new.chunk.id, id, EAST.to_vec())).collect::<Vec<_>>()
        };
        let vectors = self
            .space
            .map(|space| SpaceVectors { space, vectors: documents.iter().flat_map(of).collect() })
            .into_iter()
            .collect();
        Publication { collection: self.collection, documents, vectors, now: at(20) }
    }

    /// Publishes the work of a fence.
    pub async fn publish(&self, fence: Fence, texts: &[&str]) {
        let publication = self.publication(vec![self.published(fence, texts)]);
        let published = self.stores.ingest.publish(&self.me, &publication).await.unwrap();
        assert_eq!(published, [fence.document]);
    }

    /// A findable document with these texts.
    pub async fn ready(&self, name: &str, texts: &[&str]) -> Document {
        self.ready_this(&document(self.collection, name), texts).await
    }

    pub async fn ready_this(&self, document: &Document, texts: &[&str]) -> Document {
        let added = self.add_this(document).await;
        let fence = self.fence(added.id).await;
        self.publish(fence, texts).await;
        self.get(added.id).await
    }

    /// A findable document with a vector of its own for each text.
    pub async fn ready_at(&self, name: &str, texts: &[(&str, [f32; 4])]) -> Document {
        let added = self.add(name).await;
        let fence = self.fence(added.id).await;
        let only: Vec<&str> = texts.iter().map(|(text, _)| *text).collect();
        let mut publication = self.publication(vec![self.published(fence, &only)]);
        for (vector, (_, wanted)) in publication.vectors[0].vectors.iter_mut().zip(texts) {
            vector.2 = wanted.to_vec();
        }
        let published = self.stores.ingest.publish(&self.me, &publication).await.unwrap();
        assert_eq!(published, [fence.document]);
        self.get(added.id).await
    }

    /// Everything in the collection.
    pub fn target(&self) -> SearchScope {
        SearchScope { collections: vec![self.collection], filter: None }
    }

    /// The texts that a question finds, best first.
    pub async fn found(&self, scope: &Scope, target: &SearchScope, question: &str) -> Vec<String> {
        let terms = aimate_index::analysis::analyze_query(question);
        let leg = self.stores.index.find_text(scope, target, &terms, 50).await.unwrap();
        let ids: Vec<ChunkId> = leg.best.iter().map(|best| best.chunk).collect();
        self.texts(scope, &ids).await
    }

    /// The texts of findable chunks, in the order of `ids`.
    pub async fn texts(&self, scope: &Scope, ids: &[ChunkId]) -> Vec<String> {
        let passages = self.stores.index.passages(scope, ids).await.unwrap();
        let mut texts: HashMap<ChunkId, String> =
            passages.into_iter().map(|passage| (passage.chunk.id, passage.chunk.text)).collect();
        ids.iter().filter_map(|id| texts.remove(id)).collect()
    }

    /// The texts of a document's findable chunks.
    pub async fn chunks(&self, document: DocumentId) -> Vec<String> {
        let chunks = self.stores.documents.chunks(&self.me, document, 0, 100).await.unwrap();
        chunks.into_iter().map(|chunk| chunk.text).collect()
    }

    /// Nothing is left over that nothing refers to.
    pub async fn is_tidy(&self) {
        assert_eq!(self.stores.maintenance.orphans(false).await.unwrap(), Vec::<String>::new());
    }
}

//! The ports of knowledge: where it is kept and found, the queue of documents
//! that wait, and the bytes they came as.

use std::path::PathBuf;

use aimate_index::analysis::Terms;
use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::{
    Chunk, Collection, CollectionChange, CollectionConfig, Document, DocumentError, DocumentFilter,
    EmbeddingSpace, Filter, NewChunk,
};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{ChunkId, CollectionId, DocumentId, SpaceId, TenantId, WorkerId};
use crate::page::{Page, PageRequest};
use crate::scope::Scope;

/// Where a search looks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchScope {
    /// These collections; foreign and unknown ones hold nothing.
    pub collections: Vec<CollectionId>,
    /// Documents that pass this.
    pub filter: Option<Filter>,
}

/// A chunk and how well it fits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredChunk {
    /// The chunk.
    pub chunk: ChunkId,
    /// BM25, or the cosine.
    pub score: f32,
}

/// What one leg of a search found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RankedChunks {
    /// The best chunks, best first; equal scores by chunk id.
    pub best: Vec<ScoredChunk>,
    /// Chunks of the collections.
    pub chunks: u64,
    /// Chunks among them that the filter left out.
    pub filtered: u64,
}

/// A chunk with what is shown of its document.
#[derive(Clone, Debug, PartialEq)]
pub struct Passage {
    /// The chunk.
    pub chunk: Chunk,
    /// The collection.
    pub collection: CollectionId,
    /// The document's title.
    pub title: String,
    /// The document's name.
    pub name: String,
}

/// Which work on a document an update belongs to: the fencing token. An update
/// with another attempt than the document's is a `Conflict` and changes
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fence {
    /// The document.
    pub document: DocumentId,
    /// The attempt.
    pub attempt: u32,
}

/// Vectors of one space, to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct SpaceVectors {
    /// The space.
    pub space: SpaceId,
    /// The vectors, each of length 1 and of the space's dimensions.
    pub vectors: Vec<(ChunkId, DocumentId, Vec<f32>)>,
}

/// Documents that become findable together, in one commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Publication {
    /// Their collection.
    pub collection: CollectionId,
    /// The documents.
    pub documents: Vec<PublishedDocument>,
    /// Vectors of their chunks that are not stored yet.
    pub vectors: Vec<SpaceVectors>,
    /// Now.
    pub now: Timestamp,
}

/// A document as it becomes findable: it replaces what was there of it.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedDocument {
    /// The work it belongs to.
    pub fence: Fence,
    /// The title.
    pub title: String,
    /// The media type that it turned out to be.
    pub media_type: String,
    /// What was noticed while reading it.
    pub warnings: Vec<String>,
    /// All its chunks, in order.
    pub chunks: Vec<NewChunk>,
}

/// How work on a document ends without publishing it.
#[derive(Clone, Debug, PartialEq)]
pub enum Finish {
    /// It failed; what was findable before stays so. Vectors of chunks that are
    /// not findable are deleted.
    Failed(DocumentError),
    /// It waits again, until `not_before`.
    Retry {
        /// When it may be claimed again.
        not_before: Timestamp,
        /// What went wrong, for those who look meanwhile.
        error: DocumentError,
        /// The tries that count, this one among them.
        tries: u32,
    },
}

/// Where knowledge is kept and found. Every method sees what is the scope's
/// user's; a foreign or unknown id is `NotFound`.
///
/// A chunk is found only once its document was published, and no longer once
/// the document is replaced or deleted: at every moment a search sees all of a
/// document's version or nothing of it.
#[async_trait]
pub trait KnowledgeStore: Send + Sync {
    /// Stores a new collection with its space, if it has one. `Conflict` if the
    /// user has one of this name, or the id is taken.
    async fn create_collection(&self, scope: &Scope, collection: &Collection) -> Result<()>;
    /// The collection with this id.
    async fn collection(&self, scope: &Scope, id: CollectionId) -> Result<Collection>;
    /// The collection of this name; `None` if there is none.
    async fn collection_named(&self, scope: &Scope, name: &str) -> Result<Option<Collection>>;
    /// The heads of the collections of these ids or names, in this order; of all
    /// the user's, the newest [`PageRequest::MAX_LIMIT`] first, if none is named.
    /// `NotFound` if one is not there.
    async fn collection_configs(&self, scope: &Scope, names: &[String]) -> Result<Vec<CollectionConfig>>;
    /// The user's collections, newest first.
    async fn collections(&self, scope: &Scope, page: PageRequest) -> Result<Page<Collection>>;
    /// Applies all of `change` but the embedder, and sets `updated_at`.
    /// `Conflict` if the new name is another collection's.
    async fn update_collection(
        &self,
        scope: &Scope,
        id: CollectionId,
        change: &CollectionChange,
        now: Timestamp,
    ) -> Result<Collection>;
    /// Deletes the collection with all its documents, chunks, vectors and index,
    /// in one commit. Returns the blobs that nothing needs any more.
    async fn delete_collection(&self, scope: &Scope, id: CollectionId) -> Result<Vec<Blob>>;

    /// Stores a document that waits for a worker (`pending`). If the collection
    /// has a document of the same `source`, that one becomes `pending` instead,
    /// with the new name, size, hash and metadata: its id and what is findable
    /// of it stay, and its attempt grows, so that older work on it is fenced
    /// off. Returns the document as it is now, and the blob that it does not
    /// need any more.
    async fn add_document(&self, scope: &Scope, document: &Document) -> Result<(Document, Option<Blob>)>;
    /// The document with this id.
    async fn document(&self, scope: &Scope, id: DocumentId) -> Result<Document>;
    /// The documents that pass `filter`, newest first.
    async fn documents(
        &self,
        scope: &Scope,
        filter: &DocumentFilter,
        page: PageRequest,
    ) -> Result<Page<Document>>;
    /// Gives documents another name and source, without reading them again: they
    /// were moved. `NotFound` if one is not there.
    async fn move_documents(
        &self,
        scope: &Scope,
        moves: &[(DocumentId, String, String)],
        now: Timestamp,
    ) -> Result<()>;
    /// Deletes documents with their text, chunks, vectors and index entries, in
    /// one commit. Returns the blobs that nothing needs any more. Ids that are
    /// not there are passed over.
    async fn delete_documents(&self, scope: &Scope, ids: &[DocumentId]) -> Result<Vec<Blob>>;
    /// Ends the work on a document that is `pending` or `processing`: it becomes
    /// `failed` with this reason, and its attempt grows. Returns the document as
    /// it is now; one that was over already is left as it is.
    async fn cancel_document(
        &self,
        scope: &Scope,
        id: DocumentId,
        reason: &DocumentError,
        now: Timestamp,
    ) -> Result<Document>;
    /// The findable chunks of a document in order, from `after`'s index on.
    async fn chunks(&self, scope: &Scope, id: DocumentId, from: u32, limit: u32) -> Result<Vec<Chunk>>;

    /// Which of `chunks` have a vector in the space.
    async fn embedded(&self, scope: &Scope, space: SpaceId, chunks: &[ChunkId]) -> Result<Vec<ChunkId>>;
    /// Stores vectors of documents' chunks, which become findable when these are
    /// published, and sets the documents' progress (0 to 1), in one commit. A
    /// vector that is there is replaced. A document whose fence does not hold is
    /// left out with its vectors; returns those that were not. Their tries are
    /// counted from 0 again.
    async fn store_vectors(
        &self,
        scope: &Scope,
        collection: CollectionId,
        documents: &[(Fence, f32)],
        vectors: &[SpaceVectors],
    ) -> Result<Vec<DocumentId>>;
    /// Makes documents findable as a whole: `ready`, with exactly these chunks.
    /// A document whose fence does not hold is left out; returns those that
    /// were published. `Unavailable` if a chunk has no vector in the
    /// collection's active space.
    async fn publish(&self, scope: &Scope, publication: &Publication) -> Result<Vec<DocumentId>>;
    /// Ends work on a document without publishing it.
    async fn finish(&self, scope: &Scope, fence: Fence, finish: &Finish, now: Timestamp) -> Result<()>;
    /// Puts small parts of a collection's index together, if that is worth it.
    /// Returns whether something was done.
    async fn merge_index(&self, scope: &Scope, collection: CollectionId) -> Result<bool>;

    /// The collection's spaces, newest first.
    async fn spaces(&self, scope: &Scope, collection: CollectionId) -> Result<Vec<EmbeddingSpace>>;
    /// Stores a space that is to be built beside the active one. One that is
    /// stored already becomes `building` again: chunks came since it was active.
    async fn create_space(&self, scope: &Scope, space: &EmbeddingSpace) -> Result<()>;
    /// Findable chunks that have no vector in the space yet, at most `limit`.
    async fn missing_vectors(&self, scope: &Scope, space: SpaceId, limit: u32) -> Result<Vec<Passage>>;
    /// Stores vectors for a space that is being built.
    async fn fill_space(&self, scope: &Scope, vectors: &SpaceVectors) -> Result<()>;
    /// Makes the space the active one if every findable chunk has a vector in
    /// it, in one commit; returns whether it did. The one that was active is
    /// `retired`.
    async fn activate_space(&self, scope: &Scope, space: SpaceId) -> Result<bool>;
    /// Makes no space active: text search alone. The one that was is `retired`.
    async fn deactivate_space(&self, scope: &Scope, collection: CollectionId) -> Result<()>;
    /// Marks a space as one that could not be built.
    async fn fail_space(&self, scope: &Scope, space: SpaceId, error: &str) -> Result<()>;
    /// Deletes a space that is not active, with its vectors.
    async fn delete_space(&self, scope: &Scope, space: SpaceId) -> Result<()>;

    /// The chunks with the highest BM25 score for `terms` (k1 = 1.2, b = 0.75,
    /// Lucene's idf; statistics over all the target's collections, whatever the
    /// filter): Robertson and Zaragoza 2009, "The Probabilistic Relevance
    /// Framework: BM25 and Beyond".
    async fn find_text(
        &self,
        scope: &Scope,
        target: &SearchScope,
        terms: &Terms,
        limit: u32,
    ) -> Result<RankedChunks>;
    /// The chunks of the space's collection whose vectors have the largest
    /// cosine with `query`, which has length 1. `target.collections` other than
    /// the space's hold nothing.
    async fn find_vector(
        &self,
        scope: &Scope,
        target: &SearchScope,
        spaces: &[SpaceId],
        query: &[f32],
        limit: u32,
    ) -> Result<RankedChunks>;
    /// The cosine of `query` with each of `chunks` that has a vector in one of
    /// the spaces.
    async fn cosines(
        &self,
        scope: &Scope,
        spaces: &[SpaceId],
        query: &[f32],
        chunks: &[ChunkId],
    ) -> Result<Vec<ScoredChunk>>;
    /// The vectors of `chunks` in the spaces, each of length 1; for comparing
    /// hits with each other. Those without one are left out.
    async fn vectors(
        &self,
        scope: &Scope,
        spaces: &[SpaceId],
        chunks: &[ChunkId],
    ) -> Result<Vec<(ChunkId, Vec<f32>)>>;
    /// The findable ones among `chunks`, in any order.
    async fn passages(&self, scope: &Scope, chunks: &[ChunkId]) -> Result<Vec<Passage>>;
}

/// A document that a worker has to read.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimedDocument {
    /// Whose it is.
    pub scope: Scope,
    /// The document, already `processing`.
    pub document: Document,
    /// The attempt that this is.
    pub attempt: u32,
    /// Attempts since the document was last added: the first is 1.
    pub tries: u32,
}

/// The queue of documents that wait to be read, shared by all processes on the
/// database. Like [`WorkerStore`](crate::run::WorkerStore) it serves the process
/// and has no scope.
#[async_trait]
pub trait KnowledgeQueue: Send + Sync {
    /// Takes at most `limit` documents that are `pending` (and due), or
    /// `processing` by a worker that has left, died or not beaten since
    /// `dead_before`; oldest first, each to one caller only. They become
    /// `processing`, of `worker`, with a higher attempt.
    async fn claim_documents(
        &self,
        worker: WorkerId,
        now: Timestamp,
        dead_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<ClaimedDocument>>;
    /// Hands documents of `worker` back to the queue untried: it is shutting
    /// down.
    async fn release_documents(&self, worker: WorkerId) -> Result<()>;
    /// Takes a space that is `building` and that no living worker builds.
    async fn claim_space(
        &self,
        worker: WorkerId,
        dead_before: Timestamp,
    ) -> Result<Option<(Scope, EmbeddingSpace)>>;
    /// Of these blobs, those that no document needs.
    async fn unreferenced_blobs(&self, blobs: &[Blob]) -> Result<Vec<Blob>>;
    /// What is in the knowledge tables though nothing refers to it: a sentence
    /// each; empty if all is well. Repairs what it can if `repair`.
    async fn orphans(&self, repair: bool) -> Result<Vec<String>>;
}

/// The bytes of one version of a document.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Blob {
    /// Whose it is.
    pub tenant: TenantId,
    /// The document.
    pub document: DocumentId,
    /// SHA-256 of the bytes, lower-case hexadecimal.
    pub hash: String,
}

/// Where the bytes of documents are kept. Names that users give are never part
/// of where.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Keeps the bytes, which are written as they come and are there as a whole
    /// or not at all; returns the blob and its size. `TooLarge` beyond `max`
    /// bytes; an error of `bytes` is handed on.
    async fn put(
        &self,
        tenant: TenantId,
        document: DocumentId,
        bytes: BoxStream<'_, Result<Vec<u8>>>,
        max: u64,
    ) -> Result<(Blob, u64)>;
    /// A file with the bytes, to be read only. `NotFound` if they are gone.
    async fn file(&self, blob: &Blob) -> Result<PathBuf>;
    /// Deletes the bytes; nothing happens if they are gone.
    async fn delete(&self, blob: &Blob) -> Result<()>;
    /// All blobs; for finding those that nothing needs.
    async fn list(&self) -> Result<Vec<Blob>>;
}

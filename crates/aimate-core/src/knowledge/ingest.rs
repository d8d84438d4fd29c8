//! Ingest: documents are claimed from a queue, and their chunks and vectors
//! stored until they are published.

use std::time::Duration;

use async_trait::async_trait;

use super::{Blob, Document, DocumentError, EmbeddingSpace, NewChunk, SpaceVectors};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{ChunkId, CollectionId, DocumentId, FileId, SpaceId, UploadId, WorkerId};
use crate::scope::Scope;

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

/// Stores the work on documents that were claimed from the [`IngestQueue`].
/// Every method sees what is the scope's user's; a foreign or unknown
/// collection, space or document is `NotFound`.
///
/// Each update of a worker names its [`Fence`]. A worker that lost its lease and does not
/// know it yet can therefore never overwrite what its successor stored.
#[async_trait]
pub trait IngestStore: Send + Sync {
    /// Which of `chunks` have a vector in the space, in any order: what a former
    /// attempt stored need not be embedded again.
    async fn embedded(&self, scope: &Scope, space: SpaceId, chunks: &[ChunkId]) -> Result<Vec<ChunkId>>;
    /// Sets the progress (0 to 1) of a document that is being read. Its retry count
    /// stays: one that has come far can still crash its reader. Returns whether its
    /// fence holds; where it does not, the document is left as it is.
    async fn mark_reading(&self, scope: &Scope, fence: Fence, progress: f32) -> Result<bool>;
    /// Sets the progress (0 to 1) of documents that a worker read and resets
    /// their retry count, so that a crash while others are embedded is not
    /// charged to them. Atomic. A document whose fence does not hold is left as
    /// it is; returns those whose does.
    async fn mark_progress(
        &self,
        scope: &Scope,
        collection: CollectionId,
        documents: &[(Fence, f32)],
    ) -> Result<Vec<DocumentId>>;
    /// Stores vectors of documents' chunks, which become findable when these are
    /// published, and marks the documents' progress as
    /// [`mark_progress`](Self::mark_progress) does, in one commit. A vector that
    /// is there is replaced. A document whose fence does not hold is left out
    /// with its vectors; returns those whose does. `Invalid` if a vector comes
    /// without the fence of its document, or does not have the space's
    /// dimensions.
    async fn store_vectors(
        &self,
        scope: &Scope,
        collection: CollectionId,
        documents: &[(Fence, f32)],
        vectors: &[SpaceVectors],
    ) -> Result<Vec<DocumentId>>;
    /// Makes documents findable as a whole, in one commit: `ready`, with exactly
    /// these chunks in place of those they had. A document whose fence does not
    /// hold is left out; returns those that were published. `Unavailable`, with
    /// nothing stored, if a chunk has no vector in the collection's active
    /// space; `Invalid` if a chunk is another document's.
    async fn publish(&self, scope: &Scope, publication: &Publication) -> Result<Vec<DocumentId>>;
    /// Ends work on a document without publishing it. `Conflict` if the fence
    /// does not hold.
    async fn finish(&self, scope: &Scope, fence: Fence, finish: &Finish, now: Timestamp) -> Result<()>;
    /// Puts a document that is `failed` into the queue again, with the bytes it has: it is
    /// `pending` without an error, and was never tried. Returns the document as it is now; one
    /// that is not `failed` is left as it is.
    async fn retry(&self, scope: &Scope, id: DocumentId, now: Timestamp) -> Result<Document>;
}

/// The queue of documents to read, spaces to build and bytes to remove, shared
/// by all processes on the database.
///
/// It serves the process and has no scope: it returns the scope of what it
/// hands out, and no user's call reaches it. A claim is a lease: it holds as
/// long as its worker beats ([`WorkerStore::beat`](crate::run::WorkerStore::beat)).
#[async_trait]
pub trait IngestQueue: Send + Sync {
    /// Claims at most `limit` documents that are `pending` (and due), or
    /// `processing` by a worker that has left, died or not beaten for `lease`;
    /// oldest first, each to one caller only. They become `processing`, of
    /// `worker`, with a higher attempt. Empty if there are none.
    async fn claim_documents(
        &self,
        worker: WorkerId,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<ClaimedDocument>>;
    /// Hands back the documents that `worker` is said to read and that are not
    /// among those it `held`: a claim, or the end of the work, was stored or
    /// lost without the database saying so. They are `pending`, and their tries
    /// count. Returns how many.
    async fn release_unheld(&self, worker: WorkerId, held: &[DocumentId]) -> Result<u64>;
    /// Hands the documents of `worker` back, `pending` and without a try counted
    /// against them: it is shutting down.
    async fn release_documents(&self, worker: WorkerId) -> Result<()>;
    /// Puts documents that are `ready` back, `pending`, if the terms they are found
    /// by were made by another analysis than this one
    /// ([`aimate_index::analysis::VERSION`]); returns how many. They stay findable
    /// meanwhile. What failed to be read anew stays as it is.
    async fn requeue_outdated(&self, analysis: u32) -> Result<u64>;
    /// Claims a space that is `building` and that no other living worker builds:
    /// a worker builds one at a time, and claims one only when it builds none.
    /// `None` if there is none.
    async fn claim_space(
        &self,
        worker: WorkerId,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Option<(Scope, EmbeddingSpace)>>;
    /// At most `limit` bytes that no document has any more or that no living
    /// worker uploads: whoever calls removes them from the [`BlobStore`] and then
    /// calls [`forget_removed`](Self::forget_removed). Several callers may get
    /// the same. Empty while somebody copies all bytes for a backup.
    ///
    /// [`BlobStore`]: super::BlobStore
    async fn blobs_to_remove(
        &self,
        worker: WorkerId,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<Blob>>;
    /// At most `limit` files that have expired by `now`, with the scopes of their users; and files that
    /// the tenant has of users who are gone ([`UserId::SHARED`](crate::UserId::SHARED)), once they are in no collection any more.
    async fn expired_files(&self, now: Timestamp, limit: u32) -> Result<Vec<(Scope, FileId)>>;
    /// At most `limit` uploads that have expired by `now`, with the scopes of their users.
    async fn expired_uploads(&self, now: Timestamp, limit: u32) -> Result<Vec<(Scope, UploadId)>>;
    /// Forgets batches of files that were made before `before` and have no document any more.
    async fn clear_batches(&self, before: Timestamp) -> Result<()>;
    /// Takes bytes that were removed off the list.
    async fn forget_removed(&self, blobs: &[Blob]) -> Result<()>;
}

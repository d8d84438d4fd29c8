//! Knowledge: collections, documents, and the index in which their chunks are
//! found.

mod blob;
mod collection;
mod copy;
mod document;
mod filter;
mod find;
mod index;
mod insert;
mod publish;
mod queue;
mod space;
mod step;
mod vector;

use aimate_core::knowledge::{
    Blob, Chunk, ClaimedDocument, Collection, CollectionChange, CollectionConfig, CollectionStore, Document,
    DocumentError, DocumentFilter, DocumentMove, DocumentStore, EmbeddingSpace, EmbeddingSpaceStore, Fence,
    Finish, IngestQueue, IngestStore, MaintenanceStore, Passage, Publication, RankedChunks, ScoredChunk,
    SearchIndex, SearchScope, SpaceVectors,
};
use aimate_core::{
    ChunkId, CollectionId, DocumentId, Error, Page, PageRequest, Result, Scope, SpaceId, Timestamp, WorkerId,
};
use aimate_index::analysis::Terms;
use async_trait::async_trait;

use crate::SqlStore;

pub use blob::DiskBlobs;
pub(crate) use index::Cache;

/// How often work on the index is begun anew because somebody else changed it
/// meanwhile.
const TRIES: usize = 8;

fn again() -> Error {
    Error::unavailable("the collection changed again and again at the same moment; try again")
}

/// Runs what takes the processor for long where it holds nobody up.
async fn compute<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::internal("the store's work broke off").with_source(error)),
    }
}

#[async_trait]
impl CollectionStore for SqlStore {
    async fn create(&self, scope: &Scope, collection: &Collection) -> Result<()> {
        collection::create(self, scope, collection).await
    }
    async fn get(&self, scope: &Scope, id: CollectionId) -> Result<Collection> {
        collection::get(self, scope, id).await
    }
    async fn get_by_name(&self, scope: &Scope, name: &str) -> Result<Option<Collection>> {
        collection::named(self, scope, name).await
    }
    async fn config(&self, scope: &Scope, id: CollectionId) -> Result<CollectionConfig> {
        collection::config(self, scope, id).await
    }
    async fn configs(&self, scope: &Scope, ids_or_names: &[String]) -> Result<Vec<CollectionConfig>> {
        collection::configs(self, scope, ids_or_names).await
    }
    async fn newest_configs(&self, scope: &Scope) -> Result<Vec<CollectionConfig>> {
        collection::newest_configs(self, scope).await
    }
    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<Collection>> {
        collection::list(self, scope, page).await
    }
    async fn update(
        &self,
        scope: &Scope,
        id: CollectionId,
        change: &CollectionChange,
        now: Timestamp,
    ) -> Result<Collection> {
        collection::update(self, scope, id, change, now).await
    }
    async fn delete(&self, scope: &Scope, id: CollectionId) -> Result<Vec<Blob>> {
        collection::delete(self, scope, id).await
    }
}

#[async_trait]
impl DocumentStore for SqlStore {
    async fn add(&self, scope: &Scope, document: &Document) -> Result<(Document, Option<Blob>)> {
        document::add(self, scope, document).await
    }
    async fn get(&self, scope: &Scope, id: DocumentId) -> Result<Document> {
        document::get(self, scope, id).await
    }
    async fn get_many(&self, scope: &Scope, ids: &[DocumentId]) -> Result<Vec<Document>> {
        document::get_many(self, scope, ids).await
    }
    async fn get_by_source(
        &self,
        scope: &Scope,
        collection: CollectionId,
        source: &str,
    ) -> Result<Option<Document>> {
        document::get_by_source(self, scope, collection, source).await
    }
    async fn list(
        &self,
        scope: &Scope,
        filter: &DocumentFilter,
        page: PageRequest,
    ) -> Result<Page<Document>> {
        document::list(self, scope, filter, page).await
    }
    async fn rename(&self, scope: &Scope, moves: &[DocumentMove], now: Timestamp) -> Result<()> {
        document::rename(self, scope, moves, now).await
    }
    async fn delete(&self, scope: &Scope, ids: &[DocumentId]) -> Result<Vec<Blob>> {
        document::delete(self, scope, ids).await
    }
    async fn cancel(
        &self,
        scope: &Scope,
        id: DocumentId,
        reason: &DocumentError,
        now: Timestamp,
    ) -> Result<Document> {
        document::cancel(self, scope, id, reason, now).await
    }
    async fn chunks(&self, scope: &Scope, id: DocumentId, from: u32, limit: u32) -> Result<Vec<Chunk>> {
        document::chunks(self, scope, id, from, limit).await
    }
}

#[async_trait]
impl EmbeddingSpaceStore for SqlStore {
    async fn list(&self, scope: &Scope, collection: CollectionId) -> Result<Vec<EmbeddingSpace>> {
        space::list(self, scope, collection).await
    }
    async fn create(&self, scope: &Scope, space: &EmbeddingSpace) -> Result<()> {
        space::create(self, scope, space).await
    }
    async fn missing_vectors(&self, scope: &Scope, space: SpaceId, limit: u32) -> Result<Vec<Passage>> {
        space::missing(self, scope, space, limit).await
    }
    async fn fill(&self, scope: &Scope, vectors: &SpaceVectors) -> Result<()> {
        space::fill(self, scope, vectors).await
    }
    async fn activate(&self, scope: &Scope, space: SpaceId) -> Result<bool> {
        space::activate(self, scope, space).await
    }
    async fn deactivate(&self, scope: &Scope, collection: CollectionId) -> Result<()> {
        space::deactivate(self, scope, collection).await
    }
    async fn fail(&self, scope: &Scope, space: SpaceId, error: &str) -> Result<()> {
        space::fail(self, scope, space, error).await
    }
    async fn delete(&self, scope: &Scope, space: SpaceId) -> Result<()> {
        space::delete(self, scope, space).await
    }
}

#[async_trait]
impl SearchIndex for SqlStore {
    async fn find_text(
        &self,
        scope: &Scope,
        target: &SearchScope,
        terms: &Terms,
        limit: u32,
    ) -> Result<RankedChunks> {
        find::text(self, scope, target, terms, limit).await
    }
    async fn find_vector(
        &self,
        scope: &Scope,
        target: &SearchScope,
        spaces: &[SpaceId],
        query: &[f32],
        limit: u32,
    ) -> Result<RankedChunks> {
        find::vector(self, scope, target, spaces, query, limit).await
    }
    async fn cosines(
        &self,
        scope: &Scope,
        spaces: &[SpaceId],
        query: &[f32],
        chunks: &[ChunkId],
    ) -> Result<Vec<ScoredChunk>> {
        find::cosines(self, scope, spaces, query, chunks).await
    }
    async fn vectors(
        &self,
        scope: &Scope,
        spaces: &[SpaceId],
        chunks: &[ChunkId],
    ) -> Result<Vec<(ChunkId, Vec<f32>)>> {
        find::vectors(self, scope, spaces, chunks).await
    }
    async fn passages(&self, scope: &Scope, chunks: &[ChunkId]) -> Result<Vec<Passage>> {
        find::passages(self, scope, chunks).await
    }
    async fn merge(&self, scope: &Scope, collection: CollectionId) -> Result<bool> {
        publish::merge(self, scope, collection).await
    }
}

#[async_trait]
impl IngestStore for SqlStore {
    async fn embedded(&self, scope: &Scope, space: SpaceId, chunks: &[ChunkId]) -> Result<Vec<ChunkId>> {
        publish::embedded(self, scope, space, chunks).await
    }
    async fn mark_progress(
        &self,
        scope: &Scope,
        collection: CollectionId,
        documents: &[(Fence, f32)],
    ) -> Result<Vec<DocumentId>> {
        publish::mark_progress(self, scope, collection, documents).await
    }
    async fn store_vectors(
        &self,
        scope: &Scope,
        collection: CollectionId,
        documents: &[(Fence, f32)],
        vectors: &[SpaceVectors],
    ) -> Result<Vec<DocumentId>> {
        publish::store_vectors(self, scope, collection, documents, vectors).await
    }
    async fn publish(&self, scope: &Scope, publication: &Publication) -> Result<Vec<DocumentId>> {
        publish::publish(self, scope, publication).await
    }
    async fn finish(&self, scope: &Scope, fence: Fence, finish: &Finish, now: Timestamp) -> Result<()> {
        publish::finish(self, scope, fence, finish, now).await
    }
}

#[async_trait]
impl IngestQueue for SqlStore {
    async fn claim_documents(
        &self,
        worker: WorkerId,
        now: Timestamp,
        dead_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<ClaimedDocument>> {
        queue::claim_documents(self, worker, now, dead_before, limit).await
    }
    async fn release_documents(&self, worker: WorkerId) -> Result<()> {
        queue::release_documents(self, worker).await
    }
    async fn claim_space(
        &self,
        worker: WorkerId,
        dead_before: Timestamp,
    ) -> Result<Option<(Scope, EmbeddingSpace)>> {
        queue::claim_space(self, worker, dead_before).await
    }
}

#[async_trait]
impl MaintenanceStore for SqlStore {
    async fn unreferenced_blobs(&self, blobs: &[Blob]) -> Result<Vec<Blob>> {
        queue::unreferenced_blobs(self, blobs).await
    }
    async fn orphans(&self, repair: bool) -> Result<Vec<String>> {
        queue::orphans(self, repair).await
    }
}

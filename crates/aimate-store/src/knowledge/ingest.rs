//! Storing the work on documents: progress, vectors, and in the end the publication
//! that makes them findable.

mod chunk_rows;
mod fences;
mod progress;
mod publish;

use aimate_core::knowledge::{Document, Fence, Finish, IngestStore, Publication, SpaceVectors};
use aimate_core::{ChunkId, CollectionId, DocumentId, Result, Scope, SpaceId, Timestamp};
use async_trait::async_trait;

use super::{document, ownership, vector};
use crate::SqlStore;

#[async_trait]
impl IngestStore for SqlStore {
    async fn embedded(&self, scope: &Scope, space: SpaceId, chunks: &[ChunkId]) -> Result<Vec<ChunkId>> {
        let ids = chunks.iter().map(|chunk| chunk.0).collect();
        let present = vector::present(self, scope, space, ids).await?;
        if present.is_empty() {
            ownership::space(self, scope, space).await?;
        }
        Ok(present)
    }

    async fn mark_reading(&self, scope: &Scope, fence: Fence, progress: f32) -> Result<bool> {
        progress::mark_reading(self, scope, fence, progress).await
    }

    async fn mark_progress(
        &self,
        scope: &Scope,
        collection: CollectionId,
        documents: &[(Fence, f32)],
    ) -> Result<Vec<DocumentId>> {
        progress::mark(self, scope, collection, documents).await
    }

    async fn store_vectors(
        &self,
        scope: &Scope,
        collection: CollectionId,
        documents: &[(Fence, f32)],
        vectors: &[SpaceVectors],
    ) -> Result<Vec<DocumentId>> {
        progress::store_vectors(self, scope, collection, documents, vectors).await
    }

    async fn publish(&self, scope: &Scope, publication: &Publication) -> Result<Vec<DocumentId>> {
        publish::publish(self, scope, publication).await
    }

    async fn finish(&self, scope: &Scope, fence: Fence, finish: &Finish, now: Timestamp) -> Result<()> {
        progress::finish(self, scope, fence, finish, now).await
    }

    async fn retry(&self, scope: &Scope, id: DocumentId, now: Timestamp) -> Result<Document> {
        document::retry(self, scope, id, now).await
    }
}

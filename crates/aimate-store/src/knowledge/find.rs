//! Finding chunks, by their words and by their vectors.

mod allowed;
mod text;
mod vector;

use aimate_core::knowledge::{Passage, RankedChunks, ScoredChunk, SearchIndex, SearchScope};
use aimate_core::{ChunkId, CollectionId, Result, Scope, SpaceId, UserId};
use aimate_index::analysis::Terms;
use async_trait::async_trait;
use uuid::Uuid;

use super::rows::passage;
use super::{index, vector as vectors_of};
use crate::SqlStore;
use crate::database::{Sql, each};

const PASSAGES: Sql = Sql::Each {
    sqlite: "SELECT k.id, k.document_id, k.position, k.content, k.headings, k.page, k.starts_at, k.ends_at, \
        d.collection_id, d.title, d.name, d.file_id FROM chunks k \
        JOIN documents d ON d.tenant_id = k.tenant_id AND d.id = k.document_id \
        WHERE k.tenant_id = $1 AND d.segment_id IS NOT NULL \
        AND k.id IN (SELECT unhex(value) FROM json_each($3)) AND (SELECT c.workspace_id IS NULL AND c.user_id IN ($2, $4) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) \
        IS NOT NULL FROM collections c WHERE c.tenant_id = $1 AND c.id = d.collection_id)",
    postgres: "SELECT k.id, k.document_id, k.position, k.content, k.headings, k.page, k.starts_at, k.ends_at, \
        d.collection_id, d.title, d.name, d.file_id FROM chunks k \
        JOIN documents d ON d.tenant_id = k.tenant_id AND d.id = k.document_id \
        WHERE k.tenant_id = $1 AND d.segment_id IS NOT NULL AND k.id = ANY($3) \
        AND (SELECT c.workspace_id IS NULL AND c.user_id IN ($2, $4) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) \
        IS NOT NULL FROM collections c WHERE c.tenant_id = $1 AND c.id = d.collection_id)",
};

#[async_trait]
impl SearchIndex for SqlStore {
    async fn find_text(
        &self,
        scope: &Scope,
        target: &SearchScope,
        terms: &Terms,
        limit: u32,
    ) -> Result<RankedChunks> {
        text::find(self, scope, target, terms, limit as usize).await
    }

    async fn find_vector(
        &self,
        scope: &Scope,
        target: &SearchScope,
        spaces: &[SpaceId],
        query: &[f32],
        limit: u32,
    ) -> Result<RankedChunks> {
        vector::find(self, scope, target, spaces, query, limit as usize).await
    }

    async fn cosines(
        &self,
        scope: &Scope,
        spaces: &[SpaceId],
        query: &[f32],
        chunks: &[ChunkId],
    ) -> Result<Vec<ScoredChunk>> {
        let cosines = vectors_of::cosines(self, scope, space_ids(spaces), query, chunk_ids(chunks)).await?;
        Ok(vector::rank(cosines, usize::MAX))
    }

    async fn vectors(
        &self,
        scope: &Scope,
        spaces: &[SpaceId],
        chunks: &[ChunkId],
    ) -> Result<Vec<(ChunkId, Vec<f32>)>> {
        vectors_of::load(self, scope, space_ids(spaces), chunk_ids(chunks)).await
    }

    async fn passages(&self, scope: &Scope, chunks: &[ChunkId]) -> Result<Vec<Passage>> {
        let passages = PASSAGES.scoped(scope).bind(chunk_ids(chunks)).bind(UserId::SHARED);
        each(&self.database.read(passages).await?, passage)
    }

    async fn merge(&self, scope: &Scope, collection: CollectionId) -> Result<bool> {
        index::merge(self, scope, collection).await
    }
}

fn space_ids(spaces: &[SpaceId]) -> Vec<Uuid> {
    spaces.iter().map(|space| space.0).collect()
}

fn chunk_ids(chunks: &[ChunkId]) -> Vec<Uuid> {
    chunks.iter().map(|chunk| chunk.0).collect()
}

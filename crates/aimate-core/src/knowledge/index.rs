//! The search index: the chunks that fit best, by their words and by their
//! meaning.

use aimate_index::analysis::Terms;
use async_trait::async_trait;

use super::{Chunk, Filter};
use crate::error::Result;
use crate::id::{ChunkId, CollectionId, FileId, SpaceId};
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

/// What one retriever (text or vector) found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RankedChunks {
    /// The best chunks, best first; equal scores by chunk id.
    pub best: Vec<ScoredChunk>,
    /// What no score for the question reaches: for BM25 that of a chunk which says
    /// each of its terms endlessly often, for the cosine 1. 0 if nothing was
    /// looked for.
    pub max_score: f32,
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
    /// The file that the document was attached from; `None` for one that was added by itself.
    pub file_id: Option<FileId>,
}

/// Finds chunks. Every method sees what is the scope's user's or shared by the tenant:
/// foreign and unknown collections, spaces and chunks hold nothing, which is no error.
///
/// A chunk is found only once its document was published, and no longer once
/// the document is replaced or deleted: at every moment a search sees all of a
/// document's version or nothing of it.
#[async_trait]
pub trait SearchIndex: Send + Sync {
    /// The chunks with the highest BM25 score for `terms` (k1 = 1.2, b = 0.75,
    /// Lucene's idf; statistics over all of `target`'s collections, whatever the
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
    /// Merges small segments of a collection's index, if that is worth it.
    /// Returns whether something was merged: call it again until it was not.
    /// Searches answer the same before, during and after. A foreign or unknown
    /// collection has nothing to merge, or is `NotFound`.
    async fn merge(&self, scope: &Scope, collection: CollectionId) -> Result<bool>;
}

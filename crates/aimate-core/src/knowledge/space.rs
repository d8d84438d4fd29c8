//! Embedding spaces: the vectors of one model over one collection.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{EmbeddingModel, Passage};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{ChunkId, CollectionId, DocumentId, SpaceId};
use crate::scope::Scope;
use crate::text::names;

/// Vectors of one model over the chunks of one collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EmbeddingSpace {
    /// Its id.
    pub id: SpaceId,
    /// The collection.
    pub collection_id: CollectionId,
    /// The model that makes its vectors, those of questions too.
    #[serde(flatten)]
    pub model: EmbeddingModel,
    /// How far it has come.
    pub status: SpaceStatus,
    /// Chunks that have a vector in it.
    pub chunk_count: u64,
    /// Why it could not be built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// How far a space has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SpaceStatus {
    /// Questions are compared in it.
    Active,
    /// It is being built beside the active one and becomes active when whole.
    Building,
    /// It was active; going back to it is instant.
    Retired,
    /// It could not be built.
    Failed,
}

names! { SpaceStatus { Active = "active", Building = "building", Retired = "retired", Failed = "failed" } }

/// Vectors of one space, to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct SpaceVectors {
    /// The space.
    pub space: SpaceId,
    /// The vectors, each of length 1 and of the space's dimensions.
    pub vectors: Vec<(ChunkId, DocumentId, Vec<f32>)>,
}

/// Stores embedding spaces. Every method sees those of the scope's user; a
/// foreign or unknown id is `NotFound`. `list` sees those of shared collections as well.
///
/// A collection has at most one space that is
/// [`Active`](SpaceStatus::Active), and at every moment each findable chunk has
/// a vector in it.
#[async_trait]
pub trait EmbeddingSpaceStore: Send + Sync {
    /// The collection's spaces, newest first.
    async fn list(&self, scope: &Scope, collection: CollectionId) -> Result<Vec<EmbeddingSpace>>;
    /// Stores a space that is to be built beside the active one. A retired or
    /// failed space that is stored already becomes `building` again: chunks came
    /// since it was active. `Conflict` if the id is taken otherwise.
    async fn create(&self, scope: &Scope, space: &EmbeddingSpace) -> Result<()>;
    /// Findable chunks that have no vector in the space yet, at most `limit`, in
    /// no particular order. Empty once the space is complete.
    async fn missing_vectors(&self, scope: &Scope, space: SpaceId, limit: u32) -> Result<Vec<Passage>>;
    /// Stores vectors for a space that is being built, in one commit. A vector
    /// that is there already is replaced; one of a chunk that is not findable in
    /// the space's collection (any more) is left out.
    async fn fill(&self, scope: &Scope, vectors: &SpaceVectors) -> Result<()>;
    /// Makes the space the active one if every findable chunk has a vector in
    /// it, in one commit; returns whether it did. The one that was active
    /// becomes `retired`. A space that is active already stays so.
    async fn activate(&self, scope: &Scope, space: SpaceId) -> Result<bool>;
    /// Makes no space active, leaving text search alone. The one that was
    /// becomes `retired`; nothing happens if there was none.
    async fn deactivate(&self, scope: &Scope, collection: CollectionId) -> Result<()>;
    /// Marks a space that is being built as one that cannot be, with the reason.
    /// `Conflict` if it is neither `building` nor `failed`.
    async fn fail(&self, scope: &Scope, space: SpaceId, error: &str) -> Result<()>;
    /// Deletes a space with its vectors. `Conflict` if it is active.
    async fn delete(&self, scope: &Scope, space: SpaceId) -> Result<()>;
}

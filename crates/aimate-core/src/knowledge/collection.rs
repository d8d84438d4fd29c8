//! Collections: named sets of documents that are searched together, and the
//! embedding spaces of each.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::EmbeddingModel;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{CollectionId, SpaceId};
use crate::limit;
use crate::text::names;

/// The name of the collection that documents go into where nobody names one.
pub const DEFAULT_COLLECTION: &str = "documents";

/// A named set of documents of one user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Collection {
    /// Its id.
    pub id: CollectionId,
    /// The name, 1 to 200 characters; no two collections of a user share one.
    pub name: String,
    /// What is in it.
    pub description: String,
    /// How its documents are cut into chunks.
    pub chunking: Chunking,
    /// The space that questions are compared in; `None` while it has text
    /// search alone.
    pub space: Option<EmbeddingSpace>,
    /// Free for the application.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub metadata: Map<String, Value>,
    /// How many documents it has.
    pub document_count: u64,
    /// How many chunks can be found in it.
    pub chunk_count: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What reading and searching need of a collection: nothing is counted for it.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectionConfig {
    /// Its id.
    pub id: CollectionId,
    /// How its documents are cut into chunks.
    pub chunking: Chunking,
    /// The active space and its model, if it has one.
    pub space: Option<(SpaceId, EmbeddingModel)>,
}

/// How documents are cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Chunking {
    /// Characters of a chunk at most, 100 to 8,000; default 1,000.
    pub size: u32,
    /// Characters that a chunk repeats of the one before, less than half of
    /// `size`; default 200.
    pub overlap: u32,
}

impl Default for Chunking {
    fn default() -> Self {
        Self { size: 1_000, overlap: 200 }
    }
}

impl Chunking {
    /// Checks the limits.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        if !(100..=8_000).contains(&self.size) {
            return Err(Error::field(
                "chunking.size",
                format!("is {}; it must be 100 to 8000 characters", self.size),
            ));
        }
        if self.overlap >= self.size.div_ceil(2) {
            let message =
                format!("is {}; it must be less than half of `size`, which is {}", self.overlap, self.size);
            return Err(Error::field("chunking.overlap", message));
        }
        Ok(())
    }
}

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

/// What a caller says of a new collection.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewCollection {
    /// The name, 1 to 200 characters.
    pub name: String,
    /// What is in it, at most 10,000 characters.
    #[serde(default)]
    pub description: String,
    /// How its documents are cut into chunks.
    #[serde(default)]
    pub chunking: Chunking,
    /// The model that makes its vectors: `local`, `none` (text search alone) or
    /// `CONNECTION/MODEL`. Default: the engine's.
    #[serde(default)]
    pub embedder: Option<String>,
    /// Free for the application, at most 64 KiB as JSON.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub metadata: Map<String, Value>,
}

impl NewCollection {
    /// One with this name and defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Checks the limits of every field.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        limit::name("name", &self.name, limit::NAME)?;
        limit::text("description", &self.description, limit::DESCRIPTION)?;
        self.chunking.check()?;
        limit::metadata("metadata", &self.metadata)
    }
}

/// What to change about a collection; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CollectionChange {
    /// The name, 1 to 200 characters.
    pub name: Option<String>,
    /// What is in it.
    pub description: Option<String>,
    /// How documents that come from now on are cut; those that are there stay
    /// as they are until they change.
    pub chunking: Option<Chunking>,
    /// Another model for the vectors: its space is built beside the active one,
    /// which answers until the new one is whole. A model that the collection
    /// had before is active again at once.
    pub embedder: Option<String>,
    /// All metadata, replaced as a whole.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub metadata: Option<Map<String, Value>>,
}

impl CollectionChange {
    /// Checks the limits of every field that is given.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        self.name.as_ref().map_or(Ok(()), |name| limit::name("name", name, limit::NAME))?;
        self.description
            .as_ref()
            .map_or(Ok(()), |text| limit::text("description", text, limit::DESCRIPTION))?;
        self.chunking.as_ref().map_or(Ok(()), Chunking::check)?;
        self.metadata.as_ref().map_or(Ok(()), |map| limit::metadata("metadata", map))
    }
}

//! Files: what a user uploaded; the bytes are kept by their hash.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::FileId;
use crate::page::{Page, PageRequest};
use crate::scope::Scope;

/// One uploaded file of a user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct File {
    /// Its id.
    pub id: FileId,
    /// The name it was uploaded under: for people, never part of a path.
    pub name: String,
    /// Its media type, such as `image/png`.
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of its bytes, lower-case hexadecimal.
    pub content_hash: String,
    /// When it was uploaded.
    pub created_at: Timestamp,
}

/// Where files are listed. Every method sees those of the scope's user.
#[async_trait]
pub trait FileStore: Send + Sync {
    /// Stores a new file's record. `Conflict` if the id is taken.
    async fn create(&self, scope: &Scope, file: &File) -> Result<()>;
    /// The file with this id; `NotFound` if the user has none.
    async fn get(&self, scope: &Scope, id: FileId) -> Result<File>;
    /// The user's files, newest first.
    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<File>>;
    /// Deletes the record; `NotFound` if absent.
    async fn delete(&self, scope: &Scope, id: FileId) -> Result<()>;
}

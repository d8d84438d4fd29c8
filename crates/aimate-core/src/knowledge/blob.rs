//! Blobs: the bytes of documents as they were sent.

use std::path::PathBuf;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::error::Result;
use crate::id::{DocumentId, TenantId};

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

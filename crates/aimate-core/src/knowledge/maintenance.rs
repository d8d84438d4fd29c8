//! Maintenance: finding what nothing refers to.

use async_trait::async_trait;

use super::Blob;
use crate::error::Result;
use crate::id::DocumentId;

/// Bytes that a document has, or a file, and what they must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferencedBlob {
    /// The bytes.
    pub blob: Blob,
    /// The document, or the file of this id.
    pub document: DocumentId,
    /// Its name, for people.
    pub name: String,
    /// How many bytes it has.
    pub size: u64,
    /// SHA-256 of them, lower-case hexadecimal.
    pub hash: String,
}

/// Looks for what a crash or a fault left behind, for `doctor`.
///
/// It serves the operator and has no scope: it looks over all tenants, and no
/// user's call reaches it.
#[async_trait]
pub trait MaintenanceStore: Send + Sync {
    /// Those of `blobs` that no document refers to, that are not being uploaded
    /// and not on the list of what is to be removed, in their order.
    async fn unreferenced_blobs(&self, blobs: &[Blob]) -> Result<Vec<Blob>>;
    /// At most `limit` bytes that documents of any tenant refer to, in the order
    /// of their blobs, from the one after `after` on.
    async fn referenced_blobs(&self, after: Option<Blob>, limit: u32) -> Result<Vec<ReferencedBlob>>;
    /// Rows of knowledge that nothing refers to: a sentence for each sort;
    /// empty if all is well. Deletes what it can if `repair`.
    async fn orphans(&self, repair: bool) -> Result<Vec<String>>;
}

//! Maintenance: finding what nothing refers to.

use async_trait::async_trait;

use super::Blob;
use crate::error::Result;

/// Looks for what a crash or a fault left behind, for `doctor`.
///
/// It serves the operator and has no scope: it looks over all tenants, and no
/// user's call reaches it.
#[async_trait]
pub trait MaintenanceStore: Send + Sync {
    /// Those of `blobs` that no document refers to, in their order. The bytes of
    /// a document that is being added are stored before the document is: look
    /// twice, some time apart, before deleting one.
    async fn unreferenced_blobs(&self, blobs: &[Blob]) -> Result<Vec<Blob>>;
    /// Rows of knowledge that nothing refers to: a sentence for each sort;
    /// empty if all is well. Deletes what it can if `repair`.
    async fn orphans(&self, repair: bool) -> Result<Vec<String>>;
}

//! Whether there is room for a document, before its bytes come.

use super::super::Engine;
use crate::error::Result;
use crate::scope::Scope;

impl Engine {
    /// Refuses a document for which there is certainly no room, so that nobody sends bytes
    /// in vain. One that may replace another is refused when it is stored at the earliest.
    ///
    /// # Errors
    /// `TooLarge` with [`ErrorReason::QuotaExceeded`](crate::ErrorReason::QuotaExceeded);
    /// what the store says.
    pub(in super::super) async fn has_room_for(&self, owner: &Scope, may_replace: bool) -> Result<()> {
        let quotas = self.inner.storage_quotas.of_owner(owner);
        if quotas.is_none() || may_replace {
            return Ok(());
        }
        let stored = self.inner.stores.documents.storage(owner, &quotas).await?;
        quotas.used_up(&stored).map_or(Ok(()), Err)
    }
}

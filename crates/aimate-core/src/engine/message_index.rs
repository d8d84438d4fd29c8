//! The work on the index of conversations that no call waits for.

use std::time::Duration;

use super::Engine;

/// How long the process waits when there is nothing to do, or when it went wrong.
const REST: Duration = Duration::from_secs(1);

impl Engine {
    /// Indexes, takes out and merges what waits, piece by piece, for as long as the
    /// process runs. Other processes may be at the same: whoever is later stores nothing.
    pub(super) async fn keep_messages_indexed(&self) {
        loop {
            match self.inner.stores.workers.index_messages().await {
                Ok(0) => tokio::time::sleep(REST).await,
                // Calls of users come first.
                Ok(_) => tokio::task::yield_now().await,
                Err(error) => {
                    tracing::warn!(%error, cause = ?error, "indexing conversations failed; trying again");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }
}

//! The end of hidden conversations: they are in no list, so nobody else would end them.

use std::time::Duration;

use super::Engine;
use crate::error::Result;

/// How often the process looks for those whose time is over.
const LOOK: Duration = Duration::from_secs(600);
/// How long it waits between two steps, so that others come in between.
const REST: Duration = Duration::from_millis(50);
/// Conversations that one step deletes, with all that is in them.
const STEP: u32 = 20;

impl Engine {
    /// Ends hidden conversations whose time is over, for as long as the process runs. Other
    /// processes may be at the same: each takes others.
    pub(super) async fn keep_hidden_cleared(&self) {
        loop {
            match self.clear_hidden().await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "deleted hidden conversations that nobody went on with"),
                Err(error) => {
                    tracing::warn!(%error, cause = ?error, "clearing hidden conversations failed; trying again");
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn clear_hidden(&self) -> Result<u64> {
        let inner = &self.inner;
        let before = inner.sources.now().minus(inner.keep_hidden);
        let mut count = 0;
        loop {
            let deleted = inner.stores.run_requests.clear(before, STEP).await?;
            count += deleted;
            if deleted < u64::from(STEP) {
                return Ok(count);
            }
            tokio::time::sleep(REST).await;
        }
    }
}

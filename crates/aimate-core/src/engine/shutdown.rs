//! The end of an engine: by [`Engine::drain`], or because its last handle was
//! dropped.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::DropGuard;

use super::{Engine, Inner};
use crate::error::Result;

/// How long the engine's tasks may take to end.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// How long each last write may take: while the database is away, an engine ends
/// all the same, and another process finds what it left.
const LAST_WRITE: Duration = Duration::from_secs(5);

impl Engine {
    /// Shuts down gracefully: takes no new turns, lets answers go on until
    /// `deadline`, then stores what came of the others as `interrupted`, and
    /// hands back its leases. The engine is not usable after this.
    ///
    /// An engine whose last handle ([`Engine`], [`Answer`](crate::Answer),
    /// [`Knowledge`](super::Knowledge) and the like) is dropped ends in the same
    /// way with a deadline of zero, in the background; this call waits for it.
    pub async fn drain(&self, deadline: Duration) {
        self.inner.draining.store(true, Ordering::Release);
        let idle = async {
            while self.running() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(deadline, idle).await.is_err() {
            tracing::warn!(runs = self.running(), "ending answers that are not whole");
        }
        self.inner.stop.cancel();
        self.inner.ended.cancelled().await;
    }

    /// This engine for a task of its own, which does not keep it from ending.
    pub(super) fn for_task(&self) -> Self {
        Self { inner: self.inner.clone(), _alive: None }
    }

    /// Starts the task that ends the engine when `stop` fires. It exists from the
    /// beginning, so that dropping the last handle needs no async runtime.
    #[expect(clippy::disallowed_methods, reason = "it waits for the engine's task set, so it is not in it")]
    pub(super) fn end_when_stopped(&self) {
        // Made here, so that `drain` does not wait for a task whose runtime went away
        // before its first step.
        let ended = self.inner.ended.clone().drop_guard();
        tokio::spawn(end_when_stopped(self.inner.clone(), ended));
    }
}

async fn end_when_stopped(inner: Arc<Inner>, _ended: DropGuard) {
    inner.stop.cancelled().await;
    inner.draining.store(true, Ordering::Release);
    inner.interrupt.cancel();
    inner.tasks.close();
    if tokio::time::timeout(MAX_WAIT, inner.tasks.wait()).await.is_err() {
        tracing::error!("some tasks did not end; their runs will be found as abandoned");
    }
    in_time("storing the last usage records", async {
        inner.usage_recorder.flush().await;
        Ok(())
    })
    .await;
    in_time("telling observers of the last events", async {
        inner.observers.notices.flush().await;
        Ok(())
    })
    .await;
    in_time("handing documents back to the queue", inner.stores.queue.release_documents(inner.worker)).await;
    in_time("leaving as a worker", inner.stores.workers.leave(inner.worker)).await;
}

/// Waits for a last write, but not for ever.
async fn in_time(what: &str, write: impl Future<Output = Result<()>>) {
    match tokio::time::timeout(LAST_WRITE, write).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "{what} failed"),
        Err(_) => tracing::warn!(seconds = LAST_WRITE.as_secs(), "{what} took too long and was given up"),
    }
}

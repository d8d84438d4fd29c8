//! The end of a run's driver, however it comes.

use std::sync::Arc;

use super::Engine;
use crate::chat::channel::Channel;
use crate::metrics;
use crate::run::{AbandonedRun, Run};

/// Removes a run from the engine's list when its driver is gone. A driver that
/// panicked has published no end: the run is then ended like one of a dead process.
pub(super) struct EndRun {
    pub(super) engine: Engine,
    pub(super) channel: Arc<Channel>,
    pub(super) run: Run,
}

impl Drop for EndRun {
    fn drop(&mut self) {
        let running = {
            let mut channels = self.engine.inner.channels();
            // A run that waited may go on already, under a channel of its own.
            if channels.get(&self.run.id).is_some_and(|known| Arc::ptr_eq(known, &self.channel)) {
                channels.remove(&self.run.id);
            }
            channels.len()
        };
        metrics::running(running);
        // Without a runtime the process is ending; the next one finds the run.
        if !self.channel.end() && tokio::runtime::Handle::try_current().is_ok() {
            tracing::error!(run = %self.run.id, "a run's driver failed");
            let engine = self.engine.clone();
            let abandoned = AbandonedRun { scope: self.channel.scope, run: self.run.clone() };
            self.engine.inner.tasks.spawn(async move {
                if let Err(error) = engine.end_abandoned(abandoned).await {
                    tracing::error!(%error, "ending a failed run failed too");
                }
            });
        }
    }
}

//! The log of a run as its driver fills it: what is published goes there at
//! checkpoints.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::channel::Channel;
use super::event::ChatEvent;
use crate::error::{ErrorKind, Result};
use crate::metrics;
use crate::run::{EventBatch, Run, RunStore};

/// How long published text may stay out of the log.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(250);
/// How many events may.
const CHECKPOINT_EVENTS: usize = 64;
/// How many bytes of text may.
const CHECKPOINT_BYTES: usize = 4 * 1024;

/// What is published and not yet logged, and the checkpoint on its way.
pub(crate) struct Log {
    events: usize,
    bytes: usize,
    since: Option<Instant>,
    aged: bool,
    saving: Option<(u64, JoinHandle<Result<()>>)>,
    spawn: Spawn,
}

/// How the driver starts a checkpoint beside itself: in the engine's task set.
pub(crate) type Spawn =
    Arc<dyn Fn(futures_util::future::BoxFuture<'static, Result<()>>) -> JoinHandle<Result<()>> + Send + Sync>;

impl Log {
    pub(crate) fn new(spawn: Spawn) -> Self {
        Self { events: 0, bytes: 0, since: None, aged: false, saving: None, spawn }
    }

    pub(super) fn note(&mut self, event: &ChatEvent) {
        self.events += 1;
        if let ChatEvent::Text { text } | ChatEvent::Reasoning { text } = event {
            self.bytes += text.len();
        }
        self.since.get_or_insert_with(Instant::now);
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.since.is_some() && !self.aged
    }

    pub(super) fn due(&self) -> Instant {
        self.since.unwrap_or_else(Instant::now) + CHECKPOINT_EVERY
    }

    pub(super) fn age(&mut self) {
        self.aged = true;
    }

    pub(super) fn save_if_due(&mut self, runs: &Arc<dyn RunStore>, run: &Run, channel: &Arc<Channel>) {
        let due = self.aged || self.events >= CHECKPOINT_EVENTS || self.bytes >= CHECKPOINT_BYTES;
        if !due || self.since.is_none() || self.saving.is_some() {
            return;
        }
        let (first, events) = channel.unlogged();
        let batch =
            EventBatch { first, events: events.iter().map(|event| ChatEvent::clone(event)).collect() };
        let (runs, scope, id, attempt) = (runs.clone(), channel.scope, run.id, run.attempt);
        let last = batch.last();
        let save = async move { runs.checkpoint(&scope, id, attempt, &batch).await };
        self.saving = Some((last, (self.spawn)(Box::pin(save))));
        self.clear();
    }

    /// Waits for the checkpoint on its way; for ever if there is none.
    pub(super) async fn saved(&mut self, channel: &Channel) {
        match &mut self.saving {
            None => std::future::pending().await,
            Some((last, task)) => {
                let (last, outcome) = (*last, task.await);
                self.saving = None;
                metrics::checkpoint(matches!(outcome, Ok(Ok(()))));
                match outcome {
                    Ok(Ok(())) => channel.logged(last),
                    // Deleting a conversation stops its answers, in other processes too.
                    Ok(Err(error)) if error.kind() == ErrorKind::NotFound => channel.cancel.cancel(),
                    Ok(Err(error)) => {
                        // Its events stay unlogged and go with the next one.
                        tracing::warn!(%error, "a checkpoint failed");
                        self.since.get_or_insert_with(Instant::now);
                    }
                    Err(error) => tracing::error!(%error, "a checkpoint panicked"),
                }
            }
        }
    }

    /// Notes that all that is published was logged.
    pub(super) fn clear(&mut self) {
        (self.events, self.bytes, self.since, self.aged) = (0, 0, None, false);
    }

    /// Waits until no checkpoint is on its way.
    pub(super) async fn flush(&mut self, channel: &Channel) {
        if self.saving.is_some() {
            self.saved(channel).await;
        }
    }
}

//! Ingest: from a document in the queue to chunks that can be found.
//!
//! ```text
//! queue ──► parse (several beside each other) ──► embed (one at a time) ──► publish
//! ```
//!
//! * [`queue`] claims documents. A claim is a *lease*: it holds while this
//!   process beats as a worker. When it dies, another one claims the document
//!   again.
//! * [`parse`] extracts the text and cuts it into chunks.
//! * [`embed`] makes the vectors, batch by batch. A batch is stored before the
//!   next one is embedded, so that a crash costs at most one batch: the next
//!   attempt asks what is stored and goes on from there.
//! * [`publish`] makes whole documents findable, several in one commit.
//!
//! Each claim raises the document's attempt, and every update names it: the
//! *fence*. A process that was thought dead and comes back can therefore store
//! nothing over its successor's work; it finds the fence gone and drops the
//! document.
//!
//! The document row is the only state. What is in the channels between the
//! stages may be lost at any moment.

mod batch;
mod embed;
mod local_file;
mod outcome;
mod parse;
mod parsed;
mod publish;
mod queue;
mod refile;
mod retry;

use tokio::sync::mpsc;

use super::super::Engine;

use parsed::MAX_CHUNKS_IN_FLIGHT;

pub(super) use batch::{BATCH, EmbeddingBatcher, PendingChunk};
pub(in crate::engine) use local_file::LocalFile;
pub(in crate::engine) use refile::RefiledDocuments;
pub(super) use retry::retry_delay;

impl Engine {
    /// Starts the tasks that read documents and build embedding spaces.
    pub(in super::super) fn start_ingest(&self) {
        let readers = self.inner.knowledge.readers;
        if readers == 0 {
            return;
        }
        let (parsed, to_embed) = mpsc::channel(MAX_CHUNKS_IN_FLIGHT as usize);
        // One group is published while the next one is embedded; more would only
        // wait in memory.
        let (embedded, to_publish) = mpsc::channel(1);
        let engine = self.clone();
        self.until_stopped(async move { engine.requeue_outdated().await });
        self.until_stopped(queue::run(self.clone(), readers, parsed));
        self.until_stopped(embed::run(self.clone(), to_embed, embedded));
        self.until_stopped(publish::run(self.clone(), to_publish));
        self.until_stopped(refile::run(self.clone()));
        let engine = self.clone();
        self.until_stopped(async move { engine.build_spaces().await });
    }

    /// Has documents read anew that are found by the terms of an older analysis: a
    /// question is analysed as today. Once is enough: what is read from now on is
    /// too.
    async fn requeue_outdated(&self) {
        let knowledge = &self.inner.knowledge;
        match self.inner.stores.queue.requeue_outdated(aimate_index::analysis::VERSION).await {
            Ok(0) => {}
            Ok(documents) => {
                tracing::info!(documents, "the analysis of words has changed; documents are read anew");
                knowledge.added.notify_one();
            }
            Err(error) => tracing::warn!(%error, "looking for an outdated index failed"),
        }
    }

    pub(in crate::engine) fn until_stopped(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.inner.stop.clone();
        self.inner.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }
}

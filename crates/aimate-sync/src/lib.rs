//! Keeps a collection of documents in step with files and folders.
//!
//! A sync has three steps: list the files, compare them with the documents that
//! came from them ([`SyncPlan`]), and apply what differs. What did not change is
//! not read again, what moved is renamed, and of a changed file only the changed
//! chunks are embedded.
//!
//! ```no_run
//! # async fn example(knowledge: aimate_core::engine::Knowledge) -> aimate_core::Result<()> {
//! let manuals = knowledge.collection_or_new("manuals").await?;
//! let report = aimate_sync::FolderSync::new(&knowledge, manuals.id).run(&["/srv/manuals"]).await?;
//! println!("{} new, {} unchanged", report.added.len(), report.unchanged);
//! # Ok(()) }
//! ```
//!
//! A sync never deletes what it could not read: below a folder that cannot be
//! opened, no document counts as gone. And it asks before it deletes much; see
//! [`SyncError::DeletesMany`].
#![cfg_attr(docsrs, feature(doc_cfg))]

mod apply;
mod diff;
mod list;
mod options;
mod plan;
mod read;
mod report;
mod source;

pub use options::SyncOptions;
pub use plan::SyncPlan;
pub use read::add_file;
pub use report::{LeftOut, SyncError, SyncEvent, SyncReport};
pub use source::{path_of, source_of};

use std::path::Path;

use aimate_core::engine::Knowledge;
use aimate_core::{CollectionId, Error, Result};

/// Keeps one collection in step with files and folders.
#[derive(Clone, Debug)]
pub struct FolderSync {
    knowledge: Knowledge,
    collection: CollectionId,
    options: SyncOptions,
}

impl FolderSync {
    /// A sync of this collection with default options.
    pub fn new(knowledge: &Knowledge, collection: CollectionId) -> Self {
        Self { knowledge: knowledge.clone(), collection, options: SyncOptions::default() }
    }

    /// Syncs with these options.
    #[must_use]
    pub fn options(mut self, options: SyncOptions) -> Self {
        self.options = options;
        self
    }

    /// Brings the collection in step with `paths`: files, and folders with all
    /// that is in them. New and changed documents are `pending` when this
    /// returns.
    ///
    /// Hidden files, symbolic links and media that have no text are left out.
    ///
    /// # Errors
    /// [`SyncError::DeletesMany`], with nothing changed; `NotFound` if a path or
    /// the collection is not there; what the store says: what was done until
    /// then stays.
    pub async fn run<P: AsRef<Path>>(&self, paths: &[P]) -> Result<SyncReport, SyncError> {
        self.run_with(paths, |_| {}).await
    }

    /// Does what [`run`](Self::run) does and calls `on_event` at each step.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    pub async fn run_with<P: AsRef<Path>>(
        &self,
        paths: &[P],
        mut on_event: impl FnMut(SyncEvent) + Send,
    ) -> Result<SyncReport, SyncError> {
        let plan = self.plan(paths, &mut on_event).await?;
        if plan.deletes_many() && !self.options.delete_many {
            return Err(SyncError::DeletesMany(Box::new(plan)));
        }
        Ok(self.apply(plan, on_event).await?)
    }
}

/// Runs what blocks on the threads for that.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let task = tokio::task::spawn_blocking(work);
    task.await.map_err(|error| Error::internal("reading files failed").with_source(error))
}

//! The third step: bringing the collection in step.

use std::path::{Path, PathBuf};

use aimate_core::Result;
use aimate_core::knowledge::{Document, DocumentMove};

use crate::list::unreadable;
use crate::read::{Bytes, new_document};
use crate::report::{LeftOut, SyncEvent, SyncReport};
use crate::source::{name_of, source_of};
use crate::{FolderSync, SyncPlan};

/// Documents that are moved or deleted in one commit.
const BATCH: usize = 200;

/// What became of a file.
enum Upload {
    Queued(Box<Document>),
    Skipped(LeftOut),
    Unreadable(LeftOut),
}

impl FolderSync {
    /// Does what a plan says, however much it deletes.
    ///
    /// # Errors
    /// What the store says. What was done until then stays.
    pub async fn apply(
        &self,
        plan: SyncPlan,
        mut on_event: impl FnMut(SyncEvent) + Send,
    ) -> Result<SyncReport> {
        let mut report = SyncReport { unchanged: plan.unchanged.len() as u64, ..SyncReport::default() };
        for one in plan.skipped {
            report.skip(one, &mut on_event);
        }
        for one in plan.unreadable {
            report.miss(one, &mut on_event);
        }
        plan.unchanged.into_iter().for_each(|path| on_event(SyncEvent::Unchanged(path)));
        self.relocate(&plan.moves, &mut report).await?;
        plan.moves.into_iter().for_each(|(_, path)| on_event(SyncEvent::Unchanged(path)));
        for (path, is_new) in files(plan.add, plan.update) {
            match self.upload(&path).await? {
                Upload::Skipped(one) => report.skip(one, &mut on_event),
                Upload::Unreadable(one) => report.miss(one, &mut on_event),
                Upload::Queued(document) => {
                    let queued = if is_new { &mut report.added } else { &mut report.updated };
                    queued.push(document.id);
                    on_event(SyncEvent::Queued(path, document));
                }
            }
        }
        for batch in plan.delete.chunks(BATCH) {
            self.knowledge.delete_many(batch).await?;
            report.deleted += batch.len() as u64;
        }
        Ok(report)
    }

    async fn relocate(
        &self,
        moves: &[(aimate_core::DocumentId, PathBuf)],
        report: &mut SyncReport,
    ) -> Result<()> {
        for batch in moves.chunks(BATCH) {
            let moves: Vec<_> = batch
                .iter()
                .map(|(id, path)| DocumentMove { id: *id, name: name_of(path), source: source_of(path) })
                .collect();
            self.knowledge.rename_documents(&moves).await?;
            report.moved += moves.len() as u64;
        }
        Ok(())
    }

    /// Puts a file into the queue. What concerns the file alone leaves it out;
    /// what may pass ends the sync.
    async fn upload(&self, path: &Path) -> Result<Upload> {
        let Bytes { stream, failure } = Bytes::of(path.to_owned());
        let added = self.knowledge.add(self.collection, new_document(path), stream).await;
        match (added, failure.get()) {
            (Ok(document), _) => Ok(Upload::Queued(Box::new(document))),
            (Err(_), Some(why)) => Ok(Upload::Unreadable(unreadable(path.to_owned(), why))),
            (Err(error), None) if error.kind().retryable() => Err(error),
            (Err(error), None) => Ok(Upload::Skipped(LeftOut::new(path, error.message()))),
        }
    }
}

impl SyncReport {
    fn skip(&mut self, one: LeftOut, on_event: &mut (dyn FnMut(SyncEvent) + Send)) {
        on_event(SyncEvent::Skipped(one.clone()));
        self.skipped.push(one);
    }

    fn miss(&mut self, one: LeftOut, on_event: &mut (dyn FnMut(SyncEvent) + Send)) {
        on_event(SyncEvent::Unreadable(one.clone()));
        self.unreadable.push(one);
    }
}

/// The files to put into the queue, and whether they are new.
fn files(add: Vec<PathBuf>, update: Vec<PathBuf>) -> impl Iterator<Item = (PathBuf, bool)> {
    let add = add.into_iter().map(|path| (path, true));
    add.chain(update.into_iter().map(|path| (path, false)))
}

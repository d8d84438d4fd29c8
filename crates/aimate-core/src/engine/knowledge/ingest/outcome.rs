//! How work on a document ends without publishing it.

use super::super::super::Engine;
use super::parsed::ParsedDocument;
use super::retry::{MAX_TRIES, retry_delay};
use crate::error::{Error, ErrorKind};
use crate::id::DocumentId;
use crate::knowledge::{DocumentError, DocumentStatus, Fence, Finish};
use crate::metrics;
use crate::scope::Scope;

impl Engine {
    /// Ends the work on a document because of the document itself.
    pub(super) async fn fail(&self, scope: &Scope, fence: Fence, reason: DocumentError) {
        self.finish(scope, fence, &Finish::Failed(reason)).await;
    }

    /// Ends the work on a document after an error: it goes back to the queue if
    /// another try may help, and fails otherwise.
    pub(super) async fn retry_or_fail(&self, scope: &Scope, fence: Fence, tries: u32, error: &Error) {
        let is_refused = matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound);
        if is_refused && tries < MAX_TRIES && self.is_taken_away(scope, fence).await {
            return;
        }
        let reason = DocumentError::from(error);
        let finish = match retry_delay(error, tries) {
            Some(wait) => {
                tracing::warn!(%error, document = %fence.document, ?wait, "a document waits to be read again");
                Finish::Retry { not_before: self.inner.sources.now().plus(wait), error: reason, tries }
            }
            None => Finish::Failed(reason),
        };
        self.finish(scope, fence, &finish).await;
    }

    /// [`retry_or_fail`](Self::retry_or_fail) for a group that failed as one.
    pub(super) async fn retry_or_fail_all(&self, group: Vec<ParsedDocument>, error: &Error) {
        for document in group {
            self.retry_or_fail(&document.scope, document.fence, document.tries, error).await;
        }
    }

    /// Whether somebody deleted, replaced or cancelled the document meanwhile,
    /// which is no failure of it.
    async fn is_taken_away(&self, scope: &Scope, fence: Fence) -> bool {
        match self.inner.stores.documents.get(scope, fence.document).await {
            Ok(document) => document.status != DocumentStatus::Processing,
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
    }

    /// Stores the end, again and again while the database is away. Where it is
    /// refused for good, the document is claimed once more when nobody holds it.
    async fn finish(&self, scope: &Scope, fence: Fence, finish: &Finish) {
        let ingest = &self.inner.stores.ingest;
        let store = || ingest.finish(scope, fence, finish, self.inner.sources.now());
        match self.until_stored("storing the end of a document", store).await {
            // Another attempt owns it, or it is gone.
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => {}
            Err(error) => {
                tracing::warn!(%error, document = %fence.document, "the end of a document could not be stored");
            }
            Ok(()) if matches!(finish, Finish::Retry { .. }) => metrics::document_ended("retried"),
            Ok(()) if matches!(finish, Finish::Failed(_)) => {
                metrics::document_ended("failed");
                self.tell_ended(scope, &[fence.document]).await;
            }
            Ok(()) => {}
        }
    }

    /// Tells who waits that the work on documents has ended, and observers how, as the
    /// store has it: what somebody deleted or replaced meanwhile has no end.
    pub(super) async fn tell_ended(&self, scope: &Scope, documents: &[DocumentId]) {
        self.inner.knowledge.ended.tell(documents);
        let notices = &self.inner.observers.notices;
        if notices.is_empty() {
            return;
        }
        match self.inner.stores.documents.get_many(scope, documents).await {
            Ok(found) => found.into_iter().for_each(|document| notices.document_ended(*scope, document)),
            Err(error) => tracing::warn!(%error, "observers are not told of documents"),
        }
    }
}

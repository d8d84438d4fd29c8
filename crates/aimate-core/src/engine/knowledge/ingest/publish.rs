//! Publishing embedded documents, and merging the index now and then.

use std::collections::HashMap;

use tokio::sync::mpsc;

use super::super::super::Engine;
use super::parsed::ParsedDocument;
use crate::error::ErrorKind;
use crate::id::CollectionId;
use crate::knowledge::{Publication, PublishedDocument};
use crate::metrics;
use crate::scope::Scope;

/// Publications in a collection before its index is merged, if documents keep
/// coming.
const MERGE_EVERY: u32 = 8;

/// Publishes what comes from `embedded` until nothing can come any more.
pub(super) async fn run(engine: Engine, mut embedded: mpsc::Receiver<Vec<ParsedDocument>>) {
    let mut changed: HashMap<(Scope, CollectionId), u32> = HashMap::new();
    loop {
        let group = match embedded.try_recv() {
            Ok(group) => group,
            Err(_) => {
                // Nothing waits: the time to merge what was published.
                for ((scope, collection), _) in changed.drain() {
                    engine.merge_index(&scope, collection).await;
                }
                let Some(group) = embedded.recv().await else { return };
                group
            }
        };
        let Some(ParsedDocument { scope, collection, .. }) = group.first() else { continue };
        let (scope, collection) = (*scope, *collection);
        engine.publish_group(&scope, collection, group).await;
        let count = changed.entry((scope, collection)).or_default();
        *count += 1;
        if count.is_multiple_of(MERGE_EVERY) {
            engine.merge_index(&scope, collection).await;
        }
    }
}

impl Engine {
    /// Makes the documents of a group findable in one commit. Those whose fence
    /// does not hold are left out by the store: somebody else has them.
    async fn publish_group(&self, scope: &Scope, collection: CollectionId, mut group: Vec<ParsedDocument>) {
        let documents = group.iter_mut().map(|document| PublishedDocument {
            fence: document.fence,
            title: document.title.clone(),
            media_type: document.media_type.clone(),
            warnings: std::mem::take(&mut document.warnings),
            chunks: std::mem::take(&mut document.chunks),
        });
        let documents: Vec<_> = documents.collect();
        let chunks = documents.iter().map(|document| document.chunks.len()).sum();
        let now = self.inner.sources.now();
        let publication = Publication { collection, documents, vectors: Vec::new(), now };
        match self.inner.stores.ingest.publish(scope, &publication).await {
            Ok(published) => {
                metrics::published(published.len(), chunks);
                self.tell_ended(scope, &published).await;
            }
            Err(error) => self.retry_or_fail_all(group, &error).await,
        }
    }

    /// Merges small segments until there is nothing to merge. Searches are right
    /// without it, only slower.
    pub(super) async fn merge_index(&self, scope: &Scope, collection: CollectionId) {
        loop {
            match self.inner.stores.index.merge(scope, collection).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) if error.kind() == ErrorKind::NotFound => return,
                Err(error) => {
                    tracing::warn!(%error, %collection, "merging an index failed; it is tried again later");
                    return;
                }
            }
        }
    }
}

//! Keeping filters fast while documents get other metadata and names.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::super::super::Engine;
use crate::id::CollectionId;
use crate::scope::Scope;

/// How long changes are gathered: each of a row of them finds nothing to do else.
const GATHER: Duration = Duration::from_secs(1);

/// Collections whose documents are filtered by other values than before, each with its
/// owner. Searches are right without anybody looking after them, only slower if they are many.
#[derive(Default)]
pub(in crate::engine) struct RefiledDocuments {
    collections: Mutex<HashSet<(Scope, CollectionId)>>,
    added: Notify,
}

impl RefiledDocuments {
    pub(in crate::engine) fn add(&self, owner: Scope, collection: CollectionId) {
        self.collections.lock().unwrap_or_else(PoisonError::into_inner).insert((owner, collection));
        self.added.notify_one();
    }

    fn take(&self) -> HashSet<(Scope, CollectionId)> {
        std::mem::take(&mut *self.collections.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Has the index of such collections written anew where that is worth it.
pub(super) async fn run(engine: Engine) {
    let refiled = &engine.inner.knowledge.refiled;
    loop {
        refiled.added.notified().await;
        tokio::time::sleep(GATHER).await;
        for (owner, collection) in refiled.take() {
            engine.merge_index(&owner, collection).await;
        }
    }
}

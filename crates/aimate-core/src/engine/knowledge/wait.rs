//! Waiting until documents can be found.
//!
//! The store is asked again and again, since another process may read a document; what
//! this process reads is told at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::Knowledge;
use crate::error::{Error, Result};
use crate::id::DocumentId;
use crate::knowledge::{Document, DocumentError, DocumentStatus};

/// Between the first looks at a document that somebody waits for; later ones
/// are up to ten times rarer.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Looks after which they become rarer.
const OFTEN: u32 = 20;
/// Documents that are looked at together.
const AT_ONCE: usize = 200;
/// News that a listener may be behind; then it looks.
const BEHIND: usize = 64;

/// Tells those who wait for documents of this process that they are read.
pub(in crate::engine) struct EndedDocuments(broadcast::Sender<Arc<[DocumentId]>>);

impl Default for EndedDocuments {
    fn default() -> Self {
        Self(broadcast::channel(BEHIND).0)
    }
}

impl EndedDocuments {
    pub(super) fn tell(&self, documents: &[DocumentId]) {
        // Without anybody who listens it is nobody's news.
        let _ = self.0.send(documents.into());
    }

    fn listen(&self) -> EndNews {
        EndNews { receiver: self.0.subscribe(), looks: 0 }
    }
}

/// What one who waits hears of it.
struct EndNews {
    receiver: broadcast::Receiver<Arc<[DocumentId]>>,
    looks: u32,
}

impl EndNews {
    /// Waits until it is worth looking: one of `ids` has ended here, or some time has passed.
    async fn wait(&mut self, ids: &[DocumentId]) {
        let interval = LOOK_EVERY * (self.looks / OFTEN + 1).min(10);
        self.looks += 1;
        let ended = async {
            loop {
                match self.receiver.recv().await {
                    Ok(ended) if ended.iter().any(|id| ids.contains(id)) => return,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => return,
                    // The engine is gone; the next look says so.
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        // Either is a reason to look.
        let _ = tokio::time::timeout(interval, ended).await;
    }
}

impl Knowledge {
    /// Waits until a document is `ready`.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` with its reason if it failed.
    pub async fn wait(&self, id: DocumentId) -> Result<Document> {
        let mut states = self.watch(id);
        let mut last = Err(Error::missing("document", id));
        while let Some(state) = states.next().await {
            last = state;
        }
        let document = last?;
        match &document.error {
            Some(DocumentError { detail, .. }) if document.status == DocumentStatus::Failed => {
                Err(Error::invalid(format!("`{}` could not be read: {detail}", document.name)))
            }
            _ => Ok(document),
        }
    }

    /// Waits until each of some documents is `ready` or `failed`, and returns them in the
    /// order of `ids`: `None` for one that was deleted.
    ///
    /// # Errors
    /// What the store says.
    pub async fn wait_for_all(&self, ids: &[DocumentId]) -> Result<Vec<Option<Document>>> {
        let mut news = self.engine.inner.knowledge.ended.listen();
        let mut ended: HashMap<DocumentId, Document> = HashMap::new();
        let mut waiting = ids.to_vec();
        loop {
            self.engine.admit(&self.scope).await?;
            if waiting.is_empty() {
                return Ok(ids.iter().map(|id| ended.get(id).cloned()).collect());
            }
            // The first of them: documents are read in about the order they are added in.
            let rest = waiting.split_off(waiting.len().min(AT_ONCE));
            let looked_at = waiting.len();
            let found = self.engine.inner.stores.documents.get_many(&self.scope, &waiting).await?;
            let (over, open): (Vec<_>, Vec<_>) = found.into_iter().partition(is_over);
            ended.extend(over.into_iter().map(|document| (document.id, document)));
            waiting = open.into_iter().map(|document| document.id).collect();
            if waiting.len() < looked_at {
                news.looks = 0;
            }
            if !waiting.is_empty() {
                news.wait(&waiting).await;
            }
            waiting.extend(rest);
        }
    }

    /// The document whenever it changes, until it is `ready` or `failed`. Ends
    /// with an error if it is deleted.
    pub fn watch(&self, id: DocumentId) -> BoxStream<'static, Result<Document>> {
        struct Watch {
            knowledge: Knowledge,
            news: EndNews,
            last: Option<Document>,
            over: bool,
        }
        let news = self.engine.inner.knowledge.ended.listen();
        let watch = Watch { knowledge: self.clone(), news, last: None, over: false };
        stream::unfold(watch, move |mut watch| async move {
            while !watch.over {
                if watch.last.is_some() {
                    watch.news.wait(&[id]).await;
                }
                let document = match watch.knowledge.document(id).await {
                    Ok(document) => document,
                    Err(error) => {
                        watch.over = true;
                        return Some((Err(error), watch));
                    }
                };
                watch.over = is_over(&document);
                if watch.over || watch.last.as_ref() != Some(&document) {
                    watch.last = Some(document.clone());
                    return Some((Ok(document), watch));
                }
            }
            None
        })
        .boxed()
    }
}

fn is_over(document: &Document) -> bool {
    matches!(document.status, DocumentStatus::Ready | DocumentStatus::Failed)
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn ids() -> (DocumentId, DocumentId) {
        (DocumentId(uuid::Uuid::from_u128(1)), DocumentId(uuid::Uuid::from_u128(2)))
    }

    /// How long it waits for the first.
    async fn waits(news: &mut EndNews) -> Duration {
        let begun = Instant::now();
        news.wait(&[ids().0]).await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn news_of_a_document_end_the_wait_for_it() {
        let (mine, other) = ids();
        let ended = EndedDocuments::default();
        ended.tell(&[mine]);
        let mut news = ended.listen();
        ended.tell(&[other, mine]);
        assert_eq!(waits(&mut news).await, Duration::ZERO);
        ended.tell(&[other]);
        assert_eq!(waits(&mut news).await, LOOK_EVERY);
        for _ in 0..2 * BEHIND {
            ended.tell(&[other]);
        }
        assert_eq!(waits(&mut news).await, Duration::ZERO, "it may have missed some");
    }

    #[tokio::test(start_paused = true)]
    async fn looks_become_rarer() {
        let ended = EndedDocuments::default();
        let mut news = ended.listen();
        let mut last = Duration::ZERO;
        for _ in 0..20 * OFTEN {
            last = waits(&mut news).await;
        }
        assert_eq!(last, 10 * LOOK_EVERY);
        drop(ended);
        assert_eq!(waits(&mut news).await, 10 * LOOK_EVERY, "nor does it spin without the engine");
    }
}

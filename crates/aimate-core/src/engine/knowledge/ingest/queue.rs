//! Claiming documents from the queue and parsing them beside each other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};

use super::super::super::Engine;
use super::super::super::held::Hold;
use super::parse::Destination;
use super::parsed::{IngestError, MAX_CHUNKS_IN_FLIGHT, ParsedDocument};
use super::retry::MAX_TRIES;
use crate::error::Result;
use crate::id::{CollectionId, DocumentId};
use crate::knowledge::{ClaimedDocument, DocumentErrorCode, Fence, SpaceStatus};
use crate::metrics;
use crate::scope::Scope;

/// How often the queue is looked at when nobody in this process adds anything.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Documents that are claimed at once for each reader, at most.
const MAX_CLAIMS: usize = 16;
/// Readers that are done sooner than this are given more documents at once.
const SHORT: Duration = Duration::from_millis(100);

/// Claims and parses documents, and hands them to `parsed`, until nobody takes
/// them any more.
pub(super) async fn run(engine: Engine, readers: usize, parsed: mpsc::Sender<ParsedDocument>) {
    let slots = Arc::new(Semaphore::new(readers));
    let room = Arc::new(Semaphore::new(MAX_CHUNKS_IN_FLIGHT as usize));
    let mut limit = readers;
    loop {
        let begun = Instant::now();
        let claimed = match engine.claim_documents(limit).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(%error, "claiming documents failed; trying again");
                Vec::new()
            }
        };
        if claimed.is_empty() {
            metrics::documents_waiting(engine.inner.knowledge.held.all().len());
            limit = readers;
            tokio::select! {
                () = engine.inner.knowledge.added.notified() => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
            continue;
        }
        // All of them at once: the next claim must not find one that nobody holds.
        let held = claimed.into_iter().map(|claimed| {
            let hold = engine.inner.knowledge.held.hold(claimed.document.id);
            (claimed, hold)
        });
        metrics::documents_waiting(engine.inner.knowledge.held.all().len());
        let mut destinations = Destinations::default();
        for (document, hold) in held.collect::<Vec<_>>() {
            metrics::document_taken(
                engine.inner.sources.now().since(document.document.updated_at),
                document.document.size,
            );
            let destination = destinations.of(&engine, &document).await;
            let Ok(slot) = slots.clone().acquire_owned().await else { return };
            let (engine, parsed, room) = (engine.clone(), parsed.clone(), room.clone());
            engine.clone().until_stopped(async move {
                engine.parse_or_end(document, hold, destination, room, &parsed).await;
                drop(slot);
            });
        }
        // The next documents are claimed when the first reader is free, not
        // before: what is claimed early waits here while another process has
        // nothing to do.
        drop(slots.acquire().await);
        limit = if begun.elapsed() < SHORT { (2 * limit).min(MAX_CLAIMS * readers) } else { readers };
    }
}

/// Where claimed documents go, looked up once for each collection.
#[derive(Default)]
struct Destinations(HashMap<CollectionId, Arc<Destination>>);

impl Destinations {
    async fn of(&mut self, engine: &Engine, claimed: &ClaimedDocument) -> Result<Arc<Destination>> {
        let collection = claimed.document.collection_id;
        if let Some(known) = self.0.get(&collection) {
            return Ok(known.clone());
        }
        let found = Arc::new(engine.destination(&claimed.scope, collection).await?);
        self.0.insert(collection, found.clone());
        Ok(found)
    }
}

impl Engine {
    async fn claim_documents(&self, limit: usize) -> Result<Vec<ClaimedDocument>> {
        let inner = &self.inner;
        let now = inner.sources.now();
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let queue = &inner.stores.queue;
        let claimed = queue.claim_documents(inner.worker, now, inner.lease, limit).await?;
        // Looked for when there is nothing else to do: nobody claims meanwhile.
        if claimed.is_empty() && queue.release_unheld(inner.worker, &inner.knowledge.held.all()).await? > 0 {
            return queue.claim_documents(inner.worker, now, inner.lease, limit).await;
        }
        Ok(claimed)
    }

    /// How documents of a collection are chunked and embedded.
    async fn destination(&self, scope: &Scope, collection: CollectionId) -> Result<Destination> {
        let stores = &self.inner.stores;
        let chunking = stores.collections.config(scope, collection).await?.chunking;
        let mut spaces = Vec::new();
        for space in stores.spaces.list(scope, collection).await? {
            if matches!(space.status, SpaceStatus::Active | SpaceStatus::Building) {
                spaces.push((space.id, self.embedder(scope, &space.model)?));
            }
        }
        Ok(Destination { chunking, spaces })
    }

    /// Parses one document and hands it on, or ends the work on it.
    async fn parse_or_end(
        &self,
        claimed: ClaimedDocument,
        hold: Hold<DocumentId>,
        destination: Result<Arc<Destination>>,
        room: Arc<Semaphore>,
        parsed: &mpsc::Sender<ParsedDocument>,
    ) {
        let (scope, tries) = (claimed.scope, claimed.tries);
        let fence = Fence { document: claimed.document.id, attempt: claimed.attempt };
        let _until_its_end_is_stored = self.inner.knowledge.held.hold(fence.document);
        let outcome = if tries > MAX_TRIES {
            // No attempt came to an end, not even to a failure: it takes the process
            // with it. Whoever parses it once more would be the next.
            let detail = format!("reading it was begun {MAX_TRIES} times and never came to an end");
            Err(IngestError::permanent(DocumentErrorCode::Crashed, detail))
        } else {
            match destination {
                Ok(destination) => self.parse(claimed, &destination, room, hold).await,
                Err(error) => Err(IngestError::Transient(error)),
            }
        };
        match outcome {
            // Without a receiver the engine is stopping: the next process parses it.
            Ok(document) => drop(parsed.send(document).await),
            Err(IngestError::Permanent(reason)) => self.fail(&scope, fence, reason).await,
            Err(IngestError::Transient(error)) => self.retry_or_fail(&scope, fence, tries, &error).await,
        }
    }
}

//! Embedding parsed documents in groups that are published together.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::super::super::Engine;
use super::batch::{EmbeddingBatcher, PendingChunk};
use super::parsed::{ParsedDocument, READING};
use crate::error::Result;
use crate::id::{DocumentId, SpaceId};
use crate::knowledge::{Fence, SpaceVectors};

/// Chunks that are published together at most, unless one document has more.
/// Fewer would make more segments, which are merged later; more would hold up
/// other writers of the index for longer.
const MAX_GROUP: usize = 512;
/// How long an embedded document waits for the rest of its group.
const MAX_WAIT: Duration = Duration::from_millis(250);
/// Chunks that are looked up at once.
const LOOKUP: usize = 1_000;

/// Embeds what comes from `parsed` and hands it to `embedded` in groups of one
/// collection, until nothing can come any more.
pub(super) async fn run(
    engine: Engine,
    mut parsed: mpsc::Receiver<ParsedDocument>,
    embedded: mpsc::Sender<Vec<ParsedDocument>>,
) {
    let mut waiting = VecDeque::new();
    loop {
        while let Ok(document) = parsed.try_recv() {
            waiting.push_back(document);
        }
        if waiting.is_empty() {
            match parsed.recv().await {
                Some(document) => waiting.push_back(document),
                None => return,
            }
            continue;
        }
        let mut group = next_group(&mut waiting);
        engine.mark_parsed(&mut waiting).await;
        match engine.embed_group(&mut group, &embedded).await {
            // Without a receiver the engine is stopping.
            Ok(()) => drop(embedded.send(group).await),
            Err(error) => engine.retry_or_fail_all(group, &error).await,
        }
    }
}

/// Takes the documents that are published together: of one collection and the
/// same spaces.
fn next_group(waiting: &mut VecDeque<ParsedDocument>) -> Vec<ParsedDocument> {
    let mut group: Vec<ParsedDocument> = Vec::new();
    let mut chunks = 0;
    while let Some(next) = waiting.front() {
        if let Some(first) = group.first() {
            let spaces = |document: &ParsedDocument| {
                document.spaces.iter().map(|(space, _)| *space).collect::<Vec<_>>()
            };
            let is_alike = first.is_beside(next) && spaces(first) == spaces(next);
            if !is_alike || chunks + next.chunks.len() > MAX_GROUP {
                break;
            }
        }
        chunks += next.chunks.len();
        group.extend(waiting.pop_front());
    }
    group
}

impl Engine {
    /// Marks waiting documents as parsed, which resets their retry count, so that
    /// a crash while others are embedded is not charged to them.
    async fn mark_parsed(&self, waiting: &mut VecDeque<ParsedDocument>) {
        let mut unmarked: Vec<&mut ParsedDocument> =
            waiting.iter_mut().filter(|document| !document.is_marked).collect();
        for alike in unmarked.chunk_by(|one, other| one.is_beside(other)) {
            let Some(ParsedDocument { scope, collection, .. }) = alike.first() else { continue };
            let fences: Vec<(Fence, f32)> = alike.iter().map(|document| (document.fence, READING)).collect();
            if let Err(error) = self.inner.stores.ingest.mark_progress(scope, *collection, &fences).await {
                tracing::debug!(%error, "that documents were parsed could not be stored");
            }
        }
        unmarked.iter_mut().for_each(|document| document.is_marked = true);
    }

    /// Embeds the group's chunks in all their spaces and stores the vectors.
    /// Documents that are embedded long before the others leave the group for
    /// `embedded`.
    async fn embed_group(
        &self,
        group: &mut Vec<ParsedDocument>,
        embedded: &mpsc::Sender<Vec<ParsedDocument>>,
    ) -> Result<()> {
        let spaces = group.first().map(|document| document.spaces.clone()).unwrap_or_default();
        for (nth, (space, embedder)) in spaces.iter().enumerate() {
            let pending = self.without_vector(group, *space).await?;
            let mut batcher = EmbeddingBatcher::new(*space, embedder.clone(), pending);
            let mut progress = Progress::new(batcher.documents(), nth, spaces.len());
            let mut begun = Instant::now();
            while let Some(batch) = batcher.next().await? {
                progress.add(&batch);
                let gone = self.store_batch(group, batch, &progress).await?;
                batcher.forget(&gone);
                group.retain(|document| !gone.contains(&document.fence.document));
                let is_last_space = nth + 1 == spaces.len();
                if is_last_space && begun.elapsed() > MAX_WAIT {
                    let complete = take_complete(group, batcher.documents().next());
                    if !complete.is_empty() {
                        drop(embedded.send(complete).await);
                        begun = Instant::now();
                    }
                }
            }
        }
        Ok(())
    }

    /// The group's chunks without a vector in `space`. Only a document that was
    /// worked on before can have some with one.
    async fn without_vector(&self, group: &[ParsedDocument], space: SpaceId) -> Result<Vec<PendingChunk>> {
        let mut pending = Vec::new();
        for document in group {
            let mut done = HashSet::new();
            if document.fence.attempt > 1 {
                let ids: Vec<_> = document.chunks.iter().map(|new| new.chunk.id).collect();
                for some in ids.chunks(LOOKUP) {
                    done.extend(self.inner.stores.ingest.embedded(&document.scope, space, some).await?);
                }
            }
            let chunks = document.chunks.iter().map(|new| &new.chunk);
            let missing = chunks.filter(|chunk| !done.contains(&chunk.id));
            pending.extend(missing.map(|chunk| PendingChunk::new(chunk, &document.title)));
        }
        Ok(pending)
    }

    /// Stores a batch before the next one is embedded: what is stored is never
    /// embedded again. Returns the documents of it that somebody deleted,
    /// replaced or cancelled meanwhile.
    async fn store_batch(
        &self,
        group: &mut [ParsedDocument],
        batch: SpaceVectors,
        progress: &Progress,
    ) -> Result<HashSet<DocumentId>> {
        let Some(ParsedDocument { scope, collection, .. }) = group.first() else { return Ok(HashSet::new()) };
        let (scope, collection) = (*scope, *collection);
        let mut documents: HashSet<DocumentId> =
            batch.vectors.iter().map(|(_, document, _)| *document).collect();
        let in_batch = |document: &ParsedDocument| documents.contains(&document.fence.document);
        let fences: Vec<_> = group
            .iter()
            .filter(|document| in_batch(document))
            .map(|document| (document.fence, progress.of(document.fence.document)))
            .collect();
        let stored = self.inner.stores.ingest.store_vectors(&scope, collection, &fences, &[batch]).await?;
        // The store resets their retry count with it.
        group.iter_mut().filter(|document| in_batch(document)).for_each(|document| document.tries = 0);
        for held in stored {
            documents.remove(&held);
        }
        Ok(documents)
    }
}

/// Takes the documents out of the group that are embedded: those before `next`,
/// of which the next batch begins. None if there is no next batch, as the group
/// is handed on as a whole then.
fn take_complete(group: &mut Vec<ParsedDocument>, next: Option<DocumentId>) -> Vec<ParsedDocument> {
    let at = next.and_then(|next| group.iter().position(|document| document.fence.document == next));
    group.drain(..at.unwrap_or_default()).collect()
}

/// How far the documents of a group are embedded.
struct Progress {
    /// Chunks that are embedded in this space, and those that it lacked.
    of: HashMap<DocumentId, (usize, usize)>,
    /// Which of how many spaces it is.
    nth: usize,
    spaces: usize,
}

impl Progress {
    fn new(documents: impl Iterator<Item = DocumentId>, nth: usize, spaces: usize) -> Self {
        let mut of: HashMap<DocumentId, (usize, usize)> = HashMap::new();
        for document in documents {
            of.entry(document).or_default().1 += 1;
        }
        Self { of, nth, spaces }
    }

    fn add(&mut self, batch: &SpaceVectors) {
        for (_, document, _) in &batch.vectors {
            self.of.entry(*document).or_default().0 += 1;
        }
    }

    /// A document's, from 0 to 1.
    #[allow(clippy::cast_precision_loss, reason = "a share for people")]
    fn of(&self, document: DocumentId) -> f32 {
        let (done, all) = self.of.get(&document).copied().unwrap_or_default();
        let embedded = (self.nth as f32 + done as f32 / all.max(1) as f32) / self.spaces.max(1) as f32;
        READING + (1.0 - READING) * embedded
    }
}

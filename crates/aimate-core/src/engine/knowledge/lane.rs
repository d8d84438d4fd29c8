//! The one lane in which this process embeds and publishes documents. What is
//! embedded is stored before the next batch is, so that a crash costs at most
//! one batch; a group is published while the next one is embedded.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::super::Engine;
use super::embed::embed_checked;
use super::ingest::{Cut, index_text};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChunkId, CollectionId, DocumentId, SpaceId};
use crate::knowledge::{EmbedPurpose, Embedder, Fence, Publication, PublishedDocument, SpaceVectors};
use crate::scope::Scope;

/// Texts that are embedded together.
const BATCH: usize = 64;
/// Chunks that are published together at most, unless one document has more.
const GROUP: usize = 512;
/// How long a document that is embedded waits for the rest of its group.
const PATIENCE: Duration = Duration::from_millis(250);
/// Publications in a collection between two looks at its index.
const MERGE_EVERY: u32 = 8;

/// Embeds what comes until nothing can come any more, and hands it on in groups
/// of one collection.
pub(super) async fn embed(engine: Engine, mut ready: mpsc::Receiver<Cut>, done: mpsc::Sender<Vec<Cut>>) {
    let mut waiting = VecDeque::new();
    loop {
        while let Ok(cut) = ready.try_recv() {
            waiting.push_back(cut);
        }
        if waiting.is_empty() {
            match ready.recv().await {
                Some(cut) => waiting.push_back(cut),
                None => return,
            }
            continue;
        }
        let mut group = next_group(&mut waiting);
        engine.tell_read(&mut waiting).await;
        match engine.embed_group(&mut group, &done).await {
            // Without a receiver the engine is stopping.
            Ok(()) => drop(done.send(group).await),
            Err(error) => engine.give_up_all(group, &error).await,
        }
    }
}

/// Publishes what comes until nothing can come any more.
pub(super) async fn publish(engine: Engine, mut embedded: mpsc::Receiver<Vec<Cut>>) {
    let mut changed: HashMap<(Scope, CollectionId), u32> = HashMap::new();
    loop {
        let group = match embedded.try_recv() {
            Ok(group) => group,
            Err(_) => {
                for ((scope, collection), _) in changed.drain() {
                    engine.merge(&scope, collection).await;
                }
                let Some(group) = embedded.recv().await else { return };
                group
            }
        };
        let Some(Cut { scope, collection, .. }) = group.first() else { continue };
        let (scope, collection) = (*scope, *collection);
        engine.publish_group(group).await;
        let count = changed.entry((scope, collection)).or_default();
        *count += 1;
        if count.is_multiple_of(MERGE_EVERY) {
            engine.merge(&scope, collection).await;
        }
    }
}

/// Takes the documents that are published together: of one collection and the
/// same spaces.
fn next_group(waiting: &mut VecDeque<Cut>) -> Vec<Cut> {
    let mut group: Vec<Cut> = Vec::new();
    let mut chunks = 0;
    while let Some(next) = waiting.front() {
        if let Some(first) = group.first() {
            let ids = |cut: &Cut| cut.spaces.iter().map(|(space, _)| *space).collect::<Vec<_>>();
            let alike = is_of_one(first, next) && ids(first) == ids(next);
            if !alike || chunks + next.chunks.len() > GROUP {
                break;
            }
        }
        chunks += next.chunks.len();
        group.extend(waiting.pop_front());
    }
    group
}

fn is_of_one(one: &Cut, other: &Cut) -> bool {
    one.scope == other.scope && one.collection == other.collection
}

/// A chunk that needs a vector.
struct Need {
    document: DocumentId,
    chunk: ChunkId,
    text: String,
}

impl Engine {
    async fn merge(&self, scope: &Scope, collection: CollectionId) {
        loop {
            match self.inner.stores.index.merge(scope, collection).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) if error.kind() == ErrorKind::NotFound => return,
                Err(error) => {
                    tracing::warn!(%error, %collection, "putting an index together failed; it is done later");
                    return;
                }
            }
        }
    }

    /// Has it stored that documents were read, for those that wait: whatever
    /// ends this process now, it was not they.
    async fn tell_read(&self, waiting: &mut VecDeque<Cut>) {
        let untold: Vec<&mut Cut> = waiting.iter_mut().filter(|cut| !cut.is_told).collect();
        for some in untold.chunk_by(|one, other| is_of_one(one, other)) {
            let Some(Cut { scope, collection, .. }) = some.first() else { continue };
            let read: Vec<(Fence, f32)> = some.iter().map(|cut| (cut.fence, 0.0)).collect();
            let marked = self.inner.stores.ingest.mark_progress(scope, *collection, &read).await;
            if let Err(error) = marked {
                tracing::debug!(%error, "that documents were read could not be stored");
            }
        }
        untold.into_iter().for_each(|cut| cut.is_told = true);
    }

    async fn give_up_all(&self, group: Vec<Cut>, error: &Error) {
        for cut in group {
            self.give_up(&cut.scope, cut.fence, cut.tries, error).await;
        }
    }

    /// Embeds the group's chunks in all their spaces and stores the vectors.
    /// Documents that are embedded long before the others leave the group for
    /// `done`.
    async fn embed_group(&self, group: &mut Vec<Cut>, done: &mpsc::Sender<Vec<Cut>>) -> Result<()> {
        let spaces = group.first().map(|cut| cut.spaces.clone()).unwrap_or_default();
        for (nth, (space, embedder)) in spaces.iter().enumerate() {
            let mut needs = VecDeque::from(self.needs(group, *space).await?);
            let mut progress = Progress::new(&needs, nth, spaces.len());
            let mut begun = Instant::now();
            while let Some(next) = needs.front() {
                if nth + 1 == spaces.len() && begun.elapsed() > PATIENCE {
                    let complete = group.iter().position(|cut| cut.document.id == next.document);
                    let complete: Vec<Cut> = group.drain(..complete.unwrap_or_default()).collect();
                    drop(done.send(complete).await);
                    begun = Instant::now();
                }
                let batch: Vec<Need> = needs.drain(..BATCH.min(needs.len())).collect();
                let vectors = embed_batch(&batch, *space, embedder.as_ref()).await?;
                progress.add(&batch);
                let gone = self.store(group, vectors, &progress).await?;
                needs.retain(|need| !gone.contains(&need.document));
                group.retain(|cut| !gone.contains(&cut.document.id));
                let came_on = |cut: &&mut Cut| batch.iter().any(|need| need.document == cut.document.id);
                group.iter_mut().filter(came_on).for_each(|cut| cut.tries = 0);
            }
        }
        Ok(())
    }

    /// The group's chunks without a vector in `space`. Only a document that was
    /// worked on before can have some with one.
    async fn needs(&self, group: &[Cut], space: SpaceId) -> Result<Vec<Need>> {
        let stores = &self.inner.stores;
        let mut needs = Vec::new();
        for cut in group {
            let mut there = HashSet::new();
            if cut.fence.attempt > 1 {
                let ids: Vec<_> = cut.chunks.iter().map(|new| new.chunk.id).collect();
                for some in ids.chunks(1_000) {
                    there.extend(stores.ingest.embedded(&cut.scope, space, some).await?);
                }
            }
            let missing = cut.chunks.iter().map(|new| &new.chunk).filter(|chunk| !there.contains(&chunk.id));
            needs.extend(missing.map(|chunk| Need {
                document: cut.document.id,
                chunk: chunk.id,
                text: index_text(&cut.title, &chunk.headings, &chunk.text),
            }));
        }
        Ok(needs)
    }

    /// Stores a batch; returns the documents of it that somebody deleted,
    /// replaced or cancelled.
    async fn store(
        &self,
        group: &[Cut],
        batch: SpaceVectors,
        progress: &Progress,
    ) -> Result<HashSet<DocumentId>> {
        let Some(Cut { scope, collection, .. }) = group.first() else { return Ok(HashSet::new()) };
        let mut documents: HashSet<DocumentId> =
            batch.vectors.iter().map(|(_, document, _)| *document).collect();
        let of_batch = group.iter().filter(|cut| documents.contains(&cut.document.id));
        let fences: Vec<_> = of_batch.map(|cut| (cut.fence, progress.of(cut.document.id))).collect();
        let stores = &self.inner.stores;
        for held in stores.ingest.store_vectors(scope, *collection, &fences, &[batch]).await? {
            documents.remove(&held);
        }
        Ok(documents)
    }

    /// Publishes documents that are embedded.
    async fn publish_group(&self, mut group: Vec<Cut>) {
        let Some(Cut { scope, collection, .. }) = group.first() else { return };
        let (scope, collection) = (*scope, *collection);
        let documents = group.iter_mut().map(|cut| PublishedDocument {
            fence: cut.fence,
            title: cut.title.clone(),
            media_type: cut.media_type.clone(),
            warnings: std::mem::take(&mut cut.warnings),
            chunks: std::mem::take(&mut cut.chunks),
        });
        let documents = documents.collect();
        let now = self.inner.sources.now();
        let publication = Publication { collection, documents, vectors: Vec::new(), now };
        if let Err(error) = self.inner.stores.ingest.publish(&scope, &publication).await {
            self.give_up_all(group, &error).await;
        }
    }
}

async fn embed_batch(batch: &[Need], space: SpaceId, embedder: &dyn Embedder) -> Result<SpaceVectors> {
    let texts: Vec<_> = batch.iter().map(|need| need.text.clone()).collect();
    let made = embed_checked(embedder, &texts, EmbedPurpose::Passage).await?;
    let vectors = batch.iter().zip(made).map(|(need, vector)| (need.chunk, need.document, vector));
    Ok(SpaceVectors { space, vectors: vectors.collect() })
}

/// How far the documents of a group are embedded.
struct Progress {
    /// Chunks that are embedded in this space, and those that need it.
    of: HashMap<DocumentId, (usize, usize)>,
    /// Which of how many spaces it is.
    nth: usize,
    spaces: usize,
}

impl Progress {
    fn new(needs: &VecDeque<Need>, nth: usize, spaces: usize) -> Self {
        let mut of: HashMap<DocumentId, (usize, usize)> = HashMap::new();
        for need in needs {
            of.entry(need.document).or_default().1 += 1;
        }
        Self { of, nth, spaces }
    }

    fn add(&mut self, batch: &[Need]) {
        for need in batch {
            self.of.entry(need.document).or_default().0 += 1;
        }
    }

    /// A document's, from 0 to 1.
    #[allow(clippy::cast_precision_loss, reason = "a share for people")]
    fn of(&self, document: DocumentId) -> f32 {
        let (done, all) = self.of.get(&document).copied().unwrap_or_default();
        (self.nth as f32 + done as f32 / all.max(1) as f32) / self.spaces.max(1) as f32
    }
}

//! The one lane in which this process embeds and publishes documents: what is
//! embedded is stored before the next batch is, so that a crash costs at most
//! one batch.

use std::collections::{HashMap, HashSet, VecDeque};

use tokio::sync::mpsc;

use super::super::Engine;
use super::embed::embed_checked;
use super::ingest::{Cut, index_text};
use crate::error::{ErrorKind, Result};
use crate::id::{ChunkId, CollectionId, DocumentId, SpaceId};
use crate::knowledge::{EmbedPurpose, Embedder, Fence, Publication, PublishedDocument, SpaceVectors};
use crate::scope::Scope;

/// Texts that are embedded together.
const BATCH: usize = 64;
/// Chunks that are published together where nothing is embedded.
const GROUP: usize = 1_024;
/// Publications in a collection between two looks at its index.
const MERGE_EVERY: u32 = 8;

/// Embeds and publishes what comes until nothing can come any more.
pub(super) async fn run(engine: Engine, mut ready: mpsc::Receiver<Cut>) {
    let mut waiting = VecDeque::new();
    let mut changed: HashMap<(Scope, CollectionId), u32> = HashMap::new();
    loop {
        while let Ok(cut) = ready.try_recv() {
            waiting.push_back(cut);
        }
        if waiting.is_empty() {
            for ((scope, collection), _) in changed.drain() {
                engine.merge(&scope, collection).await;
            }
            match ready.recv().await {
                Some(cut) => waiting.push_back(cut),
                None => return,
            }
        }
        let group = next_group(&mut waiting);
        let Some(first) = group.first() else { continue };
        let (scope, collection) = (first.scope, first.collection);
        engine.finish_group(group).await;
        let count = changed.entry((scope, collection)).or_default();
        *count += 1;
        if count.is_multiple_of(MERGE_EVERY) {
            engine.merge(&scope, collection).await;
        }
    }
}

/// Takes the documents that are published together: of one collection and the
/// same spaces, about one batch.
fn next_group(waiting: &mut VecDeque<Cut>) -> Vec<Cut> {
    let mut group: Vec<Cut> = Vec::new();
    let mut chunks = 0;
    while let Some(next) = waiting.front() {
        let most = if next.spaces.is_empty() { GROUP } else { BATCH };
        if let Some(first) = group.first() {
            let ids = |cut: &Cut| cut.spaces.iter().map(|(space, _)| *space).collect::<Vec<_>>();
            let alike = first.scope == next.scope && first.collection == next.collection;
            if !alike || ids(first) != ids(next) || chunks + next.chunks.len() > most {
                break;
            }
        }
        chunks += next.chunks.len();
        group.extend(waiting.pop_front());
    }
    group
}

/// A chunk that needs a vector.
struct Need {
    /// Its document's place in the group.
    document: usize,
    chunk: ChunkId,
    text: String,
}

impl Engine {
    async fn merge(&self, scope: &Scope, collection: CollectionId) {
        loop {
            match self.inner.stores.knowledge.merge_index(scope, collection).await {
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

    /// Embeds and publishes a group; what fails is given up document by
    /// document.
    async fn finish_group(&self, group: Vec<Cut>) {
        let outcome = match self.embed_group(&group).await {
            Ok(vectors) => self.publish_group(&group, vectors).await,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            for cut in group {
                self.give_up(&cut.scope, cut.fence, cut.tries, &error).await;
            }
        }
    }

    /// Embeds the group's chunks in all their spaces. All batches but the last
    /// are stored at once; the last one is returned, to be stored with the
    /// publication.
    async fn embed_group(&self, group: &[Cut]) -> Result<Vec<SpaceVectors>> {
        let spaces = group.first().map(|cut| cut.spaces.clone()).unwrap_or_default();
        let total: usize = group.iter().map(|cut| cut.chunks.len()).sum::<usize>() * spaces.len();
        let mut done = 0;
        let mut last: Vec<SpaceVectors> = Vec::new();
        for (space, embedder) in spaces {
            let needs = self.needs(group, space).await?;
            for batch in needs.chunks(BATCH) {
                for stored in last.drain(..) {
                    self.store(group, stored, done, total).await?;
                }
                last.push(self.embed_batch(group, batch, space, embedder.as_ref()).await?);
                done += batch.len();
            }
        }
        Ok(last)
    }

    /// The group's chunks without a vector in `space`. Only a document that was
    /// worked on before can have some with one.
    async fn needs(&self, group: &[Cut], space: SpaceId) -> Result<Vec<Need>> {
        let knowledge = &self.inner.stores.knowledge;
        let mut needs = Vec::new();
        for (document, cut) in group.iter().enumerate() {
            let mut there = HashSet::new();
            if cut.tries > 1 || cut.document.chunk_count > 0 {
                let ids: Vec<_> = cut.chunks.iter().map(|new| new.chunk.id).collect();
                for some in ids.chunks(1_000) {
                    there.extend(knowledge.embedded(&cut.scope, space, some).await?);
                }
            }
            let missing = cut.chunks.iter().map(|new| &new.chunk).filter(|chunk| !there.contains(&chunk.id));
            needs.extend(missing.map(|chunk| Need {
                document,
                chunk: chunk.id,
                text: index_text(&cut.title, &chunk.headings, &chunk.text),
            }));
        }
        Ok(needs)
    }

    async fn embed_batch(
        &self,
        group: &[Cut],
        batch: &[Need],
        space: SpaceId,
        embedder: &dyn Embedder,
    ) -> Result<SpaceVectors> {
        let texts: Vec<_> = batch.iter().map(|need| need.text.clone()).collect();
        let made = embed_checked(embedder, &texts, EmbedPurpose::Passage).await?;
        let document = |need: &Need| group.get(need.document).map(|cut| cut.document.id);
        let vectors = batch
            .iter()
            .zip(made)
            .filter_map(|(need, vector)| Some((need.chunk, document(need)?, vector)))
            .collect();
        Ok(SpaceVectors { space, vectors })
    }

    /// Stores one batch, document by document.
    async fn store(&self, group: &[Cut], batch: SpaceVectors, done: usize, total: usize) -> Result<()> {
        let mut of: HashMap<DocumentId, Vec<_>> = HashMap::new();
        for vector in batch.vectors {
            of.entry(vector.1).or_default().push(vector);
        }
        #[allow(clippy::cast_precision_loss, reason = "a share for people")]
        let progress = done as f32 / total.max(1) as f32;
        for cut in group {
            if let Some(vectors) = of.remove(&cut.document.id) {
                let vectors = [SpaceVectors { space: batch.space, vectors }];
                let knowledge = &self.inner.stores.knowledge;
                knowledge.store_vectors(&cut.scope, cut.fence, &vectors, progress).await?;
            }
        }
        Ok(())
    }

    async fn publish_group(&self, group: &[Cut], vectors: Vec<SpaceVectors>) -> Result<()> {
        let Some(Cut { scope, collection, .. }) = group.first() else { return Ok(()) };
        let documents = group
            .iter()
            .map(|cut| PublishedDocument {
                fence: Fence { ..cut.fence },
                title: cut.title.clone(),
                media_type: cut.media_type.clone(),
                warnings: cut.warnings.clone(),
                chunks: cut.chunks.clone(),
            })
            .collect();
        let now = self.inner.sources.now();
        let publication = Publication { collection: *collection, documents, vectors, now };
        self.inner.stores.knowledge.publish(scope, &publication).await.map(drop)
    }
}

//! Embedding batch by batch, for documents and for spaces that are built.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::super::embedder::embed_checked;
use crate::error::Result;
use crate::id::{ChunkId, DocumentId, SpaceId};
use crate::knowledge::{Chunk, EmbedPurpose, Embedder, SpaceVectors};

/// Texts that are embedded by one call. More would make a crash or a failed call
/// cost more; fewer would cost more calls.
pub(in super::super) const BATCH: u32 = 64;

/// A chunk that needs a vector.
pub(in super::super) struct PendingChunk {
    document: DocumentId,
    chunk: ChunkId,
    text: String,
}

impl PendingChunk {
    /// The chunk of a document with this title.
    pub(in super::super) fn new(chunk: &Chunk, title: &str) -> Self {
        let text = Chunk::index_text(title, &chunk.headings, &chunk.text);
        Self { document: chunk.document_id, chunk: chunk.id, text }
    }
}

/// Embeds chunks in one space, in their order.
pub(in super::super) struct EmbeddingBatcher {
    space: SpaceId,
    embedder: Arc<dyn Embedder>,
    pending: VecDeque<PendingChunk>,
}

impl EmbeddingBatcher {
    pub(in super::super) fn new(
        space: SpaceId,
        embedder: Arc<dyn Embedder>,
        pending: impl IntoIterator<Item = PendingChunk>,
    ) -> Self {
        Self { space, embedder, pending: pending.into_iter().collect() }
    }

    /// The documents of the chunks that are pending, each as often as it has
    /// some.
    pub(super) fn documents(&self) -> impl Iterator<Item = DocumentId> {
        self.pending.iter().map(|pending| pending.document)
    }

    /// The vectors of the next [`BATCH`] chunks; `None` when all are embedded.
    /// The caller stores them before it asks for more.
    pub(in super::super) async fn next(&mut self) -> Result<Option<SpaceVectors>> {
        if self.pending.is_empty() {
            return Ok(None);
        }
        let batch: Vec<_> = self.pending.drain(..self.pending.len().min(BATCH as usize)).collect();
        let texts: Vec<_> = batch.iter().map(|pending| pending.text.clone()).collect();
        let made = embed_checked(self.embedder.as_ref(), &texts, EmbedPurpose::Passage).await?;
        let vectors =
            batch.iter().zip(made).map(|(pending, vector)| (pending.chunk, pending.document, vector));
        Ok(Some(SpaceVectors { space: self.space, vectors: vectors.collect() }))
    }

    /// Leaves out what is pending of these documents.
    pub(super) fn forget(&mut self, documents: &HashSet<DocumentId>) {
        self.pending.retain(|pending| !documents.contains(&pending.document));
    }
}

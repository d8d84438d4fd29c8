//! Extracting a document's text and cutting it into chunks.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aimate_index::analysis::analyze;
use aimate_text::extract::{ExtractError, Extracted, ReadProgress};
use aimate_text::split::split;
use aimate_text::tokens::Tokenizer;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::super::super::Engine;
use super::super::super::held::Hold;
use super::local_file::LocalFile;
use super::parsed::{IngestError, MAX_CHUNKS_IN_FLIGHT, ParsedDocument, READING};
use crate::error::Error;
use crate::id::{DocumentId, SpaceId};
use crate::knowledge::{
    Chunk, Chunking, ClaimedDocument, DocumentErrorCode, Embedder, Fence, NewChunk, Scripts, TokenChunking,
};
use crate::scope::Scope;

/// How often it is shown how far a document is read: one that is read sooner costs no
/// round trip.
const SHOW_INTERVAL: Duration = Duration::from_secs(1);
/// What must have been read since it was shown last.
const LEAST_SHOWN: f32 = 0.01;
/// Tokens kept free in each chunk for the title and headings that are embedded
/// with it.
const HEADING_TOKENS: usize = 32;
/// Characters of a chunk for each of its tokens at most; text of the languages that aiMate knows
/// has fewer.
const CHARACTERS_OF_TOKEN: u32 = 8;
/// What a document is stored as whose sender did not say what it is.
const UNKNOWN_MEDIA_TYPE: &str = "application/octet-stream";

/// What documents of a collection become.
pub(super) struct Destination {
    pub(super) chunking: Chunking,
    /// The spaces that their chunks need vectors in.
    pub(super) spaces: Vec<(SpaceId, Arc<dyn Embedder>)>,
}

impl Engine {
    /// Waits for `room` for all chunks before it returns.
    pub(super) async fn parse(
        &self,
        claimed: ClaimedDocument,
        destination: &Destination,
        room: Arc<Semaphore>,
        hold: Hold<DocumentId>,
    ) -> Result<ParsedDocument, IngestError> {
        let ClaimedDocument { scope, document, attempt, tries } = claimed;
        let inner = &self.inner;
        let file = LocalFile::of(self.document_bytes(&scope, &document).await?).await?;
        let said = Some(document.media_type.as_str()).filter(|media| *media != UNKNOWN_MEDIA_TYPE);
        let fence = Fence { document: document.id, attempt };
        let text = self.read_text(&scope, fence, file.path(), &document.name, said).await?;
        drop(file);
        let title = title(&text, &document.name);
        let (media_type, warnings) = (text.media_type.clone(), text.warnings.clone());
        let chunker = Chunker {
            document: document.id,
            title: title.clone(),
            chunking: destination.chunking,
            tokens: document.token_chunking,
            embedders: destination
                .spaces
                .iter()
                .map(|(_, embedder)| (embedder.clone(), self.scripts(embedder.as_ref())))
                .collect(),
        };
        let chunks = inner.tasks.spawn_blocking(move || chunker.chunks(&text)).await;
        let chunks =
            chunks.map_err(|error| Error::internal("chunking a document broke off").with_source(error))?;
        if chunks.is_empty() {
            return Err(IngestError::permanent(DocumentErrorCode::NoText, "there is no text in it"));
        }
        let need = u32::try_from(chunks.len()).unwrap_or(u32::MAX).min(MAX_CHUNKS_IN_FLIGHT);
        let stopping = |error| Error::unavailable("the engine is stopping").with_source(error);
        let room = room.acquire_many_owned(need).await.map_err(stopping)?;
        Ok(ParsedDocument {
            scope,
            collection: document.collection_id,
            fence,
            tries,
            spaces: destination.spaces.clone(),
            title,
            media_type,
            warnings,
            chunks,
            is_marked: false,
            _room: room,
            _hold: hold,
        })
    }
}

impl Engine {
    /// Reads a document's text, and shows meanwhile how far that has come.
    async fn read_text(
        &self,
        scope: &Scope,
        fence: Fence,
        path: &Path,
        name: &str,
        media_type: Option<&str>,
    ) -> Result<Extracted, ExtractError> {
        let progress = ReadProgress::default();
        let reading = self.inner.knowledge.extractor.extract_watched(path, name, media_type, &progress);
        tokio::pin!(reading);
        let mut shown = 0.0;
        loop {
            tokio::select! {
                outcome = &mut reading => return outcome,
                () = tokio::time::sleep(SHOW_INTERVAL) => {}
            }
            let now = progress.fraction() * READING;
            if now - shown < LEAST_SHOWN {
                continue;
            }
            match self.inner.stores.ingest.mark_reading(scope, fence, now).await {
                Ok(_) => shown = now,
                // It is read all the same; who asks sees less.
                Err(error) => tracing::debug!(%error, "how far a document is read could not be stored"),
            }
        }
    }
}

/// The title a document's text gives it, else its name.
fn title(text: &Extracted, name: &str) -> String {
    let title = text.title.as_deref().map(str::trim).filter(|title| !title.is_empty());
    crate::text::shorten(title.unwrap_or(name), crate::limit::TITLE)
}

/// Cuts one document; works on the processor alone.
struct Chunker {
    document: DocumentId,
    title: String,
    chunking: Chunking,
    /// In tokens, where the document says so.
    tokens: Option<TokenChunking>,
    embedders: Vec<(Arc<dyn Embedder>, Scripts)>,
}

impl Chunker {
    fn chunks(&self, text: &Extracted) -> Vec<NewChunk> {
        // Every space gets the same chunks, so the embedder that takes the least
        // decides.
        let max =
            self.embedders.iter().map(|(embedder, _)| embedder.max_tokens()).min().unwrap_or(usize::MAX);
        let max = max.saturating_sub(HEADING_TOKENS).max(HEADING_TOKENS);
        // What a model cannot read falls into a token for each letter and says nothing
        // to it: it is found by its words, which want whole chunks.
        let count = |text: &str| {
            let readers = self.embedders.iter().filter(|(_, scripts)| scripts.read(text));
            readers.map(|(embedder, _)| embedder.count_tokens(text)).max().unwrap_or_default()
        };
        let pieces = match self.tokens {
            None => split(text, self.chunking, max, &count),
            Some(TokenChunking { max_tokens, overlap }) => {
                // What is repeated is a share of each chunk, so both are in the same unit.
                let chunking = Chunking {
                    size: max_tokens.saturating_mul(CHARACTERS_OF_TOKEN),
                    overlap: overlap.saturating_mul(CHARACTERS_OF_TOKEN),
                };
                // As the embedder counts them where it counts, which is what it can take.
                let count = |text: &str| count(text).max(Tokenizer::for_model("").count(text) as usize);
                split(text, chunking, max.min(max_tokens as usize), &count)
            }
        };
        let mut seen: HashMap<[u8; 32], u32> = HashMap::new();
        let mut chunks = Vec::with_capacity(pieces.len());
        for (index, piece) in (0..).zip(pieces) {
            let content = text.text.get(piece.start..piece.end).unwrap_or_default();
            let indexed = Chunk::index_text(&self.title, &piece.headings, content);
            // The same text twice in a document is two chunks.
            let nth = seen.entry(Sha256::digest(&indexed).into()).or_default();
            let id = Chunk::id_of(self.document, &indexed, *nth);
            *nth += 1;
            let chunk = Chunk {
                id,
                document_id: self.document,
                index,
                text: content.to_owned(),
                headings: piece.headings,
                page: piece.page,
                start: piece.start_char as u64,
                end: piece.end_char as u64,
            };
            chunks.push(NewChunk { chunk, terms: analyze(&indexed) });
        }
        chunks
    }
}

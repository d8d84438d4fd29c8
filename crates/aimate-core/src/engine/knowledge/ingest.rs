//! Reading documents: claimed from the queue, extracted and cut beside each
//! other, then handed to the [`lane`](super::lane) that embeds and publishes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aimate_index::analysis::analyze;
use aimate_text::extract::{ExtractError, ExtractErrorKind, Extracted};
use aimate_text::split::split;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::super::Engine;
use super::lane;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{CollectionId, DocumentId, SpaceId};
use crate::knowledge::{
    Blob, Chunk, Chunking, ClaimedDocument, Document, DocumentError, Embedder, Fence, Finish, NewChunk,
    SpaceStatus,
};
use crate::scope::Scope;

/// How often the queue is looked at when nobody in this process adds anything.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Attempts on a document before it counts as failed.
const MAX_TRIES: u32 = 5;
/// Chunks that are cut and wait for the lane at most; a document with more is
/// alone. With their terms they take about 5 KB each.
const CHUNKS_IN_FLIGHT: u32 = 2_048;
/// Documents that are taken from the queue at once for each reader, at most.
const CLAIMS: usize = 16;
/// A reader that is done sooner is given more documents at once.
const SOON: Duration = Duration::from_millis(100);
/// Tokens kept free in each chunk for the title and headings above it.
const HEAD_TOKENS: usize = 32;
/// Characters of the title and headings that are embedded with a chunk.
const HEAD: usize = 200;

/// A document that is cut and waits to be embedded.
pub(super) struct Cut {
    pub(super) scope: Scope,
    pub(super) collection: CollectionId,
    pub(super) document: Document,
    pub(super) fence: Fence,
    pub(super) tries: u32,
    /// The spaces its chunks need vectors in: the active one, one being built.
    pub(super) spaces: Vec<(SpaceId, Arc<dyn Embedder>)>,
    pub(super) title: String,
    pub(super) media_type: String,
    pub(super) warnings: Vec<String>,
    pub(super) chunks: Vec<NewChunk>,
    /// Whether it is stored that reading it did no harm.
    pub(super) is_told: bool,
    /// Given back when the document is done.
    pub(super) _room: OwnedSemaphorePermit,
}

impl Engine {
    /// Starts the tasks that read documents and build spaces.
    pub(in super::super) fn start_ingest(&self) {
        let readers = self.inner.knowledge.readers;
        if readers == 0 {
            return;
        }
        let (cut, ready) = mpsc::channel(CHUNKS_IN_FLIGHT as usize);
        self.until_stopped({
            let engine = self.clone();
            async move { engine.claim(readers, cut).await }
        });
        let (done, embedded) = mpsc::channel(1);
        self.until_stopped(lane::embed(self.clone(), ready, done));
        self.until_stopped(lane::publish(self.clone(), embedded));
        let engine = self.clone();
        self.until_stopped(async move { engine.build_spaces().await });
    }

    fn until_stopped(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.inner.stop.clone();
        self.inner.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// Takes documents from the queue as long as there is a free reader.
    async fn claim(&self, readers: usize, cut: mpsc::Sender<Cut>) {
        let slots = Arc::new(Semaphore::new(readers));
        let room = Arc::new(Semaphore::new(CHUNKS_IN_FLIGHT as usize));
        let mut limit = readers;
        loop {
            let begun = Instant::now();
            let claimed = match self.claim_some(limit).await {
                Ok(claimed) => claimed,
                Err(error) => {
                    tracing::warn!(%error, "taking documents from the queue failed; trying again");
                    Vec::new()
                }
            };
            if claimed.is_empty() {
                limit = readers;
                tokio::select! {
                    () = self.inner.knowledge.added.notified() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
                continue;
            }
            let mut destinations: HashMap<CollectionId, Arc<Destination>> = HashMap::new();
            for document in claimed {
                let collection = document.document.collection_id;
                let destination = match destinations.get(&collection) {
                    Some(destination) => Ok(destination.clone()),
                    None => self
                        .destination(&document.scope, collection)
                        .await
                        .map(|found| destinations.entry(collection).or_insert(Arc::new(found)).clone()),
                };
                let Ok(slot) = slots.clone().acquire_owned().await else { return };
                let (engine, cut, room) = (self.clone(), cut.clone(), room.clone());
                self.until_stopped(async move {
                    engine.read(document, destination, room, &cut).await;
                    drop(slot);
                });
            }
            // With the first free reader come the next documents.
            drop(slots.acquire().await);
            limit = if begun.elapsed() < SOON { (2 * limit).min(CLAIMS * readers) } else { readers };
        }
    }

    async fn claim_some(&self, limit: usize) -> Result<Vec<ClaimedDocument>> {
        let inner = &self.inner;
        let now = inner.sources.now();
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        inner.stores.queue.claim_documents(inner.worker, now, now.minus(inner.lease), limit).await
    }

    /// Reads one document and hands it on, or ends the work on it.
    async fn read(
        &self,
        claimed: ClaimedDocument,
        destination: Result<Arc<Destination>>,
        room: Arc<Semaphore>,
        cut: &mpsc::Sender<Cut>,
    ) {
        let (scope, tries) = (claimed.scope, claimed.tries);
        let fence = Fence { document: claimed.document.id, attempt: claimed.attempt };
        let outcome = if tries > MAX_TRIES {
            Err(Unreadable::For(DocumentError {
                code: "crashed".to_owned(),
                detail: format!("reading it was begun {MAX_TRIES} times and never came to an end"),
            }))
        } else {
            match destination {
                Ok(destination) => self.cut(claimed, &destination, room).await,
                Err(error) => Err(Unreadable::Now(error)),
            }
        };
        match outcome {
            // Without a receiver the engine is stopping: the next process reads it.
            Ok(document) => drop(cut.send(document).await),
            Err(Unreadable::For(reason)) => self.end(&scope, fence, &Finish::Failed(reason)).await,
            Err(Unreadable::Now(error)) => self.give_up(&scope, fence, tries, &error).await,
        }
    }

    /// Where documents of a collection go.
    async fn destination(&self, scope: &Scope, collection: CollectionId) -> Result<Destination> {
        let stores = &self.inner.stores;
        let chunking = stores.collections.config(scope, collection).await?.chunking;
        let mut spaces: Vec<(SpaceId, Arc<dyn Embedder>)> = Vec::new();
        for space in stores.spaces.list(scope, collection).await? {
            if matches!(space.status, SpaceStatus::Active | SpaceStatus::Building) {
                spaces.push((space.id, self.embedder(scope, &space.model)?));
            }
        }
        Ok(Destination { chunking, spaces })
    }

    async fn cut(
        &self,
        claimed: ClaimedDocument,
        destination: &Destination,
        room: Arc<Semaphore>,
    ) -> Result<Cut, Unreadable> {
        let ClaimedDocument { scope, document, attempt, tries } = claimed;
        let inner = &self.inner;
        let spaces = destination.spaces.clone();
        let blob = Blob { tenant: scope.tenant, document: document.id, hash: document.content_hash.clone() };
        let path = inner.stores.blobs.file(&blob).await?;
        let told = Some(document.media_type.as_str()).filter(|media| *media != "application/octet-stream");
        let text = inner.knowledge.extractor.extract(&path, &document.name, told).await?;
        let title = title(&text, &document.name);
        let cutting = Cutting {
            document: document.id,
            title: title.clone(),
            chunking: destination.chunking,
            embedders: spaces.iter().map(|(_, embedder)| embedder.clone()).collect(),
        };
        let (media_type, warnings) = (text.media_type.clone(), text.warnings.clone());
        let failed = |error| Error::internal("cutting a document failed").with_source(error);
        let cut = move || cutting.chunks(&text).into_iter().map(|chunk| cutting.indexed(chunk)).collect();
        let chunks: Vec<NewChunk> = inner.tasks.spawn_blocking(cut).await.map_err(failed)?;
        if chunks.is_empty() {
            return Err(Unreadable::For(DocumentError {
                code: "no_text".to_owned(),
                detail: "there is no text in it".to_owned(),
            }));
        }
        let need = u32::try_from(chunks.len()).unwrap_or(u32::MAX).min(CHUNKS_IN_FLIGHT);
        let room = room.acquire_many_owned(need).await.map_err(failed_room)?;
        Ok(Cut {
            scope,
            collection: document.collection_id,
            fence: Fence { document: document.id, attempt },
            document,
            tries,
            spaces,
            title,
            media_type,
            warnings,
            chunks,
            is_told: false,
            _room: room,
        })
    }

    /// Ends the work on a document after an error: again later if that may
    /// help, else for good.
    pub(super) async fn give_up(&self, scope: &Scope, fence: Fence, tries: u32, error: &Error) {
        let reason =
            DocumentError { code: error.kind().as_str().to_owned(), detail: error.message().to_owned() };
        let finish = match error.kind() {
            // Somebody deleted, replaced or cancelled it.
            ErrorKind::Conflict | ErrorKind::NotFound
                if tries < MAX_TRIES && self.is_gone(scope, fence).await =>
            {
                return;
            }
            kind if kind.retryable() && tries < MAX_TRIES => {
                let wait = error.retry_after().unwrap_or(Duration::from_secs(1 << tries.min(6)));
                tracing::warn!(%error, document = %fence.document, ?wait, "a document waits to be read again");
                Finish::Retry { not_before: self.inner.sources.now().plus(wait), error: reason, tries }
            }
            _ => Finish::Failed(reason),
        };
        self.end(scope, fence, &finish).await;
    }

    async fn is_gone(&self, scope: &Scope, fence: Fence) -> bool {
        !matches!(self.inner.stores.documents.get(scope, fence.document).await, Ok(document)
            if document.status == crate::knowledge::DocumentStatus::Processing)
    }

    async fn end(&self, scope: &Scope, fence: Fence, finish: &Finish) {
        let now = self.inner.sources.now();
        match self.inner.stores.ingest.finish(scope, fence, finish, now).await {
            Err(error) if !matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => {
                tracing::warn!(%error, document = %fence.document, "the end of a document could not be stored");
            }
            _ => {}
        }
    }
}

fn failed_room(error: tokio::sync::AcquireError) -> Error {
    Error::unavailable("the engine is stopping").with_source(error)
}

/// Why a document cannot be cut.
enum Unreadable {
    /// For this reason, which lies in the document.
    For(DocumentError),
    /// Because of something that is wrong now.
    Now(Error),
}

impl From<Error> for Unreadable {
    fn from(error: Error) -> Self {
        Self::Now(error)
    }
}

impl From<ExtractError> for Unreadable {
    fn from(error: ExtractError) -> Self {
        let code = match error.kind {
            ExtractErrorKind::Empty => "empty",
            ExtractErrorKind::Encrypted => "encrypted",
            ExtractErrorKind::Damaged => "damaged",
            ExtractErrorKind::TooLarge => "too_large",
            ExtractErrorKind::NoText => "no_text",
            ExtractErrorKind::Unsupported => "unsupported",
            ExtractErrorKind::Timeout => "timeout",
            ExtractErrorKind::Crashed => "crashed",
            ExtractErrorKind::Io => return Self::Now(Error::unavailable(error.message)),
        };
        Self::For(DocumentError { code: code.to_owned(), detail: error.message })
    }
}

/// What documents of a collection become.
struct Destination {
    chunking: Chunking,
    /// The spaces that their chunks need vectors in.
    spaces: Vec<(SpaceId, Arc<dyn Embedder>)>,
}

/// What cutting a document needs.
struct Cutting {
    document: DocumentId,
    title: String,
    chunking: Chunking,
    embedders: Vec<Arc<dyn Embedder>>,
}

impl Cutting {
    fn chunks(&self, text: &Extracted) -> Vec<Chunk> {
        let max = self.embedders.iter().map(|embedder| embedder.max_tokens()).min().unwrap_or(usize::MAX);
        let max = max.saturating_sub(HEAD_TOKENS).max(HEAD_TOKENS);
        let count = |text: &str| {
            self.embedders.iter().map(|embedder| embedder.count_tokens(text)).max().unwrap_or_default()
        };
        let mut seen: HashMap<Vec<u8>, u32> = HashMap::new();
        let pieces = split(text, self.chunking, max, &count);
        let mut chunks = Vec::with_capacity(pieces.len());
        for (index, piece) in (0..).zip(pieces) {
            let content = text.text.get(piece.start..piece.end).unwrap_or_default();
            let indexed = index_text(&self.title, &piece.headings, content);
            let nth = seen.entry(hash(&indexed)).or_default();
            let id = Chunk::id_of(self.document, &indexed, *nth);
            *nth += 1;
            chunks.push(Chunk {
                id,
                document_id: self.document,
                index,
                text: content.to_owned(),
                headings: piece.headings,
                page: piece.page,
                start: piece.start_char as u64,
                end: piece.end_char as u64,
            });
        }
        chunks
    }

    fn indexed(&self, chunk: Chunk) -> NewChunk {
        let terms = analyze(&index_text(&self.title, &chunk.headings, &chunk.text));
        NewChunk { chunk, terms }
    }
}

fn hash(text: &str) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    Sha256::digest(text).to_vec()
}

/// The text of a chunk that is embedded and indexed.
pub(super) fn index_text(title: &str, headings: &[String], text: &str) -> String {
    Chunk::index_text(title, headings, text, HEAD)
}

/// The title a document's text gives it, else its name.
fn title(text: &Extracted, name: &str) -> String {
    let title = text.title.as_deref().map(str::trim).filter(|title| !title.is_empty());
    crate::text::shorten(title.unwrap_or(name), crate::limit::TITLE)
}

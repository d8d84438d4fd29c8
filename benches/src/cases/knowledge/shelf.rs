//! aiMate's engine on a database, with vectors that cost nothing.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aimate_core::engine::Knowledge;
use aimate_core::knowledge::{
    Chunk, Document, DocumentFilter, DocumentStatus, EmbedPurpose, Embedder, EmbeddingModel, Fence, NewChunk,
    NewCollection, Publication, PublishedDocument, SpaceVectors, StorageQuotas,
};
use aimate_core::{ChunkId, CollectionId, DocumentId, Engine, PageRequest, Scope, WorkerId};
use aimate_store::{Options, Store};
use async_trait::async_trait;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Map, Value};

use super::data::{DIMENSIONS, Data, OF_DOCUMENT, Space, bucket};
use crate::Result;

/// The collection that is searched.
pub(super) const COLLECTION: &str = "bench";
/// Vectors that passages take turns with.
const POOL: usize = 4_096;
/// Writers of documents that are beside each other.
const WRITERS: usize = 16;
/// How long a worker counts as alive.
const LEASE: Duration = Duration::from_secs(3600);
/// Publications between two looks at the index, as in the engine.
const MERGE_EVERY: usize = 8;

/// Gives vectors that are made beforehand.
pub(super) struct Precomputed {
    model: EmbeddingModel,
    pool: Vec<Vec<f32>>,
    questions: HashMap<String, Vec<f32>>,
}

impl Precomputed {
    pub(super) fn new(questions: HashMap<String, Vec<f32>>) -> Self {
        let model = EmbeddingModel {
            name: "local/precomputed".to_owned(),
            dimensions: DIMENSIONS as u32,
            version: "1".to_owned(),
        };
        Self { model, pool: Space::new(POOL).vectors(0x9001, POOL), questions }
    }

    fn passage(&self, text: &str) -> &Vec<f32> {
        let hash = text.bytes().rev().take(64).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        &self.pool[(hash >> 20) as usize % POOL]
    }
}

#[async_trait]
impl Embedder for Precomputed {
    fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    fn max_tokens(&self) -> usize {
        8_192
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.len() / 4
    }

    async fn embed(&self, texts: &[String], purpose: EmbedPurpose) -> aimate_core::Result<Vec<Vec<f32>>> {
        let one = |text: &String| match self.questions.get(text) {
            Some(vector) if purpose == EmbedPurpose::Query => vector.clone(),
            _ => self.passage(text).clone(),
        };
        Ok(texts.iter().map(one).collect())
    }
}

/// An open database and the engine on it.
pub(super) struct Shelf {
    pub(super) store: Store,
    pub(super) engine: Engine,
    pub(super) scope: Scope,
}

impl Shelf {
    /// `readers` as [`aimate_core::EngineBuilder::readers`]; default: the
    /// engine's.
    pub(super) async fn open(
        database: &str,
        blobs: &Path,
        embedder: Option<Precomputed>,
        readers: Option<usize>,
    ) -> Result<Self> {
        let options = Options { blobs: Some(blobs.to_owned()), ..Options::default() };
        let store = aimate_store::connect_with(database, options).await?;
        let mut builder = Engine::builder().store(store.stores());
        if let Some(embedder) = embedder {
            builder = builder.embedder(Arc::new(embedder));
        }
        if let Some(readers) = readers {
            builder = builder.readers(readers);
        }
        let engine = builder.build().await?;
        let scope = engine.local_scope().await?;
        Ok(Self { store, engine, scope })
    }

    pub(super) fn knowledge(&self) -> Knowledge {
        self.engine.knowledge(&self.scope)
    }

    /// Waits until no document waits or is being read.
    pub(super) async fn settle(&self, collection: CollectionId) -> Result {
        for status in [DocumentStatus::Pending, DocumentStatus::Processing, DocumentStatus::Pending] {
            while self.first(collection, status).await?.is_some() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        match self.first(collection, DocumentStatus::Failed).await? {
            Some(document) => {
                Err(format!("{} could not be read: {:?}", document.name, document.error).into())
            }
            None => Ok(()),
        }
    }

    async fn first(&self, collection: CollectionId, status: DocumentStatus) -> Result<Option<Document>> {
        let filter = DocumentFilter {
            collection: Some(collection),
            status: Some(status),
            ..DocumentFilter::default()
        };
        let page = self.knowledge().documents(&filter, PageRequest::first(1)).await?;
        Ok(page.data.into_iter().next())
    }

    pub(super) async fn close(self) {
        self.engine.drain(Duration::from_secs(5)).await;
        self.store.close().await;
    }
}

/// A collection that is filled.
pub(super) struct Filled {
    /// The place of each chunk in the data.
    pub(super) places: HashMap<ChunkId, usize>,
    pub(super) time: Duration,
}

/// A document that is to be published.
struct Prepared {
    document: Document,
    chunks: Vec<NewChunk>,
    vectors: Vec<(ChunkId, DocumentId, Vec<f32>)>,
    first: usize,
}

/// Fills a new collection through the port that the engine publishes with: the
/// same rows and index as of an ingest, without reading and cutting.
pub(super) async fn fill(shelf: &Shelf, data: &Arc<Data>) -> Result<Filled> {
    let knowledge = shelf.knowledge();
    let collection = knowledge.create_collection(NewCollection::new(COLLECTION)).await?;
    let space = collection.space.as_ref().ok_or("the collection has no space")?.id;
    let (stores, sources) = (shelf.store.stores(), shelf.engine.sources().clone());
    let worker: WorkerId = sources.id();
    // What a worker uploads that nobody knows is removed.
    stores.workers.join(worker, sources.now()).await?;
    let of_batch = OF_DOCUMENT * if data.len() > 200_000 { 500 } else { 100 };
    let begun = Instant::now();
    let batches = (0..data.len()).step_by(of_batch).map(|from| {
        let (data, sources) = (Arc::clone(data), sources.clone());
        let work = move || {
            let until = (from + of_batch).min(data.len());
            let firsts = (from..until).step_by(OF_DOCUMENT);
            firsts.map(|first| prepare(&data, first, collection.id, &sources)).collect::<Vec<_>>()
        };
        async move { tokio::task::spawn_blocking(work).await }
    });
    let (mut batches, quotas) = (stream::iter(batches).buffered(2), StorageQuotas::default());
    let mut places = HashMap::with_capacity(data.len());
    let mut published = 0;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let adding = batch.iter().map(async |one| {
            let document = &one.document;
            stores.documents.begin_upload(&shelf.scope, collection.id, document.blob_id, worker).await?;
            stores.documents.add(&shelf.scope, document, &quotas).await
        });
        stream::iter(adding).buffer_unordered(WRITERS).try_collect::<Vec<_>>().await?;
        let now = sources.now();
        stores.workers.beat(worker, now).await?;
        let claimed = stores.queue.claim_documents(worker, now, LEASE, batch.len() as u32).await?;
        let attempts: HashMap<_, _> = claimed.iter().map(|one| (one.document.id, one.attempt)).collect();
        let (mut documents, mut vectors) = (Vec::new(), Vec::new());
        for one in batch {
            for (at, new) in one.chunks.iter().enumerate() {
                places.insert(new.chunk.id, one.first + at);
            }
            let attempt = *attempts.get(&one.document.id).ok_or("a document was not in the queue")?;
            documents.push(PublishedDocument {
                fence: Fence { document: one.document.id, attempt },
                title: one.document.title,
                media_type: one.document.media_type,
                warnings: Vec::new(),
                chunks: one.chunks,
            });
            vectors.extend(one.vectors);
        }
        let count = documents.len();
        let vectors = vec![SpaceVectors { space, vectors }];
        let publication = Publication { collection: collection.id, documents, vectors, now: sources.now() };
        let done = stores.ingest.publish(&shelf.scope, &publication).await?;
        if done.len() != count {
            return Err(format!("{} of {count} documents were published", done.len()).into());
        }
        published += 1;
        if published % MERGE_EVERY == 0 {
            while stores.index.merge(&shelf.scope, collection.id).await? {}
        }
    }
    while stores.index.merge(&shelf.scope, collection.id).await? {}
    Ok(Filled { places, time: begun.elapsed() })
}

fn prepare(
    data: &Data,
    first: usize,
    collection: CollectionId,
    sources: &aimate_core::ClockAndIds,
) -> Prepared {
    let (id, now) = (sources.id::<DocumentId>(), sources.now());
    let number = first / OF_DOCUMENT;
    let chunks: Vec<_> = (first..(first + OF_DOCUMENT).min(data.len())).collect();
    let size: usize = chunks.iter().map(|chunk| data.texts[*chunk].len()).sum();
    let metadata = Map::from_iter([
        ("bucket".to_owned(), Value::from(bucket(first))),
        ("number".to_owned(), Value::from(number)),
    ]);
    let document = Document {
        id,
        collection_id: collection,
        name: format!("document-{number}.txt"),
        title: format!("Document {number}"),
        source: None,
        media_type: "text/plain".to_owned(),
        size: size as u64,
        content_hash: format!("{number:064x}"),
        blob_id: sources.id(),
        file_id: None,
        token_chunking: None,
        status: DocumentStatus::Pending,
        error: None,
        progress: 0.0,
        chunk_count: 0,
        warnings: Vec::new(),
        metadata,
        created_at: now,
        updated_at: now,
    };
    let mut start = 0;
    let new = |(index, place): (u32, &usize)| {
        let text = data.texts[*place].clone();
        let terms = aimate_index::analysis::analyze(&text);
        let (from, to) = (start, start + text.len() as u64);
        start = to;
        let chunk = Chunk {
            id: Chunk::id_of(id, &text, index),
            document_id: id,
            index,
            text,
            headings: Vec::new(),
            page: None,
            start: from,
            end: to,
        };
        NewChunk { chunk, terms }
    };
    let new: Vec<_> = (0..).zip(&chunks).map(new).collect();
    let vector = |(new, place): (&NewChunk, &usize)| (new.chunk.id, id, data.vector(*place).to_vec());
    let vectors = new.iter().zip(&chunks).map(vector).collect();
    Prepared { document, chunks: new, vectors, first }
}

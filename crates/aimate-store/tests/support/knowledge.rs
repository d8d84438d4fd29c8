//! Collections for tests of the index: documents with made-up texts, whose
//! vectors follow from them.

use std::collections::BTreeMap;
use std::time::Duration;

use aimate_core::conformance::knowledge_world::{chunks, collection, document, space};
use aimate_core::conformance::world::{World, at};
use aimate_core::knowledge::{
    Collection, Document, Fence, Publication, PublishedDocument, SpaceStatus, SpaceVectors, StorageQuotas,
};
use aimate_core::{CollectionId, DocumentId, ErrorKind, Scope, SpaceId, Stores};
use uuid::Uuid;

/// Numbers that look random and are always the same.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    pub(crate) fn below(&mut self, max: u64) -> u64 {
        self.next() % max
    }

    /// About -1 to 1.
    pub(crate) fn number(&mut self) -> f32 {
        (self.below(20_001) as f32 - 10_000.0) / 10_000.0
    }

    /// Words as frequent as in a language: the nth is there every nth time.
    pub(crate) fn text(&mut self, words: u64) -> String {
        let mut text = String::new();
        for _ in 0..words {
            let max = 1 + self.below(5_000);
            text.push_str(&format!("w{} ", self.below(max)));
        }
        text
    }
}

pub(crate) const DIMENSIONS: usize = 64;

/// The vector of a text, of length 1.
pub(crate) fn vector(text: &str) -> Vec<f32> {
    let seed = text
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
    let mut random = Random(seed | 1);
    unit((0..DIMENSIONS).map(|_| random.number()).collect())
}

pub(crate) fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|number| *number /= length);
    vector
}

/// The id of the nth document, which begins with the time as ids do.
pub(crate) fn document_id(number: u128) -> DocumentId {
    DocumentId(Uuid::from_u128(number << 80 | number))
}

/// Which document this is.
pub(crate) fn number_of(document: DocumentId) -> u128 {
    document.0.as_u128() >> 80
}

/// A collection with an active space; its ids follow from a number.
pub(crate) struct Fixture<'s> {
    pub(crate) world: World<'s>,
    pub(crate) stores: &'s Stores,
    pub(crate) me: Scope,
    pub(crate) collection: CollectionId,
    pub(crate) space: SpaceId,
}

impl<'s> Fixture<'s> {
    pub(crate) async fn new(stores: &'s Stores, number: u128) -> Self {
        Self::of(stores, World::new(stores).await, number).await
    }

    pub(crate) async fn of(stores: &'s Stores, world: World<'s>, number: u128) -> Self {
        Self::sized(stores, world, number, DIMENSIONS).await
    }

    pub(crate) async fn sized(stores: &'s Stores, world: World<'s>, number: u128, dimensions: usize) -> Self {
        let id = CollectionId(Uuid::from_u128(number));
        let mut active = space(id, "local/a", SpaceStatus::Active);
        active.id = SpaceId(id.0);
        active.model.dimensions = dimensions as u32;
        let new = Collection { id, space: Some(active), ..collection(&number.to_string()) };
        stores.collections.create(&world.me, &new).await.unwrap();
        Self { stores, me: world.me, world, collection: id, space: SpaceId(id.0) }
    }

    /// Adds these documents anew and takes them for work.
    pub(crate) async fn fences(&self, documents: impl Iterator<Item = u128>) -> Vec<Fence> {
        let mut fences = Vec::new();
        for number in documents {
            let parity = if number % 2 == 0 { "even" } else { "odd" };
            let new = Document {
                id: document_id(number),
                source: Some(number.to_string()),
                metadata: serde_json::Map::from_iter([
                    ("group".to_owned(), (number as u64 % 100).into()),
                    ("number".to_owned(), (number as u64).into()),
                ]),
                ..document(self.collection, parity)
            };
            let (blob, worker) = (new.blob_id, self.world.worker);
            self.stores.documents.begin_upload(&self.me, self.collection, blob, worker).await.unwrap();
            self.stores.documents.add(&self.me, &new, &StorageQuotas::default()).await.unwrap();
        }
        loop {
            let claimed = self
                .stores
                .queue
                .claim_documents(self.world.worker, at(10), Duration::from_secs(1_000_000), 1000)
                .await;
            let claimed = claimed.unwrap();
            if claimed.is_empty() {
                return fences;
            }
            let fence = |one: &aimate_core::knowledge::ClaimedDocument| Fence {
                document: one.document.id,
                attempt: one.attempt,
            };
            fences.extend(claimed.iter().map(fence));
        }
    }

    /// Makes documents findable with these texts.
    pub(crate) async fn publish(&self, content: &BTreeMap<u128, Vec<String>>) {
        let fences = self.fences(content.keys().copied()).await;
        self.publish_fenced(&fences, content).await;
    }

    /// Publishes the work of these fences.
    pub(crate) async fn publish_fenced(&self, fences: &[Fence], content: &BTreeMap<u128, Vec<String>>) {
        let documents: Vec<PublishedDocument> = fences
            .iter()
            .filter_map(|fence| {
                let texts: Vec<&str> =
                    content.get(&number_of(fence.document))?.iter().map(String::as_str).collect();
                Some(PublishedDocument {
                    fence: *fence,
                    title: "title".into(),
                    media_type: "text/plain".into(),
                    warnings: Vec::new(),
                    chunks: chunks(fence.document, &texts),
                })
            })
            .collect();
        let all = documents.iter().flat_map(|document| &document.chunks);
        let vectors = all.map(|new| (new.chunk.id, new.chunk.document_id, vector(&new.chunk.text))).collect();
        let mut publication = Publication {
            collection: self.collection,
            vectors: vec![SpaceVectors { space: self.space, vectors }],
            documents,
            now: at(20),
        };
        loop {
            let collection = self.stores.collections.get(&self.me, self.collection).await.unwrap();
            publication.vectors[0].space = collection.space.unwrap().id;
            match self.stores.ingest.publish(&self.me, &publication).await {
                Ok(published) => break assert_eq!(published.len(), publication.documents.len()),
                // Many at the same moment, or another space is active now.
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}"),
            }
        }
    }
}

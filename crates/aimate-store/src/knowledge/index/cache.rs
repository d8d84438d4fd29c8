//! Parts of the index that are kept in memory.
//!
//! A segment never changes, so neither does a part of it: what is here is right,
//! whatever other processes do. Parts of segments that were replaced are not
//! asked for any more and give way to others.

use std::collections::BTreeSet;
use std::sync::Arc;

use aimate_core::{CollectionId, TenantId};
use aimate_index::SegmentHeader;
use quick_cache::sync::{Cache as Entries, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

/// Pieces of the cache that are locked apart. Few, because an entry has to fit
/// into one.
const SHARDS: usize = 4;
/// Bytes of an entry besides its value, about.
const OVERHEAD: usize = 128;

/// Parts of segments, at most so many bytes of them.
pub(crate) struct Cache {
    entries: Entries<Key, Part, Bytes>,
    /// Held while a part is read, so that two searches do not read the same.
    reading: [Mutex<()>; LOCKS],
    /// Held while segments are replaced, so that those who would replace the
    /// same do not begin anew again and again; other processes still may.
    replacing: [Mutex<()>; LOCKS],
}

/// How many segments or collections are locked apart.
const LOCKS: usize = 16;

/// Which part of which segment.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::knowledge) struct Key {
    pub(in crate::knowledge) tenant: TenantId,
    pub(in crate::knowledge) segment: Uuid,
    pub(in crate::knowledge) name: Name,
}

/// Which part.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::knowledge) enum Name {
    /// Its chunks.
    Header,
    /// The first terms of its blocks.
    Terms,
    /// The block that begins with this term.
    Block(Arc<[u8]>),
    /// The codes in this space.
    Codes(Uuid),
}

/// A part.
#[derive(Clone)]
pub(in crate::knowledge) enum Part {
    Header(Arc<SegmentHeader>),
    Terms(Arc<[Arc<[u8]>]>),
    Bytes(Arc<[u8]>),
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Part> for Bytes {
    fn weight(&self, _: &Key, part: &Part) -> u64 {
        let bytes = match part {
            Part::Header(header) => 24 * header.chunks.len() + 16 * header.documents.len(),
            Part::Terms(terms) => terms.iter().map(|term| term.len() + 32).sum(),
            Part::Bytes(bytes) => bytes.len(),
        };
        (bytes + OVERHEAD) as u64
    }
}

impl Cache {
    /// One of at most `bytes` bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let estimated = bytes / (16 << 10);
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .estimated_items_capacity(estimated)
            .weight_capacity(bytes as u64)
            .build();
        let entries = match options {
            Ok(options) => Entries::with_options(
                options,
                Bytes,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            // Invariant: both capacities are given, which is all it asks for.
            Err(_) => Entries::with_weighter(estimated, bytes as u64, Bytes),
        };
        Self { entries, reading: Default::default(), replacing: Default::default() }
    }

    pub(in crate::knowledge) fn get(&self, key: &Key) -> Option<Part> {
        self.entries.get(key)
    }

    pub(in crate::knowledge) fn insert(&self, key: Key, part: Part) {
        self.entries.insert(key, part);
    }

    /// Waits for others who read parts of this segment.
    pub(in crate::knowledge) async fn reading(&self, segment: Uuid) -> Option<MutexGuard<'_, ()>> {
        Some(self.reading.get(place(segment))?.lock().await)
    }

    /// Waits for others who replace segments of these collections.
    pub(in crate::knowledge) async fn replacing(
        &self,
        collections: impl Iterator<Item = CollectionId>,
    ) -> Vec<MutexGuard<'_, ()>> {
        // In one order, so that two do not wait for each other.
        let places: BTreeSet<usize> = collections.map(|collection| place(collection.0)).collect();
        let mut guards = Vec::with_capacity(places.len());
        for lock in places.into_iter().filter_map(|place| self.replacing.get(place)) {
            guards.push(lock.lock().await);
        }
        guards
    }
}

fn place(id: Uuid) -> usize {
    let [.., last] = id.into_bytes();
    usize::from(last) % LOCKS
}

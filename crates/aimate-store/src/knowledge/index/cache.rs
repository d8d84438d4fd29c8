//! Blocks of the index that are kept in memory.
//!
//! A segment never changes, so what is cached of one is right, whatever other
//! processes do: there is nothing to invalidate. Blocks of segments that were
//! replaced are no longer asked for and give way to others.

use std::collections::BTreeSet;
use std::sync::Arc;

use aimate_core::{CollectionId, TenantId};
use aimate_index::SegmentHeader;
use aimate_index::quantize::CodeBlocks;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

use crate::metrics;

/// Parts of the cache that are locked apart. One, because each has its share of the
/// bytes and blocks are large: of several, one would be full and read anew at each
/// search while others have room.
const SHARDS: usize = 1;
/// Bytes of an entry besides its value, about.
const OVERHEAD: usize = 128;
/// How many locks there are for readers, and for writers. Ids share them, which
/// only makes two wait that need not.
const LOCKS: usize = 16;

/// What searches read of segments, bounded by the bytes it takes.
pub(crate) struct IndexCache {
    entries: Cache<CacheKey, CachedBlock, ByBytes>,
    readers: [Mutex<()>; LOCKS],
    writers: [Mutex<()>; LOCKS],
}

/// Which block of which segment.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey {
    pub(crate) tenant: TenantId,
    pub(crate) segment: Uuid,
    pub(crate) block: BlockKind,
}

/// Which block of a segment.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum BlockKind {
    /// Its chunks.
    Header,
    /// The first terms of its term blocks.
    FirstTerms,
    /// The term block that begins with this term.
    Terms(Arc<[u8]>),
    /// The codes in this space.
    Codes(Uuid),
}

/// A block.
#[derive(Clone)]
pub(crate) enum CachedBlock {
    Header(Arc<SegmentHeader>),
    FirstTerms(Arc<[Arc<[u8]>]>),
    Bytes(Arc<[u8]>),
    Codes(Arc<CodeBlocks>),
}

/// Weighs entries by the memory that they take.
#[derive(Clone)]
struct ByBytes;

impl Weighter<CacheKey, CachedBlock> for ByBytes {
    fn weight(&self, _: &CacheKey, block: &CachedBlock) -> u64 {
        let bytes = match block {
            CachedBlock::Header(header) => 24 * header.chunks.len() + 16 * header.documents.len(),
            CachedBlock::FirstTerms(terms) => terms.iter().map(|term| term.len() + 32).sum(),
            CachedBlock::Bytes(bytes) => bytes.len(),
            CachedBlock::Codes(codes) => codes.size(),
        };
        (bytes + OVERHEAD) as u64
    }
}

impl IndexCache {
    /// An empty cache of at most `bytes` bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let estimated = bytes / (16 << 10);
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .estimated_items_capacity(estimated)
            .weight_capacity(bytes as u64)
            .build();
        let entries = match options {
            Ok(options) => Cache::with_options(
                options,
                ByBytes,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            // Invariant: both capacities are given, which is all it asks for.
            Err(_) => Cache::with_weighter(estimated, bytes as u64, ByBytes),
        };
        Self { entries, readers: Default::default(), writers: Default::default() }
    }

    pub(crate) fn get(&self, key: &CacheKey) -> Option<CachedBlock> {
        let found = self.entries.get(key);
        metrics::looked_up(found.is_some());
        found
    }

    pub(crate) fn insert(&self, key: CacheKey, block: CachedBlock) {
        self.entries.insert(key, block);
    }

    /// Held while blocks of a segment are read from the database, so that searches
    /// that start at the same moment read them once.
    pub(in crate::knowledge) async fn lock_reader(&self, segment: Uuid) -> Option<MutexGuard<'_, ()>> {
        Some(self.readers.get(slot(segment))?.lock().await)
    }

    /// Serializes index writers per collection, to avoid livelock by optimistic
    /// retries: several that rewrite the same segment would each throw away their
    /// work but one, over and over. It is not what keeps the index right: writers
    /// in other processes do not wait, and their transactions fail instead.
    pub(in crate::knowledge) async fn lock_writers(
        &self,
        collections: impl Iterator<Item = CollectionId>,
    ) -> Vec<MutexGuard<'_, ()>> {
        // In one order, and each once, so that two writers cannot deadlock.
        let slots: BTreeSet<usize> = collections.map(|collection| slot(collection.0)).collect();
        let mut guards = Vec::with_capacity(slots.len());
        for lock in slots.into_iter().filter_map(|slot| self.writers.get(slot)) {
            guards.push(lock.lock().await);
        }
        guards
    }
}

/// By the last byte, which is random in ids of every kind.
fn slot(id: Uuid) -> usize {
    let [.., last] = id.into_bytes();
    usize::from(last) % LOCKS
}

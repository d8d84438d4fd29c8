//! Knowledge: collections, documents, and the index in which their chunks are found.
//!
//! Each port stands beside its functions, and what is shared stands in modules of its
//! own. A module uses those above it in this list, never those below:
//!
//! | modules | hold |
//! |---|---|
//! | `contention`, `blocking` | optimistic transactions; work for other threads |
//! | `pg_copy`, `sqlite_batch` | many rows into either database |
//! | `rows`, `ownership`, `loose`, `attributes` | rows as the domain's types; whether something is the user's; bytes that no document has; what documents are filtered by |
//! | `vector`, `index`, `filter` | vectors; segments; documents that pass a filter |
//! | `find` | [`SearchIndex`](aimate_core::knowledge::SearchIndex) |
//! | `collection`, `document`, `space` | [`CollectionStore`](aimate_core::knowledge::CollectionStore), [`DocumentStore`](aimate_core::knowledge::DocumentStore), [`EmbeddingSpaceStore`](aimate_core::knowledge::EmbeddingSpaceStore) |
//! | `attachment` | [`AttachmentStore`](aimate_core::knowledge::AttachmentStore) |
//! | `ingest`, `queue`, `maintenance` | [`IngestStore`](aimate_core::knowledge::IngestStore), [`IngestQueue`](aimate_core::knowledge::IngestQueue), [`MaintenanceStore`](aimate_core::knowledge::MaintenanceStore) |
//! | `blob` | [`BlobStore`](aimate_core::knowledge::BlobStore), on a disk |
//!
//! In a folder, the file beside it uses those in it, and these each other, downward too.

mod attachment;
mod attributes;
mod blob;
mod blocking;
mod collection;
mod contention;
pub(crate) mod document;
mod filter;
mod find;
mod index;
mod ingest;
pub(crate) mod loose;
mod maintenance;
mod ownership;
mod pg_copy;
mod queue;
mod rows;
mod space;
mod sqlite_batch;
mod vector;

pub use blob::DiskBlobs;
pub(crate) use blocking::compute;
pub(crate) use contention::is_stored;
pub(crate) use index::{BlockKind, CacheKey, CachedBlock, IndexCache, packed};

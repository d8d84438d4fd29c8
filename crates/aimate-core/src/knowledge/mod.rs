//! Knowledge: documents go in, cited passages come out.
//!
//! A [`Collection`] holds [`Document`]s; a document is cut into [`Chunk`]s. A
//! chunk is found by its words (BM25) and by its meaning (a vector in the
//! collection's [`EmbeddingSpace`]).

mod attachment;
mod blob;
mod collection;
mod document;
mod embedder;
mod fetch;
mod filter;
mod index;
mod ingest;
mod maintenance;
mod quota;
mod retriever;
mod script;
mod search;
mod space;

pub use attachment::{
    AttachmentCounts, AttachmentFilter, AttachmentStatus, AttachmentStore, Attachments, FileBatch,
    NewAttachment, TokenChunking,
};
pub use blob::{Blob, BlobContent, BlobEntry, BlobStore, ByteStream, StoredBytes};
pub use collection::{
    Chunking, Collection, CollectionChange, CollectionConfig, CollectionStore, DEFAULT_COLLECTION,
    NewCollection,
};
pub use document::{
    Chunk, Document, DocumentError, DocumentErrorCode, DocumentFilter, DocumentMove, DocumentStatus,
    DocumentStore, NewChunk, NewDocument,
};
pub use embedder::{EmbedPurpose, Embedder, EmbeddingModel, Reranker};
pub use fetch::{Fetched, Fetcher};
pub use filter::{Filter, FilterField, FilterSubject};
pub use index::{Passage, RankedChunks, ScoredChunk, SearchIndex, SearchScope};
pub use ingest::{ClaimedDocument, Fence, Finish, IngestQueue, IngestStore, Publication, PublishedDocument};
pub use maintenance::{MaintenanceStore, ReferencedBlob};
pub use quota::{StorageAmount, StorageQuota, StorageQuotas, StorageUse};
pub use retriever::{PassageChunk, Retriever, SourcePassage};
pub use script::{Script, Scripts};
pub use search::{
    HitExplanation, SearchExplanation, SearchHit, SearchMode, SearchRequest, SearchResponse, Timings,
};
pub use space::{EmbeddingSpace, EmbeddingSpaceStore, SpaceStatus, SpaceVectors};

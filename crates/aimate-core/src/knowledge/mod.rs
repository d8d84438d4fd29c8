//! Knowledge: documents go in, cited passages come out.
//!
//! A [`Collection`] holds [`Document`]s; a document is cut into [`Chunk`]s. A
//! chunk is found by its words (BM25) and by its meaning (a vector in the
//! collection's [`EmbeddingSpace`]).

mod collection;
mod document;
mod embedder;
mod fetch;
mod filter;
mod search;
mod store;

pub use collection::{
    Chunking, Collection, CollectionChange, CollectionConfig, DEFAULT_COLLECTION, EmbeddingSpace,
    NewCollection, SpaceStatus,
};
pub use document::{Chunk, Document, DocumentError, DocumentFilter, DocumentStatus, NewChunk, NewDocument};
pub use embedder::{EmbedPurpose, Embedder, EmbeddingModel, Reranker};
pub use fetch::{Fetched, Fetcher};
pub use filter::{Filter, FilterField, FilterSubject};
pub use search::{
    Explanation, Found, Search, SearchExplanation, SearchHit, SearchMode, SearchResult, Timings,
};
pub use store::{
    Blob, BlobStore, ClaimedDocument, Fence, Finish, KnowledgeQueue, KnowledgeStore, Passage, Publication,
    PublishedDocument, RankedChunks, ScoredChunk, SearchScope, SpaceVectors,
};

//! aiMate's search index: what makes texts findable by their words and by their
//! vectors. Pure functions on bytes; no database, no file, no thread, no clock.
//! Where segments are kept, and which of their parts a search reads, is up to the
//! caller (in aiMate, `aimate-store`).
//!
//! ```
//! use std::collections::HashMap;
//!
//! use aimate_index::analysis::{analyze, analyze_query};
//! use aimate_index::bm25::{self, CollectionStatistics, SegmentMatches};
//! use aimate_index::{IndexedChunk, Segment, SegmentHeader};
//! use uuid::Uuid;
//!
//! let texts = ["The boiler is serviced in May.", "The lift was repaired.", "Boilers of 1987"];
//! let chunks: Vec<IndexedChunk> = (1..)
//!     .zip(texts)
//!     .map(|(id, text)| IndexedChunk {
//!         id: Uuid::from_u128(id),
//!         document: Uuid::from_u128(9),
//!         terms: analyze(text),
//!     })
//!     .collect();
//! let segment = Segment::build(&chunks, HashMap::new());
//! let header = SegmentHeader::decode(&segment.header)?;
//!
//! let question = analyze_query("When is the boiler serviced?");
//! let (terms, weights): (Vec<String>, Vec<u32>) = question.counts.into_iter().unzip();
//! let postings = terms.iter().map(|term| segment.postings(term)).collect::<Result<_, _>>()?;
//! let matches = SegmentMatches { chunk_count: header.chunk_count(), postings, allowed: None };
//! let statistics = CollectionStatistics { chunks: 3, total_length: header.total_length };
//! let id = |at: aimate_index::DocAddress| header.chunks[at.doc as usize];
//! let best = bm25::top_k(&weights, statistics, &[matches], 10, id)?;
//!
//! let found: Vec<Uuid> = best.into_iter().map(|(_, at)| id(at)).collect();
//! assert_eq!(found, [1, 3].map(Uuid::from_u128));
//! # Ok::<(), aimate_index::DataCorruption>(())
//! ```
//!
//! # Words
//! What a search engine calls a *doc*, the unit that is indexed and found, is a
//! *chunk* here: a passage of a *document*, which is what is added, filtered and
//! deleted. [`DocId`], [`DocAddress`] and [`DocIdSet`] are named as in Lucene and
//! tantivy and are about chunks.
//!
//! # Modules
//! [`analysis`] makes terms of text. [`segment`] keeps them with the chunks they
//! occur in, and says how segments are built, merged and shrunk; [`merge_policy`]
//! says which are merged. [`bm25`] ranks by terms, [`quantize`] and [`half_vector`]
//! by vectors, and [`TopK`] keeps the best of either.
//!
//! The stored bytes are the same on every platform, and results do not depend on
//! how chunks are spread over segments.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod analysis;
pub mod bm25;
pub mod half_vector;
pub mod merge_policy;
pub mod quantize;
pub mod segment;

mod doc_id_set;
mod error;
#[cfg(test)]
mod testing;
mod top_k;
mod varint;

pub use doc_id_set::DocIdSet;
pub use error::{DataCorruption, Result};
pub use segment::{IndexedChunk, Segment, SegmentHeader};
pub use top_k::{DocAddress, DocId, TopK};

//! The index: segments in the database, how they are read, and how they are
//! replaced. What is in a segment is [`aimate_index`]'s.
//!
//! A segment never changes. Whoever changes a collection's index reads segments
//! ([`load`]), makes new ones of them without holding anything up, and then puts
//! these in their place in one short transaction ([`change`]), which is stored only
//! if all of the old ones are still there. Searches read blocks of segments through
//! the [`cache`] ([`segment_reader`]). All statements that read or replace segments
//! are here; `space` has those that give them codes in another space.

mod cache;
mod change;
mod changed;
mod load;
mod merge;
mod segment_reader;

pub(crate) use cache::{BlockKind, CacheKey, CachedBlock, IndexCache};
pub(crate) use change::packed;
pub(super) use change::{IndexChange, Leaving, NewSegment};
pub(super) use load::{active_space, chunks};
pub(super) use merge::merge;
pub(super) use segment_reader::{
    FirstTerms, ListedSegment, TermBlockId, codes, first_terms, headers, list, list_of_spaces, term_blocks,
};

//! A part of a collection's index: the terms of some of its chunks.
//!
//! Segments never change. Each batch of new chunks makes one, small ones are
//! [merged](merge()), and deleting writes one [anew](without). A segment is a
//! header, which says which chunks it is about, and blocks of consecutive
//! terms, so that looking a term up reads one block. Both databases keep the
//! same bytes.

mod block;
mod bytes;
mod header;

use std::collections::{HashMap, HashSet};

use aimate_core::{Error, ErrorKind, Result};
use aimate_text::terms::Terms;
use uuid::Uuid;

pub(super) use block::{Posting, Postings, cut, find};
pub(super) use header::Header;

use block::{List, Reader, Writer};

/// A chunk that is to be found by its terms.
pub(super) struct SegmentChunk {
    pub(super) chunk: Uuid,
    pub(super) document: Uuid,
    pub(super) terms: Terms,
}

/// A segment as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) header: Vec<u8>,
    /// The first term of each block, and the block; in the order of the terms.
    pub(super) blocks: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Makes a segment in which the chunks are numbered in the order given.
pub(super) fn build(chunks: &[SegmentChunk]) -> Segment {
    let mut header = Header::default();
    let mut lists: HashMap<&str, List> = HashMap::new();
    for chunk in chunks {
        let length = chunk.terms.length;
        let ordinal = header.push(chunk.chunk, chunk.document, length);
        for (term, frequency) in &chunk.terms.counts {
            lists.entry(term).or_default().push(Posting { ordinal, frequency: *frequency, length });
        }
    }
    let mut lists: Vec<(&str, List)> = lists.into_iter().collect();
    lists.sort_unstable_by_key(|(term, _)| *term);
    let mut writer = Writer::default();
    for (term, list) in &lists {
        writer.push(term.as_bytes(), list);
    }
    Segment { header: header.encode(), blocks: writer.finish() }
}

/// One segment out of several: their chunks in this order, numbered on.
///
/// # Errors
/// If a segment's bytes are damaged, as for all that reads one.
pub(super) fn merge(segments: &[Segment]) -> Result<Segment> {
    let mut merged = Header::default();
    let mut renumbered = Vec::with_capacity(segments.len());
    for segment in segments {
        let header = Header::decode(&segment.header)?;
        let first = u32::try_from(merged.chunks.len()).map_err(|_| damaged("it has too many chunks"))?;
        let count = u32::try_from(header.chunks.len()).unwrap_or(u32::MAX);
        merged.extend(&header, |_| true);
        renumbered.push((first..first.saturating_add(count)).map(Some).collect());
    }
    Ok(Segment { header: merged.encode(), blocks: rewrite(segments, &renumbered)? })
}

/// The segment without the chunks of `documents`, the rest numbered anew;
/// `None` if nothing is left.
pub(super) fn without(segment: &Segment, documents: &HashSet<Uuid>) -> Result<Option<Segment>> {
    let header = Header::decode(&segment.header)?;
    let mut left = Header::default();
    let renumbered = left.extend(&header, |document| !documents.contains(&document));
    if left.chunks.is_empty() {
        return Ok(None);
    }
    let blocks = rewrite(std::slice::from_ref(segment), &[renumbered])?;
    Ok(Some(Segment { header: left.encode(), blocks }))
}

/// The chunks of the segment with this header, in their order.
pub(super) fn chunks(header: &[u8]) -> Result<Vec<Uuid>> {
    Ok(Header::decode(header)?.chunks)
}

/// Brings the terms of segments together. `renumbered` has the new number of
/// each chunk of each segment, if it stays; they grow throughout.
fn rewrite(segments: &[Segment], renumbered: &[Vec<Option<u32>>]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut readers: Vec<Reader<'_>> = segments.iter().map(Reader::new).collect();
    for reader in &mut readers {
        reader.advance()?;
    }
    let mut writer = Writer::default();
    loop {
        let Some(term) = readers.iter().filter_map(Reader::term).min().map(<[u8]>::to_vec) else {
            return Ok(writer.finish());
        };
        let mut list = List::default();
        for (reader, renumbered) in readers.iter_mut().zip(renumbered) {
            if reader.term() != Some(&term) {
                continue;
            }
            let count = u32::try_from(renumbered.len()).unwrap_or(u32::MAX);
            reader.postings().each(count, |posting| {
                if let Some(Some(ordinal)) = renumbered.get(posting.ordinal as usize) {
                    list.push(Posting { ordinal: *ordinal, ..posting });
                }
            })?;
            reader.advance()?;
        }
        writer.push(&term, &list);
    }
}

pub(super) fn damaged(what: &'static str) -> Error {
    Error::new(ErrorKind::Internal, format!("a part of the search index is damaged: {what}"))
}

#[cfg(test)]
pub(in crate::knowledge) mod tests;

//! Segments: immutable parts of an index.
//!
//! A segment holds some documents whole: the chunks of each, the postings of
//! their terms, and for each embedding space the codes of their vectors. Each
//! batch of new documents makes one, small ones are [merged](Segment::merge) into
//! larger ones, and deleting writes one [anew](Segment::without). Because a
//! segment never changes, what a process has cached of one stays right whatever
//! other processes do, and a reader needs no lock.
//!
//! # Layout
//! A segment is kept in parts, so that a search reads only those it needs:
//!
//! | part | holds | read by |
//! |---|---|---|
//! | [header](SegmentHeader) | the id, document and length of each chunk | filters, results |
//! | [term blocks](TermBlock) | about 16 KiB of consecutive terms with their postings | a search by words: one block a term |
//! | behind them, more such blocks | [attributes] with the documents that have them | a filter: the blocks of its values |
//! | codes | 2 bits a dimension for each chunk | a search by vector |

pub mod attributes;
mod block;
mod header;
mod postings;

use std::collections::{BTreeMap, HashMap, HashSet};

use uuid::Uuid;

use crate::analysis::Terms;
use crate::{DataCorruption, Result};

pub use block::{TermBlock, each_beginning, extract_term, find_postings};
pub use header::SegmentHeader;
pub(crate) use postings::PostingBatch;
pub use postings::{Posting, Postings};

use attributes::Attributes;
use block::{BlockWriter, MARK, TermReader};
use postings::PostingsWriter;

/// A chunk on its way into a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedChunk {
    /// The chunk's id: what a search finds.
    pub id: Uuid,
    /// The document that the chunk was cut from: what is filtered and deleted.
    pub document: Uuid,
    /// What the chunk is found by.
    pub terms: Terms,
}

/// A segment as it is stored. All parts are opaque bytes; both databases keep the
/// same ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// An encoded [`SegmentHeader`].
    pub header: Vec<u8>,
    /// The terms with their postings, in the byte order of the terms, and then the
    /// attributes.
    pub blocks: Vec<TermBlock>,
    /// By embedding space, the [codes](crate::quantize) of all chunks, one after
    /// the other in the order of the chunks.
    pub codes: HashMap<Uuid, Vec<u8>>,
}

impl Segment {
    /// Builds a segment in which the chunks are numbered in the order given.
    /// `codes` has the codes of all chunks in that order, by embedding space.
    pub fn build(chunks: &[IndexedChunk], codes: HashMap<Uuid, Vec<u8>>) -> Self {
        let mut header = SegmentHeader::default();
        let mut postings: HashMap<&str, PostingsWriter> = HashMap::new();
        for chunk in chunks {
            let length = chunk.terms.length;
            let doc = header.push(chunk.id, chunk.document, length);
            for (term, frequency) in &chunk.terms.counts {
                postings.entry(term).or_default().push(Posting { doc, frequency: *frequency, length });
            }
        }
        let mut postings: Vec<(&str, PostingsWriter)> = postings.into_iter().collect();
        postings.sort_unstable_by_key(|(term, _)| *term);
        let mut writer = BlockWriter::default();
        for (term, postings) in &postings {
            writer.push(term.as_bytes(), postings);
        }
        Self { header: header.encode(), blocks: writer.finish(), codes }
    }

    /// Merges segments into one: their chunks in this order, numbered on. It has
    /// codes in the spaces in which all of them have codes; in any other space the
    /// codes would no longer stand at their chunk's place.
    ///
    /// # Errors
    /// If bytes of a segment are damaged.
    pub fn merge(segments: &[Self]) -> Result<Self> {
        let mut merged = SegmentHeader::default();
        let mut new_docs = Vec::with_capacity(segments.len());
        let mut headers = Vec::with_capacity(segments.len());
        for segment in segments {
            let header = SegmentHeader::decode(&segment.header)?;
            let too_many = |_| DataCorruption::new("it has too many chunks");
            let first = u32::try_from(merged.chunks.len()).map_err(too_many)?;
            merged.extend(&header, |_| true);
            new_docs.push((first..first.saturating_add(header.chunk_count())).map(Some).collect());
            headers.push(header);
        }
        let new_documents: Vec<_> = headers.iter().map(|header| merged.renumbered(header)).collect();
        Ok(Self {
            header: merged.encode(),
            blocks: rewrite_terms(segments, &new_docs, &new_documents)?,
            codes: concatenate_codes(segments),
        })
    }

    /// The segment without the chunks of `documents`, the rest numbered anew;
    /// `None` if nothing is left.
    ///
    /// # Errors
    /// If bytes of the segment are damaged.
    pub fn without(&self, documents: &HashSet<Uuid>) -> Result<Option<Self>> {
        let header = SegmentHeader::decode(&self.header)?;
        let mut left = SegmentHeader::default();
        let new_docs = left.extend(&header, |document| !documents.contains(&document));
        if left.chunks.is_empty() {
            return Ok(None);
        }
        let codes = self.codes.iter().map(|(space, codes)| Ok((*space, retain_codes(codes, &new_docs)?)));
        let codes = codes.collect::<Result<_>>()?;
        let blocks = rewrite_terms(std::slice::from_ref(self), &[new_docs], &[left.renumbered(&header)])?;
        Ok(Some(Self { header: left.encode(), blocks, codes }))
    }

    /// The segment in which these of its documents have these attributes and no others.
    /// Of documents that it does not have, nothing is kept.
    ///
    /// # Errors
    /// If bytes of the segment are damaged.
    pub fn with_attributes(mut self, documents: &HashMap<Uuid, Attributes>) -> Result<Self> {
        let header = SegmentHeader::decode(&self.header)?;
        // In the order of the keys: no beginning is that of another.
        let mut added: BTreeMap<(&[u8], &[u8]), Vec<u32>> = BTreeMap::new();
        let mut stay: Vec<Option<u32>> = Vec::with_capacity(header.documents.len());
        for (number, id) in (0..).zip(&header.documents) {
            let new = documents.get(id);
            stay.push(new.is_none().then_some(number));
            for key in new.into_iter().flat_map(Attributes::keys) {
                added.entry(key).or_default().push(number);
            }
        }
        let words = self.blocks.partition_point(|block| block.first_term.first() != Some(&MARK));
        let old = self.blocks.split_off(words);
        let mut reader = TermReader::new(&old);
        reader.advance()?;
        let whole =
            |((beginning, ending), numbers): ((&[u8], &[u8]), _)| ([beginning, ending].concat(), numbers);
        let mut added = added.into_iter().map(whole).peekable();
        let mut writer = BlockWriter::default();
        loop {
            let key = match (reader.term(), added.peek()) {
                (Some(old), Some((new, _))) => old.min(new).to_vec(),
                (Some(old), None) => old.to_vec(),
                (None, Some((new, _))) => new.clone(),
                (None, None) => break,
            };
            let mut numbers =
                added.next_if(|(new, _)| *new == key).map(|(_, numbers)| numbers).unwrap_or_default();
            if reader.term() == Some(&key) {
                let count = header.document_count();
                attributes::DocumentNumbers(reader.postings()).for_each(count, |number| {
                    numbers.extend(stay.get(number as usize).copied().flatten());
                })?;
                reader.advance()?;
            }
            numbers.sort_unstable();
            numbers.dedup();
            writer.push(&key, &attributes::encode(&numbers));
        }
        self.blocks.extend(writer.finish());
        Ok(self)
    }

    /// The postings of `term`, if it occurs. Whoever keeps blocks apart looks for
    /// the block first: it is the last one whose first term is not greater.
    ///
    /// # Errors
    /// If the block is damaged.
    pub fn postings(&self, term: &str) -> Result<Option<Postings<'_>>> {
        let after = self.blocks.partition_point(|block| block.first_term.as_slice() <= term.as_bytes());
        match after.checked_sub(1).and_then(|index| self.blocks.get(index)) {
            Some(block) => find_postings(&block.bytes, term),
            None => Ok(None),
        }
    }
}

/// Brings the terms of segments together. `new_docs` has the new number of each
/// chunk of each segment, if it stays; the numbers grow throughout, so that the
/// postings of a term can be appended segment by segment. `new_documents` has those of
/// the documents.
fn rewrite_terms(
    segments: &[Segment],
    new_docs: &[Vec<Option<u32>>],
    new_documents: &[Vec<Option<u32>>],
) -> Result<Vec<TermBlock>> {
    let mut readers: Vec<TermReader<'_>> = segments.iter().map(|one| TermReader::new(&one.blocks)).collect();
    for reader in &mut readers {
        reader.advance()?;
    }
    let mut writer = BlockWriter::default();
    loop {
        let Some(term) = readers.iter().filter_map(TermReader::term).min().map(<[u8]>::to_vec) else {
            return Ok(writer.finish());
        };
        if term.first() == Some(&MARK) {
            let having = || readers.iter().zip(new_documents).filter(|(one, _)| one.term() == Some(&term));
            let parts = having().map(|(reader, new)| (reader.postings(), new.as_slice()));
            writer.push(&term, &attributes::merge(parts)?);
            for reader in readers.iter_mut().filter(|reader| reader.term() == Some(&term)) {
                reader.advance()?;
            }
            continue;
        }
        let mut merged = PostingsWriter::default();
        for (reader, new_docs) in readers.iter_mut().zip(new_docs) {
            if reader.term() != Some(&term) {
                continue;
            }
            let count = u32::try_from(new_docs.len()).unwrap_or(u32::MAX);
            reader.postings().for_each(count, |posting| {
                if let Some(Some(doc)) = new_docs.get(posting.doc as usize) {
                    merged.push(Posting { doc: *doc, ..posting });
                }
            })?;
            reader.advance()?;
        }
        writer.push(&term, &merged);
    }
}

fn concatenate_codes(segments: &[Segment]) -> HashMap<Uuid, Vec<u8>> {
    let Some(first) = segments.first() else { return HashMap::new() };
    let in_all = |space: &Uuid| {
        let codes = segments.iter().map(|segment| segment.codes.get(space).map(Vec::as_slice));
        Some((*space, codes.collect::<Option<Vec<&[u8]>>>()?.concat()))
    };
    first.codes.keys().filter_map(in_all).collect()
}

fn retain_codes(codes: &[u8], new_docs: &[Option<u32>]) -> Result<Vec<u8>> {
    if !codes.len().is_multiple_of(new_docs.len()) {
        return Err(DataCorruption::new("it has not one code for each chunk"));
    }
    let length = (codes.len() / new_docs.len().max(1)).max(1);
    let kept = codes.chunks_exact(length).zip(new_docs).filter(|(_, new)| new.is_some());
    Ok(kept.flat_map(|(code, _)| code).copied().collect())
}

#[cfg(test)]
mod attribute_tests;
#[cfg(test)]
mod tests;

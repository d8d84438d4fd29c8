//! Which chunks a segment holds.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{DataCorruption, DocIdSet, Result, varint};

/// The layout of headers and term blocks.
const FORMAT: u8 = 1;

/// The chunks of a segment: the tables here are indexed by
/// [`DocId`](crate::DocId) and have the same length.
#[derive(Clone, Debug, Default)]
pub struct SegmentHeader {
    /// The sum of `lengths`.
    pub total_length: u64,
    /// Each document once, in the order of their first chunks.
    pub documents: Vec<Uuid>,
    /// The id of each chunk.
    pub chunks: Vec<Uuid>,
    /// The document of each chunk, as an index into `documents`.
    pub document_of: Vec<u32>,
    /// The number of terms of each chunk.
    pub lengths: Vec<u32>,
    /// The index of each document that was pushed.
    numbers: HashMap<Uuid, u32>,
}

impl SegmentHeader {
    /// How many chunks the segment has.
    pub fn chunk_count(&self) -> u32 {
        saturate(self.chunks.len())
    }

    /// How many documents the segment has.
    pub fn document_count(&self) -> u32 {
        saturate(self.documents.len())
    }

    /// The chunks of the documents whose numbers, their places in `documents`, are in the set.
    pub fn docs_in(&self, documents: &DocIdSet) -> DocIdSet {
        DocIdSet::filled(self.chunk_count(), |doc| {
            self.document_of.get(doc as usize).is_some_and(|number| documents.contains(*number))
        })
    }

    /// The number of each document of `old` in this one, which it was extended by; `None` if
    /// it is not in it.
    pub(super) fn renumbered(&self, old: &Self) -> Vec<Option<u32>> {
        old.documents.iter().map(|document| self.numbers.get(document).copied()).collect()
    }

    /// The chunks of those documents for which `is_in` holds.
    pub fn docs_of(&self, is_in: impl Fn(Uuid) -> bool) -> DocIdSet {
        let documents: Vec<bool> = self.documents.iter().map(|document| is_in(*document)).collect();
        let mut docs = DocIdSet::empty(self.chunk_count());
        for (doc, document) in (0..).zip(&self.document_of) {
            if documents.get(*document as usize) == Some(&true) {
                docs.insert(doc);
            }
        }
        docs
    }

    /// Appends a chunk; returns its number.
    pub(super) fn push(&mut self, chunk: Uuid, document: Uuid, length: u32) -> u32 {
        let next = saturate(self.documents.len());
        let number = *self.numbers.entry(document).or_insert(next);
        if number == next {
            self.documents.push(document);
        }
        self.chunks.push(chunk);
        self.document_of.push(number);
        self.lengths.push(length);
        self.total_length = self.total_length.saturating_add(u64::from(length));
        saturate(self.chunks.len() - 1)
    }

    /// Appends the chunks of `other` whose document is to `stay`; returns the new
    /// number of each.
    pub(super) fn extend(&mut self, other: &Self, stay: impl Fn(Uuid) -> bool) -> Vec<Option<u32>> {
        let rows = other.chunks.iter().zip(&other.document_of).zip(&other.lengths);
        let renumber = |((chunk, document), length): ((&Uuid, &u32), &u32)| {
            let document = *other.documents.get(*document as usize)?;
            stay(document).then(|| self.push(*chunk, document, *length))
        };
        rows.map(renumber).collect()
    }

    /// The header as it is stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(20 * self.chunks.len() + 16 * self.documents.len() + 16);
        bytes.push(FORMAT);
        varint::write(&mut bytes, self.chunks.len() as u64);
        varint::write(&mut bytes, self.total_length);
        varint::write(&mut bytes, self.documents.len() as u64);
        for id in self.documents.iter().chain(&self.chunks) {
            bytes.extend_from_slice(id.as_bytes());
        }
        for number in self.document_of.iter().chain(&self.lengths) {
            varint::write(&mut bytes, u64::from(*number));
        }
        bytes
    }

    /// The header out of what [`encode`](Self::encode) made.
    ///
    /// # Errors
    /// If the bytes are not a whole header of this format.
    pub fn decode(mut bytes: &[u8]) -> Result<Self> {
        let bytes = &mut bytes;
        if varint::read_bytes(bytes, 1)? != [FORMAT] {
            return Err(DataCorruption::new("its format is not one of this version"));
        }
        let count = varint::read_u32(bytes)?;
        let total_length = varint::read_u64(bytes)?;
        let document_count = varint::read_u32(bytes)?;
        let documents = read_ids(bytes, document_count)?;
        let chunks = read_ids(bytes, count)?;
        let document_of = read_numbers(bytes, count)?;
        let lengths = read_numbers(bytes, count)?;
        if !bytes.is_empty() || document_of.iter().any(|document| *document >= document_count) {
            return Err(DataCorruption::new("its header does not add up"));
        }
        if lengths.iter().map(|length| u64::from(*length)).sum::<u64>() != total_length {
            return Err(DataCorruption::new("the lengths in its header do not add up"));
        }
        Ok(Self { total_length, documents, chunks, document_of, lengths, numbers: HashMap::new() })
    }
}

fn read_ids(bytes: &mut &[u8], count: u32) -> Result<Vec<Uuid>> {
    let (ids, _) = varint::read_bytes(bytes, u64::from(count) * 16)?.as_chunks::<16>();
    Ok(ids.iter().copied().map(Uuid::from_bytes).collect())
}

fn read_numbers(bytes: &mut &[u8], count: u32) -> Result<Vec<u32>> {
    // Each number has a byte at least, so damaged bytes cannot ask for more memory
    // than about four times their own size.
    if count as usize > bytes.len() {
        return Err(DataCorruption::new("it ends too soon"));
    }
    (0..count).map(|_| varint::read_u32(bytes)).collect()
}

fn saturate(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

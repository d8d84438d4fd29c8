//! Which chunks a segment is about.

use std::collections::HashMap;

use aimate_core::Result;
use uuid::Uuid;

use super::bytes::{put, take, take_bytes, take_u32};
use super::damaged;

/// The layout of headers and blocks.
const FORMAT: u8 = 1;

/// The chunks of a segment by their number.
#[derive(Clone, Debug, Default)]
pub(in crate::knowledge) struct Header {
    /// Terms of all chunks together.
    pub(in crate::knowledge) total_length: u64,
    /// Each document once.
    pub(in crate::knowledge) documents: Vec<Uuid>,
    pub(in crate::knowledge) chunks: Vec<Uuid>,
    /// The document of each chunk, as an index into `documents`.
    pub(in crate::knowledge) document_of: Vec<u32>,
    /// The terms of each chunk.
    pub(in crate::knowledge) lengths: Vec<u32>,
    /// The index of each document that was pushed.
    numbers: HashMap<Uuid, u32>,
}

impl Header {
    /// Appends a chunk; its number.
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

    /// Appends the chunks of `other` whose document is to `stay`; the new number
    /// of each.
    pub(super) fn extend(&mut self, other: &Self, stay: impl Fn(Uuid) -> bool) -> Vec<Option<u32>> {
        let rows = other.chunks.iter().zip(&other.document_of).zip(&other.lengths);
        let renumber = |((chunk, document), length): ((&Uuid, &u32), &u32)| {
            let document = *other.documents.get(*document as usize)?;
            stay(document).then(|| self.push(*chunk, document, *length))
        };
        rows.map(renumber).collect()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(20 * self.chunks.len() + 16 * self.documents.len() + 16);
        bytes.push(FORMAT);
        put(&mut bytes, self.chunks.len() as u64);
        put(&mut bytes, self.total_length);
        put(&mut bytes, self.documents.len() as u64);
        for id in self.documents.iter().chain(&self.chunks) {
            bytes.extend_from_slice(id.as_bytes());
        }
        for number in self.document_of.iter().chain(&self.lengths) {
            put(&mut bytes, u64::from(*number));
        }
        bytes
    }

    /// # Errors
    /// If the bytes are not a header of this format.
    pub(in crate::knowledge) fn decode(mut bytes: &[u8]) -> Result<Self> {
        let bytes = &mut bytes;
        if take_bytes(bytes, 1)? != [FORMAT] {
            return Err(damaged("its format is not one of this version"));
        }
        let count = take_u32(bytes)?;
        let total_length = take(bytes)?;
        let document_count = take_u32(bytes)?;
        let documents = ids(bytes, document_count)?;
        let chunks = ids(bytes, count)?;
        let document_of = numbers(bytes, count)?;
        let lengths = numbers(bytes, count)?;
        if !bytes.is_empty() || document_of.iter().any(|document| *document >= document_count) {
            return Err(damaged("its header does not add up"));
        }
        if lengths.iter().map(|length| u64::from(*length)).sum::<u64>() != total_length {
            return Err(damaged("the lengths in its header do not add up"));
        }
        Ok(Self { total_length, documents, chunks, document_of, lengths, numbers: HashMap::new() })
    }
}

fn ids(bytes: &mut &[u8], count: u32) -> Result<Vec<Uuid>> {
    let (ids, _) = take_bytes(bytes, u64::from(count) * 16)?.as_chunks::<16>();
    Ok(ids.iter().copied().map(Uuid::from_bytes).collect())
}

fn numbers(bytes: &mut &[u8], count: u32) -> Result<Vec<u32>> {
    // Each is a byte at least: what is damaged asks for no more memory than it has.
    if count as usize > bytes.len() {
        return Err(damaged("it ends too soon"));
    }
    (0..count).map(|_| take_u32(bytes)).collect()
}

fn saturate(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

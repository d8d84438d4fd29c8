//! Terms with the chunks they occur in.
//!
//! A block is a list of entries: how many bytes the term shares with the one
//! before, how many follow, these; then the length of the postings, how many
//! they are, and each: how far the chunk's number is from the one before, times
//! two, plus one if the term occurs more than once; how often beyond that; the
//! chunk's length, which is here so that scoring needs no header.

use std::cmp::Ordering;

use aimate_core::Result;

use super::bytes::{put, take, take_bytes, take_u32};
use super::{Segment, damaged};

/// Bytes after which a block is full. A lookup reads a whole block.
const FULL: usize = 16 * 1024;

/// The longest term that is read, far beyond the longest that is written.
const MAX_TERM: usize = 1_024;

/// A term in one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::knowledge) struct Posting {
    /// The chunk's number in the segment.
    pub(in crate::knowledge) ordinal: u32,
    /// How often the term occurs in it.
    pub(in crate::knowledge) frequency: u32,
    /// The terms of the chunk.
    pub(in crate::knowledge) length: u32,
}

/// The postings of a term that is being written.
#[derive(Default)]
pub(super) struct List {
    count: u32,
    /// One more than the last number.
    next: u32,
    bytes: Vec<u8>,
}

impl List {
    /// Appends a posting; numbers grow.
    pub(super) fn push(&mut self, posting: Posting) {
        let delta = u64::from(posting.ordinal.saturating_sub(self.next));
        let several = posting.frequency > 1;
        put(&mut self.bytes, delta << 1 | u64::from(several));
        if several {
            put(&mut self.bytes, u64::from(posting.frequency - 2));
        }
        put(&mut self.bytes, u64::from(posting.length));
        self.next = posting.ordinal.saturating_add(1);
        self.count += 1;
    }
}

/// Writes terms into blocks.
#[derive(Default)]
pub(super) struct Writer {
    blocks: Vec<(Vec<u8>, Vec<u8>)>,
    first: Vec<u8>,
    last: Vec<u8>,
    block: Vec<u8>,
}

impl Writer {
    /// Appends a term, if it occurs; terms grow.
    pub(super) fn push(&mut self, term: &[u8], list: &List) {
        if list.count == 0 {
            return;
        }
        // A frequent term has a block of its own: none of its neighbours wants
        // to read it.
        if !self.block.is_empty() && self.block.len() + list.bytes.len() > FULL {
            self.close();
        }
        if self.block.is_empty() {
            self.first = term.to_vec();
            self.last.clear();
        }
        let shared = self.last.iter().zip(term).take_while(|(one, other)| one == other).count();
        let rest = term.get(shared..).unwrap_or_default();
        put(&mut self.block, shared as u64);
        put(&mut self.block, rest.len() as u64);
        self.block.extend_from_slice(rest);
        put(&mut self.block, list.bytes.len() as u64);
        put(&mut self.block, u64::from(list.count));
        self.block.extend_from_slice(&list.bytes);
        self.last.truncate(shared);
        self.last.extend_from_slice(rest);
    }

    fn close(&mut self) {
        self.blocks.push((std::mem::take(&mut self.first), std::mem::take(&mut self.block)));
    }

    pub(super) fn finish(mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        if !self.block.is_empty() {
            self.close();
        }
        self.blocks
    }
}

/// The postings of a term in a segment, not yet decoded.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::knowledge) struct Postings<'b> {
    count: u32,
    bytes: &'b [u8],
}

impl<'b> Postings<'b> {
    /// In how many chunks the term occurs.
    pub(in crate::knowledge) fn count(&self) -> u32 {
        self.count
    }

    /// Calls `each` with the postings in the order of the chunks, of which the
    /// segment has `chunks`.
    pub(in crate::knowledge) fn each(&self, chunks: u32, mut each: impl FnMut(Posting)) -> Result<()> {
        let bytes = &mut { self.bytes };
        let mut next = 0_u64;
        for _ in 0..self.count {
            let head = take(bytes)?;
            let frequency = if head & 1 == 0 { 1 } else { take_u32(bytes)?.saturating_add(2) };
            let length = take_u32(bytes)?;
            let ordinal = next.saturating_add(head >> 1);
            match u32::try_from(ordinal) {
                Ok(ordinal) if ordinal < chunks => each(Posting { ordinal, frequency, length }),
                _ => return Err(damaged("a term occurs in a chunk that is not there")),
            }
            next = ordinal + 1;
        }
        if bytes.is_empty() { Ok(()) } else { Err(damaged("a term has more chunks than it says")) }
    }

    /// Takes an entry off the front of a block, and makes `term` its term.
    fn take(block: &mut &'b [u8], term: &mut Vec<u8>) -> Result<Self> {
        let shared = take_u32(block)? as usize;
        let rest = take(block)?;
        let rest = take_bytes(block, rest)?;
        if shared > term.len() || shared + rest.len() > MAX_TERM {
            return Err(damaged("a term is too long"));
        }
        if term.get(shared..) >= Some(rest) && !term.is_empty() {
            return Err(damaged("its terms are not in order"));
        }
        term.truncate(shared);
        term.extend_from_slice(rest);
        let length = take(block)?;
        let count = take_u32(block)?;
        Ok(Self { count, bytes: take_bytes(block, length)? })
    }
}

/// The postings of `term` in the block that would have it: the last one whose
/// first term is not greater.
pub(in crate::knowledge) fn find<'b>(mut block: &'b [u8], term: &str) -> Result<Option<Postings<'b>>> {
    let mut at = Vec::new();
    while !block.is_empty() {
        let postings = Postings::take(&mut block, &mut at)?;
        match at.as_slice().cmp(term.as_bytes()) {
            Ordering::Less => {}
            Ordering::Equal => return Ok(Some(postings)),
            Ordering::Greater => return Ok(None),
        }
    }
    Ok(None)
}

/// The entry of `term` as a block of its own: a long question would have to
/// hold many blocks for one term of each.
pub(in crate::knowledge) fn cut(block: &[u8], term: &str) -> Result<Option<Vec<u8>>> {
    let Some(postings) = find(block, term)? else { return Ok(None) };
    let mut entry = Vec::with_capacity(postings.bytes.len() + term.len() + 16);
    put(&mut entry, 0);
    put(&mut entry, term.len() as u64);
    entry.extend_from_slice(term.as_bytes());
    put(&mut entry, postings.bytes.len() as u64);
    put(&mut entry, u64::from(postings.count));
    entry.extend_from_slice(postings.bytes);
    Ok(Some(entry))
}

/// Reads all terms of a segment in order.
pub(super) struct Reader<'s> {
    blocks: std::slice::Iter<'s, (Vec<u8>, Vec<u8>)>,
    block: &'s [u8],
    term: Vec<u8>,
    postings: Option<Postings<'s>>,
}

impl<'s> Reader<'s> {
    /// One that is before the first term.
    pub(super) fn new(segment: &'s Segment) -> Self {
        Self { blocks: segment.blocks.iter(), block: &[], term: Vec::new(), postings: None }
    }

    /// Goes to the next term, or behind the last.
    pub(super) fn advance(&mut self) -> Result<()> {
        if self.block.is_empty() {
            let Some((first, block)) = self.blocks.next() else {
                self.postings = None;
                return Ok(());
            };
            if *first <= self.term && self.postings.is_some() {
                return Err(damaged("its blocks are not in order"));
            }
            self.block = block;
            self.term.clear();
            let postings = Postings::take(&mut self.block, &mut self.term)?;
            if self.term != *first {
                return Err(damaged("a block does not start with its first term"));
            }
            self.postings = Some(postings);
        } else {
            self.postings = Some(Postings::take(&mut self.block, &mut self.term)?);
        }
        Ok(())
    }

    /// The term it is at.
    pub(super) fn term(&self) -> Option<&[u8]> {
        self.postings.is_some().then_some(self.term.as_slice())
    }

    /// The postings of this term.
    pub(super) fn postings(&self) -> Postings<'s> {
        self.postings.unwrap_or_default()
    }
}

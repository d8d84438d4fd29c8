//! Blocks of consecutive terms with their postings.
//!
//! A block is a list of entries, one for each term: how many bytes the term
//! shares with the one before, how many follow, those bytes; then how many bytes
//! the postings have, how many they are, and the [postings](super::postings).
//! All numbers are variable-length integers.

use std::cmp::Ordering;

use super::postings::{Postings, PostingsWriter};
use crate::{DataCorruption, Result, varint};

/// Bytes after which a block is full. A lookup reads a whole block: larger ones
/// cost reading, smaller ones more rows and more first terms to keep in memory.
const FULL: usize = 16 * 1024;

/// The longest term that is read, far beyond the longest that is written. It
/// bounds what a damaged block can make a reader allocate.
const MAX_TERM: usize = 1_024;

/// What the keys of attributes begin with: no byte of UTF-8, so they are behind all words.
pub(super) const MARK: u8 = 0xFF;

/// Consecutive terms of a segment with their postings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TermBlock {
    /// The first term, by which the block is found.
    pub first_term: Vec<u8>,
    /// All of its terms, the first one included.
    pub bytes: Vec<u8>,
}

impl TermBlock {
    /// The block that has these bytes.
    ///
    /// # Errors
    /// If they are damaged.
    pub fn of(bytes: Vec<u8>) -> Result<Self> {
        let mut first_term = Vec::new();
        read_entry(&mut bytes.as_slice(), &mut first_term)?;
        Ok(Self { first_term, bytes })
    }

    /// Blocks of which each follows the one before, as one.
    pub fn joined(blocks: Vec<Self>) -> Option<Self> {
        // A block's first entry shares nothing with what is before it.
        blocks.into_iter().reduce(|mut whole, next| {
            whole.bytes.extend_from_slice(&next.bytes);
            whole
        })
    }
}

/// Writes terms into blocks.
#[derive(Default)]
pub(super) struct BlockWriter {
    blocks: Vec<TermBlock>,
    current: TermBlock,
    last_term: Vec<u8>,
}

impl BlockWriter {
    /// Appends a term, if it occurs. Each is greater than the one before.
    pub(super) fn push(&mut self, term: &[u8], postings: &PostingsWriter) {
        if postings.count == 0 {
            return;
        }
        let block = &mut self.current.bytes;
        // A frequent term gets a block of its own, so that a search for one of its
        // neighbours does not read its postings.
        // Attributes begin a block, so that they can be replaced without the words.
        let begins = term.first() == Some(&MARK) && self.last_term.first() != Some(&MARK);
        if !block.is_empty() && (begins || block.len() + postings.bytes.len() > FULL) {
            self.blocks.push(std::mem::take(&mut self.current));
        }
        let block = &mut self.current.bytes;
        if block.is_empty() {
            self.current.first_term = term.to_vec();
            self.last_term.clear();
        }
        let shared = self.last_term.iter().zip(term).take_while(|(one, other)| one == other).count();
        let rest = term.get(shared..).unwrap_or_default();
        write_entry(block, shared, rest, postings.count, &postings.bytes);
        self.last_term.truncate(shared);
        self.last_term.extend_from_slice(rest);
    }

    pub(super) fn finish(mut self) -> Vec<TermBlock> {
        if !self.current.bytes.is_empty() {
            self.blocks.push(self.current);
        }
        self.blocks
    }
}

fn write_entry(block: &mut Vec<u8>, shared: usize, rest: &[u8], count: u32, postings: &[u8]) {
    varint::write(block, shared as u64);
    varint::write(block, rest.len() as u64);
    block.extend_from_slice(rest);
    varint::write(block, postings.len() as u64);
    varint::write(block, u64::from(count));
    block.extend_from_slice(postings);
}

/// Reads an entry off the front of a block and makes `term`, the one before, its
/// term.
pub(super) fn read_entry<'b>(block: &mut &'b [u8], term: &mut Vec<u8>) -> Result<Postings<'b>> {
    let (shared, rest) = read_term(block, term.len())?;
    if term.get(shared..) >= Some(rest) && !term.is_empty() {
        return Err(DataCorruption::new("its terms are not in order"));
    }
    term.truncate(shared);
    term.extend_from_slice(rest);
    read_postings(block)
}

/// Reads how many bytes a term shares with the one before, which has `before`, and
/// those that follow.
#[inline]
fn read_term<'b>(block: &mut &'b [u8], before: usize) -> Result<(usize, &'b [u8])> {
    let shared = varint::read_u32(block)? as usize;
    let rest = varint::read_u64(block)?;
    let rest = varint::read_bytes(block, rest)?;
    if shared > before || shared + rest.len() > MAX_TERM {
        return Err(DataCorruption::new("a term is too long"));
    }
    Ok((shared, rest))
}

#[inline]
fn read_postings<'b>(block: &mut &'b [u8]) -> Result<Postings<'b>> {
    let length = varint::read_u64(block)?;
    let count = varint::read_u32(block)?;
    Ok(Postings { count, bytes: varint::read_bytes(block, length)? })
}

/// The postings of `term`, if they are in the block, which may be a
/// [joined](TermBlock::joined) one: the one that would have them is the last whose
/// first term is not greater.
///
/// # Errors
/// If the block is damaged.
pub fn find_postings<'b>(mut block: &'b [u8], term: &str) -> Result<Option<Postings<'b>>> {
    let term = term.as_bytes();
    // How many bytes the entry before has, and how many of them are the term's.
    let (mut length, mut matched) = (0, 0);
    while !block.is_empty() {
        let (shared, rest) = read_term(&mut block, length)?;
        length = shared + rest.len();
        let postings = read_postings(&mut block)?;
        match shared.cmp(&matched) {
            // It differs from the term where the entry before did, which was less.
            Ordering::Greater => continue,
            // Behind a seam of a joined block, an entry tells nothing of the one before.
            Ordering::Less if shared == 0 => matched = 0,
            // It is greater than the entry before where that was as the term.
            Ordering::Less => return Ok(None),
            Ordering::Equal => {}
        }
        let wanted = term.get(matched..).unwrap_or_default();
        let common = rest.iter().zip(wanted).take_while(|(one, other)| one == other).count();
        match (rest.get(common), wanted.get(common)) {
            (None, None) => return Ok(Some(postings)),
            (byte, wanted) if byte < wanted => matched += common,
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// Calls `each` with the postings of those terms of the block that begin with
/// `beginning`. Other blocks may have more of them: those whose first terms begin so too.
///
/// # Errors
/// If the block is damaged.
pub fn each_beginning<'b>(
    mut block: &'b [u8],
    beginning: &str,
    mut each: impl FnMut(Postings<'b>) -> Result<()>,
) -> Result<()> {
    let mut current = Vec::new();
    while !block.is_empty() {
        let postings = read_entry(&mut block, &mut current)?;
        if current.starts_with(beginning.as_bytes()) {
            each(postings)?;
        } else if current.as_slice() > beginning.as_bytes() {
            break;
        }
    }
    Ok(())
}

/// A block with nothing but `term`, if it is in `block`. Whoever looks up very
/// many terms keeps these, which are far smaller than the blocks they came from.
///
/// # Errors
/// If the block is damaged.
pub fn extract_term(block: &[u8], term: &str) -> Result<Option<Vec<u8>>> {
    let Some(postings) = find_postings(block, term)? else { return Ok(None) };
    let mut alone = Vec::with_capacity(postings.bytes.len() + term.len() + 16);
    write_entry(&mut alone, 0, term.as_bytes(), postings.count, postings.bytes);
    Ok(Some(alone))
}

/// Reads all terms of a segment in order.
pub(super) struct TermReader<'s> {
    blocks: std::slice::Iter<'s, TermBlock>,
    /// What is left of the current block.
    block: &'s [u8],
    term: Vec<u8>,
    postings: Option<Postings<'s>>,
}

impl<'s> TermReader<'s> {
    /// A reader that stands before the first term.
    pub(super) fn new(blocks: &'s [TermBlock]) -> Self {
        Self { blocks: blocks.iter(), block: &[], term: Vec::new(), postings: None }
    }

    /// Goes to the next term, or behind the last one.
    pub(super) fn advance(&mut self) -> Result<()> {
        if !self.block.is_empty() {
            self.postings = Some(read_entry(&mut self.block, &mut self.term)?);
            return Ok(());
        }
        let Some(TermBlock { first_term, bytes }) = self.blocks.next() else {
            self.postings = None;
            return Ok(());
        };
        if *first_term <= self.term && self.postings.is_some() {
            return Err(DataCorruption::new("its blocks are not in order"));
        }
        self.block = bytes;
        self.term.clear();
        let postings = read_entry(&mut self.block, &mut self.term)?;
        if self.term != *first_term {
            return Err(DataCorruption::new("a block does not start with its first term"));
        }
        self.postings = Some(postings);
        Ok(())
    }

    /// The current term.
    pub(super) fn term(&self) -> Option<&[u8]> {
        self.postings.is_some().then_some(self.term.as_slice())
    }

    /// The postings of the current term.
    pub(super) fn postings(&self) -> Postings<'s> {
        self.postings.unwrap_or_default()
    }
}

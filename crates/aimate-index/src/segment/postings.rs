//! The chunks that one term occurs in.
//!
//! A posting is up to three variable-length integers: twice the distance of the
//! chunk's number from the one before (less one), plus one if the term occurs
//! more than once; then, only in that case, how often beyond twice; then the
//! chunk's length. The length is repeated in each posting so that scoring needs
//! no header, which has about 20 bytes for every chunk of the segment.

use crate::{DataCorruption, DocId, Result, varint};

/// One chunk that a term occurs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// The chunk's number in the segment.
    pub doc: DocId,
    /// How often the term occurs in it, at least once.
    pub frequency: u32,
    /// How many terms the chunk has; see [`Terms::length`](crate::analysis::Terms).
    pub length: u32,
}

/// Encodes the postings of a term.
#[derive(Default)]
pub(super) struct PostingsWriter {
    pub(super) count: u32,
    pub(super) bytes: Vec<u8>,
    /// One more than the last number.
    next: u32,
}

impl PostingsWriter {
    /// What is encoded already.
    pub(super) fn of(count: u32, bytes: Vec<u8>) -> Self {
        Self { count, bytes, next: 0 }
    }

    /// Appends a posting. Each has a greater number than the one before.
    pub(super) fn push(&mut self, posting: Posting) {
        let delta = u64::from(posting.doc.saturating_sub(self.next));
        let is_repeated = posting.frequency > 1;
        varint::write(&mut self.bytes, delta << 1 | u64::from(is_repeated));
        if is_repeated {
            varint::write(&mut self.bytes, u64::from(posting.frequency - 2));
        }
        varint::write(&mut self.bytes, u64::from(posting.length));
        self.next = posting.doc.saturating_add(1);
        self.count += 1;
    }
}

/// The postings of a term in a segment, not yet decoded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Postings<'b> {
    pub(super) count: u32,
    pub(super) bytes: &'b [u8],
}

/// Postings that are decoded before they are scored.
const BATCH: usize = 128;

/// Some postings, each part of them for itself, so that a processor scores many at once.
pub(crate) struct PostingBatch {
    count: usize,
    docs: [DocId; BATCH],
    frequencies: [u32; BATCH],
    lengths: [u32; BATCH],
    saturations: [f32; BATCH],
}

impl Default for PostingBatch {
    fn default() -> Self {
        Self {
            count: 0,
            docs: [0; BATCH],
            frequencies: [0; BATCH],
            lengths: [0; BATCH],
            saturations: [0.0; BATCH],
        }
    }
}

impl PostingBatch {
    /// Adds a posting; whether it was the last one for which there is room.
    #[inline(always)]
    fn push(&mut self, Posting { doc, frequency, length }: Posting) -> bool {
        let at = self.count;
        if let (Some(docs), Some(frequencies), Some(lengths)) =
            (self.docs.get_mut(at), self.frequencies.get_mut(at), self.lengths.get_mut(at))
        {
            (*docs, *frequencies, *lengths) = (doc, frequency, length);
        }
        self.count = at + 1;
        self.count >= BATCH
    }

    /// What `saturation` makes of each frequency and length, with the chunk.
    #[inline(always)]
    pub(crate) fn score(
        &mut self,
        saturation: impl Fn(f32, f32) -> f32,
    ) -> impl Iterator<Item = (DocId, f32)> {
        // All of the batch, whatever it has: so the loop is unrolled and has no rest.
        let numbers = self.frequencies.iter().zip(&self.lengths);
        for (score, (frequency, length)) in self.saturations.iter_mut().zip(numbers) {
            *score = saturation(*frequency as f32, *length as f32);
        }
        self.docs.iter().copied().zip(self.saturations.iter().copied()).take(self.count)
    }
}

impl Postings<'_> {
    /// In how many chunks of the segment the term occurs: its document frequency.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Calls `each` with the postings in the order of the chunks, of which the
    /// segment has `chunk_count`.
    ///
    /// # Errors
    /// If the postings are damaged, or name a chunk beyond `chunk_count`. Those
    /// before the damage were passed on.
    pub fn for_each(&self, chunk_count: u32, mut each: impl FnMut(Posting)) -> Result<()> {
        let bytes = &mut { self.bytes };
        let mut next = 0_u64;
        for _ in 0..self.count {
            let head = varint::read_u64(bytes)?;
            let frequency = if head & 1 == 0 { 1 } else { varint::read_u32(bytes)?.saturating_add(2) };
            let length = varint::read_u32(bytes)?;
            let doc = next.saturating_add(head >> 1);
            match u32::try_from(doc) {
                Ok(doc) if doc < chunk_count => each(Posting { doc, frequency, length }),
                _ => return Err(DataCorruption::new("a term occurs in a chunk that is not there")),
            }
            next = doc + 1;
        }
        match bytes.is_empty() {
            true => Ok(()),
            false => Err(DataCorruption::new("a term has more chunks than it says")),
        }
    }

    /// Like [`for_each`](Self::for_each), some postings at a time.
    #[inline(always)]
    pub(crate) fn for_each_batch(
        &self,
        chunk_count: u32,
        batch: &mut PostingBatch,
        mut each: impl FnMut(&mut PostingBatch),
    ) -> Result<()> {
        batch.count = 0;
        let decoded = self.for_each(chunk_count, |posting| {
            if batch.push(posting) {
                each(batch);
                batch.count = 0;
            }
        });
        each(batch);
        decoded
    }
}

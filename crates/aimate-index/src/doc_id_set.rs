//! A set of a segment's chunks, or of its documents.

use crate::DocId;

/// A set of [`DocId`]s of one segment, one bit for each of its chunks.
///
/// A filter on documents becomes such a set for each segment; searches skip the
/// chunks that are not in it. Before, it is one of the segment's documents, by their
/// places in its header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocIdSet(Vec<u64>);

impl DocIdSet {
    /// The empty set for a segment of `count` chunks.
    pub fn empty(count: u32) -> Self {
        Self(vec![0; (count as usize).div_ceil(64)])
    }

    /// The set of those of `count` chunks for which `is_in` holds.
    pub fn filled(count: u32, is_in: impl Fn(DocId) -> bool) -> Self {
        let word = |first: u32| {
            let docs = first..first.saturating_add(64).min(count);
            docs.fold(0, |word, doc| word | u64::from(is_in(doc)) << (doc % 64))
        };
        Self((0..count).step_by(64).map(word).collect())
    }

    /// The set of all of `count`.
    pub fn full(count: u32) -> Self {
        let mut set = Self::empty(count);
        set.invert(count);
        set
    }

    /// Keeps what is in `other` too.
    pub fn intersect(&mut self, other: &Self) {
        let others = other.0.iter().chain(std::iter::repeat(&0));
        self.0.iter_mut().zip(others).for_each(|(word, other)| *word &= other);
    }

    /// Adds what is in `other`, a set for the same segment.
    pub fn union(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }

    /// Makes it the set of those of `count` that were not in it.
    pub fn invert(&mut self, count: u32) {
        self.0.iter_mut().for_each(|word| *word = !*word);
        if let Some(last) = self.0.last_mut().filter(|_| !count.is_multiple_of(64)) {
            *last &= (1 << (count % 64)) - 1;
        }
    }

    /// Takes a chunk or document out.
    pub fn remove(&mut self, doc: DocId) {
        if let Some(word) = self.0.get_mut((doc / 64) as usize) {
            *word &= !(1 << (doc % 64));
        }
    }

    /// Adds those whose bit is set, the lowest bit of the first byte being that of 0;
    /// `None` if one is not below `count`.
    pub(crate) fn insert_bits(&mut self, bytes: &[u8], count: u32) -> Option<()> {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        let words = words.iter().chain((!rest.is_empty()).then_some(&last));
        let mut left = self.0.iter_mut();
        let mut first = 0_u32;
        for word in words.map(|word| u64::from_le_bytes(*word)) {
            let allowed = match count.saturating_sub(first) {
                64.. => u64::MAX,
                some => (1 << some) - 1,
            };
            if word & !allowed != 0 {
                return None;
            }
            if word != 0 {
                *left.next()? |= word;
            } else {
                left.next();
            }
            first = first.saturating_add(64);
        }
        Some(())
    }

    /// Adds a chunk; numbers far beyond the segment's count are ignored.
    pub fn insert(&mut self, doc: DocId) {
        if let Some(word) = self.0.get_mut((doc / 64) as usize) {
            *word |= 1 << (doc % 64);
        }
    }

    /// Whether the chunk is in the set.
    #[inline]
    pub fn contains(&self, doc: DocId) -> bool {
        self.0.get((doc / 64) as usize).is_some_and(|word| word >> (doc % 64) & 1 == 1)
    }

    /// The chunks from `64 · index` on, a bit each, the first in the lowest one.
    #[inline]
    pub(crate) fn word(&self, index: usize) -> u64 {
        self.0.get(index).copied().unwrap_or(0)
    }

    /// How many chunks are in the set.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Whether no chunk is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_in_the_set_once_inserted() {
        let mut set = DocIdSet::filled(100, |doc| doc % 7 == 0);
        set.insert(99);
        set.insert(5_000);
        assert_eq!((0..200).filter(|doc| set.contains(*doc)).count(), 16);
        assert_eq!(set.len(), 16);
        assert!(set.contains(98) && set.contains(99));
        assert!(!set.contains(97) && !set.contains(5_000));
        assert!(!set.is_empty() && DocIdSet::empty(100).is_empty());
    }
}

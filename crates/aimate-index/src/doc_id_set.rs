//! A set of a segment's chunks.

use crate::DocId;

/// A set of [`DocId`]s of one segment, one bit for each of its chunks.
///
/// A filter on documents becomes such a set for each segment; searches skip the
/// chunks that are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocIdSet(Vec<u64>);

impl DocIdSet {
    /// The empty set for a segment of `count` chunks.
    pub fn empty(count: u32) -> Self {
        Self(vec![0; (count as usize).div_ceil(64)])
    }

    /// The set of those of `count` chunks for which `is_in` holds.
    pub fn filled(count: u32, is_in: impl Fn(DocId) -> bool) -> Self {
        let mut set = Self::empty(count);
        (0..count).filter(|doc| is_in(*doc)).for_each(|doc| set.insert(doc));
        set
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

//! Some of a segment's chunks.

/// A set of chunks by their number in a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ordinals(Vec<u64>);

impl Ordinals {
    /// None of `count` chunks.
    pub(super) fn none(count: u32) -> Self {
        Self(vec![0; (count as usize).div_ceil(64)])
    }

    /// Adds a chunk, if the segment has so many.
    pub(super) fn insert(&mut self, ordinal: u32) {
        if let Some(word) = self.0.get_mut((ordinal / 64) as usize) {
            *word |= 1 << (ordinal % 64);
        }
    }

    /// Whether the chunk is in it.
    #[inline]
    pub(super) fn contains(&self, ordinal: u32) -> bool {
        self.0.get((ordinal / 64) as usize).is_some_and(|word| word >> (ordinal % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Ordinals {
        /// Those of `0..count` that `wanted` says.
        pub(in crate::knowledge) fn of(count: u32, wanted: impl Fn(u32) -> bool) -> Self {
            let mut ordinals = Self::none(count);
            (0..count).filter(|ordinal| wanted(*ordinal)).for_each(|ordinal| ordinals.insert(ordinal));
            ordinals
        }
    }

    #[test]
    fn chunks_are_in_it_once_inserted() {
        let mut ordinals = Ordinals::of(100, |ordinal| ordinal % 7 == 0);
        ordinals.insert(99);
        ordinals.insert(5_000);
        assert_eq!((0..200).filter(|ordinal| ordinals.contains(*ordinal)).count(), 16);
        assert!(ordinals.contains(98) && ordinals.contains(99));
        assert!(!ordinals.contains(97) && !ordinals.contains(5_000));
    }
}

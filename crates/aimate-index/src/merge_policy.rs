//! Which segments to merge, and when.

/// Decides which segments of a collection are merged.
///
/// Each batch of new documents makes a small segment, and a search looks into
/// every segment. Segments are sorted into tiers by their size, each tier's
/// `width` times as large as those below; a tier that holds `width` segments is
/// full, and its segments become one of a higher tier. So the number of segments
/// grows with the logarithm of the number of chunks, and so does how often each
/// chunk is rewritten. Lucene and tantivy have a policy of this name too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogMergePolicy {
    /// How many segments fill a tier, and how many times larger the next tier's
    /// are. At least 2; default: 8.
    pub width: u64,
    /// The most chunks that a merged segment has. A segment that is rewritten is
    /// held in memory whole. Default: 32,768.
    pub max_chunks: u64,
}

impl Default for LogMergePolicy {
    fn default() -> Self {
        Self { width: 8, max_chunks: 32_768 }
    }
}

impl LogMergePolicy {
    /// The segments to merge next, each given as its number of chunks and its id;
    /// none if no tier is full.
    ///
    /// They are the smallest ones of the lowest full tier. Segments of more than
    /// half of `max_chunks` are left alone: two of them would not fit into one.
    pub fn candidates<I: Copy + Ord>(&self, mut segments: Vec<(u64, I)>) -> Vec<I> {
        segments.retain(|(chunks, _)| *chunks <= self.max_chunks / 2);
        segments.sort_unstable();
        let width = self.width.max(2);
        let tier = |chunks: u64| chunks.max(1).ilog(width);
        for group in segments.chunk_by(|(one, _), (other, _)| tier(*one) == tier(*other)) {
            if (group.len() as u64) < width {
                continue;
            }
            let mut total = 0;
            let fits = group.iter().take_while(|(chunks, _)| {
                total += chunks;
                total <= self.max_chunks
            });
            return fits.map(|(_, id)| *id).collect();
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(sizes: &[u64]) -> usize {
        let segments = sizes.iter().copied().zip(0_u32..).collect();
        LogMergePolicy::default().candidates(segments).len()
    }

    #[test]
    fn a_full_tier_is_merged() {
        assert_eq!(candidates(&[1, 2, 3, 4, 5, 6, 7]), 0);
        assert_eq!(candidates(&[1, 2, 3, 4, 5, 6, 7, 1]), 8);
        assert_eq!(candidates(&[1, 2, 3, 4, 5, 6, 7, 8]), 0, "8 is of another tier");
        assert_eq!(candidates(&[500; 30]), 30);
    }

    #[test]
    fn merged_segments_stay_within_the_limit() {
        assert_eq!(candidates(&[5_000; 8]), 6);
        assert_eq!(candidates(&[16_384; 8]), 2);
        assert_eq!(candidates(&[16_385; 20]), 0);
    }
}

//! The best `k` of many, without sorting them all.

use std::cmp::Ordering;

/// The number of a chunk in its segment, from 0.
pub type DocId = u32;

/// A chunk among several segments that are searched together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocAddress {
    /// The segment's place among those searched, from 0.
    pub segment: u32,
    /// The chunk's number in that segment.
    pub doc: DocId,
}

/// Collects the `k` entries with the greatest scores; of equal scores, those
/// that `tie` orders first.
///
/// It buffers up to 2 `k` entries and then cuts them to `k` by selection, which
/// takes linear time; from there on, an entry worse than all that were kept costs
/// one comparison. The order of pushing makes no difference to the result.
#[derive(Clone, Debug)]
pub struct TopK<S, D, F> {
    k: usize,
    entries: Vec<(S, D)>,
    /// The least score among the best when they were last cut.
    threshold: Option<S>,
    tie: F,
}

/// Entries that are buffered at least, however small `k` is: cutting has a fixed
/// cost too.
const MIN_BUFFER: usize = 64;

impl<S: Copy + PartialOrd, D, F: Fn(&D, &D) -> Ordering> TopK<S, D, F> {
    /// An empty collector of at most `k` entries.
    pub fn new(k: usize, tie: F) -> Self {
        Self { k, entries: Vec::new(), threshold: None, tie }
    }

    /// Offers an entry.
    #[inline]
    pub fn push(&mut self, score: S, doc: D) {
        // A score that equals the threshold may still win its tie.
        if self.threshold.is_some_and(|threshold| score < threshold) {
            return;
        }
        self.entries.push((score, doc));
        if self.entries.len() >= self.k.saturating_mul(2).max(MIN_BUFFER) {
            self.cut();
        }
    }

    /// The least score that can still be among the best; `None`: any can.
    #[inline]
    pub fn threshold(&self) -> Option<S> {
        self.threshold
    }

    fn cut(&mut self) {
        let Self { k, entries, tie, .. } = self;
        if entries.len() <= *k {
            return;
        }
        entries.select_nth_unstable_by(*k, |one, other| order(tie, one, other));
        entries.truncate(*k);
        let least = |one, other| if other < one { other } else { one };
        self.threshold = entries.iter().map(|(score, _)| *score).reduce(least).or(self.threshold);
    }

    /// The best entries, the greatest score first.
    pub fn finish(mut self) -> Vec<(S, D)> {
        self.cut();
        let Self { mut entries, tie, .. } = self;
        entries.sort_unstable_by(|one, other| order(&tie, one, other));
        entries
    }
}

fn order<S: PartialOrd, D>(tie: &impl Fn(&D, &D) -> Ordering, one: &(S, D), other: &(S, D)) -> Ordering {
    other.0.partial_cmp(&one.0).unwrap_or(Ordering::Equal).then_with(|| tie(&one.1, &other.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_are_those_of_a_full_sort() {
        for k in [0, 1, 7, 100, 5_000] {
            let scores = (0..2_000_u32).map(|doc| (doc * 7_919 % 97, DocAddress { segment: 0, doc }));
            let mut top = TopK::new(k, |one: &DocAddress, other: &DocAddress| other.cmp(one));
            scores.clone().for_each(|(score, doc)| top.push(score, doc));
            let mut expected: Vec<_> = scores.collect();
            expected.sort_by(|one, other| other.cmp(one));
            expected.truncate(k);
            assert_eq!(top.finish(), expected);
        }
    }
}

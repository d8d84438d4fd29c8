//! The best of many, without sorting them all.

use std::cmp::Ordering;

/// A chunk by its segment's place among those searched and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) segment: u32,
    pub(super) ordinal: u32,
}

/// Keeps the places with the greatest scores; of equal ones, those that `tie`
/// puts first.
pub(super) struct Top<S, T> {
    limit: usize,
    kept: Vec<(S, Place)>,
    /// The least score that was still among the best when they were last cut.
    floor: Option<S>,
    tie: T,
}

impl<S: Copy + PartialOrd, T: Fn(Place, Place) -> Ordering> Top<S, T> {
    pub(super) fn new(limit: usize, tie: T) -> Self {
        Self { limit, kept: Vec::new(), floor: None, tie }
    }

    #[inline]
    pub(super) fn push(&mut self, score: S, place: Place) {
        if self.floor.is_some_and(|floor| score < floor) {
            return;
        }
        self.kept.push((score, place));
        if self.kept.len() >= self.limit.saturating_mul(2).max(64) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let Self { limit, kept, tie, .. } = self;
        if kept.len() <= *limit {
            return;
        }
        kept.select_nth_unstable_by(*limit, |one, other| order(tie, one, other));
        kept.truncate(*limit);
        let worst =
            kept.iter().map(|(score, _)| *score).reduce(|one, other| if other < one { other } else { one });
        self.floor = worst.or(self.floor);
    }

    /// The best, the greatest first.
    pub(super) fn finish(mut self) -> Vec<(S, Place)> {
        self.cut();
        let Self { mut kept, tie, .. } = self;
        kept.sort_unstable_by(|one, other| order(&tie, one, other));
        kept
    }
}

fn order<S: PartialOrd>(
    tie: &impl Fn(Place, Place) -> Ordering,
    one: &(S, Place),
    other: &(S, Place),
) -> Ordering {
    other.0.partial_cmp(&one.0).unwrap_or(Ordering::Equal).then_with(|| tie(one.1, other.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_are_those_of_a_full_sort() {
        for limit in [0, 1, 7, 100, 5_000] {
            let scores = (0..2_000_u32).map(|ordinal| (ordinal * 7_919 % 97, Place { segment: 0, ordinal }));
            let mut top = Top::new(limit, |one: Place, other| other.cmp(&one));
            scores.clone().for_each(|(score, place)| top.push(score, place));
            let mut expected: Vec<_> = scores.collect();
            expected.sort_by(|one, other| other.cmp(one));
            expected.truncate(limit);
            assert_eq!(top.finish(), expected);
        }
    }
}

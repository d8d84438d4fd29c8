//! Fusion: one ranking from the candidates of both retrievers.
//!
//! The scores of both are put on a scale from 0 to 1: the cosine as it is, BM25
//! divided by what no passage can reach for the question. A candidate's score is
//! their weighted mean. The weight is the question's own: candidates are ordered
//! exactly as by the sum of their z-scores (Montague and Aslam 2001, "Relevance Score
//! Normalization for Metasearch"), each retriever's times its best one's, and those of
//! the cosines times [`TRUST`] of the best cosine. But a score means the same in every
//! search.
//!
//! With a fixed weight, words that most passages have would outweigh a clear lead in
//! meaning. Who has a passage that stands out knows more than who has many alike. And
//! a best cosine that is low tells that nothing means what was asked, or that the
//! embedder cannot tell.

use std::collections::HashMap;

use crate::id::ChunkId;
use crate::knowledge::{HitExplanation, RankedChunks, ScoredChunk, SearchMode};

/// Candidates of each retriever, the best ones, whose scores set the weight: the
/// same ones however many hits are asked for.
pub(super) const MEASURED: usize = 100;

/// How many times as much the cosines count as the words, where the best cosine is 1.
/// Measured on five collections of English and German texts and of code with a small
/// embedder: nDCG@10 stays within a hundredth for 3 to 4.
const TRUST: f32 = 3.5;

/// A deviation below this is rounding: such scores are the same.
const MIN_DEVIATION: f32 = 1e-5;

/// A chunk that one of the retrievers found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) chunk: ChunkId,
    /// What hits are ordered by, from 0 to 1.
    pub(super) score: f32,
    /// The reranker's score of those it read, from 0 to 1.
    pub(super) reranked: Option<f32>,
    pub(super) explain: HitExplanation,
}

/// What the retrievers found.
pub(super) struct Found<'a> {
    pub(super) text: &'a RankedChunks,
    pub(super) vector: &'a [ScoredChunk],
    /// The cosine of every chunk that has a vector, also of those that were found by
    /// words alone.
    pub(super) cosines: &'a HashMap<ChunkId, f32>,
}

impl Found<'_> {
    /// The weight of the cosine, from 0 to 1; the rest is BM25's.
    pub(super) fn cosine_weight(&self, mode: SearchMode) -> f32 {
        match mode {
            SearchMode::Text => 0.0,
            SearchMode::Vector => 1.0,
            SearchMode::Hybrid if self.text.best.is_empty() => 1.0,
            SearchMode::Hybrid if self.cosines.is_empty() => 0.0,
            SearchMode::Hybrid => self.spread().cosine_weight(),
        }
    }

    /// All that was found, best first; equal scores by chunk id.
    pub(super) fn fuse(&self, cosine_weight: f32) -> Vec<Candidate> {
        let mut found: HashMap<ChunkId, HitExplanation> =
            HashMap::with_capacity(self.text.best.len() + self.vector.len());
        for (rank, scored) in (1..).zip(&self.text.best) {
            let explain = found.entry(scored.chunk).or_default();
            explain.text_rank = Some(rank);
            explain.bm25 = Some(scored.score);
        }
        for (rank, scored) in (1..).zip(self.vector) {
            found.entry(scored.chunk).or_default().vector_rank = Some(rank);
        }
        // A chunk without a vector, of a collection without an embedder, is neither
        // better nor worse by its meaning.
        let unknown = self.spread().cosine.mean;
        let candidates = found.into_iter().map(|(chunk, mut explain)| {
            explain.cosine = self.cosines.get(&chunk).copied();
            let words = explain.bm25.map_or(0.0, |bm25| self.share(bm25));
            let score = cosine_weight * explain.cosine.unwrap_or(unknown) + (1.0 - cosine_weight) * words;
            explain.fused = score.clamp(0.0, 1.0);
            (score, Candidate { chunk, score: explain.fused, reranked: None, explain })
        });
        let mut candidates: Vec<_> = candidates.collect();
        // By the score as it was: opposite vectors would all be 0.
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.chunk.cmp(&b.1.chunk)));
        candidates.into_iter().map(|(_, candidate)| candidate).collect()
    }

    /// The part of the question, from 0 to 1, that a passage with this score says.
    fn share(&self, bm25: f32) -> f32 {
        if self.text.max_score > 0.0 { bm25 / self.text.max_score } else { 0.0 }
    }

    /// How much the scores differ. A chunk that was not found by words has 0 there.
    ///
    /// Sums run in the order of the ranks, so that they come out the same each time.
    fn spread(&self) -> Spreads {
        let text = || self.text.best.iter().take(MEASURED);
        let by_words: HashMap<ChunkId, f32> = text().map(|scored| (scored.chunk, scored.score)).collect();
        let vector = self.vector.iter().take(MEASURED).map(|scored| scored.chunk);
        let others = vector.filter(|chunk| !by_words.contains_key(chunk));
        let chunks: Vec<ChunkId> = text().map(|scored| scored.chunk).chain(others).collect();
        let words: Vec<f32> =
            chunks.iter().map(|chunk| by_words.get(chunk).map_or(0.0, |bm25| self.share(*bm25))).collect();
        let cosines: Vec<f32> = chunks.iter().filter_map(|chunk| self.cosines.get(chunk).copied()).collect();
        Spreads { cosine: Spread::of(&cosines), words: Spread::of(&words) }
    }
}

/// How the scores of both retrievers lie over the candidates, each on its scale.
struct Spreads {
    cosine: Spread,
    words: Spread,
}

impl Spreads {
    /// `w` of `w · cosine + (1 − w) · words`. Scores that are all the same leave it
    /// to the others; where both are, it makes no difference.
    fn cosine_weight(&self) -> f32 {
        let (cosine, words) = (TRUST * self.cosine.best.max(0.0) * self.cosine.pull(), self.words.pull());
        if cosine + words > 0.0 { cosine / (cosine + words) } else { 0.5 }
    }
}

/// How scores lie.
#[derive(Default)]
struct Spread {
    mean: f32,
    /// The standard deviation.
    deviation: f32,
    best: f32,
}

impl Spread {
    fn of(values: &[f32]) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "some hundred values")]
        let count = values.len().max(1) as f64;
        let mean = values.iter().copied().map(f64::from).sum::<f64>() / count;
        let square = |value: &f32| (f64::from(*value) - mean).powi(2);
        let deviation = (values.iter().map(square).sum::<f64>() / count).sqrt();
        let best = values.iter().copied().reduce(f32::max).unwrap_or_default();
        #[allow(clippy::cast_possible_truncation, reason = "scores are from -1 to 1")]
        let narrow = |value: f64| value as f32;
        Self { mean: narrow(mean), deviation: narrow(deviation), best }
    }

    /// What a score is multiplied by: `1 / deviation` makes z-scores of both, and
    /// these count by the best one's.
    fn pull(&self) -> f32 {
        if self.deviation < MIN_DEVIATION {
            return 0.0;
        }
        let lead = (self.best - self.mean) / self.deviation;
        lead / self.deviation
    }
}

/// Reorders the best `limit` so that they differ from each other: maximal
/// marginal relevance with λ = 1 − `diversity`. A candidate without a vector
/// resembles none.
pub(super) fn diversify(
    candidates: &mut Vec<Candidate>,
    limit: usize,
    diversity: f32,
    vectors: &HashMap<ChunkId, Vec<f32>>,
) {
    let mut left = std::mem::take(candidates);
    while candidates.len() < limit && !left.is_empty() {
        let value = |candidate: &Candidate| {
            let similarity = vectors.get(&candidate.chunk).map_or(0.0, |vector| {
                let cosines = candidates
                    .iter()
                    .filter_map(|taken| vectors.get(&taken.chunk))
                    .map(|other| vector.iter().zip(other).map(|(a, b)| a * b).sum::<f32>());
                cosines.fold(0.0, f32::max)
            });
            (1.0 - diversity) * candidate.score - diversity * similarity
        };
        let best = left.iter().enumerate().map(|(n, candidate)| (n, value(candidate)));
        let Some((n, _)) = best.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))) else { break };
        candidates.push(left.remove(n));
    }
    candidates.append(&mut left);
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn chunk(n: u128) -> ChunkId {
        ChunkId(uuid::Uuid::from_u128(n))
    }

    fn scored(n: u128, score: f32) -> ScoredChunk {
        ScoredChunk { chunk: chunk(n), score }
    }

    fn text(best: &[ScoredChunk], max_score: f32) -> RankedChunks {
        RankedChunks { best: best.to_vec(), max_score, ..RankedChunks::default() }
    }

    fn fuse(mode: SearchMode, text: &RankedChunks, cosines: &[(u128, f32)]) -> (f32, Vec<Candidate>) {
        let mut vector: Vec<_> = cosines.iter().map(|(n, cosine)| scored(*n, *cosine)).collect();
        vector.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk)));
        let cosines = vector.iter().map(|scored| (scored.chunk, scored.score)).collect();
        let found = Found { text, vector: &vector, cosines: &cosines };
        let weight = found.cosine_weight(mode);
        (weight, found.fuse(weight))
    }

    fn order(candidates: &[Candidate]) -> Vec<u128> {
        candidates.iter().map(|candidate| candidate.chunk.0.as_u128()).collect()
    }

    #[test]
    fn scores_are_weighted_by_their_spread() {
        // BM25 on its scale: .8, .4, 0: deviation .3266. Cosines .1, .5, .9: the same,
        // and 3.5 · .9 times as much.
        let text = text(&[scored(1, 8.0), scored(2, 4.0)], 10.0);
        let (weight, all) = fuse(SearchMode::Hybrid, &text, &[(1, 0.1), (2, 0.5), (3, 0.9)]);
        assert!((weight - 3.15 / 4.15).abs() < 1e-5);
        let scores: Vec<_> = all.iter().map(|c| (c.score * 1_000.0).round()).collect();
        assert_eq!(scores, [683.0, 476.0, 269.0]);
        let explain = |n| &all.iter().find(|found| found.chunk.0.as_u128() == n).unwrap().explain;
        assert_eq!((explain(2).text_rank, explain(2).vector_rank), (Some(2), Some(2)));
        assert_eq!((explain(3).bm25, explain(3).cosine), (None, Some(0.9)));
    }

    #[test]
    fn clear_lead_in_meaning_outweighs_words_that_all_have() {
        // All have the question's generic words; one is what it is about.
        let words: Vec<_> = (0..20_u8).map(|n| scored(n.into(), 5.0 - f32::from(n) * 0.01)).collect();
        let meaning: Vec<_> = (0..20).map(|n| (n, if n == 15 { 0.7 } else { 0.3 })).collect();
        let (_, all) = fuse(SearchMode::Hybrid, &text(&words, 12.0), &meaning);
        assert_eq!(order(&all)[..2], [15, 0]);
    }

    #[test]
    fn one_retriever_alone_decides() {
        let words = text(&[scored(1, 3.0), scored(2, 1.0)], 4.0);
        let (weight, all) = fuse(SearchMode::Hybrid, &words, &[]);
        assert_eq!((weight, all[0].score, all[1].score), (0.0, 0.75, 0.25));
        let (weight, all) =
            fuse(SearchMode::Hybrid, &RankedChunks::default(), &[(3, 0.9), (4, -0.5), (5, -0.1)]);
        assert_eq!((weight, order(&all)), (1.0, vec![3, 5, 4]));
        assert_eq!(all.iter().map(|c| c.score).collect::<Vec<_>>(), [0.9, 0.0, 0.0]);
        let (_, all) = fuse(SearchMode::Text, &words, &[(1, 0.1), (2, 0.9)]);
        assert_eq!(all[0].score, 0.75);
    }

    #[test]
    fn equal_scores_of_one_retriever_leave_it_to_the_other() {
        let same = text(&[scored(1, 2.0), scored(2, 2.0)], 4.0);
        let (weight, all) = fuse(SearchMode::Hybrid, &same, &[(1, 0.2), (2, 0.3)]);
        assert_eq!((weight, order(&all)), (1.0, vec![2, 1]));
        let apart = text(&[scored(1, 2.0), scored(2, 1.0)], 4.0);
        let (weight, all) = fuse(SearchMode::Hybrid, &apart, &[(2, 0.3), (1, 0.3)]);
        assert_eq!((weight, order(&all)), (0.0, vec![1, 2]));
        let (weight, all) = fuse(SearchMode::Hybrid, &same, &[(1, 0.3), (2, 0.3)]);
        assert_eq!((weight, order(&all)), (0.5, vec![1, 2]));
    }

    #[test]
    fn chunk_without_a_vector_is_judged_by_its_words() {
        let words = text(&[scored(1, 6.0), scored(2, 5.0), scored(3, 1.0)], 8.0);
        let (_, all) = fuse(SearchMode::Hybrid, &words, &[(2, 0.3), (3, 0.4), (4, 0.2)]);
        // The second has the mean cosine too, and fewer words.
        let place = |n| order(&all).iter().position(|found| *found == n);
        assert!(place(1) < place(2), "{:?}", order(&all));
        assert_eq!(all[place(1).unwrap()].explain.cosine, None);
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_z_scores(
            words in vec(0.01_f32..9.0, 2..40), cosines in vec(-0.3_f32..1.0, 2..40), apart in 0_u128..40,
        ) {
            let mut best: Vec<_> = (0..).zip(&words).map(|(n, score)| scored(n, *score)).collect();
            best.sort_by(|a, b| b.score.total_cmp(&a.score));
            // All that was found by words has a cosine.
            let near: Vec<_> = (0..best.len() as u128).chain(apart + 40..apart + 40 + cosines.len() as u128)
                .zip(cosines.iter().cycle().copied()).collect();
            let (_, all) = fuse(SearchMode::Hybrid, &text(&best, 10.0), &near);
            let cosine = |c: &Candidate| f64::from(c.explain.cosine.unwrap());
            let words = |c: &Candidate| f64::from(c.explain.bm25.unwrap_or(0.0));
            // Deviation of a retriever's scores, the z-score of its best, and that.
            let spread = |of: &dyn Fn(&Candidate) -> f64| {
                let mean = all.iter().map(of).sum::<f64>() / all.len() as f64;
                let square = |c: &Candidate| (of(c) - mean).powi(2);
                let deviation = (all.iter().map(square).sum::<f64>() / all.len() as f64).sqrt();
                let best = all.iter().map(of).fold(f64::MIN, f64::max);
                (deviation, (best - mean) / deviation, best)
            };
            let ((a, lead_a, best), (b, lead_b, _)) = (spread(&cosine), spread(&words));
            prop_assume!(a > 1e-3 && b > 1e-3);
            let trust = f64::from(TRUST) * best.max(0.0);
            for pair in all.windows(2) {
                let z = |c: &Candidate| trust * lead_a * cosine(c) / a + lead_b * words(c) / b;
                let (one, next) = (z(&pair[0]), z(&pair[1]));
                prop_assert!(one >= next - 1e-3 * next.abs().max(1.0), "{pair:?}");
                prop_assert!(pair[0].score >= pair[1].score && (0.0..=1.0).contains(&pair[1].score));
            }
        }
    }

    #[test]
    fn diversity_puts_a_twin_last() {
        let vectors = HashMap::from([
            (chunk(1), vec![1.0, 0.0]),
            (chunk(2), vec![1.0, 0.0]),
            (chunk(3), vec![0.0, 1.0]),
        ]);
        let (_, mut all) =
            fuse(SearchMode::Vector, &RankedChunks::default(), &[(1, 0.9), (2, 0.89), (3, 0.5)]);
        diversify(&mut all, 3, 0.5, &vectors);
        assert_eq!(order(&all), [1, 3, 2]);
    }
}

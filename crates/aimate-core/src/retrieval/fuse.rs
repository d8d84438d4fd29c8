//! Fusion: one ranking from the candidates of both retrievers.

use std::collections::HashMap;

use crate::id::ChunkId;
use crate::knowledge::{HitExplanation, ScoredChunk, SearchMode};

/// The weight of the cosine; the rest is BM25's:
/// s(d) = 0.6·cos(q,d) + 0.4·bm25(q,d) / max bm25. Of the formulas that were
/// tried (reciprocal ranks among them) this one measured best over the
/// evaluation collections.
const COSINE_WEIGHT: f32 = 0.6;

/// A chunk that one of the retrievers found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) chunk: ChunkId,
    /// What hits are ordered by.
    pub(super) score: f32,
    pub(super) explain: HitExplanation,
}

/// Returns all that was found, best first; equal scores by chunk id.
///
/// `cosines` holds the cosine of every chunk that has a vector, also of those
/// that were found by words alone.
pub(super) fn fuse(
    mode: SearchMode,
    text: &[ScoredChunk],
    vector: &[ScoredChunk],
    cosines: &HashMap<ChunkId, f32>,
) -> Vec<Candidate> {
    let best_text = text.first().map_or(0.0, |best| best.score);
    let mut found: HashMap<ChunkId, HitExplanation> = HashMap::with_capacity(text.len() + vector.len());
    for (rank, scored) in (1..).zip(text) {
        let explain = found.entry(scored.chunk).or_default();
        explain.text_rank = Some(rank);
        explain.bm25 = Some(scored.score);
    }
    for (rank, scored) in (1..).zip(vector) {
        found.entry(scored.chunk).or_default().vector_rank = Some(rank);
    }
    let mut all: Vec<_> = found
        .into_iter()
        .map(|(chunk, mut explain)| {
            explain.cosine = cosines.get(&chunk).copied();
            let bm25 = explain.bm25.filter(|_| best_text > 0.0).map_or(0.0, |bm25| bm25 / best_text);
            let score = match mode {
                SearchMode::Text => explain.bm25.unwrap_or(0.0),
                SearchMode::Vector => explain.cosine.unwrap_or(0.0),
                SearchMode::Hybrid if best_text <= 0.0 => explain.cosine.unwrap_or(0.0),
                SearchMode::Hybrid => {
                    COSINE_WEIGHT * explain.cosine.unwrap_or(0.0) + (1.0 - COSINE_WEIGHT) * bm25
                }
            };
            explain.fused = score;
            Candidate { chunk, score, explain }
        })
        .collect();
    sort(&mut all);
    all
}

/// Best first; equal scores by chunk id, so that the order is always the same.
fn sort(candidates: &mut [Candidate]) {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk)));
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
    use super::*;

    fn chunk(n: u128) -> ChunkId {
        ChunkId(uuid::Uuid::from_u128(n))
    }

    fn scored(n: u128, score: f32) -> ScoredChunk {
        ScoredChunk { chunk: chunk(n), score }
    }

    #[test]
    fn hybrid_follows_the_formula() {
        let text = [scored(1, 8.0), scored(2, 4.0)];
        let vector = [scored(3, 0.9), scored(2, 0.5)];
        let cosines = HashMap::from([(chunk(1), 0.1), (chunk(2), 0.5), (chunk(3), 0.9)]);
        let all = fuse(SearchMode::Hybrid, &text, &vector, &cosines);
        let scores: Vec<_> = all.iter().map(|c| (c.chunk, (c.score * 100.0).round())).collect();
        assert_eq!(scores, [(chunk(3), 54.0), (chunk(2), 50.0), (chunk(1), 46.0)]);
        assert_eq!(all[1].explain.text_rank, Some(2));
        assert_eq!(all[1].explain.vector_rank, Some(2));
        assert_eq!(all[0].explain.bm25, None);
    }

    #[test]
    fn without_words_the_score_is_the_cosine() {
        let all = fuse(SearchMode::Hybrid, &[], &[scored(3, 0.9)], &HashMap::from([(chunk(3), 0.9)]));
        assert_eq!(all[0].score, 0.9);
    }

    #[test]
    fn diversity_puts_a_twin_last() {
        let vectors = HashMap::from([
            (chunk(1), vec![1.0, 0.0]),
            (chunk(2), vec![1.0, 0.0]),
            (chunk(3), vec![0.0, 1.0]),
        ]);
        let vector = [scored(1, 0.9), scored(2, 0.89), scored(3, 0.5)];
        let cosines = vector.iter().map(|s| (s.chunk, s.score)).collect();
        let mut all = fuse(SearchMode::Vector, &[], &vector, &cosines);
        diversify(&mut all, 3, 0.5, &vectors);
        assert_eq!(all.iter().map(|c| c.chunk).collect::<Vec<_>>(), [chunk(1), chunk(3), chunk(2)]);
    }
}

//! Ranking by words: BM25.
//!
//! The score of a chunk for a question is the sum over the question's terms of
//!
//! ```text
//! weight · idf · tf / (tf + k1 · (1 − b + b · length / average length))
//! idf = ln(1 + (N − n + ½) / (n + ½))
//! ```
//!
//! where `tf` is how often the term occurs in the chunk, `N` the number of chunks,
//! `n` the number of those that have the term, and `weight` how often the question
//! says it. `k1` = 1.2 and `b` = 0.75.
//!
//! Sources: Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework:
//! BM25 and Beyond". The `1 +` in the idf is Lucene's (`BM25Similarity`): without
//! it, a term that more than half of the chunks have would count against them. The
//! constant factor `k1 + 1` that other writers add is left out, as in Lucene since
//! version 8: it changes no order. Lengths are exact; Lucene rounds them to a byte.

use std::cmp::Ordering;

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, f32x16};
use uuid::Uuid;

use crate::segment::{PostingBatch, Postings};
use crate::{DocAddress, DocIdSet, Result, TopK};

/// How soon more occurrences of a term stop counting.
const K1: f32 = 1.2;
/// How much the length of a chunk counts, from 0 to 1.
const B: f32 = 0.75;

/// Scores that are looked at together, as many as a word of a [`DocIdSet`] has bits.
const PART: usize = 64;

/// What all segments that are searched have together, whatever a filter leaves
/// out of them: a filter changes which chunks are found, not their scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectionStatistics {
    /// How many chunks there are.
    pub chunks: u64,
    /// The sum of the lengths of these, in terms.
    pub total_length: u64,
}

/// What one segment has of a question.
#[derive(Clone, Debug)]
pub struct SegmentMatches<'b> {
    /// How many chunks the segment has.
    pub chunk_count: u32,
    /// The postings of each term, in the order of the question's terms.
    pub postings: Vec<Option<Postings<'b>>>,
    /// The chunks that may be found; `None`: all.
    pub allowed: Option<&'b DocIdSet>,
}

/// The `k` best chunks that have a term of the question, the best first; of
/// equally good ones, those with the lower id.
///
/// `weights` says how often each term of the question occurs in it. The terms are
/// in byte order, so that each sum is made in one order and comes out the same
/// however the chunks lie in segments. `id` gives a chunk's id; it is called only
/// where scores are equal.
///
/// Every posting of every term is decoded and scored; there are no skips. The time
/// is proportional to the postings of the question's terms plus the chunks of the
/// segments that have one.
///
/// # Errors
/// If postings are damaged.
pub fn top_k(
    weights: &[u32],
    statistics: CollectionStatistics,
    segments: &[SegmentMatches<'_>],
    k: usize,
    id: impl Fn(DocAddress) -> Uuid,
) -> Result<Vec<(f32, DocAddress)>> {
    let average_length = statistics.total_length as f32 / (statistics.chunks as f32).max(1.0);
    let factors = factors(weights, statistics, segments);
    let mut top = TopK::new(k, |one: &DocAddress, other: &DocAddress| id(*one).cmp(&id(*other)));
    let mut scores = Vec::new();
    let mut batch = PostingBatch::default();
    let level = Level::new();
    for (segment, matches) in (0..).zip(segments) {
        if matches.postings.iter().all(Option::is_none) {
            continue;
        }
        scores.clear();
        scores.resize(matches.chunk_count as usize, 0.0_f32);
        dispatch!(level, simd => {
            for (postings, factor) in matches.postings.iter().zip(&factors) {
                if let Some(postings) = postings {
                    add_scores(postings, matches.chunk_count, *factor, average_length, &mut scores, &mut batch)?;
                }
            }
            push_best(simd, segment, &scores, matches.allowed, &mut top);
            Ok(())
        })?;
    }
    Ok(top.finish())
}

/// What no score for the question reaches: that of a chunk which says each of its
/// terms endlessly often. A score divided by it is the part of the question, by
/// the rarity of its terms, that a chunk is about. 0 where there are no chunks.
pub fn max_score(weights: &[u32], statistics: CollectionStatistics, segments: &[SegmentMatches<'_>]) -> f32 {
    if statistics.chunks == 0 { 0.0 } else { factors(weights, statistics, segments).iter().sum() }
}

fn factors(weights: &[u32], statistics: CollectionStatistics, segments: &[SegmentMatches<'_>]) -> Vec<f32> {
    (0..).zip(weights).map(|(term, weight)| factor(statistics, segments, term, *weight)).collect()
}

/// `weight · idf` of a term.
fn factor(
    statistics: CollectionStatistics,
    segments: &[SegmentMatches<'_>],
    term: usize,
    weight: u32,
) -> f32 {
    let postings = segments.iter().filter_map(|segment| segment.postings.get(term).copied().flatten());
    let with_term = postings.map(|postings| u64::from(postings.count())).sum::<u64>() as f64;
    // The statistics and the segments may have been read at two moments, between
    // which chunks came; the idf must not become the logarithm of less than one.
    let all = (statistics.chunks as f64).max(with_term);
    let idf = (1.0 + (all - with_term + 0.5) / (with_term + 0.5)).ln();
    (idf * f64::from(weight)) as f32
}

/// Adds what one term contributes to the score of each chunk that has it.
#[inline(always)]
fn add_scores(
    postings: &Postings<'_>,
    chunk_count: u32,
    factor: f32,
    average_length: f32,
    scores: &mut [f32],
    batch: &mut PostingBatch,
) -> Result<()> {
    let constant = K1 * (1.0 - B);
    let by_length = if average_length > 0.0 { K1 * B / average_length } else { 0.0 };
    postings.for_each_batch(chunk_count, batch, |batch| {
        let contribution =
            |frequency: f32, length: f32| factor * (frequency / (frequency + constant + by_length * length));
        for (doc, contribution) in batch.score(contribution) {
            if let Some(score) = scores.get_mut(doc as usize) {
                *score += contribution;
            }
        }
    })
}

/// Offers the chunks of a segment that may be among the best: most are worse, which is
/// seen of many at once.
#[inline(always)]
fn push_best<S: Simd, F: Fn(&DocAddress, &DocAddress) -> Ordering>(
    simd: S,
    segment: u32,
    scores: &[f32],
    allowed: Option<&DocIdSet>,
    top: &mut TopK<f32, DocAddress, F>,
) {
    let mut push_part = |block: usize, part: &[f32; PART]| {
        // The least number above 0: of a chunk with no term, the score is 0.
        let least = top.threshold().unwrap_or(f32::from_bits(1));
        let lanes = |lanes: &[f32; 16]| f32x16::simd_from(simd, *lanes).simd_ge(least).to_bitmask();
        let good = part.as_chunks::<16>().0.iter().rev().fold(0, |good, part| good << 16 | lanes(part));
        let mut docs = good & allowed.map_or(u64::MAX, |allowed| allowed.word(block));
        while docs != 0 {
            let place = docs.trailing_zeros();
            docs &= docs - 1;
            if let Some(score) = part.get(place as usize) {
                let doc = u32::try_from(block * PART).unwrap_or(u32::MAX).saturating_add(place);
                top.push(*score, DocAddress { segment, doc });
            }
        }
    };
    let (parts, rest) = scores.as_chunks::<PART>();
    parts.iter().enumerate().for_each(|(block, part)| push_part(block, part));
    let mut last = [0.0; PART];
    last.iter_mut().zip(rest).for_each(|(to, score)| *to = *score);
    push_part(parts.len(), &last);
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::segment::{IndexedChunk, Posting, Segment, SegmentHeader};
    use crate::testing::chunks;

    fn matches<'s>(
        segment: &'s Segment,
        terms: &[&str],
        allowed: Option<&'s DocIdSet>,
    ) -> SegmentMatches<'s> {
        let chunk_count = SegmentHeader::decode(&segment.header).unwrap().chunk_count();
        let postings = terms.iter().map(|term| segment.postings(term).unwrap()).collect();
        SegmentMatches { chunk_count, postings, allowed }
    }

    fn statistics(chunks: &[IndexedChunk]) -> CollectionStatistics {
        let total_length = chunks.iter().map(|chunk| u64::from(chunk.terms.length)).sum();
        CollectionStatistics { chunks: chunks.len() as u64, total_length }
    }

    fn search(
        all: &[IndexedChunk],
        sizes: &[usize],
        terms: &[&str],
        limit: usize,
        only: Option<u32>,
    ) -> Vec<(f32, Uuid)> {
        let mut rest = all;
        let mut segments = Vec::new();
        for size in sizes {
            let (part, after) = rest.split_at(*size);
            segments.push(Segment::build(part, HashMap::new()));
            rest = after;
        }
        segments.push(Segment::build(rest, HashMap::new()));
        let headers: Vec<SegmentHeader> =
            segments.iter().map(|one| SegmentHeader::decode(&one.header).unwrap()).collect();
        let id = |at: DocAddress| headers[at.segment as usize].chunks[at.doc as usize];
        let allowed: Vec<Option<DocIdSet>> = headers
            .iter()
            .map(|header| {
                let is_in =
                    |doc: u32, only: u32| header.chunks[doc as usize].as_u128() % 5 == u128::from(only);
                only.map(|only| DocIdSet::filled(header.chunk_count(), |doc| is_in(doc, only)))
            })
            .collect();
        let matches: Vec<_> = segments
            .iter()
            .zip(&allowed)
            .map(|(one, allowed)| matches(one, terms, allowed.as_ref()))
            .collect();
        let weights = vec![2; terms.len()];
        let found = top_k(&weights, statistics(all), &matches, limit, id).unwrap();
        found.into_iter().map(|(score, at)| (score, id(at))).collect()
    }

    /// The formula, without an index.
    fn naive(all: &[IndexedChunk], terms: &[&str], limit: usize, only: Option<u32>) -> Vec<(f32, Uuid)> {
        let statistics = statistics(all);
        let average = statistics.total_length as f32 / statistics.chunks as f32;
        let frequency = |chunk: &IndexedChunk, term: &str| {
            chunk.terms.counts.iter().find(|(other, _)| other == term).map(|(_, count)| *count as f32)
        };
        let mut scored: Vec<(f32, Uuid)> = Vec::new();
        for chunk in all {
            let mut sum = 0.0;
            for term in terms {
                let found = all.iter().filter(|chunk| frequency(chunk, term).is_some()).count() as f64;
                let idf = (1.0 + (all.len() as f64 - found + 0.5) / (found + 0.5)).ln() * 2.0;
                let Some(tf) = frequency(chunk, term) else { continue };
                let length = chunk.terms.length as f32;
                sum += idf as f32 * (tf / (tf + 1.2 * (0.25 + 0.75 * length / average)));
            }
            if sum > 0.0 && only.is_none_or(|only| chunk.id.as_u128() % 5 == u128::from(only)) {
                scored.push((sum, chunk.id));
            }
        }
        scored.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
        scored.truncate(limit);
        scored
    }

    #[test]
    fn scores_are_those_of_the_formula() {
        let all = chunks(700, 21);
        for terms in [&["w1"][..], &["w0", "w2", "w7"], &["absent", "w1234", "w33"], &[]] {
            for only in [None, Some(2)] {
                let found = search(&all, &[100, 0, 250], terms, 50, only);
                let expected = naive(&all, terms, 50, only);
                assert_eq!(found.len(), expected.len());
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((found.0 - expected.0).abs() < 1e-4, "{found:?} {expected:?}");
                }
            }
        }
    }

    /// Not a bit differs from adding up one posting after the other, and no place.
    #[test]
    fn best_are_those_of_a_plain_loop() {
        let all = chunks(1_500, 8);
        let header = SegmentHeader::decode(&Segment::build(&all, HashMap::new()).header).unwrap();
        for (terms, limit) in
            [(&["w0", "w1", "w2", "w3"][..], 10), (&["w0", "w5", "w40"], 200), (&["w2"], 2_000)]
        {
            for only in [None, Some(2)] {
                let segment = Segment::build(&all, HashMap::new());
                let matches = [matches(&segment, terms, None)];
                let statistics = statistics(&all);
                let factors = factors(&vec![2; terms.len()], statistics, &matches);
                let by_length = K1 * B / (statistics.total_length as f32 / statistics.chunks as f32);
                let mut scores = vec![0.0_f32; all.len()];
                for (postings, factor) in matches[0].postings.iter().zip(&factors) {
                    let add = |posting: Posting| {
                        let frequency = posting.frequency as f32;
                        let sum = frequency + K1 * (1.0 - B) + by_length * posting.length as f32;
                        scores[posting.doc as usize] += factor * (frequency / sum);
                    };
                    postings.unwrap().for_each(1_500, add).unwrap();
                }
                let mut expected: Vec<(f32, Uuid)> =
                    scores.into_iter().zip(header.chunks.iter().copied()).collect();
                expected.retain(|(score, id)| {
                    *score > 0.0 && only.is_none_or(|only| id.as_u128() % 5 == u128::from(only))
                });
                expected.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
                expected.truncate(limit);
                assert_eq!(search(&all, &[], terms, limit, only), expected);
                assert_eq!(search(&all, &[64, 129, 700], terms, limit, only), expected);
            }
        }
    }

    #[test]
    fn no_score_reaches_the_largest() {
        let text = |words: &str| crate::analysis::analyze(words);
        let mut all = chunks(40, 3);
        all[7].terms = text(&"w1 w2 ".repeat(100_000));
        let segment = Segment::build(&all, HashMap::new());
        let terms = ["w1", "w2"];
        let matches = [matches(&segment, &terms, None)];
        let max = max_score(&[2, 2], statistics(&all), &matches);
        let best = search(&all, &[], &terms, 1, None)[0];
        assert_eq!(best.1, all[7].id);
        assert!(best.0 < max && best.0 > 0.95 * max, "{best:?} {max}");
        assert_eq!(max_score(&[], statistics(&all), &[]), 0.0);
    }

    #[test]
    fn segments_make_no_difference() {
        let all = chunks(500, 4);
        let whole = search(&all, &[], &["w0", "w1", "w2"], 40, None);
        assert_eq!(search(&all, &[1, 200, 120], &["w0", "w1", "w2"], 40, None), whole);
    }

    #[test]
    fn equal_scores_are_in_the_order_of_ids() {
        let mut all = chunks(1, 4);
        let terms = all.remove(0).terms;
        let chunk =
            |id: u128| IndexedChunk { id: Uuid::from_u128(id), document: Uuid::nil(), terms: terms.clone() };
        let all: Vec<_> = (0..400).map(|id| chunk(id * 7_919 % 1_000)).collect();
        let word = terms.counts[0].0.as_str();
        let found: Vec<u128> =
            search(&all, &[90], &[word], 20, None).iter().map(|one| one.1.as_u128()).collect();
        let mut expected: Vec<u128> = all.iter().map(|chunk| chunk.id.as_u128()).collect();
        expected.sort_unstable();
        assert_eq!(found, expected[..20]);
    }
}

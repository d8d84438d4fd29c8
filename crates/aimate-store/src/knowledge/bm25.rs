//! Chunks by how much their words say about a question: BM25.
//!
//! As Lucene does it, with k1 = 1.2 and b = 0.75: the sum over the question's
//! terms of `weight · ln(1 + (N − n + ½) / (n + ½)) · tf / (tf + k1 · (1 − b +
//! b · length / average))`. Robertson and Zaragoza 2009, "The Probabilistic
//! Relevance Framework".

use aimate_core::Result;
use uuid::Uuid;

use super::ordinals::Ordinals;
use super::segment::Postings;
use super::top::{Place, Top};

const K1: f32 = 1.2;
const B: f32 = 0.75;

/// What all segments of the collections searched have together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Statistics {
    /// How many chunks.
    pub(super) chunks: u64,
    /// How many terms these have.
    pub(super) total_length: u64,
}

/// What a segment has of the question.
pub(super) struct Matches<'b> {
    /// How many chunks the segment has.
    pub(super) chunks: u32,
    /// The postings of each term, in the order of the question's terms.
    pub(super) postings: Vec<Option<Postings<'b>>>,
    /// The chunks that may be found; `None`: all.
    pub(super) allowed: Option<&'b Ordinals>,
}

/// The `limit` best chunks that have a term of the question, the best first; of
/// equally good ones, those with the lower id.
///
/// `weights` says how often each term of the question occurs in it; the terms
/// are in byte order, so that each sum is made in one order and is the same
/// however the chunks lie in segments. `id` tells a chunk's id; it is asked
/// only where scores are equal. A filter changes no score: terms are as frequent
/// as they are in all chunks.
///
/// # Errors
/// If postings are damaged.
pub(super) fn score(
    weights: &[u32],
    statistics: Statistics,
    segments: &[Matches<'_>],
    limit: usize,
    id: impl Fn(Place) -> Uuid,
) -> Result<Vec<(f32, Place)>> {
    let average = statistics.total_length as f32 / (statistics.chunks as f32).max(1.0);
    let factors: Vec<f32> =
        (0..).zip(weights).map(|(term, weight)| factor(statistics, segments, term, *weight)).collect();
    let mut top = Top::new(limit, |one, other| id(one).cmp(&id(other)));
    let mut scores = Vec::new();
    for (segment, matches) in (0..).zip(segments) {
        if matches.postings.iter().all(Option::is_none) {
            continue;
        }
        scores.clear();
        scores.resize(matches.chunks as usize, 0.0_f32);
        for (postings, factor) in matches.postings.iter().zip(&factors) {
            if let Some(postings) = postings {
                add(postings, matches.chunks, *factor, average, &mut scores)?;
            }
        }
        for (ordinal, score) in (0..).zip(&scores) {
            if *score > 0.0 && matches.allowed.is_none_or(|allowed| allowed.contains(ordinal)) {
                top.push(*score, Place { segment, ordinal });
            }
        }
    }
    Ok(top.finish())
}

/// What a term that occurs in every other word of a chunk would add.
fn factor(statistics: Statistics, segments: &[Matches<'_>], term: usize, weight: u32) -> f32 {
    let postings = segments.iter().filter_map(|segment| segment.postings.get(term).copied().flatten());
    let found = postings.map(|postings| u64::from(postings.count())).sum::<u64>() as f64;
    // Segments and statistics are not read at one moment.
    let all = (statistics.chunks as f64).max(found);
    let rarity = (1.0 + (all - found + 0.5) / (found + 0.5)).ln();
    (rarity * f64::from(weight)) as f32
}

fn add(postings: &Postings<'_>, chunks: u32, factor: f32, average: f32, scores: &mut [f32]) -> Result<()> {
    let constant = K1 * (1.0 - B);
    let by_length = if average > 0.0 { K1 * B / average } else { 0.0 };
    postings.each(chunks, |posting| {
        let frequency = posting.frequency as f32;
        let saturation = frequency / (frequency + constant + by_length * posting.length as f32);
        if let Some(score) = scores.get_mut(posting.ordinal as usize) {
            *score += factor * saturation;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::segment::{Header, Segment, SegmentChunk, build, find, tests::chunks};

    fn matches<'s>(segment: &'s Segment, terms: &[&str], allowed: Option<&'s Ordinals>) -> Matches<'s> {
        let look_up = |term: &&str| {
            let block = segment.blocks.iter().rev().find(|(first, _)| first.as_slice() <= term.as_bytes())?;
            find(&block.1, term).unwrap()
        };
        let header = Header::decode(&segment.header).unwrap();
        let postings = terms.iter().map(look_up).collect();
        Matches { chunks: u32::try_from(header.chunks.len()).unwrap(), postings, allowed }
    }

    fn statistics(chunks: &[SegmentChunk]) -> Statistics {
        let total_length = chunks.iter().map(|chunk| u64::from(chunk.terms.length)).sum();
        Statistics { chunks: chunks.len() as u64, total_length }
    }

    fn search(
        all: &[SegmentChunk],
        sizes: &[usize],
        terms: &[&str],
        limit: usize,
        only: Option<u32>,
    ) -> Vec<(f32, Uuid)> {
        let mut rest = all;
        let mut segments = Vec::new();
        for size in sizes {
            let (part, after) = rest.split_at(*size);
            segments.push(build(part));
            rest = after;
        }
        segments.push(build(rest));
        let headers: Vec<Header> = segments.iter().map(|one| Header::decode(&one.header).unwrap()).collect();
        let id = |place: Place| headers[place.segment as usize].chunks[place.ordinal as usize];
        let allowed: Vec<Option<Ordinals>> = headers
            .iter()
            .map(|header| {
                let count = u32::try_from(header.chunks.len()).unwrap();
                let chosen = |only: u32| {
                    Ordinals::of(count, |one| header.chunks[one as usize].as_u128() % 5 == u128::from(only))
                };
                only.map(chosen)
            })
            .collect();
        let matches: Vec<_> = segments
            .iter()
            .zip(&allowed)
            .map(|(one, allowed)| matches(one, terms, allowed.as_ref()))
            .collect();
        let weights = vec![2; terms.len()];
        let found = score(&weights, statistics(all), &matches, limit, id).unwrap();
        found.into_iter().map(|(score, place)| (score, id(place))).collect()
    }

    /// The formula, without an index.
    fn naive(all: &[SegmentChunk], terms: &[&str], limit: usize, only: Option<u32>) -> Vec<(f32, Uuid)> {
        let statistics = statistics(all);
        let average = statistics.total_length as f32 / statistics.chunks as f32;
        let frequency = |chunk: &SegmentChunk, term: &str| {
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
            if sum > 0.0 && only.is_none_or(|only| chunk.chunk.as_u128() % 5 == u128::from(only)) {
                scored.push((sum, chunk.chunk));
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
        let chunk = |id: u128| SegmentChunk {
            chunk: Uuid::from_u128(id),
            document: Uuid::nil(),
            terms: terms.clone(),
        };
        let all: Vec<_> = (0..400).map(|id| chunk(id * 7_919 % 1_000)).collect();
        let word = terms.counts[0].0.as_str();
        let found: Vec<u128> =
            search(&all, &[90], &[word], 20, None).iter().map(|one| one.1.as_u128()).collect();
        let mut expected: Vec<u128> = all.iter().map(|chunk| chunk.chunk.as_u128()).collect();
        expected.sort_unstable();
        assert_eq!(found, expected[..20]);
    }
}

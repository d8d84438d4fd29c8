//! What holds for every index, beside one that is kept in plain maps.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "these are tests"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use aimate_index::analysis::Terms;
use aimate_index::bm25::{CollectionStatistics, SegmentMatches, top_k};
use aimate_index::segment::{Posting, extract_term};
use aimate_index::{DocAddress, DocIdSet, IndexedChunk, Segment, SegmentHeader};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use uuid::Uuid;

/// The terms of some chunks, few enough that chunks share them.
fn terms() -> impl Strategy<Value = Terms> {
    let term = prop_oneof![8 => "[ab]{1,3}", 1 => "[a-c]{1,40}", 1 => select(vec!["é".to_owned(), "漢字".to_owned()])];
    (btree_map(term, 1..5_u32, 0..12), 0..50_u32)
        .prop_map(|(counts, length)| Terms { counts: counts.into_iter().collect(), length })
}

/// Chunks of a few documents.
fn chunks() -> impl Strategy<Value = Vec<IndexedChunk>> {
    vec((terms(), 0..6_u128), 0..30).prop_map(|chunks| {
        let chunk = |(id, (terms, document)): (u128, (Terms, u128))| IndexedChunk {
            // Ids in another order than the chunks.
            id: Uuid::from_u128(id * 7_919 % 1_009),
            document: Uuid::from_u128(document),
            terms,
        };
        (1..).zip(chunks).map(chunk).collect()
    })
}

fn build(chunks: &[IndexedChunk]) -> Segment {
    Segment::build(chunks, HashMap::new())
}

/// The chunks in several segments, which may be empty.
fn segments(chunks: &[IndexedChunk], cuts: &[Index]) -> Vec<Segment> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(chunks.len() + 1)).collect();
    cuts.sort_unstable();
    let mut from = 0;
    let mut parts = Vec::new();
    for to in cuts.into_iter().chain([chunks.len()]) {
        parts.push(build(&chunks[from..to]));
        from = to;
    }
    parts
}

/// The index as a map.
fn naive(chunks: &[IndexedChunk]) -> BTreeMap<&str, Vec<Posting>> {
    let mut index = BTreeMap::<&str, Vec<Posting>>::new();
    for (doc, chunk) in (0..).zip(chunks) {
        for (term, frequency) in &chunk.terms.counts {
            let posting = Posting { doc, frequency: *frequency, length: chunk.terms.length };
            index.entry(term).or_default().push(posting);
        }
    }
    index
}

fn postings(segment: &Segment, term: &str) -> Vec<Posting> {
    let count = SegmentHeader::decode(&segment.header).unwrap().chunk_count();
    let mut all = Vec::new();
    if let Some(postings) = segment.postings(term).unwrap() {
        postings.for_each(count, |posting| all.push(posting)).unwrap();
        assert_eq!(all.len(), postings.count() as usize);
    }
    all
}

proptest! {
    #[test]
    fn segment_has_the_postings_of_its_chunks(chunks in chunks(), other in "[a-d]{1,4}") {
        let segment = build(&chunks);
        let expected = naive(&chunks);
        for (term, expected) in &expected {
            prop_assert_eq!(&postings(&segment, term), expected);
            let block = segment.blocks.iter().rfind(|block| block.first_term.as_slice() <= term.as_bytes());
            let mut alone = segment.clone();
            alone.blocks.retain(|one| Some(one) == block);
            alone.blocks[0].bytes = extract_term(&block.unwrap().bytes, term).unwrap().unwrap();
            alone.blocks[0].first_term = term.as_bytes().to_vec();
            prop_assert_eq!(&postings(&alone, term), expected);
        }
        prop_assert_eq!(postings(&segment, &other), expected.get(other.as_str()).cloned().unwrap_or_default());
    }

    #[test]
    fn header_has_the_chunks_with_their_documents(chunks in chunks()) {
        let segment = build(&chunks);
        let header = SegmentHeader::decode(&segment.header).unwrap();
        prop_assert_eq!(&header.encode(), &segment.header);
        prop_assert_eq!(header.total_length, chunks.iter().map(|chunk| u64::from(chunk.terms.length)).sum());
        let read = (0..chunks.len()).map(|doc| {
            (header.chunks[doc], header.documents[header.document_of[doc] as usize], header.lengths[doc])
        });
        prop_assert!(read.eq(chunks.iter().map(|chunk| (chunk.id, chunk.document, chunk.terms.length))));
        let once: BTreeSet<_> = header.documents.iter().collect();
        prop_assert_eq!(once.len(), header.documents.len());
    }

    #[test]
    fn merging_is_building_from_all(chunks in chunks(), cuts in vec(any::<Index>(), 0..6)) {
        prop_assert_eq!(Segment::merge(&segments(&chunks, &cuts)).unwrap(), build(&chunks));
    }

    #[test]
    fn taking_documents_out_is_building_without_them(chunks in chunks(), gone in vec(0..8_u128, 0..5)) {
        let gone: HashSet<Uuid> = gone.into_iter().map(Uuid::from_u128).collect();
        let left: Vec<_> = chunks.iter().filter(|chunk| !gone.contains(&chunk.document)).cloned().collect();
        let expected = (!left.is_empty()).then(|| build(&left));
        prop_assert_eq!(build(&chunks).without(&gone).unwrap(), expected);
    }

    #[test]
    fn bm25_is_its_formula_however_chunks_lie_in_segments(
        chunks in chunks(),
        cuts in vec(any::<Index>(), 0..6),
        question in btree_map("[ab]{1,3}", 1..4_u32, 0..5),
        allowed in proptest::option::of(vec(any::<bool>(), 30)),
        limit in 0..12_usize,
    ) {
        let allowed: Option<HashSet<Uuid>> = allowed.map(|allowed| {
            let chosen = chunks.iter().zip(allowed).filter(|(_, is_in)| *is_in);
            chosen.map(|(chunk, _)| chunk.id).collect()
        });
        let question: Vec<(String, u32)> = question.into_iter().collect();
        let found = search(&segments(&chunks, &cuts), &question, allowed.as_ref(), limit);
        // Not a bit differs where all chunks lie in one.
        prop_assert_eq!(&found, &search(&[build(&chunks)], &question, allowed.as_ref(), limit));
        let expected = by_formula(&chunks, &question, allowed.as_ref(), limit);
        prop_assert_eq!(found.len(), expected.len());
        for ((score, id), (expected, _)) in found.iter().zip(&expected) {
            prop_assert!((score - expected).abs() <= 1e-4 * expected.abs(), "{score} {expected}");
            prop_assert!(chunks.iter().any(|chunk| chunk.id == *id));
        }
        let in_order = |one: &(f32, Uuid), other: &(f32, Uuid)| {
            one.0 > other.0 || (one.0 == other.0 && one.1 < other.1)
        };
        prop_assert!(found.is_sorted_by(in_order), "{found:?}");
    }
}

fn search(
    segments: &[Segment],
    question: &[(String, u32)],
    allowed: Option<&HashSet<Uuid>>,
    limit: usize,
) -> Vec<(f32, Uuid)> {
    let headers: Vec<_> =
        segments.iter().map(|segment| SegmentHeader::decode(&segment.header).unwrap()).collect();
    let sets: Vec<Option<DocIdSet>> = headers
        .iter()
        .map(|header| {
            let is_in = |allowed: &HashSet<Uuid>| {
                DocIdSet::filled(header.chunk_count(), |doc| allowed.contains(&header.chunks[doc as usize]))
            };
            allowed.map(is_in)
        })
        .collect();
    let matches: Vec<_> = segments
        .iter()
        .zip(&headers)
        .zip(&sets)
        .map(|((segment, header), allowed)| SegmentMatches {
            chunk_count: header.chunk_count(),
            postings: question.iter().map(|(term, _)| segment.postings(term).unwrap()).collect(),
            allowed: allowed.as_ref(),
        })
        .collect();
    let statistics = CollectionStatistics {
        chunks: headers.iter().map(|header| u64::from(header.chunk_count())).sum(),
        total_length: headers.iter().map(|header| header.total_length).sum(),
    };
    let weights: Vec<u32> = question.iter().map(|(_, weight)| *weight).collect();
    let id = |at: DocAddress| headers[at.segment as usize].chunks[at.doc as usize];
    let best = top_k(&weights, statistics, &matches, limit, id).unwrap();
    best.into_iter().map(|(score, at)| (score, id(at))).collect()
}

/// Robertson's formula, as Lucene writes it, over all chunks, in double precision.
fn by_formula(
    chunks: &[IndexedChunk],
    question: &[(String, u32)],
    allowed: Option<&HashSet<Uuid>>,
    limit: usize,
) -> Vec<(f32, Uuid)> {
    let (k1, b) = (1.2, 0.75);
    let count = chunks.len() as f64;
    let average = chunks.iter().map(|chunk| f64::from(chunk.terms.length)).sum::<f64>() / count;
    let frequency = |chunk: &IndexedChunk, term: &str| {
        chunk.terms.counts.iter().find(|(other, _)| other == term).map_or(0.0, |(_, n)| f64::from(*n))
    };
    let mut scored: Vec<(f32, Uuid)> = Vec::new();
    for chunk in chunks.iter().filter(|chunk| allowed.is_none_or(|allowed| allowed.contains(&chunk.id))) {
        let mut score = 0.0;
        for (term, weight) in question {
            let with_it = chunks.iter().filter(|chunk| frequency(chunk, term) > 0.0).count() as f64;
            let rarity = (1.0 + (count - with_it + 0.5) / (with_it + 0.5)).ln();
            let tf = frequency(chunk, term);
            let length = if average > 0.0 { f64::from(chunk.terms.length) / average } else { 0.0 };
            score += f64::from(*weight) * rarity * tf / (tf + k1 * (1.0 - b + b * length));
        }
        if score > 0.0 {
            scored.push((score as f32, chunk.id));
        }
    }
    scored.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
    scored.truncate(limit);
    scored
}

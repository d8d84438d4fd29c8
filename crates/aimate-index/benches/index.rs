//! What the parts of a search cost, each beside a plain way to do the same in the
//! same run: `cargo bench -p aimate-index`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "these are benches"
)]

use std::collections::HashMap;
use std::hint::black_box;

use aimate_index::analysis::{Terms, analyze, analyze_as_written, analyze_query};
use aimate_index::bm25::{self, CollectionStatistics, SegmentMatches};
use aimate_index::quantize::{self, Candidate, CodeBlocks, CodeScanner};
use aimate_index::segment::Posting;
use aimate_index::{DocAddress, DocIdSet, IndexedChunk, Segment, SegmentHeader, TopK, half_vector};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use fearless_simd::{Level, dispatch};
use uuid::Uuid;

fn main() {
    divan::main();
}

/// Chunks of the segment that is searched, and of each that is merged.
const CHUNKS: usize = 8_192;
/// Chunks of each of the segments of a million.
const SEGMENT: usize = 20_000;
const DIMENSIONS: usize = 384;
const BEST: usize = 500;
const QUESTION: &str = "w0 w1 w7 w40 w900";

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 33
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn vector(&mut self) -> Vec<f32> {
        (0..DIMENSIONS).map(|_| self.below(2_001) as f32 / 1_000.0 - 1.0).collect()
    }
}

/// A passage of some 120 words, of which some are frequent.
fn text(random: &mut Random) -> String {
    let words = (0..100 + random.below(40)).map(|_| {
        let range = [8, 80, 5_000][random.below(3) as usize];
        format!("w{}", random.below(range))
    });
    words.collect::<Vec<_>>().join(" ")
}

fn chunks(count: usize) -> Vec<IndexedChunk> {
    let mut random = Random(7);
    let chunk = |id: usize| IndexedChunk {
        id: Uuid::from_u128(id as u128 + 1),
        document: Uuid::from_u128(id as u128 / 10 + 1),
        terms: analyze(&text(&mut random)),
    };
    (0..count).map(chunk).collect()
}

fn build(chunks: &[IndexedChunk]) -> Segment {
    Segment::build(chunks, HashMap::new())
}

fn statistics(chunks: &[IndexedChunk]) -> CollectionStatistics {
    let total_length = chunks.iter().map(|chunk| u64::from(chunk.terms.length)).sum();
    CollectionStatistics { chunks: chunks.len() as u64, total_length }
}

mod words {
    use super::*;

    #[divan::bench]
    fn bm25_of_a_segment(bencher: Bencher<'_, '_>) {
        let chunks = chunks(CHUNKS);
        let segment = build(&chunks);
        let (terms, weights): (Vec<String>, Vec<u32>) = analyze_query(QUESTION).counts.into_iter().unzip();
        let statistics = statistics(&chunks);
        bencher.counter(ItemsCount::new(CHUNKS)).bench_local(|| {
            let postings = terms.iter().map(|term| segment.postings(term).unwrap()).collect();
            let matches = SegmentMatches { chunk_count: CHUNKS as u32, postings, allowed: None };
            let id = |at: DocAddress| chunks[at.doc as usize].id;
            bm25::top_k(&weights, statistics, &[matches], BEST, id).unwrap()
        });
    }

    /// The ranks of a question's words, which are as frequent as Zipf's law says. Of
    /// twelve words, six are frequent and two are rare.
    fn ranks(words: u64) -> &'static [u64] {
        match words {
            3 => &[30, 90, 200],
            _ => &[25, 40, 70, 110, 170, 260, 400, 800, 1_500, 2_800, 10_000, 30_000],
        }
    }

    /// A million chunks of 60 to 150 words, of which only the words of `ranks` are in
    /// the index.
    fn million(ranks: &[u64]) -> (Vec<Segment>, CollectionStatistics) {
        let mut random = Random(11);
        let mut total_length = 0;
        let mut segment = |number: usize| {
            let chunk = |id: usize| {
                let length = 60 + random.below(91);
                total_length += length;
                let often = |rank: &u64| {
                    // The sum of 1/n up to 50,000 is 11.4.
                    let one_in = rank * 114 / 10;
                    let count = (0..length).filter(|_| random.below(one_in) == 0).count() as u32;
                    (count > 0).then(|| (format!("w{rank:05}"), count))
                };
                let counts = ranks.iter().filter_map(often).collect();
                IndexedChunk {
                    id: Uuid::from_u128((number * SEGMENT + id) as u128),
                    document: Uuid::from_u128(id as u128 / 10),
                    terms: Terms { counts, length: length as u32 },
                }
            };
            build(&(0..SEGMENT).map(chunk).collect::<Vec<_>>())
        };
        let segments = (0..1_000_000 / SEGMENT).map(&mut segment).collect();
        (segments, CollectionStatistics { chunks: 1_000_000, total_length })
    }

    fn matches_of<'s>(segments: &'s [Segment], ranks: &[u64]) -> Vec<SegmentMatches<'s>> {
        let postings = |segment: &'s Segment, rank: &u64| segment.postings(&format!("w{rank:05}")).unwrap();
        let matches = |segment: &'s Segment| SegmentMatches {
            chunk_count: SEGMENT as u32,
            postings: ranks.iter().map(|rank| postings(segment, rank)).collect(),
            allowed: None,
        };
        segments.iter().map(matches).collect()
    }

    fn id(at: DocAddress) -> Uuid {
        Uuid::from_u128(u128::from(at.segment) << 64 | u128::from(at.doc))
    }

    #[divan::bench(args = [3, 12], sample_count = 40)]
    fn bm25_of_a_million(bencher: Bencher<'_, '_>, words: u64) {
        let (segments, statistics) = million(ranks(words));
        let weights = vec![1; words as usize];
        bencher.bench_local(|| {
            let matches = matches_of(&segments, ranks(words));
            bm25::top_k(&weights, statistics, &matches, 100, id).unwrap()
        });
    }

    /// One posting after the other, then one chunk after the other.
    #[divan::bench(args = [3, 12], sample_count = 40)]
    fn bm25_of_a_million_plain(bencher: Bencher<'_, '_>, words: u64) {
        let (segments, statistics) = million(ranks(words));
        let by_length = 1.2 * 0.75 * statistics.chunks as f32 / statistics.total_length as f32;
        bencher.bench_local(|| {
            let matches = matches_of(&segments, ranks(words));
            let factor = |term: usize| {
                let count: u32 =
                    matches.iter().filter_map(|one| one.postings[term]).map(|one| one.count()).sum();
                ((1e6 - count as f32 + 0.5) / (count as f32 + 0.5)).ln_1p()
            };
            let factors: Vec<f32> = (0..words as usize).map(factor).collect();
            let mut top = TopK::new(100, |one: &DocAddress, other: &DocAddress| id(*one).cmp(&id(*other)));
            let mut scores = Vec::new();
            for (segment, matches) in (0..).zip(&matches) {
                scores.clear();
                scores.resize(SEGMENT, 0.0_f32);
                for (postings, factor) in matches.postings.iter().zip(&factors) {
                    let add = |posting: Posting| {
                        let frequency = posting.frequency as f32;
                        let saturation = frequency / (frequency + 0.3 + by_length * posting.length as f32);
                        scores[posting.doc as usize] += factor * saturation;
                    };
                    postings.map(|postings| postings.for_each(SEGMENT as u32, add)).transpose().unwrap();
                }
                for (doc, score) in (0..).zip(&scores) {
                    if *score > 0.0 {
                        top.push(*score, DocAddress { segment, doc });
                    }
                }
            }
            top.finish()
        });
    }

    /// The formula over the terms of every chunk.
    #[divan::bench]
    fn bm25_of_a_segment_naive(bencher: Bencher<'_, '_>) {
        let chunks = chunks(CHUNKS);
        let question = analyze_query(QUESTION);
        let statistics = statistics(&chunks);
        let frequency = |terms: &Terms, term: &String| {
            let at = terms.counts.binary_search_by(|(other, _)| other.cmp(term)).ok()?;
            Some(terms.counts[at].1 as f32)
        };
        bencher.counter(ItemsCount::new(CHUNKS)).bench_local(|| {
            let average = statistics.total_length as f32 / statistics.chunks as f32;
            let mut scores = vec![0.0_f32; chunks.len()];
            for (term, weight) in &question.counts {
                let found =
                    chunks.iter().filter(|chunk| frequency(&chunk.terms, term).is_some()).count() as f32;
                let idf = (1.0 + (chunks.len() as f32 - found + 0.5) / (found + 0.5)).ln() * *weight as f32;
                for (chunk, score) in chunks.iter().zip(&mut scores) {
                    let Some(tf) = frequency(&chunk.terms, term) else { continue };
                    *score += idf * tf / (tf + 1.2 * (0.25 + 0.75 * chunk.terms.length as f32 / average));
                }
            }
            let mut scores: Vec<_> = scores.into_iter().zip(&chunks).collect();
            scores.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.id.cmp(&other.1.id)));
            scores.truncate(BEST);
            scores.len()
        });
    }

    #[divan::bench]
    fn analysis(bencher: Bencher<'_, '_>) {
        let text = text(&mut Random(3));
        bencher.counter(BytesCount::of_str(&text)).bench_local(|| analyze(black_box(&text)));
    }

    /// A message on its way into the index of conversations, which is stored with it.
    #[divan::bench]
    fn segment_of_a_message(bencher: Bencher<'_, '_>) {
        let text = text(&mut Random(3));
        bencher.counter(BytesCount::of_str(&text)).bench_local(|| {
            let terms = analyze_as_written(black_box(&text));
            build(&[IndexedChunk { id: Uuid::from_u128(1), document: Uuid::from_u128(2), terms }])
        });
    }

    /// Words between spaces, counted as they are written.
    #[divan::bench]
    fn analysis_naive(bencher: Bencher<'_, '_>) {
        let text = text(&mut Random(3));
        bencher.counter(BytesCount::of_str(&text)).bench_local(|| {
            let mut counts: HashMap<&str, u32> = HashMap::new();
            black_box(&text).split(' ').for_each(|word| *counts.entry(word).or_default() += 1);
            let mut counts: Vec<(String, u32)> =
                counts.into_iter().map(|(word, count)| (word.to_owned(), count)).collect();
            counts.sort_unstable();
            counts
        });
    }
}

mod segments {
    use super::*;

    /// A rare term in the middle of its block of 16 KiB.
    #[divan::bench]
    fn find_postings(bencher: Bencher<'_, '_>) {
        let chunks = chunks(CHUNKS);
        let segment = build(&chunks);
        bencher.counter(ItemsCount::new(4_920_u32)).bench_local(|| {
            (80..5_000).filter(|word| segment.postings(&format!("w{word}")).unwrap().is_some()).count()
        });
    }

    /// All postings of a frequent term.
    #[divan::bench]
    fn decode_postings(bencher: Bencher<'_, '_>) {
        let segment = build(&chunks(CHUNKS));
        let postings = segment.postings("w0").unwrap().unwrap();
        bencher.counter(ItemsCount::new(postings.count())).bench_local(|| {
            let mut sum = 0_u64;
            let add = |posting: Posting| {
                sum += u64::from(posting.doc ^ posting.frequency ^ posting.length);
            };
            black_box(postings).for_each(CHUNKS as u32, add).unwrap();
            sum
        });
    }

    /// The same postings, not encoded: 12 bytes each instead of about 3.
    #[divan::bench]
    fn decode_postings_naive(bencher: Bencher<'_, '_>) {
        let segment = build(&chunks(CHUNKS));
        let mut plain = Vec::new();
        let postings = segment.postings("w0").unwrap().unwrap();
        postings.for_each(CHUNKS as u32, |posting| plain.push(posting)).unwrap();
        bencher.counter(ItemsCount::new(plain.len())).bench_local(|| {
            let plain = black_box(&plain).iter();
            plain.map(|posting| u64::from(posting.doc ^ posting.frequency ^ posting.length)).sum::<u64>()
        });
    }

    #[divan::bench]
    fn decode_header(bencher: Bencher<'_, '_>) {
        let header = build(&chunks(CHUNKS)).header;
        bencher
            .counter(ItemsCount::new(CHUNKS))
            .bench_local(|| SegmentHeader::decode(black_box(&header)).unwrap());
    }

    /// Eight segments into one.
    #[divan::bench]
    fn merge(bencher: Bencher<'_, '_>) {
        let chunks = chunks(CHUNKS);
        let segments: Vec<Segment> = chunks.chunks(CHUNKS / 8).map(build).collect();
        bencher.counter(ItemsCount::new(CHUNKS)).bench_local(|| Segment::merge(&segments).unwrap());
    }

    /// The same segment out of the terms of all chunks.
    #[divan::bench]
    fn merge_naive(bencher: Bencher<'_, '_>) {
        let chunks = chunks(CHUNKS);
        bencher.counter(ItemsCount::new(CHUNKS)).bench_local(|| build(&chunks));
    }
}

mod vectors {
    use super::*;

    fn codes() -> (Vec<u8>, Vec<f32>) {
        let mut random = Random(5);
        let mut codes = Vec::new();
        (0..CHUNKS).for_each(|_| quantize::encode(&random.vector(), &mut codes));
        (codes, random.vector())
    }

    fn blocks(codes: &[u8]) -> CodeBlocks {
        CodeBlocks::of(codes, quantize::code_length(DIMENSIONS)).unwrap()
    }

    /// What a segment costs when it comes into memory.
    #[divan::bench]
    fn lay_out_codes(bencher: Bencher<'_, '_>) {
        let (codes, _) = codes();
        bencher.counter(ItemsCount::new(CHUNKS)).bench_local(|| blocks(black_box(&codes)));
    }

    /// As many codes as fit into a processor's caches, and as many as do not.
    #[divan::bench(args = [1, 128])]
    fn scan_codes(bencher: Bencher<'_, '_>, segments: usize) {
        let (codes, question) = codes();
        let segments: Vec<CodeBlocks> = (0..segments).map(|_| blocks(&codes)).collect();
        bencher.counter(ItemsCount::new(segments.len() * CHUNKS)).bench_local(|| {
            let mut scanner = CodeScanner::new(&question, BEST);
            for (id, codes) in (0..).zip(&segments) {
                scanner.scan(Uuid::from_u128(id), codes, None).unwrap();
            }
            scanner.finish()
        });
    }

    /// One of so many documents of ten chunks, of as many codes as do not fit.
    #[divan::bench(args = [1, 2, 10, 20, 100])]
    fn scan_codes_filtered(bencher: Bencher<'_, '_>, share: u32) {
        let (codes, question) = codes();
        let segments: Vec<CodeBlocks> = (0..128).map(|_| blocks(&codes)).collect();
        let allowed = DocIdSet::filled(CHUNKS as u32, |doc| doc / 10 % share == 0);
        bencher.counter(ItemsCount::new(segments.len() * CHUNKS)).bench_local(|| {
            let mut scanner = CodeScanner::new(&question, BEST);
            for (id, codes) in (0..).zip(&segments) {
                scanner.scan(Uuid::from_u128(id), codes, Some(&allowed)).unwrap();
            }
            scanner.finish()
        });
    }

    /// One code after the other as they are stored, by the bit planes of the question.
    #[divan::bench(args = [1, 128])]
    fn scan_codes_by_planes(bencher: Bencher<'_, '_>, segments: usize) {
        const PLANES: usize = 5;
        let (codes, question) = codes();
        let segments: Vec<Vec<u8>> = (0..segments).map(|_| codes.clone()).collect();
        let planes: Vec<[u64; PLANES]> = question
            .chunks(64)
            .map(|part| {
                let mut planes = [0_u64; PLANES];
                for value in part.iter().rev() {
                    let rounded = ((value + 1.0) * 15.5).round() as u64;
                    planes
                        .iter_mut()
                        .enumerate()
                        .for_each(|(bit, plane)| *plane = *plane << 1 | (rounded >> bit & 1));
                }
                planes
            })
            .collect();
        let nearness = |code: &[u8]| {
            let (pairs, _) = code.as_chunks::<16>();
            let (mut weighted, mut ones) = (0, 0);
            for (pair, planes) in pairs.iter().zip(&planes) {
                let [signs, sizes] =
                    [0, 8].map(|at| u64::from_le_bytes(pair[at..at + 8].try_into().unwrap()));
                ones += 2 * signs.count_ones() + sizes.count_ones();
                for (bit, plane) in planes.iter().enumerate() {
                    weighted += (2 * (signs & plane).count_ones() + (sizes & plane).count_ones()) << bit;
                }
            }
            2 * weighted as i32 - 31 * ones as i32
        };
        bencher.counter(ItemsCount::new(segments.len() * CHUNKS)).bench_local(|| {
            let mut top = TopK::new(BEST, Candidate::cmp);
            dispatch!(Level::new(), _simd => for (id, codes) in (0..).zip(&segments) {
                for (doc, code) in (0..).zip(codes.chunks_exact(quantize::code_length(DIMENSIONS))) {
                    top.push(nearness(code), Candidate { segment: Uuid::from_u128(id), doc });
                }
            });
            top.finish()
        });
    }

    /// The exact comparison with every vector.
    #[divan::bench]
    fn scan_codes_naive(bencher: Bencher<'_, '_>) {
        let mut random = Random(5);
        let vectors: Vec<Vec<f32>> = (0..CHUNKS).map(|_| random.vector()).collect();
        let question = random.vector();
        bencher.counter(ItemsCount::new(CHUNKS)).bench_local(|| {
            let mut top = TopK::new(BEST, |one: &usize, other: &usize| one.cmp(other));
            for (doc, vector) in vectors.iter().enumerate() {
                top.push(half_vector::dot(&question, vector), doc);
            }
            top.finish()
        });
    }
}

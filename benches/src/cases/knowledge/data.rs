//! Chunks, vectors and questions that are the same in every run and process.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::json;

use super::random::Random;
use super::words::Vocabulary;
use crate::Result;

/// Numbers of a vector.
pub(super) const DIMENSIONS: usize = 384;
/// Chunks of a document.
pub(super) const OF_DOCUMENT: usize = 10;
/// Documents are in this many buckets; the filter keeps one of them.
pub(super) const BUCKETS: usize = 100;
/// The bucket that the filter keeps.
pub(super) const KEPT: usize = 7;
/// Hits that recall is about.
pub(super) const HITS: usize = 10;
/// Directions that vectors lie around at most.
const MAX_CLUSTERS: usize = 1_000;
/// Chunks around one direction, up to that.
const OF_CLUSTER: usize = 100;
/// How far from its cluster's direction a vector is: the cosine is about .8.
const NOISE: f32 = 0.75;

/// The bucket of a chunk's document.
pub(super) fn bucket(chunk: usize) -> usize {
    chunk / OF_DOCUMENT % BUCKETS
}

/// Unit vectors around clusters.
pub(super) struct Space {
    centres: Vec<f32>,
}

impl Space {
    /// The space of so many chunks.
    pub(super) fn new(chunks: usize) -> Self {
        let mut random = Random::new(0x5eed);
        let clusters = (chunks / OF_CLUSTER).clamp(1, MAX_CLUSTERS);
        let mut centres = Vec::with_capacity(clusters * DIMENSIONS);
        for _ in 0..clusters {
            let centre: Vec<f32> = (0..DIMENSIONS).map(|_| random.normal()).collect();
            push_unit(&mut centres, &centre);
        }
        Self { centres }
    }

    fn cluster(&self, random: &mut Random) -> usize {
        random.below(self.centres.len() / DIMENSIONS)
    }

    /// Appends a vector of a cluster.
    fn push(&self, random: &mut Random, cluster: usize, vectors: &mut Vec<f32>) {
        let scale = NOISE / (DIMENSIONS as f32).sqrt();
        let centre = &self.centres[cluster * DIMENSIONS..(cluster + 1) * DIMENSIONS];
        let vector: Vec<f32> = centre.iter().map(|x| x + scale * random.normal()).collect();
        push_unit(vectors, &vector);
    }

    /// `count` vectors, each of a cluster by chance.
    pub(super) fn vectors(&self, seed: u64, count: usize) -> Vec<Vec<f32>> {
        let mut random = Random::new(seed);
        let mut one = || {
            let mut vector = Vec::with_capacity(DIMENSIONS);
            let cluster = self.cluster(&mut random);
            self.push(&mut random, cluster, &mut vector);
            vector
        };
        (0..count).map(|_| one()).collect()
    }
}

fn push_unit(vectors: &mut Vec<f32>, vector: &[f32]) {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vectors.extend(vector.iter().map(|x| x / length));
}

/// What is searched.
pub(super) struct Data {
    pub(super) texts: Vec<String>,
    /// One after the other, [`DIMENSIONS`] each.
    vectors: Vec<f32>,
    pub(super) questions: Vec<Question>,
}

/// What is looked for.
pub(super) struct Question {
    pub(super) vector: Vec<f32>,
    /// Three words that many chunks have (ranks 20 to 300).
    pub(super) frequent: Vec<String>,
    /// Three words of ranks 300 to 3,000.
    pub(super) mid: Vec<String>,
    /// Twelve words: six as the first, four as the second, two that are rare.
    pub(super) long: Vec<String>,
    /// The chunks nearest to `vector`, best first.
    pub(super) truth: Vec<usize>,
    /// The same where the filter holds.
    pub(super) filtered_truth: Vec<usize>,
}

impl Data {
    /// `count` chunks of 60 to 150 words and their vectors, the chunks of a
    /// document in one cluster.
    pub(super) fn new(count: usize, questions: usize) -> Self {
        let (space, vocabulary, mut random) =
            (Space::new(count), Vocabulary::new(), Random::new(count as u64));
        let mut texts = Vec::with_capacity(count);
        let mut vectors = Vec::with_capacity(count * DIMENSIONS);
        let mut cluster = 0;
        for chunk in 0..count {
            if chunk % OF_DOCUMENT == 0 {
                cluster = space.cluster(&mut random);
            }
            let words = 60 + random.below(91);
            texts.push(vocabulary.text(&mut random, words));
            space.push(&mut random, cluster, &mut vectors);
        }
        let mut data = Self { texts, vectors, questions: self::questions(&space, &vocabulary, questions) };
        data.find_truth();
        data
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    pub(super) fn vector(&self, chunk: usize) -> &[f32] {
        &self.vectors[chunk * DIMENSIONS..(chunk + 1) * DIMENSIONS]
    }

    /// Brute force over the f32 vectors.
    fn find_truth(&mut self) {
        let mut questions = std::mem::take(&mut self.questions);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = questions.len().div_ceil(threads).max(1);
        let data = &*self;
        std::thread::scope(|scope| {
            for some in questions.chunks_mut(share) {
                scope.spawn(move || some.iter_mut().for_each(|question| data.nearest(question)));
            }
        });
        self.questions = questions;
    }

    fn nearest(&self, question: &mut Question) {
        let mut scored: Vec<(f32, usize)> = self
            .vectors
            .chunks_exact(DIMENSIONS)
            .map(|vector| dot(vector, &question.vector))
            .zip(0..)
            .collect();
        scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let all = scored.iter().map(|(_, chunk)| *chunk);
        question.truth = all.clone().take(HITS).collect();
        question.filtered_truth = all.filter(|chunk| bucket(*chunk) == KEPT).take(HITS).collect();
    }

    /// Writes all of it for a program in another language: `vectors.f32` and
    /// `queries.f32` (little-endian, one after the other), `texts.json`,
    /// `questions.json`.
    pub(super) fn write(&self, folder: &Path) -> Result {
        std::fs::create_dir_all(folder)?;
        write_floats(&folder.join("vectors.f32"), &self.vectors)?;
        let queries: Vec<f32> = self.questions.iter().flat_map(|q| q.vector.iter().copied()).collect();
        write_floats(&folder.join("queries.f32"), &queries)?;
        let question = |q: &Question| json!({"text": q.long.join(" "), "truth": q.truth, "filtered_truth": q.filtered_truth});
        let about = json!({
            "dimensions": DIMENSIONS, "of_document": OF_DOCUMENT, "buckets": BUCKETS, "kept": KEPT,
            "questions": self.questions.iter().map(question).collect::<Vec<_>>(),
        });
        serde_json::to_writer(BufWriter::new(File::create(folder.join("questions.json"))?), &about)?;
        serde_json::to_writer(BufWriter::new(File::create(folder.join("texts.json"))?), &self.texts)?;
        Ok(())
    }
}

/// `count` questions, without what is nearest to them.
pub(super) fn questions(space: &Space, vocabulary: &Vocabulary, count: usize) -> Vec<Question> {
    let mut random = Random::new(0xa5c);
    let mut words = |ranks: std::ops::Range<usize>, count: usize| -> Vec<String> {
        (0..count).map(|_| vocabulary.word(ranks.start + random.below(ranks.len())).to_owned()).collect()
    };
    space
        .vectors(0x9e57, count)
        .into_iter()
        .map(|vector| Question {
            vector,
            frequent: words(20..300, 3),
            mid: words(300..3_000, 3),
            long: [words(20..300, 6), words(300..3_000, 4), words(3_000..Vocabulary::WORDS, 2)].concat(),
            truth: Vec::new(),
            filtered_truth: Vec::new(),
        })
        .collect()
}

/// In lanes, which compilers turn into vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}

fn write_floats(path: &Path, floats: &[f32]) -> Result {
    let mut file = BufWriter::new(File::create(path)?);
    for float in floats {
        file.write_all(&float.to_le_bytes())?;
    }
    Ok(file.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_is_near_and_kept_by_the_filter() {
        let data = Data::new(2_000, 3);
        assert_eq!(data.vector(7).len(), DIMENSIONS);
        assert!((dot(data.vector(7), data.vector(7)) - 1.0).abs() < 1e-4);
        for question in &data.questions {
            let score = |chunk: &usize| dot(data.vector(*chunk), &question.vector);
            assert!(question.truth.is_sorted_by(|a, b| score(a) >= score(b)));
            assert!((0..2_000).all(|chunk| score(&chunk) <= score(&question.truth[0])));
            assert_eq!(question.filtered_truth.len(), HITS);
            assert!(question.filtered_truth.iter().all(|chunk| bucket(*chunk) == KEPT));
        }
    }
}

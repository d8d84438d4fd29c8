//! Comparing what two searches found for the same questions.

use std::collections::HashMap;
use std::path::Path;

use aimate::knowledge::SearchMode;
use aimate::{Error, Result};

use super::data::Dataset;
use super::score::{Score, percentile, ranked, score};

/// Samples of a bootstrap.
const SAMPLES: usize = 10_000;
/// Draws of all samples together at most: the samples are fewer where the questions are many.
const MAX_DRAWS: usize = 200_000_000;
/// Samples at least.
const MIN_SAMPLES: usize = 1_000;

/// How much better one search is than another, over the same questions.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Difference {
    /// The mean of the differences.
    pub(crate) mean: f64,
    /// The lower end of the interval of 95 %.
    pub(crate) low: f64,
    /// Its upper end.
    pub(crate) high: f64,
}

impl Difference {
    /// Whether chance alone hardly makes it.
    pub(crate) fn is_significant(self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// The differences of one comparison.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Comparison {
    /// What is compared.
    pub(crate) name: String,
    /// With what.
    pub(crate) with: String,
    #[serde(rename = "ndcg@10")]
    pub(crate) ndcg: Difference,
    #[serde(rename = "recall@10")]
    pub(crate) recall_10: Difference,
    #[serde(rename = "recall@100")]
    pub(crate) recall_100: Difference,
    #[serde(rename = "mrr@10")]
    pub(crate) mrr: Difference,
}

/// Scores by question; one without an answer has none.
pub(crate) type Scores = HashMap<String, Score>;

/// Compares two searches over the judged questions of a dataset.
pub(crate) fn compare(
    dataset: &Dataset,
    (name, scores): (&str, &Scores),
    (with, others): (&str, &Scores),
) -> Comparison {
    let none = Score::default();
    // In one order: the same figures give the same interval.
    let mut questions: Vec<&String> = dataset.judgements.keys().collect();
    questions.sort_unstable();
    let difference = |of: fn(&Score) -> f64| {
        let each = |id: &&String| of(scores.get(*id).unwrap_or(&none)) - of(others.get(*id).unwrap_or(&none));
        bootstrap(&questions.iter().map(each).collect::<Vec<_>>())
    };
    Comparison {
        name: name.to_owned(),
        with: with.to_owned(),
        ndcg: difference(|score| score.ndcg),
        recall_10: difference(|score| score.recall_10),
        recall_100: difference(|score| score.recall_100),
        mrr: difference(|score| score.mrr),
    }
}

/// The mean of paired differences, with the percentile interval of its bootstrap (Efron and
/// Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).
#[allow(clippy::cast_precision_loss, reason = "the number of questions")]
fn bootstrap(differences: &[f64]) -> Difference {
    let count = differences.len();
    if count == 0 {
        return Difference { mean: 0.0, low: 0.0, high: 0.0 };
    }
    let mean = |sum: f64| sum / count as f64;
    let samples = (MAX_DRAWS / count).clamp(MIN_SAMPLES, SAMPLES);
    let mut random = Random(0x5EED);
    let means: Vec<f64> = (0..samples)
        .map(|_| mean((0..count).filter_map(|_| differences.get(random.below(count))).sum()))
        .collect();
    let (low, high) = (percentile(&means, 0.025), percentile(&means, 0.975));
    Difference { mean: mean(differences.iter().sum()), low, high }
}

/// SplitMix64: the same numbers each time.
struct Random(u64);

impl Random {
    /// A number below `count`, each as likely as any other but for one part in 2^64 / `count`.
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let scaled = (u128::from(z) * count as u128) >> 64;
        usize::try_from(scaled).unwrap_or(0)
    }
}

/// What a search found before.
pub(crate) struct EarlierRun {
    /// Its mode, if a folder says it.
    pub(crate) mode: Option<SearchMode>,
    pub(crate) name: String,
    pub(crate) scores: Scores,
}

impl EarlierRun {
    /// The runs of a folder that `--run-dir` wrote, or that of one file.
    ///
    /// # Errors
    /// `Invalid`, naming file and line, if there is none; `Unavailable` if it cannot be read.
    pub(crate) fn read(path: &Path, dataset: &Dataset) -> Result<Vec<Self>> {
        let run = |mode: Option<SearchMode>, path: &Path| {
            let scores = read_run(path, dataset)?;
            Ok(Self { mode, name: path.display().to_string(), scores })
        };
        if !path.is_dir() {
            return Ok(vec![run(None, path)?]);
        }
        let modes = [SearchMode::Text, SearchMode::Vector, SearchMode::Hybrid];
        let files = modes.map(|mode| (mode, path.join(format!("{mode}.trec"))));
        let there = files.iter().filter(|(_, path)| path.exists());
        let runs: Vec<Self> = there.map(|(mode, path)| run(Some(*mode), path)).collect::<Result<_>>()?;
        if runs.is_empty() {
            let path = path.display();
            return Err(Error::invalid(format!("{path} has no `text.trec`, `vector.trec` or `hybrid.trec`")));
        }
        Ok(runs)
    }
}

/// The scores of a run in the format of TREC, as `--run-dir` writes it.
///
/// # Errors
/// `Invalid`, naming the line, if it is none; `Unavailable` if it cannot be read.
fn read_run(path: &Path, dataset: &Dataset) -> Result<Scores> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::unavailable(format!("cannot read {}: {error}", path.display())).with_source(error)
    })?;
    let mut lists: HashMap<&str, Vec<(String, f32)>> = HashMap::new();
    for (n, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let read = match fields.as_slice() {
            [query, _, document, _, score, ..] => {
                score.parse().ok().map(|score: f32| (*query, *document, score))
            }
            _ => None,
        };
        let (query, document, score) = read.filter(|(.., score)| score.is_finite()).ok_or_else(|| {
            let path = path.display();
            Error::invalid(format!("{path}, line {n}: expected `QUERY Q0 DOCUMENT RANK SCORE NAME`"))
        })?;
        lists.entry(query).or_default().push((document.to_owned(), score));
    }
    let known = lists.keys().filter(|id| dataset.judgements.contains_key(**id)).count();
    if known == 0 {
        let path = path.display();
        return Err(Error::invalid(format!("{path} has none of the collection's questions")));
    }
    let scored = dataset.judgements.iter().filter_map(|(id, judged)| {
        let list = lists.remove(id.as_str())?;
        Some((id.clone(), score(&ranked(list), judged)))
    });
    Ok(scored.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_holds_the_mean_and_tells_chance_from_more() {
        let better: Vec<f64> = (0..100).map(|n| if n % 4 == 0 { 0.0 } else { 0.2 }).collect();
        let found = bootstrap(&better);
        assert!((found.mean - 0.15).abs() < 1e-9 && found.is_significant(), "{found:?}");
        assert!(found.low < found.mean && found.mean < found.high, "{found:?}");
        // The standard error is sqrt(p (1 - p) / n) of 0.2: about ±0.017.
        assert!((0.012..0.022).contains(&(found.high - found.mean)), "{found:?}");
        let chance: Vec<f64> = (0..100).map(|n| if n % 2 == 0 { -0.2 } else { 0.2 }).collect();
        assert!(!bootstrap(&chance).is_significant());
        assert_eq!(bootstrap(&better), found, "the same figures give the same interval");
        assert!(!bootstrap(&[]).is_significant() && !bootstrap(&[0.0; 5]).is_significant());
    }

    #[test]
    fn numbers_are_below_their_bound_and_all_come() {
        let mut random = Random(1);
        let mut seen = [0_u32; 7];
        for _ in 0..7_000 {
            seen[random.below(7)] += 1;
        }
        assert!(seen.iter().all(|count| (850..1_150).contains(count)), "{seen:?}");
    }
}

//! One search after the other, each timed.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::data::Question;
use crate::Result;
use crate::load::{Spread, nanoseconds};

/// Searches of a measurement at least.
const LEAST: usize = 10;

/// What a way to search costs and finds.
#[derive(Default)]
pub(super) struct Measured {
    pub(super) spread: Spread,
    /// The share of the nearest vectors that were found.
    pub(super) recall: f64,
    pub(super) count: usize,
}

/// Asks all questions, or as many as can be asked in the time. The first ones are
/// asked twice, to warm up: a twentieth, or what a quarter of the time allows.
pub(super) async fn measure(
    questions: &[Question],
    filtered: bool,
    max: Duration,
    search: impl AsyncFn(&Question) -> Result<Vec<usize>>,
) -> Result<Measured> {
    let (mut times, mut right, mut wanted) = (Vec::new(), 0, 0);
    let begun = Instant::now();
    for question in questions.iter().take((questions.len() / 20).max(1)) {
        search(question).await?;
        if begun.elapsed() > max / 4 {
            break;
        }
    }
    for question in questions {
        let asked = Instant::now();
        let found = search(question).await?;
        times.push(nanoseconds(asked.elapsed()));
        let truth = if filtered { &question.filtered_truth } else { &question.truth };
        let found: HashSet<usize> = found.into_iter().take(truth.len()).collect();
        right += truth.iter().filter(|place| found.contains(place)).count();
        wanted += truth.len();
        if begun.elapsed() > max && times.len() >= LEAST {
            break;
        }
    }
    let count = times.len();
    let recall = right as f64 / wanted.max(1) as f64;
    Ok(Measured { spread: Spread::new(times), recall, count })
}

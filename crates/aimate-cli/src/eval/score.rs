//! Scores of a ranked list, as `trec_eval` and BEIR compute them.

use std::collections::HashSet;

use super::data::Judgements;

/// How well one list, or many on average, answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub(crate) struct Score {
    /// Gain of the first ten, discounted by rank, as a share of the best
    /// possible; the gain is the grade itself.
    #[serde(rename = "ndcg@10")]
    pub(crate) ndcg: f64,
    /// The share of relevant documents among the first ten.
    #[serde(rename = "recall@10")]
    pub(crate) recall_10: f64,
    /// The share of relevant documents among the first hundred.
    #[serde(rename = "recall@100")]
    pub(crate) recall_100: f64,
    /// 1 / the rank of the first relevant document among the first ten, else 0.
    #[serde(rename = "mrr@10")]
    pub(crate) mrr: f64,
}

/// Documents in the order in which they count: each once, at its best rank;
/// equal scores by id, greatest first, as `trec_eval` does.
pub(crate) fn ranked(hits: impl IntoIterator<Item = (String, f32)>) -> Vec<(String, f32)> {
    let mut seen = HashSet::new();
    let mut once: Vec<_> = hits.into_iter().filter(|(id, _)| seen.insert(id.clone())).collect();
    once.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| b.0.cmp(&a.0)));
    once
}

/// Scores one list.
pub(crate) fn score(list: &[(String, f32)], judged: &Judgements) -> Score {
    let grade = |id: &String| judged.get(id).copied().unwrap_or(0);
    let is_relevant = |(id, _): &&(String, f32)| grade(id) > 0;
    let mut best: Vec<_> = judged.values().copied().filter(|grade| *grade > 0).collect();
    best.sort_unstable_by(|a, b| b.cmp(a));
    #[allow(clippy::cast_precision_loss, reason = "a list of at most 200")]
    let relevant = best.len().max(1) as f64;
    #[allow(clippy::cast_precision_loss, reason = "a list of at most 200")]
    let recall = |k: usize| list.iter().take(k).filter(is_relevant).count() as f64 / relevant;
    let first = list.iter().take(10).position(|hit| is_relevant(&hit));
    let ideal = gain(best.into_iter());
    Score {
        ndcg: if ideal > 0.0 { gain(list.iter().map(|(id, _)| grade(id).max(0))) / ideal } else { 0.0 },
        recall_10: recall(10),
        recall_100: recall(100),
        #[allow(clippy::cast_precision_loss, reason = "at most 10")]
        mrr: first.map_or(0.0, |at| 1.0 / (at + 1) as f64),
    }
}

/// The discounted gain of the first ten grades.
fn gain(grades: impl Iterator<Item = i64>) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "grades are small")]
    let gains = (2_u32..).zip(grades.take(10)).map(|(at, grade)| grade as f64 / f64::from(at).log2());
    gains.sum()
}

/// The mean of each score over `count` queries.
#[allow(clippy::cast_precision_loss, reason = "the number of queries")]
pub(crate) fn mean(scores: &[Score], count: usize) -> Score {
    let mean = |of: fn(&Score) -> f64| scores.iter().map(of).sum::<f64>() / count.max(1) as f64;
    Score {
        ndcg: mean(|score| score.ndcg),
        recall_10: mean(|score| score.recall_10),
        recall_100: mean(|score| score.recall_100),
        mrr: mean(|score| score.mrr),
    }
}

/// The value below which `share` of the values lie (nearest rank).
pub(crate) fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a list"
    )]
    let place = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(ids: &[&str]) -> Vec<(String, f32)> {
        let count = u16::try_from(ids.len()).unwrap();
        (0..count).rev().map(f32::from).zip(ids).map(|(score, id)| ((*id).to_owned(), score)).collect()
    }

    #[test]
    fn scores_are_those_of_trec_eval() {
        let judged = Judgements::from([("a".into(), 3), ("b".into(), 1), ("c".into(), 0)]);
        let found = score(&list(&["c", "b", "x", "a"]), &judged);
        // (1/log2 3 + 3/log2 5) / (3/log2 2 + 1/log2 3)
        assert!((found.ndcg - 0.529_605).abs() < 1e-6, "{found:?}");
        assert_eq!((found.recall_10, found.recall_100, found.mrr), (1.0, 1.0, 0.5));
        let late = score(&list(&["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "a"]), &judged);
        assert_eq!((late.ndcg, late.recall_10, late.recall_100, late.mrr), (0.0, 0.0, 0.5, 0.0));
        assert_eq!(score(&[], &judged), Score::default());
    }

    #[test]
    fn document_counts_once_and_ties_go_by_id() {
        let hits = [("a", 0.9), ("b", 0.5), ("c", 0.5), ("a", 0.1)].map(|(id, score)| (id.to_owned(), score));
        let ids: Vec<_> = ranked(hits).into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, ["a", "c", "b"]);
    }

    #[test]
    fn query_without_an_answer_counts_as_nothing() {
        let half = mean(&[Score { ndcg: 1.0, ..Score::default() }], 2);
        assert_eq!(half.ndcg, 0.5);
    }

    #[test]
    fn percentiles_are_values_of_the_list() {
        let values: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!((percentile(&values, 0.5), percentile(&values, 0.95)), (10.0, 19.0));
        assert_eq!(percentile(&[], 0.5), 0.0);
    }
}

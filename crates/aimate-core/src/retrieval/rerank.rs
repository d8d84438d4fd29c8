//! Reranking: the best candidates ordered by a model that reads question and
//! passage together.

use std::time::Duration;

use tokio::time::timeout;

use super::KnowledgeSearch;
use super::fuse::Candidate;
use crate::caught::caught;
use crate::error::Result;
use crate::knowledge::{Chunk, Reranker, SearchRequest};

/// Candidates that a reranker reads at most.
const MAX_RERANKED: usize = 50;

impl KnowledgeSearch<'_> {
    /// Orders the best candidates by the reranker, if there is one and the
    /// request wants it; returns whether it was asked. What goes wrong is a
    /// warning: the order of the fusion is a good answer too.
    pub(super) async fn rerank(
        &self,
        request: &SearchRequest,
        candidates: &mut [Candidate],
        warnings: &mut Vec<String>,
    ) -> Result<bool> {
        let Some(reranker) = self.reranker else {
            if request.rerank == Some(true) {
                warnings.push("there is no reranker: set one up with the builder".to_owned());
            }
            return Ok(false);
        };
        let head = candidates.len().min(MAX_RERANKED);
        let Some(best) = candidates.get_mut(..head) else { return Ok(false) };
        if request.rerank == Some(false) || best.is_empty() {
            return Ok(false);
        }
        let passages = self.passages(best.iter().map(|candidate| candidate.chunk)).await?;
        // Passages that were deleted meanwhile go to the end: they have no text
        // to be read.
        best.sort_by_key(|candidate| !passages.contains_key(&candidate.chunk));
        let readable = best.iter().filter_map(|candidate| passages.get(&candidate.chunk));
        let texts: Vec<_> = readable
            .map(|passage| Chunk::index_text(&passage.title, &passage.chunk.headings, &passage.chunk.text))
            .collect();
        match scores(reranker, &request.query, &texts).await {
            Ok(scores) => order(best, scores),
            Err(why) => warnings.push(format!("the hits are not reranked: {why}")),
        }
        Ok(true)
    }
}

/// How long a reranker may take.
const RERANK_PATIENCE: Duration = Duration::from_secs(60);

/// The reranker's scores, one finite number for each text, or why there are none.
async fn scores(reranker: &dyn Reranker, query: &str, texts: &[String]) -> Result<Vec<f32>, String> {
    let reading = async { reranker.rerank(query, texts).await };
    let scores = match timeout(RERANK_PATIENCE, caught(reading)).await {
        Ok(Ok(scores)) => scores.map_err(|error| error.to_string())?,
        Ok(Err(panic)) => {
            tracing::error!(%panic, reranker = reranker.name(), "a reranker panicked");
            return Err(format!("`{}` broke down: it panicked", reranker.name()));
        }
        Err(_) => {
            return Err(format!("`{}` took longer than {} s", reranker.name(), RERANK_PATIENCE.as_secs()));
        }
    };
    if scores.len() == texts.len() && scores.iter().all(|score| score.is_finite()) {
        return Ok(scores);
    }
    Err(format!("`{}` gave {} scores for {} passages", reranker.name(), scores.len(), texts.len()))
}

/// Orders the candidates by these scores, which are those of the first of them;
/// the others follow by their fused score.
fn order(candidates: &mut [Candidate], scores: Vec<f32>) {
    let are_odds = scores.iter().any(|score| !(0.0..=1.0).contains(score));
    for (candidate, score) in candidates.iter_mut().zip(scores) {
        candidate.explain.rerank = Some(score);
        // Some servers give what their model makes before its last step.
        candidate.reranked = Some(if are_odds { 1.0 / (1.0 + (-score).exp()) } else { score });
    }
    candidates.sort_by(|a, b| {
        let score = |c: &Candidate| c.explain.rerank.unwrap_or(f32::NEG_INFINITY);
        score(b).total_cmp(&score(a)).then(b.score.total_cmp(&a.score))
    });
}

//! A cross-encoder that runs in this process: it reads a question and a passage
//! together, and says how well the one answers the other.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aimate_core::knowledge::Reranker;
use aimate_core::{Error, Result};
use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::bert::{Bert, Scratch};
use super::compute_pool::ComputePool;
use super::folder::{Architecture, ModelFolder};
use super::safetensors::Weights;
use super::tokenizer::Tokenizer;
use super::{StopOnDrop, batches};

/// Maximum tokens of a question and a passage together, as in the library that such
/// models are trained with.
const MAX_TOKENS: usize = 512;

/// A cross-encoder with one score (`BertForSequenceClassification` or its kind of
/// XLM-RoBERTa), such as ms-marco-MiniLM-L6-v2 or bge-reranker-base, on the CPU.
///
/// Scores are from 0 to 1. Clones share the model and the threads.
#[derive(Clone)]
pub struct LocalReranker {
    loaded: Arc<LoadedReranker>,
    pool: Arc<ComputePool>,
    permits: Arc<Semaphore>,
}

struct LoadedReranker {
    name: String,
    bert: Bert,
    head: Head,
    tokenizer: Tokenizer,
    is_roberta: bool,
}

impl LocalReranker {
    /// Loads a model from its folder. Blocks for about a second.
    ///
    /// # Errors
    /// `Invalid` if a file is missing, damaged or not supported, or the model gives
    /// another number of scores than one.
    pub fn open(dir: &Path) -> Result<Self> {
        let folder = ModelFolder::open(dir)?;
        let (tokenizer, _) = folder.tokenizer()?;
        let mut weights = folder.weights()?;
        let wrong = |why: &str| Error::invalid(format!("`{}`: {why}", dir.display()));
        let Architecture::Bert(config) = &folder.architecture else {
            return Err(wrong("static embeddings cannot rerank; a cross-encoder is needed"));
        };
        let bert = Bert::load(config, &mut weights, MAX_TOKENS)?;
        let head = Head::load(&mut weights, bert.dimensions())?;
        let largest = usize::try_from(tokenizer.largest()).unwrap_or(usize::MAX);
        if largest >= bert.vocabulary() {
            return Err(wrong("tokenizer.json and the weights belong to different models"));
        }
        let is_roberta = config.unused_positions() > 0;
        let loaded =
            LoadedReranker { name: format!("local/{}", folder.name()), bert, head, tokenizer, is_roberta };
        if loaded.room() < 2 {
            return Err(wrong("the table of positions leaves no room for words"));
        }
        let pool = ComputePool::with_default_threads()?;
        let permits = Arc::new(Semaphore::new(pool.threads()));
        Ok(Self { loaded: Arc::new(loaded), pool: Arc::new(pool), permits })
    }

    /// Returns one score for each passage, in order: from 0 to 1, a higher one is better.
    /// Blocks: async code should use [`Reranker::rerank`].
    ///
    /// # Errors
    /// `Internal` if the weights produce numbers that are not finite.
    pub fn scores(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>> {
        self.run(query, passages, &AtomicBool::new(false))
    }

    fn run(&self, query: &str, passages: &[&str], stop: &AtomicBool) -> Result<Vec<f32>> {
        let model = &*self.loaded;
        let query = model.tokenizer.bare(query, model.room());
        let pairs: Vec<(Vec<u32>, usize)> =
            passages.iter().map(|passage| model.pair(&query, passage)).collect();
        let texts: Vec<Vec<u32>> = pairs.iter().map(|(tokens, _)| tokens.clone()).collect();
        let (order, batches) = batches(&texts, self.pool.threads());
        let mut numbers = order.iter();
        let jobs: Vec<(Vec<&[u32]>, Vec<usize>)> = batches
            .into_iter()
            .map(|batch| {
                let seconds = numbers.by_ref().take(batch.len()).filter_map(|number| pairs.get(*number));
                let seconds = seconds.map(|(_, second)| *second).collect();
                (batch, seconds)
            })
            .collect();
        let score = |scratch: &mut Scratch, (texts, seconds): &(Vec<&[u32]>, Vec<usize>)| {
            if stop.load(Ordering::Relaxed) {
                return Ok(Vec::new());
            }
            let rows = model.bert.first_rows(texts, seconds, scratch)?;
            rows.iter().map(|row| model.head.score(row)).collect::<Result<Vec<f32>>>()
        };
        let mut scores = vec![0.0; passages.len()];
        let mut order = order.into_iter();
        for batch in self.pool.map(&jobs, Scratch::default, score) {
            for (score, number) in batch?.into_iter().zip(order.by_ref()) {
                if let Some(place) = scores.get_mut(number) {
                    *place = score;
                }
            }
        }
        Ok(scores)
    }
}

impl LoadedReranker {
    /// Tokens that a question and a passage may have, without those around them.
    fn room(&self) -> usize {
        let Tokenizer { before, behind, .. } = &self.tokenizer;
        let separators = if self.is_roberta { 3 } else { 2 };
        self.bert.max_tokens().saturating_sub(before.len() + separators * behind.len())
    }

    /// The tokens of both, and where those of the second kind begin. What is too long is cut
    /// where it is longer.
    fn pair(&self, query: &[u32], passage: &str) -> (Vec<u32>, usize) {
        let Tokenizer { before, behind, .. } = &self.tokenizer;
        let room = self.room();
        let passage = self.tokenizer.bare(passage, room);
        let half = room.div_ceil(2);
        let query_room = half.max(room.saturating_sub(passage.len()));
        let query = query.get(..query.len().min(query_room)).unwrap_or_default();
        let passage = passage.get(..passage.len().min(room - query.len())).unwrap_or_default();
        let mut tokens = [before.as_slice(), query, behind].concat();
        // XLM-RoBERTa marks the border twice, and knows no second kind.
        let second = if self.is_roberta { usize::MAX } else { tokens.len() };
        if self.is_roberta {
            tokens.extend(behind);
        }
        tokens.extend(passage);
        tokens.extend(behind);
        (tokens, second)
    }
}

#[async_trait]
impl Reranker for LocalReranker {
    fn name(&self) -> &str {
        &self.loaded.name
    }

    async fn rerank(&self, query: &str, passages: &[String]) -> Result<Vec<f32>> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let (reranker, stop) = (self.clone(), StopOnDrop::default());
        let (query, passages, stopped) = (query.to_owned(), passages.to_vec(), Arc::clone(&stop.0));
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let passages: Vec<&str> = passages.iter().map(String::as_str).collect();
            reranker.run(&query, &passages, &stopped)
        });
        work.await.map_err(|error| Error::internal("the local reranker failed").with_source(error))?
    }
}

/// What makes a score of the first token.
struct Head {
    dense: Vec<f32>,
    dense_bias: Vec<f32>,
    out: Vec<f32>,
    out_bias: f32,
}

impl Head {
    fn load(weights: &mut Weights, hidden: usize) -> Result<Self> {
        let is_roberta = weights.has("classifier.out_proj.weight");
        let pooler =
            if weights.has("bert.pooler.dense.weight") { "bert.pooler.dense" } else { "pooler.dense" };
        let (dense, out) =
            if is_roberta { ("classifier.dense", "classifier.out_proj") } else { (pooler, "classifier") };
        Ok(Self {
            dense: weights.read(&format!("{dense}.weight"), &[hidden, hidden])?,
            dense_bias: weights.read(&format!("{dense}.bias"), &[hidden])?,
            out: weights.read(&format!("{out}.weight"), &[1, hidden])?,
            out_bias: weights.read(&format!("{out}.bias"), &[1])?.first().copied().unwrap_or_default(),
        })
    }

    fn score(&self, row: &[f32]) -> Result<f32> {
        let mut logit = self.out_bias;
        let neurons = self.dense.chunks_exact(row.len().max(1)).zip(&self.dense_bias).zip(&self.out);
        for ((weights, bias), out) in neurons {
            let sum: f32 = weights.iter().zip(row).map(|(weight, number)| weight * number).sum();
            logit += out * (sum + bias).tanh();
        }
        if !logit.is_finite() {
            return Err(Error::internal("the model produced a score that is not finite"));
        }
        Ok(1.0 / (1.0 + (-logit).exp()))
    }
}

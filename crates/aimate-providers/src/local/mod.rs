//! Embeddings computed in this process: a sentence-transformer of the BERT
//! family, read from its folder.
//!
//! ```no_run
//! let embedder = aimate_providers::local::LocalEmbedder::open("models/all-MiniLM-L6-v2".as_ref())?;
//! let vectors = embedder.embed(&["A man is eating food.", "Someone has lunch."])?;
//! assert_eq!(vectors[0].len(), embedder.dimensions());
//! # Ok::<(), aimate_core::Error>(())
//! ```

mod bert;
mod compute_pool;
mod folder;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod safetensors;
mod scripts;
mod tokenizer;
mod wordpiece;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aimate_core::knowledge::{EmbedPurpose, Embedder, EmbeddingModel, Scripts};
use aimate_core::{Error, Result};
use async_trait::async_trait;
use tokio::sync::Semaphore;

use bert::{Bert, Scratch};
use compute_pool::ComputePool;
use folder::{ModelFolder, Pooling, PromptPrefixes};
use wordpiece::Tokenizer;

/// Maximum tokens of a batch, the job of one thread. Smaller ones read the
/// weights more often, larger ones overflow the CPU cache, and a query waits for
/// one batch at most.
const BATCH_TOKENS: usize = 256;
/// Tokens below which a single text runs on one thread: splitting it costs more
/// than it saves.
const MIN_PARALLEL_TOKENS: usize = 48;
/// Concurrent query calls per thread.
const QUERIES_PER_THREAD: usize = 4;

/// A sentence-transformer that runs in this process, on the CPU.
///
/// It runs models of the BERT family, such as all-MiniLM, bge, e5 and gte in
/// their small and base sizes. Vectors have length 1. Clones share the model and
/// the threads.
#[derive(Clone)]
pub struct LocalEmbedder {
    loaded: Arc<LoadedModel>,
    pool: Arc<ComputePool>,
    passage_permits: Arc<Semaphore>,
    query_permits: Arc<Semaphore>,
}

struct LoadedModel {
    name: String,
    model: EmbeddingModel,
    bert: Bert,
    tokenizer: Tokenizer,
    scripts: Scripts,
    pooling: Pooling,
    prompts: PromptPrefixes,
}

impl LocalEmbedder {
    /// Loads a model from its folder. Blocks for about a second.
    ///
    /// # Errors
    /// `Invalid` if a file is missing, damaged or not supported; the message
    /// names the file.
    pub fn open(dir: &Path) -> Result<Self> {
        let folder = ModelFolder::open(dir)?;
        let (tokenizer, json) = folder.tokenizer()?;
        let mut weights = folder.weights()?;
        let version = folder.version(&mut weights, &json)?;
        let bert = Bert::load(&folder.config, &mut weights, folder.max_tokens)?;
        let largest = usize::try_from(tokenizer.largest()).unwrap_or(usize::MAX);
        if largest >= bert.vocabulary() {
            return Err(Error::invalid(format!(
                "`{}`: tokenizer.json has the token {largest} and the weights have {} tokens; they belong to different models",
                dir.display(),
                bert.vocabulary()
            )));
        }
        if bert.max_tokens() <= tokenizer.encode("", 0).len() {
            return Err(Error::invalid(format!(
                "`{}`: a text may have {} tokens, which leaves none for words; max_seq_length or the table of positions is wrong",
                dir.display(),
                bert.max_tokens()
            )));
        }
        let name = folder.name();
        let dimensions = u32::try_from(bert.dimensions()).unwrap_or(u32::MAX);
        let model = EmbeddingModel { name: format!("local/{name}"), dimensions, version };
        let ModelFolder { pooling, prompts, .. } = folder;
        let scripts = scripts::scripts(tokenizer.vocabulary());
        let loaded = LoadedModel { name, model, bert, tokenizer, scripts, pooling, prompts };
        Ok(Self::with(Arc::new(loaded), ComputePool::with_default_threads()?))
    }

    /// Sets the number of threads. Default: one per core, at most 16.
    ///
    /// # Errors
    /// `Unavailable` if the threads cannot be started.
    pub fn threads(self, threads: usize) -> Result<Self> {
        Ok(Self::with(self.loaded, ComputePool::new(threads)?))
    }

    fn with(loaded: Arc<LoadedModel>, pool: ComputePool) -> Self {
        let threads = pool.threads();
        Self {
            loaded,
            passage_permits: Arc::new(Semaphore::new(threads)),
            query_permits: Arc::new(Semaphore::new(threads * QUERIES_PER_THREAD)),
            pool: Arc::new(pool),
        }
    }

    /// Returns the name of the model, usually that of its folder.
    pub fn name(&self) -> &str {
        &self.loaded.name
    }

    /// Returns the number of dimensions of a vector.
    pub fn dimensions(&self) -> usize {
        self.loaded.bert.dimensions()
    }

    /// Returns the maximum tokens of a text, special tokens included; longer texts
    /// are truncated.
    pub fn max_tokens(&self) -> usize {
        self.loaded.bert.max_tokens()
    }

    /// Returns 16 hex digits that change whenever the vectors of the model would.
    pub fn version(&self) -> &str {
        &self.loaded.model.version
    }

    /// Returns the number of tokens of `text`, special tokens included.
    pub fn count_tokens(&self, text: &str) -> usize {
        self.loaded.tokenizer.count(text)
    }

    /// Returns one vector of length 1 for each text, in order. Blocks: async code
    /// should use [`Embedder::embed`].
    ///
    /// # Errors
    /// `Internal` if the weights produce numbers that are not finite.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.run(texts, &AtomicBool::new(false))
    }

    fn run(&self, texts: &[&str], stop: &AtomicBool) -> Result<Vec<Vec<f32>>> {
        let LoadedModel { bert, tokenizer, pooling, .. } = &*self.loaded;
        let texts: Vec<Vec<u32>> =
            texts.iter().map(|text| tokenizer.encode(text, bert.max_tokens())).collect();
        let (order, batches) = batches(&texts, self.pool.threads());
        let embed = |scratch: &mut Scratch, batch: &Vec<&[u32]>| {
            if stop.load(Ordering::Relaxed) { Ok(Vec::new()) } else { bert.embed(batch, *pooling, scratch) }
        };
        let done = match batches.as_slice() {
            [] => return Ok(Vec::new()),
            [batch] => {
                let tokens: usize = batch.iter().map(|text| text.len()).sum();
                let job = || embed(&mut Scratch::default(), batch);
                vec![if tokens < MIN_PARALLEL_TOKENS {
                    self.pool.run_one(job)
                } else {
                    self.pool.run_parallel(job)
                }]
            }
            batches => self.pool.map(batches, Scratch::default, embed),
        };
        let mut vectors: Vec<(usize, Vec<f32>)> = Vec::with_capacity(texts.len());
        let mut order = order.into_iter();
        for batch in done {
            vectors.extend(order.by_ref().zip(batch?));
        }
        vectors.sort_unstable_by_key(|(number, _)| *number);
        Ok(vectors.into_iter().map(|(_, vector)| vector).collect())
    }
}

/// Groups texts into batches of one thread each, the longest first, so that no
/// thread is still busy with a long one at the end. Returns the index of each
/// text in that order, and the batches.
fn batches(texts: &[Vec<u32>], threads: usize) -> (Vec<usize>, Vec<Vec<&[u32]>>) {
    let mut order: Vec<(usize, &[u32])> = texts.iter().map(Vec::as_slice).enumerate().collect();
    order.sort_by_key(|(_, text)| std::cmp::Reverse(text.len()));
    let total: usize = texts.iter().map(Vec::len).sum();
    let max = (total / threads).clamp(BATCH_TOKENS / 4, BATCH_TOKENS);
    let mut batches: Vec<Vec<&[u32]>> = Vec::new();
    let mut tokens = usize::MAX;
    for (_, text) in &order {
        match batches.last_mut().filter(|_| tokens.saturating_add(text.len()) <= max) {
            Some(batch) => batch.push(text),
            None => {
                batches.push(vec![text]);
                tokens = 0;
            }
        }
        tokens += text.len();
    }
    (order.into_iter().map(|(number, _)| number).collect(), batches)
}

#[async_trait]
impl Embedder for LocalEmbedder {
    fn model(&self) -> &EmbeddingModel {
        &self.loaded.model
    }

    fn max_tokens(&self) -> usize {
        self.max_tokens()
    }

    fn count_tokens(&self, text: &str) -> usize {
        Self::count_tokens(self, text)
    }

    fn scripts(&self) -> Scripts {
        self.loaded.scripts.clone()
    }

    async fn embed(&self, texts: &[String], purpose: EmbedPurpose) -> Result<Vec<Vec<f32>>> {
        let PromptPrefixes { query, passage } = &self.loaded.prompts;
        // Queries have permits of their own: a user waits for each.
        let (prompt, permits) = match purpose {
            EmbedPurpose::Query => (query, &self.query_permits),
            EmbedPurpose::Passage => (passage, &self.passage_permits),
        };
        let texts: Vec<String> = texts.iter().map(|text| format!("{prompt}{text}")).collect();
        let permit = Arc::clone(permits).acquire_owned().await;
        let (embedder, stop) = (self.clone(), StopOnDrop::default());
        let stopped = Arc::clone(&stop.0);
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            embedder.run(&texts, &stopped)
        });
        work.await.map_err(|error| Error::internal("the local embedder failed").with_source(error))?
    }
}

/// Stops the work at the next batch once its future is dropped.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_every_text_once_and_the_longest_first() {
        let texts: Vec<Vec<u32>> = [3, 200, 90, 2, 256, 100, 5].map(|length| vec![0; length]).into();
        let (order, batches) = batches(&texts, 2);
        assert_eq!(order, [4, 1, 5, 2, 6, 0, 3]);
        let lengths: Vec<Vec<usize>> =
            batches.iter().map(|batch| batch.iter().map(|text| text.len()).collect()).collect();
        assert_eq!(lengths, [vec![256], vec![200], vec![100, 90, 5, 3, 2]]);
    }
}

//! Embeddings computed in this process: a sentence-transformer of the BERT or
//! XLM-RoBERTa family, or static embeddings, read from their folder.
//!
//! ```no_run
//! let embedder = aimate_providers::local::LocalEmbedder::open("models/all-MiniLM-L6-v2".as_ref())?;
//! let vectors = embedder.embed(&["A man is eating food.", "Someone has lunch."])?;
//! assert_eq!(vectors[0].len(), embedder.dimensions());
//! # Ok::<(), aimate_core::Error>(())
//! ```

mod bert;
mod charsmap;
mod compute_pool;
mod folder;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod prefixes;
mod reranker;
mod safetensors;
mod scripts;
mod shelf;
mod special_tokens;
mod static_table;
mod tokenizer;
mod tokenizer_file;
mod unigram;
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
use folder::{Architecture, ModelFolder, Pooling, VersionHash};
pub use prefixes::Prefixes;
pub use reranker::LocalReranker;
pub use shelf::{
    FetchProgress, ModelHub, ModelPurpose, ModelShelf, NamedFile, NamedModel, ShelvedModel, named_model,
    named_models,
};
use static_table::StaticTable;
use tokenizer::Tokenizer;

/// Maximum tokens of a batch, the job of one thread. Smaller ones read the
/// weights more often, larger ones overflow the CPU cache, and a query waits for
/// one batch at most.
const BATCH_TOKENS: usize = 256;
/// Tokens below which a single text runs on one thread: splitting it costs more
/// than it saves.
const MIN_PARALLEL_TOKENS: usize = 48;
/// Texts of static embeddings in the job of one thread.
const STATIC_TEXTS: usize = 32;
/// Concurrent query calls per thread.
const QUERIES_PER_THREAD: usize = 4;

/// A sentence-transformer that runs in this process, on the CPU.
///
/// It runs models of the BERT family, such as all-MiniLM, bge, e5 and gte in their
/// small and base sizes, of the XLM-RoBERTa family, such as multilingual-e5, and static
/// embeddings (model2vec), such as potion-base-8M. Vectors have length 1. Clones share
/// the model and the threads.
#[derive(Clone)]
pub struct LocalEmbedder {
    loaded: Arc<LoadedModel>,
    model: EmbeddingModel,
    prefixes: Prefixes,
    pool: Arc<ComputePool>,
    passage_permits: Arc<Semaphore>,
    query_permits: Arc<Semaphore>,
}

struct LoadedModel {
    name: String,
    network: Network,
    tokenizer: Tokenizer,
    max_tokens: usize,
    scripts: Scripts,
    hash: VersionHash,
}

enum Network {
    Bert(Bert, Pooling),
    Static(StaticTable),
}

impl Network {
    fn dimensions(&self) -> usize {
        match self {
            Self::Bert(bert, _) => bert.dimensions(),
            Self::Static(table) => table.dimensions(),
        }
    }

    fn vocabulary(&self) -> usize {
        match self {
            Self::Bert(bert, _) => bert.vocabulary(),
            Self::Static(table) => table.vocabulary(),
        }
    }
}

impl LocalEmbedder {
    /// Loads a model from its folder. Blocks for about a second.
    ///
    /// # Errors
    /// `Invalid` if a file is missing, damaged or not supported; the message
    /// names the file.
    pub fn open(dir: &Path) -> Result<Self> {
        let folder = ModelFolder::open(dir)?;
        if folder.is_reranker() {
            return Err(Error::invalid(format!(
                "`{}`: this model scores pairs of texts (a cross-encoder); it makes no vectors",
                dir.display()
            )));
        }
        let (tokenizer, json) = folder.tokenizer()?;
        let mut weights = folder.weights()?;
        let hash = folder.hash(&mut weights, &json)?;
        drop(json);
        let (network, max_tokens) = match &folder.architecture {
            Architecture::Bert(config) => {
                let bert = Bert::load(config, &mut weights, folder.max_tokens)?;
                let max_tokens = bert.max_tokens();
                (Network::Bert(bert, folder.pooling), max_tokens)
            }
            Architecture::Static => {
                (Network::Static(StaticTable::load(&mut weights, tokenizer.unknown())?), folder.max_tokens)
            }
        };
        let largest = usize::try_from(tokenizer.largest()).unwrap_or(usize::MAX);
        if largest >= network.vocabulary() {
            return Err(Error::invalid(format!(
                "`{}`: tokenizer.json has the token {largest} and the weights have {} tokens; they belong to different models",
                dir.display(),
                network.vocabulary()
            )));
        }
        if max_tokens <= tokenizer.encode("", 0).len() {
            return Err(Error::invalid(format!(
                "`{}`: a text may have {max_tokens} tokens, which leaves none for words; max_seq_length or the table of positions is wrong",
                dir.display(),
            )));
        }
        let (name, prefixes) = (folder.name(), folder.prefixes()?);
        let scripts = scripts::scripts(tokenizer.vocabulary());
        let loaded = LoadedModel { name, network, tokenizer, max_tokens, scripts, hash };
        Ok(Self::with(Arc::new(loaded), prefixes, ComputePool::with_default_threads()?))
    }

    /// Sets what is put before a text. Default: what the folder says
    /// (`config_sentence_transformers.json`), else what the model's family wants, by its
    /// name. The version changes with it, as the vectors do.
    #[must_use]
    pub fn prefixes(self, prefixes: Prefixes) -> Self {
        Self { model: model(&self.loaded, &prefixes), prefixes, ..self }
    }

    /// Sets the number of threads. Default: one per core, at most 16.
    ///
    /// # Errors
    /// `Unavailable` if the threads cannot be started.
    pub fn threads(self, threads: usize) -> Result<Self> {
        Ok(Self::with(self.loaded, self.prefixes, ComputePool::new(threads)?))
    }

    fn with(loaded: Arc<LoadedModel>, prefixes: Prefixes, pool: ComputePool) -> Self {
        let threads = pool.threads();
        Self {
            model: model(&loaded, &prefixes),
            loaded,
            prefixes,
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
        self.loaded.network.dimensions()
    }

    /// Returns the maximum tokens of a text, special tokens included; longer texts
    /// are truncated.
    pub fn max_tokens(&self) -> usize {
        self.loaded.max_tokens
    }

    /// Returns 16 hex digits that change whenever the vectors of the model would.
    pub fn version(&self) -> &str {
        &self.model.version
    }

    /// Returns the number of tokens of `text`, special tokens included.
    pub fn count_tokens(&self, text: &str) -> usize {
        self.loaded.tokenizer.count(text)
    }

    /// Returns one vector of length 1 for each text as it stands, in order. Blocks: async
    /// code should use [`Embedder::embed`], which also puts the prefixes before them.
    ///
    /// # Errors
    /// `Internal` if the weights produce numbers that are not finite.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.run(texts, &AtomicBool::new(false))
    }

    fn run(&self, texts: &[&str], stop: &AtomicBool) -> Result<Vec<Vec<f32>>> {
        match &self.loaded.network {
            Network::Bert(bert, pooling) => self.run_bert(bert, *pooling, texts, stop),
            Network::Static(table) => self.run_static(table, texts, stop),
        }
    }

    fn run_static(&self, table: &StaticTable, texts: &[&str], stop: &AtomicBool) -> Result<Vec<Vec<f32>>> {
        let LoadedModel { tokenizer, max_tokens, .. } = &*self.loaded;
        let one = |text: &&str| table.embed(&tokenizer.encode(text, *max_tokens));
        let all = |(): &mut (), texts: &&[&str]| {
            if stop.load(Ordering::Relaxed) { Ok(Vec::new()) } else { texts.iter().map(one).collect() }
        };
        let jobs: Vec<&[&str]> = texts.chunks(STATIC_TEXTS).collect();
        let done: Vec<Result<Vec<Vec<f32>>>> = match jobs.as_slice() {
            [job] => vec![self.pool.run_one(|| all(&mut (), job))],
            jobs => self.pool.map(jobs, || (), all),
        };
        let done: Vec<Vec<Vec<f32>>> = done.into_iter().collect::<Result<_>>()?;
        Ok(done.into_iter().flatten().collect())
    }

    fn run_bert(
        &self,
        bert: &Bert,
        pooling: Pooling,
        texts: &[&str],
        stop: &AtomicBool,
    ) -> Result<Vec<Vec<f32>>> {
        let tokenizer = &self.loaded.tokenizer;
        let texts: Vec<Vec<u32>> =
            texts.iter().map(|text| tokenizer.encode(text, bert.max_tokens())).collect();
        let (order, batches) = batches(&texts, self.pool.threads());
        let embed = |scratch: &mut Scratch, batch: &Vec<&[u32]>| {
            if stop.load(Ordering::Relaxed) { Ok(Vec::new()) } else { bert.embed(batch, pooling, scratch) }
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
            // The other way round, the last step of each batch would take a number more.
            vectors.extend(batch?.into_iter().zip(order.by_ref()).map(|(vector, number)| (number, vector)));
        }
        vectors.sort_unstable_by_key(|(number, _)| *number);
        Ok(vectors.into_iter().map(|(_, vector)| vector).collect())
    }
}

/// The model with these prefixes.
fn model(loaded: &LoadedModel, prefixes: &Prefixes) -> EmbeddingModel {
    EmbeddingModel {
        name: format!("local/{}", loaded.name),
        dimensions: u32::try_from(loaded.network.dimensions()).unwrap_or(u32::MAX),
        version: loaded.hash.with(prefixes),
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
        &self.model
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
        let Prefixes { query, passage } = &self.prefixes;
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

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
mod crew;
mod folder;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod safetensors;
mod tokenizer;
mod wordpiece;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aimate_core::knowledge::{EmbedPurpose, Embedder, EmbeddingModel};
use aimate_core::{Error, Result};
use async_trait::async_trait;
use tokio::sync::Semaphore;

use bert::{Bert, Scratch};
use crew::Crew;
use folder::{Folder, Pooling, Prompts};
use wordpiece::Tokenizer;

/// Tokens that one thread takes at a time. Fewer read the weights too often,
/// more do not fit the cache, and a question waits for as many at most.
const BATCH_TOKENS: usize = 256;
/// Tokens below which one thread does a call alone: sharing costs more than it saves.
const ALONE_TOKENS: usize = 48;
/// Texts of questions embedded at the same time, for each thread.
const QUERIES: usize = 4;

/// A sentence-transformer that runs in this process, on the processor.
///
/// It runs models of the BERT family: all-MiniLM, bge, e5 and gte in their small
/// and base sizes. A vector has the length 1. A clone is the same embedder.
#[derive(Clone)]
pub struct LocalEmbedder {
    parts: Arc<Parts>,
    crew: Arc<Crew>,
    passages: Arc<Semaphore>,
    queries: Arc<Semaphore>,
}

struct Parts {
    name: String,
    model: EmbeddingModel,
    bert: Bert,
    tokenizer: Tokenizer,
    pooling: Pooling,
    prompts: Prompts,
}

impl LocalEmbedder {
    /// Reads a model from its folder. Blocks for about a second.
    ///
    /// # Errors
    /// `Invalid` if a file is missing, damaged or of a kind that cannot be run
    /// here; the message names the file.
    pub fn open(dir: &Path) -> Result<Self> {
        let folder = Folder::open(dir)?;
        let (tokenizer, json) = folder.tokenizer()?;
        let mut weights = folder.weights()?;
        let version = folder.version(&mut weights, &json)?;
        let bert = Bert::load(&folder.config, &mut weights, folder.max_tokens)?;
        let largest = usize::try_from(tokenizer.largest()).unwrap_or(usize::MAX);
        if largest >= bert.vocabulary() {
            return Err(Error::invalid(format!(
                "`{}`: tokenizer.json has the token {largest} and the weights have {} tokens; they are of different models",
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
        let Folder { pooling, prompts, .. } = folder;
        let parts = Parts { name, model, bert, tokenizer, pooling, prompts };
        Ok(Self::with(Arc::new(parts), Crew::usual()?))
    }

    /// The same model on this many threads; as many as there are cores, and 16
    /// at most, unless this is called.
    ///
    /// # Errors
    /// `Unavailable` if the threads cannot be started.
    pub fn threads(self, threads: usize) -> Result<Self> {
        Ok(Self::with(self.parts, Crew::new(threads)?))
    }

    fn with(parts: Arc<Parts>, crew: Crew) -> Self {
        let threads = crew.threads();
        Self {
            parts,
            passages: Arc::new(Semaphore::new(threads)),
            queries: Arc::new(Semaphore::new(threads * QUERIES)),
            crew: Arc::new(crew),
        }
    }

    /// The model's name: its folder's, as a rule.
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// Numbers in a vector.
    pub fn dimensions(&self) -> usize {
        self.parts.bert.dimensions()
    }

    /// Tokens of a text at most, with those the model adds; the rest is cut off.
    pub fn max_tokens(&self) -> usize {
        self.parts.bert.max_tokens()
    }

    /// 16 hex digits that are others when the vectors are others.
    pub fn version(&self) -> &str {
        &self.parts.model.version
    }

    /// Tokens of `text`, with those the model adds, however many.
    pub fn count_tokens(&self, text: &str) -> usize {
        self.parts.tokenizer.count(text)
    }

    /// One vector of length 1 for each text, in their order. Blocks: call it from
    /// a thread that may.
    ///
    /// # Errors
    /// `Internal` if the weights make numbers that are not finite.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.run(texts, &AtomicBool::new(false))
    }

    fn run(&self, texts: &[&str], stop: &AtomicBool) -> Result<Vec<Vec<f32>>> {
        let Parts { bert, tokenizer, pooling, .. } = &*self.parts;
        let texts: Vec<Vec<u32>> =
            texts.iter().map(|text| tokenizer.encode(text, bert.max_tokens())).collect();
        let (order, batches) = batches(&texts, self.crew.threads());
        let embed = |scratch: &mut Scratch, batch: &Vec<&[u32]>| {
            if stop.load(Ordering::Relaxed) { Ok(Vec::new()) } else { bert.embed(batch, *pooling, scratch) }
        };
        let done = match batches.as_slice() {
            [] => return Ok(Vec::new()),
            [batch] => {
                let tokens: usize = batch.iter().map(|text| text.len()).sum();
                let job = || embed(&mut Scratch::default(), batch);
                vec![if tokens < ALONE_TOKENS { self.crew.alone(job) } else { self.crew.together(job) }]
            }
            batches => self.crew.each(batches, Scratch::default, embed),
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

/// Texts in batches for one thread each, the longest first so that no thread is
/// left alone with a long one; and the number of each text in that order.
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
        &self.parts.model
    }

    fn max_tokens(&self) -> usize {
        self.max_tokens()
    }

    fn count_tokens(&self, text: &str) -> usize {
        Self::count_tokens(self, text)
    }

    async fn embed(&self, texts: &[String], purpose: EmbedPurpose) -> Result<Vec<Vec<f32>>> {
        let Prompts { query, passage } = &self.parts.prompts;
        // Questions stand in a line of their own: someone waits for each.
        let (prompt, line) = match purpose {
            EmbedPurpose::Query => (query, &self.queries),
            EmbedPurpose::Passage => (passage, &self.passages),
        };
        let texts: Vec<String> = texts.iter().map(|text| format!("{prompt}{text}")).collect();
        let permit = Arc::clone(line).acquire_owned().await;
        let (embedder, stop) = (self.clone(), Stop::default());
        let stopped = Arc::clone(&stop.0);
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            embedder.run(&texts, &stopped)
        });
        work.await.map_err(|error| Error::internal("the local embedder failed").with_source(error))?
    }
}

/// Ends the work at the next batch when nobody waits for it any more.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
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
